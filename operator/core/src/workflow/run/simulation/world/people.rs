//! What people do to a run: pause it, end it, say how tasks ended, have it done again.

use std::time::Duration;

use serde_json::json;

use super::World;
use crate::{
    id::TaskPath,
    workflow::{
        journal::{Entry, Outcome, Resolution, RunEvent},
        run::{Run, RunPhase},
    },
};

impl World {
    /// A person pauses the run, lets it go on, or ends it at once.
    pub(super) fn somebody_intervenes(&mut self) {
        let cause = "somebody".to_owned();
        match self.random.below(20) {
            0..9 => self.write(Entry::Run(RunEvent::Paused { cause, stamp: None })),
            9..18 => self.write(Entry::Run(RunEvent::Resumed { cause, stamp: None })),
            19 => self.somebody_resolves(50),
            18 if self.random.is(30) => self.write(Entry::Run(RunEvent::TerminateRequested { cause, stamp: None })),
            _ => {}
        }
    }

    /// A person says of tasks, of which nobody knows how they ended, whether they are done.
    pub(super) fn somebody_resolves(&mut self, percent: usize) {
        let mut open: Vec<(TaskPath, u32)> = Vec::new();
        for (entry, _) in &self.journal {
            match entry {
                Entry::Result { path, attempt, outcome: Outcome::Unknown { .. } } => {
                    open.push((path.clone(), *attempt));
                }
                Entry::Run(RunEvent::Reopened { unknown, .. }) => {
                    open.extend(unknown.iter().map(|of| (of.path.clone(), of.attempt)));
                }
                Entry::Run(RunEvent::Resolved { path, attempt, .. }) => {
                    open.retain(|(of, number)| of != path || number != attempt);
                }
                _ => {}
            }
        }
        let is_asked = |(path, attempt): &(TaskPath, u32)| {
            let run = Run::replay(self.id.clone(), self.journal.clone()).unwrap();
            run.phase() != RunPhase::Pending
                && !matches!(run.phase(), RunPhase::Ended(_))
                && run.doubts().iter().any(|doubt| doubt.path == *path && doubt.attempt == *attempt)
        };
        open.retain(is_asked);
        for (path, attempt) in open {
            if !self.random.is(percent) {
                continue;
            }
            let done = Resolution::Done { output: json!(path.as_str()) };
            let resolution = if self.random.is(50) { done } else { Resolution::NotDone };
            self.write(Entry::Run(RunEvent::Resolved {
                path,
                attempt,
                resolution,
                cause: "somebody".to_owned(),
                stamp: None,
            }));
        }
    }

    /// A person has a run that did not end well done again; false when it ended well.
    pub(in super::super) fn reopen(&mut self) -> bool {
        let run = Run::replay(self.id.clone(), self.journal.clone()).unwrap();
        if !run.can_reopen() {
            return false;
        }
        let is_careful = self.random.is(50);
        let unknown = run.unanswered().into_iter().filter(|_| is_careful).map(|(attempt, _)| attempt).collect();
        let request = format!("request {}", run.reopened());
        self.write(Entry::Run(RunEvent::Reopened { request, cause: "somebody".to_owned(), unknown, stamp: None }));
        let deadline = self.now.checked_add(Duration::from_mins(10)).unwrap();
        self.write(Entry::Run(RunEvent::Started { deadline }));
        true
    }
}
