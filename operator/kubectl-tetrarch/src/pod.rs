//! What only a Supervisor's own pods know: they are asked by `kubectl exec`'s protocol.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt as _,
    api::{AttachParams, ListParams},
};
use tetrarch_plan::names;
use tokio::io::AsyncReadExt as _;

use crate::{
    cluster::Cluster,
    failure::{Asked, Error},
};

/// Runs `/tetrarch-supervisor <command> <argument>` in a pod of the Supervisor and returns what it prints. A pod that is ready is asked first; one that is
/// not, because it has just lost its bus or is catching up, can often answer all the same.
pub async fn ask(cluster: &Cluster, supervisor: &str, command: &str, run: &str) -> Result<Vec<u8>, Error> {
    let pods: Api<Pod> = cluster.api();
    let asked = |verb| Asked { verb, resource: "pods", name: None, namespace: Some(&cluster.namespace) };
    let labels = selector(supervisor);
    let list =
        pods.list(&ListParams::default().labels(&labels)).await.map_err(|error| asked("list").explain(&error))?;
    let pod = list.items.iter().find(|pod| is_ready(pod)).or_else(|| list.items.iter().find(|pod| is_running(pod)));
    let pod = pod.ok_or_else(|| {
        Error::Pod(format!(
            "the Supervisor {supervisor:?} has no running pod to ask: see `kubectl get pods -n {} -l {labels}`",
            cluster.namespace
        ))
    })?;
    let params = AttachParams::default().container(names::CONTAINER_SUPERVISOR).stdin(false).stdout(true).stderr(true);
    let mut process = pods
        .exec(&pod.name_any(), ["/tetrarch-supervisor", command, run], &params)
        .await
        .map_err(|error| asked("exec into").explain(&error))?;
    let (mut stdout, mut stderr) = (process.stdout(), process.stderr());
    let status = process.take_status();
    let (mut output, mut complaint) = (Vec::new(), Vec::new());
    let read = async {
        if let Some(stdout) = &mut stdout {
            stdout.read_to_end(&mut output).await?;
        }
        Ok::<(), std::io::Error>(())
    };
    let complain = async {
        if let Some(stderr) = &mut stderr {
            stderr.read_to_end(&mut complaint).await?;
        }
        Ok::<(), std::io::Error>(())
    };
    tokio::try_join!(read, complain)?;
    let ended = match status {
        Some(status) => status.await,
        None => None,
    };
    match ended {
        Some(status) if status.status.as_deref() == Some("Success") => Ok(output),
        Some(status) => {
            let reason = reason(&String::from_utf8_lossy(&complaint)).or(status.message).unwrap_or_default();
            Err(Error::Pod(format!("the Supervisor {supervisor:?} has no {command} of the run {run:?}: {reason}")))
        }
        None => Err(Error::Pod(format!("the connection to the pod {:?} broke off: try again", pod.name_any()))),
    }
}

/// The error that a program ended with; log lines before it are left out.
fn reason(complaint: &str) -> Option<String> {
    let error = complaint.rfind("Error: ").map_or(complaint, |at| &complaint[at + "Error: ".len()..]).trim();
    (!error.is_empty()).then(|| error.to_owned())
}

fn is_running(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none()
        && pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
}

fn selector(supervisor: &str) -> String {
    let labels: BTreeMap<&str, String> = [
        (names::LABEL_COMPONENT, names::Component::Supervisor.as_str().to_owned()),
        (names::LABEL_SUPERVISOR, names::label_value(supervisor)),
    ]
    .into();
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_before_the_error_are_left_out() {
        let complaint = "10:00 INFO connected\n10:01 INFO event\nError: there is no run nope\n";
        assert_eq!(reason(complaint).as_deref(), Some("there is no run nope"));
        assert_eq!(reason("no such file").as_deref(), Some("no such file"));
        assert_eq!(reason(" \n"), None);
    }
}
