//! Runs that begin because a run of another workflow has ended: which ones, with which parameters, and what they know of it.
//!
//! The decision is pure and the same on every replica, and the id of the run follows from the trigger and the run that ended, so each
//! end begins at most one run, whoever looks and however often.

use std::{borrow::Cow, collections::BTreeMap};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{
    child::MAX_PARAMETERS,
    journal::FinalPhase,
    run::{Run, RunPhase},
};
use crate::{
    expression::{Expression, References, Scope, Template, Variable, Vocabulary},
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

/// What a run knows of the one that it follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// The trigger.
    pub trigger: Name,
    /// The run that ended.
    pub run: RunId,
    /// The workflows of the runs before, the first one first; the last one is that of [`Origin::run`].
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
    /// What it knows of the run before.
    pub origin: Origin,
}

/// Something that is wrong with a trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where, such as `.when` or `.parameters.size`.
    pub place: String,
    /// What, and what to write instead.
    pub message: String,
}

impl Trigger {
    /// Everything that is wrong with its expressions.
    pub fn mistakes(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        if let Some(when) = &self.when {
            match Expression::compile(when, Vocabulary::Workflow) {
                Ok(expression) => mistakes.extend(unreadable(".when".to_owned(), expression.references())),
                Err(error) => mistakes.push(Mistake { place: ".when".to_owned(), message: error.to_string() }),
            }
        }
        let (readings, wrong) = Template::inspect(&Value::Object(self.parameters.clone()));
        mistakes.extend(wrong.into_iter().map(|mistake| Mistake {
            place: format!(".parameters{}", mistake.place),
            message: format!("{}: write CEL inside of ${{…}}", mistake.error),
        }));
        for reading in readings {
            mistakes.extend(unreadable(format!(".parameters{}", reading.place), &reading.references));
        }
        mistakes
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
            None => match self.evaluate(&scope) {
                Ok(None) => return None,
                Ok(Some(parameters)) => (parameters, None),
                Err(flaw) => (BTreeMap::new(), Some(flaw)),
            },
        };
        let cause = format!("trigger {}: run {} {phase:?}", self.name, ended.id());
        let origin = Origin { trigger: self.name.clone(), run: ended.id().clone(), lineage, flaw };
        Some(Follower { run, parameters, cause, origin })
    }

    /// The id of the run that may follow, whatever the condition says; none when the trigger is not about this end.
    pub fn run_after(&self, prefix: &str, since: Timestamp, ended: &Run) -> Option<RunId> {
        let RunPhase::Ended(phase) = ended.phase() else { return None };
        let is_of_its_own = ended.parent().is_none();
        let is_flawed = ended.origin().is_some_and(|origin| origin.flaw.is_some());
        let is_it = ended.definition().workflow == self.workflow && self.phases.contains(&phase);
        let is_new = ended.ended_at().is_some_and(|at| at >= since);
        if !(is_it && is_of_its_own && is_new) || is_flawed {
            return None;
        }
        let digest = Sha256::digest(format!("{}/{}", self.name, ended.id()));
        let hash = digest.iter().take(8).fold(0_u64, |hash, byte| hash << 8 | u64::from(*byte));
        format!("{prefix}-t{hash:016x}").parse().ok()
    }

    /// The parameters; none when the condition is false.
    fn evaluate(&self, scope: &Scope<'_>) -> Result<Option<BTreeMap<String, Value>>, String> {
        let told = |what: &str, error: &dyn std::fmt::Display| format!("{what} of trigger {}: {error}", self.name);
        if let Some(when) = &self.when {
            let condition = Expression::compile(when, Vocabulary::Workflow);
            let met = condition.and_then(|condition| condition.evaluate_condition(scope));
            if !met.map_err(|error| told("when", &error))? {
                return Ok(None);
            }
        }
        let template = Template::compile(&Value::Object(self.parameters.clone()));
        let template = template.map_err(|_| told("parameters", &"they cannot be read"))?;
        let Value::Object(parameters) = template.evaluate(scope).map_err(|error| told("parameters", &error))? else {
            return Ok(Some(BTreeMap::new()));
        };
        let length = Value::Object(parameters.clone()).to_string().len();
        if length > MAX_PARAMETERS {
            return Err(told(
                "parameters",
                &format!("they have {length} bytes, and at most {MAX_PARAMETERS} may be given"),
            ));
        }
        Ok(Some(parameters.into_iter().collect()))
    }
}

/// What an expression reads that has no value here.
fn unreadable(place: String, references: &References) -> Option<Mistake> {
    let other = references.variables.iter().find(|variable| !READABLE.contains(variable))?;
    let message = format!("{:?} has no value in a trigger: write run or output, of the run that ended", other.as_str());
    Some(Mistake { place, message })
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
