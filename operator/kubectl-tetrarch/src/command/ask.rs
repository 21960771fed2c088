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

/// How often a request is repeated because somebody else wrote to the Workflow in that moment.
const CONFLICTS: u32 = 5;
/// Pause before the first of these, which grows with each.
const PAUSE: Duration = Duration::from_millis(100);

/// Asks for a run and prints its id.
pub async fn run(cluster: &Cluster, args: &Run) -> Result<Exit, Error> {
    let id = args.id.clone().unwrap_or_else(|| request::id_at(Timestamp::now()));
    let like = match &args.like {
        Some(run) => values_of(cluster, &cluster.workflow(&args.workflow).await?, run).await?,
        None => Map::new(),
    };
    let run = ask(cluster, &args.workflow, |workflow| request::run(workflow, &id, like.clone(), &args.param)).await?;
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
    request: impl Fn(&Workflow) -> Result<Request, String>,
) -> Result<String, Error> {
    Ok(write(cluster, workflow, request).await?.1.run)
}

/// The same, with the Workflow as it was when it was asked. What others write to it meanwhile, such as the operator to a new one, is no reason
/// to give up.
pub async fn write(
    cluster: &Cluster,
    workflow: &str,
    request: impl Fn(&Workflow) -> Result<Request, String>,
) -> Result<(Workflow, Request), Error> {
    let mut conflicts = 0;
    loop {
        let workflow = cluster.workflow(workflow).await?;
        let request = request(&workflow).map_err(Error::Request)?;
        let written = match &request.annotations {
            Some(annotations) => cluster.annotate(&workflow, annotations).await.map(|_| ()),
            None => Ok(()),
        };
        match written {
            Err(Error::Changed(_)) if conflicts < CONFLICTS => conflicts += 1,
            written => return written.map(|()| (workflow, request)),
        }
        tokio::time::sleep(PAUSE * conflicts).await;
    }
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use serde_json::json;
    use tetrarch_testkit::fake_api::FakeApi;

    use super::*;

    /// Asks for a run of a Workflow to which the operator writes so many times, each just before the request is written.
    async fn asked_while_the_operator_writes(times: u32) -> (Result<String, Error>, FakeApi) {
        let api = FakeApi::default();
        let object = |seen: u32| {
            json!({
                "apiVersion": "tetrarch.dev/v1alpha1", "kind": "Workflow",
                "metadata": {"name": "audit", "namespace": "space", "uid": "0a1b2c3d"},
                "spec": {"steps": []}, "status": {"observedGeneration": seen},
            })
        };
        api.put("workflows", &object(0));
        let cluster = Cluster { client: api.client(), namespace: "space".to_owned(), explicit: true };
        let written = AtomicU32::new(0);
        let asked = ask(&cluster, "audit", |workflow| {
            if written.fetch_add(1, Ordering::SeqCst) < times {
                api.put("workflows", &object(written.load(Ordering::SeqCst)));
            }
            request::run(workflow, "one", Map::new(), &[])
        });
        (asked.await, api)
    }

    #[tokio::test]
    async fn a_request_for_a_run_that_meets_a_write_of_the_operator_is_made_again() {
        let (asked, api) = asked_while_the_operator_writes(2).await;
        assert_eq!(asked.unwrap(), "audit-0a1b2-one");
        let stored = api.get("workflows", Some("space"), "audit").unwrap();
        assert_eq!(stored["metadata"]["annotations"]["tetrarch.dev/run"], "one");
    }

    #[tokio::test]
    async fn who_always_comes_too_late_is_told() {
        let (asked, _) = asked_while_the_operator_writes(u32::MAX).await;
        assert!(asked.unwrap_err().to_string().contains("try again"));
    }
}
