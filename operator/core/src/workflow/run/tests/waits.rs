//! Steps that are nothing but time.

use super::*;

fn waiting(wait: Wait) -> Definition {
    let mut made = definition(vec![step("pause", &[], StepKind::Wait(wait)), task_step("b", &["pause"])]);
    made.parameters.insert("at".to_owned(), Some(json!("1970-01-12T13:46:45Z")));
    made
}

#[test]
fn what_follows_a_wait_starts_when_its_time_has_come() {
    let mut driver = Driver::started(waiting(Wait::For(Duration::from_secs(5))));
    assert_eq!((driver.new_dispatches().as_str(), driver.wake_at), ("", Some(at(5))));
    assert_eq!(driver.run.steps().next().unwrap().message, Some("waits until 1970-01-12T13:46:45Z"));
    driver.pass(4);
    assert_eq!(driver.new_dispatches(), "");
    driver.pass(1);
    assert_eq!((driver.new_dispatches().as_str(), driver.phases().as_str()), ("b/1", "pause:Succeeded b:Running"));
    assert_eq!(driver.run.steps().next().unwrap().message, None);
}

#[rstest]
#[case::written("1970-01-12T13:46:45Z")]
#[case::computed("${params.at}")]
fn a_wait_may_end_at_a_moment(#[case] moment: &str) {
    let mut driver = Driver::started(waiting(Wait::Until(json!(moment))));
    assert_eq!((driver.new_dispatches().as_str(), driver.wake_at), ("", Some(at(5))));
    driver.pass(5);
    assert_eq!(driver.new_dispatches(), "b/1");
}

#[test]
fn a_moment_that_is_past_is_no_wait() {
    let mut driver = Driver::started(waiting(Wait::Until(json!("1970-01-01T00:00:00Z"))));
    assert_eq!(driver.new_dispatches(), "b/1");
}

#[test]
fn what_is_no_moment_fails_the_step_and_says_so() {
    let mut definition = waiting(Wait::Until(json!("${params.at}")));
    definition.parameters.insert("at".to_owned(), Some(json!("tomorrow")));
    let driver = Driver::started(definition);
    assert!(driver.end().1.starts_with("step pause: wait.until: \"tomorrow\" is no moment"), "{}", driver.end().1);
}

#[test]
fn another_owner_goes_on_with_a_wait() {
    let mut driver = Driver::started(waiting(Wait::For(Duration::from_secs(5))));
    driver.run.reissue();
    driver.pass(5);
    assert_eq!(driver.new_dispatches(), "b/1");
}

#[test]
fn a_cancelled_run_waits_for_nothing() {
    let mut driver = Driver::started(waiting(Wait::For(Duration::from_secs(5))));
    driver.event(RunEvent::CancelRequested { cause: "somebody".to_owned(), stamp: None });
    assert_eq!(driver.end().0, FinalPhase::Cancelled);
}
