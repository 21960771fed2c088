//! What leave to hand a task on must be like.

use super::check::Checker;
use crate::workflow::hand_over::{HAND_OVERS, HandOver, MAX_TARGETS};

impl Checker<'_> {
    pub(super) fn check_hand_over(&mut self, field: &str, hand_over: &HandOver) {
        let HandOver { to, limit } = hand_over;
        if to.is_empty() || to.len() > MAX_TARGETS {
            let message = format!("there are {} capabilities", to.len());
            self.add(format!("{field}.to"), message, format!("write 1 to {MAX_TARGETS}, or leave handOver out"));
        }
        for (index, name) in to.iter().enumerate() {
            if to[..index].contains(name) {
                self.add(
                    format!("{field}.to[{index}]"),
                    format!("{:?} stands here twice", name.as_str()),
                    "write it once",
                );
            }
        }
        if !HAND_OVERS.contains(limit) {
            let remedy = format!("write {} to {}, or leave handOver out", HAND_OVERS.start(), HAND_OVERS.end());
            self.add(format!("{field}.limit"), format!("{limit} hand-overs"), remedy);
        }
    }
}
