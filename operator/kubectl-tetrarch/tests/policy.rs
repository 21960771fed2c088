//! The commands of `policy` that need no cluster, as a pipeline runs them: what is printed and how they end.

#![expect(clippy::unwrap_used, reason = "a command that cannot be run fails its test")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

fn templates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/samples/policies")
}

fn folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = fs::read_dir(templates()).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    folders
}

fn policy(arguments: &[&str]) -> Output {
    // No cluster may be asked: there is none at this address.
    Command::new(env!("CARGO_BIN_EXE_kubectl-tetrarch"))
        .arg("policy")
        .args(arguments)
        .env("KUBECONFIG", "/nonexistent")
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A copy of a template in which one text of one file is another.
fn doctored(template: &str, file: &str, from: &str, to: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(templates().join(template)).unwrap() {
        let path = entry.unwrap().path();
        let mut text = fs::read_to_string(&path).unwrap();
        if path.file_name().unwrap() == file {
            assert!(text.contains(from), "{file} has no {from}");
            text = text.replace(from, to);
        }
        fs::write(copy.path().join(path.file_name().unwrap()), text).unwrap();
    }
    copy
}

#[test]
fn every_template_passes_its_own_tests() {
    let folders = folders();
    assert!(folders.len() >= 8, "the templates are not where they are looked for");
    for folder in &folders {
        let output = policy(&["test", folder.to_str().unwrap(), "-o", "json"]);
        assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
        let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
        assert!(report["passed"].as_u64().unwrap() >= 3, "{} has too few tests", folder.display());
        let verdicts = report["folders"][0]["tests"].as_array().unwrap();
        let refuses = verdicts.iter().any(|test| test["verdict"] != "Accept");
        let accepts = verdicts.iter().any(|test| test["verdict"] == "Accept");
        assert!(refuses && accepts, "{} shows only one side", folder.display());
    }
}

#[test]
fn every_template_is_without_mistakes() {
    for folder in folders() {
        let output = policy(&["lint", "-f", folder.to_str().unwrap(), "--strict"]);
        assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
    }
}

#[test]
fn a_loosened_policy_fails_the_tests_with_a_difference_and_exit_code_1() {
    let copy = doctored("baseline", "policy.yaml", "agents: 100", "agents: 1000");
    let output = policy(&["test", copy.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("✖ a hundred agents are enough for one pool"), "{text}");
    assert!(text.contains("- Deny\n") && text.contains("+ Accept\n"), "{text}");
    let junit = stdout(&policy(&["test", copy.path().to_str().unwrap(), "-o", "junit"]));
    assert!(junit.contains("<failure message=\"expected Deny, found Accept\">"), "{junit}");
}

#[rstest::rstest]
#[case("policy.yaml", "limits:", "limts:", "policy.yaml:13: spec.policies[1].limts: is no field: write limits")]
#[case("policy-tests.yaml", "expect: Warn", "expect: Worn", "tests[3]: unknown variant `Worn`")]
#[case(
    "policy-tests.yaml",
    "create: pool\n    expect",
    "create: pol\n    expect",
    "tests[0].create: \"pol\" is not among manifests"
)]
#[case("hierarchy.yaml", "kind: Domain", "kind: [", "is not YAML")]
#[case("hierarchy.yaml", "concurrency: 4", "concurrency: four", "spec.concurrency: is \"four\": write a whole number")]
fn a_file_that_cannot_be_read_is_told_with_line_and_field_and_exit_code_2(
    #[case] file: &str,
    #[case] from: &str,
    #[case] to: &str,
    #[case] message: &str,
) {
    let copy = doctored("baseline", file, from, to);
    let output = policy(&["test", copy.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
    let text = stderr(&output);
    assert!(text.contains(message) && text.contains(file), "{text}");
}

#[test]
fn a_folder_without_tests_is_no_success() {
    let empty = tempfile::tempdir().unwrap();
    let output = policy(&["test", empty.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("there is no test in"), "{}", stderr(&output));
}

#[test]
fn a_policy_looser_than_the_levels_above_is_a_mistake() {
    let reference = "  orchestratorRef: {name: acme}";
    let wide = format!("{reference}\n  policies: [{{name: wide, limits: {{agents: 500}}}}]");
    let copy = doctored("baseline", "hierarchy.yaml", reference, &wide);
    let output = policy(&["lint", "-f", copy.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("error: spec.policies[0].limits.agents: is 500, but policy \"baseline-bounds\""), "{text}");
}

#[test]
fn what_would_break_by_tightening_is_told_with_exit_code_1() {
    let now = templates().join("baseline");
    let tighter = doctored("baseline", "policy.yaml", "agents: 100", "agents: 8");
    let compare = |more: &[&str]| {
        let (from, to) = (now.to_str().unwrap(), tighter.path().to_str().unwrap());
        policy(&[&["diff", "--from", from, "-f", to], more].concat())
    };
    assert_eq!(compare(&[]).status.code(), Some(0));
    let output = compare(&["--exit-code"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("limits.agents  100     8"), "{text}");
    assert!(text.contains("would be held down at run time (1):\n  AgentPool compliance/classifier"), "{text}");
    let back = policy(&[
        "diff",
        "--from",
        tighter.path().to_str().unwrap(),
        "-f",
        now.to_str().unwrap(),
        "--exit-code",
        "-o",
        "json",
    ]);
    assert_eq!(back.status.code(), Some(0), "{}", stdout(&back));
    let report: Value = serde_json::from_str(&stdout(&back)).unwrap();
    assert_eq!(report["released"][0]["object"], "AgentPool compliance/classifier");
}

#[test]
fn an_object_of_a_folder_is_explained() {
    let folder = templates().join("baseline");
    let output = policy(&["explain", "pool/classifier", "-f", folder.to_str().unwrap(), "-o", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(report["complies"], true);
    let agents = report["values"].as_array().unwrap().iter().find(|value| value["field"] == "limits.agents").unwrap();
    assert_eq!((&agents["value"], &agents["present"]), (&Value::from("100"), &Value::from("10")));
    assert_eq!(agents["says"][0]["origin"]["policy"], "baseline-bounds");
    let unknown = policy(&["explain", "pool/nobody", "-f", folder.to_str().unwrap()]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(stderr(&unknown).contains("there are compliance/classifier"), "{}", stderr(&unknown));
}
