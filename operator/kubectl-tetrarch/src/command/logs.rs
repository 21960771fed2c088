//! `logs`: what the agents' containers wrote while they worked on the tasks of a run. Which pods those are stands in the results of its journal.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;
use tetrarch_plan::names;

use crate::{
    args::{Format, history::Logs},
    cluster::Cluster,
    command::{formatted, show},
    exit::Exit,
    failure::{Asked, Error},
    pod,
    screen::Screen,
    view::worked::{self, Excerpt},
};

/// Prints the lines that belong to the tasks of a run, task by task.
pub async fn logs(cluster: &Cluster, args: &Logs) -> Result<Exit, Error> {
    let workflow = cluster.workflow(&args.workflow).await?;
    let run = show::named(&workflow, args.run.as_deref())?;
    let journal = pod::ask(cluster, &show::supervisor(&workflow), "journal", run).await?;
    let worked = worked::read(&journal, args.step.as_deref()).map_err(|error| Error::Format(error.to_string()))?;
    if worked.is_empty() {
        let of = args.step.as_ref().map(|step| format!(" of the step {step:?}")).unwrap_or_default();
        return Err(Error::Request(format!("no agent has answered a task{of} of the run {run:?} yet")));
    }
    let mut said: BTreeMap<String, Result<String, String>> = BTreeMap::new();
    for (agent, since) in worked::pods(&worked) {
        let text = read_log(cluster, &agent, since).await?;
        said.insert(agent, text);
    }
    let told: Vec<Excerpt> = worked.iter().map(|task| task.excerpt(&said)).collect();
    let text = match args.format {
        Some(format @ (Format::Json | Format::Yaml)) => formatted(&told, format)?,
        _ => worked::render(&told),
    };
    Screen::stdout().print(&text)?;
    Ok(Exit::Success)
}

/// What the agent in a pod wrote since then, with times; why there is nothing when the pod is gone.
async fn read_log(cluster: &Cluster, agent: &str, since: Timestamp) -> Result<Result<String, String>, Error> {
    let params = LogParams {
        container: Some(names::CONTAINER_AGENT.to_owned()),
        timestamps: true,
        since_time: Some(since),
        ..LogParams::default()
    };
    match cluster.api::<Pod>().logs(agent, &params).await {
        Ok(text) => Ok(Ok(text)),
        Err(kube::Error::Api(status)) if status.code == 404 => {
            Ok(Err("the pod is gone, and its log with it".to_owned()))
        }
        Err(kube::Error::Api(status)) if status.code == 400 => Ok(Err(status.message.clone())),
        Err(error) => {
            let asked =
                Asked { verb: "read", resource: "pods/log", name: Some(agent), namespace: Some(&cluster.namespace) };
            Err(asked.explain(&error))
        }
    }
}
