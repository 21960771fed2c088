//! Snapshots of what people see of policies.
