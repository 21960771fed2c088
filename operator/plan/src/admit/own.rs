//! The policies that an object carries itself: they may only tighten, and must make sense.

use tetrarch_core::policy::{Allowance, Problem, contradictions, looser_than_ancestors};
use tetrarch_crds::orchestrator::SigningKey;

use super::{
    chain::{Chain, Declared},
    finding::{Code, Finding},
    place::owner_of,
    review::Manifest,
};
use crate::parse;

/// What an object declares at a generation, with everything that is wrong with it. None for kinds that declare nothing.
pub fn declared(manifest: &Manifest, generation: i64, keys: Option<&[SigningKey]>) -> Option<(Declared, Vec<Finding>)> {
    let owner = owner_of(manifest, generation)?;
    let (layer, violations) = parse::policy::layer(owner, manifest.policies(), keys);
    let found = violations.into_iter().map(Finding::from).collect();
    Some((Declared::new(layer, manifest.policies()), found))
}

/// What is looser than the levels above, and what contradicts itself or them.
pub fn conflicts(declared: &Declared, above: &Chain) -> Vec<Finding> {
    let (layer, ancestors) = (declared.layer(), above.layers());
    let mut found = Vec::new();
    for (index, policy) in layer.policies.iter().enumerate() {
        let path = format!("{}[{index}]", parse::policy::PATH);
        let mut note = |code: Code, field: String, problem: String| {
            found.push(Finding::denied(code, format!("{path}.{field}"), problem, ""));
        };
        let looser = looser_than_ancestors(&layer.owner, policy, &ancestors);
        for loosening in &looser {
            note(Code::Looser, loosening.difference.field(), loosening.difference.to_string());
        }
        let chain: Vec<_> = ancestors.iter().copied().chain([layer]).collect();
        for contradiction in contradictions(&layer.owner, policy, &chain) {
            let problem = &contradiction.problem;
            let is_told = looser.iter().any(|loosening| loosening.difference.field() == problem.field());
            if !is_told && !allows_no_domain(problem) {
                note(Code::Contradiction, problem.field(), problem.to_string());
            }
        }
    }
    found
}

/// To allow no other Domain at all is a policy, and the next level cannot widen it.
fn allows_no_domain(problem: &Problem) -> bool {
    matches!(problem, Problem::EmptyAllowance { allowance: Allowance::Domains, .. })
}
