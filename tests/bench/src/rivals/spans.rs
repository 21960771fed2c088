//! When agents worked on what: from it come the times between steps, the same way on every side.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::shape::Figures;

/// When a step's work began and ended, by run.
#[derive(Debug, Default)]
pub struct Spans(Mutex<HashMap<String, Vec<(Instant, Instant)>>>);

impl Spans {
    /// Works on a step of a run for so long.
    pub async fn work(&self, run: &str, millis: u64) {
        let start = Instant::now();
        if millis > 0 {
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
        let mut spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spans.entry(run.to_owned()).or_default().push((start, Instant::now()));
    }

    /// Adds the steps of a run that was asked for at this moment to the figures.
    pub fn collect(&self, run: &str, asked: Instant, figures: &mut Figures) {
        let spans = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(run).unwrap_or_default();
        figures.steps += spans.len();
        let mut last = asked;
        for (start, end) in spans {
            figures.gaps.push(micros(start.saturating_duration_since(last)));
            last = end;
        }
    }
}

/// Whole microseconds.
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
