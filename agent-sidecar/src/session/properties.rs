//! Properties of the session under any order of events, with a world that answers every order in some way.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::{
    event::{Inspection, Loaded, Mark, Marked, Probe},
    tests::{delivery, now, ready},
    *,
};

/// One move of the world.
#[derive(Clone, Debug)]
enum Move {
    /// A task comes, for the n-th time.
    Deliver { number: u64, deliveries: u64, idempotent: bool, large: bool },
    /// The oldest open order is answered, in the n-th way.
    Answer { which: usize, way: u8 },
    /// The bus goes or comes.
    Bus(bool),
    /// The agent is well or not.
    Probe(bool),
    /// Time passes.
    Wait(u64),
    /// The pod is to stop.
    Drain,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        6 => (0..12_u64, 1..8_u64, any::<bool>(), any::<bool>())
            .prop_map(|(number, deliveries, idempotent, large)| Move::Deliver { number, deliveries, idempotent, large }),
        12 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(which, way)| Move::Answer { which: which.index(1000), way }),
        1 => any::<bool>().prop_map(Move::Bus),
        1 => any::<bool>().prop_map(Move::Probe),
        3 => (0..20_u64).prop_map(Move::Wait),
    ];
    (prop::collection::vec(one.clone(), 1..120), prop::collection::vec(one, 0..40)).prop_map(|(mut before, after)| {
        before.push(Move::Drain);
        before.extend(after);
        before
    })
}

/// How far each delivery got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Open,
    Reported,
    Ended,
}

struct World {
    session: Session,
    slots: usize,
    seconds: u64,
    next: u64,
    open: Vec<Action>,
    calling: BTreeMap<Key, bool>,
    fates: BTreeMap<Key, Fate>,
    idempotent: BTreeMap<u64, bool>,
    draining: bool,
}

impl World {
    fn new(slots: u32) -> Self {
        Self {
            session: ready(slots),
            slots: slots as usize,
            seconds: 1,
            next: 1,
            open: Vec::new(),
            calling: BTreeMap::new(),
            fates: BTreeMap::new(),
            idempotent: BTreeMap::new(),
            draining: false,
        }
    }

    fn play(&mut self, step: &Move) {
        match step {
            Move::Deliver { number, deliveries, idempotent, large } => {
                let key = self.next;
                self.next += 1;
                // Whether a task is idempotent never changes between its deliveries.
                let idempotent = *self.idempotent.entry(*number).or_insert(*idempotent);
                let mut delivery = delivery(key, *number, *deliveries, idempotent);
                delivery.body.as_mut().unwrap().large_input = *large;
                self.fates.insert(Key(key), Fate::Open);
                self.hear(Event::Delivered(delivery));
            }
            Move::Answer { which, way } => {
                if !self.open.is_empty() {
                    let order = self.open.remove(which % self.open.len());
                    self.answer(&order, *way);
                }
            }
            Move::Bus(up) => self.hear(Event::Bus(*up)),
            Move::Probe(well) => self.hear(Event::Probed(if *well { Probe::Well } else { Probe::Failing })),
            Move::Wait(seconds) => {
                self.seconds += seconds;
                self.hear(Event::Tick);
            }
            Move::Drain => {
                self.draining = true;
                self.hear(Event::Drain { exit: false });
            }
        }
    }

    fn answer(&mut self, order: &Action, way: u8) {
        let event = match order {
            Action::Inspect(key) => {
                let mark = |calls, withdrawn| {
                    let sequence = 3 + u64::from(way / 128);
                    Some(Mark { sequence, agent: "pod-z".into(), at: now(0).wall, calls, withdrawn })
                };
                let known = |ended, mark| Some(Inspection { ended, mark });
                Event::Inspected(
                    *key,
                    match way % 6 {
                        0 => None,
                        1 => known(true, None),
                        2 => known(false, mark(1, false)),
                        3 => known(false, mark(1, true)),
                        4 => known(false, mark(4, false)),
                        _ => known(false, None),
                    },
                )
            }
            Action::Load(key) => Event::Loaded(
                *key,
                match way % 4 {
                    0 => Loaded::Unavailable,
                    1 => Loaded::Missing("gone".into()),
                    _ => Loaded::Here,
                },
            ),
            Action::Mark(key, _) => Event::Marked(
                *key,
                match way % 4 {
                    0 => Marked::Unclear,
                    1 => Marked::Taken,
                    _ => Marked::Written(4),
                },
            ),
            Action::Call(key, _) => {
                self.calling.remove(key);
                Event::Answered(
                    *key,
                    match way % 5 {
                        0 => Answer::Busy(Duration::from_secs(1)),
                        1 => Answer::TimedOut(Duration::from_secs(1)),
                        2 => Answer::ConnectionLost("reset".into()),
                        _ => Answer::Output(Bytes::from_static(b"1")),
                    },
                )
            }
            Action::Report(key, _) => Event::Reported(*key, !way.is_multiple_of(4)),
            Action::Ack(key) => Event::Acked(*key, !way.is_multiple_of(4)),
            other => panic!("{other:?} needs no answer"),
        };
        self.hear(event);
    }

    fn hear(&mut self, event: Event) {
        let written = if let Event::Reported(key, true) = &event { Some(*key) } else { None };
        if let Some(key) = written {
            assert_eq!(self.fates.insert(key, Fate::Reported), Some(Fate::Open), "{key:?} was reported twice");
        }
        for action in self.session.handle(event, now(self.seconds)) {
            self.observe(action);
        }
        assert!(self.calling.len() <= self.slots, "{} calls for {} slots", self.calling.len(), self.slots);
    }

    fn observe(&mut self, action: Action) {
        match &action {
            Action::Call(key, _) => {
                assert!(!self.draining, "a call starts while draining");
                assert_eq!(self.fates[key], Fate::Open);
                assert!(self.calling.insert(*key, true).is_none());
            }
            Action::Abort(key) => {
                self.calling.remove(key);
                self.open.retain(|order| !matches!(order, Action::Call(called, _) if called == key));
                return;
            }
            Action::HandBack { key, .. } | Action::Forget(key) => {
                assert_eq!(self.fates.insert(*key, Fate::Ended), Some(Fate::Open), "{key:?} ended twice");
                assert!(!self.calling.contains_key(key), "{key:?} was handed back while its call runs");
                self.open.retain(|order| key_of(order) != Some(*key));
                return;
            }
            Action::Replace { new, .. } => {
                assert_eq!(self.fates.insert(*new, Fate::Ended), Some(Fate::Open));
                return;
            }
            Action::Ack(key) => {
                // After its result, or because it ended before: never with a call of its own running.
                assert!(!self.calling.contains_key(key));
                if self.fates[key] != Fate::Ended || !self.session.holds(*key) {
                    self.fates.insert(*key, Fate::Ended);
                }
            }
            Action::Pull { .. } => {
                assert!(!self.draining, "tasks are pulled while draining");
                return;
            }
            Action::Extend(_) | Action::Probe | Action::StopPulling | Action::Exit => return,
            Action::Inspect(_) | Action::Load(_) | Action::Mark(..) | Action::Report(..) => {}
        }
        self.open.push(action);
    }

    /// Answers everything well until nothing is open.
    fn settle(&mut self) {
        for _ in 0..400 {
            if self.open.is_empty() && self.session.is_drained() {
                return;
            }
            if let Some(order) = self.open.pop() {
                self.answer(&order, 5);
            } else {
                self.seconds += 1;
                self.hear(Event::Tick);
            }
        }
    }
}

fn key_of(action: &Action) -> Option<Key> {
    match action {
        Action::Inspect(key)
        | Action::Load(key)
        | Action::Mark(key, _)
        | Action::Call(key, _)
        | Action::Report(key, _)
        | Action::Ack(key) => Some(*key),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn every_delivery_ends_exactly_once_and_no_call_is_one_too_many(moves in moves(), slots in 1_u32..5) {
        let mut world = World::new(slots);
        for step in &moves {
            world.play(step);
        }
        world.settle();
        prop_assert!(world.session.is_drained(), "{:?}", world.session);
        let unfinished: Vec<_> = world.fates.iter().filter(|(_, fate)| **fate != Fate::Ended).collect();
        prop_assert!(unfinished.is_empty(), "{unfinished:?}");
    }

    #[test]
    fn there_is_always_a_next_look_while_something_is_held(moves in moves()) {
        let mut world = World::new(2);
        for step in &moves {
            world.play(step);
            let wake = world.session.wake(now(world.seconds).steady);
            prop_assert!(wake.is_none_or(|at| at > now(world.seconds).steady));
            let held = world.fates.keys().any(|key| world.session.holds(*key));
            prop_assert!(!held || wake.is_some());
        }
    }
}
