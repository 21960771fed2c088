//! What happens in each pattern: order, conditions, maps, branches, pipelines, outputs.

use super::*;

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
    assert!(message.contains("steps wait for each other in a cycle: a -> a"), "{message}");
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
