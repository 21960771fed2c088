//! Tests of runs: a driver that carries out every action at once, and three groups of tests on it.

mod approvals;
mod auto;
mod children;
mod compensation;
mod control;
mod ends;
mod gates;
mod hand_overs;
mod journal;
mod judges;
mod loops;
mod maps;
mod nested;
mod outputs;
mod patterns;
mod reopen;
mod reopen_kinds;
mod scatter;
mod seeds;
mod streams;
mod waits;
mod waits_for;

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::workflow::{
    definition::{FailurePolicy, GateFailure, Reduce, Step, StepKind, Wait},
    journal::{FailureReason, Outcome},
    samples::{
        approval, branch, definition, holds, judged, map, map_step, name, once, scatter, stage, step, task, task_step,
    },
};

/// Drives one run: carries out every action at once, answers tasks when the test says so.
struct Driver {
    run: Run,
    now: Timestamp,
    /// Dispatches in their order, as `path/attempt`.
    dispatched: Vec<String>,
    inputs: BTreeMap<String, Value>,
    /// Who was asked last.
    agent: Option<AgentSelector>,
    withdrawn: Vec<String>,
    wake_at: Option<Timestamp>,
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + seconds).unwrap()
}

impl Driver {
    fn accepted(definition: Definition, parameters: Value) -> Self {
        let parameters = serde_json::from_value(parameters).unwrap();
        let run = Run::accept("w-1".parse().unwrap(), definition, &parameters, "test".to_owned(), at(0));
        let (dispatched, withdrawn) = (Vec::new(), Vec::new());
        Self { run, now: at(0), dispatched, inputs: BTreeMap::new(), agent: None, withdrawn, wake_at: None }
    }

    fn started(definition: Definition) -> Self {
        let mut driver = Self::accepted(definition, json!({}));
        driver.event(RunEvent::Started { deadline: at(600) });
        driver
    }

    fn event(&mut self, event: RunEvent) {
        self.entry(&Entry::Run(event));
    }

    fn entry(&mut self, entry: &Entry) {
        self.run.apply(entry, self.now);
        self.settle();
    }

    fn settle(&mut self) {
        loop {
            let actions = self.run.next(self.now);
            let mut is_settled = true;
            for action in actions {
                match action {
                    Action::Append(event) => {
                        is_settled = false;
                        self.run.apply(&Entry::Run(event), self.now);
                    }
                    Action::Dispatch { path, attempt, input, agent, .. } => {
                        is_settled = false;
                        self.agent = Some(agent);
                        self.dispatched.push(format!("{path}/{attempt}"));
                        self.inputs.insert(path.to_string(), input);
                        self.run.apply(&Entry::Dispatched { path, attempt, pool: name("pool") }, self.now);
                    }
                    Action::Withdraw { path, attempt, .. } => self.withdrawn.push(format!("{path}/{attempt}")),
                    Action::WakeAt(at) => self.wake_at = Some(at),
                }
            }
            if is_settled {
                return;
            }
        }
    }

    fn pass(&mut self, seconds: i64) {
        self.now = self.now.checked_add(Duration::from_secs(seconds.unsigned_abs())).unwrap();
        self.settle();
    }

    fn answer(&mut self, task: &str, outcome: Outcome) {
        let (path, attempt) = task.split_once('/').unwrap();
        self.entry(&Entry::Result { path: path.parse().unwrap(), attempt: attempt.parse().unwrap(), outcome });
    }

    fn succeed(&mut self, task: &str, output: Value) {
        self.answer(task, Outcome::Succeeded { output });
    }

    fn fail(&mut self, task: &str, reason: FailureReason) {
        self.answer(task, Outcome::Failed { reason, message: "no luck".to_owned() });
    }

    fn lose(&mut self, task: &str) {
        self.answer(task, Outcome::Unknown { message: "the pod is gone".to_owned() });
    }

    /// The dispatches since the last call.
    fn new_dispatches(&mut self) -> String {
        std::mem::take(&mut self.dispatched).join(" ")
    }

    fn phases(&self) -> String {
        self.run.steps().map(|step| format!("{}:{}", step.name, step.phase.as_str())).collect::<Vec<_>>().join(" ")
    }

    fn end(&self) -> (FinalPhase, String) {
        match self.run.phase() {
            RunPhase::Ended(phase) => (phase, self.run.message().unwrap_or_default()),
            other => panic!("the run has not ended: {other:?} {}", self.phases()),
        }
    }
}

fn continuing(steps: Vec<Step>) -> Definition {
    let mut definition = definition(steps);
    definition.on_failure = FailurePolicy::Continue;
    definition
}

fn retried() -> Definition {
    definition(vec![step("a", &[], StepKind::Task(task(json!(1))))])
}
