//! Checks a report: every package exactly once, and each file against the independent opinion, with every difference shown.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use crate::{
    classify::FileFinding,
    dataset::Dataset,
    detect::Basis,
    licensecheck::Opinion,
    report::{PackageLine, Report},
};

/// What the check says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Packages of the dataset that the report lacks.
    pub missing: Vec<String>,
    /// Packages that the report has more than once.
    pub duplicated: Vec<String>,
    /// Packages that only the report has.
    pub unexpected: Vec<String>,
    /// Files on which both say the same.
    pub equal: u32,
    /// Files in all.
    pub files: u32,
    /// Files on which they differ, by reason.
    pub differences: BTreeMap<Reason, Vec<Difference>>,
}

/// A file on which the two differ.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    /// `<package>-<version>/<file>`.
    pub file: String,
    /// What the report says.
    pub ours: BTreeSet<String>,
    /// What the tool says.
    pub theirs: BTreeSet<String>,
}

/// Why two opinions differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// A licence of the report is not in the list of licences that the tool can recognise; this says nothing about who is right.
    NotKnownToTool,
    /// The file only names licences; the two read its sentences differently.
    NamesOnly,
    /// The tool recognises nothing.
    ToolFoundNothing,
    /// The tool sees some of the licences in the report.
    ToolFoundLess,
    /// The tool sees licences beyond the report.
    ToolFoundMore,
    /// They contradict each other.
    Contradiction,
}

impl Reason {
    /// For people.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::NotKnownToTool => "the tool's own list lacks the licence that the report names, so it cannot agree",
            Self::NamesOnly => {
                "the file holds no licence text, it only names licences, and the two read the sentence differently"
            }
            Self::ToolFoundNothing => "the tool recognises nothing where the report finds the SPDX text",
            Self::ToolFoundLess => "the tool sees a part of the licences in the report",
            Self::ToolFoundMore => "the tool sees licences that the report lacks",
            Self::Contradiction => "the two contradict each other",
        }
    }
}

/// Compares a report with the dataset it was made from and with the independent opinion about the same files.
pub fn verify(report: &Report, dataset: &Dataset, opinion: &Opinion) -> Verification {
    let mut verification = Verification::default();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for package in &report.packages {
        *seen.entry(folder(package)).or_default() += 1;
    }
    let wanted: BTreeSet<String> = dataset.packages.iter().map(crate::dataset::Package::folder).collect();
    verification.missing = wanted.iter().filter(|package| !seen.contains_key(*package)).cloned().collect();
    verification.duplicated =
        seen.iter().filter(|(_, times)| **times > 1).map(|(package, _)| package.clone()).collect();
    verification.unexpected = seen.keys().filter(|package| !wanted.contains(*package)).cloned().collect();
    for package in &report.packages {
        for finding in &package.files {
            compare(&mut verification, &folder(package), finding, opinion);
        }
    }
    verification
}

fn folder(package: &PackageLine) -> String {
    format!("{}-{}", package.name, package.version)
}

fn compare(verification: &mut Verification, folder: &str, finding: &FileFinding, opinion: &Opinion) {
    let file = format!("{folder}/{}", finding.file);
    // The tool does not tell exceptions apart from their licences, so they are left out of the comparison.
    let ours: BTreeSet<String> = finding
        .licences
        .iter()
        .map(|found| found.licence.split(" WITH ").next().unwrap_or_default().to_owned())
        .collect();
    let theirs = opinion.files.get(&file).cloned().unwrap_or_default();
    verification.files += 1;
    if ours == theirs {
        verification.equal += 1;
        return;
    }
    let by_name = finding.licences.iter().all(|found| found.basis == Basis::Named);
    let reason = if ours.iter().any(|id| !opinion.known.contains(id)) {
        Reason::NotKnownToTool
    } else if by_name {
        Reason::NamesOnly
    } else if theirs.is_empty() {
        Reason::ToolFoundNothing
    } else if theirs.is_subset(&ours) {
        Reason::ToolFoundLess
    } else if ours.is_subset(&theirs) {
        Reason::ToolFoundMore
    } else {
        Reason::Contradiction
    };
    verification.differences.entry(reason).or_default().push(Difference { file, ours, theirs });
}

impl Verification {
    /// Whether the report has every package exactly once.
    pub fn complete(&self) -> bool {
        self.missing.is_empty() && self.duplicated.is_empty() && self.unexpected.is_empty()
    }

    /// Share of equal files among those whose licences the tool knows, in percent, rounded down.
    pub fn agreement(&self) -> u32 {
        let unknown = self.differences.get(&Reason::NotKnownToTool).map_or(0, Vec::len);
        let comparable = self.files.saturating_sub(u32::try_from(unknown).unwrap_or(u32::MAX));
        (self.equal * 100).checked_div(comparable).unwrap_or(0)
    }

    /// The whole result for people.
    pub fn render(&self, opinion: &Opinion) -> String {
        let mut text = String::new();
        let lists = [
            ("missing", &self.missing),
            ("more than once", &self.duplicated),
            ("not in the dataset", &self.unexpected),
        ];
        for (title, packages) in lists.into_iter().filter(|(_, packages)| !packages.is_empty()) {
            let _ = writeln!(text, "✖ {} packages {title}: {}", packages.len(), packages.join(", "));
        }
        let _ = writeln!(text, "Independent tool: {}", opinion.version);
        for (reason, differences) in &self.differences {
            let _ = writeln!(text, "\n{} files: {}", differences.len(), reason.explanation());
            for difference in differences {
                let _ = writeln!(
                    text,
                    "  {}  report: {}  tool: {}",
                    difference.file,
                    set(&difference.ours),
                    set(&difference.theirs)
                );
            }
        }
        let unknown = self.differences.get(&Reason::NotKnownToTool).map_or(0, Vec::len);
        let _ = writeln!(
            text,
            "\n{} of {} files equal ({} not comparable): {} % agreement",
            self.equal,
            self.files,
            unknown,
            self.agreement()
        );
        text
    }
}

fn set(ids: &BTreeSet<String>) -> String {
    if ids.is_empty() { "nothing".to_owned() } else { ids.iter().map(String::as_str).collect::<Vec<_>>().join(" + ") }
}

#[cfg(test)]
mod tests;
