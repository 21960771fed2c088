//! The election with a lease in memory and a clock of the test.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use jiff::Timestamp;
use rstest::rstest;

use super::*;

#[derive(Clone, Default)]
struct Memory {
    record: Arc<Mutex<Option<Record>>>,
    unreachable: Arc<AtomicBool>,
}

impl LeaseStore for Memory {
    async fn read(&self) -> Result<Option<Record>, store::Error> {
        if self.unreachable.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        Ok(self.record.lock().unwrap().clone())
    }

    async fn write(&self, record: &Record) -> Result<(), store::Error> {
        let mut stored = self.record.lock().unwrap();
        if stored.as_ref().and_then(|old| old.version.clone()) != record.version {
            return Err(store::Error::Conflict);
        }
        let version = record.version.as_ref().map_or(1, |v| v.parse::<u64>().unwrap() + 1);
        *stored = Some(Record { version: Some(version.to_string()), ..record.clone() });
        Ok(())
    }
}

struct Replica {
    leading: watch::Receiver<bool>,
    cancel: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    store: Memory,
}

impl Replica {
    fn start(record: &Memory, name: &str) -> Self {
        let (sender, leading) = watch::channel(false);
        let cancel = CancellationToken::new();
        let store = Memory { record: record.record.clone(), unreachable: Arc::default() };
        let clock = Clock::from_fn(|| Timestamp::UNIX_EPOCH);
        let task = tokio::spawn(run(store.clone(), name.to_owned(), Timing::DEFAULT, clock, sender, cancel.clone()));
        Self { leading, cancel, task, store }
    }

    async fn leads(&mut self) -> bool {
        timeout(Duration::from_mins(1), self.leading.wait_for(|leads| *leads)).await.is_ok()
    }
}

#[tokio::test(start_paused = true)]
async fn one_of_two_replicas_leads_and_the_other_waits() {
    let lease = Memory::default();
    let mut a = Replica::start(&lease, "a");
    assert!(a.leads().await);
    let mut b = Replica::start(&lease, "b");
    assert!(!b.leads().await);
    assert!(*a.leading.borrow());
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_shuts_down_hands_over_at_once() {
    let lease = Memory::default();
    let mut a = Replica::start(&lease, "a");
    assert!(a.leads().await);
    let mut b = Replica::start(&lease, "b");
    sleep(Duration::from_secs(5)).await;
    a.cancel.cancel();
    a.task.await.unwrap();
    let before = Instant::now();
    assert!(b.leads().await);
    assert!(before.elapsed() <= Timing::DEFAULT.retry);
}

#[tokio::test(start_paused = true)]
async fn a_replica_cut_off_gives_up_before_the_other_takes_over() {
    let lease = Memory::default();
    let mut a = Replica::start(&lease, "a");
    assert!(a.leads().await);
    let mut b = Replica::start(&lease, "b");
    sleep(Duration::from_secs(5)).await;
    a.store.unreachable.store(true, Ordering::Relaxed);
    let cut = Instant::now();
    timeout(Duration::from_mins(1), a.leading.wait_for(|leads| !*leads)).await.unwrap().unwrap();
    let gave_up = cut.elapsed();
    assert!(b.leads().await);
    assert!(gave_up < cut.elapsed(), "two leaders at once");
    assert!(cut.elapsed() <= Timing::DEFAULT.duration + 2 * Timing::DEFAULT.retry);
}

#[tokio::test(start_paused = true)]
async fn a_replica_whose_lease_was_taken_stops_leading() {
    let lease = Memory::default();
    let mut a = Replica::start(&lease, "a");
    assert!(a.leads().await);
    let taken = Record { holder: Some("b".to_owned()), ..lease.record.lock().unwrap().clone().unwrap() };
    *lease.record.lock().unwrap() = Some(taken);
    let lost = timeout(Timing::DEFAULT.retry * 2, a.leading.wait_for(|leads| !*leads)).await;
    assert!(lost.is_ok());
}

fn held_by(holder: Option<&str>) -> Record {
    Record { holder: holder.map(ToOwned::to_owned), duration: Duration::from_secs(15), ..Record::default() }
}

#[rstest]
#[case::no_lease(None, 0, Step::Write)]
#[case::released(Some(held_by(None)), 0, Step::Write)]
#[case::empty_holder(Some(held_by(Some(""))), 0, Step::Write)]
#[case::mine(Some(held_by(Some("me"))), 0, Step::Write)]
#[case::fresh(Some(held_by(Some("other"))), 14, Step::Wait)]
#[case::at_its_end(Some(held_by(Some("other"))), 15, Step::Wait)]
#[case::expired(Some(held_by(Some("other"))), 16, Step::Write)]
fn who_may_write(#[case] record: Option<Record>, #[case] unchanged: u64, #[case] step: Step) {
    assert_eq!(lease::decide(record.as_ref(), "me", Duration::from_secs(unchanged)), step);
}
