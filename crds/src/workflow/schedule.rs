//! When runs of a Workflow begin by themselves.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::shared::DurationText;

/// Times at which runs begin, like those of a `CronJob`. The Supervisor keeps them, also while the API server or the operator is down; each time begins at most one
/// run. Times before the schedule was written, changed or resumed are not made up for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// Minute, hour, day of month, month and day of week as in `crontab`, such as `0 6 * * 1-5`; or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
    #[schemars(length(min = 1, max = 256), extend("x-kubernetes-validations" = [
        {"rule": r"self.matches('^\\s*(@[a-zA-Z]+|\\S+(\\s+\\S+){4})\\s*$')",
         "message": "a schedule has five fields: write minute, hour, day of month, month and day of week, such as 0 6 * * 1-5, or @daily"}
    ]))]
    pub cron: String,
    /// Time zone that the times are read in, by its name in the IANA database, such as `Europe/Berlin`. A time of day that the clocks skip is due when they have
    /// jumped, one that they show twice the first time; with an hour that begins with `*` the times follow the clock. Default UTC.
    #[serde(default = "default_time_zone")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: String,
    /// What happens when a run that the schedule began has not ended at the next time: `Allow` (they run side by side), `Forbid` (the next one waits for its end,
    /// at most as long as `startingDeadline`), `Replace` (it is cancelled). Default Allow.
    #[serde(default)]
    pub concurrency: ConcurrencyPolicy,
    /// How much later than at its time a run may begin; after that the time is missed. Of several times that were missed only the last one is made up for. Default 10m.
    #[serde(default = "default_starting_deadline")]
    pub starting_deadline: DurationText,
    /// Whether no further runs begin; those that have begun go on. Default false.
    #[serde(default)]
    pub suspend: bool,
}

/// What happens when a run that the schedule began has not ended at the next time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConcurrencyPolicy {
    /// They run side by side.
    #[default]
    Allow,
    /// The next one waits for the end of the one before, at most as long as `startingDeadline`.
    Forbid,
    /// The one before is cancelled.
    Replace,
}

/// What is known of a schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleStatus {
    /// The expression that this was computed from.
    pub cron: String,
    /// Its time zone.
    pub time_zone: String,
    /// Times up to this one begin no run; none while the schedule is suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// The last time for which a run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_time: Option<Time>,
    /// The next time; none while the schedule is suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_time: Option<Time>,
}

fn default_time_zone() -> String {
    "UTC".to_owned()
}

fn default_starting_deadline() -> DurationText {
    "10m".into()
}
