//! The secrets of webhooks, as the kubelet mounts them: a file for each trigger, read anew for each delivery.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use ring::hmac;
use tetrarch_core::{
    id::Name,
    workflow::message::{Signature, Source},
};
use tokio::{sync::watch, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::signature;
use crate::intake::Open;

/// How often it is looked whether the secrets are there; the kubelet takes about a minute for a change.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The triggers without a secret that can be used, by Workflow, each with what is wrong.
pub type Unready = BTreeMap<Name, BTreeMap<Name, String>>;

/// The directory with the secrets.
#[derive(Clone, Debug)]
pub struct Secrets(pub PathBuf);

impl Secrets {
    /// The keys of a trigger, at least one; or what is wrong, without what is in the file.
    pub async fn read(&self, workflow: &Name, trigger: &Name, signature: Signature) -> Result<Vec<hmac::Key>, String> {
        let path = self.0.join(workflow.as_str()).join(trigger.as_str());
        let text = match tokio::fs::read(&path).await {
            Ok(bytes) => String::from_utf8(bytes).map_err(|_| "it is no text".to_owned())?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err("it is not there".to_owned()),
            Err(error) => return Err(format!("it cannot be read: {}", error.kind())),
        };
        let keys = signature::keys(signature, &text);
        if !keys.is_empty() {
            return Ok(keys);
        }
        Err(match signature {
            Signature::Standard => "no line of it is whsec_ and base64".to_owned(),
            Signature::GitHub => "it is empty".to_owned(),
        })
    }

    /// Tells which secrets are missing whenever that changes, until it is told to stop.
    pub async fn watch(
        self,
        mut open: watch::Receiver<Option<Arc<Open>>>,
        unready: watch::Sender<Unready>,
        stop: CancellationToken,
    ) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                changed = open.changed() => if changed.is_err() { return },
                _ = ticks.tick() => {}
            }
            let known = open.borrow_and_update().clone().unwrap_or_default();
            let found = self.look(&known).await;
            unready.send_if_modified(|before| {
                let is_new = *before != found;
                if is_new {
                    *before = found;
                }
                is_new
            });
        }
    }

    async fn look(&self, open: &Open) -> Unready {
        let mut unready = Unready::new();
        for (workflow, known) in open {
            for snapshot in &known.messages {
                let Source::Webhook { signature } = snapshot.trigger.source else { continue };
                if let Err(problem) = self.read(workflow, &snapshot.trigger.name, signature).await {
                    unready.entry(workflow.clone()).or_default().insert(snapshot.trigger.name.clone(), problem);
                }
            }
        }
        unready
    }
}
