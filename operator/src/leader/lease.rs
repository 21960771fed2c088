//! The rules of the lease: who may write it when, and what.

use std::time::Duration;

use jiff::Timestamp;

/// Times of the election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long a lease holds without being renewed.
    pub duration: Duration,
    /// How long its holder may go without renewing it before it gives up.
    pub renew_deadline: Duration,
    /// Pause between two looks at the lease.
    pub retry: Duration,
}

impl Timing {
    /// The defaults of client-go.
    pub const DEFAULT: Self = Self {
        duration: Duration::from_secs(15),
        renew_deadline: Duration::from_secs(10),
        retry: Duration::from_secs(2),
    };
}

/// The lease as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Who holds it.
    pub holder: Option<String>,
    /// How long it holds without being renewed.
    pub duration: Duration,
    /// When the holder took it.
    pub acquired: Option<Timestamp>,
    /// When the holder last renewed it.
    pub renewed: Option<Timestamp>,
    /// How often the holder has changed.
    pub transitions: i32,
    /// The version to write against; none for a lease that does not exist.
    pub version: Option<String>,
}

/// What a candidate does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Writes itself into the lease.
    Write,
    /// Waits: somebody else holds it.
    Wait,
}

/// What `me` does about a lease that has not changed for some time on its own clock.
pub fn decide(found: Option<&Record>, me: &str, unchanged_for: Duration) -> Step {
    let Some(record) = found else { return Step::Write };
    match record.holder.as_deref() {
        None | Some("") => Step::Write,
        Some(holder) if holder == me => Step::Write,
        Some(_) if unchanged_for > record.duration => Step::Write,
        Some(_) => Step::Wait,
    }
}

/// The lease as `me` writes it.
pub fn held(found: Option<&Record>, me: &str, timing: Timing, now: Timestamp) -> Record {
    let mine = found.filter(|record| record.holder.as_deref() == Some(me));
    let transitions = match (found, mine) {
        (_, Some(record)) => record.transitions,
        (Some(record), None) => record.transitions.saturating_add(1),
        (None, None) => 0,
    };
    Record {
        holder: Some(me.to_owned()),
        duration: timing.duration,
        acquired: mine.and_then(|record| record.acquired).or(Some(now)),
        renewed: Some(now),
        transitions,
        version: found.and_then(|record| record.version.clone()),
    }
}

/// The lease without a holder, so that the next one need not wait.
pub fn released(found: &Record, now: Timestamp) -> Record {
    Record { holder: None, duration: Duration::from_secs(1), renewed: Some(now), ..found.clone() }
}
