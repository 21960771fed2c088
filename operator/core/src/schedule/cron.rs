//! The five fields of cron: minute, hour, day of month, month, day of week.
//!
//! As everywhere (POSIX `crontab`, Vixie cron, CronJob): when both days are restricted, a day that fits one of them is due.

use std::{fmt, str::FromStr};

use jiff::civil::Date;

use super::Error;

/// Names of months and of days of the week, in the order of their numbers.
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Longest month, in days, by its number.
const LENGTHS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// An expression that was read. Each set has one bit for each number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    text: String,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    is_any_day: bool,
    is_any_weekday: bool,
    is_any_hour: bool,
}

/// A field as it is to be read.
struct Field {
    name: &'static str,
    first: u32,
    last: u32,
    words: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", first: 0, last: 59, words: &[] },
    Field { name: "hour", first: 0, last: 23, words: &[] },
    Field { name: "day of month", first: 1, last: 31, words: &[] },
    Field { name: "month", first: 1, last: 12, words: &MONTHS },
    // 7 is Sunday, too.
    Field { name: "day of week", first: 0, last: 7, words: &WEEKDAYS },
];

impl FromStr for Cron {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let written = text.trim();
        let expanded = match written.to_ascii_lowercase().as_str() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            word if word.starts_with('@') => return Err(Error::Word(written.to_owned())),
            _ => written,
        };
        let parts: Vec<&str> = expanded.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = parts[..] else { return Err(Error::Fields(text.to_owned())) };
        let weekdays = FIELDS[4].read(weekday)?;
        let cron = Self {
            text: written.to_owned(),
            minutes: FIELDS[0].read(minute)?,
            hours: FIELDS[1].read(hour)?,
            days: FIELDS[2].read(day)?,
            months: FIELDS[3].read(month)?,
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            is_any_day: day.starts_with('*'),
            is_any_weekday: weekday.starts_with('*'),
            is_any_hour: hour.starts_with('*'),
        };
        if cron.is_never() { Err(Error::Never(text.to_owned())) } else { Ok(cron) }
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Cron {
    /// Whether something is due on this day.
    pub fn has_day(&self, date: Date) -> bool {
        let number = |number: i8| u32::try_from(number).unwrap_or_default();
        let is_day = has(self.days, number(date.day()));
        let is_weekday = has(self.weekdays, number(date.weekday().to_sunday_zero_offset()));
        let fits = match (self.is_any_day, self.is_any_weekday) {
            (false, false) => is_day || is_weekday,
            // A step on a star, such as */2, restricts as well.
            _ => is_day && is_weekday,
        };
        fits && has(self.months, number(date.month()))
    }

    /// Hours and minutes at which something is due, in order.
    pub fn times_of_day(&self) -> impl Iterator<Item = (i8, i8)> {
        let hours = (0..24_i8).filter(|hour| has(self.hours, hour.unsigned_abs().into()));
        let minutes = || (0..60_i8).filter(|minute| has(self.minutes, minute.unsigned_abs().into()));
        hours.flat_map(move |hour| minutes().map(move |minute| (hour, minute)))
    }

    /// Whether it is due every so many hours, and not at times of the day.
    pub const fn follows_the_clock(&self) -> bool {
        self.is_any_hour
    }

    fn is_never(&self) -> bool {
        let is_by_weekday = !self.is_any_weekday && !self.is_any_day;
        let exists = |month: u32| (1..=LENGTHS[month as usize - 1]).any(|day| has(self.days, day));
        !is_by_weekday && !(1..=12).any(|month| has(self.months, month) && exists(month))
    }
}

const fn has(set: u64, number: u32) -> bool {
    set >> number & 1 == 1
}

impl Field {
    fn read(&self, text: &str) -> Result<u64, Error> {
        let refused = || Error::Field { field: self.name, text: text.to_owned(), first: self.first, last: self.last };
        let mut set = 0;
        for part in text.split(',') {
            for number in self.numbers(part).ok_or_else(refused)? {
                set |= 1 << number;
            }
        }
        Ok(set)
    }

    /// The numbers of one part: `*`, `n`, `n-m`, each with `/step`.
    fn numbers(&self, part: &str) -> Option<Vec<u32>> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<u32>().ok().filter(|step| *step > 0)?)),
            None => (part, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (self.first, self.last),
            Some((first, last)) => (self.number(first)?, self.number(last)?),
            // 5/15 is 5-59/15.
            None if step.is_some() => (self.number(range)?, self.last),
            None => (self.number(range)?, self.number(range)?),
        };
        (first <= last).then(|| (first..=last).step_by(step.unwrap_or(1) as usize).collect())
    }

    fn number(&self, text: &str) -> Option<u32> {
        let word = self.words.iter().position(|word| word.eq_ignore_ascii_case(text));
        let number = match word {
            Some(position) => u32::try_from(position).ok()?.checked_add(self.first)?,
            None => text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())??,
        };
        (self.first..=self.last).contains(&number).then_some(number)
    }
}
