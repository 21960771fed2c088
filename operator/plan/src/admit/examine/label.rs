//! Labels that must be there.

use std::collections::BTreeMap;

use tetrarch_core::policy::{Effective, Requirement};

use crate::admit::finding::{Against, Code, Finding};

/// Notes every required label that is missing or empty.
pub(super) fn examine(labels: Option<&BTreeMap<String, String>>, effective: &Effective, found: &mut Vec<Finding>) {
    for (requirement, breach) in effective.requirements() {
        let Requirement::Label(key) = requirement else { continue };
        let value = labels.and_then(|labels| labels.get(key));
        if value.is_some_and(|value| !value.is_empty()) {
            continue;
        }
        let problem = if value.is_some() { "is empty" } else { "is missing" };
        found.push(Finding::of_policy(
            &format!("metadata.labels[{key}]"),
            "",
            problem.to_owned(),
            Against {
                code: Code::Requirement,
                action: breach.action,
                origin: breach.origin(),
                bound: "requires this label".to_owned(),
                remedy: format!("add the label {key:?} with a value"),
                change: "require it no longer",
            },
        ));
    }
}
