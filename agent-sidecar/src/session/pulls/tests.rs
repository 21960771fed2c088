//! Tables for the pull requests.
