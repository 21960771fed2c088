//! What an import has to tell: what is not carried over, what takes another form, and what to do about it.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::source::Path;

/// Longest value that is told in the line of its finding, in characters.
const IN_LINE: usize = 80;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Severity {
    /// It is not in the Workflow.
    LeftOut,
    /// It is there in another form, or has no meaning any more.
    Changed,
}

/// Something of the source document that is not in the Workflow as it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// Where in the source.
    pub path: Path,
    /// What it is.
    pub what: String,
    /// What to do instead, or what to know.
    pub instead: String,
    /// The value that it had there.
    pub was: Option<Value>,
}

impl Finding {
    /// The finding in one line, and its value in the lines below it when it is long.
    pub fn lines(&self) -> Vec<String> {
        let path = self.path.to_string();
        let place = if path.is_empty() { "the document" } else { &path };
        let mut head = format!("{place}: {}: {}", self.what, self.instead);
        let Some(was) = &self.was else { return vec![head] };
        let short = was.to_string();
        if short.chars().count() <= IN_LINE {
            let _ = write!(head, " (it was {short})");
            return vec![head];
        }
        let long = serde_yaml::to_string(was).unwrap_or(short);
        let mut lines = vec![format!("{head}; it was:")];
        lines.extend(long.lines().map(|line| format!("  {line}")));
        lines
    }
}

/// The findings as comments for the top of a manifest.
pub fn comments(origin: &str, findings: &[Finding]) -> String {
    let mut text = format!("# Converted from {origin} by kubectl tetrarch import.\n");
    for (severity, title) in
        [(Severity::LeftOut, "Left out:"), (Severity::Changed, "In another form, or without a meaning here:")]
    {
        let mut found = findings.iter().filter(|finding| finding.severity == severity).peekable();
        if found.peek().is_some() {
            let _ = writeln!(text, "#\n# {title}");
        }
        for finding in found {
            for (at, line) in finding.lines().iter().enumerate() {
                let _ = writeln!(text, "# {} {line}", if at == 0 { "-" } else { " " });
            }
        }
    }
    text
}

/// How many findings there are, for the last line of the report.
pub fn summary(findings: &[Finding]) -> String {
    let left = findings.iter().filter(|finding| finding.severity == Severity::LeftOut).count();
    format!("{left} left out, {} in another form", findings.len() - left)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn short_values_stand_in_the_line_and_long_ones_below_it() {
        let finding = |was: Value| Finding {
            severity: Severity::LeftOut,
            path: Path::default(),
            what: "is odd".to_owned(),
            instead: "write it otherwise".to_owned(),
            was: Some(was),
        };
        assert_eq!(finding(json!(3)).lines(), ["the document: is odd: write it otherwise (it was 3)"]);
        let long = finding(json!({"source": "import sys\n".repeat(10)})).lines();
        assert!(long[0].ends_with("it was:") && long.len() > 10, "{long:?}");
        let text = comments("x", &[finding(json!({"a": "b\n".repeat(60)}))]);
        assert!(text.lines().all(|line| line.starts_with('#')), "{text}");
    }
}
