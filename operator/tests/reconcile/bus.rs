//! A bus in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use futures::future::BoxFuture;
use tetrarch_core::id::Name;
use tetrarch_operator::bus::{Account, BusPort, Credentials, Error};
use tetrarch_plan::effect::BusUser;
use tetrarch_protocol::stream::{CONFIG_BUCKET, REPORT_BUCKET};

/// What is on the bus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    pub accounts: BTreeSet<String>,
    /// By bucket and key.
    pub values: BTreeMap<(String, String), Bytes>,
}

/// A bus in memory.
#[derive(Default)]
pub struct FakeBus {
    content: Mutex<Content>,
    unreachable: Mutex<bool>,
}

impl FakeBus {
    pub fn content(&self) -> Content {
        self.content.lock().unwrap().clone()
    }

    pub fn set_unreachable(&self, unreachable: bool) {
        *self.unreachable.lock().unwrap() = unreachable;
    }

    pub fn put_report(&self, key: &str, value: &impl serde::Serialize) {
        let value = serde_json::to_vec(value).unwrap().into();
        self.content.lock().unwrap().values.insert((REPORT_BUCKET.to_owned(), key.to_owned()), value);
    }

    pub fn config_keys(&self) -> Vec<String> {
        let content = self.content();
        content.values.keys().filter(|(bucket, _)| bucket == CONFIG_BUCKET).map(|(_, key)| key.clone()).collect()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Content) -> T) -> Result<T, Error> {
        if *self.unreachable.lock().unwrap() {
            return Err(Error::Unreachable("down".to_owned()));
        }
        Ok(change(&mut self.content.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl BusPort for FakeBus {
    fn ensure_account<'a>(&'a self, account: &'a Account) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async {
            self.change(|content| {
                content.accounts.insert(account.domain.to_string());
            })
        })
    }

    fn remove_account<'a>(&'a self, _: &'a Account) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async { self.change(|content| *content = Content::default()) })
    }

    fn credentials(&self, account: &Account, user: &BusUser) -> Result<Credentials, Error> {
        Ok(Credentials { user: format!("{} {user:?}", account.uid), authority: "ca".to_owned() })
    }

    fn publish<'a>(&'a self, _: &'a Account, key: &'a str, value: Bytes) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async move {
            self.change(|content| {
                let key = (CONFIG_BUCKET.to_owned(), key.to_owned());
                content.values.insert(key, value.clone()) != Some(value)
            })
        })
    }

    fn retract<'a>(&'a self, _: &'a Account, bucket: &'static str, key: &'a str) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async { self.change(|content| content.values.remove(&(bucket.to_owned(), key.to_owned())).is_some()) })
    }

    fn remove_work<'a>(&'a self, _: &'a Account, _: &'a Name) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async { self.change(|_| ()) })
    }

    fn report(&self, _: &Account, key: &str) -> Option<Bytes> {
        self.content().values.get(&(REPORT_BUCKET.to_owned(), key.to_owned())).cloned()
    }
}
