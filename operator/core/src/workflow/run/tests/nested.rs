//! Maps in the items of maps.

use super::{reopen::reopen, *};
use crate::workflow::{
    definition::MapStep,
    samples::{nested, streamed},
};

/// Over the files of each of these folders.
fn folders(each: Reduce, reduce: Reduce) -> MapStep {
    let outer = json!([{"name": "x", "files": [1, 2]}, {"name": "y", "files": []}, {"name": "z", "files": [3]}]);
    let mut map = nested(outer, json!("${item.files}"), each, reduce);
    map.max_parallel = 10;
    map.task = once(json!({"item": "${item}", "of": "${outer.name}", "index": "${index}"}));
    map
}

fn started(map: MapStep) -> Driver {
    Driver::started(definition(vec![map_step("a", &[], map)]))
}

fn done(mut driver: Driver, tasks: usize) -> Driver {
    for index in 0..tasks {
        driver.succeed(&format!("a:{index}/1"), json!(10 + index));
    }
    driver
}

#[test]
fn each_item_of_each_item_is_a_task() {
    let mut driver = started(folders(Reduce::Collect, Reduce::Collect));
    assert_eq!(driver.new_dispatches(), "a:0/1 a:1/1 a:2/1");
    assert_eq!(driver.inputs["a:1"], json!({"item": 2, "of": "x", "index": 1}));
    assert_eq!(driver.inputs["a:2"], json!({"item": 3, "of": "z", "index": 2}));
    let driver = done(driver, 3);
    assert_eq!(
        (driver.end().0, driver.run.output()),
        (FinalPhase::Succeeded, Some(json!({"a": [[10, 11], [], [12]]})))
    );
}

#[rstest]
#[case::sums(Reduce::Sum, Reduce::Sum, json!(33))]
#[case::of_each(Reduce::Sum, Reduce::Collect, json!([21, 0, 12]))]
#[case::votes(Reduce::Vote, Reduce::Expression("results.map(r, r.count)".to_owned()), json!([1, 0, 1]))]
#[case::outer_is_known(
    Reduce::Expression("{outer.name: results.size()}".to_owned()), Reduce::Merge, json!({"x": 2, "y": 0, "z": 1})
)]
fn both_levels_are_reduced(#[case] each: Reduce, #[case] reduce: Reduce, #[case] expected: Value) {
    let driver = done(started(folders(each, reduce)), 3);
    assert_eq!(driver.run.output(), Some(json!({"a": expected})));
}

#[test]
fn an_agent_reduces_what_the_outer_items_come_to() {
    let mut driver = done(started(folders(Reduce::Sum, Reduce::Task(once(json!("${results}"))))), 3);
    assert_eq!(driver.inputs["a:reduce"], json!([21, 0, 12]));
    driver.succeed("a:reduce/1", json!("end"));
    assert_eq!(driver.run.output(), Some(json!({"a": "end"})));
}

#[test]
fn one_window_and_one_percentage_hold_for_all() {
    let mut map = folders(Reduce::Collect, Reduce::Collect);
    (map.max_parallel, map.min_success_percent) = (2, 60);
    let mut driver = started(map);
    assert_eq!(driver.new_dispatches(), "a:0/1 a:1/1");
    driver.fail("a:1/1", FailureReason::Rejected);
    assert_eq!(driver.new_dispatches(), "a:2/1");
    driver.succeed("a:0/1", json!(1));
    driver.succeed("a:2/1", json!(3));
    assert_eq!(driver.run.output(), Some(json!({"a": [[1], [], [3]]})));
}

#[rstest]
#[case::no_outer_item(json!([]), json!("${item}"))]
#[case::no_inner_item(json!([1, 2]), json!({"from": 1, "to": 0}))]
fn nothing_to_do_is_done(#[case] outer: Value, #[case] inner: Value) {
    let count = outer.as_array().unwrap().len();
    let driver = started(nested(outer, inner, Reduce::Sum, Reduce::Collect));
    assert_eq!(driver.run.output(), Some(json!({"a": vec![0; count]})));
}

#[rstest]
#[case::no_list(
    json!([[1], 2]),
    json!("${item}"),
    "map.nested.items of outer item 1: the expression yields no list: write one that does"
)]
#[case::no_range(
    json!([1]),
    json!({"from": "${item}", "to": "${'x'}"}),
    "map.nested.items of outer item 0: \"to\" of a range is \"x\", no whole number"
)]
#[case::too_many(
    json!({"from": 1, "to": 2_000}),
    json!({"from": 1, "to": 100}),
    "map.nested.items: up to outer item 1000 there are 100100 inner items: split the outer list, at most 100000 in all"
)]
fn what_cannot_be_taken_apart_fails_the_step(#[case] outer: Value, #[case] inner: Value, #[case] expected: &str) {
    let driver = started(nested(outer, inner, Reduce::Collect, Reduce::Collect));
    assert_eq!(driver.end().1, format!("step a: {expected}"));
}

#[test]
fn what_cannot_be_reduced_says_of_which_outer_item() {
    let mut driver = started(folders(Reduce::Sum, Reduce::Collect));
    for index in 0..3 {
        driver.succeed(&format!("a:{index}/1"), if index == 2 { json!("text") } else { json!(1) });
    }
    let (_, message) = driver.end();
    assert!(message.starts_with("step a: map.nested.reduce: Sum needs numbers"), "{message}");
    assert!(message.ends_with("(outer item 2)"), "{message}");
}

#[test]
fn tasks_that_are_done_stay_done_in_their_group() {
    let mut driver = started(folders(Reduce::Collect, Reduce::Collect));
    driver.succeed("a:0/1", json!(1));
    driver.succeed("a:2/1", json!(3));
    driver.fail("a:1/1", FailureReason::Rejected);
    driver.new_dispatches();
    reopen(&mut driver, &[]);
    assert_eq!((driver.new_dispatches().as_str(), &driver.inputs["a:1"]["of"]), ("a:1/1001", &json!("x")));
    driver.succeed("a:1/1001", json!(2));
    assert_eq!(driver.run.output(), Some(json!({"a": [[1, 2], [], [3]]})));
}

#[test]
fn others_may_stream_the_inner_outputs() {
    let mut definition = definition(vec![map_step("a", &[], folders(Reduce::Sum, Reduce::Sum))]);
    definition.steps.push(map_step("b", &[], streamed("a", Reduce::Collect)));
    let mut driver = Driver::started(definition);
    driver.succeed("a:1/1", json!(11));
    assert_eq!(driver.inputs["b:1"], json!(11));
}
