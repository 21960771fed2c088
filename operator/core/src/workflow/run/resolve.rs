//! Tasks of which nobody knows how they ended, and what a person finds out about them.
//!
//! Such a task is never repeated by the engine. With `onUnknown: Ask`, and in a run that is opened again, it waits until a
//! person says that it is done, which is a success with the output that the person gives, or that it is not done, which lets it
//! be handed out again without counting as a failure.

use super::{
    Run, StepPhase,
    plan::Plan,
    state::{Body, Part, State, Status, TaskKey},
    step::Fold,
};
use crate::{
    id::TaskPath,
    workflow::{definition::UnknownPolicy, journal::Resolution},
};

/// An attempt of which a person has to say how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// Place of the task.
    pub path: TaskPath,
    /// The attempt.
    pub attempt: u32,
    /// What is known.
    pub message: String,
}

impl Run {
    /// What a person has to say, now or, of a run that has ended, when it is opened again.
    pub fn doubts(&self) -> Vec<Doubt> {
        let state = &self.state;
        let is_open = |step: &usize| !state.steps[*step].phase.is_ended() || state.finished.is_some();
        let steps = (0..state.steps.len()).filter(is_open);
        let bodies = steps.filter_map(|step| Some((step, state.left_body(step)?)));
        let mut doubts = Vec::new();
        for (step, body) in bodies {
            for (part, task) in body.tasks() {
                if let Status::Unknown(message) = &task.status {
                    let path = self.plan.path(TaskKey { step, part });
                    doubts.push(Doubt { path, attempt: task.attempt, message: message.clone() });
                }
            }
        }
        doubts
    }
}

impl State {
    /// Whether the end of a task is not known that the run depends on.
    pub(super) fn is_anything_unknown(&self) -> bool {
        let is_unknown = |step: &usize| self.steps[*step].phase == StepPhase::OutcomeUnknown;
        !self.control.doubts.is_empty() || self.failed.iter().any(is_unknown)
    }

    /// What a run says that waits for a person to resolve something.
    pub(super) fn doubts_message(&self, plan: &Plan) -> Option<String> {
        let key = self.control.doubts.first().filter(|_| self.finished.is_none())?;
        let task = self.task(*key)?;
        let Status::Unknown(why) = &task.status else { return None };
        let others = match self.control.doubts.len() - 1 {
            0 => String::new(),
            1 => " (and 1 other task)".to_owned(),
            more => format!(" (and {more} other tasks)"),
        };
        Some(question(&plan.path(*key), task.attempt, &others, why))
    }
}

fn question(path: &TaskPath, attempt: u32, others: &str, why: &str) -> String {
    format!("waits for a person to say whether task {path}, attempt {attempt}, is done{others}: {why}")
}

impl Fold<'_> {
    /// Whether a person may be asked how a task ended: it is still wanted.
    pub(super) fn may_ask(&self, key: TaskKey) -> bool {
        self.plan.definition.on_unknown == UnknownPolicy::Ask
            && key.part != Part::Compensate
            && !self.is_lost(key)
            && !self.state.is_stopping(self.plan)
    }

    /// The task waits for a person.
    pub(super) fn ask_about(&mut self, key: TaskKey, message: &str) {
        let path = self.plan.path(key);
        let Some(task) = self.state.task_mut(key) else { return };
        task.status = Status::Unknown(message.to_owned());
        let attempt = task.attempt;
        self.state.control.doubts.insert(key);
        self.state.steps[key.step].message = Some(question(&path, attempt, "", message));
    }

    /// Asks anew what a round before has left open.
    pub(super) fn note_unknown(&mut self, step: usize) {
        let open: Vec<(TaskKey, String)> = self.state.steps[step]
            .body
            .tasks()
            .into_iter()
            .filter_map(|(part, task)| match &task.status {
                Status::Unknown(message) => Some((TaskKey { step, part }, message.clone())),
                _ => None,
            })
            .collect();
        for (key, message) in open {
            self.ask_about(key, &message);
        }
    }

    /// A step that ends while a person is asked about it ends without knowing.
    pub(super) fn settle_doubts(&mut self, step: usize, phase: StepPhase) -> StepPhase {
        let before = self.state.control.doubts.len();
        self.state.control.doubts.retain(|key| key.step != step);
        let was_asked = self.state.control.doubts.len() < before;
        match phase {
            StepPhase::Failed | StepPhase::Cancelled if was_asked => StepPhase::OutcomeUnknown,
            phase => phase,
        }
    }

    pub(super) fn resolve(&mut self, path: &TaskPath, attempt: u32, resolution: &Resolution) -> bool {
        let Some(key) = self.plan.key(path) else { return false };
        if self.state.control.doubts.contains(&key) {
            return self.resolve_now(key, attempt, resolution);
        }
        // The step has not begun again since the run was opened again.
        let is_pending = self.state.steps[key.step].phase == StepPhase::Pending;
        let left = self.state.control.left.get_mut(&key.step).filter(|_| is_pending);
        let Some(body) = left else { return false };
        let is_map = matches!(body, Body::Map(map) if map.reduce.is_none());
        let Some(task) = body.task_mut(key.part) else { return false };
        if task.attempt != attempt || !matches!(task.status, Status::Unknown(_)) {
            return false;
        }
        task.status = match resolution {
            Resolution::Done { output } => Status::Succeeded(output.clone()),
            Resolution::NotDone if is_map => Status::Closed,
            Resolution::NotDone => Status::Due(None),
        };
        true
    }

    fn resolve_now(&mut self, key: TaskKey, attempt: u32, resolution: &Resolution) -> bool {
        let is_current = self.state.task(key).is_some_and(|task| task.attempt == attempt);
        if !is_current {
            return false;
        }
        self.state.control.doubts.remove(&key);
        self.state.steps[key.step].message = None;
        match resolution {
            Resolution::Done { output } => {
                self.note_done(key);
                self.attempt_succeeded(key, output);
            }
            Resolution::NotDone => self.open_task(key),
        }
        self.retell(key.step);
        true
    }

    /// A step with further questions goes on saying so.
    fn retell(&mut self, step: usize) {
        let next = self.state.control.doubts.iter().find(|key| key.step == step).copied();
        if let Some(key) = next
            && let Some(Status::Unknown(message)) = self.state.task(key).map(|task| task.status.clone())
        {
            self.ask_about(key, &message);
        }
    }
}
