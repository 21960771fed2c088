//! `tetrarch-operator check`: whether an installation is complete and its parts reach each other; `helm test` runs it.

use std::{
    fmt::Debug,
    io::{self, Write as _},
    time::Duration,
};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, Client, Config, Resource,
    api::{ListParams, PostParams},
};
use serde::de::DeserializeOwned;
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor, Workflow, supervisor::SupervisorSpec};
use tokio::time::{Instant, sleep};

use crate::{
    args::Check,
    bus::{self, system::System},
    run::LEASE,
    trust::secrets::{self, Secrets},
};

const PAUSE: Duration = Duration::from_millis(500);

const WEBHOOK_WANTED: &str = "an answer of the admission webhook; look at the ValidatingWebhookConfiguration tetrarch, the Service \
                              tetrarch-webhook and the logs of the Deployment tetrarch-operator";

/// What is missing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no usable configuration of the cluster.
    #[error("cannot find the cluster: run inside of one, or set KUBECONFIG: {0}")]
    Cluster(#[from] kube::config::InferConfigError),
    /// The API server does not serve a kind, or refuses it.
    #[error("{what}: {source}; install the chart tetrarch-crds, and this chart's roles")]
    Api {
        /// What was asked for.
        what: &'static str,
        /// Why it failed.
        source: kube::Error,
    },
    /// The client cannot be made.
    #[error(transparent)]
    Client(#[from] kube::Error),
    /// The keys of the bus cannot be read.
    #[error(transparent)]
    Trust(#[from] secrets::Error),
    /// The connection to the bus cannot be prepared.
    #[error(transparent)]
    Bus(#[from] bus::Error),
    /// The time is up.
    #[error("not within {0:?}: {1}")]
    Late(Duration, &'static str),
    /// The result cannot be printed.
    #[error(transparent)]
    Print(#[from] io::Error),
}

/// Checks one part after the other and prints each that is as it should be.
pub async fn check(arguments: &Check) -> Result<(), Error> {
    let client = Client::try_from(Config::infer().await?)?;
    let until = Instant::now() + arguments.within();
    served::<Orchestrator>(&client, "kind Orchestrator").await?;
    served::<Domain>(&client, "kind Domain").await?;
    served::<Supervisor>(&client, "kind Supervisor").await?;
    served::<AgentPool>(&client, "kind AgentPool").await?;
    served::<Workflow>(&client, "kind Workflow").await?;
    say("the API server serves all five kinds")?;

    let leases: Api<Lease> = Api::namespaced(client.clone(), &arguments.namespace);
    while !has_leader(&leases).await? {
        pause(
            arguments,
            until,
            "an operator that leads; look at the pods and logs of the Deployment tetrarch-operator",
        )
        .await?;
    }
    say("an operator leads")?;

    while let Some(reason) = webhook_fails(&client, &arguments.namespace).await? {
        tracing::debug!(reason);
        pause(arguments, until, WEBHOOK_WANTED).await?;
    }
    say("the API server asks the admission webhook")?;

    let secrets = Secrets::new(client, &arguments.namespace);
    let root = loop {
        match secrets.existing_root().await? {
            Some(root) => break root,
            None => pause(arguments, until, "the Secret tetrarch-bus-trust; the operator that leads makes it").await?,
        }
    };
    let system = System::connect(arguments.own_bus_url(), &root).await?;
    while !system.is_connected() {
        pause(arguments, until, "a connection to the bus; look at the pods and logs of the StatefulSet tetrarch-nats")
            .await?;
    }
    say("the bus answers and trusts the operator's keys")
}

async fn served<K>(client: &Client, what: &'static str) -> Result<(), Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::all(client.clone());
    api.list(&ListParams::default().limit(1)).await.map_err(|source| Error::Api { what, source })?;
    Ok(())
}

async fn has_leader(leases: &Api<Lease>) -> Result<bool, Error> {
    let lease = leases.get_opt(LEASE).await.map_err(|source| Error::Api { what: "Lease tetrarch-operator", source })?;
    let holder = lease.and_then(|lease| lease.spec?.holder_identity);
    Ok(holder.is_some_and(|holder| !holder.is_empty()))
}

/// What the API server says when it cannot ask the webhook. A Supervisor that is refused, because the operator's own namespace
/// belongs to no Domain, was asked about; nothing is stored either way.
async fn webhook_fails(client: &Client, namespace: &str) -> Result<Option<String>, Error> {
    let api: Api<Supervisor> = Api::namespaced(client.clone(), namespace);
    let supervisor = Supervisor::new("tetrarch-check", SupervisorSpec::default());
    let parameters = PostParams { dry_run: true, ..PostParams::default() };
    match api.create(&parameters, &supervisor).await {
        Err(kube::Error::Api(status)) if status.message.contains("failed calling webhook") => Ok(Some(status.message)),
        Err(kube::Error::Api(status)) if !is_refusal(&status.message) => {
            Err(Error::Api { what: "a Supervisor that is tried", source: kube::Error::Api(status) })
        }
        Ok(_) | Err(kube::Error::Api(_)) => Ok(None),
        Err(source) => Err(Error::Api { what: "a Supervisor that is tried", source }),
    }
}

fn is_refusal(message: &str) -> bool {
    message.contains("admission webhook") && message.contains("denied the request")
}

async fn pause(arguments: &Check, until: Instant, wanted: &'static str) -> Result<(), Error> {
    if Instant::now() >= until {
        return Err(Error::Late(arguments.within(), wanted));
    }
    sleep(PAUSE).await;
    Ok(())
}

fn say(line: &str) -> Result<(), Error> {
    Ok(writeln!(io::stdout(), "{line}")?)
}
