//! What a gate must be like.

use std::collections::BTreeSet;

use super::{Placed, check::Checker};
use crate::{
    expression::Variable,
    schema::Schema,
    workflow::definition::{FailurePolicy, Gate, GateFailure, Judge, Step, StepKind},
};

/// What the task of a step reads beside the variables of every expression.
pub(super) fn reads_of_task(step: &Step) -> &'static [Variable] {
    match &step.gate {
        Some(gate) if gate.on_failure == GateFailure::Retry => &[Variable::Verdict],
        _ => &[],
    }
}

impl Checker<'_> {
    /// Checks the gate of a step and gives its tasks, which are checked like all others.
    pub(super) fn check_gate<'t>(
        &mut self,
        field: &str,
        step: &'t Step,
        upstream: &BTreeSet<usize>,
    ) -> Vec<Placed<'t>> {
        let Some(gate) = &step.gate else { return Vec::new() };
        let place = format!("{field}.gate");
        if gate.schema.is_none() && gate.expression.is_none() && gate.judge.is_none() {
            self.add(&place, "it asks for nothing", "write schema, schemaRef, expression or judge");
        }
        // A schema with a name is checked where it is written.
        if let (Some(schema), None) = (&gate.schema, &gate.schema_name)
            && let Err(error) = Schema::compile(schema)
        {
            self.add(format!("{place}.schema"), error.to_string(), error.remedy());
        }
        if let Some(source) = &gate.expression {
            let field = format!("{place}.expression");
            self.check_condition(&field, source, &[Variable::Output], upstream);
        }
        self.check_escalation(&place, gate, upstream);
        self.check_what_follows(field, step, gate);
        let mut placed = Vec::new();
        if let Some(judge) = &gate.judge {
            self.check_judge(&format!("{place}.judge"), step, judge);
            let field = format!("{place}.judge.task");
            placed.push(Placed { field, task: &judge.task, reads: &[Variable::Output] });
        }
        if let Some(fallback) = &gate.fallback {
            placed.push(Placed { field: format!("{place}.fallback"), task: fallback, reads: &[Variable::Verdict] });
        }
        placed
    }

    fn check_judge(&mut self, field: &str, step: &Step, judge: &Judge) {
        if judge.at_least > 100 {
            let message = format!("no output ever gets {}", judge.at_least);
            self.add(format!("{field}.atLeast"), message, "write 0 to 100");
        }
        match &step.kind {
            StepKind::Parallel(branches) if branches.iter().any(|branch| branch.name.as_str() == "judge") => {
                let remedy = "give the branch another name than judge";
                self.add(field, "a branch has the name of the judge's own tasks", remedy);
            }
            StepKind::Wait(_) | StepKind::Approval(_) => {
                let remedy = "remove it, or judge the output of the step before";
                self.add(field, "no agent makes an output here that could be judged", remedy);
            }
            _ => {}
        }
    }

    fn check_what_follows(&mut self, field: &str, step: &Step, gate: &Gate) {
        let on_failure = format!("{field}.gate.onFailure");
        let is_repeating = matches!(gate.on_failure, GateFailure::Retry | GateFailure::Fallback);
        match (&gate.fallback, gate.on_failure) {
            (None, GateFailure::Fallback) => {
                self.add(&on_failure, "there is nothing to fall back to", "write gate.fallback, or onFailure: Fail");
            }
            (Some(_), _) if !is_repeating => {
                let remedy = "write onFailure: Fallback, or Retry to fall back when the attempts are used up";
                self.add(format!("{field}.gate.fallback"), "nothing ever calls it", remedy);
            }
            (_, GateFailure::Compensate) if self.definition.on_failure == FailurePolicy::Continue => {
                let remedy = "write spec.onFailure: Stop or Compensate, or onFailure: Fail here";
                self.add(&on_failure, "spec.onFailure: Continue keeps what this gate would undo", remedy);
            }
            (_, GateFailure::Compensate) if !self.says_how_it_is_undone() => {
                let remedy = "write compensate in the steps that have to be undone, or onFailure: Fail";
                self.add(&on_failure, "no step says how it is undone", remedy);
            }
            _ => {}
        }
        match &step.kind {
            _ if !is_repeating => {}
            StepKind::Task(task) if task.retry.limit > 0 || gate.on_failure == GateFailure::Fallback => {}
            StepKind::Task(_) => {
                let remedy = "write a limit of 1 or more, or gate.onFailure: Fail";
                self.add(format!("{field}.task.retry.limit"), "the gate retries what must not be repeated", remedy);
            }
            _ => {
                let remedy = "write Fail, Continue or Escalate, or judge a step of kind task";
                self.add(on_failure, "only one task can be repeated because of its output", remedy);
            }
        }
    }
}
