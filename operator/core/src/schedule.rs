//! Times at which something is due again and again: the five fields of cron, read in a time zone.
//!
//! Days on which clocks are moved follow Vixie cron: a time of day that the clocks skip is due when they have jumped, one
//! that they show twice is due the first time, and an expression whose hour begins with `*` follows the clock, hour by hour.

mod cron;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

pub use self::cron::Cron;
use crate::id::RunId;

/// Days that are searched for the next time: the 29th of February may be eight years away.
const HORIZON: i32 = 366 * 9;

/// Why a schedule cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It does not have five fields.
    #[error(
        "{0:?} has not five fields: write minute, hour, day of month, month and day of week, such as \"0 6 * * 1-5\""
    )]
    Fields(String),
    /// It is no known word.
    #[error("{0:?} is no known schedule: write @hourly, @daily, @weekly, @monthly or @yearly, or five fields")]
    Word(String),
    /// A field is not understood.
    #[error(
        "the {field} {text:?} is not understood: write *, numbers from {first} to {last}, ranges such as {first}-{last}, steps such as */2, or a list of these"
    )]
    Field {
        /// Which.
        field: &'static str,
        /// What stands there.
        text: String,
        /// Its smallest number.
        first: u32,
        /// Its largest number.
        last: u32,
    },
    /// No day is ever like that.
    #[error("{0:?} is never due: no month that it names has such a day")]
    Never(String),
    /// The time zone is not known.
    #[error("{0:?} is no time zone: write a name of the IANA database, such as Europe/Berlin or UTC")]
    Zone(String),
}

/// What happens when a run has not ended at the next time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Concurrency {
    /// They run side by side.
    #[default]
    Allow,
    /// The next one waits for its end, as long as its time may be made up for.
    Forbid,
    /// It is cancelled.
    Replace,
}

/// A schedule that was read.
#[derive(Debug, Clone)]
pub struct Schedule {
    cron: Cron,
    zone: TimeZone,
}

impl Schedule {
    /// Reads an expression in a time zone.
    pub fn read(cron: &str, zone: &str) -> Result<Self, Error> {
        Ok(Self { cron: cron.parse()?, zone: read_zone(zone)? })
    }

    /// The first time after `after`; none when it is beyond what a calendar holds.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let mut date = after.to_zoned(self.zone.clone()).date();
        for _ in 0..HORIZON {
            if let Some(found) = self.times(date).into_iter().find(|time| *time > after) {
                return Some(found);
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    /// The last time at or before `until` and after `since`.
    pub fn latest(&self, since: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let mut date = until.to_zoned(self.zone.clone()).date();
        for _ in 0..HORIZON {
            if let Some(found) = self.times(date).into_iter().rev().find(|time| *time <= until) {
                return Some(found).filter(|found| *found > since);
            }
            date = date.yesterday().ok()?;
            let end = date.tomorrow().ok()?.to_zoned(self.zone.clone()).ok()?.timestamp();
            if end <= since {
                return None;
            }
        }
        None
    }

    /// The last time that has come, when a run for it may still begin: it is after `since` and not longer ago than `deadline`. Of
    /// several times that were missed only the last one is made up for.
    pub fn due(&self, since: Timestamp, deadline: Duration, now: Timestamp) -> Option<Timestamp> {
        let earliest = now.checked_sub(deadline).ok()?.checked_sub(Duration::from_nanos(1)).ok()?;
        self.latest(since.max(earliest), now)
    }

    /// All times of a day, in order.
    fn times(&self, date: Date) -> Vec<Timestamp> {
        if !self.cron.has_day(date) {
            return Vec::new();
        }
        let mut times: Vec<Timestamp> =
            self.cron.times_of_day().flat_map(|(hour, minute)| self.moments(date, hour, minute)).flatten().collect();
        times.sort_unstable();
        times.dedup();
        times
    }

    /// When clocks show this time on this day: usually once.
    fn moments(&self, date: Date, hour: i8, minute: i8) -> [Option<Timestamp>; 2] {
        let shown = self.zone.to_ambiguous_timestamp(date.at(hour, minute, 0, 0));
        match (shown.is_ambiguous(), self.cron.follows_the_clock()) {
            (false, _) => [shown.unambiguous().ok(), None],
            (true, true) => {
                // Shown twice; a time that is skipped is never shown.
                let twice = [shown.earlier().ok(), shown.later().ok()];
                twice.map(|moment| moment.filter(|moment| self.shows(*moment, hour, minute)))
            }
            (true, false) => {
                let Some(first) = shown.compatible().ok() else { return [None, None] };
                if self.shows(first, hour, minute) {
                    return [Some(first), None];
                }
                // Skipped: due when the clocks have jumped.
                let after = first.checked_add(Duration::from_secs(1)).unwrap_or(first);
                let jump = self.zone.preceding(after).next().map(|jump| jump.timestamp());
                [jump.or(Some(first)), None]
            }
        }
    }

    fn shows(&self, moment: Timestamp, hour: i8, minute: i8) -> bool {
        let clock = moment.to_zoned(self.zone.clone());
        (clock.hour(), clock.minute()) == (hour, minute)
    }
}

/// A time zone of the database that is built in, so that every process knows the same ones.
fn read_zone(name: &str) -> Result<TimeZone, Error> {
    let known = jiff::tz::TimeZoneDatabase::bundled();
    known.get(name).map_err(|_| Error::Zone(name.to_owned()))
}

/// Id of the run of a scheduled time: `<prefix>-s<time>`, so that it begins once.
pub fn run_of(prefix: &str, time: Timestamp) -> Option<RunId> {
    format!("{prefix}-s{}", time.strftime("%Y%m%dt%H%Mz")).parse().ok()
}

/// The scheduled time in the id of a run; none when no schedule with this prefix began it.
pub fn time_of(prefix: &str, run: &RunId) -> Option<Timestamp> {
    let stamp = run.as_str().strip_prefix(prefix)?.strip_prefix("-s")?;
    let time = jiff::civil::DateTime::strptime("%Y%m%dt%H%Mz", stamp).ok()?;
    TimeZone::UTC.to_timestamp(time).ok()
}
