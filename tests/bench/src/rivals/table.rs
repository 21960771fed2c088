//! The tables of the comparison: one for each pattern, each figure of a rival as a ratio to ours.

use std::time::Duration;

use super::{
    shape::{Asked, Shape},
    side::{Measured, Who},
};
use crate::quantile::{Sample, millis};

/// Figures of all sides.
#[derive(Default)]
pub struct Tables(Vec<Row>);

struct Row {
    asked: Asked,
    who: Who,
    measured: Measured,
}

impl Row {
    /// How wide its runs are, and how many there are at a time.
    fn size(&self) -> String {
        match self.asked.at_once {
            1 => self.asked.width.to_string(),
            many => format!("{many} at once of {}", self.asked.width),
        }
    }

    /// The time of each step of serial shapes, otherwise the mean of the steps of each run.
    fn step(&self) -> Sample {
        let figures = &self.measured.figures;
        if self.asked.shape.is_serial() {
            return figures.gaps.iter().map(|gap| Duration::from_micros(*gap)).collect();
        }
        let steps = u32::try_from(self.asked.steps()).unwrap_or(u32::MAX);
        figures.runs.iter().map(|run| Duration::from_micros(*run) / steps).collect()
    }

    fn run(&self) -> Sample {
        self.measured.figures.runs.iter().map(|run| Duration::from_micros(*run)).collect()
    }

    /// Steps per second.
    #[expect(clippy::cast_precision_loss, reason = "counts and microseconds of a benchmark are far below 2^52")]
    fn rate(&self) -> f64 {
        self.measured.figures.steps as f64 * 1e6 / self.measured.figures.wall.max(1) as f64
    }

    /// CPU time of all processes for a step, in microseconds.
    fn cpu(&self) -> f64 {
        self.for_a_step(self.measured.cpu)
    }

    /// The same of the servers alone.
    fn cpu_of_servers(&self) -> f64 {
        self.for_a_step(self.measured.cpu_of_servers)
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
    fn for_a_step(&self, spent: Duration) -> f64 {
        spent.as_secs_f64() * 1e6 / self.measured.figures.steps.max(1) as f64
    }

    fn servers(&self) -> f64 {
        self.measured.servers.iter().map(|(_, mib)| mib).sum()
    }

    /// What the engine adds to the agents' work, as a share of that work.
    #[expect(clippy::cast_precision_loss, reason = "counts and microseconds of a benchmark are far below 2^52")]
    fn overhead(&self) -> f64 {
        let gaps: u64 = self.measured.figures.gaps.iter().sum();
        let work = self.asked.millis * 1_000 * self.measured.figures.gaps.len() as u64;
        gaps as f64 / work.max(1) as f64
    }
}

impl Tables {
    /// Adds what a side did.
    pub fn add(&mut self, who: Who, asked: Asked, measured: Measured) {
        self.0.push(Row { asked, who, measured });
    }

    /// Prints the tables of the patterns.
    pub fn patterns(&self) {
        for shape in Shape::ALL {
            let mut rows: Vec<&Row> = self.0.iter().filter(|row| row.asked.shape == shape).collect();
            rows.sort_by_key(|row| (row.asked.at_once, row.asked.width, row.who));
            if rows.is_empty() {
                continue;
            }
            println!(
                "### {shape}\n\n| width | side | runs | ms per step p50 | of Tetrarch's | p99 | of Tetrarch's | ms per run p50 | steps/s | of Tetrarch's | CPU µs per step, servers | with workers | of Tetrarch's | MiB of its servers | of Tetrarch's | MiB with workers |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"
            );
            for row in &rows {
                let ours = rows.iter().find(|ours| ours.who == Who::Tetrarch && ours.size() == row.size());
                let of = |figure: &dyn Fn(&Row) -> f64| {
                    ours.map_or_else(|| "-".to_owned(), |ours| ratio(figure(row), figure(ours)))
                };
                let step = row.step();
                println!(
                    "| {} | {} | {} | {} | {} | {} | {} | {} | {:.0} | {} | {:.0} | {:.0} | {} | {:.0} | {} | {:.0} |",
                    row.size(),
                    row.who.name(),
                    row.asked.runs,
                    millis(step.percentile(50)),
                    of(&|row| row.step().percentile(50).as_secs_f64()),
                    millis(step.percentile(99)),
                    of(&|row| row.step().percentile(99).as_secs_f64()),
                    millis(row.run().percentile(50)),
                    row.rate(),
                    of(&Row::rate),
                    row.cpu_of_servers(),
                    row.cpu(),
                    of(&Row::cpu),
                    row.servers(),
                    of(&Row::servers),
                    row.measured.all
                );
            }
            println!();
        }
    }

    /// Prints what each side adds to tasks of these lengths.
    pub fn overheads(&self) {
        let mut sides: Vec<Who> = self.0.iter().map(|row| row.who).collect();
        sides.sort_unstable();
        sides.dedup();
        let mut lengths: Vec<u64> = self.0.iter().map(|row| row.asked.millis).collect();
        lengths.sort_unstable();
        lengths.dedup();
        let columns: Vec<String> = sides.iter().map(|side| format!("{} % | ms p50", side.name())).collect();
        println!(
            "### What is added to tasks of a length, steps one after the other\n\n| ms of a task | tasks | {} |\n|---|---|{}",
            columns.join(" | "),
            "---|---|".repeat(sides.len())
        );
        for length in lengths {
            let rows: Vec<&Row> = self.0.iter().filter(|row| row.asked.millis == length).collect();
            let cells: Vec<String> = sides
                .iter()
                .map(|side| {
                    rows.iter().find(|row| row.who == *side).map_or_else(
                        || "- | -".to_owned(),
                        |row| format!("{:.2} | {}", 100.0 * row.overhead(), millis(row.step().percentile(50))),
                    )
                })
                .collect();
            let tasks = rows.first().map_or(0, |row| row.measured.figures.steps);
            println!("| {length} | {tasks} | {} |", cells.join(" | "));
        }
        println!();
    }

    /// Prints what many runs at once need.
    pub fn at_once(&self) {
        println!(
            "### Runs at once\n\n| side | runs | steps of each | ms of a task | s until all had ended | steps/s | CPU µs per step | MiB at most of its servers | MiB with workers |\n|---|---|---|---|---|---|---|---|---|"
        );
        for row in &self.0 {
            let servers: Vec<String> =
                row.measured.servers.iter().map(|(name, mib)| format!("{name} {mib:.0}")).collect();
            println!(
                "| {} | {} | {} | {} | {:.1} | {:.0} | {:.0} | {} | {:.0} |",
                row.who.name(),
                row.asked.at_once,
                row.asked.steps(),
                row.asked.millis,
                Duration::from_micros(row.measured.figures.wall).as_secs_f64(),
                row.rate(),
                row.cpu(),
                servers.join(", "),
                row.measured.all
            );
        }
        println!();
    }
}

fn ratio(one: f64, other: f64) -> String {
    if other > 0.0 { format!("{:.2} ×", one / other) } else { "-".to_owned() }
}
