//! From what users write to the domain types: all violations at once, each with its field and the remedy.

pub mod agent_pool;
pub mod demand;
pub mod domain;
pub mod orchestrator;
pub mod overlay;
pub mod policy;
pub mod quota;
pub mod signature;
pub mod supervisor;
pub mod workflow;

use tetrarch_core::id::Name;

use crate::violation::Violations;

/// A name that is part of bus subjects. Names of Kubernetes objects may hold dots and be longer, ours may not.
pub(crate) fn name(path: &str, text: &str, violations: &mut Violations) -> Option<Name> {
    violations.check(path, text.parse())
}

/// The name of the object itself.
pub(crate) fn object_name<K: kube_core::Resource>(object: &K, violations: &mut Violations) -> Option<Name> {
    name("metadata.name", object.meta().name.as_deref().unwrap_or_default(), violations)
}

/// A number that must be at least `least`.
pub(crate) fn at_least(path: &str, number: i32, least: i32, violations: &mut Violations) -> Option<u32> {
    if number < least {
        violations.add(path, format!("is {number}: write at least {least}"));
        return None;
    }
    u32::try_from(number).ok()
}
