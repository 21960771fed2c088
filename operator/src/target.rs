//! Which object is to be reconciled.

use std::fmt;

use crate::telemetry::metrics::Controller;

/// An object of one of the five kinds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// An Orchestrator by name.
    Orchestrator(String),
    /// A Domain by name.
    Domain(String),
    /// A Supervisor by namespace and name.
    Supervisor(String, String),
    /// An AgentPool by namespace and name.
    AgentPool(String, String),
    /// A Workflow by namespace and name.
    Workflow(String, String),
}

impl Target {
    /// The controller that reconciles it.
    pub const fn controller(&self) -> Controller {
        match self {
            Self::Orchestrator(_) => Controller::Orchestrator,
            Self::Domain(_) => Controller::Domain,
            Self::Supervisor(..) => Controller::Supervisor,
            Self::AgentPool(..) => Controller::AgentPool,
            Self::Workflow(..) => Controller::Workflow,
        }
    }

    /// The target of this controller with this namespace and name.
    pub fn of(controller: Controller, namespace: Option<String>, name: String) -> Self {
        let namespace = namespace.unwrap_or_default();
        match controller {
            Controller::Orchestrator => Self::Orchestrator(name),
            Controller::Domain => Self::Domain(name),
            Controller::Supervisor => Self::Supervisor(namespace, name),
            Controller::AgentPool => Self::AgentPool(namespace, name),
            Controller::Workflow => Self::Workflow(namespace, name),
        }
    }

    /// The namespace, unless the kind is cluster-scoped.
    pub fn namespace(&self) -> Option<&str> {
        match self {
            Self::Orchestrator(_) | Self::Domain(_) => None,
            Self::Supervisor(namespace, _) | Self::AgentPool(namespace, _) | Self::Workflow(namespace, _) => {
                Some(namespace)
            }
        }
    }

    /// The name.
    pub fn name(&self) -> &str {
        match self {
            Self::Orchestrator(name)
            | Self::Domain(name)
            | Self::Supervisor(_, name)
            | Self::AgentPool(_, name)
            | Self::Workflow(_, name) => name,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.controller().kind();
        match self.namespace() {
            Some(namespace) => write!(f, "{kind}/{namespace}/{}", self.name()),
            None => write!(f, "{kind}/{}", self.name()),
        }
    }
}
