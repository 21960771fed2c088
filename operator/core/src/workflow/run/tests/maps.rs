//! Ranges as items, and reductions by expressions and trees.

use super::*;

fn over(items: Value, reduce: Reduce) -> Definition {
    let mut of_items = map(items, reduce);
    of_items.max_parallel = 10;
    definition(vec![map_step("a", &[], of_items), step("b", &["a"], StepKind::Task(once(json!("${steps.a.output}"))))])
}

fn tree(fan_in: u32) -> Reduce {
    Reduce::Tree { task: once(json!("${results}")), fan_in }
}

#[test]
fn the_items_may_be_a_range() {
    let mut driver = Driver::started(over(json!({"from": 1, "to": "${1 + 2}"}), Reduce::Collect));
    assert_eq!(driver.new_dispatches(), "a:0/1 a:1/1 a:2/1");
    assert_eq!([&driver.inputs["a:0"], &driver.inputs["a:2"]], [&json!(1), &json!(3)]);
}

#[test]
fn a_range_that_is_none_fails_the_step_and_says_so() {
    let driver = Driver::started(over(json!({"from": 1, "to": "${'x'}"}), Reduce::Collect));
    assert_eq!(driver.end().1, "step a: map.items: \"to\" of a range is \"x\", no whole number");
}

#[test]
fn an_object_that_an_expression_yields_is_no_range() {
    let driver = Driver::started(over(json!("${{'from': 1, 'to': 2}}"), Reduce::Collect));
    assert_eq!(driver.end().1, "step a: map.items: the expression yields no list: write one that does");
}

#[test]
fn an_expression_reduces() {
    let reduce = Reduce::Expression("results.filter(r, r > 1).size()".to_owned());
    let mut driver = Driver::started(over(json!([1, 2, 3]), reduce));
    for index in 0..3 {
        driver.succeed(&format!("a:{index}/1"), json!(index));
    }
    assert_eq!(driver.inputs["b"], json!(1));
}

#[test]
fn an_expression_that_cannot_be_evaluated_fails_the_step() {
    let mut driver = Driver::started(over(json!([1]), Reduce::Expression("results[7]".to_owned())));
    driver.succeed("a:0/1", json!(1));
    let (phase, message) = driver.end();
    assert!(phase == FinalPhase::Failed && message.starts_with("step a: map.reduce.expression: "), "{message}");
}

#[test]
fn a_tree_reduces_until_one_is_left() {
    let mut driver = Driver::started(over(json!([0, 1, 2, 3, 4]), tree(2)));
    driver.new_dispatches();
    for index in 0..5 {
        driver.succeed(&format!("a:{index}/1"), json!(index));
    }
    assert_eq!(driver.new_dispatches(), "a:reduce:0:0/1 a:reduce:0:1/1 a:reduce:0:2/1");
    assert_eq!([&driver.inputs["a:reduce:0:1"], &driver.inputs["a:reduce:0:2"]], [&json!([2, 3]), &json!([4])]);
    driver.succeed("a:reduce:0:2/1", json!("c"));
    driver.succeed("a:reduce:0:0/1", json!("a"));
    assert_eq!(driver.new_dispatches(), "");
    driver.succeed("a:reduce:0:1/1", json!("b"));
    // What stands alone goes up as it is.
    assert_eq!(driver.new_dispatches(), "a:reduce:1:0/1");
    assert_eq!(driver.inputs["a:reduce:1:0"], json!(["a", "b"]));
    driver.succeed("a:reduce:1:0/1", json!("ab"));
    assert_eq!(driver.inputs["a:reduce:2:0"], json!(["ab", "c"]));
    driver.succeed("a:reduce:2:0/1", json!("abc"));
    assert_eq!(driver.inputs["b"], json!("abc"));
    let view = driver.run.steps().next().unwrap();
    assert_eq!((view.tasks, view.succeeded), (10, 10));
}

/// It was counted twice, so that the map was reduced while an item was still worked on.
#[test]
fn a_task_that_was_said_to_be_done_before_its_turn_is_counted_once() {
    let mut of_items = map(json!([0, 1, 2, 3]), Reduce::Collect);
    (of_items.max_parallel, of_items.min_success_percent) = (1, 0);
    let mut driver = Driver::started(definition(vec![map_step("a", &[], of_items), task_step("b", &[])]));
    for index in 0..3 {
        driver.fail(&format!("a:{index}/1"), FailureReason::Rejected);
    }
    driver.fail("b/1", FailureReason::Rejected);
    reopen::reopen(&mut driver, &[("a:3", 1)]);
    driver.new_dispatches();
    let resolution = crate::workflow::journal::Resolution::Done { output: json!(3) };
    let path = "a:3".parse().unwrap();
    driver.event(RunEvent::Resolved { path, attempt: 1, resolution, cause: "by ada".to_owned(), stamp: None });
    assert_eq!(driver.new_dispatches(), "");
    for index in 0..3 {
        driver.succeed(&format!("a:{index}/1001"), json!(index));
    }
    assert_eq!(driver.new_dispatches(), "a:1/1001 a:2/1001");
    driver.succeed("b/1001", json!(1));
    assert_eq!(driver.run.output(), Some(json!({"a": [0, 1, 2, 3], "b": 1})));
}

#[test]
fn a_tree_over_few_outputs_is_one_task() {
    for items in [json!([]), json!([7]), json!([7, 8])] {
        let mut driver = Driver::started(over(items.clone(), tree(2)));
        for index in 0..items.as_array().unwrap().len() {
            driver.succeed(&format!("a:{index}/1"), items[index].clone());
        }
        assert_eq!(driver.inputs["a:reduce:0:0"], items);
        driver.succeed("a:reduce:0:0/1", json!(1));
        assert_eq!(driver.phases(), "a:Succeeded b:Running");
    }
}

#[test]
fn a_tree_works_at_as_much_at_once_as_its_map() {
    let mut definition = over(json!({"from": 1, "to": 8}), tree(2));
    if let StepKind::Map(map) = &mut definition.steps[0].kind {
        map.max_parallel = 3;
    }
    let mut driver = Driver::started(definition);
    for index in 0..8 {
        driver.succeed(&format!("a:{index}/1"), json!(index));
    }
    driver.new_dispatches();
    driver.run.reissue();
    assert!(driver.inputs.contains_key("a:reduce:0:2") && !driver.inputs.contains_key("a:reduce:0:3"));
    driver.succeed("a:reduce:0:0/1", json!(1));
    assert_eq!(driver.new_dispatches(), "a:reduce:0:3/1");
}

#[test]
fn a_group_that_fails_for_good_fails_the_step() {
    let mut driver = Driver::started(over(json!([1, 2, 3]), tree(2)));
    for index in 0..3 {
        driver.succeed(&format!("a:{index}/1"), json!(index));
    }
    driver.fail("a:reduce:0:1/1", FailureReason::Rejected);
    assert_eq!(driver.end().1, "step a: task a:reduce:0:1 failed after 1 attempt: Rejected: no luck");
    assert_eq!(driver.withdrawn, ["a:reduce:0:0/1"]);
}
