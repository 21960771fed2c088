//! The runs that are wanted: that of the generation, and what people ask for in annotations.

use std::collections::BTreeMap;

use kube_core::{Resource, ResourceExt};
use serde_json::Value;
use tetrarch_core::{
    id::{Name, RunId},
    workflow::definition::Definition,
};
use tetrarch_crds::{Workflow, workflow::StartPolicy};
use tetrarch_protocol::{control::Control, request::Ask, snapshot::RunRequest};

use super::control;
use crate::{
    names,
    reason::{Finding, Reason},
    request,
};

/// What is to be handed to the Supervisor, and what could not be read.
#[derive(Default)]
pub(super) struct Requests {
    pub(super) runs: Vec<RunRequest>,
    pub(super) cancel: Vec<RunId>,
    pub(super) control: Control,
    pub(super) refused: Vec<Finding>,
}

/// Reads what is wanted. A request that cannot be read is left out and told; the others go on.
pub(super) fn read(object: &Workflow, definition: &Definition) -> Requests {
    let mut requests = Requests::default();
    let (workflow, uid) = (object.name_any(), object.meta().uid.clone().unwrap_or_default());
    if object.spec.start == StartPolicy::OnApply
        && let Ok(run) = names::generation_run(&workflow, &uid, definition.generation).parse()
    {
        let cause = format!("generation {}", definition.generation);
        requests.runs.push(RunRequest { run, parameters: BTreeMap::new(), cause, stamp: None });
    }
    if let Some(request) = object.annotations().get(names::ANNOTATION_RUN) {
        match requested(object, definition, request) {
            Ok(run) => requests.runs.push(run),
            Err(message) => requests.refused.push(Finding::new(Reason::InvalidRequest, message)),
        }
    }
    if let Some(run) = object.annotations().get(names::ANNOTATION_CANCEL) {
        match run.parse() {
            Ok(run) => requests.cancel.push(run),
            Err(error) => {
                let message = format!(
                    "metadata.annotations[{}]: {error}: write a run id as status.run.id shows it",
                    names::ANNOTATION_CANCEL
                );
                requests.refused.push(Finding::new(Reason::InvalidRequest, message));
            }
        }
    }
    let (control, refused) = control::read(object);
    requests.control = control;
    requests.refused.extend(refused.into_iter().map(|message| Finding::new(Reason::InvalidRequest, message)));
    requests
}

fn requested(object: &Workflow, definition: &Definition, written: &str) -> Result<RunRequest, String> {
    let path = format!("metadata.annotations[{}]", names::ANNOTATION_RUN);
    let request: Name = written.parse().map_err(|error| format!("{path}: {error}"))?;
    let uid = object.meta().uid.clone().unwrap_or_default();
    let run = names::requested_run(&object.name_any(), &uid, request.as_str());
    let run = run.parse().map_err(|error| format!("{path}: {error}"))?;
    let parameters = parameters(object, definition)?;
    let stamped = request::stamped(object.metadata.annotations.as_ref());
    let stamp = request::stamp_of(&stamped, Ask::Run, written);
    let cause = request::cause(&format!("request {request}"), stamp.as_ref());
    Ok(RunRequest { run, parameters, cause, stamp })
}

fn parameters(object: &Workflow, definition: &Definition) -> Result<BTreeMap<String, Value>, String> {
    let path = format!("metadata.annotations[{}]", names::ANNOTATION_RUN_PARAMETERS);
    let given: BTreeMap<String, Value> = match object.annotations().get(names::ANNOTATION_RUN_PARAMETERS) {
        Some(text) => serde_json::from_str(text).map_err(|error| {
            format!("{path}: is no JSON object ({error}): write one such as {{\"name\": \"value\"}}")
        })?,
        None => BTreeMap::new(),
    };
    if let Some(unknown) = given.keys().find(|name| !definition.parameters.contains_key(*name)) {
        let known: Vec<&str> = definition.parameters.keys().map(String::as_str).collect();
        return Err(format!("{path}: there is no parameter {unknown:?}: write one of [{}]", known.join(", ")));
    }
    let missing = definition.parameters.iter().find(|(name, value)| value.is_none() && !given.contains_key(*name));
    match missing {
        Some((name, _)) => Err(format!("{path}: parameter {name:?} has no default: give it a value here")),
        None => Ok(given),
    }
}

/// Ids of the runs that are wanted now, the most recent wish last.
pub fn wanted_runs(object: &Workflow) -> Vec<String> {
    let (workflow, uid) = (object.name_any(), object.meta().uid.clone().unwrap_or_default());
    let generation = (object.spec.start == StartPolicy::OnApply)
        .then(|| names::generation_run(&workflow, &uid, object.metadata.generation.unwrap_or_default()));
    let requested =
        object.annotations().get(names::ANNOTATION_RUN).map(|request| names::requested_run(&workflow, &uid, request));
    // A run that is opened again is wanted as it was when it was new, and whatever was asked for since is the more recent wish.
    control::retried(object).into_iter().chain(generation).chain(requested).collect()
}
