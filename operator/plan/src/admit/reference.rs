//! Exports and imports that have no counterpart yet: told, since the other side may come later.

use kube_core::ResourceExt;

use super::{
    finding::{Code, Finding},
    index::{Index, Space},
    review::Manifest,
};
use crate::hierarchy::namespace_of;

/// Warnings about what refers to something that is not there.
pub(super) fn examine(new: &Manifest, index: &Index) -> Vec<Finding> {
    let Manifest::Domain(object) = new else { return Vec::new() };
    let (name, spec) = (object.name_any(), &object.spec);
    let mut found = Vec::new();
    for (at, import) in spec.imports.iter().enumerate() {
        let (from, capability) = (import.from.as_str(), import.capability.as_str());
        let field = format!("spec.imports[{at}]");
        let exports = index.domain(from).map(|domain| domain.object().spec.exports.as_slice());
        let problem = match exports {
            None => format!("there is no Domain {from:?} yet"),
            Some(exports) if exports.iter().any(|e| e.capability == capability && e.to.contains(&name)) => continue,
            Some(_) => format!("Domain {from:?} does not export {capability:?} to Domain {name:?}"),
        };
        let remedy =
            format!("have {{capability: {capability}, to: [{name}]}} added to spec.exports of Domain {from:?}");
        found.push(Finding::warned(Code::Reference, field, problem, remedy));
    }
    let space = index.space(&namespace_of(object));
    for (at, export) in spec.exports.iter().enumerate() {
        let capability = export.capability.as_str();
        if !space.is_some_and(|space| has_capability(space, capability)) {
            let problem = format!("no AgentPool of this Domain has the capability {capability:?} yet");
            let remedy = "add it to spec.capabilities of a pool, or export another one";
            found.push(Finding::warned(Code::Reference, format!("spec.exports[{at}].capability"), problem, remedy));
        }
    }
    found
}

fn has_capability(space: &Space, name: &str) -> bool {
    space.pools().any(|pool| pool.object().spec.capabilities.iter().any(|capability| capability.name == name))
}
