//! `pause`, `resume`, `retry`, `resolve` and `terminate`: asking something of a run that exists.

use jiff::Timestamp;
use serde_json::json;
use tetrarch_crds::Workflow;

use crate::{
    args::{
        Format,
        control::{Found, Of, Pause, Resolve, Resume, Retry, Terminate},
    },
    cluster::Cluster,
    command::{
        ask::{ask, until_cancelled, write},
        follow::{self, Show, Wanted},
        formatted,
    },
    exit::Exit,
    failure::Error,
    request::{Request, control, id_at, latest},
    screen::Screen,
};

/// Asks to pause a run.
pub async fn pause(cluster: &Cluster, args: &Pause) -> Result<Exit, Error> {
    let run = ask_of(cluster, &args.of, control::pause).await?;
    tell(&args.of, &run, "pause", "is to be paused")
}

/// Asks to let a paused run go on.
pub async fn resume(cluster: &Cluster, args: &Resume) -> Result<Exit, Error> {
    let run = ask_of(cluster, &args.of, control::resume).await?;
    tell(&args.of, &run, "resume", "is to go on")
}

/// Asks to open a run again.
pub async fn retry(cluster: &Cluster, args: &Retry) -> Result<Exit, Error> {
    let id = args.id.clone().unwrap_or_else(|| id_at(Timestamp::now()));
    let asked = |workflow: &Workflow| control::retry(workflow, args.of.run.as_deref(), &id);
    let (workflow, request) = write(cluster, &args.of.workflow, asked).await?;
    if !args.wait {
        return tell(&args.of, &request.run, "retry", "is to be opened again");
    }
    // An earlier end of the same run is not the one that is waited for.
    let before = latest(&workflow).filter(|latest| latest.id == request.run).and_then(|latest| latest.retried);
    let wanted = match request.annotations {
        Some(_) => Wanted::Again(request.run, before.unwrap_or_default() + 1),
        None => Wanted::Run(request.run),
    };
    let ended = follow::until_final(cluster, &args.of.workflow, &wanted, Show::Nothing, args.timeout).await?;
    tell(&args.of, &ended.id, "retry", &format!("ended: {:?}", ended.phase))?;
    Ok(Exit::of(ended.phase))
}

/// Says how an attempt ended.
pub async fn resolve(cluster: &Cluster, args: &Resolve) -> Result<Exit, Error> {
    let run = ask(cluster, &args.workflow, |workflow| control::resolve(workflow, args)).await?;
    let of = Of { workflow: args.workflow.clone(), run: None, format: args.format };
    let found = if args.found == Found::Done { "done" } else { "not done" };
    tell(&of, &run, "resolve", &format!("goes on knowing that {} is {found}", args.task))
}

/// Asks to end a run at once.
pub async fn terminate(cluster: &Cluster, args: &Terminate) -> Result<Exit, Error> {
    let run = ask_of(cluster, &args.of, control::terminate).await?;
    if args.wait {
        return until_cancelled(cluster, &args.of.workflow, run, args.timeout).await;
    }
    tell(&args.of, &run, "terminate", "is to end at once")
}

async fn ask_of(
    cluster: &Cluster,
    of: &Of,
    request: impl Fn(&Workflow, Option<&str>) -> Result<Request, String>,
) -> Result<String, Error> {
    ask(cluster, &of.workflow, |workflow| request(workflow, of.run.as_deref())).await
}

fn tell(of: &Of, run: &str, verb: &str, what: &str) -> Result<Exit, Error> {
    let text = match of.format {
        Some(format @ (Format::Json | Format::Yaml)) => {
            formatted(&json!({"workflow": of.workflow, "run": run, "asked": verb}), format)?
        }
        _ => format!("{run} {what}\n"),
    };
    Screen::stdout().print(&text)?;
    Ok(Exit::Success)
}
