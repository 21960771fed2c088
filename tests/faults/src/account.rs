//! What the journals and the ledger of effects tell when all is over.

use std::fmt;

use tetrarch_supervisor::inspect;

use crate::{
    journal::{self, Violation},
    load::ONCE,
    world::World,
};

/// What is counted.
#[derive(Debug, Default)]
pub struct Account {
    runs: usize,
    tasks: usize,
    /// Wanted runs without an end.
    pub lost: Vec<String>,
    /// Tasks that may not be repeated and were, and results that were accepted twice.
    pub doubled: Vec<String>,
    /// Other broken promises of a journal.
    pub broken: Vec<String>,
    redelivered: u64,
    repeated_calls: u32,
    unknown: usize,
}

impl Account {
    /// Reads the journals of all wanted runs; waits for their ends first.
    pub async fn of(world: &World) -> anyhow::Result<Self> {
        let lost = world.await_ends().await?.into_iter().collect();
        let mut account = Self { runs: world.wanted.len(), lost, ..Self::default() };
        for wanted in &world.wanted {
            let run = wanted.run();
            let lines = match inspect::read_journal(&world.bus, &world.supervisor, &run.parse()?).await {
                Ok(lines) => lines,
                Err(inspect::Error::UnknownRun(_)) => continue,
                Err(error) => return Err(error.into()),
            };
            account.unknown += lines.iter().filter(|line| line["body"]["outcome"].get("unknown").is_some()).count();
            let printed: Vec<String> = lines.iter().map(ToString::to_string).collect();
            account.judge(&run, &printed.join("\n"));
        }
        for (task, count) in world.ledger.effects() {
            // `<run>/<path>/<attempt>`; the runs of the pool whose tasks may not be repeated bear its name.
            if count > 1 && task.starts_with(ONCE) {
                account.doubled.push(format!("{task} was done {count} times"));
            }
            account.repeated_calls += count.saturating_sub(1);
        }
        Ok(account)
    }

    fn judge(&mut self, run: &str, printed: &str) {
        match journal::check(printed) {
            Ok(told) => {
                self.tasks += told.tasks;
                self.redelivered += told.redeliveries;
            }
            Err(violations) => {
                for violation in violations {
                    let told = format!("{run}: {violation}");
                    match violation {
                        Violation::DispatchedTwice(..)
                        | Violation::SeveralResults(..)
                        | Violation::SucceededTwice(..) => {
                            self.doubled.push(told);
                        }
                        Violation::Vanished(_) => self.lost.push(told),
                        // A run without an end is among the lost ones already.
                        Violation::Finished(0) => {}
                        _ => self.broken.push(told),
                    }
                }
            }
        }
    }

    /// Whether every promise was kept.
    pub fn is_good(&self) -> bool {
        self.lost.is_empty() && self.doubled.is_empty() && self.broken.is_empty()
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} runs, {} tasks: lost {}, duplicate effects {}, broken journals {}; redelivered {}, calls repeated where that is \
             allowed {}, outcomes unknown {}",
            self.runs,
            self.tasks,
            self.lost.len(),
            self.doubled.len(),
            self.broken.len(),
            self.redelivered,
            self.repeated_calls,
            self.unknown,
        )?;
        for told in self.lost.iter().chain(&self.doubled).chain(&self.broken).take(20) {
            write!(f, "\n  {told}")?;
        }
        Ok(())
    }
}
