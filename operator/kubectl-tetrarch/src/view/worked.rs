//! Which agents worked on the tasks of a run, and when, as its journal tells; and the lines of their logs that fall into that time.

use std::{collections::BTreeMap, fmt::Write as _};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// An attempt that an agent has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worked {
    /// The task.
    pub task: String,
    /// The attempt.
    pub attempt: u32,
    /// The pod.
    pub agent: String,
    /// When the agent was called.
    pub from: Timestamp,
    /// When it answered.
    pub to: Timestamp,
}

/// The lines of one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Excerpt {
    /// The task.
    pub task: String,
    /// The attempt.
    pub attempt: u32,
    /// The pod.
    pub agent: String,
    /// When the agent was called.
    pub from: Timestamp,
    /// When it answered.
    pub to: Timestamp,
    /// What it wrote in between; an agent that works on several tasks at once does not say which line is whose.
    pub lines: Vec<String>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// Reads a printed journal; only the tasks of one step when it is given. Lines that are no results are passed over.
pub fn read(journal: &[u8], step: Option<&str>) -> Result<Vec<Worked>, serde_json::Error> {
    let mut worked = Vec::new();
    for line in journal.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line: Value = serde_json::from_slice(line)?;
        worked
            .extend(answered(&line).filter(|task| {
                step.is_none_or(|step| task.task == step || task.task.starts_with(&format!("{step}:")))
            }));
    }
    Ok(worked)
}

/// `res.<supervisor>.<pool>.<run>.<path>.<attempt>` with the pod and its times in the body.
fn answered(line: &Value) -> Option<Worked> {
    let subject: Vec<&str> = line["subject"].as_str()?.split('.').collect();
    let ["res", _, _, _, task, attempt] = subject[..] else { return None };
    let moment = |field: &str| line["body"][field].as_str()?.parse().ok();
    Some(Worked {
        task: task.to_owned(),
        attempt: attempt.parse().ok()?,
        agent: line["body"]["agent"].as_str()?.to_owned(),
        from: moment("startedAt")?,
        to: moment("finishedAt")?,
    })
}

/// The pods, each with the earliest time of which its log is of interest.
pub fn pods(worked: &[Worked]) -> BTreeMap<String, Timestamp> {
    let mut pods: BTreeMap<String, Timestamp> = BTreeMap::new();
    for task in worked {
        let since = pods.entry(task.agent.clone()).or_insert(task.from);
        *since = task.from.min(*since);
    }
    pods
}

impl Worked {
    /// The lines that were written while the agent worked on this, of the logs of the pods with times, `<time> <text>` each.
    pub fn excerpt(&self, said: &BTreeMap<String, Result<String, String>>) -> Excerpt {
        let is_ours = |line: &&str| {
            let at = line.split_once(' ').and_then(|(at, _)| at.parse::<Timestamp>().ok());
            at.is_some_and(|at| self.from <= at && at <= self.to)
        };
        let (lines, missing) = match said.get(&self.agent) {
            Some(Ok(text)) => (text.lines().filter(is_ours).map(str::to_owned).collect(), None),
            Some(Err(why)) => (Vec::new(), Some(why.clone())),
            None => (Vec::new(), Some("its log was not read".to_owned())),
        };
        let Self { task, attempt, agent, from, to } = self.clone();
        Excerpt { task, attempt, agent, from, to, lines, missing }
    }
}

/// A heading for each attempt, and its lines.
pub fn render(told: &[Excerpt]) -> String {
    let mut text = String::new();
    for lines in told {
        let _ = writeln!(text, "==> {}/{} {} {} {}", lines.task, lines.attempt, lines.agent, lines.from, lines.to);
        for line in &lines.lines {
            let _ = writeln!(text, "{line}");
        }
        if let Some(missing) = &lines.missing {
            let _ = writeln!(text, "({missing})");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOURNAL: &str = r#"{"sequence":1,"at":"2026-11-21T10:00:00Z","subject":"run.sup.w-1","body":{"type":"accepted"}}
{"sequence":2,"at":"2026-11-21T10:00:09Z","subject":"res.sup.pool.w-1.classify:3.1","body":{"agent":"pool-abc","startedAt":"2026-11-21T10:00:01Z","finishedAt":"2026-11-21T10:00:03Z"}}
{"sequence":3,"at":"2026-11-21T10:00:09Z","subject":"res.sup.pool.w-1.report.2","body":{"agent":"pool-abc","startedAt":"2026-11-21T10:00:05Z","finishedAt":"2026-11-21T10:00:06Z"}}
"#;
    const LOG: &str = "2026-11-21T10:00:00.5Z before\n2026-11-21T10:00:02.25Z during\n2026-11-21T10:00:05.5Z later\n";

    #[test]
    fn the_lines_of_a_task_are_those_of_its_agent_in_its_time() {
        let worked = read(JOURNAL.as_bytes(), Some("classify")).unwrap();
        assert_eq!(worked.len(), 1);
        assert_eq!(pods(&worked)["pool-abc"], "2026-11-21T10:00:01Z".parse().unwrap());
        let said = |log| BTreeMap::from([("pool-abc".to_owned(), log)]);
        let told = worked[0].excerpt(&said(Ok(LOG.to_owned())));
        assert_eq!(told.lines, ["2026-11-21T10:00:02.25Z during"]);
        assert!(render(&[told]).starts_with("==> classify:3/1 pool-abc 2026-11-21T10:00:01Z"));
        assert_eq!(read(JOURNAL.as_bytes(), None).unwrap().len(), 2);
        assert!(render(&[worked[0].excerpt(&said(Err("gone".to_owned())))]).ends_with("(gone)\n"));
    }
}
