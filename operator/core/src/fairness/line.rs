//! The line of runs that wait for a place in their class: start-time fair queueing.

use std::collections::BTreeMap;

use crate::id::Name;

/// What the start of a run costs a Workflow of weight 1.
const COST: u64 = 1_000_000;

/// When it is the turn of a run; the lowest goes first, and among equals the one that was accepted first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// The line of one class.
///
/// Start-time fair queueing (Goyal, Vin and Cheng, 1996), with runs as packets of the same size: a run's ticket is the virtual time at its arrival, or the end of
/// the run of its Workflow before it, whichever is later; virtual time is the ticket of the latest run that started. A Workflow alone is served
/// in order. Of several, each starts runs in proportion to its weight, and a ticket never changes, so every run's turn comes: of another
/// Workflow at most as many runs go before it as the weights are apart, and one more.
#[derive(Clone, Debug, Default)]
pub struct Line {
    now: u64,
    ends: BTreeMap<Name, u64>,
}

impl Line {
    /// A run of a Workflow of this weight joins the line.
    pub fn arrive(&mut self, workflow: &Name, weight: u32) -> Ticket {
        let start = self.ends.get(workflow).copied().unwrap_or_default().max(self.now);
        let cost = COST / u64::from(weight.max(1));
        self.ends.insert(workflow.clone(), start.saturating_add(cost.max(1)));
        Ticket(start)
    }

    /// A run with this ticket has started.
    pub fn start(&mut self, ticket: Ticket) {
        if ticket.0 > self.now {
            self.now = ticket.0;
            let now = self.now;
            self.ends.retain(|_, end| *end > now);
        }
    }
}
