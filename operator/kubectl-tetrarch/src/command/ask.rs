//! `run` and `cancel`: asking for something, and waiting for it when wanted.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tetrarch_crds::Workflow;

use crate::{
    args::{Cancel, Run},
    cluster::Cluster,
    command::{
        follow::{self, Show, Wanted},
        show,
    },
    exit::Exit,
    failure::Error,
    pod,
    request::{self, Request},
    screen::Screen,
};

/// Asks for a run and prints its id.
pub async fn run(cluster: &Cluster, args: &Run) -> Result<Exit, Error> {
    let id = args.id.clone().unwrap_or_else(|| request::id_at(Timestamp::now()));
    let workflow = cluster.workflow(&args.workflow).await?;
    let like = match &args.like {
        Some(run) => values_of(cluster, &workflow, run).await?,
        None => Map::new(),
    };
    let run = write(cluster, &workflow, request::run(&workflow, &id, like, &args.param)).await?.run;
    Screen::stdout().print(&format!("{run}\n"))?;
    if !args.wait && !args.watch {
        return Ok(Exit::Success);
    }
    let show = if args.watch { Show::Progress } else { Show::Nothing };
    let ended = follow::until_final(cluster, &args.workflow, &Wanted::Run(run), show, args.timeout).await?;
    Ok(Exit::of(ended.phase))
}

/// The values of the parameters of an earlier run, from the first entry of its journal.
async fn values_of(cluster: &Cluster, workflow: &Workflow, run: &str) -> Result<Map<String, Value>, Error> {
    let journal = pod::ask(cluster, &show::supervisor(workflow), "journal", run).await?;
    let accepted = journal.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line: Value = serde_json::from_slice(accepted).map_err(|error| Error::Format(error.to_string()))?;
    let values = line.pointer("/body/parameters").and_then(Value::as_object).cloned().unwrap_or_default();
    // Parameters that the Workflow had then and has no more are left out.
    let declared = &workflow.spec.parameters;
    Ok(values.into_iter().filter(|(name, _)| declared.iter().any(|parameter| parameter.name == *name)).collect())
}

/// Asks to cancel a run.
pub async fn cancel(cluster: &Cluster, args: &Cancel) -> Result<Exit, Error> {
    let run = ask(cluster, &args.workflow, |workflow| request::cancel(workflow, args.run.as_deref())).await?;
    if !args.wait {
        Screen::stdout().print(&format!("{run} is to be cancelled\n"))?;
        return Ok(Exit::Success);
    }
    until_cancelled(cluster, &args.workflow, run, args.timeout).await
}

/// Writes what is asked of a Workflow, unless it is written already; the id of the run that it is about.
pub async fn ask(
    cluster: &Cluster,
    workflow: &str,
    request: impl FnOnce(&Workflow) -> Result<Request, String>,
) -> Result<String, Error> {
    let workflow = cluster.workflow(workflow).await?;
    Ok(write(cluster, &workflow, request(&workflow)).await?.run)
}

/// Writes what is asked, unless it is written already.
pub async fn write(cluster: &Cluster, workflow: &Workflow, request: Result<Request, String>) -> Result<Request, Error> {
    let request = request.map_err(Error::Request)?;
    if let Some(annotations) = &request.annotations {
        cluster.annotate(workflow, annotations).await?;
    }
    Ok(request)
}

/// Waits until a run that somebody does not want any more has ended.
pub async fn until_cancelled(cluster: &Cluster, workflow: &str, run: String, timeout: Duration) -> Result<Exit, Error> {
    let ended = follow::until_final(cluster, workflow, &Wanted::Run(run), Show::Nothing, Some(timeout)).await?;
    Screen::stdout().print(&format!("{} ended: {:?}\n", ended.id, ended.phase))?;
    Ok(match Exit::of(ended.phase) {
        Exit::Cancelled => Exit::Success,
        Exit::Success => Exit::Failure,
        other => other,
    })
}
