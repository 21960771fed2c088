//! Property tests: random definitions on a simulated bus with two owners that act at once, lag behind, crash and lose their
//! writes, agents that fail, repeat themselves and vanish, and people who cancel and withdraw.
//!
//! Everything follows from one seed. What must hold is checked on the journal alone (`check`), by rules that share nothing
//! with the engine; the negative controls show that the rules find a broken engine, or a broken bus.
//!
//! | invariant | where it is checked | what is caught when it is switched on |
//! |---|---|---|
//! | I2 one terminal state | one end of the run, every step of a good run did its work, every crash is survived | `Fence`, `LateWork` |
//! | I3 one accepted effect | attempts, effects as agents count them, the output | `Duplicates`, `Deduplication`, `Fallback`, `HandOver` |
//! | I8 compensation | once, in reverse, one at a time, never what was not begun, and when a gate says so | `OrderOfCompensation`, `GateThatUndoes` |
//! | I9 order | nothing starts before what it depends on, and has passed its judge; no plan before it is made and approved | `Dependencies`, `Judgement`, `Tree`, `Approval` |
//! | items of a stream | none is worked on before it is done in the other map, never more at once than allowed | `Stream` |
//! | a run that is opened again | what is done is not begun again, ends and openings alternate | `DoneTwice` |
//! | a run whose outputs are removed | whatever of its journal is left, it tells what it told before | a journal that loses its results without a word |
//! | I11 the same seed, the same trace | two simulations of a seed | `Chance` |
//!
//! `make simulate SEEDS=50000` looks at many seeds.

mod check;
mod decomposed;
mod definitions;
mod emptied;
mod handed;
mod judged;
mod maps;
mod positions;
mod reduced;
mod repeated;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub(super) use self::{positions::every_task_fails_at_its_place, reduced::reduce};

use proptest::prelude::*;

use self::world::{Random, World};
use super::{
    Run,
    flaw::{self, Flaw},
};
use crate::workflow::{
    definition::{Reduce, Step, StepKind},
    graph,
};

/// Random choices of a simulation before it is brought to its end.
const CHOICES: usize = 200;

/// Seeds that every test run looks at.
const SEEDS: u64 = 2_000;

fn simulate(seed: u64) -> World {
    simulate_for(seed, CHOICES)
}

fn simulate_for(seed: u64, choices: usize) -> World {
    let mut world = World::new(&mut Random::new(seed ^ flaw::chance()));
    world.has_people = seed.is_multiple_of(3);
    assert_eq!(graph::validate(&world.definition), [], "the generator makes good definitions");
    for _ in 0..choices {
        world.choose();
    }
    world.come_to_the_end();
    world
}

/// What must hold of a world that came to its end.
fn judge(world: &World) -> Result<(), String> {
    check::check(&world.definition, &world.journal)?;
    check::check_effects(&world.effects)?;
    if let Some(wrong) = world.wrongs.first() {
        return Err(wrong.clone());
    }
    // A replay sees what the live owners saw, whatever they did in between.
    let replayed = world.replayed();
    for owner in &world.owners {
        check::check_output(&world.definition, &world.journal, &owner.run)?;
        if owner.run.state != replayed.state {
            return Err("I11: a replay gives another state than the one that an owner saw".to_owned());
        }
    }
    Ok(())
}

fn checked(seed: u64) -> Result<World, String> {
    let world = simulate(seed);
    judge(&world)?;
    let replayed = Run::replay(world.id.clone(), world.journal.clone());
    if replayed.is_none_or(|run| run.state != world.owners[0].run.state) {
        return Err("I11: a replay of the whole journal gives another state".to_owned());
    }
    Ok(world)
}

/// A run under faults, and what follows from its journal wherever everything crashes; how many histories that are.
pub(super) fn survives(seed: u64) -> Result<usize, String> {
    let world = checked(seed)?;
    if simulate(seed).journal != world.journal {
        return Err("I11: the same seed gave another trace".to_owned());
    }
    Ok(1 + survives_crashes(&world)?)
}

/// After a crash behind any write, an owner that knows nothing but the journal brings the run to a good end.
fn survives_crashes(world: &World) -> Result<usize, String> {
    for length in 2..world.journal.len() {
        let mut after_crash = world.cut(length);
        after_crash.come_to_the_end();
        judge(&after_crash).map_err(|broken| format!("{broken} (crash after {length} entries)"))?;
    }
    Ok(world.journal.len().saturating_sub(2))
}

/// The first failure among these seeds; all cores look.
fn find_failure(seeds: std::ops::Range<u64>, judge: fn(u64) -> Result<usize, String>) -> Option<(u64, String)> {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        let look = |first: u64| {
            let mine = seeds.clone().skip(usize::try_from(first).unwrap()).step_by(threads);
            mine.map(|seed| (seed, judge(seed))).find_map(|(seed, judged)| Some((seed, judged.err()?)))
        };
        let looking: Vec<_> = (0..threads as u64).map(|first| scope.spawn(move || look(first))).collect();
        looking.into_iter().filter_map(|thread| thread.join().unwrap()).min_by_key(|(seed, _)| *seed)
    })
}

#[test]
fn every_run_keeps_its_promises() {
    assert_eq!(find_failure(0..SEEDS, |seed| checked(seed).map(|_| 1)), None);
}

#[test]
fn a_crash_at_any_point_is_survived() {
    assert_eq!(find_failure(0..SEEDS / 50, survives), None);
}

#[test]
fn every_task_may_fail_at_its_place() {
    assert_eq!(find_failure(0..SEEDS / 20, every_task_fails_at_its_place), None);
}

/// A result that the owner that terminates the run has not read; work that another owner begins after the loss.
#[test]
fn runs_in_which_owners_could_not_know_better_were_blamed_once() {
    assert_eq!([26_676, 44_271].map(|seed| survives(seed).err()), [None, None]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// Seeds that nobody has looked at.
    #[test]
    fn every_new_run_keeps_its_promises_too(seed in any::<u64>()) {
        checked(seed).map_err(TestCaseError::fail)?;
    }
}

/// A run that is opened again whenever it did not end well, up to three times.
fn checked_rounds(seed: u64) -> Result<(), String> {
    let mut world = simulate(seed);
    for _ in 0..3 {
        check::reopened::check(&world.definition, &world.journal)?;
        if !world.reopen() {
            break;
        }
        for _ in 0..CHOICES / 2 {
            world.choose();
        }
        world.come_to_the_end();
    }
    check::reopened::check(&world.definition, &world.journal)?;
    check::check_effects(&world.effects)?;
    let replayed = world.replayed();
    if world.owners.iter().all(|owner| owner.run.state == replayed.state) {
        return Ok(());
    }
    Err("I11: a replay sees something else".to_owned())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn a_run_that_is_opened_again_keeps_its_promises(seed in any::<u64>()) {
        checked_rounds(seed).map_err(TestCaseError::fail)?;
    }
}

#[test]
fn a_run_that_was_opened_again_wrongly_once() {
    assert_eq!(checked_rounds(15_232_341_209_242_087_446), Ok(()));
}

#[test]
fn many_runs_are_opened_again() {
    assert_eq!(find_failure(0..SEEDS / 10, |seed| checked_rounds(seed).map(|()| 1)), None);
}

#[test]
fn the_checks_find_an_engine_that_repeats_what_is_done() {
    flaw::switch(Some(Flaw::DoneTwice));
    let caught = (0..100)
        .filter(|seed| catch_unwind(AssertUnwindSafe(|| checked_rounds(*seed))).map_or(true, |found| found.is_err()));
    let caught = caught.count();
    flaw::switch(None);
    assert!(caught > 5, "{caught}");
}

/// The seeds on which an engine, broken or not, is caught, with what was found.
fn caught(flaw: Option<Flaw>, seeds: impl Iterator<Item = u64>) -> Vec<(u64, String)> {
    flaw::switch(flaw);
    let judge = |seed| match catch_unwind(AssertUnwindSafe(|| checked(seed))) {
        Ok(Ok(_)) => None,
        Ok(Err(found)) => Some((seed, found)),
        Err(_) => Some((seed, "it panicked".to_owned())),
    };
    let caught = seeds.filter_map(judge).collect();
    flaw::switch(None);
    caught
}

/// Seeds of so many runs that have several steps to undo.
fn sagas(count: usize) -> impl Iterator<Item = u64> {
    let is_saga = |seed: &u64| {
        let steps = World::new(&mut Random::new(*seed)).definition.steps;
        steps.iter().filter(|step| step.compensate.is_some()).count() > 2
    };
    (0..).filter(is_saga).take(count)
}

#[test]
fn the_checks_pass_a_good_engine() {
    assert_eq!(caught(None, (0..60).chain(sagas(100))), []);
}

/// Every one that is caught must be caught for what is broken.
fn assert_caught(caught: &[(u64, String)], at_least: usize, invariants: &[&str]) {
    assert!(caught.len() >= at_least, "{caught:?}");
    let is_named = |found: &String| invariants.iter().any(|invariant| found.starts_with(invariant));
    assert!(caught.iter().any(|(_, found)| is_named(found)), "{invariants:?} is not among {caught:?}");
}

#[test]
fn the_checks_find_owners_that_write_over_each_other() {
    assert_caught(&caught(Some(Flaw::Fence), 0..200), 5, &["I2"]);
}

#[test]
fn the_checks_find_a_bus_that_stores_a_dispatch_twice() {
    assert_caught(&caught(Some(Flaw::Deduplication), 0..200), 5, &["I3"]);
}

#[test]
fn the_checks_find_an_engine_that_follows_chance() {
    flaw::switch(Some(Flaw::Chance));
    let broken = survives(1);
    flaw::switch(None);
    assert!(broken.is_err_and(|found| found.starts_with("I11")));
}

#[test]
fn the_checks_find_an_engine_that_counts_duplicates() {
    let caught = caught(Some(Flaw::Duplicates), 0..150);
    assert!(caught.len() > 5, "{caught:?}");
}

#[test]
fn the_checks_find_an_engine_that_does_not_wait_for_dependencies() {
    let caught = caught(Some(Flaw::Dependencies), 0..60);
    assert!(caught.len() > 5, "{caught:?}");
}

#[test]
fn the_checks_find_an_engine_that_undoes_in_the_wrong_order() {
    let caught = caught(Some(Flaw::OrderOfCompensation), sagas(100));
    assert!(caught.len() > 5, "{caught:?}");
}

/// Seeds of so many runs with steps that follow from a person's decision.
fn asked(count: usize) -> impl Iterator<Item = u64> {
    let is_asked = |seed: &u64| {
        let steps = World::new(&mut Random::new(*seed)).definition.steps;
        let asks = |name: &crate::id::Name| {
            steps.iter().any(|step| step.name == *name && matches!(step.kind, StepKind::Approval(_)))
        };
        steps.iter().any(|step| step.after.iter().any(asks))
    };
    (0..).filter(is_asked).take(count)
}

#[test]
fn the_checks_find_an_engine_that_takes_a_decision_for_that_of_another_question() {
    assert_eq!(caught(None, asked(50)), []);
    let caught = caught(Some(Flaw::AnyDecision), asked(200));
    assert!(caught.len() > 1, "{caught:?}");
}

#[test]
fn the_checks_find_an_engine_that_goes_on_in_a_pause() {
    let caught = caught(Some(Flaw::Pause), (0..300).step_by(3));
    assert!(caught.len() > 2, "{caught:?}");
}

#[test]
fn the_checks_find_an_engine_that_forgets_what_agents_still_do() {
    let caught = caught(Some(Flaw::LateWork), sagas(400));
    assert!(!caught.is_empty(), "nothing was caught");
}

#[test]
fn the_checks_find_an_engine_that_does_not_end_its_loops() {
    let caught = caught(Some(Flaw::Repetition), with(|step| matches!(step.kind, StepKind::Loop(_)), 60));
    assert!(caught.len() > 5, "{caught:?}");
}

/// Seeds of so many runs with a step of a kind.
fn with(is_meant: fn(&Step) -> bool, count: usize) -> impl Iterator<Item = u64> {
    let has_one = move |seed: &u64| World::new(&mut Random::new(*seed)).definition.steps.iter().any(is_meant);
    (0..).filter(has_one).take(count)
}

#[test]
fn the_checks_find_an_engine_that_does_not_heed_its_judges() {
    let is_judged = |step: &Step| step.gate.as_ref().is_some_and(|gate| gate.judge.is_some());
    assert_eq!(caught(None, with(is_judged, 200)), []);
    assert_caught(&caught(Some(Flaw::Judgement), with(is_judged, 100)), 5, &["I9", "I2"]);
}

#[test]
fn the_checks_find_an_engine_that_falls_back_again_and_again() {
    let falls_back = |step: &Step| step.gate.as_ref().is_some_and(|gate| gate.fallback.is_some());
    assert_caught(&caught(Some(Flaw::Fallback), with(falls_back, 60)), 5, &["I3"]);
}

#[test]
fn the_checks_find_an_engine_that_hands_tasks_over_without_end() {
    assert_eq!(caught(None, with(handed::may_be, 200)), []);
    assert_caught(&caught(Some(Flaw::HandOver), with(handed::may_be, 200)), 3, &["I3"]);
}

#[test]
fn the_checks_find_an_engine_that_forgets_gates_that_undo() {
    assert_caught(&caught(Some(Flaw::GateThatUndoes), with(judged::undoes, 200)), 2, &["I8"]);
}

#[test]
fn the_checks_find_an_engine_that_reduces_too_early() {
    let is_tree = |step: &Step| {
        let StepKind::Map(map) = &step.kind else { return false };
        matches!(map.reduce, Reduce::Tree { .. }) && maps::count(map) > 4
    };
    assert_eq!(caught(None, with(is_tree, 100)), []);
    assert_caught(&caught(Some(Flaw::Tree), with(is_tree, 150)), 5, &["I9", "I2"]);
}

#[test]
fn the_checks_find_an_engine_that_streams_what_is_not_there_yet() {
    let is_streamed = |step: &Step| step.streams_from().is_some();
    assert_eq!(caught(None, with(is_streamed, 200)), []);
    assert_caught(&caught(Some(Flaw::Stream), with(is_streamed, 60)), 5, &["I9"]);
}

#[test]
fn the_checks_find_an_engine_that_begins_plans_that_nobody_has_approved() {
    assert_eq!(caught(None, with(decomposed::is_approved, 200)), []);
    assert_caught(&caught(Some(Flaw::Approval), with(decomposed::is_approved, 100)), 5, &["I9"]);
}
