//! Who may go on with a task when the agent that has it says so: work that agents hand to their peers.

use serde::{Deserialize, Serialize};

use crate::id::Name;

/// Most capabilities that a task may be handed to.
pub const MAX_TARGETS: usize = 16;

/// Fewest and most times that a task may be handed on.
pub const HAND_OVERS: std::ops::RangeInclusive<u32> = 1..=20;

/// Leave to hand a task on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HandOver {
    /// The capabilities that an agent may name.
    pub to: Vec<Name>,
    /// How often the task may be handed on, by whomever.
    pub limit: u32,
}

impl HandOver {
    /// Why a task that was handed on so often before may not be handed to a capability; none when it may.
    pub fn refusal(allowed: Option<&Self>, before: u32, to: &Name) -> Option<String> {
        let said = format!("the agent handed the task over to capability {to}");
        let Some(allowed) = allowed else {
            return Some(format!("{said}, which the task does not allow: write handOver.to, or answer with an output"));
        };
        if !allowed.to.contains(to) {
            let known: Vec<&str> = allowed.to.iter().map(Name::as_str).collect();
            return Some(format!("{said}, which handOver.to does not list: there are {}", known.join(", ")));
        }
        let limit = allowed.limit;
        (before >= limit).then(|| {
            format!("{said} after {before} hand-overs: raise handOver.limit, {limit} now, or answer with an output")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn only_listed_capabilities_and_so_many_hand_overs_are_allowed() {
        let allowed = HandOver { to: vec![name("billing"), name("refunds")], limit: 2 };
        let refusal = |before, to| HandOver::refusal(Some(&allowed), before, &name(to));
        assert_eq!(refusal(0, "billing"), None);
        assert_eq!(refusal(1, "refunds"), None);
        assert!(refusal(2, "refunds").unwrap().contains("after 2 hand-overs"));
        assert!(refusal(0, "legal").unwrap().contains("there are billing, refunds"));
        assert!(HandOver::refusal(None, 0, &name("billing")).unwrap().contains("does not allow"));
    }
}
