//! What a run did, step by step: its printed journal against the story that a sample is expected to tell.
//!
//! A story has a line for each stage. What stands in one line, parted by commas, may happen in any order, but what is joined
//! by `>` happens in this one; nothing of a line happens before all of the line above. `draft#1` is an attempt that was handed
//! out and then succeeded, `pay#1 Rejected` one that failed, and everything else is a single entry: `accepted`,
//! `skipped publish`, `task late#1`, `finished Succeeded`. What ends in `?` may happen from its line on, or never. A `#` at
//! the start of a line begins a comment.

use std::collections::VecDeque;

use serde_json::Value;

/// Why a journal does not tell the story.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A line of the journal that cannot be read.
    #[error("unreadable line of the journal: {0}")]
    Unreadable(String),
    /// Something happened that the stage does not tell of.
    #[error("{happened:?} happened, but {} was due", due.join(", "))]
    Unexpected {
        /// What happened.
        happened: String,
        /// What is still missing of the stage.
        due: Vec<String>,
    },
    /// The journal ends before the story.
    #[error("the journal ends before {}", .0.join(", "))]
    Missing(Vec<String>),
    /// The story ends before the journal.
    #[error("{0:?} happened after the end of the story")]
    AfterTheEnd(String),
}

/// Whether a printed journal tells the story, entry by entry.
pub fn check(printed: &str, story: &str) -> Result<(), Error> {
    let mut stages = story.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).map(stage);
    let mut now = Stage::default();
    for line in printed.lines().filter(|line| !line.trim().is_empty()) {
        let Some(happened) = event(line)? else { continue };
        while now.due.is_empty() && !now.may.iter().any(|chain| chain.front() == Some(&happened)) {
            let next = stages.next().ok_or_else(|| Error::AfterTheEnd(happened.clone()))?;
            now = Stage { due: next.due, may: [now.may, next.may].concat() };
        }
        if !take(&mut now.due, &happened) && !take(&mut now.may, &happened) {
            return Err(Error::Unexpected { happened, due: now.due.into_iter().flatten().collect() });
        }
    }
    let missing: Vec<String> = now.due.into_iter().chain(stages.flat_map(|stage| stage.due)).flatten().collect();
    if missing.is_empty() { Ok(()) } else { Err(Error::Missing(missing)) }
}

/// The journal as a story with one entry a line, for whoever writes one.
pub fn tell(printed: &str) -> Result<String, Error> {
    let mut told = String::new();
    for line in printed.lines().filter(|line| !line.trim().is_empty()) {
        if let Some(happened) = event(line)? {
            told += &happened;
            told.push('\n');
        }
    }
    Ok(told)
}

/// Entries that come in this order.
type Chain = VecDeque<String>;

/// One line of a story.
#[derive(Default)]
struct Stage {
    /// What has to happen before the next line.
    due: Vec<Chain>,
    /// What may happen from now on.
    may: Vec<Chain>,
}

fn stage(line: &str) -> Stage {
    let told = line.split(',').map(str::trim).filter(|one| !one.is_empty());
    let (may, due): (Vec<&str>, Vec<&str>) = told.partition(|one| one.ends_with('?'));
    let chains = |told: Vec<&str>| {
        told.into_iter()
            .map(|one| one.trim_end_matches('?').split('>').map(str::trim).flat_map(entries).collect())
            .collect()
    };
    Stage { due: chains(due), may: chains(may) }
}

/// The entries of the journal that one part of a chain stands for.
fn entries(told: &str) -> Vec<String> {
    match told.split_once(' ') {
        None if told.contains('#') => vec![format!("task {told}"), format!("result {told} succeeded")],
        Some((attempt, outcome)) if attempt.contains('#') => {
            vec![format!("task {attempt}"), format!("result {attempt} {outcome}")]
        }
        _ => vec![told.to_owned()],
    }
}

/// Takes what happened from the chain that begins with it.
fn take(chains: &mut Vec<Chain>, happened: &str) -> bool {
    let Some(at) = chains.iter().position(|chain| chain.front().is_some_and(|first| first == happened)) else {
        return false;
    };
    chains[at].pop_front();
    chains.retain(|chain| !chain.is_empty());
    true
}

/// One entry in the words of a story; nothing for the notes of sidecars, which tell how and not what.
fn event(line: &str) -> Result<Option<String>, Error> {
    let unreadable = || Error::Unreadable(line.chars().take(120).collect());
    let entry: Value = serde_json::from_str(line).map_err(|_| unreadable())?;
    let parts: Vec<&str> = entry["subject"].as_str().unwrap_or_default().split('.').collect();
    let body = &entry["body"];
    let text = |field: &str| body[field].as_str().unwrap_or("?").to_owned();
    let attempt = || format!("{}#{}", text("step"), body["attempt"]);
    Ok(Some(match parts.as_slice() {
        ["task", _, _, _, _, path, attempt] => format!("task {path}#{attempt}"),
        ["res", _, _, _, path, attempt] => format!("result {path}#{attempt} {}", outcome(&body["outcome"])),
        ["try" | "dead", ..] => return Ok(None),
        ["run", ..] => match body["type"].as_str().ok_or_else(unreadable)? {
            "stepSkipped" => format!("skipped {}", text("step")),
            "stepFailed" => format!("failed {}", text("step")),
            "planned" => format!("planned {}", text("step")),
            "waitOver" => format!("waited {}", text("step")),
            "childStarted" => format!("task {}", attempt()),
            "decided" => {
                let said = if body["decision"]["approved"] == true { "approved" } else { "rejected" };
                format!("{said} {}", text("step"))
            }
            "decisionTimedOut" => format!("not decided {}", text("step")),
            "withdrawn" => format!("withdrawn {}#{}", text("path"), body["attempt"]),
            "finished" => format!("finished {}", text("phase")),
            other => other.to_owned(),
        },
        _ => return Err(unreadable()),
    }))
}

fn outcome(outcome: &Value) -> String {
    match outcome.as_object().and_then(|kinds| kinds.iter().next()) {
        Some((kind, body)) if kind == "failed" => body["reason"].as_str().unwrap_or(kind).to_owned(),
        Some((kind, _)) => kind.clone(),
        None => "?".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOURNAL: &str = r#"
{"sequence":1,"subject":"run.sup.wf-1","body":{"type":"accepted"}}
{"sequence":2,"subject":"run.sup.wf-1","body":{"type":"started"}}
{"sequence":3,"subject":"task.sup.pool.normal.wf-1.left.1","body":{}}
{"sequence":4,"subject":"task.sup.pool.normal.wf-1.right.1","body":{}}
{"sequence":5,"subject":"try.sup.pool.wf-1.right.1","body":{}}
{"sequence":6,"subject":"res.sup.pool.wf-1.right.1","body":{"outcome":{"failed":{"reason":"Rejected","message":""}}}}
{"sequence":7,"subject":"res.sup.pool.wf-1.left.1","body":{"outcome":{"succeeded":{"output":{"inline":1}}}}}
{"sequence":8,"subject":"run.sup.wf-1","body":{"type":"stepSkipped","step":"join"}}
{"sequence":9,"subject":"run.sup.wf-1","body":{"type":"finished","phase":"Failed"}}"#;
    const STORY: &str = "# Two sides.\naccepted\nstarted\nleft#1, right#1 Rejected\nskipped join\nfinished Failed\n";

    #[test]
    fn a_journal_tells_its_story_whichever_branch_was_first() {
        assert_eq!(check(JOURNAL, STORY), Ok(()));
        assert_eq!(check(JOURNAL, &STORY.replace("left#1, right#1 Rejected", "right#1 Rejected, left#1")), Ok(()));
        assert_eq!(check(JOURNAL, &tell(JOURNAL).unwrap()), Ok(()));
    }

    /// Negative controls: each of these stories is another one.
    #[test]
    fn a_journal_does_not_tell_another_story() {
        let other = |from: &str, to: &str| check(JOURNAL, &STORY.replace(from, to)).unwrap_err().to_string();
        assert!(other(" Rejected", "").contains("\"result right#1 Rejected\" happened, but"));
        assert!(other("left#1, right", "left#1\nright").starts_with("\"task right#1\" happened, but result left#1"));
        assert!(other("skipped join\n", "").starts_with("\"skipped join\" happened, but finished Failed was due"));
        assert!(other("finished Failed\n", "").contains("after the end"));
        assert_eq!(
            other("Failed\n", "Failed\nrest#1\n"),
            "the journal ends before task rest#1, result rest#1 succeeded"
        );
    }

    #[test]
    fn what_may_happen_may_be_missing_and_may_come_late() {
        let may = STORY.replace("skipped join", "skipped join, withdrawn late#1?");
        assert_eq!(check(JOURNAL, &may), Ok(()));
        let late = r#"{"sequence":8,"subject":"run.sup.wf-1","body":{"type":"withdrawn","path":"late","attempt":1}}"#;
        let with_late = |at: &str| JOURNAL.replace(at, &format!("{late}\n{at}"));
        assert_eq!(check(&with_late(r#"{"sequence":9"#), &may), Ok(()));
        assert!(check(&with_late(r#"{"sequence":8"#), STORY).is_err());
        assert!(check(&with_late(r#"{"sequence":2"#), &may).is_err(), "before its line");
    }

    #[test]
    fn what_is_joined_comes_in_this_order() {
        let joined = |order: &str| check(JOURNAL, &STORY.replace("left#1, right#1 Rejected", order));
        assert_eq!(joined("task left#1 > task right#1 > result right#1 Rejected > result left#1 succeeded"), Ok(()));
        assert!(joined("left#1 > right#1 Rejected").is_err());
    }

    #[test]
    fn a_result_before_its_task_tells_no_story() {
        let mut lines: Vec<&str> = JOURNAL.lines().collect();
        lines.swap(3, 6);
        let error = check(&lines.join("\n"), STORY).unwrap_err().to_string();
        assert!(error.starts_with("\"result right#1") || error.starts_with("\"result left#1"), "{error}");
    }
}
