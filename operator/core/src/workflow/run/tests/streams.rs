//! Maps whose items are the outputs of another map as they come.

use super::{reopen::reopen, *};
use crate::workflow::{definition::MapStep, samples::streamed};

fn of(items: Value, change: fn(&mut MapStep)) -> MapStep {
    let mut map = map(items, Reduce::Collect);
    map.max_parallel = 10;
    change(&mut map);
    map
}

fn from(source: &str, change: fn(&mut MapStep)) -> MapStep {
    let mut map = streamed(source, Reduce::Collect);
    map.max_parallel = 10;
    change(&mut map);
    map
}

const fn as_it_is(_: &mut MapStep) {}

/// Some items may fail.
const fn tolerant(map: &mut MapStep) {
    map.min_success_percent = 50;
}

/// `a` over so many items, and `b` over its outputs.
fn two(items: usize, change: fn(&mut MapStep)) -> Definition {
    let items = json!((0..items).collect::<Vec<_>>());
    definition(vec![map_step("a", &[], of(items, change)), map_step("b", &[], from("a", change))])
}

fn tasks(driver: &Driver, step: &str) -> (u64, u64, u64) {
    let view = driver.run.steps().find(|view| view.name.as_str() == step).unwrap();
    (view.tasks, view.succeeded, view.failed)
}

fn message(driver: &Driver, step: &str) -> String {
    let view = driver.run.steps().find(|view| view.name.as_str() == step).unwrap();
    view.message.unwrap_or_default().to_owned()
}

#[test]
fn an_item_goes_on_as_soon_as_it_is_done_in_the_map_before() {
    let mut driver = Driver::started(two(3, as_it_is));
    assert_eq!(driver.new_dispatches(), "a:0/1 a:1/1 a:2/1");
    assert_eq!(driver.phases(), "a:Running b:Running");
    driver.succeed("a:1/1", json!("one"));
    assert_eq!(driver.new_dispatches(), "b:1/1");
    assert_eq!(driver.inputs["b:1"], json!("one"));
    driver.succeed("b:1/1", json!("ONE"));
    driver.succeed("a:2/1", json!("two"));
    driver.succeed("a:0/1", json!("zero"));
    assert_eq!((driver.new_dispatches().as_str(), driver.phases().as_str()), ("b:2/1 b:0/1", "a:Succeeded b:Running"));
    driver.succeed("b:2/1", json!("TWO"));
    driver.succeed("b:0/1", json!("ZERO"));
    assert_eq!(driver.end().0, FinalPhase::Succeeded);
    // The outputs are in the order of the items; of `a` somebody has made use.
    assert_eq!(driver.run.output(), Some(json!({"b": ["ZERO", "ONE", "TWO"]})));
    assert_eq!(tasks(&driver, "b"), (3, 3, 0));
}

#[test]
fn what_reduces_the_map_before_does_not_change_what_comes() {
    let mut driver = Driver::started(two(2, |map| map.reduce = Reduce::Task(once(json!("${results}")))));
    driver.succeed("a:0/1", json!(10));
    driver.succeed("a:1/1", json!(11));
    driver.succeed("b:0/1", json!(20));
    driver.succeed("b:1/1", json!(21));
    // All items are done, but the map before may still fail.
    assert_eq!(driver.new_dispatches(), "a:0/1 a:1/1 b:0/1 a:reduce/1 b:1/1");
    driver.succeed("a:reduce/1", json!("reduced"));
    assert_eq!((driver.new_dispatches().as_str(), &driver.inputs["b:reduce"]), ("b:reduce/1", &json!([20, 21])));
    driver.succeed("b:reduce/1", json!("end"));
    assert_eq!(driver.run.output(), Some(json!({"b": "end"})));
}

#[test]
fn no_more_items_than_allowed_are_worked_on_at_once() {
    let mut definition = two(4, as_it_is);
    if let StepKind::Map(map) = &mut definition.steps[1].kind {
        map.max_parallel = 2;
    }
    let mut driver = Driver::started(definition);
    for index in [3, 2, 1, 0] {
        driver.succeed(&format!("a:{index}/1"), json!(index));
    }
    driver.new_dispatches();
    driver.run.reissue();
    assert!(driver.inputs.contains_key("b:3") && driver.inputs.contains_key("b:2"));
    assert_eq!(driver.run.in_flight(), 2);
    // Of those that wait the first one is next.
    driver.succeed("b:3/1", json!(3));
    assert_eq!(driver.new_dispatches(), "b:0/1");
}

#[test]
fn what_failed_in_the_map_before_is_no_item() {
    let mut driver = Driver::started(two(4, tolerant));
    driver.fail("a:0/1", FailureReason::Rejected);
    assert_eq!(tasks(&driver, "b"), (3, 0, 0));
    driver.succeed("a:1/1", json!(1));
    driver.fail("a:3/1", FailureReason::Rejected);
    driver.succeed("a:2/1", json!(2));
    assert_eq!(tasks(&driver, "b"), (2, 0, 0));
    driver.fail("b:1/1", FailureReason::Rejected);
    driver.succeed("b:2/1", json!("two"));
    // One of the two that there were is enough.
    assert_eq!((driver.end().0, driver.run.output()), (FinalPhase::Succeeded, Some(json!({"b": ["two"]}))));
}

#[test]
fn fewer_items_than_thought_may_make_too_many_of_them_failed() {
    let mut driver = Driver::started(two(4, tolerant));
    for index in [0, 1] {
        driver.succeed(&format!("a:{index}/1"), json!(index));
        driver.fail(&format!("b:{index}/1"), FailureReason::Rejected);
    }
    assert_eq!(driver.phases(), "a:Running b:Running");
    driver.fail("a:2/1", FailureReason::Rejected);
    assert_eq!(driver.end().1, "step b: task b:1 failed after 1 attempt: Rejected: no luck");
}

#[test]
fn a_map_that_fails_ends_those_that_stream_from_it() {
    let mut definition = two(3, as_it_is);
    definition.on_failure = FailurePolicy::Continue;
    definition.steps.push(map_step("c", &[], from("b", as_it_is)));
    definition.steps.push(task_step("d", &["c"]));
    let mut driver = Driver::started(definition);
    driver.succeed("a:0/1", json!(0));
    driver.succeed("b:0/1", json!(0));
    driver.succeed("a:1/1", json!(1));
    driver.fail("a:2/1", FailureReason::Rejected);
    assert_eq!(driver.phases(), "a:Failed b:Cancelled c:Cancelled d:Skipped");
    assert_eq!(
        ["b", "c", "d"].map(|step| message(&driver, step)),
        ["step a failed", "step b was cancelled", "step c was cancelled"]
    );
    driver.withdrawn.sort();
    assert_eq!(driver.withdrawn, ["b:1/1", "c:0/1"]);
    assert_eq!(driver.end().0, FinalPhase::Failed);
}

#[test]
fn a_map_that_is_skipped_has_no_items_for_others() {
    let mut definition = two(3, as_it_is);
    definition.steps[0].when = Some("false".to_owned());
    definition.steps.push(task_step("c", &["b"]));
    let mut driver = Driver::started(definition);
    assert_eq!(driver.phases(), "a:Skipped b:Skipped c:Running");
    assert_eq!(message(&driver, "b"), "step a was skipped, so there are no items");
    driver.succeed("c/1", json!(1));
    assert_eq!(driver.end().0, FinalPhase::Succeeded);
}

#[test]
fn a_map_over_nothing_gives_no_items() {
    let driver = Driver::started(two(0, as_it_is));
    assert_eq!((driver.end().0, driver.run.output()), (FinalPhase::Succeeded, Some(json!({"b": []}))));
}

#[test]
fn what_it_comes_after_has_to_end_first() {
    let mut definition = two(2, as_it_is);
    definition.steps.push(task_step("x", &[]));
    definition.steps[1].after = vec![name("x")];
    let mut driver = Driver::started(definition);
    driver.succeed("a:1/1", json!(1));
    driver.succeed("a:0/1", json!(0));
    assert_eq!(driver.phases(), "a:Succeeded b:Pending x:Running");
    driver.new_dispatches();
    // What came before it began is still there, although the map before has ended.
    driver.succeed("x/1", json!(1));
    assert_eq!((driver.new_dispatches().as_str(), &driver.inputs["b:1"]), ("b:0/1 b:1/1", &json!(1)));
}

#[test]
fn a_false_condition_leaves_the_items_alone() {
    let mut definition = two(1, as_it_is);
    definition.steps[1].when = Some("false".to_owned());
    let mut driver = Driver::started(definition);
    assert_eq!(driver.phases(), "a:Running b:Skipped");
    driver.succeed("a:0/1", json!(0));
    assert_eq!(driver.end().0, FinalPhase::Succeeded);
}

#[test]
fn streams_may_follow_each_other() {
    let mut definition = two(2, tolerant);
    definition.steps.push(map_step("c", &[], from("b", as_it_is)));
    let mut driver = Driver::started(definition);
    driver.succeed("a:1/1", json!(1));
    driver.succeed("b:1/1", json!(2));
    assert_eq!((driver.inputs["c:1"].clone(), tasks(&driver, "c")), (json!(2), (2, 0, 0)));
    driver.fail("a:0/1", FailureReason::Rejected);
    assert_eq!((driver.phases().as_str(), tasks(&driver, "c")), ("a:Succeeded b:Succeeded c:Running", (1, 0, 0)));
    driver.succeed("c:1/1", json!(3));
    assert_eq!(driver.run.output(), Some(json!({"c": [3]})));
}

#[test]
fn it_says_that_it_waits_for_items() {
    let mut driver = Driver::started(two(1, as_it_is));
    let waits = "waits for 1 task of AgentPool pool (step a); step b waits for items of step a";
    assert_eq!(driver.run.waits_for().as_deref(), Some(waits));
    driver.succeed("a:0/1", json!(1));
    assert_eq!(driver.run.waits_for().as_deref(), Some("waits for 1 task of AgentPool pool (step b)"));
}

#[test]
fn nothing_new_begins_in_a_pause() {
    let mut driver = Driver::started(two(2, as_it_is));
    driver.new_dispatches();
    driver.event(RunEvent::Paused { cause: "by ada".to_owned(), stamp: None });
    driver.succeed("a:0/1", json!(0));
    assert_eq!(driver.new_dispatches(), "");
    driver.event(RunEvent::Resumed { cause: "by ada".to_owned(), stamp: None });
    assert_eq!(driver.new_dispatches(), "b:0/1");
}

#[test]
fn a_run_that_is_opened_again_goes_on_with_both_maps() {
    let mut driver = Driver::started(two(4, as_it_is));
    for index in [0, 1] {
        driver.succeed(&format!("a:{index}/1"), json!(index));
    }
    driver.succeed("b:0/1", json!("zero"));
    driver.fail("a:2/1", FailureReason::Rejected);
    assert_eq!(driver.end().0, FinalPhase::Failed);
    // An answer that comes late counts, in either of them.
    driver.succeed("a:3/1", json!("late"));
    driver.succeed("b:1/1", json!("one"));
    driver.new_dispatches();
    reopen(&mut driver, &[]);
    assert_eq!(driver.new_dispatches(), "a:2/1001 b:3/1001");
    assert_eq!((driver.inputs["b:3"].clone(), tasks(&driver, "b")), (json!("late"), (4, 2, 0)));
    driver.succeed("b:3/1001", json!("three"));
    driver.succeed("a:2/1001", json!(2));
    driver.succeed("b:2/1001", json!("two"));
    assert_eq!(
        (driver.end().0, driver.run.output()),
        (FinalPhase::Succeeded, Some(json!({"b": ["zero", "one", "two", "three"]})))
    );
}

#[test]
fn a_map_that_is_done_gives_its_items_again() {
    let mut driver = Driver::started(two(2, as_it_is));
    for task in ["a:0/1", "a:1/1", "b:1/1"] {
        driver.succeed(task, json!(task));
    }
    driver.fail("b:0/1", FailureReason::Rejected);
    driver.new_dispatches();
    reopen(&mut driver, &[]);
    assert_eq!((driver.new_dispatches().as_str(), driver.phases().as_str()), ("b:0/1001", "a:Succeeded b:Running"));
    assert_eq!(driver.inputs["b:0"], json!("a:0/1"));
    driver.succeed("b:0/1001", json!(0));
    assert_eq!(driver.run.output(), Some(json!({"b": [0, "b:1/1"]})));
}

#[test]
fn what_is_reduced_again_keeps_what_it_gave() {
    let mut driver = Driver::started(two(2, |map| {
        map.reduce = Reduce::Task(once(json!("${results}")));
        map.min_success_percent = 50;
    }));
    driver.fail("a:1/1", FailureReason::Rejected);
    driver.succeed("a:0/1", json!(0));
    driver.succeed("b:0/1", json!("zero"));
    driver.fail("a:reduce/1", FailureReason::Rejected);
    assert_eq!(driver.end().1, "step a: task a:reduce failed after 1 attempt: Rejected: no luck");
    driver.new_dispatches();
    reopen(&mut driver, &[]);
    assert_eq!((driver.new_dispatches().as_str(), tasks(&driver, "b")), ("a:reduce/1001", (2, 1, 0)));
    driver.succeed("a:reduce/1001", json!("a"));
    assert_eq!(driver.inputs["b:reduce"], json!(["zero"]));
}

#[test]
fn items_that_are_made_anew_are_worked_on_anew() {
    // The outputs cannot be reduced, so other ones are asked for.
    let mut driver = Driver::started(two(1, |map| map.reduce = Reduce::Sum));
    driver.succeed("a:0/1", json!("text"));
    assert_eq!(driver.phases(), "a:Failed b:Cancelled");
    driver.succeed("b:0/1", json!(1));
    driver.new_dispatches();
    reopen(&mut driver, &[]);
    assert_eq!(driver.new_dispatches(), "a:0/1001");
    driver.succeed("a:0/1001", json!(2));
    assert_eq!((driver.new_dispatches().as_str(), &driver.inputs["b:0"]), ("b:0/1001", &json!(2)));
}

#[test]
fn what_was_handed_out_is_not_handed_out_again() {
    let mut driver = Driver::started(two(3, tolerant));
    driver.succeed("a:2/1", json!(2));
    driver.fail("a:0/1", FailureReason::Rejected);
    driver.succeed("b:2/1", json!(2));
    driver.run.reissue();
    assert_eq!(driver.run.next(driver.now).len(), 1, "only the end of the run's time is left to wait for");
    driver.succeed("a:1/1", json!(1));
    assert_eq!(driver.new_dispatches(), "a:0/1 a:1/1 a:2/1 b:2/1 b:1/1");
}
