//! What objects need of the capacity of the levels above: compute of pods, budgets of pools.

use k8s_openapi::api::core::v1::ResourceRequirements;
use serde_json::Value;
use tetrarch_core::capacity::{Amounts, Resource};
use tetrarch_crds::{AgentPool, Supervisor, quota::Budget};

use crate::{
    hierarchy::largest_size,
    money,
    names::{CONTAINER_AGENT, CONTAINER_SIDECAR},
    object::to_json,
    quantity,
    violation::Violations,
};

/// Label of a node with its region.
pub const REGION_LABEL: &str = "topology.kubernetes.io/region";

/// Requests of a container that says nothing, as the `LimitRange` of a Domain's namespace gives them.
const DEFAULT: Compute = Compute { cpu: 50, memory: 64 << 20, gpus: 0 };
/// Requests of the sidecar.
const SIDECAR: Compute = Compute { cpu: 10, memory: 32 << 20, gpus: 0 };

/// Compute in millicores, bytes and pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compute {
    /// Thousandths of a CPU.
    pub cpu: u64,
    /// Bytes of memory.
    pub memory: u64,
    /// GPUs.
    pub gpus: u64,
}

impl Compute {
    fn plus(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_add(other.cpu),
            memory: self.memory.saturating_add(other.memory),
            gpus: self.gpus.saturating_add(other.gpus),
        }
    }

    fn or_larger(self, other: Self) -> Self {
        Self { cpu: self.cpu.max(other.cpu), memory: self.memory.max(other.memory), gpus: self.gpus.max(other.gpus) }
    }

    fn amounts(self) -> Amounts {
        Amounts::NONE.with(Resource::Cpu, self.cpu).with(Resource::Memory, self.memory).with(Resource::Gpus, self.gpus)
    }
}

/// An amount, and whether `requests` or `limits` say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The amount.
    pub amount: u64,
    /// The list that holds it.
    pub list: &'static str,
}

/// What one agent may use: of requests and limits the larger, of all containers but the sidecar together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Largest {
    /// Thousandths of a CPU.
    pub cpu: Written,
    /// Bytes of memory.
    pub memory: Written,
}

/// What one agent of the pool may use.
pub fn agent(pool: &AgentPool) -> Largest {
    let resources = pool.spec.agent.resources.as_ref().map(to_json).unwrap_or_default();
    let further: Vec<&Value> = further_containers(pool).into_iter().map(|(_, container)| container).collect();
    largest(&resources, &further)
}

/// What containers of a pod may use together, the first given by its resources only.
fn largest(resources: &Value, further: &[&Value]) -> Largest {
    let sum = |list: &'static str| {
        let further = further.iter().map(|container| of_list(&container["resources"], list));
        further.fold(of_list(resources, list), Compute::plus)
    };
    let (requests, limits) = (sum("requests"), sum("limits"));
    let larger = |requested: u64, limited: u64| {
        let limited = Written { amount: limited, list: "limits" };
        if limited.amount > requested { limited } else { Written { amount: requested, list: "requests" } }
    };
    Largest { cpu: larger(requests.cpu, limits.cpu), memory: larger(requests.memory, limits.memory) }
}

/// What the containers of a pod may use together, as pairs of CPU and memory; `is_counted` chooses them by name.
pub fn of_pod(spec: &Value, is_counted: impl Fn(&str) -> bool) -> Largest {
    let containers: Vec<&Value> = all_containers(spec)
        .filter(|(_, container)| is_counted(container["name"].as_str().unwrap_or_default()))
        .map(|(_, container)| container)
        .collect();
    largest(&Value::Null, &containers)
}

/// Containers and init containers that go on running, with the path of their list and their place in it.
fn all_containers(spec: &Value) -> impl Iterator<Item = (String, &Value)> {
    let of = |list: &'static str| {
        let containers = spec[list].as_array().into_iter().flatten();
        containers.enumerate().map(move |(index, container)| (format!("{list}[{index}]"), container))
    };
    of("containers").chain(of("initContainers").filter(|(_, container)| container["restartPolicy"] == "Always"))
}

/// Containers that the overlay of a pool adds to the agent and its sidecar, with their paths.
pub fn further_containers(pool: &AgentPool) -> Vec<(String, &Value)> {
    let Some(overlay) = &pool.spec.agent.pod_template else { return Vec::new() };
    let mut found = Vec::new();
    for list in ["containers", "initContainers"] {
        for (index, container) in overlay.0["spec"][list].as_array().into_iter().flatten().enumerate() {
            let is_ours = container["name"] == CONTAINER_AGENT || container["name"] == CONTAINER_SIDECAR;
            if !is_ours {
                found.push((format!("spec.agent.podTemplate.spec.{list}[{index}]"), container));
            }
        }
    }
    found
}

fn of_list(resources: &Value, list: &str) -> Compute {
    let mut compute = Compute::default();
    for (name, amount) in resources[list].as_object().into_iter().flatten() {
        let text = amount.as_str().map_or_else(|| amount.to_string(), str::to_owned);
        match name.as_str() {
            "cpu" => compute.cpu = quantity::millis(&text).unwrap_or_default(),
            "memory" => compute.memory = quantity::units(&text).unwrap_or_default(),
            name if name.ends_with("/gpu") => {
                compute.gpus = compute.gpus.saturating_add(quantity::units(&text).unwrap_or_default());
            }
            _ => {}
        }
    }
    compute
}

/// What the scheduler sets aside for a container: requests, for want of them limits, for want of both the defaults.
fn requested(resources: &Value, default: Compute) -> Compute {
    let (requests, limits) = (of_list(resources, "requests"), of_list(resources, "limits"));
    let either = |list: &str, requested: u64, limited: u64, default: u64| {
        let is_written = |of: &str| !resources[of][list].is_null();
        match (is_written("requests"), is_written("limits")) {
            (true, _) => requested,
            (false, true) => limited,
            (false, false) => default,
        }
    };
    Compute {
        cpu: either("cpu", requests.cpu, limits.cpu, default.cpu),
        memory: either("memory", requests.memory, limits.memory, default.memory),
        gpus: requests.gpus.max(limits.gpus),
    }
}

/// What the scheduler sets aside for one pod of the pool, the sidecar included.
pub fn pod(pool: &AgentPool) -> Compute {
    let own = pool.spec.agent.resources.as_ref().map(to_json).unwrap_or_default();
    // Resources without anything in them are as good as none: the default of the namespace is taken.
    let mut running = requested(&own, DEFAULT).plus(SIDECAR);
    let mut starting = Compute::default();
    for (path, container) in further_containers(pool) {
        let needs = requested(&container["resources"], DEFAULT);
        if path.contains(".initContainers[") && container["restartPolicy"] != "Always" {
            starting = starting.or_larger(needs);
        } else {
            running = running.plus(needs);
        }
    }
    running.or_larger(starting.plus(SIDECAR))
}

/// What a pool needs: its agents at its largest size, and its budget. What cannot be read of it counts nothing; it is told
/// as an invalid spec.
pub fn pool(object: &AgentPool) -> Amounts {
    let size = u64::try_from(largest_size(&object.spec)).unwrap_or_default();
    let agents = pod(object).amounts().with(Resource::Agents, 1).times(size);
    agents.plus(budget("", &object.spec.budget, &mut Violations::default()))
}

/// What the replicas of a Supervisor need.
pub fn supervisor(object: &Supervisor) -> Amounts {
    let resources = object.spec.resources.as_ref().map_or(Value::Null, resources);
    let replicas = u64::try_from(object.spec.replicas).unwrap_or_default();
    requested(&resources, DEFAULT).amounts().times(replicas)
}

fn resources(written: &ResourceRequirements) -> Value {
    to_json(written)
}

/// A budget as amounts, with everything that is wrong with it noted.
pub fn budget(path: &str, written: &Budget, violations: &mut Violations) -> Amounts {
    let mut amounts = Amounts::NONE;
    for (resource, number) in
        [(Resource::TokensPerMinute, written.tokens_per_minute), (Resource::RequestsPerHour, written.requests_per_hour)]
    {
        if let Some(count) = number.and_then(|number| not_negative(&format!("{path}.{resource}"), number, violations)) {
            amounts = amounts.with(resource, count);
        }
    }
    let spend = written.spend_per_day.as_ref();
    let spend = spend.and_then(|spend| violations.check(&format!("{path}.spendPerDay"), money::micros(&spend.0)));
    spend.map_or(amounts, |spend| amounts.with(Resource::SpendPerDay, spend))
}

/// A number of at least 0.
pub(super) fn not_negative(path: &str, number: i64, violations: &mut Violations) -> Option<u64> {
    violations.check(path, u64::try_from(number).map_err(|_| format!("is {number}: write 0 or more")))
}
