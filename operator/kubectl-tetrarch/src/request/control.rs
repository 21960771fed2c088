//! Requests about a run that exists: pausing it, letting it go on, ending it at once.

use kube::ResourceExt as _;
use serde_json::{Value, json};
use tetrarch_crds::Workflow;
use tetrarch_plan::names;

use super::{Request, named, unfinished};

/// Asks to pause a run. Those that are paused already stay so.
pub fn pause(workflow: &Workflow, run: Option<&str>) -> Result<Request, String> {
    let run = unfinished(workflow, run, "pause")?;
    let mut paused = paused(workflow);
    if paused.contains(&run.as_str()) {
        return Ok(Request { run, annotations: None });
    }
    paused.push(&run);
    Ok(Request { annotations: Some(json!({names::ANNOTATION_PAUSE: paused.join(",")})), run })
}

/// Asks to let a paused run go on.
pub fn resume(workflow: &Workflow, run: Option<&str>) -> Result<Request, String> {
    let run = named(workflow, run, "resume")?;
    let before = paused(workflow);
    let left: Vec<&str> = before.iter().copied().filter(|id| *id != run).collect();
    if left.len() == before.len() {
        return Err(format!("the run {run:?} is not paused"));
    }
    let value = if left.is_empty() { Value::Null } else { Value::from(left.join(",")) };
    Ok(Request { annotations: Some(json!({names::ANNOTATION_PAUSE: value})), run })
}

/// Asks to end a run at once.
pub fn terminate(workflow: &Workflow, run: Option<&str>) -> Result<Request, String> {
    let run = unfinished(workflow, run, "terminate")?;
    Ok(Request { annotations: Some(json!({names::ANNOTATION_TERMINATE: run})), run })
}

/// The runs that are asked to be paused.
fn paused(workflow: &Workflow) -> Vec<&str> {
    let listed = workflow.annotations().get(names::ANNOTATION_PAUSE).map(String::as_str).unwrap_or_default();
    listed.split(',').map(str::trim).filter(|id| !id.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workflow(paused: &str, phase: &str) -> Workflow {
        serde_json::from_value(json!({
            "apiVersion": "tetrarch.dev/v1alpha1", "kind": "Workflow",
            "metadata": {"name": "audit", "annotations": {"tetrarch.dev/pause": paused}},
            "spec": {"steps": []},
            "status": {"run": {"id": "audit-0a1b2-g1", "phase": phase}}
        }))
        .unwrap()
    }

    fn written(request: Result<Request, String>) -> Value {
        request.unwrap().annotations.unwrap()["tetrarch.dev/pause"].clone()
    }

    #[test]
    fn runs_are_paused_and_go_on_one_by_one() {
        assert_eq!(written(pause(&workflow("", "Running"), None)), "audit-0a1b2-g1");
        assert_eq!(written(pause(&workflow("other", "Running"), None)), "other,audit-0a1b2-g1");
        assert_eq!(pause(&workflow("audit-0a1b2-g1", "Running"), None).unwrap().annotations, None);
        assert_eq!(written(resume(&workflow("other, audit-0a1b2-g1", "Running"), None)), "other");
        assert_eq!(written(resume(&workflow("audit-0a1b2-g1", "Running"), None)), Value::Null);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(pause(&workflow("", "Failed"), None).unwrap_err().contains("ended already: Failed"));
        assert!(terminate(&workflow("", "Succeeded"), None).unwrap_err().contains("ended already"));
        assert!(resume(&workflow("other", "Running"), None).unwrap_err().contains("is not paused"));
        assert!(terminate(&workflow("", "Running"), Some("A B")).unwrap_err().contains("is no run id"));
    }
}
