//! The triggers of a Workflow: what its Supervisor is told, what its status remembers, and which of them lead around in a circle.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use kube_core::{Resource, ResourceExt};
use tetrarch_core::id::Name;
use tetrarch_crds::{Workflow, workflow::TriggerStatus};
use tetrarch_protocol::snapshot::{MessageSnapshot, TriggerSnapshot};

use super::neighbours::Neighbours;
use crate::{
    names,
    parse::{self, workflow::TriggerKind},
    reason::{Finding, Reason},
    report::time,
};

/// What the Supervisor is told, and what is wrong with the triggers beside others. One that is part of a cycle is not handed over.
pub(super) fn read(
    object: &Workflow,
    supervisor: &Name,
    workflows: &[Arc<Workflow>],
    now: Timestamp,
) -> (Vec<TriggerSnapshot>, Vec<Finding>) {
    let neighbours = Neighbours::of(supervisor, workflows);
    let (mut snapshots, mut findings) = (Vec::new(), Vec::new());
    let prefix = names::run_prefix(&object.name_any(), object.meta().uid.as_deref().unwrap_or_default());
    let since = status(object, now);
    for (index, trigger) in parse::workflow::triggers(object) {
        let TriggerKind::Completion(trigger) = trigger else { continue };
        let field = format!("spec.triggers[{index}].completion.workflow");
        let followed = trigger.workflow.as_str();
        findings.extend(neighbours.missing(&field, followed));
        if let Some(mut chain) = neighbours.circle(&object.name_any(), followed, &followed_by) {
            chain.reverse();
            let message = format!(
                "{field}: triggers begin Workflows in a cycle, so this one begins nothing: {}: remove one of them",
                chain.join(" -> ")
            );
            findings.push(Finding::new(Reason::WorkflowCycle, message));
            continue;
        }
        let since = since_of(&since, &trigger.name, now);
        snapshots.push(TriggerSnapshot { trigger, since, prefix: prefix.clone() });
    }
    (snapshots, findings)
}

/// What the Supervisor is told of messages that begin runs.
pub(super) fn messages(object: &Workflow, now: Timestamp) -> Vec<MessageSnapshot> {
    let prefix = names::run_prefix(&object.name_any(), object.meta().uid.as_deref().unwrap_or_default());
    let since = status(object, now);
    let triggers = parse::workflow::triggers(object).into_iter();
    triggers
        .filter_map(|(_, trigger)| match trigger {
            TriggerKind::Completion(_) => None,
            TriggerKind::Message(trigger) => {
                Some(MessageSnapshot { since: since_of(&since, &trigger.name, now), prefix: prefix.clone(), trigger })
            }
        })
        .collect()
}

/// Webhooks that the Supervisor refuses because it finds no secret for them, by its report.
pub(super) fn without_secret(object: &Workflow, problems: &BTreeMap<Name, String>) -> Vec<Finding> {
    let triggers = object.spec.triggers.iter().enumerate();
    triggers
        .filter_map(|(index, trigger)| {
            let secret = &trigger.webhook.as_ref()?.secret_ref;
            let (_, problem) = problems.iter().find(|(name, _)| name.as_str() == trigger.name)?;
            let message = format!(
                "spec.triggers[{index}].webhook.secretRef: the Supervisor cannot use key {:?} of Secret {:?}: {problem}: create it in this namespace, or name another one",
                secret.key, secret.name
            );
            Some(Finding::new(Reason::WebhookSecretMissing, message))
        })
        .collect()
}

fn since_of(known: &[TriggerStatus], trigger: &Name, now: Timestamp) -> Timestamp {
    let known = known.iter().find(|known| known.name == trigger.as_str());
    known.map_or(now, |known| known.since.0)
}

/// What the status remembers: since when each trigger holds, which begins anew when it follows something else. Those that the Workflow was
/// created with hold since then.
pub fn status(object: &Workflow, now: Timestamp) -> Vec<TriggerStatus> {
    let before = object.status.as_ref().map(|status| status.triggers.as_slice()).unwrap_or_default();
    let this_second = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let created = object.metadata.creation_timestamp.as_ref().filter(|_| object.status.is_none());
    let written = created.map_or(this_second, |created| created.0);
    let known = |trigger: &tetrarch_crds::workflow::Trigger| {
        let new = TriggerStatus {
            name: trigger.name.clone(),
            workflow: trigger.completion.as_ref().map(|completion| completion.workflow.clone()),
            topic: trigger.event.as_ref().map(|event| event.topic.clone()),
            path: trigger.webhook.as_ref().map(|_| format!("/hooks/{}/{}", object.name_any(), trigger.name)),
            since: time(written),
        };
        let is_same = |known: &&TriggerStatus| TriggerStatus { since: new.since.clone(), ..(*known).clone() } == new;
        before.iter().find(is_same).cloned().unwrap_or(new)
    };
    object.spec.triggers.iter().map(known).collect()
}

fn followed_by(workflow: &Workflow) -> Vec<&str> {
    let completions = workflow.spec.triggers.iter().filter_map(|trigger| trigger.completion.as_ref());
    completions.map(|completion| completion.workflow.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workflow(name: &str, follows: &str, since: Option<&str>) -> Arc<Workflow> {
        let status = since.map(|since| json!({"triggers": [{"name": "t", "workflow": follows, "since": since}]}));
        Arc::new(
            serde_json::from_value(json!({
                "apiVersion": "tetrarch.dev/v1alpha1", "kind": "Workflow",
                "metadata": {"name": name, "namespace": "space", "uid": "0a1b2c3d"},
                "spec": {
                    "supervisorRef": {"name": "sup"}, "steps": [{"name": "a", "wait": {"for": "1s"}}],
                    "triggers": [{"name": "t", "completion": {"workflow": follows}}],
                },
                "status": status,
            }))
            .unwrap(),
        )
    }

    fn now() -> Timestamp {
        "2026-11-21T10:00:00.5Z".parse().unwrap()
    }

    fn told(object: &Workflow, others: &[Arc<Workflow>]) -> (usize, Vec<(Reason, String)>) {
        let (handed, found) = read(object, &"sup".parse().unwrap(), others, now());
        (handed.len(), found.into_iter().map(|finding| (finding.reason, finding.message)).collect())
    }

    #[test]
    fn a_trigger_in_a_cycle_begins_nothing_and_says_so() {
        let others = [workflow("a", "b", None), workflow("b", "c", None), workflow("c", "a", None)];
        let (handed, found) = told(&others[0], &others);
        assert_eq!((handed, found[0].0), (0, Reason::WorkflowCycle));
        assert!(found[0].1.contains("begins nothing: a -> c -> b -> a: remove one"), "{found:?}");
        // One that only follows what goes around is none of it.
        let beside = workflow("x", "a", None);
        assert_eq!(told(&beside, &others), (1, Vec::new()));
    }

    #[test]
    fn a_trigger_waits_for_a_workflow_that_is_not_there_yet() {
        let (handed, found) = told(&workflow("a", "b", None), &[]);
        assert_eq!((handed, found[0].0), (1, Reason::UnknownWorkflow));
    }

    #[test]
    fn what_ended_before_a_trigger_was_written_or_changed_begins_nothing() {
        let since = |object: &Workflow| status(object, now())[0].since.0.to_string();
        assert_eq!(since(&workflow("a", "b", None)), "2026-11-21T10:00:00Z");
        let mut created = workflow("a", "b", None).as_ref().clone();
        created.metadata.creation_timestamp = Some(time("2026-11-21T09:59:58Z".parse().unwrap()));
        assert_eq!(since(&created), "2026-11-21T09:59:58Z");
        let kept = workflow("a", "b", Some("2026-11-20T10:00:00Z"));
        assert_eq!(since(&kept), "2026-11-20T10:00:00Z");
        let mut changed = kept.as_ref().clone();
        changed.spec.triggers[0].completion.as_mut().unwrap().workflow = "c".to_owned();
        assert_eq!(since(&changed), "2026-11-21T10:00:00Z");
        // Also when it follows events from now on.
        let mut event = kept.as_ref().clone();
        event.spec.triggers = serde_json::from_value(json!([{"name": "t", "event": {"topic": "orders"}}])).unwrap();
        assert_eq!(since(&event), "2026-11-21T10:00:00Z");
        let told = messages(&event, now());
        assert_eq!((told.len(), told[0].since.to_string().as_str()), (1, "2026-11-21T10:00:00Z"));
        assert_eq!(read(&event, &"sup".parse().unwrap(), &[], now()), (Vec::new(), Vec::new()));
    }
}
