//! Random policies and objects from small alphabets, so that they meet often.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use proptest::{prelude::*, sample};

use super::super::*;

pub(super) const NAMES: [&str; 7] = ["a", "ab", "abc", "b", "ba", "c", "ab/c"];
const PATTERNS: [&str; 9] = ["a", "ab", "abc", "b", "a*", "ab*", "b*", "ab/*", "*"];
const LIMITS: [Limit; 3] = [Limit::Agents, Limit::TaskTimeout, Limit::CpuPerAgent];
const ALLOWANCES: [Allowance; 3] = [Allowance::Images, Allowance::Regions, Allowance::Domains];
const KEYS: [&str; 2] = ["team", "tier"];
const VALUES: [&str; 3] = ["a", "b", "c"];

static RULES: LazyLock<Vec<Rule>> =
    LazyLock::new(|| ["1 == 1", "2 == 2", "3 == 3"].map(|text| Rule::compile(text, "").unwrap()).to_vec());

fn requirements() -> Vec<Requirement> {
    vec![
        Requirement::Label("owner".to_owned()),
        Requirement::ImageDigest,
        Requirement::SignedBy("key".to_owned()),
        Requirement::ApprovalFor(RULES[0].clone()),
        Requirement::Audit,
        Requirement::PoolsOnly,
    ]
}

pub(super) fn patterns() -> impl Strategy<Value = Patterns> {
    let one = sample::select(&PATTERNS[..]).prop_map(|text| text.parse::<Pattern>().unwrap());
    prop::collection::vec(one, 0..4).prop_map(Patterns::from_iter)
}

pub(super) fn selector() -> impl Strategy<Value = Selector> {
    let operator = sample::select(vec![Operator::In, Operator::NotIn, Operator::Exists, Operator::DoesNotExist]);
    let values = prop::collection::btree_set(sample::select(&VALUES[..]).prop_map(str::to_owned), 1..3);
    let expectation = (sample::select(&KEYS[..]), operator, values).prop_map(|(key, operator, values)| Expectation {
        key: key.to_owned(),
        operator,
        values: if matches!(operator, Operator::In | Operator::NotIn) { values } else { BTreeSet::new() },
    });
    prop_oneof![
        2 => Just(Selector::default()),
        1 => (labels(), prop::collection::vec(expectation, 0..3)).prop_map(|(labels, more)| Selector::new(labels, more)),
    ]
}

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    let one = || prop::option::weighted(0.4, sample::select(&VALUES[..]));
    (one(), one()).prop_map(|(team, tier)| {
        let labels = KEYS.into_iter().zip([team, tier]);
        labels.filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned()))).collect()
    })
}

pub(super) fn policy() -> impl Strategy<Value = Policy> {
    let kinds = prop::collection::btree_set(sample::select(&Kind::ALL[..]), 0..4);
    let limits = prop::collection::btree_map(sample::select(&LIMITS[..]), 0_u64..6, 0..3);
    let allow = prop::collection::btree_map(sample::select(&ALLOWANCES[..]), patterns(), 0..3);
    let require = prop::collection::btree_set(sample::select(requirements()), 0..3);
    let rules = prop::collection::btree_set(sample::select(RULES.clone()), 0..2);
    let rest = (limits, allow, require, rules, sample::select(&Action::ALL[..]));
    (kinds, selector(), rest).prop_map(|(kinds, selector, (limits, allow, require, rules, action))| Policy {
        name: String::new(),
        applies_to: AppliesTo { kinds, selector },
        limits,
        allow,
        require,
        rules,
        action,
    })
}

/// An object of any level with up to three policies. Two of them may be the same object with different policies, which the
/// merge must stand as well.
pub(super) fn layer() -> impl Strategy<Value = Layer> {
    let owner = (sample::select(&Level::ALL[..]), sample::select(vec!["x", "y"]), 1_i64..3);
    (owner, prop::collection::vec(policy(), 0..4)).prop_map(|((level, name, generation), mut policies)| {
        for (index, policy) in policies.iter_mut().enumerate() {
            policy.name = format!("p{}", index % 3);
        }
        let namespace = (level > Level::Domain).then(|| "ns".to_owned());
        Layer { owner: Owner { level, namespace, name: name.to_owned(), generation }, policies }
    })
}

pub(super) fn chain() -> impl Strategy<Value = Vec<Layer>> {
    prop::collection::vec(layer(), 0..4)
}

/// An object with everything that policies ask about.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) kind: Kind,
    pub(super) labels: BTreeMap<String, String>,
    values: BTreeMap<Limit, u64>,
    names: BTreeMap<Allowance, &'static str>,
    has: BTreeSet<Requirement>,
    keeps: BTreeSet<Rule>,
}

pub(super) fn candidate() -> impl Strategy<Value = Candidate> {
    let values = prop::collection::btree_map(sample::select(&LIMITS[..]), 0_u64..7, 0..4);
    let names = prop::collection::btree_map(sample::select(&ALLOWANCES[..]), sample::select(&NAMES[..]), 0..3);
    let has = prop::collection::btree_set(sample::select(requirements()), 3..7);
    let keeps = prop::collection::btree_set(sample::select(RULES.clone()), 1..4);
    (sample::select(&Kind::ALL[..]), labels(), values, names, has, keeps)
        .prop_map(|(kind, labels, values, names, has, keeps)| Candidate { kind, labels, values, names, has, keeps })
}

impl Candidate {
    pub(super) fn subject(&self) -> Subject<'_> {
        Subject { kind: self.kind, labels: &self.labels }
    }

    /// What happens to the object: the strictest action with a violation, by the merged policy.
    pub(super) fn verdict(&self, effective: &Effective) -> Option<Action> {
        let values = self.values.iter().filter_map(|(limit, value)| Some(effective.exceeded(*limit, *value)?.action));
        let names =
            self.names.iter().filter_map(|(allowance, name)| Some(effective.excluded(*allowance, name)?.action));
        let missing = effective.requirements().filter(|(requirement, _)| !self.has.contains(requirement));
        let broken = effective.rules().filter(|(rule, _)| !self.keeps.contains(rule));
        values.chain(names).chain(missing.map(|(_, b)| b.action)).chain(broken.map(|(_, b)| b.action)).max()
    }

    /// The same without any merge: each policy by itself.
    pub(super) fn verdict_of_each(&self, chain: &[Layer]) -> Option<Action> {
        let policies = chain.iter().flat_map(|layer| &layer.policies);
        policies.filter(|p| p.applies_to.matches(&self.subject()) && self.violates(p)).map(|p| p.action).max()
    }

    fn violates(&self, policy: &Policy) -> bool {
        let exceeds = |(limit, bound): (&Limit, &u64)| self.values.get(limit).is_some_and(|value| value > bound);
        let excluded =
            |(name, set): (&Allowance, &Patterns)| self.names.get(name).is_some_and(|name| !set.matches(name));
        policy.limits.iter().any(exceeds)
            || policy.allow.iter().any(excluded)
            || !policy.require.is_subset(&self.has)
            || !policy.rules.is_subset(&self.keeps)
    }
}
