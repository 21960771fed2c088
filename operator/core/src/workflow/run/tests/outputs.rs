//! Runs whose outputs are removed.

use super::*;

fn emptied(run: &Run) -> RunEvent {
    run.without_outputs().unwrap()
}

fn failed_run() -> Driver {
    let mut driver = Driver::started(definition(vec![
        task_step("a", &[]),
        map_step("m", &["a"], map(json!([1, 2]), Reduce::Collect)),
        task_step("last", &["m"]),
    ]));
    driver.succeed("a/1", json!({"n": 1}));
    driver.succeed("m:0/1", json!("one"));
    driver.fail("m:1/1", FailureReason::Rejected);
    driver
}

#[test]
fn a_run_keeps_its_steps_and_gives_its_output_up() {
    let mut driver = Driver::started(definition(vec![task_step("a", &[])]));
    assert_eq!(driver.run.without_outputs(), None);
    driver.succeed("a/1", json!("big"));
    assert_eq!(driver.run.output(), Some(json!({"a": "big"})));
    let event = emptied(&driver.run);
    driver.pass(60);
    driver.event(event);
    assert_eq!((driver.run.output(), driver.phases()), (None, "a:Succeeded".to_owned()));
    assert_eq!((driver.end().1.as_str(), driver.run.outputs_removed_at()), ("1 steps succeeded", Some(at(60))));
    assert_eq!(driver.run.without_outputs(), None);
}

#[test]
fn a_run_without_its_outputs_is_not_opened_again() {
    let mut driver = failed_run();
    assert!(driver.run.can_reopen());
    let event = emptied(&driver.run);
    driver.event(event.clone());
    let (before, ignored) = (driver.phases(), driver.run.ignored());
    assert_eq!(before, "a:Succeeded m:Failed last:Skipped");
    assert!(!driver.run.can_reopen());
    let reopened =
        RunEvent::Reopened { request: "again".to_owned(), cause: "by ada".to_owned(), unknown: vec![], stamp: None };
    driver.event(reopened);
    driver.event(event);
    driver.succeed("m:1/1", json!("late"));
    assert_eq!((driver.phases(), driver.run.ignored(), driver.run.reopened()), (before, ignored + 3, 0));
}

#[test]
fn outputs_of_a_run_that_goes_on_are_not_removed() {
    let event = emptied(&failed_run().run);
    let mut driver = Driver::started(definition(vec![task_step("a", &[])]));
    driver.event(event);
    driver.succeed("a/1", json!(1));
    assert_eq!((driver.run.output(), driver.run.ignored()), (Some(json!({"a": 1})), 1));
}

#[test]
fn the_entry_stands_in_the_journal_as_people_read_it() {
    let stored = serde_json::to_value(emptied(&failed_run().run)).unwrap();
    assert_eq!((&stored["type"], &stored["ended"]), (&json!("outputsRemoved"), &json!(2)));
    let map = &stored["steps"][1];
    assert_eq!((&map["step"], &map["phase"], &map["tasks"]), (&json!("m"), &json!("Failed"), &json!(2)));
    assert!(map["message"].as_str().unwrap().contains("m:1"), "{map}");
    assert!(!stored.to_string().contains("\"one\""), "{stored}");
}
