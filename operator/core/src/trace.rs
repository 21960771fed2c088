//! Ids of traces and spans, computed from the ids of runs and tasks: every process and every replay finds the same ones.
//!
//! The formats are those of W3C Trace Context, level 1. One run is one trace.

use std::fmt;

use crate::id::{RunId, TaskId};

/// The seed of the 64-bit FNV-1a hash (Fowler, Noll and Vo) and its prime.
const FNV: (u64, u64) = (0xcbf2_9ce4_8422_2325, 0x0000_0100_0000_01b3);

/// Bits of a trace id by which it is decided whether it is sampled: W3C Trace Context, level 2, section 3.2.2.3, has the last 56 be random.
const RANDOM: u64 = (1 << 56) - 1;

/// Id of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(u64, u64);

/// Id of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId(u64);

/// FNV-1a, mixed as in `SplitMix64` (Steele, Lea and Flood, 2014) so that all bits depend on all of the text; never 0, which no id may be.
fn hash(kind: &str, text: &str) -> u64 {
    let bytes = kind.bytes().chain([b'/']).chain(text.bytes());
    let hash = bytes.fold(FNV.0, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV.1));
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (hash ^ (hash >> 31)).max(1)
}

impl TraceId {
    /// The trace of a run.
    pub fn of_run(run: &RunId) -> Self {
        Self(hash("trace-high", run.as_str()), hash("trace-low", run.as_str()))
    }

    /// Whether the trace is among so many of a hundred.
    pub fn is_sampled(self, percent: u32) -> bool {
        let threshold = u128::from(RANDOM + 1) * u128::from(percent.min(100)) / 100;
        u128::from(self.1 & RANDOM) < threshold
    }
}

impl SpanId {
    /// The whole run.
    pub fn of_run(run: &RunId) -> Self {
        Self(hash("run", run.as_str()))
    }

    /// From the moment the operator handed the run over until it was accepted.
    pub fn of_hand_over(run: &RunId) -> Self {
        Self(hash("hand-over", run.as_str()))
    }

    /// The time in which the run waited for a place.
    pub fn of_place(run: &RunId) -> Self {
        Self(hash("place", run.as_str()))
    }

    /// A step of the run.
    pub fn of_step(run: &RunId, step: &str) -> Self {
        Self(hash("step", &format!("{run}/{step}")))
    }

    /// An attempt at a task.
    pub fn of_attempt(task: &TaskId) -> Self {
        Self(hash("attempt", &task.to_string()))
    }

    /// The time of an attempt in a queue.
    pub fn of_queue(task: &TaskId) -> Self {
        Self(hash("queue", &task.to_string()))
    }

    /// The call of the agent.
    pub fn of_call(task: &TaskId) -> Self {
        Self(hash("call", &task.to_string()))
    }
}

/// The name of the step that a task belongs to.
pub fn step_of(task: &TaskId) -> &str {
    task.path.as_str().split(':').next().unwrap_or_default()
}

/// The header `traceparent` for what is done within a span of a run.
pub fn traceparent(run: &RunId, parent: SpanId, is_sampled: bool) -> String {
    format!("00-{}-{parent}-{:02x}", TraceId::of_run(run), u8::from(is_sampled))
}

/// The `traceparent` that an agent gets: that of its task, with the call as parent. None when it has another form.
pub fn for_call(traceparent: &str, task: &TaskId) -> Option<String> {
    let [version, trace, _, flags] = traceparent.split('-').collect::<Vec<_>>()[..] else { return None };
    Some(format!("{version}-{trace}-{}-{flags}", SpanId::of_call(task)))
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.0, self.1)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> RunId {
        text.parse().unwrap()
    }

    fn task(path: &str) -> TaskId {
        TaskId { run: run("audit-0a1b2-g1"), path: path.parse().unwrap(), attempt: 1 }
    }

    #[test]
    fn ids_are_those_of_w3c_trace_context_and_stay_what_they_are() {
        let traceparent = traceparent(&run("audit-0a1b2-g1"), SpanId::of_attempt(&task("classify:7")), true);
        assert_eq!(traceparent.len(), 55, "{traceparent}");
        assert!(traceparent.starts_with("00-") && traceparent.ends_with("-01"));
        assert_eq!(
            traceparent,
            super::traceparent(&run("audit-0a1b2-g1"), SpanId::of_attempt(&task("classify:7")), true)
        );
        assert_ne!(TraceId::of_run(&run("audit-0a1b2-g1")), TraceId::of_run(&run("audit-0a1b2-g2")));
    }

    #[test]
    fn a_call_hangs_below_its_attempt_in_the_same_trace() {
        let of_task = traceparent(&run("audit-0a1b2-g1"), SpanId::of_attempt(&task("a")), false);
        let of_call = for_call(&of_task, &task("a")).unwrap();
        assert_eq!(of_call[..36], of_task[..36]);
        assert_eq!(of_call[36..52], SpanId::of_call(&task("a")).to_string());
        assert!(of_call.ends_with("-00"));
        assert_eq!(for_call("nonsense", &task("a")), None);
    }

    #[test]
    fn all_spans_of_a_run_differ() {
        let id = run("audit-0a1b2-g1");
        let mut spans =
            vec![SpanId::of_run(&id), SpanId::of_hand_over(&id), SpanId::of_place(&id), SpanId::of_step(&id, "a")];
        for index in 0..1000 {
            let task = task(&format!("a:{index}"));
            assert_eq!(step_of(&task), "a");
            spans.extend([SpanId::of_attempt(&task), SpanId::of_queue(&task), SpanId::of_call(&task)]);
        }
        let count = spans.len();
        spans.sort();
        spans.dedup();
        assert_eq!(spans.len(), count);
    }

    #[test]
    fn a_percentage_of_the_runs_is_sampled() {
        let sampled = |percent| {
            (0..10_000).filter(|n| TraceId::of_run(&run(&format!("w-0a1b2-g{n}"))).is_sampled(percent)).count()
        };
        assert_eq!((sampled(0), sampled(100)), (0, 10_000));
        assert!((2_300..2_700).contains(&sampled(25)), "{}", sampled(25));
    }
}
