//! Requests of people: what is written on a Workflow object, checked before it is sent.

pub mod control;

use jiff::Timestamp;
use kube::ResourceExt as _;
use serde_json::{Map, Value, json};
use tetrarch_core::id::RunId;
use tetrarch_crds::{Workflow, workflow::RunStatus};
use tetrarch_plan::{conditions, names, reason::Reason};

use crate::exit::is_final;

/// A request and the run it is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Id of the run.
    pub run: String,
    /// The annotations to set; none when this very request has been made before.
    pub annotations: Option<Value>,
}

/// Id of a request that was not named: the time, so that ids sort as they came.
pub fn id_at(now: Timestamp) -> String {
    now.strftime("%Y%m%d-%H%M%S-%3f").to_string().replace('.', "")
}

/// Asks for a run, with the values of an earlier one where others are not given.
pub fn run(workflow: &Workflow, id: &str, like: Map<String, Value>, params: &[String]) -> Result<Request, String> {
    let values = parameters(workflow, like, params)?;
    let run = names::requested_run(&workflow.name_any(), &workflow.uid().unwrap_or_default(), id);
    run.parse::<RunId>().map_err(|error| format!("--id {id:?} makes no run id: {error}"))?;
    let repeated = latest(workflow).is_some_and(|latest| latest.id == run)
        || workflow.annotations().get(names::ANNOTATION_RUN).is_some_and(|last| last == id);
    if repeated {
        return Ok(Request { run, annotations: None });
    }
    let parameters = if values.is_empty() { Value::Null } else { Value::from(Value::Object(values).to_string()) };
    let annotations = json!({names::ANNOTATION_RUN: id, names::ANNOTATION_RUN_PARAMETERS: parameters});
    Ok(Request { run, annotations: Some(annotations) })
}

/// Asks to cancel a run, the latest one unless another is named.
pub fn cancel(workflow: &Workflow, run: Option<&str>) -> Result<Request, String> {
    let run = unfinished(workflow, run, "cancel")?;
    Ok(Request { annotations: Some(control::ending(workflow, names::ANNOTATION_CANCEL, &run)), run })
}

/// The named run, or the latest one, which must not have ended.
fn unfinished(workflow: &Workflow, run: Option<&str>, verb: &str) -> Result<String, String> {
    let run = named(workflow, run, verb)?;
    match latest(workflow).filter(|latest| latest.id == run && is_final(latest.phase)) {
        Some(latest) => Err(format!("the run {run:?} has ended already: {:?}", latest.phase)),
        None => Ok(run),
    }
}

/// The named run, or the latest one.
fn named(workflow: &Workflow, run: Option<&str>, verb: &str) -> Result<String, String> {
    let name = workflow.name_any();
    let run = run.or_else(|| latest(workflow).map(|latest| latest.id.as_str()));
    let run = run.ok_or_else(|| format!("the Workflow {name:?} has no run to {verb}"))?;
    run.parse::<RunId>().map_err(|error| format!("--run {run:?} is no run id: {error}"))?;
    Ok(run.to_owned())
}

/// The latest run of a Workflow.
pub fn latest(workflow: &Workflow) -> Option<&RunStatus> {
    workflow.status.as_ref()?.run.as_ref()
}

/// Whether the status is about the present spec and no wanted run is still to be started.
pub fn is_settled(workflow: &Workflow) -> bool {
    let Some(status) = &workflow.status else { return false };
    let ready = conditions::find(&status.conditions, conditions::READY);
    let pending = ready.is_some_and(|ready| ready.reason == Reason::RunPending.as_str());
    status.observed_generation >= workflow.metadata.generation && !pending
}

/// The values that `--param` gives, each as `name=value` or several as a JSON object.
pub fn values(params: &[String]) -> Result<Map<String, Value>, String> {
    let mut values = Map::new();
    for param in params {
        if param.trim_start().starts_with('{') {
            let object = serde_json::from_str::<Map<String, Value>>(param);
            values.extend(object.map_err(|error| format!("--param {param:?} is no JSON object: {error}"))?);
        } else {
            let (name, text) = param
                .split_once('=')
                .ok_or_else(|| format!("--param {param:?} has no value: write name=value or a JSON object"))?;
            let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
            values.insert(name.to_owned(), value);
        }
    }
    Ok(values)
}

fn parameters(
    workflow: &Workflow,
    mut given: Map<String, Value>,
    params: &[String],
) -> Result<Map<String, Value>, String> {
    given.extend(values(params)?);
    let values = given;
    let declared = &workflow.spec.parameters;
    let known = || declared.iter().map(|parameter| parameter.name.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(unknown) = values.keys().find(|name| !declared.iter().any(|parameter| parameter.name == **name)) {
        let known = if declared.is_empty() { "it has none".to_owned() } else { format!("write one of {}", known()) };
        return Err(format!("the Workflow has no parameter {unknown:?}: {known}"));
    }
    let missing = declared.iter().find(|parameter| parameter.value.is_none() && !values.contains_key(&parameter.name));
    if let Some(missing) = missing {
        return Err(format!("the parameter {0:?} has no default value: add --param {0}=VALUE", missing.name));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workflow(status: &Value) -> Workflow {
        serde_json::from_value(json!({
            "apiVersion": "tetrarch.dev/v1alpha1", "kind": "Workflow",
            "metadata": {"name": "audit", "namespace": "compliance", "uid": "0a1b2c3d"},
            "spec": {"steps": [], "parameters": [{"name": "limit", "value": 5}, {"name": "tree"}]},
            "status": status
        }))
        .unwrap()
    }

    fn params(list: &[&str]) -> Vec<String> {
        list.iter().map(|param| (*param).to_owned()).collect()
    }

    #[test]
    fn a_request_names_its_run_and_carries_the_values() {
        let request = run(&workflow(&json!({})), "nightly", Map::new(), &params(&["tree=main", "limit=7"])).unwrap();
        assert_eq!(request.run, "audit-0a1b2-nightly");
        let annotations = request.annotations.unwrap();
        assert_eq!(annotations["tetrarch.dev/run"], "nightly");
        let values: Value = serde_json::from_str(annotations["tetrarch.dev/run-parameters"].as_str().unwrap()).unwrap();
        assert_eq!(values, json!({"tree": "main", "limit": 7}));
    }

    #[test]
    fn a_run_like_an_earlier_one_changes_only_what_is_given() {
        let like = Map::from_iter([("tree".to_owned(), json!("old")), ("limit".to_owned(), json!(9))]);
        let request = run(&workflow(&json!({})), "again", like, &params(&["limit=7"])).unwrap();
        let values = request.annotations.unwrap()["tetrarch.dev/run-parameters"].as_str().unwrap().to_owned();
        assert_eq!(serde_json::from_str::<Value>(&values).unwrap(), json!({"tree": "old", "limit": 7}));
    }

    #[rstest::rstest]
    #[case("x", &["tree=a", "size=1"], "write one of limit, tree")]
    #[case("x", &[], "add --param tree=VALUE")]
    #[case("x", &["tree"], "write name=value")]
    #[case("Nightly!", &["tree=a"], "makes no run id")]
    fn a_senseless_request_is_refused_with_the_remedy(#[case] id: &str, #[case] list: &[&str], #[case] remedy: &str) {
        let error = run(&workflow(&json!({})), id, Map::new(), &params(list)).unwrap_err();
        assert!(error.contains(remedy), "{error}");
    }

    #[test]
    fn the_same_request_is_made_once() {
        let seen = workflow(&json!({"run": {"id": "audit-0a1b2-seen", "phase": "Running"}}));
        let again = run(&seen, "seen", Map::new(), &params(&["tree=a"])).unwrap();
        assert_eq!(again, Request { run: "audit-0a1b2-seen".to_owned(), annotations: None });
    }

    #[test]
    fn what_has_ended_is_not_cancelled() {
        let ended = workflow(&json!({"run": {"id": "audit-0a1b2-g1", "phase": "Succeeded"}}));
        assert!(cancel(&ended, None).unwrap_err().contains("ended already: Succeeded"));
        let going = workflow(&json!({"run": {"id": "audit-0a1b2-g1", "phase": "Running"}}));
        assert_eq!(cancel(&going, None).unwrap().annotations, Some(json!({"tetrarch.dev/cancel": "audit-0a1b2-g1"})));
        assert!(cancel(&workflow(&json!({})), None).unwrap_err().contains("no run to cancel"));
    }

    #[test]
    fn an_old_run_is_not_the_end_while_a_new_one_is_still_to_start() {
        let ready = |reason: &str| json!({"type": "Ready", "status": "False", "reason": reason, "message": "", "lastTransitionTime": "2026-11-21T10:00:00Z"});
        let mut object = workflow(&json!({"observedGeneration": 1, "conditions": [ready("RunSucceeded")]}));
        object.metadata.generation = Some(1);
        assert!(is_settled(&object));
        object.metadata.generation = Some(2);
        assert!(!is_settled(&object));
        let pending = workflow(&json!({"observedGeneration": 1, "conditions": [ready("RunPending")]}));
        assert!(!is_settled(&pending));
        assert!(!is_settled(&Workflow { status: None, ..pending }));
    }

    #[test]
    fn ids_made_from_the_time_are_valid_and_in_order() {
        let at = |millis| id_at(Timestamp::from_millisecond(millis).unwrap());
        assert_eq!(at(1_795_255_200_123), "20261121-100000-123");
        assert!(at(1_795_255_200_123) < at(1_795_255_200_124));
    }
}
