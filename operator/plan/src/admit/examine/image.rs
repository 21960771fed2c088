//! Images: whether they are allowed, given by digest, signed.

use std::collections::BTreeMap;

use tetrarch_core::policy::{Allowance, Effective, Requirement};
use tetrarch_crds::agent_pool::ImageSignature;

use super::check_name;
use crate::{
    admit::finding::{Against, Code, Finding},
    image::{digest, normalised},
    parse::signature::{self, PublicKey},
};

/// Notes what is wrong with one image. Without keys nothing is known about signatures and they are not asked for.
pub fn examine(
    field: &str,
    image: &str,
    signatures: &[ImageSignature],
    keys: Option<&BTreeMap<String, PublicKey>>,
    effective: &Effective,
    found: &mut Vec<Finding>,
) {
    let name = normalised(image);
    let problem = if name == image { format!("is {image:?}") } else { format!("is {image:?}, which means {name:?}") };
    check_name(Allowance::Images, &name, field, problem, effective, found);
    for (requirement, breach) in effective.requirements() {
        let (problem, bound, remedy) = match requirement {
            Requirement::ImageDigest if digest(image).is_none() => {
                ("is given without its digest".to_owned(), "requires one".to_owned(), format!("write {image}@sha256:…"))
            }
            Requirement::SignedBy(name) => match verdict(image, name, signatures, keys) {
                None => continue,
                Some((problem, remedy)) => (problem, format!("requires one by {name:?}"), remedy),
            },
            _ => continue,
        };
        let against = Against {
            code: Code::Requirement,
            action: breach.action,
            origin: breach.origin(),
            bound,
            remedy,
            change: "require it no longer",
        };
        found.push(Finding::of_policy(field, image, problem, against));
    }
}

/// What is wrong with the signature of an image by a key, and what to do.
fn verdict(
    image: &str,
    name: &str,
    signatures: &[ImageSignature],
    keys: Option<&BTreeMap<String, PublicKey>>,
) -> Option<(String, String)> {
    let Some(digest) = digest(image) else {
        let problem = "is given without its digest, so that no signature can be for it";
        return Some((problem.to_owned(), format!("write {image}@sha256:… and sign that")));
    };
    let Some(key) = keys?.get(name) else {
        let problem =
            format!("has no signature by {name:?} that can be checked, because the Orchestrator has no such key");
        return Some((problem, "have the key added to spec.signingKeys of the Orchestrator".to_owned()));
    };
    let error = signature::verify(digest, name, key, signatures).err()?;
    let remedy =
        "write what `cosign sign --output-payload --output-signature` of this digest gives to spec.agent.signatures";
    Some((error.to_string(), remedy.to_owned()))
}
