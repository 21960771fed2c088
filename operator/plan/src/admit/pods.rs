//! Pods in the namespace of a Domain: what claims to be an agent is one, and nothing slips in beside the pools.

use jiff::Timestamp;
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube_core::ResourceExt;
use serde_json::Value;
use tetrarch_core::policy::{Action, Effective, Kind, Requirement, Subject};

use super::{
    examine::{
        self, Standard, Write,
        pod::{View, images},
    },
    finding::{Against, Code, Finding},
    index::{DomainNode, Index, OrchestratorNode, PoolNode, Space},
    review::{Manifest, Operation, Review, Written},
    verdict::Verdict,
};
use crate::{
    image::repository,
    names::{CONTAINER_AGENT, CONTAINER_SIDECAR, LABEL_POOL, pool_agents, supervisor_runtime},
};

/// Who makes the pods of Deployments, in clusters with an account for each controller and without.
const CONTROLLERS: [&str; 2] =
    ["system:serviceaccount:kube-system:replicaset-controller", "system:kube-controller-manager"];

const LABEL_NAME: &str = "app.kubernetes.io/name";
const LABEL_INSTANCE: &str = "app.kubernetes.io/instance";

/// What a pod claims to be by its labels.
enum Claim<'a> {
    Agent(&'a str),
    Supervisor(&'a str),
    Nothing,
}

fn claim(pod: &Pod) -> Claim<'_> {
    let label = |key: &str| pod.labels().get(key).map(String::as_str);
    match (label(LABEL_POOL), label(LABEL_NAME), label(LABEL_INSTANCE)) {
        (Some(pool), ..) | (None, Some("tetrarch-agent"), Some(pool)) => Claim::Agent(pool),
        (None, Some("tetrarch-supervisor"), Some(supervisor)) => Claim::Supervisor(supervisor),
        _ => Claim::Nothing,
    }
}

/// Decides about a pod.
pub(super) fn decide(review: &Review, written: &Written, pod: &Pod, index: &Index, now: Timestamp) -> Verdict {
    let old = match review.old_manifest() {
        Some(Manifest::Pod(old)) => Some(old.as_ref()),
        _ => None,
    };
    let place = index.space(&review.namespace).and_then(|space| Some((space, index.domain_of(&review.namespace)?)));
    let Some((space, domain)) = place else { return Verdict::default() };
    if old.is_some_and(|old| is_same(old, pod)) {
        return Verdict::default();
    }
    let case = Case { review, written, pod, index, now, space, domain };
    match claim(pod) {
        Claim::Agent(pool) => case.agent(pool),
        Claim::Supervisor(supervisor) => case.supervisor(supervisor),
        Claim::Nothing => case.other(),
    }
}

/// Whether nothing is another than before that is looked at.
fn is_same(old: &Pod, new: &Pod) -> bool {
    let all = |pod: &Pod| {
        let images = pod.spec.as_ref().map(images).unwrap_or_default();
        images.iter().map(|(path, _, image)| (path.clone(), (*image).to_owned())).collect::<Vec<_>>()
    };
    old.labels() == new.labels() && old.owner_references() == new.owner_references() && all(old) == all(new)
}

struct Case<'a> {
    review: &'a Review,
    written: &'a Written,
    pod: &'a Pod,
    index: &'a Index,
    now: Timestamp,
    space: &'a Space,
    domain: &'a DomainNode,
}

impl Case<'_> {
    fn agent(&self, name: &str) -> Verdict {
        let Some(pool) = self.space.pool(name) else {
            return Verdict::refused(Finding::denied(
                Code::Pod,
                format!("metadata.labels[{LABEL_POOL}]"),
                format!("is {name:?}, but there is no such AgentPool in namespace {:?}", self.review.namespace),
                "leave the label to the pods of pools, and create an AgentPool for agents",
            ));
        };
        let mut denials = Vec::new();
        denials.extend(self.not_made_by(&pool_agents(name), "AgentPool", name));
        denials.extend(self.without_sidecar(name));
        let labels = self.pod.labels();
        let as_pod = pool.chain().effective(&Subject { kind: Kind::Pod, labels });
        let as_agent = pool.chain().effective(&Subject { kind: Kind::AgentPool, labels: pool.object().labels() });
        if as_pod.required(&Requirement::PoolsOnly).is_some() {
            denials.extend(self.not_by_controller(name));
        }
        if !denials.is_empty() {
            return Verdict { denials, ..Verdict::default() };
        }
        let view = |effective| View {
            effective,
            own_container: Some(CONTAINER_SIDECAR),
            signatures: &pool.object().spec.agent.signatures,
            keys: self.orchestrator().map(OrchestratorNode::keys),
            is_agent: true,
        };
        let mut found = Vec::new();
        examine::pod::examine(self.pod, &view(&as_agent), &mut found);
        let mut as_pod_found = Vec::new();
        examine::pod::examine(self.pod, &view(&as_pod), &mut as_pod_found);
        as_pod_found.extend(self.said_about_pods(&as_pod));
        as_pod_found.retain(|finding| !found.contains(finding));
        found.append(&mut as_pod_found);
        let mut verdict = sorted(found);
        // What needs an approval was approved, or is held, as the pool; its pods follow from it.
        verdict.audits.append(&mut verdict.held);
        verdict.audits.extend(self.other_image(pool));
        verdict.record = is_recorded(&as_pod);
        verdict
    }

    fn supervisor(&self, name: &str) -> Verdict {
        let mut denials = Vec::new();
        denials.extend(self.not_made_by(&supervisor_runtime(name), "Supervisor", name));
        if let Some(settings) = self.index.settings() {
            let ours = repository(&settings.supervisor_image);
            for (path, _, image) in self.pod.spec.as_ref().map(images).unwrap_or_default() {
                if repository(image) != ours {
                    denials.push(Finding::denied(
                        Code::Pod,
                        format!("{path}.image"),
                        format!(
                            "is {image:?} in a pod that claims to be of Supervisor {name:?}, whose image is {ours:?}"
                        ),
                        "leave these labels to the pods of Supervisors",
                    ));
                }
            }
        }
        Verdict { denials, ..Verdict::default() }
    }

    fn other(&self) -> Verdict {
        let effective = self.space.chain().effective(&Subject { kind: Kind::Pod, labels: self.pod.labels() });
        let mut found = Vec::new();
        if let Some(breach) = effective.required(&Requirement::PoolsOnly) {
            let against = Against {
                code: Code::Pod,
                action: breach.action,
                origin: breach.origin(),
                bound: "allows only those in this namespace".to_owned(),
                remedy: "create an AgentPool".to_owned(),
                change: "require it no longer",
            };
            let problem = "is no pod of an AgentPool or Supervisor".to_owned();
            found.push(Finding::of_policy("metadata.ownerReferences", "", problem, against));
        }
        let view = View {
            effective: &effective,
            own_container: None,
            signatures: &[],
            keys: self.orchestrator().map(OrchestratorNode::keys),
            is_agent: false,
        };
        examine::pod::examine(self.pod, &view, &mut found);
        found.extend(self.said_about_pods(&effective));
        let mut verdict = sorted(found);
        for mut finding in std::mem::take(&mut verdict.held) {
            finding.remedy = format!("{}; a pod cannot be held for an approval, an AgentPool can", finding.remedy);
            verdict.denials.push(finding);
        }
        verdict.record = is_recorded(&effective);
        verdict
    }

    fn orchestrator(&self) -> Option<&OrchestratorNode> {
        self.index.orchestrator_of(self.domain)
    }

    /// Labels, rules and conditions.
    fn said_about_pods(&self, effective: &Effective) -> Vec<Finding> {
        static NULL: Value = Value::Null;
        let Ok(manifest) = self.written.manifest() else { return Vec::new() };
        let old = match &self.review.target {
            super::review::Target::Whole { old: Some(old), .. } => old.document(),
            _ => &NULL,
        };
        let standard = Standard {
            effective,
            orchestrator: None,
            keys: None,
            domain: Some(self.domain.document()),
            write: Some(Write {
                operation: self.review.operation,
                user: &self.review.user,
                now: self.now,
                document: self.written.document(),
                old,
            }),
        };
        examine::examine(manifest, &standard)
    }

    /// A pod of ours is controlled by a `ReplicaSet` of our Deployment.
    fn not_made_by(&self, deployment: &str, kind: &str, name: &str) -> Option<Finding> {
        let is_ours = |owner: &OwnerReference| {
            owner.controller == Some(true)
                && owner.kind == "ReplicaSet"
                && owner.api_version == "apps/v1"
                && owner
                    .name
                    .strip_prefix(deployment)
                    .is_some_and(|hash| hash.starts_with('-') && !hash[1..].contains('-'))
        };
        (!self.pod.owner_references().iter().any(is_ours)).then(|| {
            Finding::denied(
                Code::Pod,
                "metadata.ownerReferences",
                format!("name no ReplicaSet of Deployment {deployment:?}, but by its labels this is a pod of {kind} {name:?}"),
                format!("leave these labels to the pods of the {kind}, and change its size to get more of them"),
            )
        })
    }

    fn not_by_controller(&self, pool: &str) -> Option<Finding> {
        let user = &self.review.user.name;
        (self.review.operation == Operation::Create && !CONTROLLERS.contains(&user.as_str())).then(|| {
            Finding::denied(
                Code::Pod,
                "metadata.ownerReferences",
                format!("user {user:?} creates a pod of AgentPool {pool:?}, but a policy allows only pods that the pool makes itself here"),
                "change the size of the pool to get more agents",
            )
        })
    }

    fn without_sidecar(&self, pool: &str) -> Option<Finding> {
        let init = self.pod.spec.as_ref().and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
        let sidecar = init.iter().find(|container| container.name == CONTAINER_SIDECAR);
        let remedy = "leave these labels to the pods of the AgentPool, which the operator writes";
        let Some(sidecar) = sidecar.filter(|sidecar| sidecar.restart_policy.as_deref() == Some("Always")) else {
            return Some(Finding::denied(
                Code::Pod,
                "spec.initContainers",
                format!(
                    "has no sidecar {CONTAINER_SIDECAR:?} that is always restarted, but this is a pod of AgentPool {pool:?}"
                ),
                remedy,
            ));
        };
        // The tag may be that of the operator before its latest upgrade: pods of a pool that is held keep their template.
        let ours = repository(&self.index.settings()?.sidecar_image);
        let image = sidecar.image.as_deref().unwrap_or_default();
        (repository(image) != ours).then(|| {
            Finding::denied(
                Code::Pod,
                format!("spec.initContainers[{CONTAINER_SIDECAR}].image"),
                format!("is {image:?}, but the sidecar of this installation is {ours:?}"),
                remedy,
            )
        })
    }

    /// A pod of an earlier template: while a rollout goes on, or while the pool is held. It is bound by the same policies.
    fn other_image(&self, pool: &PoolNode) -> Option<Finding> {
        let containers = &self.pod.spec.as_ref()?.containers;
        let image = containers.iter().find(|container| container.name == CONTAINER_AGENT)?.image.as_deref()?;
        let wanted = pool.object().spec.agent.image.as_str();
        let problem = || format!("is {image:?}, but AgentPool {:?} has {wanted:?} now", pool.object().name_any());
        (image != wanted).then(|| Finding {
            action: Action::Audit,
            ..Finding::denied(
                Code::Pod,
                "spec.containers[agent].image",
                problem(),
                "nothing, if the pool was changed just now",
            )
        })
    }
}

fn is_recorded(effective: &Effective) -> bool {
    effective.required(&Requirement::Audit).is_some()
}

/// Findings by what follows from them.
pub(super) fn sorted(found: Vec<Finding>) -> Verdict {
    let mut verdict = Verdict::default();
    for finding in found {
        match finding.action {
            Action::Deny => verdict.denials.push(finding),
            Action::RequireApproval => verdict.held.push(finding),
            Action::Warn => verdict.warnings.push(finding),
            Action::Audit => verdict.audits.push(finding),
        }
    }
    verdict
}
