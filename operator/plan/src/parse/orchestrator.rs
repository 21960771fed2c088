//! The limits of the priority classes, and where traces go.

use tetrarch_core::priority::{Class, ClassLimits};
use tetrarch_crds::{
    OrchestratorSpec,
    orchestrator::{PriorityClass, default_priority_classes},
    shared::Priority,
};

use tetrarch_protocol::snapshot::TelemetrySnapshot;

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

/// Where traces of runs go. What the schema refuses is taken as nothing: traces are never worth a stop.
pub fn telemetry(spec: &OrchestratorSpec) -> Option<TelemetrySnapshot> {
    let written = spec.telemetry.as_ref()?;
    collector_port(&written.otlp_endpoint)?;
    Some(TelemetrySnapshot {
        otlp_endpoint: written.otlp_endpoint.clone(),
        sampling_percent: u32::try_from(written.sampling_percent).unwrap_or_default().min(100),
    })
}

/// The port of an address `http://host:port/path`; 80 when none is written.
pub fn collector_port(endpoint: &str) -> Option<u16> {
    let authority = endpoint.strip_prefix("http://")?.split('/').next()?;
    match authority.split_once(':') {
        Some((_, port)) => port.parse().ok().filter(|port| *port > 0),
        None => Some(80),
    }
}

fn limits_of(written: &PriorityClass, path: &str, violations: &mut Violations) -> Option<ClassLimits> {
    let timeout = violations.check(&format!("{path}.timeout"), duration::parse_positive(&written.timeout.0));
    let max_concurrent = u32::try_from(written.max_concurrent).ok().filter(|max| *max > 0);
    if max_concurrent.is_none() {
        violations.add(format!("{path}.maxConcurrent"), format!("is {}: write at least 1", written.max_concurrent));
    }
    Some(ClassLimits { class: class(written.name), max_concurrent: max_concurrent?, timeout: timeout? })
}

#[cfg(test)]
mod tests {
    use super::collector_port;

    #[test]
    fn the_port_of_a_collector_is_that_of_its_address() {
        let port = |endpoint: &str| collector_port(endpoint);
        assert_eq!((port("http://otel.observability:4318"), port("http://otel:4318/x")), (Some(4318), Some(4318)));
        assert_eq!((port("http://otel"), port("https://otel:4318"), port("http://otel:99999")), (Some(80), None, None));
    }
}
