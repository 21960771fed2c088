//! What an object has where a policy says something.

use serde_json::Value;
use tetrarch_core::policy::{Explanation, Kind, Limit, Origin};
use tetrarch_crds::{AgentPool, Workflow};
use tetrarch_plan::{
    admit::{Code, Finding},
    duration,
    hierarchy::largest_size,
    parse::{demand, workflow},
};

use crate::inventory::Item;

/// What the object has for a field of a policy, as a manifest holds it; none when nothing can be told in a word.
pub fn value(item: &Item, field: &str) -> Option<String> {
    let spec = &item.value["spec"];
    match item.kind {
        Kind::AgentPool => of_pool(&serde_json::from_value(item.value.clone()).ok()?, field),
        Kind::Workflow => of_workflow(&serde_json::from_value(item.value.clone()).ok()?, field),
        Kind::Domain if field == "allow.domains" => {
            let partners = |list: &str, field: &str| -> Vec<Value> {
                spec[list].as_array().into_iter().flatten().map(|entry| entry[field].clone()).collect()
            };
            let exported =
                partners("exports", "to").into_iter().flat_map(|to| to.as_array().cloned().unwrap_or_default());
            let all = exported.chain(partners("imports", "from"));
            let mut names: Vec<String> = all.filter_map(|name| name.as_str().map(str::to_owned)).collect();
            names.sort();
            names.dedup();
            Some(names.join(", "))
        }
        _ => None,
    }
    .or_else(|| labels(item, field))
    .filter(|text| !text.is_empty())
}

fn labels(item: &Item, field: &str) -> Option<String> {
    let labels = item.value["metadata"]["labels"].as_object().filter(|_| field == "require.labels")?;
    let text = labels.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
    Some(text.collect::<Vec<_>>().join(","))
}

fn of_pool(pool: &AgentPool, field: &str) -> Option<String> {
    let (spec, agent) = (&pool.spec, demand::agent(pool));
    Some(match field {
        "limits.agents" => largest_size(spec).to_string(),
        "limits.tasksPerAgent" => spec.concurrency.to_string(),
        "limits.concurrentTasks" => (i64::from(largest_size(spec)) * i64::from(spec.concurrency)).to_string(),
        "limits.cpuPerAgent" => Limit::CpuPerAgent.quantity(agent.cpu.amount).to_string(),
        "limits.memoryPerAgent" => Limit::MemoryPerAgent.quantity(agent.memory.amount).to_string(),
        "limits.tokensPerMinute" => spec.budget.tokens_per_minute?.to_string(),
        "limits.requestsPerHour" => spec.budget.requests_per_hour?.to_string(),
        "limits.spendPerDay" => spec.budget.spend_per_day.as_ref()?.0.clone(),
        "allow.images" | "require.imageDigest" => spec.agent.image.clone(),
        "require.signedBy" => {
            spec.agent.signatures.iter().map(|signature| signature.key.clone()).collect::<Vec<_>>().join(", ")
        }
        _ => return None,
    })
}

fn of_workflow(workflow: &Workflow, field: &str) -> Option<String> {
    let spec = &workflow.spec;
    Some(match field {
        "limits.runTimeout" => spec.timeout.as_ref()?.0.clone(),
        "limits.taskTimeout" => {
            let written = workflow::tasks(&spec.steps).filter_map(|(_, task)| task.timeout.as_ref());
            let longest = written.max_by_key(|timeout| duration::parse(&timeout.0).unwrap_or_default());
            longest?.0.clone()
        }
        "allow.priorities" => serde_json::to_value(spec.priority).ok()?.as_str()?.to_owned(),
        _ => return None,
    })
}

/// Whether a finding is about a value: it names one of those who decide it, and the value itself.
pub fn is_about(explanation: &Explanation, finding: &Finding) -> bool {
    let decides = |origin: &Origin| explanation.deciding().any(|decides| decides == origin);
    if explanation.action != finding.action || !finding.origin.as_ref().is_some_and(decides) {
        return false;
    }
    let (field, bound) = (finding.field.as_str(), finding.bound.as_deref().unwrap_or_default());
    let says = finding.value.as_deref() == Some(explanation.value.as_str());
    match explanation.field.as_str() {
        "limits.agents" => bound.ends_with(" agents") || bound.ends_with(" agent"),
        "limits.tasksPerAgent" => bound.ends_with("at once per agent"),
        "limits.concurrentTasks" => bound.ends_with("in one pool"),
        "limits.taskTimeout" => bound.contains("task timeout"),
        "limits.runTimeout" => bound.contains("run timeout"),
        "limits.cpuPerAgent" => field.ends_with("cpu"),
        "limits.memoryPerAgent" => field.ends_with("memory"),
        "require.labels" => field == format!("metadata.labels[{}]", explanation.value),
        "require.imageDigest" => finding.code == Code::Requirement && bound == "requires one",
        "require.signedBy" => bound == format!("requires one by {:?}", explanation.value),
        "require.approvalFor" => finding.code == Code::Approval && says,
        "rules" => finding.code == Code::Rule && says,
        "allow.images" => finding.code == Code::Allowance && field.ends_with("image"),
        "allow.priorities" => field == "spec.priority",
        "allow.regions" | "allow.domains" => finding.code == Code::Allowance && !field.ends_with("image"),
        budget => budget.strip_prefix("limits.").is_some_and(|limit| field.ends_with(limit)),
    }
}
