//! SIGKILL for the processes of a cluster: a container's by containerd on the embedded node, a whole pod's anywhere.

use std::{
    ffi::OsStr,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use crate::cluster::Cluster;

impl Cluster {
    /// Kills the process of a container with SIGKILL and without the kubelet's knowledge, as the kernel does when memory runs out. The
    /// kubelet restarts it in the same pod. On a cluster that is not the embedded one the pod is deleted without grace instead.
    pub fn kill_container(&self, namespace: &str, pod: &str, container: &str) -> Result<()> {
        let Some(name) = std::env::var_os("TETRARCH_CLUSTER_NAME") else {
            return self.kill_pod(namespace, pod);
        };
        // The kubelet may be restarting it at this very moment: then the status names the one that is gone.
        for _ in 0..20 {
            let id = self.container_id(namespace, pod, container)?;
            let killed = self.signal_container(&name, &id)?;
            if killed.status.success() {
                return Ok(());
            }
            let told = String::from_utf8_lossy(&killed.stderr).into_owned();
            ensure!(told.contains("no running task found"), "killing {container} of {pod}: {told}");
            std::thread::sleep(Duration::from_millis(500));
        }
        bail!("{container} of {pod} did not run for ten seconds")
    }

    fn container_id(&self, namespace: &str, pod: &str, container: &str) -> Result<String> {
        let object = self.get("pod", Some(namespace), pod)?.with_context(|| format!("no pod {namespace}/{pod}"))?;
        let statuses = ["containerStatuses", "initContainerStatuses"];
        let id = statuses
            .iter()
            .filter_map(|field| object["status"][field].as_array())
            .flatten()
            .find(|status| status["name"] == container)
            .and_then(|status| status["containerID"].as_str())
            .and_then(|id| id.strip_prefix("containerd://"));
        Ok(id.with_context(|| format!("pod {pod} has no container {container}"))?.to_owned())
    }

    fn signal_container(&self, cluster: &OsStr, id: &str) -> Result<Output> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cluster/cluster.sh");
        let containerd = ["--address", "/run/containerd/containerd.sock", "-n", "k8s.io"];
        let mut command = Command::new(script);
        command.args(["node", "--name"]).arg(cluster).arg("--").arg(self.tool_path("ctr")).args(containerd);
        Ok(command.args(["task", "kill", "-s", "SIGKILL", id]).output()?)
    }

    /// Kills all processes of a pod and deletes it without grace.
    pub fn kill_pod(&self, namespace: &str, pod: &str) -> Result<()> {
        self.kubectl(&["delete", "pod", pod, "-n", namespace, "--grace-period=0", "--force", "--wait=false"]).map(drop)
    }

    /// Names of the running pods that a selector finds, in the order of their names.
    pub fn pods(&self, namespace: &str, selector: &str) -> Result<Vec<String>> {
        let printed = self.kubectl(&[
            "get",
            "pods",
            "-n",
            namespace,
            "-l",
            selector,
            "--field-selector=status.phase=Running",
            "-o",
            "jsonpath={.items[*].metadata.name}",
        ])?;
        Ok(printed.split_whitespace().map(str::to_owned).collect())
    }
}
