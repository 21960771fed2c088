//! What is written on an object about its approval: which generation is held and by what, and who has approved which.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use tetrarch_core::policy::{Layer, Level, Origin};
use tetrarch_crds::shared::Approved;

use super::finding::Finding;
use crate::names;

/// Most policies that a mark names, and most findings that it tells.
const MARKED: usize = 16;

/// The mark on an object that is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// Generation that is held.
    pub generation: i64,
    /// The policies that hold it; their approvers are asked.
    pub policies: Vec<HeldBy>,
    /// Why, one sentence each.
    pub findings: Vec<String>,
}

/// A policy that holds an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldBy {
    /// Level of the object that carries the policy.
    pub level: Level,
    /// Name of that object.
    pub name: String,
    /// Name of the policy.
    pub policy: String,
}

impl HeldBy {
    /// What stands for the policies when a mark names none.
    pub(super) fn default_of(domain: Option<String>) -> Self {
        Self { level: Level::Domain, name: domain.unwrap_or_default(), policy: String::new() }
    }

    /// Whether the policy is one of this layer.
    pub(super) fn is_of(&self, layer: &Layer) -> bool {
        layer.owner.level == self.level && layer.owner.name == self.name
    }

    fn of(origin: &Origin) -> Self {
        Self { level: origin.level(), name: origin.owner().name.clone(), policy: origin.policy().to_owned() }
    }
}

/// Such as `policy "sign-off" of Domain "compliance"`.
impl fmt::Display for HeldBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.policy.is_empty() {
            write!(f, "policy {:?} of ", self.policy)?;
        }
        write!(f, "{} {:?}", self.level, self.name)
    }
}

impl Held {
    /// The mark for a generation that these findings hold.
    pub fn new(generation: i64, findings: &[Finding]) -> Self {
        let mut policies: Vec<HeldBy> = findings.iter().filter_map(|f| f.origin.as_ref()).map(HeldBy::of).collect();
        policies.sort();
        policies.dedup();
        policies.truncate(MARKED);
        let findings = findings.iter().take(MARKED).map(Finding::to_string).collect();
        Self { generation, policies, findings }
    }
}

/// Whether an object may run, as far as approvals go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing holds its generation.
    Free,
    /// Its generation was held, and somebody has approved it.
    Approved(Approved),
    /// Its generation is held. What an earlier generation runs may go on.
    Held(Held),
}

/// Where an object stands. A mark that cannot be read holds: nobody but the webhook can have written it.
pub fn standing(metadata: &ObjectMeta) -> Standing {
    let generation = metadata.generation.unwrap_or_default();
    let annotations = metadata.annotations.as_ref();
    match held(annotations) {
        Some(held) if held.generation == generation => match approval(annotations) {
            Some(approval) if approval.generation == generation => Standing::Approved(approval),
            _ => Standing::Held(held),
        },
        _ => Standing::Free,
    }
}

/// The mark on an object, whatever its generation.
pub fn held(annotations: Option<&BTreeMap<String, String>>) -> Option<Held> {
    serde_json::from_str(annotations?.get(names::ANNOTATION_HELD)?).ok()
}

/// The latest approval of an object, whatever its generation.
pub fn approval(annotations: Option<&BTreeMap<String, String>>) -> Option<Approved> {
    serde_json::from_str(annotations?.get(names::ANNOTATION_APPROVAL)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(generation: i64, annotations: &[(&str, &str)]) -> ObjectMeta {
        ObjectMeta {
            generation: Some(generation),
            annotations: Some(annotations.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()),
            ..ObjectMeta::default()
        }
    }

    const HELD: (&str, &str) = (names::ANNOTATION_HELD, r#"{"generation":3,"policies":[],"findings":["why"]}"#);
    const APPROVED: (&str, &str) =
        (names::ANNOTATION_APPROVAL, r#"{"generation":3,"by":"ada","at":"…","reason":null}"#);

    #[test]
    fn a_mark_holds_its_own_generation_until_that_one_is_approved() {
        assert!(matches!(standing(&metadata(3, &[HELD])), Standing::Held(held) if held.findings == ["why"]));
        assert!(matches!(standing(&metadata(3, &[HELD, APPROVED])), Standing::Approved(by) if by.by == "ada"));
        assert_eq!(standing(&metadata(4, &[HELD])), Standing::Free);
        assert_eq!(standing(&metadata(3, &[APPROVED])), Standing::Free);
    }

    #[test]
    fn an_approval_of_an_earlier_generation_approves_no_later_one() {
        let held = (names::ANNOTATION_HELD, r#"{"generation":4,"policies":[],"findings":[]}"#);
        assert!(matches!(standing(&metadata(4, &[held, APPROVED])), Standing::Held(_)));
    }
}
