//! What people and programs see of policies, from files as users write them.

use std::path::{Path, PathBuf};

use tetrarch_core::policy::Kind;
use tetrarch_plan::suite::{Expect, Mismatch};

use crate::{
    args::policy::Object,
    command::policy::mistakes,
    inventory::{self, Inventory},
    manifest::Place,
    view::{
        policy::{
            effective, impact, junit, lint, pending,
            test::{self, Folder, Results, Tested},
        },
        style::Style,
    },
};

const STYLE: Style = Style { colour: false, width: None };

fn inventory(file: &str) -> Inventory {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/view/policy/tests").join(file);
    inventory::from_files(&[path]).unwrap().inventory
}

fn results() -> Results {
    let place = |line| Place { file: PathBuf::from("fleet/policy-tests.yaml"), line };
    let passed = Tested {
        name: "a pool with an owner is accepted".to_owned(),
        place: place(12),
        passed: true,
        expected: Expect::Accept,
        verdict: Expect::Accept,
        messages: Vec::new(),
        mismatches: Vec::new(),
    };
    let failed = Tested {
        name: "an owner & a \"team\" are <needed>".to_owned(),
        place: place(15),
        passed: false,
        expected: Expect::Deny,
        verdict: Expect::Accept,
        messages: Vec::new(),
        mismatches: vec![
            Mismatch { expected: "Deny".to_owned(), found: "Accept".to_owned() },
            Mismatch { expected: "… owner …".to_owned(), found: "nothing is told".to_owned() },
        ],
    };
    Results::of(vec![Folder { path: PathBuf::from("fleet"), tests: vec![passed, failed] }])
}

#[test]
fn results_of_tests_with_their_differences() {
    insta::assert_snapshot!("test", test::render(&results(), STYLE));
    insta::assert_snapshot!("test_junit", junit::render(&results()));
}

#[test]
fn what_holds_for_an_object_and_for_what_is_below_it() {
    let inventory = inventory("before.yaml");
    let index = inventory.index().unwrap();
    let explained = |kind, name: &str| {
        let item = inventory.find(&Object { kind, name: name.to_owned() }, None).unwrap();
        effective::explained(&index, item)
    };
    insta::assert_snapshot!("explain_pool", effective::render(&explained(Kind::AgentPool, "classifier"), false, STYLE));
    insta::assert_snapshot!("explain_domain", effective::render(&explained(Kind::Domain, "compliance"), true, STYLE));
    insta::assert_yaml_snapshot!("explain_workflow", explained(Kind::Workflow, "audit"));
}

#[test]
fn what_waits_for_an_approval_and_who_may_approve() {
    let waiting = pending::waiting(&inventory("before.yaml"), None);
    insta::assert_snapshot!("pending", pending::render(&waiting, STYLE));
    assert_eq!(pending::waiting(&inventory("before.yaml"), Some("elsewhere")).len(), 0);
}

#[test]
fn what_follows_from_a_change() {
    let before = inventory("before.yaml");
    let after = before.after(&inventory("after.yaml"), true);
    let impact = impact::impact(&before, &after, "2026-11-21T10:00:00Z".parse().unwrap()).unwrap();
    insta::assert_snapshot!("diff", impact::render(&impact, STYLE));
    assert!(impact.breaks());
    let same = impact::impact(&before, &before.after(&before, false), "2026-11-21T10:00:00Z".parse().unwrap()).unwrap();
    assert_eq!(impact::render(&same, STYLE), "nothing would change\n");
}

#[test]
fn mistakes_with_their_lines() {
    let mut mistakes = mistakes(&inventory("mistakes.yaml"));
    for mistake in &mut mistakes {
        mistake.problem.place.file = PathBuf::from("mistakes.yaml");
    }
    insta::assert_snapshot!("lint", lint::render(&mistakes, STYLE));
}
