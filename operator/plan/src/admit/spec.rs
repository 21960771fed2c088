//! Whether a spec is valid in itself: by the same parsers as the controllers use.

use tetrarch_core::policy::Kind;
use tetrarch_crds::Orchestrator;

use super::review::{Manifest, Written};
use crate::{
    parse,
    violation::{Violation, Violations},
};

/// Everything that is wrong with the spec, apart from its policies.
pub fn violations(kind: Kind, written: &Written) -> Vec<Violation> {
    let found = match written.manifest() {
        Ok(Manifest::Orchestrator(object)) => orchestrator(object),
        Ok(Manifest::Domain(object)) => parse::domain::domain(object).map(drop),
        Ok(Manifest::Supervisor(object)) => parse::supervisor::supervisor(object).map(drop),
        Ok(Manifest::AgentPool(object)) => parse::agent_pool::pool(object).map(drop),
        Ok(Manifest::Workflow(object)) => parse::workflow::definition(object).map(drop),
        Ok(Manifest::Pod(_)) => Ok(()),
        Err(message) => Err(vec![Violation {
            path: "spec".to_owned(),
            message: format!(
                "cannot be read as {kind} ({message}): see kubectl explain {}.spec",
                kind.as_str().to_lowercase()
            ),
        }]),
    };
    found.err().unwrap_or_default()
}

fn orchestrator(object: &Orchestrator) -> Result<(), Vec<Violation>> {
    let mut violations = Violations::default();
    parse::object_name(object, &mut violations);
    parse::quota::quota("spec.capacity", object.spec.capacity.as_ref(), &mut violations);
    parse::signature::check_keys("spec.signingKeys", &object.spec.signing_keys, &mut violations);
    let mut found = violations.into_found();
    found.extend(parse::orchestrator::priority_classes(&object.spec).err().unwrap_or_default());
    if found.is_empty() { Ok(()) } else { Err(found) }
}
