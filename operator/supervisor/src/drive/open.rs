//! Tells those who take messages which Workflows they can begin runs of, and how many of these wait.

use std::{collections::BTreeMap, sync::Arc};

use tetrarch_core::{id::Name, workflow::run::RunPhase};

use super::Driver;
use crate::intake::{Open, OpenWorkflow};

impl Driver {
    /// Tells what the configuration says now.
    pub(super) fn tell_open(&self) {
        let workflows = self.config.workflows.iter();
        let open: Open = workflows
            .filter(|(_, snapshot)| !snapshot.deleted && !snapshot.messages.is_empty())
            .map(|(name, snapshot)| {
                let definition = Arc::new(snapshot.definition.clone());
                (name.clone(), OpenWorkflow { definition, messages: snapshot.messages.clone() })
            })
            .collect();
        self.outputs.open.send_if_modified(|before| {
            let is_new = before.as_deref() != Some(&open);
            if is_new {
                *before = Some(Arc::new(open));
            }
            is_new
        });
    }

    /// Tells how many runs of each Workflow wait for a place, and has each told how many are before it.
    pub(super) fn tell_waiting(&mut self) {
        let mut waiting: BTreeMap<Name, usize> = BTreeMap::new();
        for slot in self.runs.unfinished().filter(|slot| slot.run.phase() == RunPhase::Pending) {
            *waiting.entry(slot.run.definition().workflow.clone()).or_default() += 1;
        }
        self.changed.summaries.extend(waiting.keys().cloned());
        self.outputs.waiting.send_replace(waiting);
    }
}
