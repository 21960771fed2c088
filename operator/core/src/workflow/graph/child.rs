//! Checks of steps that stand for runs of other workflows.

use std::collections::BTreeSet;

use serde_json::Value;

use super::check::Checker;
use crate::workflow::child::{SubWorkflow, refusal};

impl Checker<'_> {
    /// What the other Workflow takes is only known when its run begins.
    pub(super) fn check_sub_workflow(&mut self, field: &str, called: &SubWorkflow, upstream: &BTreeSet<usize>) {
        if refusal(&[], &self.definition.workflow, &called.name).is_some() {
            let message = "a Workflow cannot begin runs of itself, they would never end";
            self.add(format!("{field}.name"), message, "write the name of another Workflow of the same Supervisor");
        }
        let parameters = Value::Object(called.parameters.clone());
        self.check_template(&format!("{field}.parameters"), &parameters, &[], upstream);
        self.check_retry(&format!("{field}.retry"), called.retry);
    }
}
