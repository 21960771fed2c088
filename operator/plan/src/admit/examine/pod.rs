//! Compute, images and regions of a pod.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, PodSpec};
use tetrarch_core::policy::{Allowance, Effective, Limit};
use tetrarch_crds::agent_pool::ImageSignature;

use super::{check_limit, check_name, image, is};
use crate::{
    admit::finding::{Against, Code, Finding},
    object::to_json,
    parse::{
        demand::{self, REGION_LABEL},
        signature::PublicKey,
    },
};

/// How a pod is looked at.
pub struct View<'a> {
    /// What holds for it.
    pub effective: &'a Effective,
    /// Container that is the installation's own and not looked at.
    pub own_container: Option<&'a str>,
    /// Signatures that are known for its images.
    pub signatures: &'a [ImageSignature],
    /// The keys of the Orchestrator.
    pub keys: Option<&'a BTreeMap<String, PublicKey>>,
    /// Whether it must run in allowed regions.
    pub is_agent: bool,
}

/// Every image of a pod: the path of its container, the container's name, the image.
pub fn images(spec: &PodSpec) -> Vec<(String, &str, &str)> {
    let text = |image: &'_ Option<String>| image.is_some();
    let containers = spec.containers.iter().enumerate();
    let containers = containers.filter(|(_, c)| text(&c.image)).map(|(at, c)| ("containers", at, &c.name, &c.image));
    let init = spec.init_containers.iter().flatten().enumerate();
    let init = init.filter(|(_, c)| text(&c.image)).map(|(at, c)| ("initContainers", at, &c.name, &c.image));
    let ephemeral = spec.ephemeral_containers.iter().flatten().enumerate();
    let ephemeral = ephemeral.map(|(at, c)| ("ephemeralContainers", at, &c.name, &c.image));
    containers
        .chain(init)
        .chain(ephemeral)
        .map(|(list, at, name, image)| {
            (format!("spec.{list}[{at}]"), name.as_str(), image.as_deref().unwrap_or_default())
        })
        .collect()
}

/// Notes everything in which the pod does not comply.
pub fn examine(pod: &Pod, view: &View<'_>, found: &mut Vec<Finding>) {
    let Some(spec) = &pod.spec else { return };
    for (path, name, image) in images(spec) {
        if Some(name) != view.own_container {
            image::examine(&format!("{path}.image"), image, view.signatures, view.keys, view.effective, found);
        }
    }
    let bounds_compute = [Limit::CpuPerAgent, Limit::MemoryPerAgent];
    if bounds_compute.iter().any(|limit| view.effective.exceeded(*limit, u64::MAX).is_some()) {
        let compute = demand::of_pod(&to_json(spec), |name| Some(name) != view.own_container);
        let field = |list: &str, resource: &str| format!("spec.containers[*].resources.{list}.{resource}");
        let (cpu, memory) = (compute.cpu, compute.memory);
        check_limit(Limit::CpuPerAgent, cpu.amount, &field(cpu.list, "cpu"), is, view.effective, found);
        check_limit(Limit::MemoryPerAgent, memory.amount, &field(memory.list, "memory"), is, view.effective, found);
    }
    if view.is_agent {
        regions(spec, view.effective, found);
    }
}

/// An agent must be bound to allowed regions: by the node selector, or by every term of the required node affinity.
fn regions(spec: &PodSpec, effective: &Effective, found: &mut Vec<Finding>) {
    // Every name is excluded from what allows none of them, so this finds whether regions are restricted at all.
    let Some(restricted) = effective.excluded(Allowance::Regions, "") else { return };
    let bound = bound_regions(spec);
    for (field, region) in bound.iter().flatten() {
        check_name(Allowance::Regions, region, field, format!("is {region:?}"), effective, found);
    }
    if bound.is_none() {
        let against = Against {
            code: Code::Allowance,
            action: restricted.action,
            origin: restricted.constraint.declared().next().map(|(origin, _)| origin),
            bound: format!("allows only {}", restricted.constraint.patterns()),
            remedy: format!("require nodes whose label {REGION_LABEL} is one of these, as the operator does"),
            change: "allow all regions",
        };
        let problem = "does not say in which region the pod runs".to_owned();
        found.push(Finding::of_policy("spec.affinity.nodeAffinity", "", problem, against));
    }
}

/// The regions that the pod is bound to, with their fields; none when it could run in any.
fn bound_regions(spec: &PodSpec) -> Option<Vec<(String, String)>> {
    if let Some(region) = spec.node_selector.as_ref().and_then(|labels| labels.get(REGION_LABEL)) {
        return Some(vec![(format!("spec.nodeSelector[{REGION_LABEL}]"), region.clone())]);
    }
    let affinity = spec.affinity.as_ref()?.node_affinity.as_ref()?;
    let terms = &affinity.required_during_scheduling_ignored_during_execution.as_ref()?.node_selector_terms;
    let mut regions = Vec::new();
    for (at, term) in terms.iter().enumerate() {
        let mut expressions = term.match_expressions.iter().flatten();
        let bound = expressions.find(|expression| expression.key == REGION_LABEL && expression.operator == "In")?;
        let path = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
        let values = bound.values.iter().flatten();
        regions.extend(values.map(|region| (format!("{path}[{at}]"), region.clone())));
    }
    (!regions.is_empty()).then_some(regions)
}
