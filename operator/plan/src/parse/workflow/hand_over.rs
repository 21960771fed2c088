//! Leave for agents to hand a task on.

use tetrarch_core::workflow::hand_over::HandOver;
use tetrarch_crds::workflow as written;

use crate::{
    parse::{at_least, name},
    violation::Violations,
};

/// Whom a task may be handed to, and how often.
pub fn read(hand_over: &written::HandOver, path: &str, violations: &mut Violations) -> Option<HandOver> {
    let read = hand_over.to.iter().enumerate();
    let to: Vec<_> =
        read.map(|(index, capability)| name(&format!("{path}.to[{index}]"), capability, violations)).collect();
    let limit = at_least(&format!("{path}.limit"), hand_over.limit, 1, violations);
    Some(HandOver { to: to.into_iter().collect::<Option<_>>()?, limit: limit? })
}
