//! Requests about a run that exists: pausing it, letting it go on, opening it again, resolving what is not known, ending it at once.

use kube::ResourceExt as _;
use serde_json::{Value, json};
use tetrarch_core::id::{Name, TaskId};
use tetrarch_crds::{Workflow, workflow::RunPhase};
use tetrarch_plan::{names, request};

use super::{Request, latest, named, unfinished};
use crate::{
    args::control::{Found, Resolve},
    exit::is_final,
    view::time,
};

/// Asks to pause a run. Those that are paused already stay so.
pub fn pause(workflow: &Workflow, run: Option<&str>) -> Result<Request, String> {
    let run = unfinished(workflow, run, "pause")?;
    let mut paused = listed(workflow, names::ANNOTATION_PAUSE);
    if paused.contains(&run.as_str()) {
        return Ok(Request { run, annotations: None });
    }
    paused.push(&run);
    Ok(Request { annotations: Some(json!({names::ANNOTATION_PAUSE: paused.join(",")})), run })
}

/// Asks to let a paused run go on.
pub fn resume(workflow: &Workflow, run: Option<&str>) -> Result<Request, String> {
    let run = named(workflow, run, "resume")?;
    let value = without(workflow, names::ANNOTATION_PAUSE, &run);
    let value = value.ok_or_else(|| format!("the run {run:?} is not paused"))?;
    Ok(Request { annotations: Some(json!({names::ANNOTATION_PAUSE: value})), run })
}

/// Asks to open a run again.
pub fn retry(workflow: &Workflow, run: Option<&str>, id: &str) -> Result<Request, String> {
    let run = named(workflow, run, "retry")?;
    let known = latest(workflow).filter(|latest| latest.id == run);
    if let Some(removed) = known.and_then(|known| known.outputs_removed_at.as_ref()) {
        let when = time::moment(removed);
        return Err(format!(
            "the outputs of the run {run:?} were removed {when}, so that nothing is left to go on with: ask for a new one with `kubectl tetrarch run {} --like {run}`",
            workflow.name_any()
        ));
    }
    match known.map(|known| known.phase) {
        Some(RunPhase::Succeeded) => {
            return Err(format!("the run {run:?} has succeeded: there is nothing to do again"));
        }
        Some(phase) if !is_final(phase) => return Err(format!("the run {run:?} has not ended yet: {phase:?}")),
        _ => {}
    }
    id.parse::<Name>().map_err(|error| format!("--id {id:?}: {error}"))?;
    let asked = format!("{run}/{id}");
    if workflow.annotations().get(names::ANNOTATION_RETRY) == Some(&asked) {
        return Ok(Request { run, annotations: None });
    }
    let mut annotations = json!({names::ANNOTATION_RETRY: asked});
    take_back_ending(workflow, &run, &mut annotations);
    Ok(Request { annotations: Some(annotations), run })
}

/// Says how an attempt ended.
pub fn resolve(workflow: &Workflow, args: &Resolve) -> Result<Request, String> {
    let run = named(workflow, args.run.as_deref(), "resolve")?;
    let task: TaskId = format!("{run}/{}", args.task)
        .parse()
        .map_err(|_| format!("{:?} names no attempt: write TASK/ATTEMPT as the run's message names them", args.task))?;
    let output = match (&args.output, args.found) {
        (Some(_), Found::NotDone) => return Err("--output belongs to a task that is done: leave it out".to_owned()),
        (Some(text), Found::Done) => {
            let value: Value = serde_json::from_str(text).map_err(|error| format!("--output is no JSON: {error}"))?;
            Value::from(value.to_string())
        }
        (None, _) => Value::Null,
    };
    let found = if args.found == Found::Done { "done" } else { "not-done" };
    let mut annotations =
        json!({names::ANNOTATION_RESOLVE: format!("{task}={found}"), names::ANNOTATION_RESOLVE_OUTPUT: output});
    // A run that has ended is opened again by this.
    if latest(workflow).is_some_and(|latest| latest.id == run && is_final(latest.phase)) {
        take_back_ending(workflow, &run, &mut annotations);
    }
    Ok(Request { annotations: Some(annotations), run })
}

/// Takes away what asks to end the run, or it would end again at once.
fn take_back_ending(workflow: &Workflow, run: &str, annotations: &mut Value) {
    for ending in [names::ANNOTATION_CANCEL, names::ANNOTATION_TERMINATE] {
        if let Some(left) = without(workflow, ending, run) {
            annotations[ending] = left;
        }
    }
}

/// The list in an annotation without a run; none when the run is not in it.
fn without(workflow: &Workflow, annotation: &str, run: &str) -> Option<Value> {
    let ids = listed(workflow, annotation);
    let left: Vec<&str> = ids.iter().copied().filter(|id| *id != run).collect();
    let is_listed = left.len() < ids.len();
    is_listed.then(|| if left.is_empty() { Value::Null } else { Value::from(left.join(",")) })
}

/// Asks to end a run at once.
pub fn terminate(workflow: &Workflow, run: Option<&str>) -> Result<Request, String> {
    let run = unfinished(workflow, run, "terminate")?;
    Ok(Request { annotations: Some(ending(workflow, names::ANNOTATION_TERMINATE, &run)), run })
}

/// The annotations of a run that is to end. What asked to open it again is done, and is taken away.
pub fn ending(workflow: &Workflow, annotation: &str, run: &str) -> Value {
    let retry = workflow.annotations().get(names::ANNOTATION_RETRY);
    let is_retried = retry.is_some_and(|retry| retry.split('/').next() == Some(run));
    let mut annotations = json!({annotation: run});
    if is_retried {
        annotations[names::ANNOTATION_RETRY] = Value::Null;
    }
    annotations
}

fn listed<'a>(workflow: &'a Workflow, annotation: &str) -> Vec<&'a str> {
    workflow.annotations().get(annotation).map(|text| request::listed(text)).unwrap_or_default()
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

    fn found(task: &str, found: Found, output: Option<&str>) -> Resolve {
        let (workflow, task, output) = ("audit".to_owned(), task.to_owned(), output.map(str::to_owned));
        Resolve { workflow, task, found, output, run: None, format: None }
    }

    #[test]
    fn a_run_is_opened_again_and_what_asked_to_end_it_is_taken_away() {
        let mut ended = workflow("", "Cancelled");
        let annotations = ended.metadata.annotations.as_mut().unwrap();
        annotations.insert("tetrarch.dev/cancel".to_owned(), "audit-0a1b2-g1".to_owned());
        let written = retry(&ended, None, "again").unwrap().annotations.unwrap();
        assert_eq!(written, json!({"tetrarch.dev/retry": "audit-0a1b2-g1/again", "tetrarch.dev/cancel": null}));
        let mut removed = workflow("", "Failed");
        let run = removed.status.as_mut().and_then(|status| status.run.as_mut()).unwrap();
        run.outputs_removed_at = serde_json::from_value(json!("2026-11-22T10:00:00Z")).unwrap();
        let refused = retry(&removed, None, "x").unwrap_err();
        assert!(refused.contains("outputs of the run \"audit-0a1b2-g1\" were removed"), "{refused}");
        assert!(refused.contains("kubectl tetrarch run audit --like audit-0a1b2-g1"), "{refused}");
        assert!(retry(&workflow("", "Running"), None, "x").unwrap_err().contains("has not ended yet"));
        assert!(retry(&workflow("", "Succeeded"), None, "x").unwrap_err().contains("has succeeded"));
        assert!(retry(&workflow("", "Failed"), None, "x/y").unwrap_err().contains("--id"));
    }

    #[test]
    fn what_was_found_out_names_the_attempt() {
        let object = workflow("", "OutcomeUnknown");
        let written = resolve(&object, &found("m:3/1", Found::Done, Some("{\"a\": 1}"))).unwrap().annotations.unwrap();
        assert_eq!(written["tetrarch.dev/resolve"], "audit-0a1b2-g1/m:3/1=done");
        assert_eq!(written["tetrarch.dev/resolve-output"], "{\"a\":1}");
        assert!(resolve(&object, &found("m", Found::Done, None)).unwrap_err().contains("write TASK/ATTEMPT"));
        assert!(resolve(&object, &found("m/1", Found::NotDone, Some("1"))).unwrap_err().contains("leave it out"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(pause(&workflow("", "Failed"), None).unwrap_err().contains("ended already: Failed"));
        assert!(terminate(&workflow("", "Succeeded"), None).unwrap_err().contains("ended already"));
        assert!(resume(&workflow("other", "Running"), None).unwrap_err().contains("is not paused"));
        assert!(terminate(&workflow("", "Running"), Some("A B")).unwrap_err().contains("is no run id"));
    }
}
