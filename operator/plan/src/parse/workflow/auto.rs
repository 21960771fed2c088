//! Steps that decompose a text.

use serde_json::Value;
use tetrarch_core::workflow::{
    auto::AutoStep,
    definition::{AgentSelector, Task},
};
use tetrarch_crds::{shared::DurationText, workflow as written};

use super::{
    approval::approval,
    steps::{all, retry, selector, task_timeout},
};
use crate::{
    parse::{at_least, name},
    violation::Violations,
};

pub(super) fn read(auto: &written::AutoStep, path: &str, violations: &mut Violations) -> Option<AutoStep> {
    let capabilities =
        all(&auto.capabilities, &format!("{path}.capabilities"), violations, |text, path, violations| {
            name(path, text, violations)
        });
    let planner = match &auto.planner {
        Some(written) => Some(planner(written, &format!("{path}.planner"), violations)?),
        None => None,
    };
    let approval = match &auto.approval {
        Some(written) => Some(approval(written, &format!("{path}.approval"), violations)?),
        None => None,
    };
    let max_steps = at_least(&format!("{path}.maxSteps"), auto.max_steps, 1, violations);
    let max_parallel = at_least(&format!("{path}.maxParallel"), auto.max_parallel, 1, violations);
    let task_timeout = task_timeout(auto.task_timeout.as_ref(), &format!("{path}.taskTimeout"), violations);
    let retry = retry(&auto.retry, &format!("{path}.retry"), violations);
    Some(AutoStep {
        text: auto.text.clone(),
        inputs: auto.inputs.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect(),
        capabilities: capabilities?,
        planner,
        approval,
        max_steps: max_steps?,
        max_parallel: max_parallel?,
        task_timeout: task_timeout?,
        retry: retry?,
    })
}

fn planner(planner: &written::Planner, path: &str, violations: &mut Violations) -> Option<Task> {
    let agent = selector(&planner.agent, &format!("{path}.agent"), violations);
    let timeout = task_timeout(planner.timeout.as_ref(), &format!("{path}.timeout"), violations);
    let retry = retry(&planner.retry, &format!("{path}.retry"), violations);
    Some(Task { agent: agent?, input: Value::Null, timeout: timeout?, retry: retry?, hand_over: None })
}

/// How long one attempt takes at a task of the plans of these steps, and of their planners, with the path of each field.
pub fn plan_timeouts(steps: &[written::Step]) -> impl Iterator<Item = (String, Option<&DurationText>)> {
    let autos = steps.iter().enumerate().filter_map(|(index, step)| Some((index, step.auto.as_ref()?)));
    autos.flat_map(|(index, auto)| {
        let path = format!("spec.steps[{index}].auto");
        let planner =
            auto.planner.as_ref().map(|planner| (format!("{path}.planner.timeout"), planner.timeout.as_ref()));
        [(format!("{path}.taskTimeout"), auto.task_timeout.as_ref())].into_iter().chain(planner)
    })
}

/// What the plans of these steps, and their planners, may ask for, each with the path of its field.
pub(super) fn selectors(steps: &[written::Step]) -> impl Iterator<Item = (String, AgentSelector)> {
    let of_step = |(index, step): (usize, &written::Step)| {
        let path = format!("spec.steps[{index}].auto");
        let auto = step.auto.as_ref()?;
        let capabilities = auto.capabilities.iter().enumerate().filter_map(|(at, text)| {
            Some((format!("{path}.capabilities[{at}]"), AgentSelector::Capability(text.parse().ok()?)))
        });
        let planner =
            auto.planner.as_ref().and_then(|planner| super::of_agent(&format!("{path}.planner"), &planner.agent));
        Some(capabilities.chain(planner).collect::<Vec<_>>())
    };
    steps.iter().enumerate().filter_map(of_step).flatten()
}
