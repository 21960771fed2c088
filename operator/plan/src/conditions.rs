//! The conditions of every kind by the kstatus rules: Ready is derived, times move only when a status changes.
//!
//! | condition | meaning |
//! |---|---|
//! | Accepted | the spec is valid, what it refers to exists, limits hold |
//! | Ready | accepted, everything written, everything running |
//! | Reconciling | present and True while the controller or the cluster is still working towards the spec |
//! | PolicyCompliant | the object is as the policies in effect ask, and what is booked below it fits its quota |
//! | ImportsMatched | present on a Domain that imports something: each import is exported to it |
//! | Stalled | present and True when waiting is no use: the only failure that Flux and `helm --wait` see |

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor, Workflow};

use crate::reason::Finding;

/// The condition Accepted.
pub const ACCEPTED: &str = "Accepted";
/// The condition Ready.
pub const READY: &str = "Ready";
/// The condition Reconciling.
pub const RECONCILING: &str = "Reconciling";
/// The condition Stalled.
pub const STALLED: &str = "Stalled";

/// The condition PolicyCompliant.
pub const POLICY_COMPLIANT: &str = "PolicyCompliant";
/// The condition ImportsMatched.
pub const IMPORTS_MATCHED: &str = "ImportsMatched";

/// Longest message that we write, so that a status stays readable.
const LONGEST_MESSAGE: usize = 4096;

/// Objects with conditions in their status.
pub trait HasConditions {
    /// The conditions; none before the first report.
    fn conditions(&self) -> &[Condition];
}

macro_rules! has_conditions {
    ($($kind:ty),*) => {$(
        impl HasConditions for $kind {
            fn conditions(&self) -> &[Condition] {
                self.status.as_ref().map_or(&[], |status| status.conditions.as_slice())
            }
        }
    )*};
}

has_conditions!(Orchestrator, Domain, Supervisor, AgentPool, Workflow);

/// The condition of a type.
pub fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// Whether the condition of a type is there and True.
pub fn is_true(conditions: &[Condition], kind: &str) -> bool {
    find(conditions, kind).is_some_and(|condition| condition.status == "True")
}

/// How an accepted object does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Everything is as wanted.
    Ready(Finding),
    /// It serves, and something is still moving.
    ReadyAndReconciling(Finding),
    /// It does not serve as wanted, and something is moving that may help.
    Reconciling(Finding),
    /// It does not serve as wanted, and nothing of its own is moving: what it waits for is elsewhere.
    NotReady(Finding),
    /// It does not serve as wanted, and waiting is no use.
    Stalled(Finding),
}

impl Health {
    /// Why.
    pub const fn finding(&self) -> &Finding {
        match self {
            Self::Ready(f)
            | Self::ReadyAndReconciling(f)
            | Self::Reconciling(f)
            | Self::NotReady(f)
            | Self::Stalled(f) => f,
        }
    }
}

/// One more condition beside those that every kind has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extra {
    /// It holds or not, with why.
    Known(&'static str, bool, Finding),
    /// It could not be looked at just now; what was last known stays.
    Kept(&'static str),
}

/// The whole set of conditions. `accepted` is what stands in Accepted, with whether it holds. Of `previous` only the times
/// of unchanged statuses are kept.
pub fn build(
    previous: &[Condition],
    generation: Option<i64>,
    accepted: (bool, &Finding),
    health: &Health,
    extras: &[Extra],
    now: Timestamp,
) -> Vec<Condition> {
    let condition = |kind: &str, holds: bool, finding: &Finding| {
        let status = if holds { "True" } else { "False" };
        let since = find(previous, kind).filter(|old| old.status == status);
        Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: finding.reason.as_str(),
            message: shorten(&finding.message),
            observed_generation: generation,
            last_transition_time: since
                .map_or_else(|| Time(whole_seconds(now)), |old| old.last_transition_time.clone()),
        }
    };
    let finding = health.finding();
    let ready = matches!(health, Health::Ready(_) | Health::ReadyAndReconciling(_));
    let mut conditions = vec![condition(ACCEPTED, accepted.0, accepted.1), condition(READY, ready, finding)];
    conditions.extend(extras.iter().filter_map(|extra| match extra {
        Extra::Known(kind, holds, finding) => Some(condition(kind, *holds, finding)),
        Extra::Kept(kind) => find(previous, kind).cloned(),
    }));
    match health {
        Health::Reconciling(_) | Health::ReadyAndReconciling(_) => {
            conditions.push(condition(RECONCILING, true, finding));
        }
        Health::Stalled(_) => conditions.push(condition(STALLED, true, finding)),
        Health::Ready(_) | Health::NotReady(_) => {}
    }
    conditions
}

/// The API stores whole seconds; anything finer would differ from what is read back.
fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn shorten(message: &str) -> String {
    if message.len() <= LONGEST_MESSAGE {
        return message.to_owned();
    }
    let end = (0..=LONGEST_MESSAGE - 3).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
    format!("{}...", &message[..end])
}
