//! Entry point of the supervisor runtime.

fn main() {}
