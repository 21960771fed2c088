//! Stable reasons of conditions and events, and what a plan has found out about its object.

use serde::Serialize;

/// Why a condition has its status, in one CamelCase word that programs may rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Reason {
    /// The spec is valid and within all limits.
    Accepted,
    /// Fields of the spec are invalid; the message lists them.
    InvalidSpec,
    /// The Orchestrator that the Domain refers to does not exist.
    OrchestratorNotFound,
    /// The Orchestrator is not accepted itself.
    OrchestratorNotAccepted,
    /// The object's namespace belongs to no Domain.
    DomainNotFound,
    /// The object's Domain is not accepted itself.
    DomainNotAccepted,
    /// The Supervisor that the object refers to does not exist in its namespace.
    SupervisorNotFound,
    /// The object refers to no Supervisor and there is none named `default`.
    SupervisorRequired,
    /// The Supervisor is not accepted itself.
    SupervisorNotAccepted,
    /// Older siblings have used up a limit of the Orchestrator.
    LimitExceeded,
    /// The namespace exists and belongs to someone else.
    NamespaceNotOwned,
    /// The namespace is being deleted.
    NamespaceTerminating,
    /// A step asks for a capability that no pool has.
    UnknownCapability,
    /// A step asks for a pool that does not exist.
    UnknownPool,
    /// A step asks for a Workflow that its Supervisor does not have.
    UnknownWorkflow,
    /// The secret of a webhook is not there, or cannot be used.
    WebhookSecretMissing,
    /// Workflows begin runs of each other in a cycle.
    WorkflowCycle,
    /// A request in an annotation cannot be read.
    InvalidRequest,
    /// A policy asks for an approval of this generation, and nobody has given it yet.
    ApprovalRequired,
    /// The object is as the policies in effect ask.
    Compliant,
    /// The object is not as the policies in effect ask.
    PolicyViolated,
    /// More is booked below the object than its quota gives.
    CapacityExceeded,
    /// Everything that the Domain imports is exported to it.
    ImportsMatched,
    /// Something that the Domain imports is not exported to it.
    ImportsUnmatched,
    /// Everything is as wanted.
    Ready,
    /// Pods are starting or being replaced.
    Progressing,
    /// Children are not ready.
    ChildrenNotReady,
    /// An image cannot be pulled.
    ImagePullFailed,
    /// A container keeps crashing.
    CrashLoop,
    /// A container cannot be started as configured.
    ContainerConfigError,
    /// Pods cannot be scheduled.
    Unschedulable,
    /// Pods cannot be created, for example because of a quota.
    PodsRefused,
    /// The Deployment made no progress within its deadline.
    ProgressDeadlineExceeded,
    /// The object is being deleted.
    Deleting,
    /// A write to the API server failed.
    ApplyFailed,
    /// An object to be written is controlled by someone else.
    ChildNotOwned,
    /// The operator lacks permission for a write.
    Forbidden,
    /// The bus could not be reached.
    BusUnavailable,
    /// A run is wanted and has not started.
    RunPending,
    /// A run is going on.
    RunActive,
    /// The latest run waits for a person.
    RunWaiting,
    /// A step of a run waits for a person from now on.
    DecisionRequired,
    /// A step of a run still waits for a person.
    DecisionReminder,
    /// Nobody decided about a step in time.
    DecisionTimedOut,
    /// The latest run ended well.
    RunSucceeded,
    /// The latest run failed.
    RunFailed,
    /// The latest run failed, and everything that it had done is undone.
    RunCompensated,
    /// The latest run was cancelled.
    RunCancelled,
    /// It is not known whether an agent of the latest run finished its work.
    RunOutcomeUnknown,
    /// No run is wanted.
    Idle,
}

impl Reason {
    /// The reason as it stands in a condition.
    pub fn as_str(self) -> String {
        format!("{self:?}")
    }

    /// Whether only a change of this very object's spec or of somebody's decision helps, so that waiting is no use.
    pub const fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::InvalidSpec
                | Self::LimitExceeded
                | Self::NamespaceNotOwned
                | Self::InvalidRequest
                | Self::ApprovalRequired
                | Self::ImagePullFailed
                | Self::ProgressDeadlineExceeded
                | Self::ContainerConfigError
                | Self::ChildNotOwned
        )
    }
}

impl Reason {
    /// Whether something else is missing that may still come: manifests are applied in any order.
    pub const fn is_missing_reference(self) -> bool {
        matches!(
            self,
            Self::OrchestratorNotFound
                | Self::OrchestratorNotAccepted
                | Self::DomainNotFound
                | Self::DomainNotAccepted
                | Self::SupervisorNotFound
                | Self::SupervisorRequired
                | Self::SupervisorNotAccepted
        )
    }
}

/// Something found out, with a reason for programs and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Why.
    pub reason: Reason,
    /// Why, in a sentence that names the remedy.
    pub message: String,
}

impl Finding {
    /// A finding.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}
