//! An AgentPool as a typed value: capabilities, protocol, size and drain.

use std::time::Duration;

use serde_json::{Map, Value};
use tetrarch_core::id::Name;
use tetrarch_crds::{
    AgentPool,
    agent_pool::{Agent, Capability, Scaling},
};

use crate::{
    duration,
    parse::{at_least, demand, name, object_name, overlay},
    quantity,
    violation::{Violation, Violations},
};

/// An AgentPool that is valid in itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// Its name.
    pub name: Name,
    /// What its agents can do, with the proficiency 0 to 100.
    pub capabilities: Vec<(Name, u32)>,
    /// Tasks that one agent works on at once.
    pub concurrency: u32,
    /// Whether a task may be handed to an agent twice.
    pub idempotent: bool,
    /// Port of the agent.
    pub port: u16,
    /// Path that tasks are posted to.
    pub path: String,
    /// Path that tells whether the agent can take tasks.
    pub health_path: String,
    /// How many agents there are.
    pub size: Size,
    /// Time to finish what is being worked on when an agent is to stop.
    pub drain: Duration,
    /// Overlay on the pod template.
    pub overlay: Option<Map<String, Value>>,
}

/// How many agents a pool has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Size {
    /// As many as written.
    Fixed(i32),
    /// As many as the autoscaler finds right.
    Automatic(Autoscaling),
}

/// Bounds and aims of the autoscaler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Autoscaling {
    /// Smallest number of agents.
    pub min: i32,
    /// Largest number of agents.
    pub max: i32,
    /// CPU use in percent of the request.
    pub cpu_percent: i32,
    /// Memory use in percent of the request.
    pub memory_percent: i32,
    /// How long a need must last before agents are added.
    pub up: Duration,
    /// How long a need must be gone before agents are taken away.
    pub down: Duration,
}

/// The pool, or everything that is wrong with it.
pub fn pool(object: &AgentPool) -> Result<Pool, Vec<Violation>> {
    let mut violations = Violations::default();
    let spec = &object.spec;
    let name = object_name(object, &mut violations);
    let capabilities = capabilities(&spec.capabilities, &mut violations);
    let concurrency = at_least("spec.concurrency", spec.concurrency, 1, &mut violations);
    let size = match (&spec.scaling, spec.replicas) {
        (Some(scaling), _) => scaling_of(scaling, &mut violations).map(Size::Automatic),
        (None, replicas) => {
            let replicas = replicas.unwrap_or(1);
            at_least("spec.replicas", replicas, 0, &mut violations).map(|_| Size::Fixed(replicas))
        }
    };
    let drain = violations.check("spec.drain.timeout", duration::parse_up_to_an_hour(&spec.drain.timeout.0));
    let port = port(&spec.agent, &mut violations);
    demand::budget("spec.budget", &spec.budget, &mut violations);
    if let Some(resources) = &spec.agent.resources {
        quantity::check_resources("spec.agent.resources", resources, &mut violations);
    }
    let overlay = spec.agent.pod_template.as_ref().and_then(|written| overlay::check(&written.0, &mut violations));
    let pool = || {
        Some(Pool {
            name: name?,
            capabilities,
            concurrency: concurrency?,
            idempotent: spec.agent.protocol.idempotent,
            port: port?,
            path: spec.agent.protocol.path.clone(),
            health_path: spec.agent.protocol.health_path.clone(),
            size: size?,
            drain: drain?,
            overlay,
        })
    };
    let pool = pool();
    violations.finish(pool)
}

fn capabilities(written: &[Capability], violations: &mut Violations) -> Vec<(Name, u32)> {
    let mut capabilities: Vec<(Name, u32)> = Vec::new();
    for (index, capability) in written.iter().enumerate() {
        let path = format!("spec.capabilities[{index}]");
        let Some(name) = name(&format!("{path}.name"), &capability.name, violations) else { continue };
        if capabilities.iter().any(|(other, _)| *other == name) {
            violations.add(
                format!("{path}.name"),
                format!("{:?} is listed twice: write each capability once", name.as_str()),
            );
        }
        let proficiency = u32::try_from(capability.proficiency).ok().filter(|p| *p <= 100);
        match proficiency {
            Some(proficiency) => capabilities.push((name, proficiency)),
            None => {
                violations.add(format!("{path}.proficiency"), format!("is {}: write 0 to 100", capability.proficiency));
            }
        }
    }
    capabilities
}

fn scaling_of(written: &Scaling, violations: &mut Violations) -> Option<Autoscaling> {
    let min = at_least("spec.scaling.min", written.min, 1, violations);
    if written.min > written.max {
        violations.add(
            "spec.scaling.min",
            format!(
                "is {}, larger than spec.scaling.max, {}: write a min that is at most max",
                written.min, written.max
            ),
        );
    }
    let up = violations.check("spec.scaling.cooldown.up", duration::parse_up_to_an_hour(&written.cooldown.up.0));
    let down = violations.check("spec.scaling.cooldown.down", duration::parse_up_to_an_hour(&written.cooldown.down.0));
    min?;
    Some(Autoscaling {
        min: written.min,
        max: written.max,
        cpu_percent: written.targets.cpu_percent,
        memory_percent: written.targets.memory_percent,
        up: up?,
        down: down?,
    })
}

fn port(agent: &Agent, violations: &mut Violations) -> Option<u16> {
    let path = "spec.agent.protocol.port";
    let Some(port) = u16::try_from(agent.protocol.port).ok().filter(|port| *port > 0) else {
        violations.add(path, format!("is {}: write 1 to 65535", agent.protocol.port));
        return None;
    };
    if port == crate::names::SIDECAR_HTTP_PORT {
        violations
            .add(path, format!("{port} is the sidecar's own port: let the agent listen on another one, such as 8080"));
        return None;
    }
    Some(port)
}
