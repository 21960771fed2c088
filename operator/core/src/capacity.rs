//! Capacity that holds: a ledger of what every object of a hierarchy takes from the level above.
//!
//! The objects form a tree: Orchestrator, Domains, Supervisors, `AgentPools`. What a node asks of its parent is its quota, or
//! what its children ask together when that is more or it has no quota, and what its own pods need. A node with a quota that
//! refuses bounds the sum of its children; one without, or one that escalates, passes the question on. The first level
//! without room refuses and is named.
//!
//! Changes that were admitted but not yet seen as stored are claims. As long as it is open which versions of an object exist,
//! its demand is the largest and its supply the smallest over all of them, so no order of stores can overbook. A claim ends
//! when its outcome is seen, or when a consistent read shows that it never came and no request can live that long. The ledger is a value: whoever stores it does so by
//! compare-and-set, and then any number of writers can book.

mod book;
mod index;
mod key;
mod ledger;
mod refusal;
mod resource;
mod settle;
mod usage;
mod wire;

#[cfg(test)]
mod tests;

pub use book::{Claim, Grant, UNKNOWN_GENERATION, book};
pub use key::{InvalidKey, Key};
pub use ledger::{Declared, Escalation, Ledger, Quota, WhenExceeded};
pub use refusal::{Refusal, Shortage};
pub use resource::{Amounts, Resource};
pub use settle::{Observed, forget, look_up, observe, overdue, settle};
pub use usage::{Usage, usage, usages};

/// After how many seconds a claim can no longer be stored: longer than any request to the API server lives.
pub const CLAIM_SECONDS: i64 = 65;
