//! The admission webhook: every replica answers API servers about objects before they are stored.
//!
//! [`server`] speaks TLS, [`app`] HTTP, [`gate`] has each write decided by `tetrarch_plan::admit` against the [`hierarchy`]
//! in memory, which waits for the [`ancestors`] of the object, asks the API server and the ledger what the decision leaves open, and hands a [`record`] of it to the
//! [`audit`].

pub mod access;
pub mod ancestors;
pub mod app;
pub mod audit;
pub mod booking;
pub mod gate;
pub mod hierarchy;
pub mod record;
pub mod server;
pub mod service;
