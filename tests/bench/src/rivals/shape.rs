//! What is measured, and what a driver is asked and answers. Drivers are told phases, so that all sides do the same steps in the same order.

use std::fmt;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

/// A pattern of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Steps one after the other.
    Pipeline,
    /// A task for each item, and one that reduces.
    MapReduce,
    /// A step, branches, and a step that joins them.
    ForkJoin,
    /// The same task to many, whose answers are gathered.
    ScatterGather,
    /// Steps one after the other of which the last fails, so that all others are undone.
    Saga,
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Pipeline, Self::MapReduce, Self::ForkJoin, Self::ScatterGather, Self::Saga];

    /// Whether there is never more than one step at a time, so that the time of each can be told.
    pub const fn is_serial(self) -> bool {
        matches!(self, Self::Pipeline | Self::Saga)
    }

    /// The rounds of a run of this width.
    pub fn phases(self, width: usize) -> Vec<Phase> {
        let (one, many) = (Phase { rounds: 1, width: 1, fails: false }, Phase { rounds: 1, width, fails: false });
        let chain = |rounds| Phase { rounds, ..one };
        match self {
            Self::Pipeline => vec![chain(width)],
            Self::MapReduce => vec![many, one],
            Self::ForkJoin => vec![one, many, one],
            Self::ScatterGather => vec![many],
            Self::Saga => vec![chain(width - 1), Phase { fails: true, ..one }, chain(width - 1)],
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pipeline => "pipeline: steps one after the other",
            Self::MapReduce => "map-reduce: a task for each item, and one that reduces",
            Self::ForkJoin => "fork-join: a step, branches, a step that joins them",
            Self::ScatterGather => "scatter-gather: the same task to many, whose answers must agree",
            Self::Saga => "saga: steps of which the last fails, and all others are undone",
        })
    }
}

/// So many rounds one after the other, each of so many steps at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// How often.
    pub rounds: usize,
    /// Steps at once.
    pub width: usize,
    /// Whether they fail, for good.
    pub fails: bool,
}

/// Runs that a driver is to measure.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// The pattern.
    pub shape: Shape,
    /// How wide or, of a chain, how long.
    pub width: usize,
    /// The same in rounds.
    pub phases: Vec<Phase>,
    /// How long an agent works on a step.
    pub millis: u64,
    /// Runs.
    pub runs: usize,
    /// Runs at a time.
    pub at_once: usize,
    /// Of Restate: whether steps are calls of another service.
    pub calls: bool,
}

impl Asked {
    /// Runs of a shape, one at a time, with agents that answer at once.
    pub fn new(shape: Shape, width: usize, runs: usize) -> Self {
        Self { shape, width, phases: shape.phases(width), millis: 0, runs, at_once: 1, calls: false }
    }

    /// Steps of one run.
    pub fn steps(&self) -> usize {
        self.phases.iter().map(|phase| phase.rounds * phase.width).sum()
    }
}

/// What a driver measured. All times are microseconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Figures {
    /// From the first request to the last end.
    pub wall: u64,
    /// Of each run, from its request to the moment when the client knows its end.
    pub runs: Vec<u64>,
    /// From the end of each step's work (of the first: from the request) to the start of the next one's, by the clock of the agents.
    pub gaps: Vec<u64>,
    /// Steps that agents did.
    pub steps: usize,
}

impl Figures {
    /// Nothing was left out and nothing done twice.
    pub fn check(&self, asked: &Asked) -> Result<()> {
        ensure!(self.runs.len() == asked.runs, "{} runs instead of {}", self.runs.len(), asked.runs);
        let steps = asked.steps() * asked.runs;
        ensure!(self.steps == steps, "{} steps instead of {steps}", self.steps);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saga_undoes_all_but_the_step_that_fails() {
        assert_eq!(Asked::new(Shape::Saga, 16, 1).steps(), 31);
        assert_eq!(Shape::Saga.phases(2).iter().filter(|phase| phase.fails).count(), 1);
    }

    #[test]
    fn steps_count_what_splits_and_joins() {
        let steps = Shape::ALL.map(|shape| Asked::new(shape, 10, 1).steps());
        assert_eq!(steps, [10, 11, 12, 10, 19]);
    }
}
