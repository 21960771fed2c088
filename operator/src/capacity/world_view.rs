//! The view of this replica: its watches, and questions to the API server.

use std::{fmt::Debug, future::Future, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use kube::{
    Api, Client, Resource,
    api::{ApiResource, DynamicObject, ListParams, ObjectMeta},
    runtime::reflector::ObjectRef,
};
use serde::de::DeserializeOwned;
use tetrarch_core::{
    capacity::{Declared, Key, Observed},
    policy::Level,
};
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor};
use tetrarch_plan::{
    admit::booking::{of_domain, of_orchestrator, of_pool, of_supervisor},
    hierarchy::{self, namespace_of},
};

use super::view::{Error, View};
use crate::world::World;

/// Longest time of one question.
const LONGEST: Duration = Duration::from_secs(5);

/// Objects in one answer.
const PAGE: u32 = 500;

/// The view of this replica.
pub struct WorldView {
    world: Arc<World>,
    client: Client,
}

impl WorldView {
    /// The view over these watches.
    pub fn new(world: Arc<World>, client: Client) -> Self {
        Self { world, client }
    }

    /// The Domain that a namespace belongs to, if it is one of this Orchestrator.
    fn domain_of(&self, orchestrator: &str, namespace: &str) -> Option<Arc<Domain>> {
        self.world.domain_of(namespace).filter(|domain| belongs(domain, orchestrator))
    }

    async fn list<K>(&self, name: Option<&str>, key: impl Fn(&ObjectMeta) -> Key) -> Result<Vec<Read<K>>, Error>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug,
    {
        // As raw objects, so that one that cannot be read does not hide the others.
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &ApiResource::erase::<K>(&()));
        let mut parameters = match name {
            Some(name) => ListParams::default().fields(&format!("metadata.name={name}")),
            None => ListParams::default().limit(PAGE),
        };
        let mut objects = Vec::new();
        loop {
            let page = answered(api.list(&parameters)).await?;
            for object in page.items {
                let key = key(&object.metadata);
                objects.push(match object.try_parse::<K>() {
                    Ok(object) => Ok(Arc::new(object)),
                    Err(error) => Err(Error::Unreadable { key, reason: error.to_string() }),
                });
            }
            parameters.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if parameters.continue_token.is_none() {
                return Ok(objects);
            }
        }
    }

    async fn one<K>(&self, key: &Key) -> Result<Option<Arc<K>>, Error>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug,
    {
        let found = self.list::<K>(Some(&key.name), |meta| Key {
            level: key.level,
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
        });
        let is_it = |object: &Read<K>| match object {
            Ok(object) => object.meta().namespace.as_deref().unwrap_or_default() == key.namespace,
            Err(Error::Unreadable { key: other, .. }) => other == key,
            Err(_) => false,
        };
        found.await?.into_iter().find(is_it).transpose()
    }
}

/// An object, or why it could not be read.
type Read<K> = Result<Arc<K>, Error>;

async fn answered<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Error> {
    match tokio::time::timeout(LONGEST, call).await {
        Ok(result) => result.map_err(|error| Error::Api(Box::new(error))),
        Err(_) => Err(Error::Unanswered),
    }
}

fn belongs(domain: &Domain, orchestrator: &str) -> bool {
    domain.spec.orchestrator_ref.name == orchestrator
}

fn observed(object: &impl Resource, (key, declared): (Key, Declared)) -> Observed {
    let meta = object.meta();
    Observed {
        key,
        uid: meta.uid.clone().unwrap_or_default(),
        generation: meta.generation.unwrap_or_default(),
        declared,
    }
}

/// Leaves out what cannot be read; nothing can be said about it.
fn readable<K>(objects: Vec<Read<K>>) -> Vec<Arc<K>> {
    let told = |object: Read<K>| object.inspect_err(|error| tracing::warn!(%error, "not booked")).ok();
    objects.into_iter().filter_map(told).collect()
}

impl View for WorldView {
    fn everything(&self, orchestrator: &str) -> Vec<Observed> {
        let world = &self.world;
        let mut all: Vec<Observed> =
            world.orchestrator(orchestrator).iter().map(|o| observed(o.as_ref(), of_orchestrator(o))).collect();
        let domains = world.domains_of(orchestrator);
        all.extend(domains.iter().map(|domain| observed(domain.as_ref(), of_domain(domain))));
        let owns = |domain: &&Arc<Domain>| {
            let owner = world.domain_of(&namespace_of(domain));
            owner.is_some_and(|owner| owner.metadata.uid == domain.metadata.uid)
        };
        for domain in domains.iter().filter(owns) {
            let namespace = namespace_of(domain);
            let supervisors = world.supervisors_in(&namespace);
            all.extend(supervisors.iter().map(|o| observed(o.as_ref(), of_supervisor(o, Some(domain)))));
            let pools = world.pools_in(&namespace);
            all.extend(pools.iter().map(|o| observed(o.as_ref(), of_pool(o, Some(domain)))));
        }
        all
    }

    fn seen(&self, orchestrator: &str, key: &Key) -> Option<Observed> {
        let world = &self.world;
        match key.level {
            Level::Orchestrator => {
                let object = world.orchestrator(&key.name).filter(|_| key.name == orchestrator)?;
                Some(observed(object.as_ref(), of_orchestrator(&object)))
            }
            Level::Domain => {
                let object = world.domain(&key.name).filter(|domain| belongs(domain, orchestrator))?;
                Some(observed(object.as_ref(), of_domain(&object)))
            }
            Level::Supervisor => {
                let domain = self.domain_of(orchestrator, &key.namespace)?;
                let object = world.supervisors.get(&ObjectRef::new(&key.name).within(&key.namespace))?;
                Some(observed(object.as_ref(), of_supervisor(&object, Some(&domain))))
            }
            Level::AgentPool => {
                let domain = self.domain_of(orchestrator, &key.namespace)?;
                let object = world.pools.get(&ObjectRef::new(&key.name).within(&key.namespace))?;
                Some(observed(object.as_ref(), of_pool(&object, Some(&domain))))
            }
            Level::Workflow => None,
        }
    }

    fn gone(&self) -> Vec<(Key, String)> {
        self.world.sightings.gone()
    }

    fn ask<'a>(&'a self, orchestrator: &'a str, key: &'a Key) -> BoxFuture<'a, Result<Option<Observed>, Error>> {
        Box::pin(async move {
            match key.level {
                Level::Orchestrator => {
                    let found = self.one::<Orchestrator>(key).await?.filter(|_| key.name == orchestrator);
                    Ok(found.map(|object| observed(object.as_ref(), of_orchestrator(&object))))
                }
                Level::Domain => {
                    let found = self.one::<Domain>(key).await?.filter(|domain| belongs(domain, orchestrator));
                    Ok(found.map(|object| observed(object.as_ref(), of_domain(&object))))
                }
                Level::Supervisor => {
                    let domain = self.domain_of(orchestrator, &key.namespace);
                    let found = self.one::<Supervisor>(key).await?;
                    Ok(found.map(|object| observed(object.as_ref(), of_supervisor(&object, domain.as_deref()))))
                }
                Level::AgentPool => {
                    let domain = self.domain_of(orchestrator, &key.namespace);
                    let found = self.one::<AgentPool>(key).await?;
                    Ok(found.map(|object| observed(object.as_ref(), of_pool(&object, domain.as_deref()))))
                }
                Level::Workflow => Ok(None),
            }
        })
    }

    fn ask_everything<'a>(&'a self, orchestrator: &'a str) -> BoxFuture<'a, Result<Vec<Observed>, Error>> {
        Box::pin(async move {
            let name = |meta: &ObjectMeta| meta.name.clone().unwrap_or_default();
            let namespace = |meta: &ObjectMeta| meta.namespace.clone().unwrap_or_default();
            let orchestrators = self.list::<Orchestrator>(Some(orchestrator), |meta| Key::orchestrator(name(meta)));
            let domains = self.list::<Domain>(None, |meta| Key::domain(name(meta)));
            let supervisors = self.list::<Supervisor>(None, |meta| Key::supervisor(namespace(meta), name(meta)));
            let pools = self.list::<AgentPool>(None, |meta| Key::pool(namespace(meta), name(meta)));
            let (orchestrators, domains, supervisors, pools) =
                tokio::try_join!(orchestrators, domains, supervisors, pools)?;
            let domains = readable(domains);
            let owner = |meta: &ObjectMeta| {
                hierarchy::domain_of(&namespace(meta), &domains).filter(|domain| belongs(domain, orchestrator))
            };
            let mut all: Vec<Observed> =
                readable(orchestrators).iter().map(|o| observed(o.as_ref(), of_orchestrator(o))).collect();
            let own = domains.iter().filter(|domain| belongs(domain, orchestrator));
            all.extend(own.map(|domain| observed(domain.as_ref(), of_domain(domain))));
            for object in readable(supervisors) {
                let domain = owner(object.meta());
                all.extend(domain.map(|domain| observed(object.as_ref(), of_supervisor(&object, Some(domain)))));
            }
            for object in readable(pools) {
                let domain = owner(object.meta());
                all.extend(domain.map(|domain| observed(object.as_ref(), of_pool(&object, Some(domain)))));
            }
            Ok(all)
        })
    }
}
