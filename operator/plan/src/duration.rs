//! Durations as users write them: numbers with the units `ms`, `s`, `m` or `h`, such as `1h30m`.

use std::time::Duration;

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text has another form.
    #[error("{0:?} is not a duration: write a number with a unit ms, s, m or h, such as 30s, 5m or 1h30m")]
    Form(String),
    /// The duration is outside of what the field allows.
    #[error("{text:?} is out of range: write a duration from {min} to {max}")]
    Range {
        /// The refused text.
        text: String,
        /// The smallest allowed duration, as text.
        min: &'static str,
        /// The largest allowed duration, as text.
        max: &'static str,
    },
}

/// The duration that a text stands for.
pub fn parse(text: &str) -> Result<Duration, Error> {
    let form = || Error::Form(text.to_owned());
    let mut rest = text;
    let mut millis: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(form)?;
        let (number, tail) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| form())?;
        // `ms` before `m`, or 500ms would be 500 minutes and a stray s.
        let (unit, tail) = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)]
            .into_iter()
            .find_map(|(name, unit)| Some((unit, tail.strip_prefix(name)?)))
            .ok_or_else(form)?;
        millis = number.checked_mul(unit).and_then(|part| millis.checked_add(part)).ok_or_else(form)?;
        rest = tail;
    }
    if text.is_empty() { Err(form()) } else { Ok(Duration::from_millis(millis)) }
}

/// The longest duration that any field takes: 30 days.
pub const LONGEST: Duration = Duration::from_hours(720);

/// The duration that a text stands for, from 1ms to 30 days.
pub fn parse_positive(text: &str) -> Result<Duration, Error> {
    within(text, Duration::from_millis(1), LONGEST, "1ms", "720h")
}

/// The duration that a text stands for, at most 30 days and zero allowed.
pub fn parse_from_zero(text: &str) -> Result<Duration, Error> {
    within(text, Duration::ZERO, LONGEST, "0s", "720h")
}

/// The duration that a text stands for, at most one hour and zero allowed.
pub fn parse_up_to_an_hour(text: &str) -> Result<Duration, Error> {
    within(text, Duration::ZERO, Duration::from_hours(1), "0s", "1h")
}

fn within(
    text: &str,
    least: Duration,
    most: Duration,
    min: &'static str,
    max: &'static str,
) -> Result<Duration, Error> {
    let duration = parse(text)?;
    if duration < least || duration > most {
        Err(Error::Range { text: text.to_owned(), min, max })
    } else {
        Ok(duration)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("500ms", 500)]
    #[case("30s", 30_000)]
    #[case("1h30m", 5_400_000)]
    #[case("1m500ms", 60_500)]
    #[case("0s", 0)]
    fn reads(#[case] text: &str, #[case] millis: u64) {
        assert_eq!(parse(text), Ok(Duration::from_millis(millis)));
    }

    #[rstest]
    #[case("")]
    #[case("5")]
    #[case("m")]
    #[case("-5s")]
    #[case("1.5h")]
    #[case("5 s")]
    #[case("5d")]
    #[case("30sec")]
    #[case("99999999999999999999s")]
    fn refuses_and_says_what_to_write(#[case] text: &str) {
        let error = parse(text).unwrap_err();
        assert!(error.to_string().contains("such as 30s, 5m or 1h30m"), "{error}");
    }

    #[test]
    fn a_timeout_of_zero_is_refused_with_the_range() {
        assert_eq!(
            parse_positive("0s").unwrap_err().to_string(),
            r#""0s" is out of range: write a duration from 1ms to 720h"#
        );
        assert!(parse_up_to_an_hour("61m").is_err());
        assert!(parse_up_to_an_hour("1h").is_ok());
    }
}
