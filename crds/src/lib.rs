//! Wire types of the five Tetrarch resources, nothing else: what a user may write and what the status says.
//!
//! The types carry no decisions. `tetrarch-plan` parses them into the domain types of `tetrarch-core`.
//! Numbers are signed and bounded, percentages are integers 0-100, durations are strings such as `30s`.

#![expect(clippy::duplicated_attributes, reason = "kube's list of printer columns repeats its keys for each column")]

pub mod agent_pool;
pub mod domain;
pub mod manifest;
pub mod orchestrator;
pub mod policy;
pub mod quota;
pub mod reference;
pub mod schema;
pub mod shared;
pub mod supervisor;
pub mod workflow;

pub use agent_pool::{AgentPool, AgentPoolSpec, AgentPoolStatus};
pub use domain::{Domain, DomainSpec, DomainStatus};
pub use orchestrator::{Orchestrator, OrchestratorSpec, OrchestratorStatus};
pub use supervisor::{Supervisor, SupervisorSpec, SupervisorStatus};
pub use workflow::{Workflow, WorkflowSpec, WorkflowStatus};

/// The API group of all five kinds.
pub const GROUP: &str = "tetrarch.dev";

/// The one served and stored version.
pub const VERSION: &str = "v1alpha1";
