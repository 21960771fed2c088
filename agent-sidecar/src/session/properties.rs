//! Properties of the session.
