//! What a task of an Argo DAG waits for.

use std::collections::BTreeSet;

use super::super::{Severity, source::Node};

/// What a task waits for.
#[derive(Clone, Debug, Default)]
pub struct Waits {
    /// Names of tasks.
    pub names: BTreeSet<String>,
    /// Whether it is for what happens after a failure, which no step is.
    pub is_for_failures: bool,
}

/// The tasks that one waits for. A condition on how they ended is told when `after` says something else.
pub fn of(task: &Node<'_>) -> Waits {
    let names: BTreeSet<String> =
        task.list("dependencies").iter().filter_map(Node::as_text).map(str::to_owned).collect();
    let mut waits = Waits { names, is_for_failures: false };
    let Some(depends) = task.get("depends") else { return waits };
    let Some(text) = depends.as_text() else { return waits };
    let (found, is_plain) = parse(text);
    waits.names.extend(found);
    waits.is_for_failures = FAILURES.iter().any(|end| text.contains(end));
    if waits.is_for_failures {
        depends.leave(
            "waits for a failure of other tasks",
            "the step is skipped: a failed step ends the run; let the agent answer with what went wrong instead of failing, and write it in when",
        );
    } else if !is_plain {
        depends.leave(
            "waits for one of several tasks",
            "the step waits until all of them have ended well or were skipped",
        );
    }
    waits
}

/// Ends of other tasks that are failures, or the contrary of an end.
const FAILURES: [&str; 5] = [".Failed", ".Errored", ".Omitted", ".AllFailed", "!"];

/// Names in a condition, and whether it says no more than that all of them must have ended well or been skipped.
fn parse(text: &str) -> (BTreeSet<String>, bool) {
    let mut names = BTreeSet::new();
    let mut is_plain = !text.contains('!');
    for term in text.split("&&") {
        let term = term.trim().trim_start_matches('(').trim_end_matches(')');
        let mut of_term = BTreeSet::new();
        for word in term.split("||") {
            let word = word.trim_matches(|c: char| c.is_whitespace() || "()!".contains(c));
            let (name, end) = word.rsplit_once('.').unwrap_or((word, "Succeeded"));
            if !name.is_empty() {
                of_term.insert(name.to_owned());
            }
            is_plain &= ["Succeeded", "Skipped", "Daemoned"].contains(&end);
        }
        // An alternative between ends of one task is what `after` says; one between tasks is not.
        is_plain &= of_term.len() <= 1;
        names.extend(of_term);
    }
    (names, is_plain)
}

/// Tells what becomes of a step that runs on although another one failed.
pub fn continue_on(task: &Node<'_>) {
    if let Some(node) = task.get("continueOn") {
        node.leave(
            "lets others go on after a failure of this one",
            "a failed step ends the run; let the agent answer with what went wrong instead of failing",
        );
    }
    for key in ["hooks", "onExit"] {
        if let Some(node) = task.get(key) {
            node.leave("runs a template beside or behind this step", "write a step that comes after it");
        }
    }
    if let Some(node) = task.get("target") {
        node.note(Severity::LeftOut, "is no field of a task", "leave it away");
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("A", &["A"], true)]
    #[case("A && B", &["A", "B"], true)]
    #[case("(A.Succeeded || A.Skipped) && B.Succeeded", &["A", "B"], true)]
    #[case("A || B", &["A", "B"], false)]
    #[case("A.Failed", &["A"], false)]
    #[case("A && !B", &["A", "B"], false)]
    #[case("(A && (B.AnySucceeded || B.AllFailed))", &["A", "B"], false)]
    fn a_condition_is_plain_when_after_says_the_same(
        #[case] text: &str,
        #[case] wanted: &[&str],
        #[case] is_plain: bool,
    ) {
        let (names, plain) = parse(text);
        assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), wanted);
        assert_eq!(plain, is_plain);
    }
}
