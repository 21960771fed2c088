//! What must hold for every journal. These rules read the definition and the journal and know nothing of the engine.

mod compensated;
mod controlled;
mod decided;
mod decomposed;
mod gathered;
mod handed;
mod judged;
mod maps;
pub(super) mod reopened;
mod repeated;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use self::gathered::gathered;
use super::{
    super::Run,
    decomposed::is_planning,
    judged::is_judgement,
    maps::{has_tasks, levels, results},
};
use crate::{
    id::TaskPath,
    workflow::{
        definition::{Definition, Reduce, Retry, Step, StepKind, Task, UnknownPolicy},
        journal::{Entry, FinalPhase, Outcome, Resolution, RunEvent},
    },
};

type Attempt = (TaskPath, u32);

/// What the journal tells, each fact with the position at which it was told first.
struct Facts<'j> {
    definition: Option<&'j Definition>,
    dispatched: BTreeMap<Attempt, usize>,
    /// The pool of each dispatched attempt.
    pools: BTreeMap<Attempt, &'j str>,
    results: BTreeMap<Attempt, (usize, &'j Outcome)>,
    withdrawn: BTreeMap<Attempt, usize>,
    skipped: BTreeMap<&'j str, usize>,
    failed: BTreeMap<&'j str, usize>,
    waited: BTreeMap<&'j str, usize>,
    /// What was said about the questions of each step, in order.
    decided: BTreeMap<&'j str, Vec<decided::Said>>,
    /// How often the run was opened again before the entry that is read.
    round: u32,
    /// Attempts that a person has said to be not done; what is told of them after that is old.
    void: BTreeSet<Attempt>,
    /// A person is asked about what is not known.
    is_asking: bool,
    lost: Option<usize>,
    finished: Vec<(usize, FinalPhase, &'j str)>,
    /// Where the last event before the end stands. Events are fenced and what agents say is not, so the owner that ended the
    /// run may not have read what came after it.
    surely_read: usize,
}

fn facts(journal: &[(Entry, Timestamp)]) -> Facts<'_> {
    let mut facts = Facts {
        definition: None,
        dispatched: BTreeMap::new(),
        pools: BTreeMap::new(),
        results: BTreeMap::new(),
        withdrawn: BTreeMap::new(),
        skipped: BTreeMap::new(),
        failed: BTreeMap::new(),
        waited: BTreeMap::new(),
        decided: BTreeMap::new(),
        round: 0,
        void: BTreeSet::new(),
        is_asking: false,
        lost: None,
        finished: Vec::new(),
        surely_read: 0,
    };
    for (position, (entry, written)) in journal.iter().enumerate() {
        facts.note_decision(entry, position, *written);
        if matches!(entry, Entry::Run(event) if !matches!(event, RunEvent::Finished { .. }))
            && facts.finished.is_empty()
        {
            facts.surely_read = position;
        }
        match entry {
            Entry::Dispatched { path, attempt, pool } => {
                facts.pools.entry((path.clone(), *attempt)).or_insert(pool.as_str());
                facts.dispatched.entry((path.clone(), *attempt)).or_insert(position);
            }
            Entry::Result { path, attempt, .. } if facts.void.contains(&(path.clone(), *attempt)) => {}
            Entry::Result { path, attempt, outcome } => {
                facts.results.entry((path.clone(), *attempt)).or_insert((position, outcome));
            }
            Entry::Run(RunEvent::ChildStarted { step, attempt, .. }) => {
                facts.dispatched.entry((TaskPath::of_step(step), *attempt)).or_insert(position);
            }
            Entry::Run(RunEvent::Withdrawn { path, attempt }) => {
                facts.withdrawn.entry((path.clone(), *attempt)).or_insert(position);
            }
            Entry::Run(RunEvent::Accepted { definition, .. }) => {
                facts.definition = Some(definition);
                facts.is_asking = definition.on_unknown == UnknownPolicy::Ask;
            }
            Entry::Run(RunEvent::Reopened { unknown, .. }) => {
                facts.round += 1;
                for of in unknown {
                    facts.results.entry((of.path.clone(), of.attempt)).or_insert((position, &UNKNOWN));
                }
            }
            Entry::Run(RunEvent::Resolved { path, attempt, resolution, .. }) => {
                facts.resolve((path.clone(), *attempt), position, resolution);
            }
            Entry::Run(RunEvent::StepSkipped { step, .. }) => {
                facts.skipped.entry(step.as_str()).or_insert(position);
            }
            Entry::Run(RunEvent::StepFailed { step, .. }) => {
                facts.failed.entry(step.as_str()).or_insert(position);
            }
            Entry::Run(RunEvent::WaitOver { step }) => {
                facts.waited.entry(step.as_str()).or_insert(position);
            }
            Entry::Run(RunEvent::CompensationStarted { .. }) => {
                facts.lost.get_or_insert(position);
            }
            Entry::Run(RunEvent::Finished { phase, message }) => facts.finished.push((position, *phase, message)),
            Entry::Run(_) => {}
        }
    }
    facts
}

/// An attempt that must not be repeated and was not answered when its run was opened again.
static UNKNOWN: Outcome = Outcome::Unknown { message: String::new() };

/// What a person says to be done is done.
static DONE: Outcome = Outcome::Succeeded { output: Value::Null };

impl Facts<'_> {
    fn resolve(&mut self, attempt: Attempt, position: usize, resolution: &Resolution) {
        if !matches!(self.results.get(&attempt), Some((_, Outcome::Unknown { .. }))) {
            return;
        }
        match resolution {
            Resolution::Done { .. } => {
                self.results.insert(attempt, (position, &DONE));
            }
            Resolution::NotDone => {
                self.results.remove(&attempt);
                self.withdrawn.insert(attempt.clone(), position);
                self.void.insert(attempt);
            }
        }
    }

    fn of_step<'f>(&'f self, step: &'f Step) -> impl Iterator<Item = (&'f Attempt, usize)> {
        let is_of_step =
            |path: &TaskPath| path.parts().next() == Some(step.name.as_str()) && !compensated::is_undoing(path);
        self.dispatched.iter().filter(move |((path, _), _)| is_of_step(path)).map(|(task, position)| (task, *position))
    }

    fn is_withdrawn_before(&self, task: &Attempt, position: usize) -> bool {
        self.withdrawn.get(task).is_some_and(|at| *at < position)
    }
}

/// Checks a journal that has come to its end.
pub(super) fn check(definition: &Definition, journal: &[(Entry, Timestamp)]) -> Result<(), String> {
    let facts = facts(journal);
    let [(end, phase, message)] = facts.finished[..] else {
        return Err(format!("I2: the run ended {} times", facts.finished.len()));
    };
    named("I3", check_attempts(definition, &facts))?;
    controlled::check(journal, (end, phase, message))?;
    named("I8", compensated::check(definition, &facts, (end, phase, message)))?;
    named("I8", judged::check_undoing(definition, &facts, end, message))?;
    for step in &definition.steps {
        named("I9", check_order(definition, &facts, step))?;
        named("I9", repeated::check(&facts, journal, step))?;
        named("I9", judged::check(&facts, step))?;
        named("I9", maps::check(&facts, step))?;
        named("I9", decomposed::check(&facts, journal, step))?;
        if phase == FinalPhase::Succeeded {
            named("I2", check_success(&facts, step, end))?;
        }
    }
    Ok(())
}

/// Puts the name of the invariant (docs/architecture.md) before what broke it.
fn named(invariant: &str, checked: Result<(), String>) -> Result<(), String> {
    checked.map_err(|broken| format!("{invariant}: {broken}"))
}

/// I3, by what the agents themselves counted: no attempt is worked on twice.
pub(super) fn check_effects(effects: &BTreeMap<Attempt, u32>) -> Result<(), String> {
    match effects.iter().find(|(_, count)| **count > 1) {
        Some(((path, attempt), count)) => Err(format!("I3: attempt {attempt} of {path} was worked on {count} times")),
        None => Ok(()),
    }
}

/// An attempt follows only a failed or withdrawn one, never an unknown or a good one, and never too many failures.
fn check_attempts(definition: &Definition, facts: &Facts<'_>) -> Result<(), String> {
    for (task, position) in &facts.dispatched {
        let (path, attempt) = task;
        // Attempts of each round are numbered from the next thousand.
        let Some(before) = attempt.checked_sub(1).filter(|before| *before % 1_000 > 0) else { continue };
        let before = (path.clone(), before);
        let is_withdrawn = facts.is_withdrawn_before(&before, *position);
        match facts.results.get(&before) {
            Some((at, Outcome::Failed { reason, .. })) if at < position && reason.is_retryable() => {}
            _ if is_withdrawn => {}
            // Judging and planning do nothing that could be done twice.
            Some((at, Outcome::Unknown { .. })) if at < position && (is_judgement(path) || is_planning(path)) => {}
            Some((at, Outcome::Succeeded { .. })) if at < position && is_judgement(path) => {
                return Err(format!("{path} judges a second time"));
            }
            Some((at, Outcome::Succeeded { .. }))
                if at < position && judged::is_done_again(definition, facts, task, *position) => {}
            Some((at, Outcome::Failed { .. })) if at < position && has_fallback(definition, path) => {}
            Some((at, Outcome::HandedOver { .. })) if at < position => {}
            other => return Err(format!("{path} was dispatched again after {other:?}")),
        }
    }
    for step in &definition.steps {
        let handed_on = handed::check(facts, step)?;
        let mut failures: BTreeMap<(&TaskPath, u32), u32> = BTreeMap::new();
        for (task, position) in facts.of_step(step).chain(facts.of_compensation(step)) {
            let before = (task.0.clone(), task.1.saturating_sub(1));
            let is_failed = facts.results.get(&before).is_some_and(|(at, _)| *at < position)
                && !facts.withdrawn.contains_key(&before)
                && !handed_on.contains(&before);
            *failures.entry((&task.0, task.1 / 1_000)).or_default() += u32::from(is_failed);
        }
        for ((path, _), failures) in failures {
            let limit = retry_of(step, path).map_or(0, |retry| retry.limit);
            let limit = limit + judged::repetitions_by_fallback(step, path);
            if failures > limit {
                return Err(format!("{path} was repeated {failures} times, {limit} are allowed"));
            }
        }
    }
    Ok(())
}

fn has_fallback(definition: &Definition, path: &TaskPath) -> bool {
    definition
        .steps
        .iter()
        .any(|step| judged::repetitions_by_fallback(step, path) > 0 && step.name.as_str() == path.as_str())
}

fn retry_of(step: &Step, path: &TaskPath) -> Option<Retry> {
    match &step.kind {
        StepKind::Workflow(called) if path.parts().count() == 1 => Some(called.retry),
        _ => task_of(step, path).map(|task| task.retry),
    }
}

fn task_of<'s>(step: &'s Step, path: &TaskPath) -> Option<&'s Task> {
    let parts: Vec<&str> = path.parts().skip(1).collect();
    match (&step.kind, parts.as_slice()) {
        (_, ["judge", _]) => step.gate.as_ref()?.judge.as_ref().map(|judge| &judge.task),
        (StepKind::Auto(auto), ["plan", _]) => auto.planner.as_ref(),
        (StepKind::Task(_), ["compensate"]) => step.compensate.as_ref(),
        (StepKind::Task(task), _) => Some(task),
        (StepKind::Map(_), ["reduce", ..]) => None,
        (StepKind::Map(map), _) => Some(&map.task),
        (StepKind::Scatter(scatter), _) => Some(&scatter.task),
        (StepKind::Loop(repeated), _) => Some(&repeated.task),
        (StepKind::Pipeline(stages), [stage]) => stages.iter().find(|s| s.name.as_str() == *stage).map(|s| &s.task),
        (StepKind::Parallel(branches), [branch, stage]) => {
            let stages = &branches.iter().find(|b| b.name.as_str() == *branch)?.stages;
            stages.iter().find(|s| s.name.as_str() == *stage).map(|s| &s.task)
        }
        _ => None,
    }
}

/// No task of a step is dispatched before all steps before it have ended, and none of theirs is dispatched later.
fn check_order(definition: &Definition, facts: &Facts<'_>, step: &Step) -> Result<(), String> {
    let Some(start) = facts.of_step(step).map(|(_, position)| position).min() else { return Ok(()) };
    for name in &step.after {
        let told = |what: &str| Err(format!("step {} started although step {name} {what}", step.name));
        let before = definition.steps.iter().find(|candidate| candidate.name == *name).ok_or("no such step")?;
        let is_skipped = facts.skipped.get(name.as_str()).is_some_and(|at| *at < start);
        if !is_skipped && !decided::is_let_pass(facts, before, start) {
            return told("was not let pass by a person");
        }
        if !is_skipped && !judged::has_passed(facts, before, start) {
            return told("had not passed its judge");
        }
        // A scatter ends with enough answers: what else was asked is taken back, also what an owner asks that has not read so.
        if matches!(&before.kind, StepKind::Scatter(scatter) if gathered(facts, before, scatter, start).is_some()) {
            continue;
        }
        if !is_skipped && !maps::has_source_ended(facts, before, start) {
            return told("streams from a step that had not ended well");
        }
        let is_empty = matches!(&before.kind, StepKind::Map(map)
            if maps::items(facts, before, map, start).is_empty() && !has_tasks(&map.reduce));
        let is_waited = facts.waited.get(name.as_str()).is_some_and(|at| *at < start)
            || matches!(before.kind, StepKind::Approval(_));
        let mut tasks = facts.of_step(before).peekable();
        if tasks.peek().is_none() && !is_skipped && !is_empty && !is_waited {
            return told("had not started");
        }
        for (task, position) in tasks {
            if position > start {
                return told("had tasks to come");
            }
            match facts.results.get(task) {
                _ if facts.is_withdrawn_before(task, start) => {}
                Some((at, outcome)) if *at < start && !matches!(outcome, Outcome::Unknown { .. }) => {}
                Some((at, _)) if *at < start && (is_judgement(&task.0) || is_planning(&task.0)) => {}
                Some((at, _)) if *at < start => return told("has an unknown outcome"),
                _ => return told("was still working"),
            }
        }
        if facts.failed.get(name.as_str()).is_some_and(|at| *at < start) && !has_ended_well(facts, before, start) {
            return told("had failed");
        }
    }
    Ok(())
}

/// In a successful run every step was skipped or did all its work.
fn check_success(facts: &Facts<'_>, step: &Step, end: usize) -> Result<(), String> {
    if facts.skipped.contains_key(step.name.as_str()) || has_ended_well(facts, step, end) {
        Ok(())
    } else {
        Err(format!("the run succeeded, but step {} did not", step.name))
    }
}

/// Paths of the step that have a good result before the position.
fn good_paths(facts: &Facts<'_>, step: &Step, position: usize) -> BTreeSet<String> {
    facts
        .results
        .iter()
        .filter(|((path, _), _)| path.parts().next() == Some(step.name.as_str()) && !compensated::is_undoing(path))
        .filter(|((path, _), _)| !is_judgement(path) && !is_planning(path))
        .filter(|(_, (at, outcome))| *at < position && matches!(outcome, Outcome::Succeeded { .. }))
        .filter(|(task, (at, _))| !facts.is_withdrawn_before(task, *at))
        .map(|((path, _), _)| path.to_string())
        .collect()
}

fn has_ended_well(facts: &Facts<'_>, step: &Step, position: usize) -> bool {
    decided::is_let_pass(facts, step, position)
        && judged::has_passed(facts, step, position)
        && work_has_ended_well(facts, step, position)
}

/// Whether the tasks of a step, apart from its judges, have done what they have to do.
fn work_has_ended_well(facts: &Facts<'_>, step: &Step, position: usize) -> bool {
    let good = good_paths(facts, step, position);
    let name = &step.name;
    match &step.kind {
        StepKind::Approval(_) => true,
        StepKind::Task(_) | StepKind::Workflow(_) | StepKind::Auto(_) => good.len() == 1,
        StepKind::Pipeline(stages) => good.len() == stages.len(),
        StepKind::Parallel(branches) => good.len() == branches.iter().map(|branch| branch.stages.len()).sum::<usize>(),
        StepKind::Scatter(scatter) => gathered(facts, step, scatter, position).is_some(),
        StepKind::Loop(of) => (good.len(), true) == super::repeated::expected(of),
        StepKind::Wait(_) => facts.waited.get(name.as_str()).is_some_and(|at| *at < position),
        StepKind::Map(map) => {
            let items = maps::items(facts, step, map, position);
            let of_items = items.iter().filter(|index| good.contains(&format!("{name}:{index}"))).count();
            let all_ended = items.iter().all(|index| {
                let path = format!("{name}:{index}");
                facts.results.iter().any(|((of, _), (at, _))| of.as_str() == path && *at < position)
            });
            maps::has_source_ended(facts, step, position)
                && all_ended
                && of_items * 100 >= items.len() * map.min_success_percent as usize
                && match &map.reduce {
                    Reduce::Task(_) => good.contains(&format!("{name}:reduce")),
                    Reduce::Tree { fan_in, .. } => {
                        good.contains(&format!("{name}:reduce:{}:0", levels(results(map, of_items), *fan_in) - 1))
                    }
                    _ => true,
                }
        }
    }
}

/// The output of a successful run holds exactly the good results of its last steps; agents answer with their path.
pub(super) fn check_output(definition: &Definition, journal: &[(Entry, Timestamp)], run: &Run) -> Result<(), String> {
    let facts = facts(journal);
    let [(end, FinalPhase::Succeeded, _)] = facts.finished[..] else { return Ok(()) };
    let is_last = |step: &&Step| !definition.steps.iter().any(|other| other.before().any(|name| *name == step.name));
    let expected: serde_json::Map<String, Value> = definition
        .steps
        .iter()
        .filter(is_last)
        .map(|step| (step.name.to_string(), expected_output(&facts, step, end)))
        .collect();
    match run.output() {
        Some(output) if output == Value::Object(expected.clone()) => Ok(()),
        other => Err(format!("I3: the output is {other:?} instead of {expected:?}")),
    }
}

fn expected_output(facts: &Facts<'_>, step: &Step, end: usize) -> Value {
    let name = &step.name;
    if facts.skipped.contains_key(name.as_str()) {
        return Value::Null;
    }
    let good = good_paths(facts, step, end);
    match &step.kind {
        StepKind::Wait(_) => Value::Null,
        StepKind::Approval(_) => facts.said(step, end).map_or(Value::Null, |said| said.output.clone()),
        StepKind::Task(_) | StepKind::Workflow(_) | StepKind::Auto(_) => json!(name.as_str()),
        StepKind::Loop(of) => json!(format!("{name}:{}", super::repeated::expected(of).0 - 1)),
        StepKind::Pipeline(stages) => json!(format!("{name}:{}", stages[stages.len() - 1].name)),
        StepKind::Parallel(branches) => branches
            .iter()
            .map(|branch| {
                let last = &branch.stages[branch.stages.len() - 1].name;
                (branch.name.to_string(), json!(format!("{name}:{}:{last}", branch.name)))
            })
            .collect(),
        StepKind::Scatter(scatter) => {
            gathered(facts, step, scatter, end).map_or(Value::Null, |gathered| gathered.output(name, scatter))
        }
        StepKind::Map(map) if matches!(map.reduce, Reduce::Task(_)) => json!(format!("{name}:reduce")),
        StepKind::Map(map) => {
            let items = maps::items(facts, step, map, end).into_iter();
            let good = items.filter(|index| good.contains(&format!("{name}:{index}"))).collect();
            maps::expected_output(step, map, &good)
        }
    }
}
