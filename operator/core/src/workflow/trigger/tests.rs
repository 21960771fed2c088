//! Which runs follow an end, and which do not.

use rstest::rstest;

use super::*;
use crate::workflow::{
    child::Parent,
    journal::{Entry, RunEvent},
    samples::{definition, name, task_step},
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn trigger() -> Trigger {
    Trigger {
        name: name("after-scan"),
        workflow: name("scan"),
        phases: vec![FinalPhase::Succeeded],
        when: None,
        parameters: Map::new(),
    }
}

/// A run of the Workflow scan that ends after ten seconds, with a count of findings.
fn ended(phase: FinalPhase, parent: Option<Parent>, origin: Option<Origin>) -> Run {
    let mut definition = definition(vec![task_step("a", &[])]);
    definition.workflow = name("scan");
    definition.parameters = [("count".to_owned(), Some(json!(3)))].into();
    definition.output = Some(json!({"found": "${params.count}"}));
    let accepted = RunEvent::Accepted {
        definition: Box::new(definition),
        parameters: BTreeMap::new(),
        cause: "test".to_owned(),
        parent: parent.map(Box::new),
        stamp: None,
        origin: origin.map(Box::new),
    };
    let finished = RunEvent::Finished { phase, message: "as it is".to_owned() };
    let journal = [(accepted, 0), (RunEvent::Started { deadline: at(600) }, 1), (finished, 10)];
    Run::replay("scan-1".parse().unwrap(), journal.map(|(event, seconds)| (Entry::Run(event), at(seconds)))).unwrap()
}

fn succeeded() -> Run {
    ended(FinalPhase::Succeeded, None, None)
}

fn follow(trigger: &Trigger, run: &Run) -> Option<Follower> {
    trigger.follow(&name("report"), "report-0a1b2", at(5), run)
}

#[test]
fn the_end_of_a_run_begins_one_that_follows_from_it() {
    let mut trigger = trigger();
    trigger.when = Some("output.found > 2 && run.phase == 'Succeeded'".to_owned());
    trigger.parameters =
        serde_json::from_value(json!({"of": "${run.id}", "found": "${output.found}", "all": "${run.parameters}"}))
            .unwrap();
    let follower = follow(&trigger, &succeeded()).unwrap();
    assert_eq!(follower, follow(&trigger, &succeeded()).unwrap());
    assert!(follower.run.as_str().starts_with("report-0a1b2-t"), "{}", follower.run);
    assert_eq!(json!(follower.parameters), json!({"of": "scan-1", "found": 3, "all": {"count": 3}}));
    assert_eq!(follower.cause, "trigger after-scan: run scan-1 Succeeded");
    assert_eq!(follower.origin.run.as_ref().map(RunId::as_str), Some("scan-1"));
    assert_eq!(follower.origin.lineage, [name("scan")]);
    let mut other = trigger.clone();
    other.name = name("another");
    assert_ne!(follow(&other, &succeeded()).unwrap().run, follower.run, "each trigger begins its own");
}

#[test]
fn what_it_is_not_about_begins_nothing() {
    let trigger = trigger();
    assert!(follow(&trigger, &ended(FinalPhase::Failed, None, None)).is_none(), "another phase");
    assert!(trigger.follow(&name("report"), "p", at(11), &succeeded()).is_none(), "before the trigger was written");
    let parent = Parent { run: "up-1".parse().unwrap(), step: name("s"), attempt: 1, lineage: vec![name("up")] };
    assert!(follow(&trigger, &ended(FinalPhase::Succeeded, Some(parent), None)).is_none(), "part of another run");
    assert!(follow(&Trigger { workflow: name("other"), ..trigger.clone() }, &succeeded()).is_none());
    assert!(follow(&Trigger { when: Some("output.found > 3".to_owned()), ..trigger }, &succeeded()).is_none());
}

#[rstest]
#[case::missing("output.nothing > 1", "when of trigger after-scan: ")]
#[case::no_condition("output.found", "when of trigger after-scan: ")]
fn what_cannot_be_evaluated_is_a_run_that_says_so(#[case] when: &str, #[case] told: &str) {
    let flawed = follow(&Trigger { when: Some(when.to_owned()), ..trigger() }, &succeeded()).unwrap();
    assert!(flawed.origin.flaw.as_ref().is_some_and(|flaw| flaw.starts_with(told)), "{:?}", flawed.origin.flaw);
    let run = Run::accept(flawed.run, definition(vec![task_step("a", &[])]), &flawed.parameters, flawed.cause, at(0));
    let mut run = run.begun_by(Some(flawed.origin.clone()));
    let said = format!("{:?}", run.next(at(1)));
    assert!(said.contains("Finished") && said.contains("Failed") && said.contains(told), "{said}");
}

#[test]
fn workflows_do_not_begin_each_other_for_ever() {
    let origin = |lineage: &[&str], flaw: Option<&str>| Origin {
        trigger: name("t"),
        run: "before-1".parse().ok(),
        lineage: lineage.iter().map(|workflow| name(workflow)).collect(),
        flaw: flaw.map(str::to_owned),
    };
    let after = |origin| follow(&trigger(), &ended(FinalPhase::Succeeded, None, Some(origin)));
    let around = after(origin(&["report"], None)).unwrap().origin.flaw.unwrap();
    assert!(around.contains("in a cycle: report -> scan -> report"), "{around}");
    let far: Vec<String> = (0..MAX_DEPTH).map(|n| format!("w{n}")).collect();
    let far: Vec<&str> = far.iter().map(String::as_str).collect();
    assert!(after(origin(&far, None)).unwrap().origin.flaw.unwrap().contains("runs after each other"));
    assert_eq!(after(origin(&far[1..], None)).unwrap().origin.flaw, None);
    assert!(after(origin(&["x"], Some("flawed"))).is_none(), "nothing follows what could not be run");
}

#[test]
fn mistakes_are_told_with_their_place() {
    let mut trigger = trigger();
    trigger.when = Some("params.x > 1".to_owned());
    trigger.parameters = serde_json::from_value(json!({"a": "${output.x +}", "b": ["${steps.s.output}"]})).unwrap();
    let told: Vec<String> = trigger.mistakes().into_iter().map(|mistake| mistake.place).collect();
    assert_eq!(told, [".when", ".parameters.a", ".parameters.b[0]"]);
}
