//! What a plan asks the shell to do, in order, and when to look again.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde::Serialize;
use serde_json::Value;
use tetrarch_core::id::Name;

use crate::{
    governance::Standing,
    object::{Object, ObjectKey},
    reason::{Finding, Reason},
};

/// One write. All are idempotent: doing one again in an unchanged world writes nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// Adds the finalizer to the object itself. Always alone in its plan: the event of this write continues.
    AddFinalizer {
        /// The finalizer.
        finalizer: &'static str,
    },
    /// Server-side apply with the controller's field manager, forced. The shell refuses an object that another controller owns.
    Apply(Box<Object>),
    /// Server-side apply, forced, with [`crate::names::MANAGER_HANDOVER`]: holds a field while its owner changes.
    HandOver(Box<Object>),
    /// Deletes an object, in the background; one that is gone already counts as deleted.
    Delete(ObjectKey),
    /// Makes sure that the Domain's account, stream, buckets and object store exist on the bus.
    EnsureBusAccount {
        /// The Domain.
        domain: Name,
    },
    /// Removes the Domain's account with everything in it.
    RemoveBusAccount {
        /// The Domain.
        domain: Name,
    },
    /// Makes sure that a Secret holds credentials that permit just what this user needs. Credentials that are already there
    /// for the same user and account stay as they are.
    EnsureBusUser(Box<BusUserSecret>),
    /// Writes a value of the CONFIG bucket unless it is there already.
    PublishConfig {
        /// The Domain whose account holds the bucket.
        domain: Name,
        /// The key.
        key: String,
        /// The value.
        value: Value,
    },
    /// Deletes a key of the CONFIG bucket.
    RetractConfig {
        /// The Domain whose account holds the bucket.
        domain: Name,
        /// The key.
        key: String,
    },
    /// Deletes a key of the REPORT bucket whose subject is gone.
    RetractReport {
        /// The Domain whose account holds the bucket.
        domain: Name,
        /// The key.
        key: String,
    },
    /// Removes what a Supervisor leaves in its Domain's account: its consumers and all entries of its runs.
    RemoveSupervisorWork {
        /// The Domain.
        domain: Name,
        /// The Supervisor.
        supervisor: Name,
    },
    /// Removes the finalizer from the object itself; always last.
    RemoveFinalizer {
        /// The finalizer.
        finalizer: &'static str,
    },
    /// Publishes an Event about the object. The shell sends it when the status that goes with it changes.
    Event(Note),
}

/// A user of the bus and the Secret that holds its credentials.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BusUserSecret {
    /// The Domain whose account the user belongs to.
    pub domain: Name,
    /// Who it is, which decides what it may publish and subscribe to.
    pub user: BusUser,
    /// The Secret with the keys [`crate::names::BUS_SECRET_CREDENTIALS`] and [`crate::names::BUS_SECRET_CA`].
    pub secret: ObjectKey,
    /// Labels of the Secret.
    pub labels: BTreeMap<String, String>,
    /// Owner of the Secret, so that it goes with its object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<OwnerReference>,
}

/// Who uses the bus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum BusUser {
    /// The runtime of a Supervisor.
    Supervisor {
        /// The Supervisor.
        supervisor: Name,
    },
    /// Whoever publishes events for the Workflows of a Supervisor.
    Publisher {
        /// The Supervisor.
        supervisor: Name,
    },
    /// The sidecars of a pool.
    Pool {
        /// The Supervisor whose work the pool does.
        supervisor: Name,
        /// The pool.
        pool: Name,
    },
}

/// An Event for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Whether somebody should look at it.
    pub warning: bool,
    /// Why, in one word.
    pub reason: Reason,
    /// Why, in a sentence of at most 1 KiB.
    pub message: String,
}

/// When to look again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Wake {
    /// When something changes that was observed.
    #[default]
    OnChange,
    /// At this time at the latest, or when something changes.
    At(Timestamp),
}

/// Whether the object is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Acceptance {
    /// The spec is valid, what it refers to exists, the limits hold.
    Accepted,
    /// It is not; nothing new is written for it, and what exists already is kept.
    Refused(Finding),
}

/// What to do about one object.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Writes in the order they must be done; the shell stops at the first that fails.
    pub effects: Vec<Effect>,
    /// Whether the object is accepted.
    pub acceptance: Acceptance,
    /// What keeps an accepted object from being Ready although all writes succeed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blockers: Vec<Finding>,
    /// When to look again.
    pub wake: Wake,
    /// What policies mean for the object; none when it is not known whose hold.
    #[serde(skip)]
    pub standing: Option<Standing>,
}

impl Plan {
    /// A plan for an accepted object.
    pub fn accepted(effects: Vec<Effect>) -> Self {
        Self { effects, acceptance: Acceptance::Accepted, blockers: Vec::new(), wake: Wake::OnChange, standing: None }
    }

    /// A plan for an object that is not accepted: an Event that says why, and no writes.
    pub fn refused(finding: Finding) -> Self {
        let note = Note { warning: true, reason: finding.reason, message: finding.message.clone() };
        Self {
            effects: vec![Effect::Event(note)],
            acceptance: Acceptance::Refused(finding),
            blockers: Vec::new(),
            wake: Wake::OnChange,
            standing: None,
        }
    }

    /// The same plan with what policies mean for the object.
    #[must_use]
    pub fn under(mut self, standing: Standing) -> Self {
        self.standing = Some(standing);
        self
    }

    /// A plan for an object whose change waits for an approval, and what goes on all the same.
    pub fn held(finding: Finding, effects: Vec<Effect>) -> Self {
        let mut plan = Self::refused(finding);
        plan.effects.splice(0..0, effects);
        plan
    }

    /// The same plan with something that keeps the object from being Ready.
    #[must_use]
    pub fn blocked_by(mut self, findings: impl IntoIterator<Item = Finding>) -> Self {
        self.blockers.extend(findings);
        self
    }

    /// The same plan that looks again at `time` at the latest.
    #[must_use]
    pub fn wake_at(mut self, time: Timestamp) -> Self {
        self.wake = Wake::At(time);
        self
    }
}
