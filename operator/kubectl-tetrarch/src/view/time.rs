//! Ages and durations as kubectl writes them.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// The whole seconds since then, in the two largest units: `42s`, `3m12s`, `5h3m`, `12d4h`.
pub fn age(since: Option<&Time>, now: Timestamp) -> String {
    let whole = |at: Timestamp| Timestamp::from_second(at.as_second()).unwrap_or(at);
    since.map(|since| duration(whole(since.0), whole(now))).unwrap_or_default()
}

/// The time from one point to another; while there is no other, until now.
pub fn span(from: Option<&Time>, to: Option<&Time>, now: Timestamp) -> String {
    from.map(|from| duration(from.0, to.map_or(now, |to| to.0))).unwrap_or_default()
}

/// The time between two points in its two largest units.
pub fn duration(from: Timestamp, to: Timestamp) -> String {
    let millis = to.as_millisecond().saturating_sub(from.as_millisecond()).max(0);
    let seconds = millis / 1000;
    let parts = [(seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    match parts.iter().position(|(count, _)| *count > 0) {
        None if millis > 0 => format!("{millis}ms"),
        None => "0s".to_owned(),
        Some(first) => {
            let shown = parts.iter().skip(first).take(2).filter(|(count, _)| *count > 0);
            shown.map(|(count, unit)| format!("{count}{unit}")).collect::<Vec<_>>().concat()
        }
    }
}

/// A point in time for people.
pub fn moment(at: &Time) -> String {
    at.0.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(0, "0s")]
    #[case(250, "250ms")]
    #[case(42_900, "42s")]
    #[case(192_000, "3m12s")]
    #[case(3_600_000, "1h")]
    #[case(18_180_000, "5h3m")]
    #[case(1_051_200_000, "12d4h")]
    #[case(-5, "0s")]
    fn two_units(#[case] millis: i64, #[case] text: &str) {
        assert_eq!(duration(Timestamp::UNIX_EPOCH, Timestamp::from_millisecond(millis).unwrap()), text);
    }
}
