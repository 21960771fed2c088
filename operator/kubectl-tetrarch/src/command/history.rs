//! `runs` and `why`: the runs that are still kept, and what a Workflow waits for now.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kube::{ResourceExt as _, api::ListParams};
use serde_json::json;
use tetrarch_crds::Workflow;
use tetrarch_plan::why;
use tetrarch_protocol::inspect::Kept;

use crate::{
    args::{
        Format,
        history::{Runs, Why},
    },
    cluster::Cluster,
    command::{formatted, show},
    exit::Exit,
    failure::Error,
    pod, request,
    screen::Screen,
    view::history,
};

/// Lists the runs that Supervisors keep, the latest first.
pub async fn runs(cluster: &Cluster, args: &Runs) -> Result<Exit, Error> {
    let workflows = wanted(cluster, args).await?;
    let names: BTreeSet<String> = workflows.iter().map(kube::ResourceExt::name_any).collect();
    let supervisors: BTreeSet<String> = workflows.iter().map(show::supervisor).collect();
    let mut kept: Vec<Kept> = Vec::new();
    for supervisor in supervisors {
        let lines = pod::ask(cluster, &supervisor, "runs", "--json").await?;
        kept.extend(history::read(&lines).map_err(|error| Error::Format(error.to_string()))?);
    }
    let oldest = args.since.and_then(|since| Timestamp::now().checked_sub(since).ok());
    kept.retain(|run| names.contains(run.workflow.as_str()) && history::fits(run, &args.phase, oldest));
    kept.sort_by_key(|run| std::cmp::Reverse(run.accepted_at));
    let mut screen = Screen::stdout();
    let text = match args.format {
        Some(format @ (Format::Json | Format::Yaml)) => formatted(&kept, format)?,
        _ => history::render(&kept, Timestamp::now(), screen.style()),
    };
    screen.print(&text)?;
    Ok(Exit::Success)
}

async fn wanted(cluster: &Cluster, args: &Runs) -> Result<Vec<Workflow>, Error> {
    if let Some(name) = &args.workflow {
        return Ok(vec![cluster.workflow(name).await?]);
    }
    let params = args.selector.iter().fold(ListParams::default(), |params, selector| params.labels(selector));
    let listed = cluster.api::<Workflow>().list(&params).await;
    Ok(listed.map_err(|error| cluster.asked("list", "").explain(&error))?.items)
}

/// Says what a Workflow waits for.
pub async fn why(cluster: &Cluster, args: &Why) -> Result<Exit, Error> {
    let workflow = cluster.workflow(&args.workflow).await?;
    let said = why::why(&workflow);
    let text = match args.format {
        Some(format @ (Format::Json | Format::Yaml)) => {
            let run = request::latest(&workflow);
            let (id, phase) = (run.map(|run| run.id.clone()), run.map(|run| run.phase));
            formatted(&json!({"workflow": workflow.name_any(), "run": id, "phase": phase, "why": said}), format)?
        }
        _ => format!("{said}\n"),
    };
    Screen::stdout().print(&text)?;
    Ok(Exit::Success)
}
