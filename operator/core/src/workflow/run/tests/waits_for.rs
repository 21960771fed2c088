//! Tests of the sentence that says what a run waits for.

use super::*;
use crate::workflow::{child::SubWorkflow, definition::UnknownPolicy, samples::repeated};

fn said(driver: &Driver) -> String {
    driver.run.waits_for().unwrap_or_default()
}

#[test]
fn it_names_the_pool_and_the_step_of_what_agents_have() {
    let mut driver = Driver::started(definition(vec![map_step("m", &[], map(json!([1, 2]), Reduce::Collect))]));
    assert_eq!(said(&driver), "waits for 2 tasks of AgentPool pool (step m)");
    driver.succeed("m:0/1", json!(1));
    assert_eq!(said(&driver), "waits for 1 task of AgentPool pool (step m)");
    driver.succeed("m:1/1", json!(1));
    assert_eq!(said(&driver), "", "it has ended");
}

#[test]
fn it_says_when_a_failed_attempt_is_repeated() {
    let mut driver = Driver::started(retried());
    driver.fail("a/1", FailureReason::AgentError);
    assert_eq!(said(&driver), "task a is repeated after 1970-01-12T13:46:41Z (1 failed so far)");
}

#[test]
fn it_says_when_a_loop_goes_on() {
    let mut of = repeated(json!(1), "false", 3);
    of.interval = Duration::from_mins(1);
    let mut driver = Driver::started(definition(vec![step("a", &[], StepKind::Loop(Box::new(of)))]));
    driver.succeed("a:0/1", json!(1));
    assert_eq!(said(&driver), "iteration 1 of step a begins after 1970-01-12T13:47:40Z");
}

#[test]
fn it_says_until_when_a_step_waits() {
    let wait = StepKind::Wait(Wait::For(Duration::from_mins(1)));
    let driver = Driver::started(definition(vec![step("a", &[], wait)]));
    assert_eq!(said(&driver), "step a waits until 1970-01-12T13:47:40Z");
}

#[test]
fn it_names_the_run_of_another_workflow() {
    let retry = task(json!(0)).retry;
    let called = SubWorkflow { name: name("other"), parameters: serde_json::Map::new(), retry };
    let driver = Driver::started(definition(vec![step("a", &[], StepKind::Workflow(Box::new(called)))]));
    let child = driver.run.children().next().unwrap().run;
    assert_eq!(said(&driver), format!("waits for run {child} of Workflow other (step a)"));
}

#[test]
fn it_names_the_people_it_waits_for_before_everything_else() {
    let ask = step("a", &[], StepKind::Approval(approval()));
    let mut asking = definition(vec![ask, task_step("b", &[])]);
    asking.on_unknown = UnknownPolicy::Ask;
    let mut driver = Driver::started(asking);
    let approval = "waits for Group legal to decide about step a until 1970-01-12T13:46:50Z";
    assert_eq!(said(&driver), format!("{approval}; waits for 1 task of AgentPool pool (step b)"));
    driver.lose("b/1");
    let doubt = "waits for a person to say whether task b, attempt 1, is done: the pod is gone";
    assert_eq!(said(&driver), format!("{doubt}; {approval}"));
    driver.event(RunEvent::Paused { cause: "by ada".to_owned(), stamp: None });
    assert!(said(&driver).starts_with("paused since "), "{}", said(&driver));
}
