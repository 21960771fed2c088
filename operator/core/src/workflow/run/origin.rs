//! Runs that a trigger began.

use std::sync::Arc;

use serde_json::Value;

use super::{Run, plan::Plan};
use crate::workflow::trigger::Origin;

impl Run {
    /// The same run as one that a trigger began. With a flaw it has no steps to run, and ends with that.
    #[must_use]
    pub fn begun_by(mut self, origin: Option<Origin>) -> Self {
        if let Some(flaw) = origin.as_ref().and_then(|origin| origin.flaw.clone()) {
            self.plan = Arc::new(Plan::compile(&self.id, self.plan.definition.clone(), Some(flaw)));
            self.state.steps.clear();
        }
        self.state.origin = origin;
        self
    }

    /// What began it, when that was a trigger.
    pub fn origin(&self) -> Option<&Origin> {
        self.state.origin.as_ref()
    }

    /// The values of its parameters, an object.
    pub fn parameters(&self) -> &Value {
        &self.state.parameters
    }
}
