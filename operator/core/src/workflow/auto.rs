//! Steps that decompose a text: what they declare, and the plan that is made of it, by the rules of [`crate::decompose`] or by what a
//! planner agent proposes.
//!
//! Everything is pure, total and deterministic. A plan stands in the journal of its run with what was known when it was made,
//! and is run as a run with a definition of its own.

mod build;
mod reply;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    approval::Approval,
    definition::{Retry, Task, millis},
};
use crate::{
    decompose::{self, Complexity, Decomposition, Goal, Over, Past, Pattern},
    id::Name,
};

pub use self::{
    build::{PARAMETERS, definition},
    reply::read as read_reply,
};

/// Largest text that is decomposed, in bytes.
pub const MAX_TEXT: usize = 64 * 1024;
/// Fewest and most steps of a plan.
pub const STEPS: std::ops::RangeInclusive<u32> = 1..=64;
/// Most capabilities that a plan may use.
pub const MAX_CAPABILITIES: usize = 32;
/// Most declared inputs.
pub const MAX_INPUTS: usize = 32;

/// A step that decomposes a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AutoStep {
    /// Template of the text.
    pub text: String,
    /// Templates of the inputs, by name.
    #[serde(default)]
    pub inputs: Map<String, Value>,
    /// What the agents of the plan's tasks can do.
    pub capabilities: Vec<Name>,
    /// The agent that plans; its input is made by the engine. None means that rules plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planner: Option<Task>,
    /// Who has to approve the plan before it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Most steps of the plan.
    pub max_steps: u32,
    /// Most items or agents that one step of the plan employs at once.
    pub max_parallel: u32,
    /// Longest time of one attempt at a task of the plan.
    #[serde(with = "millis")]
    pub task_timeout: Duration,
    /// How failed attempts at the plan's tasks are repeated.
    pub retry: Retry,
}

/// Who made a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Author {
    /// The rules.
    Rules,
    /// A planner agent.
    Planner,
}

/// What is known when a plan is made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Known {
    /// Capabilities of the Supervisor's pools, in their order.
    #[serde(default)]
    pub capabilities: Vec<Name>,
    /// How earlier plans ended.
    #[serde(default)]
    pub past: Vec<Past>,
}

/// A plan: what is to be done, and why so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Planned {
    /// Who made it.
    pub author: Author,
    /// How large the work is.
    pub complexity: Complexity,
    /// What says so.
    pub evidence: Vec<String>,
    /// How the steps hang together.
    pub pattern: Pattern,
    /// Why this pattern.
    pub reason: String,
    /// What people should know of it, such as conditions that it does not hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The steps; each comes after all that it waits for. None when the rules find no plan and a planner is asked.
    pub steps: Vec<PlannedStep>,
    /// The longest chain of steps that wait for each other.
    pub levels: usize,
    /// What was known of the Supervisor, as far as it matters.
    pub known: Known,
}

/// One step of a plan. Its agent gets the instruction, the text, the inputs and the outputs of the steps it comes after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedStep {
    /// Unique name.
    pub name: Name,
    /// What its agent can do.
    pub capability: Name,
    /// What is to be done, in words.
    pub instruction: String,
    /// Steps that must have ended well before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Name>,
    /// The list for each of whose items it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_each: Option<List>,
    /// How many agents do it, most of whom have to agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub votes: Option<u32>,
    /// What undoes it when a later step fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone_by: Option<Name>,
}

/// A list that a step works on item by item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum List {
    /// An input.
    Input(String),
    /// The output of a step that works on a list itself.
    Step(Name),
}

/// What is planned: a text and its inputs, as a step declares them.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// The step.
    pub step: &'r AutoStep,
    /// Its text.
    pub text: &'r str,
    /// Its inputs.
    pub inputs: &'r BTreeMap<String, Value>,
    /// What is known.
    pub known: &'r Known,
}

impl Request<'_> {
    /// The declared capabilities that a pool has; all of them while none has one, so that the plan waits for a pool.
    fn capabilities(&self) -> Vec<Name> {
        let has = |name: &&Name| self.known.capabilities.contains(*name);
        let existing: Vec<Name> = self.step.capabilities.iter().filter(has).cloned().collect();
        if existing.is_empty() { self.step.capabilities.clone() } else { existing }
    }

    /// What of the knowledge bears on the plan. A graph is how every plan is carried out, and no other way to do so.
    fn past(&self) -> Vec<Past> {
        self.known.past.iter().filter(|past| past.pattern != Pattern::Dag).copied().collect()
    }

    fn known(&self, complexity: Complexity) -> Known {
        let is_declared = |name: &&Name| self.step.capabilities.contains(*name);
        Known {
            capabilities: self.known.capabilities.iter().filter(is_declared).cloned().collect(),
            past: self.past().into_iter().filter(|past| past.complexity == complexity).collect(),
        }
    }

    /// Why a plan is not within the limits of the step.
    fn excess(&self, plan: &Decomposition) -> Option<String> {
        let (steps, most) = (plan.steps.len(), self.step.max_steps);
        if steps > most as usize {
            return Some(format!(
                "the plan has {steps} steps, and auto.maxSteps allows {most}: raise it, or ask for less at once"
            ));
        }
        let votes = plan.steps.iter().find_map(|step| step.votes.filter(|votes| *votes > self.step.max_parallel))?;
        Some(format!(
            "the plan asks {votes} agents at once, and auto.maxParallel allows {}: raise it, or ask fewer",
            self.step.max_parallel
        ))
    }
}

/// Plans by rules; an error says what is missing.
pub fn plan(request: &Request<'_>) -> Result<Planned, String> {
    let length = request.text.len();
    if length > MAX_TEXT {
        return Err(format!("auto.text: it has {length} bytes: give at most {MAX_TEXT}, and the rest as inputs"));
    }
    let (capabilities, past) = (request.capabilities(), request.past());
    let goal = Goal { text: request.text, inputs: request.inputs, capabilities: &capabilities, past: &past };
    let found = decompose::decompose(goal).map_err(|error| format!("auto.text: {error}"))?;
    match request.excess(&found) {
        Some(excess) => Err(excess),
        None => Ok(Planned::of(found, Author::Rules, request)),
    }
}

/// What a planner starts from: what the rules plan, or why they do not.
pub fn draft(request: &Request<'_>) -> Planned {
    plan(request).unwrap_or_else(|why| {
        let nothing = decompose::conclude(Vec::new(), request.inputs, &[]);
        let reason = "the planner decides".to_owned();
        Planned { evidence: vec![why], reason, ..Planned::of(nothing, Author::Rules, request) }
    })
}

impl Planned {
    fn of(found: Decomposition, author: Author, request: &Request<'_>) -> Self {
        let names: Vec<Name> = found.steps.iter().map(|step| step.name.clone()).collect();
        let name = |step: &usize| names[*step].clone();
        let is_saga = found.recommendation.pattern == Pattern::Saga;
        let is_chain = found.recommendation.pattern == Pattern::Pipeline;
        let step = |(index, step): (usize, &decompose::PlannedStep)| PlannedStep {
            name: step.name.clone(),
            capability: step.capability.clone(),
            instruction: step.instruction.clone(),
            // By experience one after the other may be better, also where nothing has to wait.
            after: match index.checked_sub(1) {
                Some(before) if is_chain => vec![name(&before)],
                _ => step.after.iter().map(name).collect(),
            },
            for_each: step.over.as_ref().map(|over| match over {
                Over::Input(input) => List::Input(input.clone()),
                Over::Step(before) => List::Step(name(before)),
            }),
            votes: step.votes,
            undone_by: step.undone_by.clone().filter(|_| is_saga),
        };
        Self {
            author,
            complexity: found.complexity,
            evidence: found.evidence,
            pattern: found.recommendation.pattern,
            reason: found.recommendation.reason,
            notes: found.notes,
            levels: if is_chain { found.steps.len() } else { found.levels.len() },
            known: request.known(found.complexity),
            steps: found.steps.iter().enumerate().map(step).collect(),
        }
    }

    /// Why this class and this pattern, and what else is to be known, in a sentence.
    pub fn why(&self) -> String {
        let said = [self.evidence.join(", "), self.reason.clone()];
        let notes = self.notes.iter().map(|note| format!("look at this: {note}"));
        said.into_iter().chain(notes).collect::<Vec<_>>().join("; ")
    }
}

/// Such as `Moderate work, ForkJoin of 4 steps on 2 levels`.
impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (complexity, pattern) = (self.complexity.as_str(), self.pattern.as_str());
        match (self.steps.len(), self.levels) {
            (1, _) => write!(f, "{complexity} work, {pattern} of 1 step"),
            (steps, 1) => write!(f, "{complexity} work, {pattern} of {steps} steps on 1 level"),
            (steps, levels) => write!(f, "{complexity} work, {pattern} of {steps} steps on {levels} levels"),
        }
    }
}
