//! Reviews sent straight to the port of a webhook, as the API server would send them: how fast the answers come, and how many a second one core gives.

use std::{sync::Arc, time::Duration};

use anyhow::Result;

use super::{
    ROUNDS,
    fleet::{self, Recorded},
    load::{self, Outcome, Pace, Plan, Shot, Target},
};
use crate::{cores::Core, quantile::Sample};

/// Connections at once, as many as an API server under load holds.
const CONNECTIONS: usize = 32;
/// The bound of the sustained maximum.
pub const BOUND: Duration = Duration::from_millis(5);
/// Halvings of the interval in which the maximum is searched.
const HALVINGS: u32 = 4;

/// A webhook that takes reviews.
#[derive(Clone)]
pub struct Server {
    /// Where it listens.
    pub target: Target,
    /// Path of the validating review.
    pub path: &'static str,
}

/// What one server did.
pub struct Figures {
    /// At 50 requests a second, which every server can answer.
    pub calm: Sample,
    /// At the fixed rate.
    pub busy: Sample,
    /// Whether every request at the fixed rate was answered in the end.
    pub kept_up: bool,
    /// The highest rate at which 99 % of the answers came within [`BOUND`].
    pub most: f64,
}

/// Rate at which every server can be compared.
pub const CALM: f64 = 50.0;

/// Loads a server with reviews of this kind for so many Domains.
pub async fn measure(
    server: &Server,
    kind: Recorded,
    domains: usize,
    rate: f64,
    each: Duration,
    core: Core,
) -> Result<Figures> {
    let shots: Arc<[Shot]> = fleet::dry_runs(kind, domains)
        .iter()
        .map(|body| Shot { path: server.path.into(), body: body.clone() })
        .collect();
    let run = async |pace, duration| -> Result<Outcome> {
        let plan = Plan {
            target: server.target.clone(),
            shots: shots.clone(),
            pace,
            duration,
            connections: CONNECTIONS,
            expect: r#""allowed":true"#,
        };
        load::run(plan, Some(core)).await?.all_right()
    };
    run(Pace::Saturating, each / 4).await?;
    let best = async |pace| -> Result<Outcome> {
        let mut best = run(pace, each).await?;
        for _ in 1..ROUNDS {
            let next = run(pace, each).await?;
            if next.sample().percentile(99) < best.sample().percentile(99) {
                best = next;
            }
        }
        Ok(best)
    };
    let calm = best(Pace::Sleeping(CALM)).await?.sample();
    let busy = best(Pace::Spinning(rate)).await?;
    // What the server does when all connections are always busy is the most it can do at all.
    let saturated = run(Pace::Saturating, each / 2).await?.rate();
    let holds = async |rate: f64| -> Result<bool> {
        // A step may fail for a hiccup of the machine; a rate that is too high fails again.
        for _ in 0..ROUNDS {
            let outcome = run(Pace::Spinning(rate), each / 2).await?;
            if outcome.missing == 0 && outcome.sample().percentile(99) < BOUND {
                return Ok(true);
            }
        }
        Ok(false)
    };
    let (mut low, mut high) = (saturated / 2.0, saturated);
    while !holds(low).await? && low >= 1.0 {
        (low, high) = (low / 2.0, low);
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if holds(middle).await? { low = middle } else { high = middle }
    }
    Ok(Figures { calm, kept_up: busy.missing == 0 && busy.rate() > 0.98 * rate, busy: busy.sample(), most: low })
}
