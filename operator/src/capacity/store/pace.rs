//! Bounds the bytes that ledgers write: etcd keeps every version until it compacts, so that a large ledger that is written
//! all the time would fill it. Claims that wait meanwhile share the next write.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Bytes in a second, in the long run.
const RATE: f64 = 512.0 * 1024.0;

/// Bytes that can be written at once after a quiet time.
const BURST: f64 = 8.0 * 1024.0 * 1024.0;

/// Longest pause, so that a claim never waits for longer than its writer.
const LONGEST: Duration = Duration::from_secs(3);

/// What may be written.
#[derive(Default)]
pub struct Pace(Mutex<Option<State>>);

struct State {
    at: Instant,
    left: f64,
}

impl Pace {
    /// Takes the room for so many bytes, and says how long to wait before they are written.
    #[expect(clippy::cast_precision_loss, reason = "a ConfigMap holds a mebibyte")]
    pub fn take(&self, bytes: usize) -> Duration {
        let now = Instant::now();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let State { at, left } = state.take().unwrap_or(State { at: now, left: BURST });
        let refilled = (left + (now - at).as_secs_f64() * RATE).min(BURST);
        let left = refilled - bytes as f64;
        let pause = if left < 0.0 { Duration::from_secs_f64(-left / RATE).min(LONGEST) } else { Duration::ZERO };
        // What a pause was too short for is forgiven.
        *state = Some(State { at: now, left: left.max(-LONGEST.as_secs_f64() * RATE) });
        pause
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn small_ledgers_are_never_held_up_and_large_ones_only_when_they_are_written_all_the_time() {
        let (small, large) = (Pace::default(), Pace::default());
        for _ in 0..300 {
            assert_eq!(small.take(20 * 1024), Duration::ZERO);
        }
        let mut written = 0;
        let start = Instant::now();
        while start.elapsed() < Duration::from_mins(5) {
            sleep(large.take(700 * 1024) + Duration::from_millis(10)).await;
            written += 700 * 1024;
        }
        assert!(written < 200 * 1024 * 1024, "{written} bytes in five minutes");

        sleep(Duration::from_mins(1)).await;
        assert_eq!(large.take(700 * 1024), Duration::ZERO);
    }
}
