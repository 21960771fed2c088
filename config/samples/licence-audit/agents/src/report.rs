//! The reporter: all classifications reduced to families, obligations, disagreements and doubts.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    classify::{Classification, FileFinding, LOW_CONFIDENCE, Verdict},
    expression::{self, Choice},
    family::{Family, Obligation, obligations_of},
};

/// The report over all packages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Counts over all packages.
    pub summary: Summary,
    /// Packages by family, when the lightest alternative of each is chosen.
    pub families: BTreeMap<Family, FamilyReport>,
    /// How many packages oblige to what, when the lightest alternative of each is chosen.
    pub obligations: BTreeMap<Obligation, u32>,
    /// How many packages hold the text of each licence.
    pub licences: BTreeMap<String, u32>,
    /// Packages whose texts are not what they declare.
    pub disagreements: Vec<Remark>,
    /// Packages about which the texts do not say enough.
    pub undetermined: Vec<Remark>,
    /// Packages whose texts were recognised with little confidence.
    pub low_confidence: Vec<Remark>,
    /// Every package, once, sorted by name and version.
    pub packages: Vec<PackageLine>,
}

/// Counts over all packages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Packages in all.
    pub packages: u32,
    /// Licence files in all.
    pub files: u32,
    /// Packages whose texts are what they declare.
    pub agree: u32,
    /// Packages whose texts are not what they declare.
    pub differ: u32,
    /// Packages about which the texts do not say enough.
    pub undetermined: u32,
    /// Packages whose texts were recognised with little confidence.
    pub low_confidence: u32,
}

/// The packages of a family.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FamilyReport {
    /// How many.
    pub packages: u32,
    /// The chosen licences with the number of their packages.
    pub licences: BTreeMap<String, u32>,
}

/// A package that a person should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Remark {
    /// `<name> <version>`.
    pub package: String,
    /// Why.
    pub reason: String,
}

/// What was found in one package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageLine {
    /// Name of the package.
    pub name: String,
    /// Version of the package.
    pub version: String,
    /// What it declares.
    pub declared: Option<String>,
    /// Ids of all licence texts.
    pub detected: BTreeSet<String>,
    /// The licences whose conditions apply when the lightest alternative is chosen.
    pub chosen: BTreeSet<String>,
    /// The lowest confidence, 0 to 100.
    pub confidence: u32,
    /// Detected against declared.
    pub verdict: Verdict,
    /// What each licence file is.
    pub files: Vec<FileFinding>,
}

/// Reduces classifications, in whatever order they come, to the report.
pub fn report(classifications: &[Classification]) -> Report {
    let mut sorted: Vec<&Classification> = classifications.iter().collect();
    sorted.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    let mut report = Report::default();
    for found in sorted {
        add(&mut report, found);
    }
    report
}

fn add(report: &mut Report, found: &Classification) {
    let chosen = chosen(found);
    report.summary.packages += 1;
    report.summary.files += u32::try_from(found.files.len()).unwrap_or(u32::MAX);
    let family = report.families.entry(found.family).or_default();
    family.packages += 1;
    *family.licences.entry(chosen.licences.iter().cloned().collect::<Vec<_>>().join(" AND ")).or_default() += 1;
    for obligation in &chosen.obligations {
        *report.obligations.entry(*obligation).or_default() += 1;
    }
    for licence in &found.detected {
        *report.licences.entry(licence.clone()).or_default() += 1;
    }
    let remark = |reason: String| Remark { package: format!("{} {}", found.name, found.version), reason };
    match found.comparison.result {
        Verdict::Agrees => report.summary.agree += 1,
        Verdict::Differs => {
            report.summary.differ += 1;
            report.disagreements.push(remark(found.comparison.reason.clone()));
        }
        Verdict::Undetermined => {
            report.summary.undetermined += 1;
            report.undetermined.push(remark(found.comparison.reason.clone()));
        }
    }
    if !found.detected.is_empty() && found.confidence < LOW_CONFIDENCE {
        report.summary.low_confidence += 1;
        report.low_confidence.push(remark(format!("{} with confidence {}", joined(&found.detected), found.confidence)));
    }
    report.packages.push(PackageLine {
        name: found.name.clone(),
        version: found.version.clone(),
        declared: found.declared.clone(),
        detected: found.detected.clone(),
        chosen: chosen.licences,
        confidence: found.confidence,
        verdict: found.comparison.result,
        files: found.files.clone(),
    });
}

/// The lightest alternative of what is declared; without a readable declaration everything detected applies together.
fn chosen(found: &Classification) -> Choice {
    let declared = found.declared.as_deref().and_then(|declared| expression::parse(declared).ok());
    declared.as_ref().and_then(expression::lightest).unwrap_or_else(|| Choice {
        licences: found.detected.clone(),
        family: found.family,
        obligations: found.detected.iter().flat_map(|id| obligations_of(id)).collect(),
    })
}

fn joined(ids: &BTreeSet<String>) -> String {
    ids.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
