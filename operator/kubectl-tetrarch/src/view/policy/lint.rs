//! Mistakes in policies, as compilers show them.

use std::fmt::Write as _;

use serde::Serialize;

use crate::{
    manifest::Problem,
    view::style::{Style, Tone},
};

/// How bad a mistake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The webhook would refuse it, or it admits nothing.
    Error,
    /// It does nothing.
    Warning,
}

/// A mistake in a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// How bad it is.
    pub severity: Severity,
    /// Where, and what to write instead.
    #[serde(flatten)]
    pub problem: Problem,
}

/// Renders the mistakes, a line each.
pub fn render(mistakes: &[Mistake], style: Style) -> String {
    let mut text = String::new();
    for mistake in mistakes {
        let (word, tone) = match mistake.severity {
            Severity::Error => ("error", Tone::Bad),
            Severity::Warning => ("warning", Tone::Warning),
        };
        let Problem { place, field, message } = &mistake.problem;
        let _ = writeln!(text, "{place}: {}: {field}: {message}", style.paint(tone, word));
    }
    let count = |severity: Severity| mistakes.iter().filter(|mistake| mistake.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    if mistakes.is_empty() {
        text.push_str("no mistakes found in the policies\n");
    } else {
        let s = |number: usize| if number == 1 { "" } else { "s" };
        let _ = writeln!(text, "{errors} error{}, {warnings} warning{}", s(errors), s(warnings));
    }
    text
}
