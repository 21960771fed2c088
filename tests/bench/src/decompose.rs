//! How long it takes until a text is a plan: the decision alone, and in the real supervisor until the plan is stored.

use std::{
    collections::BTreeMap,
    hint::black_box,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, ensure};
use tetrarch_core::{
    decompose::Complexity,
    workflow::{
        auto::{self, AutoStep, Known, Request},
        definition::Retry,
    },
};
use tetrarch_testkit::nats::NatsServer;

use crate::{
    engine::{self, Engine},
    floor,
    quantile::{Sample, millis},
    simulated::{self, Pool},
};

/// Decisions for each class.
const DECISIONS: usize = 1_000;
/// Runs for each class.
const RUNS: usize = 10;
/// Writes of the floor.
const WRITES: usize = 100;

/// A text for each class: so many points, and so many words in each.
const TEXTS: [(Complexity, usize, usize); 5] = [
    (Complexity::Atomic, 1, 8),
    (Complexity::Simple, 3, 8),
    (Complexity::Moderate, 8, 16),
    (Complexity::Complex, 20, 32),
    // As much as a step takes: 64 steps, nearly 64 KiB.
    (Complexity::Enterprise, 64, 120),
];

fn text(points: usize, words: usize) -> String {
    let point = |number| format!("- [noop] look at part {number}{}\n", " records".repeat(words));
    (1..=points).map(point).collect()
}

/// A step that takes a text apart.
fn step(text: String) -> Result<AutoStep> {
    Ok(AutoStep {
        text,
        inputs: serde_json::Map::new(),
        capabilities: vec!["noop".parse()?],
        planner: None,
        approval: None,
        max_steps: 64,
        max_parallel: 16,
        task_timeout: Duration::from_mins(1),
        retry: Retry { limit: 0, initial: Duration::from_secs(1), factor: 1, max: Duration::from_secs(1) },
    })
}

/// The class of a text, and the times of the decision and of its floor, which reads the text once and counts its words.
fn decide(text: &str, times: usize) -> Result<(Complexity, Sample, Sample)> {
    let (step, inputs) = (step(text.to_owned())?, BTreeMap::new());
    let known = Known { capabilities: step.capabilities.clone(), past: Vec::new() };
    let request = Request { step: &step, text, inputs: &inputs, known: &known };
    let (mut ours, mut floor) = (Sample::default(), Sample::default());
    let mut class = None;
    for _ in 0..times {
        let begin = Instant::now();
        black_box(black_box(text).split_whitespace().count());
        floor.add(begin.elapsed());
        let begin = Instant::now();
        let plan = auto::plan(black_box(&request));
        ours.add(begin.elapsed());
        class = Some(plan.map_err(|why| anyhow!(why))?.complexity);
    }
    Ok((class.ok_or_else(|| anyhow!("nothing was decided"))?, ours, floor))
}

/// Prints the table.
pub async fn table() -> Result<()> {
    let nats = NatsServer::start().await?;
    let engine = Engine::start(&nats).await?;
    let js = engine.bus.jetstream().clone();
    floor::prepare(&js).await?;
    let pool = Pool { supervisor: engine.supervisor.clone(), name: engine.pool.clone(), sidecars: 1, slots: 64 };
    let _agents = simulated::run(&engine.bus, &pool).await?;
    engine.run(engine::auto("warm", step(text(1, 8))?)?).await?;
    let bus = floor::sequential(&js, WRITES).await?;
    println!(
        "## A text, decomposed into a plan\n\n| class | steps | bytes | n | µs p50 | µs p99 | µs p50 to read the text once | n in the supervisor | ms p50 from the step's start to its stored plan | ms p99 | p50 / step of the bare bus |\n|---|---|---|---|---|---|---|---|---|---|---|"
    );
    for (class, points, words) in TEXTS {
        let text = text(points, words);
        let (found, decided, read) = decide(&text, DECISIONS)?;
        ensure!(found == class, "a text of {points} points is {found:?} and not {class:?}");
        let mut stored = Sample::default();
        for number in 0..RUNS {
            let name = format!("auto-{points}-{number}");
            let seen = engine.run(engine::auto(&name, step(text.clone())?)?).await?;
            stored.add(seen.planned.ok_or_else(|| anyhow!("{name} has no plan"))?);
        }
        println!(
            "| {} | {points} | {} | {} | {} | {} | {} | {} | {} | {} | {:.2} |",
            class.as_str(),
            text.len(),
            decided.len(),
            micros(decided.percentile(50)),
            micros(decided.percentile(99)),
            micros(read.percentile(50)),
            stored.len(),
            millis(stored.percentile(50)),
            millis(stored.percentile(99)),
            stored.percentile(50).as_secs_f64() / bus.percentile(50).as_secs_f64()
        );
    }
    println!();
    Ok(())
}

fn micros(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64() * 1_000_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_of_its_class_and_none_is_too_large() {
        for (class, points, words) in TEXTS {
            let text = text(points, words);
            assert_eq!(decide(&text, 1).unwrap().0, class);
            assert!(text.len() <= auto::MAX_TEXT, "{} bytes", text.len());
        }
    }
}
