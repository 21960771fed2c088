//! When a failed reconcile is tried again: by the class of its failure, growing per object, with jitter.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use kube::runtime::controller::Action;
use rand::RngExt;
use tetrarch_plan::outcome::FailureClass;

use crate::target::Target;

/// How often each object has failed in a row.
#[derive(Default)]
pub struct Backoff(Mutex<HashMap<Target, u32>>);

impl Backoff {
    /// Notes a failure; says when to try again.
    pub fn failed(&self, target: &Target, class: FailureClass) -> Action {
        let mut failures = self.lock();
        let count = failures.entry(target.clone()).or_insert(0);
        let pause = pause(class, *count);
        *count = count.saturating_add(1);
        Action::requeue(jitter(pause))
    }

    /// Forgets the failures of an object.
    pub fn succeeded(&self, target: &Target) {
        self.lock().remove(target);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Target, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Pause before the next try after `before` earlier failures in a row, without jitter.
fn pause(class: FailureClass, before: u32) -> Duration {
    let (first, longest) = match class {
        // Only a change helps, and a change wakes by itself; this is for what cannot be seen.
        FailureClass::Invalid => (Duration::from_mins(1), Duration::from_mins(10)),
        FailureClass::Conflict => (Duration::from_millis(50), Duration::from_secs(5)),
        FailureClass::Transient => (Duration::from_millis(250), Duration::from_mins(1)),
        FailureClass::Bus => (Duration::from_millis(500), Duration::from_secs(10)),
        FailureClass::Forbidden => (Duration::from_secs(10), Duration::from_mins(5)),
        // The other's object is not watched.
        FailureClass::NotOwned => (Duration::from_secs(5), Duration::from_mins(1)),
    };
    first.saturating_mul(2_u32.saturating_pow(before.min(16))).min(longest)
}

/// Between three quarters and five quarters of a pause.
fn jitter(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.75..1.25))
}

/// The pause before an unchanged object is looked at again, in case a change was missed.
pub fn resync() -> Duration {
    jitter(Duration::from_secs(400))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: [FailureClass; 6] = [
        FailureClass::Invalid,
        FailureClass::Conflict,
        FailureClass::Transient,
        FailureClass::Forbidden,
        FailureClass::NotOwned,
        FailureClass::Bus,
    ];

    #[test]
    fn pauses_grow_up_to_ten_minutes_at_most() {
        for class in CLASSES {
            let pauses: Vec<Duration> = (0..40).map(|before| pause(class, before)).collect();
            assert!(pauses.is_sorted(), "{class:?}");
            assert!(pauses[39] <= Duration::from_mins(10) && pauses[39] > pauses[0], "{class:?}");
        }
    }

    #[test]
    fn a_conflict_is_tried_again_sooner_than_anything_else() {
        assert!(CLASSES.iter().all(|class| pause(*class, 0) >= pause(FailureClass::Conflict, 0)));
    }
}
