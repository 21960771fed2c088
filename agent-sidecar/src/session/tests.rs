//! Tables of the session.

use bytes::Bytes;
use jiff::Timestamp;
use tetrarch_core::priority::Class;

use super::{
    event::{Brief, Inspection, Loaded, Mark, Marked, NewMark, Probe, PullId},
    *,
};

pub(super) fn now(seconds: u64) -> Now {
    Now {
        steady: Duration::from_secs(seconds),
        wall: Timestamp::from_second(1_800_000_000).unwrap() + Duration::from_secs(seconds),
    }
}

pub(super) fn task(number: u64) -> TaskId {
    format!("audit-1/classify:{number}/1").parse().unwrap()
}

pub(super) fn delivery(key: u64, number: u64, deliveries: u64, idempotent: bool) -> Delivery {
    Delivery {
        key: Key(key),
        class: Class::Normal,
        task: task(number),
        deliveries,
        pending: 0,
        body: Ok(Brief { idempotent, timeout: Duration::from_mins(1), deadline: now(10_000).wall, large_input: false }),
    }
}

pub(super) fn ready(slots: u32) -> Session {
    let mut session = Session::new(Settings {
        agent: "pod-a".into(),
        slots,
        drain_timeout: Duration::from_secs(30),
        ack_wait: Duration::from_secs(30),
    });
    session.handle(Event::Bus(true), now(0));
    session.handle(Event::Probed(Probe::Well), now(0));
    assert!(session.is_ready());
    session
}

/// What it orders, without the pull requests and probes.
fn orders(session: &mut Session, event: Event, at: u64) -> Vec<Action> {
    let mut actions = session.handle(event, now(at));
    actions.retain(|action| !matches!(action, Action::Pull { .. } | Action::Probe));
    actions
}

fn deliver(session: &mut Session, delivery: Delivery) -> Vec<Action> {
    orders(session, Event::Delivered(delivery), 1)
}

fn call(key: u64) -> Vec<Action> {
    vec![Action::Call(Key(key), Duration::from_mins(1))]
}

fn untouched(key: u64) -> Vec<Action> {
    vec![Action::HandBack { key: Key(key), delay: Duration::ZERO, withdraw: None }]
}

fn output() -> Answer {
    Answer::Output(Bytes::from_static(b"1"))
}

fn standing(calls: u32, withdrawn: bool) -> Inspection {
    standing_of("pod-z", 7, calls, withdrawn)
}

fn standing_of(agent: &str, sequence: u64, calls: u32, withdrawn: bool) -> Inspection {
    let mark = Mark { sequence, agent: agent.into(), at: now(0).wall, calls, withdrawn };
    Inspection { ended: false, mark: Some(mark) }
}

/// A session that doubts whether the pod whose mark it found is still there.
fn doubting() -> Session {
    let mut session = ready(1);
    deliver(&mut session, delivery(1, 1, 2, false));
    assert_eq!(orders(&mut session, Event::Inspected(Key(1), Some(standing(1, false))), 1), []);
    assert_eq!(orders(&mut session, Event::Tick, 2), [Action::Inspect(Key(1))]);
    session
}

fn reported(actions: &[Action]) -> &Outcome {
    match actions {
        [Action::Report(_, report)] => &report.outcome,
        other => panic!("no report: {other:?}"),
    }
}

#[test]
fn the_plain_way_is_call_report_acknowledge() {
    let mut session = ready(1);
    assert_eq!(deliver(&mut session, delivery(1, 1, 1, true)), call(1));
    let actions = orders(&mut session, Event::Answered(Key(1), output()), 2);
    assert_eq!(reported(&actions), &Outcome::Succeeded(Bytes::from_static(b"1")));
    assert_eq!(orders(&mut session, Event::Reported(Key(1), true), 2), [Action::Ack(Key(1))]);
    assert_eq!(orders(&mut session, Event::Acked(Key(1), true), 2), []);
    assert!(!session.holds(Key(1)));
}

#[test]
fn nothing_is_pulled_before_bus_and_agent_are_there() {
    let settings =
        Settings { agent: "pod-a".into(), slots: 1, drain_timeout: Duration::ZERO, ack_wait: Duration::from_secs(30) };
    let mut session = Session::new(settings);
    assert_eq!(session.handle(Event::Tick, now(0)), [Action::Probe]);
    assert_eq!(session.handle(Event::Bus(true), now(0)), []);
    let actions = session.handle(Event::Probed(Probe::Well), now(0));
    assert!(matches!(actions[..], [Action::Pull { wait: false, .. }]), "{actions:?}");
}

#[test]
fn a_task_beyond_the_slots_goes_back_at_once() {
    let mut session = ready(1);
    deliver(&mut session, delivery(1, 1, 1, true));
    assert_eq!(deliver(&mut session, delivery(2, 2, 1, true)), untouched(2));
}

#[test]
fn a_task_that_ended_here_is_acknowledged_when_its_result_is_still_there() {
    let mut session = ready(1);
    deliver(&mut session, delivery(1, 1, 1, true));
    orders(&mut session, Event::Answered(Key(1), output()), 1);
    orders(&mut session, Event::Reported(Key(1), true), 1);
    for _ in 0..ACKS {
        orders(&mut session, Event::Acked(Key(1), false), 1);
    }
    assert!(!session.holds(Key(1)), "an acknowledgement is not repeated for ever");
    assert_eq!(deliver(&mut session, delivery(2, 1, 1, true)), [Action::Inspect(Key(2))]);
    let ended = Some(Inspection { ended: true, mark: None });
    assert_eq!(orders(&mut session, Event::Inspected(Key(2), ended), 1), [Action::Ack(Key(2))]);
}

#[test]
fn a_task_whose_result_the_bus_lost_is_not_acknowledged_as_if_it_were_there() {
    let mut session = ready(1);
    deliver(&mut session, delivery(1, 1, 1, true));
    orders(&mut session, Event::Answered(Key(1), output()), 1);
    orders(&mut session, Event::Reported(Key(1), true), 1);
    orders(&mut session, Event::Acked(Key(1), true), 1);
    assert_eq!(deliver(&mut session, delivery(2, 1, 1, true)), [Action::Inspect(Key(2))]);
    let lost = Some(Inspection { ended: false, mark: None });
    let actions = orders(&mut session, Event::Inspected(Key(2), lost), 1);
    assert!(matches!(actions[..], [Action::Call(Key(2), _)]), "{actions:?}");
}

#[test]
fn a_task_in_flight_that_comes_again_is_not_called_again() {
    let mut session = ready(2);
    deliver(&mut session, delivery(1, 1, 1, true));
    assert_eq!(deliver(&mut session, delivery(2, 1, 2, true)), [Action::Replace { old: Key(1), new: Key(2) }]);
    assert_eq!(session.in_flight(), 1);
}

#[test]
fn a_task_that_is_not_idempotent_is_marked_before_the_call() {
    let mut session = ready(1);
    let mark = NewMark { at: now(1).wall, calls: 1, withdrawn: false, after: 0 };
    assert_eq!(deliver(&mut session, delivery(1, 1, 1, false)), [Action::Mark(Key(1), mark)]);
    assert_eq!(orders(&mut session, Event::Marked(Key(1), Marked::Written(5)), 1), call(1));
}

#[test]
fn a_pod_that_is_not_heard_for_as_long_as_the_bus_waits_makes_its_task_unknown_without_a_call() {
    let mut session = doubting();
    for at in 3..31 {
        assert_eq!(orders(&mut session, Event::Inspected(Key(1), Some(standing(1, false))), at), [], "at {at}");
        let looked = orders(&mut session, Event::Tick, at + 1);
        assert!(looked.contains(&Action::Inspect(Key(1))), "at {at}: {looked:?}");
    }
    let actions = orders(&mut session, Event::Inspected(Key(1), Some(standing(1, false))), 31);
    let Outcome::Unknown(message) = reported(&actions) else { panic!("{actions:?}") };
    assert!(message.contains("pod-z"), "{message}");
}

#[test]
fn a_process_before_in_the_same_pod_is_not_waited_for() {
    let mut session = ready(1);
    deliver(&mut session, delivery(1, 1, 2, false));
    let ours = standing_of("pod-a", 7, 1, false);
    let actions = orders(&mut session, Event::Inspected(Key(1), Some(ours)), 1);
    assert!(matches!(reported(&actions), Outcome::Unknown(_)), "{actions:?}");
}

#[test]
fn a_task_that_was_given_to_two_pods_by_a_bus_that_was_away_is_finished_by_the_first() {
    let ended = Some(Inspection { ended: true, mark: None });
    assert_eq!(orders(&mut doubting(), Event::Inspected(Key(1), ended), 3), [Action::Ack(Key(1))]);
    let renewed = standing_of("pod-z", 8, 1, false);
    assert_eq!(orders(&mut doubting(), Event::Inspected(Key(1), Some(renewed)), 3), [Action::Forget(Key(1))]);
    assert_eq!(orders(&mut doubting(), Event::Inspected(Key(1), Some(standing(0, true))), 3), untouched(1));
}

#[test]
fn a_pod_that_finds_the_bus_again_shows_that_it_still_works() {
    let mut session = ready(1);
    deliver(&mut session, delivery(1, 1, 1, false));
    orders(&mut session, Event::Marked(Key(1), Marked::Written(5)), 1);
    orders(&mut session, Event::Bus(false), 2);
    let renewed = NewMark { at: now(3).wall, calls: 1, withdrawn: false, after: 5 };
    assert_eq!(orders(&mut session, Event::Bus(true), 3), [Action::Extend(Key(1)), Action::Mark(Key(1), renewed)]);
    assert_eq!(orders(&mut session, Event::Marked(Key(1), Marked::Written(9)), 3), []);
    // The next sign stands after that one.
    let actions = orders(&mut session, Event::Bus(true), 4);
    assert!(matches!(actions[..], [_, Action::Mark(_, NewMark { after: 9, .. })]), "{actions:?}");
}

#[test]
fn a_withdrawn_mark_is_followed_by_a_new_one() {
    let mut session = ready(1);
    deliver(&mut session, delivery(1, 1, 2, false));
    let actions = orders(&mut session, Event::Inspected(Key(1), Some(standing(0, true))), 1);
    let mark = NewMark { at: now(1).wall, calls: 1, withdrawn: false, after: 7 };
    assert_eq!(actions, [Action::Mark(Key(1), mark)]);
}

#[test]
fn a_redelivered_task_that_ended_elsewhere_is_acknowledged() {
    let mut session = ready(1);
    deliver(&mut session, delivery(1, 1, 2, true));
    let ended = Some(Inspection { ended: true, mark: None });
    assert_eq!(orders(&mut session, Event::Inspected(Key(1), ended), 1), [Action::Ack(Key(1))]);
}

#[test]
fn deliveries_without_calls_never_make_a_dead_letter_but_five_calls_do() {
    let mut session = ready(3);
    deliver(&mut session, delivery(1, 1, 90, true));
    let actions = orders(&mut session, Event::Inspected(Key(1), Some(standing(2, true))), 1);
    assert!(matches!(actions[..], [Action::Mark(..)]), "{actions:?}");
    deliver(&mut session, delivery(2, 2, 5, true));
    let actions = orders(&mut session, Event::Inspected(Key(2), Some(standing(3, false))), 1);
    assert!(matches!(actions[..], [Action::Mark(_, NewMark { calls: 4, .. })]), "{actions:?}");
    deliver(&mut session, delivery(3, 3, 6, true));
    let actions = orders(&mut session, Event::Inspected(Key(3), Some(standing(4, false))), 1);
    assert!(matches!(reported(&actions), Outcome::Failed(FailureReason::DeadLettered, _)));
}

#[test]
fn a_mark_whose_write_was_not_confirmed_is_looked_up_and_recognised() {
    let mut session = ready(1);
    deliver(&mut session, delivery(1, 1, 1, false));
    assert_eq!(orders(&mut session, Event::Marked(Key(1), Marked::Unclear), 1), []);
    assert_eq!(orders(&mut session, Event::Tick, 2), [Action::Inspect(Key(1))]);
    let ours = Mark { sequence: 9, agent: "pod-a".into(), at: now(1).wall, calls: 1, withdrawn: false };
    let inspection = Some(Inspection { ended: false, mark: Some(ours) });
    assert_eq!(orders(&mut session, Event::Inspected(Key(1), inspection), 2), call(1));
}

#[test]
fn a_task_that_somebody_else_took_over_meanwhile_is_left_to_them() {
    let mut session = ready(1);
    deliver(&mut session, delivery(1, 1, 1, false));
    assert_eq!(orders(&mut session, Event::Marked(Key(1), Marked::Taken), 1), [Action::Inspect(Key(1))]);
    let actions = orders(&mut session, Event::Inspected(Key(1), Some(standing(1, false))), 1);
    assert_eq!(actions, [Action::Forget(Key(1))]);
}

#[test]
fn not_now_takes_the_mark_back_and_stops_pulling_for_the_time_asked() {
    let mut session = ready(1);
    deliver(&mut session, delivery(1, 1, 1, false));
    orders(&mut session, Event::Marked(Key(1), Marked::Written(5)), 1);
    let actions = session.handle(Event::Answered(Key(1), Answer::Busy(Duration::from_secs(4))), now(2));
    let withdraw = Some(NewMark { at: now(2).wall, calls: 0, withdrawn: true, after: 5 });
    assert_eq!(actions, [Action::HandBack { key: Key(1), delay: Duration::from_secs(4), withdraw }]);
    assert!(!session.handle(Event::Tick, now(5)).iter().any(|action| matches!(action, Action::Pull { .. })));
    assert!(session.handle(Event::Tick, now(6)).iter().any(|action| matches!(action, Action::Pull { .. })));
}

#[test]
fn an_input_that_must_be_loaded_is_loaded_before_the_mark() {
    let mut session = ready(1);
    let mut large = delivery(1, 1, 1, false);
    large.body.as_mut().unwrap().large_input = true;
    assert_eq!(deliver(&mut session, large), [Action::Load(Key(1))]);
    assert_eq!(orders(&mut session, Event::Loaded(Key(1), Loaded::Unavailable), 1), []);
    assert_eq!(orders(&mut session, Event::Tick, 2), [Action::Load(Key(1))]);
    let actions = orders(&mut session, Event::Loaded(Key(1), Loaded::Here), 2);
    assert!(matches!(actions[..], [Action::Mark(..)]), "{actions:?}");
}

#[test]
fn the_call_ends_with_the_run() {
    let mut session = ready(1);
    let mut last = delivery(1, 1, 1, true);
    last.body.as_mut().unwrap().deadline = now(4).wall;
    assert_eq!(deliver(&mut session, last), [Action::Call(Key(1), Duration::from_secs(3))]);
}

#[test]
fn a_task_is_extended_every_third_of_the_acknowledgement_time_and_when_the_bus_is_back() {
    let mut session = ready(1);
    deliver(&mut session, delivery(1, 1, 1, true));
    assert_eq!(orders(&mut session, Event::Tick, 10), []);
    assert_eq!(orders(&mut session, Event::Tick, 11), [Action::Extend(Key(1))]);
    assert_eq!(orders(&mut session, Event::Bus(false), 12), []);
    assert_eq!(orders(&mut session, Event::Bus(true), 13), [Action::Extend(Key(1))]);
}

#[test]
fn a_result_is_written_until_the_bus_confirms_it() {
    let mut session = ready(1);
    deliver(&mut session, delivery(1, 1, 1, true));
    let first = orders(&mut session, Event::Answered(Key(1), output()), 2);
    assert_eq!(orders(&mut session, Event::Reported(Key(1), false), 2), []);
    assert_eq!(orders(&mut session, Event::Tick, 3), first);
}

#[test]
fn a_drain_hands_back_what_is_untouched_and_waits_for_what_runs() {
    let mut session = ready(3);
    deliver(&mut session, delivery(1, 1, 1, true));
    deliver(&mut session, delivery(2, 2, 2, true));
    deliver(&mut session, delivery(3, 3, 1, false));
    let actions = orders(&mut session, Event::Drain { exit: true }, 2);
    assert_eq!(actions, [vec![Action::StopPulling], untouched(2)].concat());
    assert!(!session.is_ready());
    // The mark that was under way is taken back instead of used.
    let actions = orders(&mut session, Event::Marked(Key(3), Marked::Written(8)), 2);
    let withdraw = Some(NewMark { at: now(2).wall, calls: 0, withdrawn: true, after: 8 });
    assert_eq!(actions, [Action::HandBack { key: Key(3), delay: Duration::ZERO, withdraw }]);
    assert_eq!(deliver(&mut session, delivery(4, 4, 1, true)), untouched(4));
    orders(&mut session, Event::Answered(Key(1), output()), 3);
    orders(&mut session, Event::Reported(Key(1), true), 3);
    assert_eq!(orders(&mut session, Event::Acked(Key(1), true), 3), [Action::Exit]);
}

#[test]
fn a_drain_of_the_hook_alone_does_not_end_the_process() {
    let mut session = ready(1);
    assert_eq!(orders(&mut session, Event::Drain { exit: false }, 1), [Action::StopPulling]);
    assert!(session.is_drained());
    assert_eq!(orders(&mut session, Event::Drain { exit: true }, 2), [Action::Exit]);
}

#[test]
fn a_session_that_cannot_reach_the_bus_any_more_ends_all_the_same() {
    let mut session = ready(1);
    deliver(&mut session, delivery(1, 1, 1, true));
    orders(&mut session, Event::Answered(Key(1), output()), 1);
    orders(&mut session, Event::Bus(false), 1);
    orders(&mut session, Event::Drain { exit: true }, 1);
    assert!(!orders(&mut session, Event::Tick, 31).contains(&Action::Exit));
    assert!(orders(&mut session, Event::Tick, 41).contains(&Action::Exit));
}

#[test]
fn an_envelope_of_a_later_version_waits_for_a_newer_sidecar() {
    let mut session = ready(1);
    let mut newer = delivery(1, 1, 1, true);
    newer.body = Err(Unreadable::TooNew(9));
    assert_eq!(deliver(&mut session, newer), [Action::HandBack { key: Key(1), delay: TOO_NEW, withdraw: None }]);
}

#[test]
fn an_unreachable_agent_gets_no_more_tasks_until_it_is_well_again() {
    let mut session = ready(2);
    deliver(&mut session, delivery(1, 1, 1, true));
    orders(&mut session, Event::Answered(Key(1), Answer::NotConnected("refused".into())), 1);
    assert!(!session.is_ready());
    assert_eq!(deliver(&mut session, delivery(2, 2, 1, true)), untouched(2));
    session.handle(Event::Probed(Probe::Well), now(2));
    assert_eq!(deliver(&mut session, delivery(3, 3, 1, true)), call(3));
}

#[test]
fn a_late_answer_of_an_aborted_call_changes_nothing() {
    let mut session = ready(1);
    deliver(&mut session, delivery(1, 1, 1, true));
    orders(&mut session, Event::Drain { exit: false }, 1);
    let mut actions = orders(&mut session, Event::Tick, 31);
    actions.retain(|action| !matches!(action, Action::Extend(_)));
    assert_eq!(actions, [vec![Action::Abort(Key(1))], untouched(1)].concat());
    assert_eq!(orders(&mut session, Event::Answered(Key(1), output()), 31), []);
    session.handle(Event::PullHeard(PullId { class: Class::Low, number: 99 }), now(31));
}
