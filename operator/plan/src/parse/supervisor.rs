//! A Supervisor's name and compute.

use tetrarch_core::id::Name;
use tetrarch_crds::Supervisor;

use crate::{
    parse::{at_least, object_name, quota},
    quantity,
    violation::{Violation, Violations},
};

/// The name of a Supervisor that is valid in itself, or everything that is wrong with it.
pub fn supervisor(object: &Supervisor) -> Result<Name, Vec<Violation>> {
    let mut violations = Violations::default();
    let name = object_name(object, &mut violations);
    at_least("spec.replicas", object.spec.replicas, 1, &mut violations);
    quota::quota("spec.quota", object.spec.quota.as_ref(), &mut violations);
    if let Some(resources) = &object.spec.resources {
        quantity::check_resources("spec.resources", resources, &mut violations);
    }
    violations.finish(name)
}
