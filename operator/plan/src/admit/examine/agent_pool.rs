//! Size, compute, images, regions and budget of an `AgentPool`.

use serde_json::Value;
use tetrarch_core::policy::{Allowance, Limit};
use tetrarch_crds::AgentPool;

use super::{Standard, check_limit, check_name, image, is};
use crate::{
    admit::finding::Finding,
    hierarchy::largest_size,
    money,
    parse::demand::{self, REGION_LABEL},
};

/// The field that says how many agents there may be.
pub fn size_field(object: &AgentPool) -> &'static str {
    if object.spec.scaling.is_some() { "spec.scaling.max" } else { "spec.replicas" }
}

/// Notes every number above its limit, every image and every region that is not allowed.
pub(super) fn examine(object: &AgentPool, standard: &Standard<'_>, found: &mut Vec<Finding>) {
    sizes(object, standard, found);
    budget(object, standard, found);
    let agent = demand::agent(object);
    let compute = [(Limit::CpuPerAgent, agent.cpu, "cpu"), (Limit::MemoryPerAgent, agent.memory, "memory")];
    for (limit, value, resource) in compute {
        let field = format!("spec.agent.resources.{}.{resource}", value.list);
        check_limit(limit, value.amount, &field, is, standard.effective, found);
    }
    let spec = &object.spec.agent;
    let mut check = |field: &str, name: &str| {
        image::examine(field, name, &spec.signatures, standard.keys, standard.effective, found);
    };
    check("spec.agent.image", &spec.image);
    for (path, container) in demand::further_containers(object) {
        if let Some(name) = container["image"].as_str() {
            check(&format!("{path}.image"), name);
        }
    }
    regions(object, standard, found);
}

fn sizes(object: &AgentPool, standard: &Standard<'_>, found: &mut Vec<Finding>) {
    let (size, concurrency) = (positive(largest_size(&object.spec)), positive(object.spec.concurrency));
    let field = size_field(object);
    check_limit(Limit::Agents, size, field, is, standard.effective, found);
    check_limit(Limit::TasksPerAgent, concurrency, "spec.concurrency", is, standard.effective, found);
    let tasks = size.saturating_mul(concurrency);
    let at = found.len();
    let problem = |tasks: &str| format!("is {concurrency} for up to {size} agents, which makes {tasks} tasks at once");
    check_limit(Limit::ConcurrentTasks, tasks, "spec.concurrency", problem, standard.effective, found);
    if let Some(finding) = found.get_mut(at) {
        // The bound is for the product; what to write is one of its factors.
        let bound =
            standard.effective.exceeded(Limit::ConcurrentTasks, tasks).map_or(0, |breach| breach.constraint.value());
        let less = match bound.checked_div(size) {
            Some(fit) if fit > 0 => format!("write {fit} or less, or fewer agents in {field}"),
            _ => format!("write fewer agents in {field}"),
        };
        let appeal = finding.remedy.split_once(", or ").map(|(_, appeal)| appeal.to_owned()).unwrap_or_default();
        finding.remedy = format!("{less}, or {appeal}");
    }
}

fn positive(number: i32) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

fn budget(object: &AgentPool, standard: &Standard<'_>, found: &mut Vec<Finding>) {
    let budget = &object.spec.budget;
    let count = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
    let spend = budget.spend_per_day.as_ref().and_then(|amount| money::micros(&amount.0).ok());
    let declared = [
        (Limit::TokensPerMinute, count(budget.tokens_per_minute)),
        (Limit::RequestsPerHour, count(budget.requests_per_hour)),
        (Limit::SpendPerDay, spend),
    ];
    for (limit, value) in declared {
        if let Some(value) = value {
            check_limit(limit, value, &format!("spec.budget.{limit}"), is, standard.effective, found);
        }
    }
}

/// Regions that the overlay names. A pool that names none gets the allowed ones.
fn regions(object: &AgentPool, standard: &Standard<'_>, found: &mut Vec<Finding>) {
    let Some(overlay) = &object.spec.agent.pod_template else { return };
    let spec = &overlay.0["spec"];
    for (path, region) in named_regions(spec) {
        let field = format!("spec.agent.podTemplate.spec.{path}");
        check_name(Allowance::Regions, &region, &field, format!("is {region:?}"), standard.effective, found);
    }
}

/// Every region that a pod's spec asks for, with the path of the field.
fn named_regions(spec: &Value) -> Vec<(String, String)> {
    let mut named = Vec::new();
    if let Some(region) = spec["nodeSelector"][REGION_LABEL].as_str() {
        named.push((format!("nodeSelector[{REGION_LABEL}]"), region.to_owned()));
    }
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    let terms = spec["affinity"]["nodeAffinity"][required]["nodeSelectorTerms"].as_array();
    for (term, at) in terms.into_iter().flatten().zip(0..) {
        for (expression, nth) in term["matchExpressions"].as_array().into_iter().flatten().zip(0..) {
            if expression["key"] == REGION_LABEL && expression["operator"] == "In" {
                let values = expression["values"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let path =
                    format!("affinity.nodeAffinity.{required}.nodeSelectorTerms[{at}].matchExpressions[{nth}].values");
                named.extend(values.map(|region| (path.clone(), region.to_owned())));
            }
        }
    }
    named
}
