//! Tests of runs: what happens in each pattern, and at each kind of end.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::workflow::{
    definition::{FailurePolicy, Reduce, Step, StepKind},
    journal::{FailureReason, Outcome},
    samples::{branch, definition, map, map_step, name, once, stage, step, task, task_step},
};

/// Drives one run: carries out every action at once, answers tasks when the test says so.
struct Driver {
    run: Run,
    now: Timestamp,
    /// Dispatches in their order, as `path/attempt`.
    dispatched: Vec<String>,
    inputs: BTreeMap<String, Value>,
    withdrawn: Vec<String>,
    wake_at: Option<Timestamp>,
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + seconds).unwrap()
}

impl Driver {
    fn accepted(definition: Definition, parameters: Value) -> Self {
        let parameters = serde_json::from_value(parameters).unwrap();
        let run = Run::accept("w-1".parse().unwrap(), definition, &parameters, "test".to_owned(), at(0));
        let (dispatched, withdrawn) = (Vec::new(), Vec::new());
        Self { run, now: at(0), dispatched, inputs: BTreeMap::new(), withdrawn, wake_at: None }
    }

    fn started(definition: Definition) -> Self {
        let mut driver = Self::accepted(definition, json!({}));
        driver.event(RunEvent::Started { deadline: at(600) });
        driver
    }

    fn event(&mut self, event: RunEvent) {
        self.entry(&Entry::Run(event));
    }

    fn entry(&mut self, entry: &Entry) {
        self.run.apply(entry, self.now);
        self.settle();
    }

    fn settle(&mut self) {
        loop {
            let actions = self.run.next(self.now);
            let mut is_settled = true;
            for action in actions {
                match action {
                    Action::Append(event) => {
                        is_settled = false;
                        self.run.apply(&Entry::Run(event), self.now);
                    }
                    Action::Dispatch { path, attempt, input, .. } => {
                        is_settled = false;
                        self.dispatched.push(format!("{path}/{attempt}"));
                        self.inputs.insert(path.to_string(), input);
                        self.run.apply(&Entry::Dispatched { path, attempt, pool: name("pool") }, self.now);
                    }
                    Action::Withdraw { path, attempt, .. } => self.withdrawn.push(format!("{path}/{attempt}")),
                    Action::WakeAt(at) => self.wake_at = Some(at),
                }
            }
            if is_settled {
                return;
            }
        }
    }

    fn pass(&mut self, seconds: i64) {
        self.now = self.now.checked_add(Duration::from_secs(seconds.unsigned_abs())).unwrap();
        self.settle();
    }

    fn answer(&mut self, task: &str, outcome: Outcome) {
        let (path, attempt) = task.split_once('/').unwrap();
        self.entry(&Entry::Result { path: path.parse().unwrap(), attempt: attempt.parse().unwrap(), outcome });
    }

    fn succeed(&mut self, task: &str, output: Value) {
        self.answer(task, Outcome::Succeeded { output });
    }

    fn fail(&mut self, task: &str, reason: FailureReason) {
        self.answer(task, Outcome::Failed { reason, message: "no luck".to_owned() });
    }

    fn lose(&mut self, task: &str) {
        self.answer(task, Outcome::Unknown { message: "the pod is gone".to_owned() });
    }

    /// The dispatches since the last call.
    fn new_dispatches(&mut self) -> String {
        std::mem::take(&mut self.dispatched).join(" ")
    }

    fn phases(&self) -> String {
        self.run.steps().map(|step| format!("{}:{}", step.name, step.phase.as_str())).collect::<Vec<_>>().join(" ")
    }

    fn end(&self) -> (FinalPhase, String) {
        match self.run.phase() {
            RunPhase::Ended(phase) => (phase, self.run.message().unwrap_or_default()),
            other => panic!("the run has not ended: {other:?} {}", self.phases()),
        }
    }
}

fn continuing(steps: Vec<Step>) -> Definition {
    let mut definition = definition(steps);
    definition.on_failure = FailurePolicy::Continue;
    definition
}

#[test]
fn an_accepted_run_waits_for_its_place() {
    let mut driver = Driver::accepted(definition(vec![task_step("a", &[])]), json!({}));
    assert_eq!(driver.run.next(at(5)), []);
    assert_eq!(driver.run.phase(), RunPhase::Pending);
    driver.event(RunEvent::Started { deadline: at(60) });
    assert_eq!(driver.new_dispatches(), "a/1");
    assert_eq!(driver.wake_at, Some(at(60)));
}

#[test]
fn steps_start_when_those_before_them_have_ended() {
    let mut driver = Driver::started(definition(vec![
        task_step("a", &[]),
        task_step("b", &["a"]),
        step("c", &["a"], StepKind::Task(once(json!("${steps.a.output.x + 1}")))),
        task_step("d", &["b", "c"]),
    ]));
    assert_eq!(driver.new_dispatches(), "a/1");
    driver.succeed("a/1", json!({"x": 1}));
    assert_eq!(driver.new_dispatches(), "b/1 c/1");
    assert_eq!(driver.inputs["c"], json!(2));
    driver.succeed("c/1", json!("c"));
    assert_eq!(driver.new_dispatches(), "");
    driver.succeed("b/1", json!("b"));
    assert_eq!(driver.new_dispatches(), "d/1");
    driver.succeed("d/1", json!("d"));
    assert_eq!(driver.end(), (FinalPhase::Succeeded, "4 steps succeeded".to_owned()));
    assert_eq!(driver.run.output(), Some(json!({"d": "d"})));
    assert_eq!(driver.run.progress(), (4, 4));
}

#[test]
fn the_output_is_what_the_definition_says() {
    let mut with_output = definition(vec![task_step("a", &[])]);
    with_output.output = Some(json!({"from": "${run.workflow}/${run.id}", "a": "${steps.a.output}"}));
    let mut driver = Driver::started(with_output.clone());
    driver.succeed("a/1", json!([1]));
    assert_eq!(driver.run.output(), Some(json!({"from": "w/w-1", "a": [1]})));

    with_output.output = Some(json!("${steps.a.output.x}"));
    let mut driver = Driver::started(with_output);
    driver.succeed("a/1", json!({"y": 1}));
    let (phase, message) = driver.end();
    assert_eq!(phase, FinalPhase::Failed);
    assert!(message.starts_with("output: there is no field \"x\""), "{message}");
}

#[test]
fn parameters_have_defaults_and_are_checked() {
    let mut with_parameters = definition(vec![step("a", &[], StepKind::Task(once(json!("${params.p} ${params.q}"))))]);
    with_parameters.parameters = BTreeMap::from([("p".to_owned(), Some(json!(1))), ("q".to_owned(), None)]);
    let mut driver = Driver::accepted(with_parameters.clone(), json!({"q": "two"}));
    driver.event(RunEvent::Started { deadline: at(60) });
    assert_eq!(driver.inputs["a"], json!("1 two"));

    for (given, expected) in [
        (json!({}), "the run cannot start: parameter \"q\" has no value"),
        (json!({"q": 1, "r": 2}), "the run cannot start: there is no parameter \"r\""),
    ] {
        let mut driver = Driver::accepted(with_parameters.clone(), given);
        driver.settle();
        let (phase, message) = driver.end();
        assert_eq!(phase, FinalPhase::Failed);
        assert!(message.starts_with(expected), "{message}");
    }
}

#[test]
fn a_definition_that_cannot_be_run_ends_as_failed() {
    let mut driver = Driver::accepted(definition(vec![task_step("a", &["a"])]), json!({}));
    driver.settle();
    let (phase, message) = driver.end();
    assert_eq!(phase, FinalPhase::Failed);
    assert!(message.contains("steps wait for each other: a -> a"), "{message}");
}

#[rstest]
#[case::is_true("steps.a.output > 1", 2, "a:Succeeded b:Succeeded c:Succeeded", "3 steps succeeded")]
#[case::is_false("steps.a.output > 1", 1, "a:Succeeded b:Skipped c:Succeeded", "2 steps succeeded, 1 skipped")]
fn a_condition_decides(#[case] when: &str, #[case] output: i64, #[case] phases: &str, #[case] message: &str) {
    let mut conditional = task_step("b", &["a"]);
    conditional.when = Some(when.to_owned());
    let mut driver = Driver::started(definition(vec![
        task_step("a", &[]),
        conditional,
        step("c", &["b"], StepKind::Task(once(json!("${steps.b.output} ${steps.b.phase}")))),
    ]));
    driver.succeed("a/1", json!(output));
    if output > 1 {
        driver.succeed("b/1", json!("b"));
        assert_eq!(driver.inputs["c"], json!("b Succeeded"));
    } else {
        assert_eq!(driver.inputs["c"], json!("null Skipped"));
    }
    driver.succeed("c/1", json!(null));
    assert_eq!((driver.phases().as_str(), driver.end().1.as_str()), (phases, message));
}

#[rstest]
#[case::condition("1 / steps.a.output == 1", json!(1), json!([]), "step b: when: division by zero")]
#[case::condition_without_truth("steps.a.output", json!(1), json!([]), "step b: when: the condition yields the number 0")]
#[case::items("true", json!(1), json!("${steps.a.output}"), "step b: map.items: the expression yields no list")]
#[case::items_fail("true", json!(1), json!("${steps.a.output.x}"), "step b: map.items: field \"x\" was read of the number 0")]
#[case::input("true", json!("${item.x}"), json!([1]), "step b: input of task b:0: field \"x\" was read of the number 1")]
#[case::reduction("true", json!("${item}"), json!(["a"]), "step b: map.reduce: Sum needs numbers")]
fn a_bad_value_fails_the_step(#[case] when: &str, #[case] input: Value, #[case] items: Value, #[case] expected: &str) {
    let mut of_items = map(items, Reduce::Sum);
    of_items.task.input = input;
    let mut mapped = map_step("b", &["a"], of_items);
    mapped.when = Some(when.to_owned());
    let mut driver = Driver::started(definition(vec![task_step("a", &[]), mapped]));
    driver.succeed("a/1", json!(0));
    if expected.contains("reduce") {
        driver.succeed("b:0/1", json!("text"));
    }
    let (phase, message) = driver.end();
    assert_eq!(phase, FinalPhase::Failed);
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn a_map_works_on_so_many_items_at_once_and_collects_in_their_order() {
    let mut of_items = map(json!(["x", "y", "z"]), Reduce::Collect);
    of_items.task.input = json!("${index}${item}");
    let mut driver = Driver::started(definition(vec![map_step("m", &[], of_items)]));
    assert_eq!(driver.new_dispatches(), "m:0/1 m:1/1");
    assert_eq!(driver.inputs["m:1"], json!("1y"));
    driver.succeed("m:1/1", json!("second"));
    assert_eq!(driver.new_dispatches(), "m:2/1");
    driver.succeed("m:2/1", json!("third"));
    driver.succeed("m:0/1", json!("first"));
    assert_eq!(driver.end().0, FinalPhase::Succeeded);
    assert_eq!(driver.run.output(), Some(json!({"m": ["first", "second", "third"]})));
    let view = driver.run.steps().next().unwrap();
    assert_eq!((view.kind, view.tasks, view.succeeded, view.failed, view.retries), ("map", 3, 3, 0, 0));
}

#[rstest]
#[case::collect(Reduce::Collect, json!([]))]
#[case::sum(Reduce::Sum, json!(0))]
#[case::merge(Reduce::Merge, json!({}))]
#[case::vote(Reduce::Vote, json!({"value": null, "count": 0, "total": 0, "percent": 0}))]
fn a_map_over_nothing_reduces_nothing(#[case] reduce: Reduce, #[case] expected: Value) {
    let driver = Driver::started(definition(vec![map_step("m", &[], map(json!([]), reduce))]));
    assert_eq!(driver.end().0, FinalPhase::Succeeded);
    assert_eq!(driver.run.output(), Some(json!({"m": expected})));
}

#[test]
fn a_task_may_reduce() {
    let reduce = || Reduce::Task(once(json!({"all": "${results}", "n": "${size(results)}"})));
    let mut driver = Driver::started(definition(vec![map_step("m", &[], map(json!([1, 2]), reduce()))]));
    driver.succeed("m:1/1", json!("b"));
    driver.succeed("m:0/1", json!("a"));
    assert_eq!(driver.new_dispatches(), "m:0/1 m:1/1 m:reduce/1");
    assert_eq!(driver.inputs["m:reduce"], json!({"all": ["a", "b"], "n": 2}));
    driver.succeed("m:reduce/1", json!("ab"));
    assert_eq!(driver.run.output(), Some(json!({"m": "ab"})));

    let mut driver = Driver::started(definition(vec![map_step("m", &[], map(json!([]), reduce()))]));
    assert_eq!(driver.inputs["m:reduce"], json!({"all": [], "n": 0}));
    driver.fail("m:reduce/1", FailureReason::Rejected);
    assert_eq!(driver.end().1, "step m: task m:reduce failed after 1 attempt: Rejected: no luck");
}

#[rstest]
#[case::enough(50, &["m:0/1", "m:2/1"], true)]
#[case::too_few(75, &["m:0/1", "m:2/1"], false)]
#[case::all_may_fail(0, &["m:0/1", "m:1/1", "m:2/1", "m:3/1"], true)]
#[case::none_may_fail(100, &["m:0/1"], false)]
fn a_map_may_succeed_partially(#[case] percent: u32, #[case] failing: &[&str], #[case] succeeds: bool) {
    let mut of_items = map(json!([0, 1, 2, 3]), Reduce::Collect);
    of_items.min_success_percent = percent;
    of_items.max_parallel = 4;
    let mut driver = Driver::started(definition(vec![map_step("m", &[], of_items)]));
    for index in 0..4 {
        let task = format!("m:{index}/1");
        if failing.contains(&task.as_str()) {
            driver.fail(&task, FailureReason::Rejected);
        } else {
            driver.succeed(&task, json!(index));
        }
    }
    assert_eq!(driver.end().0 == FinalPhase::Succeeded, succeeds);
    if succeeds {
        let left: Vec<u64> = (0..4).filter(|index| !failing.contains(&format!("m:{index}/1").as_str())).collect();
        assert_eq!(driver.run.output(), Some(json!({"m": left})));
        assert_eq!(driver.run.steps().next().unwrap().failed, failing.len() as u64);
    }
}

#[test]
fn a_map_that_cannot_succeed_any_more_fails_at_once() {
    let mut driver = Driver::started(definition(vec![map_step("m", &[], map(json!([1, 2, 3]), Reduce::Collect))]));
    driver.fail("m:1/1", FailureReason::Rejected);
    assert_eq!(driver.end().1, "step m: task m:1 failed after 1 attempt: Rejected: no luck");
    assert_eq!(driver.withdrawn, ["m:0/1"]);
    assert_eq!(driver.new_dispatches(), "m:0/1 m:1/1");
}

#[test]
fn branches_run_side_by_side_and_join() {
    let branches = vec![
        branch("x", vec![stage("s", json!("${previous}")), stage("t", json!({"got": "${previous}"}))]),
        branch("y", vec![stage("s", json!(null))]),
    ];
    let mut driver = Driver::started(definition(vec![step("p", &[], StepKind::Parallel(branches))]));
    assert_eq!(driver.new_dispatches(), "p:x:s/1 p:y:s/1");
    assert_eq!(driver.inputs["p:x:s"], json!(null));
    driver.succeed("p:x:s/1", json!(1));
    assert_eq!(driver.inputs["p:x:t"], json!({"got": 1}));
    driver.succeed("p:x:t/1", json!(2));
    assert_eq!(driver.run.phase(), RunPhase::Running);
    driver.succeed("p:y:s/1", json!(3));
    assert_eq!(driver.run.output(), Some(json!({"p": {"x": 2, "y": 3}})));
    assert_eq!(driver.run.steps().next().unwrap().tasks, 3);
}

#[test]
fn stages_of_a_pipeline_hand_on_their_outputs() {
    let stages = ["reduce", "0"].map(|of| stage(of, json!(["${previous}"]))).to_vec();
    let mut driver = Driver::started(definition(vec![step("p", &[], StepKind::Pipeline(stages))]));
    driver.succeed("p:reduce/1", json!("x"));
    assert_eq!(driver.inputs["p:0"], json!(["x"]));
    driver.succeed("p:0/1", json!("y"));
    assert_eq!(driver.new_dispatches(), "p:reduce/1 p:0/1");
    assert_eq!(driver.run.output(), Some(json!({"p": "y"})));
}

fn retried() -> Definition {
    definition(vec![step("a", &[], StepKind::Task(task(json!(1))))])
}

#[test]
fn a_failed_attempt_is_repeated_after_its_waiting_time() {
    let mut driver = Driver::started(retried());
    driver.fail("a/1", FailureReason::AgentError);
    assert_eq!((driver.new_dispatches().as_str(), driver.wake_at), ("a/1", Some(at(1))));
    driver.pass(1);
    assert_eq!(driver.new_dispatches(), "a/2");
    driver.fail("a/2", FailureReason::Timeout);
    driver.pass(1);
    assert_eq!((driver.new_dispatches().as_str(), driver.wake_at), ("", Some(at(3))));
    driver.pass(1);
    assert_eq!(driver.new_dispatches(), "a/3");
    driver.fail("a/3", FailureReason::Unreachable);
    assert_eq!(driver.end().1, "step a: task a failed after 3 attempts: Unreachable: no luck");
    assert_eq!(driver.run.steps().next().unwrap().retries, 2);
}

#[rstest]
#[case(FailureReason::Rejected)]
#[case(FailureReason::DeadLettered)]
fn what_is_useless_to_repeat_is_not_repeated(#[case] reason: FailureReason) {
    let mut driver = Driver::started(retried());
    driver.fail("a/1", reason);
    assert_eq!(driver.end().0, FinalPhase::Failed);
}

#[test]
fn an_unknown_outcome_is_never_repeated() {
    let mut driver = Driver::started(retried());
    driver.lose("a/1");
    let expected = "step a: task a, attempt 1: it is not known how it ended: the pod is gone";
    assert_eq!(driver.end(), (FinalPhase::OutcomeUnknown, expected.to_owned()));
    assert_eq!(driver.phases(), "a:OutcomeUnknown");
    assert_eq!(driver.new_dispatches(), "a/1");
}

#[test]
fn under_stop_nothing_starts_after_a_failure() {
    let mut driver =
        Driver::started(definition(vec![task_step("a", &[]), task_step("b", &[]), task_step("c", &["b"])]));
    driver.fail("a/1", FailureReason::Rejected);
    assert_eq!(
        driver.end(),
        (FinalPhase::Failed, "step a: task a failed after 1 attempt: Rejected: no luck".to_owned())
    );
    assert_eq!(driver.withdrawn, ["b/1"]);
    assert_eq!(driver.phases(), "a:Failed b:Cancelled c:Skipped");
    driver.succeed("b/1", json!(1));
    assert_eq!((driver.phases().as_str(), driver.run.ignored()), ("a:Failed b:Cancelled c:Skipped", 1));
    assert_eq!(driver.run.output(), None);
}

#[test]
fn under_continue_the_others_go_on() {
    let mut driver = Driver::started(continuing(vec![
        task_step("a", &[]),
        task_step("b", &[]),
        task_step("c", &["b"]),
        task_step("d", &["a"]),
        task_step("e", &["c", "d"]),
    ]));
    driver.fail("a/1", FailureReason::Rejected);
    assert_eq!(driver.phases(), "a:Failed b:Running c:Pending d:Skipped e:Skipped");
    let reasons: Vec<Option<&str>> = driver.run.steps().map(|step| step.message).collect();
    assert_eq!(reasons[3..], [Some("step a failed"), Some("step d was skipped after a failure")]);
    driver.succeed("b/1", json!(1));
    driver.succeed("c/1", json!("reached"));
    assert_eq!(
        driver.end(),
        (FinalPhase::Failed, "step a: task a failed after 1 attempt: Rejected: no luck".to_owned())
    );
    assert_eq!(driver.phases(), "a:Failed b:Succeeded c:Succeeded d:Skipped e:Skipped");
    assert_eq!(driver.run.output(), Some(json!({})));
}

#[test]
fn under_continue_an_unknown_outcome_decides_the_end() {
    let mut driver = Driver::started(continuing(vec![task_step("a", &[]), task_step("b", &[]), task_step("c", &[])]));
    driver.fail("a/1", FailureReason::Rejected);
    driver.lose("b/1");
    assert_eq!(driver.run.phase(), RunPhase::Running);
    driver.succeed("c/1", json!(1));
    let (phase, message) = driver.end();
    assert_eq!(phase, FinalPhase::OutcomeUnknown);
    assert!(message.starts_with("step b: ") && message.ends_with("(and 1 other step failed)"), "{message}");
    assert_eq!(driver.run.output(), Some(json!({"c": 1})));
}

#[test]
fn a_step_that_takes_too_long_fails_and_its_tasks_are_withdrawn() {
    let mut slow = map_step("m", &[], map(json!([1, 2, 3]), Reduce::Collect));
    slow.timeout = Some(Duration::from_secs(10));
    let mut driver = Driver::started(continuing(vec![slow, task_step("b", &[])]));
    assert_eq!(driver.wake_at, Some(at(10)));
    driver.succeed("m:0/1", json!(1));
    driver.pass(9);
    assert_eq!(driver.run.in_flight(), 3);
    driver.pass(1);
    assert_eq!(driver.phases(), "m:Failed b:Running");
    assert_eq!(driver.withdrawn, ["m:1/1", "m:2/1"]);
    driver.succeed("m:1/1", json!(1));
    assert_eq!(driver.run.ignored(), 1);
    driver.succeed("b/1", json!(1));
    assert_eq!(driver.end().1, "step m: the step took longer than its timeout of 10s");
}

#[test]
fn no_attempt_may_start_after_the_end_of_its_step_or_run() {
    let mut limited = task_step("a", &[]);
    limited.timeout = Some(Duration::from_secs(10));
    let run = definition(vec![limited, task_step("b", &[])]);
    let mut run = Run::accept("w-1".parse().unwrap(), run, &BTreeMap::new(), "test".to_owned(), at(0));
    run.apply(&Entry::Run(RunEvent::Started { deadline: at(600) }), at(0));
    let deadlines: Vec<Timestamp> = run
        .next(at(0))
        .into_iter()
        .filter_map(|action| match action {
            Action::Dispatch { deadline, .. } => Some(deadline),
            _ => None,
        })
        .collect();
    assert_eq!(deadlines, [at(10), at(600)]);
}

#[test]
fn a_run_whose_time_is_over_fails() {
    let mut driver = Driver::started(definition(vec![task_step("a", &[]), task_step("b", &["a"])]));
    driver.pass(600);
    let (phase, message) = driver.end();
    assert_eq!(phase, FinalPhase::Failed);
    assert_eq!(message, format!("the run's time was over at {}; steps still running: a", at(600)));
    assert_eq!(driver.withdrawn, ["a/1"]);
}

#[rstest]
#[case::waiting_for_its_place(false)]
#[case::running(true)]
fn a_run_is_cancelled(#[case] is_started: bool) {
    let mut driver = Driver::accepted(definition(vec![task_step("a", &[])]), json!({}));
    if is_started {
        driver.event(RunEvent::Started { deadline: at(600) });
    }
    driver.event(RunEvent::CancelRequested { cause: "by ada".to_owned() });
    assert_eq!(driver.end(), (FinalPhase::Cancelled, "cancelled: by ada".to_owned()));
    assert_eq!(driver.withdrawn.len(), usize::from(is_started));
    assert_eq!(driver.run.next(at(5)), []);
}

#[test]
fn a_withdrawn_attempt_is_dispatched_again_without_counting_as_a_failure() {
    let mut driver = Driver::started(retried());
    for attempt in 1..=3 {
        driver.event(RunEvent::Withdrawn { path: "a".parse().unwrap(), attempt });
    }
    assert_eq!(driver.new_dispatches(), "a/1 a/2 a/3 a/4");
    driver.succeed("a/2", json!("late"));
    assert_eq!((driver.run.phase(), driver.run.ignored()), (RunPhase::Running, 1));
    driver.succeed("a/4", json!("good"));
    assert_eq!(driver.run.output(), Some(json!({"a": "good"})));
}

#[test]
fn duplicates_late_results_and_strangers_are_ignored_and_counted() {
    let mut driver =
        Driver::started(definition(vec![task_step("a", &[]), map_step("m", &["a"], map(json!([1]), Reduce::Collect))]));
    let before = driver.phases();
    let dispatched =
        |path: &str, attempt| Entry::Dispatched { path: path.parse().unwrap(), attempt, pool: name("pool") };
    let useless = [
        dispatched("a", 1),
        dispatched("a", 2),
        dispatched("nobody", 1),
        dispatched("a:0", 1),
        dispatched("m:0", 1),
        Entry::Run(RunEvent::Started { deadline: at(1) }),
        Entry::Run(RunEvent::StepSkipped { step: name("a"), reason: "late".to_owned() }),
        Entry::Run(RunEvent::StepFailed { step: name("nobody"), reason: "late".to_owned() }),
        Entry::Run(RunEvent::Withdrawn { path: "a".parse().unwrap(), attempt: 7 }),
        Entry::Run(RunEvent::Accepted {
            definition: Box::new(definition(vec![])),
            parameters: BTreeMap::new(),
            cause: String::new(),
        }),
        Entry::Result { path: "a".parse().unwrap(), attempt: 2, outcome: Outcome::Succeeded { output: json!(1) } },
        Entry::Result { path: "m:0".parse().unwrap(), attempt: 1, outcome: Outcome::Succeeded { output: json!(1) } },
        Entry::Result { path: "m:00".parse().unwrap(), attempt: 1, outcome: Outcome::Succeeded { output: json!(1) } },
    ];
    for entry in &useless {
        driver.entry(entry);
    }
    assert_eq!((driver.phases(), driver.run.ignored()), (before, useless.len() as u64));
    driver.succeed("a/1", json!("first"));
    driver.succeed("a/1", json!("second"));
    driver.succeed("m:0/1", json!(1));
    assert_eq!(driver.end().0, FinalPhase::Succeeded);
    driver.event(RunEvent::Finished { phase: FinalPhase::Failed, message: "again".to_owned() });
    driver.event(RunEvent::CancelRequested { cause: "late".to_owned() });
    assert_eq!((driver.end().0, driver.run.ignored()), (FinalPhase::Succeeded, useless.len() as u64 + 3));
}

#[test]
fn a_task_that_an_earlier_owner_dispatched_too_late_is_withdrawn() {
    let mut driver = Driver::started(definition(vec![task_step("a", &[]), task_step("b", &["a"])]));
    driver.event(RunEvent::CancelRequested { cause: "by ada".to_owned() });
    driver.withdrawn.clear();
    driver.entry(&Entry::Dispatched { path: "b".parse().unwrap(), attempt: 1, pool: name("pool") });
    assert_eq!(driver.withdrawn, ["b/1"]);
}

#[test]
fn an_attempt_that_two_owners_dispatched_into_different_pools_stays_in_the_first() {
    let mut driver = Driver::started(definition(vec![task_step("a", &[])]));
    let mut dispatched = |pool| {
        driver.entry(&Entry::Dispatched { path: "a".parse().unwrap(), attempt: 1, pool: name(pool) });
        driver.withdrawn.len()
    };
    assert_eq!((dispatched("pool"), dispatched("other")), (0, 1));
    assert_eq!(driver.run.phase(), RunPhase::Running);
}

#[test]
fn what_was_handed_out_is_not_repeated_until_reissued() {
    let mut run = Run::accept("w-1".parse().unwrap(), retried(), &BTreeMap::new(), "test".to_owned(), at(0));
    run.apply(&Entry::Run(RunEvent::Started { deadline: at(600) }), at(0));
    let first = run.next(at(0));
    assert!(matches!(&first[..], [Action::Dispatch { attempt: 1, .. }, Action::WakeAt(_)]));
    assert_eq!(run.next(at(0)), [Action::WakeAt(at(600))]);
    run.reissue();
    assert_eq!(run.next(at(0)), first);
}

#[test]
fn an_unknown_agent_fails_the_step() {
    let mut driver = Driver::started(continuing(vec![task_step("a", &[]), task_step("b", &["a"])]));
    driver.event(RunEvent::StepFailed { step: name("a"), reason: "no AgentPool \"pool\"".to_owned() });
    assert_eq!(driver.end().1, "step a: no AgentPool \"pool\"");
    assert_eq!(driver.phases(), "a:Failed b:Skipped");
}

/// The cost of a result must not grow with the size of its run; a scan over 100,000 items for each of them would take
/// hours, so that this test ends at all is the proof.
#[test]
fn a_result_of_a_huge_map_costs_what_it_changes() {
    let mut of_items = map(json!("${params.items}"), Reduce::Sum);
    of_items.max_parallel = 10_000;
    let mut huge = definition(vec![map_step("m", &[], of_items)]);
    huge.parameters.insert("items".to_owned(), Some(json!(vec![0; MAX_ITEMS])));
    let mut driver = Driver::started(huge);
    for index in 0..MAX_ITEMS {
        driver.succeed(&format!("m:{index}/1"), json!(1));
    }
    assert_eq!(driver.run.output(), Some(json!({"m": MAX_ITEMS})));
}

#[test]
fn a_list_of_too_many_items_fails_the_step() {
    let mut huge = definition(vec![map_step("m", &[], map(json!("${params.items}"), Reduce::Sum))]);
    huge.parameters.insert("items".to_owned(), Some(json!(vec![0; MAX_ITEMS + 1])));
    let driver = Driver::started(huge);
    assert_eq!(driver.end().1, "step m: map.items: the list has 100001 items: split it, at most 100000");
}
