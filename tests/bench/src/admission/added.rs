//! What a rival adds to a write on a real API server, seen by the API server and by the client.
//!
//! Every other request is a control: the same creation without the label that the rivals look for. A pair shares the moment and the Domain, so what differs is the rival.
//! All are dry runs: the whole chain of admission works, and nothing is stored, watched or reconciled.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use kube::Client;

use super::{
    ROUNDS, api, fleet,
    load::{self, Pace, Plan, Shot, Target},
    metrics::Counters,
};
use crate::quantile::Sample;

/// Connections to the API server at once.
const CONNECTIONS: usize = 32;

/// What was seen at one rate.
pub struct Added {
    /// Pairs that were answered.
    pub pairs: usize,
    /// Mean time in the admission plugins per measured request, by the API server's own metric.
    pub in_plugins: Duration,
    /// Mean time of one call of a webhook, by the API server's own metric.
    pub each: Option<Duration>,
    /// Share of calls in the first bucket of that metric.
    pub quick: Option<f64>,
    /// Median of the differences within the pairs, in milliseconds.
    pub median: f64,
    /// 99th percentile of the measured requests less that of the controls, in milliseconds.
    pub p99: f64,
    /// Requests without an answer in the end.
    pub missing: usize,
    /// What [`refusing`] found.
    pub refusing: Option<Duration>,
}

/// Writes of which the time of a refusal is the mean.
const REFUSALS: usize = 20;

/// Mean time of a call of a webhook or a check of a policy that refuses, by the API server's own metric: of checks it counts no others.
async fn refusing(client: &Client, domains: usize) -> Result<Option<Duration>> {
    let before = Counters::read(client).await?;
    for number in fleet::order(domains).take(REFUSALS) {
        api::refusal(client, &fleet::candidate(number, true, fleet::MOST_AGENTS + 1)).await?;
    }
    let spent = Counters::read(client).await?.since(&before);
    Ok(spent.each.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()))
}

/// Creates pools at this rate, and as many controls; of all rounds the one with the least time in the plugins counts.
pub async fn measure(client: &Client, target: &Target, domains: usize, rate: f64, duration: Duration) -> Result<Added> {
    let mut best = round(client, target, domains, rate, duration).await?;
    for _ in 1..ROUNDS {
        let next = round(client, target, domains, rate, duration).await?;
        if (next.missing, next.in_plugins) < (best.missing, best.in_plugins) {
            best = next;
        }
    }
    Ok(best)
}

async fn round(client: &Client, target: &Target, domains: usize, rate: f64, duration: Duration) -> Result<Added> {
    let shots: Arc<[Shot]> = fleet::order(domains)
        .take(domains.max(64))
        .flat_map(|number| [true, false].map(|measured| shot(number, measured)))
        .collect();
    let plan = |duration| Plan {
        target: target.clone(),
        shots: shots.clone(),
        pace: Pace::Sleeping(2.0 * rate),
        duration,
        connections: CONNECTIONS,
        expect: "",
    };
    let before = Counters::read(client).await?;
    let outcome = load::run(plan(duration), None).await?.all_right()?;
    let spent = Counters::read(client).await?.since(&before);
    let mut times = outcome.times.clone();
    times.sort_unstable();
    let of = |odd: usize| times.iter().filter(move |(number, _)| number % 2 == odd).map(|(_, time)| *time);
    let (measured, controls): (Sample, Sample) = (of(0).collect(), of(1).collect());
    let mut differences: Vec<f64> =
        of(0).zip(of(1)).map(|(measured, control)| 1000.0 * (measured.as_secs_f64() - control.as_secs_f64())).collect();
    differences.sort_by(f64::total_cmp);
    let millis = |sample: &Sample| 1000.0 * sample.percentile(99).as_secs_f64();
    let count = f64::from(u32::try_from(measured.len())?).max(1.0);
    Ok(Added {
        pairs: differences.len(),
        in_plugins: Duration::try_from_secs_f64(spent.in_plugins / count).unwrap_or_default(),
        each: spent.each.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        quick: spent.quick,
        median: differences.get(differences.len() / 2).copied().unwrap_or_default(),
        p99: millis(&measured) - millis(&controls),
        missing: outcome.missing,
        refusing: refusing(client, domains).await?,
    })
}

fn shot(number: usize, measured: bool) -> Shot {
    let path = format!("/apis/tetrarch.dev/v1alpha1/namespaces/{}/agentpools?dryRun=All", fleet::domain(number));
    Shot { path: path.into(), body: fleet::candidate(number, measured, fleet::MOST_AGENTS).to_string().into() }
}
