//! Rung 1: a situation in YAML, the plan and the status that follow from it. One golden for each situation.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a situation that cannot be read fails its test")]

mod world;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tetrarch_plan::effect::{Effect, Plan};
use world::World;

fn situations() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/situations");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 25, "situations went missing: {}", paths.len());
    paths
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

/// Situations whose manifests are shown in full; of the others the keys are enough.
const IN_FULL: [&str; 8] = [
    "domain-new",
    "supervisor-accepted",
    "pool-fixed",
    "pool-autoscaled",
    "pool-overlay",
    "policy-pool-regions",
    "supervisor-takes-webhooks",
    "workflow-new",
];

fn golden(path: &Path, plan: &Plan, status: &Value) -> Value {
    let mut golden = json!({
        "effects": world::lines(plan),
        "blockers": plan.blockers,
        "wake": plan.wake,
        "status": status,
    });
    if IN_FULL.contains(&stem(path).as_str()) {
        let shown = plan.effects.iter().filter(|effect| matches!(effect, Effect::Apply(_) | Effect::EnsureBusUser(_)));
        golden["manifests"] = json!(shown.collect::<Vec<_>>());
    }
    golden
}

#[test]
fn each_situation_has_its_plan_and_status() {
    for path in situations() {
        let (plan, status) = World::read(&path).decide();
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_yaml_snapshot!(stem(&path), golden(&path, &plan, &status));
        });
    }
}

#[test]
fn the_same_situation_gives_the_same_plan_and_status_again() {
    for path in situations() {
        let world = World::read(&path);
        let ((first, status), (second, _)) = (world.decide(), world.decide());
        let (_, again) = world.with_status(status.clone()).decide();
        assert_eq!(
            serde_json::to_string(&first).unwrap(),
            serde_json::to_string(&second).unwrap(),
            "{}",
            path.display()
        );
        assert_eq!(status, again, "{}: the status is written again although nothing changed", path.display());
    }
}

#[test]
fn a_refused_object_is_planned_no_writes() {
    for path in situations() {
        let (plan, status) = World::read(&path).decide();
        let accepted = status["conditions"][0]["status"] == "True";
        // What is below a Supervisor that is held goes on, so its runtime still hears of it.
        let is_allowed = |effect: &&Effect| {
            matches!(effect, Effect::Event(_) | Effect::EnsureBusUser(_) | Effect::PublishConfig { .. })
        };
        let writes = plan.effects.iter().filter(|effect| !is_allowed(effect)).count();
        assert!(accepted || writes == 0, "{}", path.display());
    }
}
