//! What this process has applied, so that an unchanged intent on an unchanged object costs no request.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tetrarch_plan::object::{Object, ObjectKey};
use tokio::time::Instant;

use crate::world::{World, children::Fingerprint};

/// How long an applied object of a kind that is not watched counts as unchanged.
const BLIND_TRUST: Duration = Duration::from_mins(1);

/// What was applied, by object and field manager.
#[derive(Default)]
pub struct Applied(Mutex<HashMap<(ObjectKey, &'static str), Record>>);

struct Record {
    intent: u64,
    result: Fingerprint,
    at: Instant,
}

fn digest(object: &Object) -> u64 {
    let mut hasher = DefaultHasher::new();
    object.manifest.to_string().hash(&mut hasher);
    hasher.finish()
}

impl Applied {
    /// The generation of the object if it still is as this process applied it, as far as can be seen.
    pub fn holds(&self, world: &World, object: &Object, manager: &'static str) -> Option<Option<i64>> {
        let records = self.lock();
        let record = records.get(&(object.key.clone(), manager))?;
        if record.intent != digest(object) {
            return None;
        }
        let holds = match world.child(&object.key) {
            Some(meta) => Fingerprint::of(&meta) == record.result,
            None => !is_watched(&object.key) && record.at.elapsed() < BLIND_TRUST,
        };
        holds.then(|| record.result.generation())
    }

    /// Notes an apply and what came of it.
    pub fn note(&self, object: &Object, manager: &'static str, result: Fingerprint) {
        let record = Record { intent: digest(object), result, at: Instant::now() };
        self.lock().insert((object.key.clone(), manager), record);
    }

    /// Forgets an object.
    pub fn forget(&self, key: &ObjectKey) {
        self.lock().retain(|(other, _), _| other != key);
    }

    /// Forgets objects that are no more.
    pub fn prune(&self, world: &World) {
        self.lock().retain(|(key, _), record| world.child(key).is_some() || record.at.elapsed() < BLIND_TRUST);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(ObjectKey, &'static str), Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_watched(key: &ObjectKey) -> bool {
    key.kind != tetrarch_plan::object::Kind::Secret
}
