//! What a step must be like that decomposes a text.

use std::collections::BTreeSet;

use serde_json::Value;

use super::check::Checker;
use crate::workflow::{
    auto::{AutoStep, MAX_CAPABILITIES, MAX_INPUTS, STEPS},
    definition::{GateFailure, Step},
};

impl Checker<'_> {
    /// What its plan is like is only known when it is made; it is checked like a definition then.
    pub(super) fn check_auto(&mut self, field: &str, auto: &AutoStep, step: &Step, upstream: &BTreeSet<usize>) {
        if auto.text.trim().is_empty() {
            self.add(
                format!("{field}.text"),
                "there is nothing to be done",
                "write what is wanted, such as ${params.request}",
            );
        }
        self.check_template(&format!("{field}.text"), &Value::String(auto.text.clone()), &[], upstream);
        self.check_template(&format!("{field}.inputs"), &Value::Object(auto.inputs.clone()), &[], upstream);
        if auto.inputs.len() > MAX_INPUTS {
            let message = format!("there are {} inputs", auto.inputs.len());
            self.add(format!("{field}.inputs"), message, format!("write at most {MAX_INPUTS}"));
        }
        for name in auto.inputs.keys().filter(|name| !is_input_name(name)) {
            let remedy = "write letters, digits, dashes and underscores, such as customerReviews";
            self.add(format!("{field}.inputs"), format!("{name:?} is no name of an input"), remedy);
        }
        self.check_capabilities(&format!("{field}.capabilities"), auto);
        if !STEPS.contains(&auto.max_steps) {
            let remedy = format!("write {} to {}", STEPS.start(), STEPS.end());
            self.add(format!("{field}.maxSteps"), format!("{} steps are no bound", auto.max_steps), remedy);
        }
        if auto.max_parallel == 0 {
            self.add(format!("{field}.maxParallel"), "no item could ever start", "write 1 or more");
        }
        if auto.task_timeout.is_zero() {
            self.add(format!("{field}.taskTimeout"), "an attempt needs time", "write a duration above 0s");
        }
        self.check_retry(&format!("{field}.retry"), auto.retry);
        if let Some(planner) = &auto.planner {
            self.check_task(&format!("{field}.planner"), planner);
        }
        let Some(approval) = &auto.approval else { return };
        self.check_question(&format!("{field}.approval"), approval, &[], upstream);
        if step.gate.as_ref().is_some_and(|gate| gate.on_failure == GateFailure::Escalate) {
            let remedy = "remove it, or write another gate.onFailure and a step of kind approval after this one";
            self.add(format!("{field}.approval"), "the gate of the step asks people, too", remedy);
        }
    }

    fn check_capabilities(&mut self, field: &str, auto: &AutoStep) {
        if auto.capabilities.is_empty() {
            self.add(field, "no agent could do anything", "write at least one capability of a pool");
        }
        if auto.capabilities.len() > MAX_CAPABILITIES {
            let message = format!("there are {} entries", auto.capabilities.len());
            self.add(field, message, format!("write at most {MAX_CAPABILITIES}"));
        }
        for (index, name) in auto.capabilities.iter().enumerate() {
            if auto.capabilities[..index].contains(name) {
                self.add(
                    format!("{field}[{index}]"),
                    format!("{:?} stands here twice", name.as_str()),
                    "write it once",
                );
            }
        }
    }
}

/// Names of inputs stand between quotes in expressions.
fn is_input_name(name: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    (1..=63).contains(&name.len()) && name.chars().all(is_plain)
}
