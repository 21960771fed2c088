//! Property tests: random definitions on a simulated bus with two owners that act at once, lag behind, crash and lose their
//! writes, agents that fail, repeat themselves and vanish, and people who cancel and withdraw.
//!
//! Everything follows from one seed. What must hold is checked on the journal alone (`check`), by rules that share nothing
//! with the engine; the negative controls show that the rules find a broken engine.

mod check;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;

use self::world::{Random, World};
use super::{
    Run,
    flaw::{self, Flaw},
};
use crate::workflow::graph;

/// Random choices of a simulation before it is brought to its end.
const CHOICES: usize = 200;

fn simulate(seed: u64) -> World {
    let mut world = World::new(&mut Random::new(seed));
    assert_eq!(graph::validate(&world.definition), [], "the generator makes good definitions");
    for _ in 0..CHOICES {
        world.choose();
    }
    world.come_to_the_end();
    world
}

fn checked(seed: u64) -> Result<World, String> {
    let world = simulate(seed);
    check::check(&world.definition, &world.journal)?;
    for owner in &world.owners {
        check::check_output(&world.definition, &world.journal, &owner.run)?;
    }
    Ok(world)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn every_run_keeps_its_promises(seed in any::<u64>()) {
        let world = checked(seed).map_err(TestCaseError::fail)?;
        // A replay sees what the live owners saw, whatever they did in between.
        let replayed = Run::replay(world.id.clone(), world.journal.clone()).expect("the journal begins with Accepted");
        for owner in &world.owners {
            prop_assert_eq!(&owner.run.state, &replayed.state);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, ..ProptestConfig::default() })]

    #[test]
    fn the_same_seed_gives_the_same_trace(seed in any::<u64>()) {
        prop_assert_eq!(simulate(seed).journal, simulate(seed).journal);
    }

    /// After a crash at any point, an owner that knows nothing but the journal brings the run to a good end.
    #[test]
    fn a_crash_at_any_point_is_survived(seed in any::<u64>()) {
        let world = simulate(seed);
        for length in 1..world.journal.len() {
            let mut after_crash = world.cut(length);
            after_crash.come_to_the_end();
            check::check(&after_crash.definition, &after_crash.journal)
                .map_err(|broken| TestCaseError::fail(format!("crash after {length} entries: {broken}")))?;
        }
    }
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

#[test]
fn the_checks_find_an_engine_that_counts_duplicates() {
    let caught = caught(Some(Flaw::Duplicates), 0..60);
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

#[test]
fn the_checks_find_an_engine_that_forgets_what_agents_still_do() {
    let caught = caught(Some(Flaw::LateWork), sagas(400));
    assert!(caught.len() > 1, "{caught:?}");
}
