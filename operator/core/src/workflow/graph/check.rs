//! The checks themselves, each a method that adds what it finds.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::{MAX_PARTS, MAX_SIZE, MAX_STEPS, Placed, TARGETS, Violation, cycle, gate::reads_of_task, upstream};
use crate::{
    expression::{Expression, References, Template, Variable, Vocabulary},
    id::Name,
    workflow::definition::{
        Branch, Definition, FailurePolicy, Gather, Retry, ScatterStep, Stage, Step, StepKind, Task, Wait,
    },
};

/// Variables that every expression may read.
const EVERYWHERE: [Variable; 3] = [Variable::Params, Variable::Steps, Variable::Run];

pub(super) struct Checker<'d> {
    pub(super) definition: &'d Definition,
    upstream: Vec<BTreeSet<usize>>,
    /// The step whose outputs the one that is checked gets while both run.
    streamed: Option<&'d Name>,
    violations: Vec<Violation>,
}

impl<'d> Checker<'d> {
    pub(super) fn new(definition: &'d Definition) -> Self {
        // The closure of a definition that is far too large is not worth its time; the size is the violation then.
        let upstream = if definition.steps.len() > MAX_STEPS { Vec::new() } else { upstream(definition) };
        Self { definition, upstream, streamed: None, violations: Vec::new() }
    }

    pub(super) fn run(mut self) -> Vec<Violation> {
        let definition = self.definition;
        self.check_sizes();
        if definition.steps.len() > MAX_STEPS {
            return self.violations;
        }
        self.check_names("spec.steps", definition.steps.iter().map(|step| &step.name));
        self.check_order();
        if definition.on_failure == FailurePolicy::Compensate && !self.says_how_it_is_undone() {
            let remedy = "write compensate in the steps that have to be undone, or onFailure: Stop";
            self.add("spec.onFailure", "no step says how it is undone", remedy);
        }
        if definition.timeout.is_some_and(|timeout| timeout.is_zero()) {
            self.add("spec.timeout", "a run needs time", "write a duration above 0s");
        }
        for (index, step) in definition.steps.iter().enumerate() {
            self.check_step(index, step);
        }
        if let Some(output) = &definition.output {
            let every = (0..definition.steps.len()).collect();
            self.check_template("spec.output", output, &[], &every);
        }
        self.violations
    }

    pub(super) fn add(&mut self, field: impl Into<String>, message: impl Into<String>, remedy: impl Into<String>) {
        self.violations.push(Violation { field: field.into(), message: message.into(), remedy: remedy.into() });
    }

    pub(super) fn says_how_it_is_undone(&self) -> bool {
        self.definition.steps.iter().any(|step| step.compensate.is_some())
    }

    fn check_sizes(&mut self) {
        let steps = self.definition.steps.len();
        if steps == 0 {
            self.add("spec.steps", "the list is empty", "write at least one step");
        }
        if steps > MAX_STEPS {
            let remedy = format!("write at most {MAX_STEPS}; a map step does one task for each item of a list");
            self.add("spec.steps", format!("there are {steps} steps"), remedy);
        }
        let size = serde_json::to_vec(self.definition).map_or(0, |text| text.len());
        if size > MAX_SIZE {
            let remedy = format!("write at most {MAX_SIZE}; give large values to a run as parameters");
            self.add("spec", format!("the definition has {size} bytes as JSON"), remedy);
        }
    }

    fn check_names<'n>(&mut self, field: &str, names: impl Iterator<Item = &'n Name>) {
        let mut first: HashMap<&Name, usize> = HashMap::new();
        for (index, name) in names.enumerate() {
            if let Some(earlier) = first.get(name) {
                let message = format!("{name:?} is already the name of {field}[{earlier}]", name = name.as_str());
                self.add(format!("{field}[{index}].name"), message, "write another name");
            } else {
                first.insert(name, index);
            }
        }
    }

    fn check_order(&mut self) {
        let definition = self.definition;
        let known: HashMap<&Name, usize> =
            definition.steps.iter().enumerate().rev().map(|(index, step)| (&step.name, index)).collect();
        let mut edges = vec![Vec::new(); definition.steps.len()];
        for (index, step) in definition.steps.iter().enumerate() {
            let field = format!("spec.steps[{index}].after");
            if step.after.len() > MAX_PARTS {
                let message = format!("there are {} entries", step.after.len());
                self.add(&field, message, format!("write at most {MAX_PARTS}: steps they wait for need not be named"));
            }
            for (entry, name) in step.after.iter().enumerate() {
                let field = format!("{field}[{entry}]");
                if step.after[..entry].contains(name) {
                    self.add(field, format!("{:?} stands here twice", name.as_str()), "write it once");
                } else if let Some(&before) = known.get(name) {
                    edges[index].push(before);
                } else {
                    let message = format!("there is no step {:?}", name.as_str());
                    self.add(field, message, format!("write one of {}", self.step_names()));
                }
            }
            // What cannot be streamed from is told where the step is checked.
            edges[index].extend(step.streams_from().and_then(|name| known.get(name)).filter(|from| **from != index));
        }
        for cycle in cycle::find(&edges) {
            // `after` points backwards, people read forwards: a -> b means that b waits for a.
            let mut names: Vec<&str> = cycle.iter().rev().map(|&step| definition.steps[step].name.as_str()).collect();
            names.extend(names.first().copied());
            let (last, first) = (cycle[cycle.len() - 1], cycle[0]);
            let entry = definition.steps[last].after.iter().position(|name| *name == definition.steps[first].name);
            let is_streamed = entry.is_none() && definition.steps[last].streams_from().is_some();
            let (field, remedy) = if is_streamed {
                let remedy = "name another step, or remove one of these from the `after` of the next";
                (format!("spec.steps[{last}].map.itemsFrom.step"), remedy)
            } else {
                let remedy = "remove one of these from the `after` of the next";
                (format!("spec.steps[{last}].after[{}]", entry.unwrap_or_default()), remedy)
            };
            self.add(field, format!("steps wait for each other in a cycle: {}", names.join(" -> ")), remedy);
        }
    }

    pub(super) fn step_names(&self) -> String {
        let mut names: Vec<&str> = self.definition.steps.iter().map(|step| step.name.as_str()).take(20).collect();
        if self.definition.steps.len() > names.len() {
            names.push("…");
        }
        names.join(", ")
    }

    fn check_step(&mut self, index: usize, step: &'d Step) {
        let field = format!("spec.steps[{index}]");
        let upstream = self.upstream.get(index).cloned().unwrap_or_default();
        self.streamed = step.streams_from();
        self.check_stream(&field, index, step);
        if let Some(when) = &step.when {
            let field = format!("{field}.when");
            self.check_condition(&field, when, &[], &upstream);
        }
        if step.timeout.is_some_and(|timeout| timeout.is_zero()) {
            self.add(format!("{field}.timeout"), "a step needs time", "write a duration above 0s");
        }
        let placed = match &step.kind {
            StepKind::Task(task) => vec![Placed { field: format!("{field}.task"), task, reads: reads_of_task(step) }],
            StepKind::Map(map) => self.check_map(&format!("{field}.map"), map, &upstream),
            StepKind::Parallel(branches) => self.check_branches(&format!("{field}.parallel.branches"), branches),
            StepKind::Pipeline(stages) => self.check_stages(&format!("{field}.pipeline.stages"), stages),
            StepKind::Scatter(scatter) => self.check_scatter(&format!("{field}.scatter"), scatter, &upstream),
            StepKind::Loop(repeated) => self.check_loop(&format!("{field}.loop"), repeated, &upstream),
            StepKind::Wait(Wait::Until(moment)) => {
                self.check_moment(&format!("{field}.wait.until"), moment, &upstream);
                Vec::new()
            }
            StepKind::Wait(Wait::For(_)) => Vec::new(),
            StepKind::Approval(approval) => {
                self.check_question(&format!("{field}.approval"), approval, &[], &upstream);
                Vec::new()
            }
            StepKind::Workflow(called) => {
                self.check_sub_workflow(&format!("{field}.workflow"), called, &upstream);
                Vec::new()
            }
            StepKind::Auto(auto) => {
                self.check_auto(&format!("{field}.auto"), auto, step, &upstream);
                Vec::new()
            }
        };
        let of_gate = self.check_gate(&field, step, &upstream);
        self.check_compensation(index, step, &upstream);
        for placed in placed.into_iter().chain(of_gate) {
            self.check_template(&format!("{}.input", placed.field), &placed.task.input, placed.reads, &upstream);
            self.check_task(&placed.field, placed.task);
        }
    }

    fn check_compensation(&mut self, index: usize, step: &Step, upstream: &BTreeSet<usize>) {
        let Some(task) = &step.compensate else { return };
        let field = format!("spec.steps[{index}].compensate");
        if !self.definition.may_compensate() {
            self.add(&field, "nothing ever calls it", "write spec.onFailure: Compensate, or remove it");
        }
        if !matches!(step.kind, StepKind::Task(_)) {
            let remedy = "split the step into tasks that can be undone one by one, or remove it";
            self.add(&field, "it undoes one task, and this step is none", remedy);
        }
        // It runs when its own step has ended.
        let mut readable = upstream.clone();
        readable.insert(index);
        self.check_template(&format!("{field}.input"), &task.input, &[], &readable);
        self.check_task(&field, task);
    }

    fn check_moment(&mut self, field: &str, moment: &Value, upstream: &BTreeSet<usize>) {
        let is_moment = |text: &str| text.contains("${") || text.parse::<jiff::Timestamp>().is_ok();
        if moment.as_str().is_some_and(is_moment) {
            self.check_template(field, moment, &[], upstream);
        } else {
            let remedy = "write one such as 2026-11-21T17:00:00Z, or ${…} with an expression that yields one";
            self.add(field, format!("{moment} is no moment"), remedy);
        }
    }

    fn check_branches<'t>(&mut self, field: &str, branches: &'t [Branch]) -> Vec<Placed<'t>> {
        self.check_count(field, branches.len(), "branch");
        self.check_names(field, branches.iter().map(|branch| &branch.name));
        let mut placed = Vec::new();
        for (index, branch) in branches.iter().enumerate() {
            placed.extend(self.check_stages(&format!("{field}[{index}].stages"), &branch.stages));
        }
        placed
    }

    fn check_stages<'t>(&mut self, field: &str, stages: &'t [Stage]) -> Vec<Placed<'t>> {
        self.check_count(field, stages.len(), "stage");
        self.check_names(field, stages.iter().map(|stage| &stage.name));
        let place = |(index, stage): (usize, &'t Stage)| Placed {
            field: format!("{field}[{index}].task"),
            task: &stage.task,
            reads: &[Variable::Previous],
        };
        stages.iter().enumerate().map(place).collect()
    }

    fn check_scatter<'t>(
        &mut self,
        field: &str,
        scatter: &'t ScatterStep,
        upstream: &BTreeSet<usize>,
    ) -> Vec<Placed<'t>> {
        if !TARGETS.contains(&scatter.to) {
            let remedy = format!("write {} to {}; one target is a task", TARGETS.start(), TARGETS.end());
            self.add(format!("{field}.to"), format!("there are {} targets", scatter.to), remedy);
        }
        let gather = &scatter.gather;
        let field_of_gather = format!("{field}.gather.{}", gather.as_str());
        let fewest = if matches!(gather, Gather::Consensus { .. }) { 2 } else { 1 };
        if !(fewest..=scatter.to).contains(&gather.at_least()) && TARGETS.contains(&scatter.to) {
            let message = format!("{} of {} answers can never be what is needed", gather.at_least(), scatter.to);
            self.add(format!("{field_of_gather}.atLeast"), message, format!("write {fewest} to {}", scatter.to));
        }
        for (name, source) in gather.score().into_iter().chain(gather.compare().map(|compare| ("compare", compare))) {
            let field = format!("{field_of_gather}.{name}");
            self.check_expression(&field, source, &[Variable::Output, Variable::Index], upstream);
        }
        vec![Placed { field: format!("{field}.task"), task: &scatter.task, reads: &[Variable::Index] }]
    }

    fn check_count(&mut self, field: &str, count: usize, what: &str) {
        if count == 0 {
            self.add(field, "the list is empty", format!("write at least one {what}"));
        } else if count > MAX_PARTS {
            self.add(field, format!("there are {count} entries"), format!("write at most {MAX_PARTS}"));
        }
    }

    pub(super) fn check_task(&mut self, field: &str, task: &Task) {
        if task.timeout.is_zero() {
            self.add(format!("{field}.timeout"), "an attempt needs time", "write a duration above 0s");
        }
        self.check_retry(&format!("{field}.retry"), task.retry);
        if let Some(hand_over) = &task.hand_over {
            self.check_hand_over(&format!("{field}.handOver"), hand_over);
        }
    }

    pub(super) fn check_retry(&mut self, field: &str, retry: Retry) {
        if retry.factor == 0 {
            let remedy = "write 1 for equal waiting times, or more";
            self.add(format!("{field}.backoff.factor"), "waiting times would shrink to nothing", remedy);
        }
    }

    pub(super) fn check_template(
        &mut self,
        field: &str,
        template: &Value,
        reads: &[Variable],
        upstream: &BTreeSet<usize>,
    ) {
        let (readings, mistakes) = Template::inspect(template);
        for mistake in mistakes {
            self.add(format!("{field}{}", mistake.place), mistake.error.to_string(), "write CEL inside of ${…}");
        }
        for reading in readings {
            self.check_references(&format!("{field}{}", reading.place), &reading.references, reads, upstream);
        }
    }

    pub(super) fn check_condition(
        &mut self,
        field: &str,
        source: &str,
        reads: &[Variable],
        upstream: &BTreeSet<usize>,
    ) {
        self.check_source(field, source, reads, upstream, "write a CEL condition without ${}");
    }

    pub(super) fn check_expression(
        &mut self,
        field: &str,
        source: &str,
        reads: &[Variable],
        upstream: &BTreeSet<usize>,
    ) {
        self.check_source(field, source, reads, upstream, "write a CEL expression without ${}");
    }

    fn check_source(
        &mut self,
        field: &str,
        source: &str,
        reads: &[Variable],
        upstream: &BTreeSet<usize>,
        remedy: &str,
    ) {
        match Expression::compile(source, Vocabulary::Workflow) {
            Ok(expression) => self.check_references(field, expression.references(), reads, upstream),
            Err(error) => self.add(field, error.to_string(), remedy),
        }
    }

    pub(super) fn check_references(
        &mut self,
        field: &str,
        references: &References,
        reads: &[Variable],
        upstream: &BTreeSet<usize>,
    ) {
        for variable in &references.variables {
            if !EVERYWHERE.contains(variable) && !reads.contains(variable) {
                let place = match variable {
                    Variable::Item => "the task of a map",
                    Variable::Outer => "a map with nested",
                    Variable::Index => "a map, a scatter or a loop",
                    Variable::Output => "the gathering of a scatter, the condition of a loop and the gate of a step",
                    Variable::Verdict => "the task of a step whose gate retries, and a fallback",
                    Variable::Event => "a trigger by an event",
                    Variable::Previous => "the stages of a pipeline or a branch, and a loop",
                    _ => "the reduction of a map",
                };
                let known: Vec<&str> = EVERYWHERE.iter().chain(reads).map(|known| known.as_str()).collect();
                let message = format!("{:?} has a value only in {place}", variable.as_str());
                self.add(field, message, format!("write one of {}", known.join(", ")));
            }
        }
        for name in &references.parameters {
            if !self.definition.parameters.contains_key(name) {
                let message = format!("there is no parameter {name:?}");
                self.add(field, message, "add it to spec.parameters, or correct the name");
            }
        }
        for name in &references.steps {
            let Some(step) = self.definition.steps.iter().position(|step| step.name.as_str() == name) else {
                let message = format!("there is no step {name:?}");
                self.add(field, message, format!("write steps.<name> with one of {}", self.step_names()));
                continue;
            };
            if upstream.contains(&step) {
                continue;
            }
            if self.streamed.is_some_and(|streamed| streamed.as_str() == name) {
                let message = format!("it reads the output of step {name:?}, which has not ended when this one begins");
                self.add(field, message, "read `item`, or write map.items and `after` instead of map.itemsFrom");
            } else {
                let message = format!("it reads the output of step {name:?} without waiting for it");
                let place = field.split('.').take(2).collect::<Vec<_>>().join(".");
                self.add(field, message, format!("add {name:?} to {place}.after"));
            }
        }
    }
}
