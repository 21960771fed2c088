//! The objects of an inventory as members of the webhook's own index.

use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tetrarch_core::policy::Kind;
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor, Workflow};
use tetrarch_plan::{
    admit::{Index, index::Member},
    names::DEFAULT_SUPERVISOR,
};

use crate::{
    inventory::{Inventory, Item},
    manifest::Problem,
};

/// Number of levels at which every Domain has an implicit Supervisor.
const IMPLICIT_DEPTH: i32 = 3;

impl Inventory {
    /// The index that the webhook would have of these objects.
    pub fn index(&self) -> Result<Index, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut members = Vec::new();
        for item in &self.items {
            match member(item) {
                Ok(member) => members.extend(member),
                Err(message) => problems.push(item.problem("", message)),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        members.extend(self.implicit(&members));
        Ok(Index::default().with(members))
    }

    /// The Supervisors named `default` that the operator makes in Domains of hierarchies with three levels.
    fn implicit(&self, members: &[Member]) -> Vec<Member> {
        let is_flat = |name: &str| {
            members.iter().any(|member| {
                matches!(member, Member::Orchestrator(root) if root.metadata.name.as_deref() == Some(name) && root.spec.hierarchy.depth == IMPLICIT_DEPTH)
            })
        };
        let mut implicit = Vec::new();
        for member in members {
            let Member::Domain(domain) = member else { continue };
            let namespace = tetrarch_plan::hierarchy::namespace_of(domain);
            if is_flat(&domain.spec.orchestrator_ref.name)
                && self.find_exactly(Kind::Supervisor, &namespace, DEFAULT_SUPERVISOR).is_none()
            {
                let mut supervisor = Supervisor::new(DEFAULT_SUPERVISOR, tetrarch_crds::SupervisorSpec::default());
                supervisor.metadata.namespace = Some(namespace);
                supervisor.metadata.generation = Some(1);
                implicit.push(Member::Supervisor(Arc::new(supervisor)));
            }
        }
        implicit
    }
}

fn member(item: &Item) -> Result<Option<Member>, String> {
    fn typed<T: DeserializeOwned>(value: &Value) -> Result<Arc<T>, String> {
        T::deserialize(value).map(Arc::new).map_err(|error| error.to_string())
    }
    let value = &item.value;
    Ok(Some(match item.kind {
        Kind::Orchestrator => Member::Orchestrator(typed(value)?),
        Kind::Domain => Member::Domain(typed(value)?),
        Kind::Supervisor => Member::Supervisor(typed(value)?),
        Kind::AgentPool => Member::AgentPool(typed(value)?),
        Kind::Workflow => Member::Workflow(typed(value)?),
        Kind::Pod => return Ok(None),
    }))
}

/// An object as its type writes it, so that the same object looks the same whether it comes from a file or a cluster.
pub fn normal(kind: Kind, value: Value) -> Result<Value, String> {
    fn typed<T: DeserializeOwned + Serialize>(value: Value) -> Result<Value, String> {
        let typed: T = serde_json::from_value(value).map_err(|error| error.to_string())?;
        serde_json::to_value(typed).map_err(|error| error.to_string())
    }
    let status = value.get("status").cloned();
    let mut normal = match kind {
        Kind::Orchestrator => typed::<Orchestrator>(value)?,
        Kind::Domain => typed::<Domain>(value)?,
        Kind::Supervisor => typed::<Supervisor>(value)?,
        Kind::AgentPool => typed::<AgentPool>(value)?,
        Kind::Workflow => typed::<Workflow>(value)?,
        Kind::Pod => value,
    };
    // What is only in a file was accepted by nobody yet; it is judged as if it were.
    if status.is_none() && kind != Kind::Pod {
        normal["status"] = json!({"conditions": [{
            "type": "Accepted", "status": "True", "reason": "Accepted", "message": "",
            "lastTransitionTime": "1970-01-01T00:00:00Z",
        }]});
    }
    Ok(normal)
}
