//! The results of policy tests: a line for each test, and the difference for those that failed.

use std::{fmt::Write as _, path::PathBuf};

use serde::Serialize;
use tetrarch_plan::suite::{Expect, Mismatch};

use crate::{
    manifest::Place,
    view::style::{Style, Tone},
};

/// The results of all folders.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Results {
    /// Tests that passed.
    pub passed: usize,
    /// Tests that failed.
    pub failed: usize,
    /// The results of each folder, in the order of the command line.
    pub folders: Vec<Folder>,
}

/// The results of one folder, which is one hierarchy.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Folder {
    /// The folder, or file, as the user named it.
    pub path: PathBuf,
    /// Its tests, in the order of their files.
    pub tests: Vec<Tested>,
}

/// The result of one test.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tested {
    /// What it is about.
    pub name: String,
    /// Where it stands.
    #[serde(flatten)]
    pub place: Place,
    /// Whether it passed.
    pub passed: bool,
    /// What must come of it.
    pub expected: Expect,
    /// What came of it.
    pub verdict: Expect,
    /// What was told.
    pub messages: Vec<String>,
    /// In which respects it failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mismatches: Vec<Mismatch>,
}

impl Results {
    /// Counts what the folders hold.
    pub fn of(folders: Vec<Folder>) -> Self {
        let tests = || folders.iter().flat_map(|folder| &folder.tests);
        let passed = tests().filter(|test| test.passed).count();
        Self { passed, failed: tests().count() - passed, folders }
    }
}

/// Renders the results.
pub fn render(results: &Results, style: Style) -> String {
    let mut text = String::new();
    for folder in &results.folders {
        let _ = writeln!(text, "{}", style.paint(Tone::Strong, &folder.path.display().to_string()));
        let widest = folder.tests.iter().map(|test| test.name.chars().count()).max().unwrap_or(0);
        for test in &folder.tests {
            let (icon, tone) = if test.passed { ('✔', Tone::Good) } else { ('✖', Tone::Bad) };
            let pad = " ".repeat(widest - test.name.chars().count());
            let mark = style.paint(tone, &icon.to_string());
            let verdict = style.paint(if test.passed { Tone::Faint } else { Tone::Bad }, &test.verdict.to_string());
            let _ = writeln!(text, "  {mark} {}{pad}  {verdict}", test.name);
            if !test.passed {
                let _ = writeln!(text, "      {}", style.paint(Tone::Faint, &test.place.to_string()));
            }
            for mismatch in &test.mismatches {
                difference(&mut text, mismatch, style);
            }
        }
    }
    let (passed, failed) = (results.passed, results.failed);
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let sum = format!(
        "{}, {}: {passed} passed, {failed} failed",
        count(results.folders.len(), "folder"),
        count(passed + failed, "test")
    );
    let _ = writeln!(text, "\n{}", style.paint(if failed == 0 { Tone::Good } else { Tone::Bad }, &sum));
    text
}

fn difference(text: &mut String, mismatch: &Mismatch, style: Style) {
    for (sign, tone, side) in [('-', Tone::Bad, &mismatch.expected), ('+', Tone::Good, &mismatch.found)] {
        for line in side.lines() {
            let _ = writeln!(text, "      {}", style.paint(tone, &format!("{sign} {line}")));
        }
    }
}
