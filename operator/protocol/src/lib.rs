//! What travels on the bus: subjects, streams and versioned envelopes. No client, no I/O.

pub mod agent;
pub mod audit;
pub mod blob;
pub mod control;
pub mod inspect;
pub mod journal;
pub mod load;
pub mod otlp;
pub mod permission;
pub mod request;
pub mod snapshot;
pub mod stream;
pub mod subject;
pub mod summary;
pub mod task;

/// Version of every envelope on the bus. A reader accepts its own version and older ones; fields are only ever added.
pub const VERSION: u16 = 1;
