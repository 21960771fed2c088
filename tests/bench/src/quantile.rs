//! Exact quantiles of small samples, by the nearest-rank method.

use std::time::Duration;

/// A sample of durations.
#[derive(Clone, Debug, Default)]
pub struct Sample(Vec<Duration>);

impl Sample {
    /// Adds one observation.
    pub fn add(&mut self, observation: Duration) {
        self.0.push(observation);
    }

    /// Number of observations.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The smallest observation that at least `percent` of all do not exceed (nearest rank); zero for an empty sample.
    pub fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or_default()
    }
}

impl FromIterator<Duration> for Sample {
    fn from_iter<T: IntoIterator<Item = Duration>>(observations: T) -> Self {
        Self(observations.into_iter().collect())
    }
}

/// Milliseconds with two decimals, for tables.
pub fn millis(duration: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_rank() {
        let sample: Sample = (1..=10).map(Duration::from_millis).collect();
        assert_eq!(sample.percentile(50), Duration::from_millis(5));
        assert_eq!(sample.percentile(99), Duration::from_millis(10));
        assert_eq!(Sample::default().percentile(99), Duration::ZERO);
    }
}
