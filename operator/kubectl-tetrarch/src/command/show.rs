//! `tree`, `get` and `journal`: showing what is there.

use std::{fmt::Debug, time::Duration};

use jiff::Timestamp;
use kube::{ResourceExt as _, core::NamespaceResourceScope};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tetrarch_crds::{
    AgentPool, Domain, Orchestrator, Supervisor, Workflow,
    workflow::{RunPhase, RunStatus},
};
use tetrarch_plan::names::DEFAULT_SUPERVISOR;

use crate::{
    args::{Format, Get, Journal, Kind, Tree},
    cluster::{Cluster, Scope},
    command::formatted,
    exit::Exit,
    failure::Error,
    pod, request,
    screen::Screen,
    view::{
        hierarchy::{self, Fleet},
        list::{self, Layout, Listed},
        run, time,
    },
};

/// How often `tree --watch` looks.
const LOOK: Duration = Duration::from_secs(2);

/// Shows the hierarchy.
pub async fn tree(cluster: &Cluster, args: &Tree) -> Result<Exit, Error> {
    let mut screen = Screen::stdout();
    let mut last = String::new();
    loop {
        let levels = fleet(cluster).await?.levels(args.orchestrator.as_deref());
        if levels.is_empty() {
            return Err(Error::Request(match &args.orchestrator {
                Some(name) => format!("there is no Orchestrator {name:?}: see `kubectl tetrarch get orchestrators`"),
                None => {
                    "there is no Orchestrator yet: apply one, for example of config/samples/licence-audit".to_owned()
                }
            }));
        }
        if let Some(format @ (Format::Json | Format::Yaml)) = args.format {
            screen.print(&formatted(&levels, format)?)?;
            return Ok(Exit::Success);
        }
        let text = hierarchy::render(&levels, args.format == Some(Format::Wide), Timestamp::now(), screen.style());
        if !args.watch {
            screen.print(&text)?;
            return Ok(Exit::Success);
        }
        if screen.live {
            screen.redraw(&text)?;
        } else if text != last {
            screen.print(&format!("{text}\n"))?;
            last = text;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Success),
        }
    }
}

/// Everything that may be seen: the whole hierarchy, or what is in the namespace when the rest is not allowed.
async fn fleet(cluster: &Cluster) -> Result<Fleet, Error> {
    let whole = tokio::try_join!(
        cluster.list::<Orchestrator>(),
        cluster.list::<Domain>(),
        cluster.list_in::<Supervisor>(Scope::All),
        cluster.list_in::<AgentPool>(Scope::All)
    );
    match whole {
        Ok((orchestrators, domains, supervisors, pools)) => {
            let mut fleet = Fleet { orchestrators, domains, supervisors, pools };
            if cluster.explicit {
                fleet.narrow(&cluster.namespace);
            }
            Ok(fleet)
        }
        Err(refused) => {
            let part = tokio::try_join!(
                cluster.list_in::<Supervisor>(Scope::Namespace),
                cluster.list_in::<AgentPool>(Scope::Namespace)
            );
            let (supervisors, pools) = part.map_err(|_| refused)?;
            Ok(Fleet { supervisors, pools, ..Fleet::default() })
        }
    }
}

/// Shows objects of one kind.
pub async fn get(cluster: &Cluster, args: &Get) -> Result<Exit, Error> {
    match args.kind {
        Kind::Orchestrators => show(&picked(cluster.list::<Orchestrator>().await?, args)?, args, false),
        Kind::Domains => show(&picked(cluster.list::<Domain>().await?, args)?, args, false),
        Kind::Supervisors => namespaced::<Supervisor>(cluster, args).await,
        Kind::Pools => namespaced::<AgentPool>(cluster, args).await,
        Kind::Workflows | Kind::Runs => match &args.name {
            Some(name) => one_workflow(cluster, args, name).await,
            None if args.kind == Kind::Runs && plain(args) => {
                let workflows = cluster.list_in::<Workflow>(scope(args)).await?;
                let mut screen = Screen::stdout();
                screen.print(&list::render_runs(&workflows, layout(args, args.all_namespaces, &screen)))?;
                Ok(Exit::Success)
            }
            None if args.kind == Kind::Runs => {
                let workflows = cluster.list_in::<Workflow>(scope(args)).await?;
                let runs: Vec<_> = workflows.iter().filter_map(request::latest).collect();
                Screen::stdout().print(&formatted(&runs, args.format.unwrap_or(Format::Json))?)?;
                Ok(Exit::Success)
            }
            None => namespaced::<Workflow>(cluster, args).await,
        },
    }
}

async fn namespaced<K>(cluster: &Cluster, args: &Get) -> Result<Exit, Error>
where
    K: Listed
        + kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned,
{
    show(&picked(cluster.list_in::<K>(scope(args)).await?, args)?, args, args.all_namespaces)
}

fn scope(args: &Get) -> Scope {
    if args.all_namespaces { Scope::All } else { Scope::Namespace }
}

fn plain(args: &Get) -> bool {
    !matches!(args.format, Some(Format::Json | Format::Yaml))
}

fn layout(args: &Get, namespaces: bool, screen: &Screen) -> Layout {
    Layout { namespaces, wide: args.format == Some(Format::Wide), now: Timestamp::now(), style: screen.style() }
}

fn picked<K: kube::Resource<DynamicType = ()>>(objects: Vec<K>, args: &Get) -> Result<Vec<K>, Error> {
    let Some(name) = &args.name else { return Ok(objects) };
    let found: Vec<K> = objects.into_iter().filter(|object| object.name_any() == *name).collect();
    if found.is_empty() {
        let kind = K::kind(&());
        return Err(Error::Request(format!(
            "there is no {kind} {name:?} here: leave the name out to see what there is, or add -A"
        )));
    }
    Ok(found)
}

fn show<K: Listed + Serialize>(objects: &[K], args: &Get, namespaces: bool) -> Result<Exit, Error> {
    let mut screen = Screen::stdout();
    let text = match (args.format, objects) {
        (Some(format @ (Format::Json | Format::Yaml)), [one]) if args.name.is_some() => formatted(one, format)?,
        (Some(format @ (Format::Json | Format::Yaml)), all) => {
            formatted(&json!({"apiVersion": "v1", "kind": "List", "items": all}), format)?
        }
        _ => list::render(objects, layout(args, namespaces, &screen)),
    };
    screen.print(&text)?;
    Ok(Exit::Success)
}

async fn one_workflow(cluster: &Cluster, args: &Get, name: &str) -> Result<Exit, Error> {
    let workflow = cluster.workflow(name).await?;
    let mut screen = Screen::stdout();
    let text = match args.format {
        _ if args.output => output(cluster, &workflow, args.run.as_deref()).await?,
        Some(format @ (Format::Json | Format::Yaml)) if args.kind == Kind::Runs => {
            let mut run = serde_json::to_value(latest(&workflow)?).map_err(|error| Error::Format(error.to_string()))?;
            let is_whole = run.get("output").is_some() || run.get("outputsRemovedAt").is_some();
            if run["phase"] == "Succeeded" && !is_whole {
                let whole = output(cluster, &workflow, None).await?;
                run["output"] =
                    serde_json::from_str::<Value>(&whole).map_err(|error| Error::Format(error.to_string()))?;
            }
            formatted(&run, format)?
        }
        Some(format @ (Format::Json | Format::Yaml)) => formatted(&workflow, format)?,
        _ => {
            let others = begun_by(cluster, &workflow).await?;
            run::render_among(&workflow, &others, args.format == Some(Format::Wide), Timestamp::now(), screen.style())
        }
    };
    screen.print(&text)?;
    Ok(Exit::Success)
}

/// The Workflows that may hold the runs that this one's run began.
async fn begun_by(cluster: &Cluster, workflow: &Workflow) -> Result<Vec<Workflow>, Error> {
    match request::latest(workflow) {
        Some(run) if run.steps.iter().any(|step| step.run.is_some()) => cluster.list_in(Scope::Namespace).await,
        _ => Ok(Vec::new()),
    }
}

fn latest(workflow: &Workflow) -> Result<&RunStatus, Error> {
    request::latest(workflow).ok_or_else(|| {
        let name = workflow.name_any();
        Error::Request(format!("the Workflow {name:?} has no run yet: ask for one with `kubectl tetrarch run {name}`"))
    })
}

/// The output of a run: from the status when it is there, else from the Supervisor.
async fn output(cluster: &Cluster, workflow: &Workflow, run: Option<&str>) -> Result<String, Error> {
    let latest = latest(workflow)?;
    let run = run.unwrap_or(&latest.id);
    if run == latest.id {
        if let Some(output) = &latest.output {
            return formatted(output, Format::Json);
        }
        if let Some(why) = without_output(latest) {
            return Err(Error::Request(why));
        }
    }
    text(pod::ask(cluster, &supervisor(workflow), "output", run).await?)
}

/// Why there is no output to ask for.
fn without_output(run: &RunStatus) -> Option<String> {
    let id = &run.id;
    if let Some(removed) = &run.outputs_removed_at {
        let when = time::moment(removed);
        return Some(format!("the outputs of the run {id:?} were removed {when}, as spec.keepOutputsFor says"));
    }
    (run.phase != RunPhase::Succeeded).then(|| format!("the run {id:?} has no output: it is {:?}", run.phase))
}

/// Prints the journal of a run.
pub async fn journal(cluster: &Cluster, args: &Journal) -> Result<Exit, Error> {
    let workflow = cluster.workflow(&args.workflow).await?;
    let run = named(&workflow, args.run.as_deref())?;
    let lines = text(pod::ask(cluster, &supervisor(&workflow), "journal", run).await?)?;
    Screen::stdout().print(&lines)?;
    Ok(Exit::Success)
}

/// The named run, or the latest one.
pub fn named<'a>(workflow: &'a Workflow, run: Option<&'a str>) -> Result<&'a str, Error> {
    run.map_or_else(|| latest(workflow).map(|latest| latest.id.as_str()), Ok)
}

fn text(bytes: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(bytes).map_err(|error| Error::Format(error.to_string()))
}

/// The Supervisor that drives the runs of a Workflow.
pub fn supervisor(workflow: &Workflow) -> String {
    let observed = workflow.status.as_ref().and_then(|status| status.supervisor.clone());
    let written = workflow.spec.supervisor_ref.as_ref().map(|reference| reference.name.clone());
    observed.or(written).unwrap_or_else(|| DEFAULT_SUPERVISOR.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_an_output_says_why() {
        let run = |fields: Value| -> RunStatus {
            let mut run = json!({"id": "audit-1", "phase": "Succeeded"});
            run.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            serde_json::from_value(run).unwrap()
        };
        assert_eq!(without_output(&run(json!({}))), None);
        let failed = without_output(&run(json!({"phase": "Failed"}))).unwrap();
        assert_eq!(failed, "the run \"audit-1\" has no output: it is Failed");
        let removed = without_output(&run(json!({"outputsRemovedAt": "2026-11-21T09:00:00Z"}))).unwrap();
        assert!(removed.contains("were removed 2026-11-21 09:00:00 UTC, as spec.keepOutputsFor says"), "{removed}");
    }
}
