//! What a Supervisor needs to take webhooks: their secrets as files, a port, and a Service. Without a webhook it has none of it.
//!
//! The kubelet mounts the keys that the triggers name, and nothing else; so neither operator nor supervisor may read a Secret. It brings
//! a change into the running pod. Only when the triggers change do the pods, one after the other.

use std::{collections::BTreeMap, sync::Arc};

use kube_core::ResourceExt;
use serde_json::{Value, json};
use tetrarch_crds::{Workflow, workflow::SecretKey};

use crate::{
    build::pod,
    hierarchy, names,
    object::{Kind, Object, ObjectKey, is_deleting},
};

/// The secrets of the webhooks of a Supervisor, by Workflow and trigger.
pub type Secrets = BTreeMap<(String, String), SecretKey>;

/// The webhooks of a Supervisor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks(Secrets);

/// Those of a Supervisor.
pub fn of(supervisor: &str, workflows: &[Arc<Workflow>]) -> Hooks {
    let own = workflows.iter().filter(|workflow| {
        hierarchy::belongs_to(workflow.spec.supervisor_ref.as_ref(), supervisor) && !is_deleting(workflow.as_ref())
    });
    let hooks = own.flat_map(|workflow| {
        let name = workflow.name_any();
        hierarchy::webhooks(workflow).map(move |(trigger, secret)| ((name.clone(), trigger.to_owned()), secret.clone()))
    });
    Hooks(hooks.collect())
}

impl Hooks {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A file for each secret, and the certificate if somebody makes one. None of them has to be there.
    pub(super) fn volumes(&self, supervisor: &str) -> Vec<Value> {
        if self.is_empty() {
            return Vec::new();
        }
        let sources = self.0.iter().map(|((workflow, trigger), secret)| {
            let item = json!({ "key": secret.key, "path": format!("{workflow}/{trigger}") });
            json!({ "secret": { "name": secret.name, "optional": true, "items": [item] } })
        });
        let sources: Vec<Value> = sources.collect();
        let certificate = names::supervisor_hooks_tls(supervisor);
        vec![
            json!({ "name": names::VOLUME_HOOKS, "projected": { "defaultMode": 0o444, "sources": sources } }),
            json!({
                "name": names::VOLUME_HOOKS_TLS,
                "secret": { "secretName": certificate, "optional": true, "defaultMode": 0o444 },
            }),
        ]
    }

    /// Where the container sees them.
    pub(super) fn mounts(&self) -> Vec<Value> {
        let all =
            [(names::VOLUME_HOOKS, names::HOOKS_MOUNT_PATH), (names::VOLUME_HOOKS_TLS, names::HOOKS_TLS_MOUNT_PATH)];
        let mounts = all.iter().filter(|_| !self.is_empty());
        mounts.map(|(name, path)| json!({ "name": name, "mountPath": path, "readOnly": true })).collect()
    }

    /// What tells the runtime to take them.
    pub(super) fn environment(&self) -> Option<Value> {
        let address = format!("0.0.0.0:{}", names::SUPERVISOR_HOOKS_PORT);
        (!self.is_empty()).then(|| pod::variable("TETRARCH_HOOKS_ADDR", &address))
    }

    /// The container's port.
    pub(super) fn port(&self) -> Option<Value> {
        (!self.is_empty()).then(|| pod::port("hooks", names::SUPERVISOR_HOOKS_PORT))
    }

    /// What an Ingress sends them to.
    pub(super) fn service(
        &self,
        namespace: &str,
        supervisor: &str,
        metadata: &Value,
        selector: &BTreeMap<String, String>,
    ) -> Option<Object> {
        let name = names::service(&names::supervisor_hooks(supervisor));
        let port = names::SUPERVISOR_HOOKS_PORT;
        (!self.is_empty()).then(|| {
            Object::new(
                ObjectKey::namespaced(Kind::Service, namespace, name),
                json!({
                    "metadata": metadata,
                    "spec": {
                        "selector": selector,
                        "ports": [{
                            "name": "hooks", "port": 443, "targetPort": port, "protocol": "TCP", "appProtocol": "https",
                        }],
                    },
                }),
            )
        })
    }
}
