//! Moments in expressions of policies: `now` and `timestamp('…')`, which are compared or read in a time zone.

use std::sync::LazyLock;

use cel::{
    common::ast::{Expr, LiteralValue},
    parser::Expression as Parsed,
};
use jiff::{
    Timestamp, Zoned,
    tz::{Offset, TimeZone, TimeZoneDatabase},
};
use serde_json::Value;

use super::{Error, lower::Node, value::describe};

/// The function that makes a moment of a text.
pub(super) const CONSTRUCTOR: &str = "timestamp";

/// The database inside of the program: the same everywhere, and without files.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// An expression that yields a moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Moment {
    /// The moment of the evaluation.
    Now,
    /// `timestamp('…')`.
    Constant(Timestamp),
    /// `timestamp(expression)`.
    Read(Node),
}

/// A part of a moment in a time zone. Counted as CEL does: months, days of the week (from Sunday) and `getDayOfMonth` from 0.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Clock {
    part: Part,
    zone: TimeZone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    FullYear,
    Month,
    Date,
    DayOfMonth,
    DayOfWeek,
    DayOfYear,
    Hours,
    Minutes,
    Seconds,
}

const READERS: [(&str, Part); 9] = [
    ("getFullYear", Part::FullYear),
    ("getMonth", Part::Month),
    ("getDate", Part::Date),
    ("getDayOfMonth", Part::DayOfMonth),
    ("getDayOfWeek", Part::DayOfWeek),
    ("getDayOfYear", Part::DayOfYear),
    ("getHours", Part::Hours),
    ("getMinutes", Part::Minutes),
    ("getSeconds", Part::Seconds),
];

/// Names of the functions that read a moment.
pub(super) fn readers() -> impl Iterator<Item = &'static str> {
    READERS.iter().map(|(name, _)| *name)
}

/// The moment that a text stands for.
pub(super) fn parse(text: &str) -> Result<Timestamp, Error> {
    let too_long = text.len() > 64;
    text.parse().ok().filter(|_| !too_long).ok_or_else(|| {
        Error::Timestamp(if too_long { format!("a text of {} bytes", text.len()) } else { text.to_owned() })
    })
}

/// The moment that a value stands for.
pub(super) fn read(value: &Value) -> Result<Timestamp, Error> {
    match value {
        Value::String(text) => parse(text),
        other => Err(Error::Evaluation(format!("timestamp cannot be used with {}", describe(other)))),
    }
}

impl Clock {
    /// The reader of this name; nothing when there is none.
    pub(super) fn find(name: &str, arguments: &[Parsed]) -> Option<Result<Self, Error>> {
        let (_, part) = READERS.iter().find(|(known, _)| *known == name)?;
        let zone = match arguments {
            [] => Ok(TimeZone::UTC),
            [zone] => match &zone.expr {
                Expr::Literal(LiteralValue::String(name)) => find_zone(name.inner()),
                _ => Err(Error::TimeZone("an expression".to_owned())),
            },
            _ => return None,
        };
        Some(zone.map(|zone| Self { part: *part, zone }))
    }

    /// The part of the moment.
    pub(super) fn read(&self, at: Timestamp) -> Value {
        let local = Zoned::new(at, self.zone.clone());
        Value::from(match self.part {
            Part::FullYear => i64::from(local.year()),
            Part::Month => i64::from(local.month()) - 1,
            Part::Date => i64::from(local.day()),
            Part::DayOfMonth => i64::from(local.day()) - 1,
            Part::DayOfWeek => i64::from(local.weekday().to_sunday_zero_offset()),
            Part::DayOfYear => i64::from(local.day_of_year()) - 1,
            Part::Hours => i64::from(local.hour()),
            Part::Minutes => i64::from(local.minute()),
            Part::Seconds => i64::from(local.second()),
        })
    }
}

fn find_zone(name: &str) -> Result<TimeZone, Error> {
    let offset = || {
        let (sign, rest) = match name.split_at_checked(1)? {
            ("+", rest) => (1, rest),
            ("-", rest) => (-1, rest),
            _ => return None,
        };
        let (hours, minutes) = rest.split_once(':')?;
        let is_pair = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        if !is_pair(hours) || !is_pair(minutes) {
            return None;
        }
        let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
        let seconds = sign * (hours * 3600 + minutes * 60);
        (hours < 24 && minutes < 60).then(|| Offset::from_seconds(seconds).ok()).flatten().map(TimeZone::fixed)
    };
    offset().map_or_else(|| ZONES.get(name).map_err(|_| Error::TimeZone(name.to_owned())), Ok)
}
