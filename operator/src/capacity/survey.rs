//! Brings a ledger in line with what exists.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use tetrarch_core::capacity::{Key, Ledger, Observed, forget, look_up, observe, overdue, settle};

use super::view::{self, View};

/// Questions to the API server at the same time.
const QUESTIONS: usize = 8;

/// One look at what exists.
#[derive(Clone, Copy)]
pub struct Survey<'a> {
    /// What exists.
    pub view: &'a dyn View,
    /// The Orchestrator whose ledger it is.
    pub orchestrator: &'a str,
    /// When it began; every answer is newer than that.
    pub now: Timestamp,
}

impl Survey<'_> {
    /// A ledger to begin with: nobody has written one yet, so everything that exists is taken up, whether it fits or not.
    pub async fn adopt(&self) -> Result<Ledger, view::Error> {
        let mut ledger = Ledger::default();
        settle(&mut ledger, self.view.ask_everything(self.orchestrator).await?, self.now);
        Ok(ledger)
    }

    /// Ends claims that nobody can store any more, after a look at what became of them.
    pub async fn end_overdue(&self, ledger: &mut Ledger) -> Result<(), view::Error> {
        let keys = overdue(ledger, self.now);
        self.ask(ledger, keys).await
    }

    /// Takes up the outcome of claims as far as this replica has seen it, and what it has seen to be deleted. Needs no answer
    /// of the API server.
    pub fn take_up_outcomes(&self, ledger: &mut Ledger) {
        for (key, uid) in self.view.gone() {
            forget(ledger, &key, &uid);
        }
        let open: Vec<Key> = ledger.open().cloned().collect();
        self.take_up(ledger, open.iter().filter_map(|key| self.view.seen(self.orchestrator, key)));
    }

    /// Takes up everything that this replica has seen. Where the ledger has an object that this replica has not, or the other
    /// way round, it asks: either its view is old, or something happened while nobody looked.
    pub async fn take_up_everything(&self, ledger: &mut Ledger) -> Result<(), view::Error> {
        self.take_up_outcomes(ledger);
        let everything = self.view.everything(self.orchestrator);
        let seen: BTreeMap<Key, String> =
            everything.iter().map(|object| (object.key.clone(), object.uid.clone())).collect();
        let mut doubtful = self.take_up(ledger, everything);
        let unseen = ledger.committed().filter(|(key, uid)| seen.get(key).is_none_or(|seen| seen != uid));
        doubtful.extend(unseen.map(|(key, _)| key.clone()));
        self.ask(ledger, doubtful).await
    }

    /// Takes up what was seen, except objects that the ledger does not expect: an old view may show what was deleted since,
    /// and what was free may be somebody else's. Returns those.
    fn take_up(&self, ledger: &mut Ledger, seen: impl IntoIterator<Item = Observed>) -> BTreeSet<Key> {
        let mut doubtful = BTreeSet::new();
        for object in seen {
            if ledger.expects(&object.key, &object.uid) {
                observe(ledger, object, self.now);
            } else {
                doubtful.insert(object.key);
            }
        }
        doubtful
    }

    async fn ask(&self, ledger: &mut Ledger, keys: impl IntoIterator<Item = Key>) -> Result<(), view::Error> {
        let questions = keys.into_iter().map(|key| async move {
            match self.view.ask(self.orchestrator, &key).await {
                Ok(answer) => Ok(Some((key, answer))),
                // What was known of it goes on to count.
                Err(error @ view::Error::Unreadable { .. }) => {
                    tracing::warn!(%error, "stays booked as it was");
                    Ok(None)
                }
                Err(error) => Err(error),
            }
        });
        let answers: Vec<_> = stream::iter(questions).buffer_unordered(QUESTIONS).try_collect().await?;
        for (key, answer) in answers.into_iter().flatten() {
            look_up(ledger, &key, answer, self.now);
        }
        Ok(())
    }
}
