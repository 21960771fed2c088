//! The operator has exactly the rights that it uses: runs last, over the API server's record of all the journeys before.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;
use tetrarch_tests::rights::{self, Right};

const NAMESPACE: &str = "tetrarch-system";
const USER: &str = "system:serviceaccount:tetrarch-system:tetrarch-operator";

/// Rights that the API server checks while it serves another request: binding a role, and setting an owner that blocks deletion.
fn unseen(right: &Right) -> bool {
    right.verb == "bind" || right.resource.ends_with("/finalizers")
}

#[test]
fn every_right_of_the_operator_is_used_and_none_is_missing() -> Result<()> {
    let log = std::env::var_os("TETRARCH_AUDIT_LOG")
        .context("TETRARCH_AUDIT_LOG is not set: run `make test-cluster` with the embedded cluster")?;
    let log =
        std::fs::read_to_string(PathBuf::from(&log)).with_context(|| format!("{}", PathBuf::from(log).display()))?;
    // The chart copies these; the release itself is gone by now.
    let roles: Vec<Value> = serde_yaml::Deserializer::from_str(include_str!("../../config/rbac/role.yaml"))
        .map(Value::deserialize)
        .collect::<Result<_, _>>()?;
    let of_kind = |kind: &str| roles.iter().find(|role| role["kind"] == kind).with_context(|| format!("no {kind}"));
    let (cluster_role, role) = (of_kind("ClusterRole")?, of_kind("Role")?);
    let record = rights::record(&log, USER);
    ensure!(record.allowed.len() > 50, "the record has only {} different requests of {USER}", record.allowed.len());
    let violations = rights::check(&[(cluster_role, None), (role, Some(NAMESPACE))], &record, unseen);
    let listed: Vec<String> = violations.iter().map(ToString::to_string).collect();
    ensure!(violations.is_empty(), "rights of the operator:\n  {}", listed.join("\n  "));
    Ok(())
}
