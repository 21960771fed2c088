//! Tests of schedules: what is refused, when they are due, and the days on which clocks are moved.

use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn following(cron: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let schedule = Schedule::read(cron, zone).unwrap();
    let mut time = at(after);
    let mut found = Vec::new();
    while found.len() < count {
        time = schedule.next(time).unwrap();
        found.push(time.to_string());
    }
    found
}

#[rstest]
#[case::every_minute("* * * * *", &["2026-11-21T12:01:00Z", "2026-11-21T12:02:00Z"])]
#[case::steps("*/20 * * * *", &["2026-11-21T12:20:00Z", "2026-11-21T12:40:00Z", "2026-11-21T13:00:00Z"])]
#[case::offset_steps("5/25 13 * * *", &["2026-11-21T13:05:00Z", "2026-11-21T13:30:00Z", "2026-11-21T13:55:00Z"])]
#[case::workdays("0 6 * * 1-5", &["2026-11-23T06:00:00Z", "2026-11-24T06:00:00Z"])]
#[case::names("0 6 * dec MON", &["2026-12-07T06:00:00Z", "2026-12-14T06:00:00Z"])]
#[case::sunday_is_0_and_7("0 0 * * 7", &["2026-11-22T00:00:00Z", "2026-11-29T00:00:00Z"])]
#[case::one_of_two_days("0 0 1 * 0", &["2026-11-22T00:00:00Z", "2026-11-29T00:00:00Z", "2026-12-01T00:00:00Z"])]
#[case::lists("30 7,19 * * *", &["2026-11-21T19:30:00Z", "2026-11-22T07:30:00Z"])]
#[case::month_ends("0 0 31 * *", &["2026-12-31T00:00:00Z", "2027-01-31T00:00:00Z", "2027-03-31T00:00:00Z"])]
#[case::leap_years("0 0 29 2 *", &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"])]
#[case::word("@daily", &["2026-11-22T00:00:00Z"])]
fn times_follow_each_other(#[case] cron: &str, #[case] expected: &[&str]) {
    assert_eq!(following(cron, "UTC", "2026-11-21T12:00:00Z", expected.len()), expected);
}

#[rstest]
#[case::winter("2026-11-21T12:00:00Z", "2026-11-22T05:00:00Z")]
#[case::summer("2026-07-01T12:00:00Z", "2026-07-02T04:00:00Z")]
fn times_are_those_of_the_zone(#[case] after: &str, #[case] expected: &str) {
    assert_eq!(following("0 6 * * *", "Europe/Berlin", after, 1), [expected]);
}

// Berlin: 2026-03-29 02:00 -> 03:00 at 01:00Z; 2026-10-25 03:00 -> 02:00 at 01:00Z.
#[rstest]
#[case::a_skipped_time_is_due_when_the_clocks_have_jumped(
    "30 2 * * *", "2026-03-28T12:00:00Z", &["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
)]
#[case::several_skipped_times_are_due_once(
    "*/15 2 * * *", "2026-03-28T12:00:00Z", &["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"]
)]
#[case::a_repeated_time_is_due_the_first_time(
    "30 2 * * *", "2026-10-24T12:00:00Z", &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
)]
#[case::every_hour_follows_the_clock_where_one_is_skipped(
    "30 * * * *", "2026-03-29T00:00:00Z", &["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z", "2026-03-29T02:30:00Z"]
)]
#[case::every_hour_follows_the_clock_where_one_is_repeated(
    "30 * * * *", "2026-10-25T00:00:00Z", &["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"]
)]
fn on_days_when_clocks_are_moved(#[case] cron: &str, #[case] after: &str, #[case] expected: &[&str]) {
    assert_eq!(following(cron, "Europe/Berlin", after, expected.len()), expected);
}

#[rstest]
#[case::four_fields("0 6 * *", "UTC", "has not five fields: write minute, hour, day of month, month and day of week")]
#[case::seconds("0 0 6 * * *", "UTC", "has not five fields")]
#[case::word("@sometimes", "UTC", "is no known schedule: write @hourly")]
#[case::minute("60 * * * *", "UTC", "the minute \"60\" is not understood: write *, numbers from 0 to 59")]
#[case::hour("* 24 * * *", "UTC", "the hour \"24\"")]
#[case::day("* * 0 * *", "UTC", "the day of month \"0\"")]
#[case::month("* * * 13 *", "UTC", "the month \"13\"")]
#[case::weekday("* * * * 8", "UTC", "the day of week \"8\"")]
#[case::name("* * * * someday", "UTC", "the day of week \"someday\"")]
#[case::range("30-10 * * * *", "UTC", "the minute \"30-10\"")]
#[case::step("*/0 * * * *", "UTC", "the minute \"*/0\"")]
#[case::sign("+5 * * * *", "UTC", "the minute \"+5\"")]
#[case::empty(",5 * * * *", "UTC", "the minute \",5\"")]
#[case::never("0 0 30 2 *", "UTC", "is never due: no month that it names has such a day")]
#[case::zone(
    "0 0 * * *",
    "Europe/Atlantis",
    "is no time zone: write a name of the IANA database, such as Europe/Berlin"
)]
fn mistakes_are_told(#[case] cron: &str, #[case] zone: &str, #[case] expected: &str) {
    let told = Schedule::read(cron, zone).unwrap_err().to_string();
    assert!(told.contains(expected), "{told}");
}

#[test]
fn a_weekday_beside_a_day_that_never_is_keeps_a_schedule_alive() {
    assert!(Schedule::read("0 0 30 2 1", "UTC").is_ok());
}

#[rstest]
#[case::on_time("2026-11-21T06:00:00Z", Some("2026-11-21T06:00:00Z"))]
#[case::late("2026-11-21T06:09:00Z", Some("2026-11-21T06:09:00Z"))]
#[case::at_the_deadline("2026-11-21T06:10:00Z", Some("2026-11-21T06:10:00Z"))]
#[case::too_late("2026-11-21T06:10:01Z", None)]
fn a_time_is_made_up_for_within_its_deadline(#[case] now: &str, #[case] expected: Option<&str>) {
    let schedule = Schedule::read("0 6 * * *", "UTC").unwrap();
    let due = schedule.due(at("2026-11-01T00:00:00Z"), Duration::from_mins(10), at(now));
    assert_eq!(due.is_some(), expected.is_some());
    assert!(due.is_none_or(|due| due == at("2026-11-21T06:00:00Z")));
}

#[test]
fn of_missed_times_only_the_last_one_is_due_and_none_before_the_schedule_began() {
    let schedule = Schedule::read("*/10 * * * *", "UTC").unwrap();
    let due = |since, now| schedule.due(at(since), Duration::from_hours(24), at(now)).map(|due| due.to_string());
    assert_eq!(due("2026-11-21T00:00:00Z", "2026-11-21T12:35:00Z").as_deref(), Some("2026-11-21T12:30:00Z"));
    assert_eq!(due("2026-11-21T12:30:00Z", "2026-11-21T12:35:00Z"), None);
    let yearly = Schedule::read("@yearly", "UTC").unwrap();
    assert_eq!(yearly.latest(at("2026-02-01T00:00:00Z"), at("2026-11-21T00:00:00Z")), None);
}

#[test]
fn the_id_of_a_run_tells_its_time() {
    let time = at("2026-11-21T06:00:00Z");
    let run = run_of("audit-0a1b2", time).unwrap();
    assert_eq!(run.as_str(), "audit-0a1b2-s20261121t0600z");
    assert_eq!(time_of("audit-0a1b2", &run), Some(time));
    for other in ["audit-0a1b2-g1", "audit-0a1b2-ship", "audit-9z9z9-s20261121t0600z"] {
        assert_eq!(time_of("audit-0a1b2", &other.parse().unwrap()), None, "{other}");
    }
}

fn field(first: u32, last: u32) -> impl Strategy<Value = String> {
    let number = first..=last;
    prop_oneof![
        Just("*".to_owned()),
        number.clone().prop_map(|number| number.to_string()),
        (1..last).prop_map(|step| format!("*/{step}")),
        (number.clone(), number).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// The next time after any moment is the latest one at that time, and there is none in between.
    #[test]
    fn next_and_latest_agree(
        minute in field(0, 59), hour in field(0, 23), day in field(1, 28), weekday in field(0, 6),
        zone in prop_oneof![Just("UTC"), Just("Europe/Berlin"), Just("America/New_York"), Just("Australia/Lord_Howe")],
        start in 1_700_000_000_i64..1_900_000_000,
    ) {
        let schedule = Schedule::read(&format!("{minute} {hour} {day} * {weekday}"), zone).unwrap();
        let after = Timestamp::from_second(start).unwrap();
        let Some(next) = schedule.next(after) else { return Ok(()) };
        prop_assert!(next > after);
        prop_assert_eq!(schedule.latest(after, next), Some(next));
        prop_assert_eq!(schedule.latest(after, next.checked_sub(Duration::from_secs(1)).unwrap()), None);
    }

    #[test]
    fn nothing_that_is_read_makes_it_panic(text in ".{0,40}") {
        let _ = Schedule::read(&text, "UTC");
    }
}
