//! The rotation, simulated second by second: what is served is trusted by everybody at each moment.

use std::collections::BTreeSet;

use rstest::rstest;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

fn lifetimes(certificate: u64, authority: u64) -> Lifetimes {
    Lifetimes::new(Duration::from_secs(certificate), Duration::from_secs(authority)).unwrap()
}

/// What steps do, with authorities as numbers.
#[derive(Default)]
struct Cluster {
    made: u32,
    current: Option<(u32, Validity)>,
    next: Option<(u32, Next)>,
    retired: BTreeSet<u32>,
    retired_until: Option<Timestamp>,
    certificate: Option<(u32, Validity)>,
    /// What API servers trust.
    bundle: BTreeSet<u32>,
    /// What slow API servers still trust, and since when the bundle is another.
    before: (BTreeSet<u32>, Option<Timestamp>),
}

impl Cluster {
    fn wanted(&self) -> BTreeSet<u32> {
        let live = self.current.map(|(id, _)| id).into_iter().chain(self.next.map(|(id, _)| id));
        live.chain(self.retired.iter().copied()).collect()
    }

    fn state(&self) -> State {
        State {
            current: self.current.map(|(_, validity)| validity),
            next: self.next.map(|(_, next)| next),
            retired_until: self.retired_until,
            certificate: self.certificate.map(|(_, validity)| validity),
            signed_by_current: self.certificate.map(|(by, _)| by) == self.current.map(|(id, _)| id),
        }
    }

    fn publish(&mut self, now: Timestamp) {
        let wanted = self.wanted();
        if wanted != self.bundle {
            self.before = (std::mem::replace(&mut self.bundle, wanted), Some(now));
        }
    }

    fn enact(&mut self, step: Step, now: Timestamp) {
        match step {
            Step::MakeAuthority(validity) => {
                self.made += 1;
                self.next = Some((self.made, Next { validity, published: None }));
            }
            Step::NotePublished => self.next = self.next.map(|(id, next)| (id, Next { published: Some(now), ..next })),
            Step::Promote { retired_until, certificate } => {
                let (id, next) = self.next.take().unwrap();
                self.retired.extend(self.current.map(|(id, _)| id));
                self.retired_until = retired_until;
                self.current = Some((id, next.validity));
                self.certificate = Some((id, certificate));
            }
            Step::Sign(validity) => self.certificate = self.current.map(|(id, _)| (id, validity)),
            Step::DropRetired => {
                self.retired.clear();
                self.retired_until = None;
            }
        }
    }

    /// All that there is to do at one moment.
    fn settle(&mut self, now: Timestamp, lifetimes: &Lifetimes) -> Vec<Step> {
        let mut done = Vec::new();
        for _ in 0..8 {
            self.publish(now);
            let Some(step) = next_step(&self.state(), now, lifetimes, true) else { return done };
            self.enact(step, now);
            done.push(step);
        }
        panic!("never done: {done:?}");
    }
}

#[rstest]
#[case::minutes(60, 600, 1, 4_000)]
#[case::seconds(12, 36, 1, 1_000)]
#[case::looked_at_seldom(600, 1_800, 60, 40_000)]
fn what_is_served_is_valid_and_trusted_by_quick_and_slow_api_servers_at_each_moment(
    #[case] certificate: u64,
    #[case] authority: u64,
    #[case] every: usize,
    #[case] until: i64,
) {
    let lifetimes = lifetimes(certificate, authority);
    let settling = SignedDuration::try_from(lifetimes.settling()).unwrap();
    let mut cluster = Cluster::default();
    let mut served = BTreeSet::new();
    let mut largest = 0;
    for second in 0..until {
        let now = at(second);
        if usize::try_from(second).unwrap().is_multiple_of(every) {
            cluster.settle(now, &lifetimes);
        }
        let (by, validity) = cluster.certificate.expect("a certificate from the first look on");
        assert!(now < validity.until, "second {second}: served after its end");
        assert!(cluster.bundle.contains(&by), "second {second}: signed by {by}, trusted {:?}", cluster.bundle);
        let (before, since) = &cluster.before;
        let slow = since.is_some_and(|since| now.duration_since(since) < settling) && by != 1;
        assert!(!slow || before.contains(&by), "second {second}: a slow API server trusts only {before:?}, not {by}");
        served.insert(by);
        largest = largest.max(cluster.bundle.len());
    }
    assert!(served.len() > 3, "several authorities came and went: {served:?}");
    assert!(largest <= 3, "authorities leave again: {largest}");
    assert_eq!(served.len(), usize::try_from(cluster.made).unwrap() - usize::from(cluster.next.is_some()));
}

#[test]
fn a_first_certificate_does_not_wait_but_its_authority_is_published_before() {
    let mut cluster = Cluster::default();
    let lifetimes = lifetimes(90, 900);
    let unpublished = next_step(&cluster.state(), at(0), &lifetimes, false).unwrap();
    assert!(matches!(unpublished, Step::MakeAuthority(_)));
    cluster.enact(unpublished, at(0));
    assert_eq!(next_step(&cluster.state(), at(1), &lifetimes, false), None, "not trusted, so nothing is signed");
    let done = cluster.settle(at(2), &lifetimes);
    assert!(matches!(done.as_slice(), [Step::NotePublished, Step::Promote { retired_until: None, .. }]), "{done:?}");
}

#[test]
fn an_authority_that_cannot_be_published_never_signs_and_the_current_one_goes_on() {
    let lifetimes = lifetimes(60, 600);
    let mut cluster = Cluster::default();
    cluster.settle(at(0), &lifetimes);
    for second in (0..590).step_by(5) {
        if let Some(step) = next_step(&cluster.state(), at(second), &lifetimes, false) {
            assert!(matches!(step, Step::Sign(_) | Step::MakeAuthority(_)), "{step:?}");
            cluster.enact(step, at(second));
        }
        assert_eq!(cluster.certificate.unwrap().0, 1);
    }
    assert!(cluster.next.is_some());
    assert!(cluster.certificate.unwrap().1.until <= cluster.current.unwrap().1.until, "never outlives its authority");
}

#[test]
fn a_leader_that_was_away_for_years_starts_over() {
    let lifetimes = lifetimes(60, 600);
    let mut cluster = Cluster::default();
    cluster.settle(at(0), &lifetimes);
    let done = cluster.settle(at(10_000), &lifetimes);
    assert!(
        matches!(
            done.as_slice(),
            [Step::MakeAuthority(_), Step::NotePublished, Step::Promote { retired_until: None, .. }]
        ),
        "{done:?}"
    );
}

#[test]
fn a_certificate_of_another_authority_or_of_a_longer_life_than_wanted_is_replaced() {
    let wanted = lifetimes(60, 600);
    let life = |seconds| Validity::starting(at(0), Duration::from_secs(seconds), None);
    let good =
        State { current: Some(life(600)), certificate: Some(life(60)), signed_by_current: true, ..State::default() };
    assert_eq!(next_step(&good, at(39), &wanted, true), None);
    assert!(matches!(next_step(&good, at(40), &wanted, true), Some(Step::Sign(_))));
    let foreign = State { signed_by_current: false, ..good };
    assert!(matches!(next_step(&foreign, at(1), &wanted, true), Some(Step::Sign(_))));
    let long = State { certificate: Some(life(500)), ..good };
    assert_eq!(next_step(&long, at(39), &wanted, true), None);
    assert!(matches!(next_step(&long, at(40), &wanted, true), Some(Step::Sign(_))));
}

#[rstest]
#[case(0, 10, "at least 1s")]
#[case(60, 179, "at least three times")]
#[case(60, 4_000_000_000, "at most 876000h")]
fn lifetimes_that_cannot_work_are_refused(#[case] certificate: u64, #[case] authority: u64, #[case] expected: &str) {
    let error = Lifetimes::new(Duration::from_secs(certificate), Duration::from_secs(authority)).unwrap_err();
    assert!(error.to_string().contains(expected), "{error}");
}
