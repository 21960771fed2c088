//! Repetitions and durations of Argo as those of a task.

use tetrarch_crds::{
    shared::DurationText,
    workflow::{Backoff, Retry},
};

use super::super::{Severity, source::Node, text};

/// Most repetitions, and the longest waiting time between them, in seconds.
const MOST: i64 = 100;
const LONGEST: i64 = 3600;
/// The longest time that any field takes, in seconds.
const LONGEST_TIMEOUT: i64 = 720 * 3600;

/// Repetitions; without a strategy Argo repeats nothing.
pub fn retry(strategy: Option<&Node<'_>>) -> Retry {
    let Some(strategy) = strategy else { return Retry { limit: 0, ..Retry::default() } };
    let limit = match strategy.number("limit") {
        Some(limit) if limit <= MOST => i32::try_from(limit.max(0)).unwrap_or(0),
        found => {
            let what = if found.is_some() { "repeats more than 100 times" } else { "repeats without a limit" };
            strategy.note(Severity::Changed, what, "it is repeated 100 times");
            100
        }
    };
    if let Some(policy) = strategy.get("retryPolicy") {
        policy.leave(
            "says which failures are repeated",
            "every failure is, unless the agent says that it must not be repeated",
        );
    }
    for key in ["expression", "affinity"] {
        if let Some(node) = strategy.get(key) {
            node.leave("says when or where to repeat", "let the agent say which failures must not be repeated");
        }
    }
    let default = Backoff { initial: "0s".into(), factor: 1, max: "0s".into() };
    let backoff = strategy.get("backoff").map_or(default, |backoff| self::backoff(&backoff));
    Retry { limit, backoff }
}

fn backoff(backoff: &Node<'_>) -> Backoff {
    let clamp = |node: &Node<'_>, seconds: i64| {
        if seconds > LONGEST {
            node.note(Severity::Changed, "is longer than an hour", "the longest waiting time is one hour");
        }
        seconds.min(LONGEST)
    };
    let read = |key: &str| {
        let node = backoff.get(key)?;
        let seconds = span(&node)?;
        Some(clamp(&node, seconds))
    };
    let initial = read("duration").unwrap_or(0);
    let factor = backoff.number("factor").unwrap_or(1);
    if factor > 10 {
        backoff.note(Severity::Changed, "grows faster than tenfold", "waiting times grow tenfold");
    }
    let max = read("cap").unwrap_or(if factor > 1 { LONGEST } else { initial }).max(initial);
    if let Some(node) = backoff.get("maxDuration") {
        node.leave("bounds the time of all repetitions", "write timeout of the step, which bounds all its attempts");
    }
    let factor = i32::try_from(factor.clamp(1, 10)).unwrap_or(1);
    let text = |seconds: i64| DurationText(text::duration(seconds * 1_000));
    Backoff { initial: text(initial), factor, max: text(max) }
}

/// A number of seconds, or a duration such as `2m`, as Workflows write it.
pub fn seconds(node: &Node<'_>) -> Option<String> {
    let seconds = span(node)?;
    if seconds > LONGEST_TIMEOUT {
        node.note(Severity::Changed, "is longer than 30 days", "it is 30 days");
    }
    (seconds > 0).then(|| text::duration(seconds.min(LONGEST_TIMEOUT) * 1_000))
}

fn span(node: &Node<'_>) -> Option<i64> {
    if let Some(number) = node.as_number() {
        return Some(number);
    }
    let text = node.peek().as_str()?.trim();
    let mut seconds: i64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..end].parse().ok()?;
        let unit = match rest[end..].chars().next()? {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86400,
            _ => return None,
        };
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[end + 1..];
    }
    node.as_text();
    Some(seconds)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::{super::super::source::Source, *};

    #[rstest]
    #[case(json!(90), Some("90s"))]
    #[case(json!("90"), Some("90s"))]
    #[case(json!("1h30m"), Some("90m"))]
    #[case(json!("2d"), Some("48h"))]
    #[case(json!("40d"), Some("720h"))]
    #[case(json!("soon"), None)]
    #[case(json!(0), None)]
    fn durations_are_seconds(#[case] value: Value, #[case] wanted: Option<&str>) {
        assert_eq!(seconds(&Source::new(value).root()).as_deref(), wanted);
    }

    #[test]
    fn without_a_strategy_nothing_is_repeated() {
        assert_eq!(retry(None).limit, 0);
        let source = Source::new(json!({"limit": "3", "backoff": {"duration": "2", "factor": 2, "cap": "1m"}}));
        let wanted = Backoff { initial: "2s".into(), factor: 2, max: "1m".into() };
        assert_eq!(retry(Some(&source.root())), Retry { limit: 3, backoff: wanted });
        assert_eq!(source.finish(), []);
    }
}
