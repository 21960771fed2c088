//! The shortest simulation of a seed that still fails, for people to read.

use std::fmt::Write as _;

use super::{CHOICES, judge, simulate_for, survives_crashes};

/// The journal of the fewest random choices after which the seed still fails; none when it does not fail.
pub(in super::super) fn reduce(seed: u64) -> Option<String> {
    (0..=CHOICES).find_map(|choices| {
        let world = simulate_for(seed, choices);
        let broken = judge(&world).and_then(|()| survives_crashes(&world)).err()?;
        let mut told = format!("seed {seed} after {choices} choices: {broken}\n");
        for (position, (entry, at)) in world.journal.iter().enumerate() {
            writeln!(told, "{position:>4}  {at}  {entry:?}").ok()?;
        }
        Some(told)
    })
}
