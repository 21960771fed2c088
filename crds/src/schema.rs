//! The definitions (`CustomResourceDefinition`) of all kinds, in the order they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube_core::CustomResourceExt;

use crate::{AgentPool, Domain, Orchestrator, Supervisor, Workflow};

/// All five definitions, from the top level down.
pub fn definitions() -> [CustomResourceDefinition; 5] {
    [Orchestrator::crd(), Domain::crd(), Supervisor::crd(), AgentPool::crd(), Workflow::crd()]
}
