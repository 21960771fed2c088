//! Whether what a Domain imports is exported to it.

use std::sync::Arc;

use kube_core::ResourceExt;
use tetrarch_crds::{Domain, domain::Import};

use crate::{
    conditions::{Extra, IMPORTS_MATCHED},
    object::is_deleting,
    reason::{Finding, Reason},
};

/// The condition; none for a Domain that imports nothing. `siblings` are the Domains of the same Orchestrator: capabilities
/// are only shared below one root.
pub(super) fn matched(object: &Domain, siblings: &[Arc<Domain>]) -> Option<Extra> {
    let imports = &object.spec.imports;
    if imports.is_empty() {
        return None;
    }
    let missing: Vec<String> = imports
        .iter()
        .enumerate()
        .filter_map(|(index, import)| {
            let why = missing(import, &object.name_any(), siblings)?;
            Some(format!("spec.imports[{index}]: {why}"))
        })
        .collect();
    let finding = if missing.is_empty() {
        let noun = if imports.len() == 1 { "import is" } else { "imports are" };
        Finding::new(Reason::ImportsMatched, format!("{} {noun} exported to this Domain", imports.len()))
    } else {
        Finding::new(Reason::ImportsUnmatched, missing.join("; "))
    };
    Some(Extra::Known(IMPORTS_MATCHED, missing.is_empty(), finding))
}

fn missing(import: &Import, own: &str, siblings: &[Arc<Domain>]) -> Option<String> {
    let Import { capability, from } = import;
    if from == own {
        return Some(format!(
            "imports {capability:?} from this Domain itself: leave it out, pools of a Domain see each other"
        ));
    }
    let known = siblings.iter().find(|domain| domain.name_any() == *from && !is_deleting(domain.as_ref()));
    let Some(domain) = known else {
        return Some(format!(
            "there is no Domain {from:?} below the same Orchestrator: create it, or import {capability:?} from another one"
        ));
    };
    let Some(export) = domain.spec.exports.iter().find(|export| export.capability == *capability) else {
        return Some(format!(
            "Domain {from:?} does not export {capability:?}: its admins can add it to spec.exports with to: [{own}]"
        ));
    };
    (!export.to.iter().any(|to| to == own)).then(|| {
        format!("Domain {from:?} exports {capability:?}, but not to this Domain: its admins can add {own:?} to the export's to")
    })
}
