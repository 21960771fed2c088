//! Every task of a definition fails at its place, and every compensation that follows fails too.

use std::collections::BTreeSet;

use super::{judge, world::World};
use crate::{
    id::TaskPath,
    workflow::journal::{Entry, RunEvent},
};

/// Lets each task of a seed's definition be rejected, one at a time, and then each compensation that this led to; how many
/// histories that are.
pub(in super::super) fn every_task_fails_at_its_place(seed: u64) -> Result<usize, String> {
    let mut histories = 1;
    for task in ended(seed, &BTreeSet::new())? {
        histories += 1;
        let paths = ended(seed, &BTreeSet::from([task.clone()]))?;
        for undoing in paths.into_iter().filter(|path| path.parts().nth(1) == Some("compensate")) {
            histories += 1;
            ended(seed, &BTreeSet::from([task.clone(), undoing]))?;
        }
    }
    Ok(histories)
}

/// The tasks that were dispatched until the end.
fn ended(seed: u64, doomed: &BTreeSet<TaskPath>) -> Result<BTreeSet<TaskPath>, String> {
    let mut world = World::with_rejected(seed, doomed.clone());
    world.come_to_the_end();
    judge(&world).map_err(|broken| format!("{broken} (rejected: {doomed:?})"))?;
    let path = |(entry, _): &(Entry, _)| match entry {
        Entry::Dispatched { path, .. } => Some(path.clone()),
        Entry::Run(RunEvent::ChildStarted { step, .. }) => Some(TaskPath::of_step(step)),
        _ => None,
    };
    Ok(world.journal.iter().filter_map(path).collect())
}
