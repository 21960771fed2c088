//! The simulated bus, its owners, agents and people.

mod people;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;

use super::{
    super::{Action, Run, flaw},
    handed, judged,
};
use crate::{
    id::{RunId, TaskPath},
    workflow::{
        approval::Decision,
        definition::{AgentSelector, Definition, Step, StepKind},
        journal::{Entry, FailureReason, Outcome, RunEvent},
    },
};

/// Numbers that follow from a seed.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `limit`.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }

    /// True in `percent` of the cases.
    pub(super) fn is(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// What is added to the number of a question to get one that nobody asks.
const STALE: u32 = 100;

/// One process that drives the run: a state that may lag behind the journal, and actions it has not carried out yet.
pub(super) struct Owner {
    pub(super) run: Run,
    seen: usize,
    /// With the number of events that a write of it expects in the journal.
    outbox: Vec<(Action, usize)>,
}

pub(super) struct World {
    pub(super) id: RunId,
    pub(super) definition: Definition,
    /// The run as it was accepted; what owners begin with, for compiling its expressions takes longest.
    accepted: Run,
    pub(super) journal: Vec<(Entry, Timestamp)>,
    pub(super) owners: Vec<Owner>,
    /// Subjects of dispatches and results that exist; the bus refuses a second entry.
    dispatched: BTreeSet<(TaskPath, u32)>,
    answered: BTreeSet<(TaskPath, u32)>,
    /// Withdrawn before an agent took it: no answer will come.
    withdrawn: BTreeSet<(TaskPath, u32)>,
    now: Timestamp,
    random: Random,
    /// Agents take their time, so that much is under way at once.
    is_slow: bool,
    /// How often agents worked on an attempt; the agents themselves count.
    pub(super) effects: BTreeMap<(TaskPath, u32), u32>,
    /// When the answers follow no chance: the tasks that are rejected, while all others succeed.
    doomed: Option<BTreeSet<TaskPath>>,
    /// People pause the run, let it go on and end it.
    pub(super) has_people: bool,
    /// What owners did that the journal does not show.
    pub(super) wrongs: Vec<String>,
}

impl World {
    pub(super) fn new(random: &mut Random) -> Self {
        let definition = super::definitions::random_definition(random);
        let id: RunId = "w-1".parse().unwrap();
        let now = Timestamp::from_second(1_000_000).unwrap();
        let accepted = RunEvent::Accepted {
            definition: Box::new(definition.clone()),
            parameters: BTreeMap::new(),
            cause: "test".to_owned(),
            parent: None,
            stamp: None,
            origin: None,
        };
        let started = RunEvent::Started { deadline: now.checked_add(Duration::from_mins(10)).unwrap() };
        let journal = vec![(Entry::Run(accepted), now), (Entry::Run(started), now)];
        let accepted = Run::replay(id.clone(), journal[..1].to_vec()).unwrap();
        let mut world = Self {
            id,
            definition,
            accepted,
            journal,
            owners: Vec::new(),
            dispatched: BTreeSet::new(),
            answered: BTreeSet::new(),
            withdrawn: BTreeSet::new(),
            now,
            random: random.clone(),
            is_slow: random.is(50),
            effects: BTreeMap::new(),
            doomed: None,
            has_people: false,
            wrongs: Vec::new(),
        };
        world.owners = vec![world.new_owner(), world.new_owner()];
        world
    }

    /// A world in which just these tasks are rejected and nothing else goes wrong with an agent.
    pub(super) fn with_rejected(seed: u64, doomed: BTreeSet<TaskPath>) -> Self {
        let mut world = Self::new(&mut Random::new(seed));
        world.doomed = Some(doomed);
        world
    }

    /// The world after a crash of everything at which so many entries had been written.
    pub(super) fn cut(&self, length: usize) -> Self {
        let journal = self.journal[..length.max(2)].to_vec();
        let now = journal.last().map_or(self.now, |(_, at)| *at);
        let mut world = Self {
            id: self.id.clone(),
            definition: self.definition.clone(),
            accepted: self.accepted.clone(),
            journal,
            owners: Vec::new(),
            dispatched: BTreeSet::new(),
            answered: BTreeSet::new(),
            withdrawn: BTreeSet::new(),
            now,
            random: self.random.clone(),
            is_slow: self.is_slow,
            effects: BTreeMap::new(),
            doomed: self.doomed.clone(),
            has_people: self.has_people,
            wrongs: Vec::new(),
        };
        for (entry, _) in &world.journal {
            match entry {
                Entry::Dispatched { path, attempt, .. } => world.dispatched.insert((path.clone(), *attempt)),
                Entry::Result { path, attempt, .. } => world.answered.insert((path.clone(), *attempt)),
                Entry::Run(RunEvent::ChildStarted { step, attempt, .. }) => {
                    world.dispatched.insert((TaskPath::of_step(step), *attempt))
                }
                Entry::Run(RunEvent::Withdrawn { path, attempt }) => world.withdrawn.insert((path.clone(), *attempt)),
                Entry::Run(_) => false,
            };
        }
        world.owners = vec![world.new_owner()];
        world
    }

    /// The run as somebody sees it who knows nothing but the journal.
    pub(super) fn replayed(&self) -> Run {
        let mut run = self.accepted.clone();
        for (entry, at) in &self.journal[1..] {
            run.apply(entry, *at);
        }
        run
    }

    fn new_owner(&self) -> Owner {
        Owner { run: self.replayed(), seen: self.journal.len(), outbox: Vec::new() }
    }

    fn write(&mut self, entry: Entry) {
        self.journal.push((entry, self.now));
    }

    fn events(entries: &[(Entry, Timestamp)]) -> usize {
        entries.iter().filter(|(entry, _)| matches!(entry, Entry::Run(_))).count()
    }

    fn is_finished(&self) -> bool {
        let last = self.journal.iter().rev().find_map(|(entry, _)| match entry {
            Entry::Run(RunEvent::Finished { .. }) => Some(true),
            Entry::Run(RunEvent::Reopened { .. }) => Some(false),
            _ => None,
        });
        last.unwrap_or_default()
    }

    /// One random thing happens.
    pub(super) fn choose(&mut self) {
        let owner = self.random.below(self.owners.len());
        match self.random.below(100) {
            0..25 => {
                let entries = 1 + self.random.below(3);
                self.read(owner, entries);
            }
            25..45 => self.ask(owner),
            45..70 => self.carry_out(owner),
            70..85 if self.is_slow && self.random.is(80) => {}
            70..85 => {
                self.answer_one();
            }
            85..88 => self.now = self.now.checked_add(Duration::from_millis(self.random.below(3000) as u64)).unwrap(),
            88..90 => self.owners[owner] = self.new_owner(),
            90..94 => self.repeat_an_entry(),
            94..97 => self.decide(owner),
            97..99 => self.withdraw_one(),
            _ if self.random.is(8) => {
                self.write(Entry::Run(RunEvent::CancelRequested { cause: "somebody".to_owned(), stamp: None }));
            }
            _ if self.has_people => self.somebody_intervenes(),
            _ => {}
        }
    }

    /// Everybody does their work until the run has ended and everything is read.
    pub(super) fn come_to_the_end(&mut self) {
        if self.has_people {
            self.write(Entry::Run(RunEvent::Resumed { cause: "somebody".to_owned(), stamp: None }));
        }
        for _ in 0..2_000 {
            self.somebody_resolves(100);
            for owner in 0..self.owners.len() {
                self.read(owner, usize::MAX);
                self.ask(owner);
                while !self.owners[owner].outbox.is_empty() {
                    self.carry_out(owner);
                }
            }
            while self.answer_one() {}
            let is_read = self.owners.iter().all(|owner| owner.seen == self.journal.len());
            if self.is_finished() && is_read {
                return;
            }
            self.now = self.now.checked_add(Duration::from_millis(500)).unwrap();
            // Every owner may have lost a write to the other one.
            self.owners.iter_mut().for_each(|owner| owner.run.reissue());
        }
    }

    fn read(&mut self, owner: usize, entries: usize) {
        let Owner { run, seen, .. } = &mut self.owners[owner];
        for (entry, at) in self.journal[*seen..].iter().take(entries) {
            run.apply(entry, *at);
            *seen += 1;
        }
    }

    fn ask(&mut self, owner: usize) {
        let read = &self.journal[..self.owners[owner].seen];
        let (mut expected, is_paused) = (Self::events(read), is_paused(read));
        for action in self.owners[owner].run.next(self.now) {
            if is_paused && let Action::Dispatch { path, attempt, .. } = &action {
                self.wrongs.push(format!("{path}, attempt {attempt}, was begun in a pause"));
            }
            let is_event = matches!(action, Action::Append(_));
            self.owners[owner].outbox.push((action, expected));
            expected += usize::from(is_event);
        }
    }

    /// Somebody decides about what an owner knows to wait; now and then about a question that nobody asks. The owner writes it down
    /// like anything else, so that another one may have written first.
    fn decide(&mut self, owner: usize) {
        let expected = Self::events(&self.journal[..self.owners[owner].seen]);
        let asked: Vec<_> =
            self.owners[owner].run.questions().map(|question| (question.step.clone(), question.attempt)).collect();
        if asked.is_empty() {
            return;
        }
        let (step, attempt) = asked[self.random.below(asked.len())].clone();
        let attempt = if self.random.is(20) { attempt + STALE } else { attempt };
        let decision = Decision { approved: self.random.is(70), by: "ada".to_owned(), at: self.now, reason: None };
        let event = RunEvent::Decided { step, attempt, decision };
        self.owners[owner].outbox.push((Action::Append(event), expected));
    }

    /// An action in the outbox reaches the bus, or is lost, or only its answer is. Events of a run are written one after
    /// the other; what else is under way may overtake them.
    fn carry_out(&mut self, owner: usize) {
        let waiting = self.owners[owner].outbox.len();
        if waiting == 0 {
            return;
        }
        let chosen = if self.random.is(20) { self.random.below(waiting) } else { 0 };
        let is_event = |(action, _): &(Action, usize)| matches!(action, Action::Append(_));
        let first_event = self.owners[owner].outbox.iter().position(is_event);
        let chosen = match first_event {
            Some(first) if is_event(&self.owners[owner].outbox[chosen]) => first,
            _ => chosen,
        };
        let (action, expected) = self.owners[owner].outbox.remove(chosen);
        if self.random.is(5) {
            self.start_over(owner);
            return;
        }
        let is_answer_lost = self.random.is(5);
        self.store(owner, action, expected);
        if is_answer_lost {
            self.start_over(owner);
        }
    }

    /// What the bus does with an action.
    fn store(&mut self, owner: usize, action: Action, expected: usize) {
        match action {
            Action::Append(event) => {
                if expected == Self::events(&self.journal) || flaw::has_no_fence() {
                    if let RunEvent::ChildStarted { step, attempt, .. } = &event {
                        self.dispatched.insert((TaskPath::of_step(step), *attempt));
                    }
                    self.write(Entry::Run(event));
                } else {
                    self.start_over(owner);
                }
            }
            Action::Dispatch { path, attempt, agent, .. } => {
                let task = (path.clone(), attempt);
                let is_new = self.dispatched.insert(task.clone());
                if is_new || flaw::has_no_deduplication() {
                    // Another message in the queue: an agent takes it, whoever had the first one.
                    self.answered.remove(&task);
                    let (AgentSelector::Pool(pool) | AgentSelector::Capability(pool)) = agent;
                    self.write(Entry::Dispatched { path, attempt, pool });
                }
            }
            Action::Withdraw { path, attempt, .. } => {
                if self.random.is(50) {
                    self.withdrawn.insert((path, attempt));
                }
            }
            Action::WakeAt(_) => {}
        }
    }

    fn start_over(&mut self, owner: usize) {
        self.owners[owner].outbox.clear();
        self.owners[owner].run.reissue();
    }

    fn unanswered(&self) -> Vec<(TaskPath, u32)> {
        self.dispatched
            .iter()
            .filter(|task| !self.answered.contains(task) && !self.withdrawn.contains(task))
            .cloned()
            .collect()
    }

    fn answer_one(&mut self) -> bool {
        let open = self.unanswered();
        if open.is_empty() {
            return false;
        }
        let (path, attempt) = open[self.random.below(open.len())].clone();
        let chance = self.random.below(100);
        let outcome = match chance {
            _ if self.doomed.is_some() => self.scripted(&path),
            0..60 if let Some(handed) = self.handed_over(&path, attempt) => handed,
            0..88 => Outcome::Succeeded { output: judged::answer(&path) },
            88..99 => {
                let reasons = [FailureReason::AgentError, FailureReason::Timeout, FailureReason::Rejected];
                Outcome::Failed { reason: reasons[self.random.below(3)], message: "no luck".to_owned() }
            }
            _ => Outcome::Unknown { message: "gone".to_owned() },
        };
        self.answered.insert((path.clone(), attempt));
        *self.effects.entry((path.clone(), attempt)).or_default() += 1;
        self.write(Entry::Result { path, attempt, outcome });
        true
    }

    /// Only agents of a step of which something may be handed over come upon the idea.
    fn handed_over(&self, path: &TaskPath, attempt: u32) -> Option<Outcome> {
        let of_step = self.definition.steps.iter().find(|step| path.parts().next() == Some(step.name.as_str()))?;
        handed::may_be(of_step).then(|| handed::answer(path, attempt)).flatten()
    }

    fn scripted(&self, path: &TaskPath) -> Outcome {
        if self.doomed.as_ref().is_some_and(|doomed| doomed.contains(path)) {
            Outcome::Failed { reason: FailureReason::Rejected, message: "no".to_owned() }
        } else {
            Outcome::Succeeded { output: judged::answer(path) }
        }
    }

    /// A result or a dispatch is told twice.
    fn repeat_an_entry(&mut self) {
        let recent = self.journal.len() - 1 - self.random.below(self.journal.len().min(8));
        let (entry, _) = self.journal[recent].clone();
        if !matches!(entry, Entry::Run(_)) {
            self.write(entry);
        }
    }

    /// Somebody takes a waiting task out of its queue.
    fn withdraw_one(&mut self) {
        let is_run = |path: &TaskPath| {
            let is_it = |step: &Step| {
                step.name.as_str() == path.as_str() && matches!(step.kind, StepKind::Workflow(_) | StepKind::Auto(_))
            };
            self.definition.steps.iter().any(is_it)
        };
        // A run is in no queue.
        let open: Vec<_> = self.unanswered().into_iter().filter(|(path, _)| !is_run(path)).collect();
        if !open.is_empty() && !self.is_finished() {
            let (path, attempt) = open[self.random.below(open.len())].clone();
            self.withdrawn.insert((path.clone(), attempt));
            self.write(Entry::Run(RunEvent::Withdrawn { path, attempt }));
        }
    }
}

/// Whether somebody asked to pause the run, and nothing has ended that since.
fn is_paused(journal: &[(Entry, Timestamp)]) -> bool {
    let mut is_paused = false;
    let mut is_ending = false;
    for (entry, _) in journal {
        match entry {
            Entry::Run(RunEvent::CancelRequested { .. } | RunEvent::TerminateRequested { .. }) => is_ending = true,
            Entry::Run(RunEvent::Reopened { .. }) => (is_paused, is_ending) = (false, false),
            Entry::Run(RunEvent::Paused { .. }) => is_paused = true,
            Entry::Run(RunEvent::Resumed { .. }) => is_paused = false,
            _ => {}
        }
    }
    is_paused && !is_ending
}
