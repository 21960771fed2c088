//! What every long-running process of Tetrarch shares: serving over TLS within bounds, and ending when it is told to.

pub mod stop;
pub mod tls;
