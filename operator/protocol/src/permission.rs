//! What each kind of bus user may publish and subscribe: the operator signs these lists into credentials.
//!
//! Everything is inside one Domain's account, so nothing here reaches another Domain.

use tetrarch_core::{id::Name, priority::Class};

use crate::{
    stream::{BLOB_STORE, CONFIG_BUCKET, LEASE_BUCKET, REPORT_BUCKET, WORK, task_consumer},
    subject::events_of_supervisor,
};

/// Subjects that a user may publish to and subscribe to; everything else is denied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Subjects for publishing.
    pub publish: Vec<String>,
    /// Subjects for subscribing.
    pub subscribe: Vec<String>,
}

/// The operator in a Domain's account: it creates the streams and writes the configuration.
pub fn operator() -> Permissions {
    Permissions { publish: vec![">".to_owned()], subscribe: vec![">".to_owned()] }
}

/// A Supervisor: its own tasks, journal, configuration, reports and leases.
pub fn supervisor(supervisor: &Name) -> Permissions {
    let mut publish = vec![
        format!("task.{supervisor}.>"),
        format!("try.{supervisor}.>"),
        format!("res.{supervisor}.>"),
        format!("run.{supervisor}.>"),
        format!("dead.{supervisor}.>"),
        format!("seen.{supervisor}.>"),
        format!("$KV.{REPORT_BUCKET}.workflow.{supervisor}.>"),
        format!("$KV.{REPORT_BUCKET}.supervisor.{supervisor}"),
        format!("$KV.{LEASE_BUCKET}.{supervisor}.>"),
        "$JS.API.INFO".to_owned(),
        format!("$JS.API.CONSUMER.CREATE.{WORK}.>"),
        format!("$JS.API.CONSUMER.INFO.{WORK}.>"),
        format!("$JS.API.CONSUMER.DELETE.{WORK}.>"),
        format!("$JS.API.CONSUMER.NAMES.{WORK}"),
        format!("$JS.API.STREAM.PURGE.{WORK}"),
        format!("$JS.API.STREAM.MSG.DELETE.{WORK}"),
        "$JS.FC.>".to_owned(),
    ];
    for stream in streams() {
        publish.extend([
            format!("$JS.API.STREAM.INFO.{stream}"),
            format!("$JS.API.STREAM.MSG.GET.{stream}"),
            format!("$JS.API.DIRECT.GET.{stream}"),
            format!("$JS.API.DIRECT.GET.{stream}.>"),
            format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.>"),
        ]);
    }
    for stream in [kv(CONFIG_BUCKET), kv(REPORT_BUCKET), kv(LEASE_BUCKET)] {
        publish.extend([
            format!("$JS.API.CONSUMER.CREATE.{stream}.>"),
            format!("$JS.API.CONSUMER.INFO.{stream}.>"),
            format!("$JS.API.CONSUMER.DELETE.{stream}.>"),
        ]);
    }
    publish.extend(blobs());
    Permissions { publish, subscribe: vec!["_INBOX.>".to_owned(), format!("load.{supervisor}.>")] }
}

/// Prefix of the inboxes of a pool's sidecars, for the client's option of that name. Nobody else's agents may listen there.
pub fn agent_inbox(supervisor: &Name, pool: &Name) -> String {
    format!("_INBOX.agent.{supervisor}.{pool}")
}

/// The sidecars of one AgentPool: they pull and acknowledge the pool's four queues, write marks, results, dead letters and heartbeats, read back
/// their marks and results, and exchange large values. They listen to nothing but their own inboxes.
pub fn agent(supervisor: &Name, pool: &Name) -> Permissions {
    let mut publish = vec![
        format!("try.{supervisor}.{pool}.>"),
        format!("res.{supervisor}.{pool}.>"),
        format!("dead.{supervisor}.{pool}.>"),
        format!("load.{supervisor}.{pool}.*"),
        format!("$JS.API.DIRECT.GET.{WORK}.try.{supervisor}.{pool}.>"),
        format!("$JS.API.DIRECT.GET.{WORK}.res.{supervisor}.{pool}.>"),
    ];
    for class in Class::ALL {
        let consumer = task_consumer(supervisor, pool, class);
        publish.extend([
            format!("$JS.API.CONSUMER.MSG.NEXT.{WORK}.{consumer}"),
            format!("$JS.ACK.{WORK}.{consumer}.>"),
            format!("$JS.ACK.*.*.{WORK}.{consumer}.>"),
        ]);
    }
    publish.extend(blobs());
    Permissions { publish, subscribe: vec![format!("{}.>", agent_inbox(supervisor, pool))] }
}

/// Prefix of the inboxes of whoever publishes events for a Supervisor, for the client's option of that name.
pub fn publisher_inbox(supervisor: &Name) -> String {
    format!("_INBOX.publisher.{supervisor}")
}

/// Whoever publishes events for the Workflows of a Supervisor: nothing but that, and the answers that they are stored.
pub fn publisher(supervisor: &Name) -> Permissions {
    Permissions {
        publish: vec![events_of_supervisor(supervisor)],
        subscribe: vec![format!("{}.>", publisher_inbox(supervisor))],
    }
}

/// Reading and writing large values.
fn blobs() -> Vec<String> {
    let stream = format!("OBJ_{BLOB_STORE}");
    vec![
        format!("$O.{BLOB_STORE}.>"),
        format!("$JS.API.STREAM.INFO.{stream}"),
        format!("$JS.API.STREAM.MSG.GET.{stream}"),
        format!("$JS.API.STREAM.PURGE.{stream}"),
        format!("$JS.API.DIRECT.GET.{stream}"),
        format!("$JS.API.DIRECT.GET.{stream}.>"),
        // Reading an object makes an ordered consumer without a name.
        format!("$JS.API.CONSUMER.CREATE.{stream}"),
        format!("$JS.API.CONSUMER.CREATE.{stream}.>"),
        format!("$JS.API.CONSUMER.INFO.{stream}.>"),
        format!("$JS.API.CONSUMER.DELETE.{stream}.>"),
        format!("$JS.ACK.{stream}.>"),
        format!("$JS.ACK.*.*.{stream}.>"),
        format!("$JS.FC.{stream}.>"),
    ]
}

fn kv(bucket: &str) -> String {
    format!("KV_{bucket}")
}

fn streams() -> [String; 4] {
    [WORK.to_owned(), kv(CONFIG_BUCKET), kv(REPORT_BUCKET), kv(LEASE_BUCKET)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_reaches_only_its_own_queues_marks_and_results() {
        let permissions = agent(&"licences".parse().unwrap(), &"classifier".parse().unwrap());
        assert!(
            permissions.publish.contains(&"$JS.API.CONSUMER.MSG.NEXT.WORK.licences_classifier_critical".to_owned())
        );
        let foreign: Vec<_> = permissions
            .publish
            .iter()
            .filter(|subject| !subject.contains("licences.classifier.") && !subject.contains("licences_classifier_"))
            .filter(|subject| !subject.contains("OBJ_BLOB") && !subject.contains("$O.BLOB"))
            .collect();
        assert!(foreign.is_empty(), "{foreign:?}");
        assert_eq!(permissions.subscribe, ["_INBOX.agent.licences.classifier.>"]);
    }
}
