//! Rivals: the same steps done by Tetrarch, by other engines and by the bare bus, on this machine in one run, every acknowledged step on the disk.

pub mod bare;
mod definition;
mod disk;
mod driver;
pub mod ours;
mod shape;
mod side;
mod spans;
mod table;

use anyhow::{Result, ensure};

use self::{
    shape::{Asked, Shape},
    side::{Side, Who},
    table::Tables,
};
use crate::cores;

/// Steps that a figure is taken over, as far as whole runs allow.
const STEPS: usize = 500;

/// Fewest and most runs of a figure.
const RUNS: (usize, usize) = (2, 50);

/// Longest work, in milliseconds, of all tasks of a point of the curve; it has two tasks at least.
const WORK: u64 = 5_000;

/// Most steps of a saga.
const SAGA: usize = 64;

/// Of many runs at once: steps of each, and milliseconds of a task, so that all runs are under way together.
const STEPS_AT_ONCE: usize = 3;
const MILLIS_AT_ONCE: u64 = 2_000;

/// What is measured.
#[derive(clap::Args, Clone, Debug)]
#[group(id = "rivals")]
pub struct Arguments {
    /// Sides of the comparison.
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = Who::ALL)]
    sides: Vec<Who>,
    /// Patterns.
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = Shape::ALL)]
    shapes: Vec<Shape>,
    /// Lengths of pipelines, beside the widths of all patterns.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 100])]
    chains: Vec<usize>,
    /// Widths of the patterns, from 2.
    #[arg(long, value_delimiter = ',', default_values_t = [16, 150, 1_000])]
    widths: Vec<usize>,
    /// Milliseconds of a task, for the curve of overheads.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 5, 20, 100, 280, 1_000, 10_000])]
    lengths: Vec<u64>,
    /// Runs at once.
    #[arg(long, default_value_t = 1_000)]
    at_once: usize,
}

/// Measures one side after the other and prints the tables.
pub async fn run(arguments: &Arguments) -> Result<()> {
    ensure!(arguments.widths.iter().all(|width| *width >= 2), "a width is 2 at least");
    println!(
        "## Rivals\n\nmachine: {}; one side at a time, its servers and its one process of workers and client on any core\n",
        cores::machine()
    );
    for who in &arguments.sides {
        println!("- {}: {}", who.name(), who.durability());
    }
    println!("- the disk: {}", disk::measure()?);
    println!();
    let (mut patterns, mut overheads, mut at_once) = (Tables::default(), Tables::default(), Tables::default());
    let lengths: Vec<Asked> = arguments.lengths.iter().map(|millis| of_length(*millis)).collect();
    let many = Asked {
        millis: MILLIS_AT_ONCE,
        at_once: arguments.at_once,
        ..Asked::new(Shape::Pipeline, STEPS_AT_ONCE, arguments.at_once)
    };
    for &who in &arguments.sides {
        measure(who, &shapes(arguments), &mut patterns).await;
        measure(who, &lengths, &mut overheads).await;
        // With an empty store, so that its memory is that of these runs alone.
        measure(who, std::slice::from_ref(&many), &mut at_once).await;
    }
    patterns.patterns();
    overheads.overheads();
    at_once.at_once();
    Ok(())
}

/// Runs of all shapes and sizes.
fn shapes(arguments: &Arguments) -> Vec<Asked> {
    let chains = arguments.chains.iter().map(|width| (Shape::Pipeline, *width));
    let patterns = Shape::ALL.into_iter().flat_map(|shape| arguments.widths.iter().map(move |width| (shape, *width)));
    chains
        .chain(patterns)
        .filter(|(shape, _)| arguments.shapes.contains(shape))
        .map(|(shape, width)| {
            let at_once = if shape == Shape::Saga { sagas(width) } else { 1 };
            let one = Asked::new(shape, width / at_once, 1);
            let times = (STEPS / (one.steps() * at_once).max(1)).clamp(RUNS.0, RUNS.1);
            Asked { runs: times * at_once, at_once, ..one }
        })
        .collect()
}

/// How many sagas, of as many steps as the API admits or fewer, have this many steps together.
fn sagas(width: usize) -> usize {
    let fewest = width.div_ceil(SAGA);
    (fewest..=2 * fewest).find(|count| width.is_multiple_of(*count)).unwrap_or(fewest)
}

/// One run with tasks of this length.
fn of_length(millis: u64) -> Asked {
    let steps = usize::try_from(WORK / millis.max(1)).unwrap_or(2).clamp(2, 100);
    Asked { millis, ..Asked::new(Shape::Pipeline, steps, 1) }
}

/// Lets a side do what is asked for. What it cannot do is said, and missing in the table.
async fn measure(who: Who, all: &[Asked], tables: &mut Tables) {
    let mut side = None;
    for asked in all {
        eprintln!(
            "{}: {} runs, {:?} of {}, tasks of {} ms",
            who.name(),
            asked.runs,
            asked.shape,
            asked.width,
            asked.millis
        );
        match measure_one(who, &mut side, asked).await {
            Ok(measured) => tables.add(who, asked.clone(), measured),
            Err(error) => {
                eprintln!("{} cannot: {error:#}", who.name());
                side = None;
            }
        }
    }
}

/// Measures on a running side; one is started and warmed up when there is none.
async fn measure_one(who: Who, running: &mut Option<Side>, asked: &Asked) -> Result<side::Measured> {
    let mut side = if let Some(side) = running.take() {
        side
    } else {
        let mut side = Side::start(who).await?;
        for shape in Shape::ALL {
            side.measure(&Asked::new(shape, 10, 3)).await?;
        }
        side
    };
    let measured = side.measure(asked).await?;
    *running = Some(side);
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_sagas_are_several_at_once() {
        assert_eq!([16, 64, 150, 1_000].map(sagas), [1, 1, 3, 20]);
    }
}
