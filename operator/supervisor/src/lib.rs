//! The runtime of a Supervisor.
