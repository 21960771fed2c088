//! Brings a journal that was cut to its end: the engine decides, and the world answers as it did when the journal was recorded.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use jiff::Timestamp;
use serde_json::json;
use tetrarch_core::{
    id::{RunId, TaskPath},
    workflow::{
        journal::{Entry, Outcome, RunEvent},
        run::{Action, Run, RunPhase},
    },
};

/// More turns than any recorded run takes.
const TURNS: usize = 10_000;

type Attempt = (TaskPath, u32);

struct Continued<'g> {
    run: Run,
    now: Timestamp,
    recorded: BTreeMap<Attempt, (usize, &'g Outcome)>,
    /// Events that the run itself did not decide, such as its start, or a person's word: told when nothing else can happen.
    events: VecDeque<&'g Entry>,
    dispatched: BTreeSet<Attempt>,
    answered: BTreeSet<Attempt>,
}

/// The run at its end, or why it did not come to one.
pub fn from(id: &RunId, entries: &[(Entry, Timestamp)], length: usize) -> Result<Run, String> {
    let (before, after) = entries.split_at(length);
    let run = Run::replay(id.clone(), before.to_vec()).ok_or("the journal does not begin with its acceptance")?;
    let now = before.last().map_or(Timestamp::UNIX_EPOCH, |(_, at)| *at);
    let mut world = Continued {
        run,
        now,
        recorded: BTreeMap::new(),
        events: after.iter().map(|(entry, _)| entry).filter(|entry| is_from_outside(entry)).collect(),
        dispatched: BTreeSet::new(),
        answered: BTreeSet::new(),
    };
    for (position, (entry, _)) in entries.iter().enumerate() {
        if let Entry::Result { path, attempt, outcome } = entry {
            world.recorded.entry((path.clone(), *attempt)).or_insert((position, outcome));
        }
    }
    for (entry, _) in before {
        match entry {
            Entry::Dispatched { path, attempt, .. } => world.dispatched.insert((path.clone(), *attempt)),
            Entry::Result { path, attempt, .. } => world.answered.insert((path.clone(), *attempt)),
            Entry::Run(event) => child(event).is_some_and(|attempt| world.dispatched.insert(attempt)),
        };
    }
    world.learn(entries);
    for _ in 0..TURNS {
        if matches!(world.run.phase(), RunPhase::Ended(_)) {
            return Ok(world.ended());
        }
        world.turn()?;
    }
    Err(format!("no end after {TURNS} turns: {:?}", world.run.phase()))
}

/// Whether the engine does not decide it again by itself.
fn is_from_outside(entry: &Entry) -> bool {
    let Entry::Run(event) = entry else { return false };
    !matches!(
        event,
        RunEvent::StepSkipped { .. }
            | RunEvent::StepFailed { .. }
            | RunEvent::WaitOver { .. }
            | RunEvent::DecisionTimedOut { .. }
            | RunEvent::ChildStarted { .. }
            | RunEvent::Planned { .. }
            | RunEvent::PlanRefused { .. }
            | RunEvent::CompensationStarted { .. }
            | RunEvent::Finished { .. }
    )
}

/// The attempt that a run of another Workflow stands for; its end comes back as a result.
fn child(event: &RunEvent) -> Option<Attempt> {
    let RunEvent::ChildStarted { step, attempt, .. } = event else { return None };
    Some((TaskPath::of_step(step), *attempt))
}

impl Continued<'_> {
    /// Tells what was known when a text was taken apart.
    fn learn(&mut self, entries: &[(Entry, Timestamp)]) {
        let known = entries.iter().find_map(|(entry, _)| match entry {
            Entry::Run(RunEvent::Planned { plan, .. }) => Some(plan.known.clone()),
            _ => None,
        });
        self.run.learn(Arc::new(known.unwrap_or_default()));
    }

    /// The run, without its outputs if that is what became of it.
    fn ended(mut self) -> Run {
        while let Some(event) = self.events.pop_front() {
            if matches!(event, Entry::Run(RunEvent::OutputsRemoved { .. })) {
                self.apply(event);
            }
        }
        self.run
    }

    /// What is due is done; then one answer comes, or an event from outside, or time passes.
    fn turn(&mut self) -> Result<(), String> {
        let (mut is_news, mut wake) = (false, None);
        for action in self.run.next(self.now) {
            match action {
                Action::Append(event) => {
                    self.dispatched.extend(child(&event));
                    self.apply(&Entry::Run(event));
                }
                Action::Dispatch { path, attempt, .. } => {
                    if self.dispatched.insert((path.clone(), attempt)) {
                        let pool = "worker".parse().map_err(|_| "no name")?;
                        self.apply(&Entry::Dispatched { path, attempt, pool });
                    }
                }
                Action::Withdraw { path, attempt, .. } => {
                    self.answered.insert((path, attempt));
                    continue;
                }
                Action::WakeAt(at) => {
                    wake = Some(at);
                    continue;
                }
            }
            is_news = true;
        }
        if is_news || self.answer() || self.tell_event() {
            return Ok(());
        }
        self.now = wake.filter(|at| *at > self.now).ok_or("nothing is due, and nothing is waited for")?;
        Ok(())
    }

    fn apply(&mut self, entry: &Entry) {
        self.run.apply(entry, self.now);
    }

    /// The answer of an agent that came first when the journal was recorded; those that never came then come last.
    fn answer(&mut self) -> bool {
        let open = self.dispatched.difference(&self.answered);
        let place = |task: &&Attempt| self.recorded.get(*task).map_or(usize::MAX, |(position, _)| *position);
        let Some(task) = open.min_by_key(place).cloned() else { return false };
        let (path, attempt) = task.clone();
        let outcome = match self.recorded.get(&task) {
            Some((_, outcome)) => (*outcome).clone(),
            None => Outcome::Succeeded { output: json!(path.as_str()) },
        };
        self.answered.insert(task);
        self.apply(&Entry::Result { path, attempt, outcome });
        true
    }

    fn tell_event(&mut self) -> bool {
        let Some(event) = self.events.pop_front() else { return false };
        self.apply(event);
        true
    }
}
