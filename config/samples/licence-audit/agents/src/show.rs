//! The report as text for people.

use std::fmt::Write as _;

use serde::Deserialize;

use crate::{copyleft::CopyleftReport, report::Report};

/// Output of the Workflow: the report and, when its condition held, the copyleft branch.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Audit {
    /// Both branches.
    Both {
        /// The report.
        report: Box<Report>,
        /// The second branch.
        #[serde(default)]
        copyleft: Option<CopyleftReport>,
    },
    /// The report alone.
    Report(Box<Report>),
}

impl Audit {
    /// The report.
    pub fn report(&self) -> &Report {
        match self {
            Self::Both { report, .. } | Self::Report(report) => report,
        }
    }
}

/// Renders everything but the list of all packages.
pub fn render(audit: &Audit) -> String {
    let mut text = String::new();
    let report = audit.report();
    let sum = &report.summary;
    let _ = writeln!(text, "Licence audit: {} packages, {} licence files", sum.packages, sum.files);
    let _ = writeln!(
        text,
        "  texts and manifests: {} agree, {} differ, {} undetermined",
        sum.agree, sum.differ, sum.undetermined
    );
    let _ = writeln!(text, "\nFAMILY            PACKAGES  LICENCES CHOSEN");
    for (family, found) in &report.families {
        let mut licences: Vec<(&String, &u32)> = found.licences.iter().collect();
        licences.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
        let licences: Vec<String> = licences.iter().map(|(id, count)| format!("{} {count}", name(id))).collect();
        let _ = writeln!(text, "{:<18}{:>8}  {}", family.title(), found.packages, licences.join(", "));
    }
    let _ = writeln!(text, "\nOBLIGATION                                                  PACKAGES");
    for (obligation, count) in &report.obligations {
        let _ = writeln!(text, "{:<60}{count:>8}", obligation.title());
    }
    remarks(&mut text, "DISAGREEMENTS", &report.disagreements);
    remarks(&mut text, "UNDETERMINED", &report.undetermined);
    remarks(&mut text, "LOW CONFIDENCE", &report.low_confidence);
    if let Audit::Both { copyleft: Some(copyleft), .. } = audit {
        show_copyleft(&mut text, copyleft);
    }
    text
}

fn remarks(text: &mut String, title: &str, remarks: &[crate::report::Remark]) {
    if remarks.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{title}");
    for remark in remarks {
        let _ = writeln!(text, "  {:<34} {}", remark.package, remark.reason);
    }
}

fn show_copyleft(text: &mut String, copyleft: &CopyleftReport) {
    let found = copyleft.packages.len();
    let _ =
        writeln!(text, "\nCOPYLEFT in {found} of {} packages, {} unavoidable", copyleft.checked, copyleft.unavoidable);
    for package in &copyleft.packages {
        let licences: Vec<&str> = package.licences.iter().map(String::as_str).collect();
        let way_out = package
            .instead
            .as_ref()
            .map_or("cannot be avoided".to_owned(), |instead| format!("avoided by choosing {instead}"));
        let _ = writeln!(
            text,
            "  {:<34} {}: {way_out}",
            format!("{} {}", package.name, package.version),
            licences.join(", ")
        );
    }
}

fn name(id: &str) -> &str {
    if id.is_empty() { "none" } else { id }
}
