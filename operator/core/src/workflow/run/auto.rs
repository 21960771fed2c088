//! Steps that decompose a text: how they come to a plan, and begin a run of it.
//!
//! ```text
//!   rules ──Planned──> planner? ──reply──> Planned ──> approval? ──Decided──> ChildStarted
//!                         ^   └──────> PlanRefused ──┐
//!                         └──────────── once ────────┘
//! ```
//!
//! What is planned depends on what is known of the Supervisor, so the plan itself is written into the journal and the fold
//! only reads it.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value, json};

use super::{
    Action, Run, StepPhase,
    child::Child,
    flaw,
    next::{self, Memo},
    plan::{BodyPlan, Plan, template},
    state::{Body, Part, State, Status, TaskKey, TaskState},
    step::Fold,
};
use crate::{
    expression::Template,
    id::Name,
    workflow::{
        auto::{self, Author, AutoStep, Known, List, Planned, PlannedStep, Request},
        child::SubWorkflow,
        definition::{Definition, Retry, StepKind},
        journal::RunEvent,
    },
};

/// How often a planner is asked: the second time with what was wrong with its first reply.
const ROUNDS: u32 = 2;
/// Steps that a person is told of.
const TOLD: usize = 16;

/// The templates of a step that decomposes.
#[derive(Debug)]
pub(super) struct AutoPlan {
    text: Template,
    inputs: Template,
    /// The run of the plan, which is one of the same Workflow.
    pub(super) called: SubWorkflow,
}

impl AutoPlan {
    pub(super) fn compile(auto: &AutoStep, workflow: &Name) -> Option<Self> {
        // The tasks of the plan are repeated, and not the whole plan.
        let retry = Retry { limit: 0, ..auto.retry };
        Some(Self {
            text: template(&Value::String(auto.text.clone()))?,
            inputs: template(&Value::Object(auto.inputs.clone()))?,
            called: SubWorkflow { name: workflow.clone(), parameters: Map::new(), retry },
        })
    }
}

/// A step that waits for its plan.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Planning {
    /// How often its planner was asked; 0 before the rules have planned.
    pub(super) round: u32,
    /// The task of the planner.
    pub(super) task: TaskState,
    /// What it replied.
    reply: Option<Value>,
    /// What was wrong with the reply before.
    mistakes: Vec<String>,
}

impl Default for Planning {
    fn default() -> Self {
        Self { round: 0, task: TaskState::CLOSED, reply: None, mistakes: Vec::new() }
    }
}

impl Plan {
    pub(super) fn auto(&self, step: usize) -> Option<&AutoStep> {
        match &self.definition.steps.get(step)?.kind {
            StepKind::Auto(auto) => Some(auto),
            _ => None,
        }
    }

    pub(super) fn auto_plan(&self, step: usize) -> Option<&AutoPlan> {
        match &self.steps.get(step)?.body {
            BodyPlan::Auto(auto) => Some(auto),
            _ => None,
        }
    }
}

impl Run {
    /// Whether something is to be planned, so that [`Run::learn`] has to tell what is known first.
    pub fn is_to_plan(&self) -> bool {
        !self.memo.plans.is_empty()
    }

    /// Tells what is known for plans that are made from now on.
    pub fn learn(&mut self, known: Arc<Known>) {
        self.memo.known = known;
    }

    /// The definition of a run that a step stands for which decomposes a text; none for other steps.
    pub fn definition_of(&self, child: &Child<'_>) -> Option<Definition> {
        let step = self.plan.step(child.step.as_str())?;
        let planned = self.state.steps.get(step)?.planned.as_ref()?;
        Some(auto::definition(planned, self.plan.auto(step)?, &self.plan.definition))
    }

    /// The plan of a step.
    pub fn plan_of(&self, step: &Name) -> Option<&Planned> {
        self.state.steps.get(self.plan.step(step.as_str())?)?.planned.as_deref()
    }

    /// Whether this run is that of a plan: one of its parent's own Workflow.
    pub fn is_of_plan(&self) -> bool {
        self.parent().and_then(|parent| parent.lineage.last()) == Some(&self.plan.definition.workflow)
    }
}

impl Memo {
    /// The notes for a step that waits for its plan.
    pub(super) fn note_planning(&mut self, step: usize, planning: &Planning) {
        if planning.round == 0 || planning.reply.is_some() {
            self.plans.push(step);
        }
        match planning.task.status {
            Status::Due(None) => self.fresh.push(planning.key(step)),
            Status::Due(Some(at)) => self.retry_at(at, planning.key(step)),
            _ => {}
        }
    }
}

impl Planning {
    const fn key(&self, step: usize) -> TaskKey {
        TaskKey { step, part: Part::Plan(self.round) }
    }
}

/// Writes the plans that are due, or why there can be none.
pub(super) fn write_plans(plan: &Plan, state: &State, memo: &mut Memo, actions: &mut Vec<Action>) {
    if state.compensation.is_some() {
        return;
    }
    for step in std::mem::take(&mut memo.plans) {
        let is_running = state.steps[step].phase == StepPhase::Running && !memo.is_failing(step);
        let Body::Planning(planning) = &state.steps[step].body else { continue };
        match event(plan, state, &memo.known, step, planning).filter(|_| is_running) {
            Some(Ok(event)) => actions.push(Action::Append(event)),
            Some(Err(reason)) => next::fail_step(plan, memo, step, reason, actions),
            None => {}
        }
    }
}

fn event(
    plan: &Plan,
    state: &State,
    known: &Known,
    step: usize,
    planning: &Planning,
) -> Option<Result<RunEvent, String>> {
    let declared = plan.auto(step)?;
    let (text, inputs) = match values(plan, state, step) {
        Ok(values) => values,
        Err(reason) => return Some(Err(reason)),
    };
    let request = Request { step: declared, text: &text, inputs: &inputs, known };
    let (name, round) = (plan.name(step).clone(), planning.round);
    let planned = |planned| RunEvent::Planned { step: name.clone(), round, plan: Box::new(planned) };
    match (&planning.reply, &declared.planner) {
        (Some(reply), _) => Some(Ok(match auto::read_reply(reply, &request, &plan.definition) {
            Ok(read) => planned(read),
            Err(mistakes) => RunEvent::PlanRefused { step: name, round, mistakes },
        })),
        (None, None) if round == 0 => Some(auto::plan(&request).map(planned)),
        (None, Some(_)) if round == 0 => Some(Ok(planned(auto::draft(&request)))),
        _ => None,
    }
}

/// The text and the inputs of a step; the same whenever they are asked for.
fn values(plan: &Plan, state: &State, step: usize) -> Result<(String, BTreeMap<String, Value>), String> {
    let templates = plan.auto_plan(step).ok_or("there is no such step")?;
    let read = |template: &Template, field: &str| {
        let scope = state.scope(plan, template.references());
        template.evaluate(&scope).map_err(|error| format!("auto.{field}: {error}"))
    };
    let Value::String(text) = read(&templates.text, "text")? else {
        return Err("auto.text: it is no text: write ${…} with an expression that yields one".to_owned());
    };
    match read(&templates.inputs, "inputs")? {
        Value::Object(inputs) => Ok((text, inputs.into_iter().collect())),
        _ => Err("auto.inputs: they are no object".to_owned()),
    }
}

/// The parameters of a run of the plan.
pub(super) fn parameters(plan: &Plan, state: &State, step: usize) -> Result<Value, String> {
    let planned = state.steps[step].planned.as_ref().ok_or("there is no plan")?;
    let (text, inputs) = values(plan, state, step)?;
    let instructions: Vec<&str> = planned.steps.iter().map(|step| step.instruction.as_str()).collect();
    let [of_text, of_inputs, of_instructions] = auto::PARAMETERS;
    Ok(json!({of_text: text, of_inputs: inputs, of_instructions: instructions}))
}

/// What a planner is given: what is wanted, what the rules would do, its limits, and what was wrong with its last reply.
pub(super) fn input(plan: &Plan, state: &State, step: usize) -> Result<Value, String> {
    let (Some(auto), Body::Planning(planning)) = (plan.auto(step), &state.steps[step].body) else {
        return Err("there is no such task".to_owned());
    };
    let draft = state.steps[step].planned.as_ref().ok_or("there is no draft")?;
    let (text, inputs) = values(plan, state, step)?;
    let steps: Vec<Value> = draft.steps.iter().map(as_replied).collect();
    Ok(json!({
        "text": text,
        "inputs": inputs,
        "capabilities": auto.capabilities,
        "draft": {
            "complexity": draft.complexity,
            "evidence": draft.evidence,
            "pattern": draft.pattern,
            "reason": draft.reason,
            "notes": draft.notes,
            "steps": steps,
        },
        "limits": {"maxSteps": auto.max_steps, "maxParallel": auto.max_parallel},
        "mistakes": planning.mistakes,
    }))
}

/// A step in the form in which planners reply.
fn as_replied(step: &PlannedStep) -> Value {
    let list = step.for_each.as_ref().map(|list| match list {
        List::Input(name) => name.clone(),
        List::Step(name) => name.to_string(),
    });
    let (name, capability, instruction) = (&step.name, &step.capability, &step.instruction);
    let (after, votes, undone_by) = (&step.after, step.votes, &step.undone_by);
    let fields = json!({
        "name": name, "capability": capability, "instruction": instruction, "after": after,
        "forEach": list, "votes": votes, "undoneBy": undone_by,
    });
    let Value::Object(mut fields) = fields else { return Value::Null };
    fields.retain(|_, value| !value.is_null() && *value != json!([]));
    Value::Object(fields)
}

/// A plan as people are asked about it.
pub(super) fn told(planned: &Planned) -> String {
    let steps = planned.steps.iter().take(TOLD).map(|step| format!("{} ({})", step.name, step.capability));
    let more = match planned.steps.len().saturating_sub(TOLD) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("plan: {planned}: {}{more}; {}", steps.collect::<Vec<_>>().join(", "), planned.why())
}

impl Fold<'_> {
    /// The step at which a plan is waited for in this round.
    fn planning(&mut self, step: &Name, round: u32) -> Option<(usize, &mut Planning)> {
        let step = self.plan.step(step.as_str())?;
        match &mut self.state.steps[step].body {
            Body::Planning(planning) if planning.round == round => Some((step, planning)),
            _ => None,
        }
    }

    /// Notes a plan, whatever becomes of it.
    pub(super) fn hear_of_plan(&mut self, step: &Name, planned: &Planned) {
        if let Some(step) = self.plan.step(step.as_str()) {
            self.state.control.plans.insert(step, Arc::new(planned.clone()));
        }
    }

    pub(super) fn planned(&mut self, step: &Name, round: u32, planned: &Planned) -> bool {
        let Some((step, _)) = self.planning(step, round) else { return false };
        let has_planner = self.plan.auto(step).is_some_and(|auto| auto.planner.is_some());
        let plan = self.state.control.plans.get(&step).map_or_else(|| Arc::new(planned.clone()), Arc::clone);
        let state = &mut self.state.steps[step];
        state.planned = Some(plan);
        let is_planned = !planned.steps.is_empty();
        state.message = Some(if is_planned { format!("plan: {planned}") } else { "the planner is asked".to_owned() });
        if has_planner && planned.author == Author::Rules {
            state.tasks += 1;
            self.ask_planner(step, Vec::new());
        } else if self.plan.auto(step).is_some_and(|auto| auto.approval.is_some()) && !flaw::approves_every_plan() {
            self.ask(step, None);
        } else {
            self.begin_plan(step);
        }
        true
    }

    pub(super) fn plan_refused(&mut self, step: &Name, round: u32, mistakes: &[String]) -> bool {
        let Some((step, _)) = self.planning(step, round) else { return false };
        if round < ROUNDS {
            self.state.steps[step].tasks += 1;
            self.ask_planner(step, mistakes.to_vec());
        } else {
            self.state.steps[step].failed += 1;
            let message = format!("auto.planner: its reply is no plan: {}", mistakes.join("; "));
            self.end_step(step, StepPhase::Failed, Some(message), Value::Null);
        }
        true
    }

    fn ask_planner(&mut self, step: usize, mistakes: Vec<String>) {
        if let Body::Planning(planning) = &mut self.state.steps[step].body {
            **planning = Planning { round: planning.round + 1, task: TaskState::DUE, reply: None, mistakes };
            self.memo.fresh.push(planning.key(step));
        }
    }

    pub(super) fn planner_replied(&mut self, step: usize, reply: &Value) {
        let state = &mut self.state.steps[step];
        state.succeeded += 1;
        if let Body::Planning(planning) = &mut state.body {
            planning.task.status = Status::Closed;
            planning.reply = Some(reply.clone());
            self.memo.plans.push(step);
        }
    }

    /// Begins the run of a plan that is made, and approved if need be.
    pub(super) fn begin_plan(&mut self, step: usize) {
        self.state.steps[step].body = Body::Task(TaskState::DUE);
        self.memo.fresh.push(TaskKey { step, part: Part::Only });
    }
}
