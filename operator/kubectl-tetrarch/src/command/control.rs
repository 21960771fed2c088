//! `pause`, `resume` and `terminate`: asking something of a run that exists.

use serde_json::json;
use tetrarch_crds::Workflow;

use crate::{
    args::{
        Format,
        control::{Of, Pause, Resume, Terminate},
    },
    cluster::Cluster,
    command::{
        ask::{ask, until_cancelled},
        formatted,
    },
    exit::Exit,
    failure::Error,
    request::{Request, control},
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
