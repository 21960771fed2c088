//! Sidecars against a real nats-server with the permissions that the operator mints, and an agent that does what its tasks say.

mod faults;
mod journeys;
mod support;
