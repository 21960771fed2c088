//! The drivers of our side and of the floor: agents and a client in a process of their own, as the rivals' drivers are.

use std::{future::Future, time::Instant};

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};

use super::{
    shape::{Asked, Figures},
    spans::{Spans, micros},
};

/// Environment variable that tells a driver where its bus is.
pub const BUS: &str = "TETRARCH_BUS_URL";

/// Address of the bus.
pub fn bus() -> Result<String> {
    std::env::var(BUS).with_context(|| format!("{BUS} is not set: drivers are started by the benchmark"))
}

/// Reads what to measure as lines of JSON and answers with lines of figures. `run` does one run and says what the spans call it.
pub async fn drive<Run, Done>(spans: &Spans, mut run: Run) -> Result<()>
where
    Run: FnMut(Asked, String) -> Done,
    Done: Future<Output = Result<()>>,
{
    let mut number = 0;
    loop {
        // A thread of its own waits for the line, the agents work on.
        let Some(line) = tokio::task::spawn_blocking(|| std::io::stdin().lines().next().transpose()).await?? else {
            return Ok(());
        };
        let figures = measure(spans, &serde_json::from_str(&line)?, number, &mut run).await?;
        println!("{}", serde_json::to_string(&figures)?);
        number += 1;
    }
}

/// Does so many runs, so many of them at a time.
async fn measure<Run, Done>(spans: &Spans, asked: &Asked, number: usize, run: &mut Run) -> Result<Figures>
where
    Run: FnMut(Asked, String) -> Done,
    Done: Future<Output = Result<()>>,
{
    let begin = Instant::now();
    let runs: Vec<(Instant, Instant, String)> = stream::iter(0..asked.runs)
        .map(|index| {
            let name = format!("run-{number}-{index}");
            let start = Instant::now();
            let done = run(asked.clone(), name.clone());
            async move { done.await.map(|()| (start, Instant::now(), name)) }
        })
        .buffered(asked.at_once.max(1))
        .try_collect()
        .await?;
    let mut figures = Figures { wall: micros(begin.elapsed()), ..Figures::default() };
    for (start, end, name) in runs {
        figures.runs.push(micros(end - start));
        spans.collect(&name, start, &mut figures);
    }
    Ok(figures)
}
