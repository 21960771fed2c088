//! Sidecars against a real nats-server with the permissions that the operator mints, and an agent that does what its tasks say.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod faults;
mod journeys;
mod support;
