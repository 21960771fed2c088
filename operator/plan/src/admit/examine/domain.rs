//! The Domains that a Domain exports to and imports from.

use tetrarch_core::policy::{Allowance, Effective};
use tetrarch_crds::Domain;

use super::check_name;
use crate::admit::finding::Finding;

/// Notes every other Domain that is not allowed.
pub(super) fn examine(object: &Domain, effective: &Effective, found: &mut Vec<Finding>) {
    let mut check = |name: &str, field: String| {
        check_name(Allowance::Domains, name, &field, format!("is {name:?}"), effective, found);
    };
    for (index, export) in object.spec.exports.iter().enumerate() {
        for (at, name) in export.to.iter().enumerate() {
            check(name, format!("spec.exports[{index}].to[{at}]"));
        }
    }
    for (index, import) in object.spec.imports.iter().enumerate() {
        check(&import.from, format!("spec.imports[{index}].from"));
    }
}
