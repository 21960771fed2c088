//! The invariants that the journal of a finished run must show, whatever happened to the processes meanwhile.

use std::collections::BTreeMap;

use serde_json::Value;

/// What a journal tells about a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Task paths with a result.
    pub tasks: usize,
    /// Attempts beyond the first, over all tasks.
    pub retries: usize,
    /// Deliveries beyond the first, over all attempts that have a result.
    pub redeliveries: u64,
}

/// One way in which a journal breaks a promise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// An attempt was dispatched twice.
    #[error("{0} was dispatched {1} times")]
    DispatchedTwice(String, usize),
    /// An attempt has several results.
    #[error("{0} has {1} results")]
    SeveralResults(String, usize),
    /// A task ended well more than once.
    #[error("task {0} succeeded {1} times")]
    SucceededTwice(String, usize),
    /// A result without a dispatch.
    #[error("{0} has a result but was never dispatched")]
    ResultWithoutDispatch(String),
    /// A dispatched task vanished: its last attempt has no result and was not withdrawn.
    #[error("{0} was dispatched and has no result")]
    Vanished(String),
    /// The run has not exactly one end.
    #[error("the run finished {0} times")]
    Finished(usize),
    /// A line that cannot be read.
    #[error("unreadable line: {0}")]
    Unreadable(String),
}

/// Checks the printed journal of a finished run: every attempt is dispatched once and has one result (or was withdrawn), no task succeeds
/// twice, none vanishes, and the run ends once.
pub fn check(printed: &str) -> Result<Account, Vec<Violation>> {
    let mut dispatched: BTreeMap<String, usize> = BTreeMap::new();
    let mut results: BTreeMap<String, usize> = BTreeMap::new();
    let mut succeeded: BTreeMap<String, usize> = BTreeMap::new();
    let mut withdrawn = Vec::new();
    let mut finished = 0;
    let mut account = Account::default();
    let mut violations = Vec::new();
    for line in printed.lines().filter(|line| !line.trim().is_empty()) {
        let Ok(entry) = serde_json::from_str::<Value>(line) else {
            violations.push(Violation::Unreadable(line.chars().take(120).collect()));
            continue;
        };
        let parts: Vec<&str> = entry["subject"].as_str().unwrap_or_default().split('.').collect();
        let body = &entry["body"];
        match parts.as_slice() {
            ["task", _, _, _, _, path, attempt] => *dispatched.entry(format!("{path}/{attempt}")).or_default() += 1,
            ["res", _, _, _, path, attempt] => {
                *results.entry(format!("{path}/{attempt}")).or_default() += 1;
                account.redeliveries += body["deliveries"].as_u64().unwrap_or(1).saturating_sub(1);
                if body["outcome"].get("succeeded").is_some() {
                    *succeeded.entry((*path).to_owned()).or_default() += 1;
                }
            }
            ["run", ..] if body["type"] == "finished" => finished += 1,
            // A step that stands for a run of another Workflow.
            ["run", ..] if body["type"] == "childStarted" => {
                let step = body["step"].as_str().unwrap_or_default();
                *dispatched.entry(format!("{step}/{}", body["attempt"].as_u64().unwrap_or_default())).or_default() += 1;
            }
            ["run", ..] if body["type"] == "withdrawn" => withdrawn.push(format!(
                "{}/{}",
                body["path"].as_str().unwrap_or_default(),
                body["attempt"].as_u64().unwrap_or_default()
            )),
            ["run" | "try" | "dead", ..] => {}
            _ => violations.push(Violation::Unreadable(line.chars().take(120).collect())),
        }
    }
    for (attempt, count) in &dispatched {
        if *count > 1 {
            violations.push(Violation::DispatchedTwice(attempt.clone(), *count));
        }
        if !results.contains_key(attempt) && !withdrawn.contains(attempt) {
            violations.push(Violation::Vanished(attempt.clone()));
        }
    }
    for (attempt, count) in &results {
        if *count > 1 {
            violations.push(Violation::SeveralResults(attempt.clone(), *count));
        }
        if !dispatched.contains_key(attempt) {
            violations.push(Violation::ResultWithoutDispatch(attempt.clone()));
        }
    }
    violations
        .extend(succeeded.iter().filter(|(_, n)| **n > 1).map(|(path, n)| Violation::SucceededTwice(path.clone(), *n)));
    if finished != 1 {
        violations.push(Violation::Finished(finished));
    }
    let paths = |attempts: &BTreeMap<String, usize>| {
        attempts
            .keys()
            .filter_map(|a| a.rsplit_once('/').map(|(path, _)| path.to_owned()))
            .collect::<std::collections::BTreeSet<_>>()
    };
    account.tasks = paths(&results).len();
    account.retries = dispatched.len().saturating_sub(paths(&dispatched).len());
    if violations.is_empty() { Ok(account) } else { Err(violations) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
{"sequence":1,"subject":"run.sup.wf-1","body":{"type":"accepted"}}
{"sequence":2,"subject":"task.sup.pool.normal.wf-1.classify:0.1","body":{}}
{"sequence":3,"subject":"task.sup.pool.normal.wf-1.classify:1.1","body":{}}
{"sequence":4,"subject":"res.sup.pool.wf-1.classify:0.1","body":{"deliveries":2,"outcome":{"succeeded":{"output":{"inline":1}}}}}
{"sequence":5,"subject":"res.sup.pool.wf-1.classify:1.1","body":{"deliveries":1,"outcome":{"failed":{"reason":"Timeout","message":""}}}}
{"sequence":6,"subject":"task.sup.pool.normal.wf-1.classify:1.2","body":{}}
{"sequence":7,"subject":"res.sup.pool.wf-1.classify:1.2","body":{"deliveries":1,"outcome":{"succeeded":{"output":{"inline":1}}}}}
{"sequence":8,"subject":"run.sup.wf-1","body":{"type":"finished"}}"#;

    #[test]
    fn a_run_with_a_retry_and_a_redelivery_is_in_order() {
        assert_eq!(check(GOOD), Ok(Account { tasks: 2, retries: 1, redeliveries: 1 }));
    }

    /// Negative controls: each doctored journal must be caught, or the check above proves nothing.
    #[test]
    fn doctored_journals_are_caught() {
        let without = |needle: &str| GOOD.lines().filter(|l| !l.contains(needle)).collect::<Vec<_>>().join("\n");
        let doubled = |needle: &str| {
            let line = GOOD.lines().find(|l| l.contains(needle)).unwrap();
            format!("{GOOD}\n{line}")
        };
        let violations = |journal: String| check(&journal).unwrap_err();
        assert!(
            violations(doubled("res.sup.pool.wf-1.classify:0.1"))
                .contains(&Violation::SeveralResults("classify:0/1".into(), 2))
        );
        assert!(
            violations(doubled("task.sup.pool.normal.wf-1.classify:0.1"))
                .contains(&Violation::DispatchedTwice("classify:0/1".into(), 2))
        );
        assert!(
            violations(without("res.sup.pool.wf-1.classify:1.2")).contains(&Violation::Vanished("classify:1/2".into()))
        );
        assert!(violations(without("finished")).contains(&Violation::Finished(0)));
        assert!(
            violations(without("task.sup.pool.normal.wf-1.classify:0.1"))
                .contains(&Violation::ResultWithoutDispatch("classify:0/1".into()))
        );
        let again = GOOD
            .lines()
            .find(|l| l.contains("classify:1.2\"") && l.contains("res."))
            .unwrap()
            .replace("classify:1.2", "classify:1.3");
        assert!(violations(format!("{GOOD}\n{again}")).contains(&Violation::SucceededTwice("classify:1".into(), 2)));
    }
}
