//! `import` as people run it: what is printed where, and how it ends.

#![expect(clippy::unwrap_used, reason = "a command that cannot be run fails its test")]

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

use serde::Deserialize as _;
use serde_json::Value;

/// Everything of this is carried over, though its program takes another form.
const WHOLE: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata: {name: greet}
spec:
  entrypoint: say
  activeDeadlineSeconds: 60
  templates:
    - name: say
      activeDeadlineSeconds: 20
      container: {image: whalesay}
";

const REFUSED: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: greet}
spec:
  entrypoint: nobody
";

fn import(arguments: &[&str], input: &str) -> Output {
    // No cluster may be asked: there is none at this address.
    let mut child = Command::new(env!("CARGO_BIN_EXE_kubectl-tetrarch"))
        .args(["import", "-"])
        .args(arguments)
        .env("KUBECONFIG", "/nonexistent")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn what_is_carried_over_ends_well_and_the_report_tells_what_takes_another_form() {
    let output = import(&["--supervisor", "front-desk", "-n", "ci"], WHOLE);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.starts_with("# Converted from the WorkflowTemplate \"greet\" of argoproj.io/v1alpha1"), "{text}");
    let workflow: Value = serde_yaml::from_str(&text).unwrap();
    assert_eq!(workflow["metadata"]["namespace"], "ci");
    assert_eq!(workflow["spec"]["supervisorRef"]["name"], "front-desk");
    assert_eq!(workflow["spec"]["steps"][0]["task"]["agent"]["capability"], "say");
    let report = stderr(&output);
    assert!(report.contains("<stdin>:10: in another form: spec.templates[0].container: is a program"), "{report}");
    assert!(report.ends_with("0 left out, 1 in another form\n"), "{report}");
}

#[test]
fn strict_fails_for_what_takes_another_form() {
    assert_eq!(import(&["--strict"], WHOLE).status.code(), Some(1));
}

#[test]
fn what_is_left_out_is_told_and_changes_the_exit_code() {
    let output = import(&[], &format!("{WHOLE}      sidecars: [{{name: proxy}}]\n"));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("<stdin>:11: left out: spec.templates[0].sidecars:"), "{}", stderr(&output));
    assert!(stdout(&output).contains("# - spec.templates[0].sidecars:"), "{}", stdout(&output));
}

#[test]
fn what_cannot_be_imported_is_told_with_its_line_and_prints_nothing() {
    let output = import(&[], &format!("{WHOLE}---\n{REFUSED}"));
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stdout(&output), "");
    let wanted = "error: <stdin>:15: spec: names the entrypoint \"nobody\", which is no template";
    assert!(stderr(&output).starts_with(wanted), "{}", stderr(&output));
    let output = import(&[], "a: [");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn several_documents_become_several_manifests() {
    let several = format!("{WHOLE}---\n{}", WHOLE.replace("greet", "again"));
    let output = import(&[], &several);
    let names: Vec<Value> = serde_yaml::Deserializer::from_str(&stdout(&output))
        .map(|document| Value::deserialize(document).unwrap()["metadata"]["name"].clone())
        .collect();
    assert_eq!(names, ["greet", "again"]);
    let list: Value = serde_json::from_str(&stdout(&import(&["-o", "json"], &several))).unwrap();
    assert_eq!((list["kind"].as_str(), list["items"].as_array().unwrap().len()), (Some("List"), 2));
    let one: Value = serde_json::from_str(&stdout(&import(&["-o", "json"], WHOLE))).unwrap();
    assert_eq!(one["kind"], "Workflow");
}
