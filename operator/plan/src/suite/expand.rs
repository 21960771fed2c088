//! From a test as it is written to the change that it makes: the old and the new object.

use serde_json::{Map, Value, json};

use super::{Case, Suite, Target, Who};
use crate::violation::{Violation, Violations};

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It is created.
    Create,
    /// It is changed.
    Update,
    /// It is deleted.
    Delete,
    /// Its number of agents is written through the scale subresource.
    Scale,
}

/// The change that a test makes.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What is done.
    pub operation: Operation,
    /// The object as it is before; missing when it is created.
    pub old: Option<Value>,
    /// The object as it is to become; missing when it is deleted.
    pub new: Option<Value>,
    /// Who does it.
    pub user: Who,
}

/// The change that a test makes, or everything that is wrong with how it is written. `hierarchy` are the objects that it may
/// refer to by kind and name.
pub fn expand(suite: &Suite, case: &Case, hierarchy: &[Value]) -> Result<Change, Vec<Violation>> {
    let mut violations = Violations::default();
    let user = case.user.clone().or_else(|| suite.user.clone()).unwrap_or_default();
    let targets = [
        (Operation::Create, "create", &case.create),
        (Operation::Update, "update", &case.update),
        (Operation::Delete, "delete", &case.delete),
        (Operation::Scale, "scale", &case.scale),
    ];
    let mut written =
        targets.iter().filter_map(|(operation, field, target)| Some((*operation, *field, target.as_ref()?)));
    let (Some((operation, field, target)), None) = (written.next(), written.next()) else {
        violations.add("", "does nothing or several things: write exactly one of create, update, delete and scale");
        return violations.finish(None);
    };
    match (operation, &case.with, case.replicas) {
        (Operation::Update, None, _) => violations.add("with", "is missing: write what changes, as a merge patch"),
        (Operation::Delete | Operation::Scale, Some(_), _) => {
            violations.add("with", format!("has no meaning beside {field}: leave it out"));
        }
        (Operation::Scale, _, None) => violations.add("replicas", "is missing: write the number of agents"),
        (Operation::Create | Operation::Update | Operation::Delete, _, Some(_)) => {
            violations.add("replicas", "only scale has it: write it under with, as spec.replicas");
        }
        _ => {}
    }
    let object = violations.check(field, resolve(suite, target, hierarchy));
    let change = object.map(|mut object| {
        let changed = |mut object: Value, change: &Value| {
            merge_patch(&mut object, change);
            object
        };
        let (old, new) = match operation {
            Operation::Create => {
                if let Some(with) = &case.with {
                    merge_patch(&mut object, with);
                }
                (None, Some(object))
            }
            Operation::Update => {
                let new = changed(object.clone(), case.with.as_ref().unwrap_or(&Value::Null));
                (Some(object), Some(new))
            }
            Operation::Scale => {
                let new = changed(object.clone(), &json!({"spec": {"replicas": case.replicas}}));
                (Some(object), Some(new))
            }
            Operation::Delete => (Some(object), None),
        };
        Change { operation, old, new, user }
    });
    violations.finish(change)
}

fn resolve(suite: &Suite, target: &Target, hierarchy: &[Value]) -> Result<Value, String> {
    let name = match target {
        Target::Manifest(manifest) if manifest.is_object() => return Ok(manifest.clone()),
        Target::Manifest(_) => {
            return Err("is no manifest: write one, a name of manifests, or Kind/name".to_owned());
        }
        Target::Name(name) => name,
    };
    if let Some(manifest) = suite.manifests.get(name) {
        return Ok(manifest.clone());
    }
    let parts: Vec<&str> = name.split('/').collect();
    let (kind, namespace, object) = match parts[..] {
        [kind, object] => (kind, None, object),
        [kind, namespace, object] => (kind, Some(namespace), object),
        _ => {
            let known = suite.manifests.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() { "there are none".to_owned() } else { format!("there are: {known}") };
            return Err(format!(
                "{name:?} is not among manifests ({known}): write one of them, or an object of the hierarchy as Kind/name"
            ));
        }
    };
    let mut found = hierarchy.iter().filter(|known| {
        known["kind"].as_str().is_some_and(|found| found.eq_ignore_ascii_case(kind))
            && known["metadata"]["name"] == object
            && namespace.is_none_or(|namespace| known["metadata"]["namespace"] == namespace)
    });
    match (found.next(), found.next()) {
        (Some(found), None) => Ok(found.clone()),
        (None, _) => Err(format!("{name:?} is not in the hierarchy: write an object of the folder, or a manifest")),
        _ => Err(format!("{name:?} is there more than once: write {kind}/<namespace>/{object}")),
    }
}

/// Applies a JSON merge patch (RFC 7386): objects are merged, null removes, everything else replaces.
pub fn merge_patch(target: &mut Value, change: &Value) {
    let Value::Object(change) = change else {
        *target = change.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(target) = target.as_object_mut() else { return };
    for (key, value) in change {
        if value.is_null() {
            target.remove(key);
        } else {
            merge_patch(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}
