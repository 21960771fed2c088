//! Many seeds of the simulation, by command: `make simulate SEEDS=50000`.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use super::super::simulation::{every_task_fails_at_its_place, reduce, survives};

/// Failing seeds that are printed.
const SHOWN: usize = 5;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable)
        .ok()
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

/// Each seed as a run under faults, with a crash after every write, and with each task and compensation failing at its place.
#[test]
#[ignore = "it takes minutes: `make simulate` runs it"]
#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn many_seeds() {
    let (seeds, first) = (number("SEEDS", 50_000), number("FIRST_SEED", 0));
    let threads = number("THREADS", 2);
    let (next, histories) = (AtomicU64::new(first), AtomicU64::new(0));
    let failed = Mutex::new(Vec::new());
    let started = Instant::now();
    let look = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds || failed.lock().unwrap().len() >= SHOWN {
                return;
            }
            let judged = survives(seed).and_then(|count| Ok(count + every_task_fails_at_its_place(seed)?));
            match judged {
                Ok(count) => histories.fetch_add(count as u64, Ordering::Relaxed),
                Err(broken) => {
                    failed.lock().unwrap().push((seed, broken));
                    0
                }
            };
            let done = seed + 1 - first;
            if done.is_multiple_of(5_000) {
                println!("{done} seeds after {:.0} s", started.elapsed().as_secs_f64());
            }
        }
    };
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(look))));
    let failed = failed.into_inner().unwrap();
    for (seed, broken) in &failed {
        println!("{}", reduce(*seed).unwrap_or_else(|| format!("seed {seed}: {broken}\n")));
    }
    let (seconds, histories) = (started.elapsed().as_secs_f64(), histories.into_inner());
    println!(
        "simulation: {seeds} seeds from {first}, {histories} histories, {} failed, {:.0} seeds/s, {seconds:.0} s",
        failed.len(),
        seeds as f64 / seconds,
    );
    assert!(failed.is_empty(), "{failed:?}");
}
