//! The limits of the priority classes.

use tetrarch_core::priority::{Class, ClassLimits};
use tetrarch_crds::{
    OrchestratorSpec,
    orchestrator::{PriorityClass, default_priority_classes},
    shared::Priority,
};

use crate::{
    duration,
    violation::{Violation, Violations},
};

/// The class of a priority as users write it.
pub const fn class(priority: Priority) -> Class {
    match priority {
        Priority::Critical => Class::Critical,
        Priority::High => Class::High,
        Priority::Normal => Class::Normal,
        Priority::Low => Class::Low,
    }
}

/// The limits of all four classes, the most urgent first; a class that is left out keeps its defaults.
pub fn priority_classes(spec: &OrchestratorSpec) -> Result<Vec<ClassLimits>, Vec<Violation>> {
    let mut violations = Violations::default();
    for (index, written) in spec.priority_classes.iter().enumerate() {
        if spec.priority_classes[..index].iter().any(|other| other.name == written.name) {
            let path = format!("spec.priorityClasses[{index}].name");
            violations.add(path, format!("{} is listed twice: write each class once", class(written.name)));
        }
    }
    let limits = default_priority_classes()
        .iter()
        .filter_map(|default| {
            let at = spec.priority_classes.iter().position(|written| written.name == default.name);
            match at {
                Some(index) => {
                    limits_of(&spec.priority_classes[index], &format!("spec.priorityClasses[{index}]"), &mut violations)
                }
                None => limits_of(default, "spec.priorityClasses", &mut violations),
            }
        })
        .collect();
    violations.finish(Some(limits))
}

fn limits_of(written: &PriorityClass, path: &str, violations: &mut Violations) -> Option<ClassLimits> {
    let timeout = violations.check(&format!("{path}.timeout"), duration::parse_positive(&written.timeout.0));
    let max_concurrent = u32::try_from(written.max_concurrent).ok().filter(|max| *max > 0);
    if max_concurrent.is_none() {
        violations.add(format!("{path}.maxConcurrent"), format!("is {}: write at least 1", written.max_concurrent));
    }
    Some(ClassLimits { class: class(written.name), max_concurrent: max_concurrent?, timeout: timeout? })
}
