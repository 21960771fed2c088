//! A run whose outputs are removed tells the same as before, whatever of its journal is still there and whatever comes late.

use jiff::Timestamp;

use super::{CHOICES, SEEDS, find_failure, simulate, world::World};
use crate::workflow::{
    journal::{Entry, RunEvent},
    run::{Action, Run},
};

type Journal = Vec<(Entry, Timestamp)>;

/// Which of the entries that are removed are gone already.
type Gone = fn(usize, &Entry) -> bool;

const GONE: [Gone; 5] = [
    |_, _| false,
    |_, _| true,
    |_, entry| matches!(entry, Entry::Dispatched { .. }),
    |position, _| position % 2 == 0,
    |position, _| position % 3 != 0,
];

/// Everything that people see of a run.
fn told(run: &Run) -> String {
    let steps: Vec<String> = run.steps().map(|step| format!("{step:?}")).collect();
    let times = (run.accepted_at(), run.started_at(), run.ended_at());
    format!("{:?} {:?} {:?} {times:?} {} {steps:#?}", run.phase(), run.message(), run.progress(), run.reopened())
}

/// What is left of a journal, and what is gone.
fn split(journal: &Journal, gone: Gone) -> (Journal, Journal) {
    let entries = journal.iter().cloned().enumerate();
    let (gone, left): (Vec<_>, Vec<_>) =
        entries.partition(|(position, (entry, _))| !matches!(entry, Entry::Run(_)) && gone(*position, entry));
    let plain = |entries: Vec<(usize, _)>| entries.into_iter().map(|(_, entry)| entry).collect();
    (plain(left), plain(gone))
}

fn replayed(world: &World, journal: Journal) -> Result<Run, String> {
    Run::replay(world.id.clone(), journal).ok_or_else(|| "the journal does not begin with its acceptance".to_owned())
}

fn keeps_its_facts(world: &World) -> Result<(), String> {
    let journal: Journal = world.journal.clone();
    let whole = replayed(world, journal.clone())?;
    let event = whole.without_outputs().ok_or("the run has not ended")?;
    let text = serde_json::to_string(&event).map_err(|error| error.to_string())?;
    let event: RunEvent = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let at = journal.last().map_or(Timestamp::UNIX_EPOCH, |(_, at)| *at);
    for gone in GONE {
        let (mut left, late) = split(&journal, gone);
        left.push((Entry::Run(event.clone()), at));
        let mut run = replayed(world, left)?;
        let before = told(&run);
        for (entry, at) in late.iter().chain(&journal[1..]) {
            run.apply(entry, *at);
        }
        let expected = told(&whole);
        if let Some(wrong) = [before, told(&run)].into_iter().find(|told| *told != expected) {
            return Err(format!("it tells\n{wrong}\ninstead of\n{expected}"));
        }
        let actions = run.next(Timestamp::MAX);
        if actions.iter().any(|action| !matches!(action, Action::Withdraw { .. })) {
            return Err(format!("it goes on: {actions:?}"));
        }
        if run.output().is_some() || run.can_reopen() || run.without_outputs().is_some() {
            return Err("it has outputs, or can be opened again".to_owned());
        }
        if run.left_children().next().is_some() || !run.unanswered().is_empty() || !run.doubts().is_empty() {
            return Err("it waits for something".to_owned());
        }
    }
    Ok(())
}

/// A run at each of its ends.
fn keeps_its_facts_at_every_end(seed: u64) -> Result<usize, String> {
    let mut world = simulate(seed);
    for round in 1..=2 {
        keeps_its_facts(&world)?;
        if !world.reopen() {
            return Ok(round);
        }
        for _ in 0..CHOICES / 4 {
            world.choose();
        }
        world.come_to_the_end();
    }
    keeps_its_facts(&world)?;
    Ok(3)
}

#[test]
fn a_run_without_its_outputs_tells_what_it_told_before() {
    assert_eq!(find_failure(0..SEEDS / 10, keeps_its_facts_at_every_end), None);
}

/// Without the entry the same journals tell something else: the check can fail.
#[test]
fn a_journal_that_loses_its_results_without_a_word_tells_something_else() {
    let tells_something_else = |seed: &u64| {
        let world = simulate(*seed);
        let (left, _) = split(&world.journal, |_, _| true);
        replayed(&world, left).map(|run| told(&run)) != replayed(&world, world.journal.clone()).map(|run| told(&run))
    };
    let caught = (0..100).filter(tells_something_else).count();
    assert!(caught > 60, "{caught}");
}
