//! Tables of the session.
