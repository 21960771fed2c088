//! The second branch of the audit: where copyleft is, and whether an alternative avoids it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    classify::{Classification, is_copyleft},
    expression,
    family::{Family, family_of},
};

/// All copyleft in the tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyleftReport {
    /// Packages that were looked at.
    pub checked: u32,
    /// Packages with copyleft in a text or an alternative, sorted by name and version.
    pub packages: Vec<CopyleftPackage>,
    /// How many of them cannot be used without it.
    pub unavoidable: u32,
}

/// One package with copyleft.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyleftPackage {
    /// Name of the package.
    pub name: String,
    /// Version of the package.
    pub version: String,
    /// The copyleft licences.
    pub licences: BTreeSet<String>,
    /// The strictest family among them.
    pub family: Family,
    /// Whether it is in a text, in the manifest, or in both.
    pub seen_in: Vec<Place>,
    /// The licences to choose instead; none when the copyleft cannot be avoided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead: Option<String>,
}

/// Where copyleft was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Place {
    /// In a licence text.
    Text,
    /// In the declared expression.
    Declaration,
}

/// Looks for copyleft in all classifications.
pub fn find_copyleft(classifications: &[Classification]) -> CopyleftReport {
    let mut packages: Vec<CopyleftPackage> = classifications.iter().filter_map(examine).collect();
    packages.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    let unavoidable = packages.iter().filter(|package| package.instead.is_none()).count();
    CopyleftReport {
        checked: u32::try_from(classifications.len()).unwrap_or(u32::MAX),
        unavoidable: u32::try_from(unavoidable).unwrap_or(u32::MAX),
        packages,
    }
}

fn examine(found: &Classification) -> Option<CopyleftPackage> {
    let declared = found.declared.as_deref().and_then(|declared| expression::parse(declared).ok());
    let mentioned = declared.as_ref().map(expression::required).unwrap_or_default();
    let in_text = found.detected.iter().any(|id| is_copyleft(id));
    let in_declaration = mentioned.iter().any(|id| is_copyleft(id));
    let licences: BTreeSet<String> = found.detected.union(&mentioned).filter(|id| is_copyleft(id)).cloned().collect();
    let family = licences.iter().map(|id| family_of(id)).max()?;
    let instead = declared
        .as_ref()
        .and_then(expression::lightest)
        .filter(|choice| choice.family < Family::WeakCopyleft)
        .filter(|_| found.detected.iter().all(|id| !is_copyleft(id) || mentioned.contains(id)))
        .map(|choice| choice.licences.into_iter().collect::<Vec<_>>().join(" AND "));
    let seen_in = [(in_text, Place::Text), (in_declaration, Place::Declaration)];
    Some(CopyleftPackage {
        name: found.name.clone(),
        version: found.version.clone(),
        licences,
        family,
        seen_in: seen_in.into_iter().filter_map(|(seen, place)| seen.then_some(place)).collect(),
        instead,
    })
}
