//! Steps that stand for a run of another workflow: what such a step asks for, and what its run knows of the one it works for.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::definition::Retry;
use crate::id::{Name, RunId};

/// Most runs above each other, the outermost one not counted.
pub const MAX_DEPTH: usize = 5;

/// Largest parameters of a run that a step begins, as JSON text in bytes: they are part of its first journal entry.
pub const MAX_PARAMETERS: usize = 256 * 1024;

/// A run of another workflow as a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubWorkflow {
    /// The Workflow, of the same Supervisor.
    pub name: Name,
    /// Templates of the parameters that the run is given.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// How a run that ended badly is repeated, as a new run from its start.
    pub retry: Retry,
}

/// The step of another run that a run works for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parent {
    /// The run whose step it is.
    pub run: RunId,
    /// The step.
    pub step: Name,
    /// The attempt of the step, from 1.
    pub attempt: u32,
    /// The workflows of the runs above, the outermost one first; the last one is that of [`Parent::run`].
    pub lineage: Vec<Name>,
}

/// Why a run of `workflow`, with these workflows above it, must not begin a run of `callee`; none when it may.
pub fn refusal(lineage: &[Name], workflow: &Name, callee: &Name) -> Option<String> {
    let chain = || lineage.iter().chain([workflow]);
    let told = || chain().chain([callee]).map(Name::as_str).collect::<Vec<_>>().join(" -> ");
    if chain().any(|above| above == callee) {
        return Some(format!(
            "Workflows begin each other in a cycle: {}: remove one of these steps, or end the chain in another Workflow",
            told()
        ));
    }
    too_deep(lineage, workflow, callee)
}

/// Why a run of `workflow`, with these workflows above it, must not begin any other run; none when it may.
pub(crate) fn too_deep(lineage: &[Name], workflow: &Name, callee: &Name) -> Option<String> {
    (lineage.len() >= MAX_DEPTH).then(|| {
        let told: Vec<&str> = lineage.iter().chain([workflow, callee]).map(Name::as_str).collect();
        format!(
            "{} would be more than {MAX_DEPTH} runs below the first one: put the steps of one Workflow into the one above it",
            told.join(" -> ")
        )
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::first("", "b", None)]
    #[case::itself("", "a", Some("in a cycle: a -> a:"))]
    #[case::around("b c", "b", Some("in a cycle: b -> c -> a -> b:"))]
    #[case::deepest("b c d e", "x", None)]
    #[case::too_deep("b c d e f", "x", Some("b -> c -> d -> e -> f -> a -> x would be more than 5 runs"))]
    fn runs_begin_runs_only_so_deep_and_in_no_circle(
        #[case] above: &str,
        #[case] callee: &str,
        #[case] expected: Option<&str>,
    ) {
        let lineage: Vec<Name> = above.split_whitespace().map(|name| name.parse().unwrap()).collect();
        let found = refusal(&lineage, &"a".parse().unwrap(), &callee.parse().unwrap());
        assert_eq!(found.is_some(), expected.is_some());
        let found = found.unwrap_or_default();
        assert!(found.contains(expected.unwrap_or_default()), "{found}");
    }
}
