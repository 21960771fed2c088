//! What entries do that are late, doubled or strange, and what is handed out again.

use super::*;

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
            parent: None,
            stamp: None,
            origin: None,
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
    driver.event(RunEvent::CancelRequested { cause: "late".to_owned(), stamp: None });
    assert_eq!((driver.end().0, driver.run.ignored()), (FinalPhase::Succeeded, useless.len() as u64 + 3));
}

#[test]
fn a_task_that_an_earlier_owner_dispatched_too_late_is_withdrawn() {
    let mut driver = Driver::started(definition(vec![task_step("a", &[]), task_step("b", &["a"])]));
    driver.event(RunEvent::CancelRequested { cause: "by ada".to_owned(), stamp: None });
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
