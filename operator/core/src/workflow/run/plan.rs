//! A definition made ready to run: names resolved to positions, templates compiled.

use std::{collections::HashMap, time::Duration};

use serde_json::{Value, json};

use super::{
    approval,
    auto::AutoPlan,
    state::{Part, TaskKey},
};
use crate::{
    expression::{Expression, Template, Vocabulary},
    id::{Name, RunId, TaskPath},
    schema::Schema,
    workflow::{
        definition::{
            Definition, Gate, Judge, LoopStep, MapStep, Reduce, Retry, ScatterStep, Stage, Step, StepKind, Task, Wait,
        },
        graph,
    },
};

/// A definition made ready to run.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) id: RunId,
    pub(super) definition: Definition,
    /// Value of the variable `run`.
    pub(super) run: Value,
    pub(super) steps: Vec<StepPlan>,
    pub(super) output: Option<Template>,
    /// Why it cannot be run; `steps` is empty then.
    pub(super) defect: Option<String>,
    /// Steps that stand for runs of other workflows.
    pub(super) sub_workflows: Vec<usize>,
    /// Whether the run may come to undo what was done.
    pub(super) may_compensate: bool,
    by_name: HashMap<Name, usize>,
}

/// A step made ready to run.
#[derive(Debug)]
pub(super) struct StepPlan {
    /// Steps that wait for this one.
    pub(super) dependents: Vec<usize>,
    /// Maps whose items are the outputs of this one.
    pub(super) streams: Vec<usize>,
    /// The map whose outputs are the items of this one.
    pub(super) stream_from: Option<usize>,
    pub(super) when: Option<Expression>,
    pub(super) body: BodyPlan,
    pub(super) gate: Option<GatePlan>,
    /// What people are asked, by an approval or by the gate.
    pub(super) question: Option<Template>,
    /// Input of the task that undoes the step.
    compensate: Option<Template>,
}

impl StepPlan {
    /// Whether no other step waits for it.
    pub(super) const fn is_last(&self) -> bool {
        self.dependents.is_empty() && self.streams.is_empty()
    }
}

/// What a gate asks, made ready to run.
#[derive(Debug)]
pub(super) struct GatePlan {
    pub(super) schema: Option<Schema>,
    pub(super) expression: Option<Expression>,
    /// Input of the judge.
    judge: Option<Template>,
    /// Input of the task that is done instead.
    fallback: Option<Template>,
}

/// The templates of a map.
#[derive(Debug)]
pub(super) struct MapPlan {
    pub(super) items: Template,
    pub(super) nested: Option<NestedPlan>,
    task: Template,
    /// Input of the reducing tasks.
    reduce: Option<Template>,
    pub(super) expression: Option<Expression>,
}

/// What makes lists of the items of a map.
#[derive(Debug)]
pub(super) struct NestedPlan {
    pub(super) items: Template,
    pub(super) expression: Option<Expression>,
}

/// The template and the expressions of a scatter.
#[derive(Debug)]
pub(super) struct ScatterPlan {
    task: Template,
    /// What must be equal for answers to agree; none means the whole answer.
    pub(super) compare: Option<Expression>,
    /// Score or weight, with the name of its field.
    pub(super) score: Option<(&'static str, Expression)>,
}

/// The templates of a step.
#[derive(Debug)]
pub(super) enum BodyPlan {
    Task(Template),
    Map(Box<MapPlan>),
    /// The branches of a parallel step, or the only chain of a pipeline.
    Chains(Vec<Vec<Template>>),
    Scatter(Box<ScatterPlan>),
    Loop(Box<LoopPlan>),
    Wait(WaitPlan),
    Approval,
    Auto(Box<AutoPlan>),
}

/// The template and the condition of a loop.
#[derive(Debug)]
pub(super) struct LoopPlan {
    task: Template,
    pub(super) until: Expression,
}

/// How long a step waits.
#[derive(Debug)]
pub(super) enum WaitPlan {
    For(Duration),
    Until(Template),
}

impl Plan {
    pub(super) fn compile(run: &RunId, definition: Definition, defect: Option<String>) -> Self {
        let by_name = definition.steps.iter().enumerate().map(|(index, step)| (step.name.clone(), index)).collect();
        let id = run.clone();
        let is_run = |(_, step): &(usize, &Step)| matches!(step.kind, StepKind::Workflow(_) | StepKind::Auto(_));
        let sub_workflows = definition.steps.iter().enumerate().filter(is_run).map(|(index, _)| index).collect();
        let run = json!({"id": run.as_str(), "workflow": definition.workflow.as_str()});
        let may_compensate = definition.may_compensate();
        let (steps, output) = (Vec::new(), None);
        let mut plan = Self { id, definition, run, steps, output, defect, sub_workflows, may_compensate, by_name };
        if plan.defect.is_none() {
            plan.defect = graph::validate(&plan.definition).first().map(ToString::to_string);
        }
        if plan.defect.is_none() {
            match plan.compile_steps() {
                Some(steps) => plan.steps = steps,
                None => plan.defect = Some("the definition cannot be compiled".to_owned()),
            }
            plan.output = plan.definition.output.as_ref().and_then(template);
        }
        plan
    }

    fn compile_steps(&self) -> Option<Vec<StepPlan>> {
        let mut steps = Vec::with_capacity(self.definition.steps.len());
        for step in &self.definition.steps {
            let chain = |stages: &Vec<Stage>| stages.iter().map(|stage| template(&stage.task.input)).collect();
            let body = match &step.kind {
                StepKind::Task(task) => BodyPlan::Task(template(&task.input)?),
                StepKind::Map(map) => BodyPlan::Map(Box::new(MapPlan::compile(map)?)),
                StepKind::Parallel(branches) => {
                    BodyPlan::Chains(branches.iter().map(|branch| chain(&branch.stages)).collect::<Option<_>>()?)
                }
                StepKind::Pipeline(stages) => BodyPlan::Chains(vec![chain(stages)?]),
                StepKind::Scatter(scatter) => BodyPlan::Scatter(Box::new(ScatterPlan::compile(scatter)?)),
                StepKind::Workflow(called) => BodyPlan::Task(template(&Value::Object(called.parameters.clone()))?),
                StepKind::Loop(repeated) => BodyPlan::Loop(Box::new(LoopPlan {
                    task: template(&repeated.task.input)?,
                    until: expression(&repeated.until)?,
                })),
                StepKind::Wait(Wait::For(duration)) => BodyPlan::Wait(WaitPlan::For(*duration)),
                StepKind::Wait(Wait::Until(moment)) => BodyPlan::Wait(WaitPlan::Until(template(moment)?)),
                StepKind::Approval(_) => BodyPlan::Approval,
                StepKind::Auto(auto) => BodyPlan::Auto(Box::new(AutoPlan::compile(auto, &self.definition.workflow)?)),
            };
            let when = match &step.when {
                Some(when) => Some(expression(when)?),
                None => None,
            };
            let compensate = match &step.compensate {
                Some(task) => Some(template(&task.input)?),
                None => None,
            };
            let gate = match &step.gate {
                Some(gate) => Some(GatePlan::compile(gate)?),
                None => None,
            };
            let question = match approval::of_step(step).and_then(|approval| approval.message.clone()) {
                Some(message) => Some(template(&Value::String(message))?),
                None => None,
            };
            let stream_from = match step.streams_from() {
                Some(source) => Some(*self.by_name.get(source)?),
                None => None,
            };
            let (dependents, streams) = (Vec::new(), Vec::new());
            steps.push(StepPlan { dependents, streams, stream_from, when, body, gate, question, compensate });
        }
        for (index, step) in self.definition.steps.iter().enumerate() {
            if let Some(source) = steps[index].stream_from {
                steps[source].streams.push(index);
            }
            for before in &step.after {
                steps[*self.by_name.get(before)?].dependents.push(index);
            }
        }
        Some(steps)
    }

    pub(super) fn step(&self, name: &str) -> Option<usize> {
        // Without compiled steps there is no state of steps either.
        self.by_name.get(name).copied().filter(|step| *step < self.steps.len())
    }

    pub(super) fn name(&self, step: usize) -> &Name {
        &self.definition.steps[step].name
    }

    pub(super) fn map(&self, step: usize) -> Option<&MapStep> {
        match &self.definition.steps[step].kind {
            StepKind::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(super) fn scatter(&self, step: usize) -> Option<(&ScatterStep, &ScatterPlan)> {
        match (&self.definition.steps[step].kind, &self.steps.get(step)?.body) {
            (StepKind::Scatter(scatter), BodyPlan::Scatter(plan)) => Some((scatter, plan)),
            _ => None,
        }
    }

    pub(super) fn repeated(&self, step: usize) -> Option<(&LoopStep, &LoopPlan)> {
        match (&self.definition.steps[step].kind, &self.steps.get(step)?.body) {
            (StepKind::Loop(repeated), BodyPlan::Loop(plan)) => Some((repeated, plan)),
            _ => None,
        }
    }

    /// Whether the step says how it is undone, in a run that undoes.
    pub(super) fn is_compensable(&self, step: usize) -> bool {
        self.may_compensate && self.definition.steps[step].compensate.is_some()
    }

    /// The agent that judges the output of a step.
    pub(super) fn judge(&self, step: usize) -> Option<&Judge> {
        self.definition.steps.get(step)?.gate.as_ref()?.judge.as_deref()
    }

    /// The task that is done instead of a step's own, with the template of its input.
    pub(super) fn fallback(&self, step: usize) -> Option<(&Task, &Template)> {
        let fallback = self.definition.steps.get(step)?.gate.as_ref()?.fallback.as_deref()?;
        Some((fallback, self.steps.get(step)?.gate.as_ref()?.fallback.as_ref()?))
    }

    /// The stages of a branch, or of the pipeline, which counts as one chain.
    fn stages(&self, step: usize, chain: usize) -> Option<&[Stage]> {
        match &self.definition.steps.get(step)?.kind {
            StepKind::Parallel(branches) => branches.get(chain).map(|branch| branch.stages.as_slice()),
            StepKind::Pipeline(stages) if chain == 0 => Some(stages),
            _ => None,
        }
    }

    /// The definition of a task.
    pub(super) fn task(&self, key: TaskKey) -> Option<&Task> {
        match key.part {
            Part::Compensate => return self.definition.steps.get(key.step)?.compensate.as_ref(),
            Part::Judge(_) => return self.judge(key.step).map(|judge| &judge.task),
            Part::Plan(_) => return self.auto(key.step)?.planner.as_ref(),
            _ => {}
        }
        match (&self.definition.steps.get(key.step)?.kind, key.part) {
            (StepKind::Task(task), Part::Only) => Some(task),
            (StepKind::Map(map), Part::Item(_)) => Some(&map.task),
            (StepKind::Scatter(scatter), Part::Item(_)) => Some(&scatter.task),
            (StepKind::Loop(repeated), Part::Item(_)) => Some(&repeated.task),
            (StepKind::Map(map), Part::Reduce | Part::Group { .. }) => match &map.reduce {
                Reduce::Task(task) | Reduce::Tree { task, .. } => Some(task),
                _ => None,
            },
            (_, Part::Stage { chain, stage }) => self.stages(key.step, chain)?.get(stage).map(|stage| &stage.task),
            _ => None,
        }
    }

    /// How a task is repeated.
    pub(super) fn retry(&self, key: TaskKey) -> Option<Retry> {
        match self.sub_workflow(key.step) {
            Some(called) if key.part == Part::Only => Some(called.retry),
            _ => self.task(key).map(|task| task.retry),
        }
    }

    /// The template of a task's input.
    pub(super) fn input(&self, key: TaskKey) -> Option<&Template> {
        match key.part {
            Part::Compensate => return self.steps.get(key.step)?.compensate.as_ref(),
            Part::Judge(_) => return self.steps.get(key.step)?.gate.as_ref()?.judge.as_ref(),
            _ => {}
        }
        match (&self.steps.get(key.step)?.body, key.part) {
            (BodyPlan::Task(input), Part::Only) => Some(input),
            (BodyPlan::Map(map), Part::Item(_)) => Some(&map.task),
            (BodyPlan::Scatter(scatter), Part::Item(_)) => Some(&scatter.task),
            (BodyPlan::Loop(repeated), Part::Item(_)) => Some(&repeated.task),
            (BodyPlan::Map(map), Part::Reduce | Part::Group { .. }) => map.reduce.as_ref(),
            (BodyPlan::Chains(chains), Part::Stage { chain, stage }) => chains.get(chain)?.get(stage),
            _ => None,
        }
    }

    /// The path of a task; the inverse of [`Plan::key`].
    ///
    /// No two tasks of a run share one: the first part is the step's name, which is unique and holds no colon, and within
    /// a step the parts that follow are either all indices and those that begin with `reduce`, or unique names, or `compensate` alone. Those of a
    /// judge begin with `judge`, which is no branch of a step that has one, and those of a planner with `plan`.
    pub(super) fn path(&self, key: TaskKey) -> TaskPath {
        let step = self.name(key.step);
        match key.part {
            Part::Only => TaskPath::of_step(step),
            Part::Item(index) => TaskPath::of_item(step, index),
            Part::Reduce => TaskPath::of_reduce(step),
            Part::Group { level, group } => TaskPath::of_group(step, level, group),
            Part::Judge(round) => TaskPath::of_judgement(step, round),
            Part::Plan(round) => TaskPath::of_planning(step, round),
            Part::Compensate => TaskPath::of_compensation(step),
            Part::Stage { chain, stage } => match &self.definition.steps[key.step].kind {
                StepKind::Parallel(branches) => {
                    TaskPath::of_branch(step, &branches[chain].name, &branches[chain].stages[stage].name)
                }
                StepKind::Pipeline(stages) => TaskPath::of_stage(step, &stages[stage].name),
                _ => TaskPath::of_step(step),
            },
        }
    }

    /// The task at a path; none when the definition has no such task.
    pub(super) fn key(&self, path: &TaskPath) -> Option<TaskKey> {
        let mut parts = path.parts();
        let step = self.step(parts.next()?)?;
        let rest: Vec<&str> = parts.collect();
        let position = |stages: &[Stage], name: &str| stages.iter().position(|stage| stage.name.as_str() == name);
        let part = match (&self.definition.steps[step].kind, rest.as_slice()) {
            (StepKind::Task(_) | StepKind::Workflow(_) | StepKind::Auto(_), []) => Part::Only,
            (StepKind::Task(_), ["compensate"]) => Part::Compensate,
            (_, ["judge", round]) if self.judge(step).is_some() => Part::Judge(u32::try_from(number(round)?).ok()?),
            (StepKind::Auto(auto), ["plan", round]) if auto.planner.is_some() => {
                Part::Plan(u32::try_from(number(round)?).ok()?)
            }
            (StepKind::Map(_), ["reduce"]) => Part::Reduce,
            (StepKind::Map(_), ["reduce", level, group]) => {
                Part::Group { level: number(level)?, group: number(group)? }
            }
            (StepKind::Map(_) | StepKind::Scatter(_) | StepKind::Loop(_), [index]) => Part::Item(number(index)?),
            (StepKind::Pipeline(stages), [stage]) => Part::Stage { chain: 0, stage: position(stages, stage)? },
            (StepKind::Parallel(branches), [branch, stage]) => {
                let chain = branches.iter().position(|candidate| candidate.name.as_str() == *branch)?;
                Part::Stage { chain, stage: position(&branches[chain].stages, stage)? }
            }
            _ => return None,
        };
        Some(TaskKey { step, part })
    }
}

impl GatePlan {
    fn compile(gate: &Gate) -> Option<Self> {
        let expression = match &gate.expression {
            Some(source) => Some(expression(source)?),
            None => None,
        };
        let schema = match &gate.schema {
            Some(schema) => Some(Schema::compile(schema).ok()?),
            None => None,
        };
        let judge = match &gate.judge {
            Some(judge) => Some(template(&judge.task.input)?),
            None => None,
        };
        let fallback = match &gate.fallback {
            Some(fallback) => Some(template(&fallback.input)?),
            None => None,
        };
        Some(Self { schema, expression, judge, fallback })
    }
}

impl MapPlan {
    fn compile(map: &MapStep) -> Option<Self> {
        let of_results = |reduce: &Reduce| match reduce {
            Reduce::Expression(source) => Some(Some(expression(source)?)),
            _ => Some(None),
        };
        let nested = match &map.nested {
            Some(nested) => {
                Some(NestedPlan { items: template(&nested.items)?, expression: of_results(&nested.reduce)? })
            }
            None => None,
        };
        let reduce = match &map.reduce {
            Reduce::Task(task) | Reduce::Tree { task, .. } => Some(template(&task.input)?),
            _ => None,
        };
        let (items, task) = (template(&map.items)?, template(&map.task.input)?);
        Some(Self { items, nested, task, reduce, expression: of_results(&map.reduce)? })
    }
}

impl ScatterPlan {
    fn compile(scatter: &ScatterStep) -> Option<Self> {
        let compare = match scatter.gather.compare() {
            Some(compare) => Some(expression(compare)?),
            None => None,
        };
        let score = match scatter.gather.score() {
            Some((field, score)) => Some((field, expression(score)?)),
            None => None,
        };
        Some(Self { task: template(&scatter.task.input)?, compare, score })
    }
}

/// A number as paths hold it.
fn number(text: &str) -> Option<usize> {
    text.parse().ok().filter(|parsed: &usize| parsed.to_string() == text)
}

fn expression(source: &str) -> Option<Expression> {
    Expression::compile(source, Vocabulary::Workflow).ok()
}

pub(super) fn template(value: &Value) -> Option<Template> {
    Template::compile(value).ok()
}
