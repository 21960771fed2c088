//! `plan`: a Workflow for a goal in words. Nothing is written to the cluster: people read the plan, check it and apply it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
};

use kube::ResourceExt as _;
use serde_json::Value;
use tetrarch_core::{
    decompose::{self, Complexity, Goal, Past, Pattern},
    id::Name,
};
use tetrarch_crds::{AgentPool, Workflow, workflow::RunPhase};
use tetrarch_plan::names;

use crate::{
    args::{
        Access,
        plan::{Form, Plan},
    },
    cluster::{self, Cluster, Scope},
    command::serialized,
    exit::{self, Exit},
    failure::Error,
    proposal::{self, Place},
    request,
    screen::Screen,
};

/// Prints the Workflow for a goal.
pub async fn plan(access: &Access, args: &Plan) -> Result<Exit, Error> {
    let text = goal(args)?;
    let inputs: BTreeMap<String, Value> =
        request::values(&args.param).map_err(Error::Unreadable)?.into_iter().collect();
    let (capabilities, past, namespace) = if args.capability.is_empty() {
        let cluster = cluster::connect(access).await?;
        let capabilities = offered(&cluster, args.supervisor.as_deref()).await?;
        (capabilities, past(&cluster.list_in(Scope::Namespace).await?), cluster.namespace)
    } else {
        let named = args.capability.iter().map(|name| name.parse()).collect::<Result<Vec<Name>, _>>();
        let named = named.map_err(|error| Error::Unreadable(format!("--capability {error}")))?;
        (named, Vec::new(), access.namespace.clone().unwrap_or_else(|| "default".to_owned()))
    };
    let goal = Goal { text: &text, inputs: &inputs, capabilities: &capabilities, past: &past };
    let plan = decompose::decompose(goal).map_err(|error| Error::Request(error.to_string()))?;
    let place = Place { name: &args.name, namespace: &namespace, supervisor: args.supervisor.as_deref() };
    let manifest = proposal::manifest(&plan, &inputs, place);
    let explanation = proposal::explanation(&plan);
    let printed = match args.format {
        Form::Text => explanation,
        Form::Json => serialized(&manifest, false)?,
        Form::Yaml => {
            let comments: Vec<String> = explanation.lines().map(|line| format!("# {line}")).collect();
            format!("{}\n{}", comments.join("\n"), serialized(&manifest, true)?)
        }
    };
    Screen::stdout().print(&printed)?;
    Ok(Exit::Success)
}

fn goal(args: &Plan) -> Result<String, Error> {
    let unreadable = |error: io::Error| Error::Unreadable(format!("cannot read the goal: {error}"));
    match (&args.goal, &args.file) {
        (Some(goal), _) => Ok(goal.clone()),
        (None, Some(path)) if path == Path::new("-") => io::read_to_string(io::stdin()).map_err(unreadable),
        (None, Some(path)) => fs::read_to_string(path).map_err(unreadable),
        (None, None) => Ok(String::new()),
    }
}

/// What the pools of the Supervisor can do; without one, what all pools of the namespace can do.
async fn offered(cluster: &Cluster, supervisor: Option<&str>) -> Result<Vec<Name>, Error> {
    let pools: Vec<AgentPool> = cluster.list_in(Scope::Namespace).await?;
    let is_wanted = |pool: &&AgentPool| {
        let of = pool.spec.supervisor_ref.as_ref().map(|reference| reference.name.as_str());
        supervisor.is_none() || of.is_none() || of == supervisor
    };
    let offered: BTreeSet<Name> = pools
        .iter()
        .filter(is_wanted)
        .flat_map(|pool| &pool.spec.capabilities)
        .filter_map(|capability| capability.name.parse().ok())
        .collect();
    if offered.is_empty() {
        return Err(Error::Request(format!(
            "no AgentPool in namespace {:?} has a capability: choose another namespace with -n, or name capabilities with --capability",
            cluster.namespace
        )));
    }
    Ok(offered.into_iter().collect())
}

/// How the latest runs of former plans ended, for each pattern and class of work.
fn past(workflows: &[Workflow]) -> Vec<Past> {
    let mut past = Vec::new();
    for workflow in workflows {
        let annotation = |name: &str| workflow.annotations().get(name).cloned().map(Value::String);
        let pattern = annotation(names::ANNOTATION_PLANNED_PATTERN).map(serde_json::from_value::<Pattern>);
        let complexity = annotation(names::ANNOTATION_PLANNED_COMPLEXITY).map(serde_json::from_value::<Complexity>);
        let run = workflow.status.as_ref().and_then(|status| status.run.as_ref());
        let (Some(Ok(pattern)), Some(Ok(complexity)), Some(run)) = (pattern, complexity, run) else { continue };
        if exit::is_final(run.phase) {
            let time = run.started_at.as_ref().zip(run.finished_at.as_ref());
            let took = time.map_or(0, |(from, to)| to.0.duration_since(from.0).as_millis());
            let took_ms = u64::try_from(took).unwrap_or_default();
            Past::note(&mut past, (pattern, complexity), run.phase == RunPhase::Succeeded, took_ms);
        }
    }
    past
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workflow(pattern: &str, phase: &str) -> Workflow {
        let annotations = json!({"tetrarch.dev/planned-pattern": pattern, "tetrarch.dev/planned-complexity": "Simple"});
        serde_json::from_value(json!({
            "apiVersion": "tetrarch.dev/v1alpha1", "kind": "Workflow",
            "metadata": {"name": "w", "annotations": annotations}, "spec": {"steps": []},
            "status": {"run": {"id": "w-1", "phase": phase}}
        }))
        .unwrap()
    }

    #[test]
    fn the_past_counts_plans_whose_run_has_ended() {
        let workflows = [
            workflow("Pipeline", "Succeeded"),
            workflow("Pipeline", "Failed"),
            workflow("Pipeline", "Running"),
            workflow("Dag", "Succeeded"),
            workflow("Handmade", "Succeeded"),
        ];
        let of =
            |pattern, runs, succeeded| Past { pattern, complexity: Complexity::Simple, runs, succeeded, took_ms: 0 };
        assert_eq!(past(&workflows), [of(Pattern::Pipeline, 2, 1), of(Pattern::Dag, 1, 1)]);
    }
}
