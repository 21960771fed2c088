//! Runs that begin because a run of another workflow has ended: which ones, with which parameters, and what they know of it.
//!
//! The decision is pure and the same on every replica, and the id of the run follows from the trigger and the run that ended, so each
//! end begins at most one run, whoever looks and however often.

use std::{borrow::Cow, collections::BTreeMap};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub use super::begin::Mistake;
use super::{
    begin::{self, Expressions},
    journal::FinalPhase,
    run::{Run, RunPhase},
};
use crate::{
    expression::{Scope, Variable},
    id::{Name, RunId},
};

/// Most runs that follow each other.
pub const MAX_DEPTH: usize = 16;

/// What expressions of a trigger may read.
const READABLE: [Variable; 2] = [Variable::Run, Variable::Output];

/// What begins runs of a workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trigger {
    /// Its name.
    pub name: Name,
    /// The workflow whose runs have to end.
    pub workflow: Name,
    /// How they have to end.
    pub phases: Vec<FinalPhase>,
    /// A condition in CEL; none for always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Templates of the parameters.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
}

/// What a run knows of what began it: the run that it follows, or a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// The trigger.
    pub trigger: Name,
    /// The run that ended; none when a message began it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The workflows of the runs before, the first one first; the last one is that of [`Origin::run`].
    #[serde(default)]
    pub lineage: Vec<Name>,
    /// Why it cannot be run; it ends with that at once, and nothing follows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flaw: Option<String>,
}

/// A run that is to begin.
#[derive(Clone, Debug, PartialEq)]
pub struct Follower {
    /// Its id.
    pub run: RunId,
    /// The values of its parameters.
    pub parameters: BTreeMap<String, Value>,
    /// Why it begins, in words.
    pub cause: String,
    /// What it knows of what began it.
    pub origin: Origin,
}

impl Trigger {
    /// Everything that is wrong with its expressions.
    pub fn mistakes(&self) -> Vec<Mistake> {
        self.expressions().mistakes(&READABLE, "run or output, of the run that ended")
    }

    fn expressions(&self) -> Expressions<'_> {
        Expressions { trigger: &self.name, when: self.when.as_deref(), parameters: &self.parameters }
    }

    /// The run of `workflow` that follows `ended`; none when nothing does. `prefix` begins its id. What cannot be evaluated gives a run that says
    /// so and ends, so that nothing that happened is lost without a trace.
    pub fn follow(&self, workflow: &Name, prefix: &str, since: Timestamp, ended: &Run) -> Option<Follower> {
        let run = self.run_after(prefix, since, ended)?;
        let RunPhase::Ended(phase) = ended.phase() else { return None };
        let before = ended.origin().into_iter().flat_map(|origin| &origin.lineage);
        let lineage: Vec<Name> = before.chain([&ended.definition().workflow]).cloned().collect();
        let view = json!({
            "id": ended.id().as_str(),
            "workflow": self.workflow.as_str(),
            "phase": format!("{phase:?}"),
            "message": ended.message().unwrap_or_default(),
            "parameters": ended.parameters(),
        });
        let output = ended.output().unwrap_or_default();
        let scope =
            Scope::default().with(Variable::Run, Cow::Borrowed(&view)).with(Variable::Output, Cow::Borrowed(&output));
        let (parameters, flaw) = match refusal(&lineage, workflow) {
            Some(flaw) => (BTreeMap::new(), Some(flaw)),
            None => match self.expressions().evaluate(&scope) {
                Ok(None) => return None,
                Ok(Some(parameters)) => (parameters, None),
                Err(flaw) => (BTreeMap::new(), Some(flaw)),
            },
        };
        let cause = format!("trigger {}: run {} {phase:?}", self.name, ended.id());
        let origin = Origin { trigger: self.name.clone(), run: Some(ended.id().clone()), lineage, flaw };
        Some(Follower { run, parameters, cause, origin })
    }

    /// The id of the run that may follow, whatever the condition says; none when the trigger is not about this end.
    pub fn run_after(&self, prefix: &str, since: Timestamp, ended: &Run) -> Option<RunId> {
        let RunPhase::Ended(phase) = ended.phase() else { return None };
        let is_of_its_own = ended.parent().is_none();
        let is_flawed = ended.origin().is_some_and(|origin| origin.flaw.is_some());
        let is_it = ended.definition().workflow == self.workflow && self.phases.contains(&phase);
        let is_new = ended.ended_at().is_some_and(|at| at >= since);
        let is_whole = ended.outputs_removed_at().is_none();
        if !(is_it && is_of_its_own && is_new && is_whole) || is_flawed {
            return None;
        }
        begin::run_of(prefix, 't', &self.name, ended.id().as_str())
    }
}

/// Why a run of `workflow` must not follow runs of these; none when it may.
fn refusal(lineage: &[Name], workflow: &Name) -> Option<String> {
    let told = || lineage.iter().chain([workflow]).map(Name::as_str).collect::<Vec<_>>().join(" -> ");
    if lineage.contains(workflow) {
        return Some(format!("triggers begin Workflows in a cycle: {}: remove one of them", told()));
    }
    (lineage.len() > MAX_DEPTH).then(|| {
        format!(
            "{} would be more than {MAX_DEPTH} runs after each other: put steps of several into one Workflow",
            told()
        )
    })
}

#[cfg(test)]
mod tests;
