//! Durations, timeouts and repetitions of Serverless Workflow.

use tetrarch_crds::{
    shared::DurationText,
    workflow::{Backoff, Retry},
};

use super::{
    super::{Severity, source::Node, text},
    Importer,
};

/// The longest time that any field takes, and the longest waiting time between attempts, in milliseconds.
const LONGEST: i64 = 720 * 3_600_000;
const LONGEST_WAIT: i64 = 3_600_000;

/// A duration in milliseconds: an object of units, or a text such as `PT1M30S`.
pub fn millis(node: &Node<'_>) -> Option<i64> {
    if let Some(text) = node.peek().as_str() {
        let found = iso(text)?;
        node.as_text();
        return Some(found);
    }
    let units =
        [("days", 86_400_000), ("hours", 3_600_000), ("minutes", 60_000), ("seconds", 1_000), ("milliseconds", 1)];
    let parts = units.iter().filter_map(|(key, unit)| node.number(key)?.checked_mul(*unit));
    let parts: Vec<i64> = parts.collect();
    (!parts.is_empty()).then(|| parts.iter().fold(0, |sum: i64, part| sum.saturating_add(*part)))
}

/// A duration of ISO 8601 without years and months.
fn iso(text: &str) -> Option<i64> {
    let mut rest = text.strip_prefix('P')?;
    let mut is_time = false;
    let mut sum: i64 = 0;
    while !rest.is_empty() {
        if let Some(time) = rest.strip_prefix('T') {
            (is_time, rest) = (true, time);
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..end].parse().ok()?;
        let unit = match (rest[end..].chars().next()?, is_time) {
            ('W', false) => 7 * 86_400_000,
            ('D', false) => 86_400_000,
            ('H', true) => 3_600_000,
            ('M', true) => 60_000,
            ('S', true) => 1_000,
            _ => return None,
        };
        sum = sum.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[end + 1..];
    }
    (text.len() > 1).then_some(sum)
}

/// A duration as Workflows write it.
pub fn duration(node: &Node<'_>) -> Option<String> {
    let millis = millis(node)?;
    if millis > LONGEST {
        node.note(Severity::Changed, "is longer than 30 days", "it is 30 days");
    }
    (millis > 0).then(|| text::duration(millis.min(LONGEST)))
}

impl<'s> Importer<'s> {
    /// A shared definition by its name.
    pub(super) fn shared(&mut self, kind: &str, name: &str) -> Option<Node<'s>> {
        let found = self.shared.as_ref()?.get(kind)?.get(name)?;
        self.used.insert(format!("{kind}.{name}"));
        Some(found)
    }

    /// A timeout, written here or by the name of a shared one.
    pub(super) fn timeout(&mut self, node: &Node<'s>) -> Option<String> {
        let timeout = match node.peek().as_str() {
            Some(name) => {
                let found = self.shared("timeouts", name)?;
                node.as_text();
                found
            }
            None => node.clone(),
        };
        duration(&timeout.get("after")?)
    }

    /// How the tasks of a try are repeated.
    pub(super) fn retries(&mut self, node: &Node<'s>) -> Retry {
        let policy = match node.peek().as_str() {
            Some(name) => match self.shared("retries", name) {
                Some(found) => {
                    node.as_text();
                    found
                }
                None => return Retry { limit: 0, ..Retry::default() },
            },
            None => node.clone(),
        };
        for (key, what, instead) in [
            ("when", "chooses which failures are repeated", "let the agent say which failures must not be repeated"),
            (
                "exceptWhen",
                "chooses which failures are repeated",
                "let the agent say which failures must not be repeated",
            ),
            ("jitter", "makes waiting times differ by chance", "leave it away"),
        ] {
            if let Some(node) = policy.get(key) {
                node.leave(what, instead);
            }
        }
        let limit = policy.get("limit");
        let attempt = limit.as_ref().and_then(|limit| limit.get("attempt"));
        let count = attempt.as_ref().and_then(|attempt| attempt.number("count"));
        for (holder, key) in [(&attempt, "duration"), (&limit, "duration")] {
            if let Some(node) = holder.as_ref().and_then(|holder| holder.get(key)) {
                node.leave("bounds the time of repetitions", "write timeout of the task or of the step");
            }
        }
        if count.is_none_or(|count| count > 100) {
            policy.note(
                Severity::Changed,
                "repeats more than 100 times or without a limit",
                "it is repeated 100 times",
            );
        }
        let backoff = policy.get("backoff");
        let is = |kind: &str| {
            let found = backoff.as_ref().and_then(|backoff| backoff.get(kind));
            found.as_ref().map(Node::entries).is_some()
        };
        let (is_exponential, is_linear) = (is("exponential"), is("linear"));
        is("constant");
        if is_linear {
            policy.note(Severity::Changed, "waits longer by equal amounts", "waiting times are equal");
        }
        let delay = policy.get("delay").and_then(|node| millis(&node)).unwrap_or(0).min(LONGEST_WAIT);
        let text = |millis: i64| DurationText(text::duration(millis));
        Retry {
            limit: i32::try_from(count.unwrap_or(100).clamp(0, 100)).unwrap_or(100),
            backoff: Backoff {
                initial: text(delay),
                factor: if is_exponential { 2 } else { 1 },
                max: text(if is_exponential { LONGEST_WAIT } else { delay }),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::{super::super::source::Source, *};

    #[rstest]
    #[case(json!({"minutes": 1, "seconds": 30}), Some("90s"))]
    #[case(json!({"milliseconds": 1500}), Some("1500ms"))]
    #[case(json!("PT15M"), Some("15m"))]
    #[case(json!("P1DT2H"), Some("26h"))]
    #[case(json!("P40D"), Some("720h"))]
    #[case(json!("P"), None)]
    #[case(json!("PT0S"), None)]
    #[case(json!("1 minute"), None)]
    #[case(json!({"fortnights": 1}), None)]
    fn durations_are_read(#[case] written: Value, #[case] wanted: Option<&str>) {
        assert_eq!(duration(&Source::new(written).root()).as_deref(), wanted);
    }
}
