//! The classifier: what the texts of one package are, and whether that is what its manifest declares.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    dataset::Package,
    detect::{Basis, Detection, Detector},
    expression::{self, lightest},
    family::{Family, family_of},
};

/// Below this a person should look.
pub const LOW_CONFIDENCE: u32 = 90;

/// What was found in one package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Classification {
    /// Name of the package.
    pub name: String,
    /// Version of the package.
    pub version: String,
    /// The licence expression of its manifest, as written.
    #[serde(default)]
    pub declared: Option<String>,
    /// What each licence file is.
    pub files: Vec<FileFinding>,
    /// Ids of all licence texts.
    pub detected: BTreeSet<String>,
    /// The lowest confidence of a licence text, 0 to 100; 0 when there is none.
    pub confidence: u32,
    /// Detected against declared.
    pub comparison: Comparison,
    /// The family that applies when the lightest alternative is chosen.
    pub family: Family,
    /// Whether any text or alternative is copyleft.
    pub copyleft: bool,
}

/// What one file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileFinding {
    /// Path inside the package.
    pub file: String,
    /// The licences, the most certain first.
    pub licences: Vec<Detection>,
}

/// Detected against declared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// The verdict.
    pub result: Verdict,
    /// Why, in a sentence.
    pub reason: String,
}

/// Whether texts and manifest agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// The texts fulfil the expression, and none is outside it.
    Agrees,
    /// A text is not in the expression.
    Differs,
    /// The texts do not suffice to say.
    Undetermined,
}

/// Classifies one package.
pub fn classify(detector: &Detector, package: &Package) -> Classification {
    let files: Vec<FileFinding> = package
        .files
        .iter()
        .map(|file| FileFinding { file: file.name.clone(), licences: detector.detect(&file.text) })
        .collect();
    let texts = || files.iter().flat_map(|file| &file.licences).filter(|found| found.basis == Basis::Text);
    let detected: BTreeSet<String> = texts().map(|found| found.licence.clone()).collect();
    let confidence = texts().map(|found| found.confidence).min().unwrap_or(0);
    let declared = package.declared.as_deref().and_then(|declared| expression::parse(declared).ok());
    let mentioned: BTreeSet<String> = declared.as_ref().map(expression::required).unwrap_or_default();
    let family = match &declared {
        Some(expression) => lightest(expression).map_or(Family::Other, |choice| choice.family),
        None => detected.iter().map(|id| family_of(id)).max().unwrap_or(Family::Other),
    };
    let copyleft = detected.union(&mentioned).any(|id| is_copyleft(id));
    let comparison = compare(detector, package, &files, &detected);
    Classification {
        name: package.name.clone(),
        version: package.version.clone(),
        declared: package.declared.clone(),
        files,
        detected,
        confidence,
        comparison,
        family,
        copyleft,
    }
}

/// Whether an id is weak or strong copyleft.
pub fn is_copyleft(id: &str) -> bool {
    matches!(family_of(id), Family::WeakCopyleft | Family::StrongCopyleft)
}

fn compare(detector: &Detector, package: &Package, files: &[FileFinding], detected: &BTreeSet<String>) -> Comparison {
    let undetermined = |reason: String| Comparison { result: Verdict::Undetermined, reason };
    let Some(text) = package.declared.as_deref() else {
        return undetermined("the manifest declares no licence".to_owned());
    };
    let expression = match expression::parse(text) {
        Ok(expression) => expression,
        Err(reason) => return undetermined(format!("the declared licence {text:?} is no SPDX expression: {reason}")),
    };
    if files.is_empty() {
        return undetermined("the package ships no licence file".to_owned());
    }
    let found = |id: &str| detected.iter().any(|detected| same_licence(detector, detected, id));
    let required = expression::required(&expression);
    let extra: Vec<&str> = detected
        .iter()
        .filter(|id| !required.iter().any(|term| same_licence(detector, id, term)))
        .map(String::as_str)
        .collect();
    let missing: Vec<&str> = required.iter().filter(|id| !found(id)).map(String::as_str).collect();
    if !extra.is_empty() {
        return Comparison {
            result: Verdict::Differs,
            reason: format!("{} is not in the declared {text:?}", extra.join(" and ")),
        };
    }
    if expression::holds(&expression, found) {
        let reason = if missing.is_empty() {
            "every declared licence is there as text".to_owned()
        } else {
            format!("the texts fulfil it; {} is only an alternative", missing.join(" and "))
        };
        return Comparison { result: Verdict::Agrees, reason };
    }
    let named: BTreeSet<&str> = files
        .iter()
        .flat_map(|file| &file.licences)
        .filter(|found| found.basis == Basis::Named)
        .map(|found| found.licence.as_str())
        .collect();
    if detected.is_empty() && named.is_empty() {
        return undetermined("no SPDX text is like any of its licence files".to_owned());
    }
    if detected.is_empty() {
        return undetermined(format!("its files name {} without the text", Vec::from_iter(named).join(" and ")));
    }
    undetermined(format!("the text of {} is missing", missing.join(" and ")))
}

/// Whether two ids mean the same text, such as GPL-2.0-only and GPL-2.0-or-later.
fn same_licence(detector: &Detector, detected: &str, declared: &str) -> bool {
    let plain = |id: &str| id.split(" WITH ").next().unwrap_or(id).to_owned();
    detected == declared
        || detected.contains(" WITH ") == declared.contains(" WITH ")
            && detected.split_once(" WITH ").map(|(_, exception)| exception)
                == declared.split_once(" WITH ").map(|(_, exception)| exception)
            && detector.same_text(&plain(detected)).contains(&plain(declared).as_str())
}

#[cfg(test)]
mod tests;
