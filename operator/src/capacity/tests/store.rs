//! A store in memory with the preconditions of the API server, and with faults.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::BoxFuture;
use tetrarch_core::capacity::Ledger;
use tokio::time::sleep;

use super::super::store::{Error, LedgerStore, Stored};

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It is refused as if somebody else had written.
    Conflict,
    /// It never arrives.
    Lost,
    /// It arrives, its answer does not.
    LostAnswer,
}

#[derive(Default)]
struct State {
    ledgers: BTreeMap<String, (String, u64)>,
    version: u64,
    writes: usize,
    faults: VecDeque<Fault>,
    takes: Duration,
    is_down: bool,
    is_careless: bool,
}

/// The store; clones are the same one.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<State>>);

impl Memory {
    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    pub fn handle(&self) -> Arc<dyn LedgerStore> {
        Arc::new(self.clone())
    }

    /// Faults of the next writes.
    pub fn next(&self, faults: &[Fault]) {
        self.with(|state| state.faults.extend(faults));
    }

    pub fn takes(&self, time: Duration) {
        self.with(|state| state.takes = time);
    }

    pub fn is_down(&self, is_down: bool) {
        self.with(|state| state.is_down = is_down);
    }

    /// From now on versions are not compared.
    pub fn becomes_careless(&self) {
        self.with(|state| state.is_careless = true);
    }

    pub fn writes(&self) -> usize {
        self.with(|state| state.writes)
    }

    pub fn is_empty(&self) -> bool {
        self.with(|state| state.ledgers.is_empty())
    }

    async fn pass(&self) -> Result<(), Error> {
        let (takes, is_down) = self.with(|state| (state.takes, state.is_down));
        sleep(takes).await;
        if is_down { Err(Error::Unanswered) } else { Ok(()) }
    }
}

impl LedgerStore for Memory {
    fn read<'a>(&'a self, orchestrator: &'a str) -> BoxFuture<'a, Result<Option<Stored>, Error>> {
        Box::pin(async move {
            self.pass().await?;
            let found = self.with(|state| state.ledgers.get(orchestrator).cloned());
            Ok(found.map(|(text, version)| Stored {
                ledger: serde_json::from_str(&text).unwrap(),
                version: version.to_string(),
            }))
        })
    }

    fn write<'a>(
        &'a self,
        orchestrator: &'a str,
        ledger: &'a Ledger,
        version: Option<&'a str>,
    ) -> BoxFuture<'a, Result<String, Error>> {
        Box::pin(async move {
            self.pass().await?;
            let text = serde_json::to_string(ledger).unwrap();
            let written = self.with(|state| {
                let fault = state.faults.pop_front().unwrap_or(Fault::None);
                let stored = state.ledgers.get(orchestrator).map(|(_, version)| version.to_string());
                match fault {
                    Fault::Lost => return Err(Error::Unanswered),
                    Fault::Conflict => return Err(Error::Conflict),
                    _ if stored.as_deref() != version && !state.is_careless => return Err(Error::Conflict),
                    _ => {}
                }
                state.version += 1;
                state.writes += 1;
                state.ledgers.insert(orchestrator.to_owned(), (text, state.version));
                if fault == Fault::LostAnswer { Err(Error::Unanswered) } else { Ok(state.version.to_string()) }
            });
            self.pass().await?;
            written
        })
    }

    fn remove<'a>(&'a self, orchestrator: &'a str, version: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            self.with(|state| match state.ledgers.get(orchestrator) {
                Some((_, stored)) if stored.to_string() == version => {
                    state.ledgers.remove(orchestrator);
                    Ok(())
                }
                _ => Err(Error::Conflict),
            })
        })
    }

    fn orchestrators(&self) -> BoxFuture<'_, Result<Vec<String>, Error>> {
        Box::pin(async move { Ok(self.with(|state| state.ledgers.keys().cloned().collect())) })
    }
}
