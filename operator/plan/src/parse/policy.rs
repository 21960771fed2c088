//! Policies as typed values: the same reading for the webhook, the controllers and the plugin.

mod limits;
mod selector;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use tetrarch_core::{
    expression,
    policy::{Action, Allowance, AppliesTo, Kind, Layer, Level, Owner, Pattern, Patterns, Policy, Requirement, Rule},
};
use tetrarch_crds::{
    orchestrator::SigningKey,
    policy::{self as written, GovernedKind},
};

use crate::{
    image,
    parse::{domain::check_subjects, name},
    violation::{Violation, Violations},
};

/// Where policies stand, as far as it matters for reading them.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The level of the object that carries them.
    pub level: Level,
    /// The signing keys of its Orchestrator; none when the Orchestrator is not known, so that no key is unknown.
    pub signing_keys: Option<&'a [SigningKey]>,
}

/// Path of the policies in every kind.
pub const PATH: &str = "spec.policies";

/// The policies, or everything that is wrong with them.
pub fn policies(path: &str, written: &[written::Policy], context: &Context<'_>) -> Result<Vec<Policy>, Vec<Violation>> {
    let mut violations = Violations::default();
    let policies = read(path, written, context, &mut violations);
    violations.finish(Some(policies))
}

/// What one object declares: all of its policies that can be read, and what is wrong with the rest. An object that is
/// stored although a part of it cannot be read is still governed by the other parts.
pub fn layer(owner: Owner, written: &[written::Policy], keys: Option<&[SigningKey]>) -> (Layer, Vec<Violation>) {
    let mut violations = Violations::default();
    let context = Context { level: owner.level, signing_keys: keys };
    let policies = read(PATH, written, &context, &mut violations);
    (Layer { owner, policies }, violations.into_found())
}

fn read(path: &str, written: &[written::Policy], context: &Context<'_>, violations: &mut Violations) -> Vec<Policy> {
    let mut policies: Vec<Policy> = Vec::with_capacity(written.len());
    for (index, policy) in written.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if policies.iter().any(|other| other.name == policy.name) {
            let message = format!("{:?} is the name of two policies: give each its own", policy.name);
            violations.add(format!("{path}.name"), message);
        }
        policies.push(read_one(&path, policy, context, violations));
    }
    policies
}

fn read_one(path: &str, written: &written::Policy, context: &Context<'_>, violations: &mut Violations) -> Policy {
    name(&format!("{path}.name"), &written.name, violations);
    check_subjects(&format!("{path}.approvers"), &written.approvers, violations);
    Policy {
        name: written.name.clone(),
        applies_to: applies_to(&format!("{path}.appliesTo"), &written.applies_to, context.level, violations),
        limits: limits::limits(&format!("{path}.limits"), &written.limits, violations),
        allow: allow(&format!("{path}.allow"), &written.allow, violations),
        require: require(&format!("{path}.require"), &written.require, context, violations),
        rules: rules(&format!("{path}.rules"), &written.rules, violations),
        action: action(written.action),
    }
}

/// The action that a word stands for.
pub const fn action(written: written::Action) -> Action {
    match written {
        written::Action::Audit => Action::Audit,
        written::Action::Warn => Action::Warn,
        written::Action::RequireApproval => Action::RequireApproval,
        written::Action::Deny => Action::Deny,
    }
}

/// The kinds that policies of a level can govern: its own and those below.
pub const fn governable(level: Level) -> &'static [Kind] {
    use Kind::{AgentPool, Domain, Pod, Supervisor, Workflow};
    match level {
        Level::Orchestrator | Level::Domain => &[Domain, Supervisor, AgentPool, Workflow, Pod],
        Level::Supervisor => &[Supervisor, AgentPool, Workflow, Pod],
        Level::AgentPool => &[AgentPool, Pod],
        Level::Workflow => &[Workflow],
    }
}

fn applies_to(path: &str, written: &written::AppliesTo, level: Level, violations: &mut Violations) -> AppliesTo {
    let mut kinds = BTreeSet::new();
    for (index, written) in written.kinds.iter().enumerate() {
        let kind = match written {
            GovernedKind::Domain => Kind::Domain,
            GovernedKind::Supervisor => Kind::Supervisor,
            GovernedKind::AgentPool => Kind::AgentPool,
            GovernedKind::Workflow => Kind::Workflow,
            GovernedKind::Pod => Kind::Pod,
        };
        let known = governable(level);
        if known.contains(&kind) {
            kinds.insert(kind);
        } else {
            let known = known.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
            let message =
                format!("a policy of this {level} cannot govern {kind}, which is not below it: write {known}");
            violations.add(format!("{path}.kinds[{index}]"), message);
        }
    }
    // Said for all kinds of the level rather than for none, which stands for all there are.
    if kinds.is_empty() && !written.kinds.is_empty() {
        kinds.extend(governable(level));
    }
    let selector = written.selector.as_ref();
    let selector = selector.map(|s| selector::selector(&format!("{path}.selector"), s, violations));
    AppliesTo { kinds, selector: selector.unwrap_or_default() }
}

fn allow(path: &str, written: &written::Allowances, violations: &mut Violations) -> BTreeMap<Allowance, Patterns> {
    let priorities = written.priorities.as_ref();
    let priorities: Option<Vec<String>> =
        priorities.map(|all| all.iter().map(|p| crate::parse::orchestrator::class(*p).as_str().to_owned()).collect());
    let lists = [
        (Allowance::Images, written.images.as_ref()),
        (Allowance::Regions, written.regions.as_ref()),
        (Allowance::Domains, written.domains.as_ref()),
        (Allowance::Priorities, priorities.as_ref()),
    ];
    let mut allow = BTreeMap::new();
    for (allowance, list) in lists {
        let Some(list) = list else { continue };
        let path = format!("{path}.{allowance}");
        let patterns = list.iter().enumerate().filter_map(|(index, text)| {
            let path = format!("{path}[{index}]");
            let pattern = violations.check(&path, text.parse::<Pattern>())?;
            if allowance != Allowance::Images {
                return Some(pattern);
            }
            let normalised = image::normalised_pattern(text).map_err(|better| {
                format!("{text:?} ends within the name of a registry, so that others match it too: write {better:?}")
            });
            violations.check(&path, normalised)?.parse().ok()
        });
        allow.insert(allowance, patterns.collect());
    }
    allow
}

fn require(
    path: &str,
    written: &written::Requirements,
    context: &Context<'_>,
    violations: &mut Violations,
) -> BTreeSet<Requirement> {
    let flags = [
        (written.image_digest, Requirement::ImageDigest),
        (written.audit, Requirement::Audit),
        (written.pools_only, Requirement::PoolsOnly),
    ];
    let mut require: BTreeSet<Requirement> =
        flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, requirement)| requirement).collect();
    for (index, label) in written.labels.iter().enumerate() {
        match selector::check_key(label) {
            Ok(()) => drop(require.insert(Requirement::Label(label.clone()))),
            Err(message) => violations.add(format!("{path}.labels[{index}]"), message),
        }
    }
    for (index, key) in written.signed_by.iter().enumerate() {
        if let Some(keys) = context.signing_keys
            && !keys.iter().any(|known| known.name == *key)
        {
            let known: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
            let known = if known.is_empty() { "it has none yet".to_owned() } else { known.join(", ") };
            let message = format!(
                "the Orchestrator has no signing key {key:?}: add it to its spec.signingKeys, or name one that it has ({known})"
            );
            violations.add(format!("{path}.signedBy[{index}]"), message);
        }
        // Required also when the key is unknown: then nothing can be signed with it.
        require.insert(Requirement::SignedBy(key.clone()));
    }
    for (index, condition) in written.approval_for.iter().enumerate() {
        let rule = violations.check(&format!("{path}.approvalFor[{index}]"), compile(condition, ""));
        require.extend(rule.map(Requirement::ApprovalFor));
    }
    require
}

/// Compiles a rule or condition; where the error does not say what to write instead, that is added.
fn compile(text: &str, message: &str) -> Result<Rule, String> {
    Rule::compile(text, message).map_err(|error| match error {
        expression::Error::Syntax { .. } | expression::Error::Unsupported(_) => {
            format!("{error}: write a condition in CEL, such as has(object.metadata.labels.team)")
        }
        error => error.to_string(),
    })
}

fn rules(path: &str, written: &[written::Rule], violations: &mut Violations) -> BTreeSet<Rule> {
    let compiled = |(index, rule): (usize, &written::Rule)| {
        let path = format!("{path}[{index}]");
        if rule.message.trim().is_empty() {
            violations.add(format!("{path}.message"), "is empty: tell whoever breaks the rule what to write instead");
        }
        violations.check(&format!("{path}.expression"), compile(&rule.expression, &rule.message))
    };
    written.iter().enumerate().filter_map(compiled).collect()
}
