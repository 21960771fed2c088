//! Which levels above an object the index does not know: a replica that has not seen them yet would decide without their
//! policies and quotas.

use super::{
    index::{Index, supervisor_name},
    review::{Manifest, Operation, Review},
};

/// A level above an object that is not in the index. It need not exist.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unknown {
    /// The Orchestrator with this name.
    Orchestrator(String),
    /// The Domain that a namespace belongs to.
    DomainOf(String),
    /// A Supervisor.
    Supervisor {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

impl std::fmt::Display for Unknown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Orchestrator(name) => write!(f, "Orchestrator {name:?}"),
            Self::DomainOf(namespace) => write!(f, "the Domain of namespace {namespace:?}"),
            Self::Supervisor { namespace, name } => write!(f, "Supervisor {name:?} in namespace {namespace:?}"),
        }
    }
}

/// The levels above what a request creates or changes that the index does not know, the highest first.
pub fn unknown_above(review: &Review, index: &Index) -> Vec<Unknown> {
    if !matches!(review.operation, Operation::Create | Operation::Update) {
        return Vec::new();
    }
    let manifest = review.new_object().and_then(|written| written.manifest().ok());
    let reference = match manifest {
        None | Some(Manifest::Orchestrator(_)) => return Vec::new(),
        Some(Manifest::Domain(domain)) => {
            let unknown = orchestrator(&domain.spec.orchestrator_ref.name, index);
            return unknown.into_iter().collect();
        }
        Some(Manifest::Supervisor(_) | Manifest::Pod(_)) => None,
        Some(Manifest::AgentPool(pool)) => Some(supervisor_name(pool.spec.supervisor_ref.as_ref())),
        Some(Manifest::Workflow(workflow)) => Some(supervisor_name(workflow.spec.supervisor_ref.as_ref())),
    };
    let namespace = review.namespace.as_str();
    let above = match index.domain_of(namespace) {
        Some(domain) => orchestrator(&domain.object().spec.orchestrator_ref.name, index),
        None => Some(Unknown::DomainOf(namespace.to_owned())),
    };
    let is_known = |name: &str| index.space(namespace).is_some_and(|space| space.supervisor(name).is_some());
    let supervisor = reference
        .filter(|name| !is_known(name))
        .map(|name| Unknown::Supervisor { namespace: namespace.to_owned(), name: name.to_owned() });
    above.into_iter().chain(supervisor).collect()
}

fn orchestrator(name: &str, index: &Index) -> Option<Unknown> {
    index.orchestrator(name).is_none().then(|| Unknown::Orchestrator(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};
    use tetrarch_core::policy::Kind;

    use super::*;
    use crate::admit::{
        index::Member,
        review::{Target, User, Written},
    };

    fn object(kind: &str, name: &str, spec: &Value) -> Value {
        json!({"apiVersion": "tetrarch.dev/v1alpha1", "kind": kind, "metadata": {"name": name, "namespace": "legal"}, "spec": spec})
    }

    fn typed<T: serde::de::DeserializeOwned>(kind: &str, name: &str, spec: &Value) -> Arc<T> {
        Arc::new(serde_json::from_value(object(kind, name, spec)).unwrap())
    }

    fn review(kind: Kind, operation: Operation, spec: &Value) -> Review {
        let document = object(kind.as_str(), "it", spec);
        Review {
            operation,
            kind,
            namespace: if kind == Kind::Domain { String::new() } else { "legal".to_owned() },
            name: "it".to_owned(),
            target: Target::Whole { new: Some(Box::new(Written::read(kind, document))), old: None },
            user: User::default(),
            is_patch: false,
            dry_run: false,
        }
    }

    fn pool() -> Value {
        json!({"supervisorRef": {"name": "work"}, "agent": {"image": "a:1"}})
    }

    fn orchestrator() -> Member {
        Member::Orchestrator(typed("Orchestrator", "acme", &json!({})))
    }

    fn domain() -> Member {
        Member::Domain(typed("Domain", "legal", &json!({"orchestratorRef": {"name": "acme"}})))
    }

    fn supervisor() -> Member {
        Member::Supervisor(typed("Supervisor", "work", &json!({})))
    }

    #[test]
    fn with_all_levels_known_nothing_is_asked() {
        let index = Index::default().with([orchestrator(), domain(), supervisor()]);
        for (kind, spec) in [
            (Kind::Domain, json!({"orchestratorRef": {"name": "acme"}})),
            (Kind::Supervisor, json!({})),
            (Kind::AgentPool, pool()),
            (Kind::Orchestrator, json!({})),
        ] {
            assert_eq!(unknown_above(&review(kind, Operation::Create, &spec), &index), []);
        }
    }

    #[test]
    fn each_level_that_is_not_known_is_named() {
        let ask = |members: Vec<Member>| {
            unknown_above(&review(Kind::AgentPool, Operation::Create, &pool()), &Index::default().with(members))
        };
        let lost = Unknown::Supervisor { namespace: "legal".to_owned(), name: "work".to_owned() };
        assert_eq!(ask(vec![]), [Unknown::DomainOf("legal".to_owned()), lost.clone()]);
        assert_eq!(ask(vec![orchestrator(), supervisor()]), [Unknown::DomainOf("legal".to_owned())]);
        assert_eq!(ask(vec![domain(), supervisor()]), [Unknown::Orchestrator("acme".to_owned())]);
        assert_eq!(ask(vec![orchestrator(), domain()]), [lost]);
    }

    #[test]
    fn a_domain_needs_its_orchestrator_and_what_is_deleted_needs_nothing() {
        let spec = json!({"orchestratorRef": {"name": "acme"}});
        let asked = |operation| unknown_above(&review(Kind::Domain, operation, &spec), &Index::default());
        assert_eq!(asked(Operation::Update), [Unknown::Orchestrator("acme".to_owned())]);
        assert_eq!(asked(Operation::Delete), []);
    }
}
