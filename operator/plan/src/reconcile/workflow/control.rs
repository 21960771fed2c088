//! What people ask of runs that exist, in annotations.

use kube_core::ResourceExt;
use tetrarch_core::{
    id::{RunId, TaskId},
    workflow::journal::Resolution,
};
use tetrarch_crds::Workflow;
use tetrarch_protocol::{
    control::{Asked, Control, Resolve, Retry},
    request::{Ask, Stamped},
};

use crate::{
    names::{
        ANNOTATION_CANCEL, ANNOTATION_PAUSE, ANNOTATION_RESOLVE, ANNOTATION_RESOLVE_OUTPUT, ANNOTATION_RETRY,
        ANNOTATION_TERMINATE,
    },
    request,
};

const CAUSE: &str = "request";

/// Everything that is asked, and what of it cannot be read. What can be read holds all the same.
pub(super) fn read(object: &Workflow) -> (Control, Vec<String>) {
    let mut refused = Vec::new();
    let stamped = request::stamped(object.metadata.annotations.as_ref());
    let mut runs = |annotation: &str, ask: Ask| runs(object, annotation, ask, &stamped, &mut refused);
    let (pause, terminate) = (runs(ANNOTATION_PAUSE, Ask::Pause), runs(ANNOTATION_TERMINATE, Ask::Terminate));
    let retry = retry(object, &stamped).unwrap_or_else(|message| {
        refused.push(message);
        None
    });
    let resolve = resolve(object, &stamped).unwrap_or_else(|message| {
        refused.push(message);
        Vec::new()
    });
    // Only the stamps know who took a run out of the list, and the snapshot lists those to be cancelled elsewhere.
    let by_stamp = |ask: Ask| {
        let of_ask = stamped.iter().filter(move |stamped| stamped.ask == ask);
        let asked = of_ask.filter_map(|stamped| {
            let stamp = Some(stamped.stamp.clone());
            Some(Asked { run: stamped.of.parse().ok()?, cause: request::cause(CAUSE, stamp.as_ref()), stamp })
        });
        asked.collect()
    };
    let (cancel, resume) = (by_stamp(Ask::Cancel), by_stamp(Ask::Resume));
    (Control { pause, terminate, cancel, resume, retry: retry.into_iter().collect(), resolve }, refused)
}

/// The run that is asked to be opened again.
pub(super) fn retried(object: &Workflow) -> Option<String> {
    retry(object, &[]).ok().flatten().map(|retry| retry.run.to_string())
}

fn text<'a>(object: &'a Workflow, annotation: &str) -> &'a str {
    object.annotations().get(annotation).map(|text| text.trim()).unwrap_or_default()
}

fn runs(object: &Workflow, annotation: &str, ask: Ask, stamped: &[Stamped], refused: &mut Vec<String>) -> Vec<Asked> {
    let asked = request::listed(text(object, annotation)).into_iter().filter_map(|id| match id.parse::<RunId>() {
        Ok(run) => {
            let stamp = request::stamp_of(stamped, ask, id);
            Some(Asked { run, cause: request::cause(CAUSE, stamp.as_ref()), stamp })
        }
        Err(error) => {
            refused.push(format!(
                "metadata.annotations[{annotation}]: {error}: write run ids as status.run.id shows them, joined by commas"
            ));
            None
        }
    });
    asked.collect()
}

fn retry(object: &Workflow, stamped: &[Stamped]) -> Result<Option<Retry>, String> {
    let text = text(object, ANNOTATION_RETRY);
    if text.is_empty() {
        return Ok(None);
    }
    let (run, name) = text.split_once('/').unwrap_or((text, "1"));
    let wrong = |why: String| format!("metadata.annotations[{ANNOTATION_RETRY}]: {why}");
    let run: RunId = run
        .parse()
        .map_err(|error| wrong(format!("{error}: write <run id>/<request>, with the id that status.run.id shows")))?;
    for other in [ANNOTATION_CANCEL, ANNOTATION_TERMINATE] {
        if request::listed(self::text(object, other)).contains(&run.as_str()) {
            return Err(wrong(format!(
                "run {run} is not opened again as long as {other} asks to end it: take that away"
            )));
        }
    }
    let stamp = request::stamp_of(stamped, Ask::Retry, text);
    Ok(Some(Retry { run, request: name.to_owned(), cause: request::cause(CAUSE, stamp.as_ref()), stamp }))
}

fn resolve(object: &Workflow, stamped: &[Stamped]) -> Result<Vec<Resolve>, String> {
    let wrong = |why: String| format!("metadata.annotations[{ANNOTATION_RESOLVE}]: {why}");
    let output = match object.annotations().get(ANNOTATION_RESOLVE_OUTPUT) {
        Some(text) => Some(serde_json::from_str(text).map_err(|error| {
            format!("metadata.annotations[{ANNOTATION_RESOLVE_OUTPUT}]: is no JSON ({error}): write the output, or take it away")
        })?),
        None => None,
    };
    let parts = request::listed(text(object, ANNOTATION_RESOLVE));
    if output.is_some() && parts.len() > 1 {
        return Err(wrong(format!("names {} attempts for one output: resolve them one by one", parts.len())));
    }
    let remedy = "write <run id>/<task>/<attempt>=done or =not-done";
    let read = |part: &&str| {
        let (task, found) = part.split_once('=').ok_or_else(|| wrong(format!("{part:?} says nothing: {remedy}")))?;
        let task: TaskId = task.parse().map_err(|error| wrong(format!("{error}: {remedy}")))?;
        let resolution = match found {
            "done" => Resolution::Done { output: output.clone().unwrap_or_default() },
            "not-done" => Resolution::NotDone,
            _ => return Err(wrong(format!("{found:?} is neither done nor not-done: {remedy}"))),
        };
        let stamp = request::stamp_of(stamped, Ask::Resolve, part);
        Ok(Resolve { task, resolution, cause: request::cause(CAUSE, stamp.as_ref()), stamp })
    };
    parts.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workflow(annotations: &serde_json::Value) -> Workflow {
        serde_json::from_value(json!({
            "apiVersion": "tetrarch.dev/v1alpha1", "kind": "Workflow",
            "metadata": {"name": "w", "annotations": annotations}, "spec": {"steps": []}
        }))
        .unwrap()
    }

    #[test]
    fn what_a_person_found_out_names_its_attempt_and_may_hold_an_output() {
        let (control, refused) = read(&workflow(&json!({
            "tetrarch.dev/retry": "w-1/again",
            "tetrarch.dev/resolve": "w-1/a:3/1001=done",
            "tetrarch.dev/resolve-output": "{\"id\": 7}",
            "tetrarch.dev/requests": json!([
                {"ask": "retry", "of": "w-1/again", "by": "ada", "at": "2026-11-21T10:00:00Z"},
                {"ask": "resolve", "of": "w-1/a:3/1001=done", "by": "bob", "at": "2026-11-21T10:00:00Z"},
            ]).to_string(),
        })));
        assert_eq!(refused, [] as [&str; 0]);
        assert_eq!((control.retry[0].run.as_str(), control.retry[0].request.as_str()), ("w-1", "again"));
        assert_eq!(
            (control.retry[0].cause.as_str(), control.resolve[0].cause.as_str()),
            ("request by ada", "request by bob")
        );
        assert_eq!(control.resolve[0].task.to_string(), "w-1/a:3/1001");
        assert_eq!(control.resolve[0].resolution, Resolution::Done { output: json!({"id": 7}) });
    }

    #[rstest::rstest]
    #[case(json!({"tetrarch.dev/retry": "w-1/x", "tetrarch.dev/cancel": "w-1"}), "take that away")]
    #[case(json!({"tetrarch.dev/retry": "W"}), "write <run id>/<request>")]
    #[case(json!({"tetrarch.dev/resolve": "w-1/a=done"}), "write <run id>/<task>/<attempt>=done")]
    #[case(json!({"tetrarch.dev/resolve": "w-1/a/1=maybe"}), "neither done nor not-done")]
    #[case(json!({"tetrarch.dev/resolve": "w-1/a/1=done,w-1/b/1=done", "tetrarch.dev/resolve-output": "1"}), "one by one")]
    #[case(json!({"tetrarch.dev/resolve": "w-1/a/1=done", "tetrarch.dev/resolve-output": "{"}), "is no JSON")]
    fn what_cannot_be_read_is_told_with_the_remedy(#[case] annotations: serde_json::Value, #[case] remedy: &str) {
        let (control, refused) = read(&workflow(&annotations));
        assert!(control.is_empty() && refused.len() == 1 && refused[0].contains(remedy), "{control:?} {refused:?}");
    }
}
