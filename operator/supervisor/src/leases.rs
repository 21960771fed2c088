//! Which replica acts on which runs: leases on eight partitions of the run ids, kept in one value of the LEASE bucket.
//!
//! Every replica rewrites the value every second under its revision, counting its own number up. Whose number stands still for the time of
//! expiry, measured by the observer's own clock, is dead; so clocks need not agree. A replica that cannot renew gives its partitions up
//! in time by itself. A short overlap is harmless: every write to the journal is conditional.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tetrarch_bus::{
    Bus,
    write::{self, Written},
};
use tetrarch_core::id::{Name, RunId};
use tetrarch_protocol::{VERSION, stream::LEASE_BUCKET};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

/// Parts into which the runs of a Supervisor are divided.
pub const PARTITIONS: u8 = 8;

/// Tries to write the table against other replicas before the next turn is waited for.
const TRIES: u32 = 5;

/// The partition of a run; the same for every replica and version (FNV-1a).
pub fn partition(run: &RunId) -> u8 {
    let hash = run
        .as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    u8::try_from((hash ^ (hash >> 32)) % u64::from(PARTITIONS)).unwrap_or_default()
}

/// How often leases are renewed, and when they end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Between two renewals.
    pub renew: Duration,
    /// After which a replica that did not renew is dead. At least three renewals.
    pub expiry: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { renew: Duration::from_secs(1), expiry: Duration::from_secs(5) }
    }
}

/// Partitions that this replica holds.
pub type Held = BTreeSet<u8>;

/// The shared value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Table {
    version: u16,
    /// Living replicas with the number each counts up.
    members: BTreeMap<String, u64>,
    /// Who holds each partition.
    holders: BTreeMap<u8, String>,
}

/// When each member's number was last seen to change.
#[derive(Debug, Default)]
struct Sightings(BTreeMap<String, (u64, Instant)>);

impl Sightings {
    /// Notes what the table says and tells who has not moved since before the expiry.
    fn dead(&mut self, table: &Table, now: Instant, expiry: Duration) -> BTreeSet<String> {
        self.0.retain(|member, _| table.members.contains_key(member));
        let mut dead = BTreeSet::new();
        for (member, number) in &table.members {
            let seen = self.0.entry(member.clone()).or_insert((*number, now));
            if seen.0 != *number {
                *seen = (*number, now);
            } else if now.duration_since(seen.1) >= expiry {
                dead.insert(member.clone());
            }
        }
        dead
    }
}

/// The next table, as this replica wants it: counted up, without the dead, with a fair share of the partitions. More than the share is
/// given back, and only free partitions are taken, so nothing is taken from the living.
fn plan_table(current: &Table, me: &str, dead: &BTreeSet<String>) -> Table {
    let mut next = Table { version: VERSION, ..current.clone() };
    next.members.retain(|member, _| member == me || !dead.contains(member));
    *next.members.entry(me.to_owned()).or_default() += 1;
    next.holders.retain(|_, holder| next.members.contains_key(holder));
    let share = usize::from(PARTITIONS).div_ceil(next.members.len());
    let mut held = next.holders.values().filter(|holder| *holder == me).count();
    for partition in 0..PARTITIONS {
        match next.holders.get(&partition) {
            Some(holder) if holder == me && held > share => {
                next.holders.remove(&partition);
                held -= 1;
            }
            None if held < share => {
                next.holders.insert(partition, me.to_owned());
                held += 1;
            }
            _ => {}
        }
    }
    next
}

fn plan_leave(current: &Table, me: &str) -> Table {
    let mut next = current.clone();
    next.members.remove(me);
    next.holders.retain(|_, holder| holder != me);
    next
}

fn held_by(table: &Table, me: &str) -> Held {
    table.holders.iter().filter(|(_, holder)| *holder == me).map(|(partition, _)| *partition).collect()
}

/// Holds a share of the partitions until it is told to stop; then gives all of them back.
pub async fn hold(
    bus: Bus,
    supervisor: Name,
    me: String,
    timing: Timing,
    held: watch::Sender<Held>,
    stop: CancellationToken,
) {
    let mut keeper = Keeper { bus, key: format!("{supervisor}.table"), me, timing, sightings: Sightings::default() };
    let mut valid_until = Instant::now();
    loop {
        let started = Instant::now();
        match tokio::time::timeout(timing.expiry / 2, keeper.renew()).await {
            Ok(Ok(Some(partitions))) => {
                valid_until = started + timing.expiry - timing.renew;
                held.send_if_modified(|held| {
                    let is_new = *held != partitions;
                    if is_new {
                        tracing::info!(partitions = ?partitions, "holds leases");
                        *held = partitions;
                    }
                    is_new
                });
            }
            Ok(Ok(None)) => tracing::debug!("other replicas wrote the leases, trying again"),
            Ok(Err(error)) => tracing::warn!(%error, "cannot renew the leases"),
            Err(_) => tracing::warn!("cannot renew the leases in time"),
        }
        if Instant::now() >= valid_until {
            held.send_if_modified(|held| {
                let had_some = !held.is_empty();
                held.clear();
                had_some
            });
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep_until(started + timing.renew) => {}
        }
    }
    held.send_replace(Held::new());
    match tokio::time::timeout(timing.expiry, keeper.write(plan_leave)).await {
        Ok(Ok(_)) => tracing::info!("gave its leases back"),
        Ok(Err(error)) => tracing::warn!(%error, "cannot give its leases back; they expire"),
        Err(_) => tracing::warn!("cannot give its leases back in time; they expire"),
    }
}

struct Keeper {
    bus: Bus,
    key: String,
    me: String,
    timing: Timing,
    sightings: Sightings,
}

impl Keeper {
    /// Renews; the partitions held now, or nothing when other replicas were faster every time.
    async fn renew(&mut self) -> Result<Option<Held>, write::Error> {
        let expiry = self.timing.expiry;
        let mut sightings = std::mem::take(&mut self.sightings);
        let written = self
            .write(|table, me| {
                let dead = sightings.dead(table, Instant::now(), expiry);
                plan_table(table, me, &dead)
            })
            .await;
        self.sightings = sightings;
        Ok(written?.map(|table| held_by(&table, &self.me)))
    }

    async fn write(&self, mut plan: impl FnMut(&Table, &str) -> Table) -> Result<Option<Table>, write::Error> {
        for _ in 0..TRIES {
            let entry = self.bus.get_any(LEASE_BUCKET, &self.key).await?;
            let (current, revision) = match entry {
                // A table that is not readable is as good as none: everybody takes part again.
                Some(entry) => (serde_json::from_slice(&entry.value).unwrap_or_default(), entry.revision),
                None => (Table::default(), 0),
            };
            let next = plan(&current, &self.me);
            let value = serde_json::to_vec(&next)
                .map_err(|e| write::Error::Refused { subject: self.key.clone(), reason: e.to_string() })?;
            if let Written::Fresh(_) = self.bus.put_if(LEASE_BUCKET, &self.key, revision, value).await? {
                return Ok(Some(next));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
