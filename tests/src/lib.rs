//! Tests against a real API server and a real cluster live in `tests/`.
