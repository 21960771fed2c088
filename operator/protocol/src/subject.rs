//! Subjects of the work stream, built and parsed in one place.
//!
//! | subject | meaning | condition of the write |
//! |---|---|---|
//! | `task.<supervisor>.<pool>.<class>.<run>.<path>.<attempt>` | a dispatch | the subject is empty |
//! | `try.<supervisor>.<pool>.<run>.<path>.<attempt>` | an agent is about to be called, for tasks that are not idempotent | the subject is empty |
//! | `res.<supervisor>.<pool>.<run>.<path>.<attempt>` | a result; of a step that stands for a run with `-run` as the pool | the subject is empty |
//! | `run.<supervisor>.<run>` | a run event | last sequence of the subject |
//! | `dead.<supervisor>.<pool>.<run>.<path>.<attempt>` | a dead letter | the subject is empty |
//! | `event.<supervisor>.<topic>` | a message that begins runs, gone when they are in the journal | |
//! | `seen.<supervisor>.<run>` | the run has begun because of a message | the subject is empty |
//! | `load.<supervisor>.<pool>.<agent>` | heartbeat of an agent, core NATS, not stored | |

use std::fmt;

use tetrarch_core::{
    id::{self, Name, RunId, TaskId},
    priority::Class,
};

/// Why a subject could not be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The subject has another shape.
    #[error("{0:?} is no subject of the work stream")]
    Shape(String),
    /// One of its parts is not valid.
    #[error("subject {subject:?} holds an invalid part")]
    Part {
        /// The whole subject.
        subject: String,
        /// What is wrong with the part.
        #[source]
        source: id::Error,
    },
}

/// A parsed subject of the work stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A dispatch.
    Task {
        /// Supervisor that dispatched.
        supervisor: Name,
        /// Pool whose queue it is in.
        pool: Name,
        /// Priority class.
        class: Class,
        /// Which attempt of which task.
        task: TaskId,
    },
    /// A mark that an agent is about to be called.
    Try {
        /// Supervisor that dispatched.
        supervisor: Name,
        /// Pool that took it.
        pool: Name,
        /// Which attempt of which task.
        task: TaskId,
    },
    /// A result.
    Result {
        /// Supervisor that dispatched.
        supervisor: Name,
        /// Pool that answered.
        pool: Name,
        /// Which attempt of which task.
        task: TaskId,
    },
    /// A run event.
    Run {
        /// Supervisor that drives the run.
        supervisor: Name,
        /// The run.
        run: RunId,
    },
    /// A dead letter.
    Dead {
        /// Supervisor that dispatched.
        supervisor: Name,
        /// Pool that gave up.
        pool: Name,
        /// Which attempt of which task.
        task: TaskId,
    },
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let task_part = |f: &mut fmt::Formatter<'_>, kind: &str, supervisor: &Name, pool: &Name, task: &TaskId| {
            write!(f, "{kind}.{supervisor}.{pool}.{}.{}.{}", task.run, task.path, task.attempt)
        };
        match self {
            Self::Task { supervisor, pool, class, task } => {
                write!(f, "task.{supervisor}.{pool}.{class}.{}.{}.{}", task.run, task.path, task.attempt)
            }
            Self::Try { supervisor, pool, task } => task_part(f, "try", supervisor, pool, task),
            Self::Result { supervisor, pool, task } => task_part(f, "res", supervisor, pool, task),
            Self::Run { supervisor, run } => write!(f, "run.{supervisor}.{run}"),
            Self::Dead { supervisor, pool, task } => task_part(f, "dead", supervisor, pool, task),
        }
    }
}

impl std::str::FromStr for Subject {
    type Err = Error;

    fn from_str(subject: &str) -> Result<Self, Error> {
        let part = |source| Error::Part { subject: subject.to_owned(), source };
        let shape = || Error::Shape(subject.to_owned());
        let task = |run: &str, path: &str, attempt: &str| {
            Ok(TaskId {
                run: run.parse().map_err(part)?,
                path: path.parse().map_err(part)?,
                attempt: attempt.parse().map_err(|_| shape())?,
            })
        };
        let parts: Vec<&str> = subject.split('.').collect();
        match parts.as_slice() {
            ["task", supervisor, pool, class, run, path, attempt] => Ok(Self::Task {
                supervisor: supervisor.parse().map_err(part)?,
                pool: pool.parse().map_err(part)?,
                class: class.parse().map_err(|_| shape())?,
                task: task(run, path, attempt)?,
            }),
            ["run", supervisor, run] => {
                Ok(Self::Run { supervisor: supervisor.parse().map_err(part)?, run: run.parse().map_err(part)? })
            }
            [kind, supervisor, pool, run, path, attempt] => {
                let supervisor = supervisor.parse().map_err(part)?;
                let pool = pool.parse().map_err(part)?;
                let task = task(run, path, attempt)?;
                match *kind {
                    "try" => Ok(Self::Try { supervisor, pool, task }),
                    "res" => Ok(Self::Result { supervisor, pool, task }),
                    "dead" => Ok(Self::Dead { supervisor, pool, task }),
                    _ => Err(shape()),
                }
            }
            _ => Err(shape()),
        }
    }
}

/// Where the result of a step is written that stands for a run: it has no pool, and no pool has a name that begins with a dash.
pub fn result_of_run(supervisor: &Name, task: TaskId) -> Subject {
    Subject::Result { supervisor: supervisor.clone(), pool: Name::of_runs(), task }
}

/// Filter for the tasks of one pool and class.
pub fn tasks_of_pool(supervisor: &Name, pool: &Name, class: Class) -> String {
    format!("task.{supervisor}.{pool}.{class}.>")
}

/// Filters for everything that the state of a Supervisor's runs is folded from.
pub fn journal_of_supervisor(supervisor: &Name) -> [String; 3] {
    [format!("task.{supervisor}.>"), format!("res.{supervisor}.>"), format!("run.{supervisor}.>")]
}

/// Filters for everything that belongs to one run, for reading its journal and for purging it.
pub fn everything_of_run(supervisor: &Name, run: &RunId) -> [String; 5] {
    [
        format!("task.{supervisor}.*.*.{run}.>"),
        format!("try.{supervisor}.*.{run}.>"),
        format!("res.{supervisor}.*.{run}.>"),
        format!("dead.{supervisor}.*.{run}.>"),
        format!("run.{supervisor}.{run}"),
    ]
}

/// Filters for what agents were given by a run and made of it, for removing its outputs. Results go last: as long as one is there, an
/// interrupted removal is found and finished.
pub fn work_of_run(supervisor: &Name, run: &RunId) -> [String; 4] {
    [
        format!("try.{supervisor}.*.{run}.>"),
        format!("dead.{supervisor}.*.{run}.>"),
        format!("task.{supervisor}.*.*.{run}.>"),
        format!("res.{supervisor}.*.{run}.>"),
    ]
}

/// Subject of the messages about a topic.
pub fn event(supervisor: &Name, topic: &Name) -> String {
    format!("event.{supervisor}.{topic}")
}

/// Filter for the messages about all topics.
pub fn events_of_supervisor(supervisor: &Name) -> String {
    format!("event.{supervisor}.*")
}

/// The topic of such a message; none when no trigger can be about it.
pub fn topic_of(supervisor: &Name, subject: &str) -> Option<Name> {
    subject.strip_prefix("event.")?.strip_prefix(supervisor.as_str())?.strip_prefix('.')?.parse().ok()
}

/// Subject of the mark that a run has begun because of a message. It outlives the run.
pub fn seen(supervisor: &Name, run: &RunId) -> String {
    format!("seen.{supervisor}.{run}")
}

/// Subject of an agent's heartbeat.
pub fn load(supervisor: &Name, pool: &Name, agent: &str) -> String {
    format!("load.{supervisor}.{pool}.{agent}")
}

/// Filter for the heartbeats of all agents of a Supervisor.
pub fn loads_of_supervisor(supervisor: &Name) -> String {
    format!("load.{supervisor}.>")
}
