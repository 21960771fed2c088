//! Names of the streams, buckets and consumers inside one Domain's account.

use std::time::Duration;

use tetrarch_core::{id::Name, priority::Class};

/// The one stream of a Domain: tasks, start marks, results, run events, dead letters, and messages that begin runs, so that an atomic batch can span them.
pub const WORK: &str = "WORK";

/// Subjects of [`WORK`].
pub const WORK_SUBJECTS: [&str; 7] = ["task.>", "try.>", "res.>", "run.>", "dead.>", "event.>", "seen.>"];

/// Key-value bucket that the operator writes: configuration of supervisors, definitions and requests ([`crate::snapshot`]).
pub const CONFIG_BUCKET: &str = "CONFIG";

/// Key-value bucket that supervisors write: summaries of runs and loads ([`crate::summary`]).
pub const REPORT_BUCKET: &str = "REPORT";

/// Key-value bucket of the leases by which supervisor replicas share the runs.
pub const LEASE_BUCKET: &str = "LEASE";

/// Object store of inputs and outputs that are too large for one message ([`crate::blob`]).
pub const BLOB_STORE: &str = "BLOB";

/// Time after which the server delivers a task again when nobody extended or acknowledged it: `ack_wait` of the task consumers. Sidecars
/// extend every third of it.
pub const ACK_WAIT: Duration = Duration::from_secs(30);

/// Pull requests that may wait at one task consumer: `max_waiting` of the consumers. Each idle agent holds one open for each class.
pub const MAX_WAITING: i64 = 16 * 1024;

/// Deliveries of a task after which it goes to the dead letters instead of to an agent.
pub const MAX_DELIVERIES: u32 = 5;

/// How long it is remembered that a message has begun a run, so that it begins none when it comes again. Senders try for about a day.
pub const REMEMBER_MESSAGES: Duration = Duration::from_hours(72);

/// How long a message on a topic waits for a trigger before it is thrown away.
pub const UNHEARD: Duration = Duration::from_hours(1);

/// Name of the durable pull consumer for the tasks of one pool and class: `<supervisor>_<pool>_<class>`.
pub fn task_consumer(supervisor: &Name, pool: &Name, class: Class) -> String {
    format!("{supervisor}_{pool}_{class}")
}
