//! The decision alone, in this process and on one thread: from the parsed review, and from the bytes of the request to those of the answer.

use std::{sync::Arc, time::Instant};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use tetrarch_plan::admit::{self, Index, index::Member, wire};

use super::fleet::{self, Recorded};
use crate::{cores::Core, quantile::Sample};

/// Decisions before the measured ones.
const WARM: usize = 2_000;
/// Measured decisions.
const DECISIONS: usize = 20_000;

/// Domains that take turns when not all do: what is left of a difference then is not for what the caches of the processor cannot hold.
const FEW: usize = 4;

/// Times of one kind of review.
pub struct Figures {
    /// What was reviewed.
    pub kind: Recorded,
    /// How many Domains took turns.
    pub among: usize,
    /// From the parsed review to the verdict.
    pub decided: Sample,
    /// From the bytes of the request to those of the answer.
    pub answered: Sample,
}

/// Decides about every kind of review with so many Domains, on a thread bound to this core.
pub async fn measure(domains: usize, core: Core) -> Result<Vec<Figures>> {
    tokio::task::spawn_blocking(move || {
        // A thread of its own, so that the binding ends with it.
        std::thread::spawn(move || {
            core.bind()?;
            let index = index(domains)?;
            refuses(&index)?;
            let few = (domains > FEW).then_some((Recorded::Create, FEW));
            let all = Recorded::ALL.map(|kind| (kind, domains)).into_iter().chain(few);
            all.map(|(kind, among)| figures(&index, kind, among)).collect()
        })
        .join()
        .map_err(|_| anyhow::anyhow!("the measure of decisions ended with a panic"))?
    })
    .await?
}

/// The index of the generated department.
pub fn index(domains: usize) -> Result<Index> {
    let mut index = Index::default();
    for object in fleet::orchestrators(domains) {
        index.apply(Member::Orchestrator(Arc::new(serde_json::from_value(object)?)));
    }
    for number in 0..domains {
        index.apply(Member::Domain(Arc::new(serde_json::from_value(fleet::domain_object(number))?)));
        index.apply(Member::Supervisor(Arc::new(serde_json::from_value(fleet::supervisor(number))?)));
        index.apply(Member::AgentPool(Arc::new(serde_json::from_value(fleet::pool(number))?)));
    }
    Ok(index)
}

/// What is measured must decide: too many agents and a foreign image are refused.
fn refuses(index: &Index) -> Result<()> {
    let review = Recorded::Create.review(0);
    for (good, bad) in [("\"max\":20", "\"max\":51"), ("registry.example/team-0000/", "registry.example/team-0001/")] {
        let incoming = wire::read(review.replace(good, bad).as_bytes())?;
        let verdict = admit::decide(&incoming.review.context("is not reviewed")?, index, Timestamp::now());
        ensure!(!verdict.is_allowed(), "a review with {bad} is admitted");
    }
    Ok(())
}

/// One after the other over so many of the Domains. The bytes are fetched before the clock starts, as they have just arrived when a webhook reads them.
fn figures(index: &Index, kind: Recorded, among: usize) -> Result<Figures> {
    let bodies = fleet::bodies(kind, among);
    let now = Timestamp::now();
    let (mut decided, mut answered) = (Sample::default(), Sample::default());
    let mut arrived = Vec::new();
    for turn in 0..WARM + DECISIONS {
        arrived.clear();
        arrived.extend_from_slice(&bodies[turn % bodies.len()]);
        let begin = Instant::now();
        let incoming = wire::read(&arrived)?;
        let review = incoming.review.context("is not reviewed")?;
        let read = Instant::now();
        let verdict = admit::decide(&review, index, now);
        let judged = read.elapsed();
        let answer = wire::answer(&incoming.uid, &verdict).to_string();
        let whole = begin.elapsed();
        ensure!(answer.contains("\"allowed\":true"), "a review of the generated department is refused: {answer}");
        if turn >= WARM {
            decided.add(judged);
            answered.add(whole);
        }
    }
    Ok(Figures { kind, among, decided, answered })
}
