//! Tests of policies: tables of comparisons, contradictions and explanations. The laws are in `lattice`.

mod generate;
mod lattice;

use std::collections::{BTreeMap, BTreeSet};

use rstest::rstest;

use super::*;

fn owner(level: Level, name: &str) -> Owner {
    let namespace = (level > Level::Domain).then(|| "ns".to_owned());
    Owner { level, namespace, name: name.to_owned(), generation: 4 }
}

fn policy(name: &str, action: Action, kinds: &[Kind]) -> Policy {
    let applies_to = AppliesTo { kinds: kinds.iter().copied().collect(), ..AppliesTo::default() };
    Policy { name: name.to_owned(), action, applies_to, ..Policy::default() }
}

fn limiting(name: &str, action: Action, kinds: &[Kind], limit: Limit, value: u64) -> Policy {
    Policy { limits: BTreeMap::from([(limit, value)]), ..policy(name, action, kinds) }
}

fn allowing(name: &str, action: Action, allowance: Allowance, patterns: &[&str]) -> Policy {
    let patterns = patterns.iter().map(|pattern| pattern.parse::<Pattern>().unwrap()).collect();
    Policy { allow: BTreeMap::from([(allowance, patterns)]), ..policy(name, action, &[]) }
}

fn selecting(mut policy: Policy, labels: &[(&str, &str)]) -> Policy {
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    policy.applies_to.selector = Selector::new(labels, []);
    policy
}

fn layer(level: Level, name: &str, policies: Vec<Policy>) -> Layer {
    Layer { owner: owner(level, name), policies }
}

fn of_pool(chain: &[Layer]) -> Effective {
    effective(chain, &Subject { kind: Kind::AgentPool, labels: &BTreeMap::new() })
}

const POOL: &[Kind] = &[Kind::AgentPool];

#[rstest]
#[case::larger(
    limiting("mine", Action::Deny, POOL, Limit::Agents, 80),
    Some(
        "limits.agents is 80, but policy \"spending\" of Domain \"compliance\" (generation 4) already allows at most 50 agents: write 50 or less, or leave it out"
    )
)]
#[case::equal(limiting("mine", Action::Deny, POOL, Limit::Agents, 50), None)]
#[case::smaller(limiting("mine", Action::Deny, POOL, Limit::Agents, 20), None)]
#[case::milder_action_and_larger(
    limiting("mine", Action::Warn, POOL, Limit::Agents, 80),
    Some(
        "limits.agents is 80, but policy \"spending\" of Domain \"compliance\" (generation 4) already allows at most 50 agents: write 50 or less, or leave it out"
    )
)]
#[case::other_limit(limiting("mine", Action::Deny, POOL, Limit::TasksPerAgent, 80), None)]
#[case::stricter_action_than_the_ancestor(limiting("mine", Action::Deny, &[Kind::Workflow], Limit::RunTimeout, 7_200_000), None)]
#[case::same_action_as_the_ancestor(
    limiting("mine", Action::Warn, &[Kind::Workflow], Limit::RunTimeout, 7_200_000),
    Some("limits.runTimeout is 2h, but policy \"slow\" of Orchestrator \"acme\" (generation 4) already allows at most a run timeout of 1h: write 1h or less, or leave it out")
)]
#[case::tightens_another_kind(limiting("mine", Action::Deny, &[Kind::AgentPool, Kind::Pod], Limit::CpuPerAgent, 800), None)]
#[case::tightens_nothing(
    limiting("mine", Action::Deny, POOL, Limit::CpuPerAgent, 800),
    Some(
        "limits.cpuPerAgent is 800m, but policy \"cpu\" of Domain \"compliance\" (generation 4) already allows at most 500m CPU per agent: write 500m or less, or leave it out"
    )
)]
#[case::ancestor_selects_only_some(limiting("mine", Action::Deny, POOL, Limit::MemoryPerAgent, 2 << 30), None)]
#[case::ancestor_selects_the_same(
    selecting(limiting("mine", Action::Deny, POOL, Limit::MemoryPerAgent, 2 << 30), &[("tier", "gold"), ("x", "y")]),
    Some("limits.memoryPerAgent is 2Gi, but policy \"gold\" of Domain \"compliance\" (generation 4) already allows at most 1Gi memory per agent: write 1Gi or less, or leave it out")
)]
#[case::wider_images(
    allowing("mine", Action::Deny, Allowance::Images, &["registry.example/team/*", "docker.io/*"]),
    Some("allow.images allows docker.io/*, but policy \"images\" of Orchestrator \"acme\" (generation 4) and policy \"more images\" of Domain \"compliance\" (generation 4) already allow only registry.example/team/*: write nothing beyond that, or leave it out")
)]
#[case::narrower_images(allowing("mine", Action::Deny, Allowance::Images, &["registry.example/team/x*"]), None)]
fn a_policy_that_is_looser_than_its_ancestors_is_found(#[case] child: Policy, #[case] expected: Option<&str>) {
    let everything = |policy: Policy| policy;
    let above = [
        layer(
            Level::Orchestrator,
            "acme",
            vec![
                limiting("slow", Action::Warn, &[Kind::Workflow], Limit::RunTimeout, 3_600_000),
                everything(allowing("images", Action::Deny, Allowance::Images, &["registry.example/*"])),
            ],
        ),
        layer(
            Level::Domain,
            "compliance",
            vec![
                limiting("spending", Action::Deny, &[], Limit::Agents, 50),
                limiting("cpu", Action::Deny, POOL, Limit::CpuPerAgent, 500),
                selecting(limiting("gold", Action::Deny, &[], Limit::MemoryPerAgent, 1 << 30), &[("tier", "gold")]),
                allowing("more images", Action::Deny, Allowance::Images, &["registry.example/team/*", "quay.io/*"]),
            ],
        ),
    ];
    let above: Vec<&Layer> = above.iter().collect();
    let found = looser_than_ancestors(&owner(Level::Supervisor, "s"), &child, &above);
    let told: Vec<String> = found.iter().map(|l| format!("{} {}", l.difference.field(), l.difference)).collect();
    assert_eq!(told, expected.map(str::to_owned).into_iter().collect::<Vec<_>>());
    assert!(found.iter().all(|loosening| loosening.action == child.action));
}

#[rstest]
#[case::empty_together(
    allowing("mine", Action::Deny, Allowance::Images, &["quay.io/*"]),
    Some("allow.images leaves no image that is allowed: policy \"images\" of Orchestrator \"acme\" (generation 4) allows registry.example/a; policy \"mine\" of Domain \"d\" (generation 4) allows quay.io/*: write at least one pattern that all of them allow")
)]
#[case::empty_alone(
    allowing("mine", Action::Deny, Allowance::Priorities, &[]),
    Some("allow.priorities leaves no priority that is allowed: policy \"mine\" of Domain \"d\" (generation 4) allows nothing: write at least one pattern that all of them allow")
)]
#[case::no_other_domains(allowing("mine", Action::Deny, Allowance::Domains, &[]), None)]
#[case::zero(
    limiting("mine", Action::Deny, POOL, Limit::TasksPerAgent, 0),
    Some("limits.tasksPerAgent is 0, with which nothing can run: write 1 or more")
)]
#[case::zero_spend_is_a_choice(limiting("mine", Action::Deny, POOL, Limit::SpendPerDay, 0), None)]
#[case::digest_of_exact_images(
    Policy { require: BTreeSet::from([Requirement::ImageDigest]), ..policy("mine", Action::Deny, POOL) },
    Some("require.imageDigest is required, but the allowed images are only registry.example/a, which have no digest: allow them with their digest or as a prefix that ends in *")
)]
#[case::a_label_that_is_not_selected(
    {
        let mut mine = policy("mine", Action::Deny, POOL);
        mine.require.insert(Requirement::Label("owner".to_owned()));
        let missing = Expectation { key: "owner".to_owned(), operator: Operator::DoesNotExist, values: BTreeSet::new() };
        mine.applies_to.selector = Selector::new(BTreeMap::new(), [missing]);
        mine
    },
    Some("require.labels holds \"owner\", but the selector of the policy selects only objects without it: change one of them")
)]
#[case::a_selector_that_selects_nothing(
    {
        let mut mine = policy("mine", Action::Deny, POOL);
        let other = Expectation { key: "a".to_owned(), operator: Operator::NotIn, values: BTreeSet::from(["b".to_owned()]) };
        mine.applies_to.selector = Selector::new(BTreeMap::from([("a".to_owned(), "b".to_owned())]), [other]);
        mine
    },
    Some("appliesTo.selector excludes every object, because its conditions on one label exclude each other: change one")
)]
#[case::a_limit_that_no_kind_has(
    limiting("mine", Action::Deny, &[Kind::AgentPool], Limit::RunTimeout, 1000),
    Some("limits.runTimeout has no effect on the kinds of appliesTo: add one of Workflow there, or remove it")
)]
#[case::fine(limiting("mine", Action::Deny, POOL, Limit::Agents, 5), None)]
fn contradictions_are_found_when_a_policy_is_written(#[case] mine: Policy, #[case] expected: Option<&str>) {
    let above = layer(
        Level::Orchestrator,
        "acme",
        vec![
            allowing("images", Action::Deny, Allowance::Images, &["registry.example/a"]),
            allowing("milder", Action::Audit, Allowance::Images, &["elsewhere.example/*"]),
        ],
    );
    // The policy's own layer may be part of the chain.
    let own = layer(Level::Domain, "d", vec![mine.clone()]);
    let found = contradictions(&own.owner, &mine, &[&above, &own]);
    assert_eq!(found, contradictions(&own.owner, &mine, &[&above]));
    let told: Vec<String> = found.iter().map(|c| format!("{} {}", c.problem.field(), c.problem)).collect();
    assert_eq!(told, expected.map(str::to_owned).into_iter().collect::<Vec<_>>());
}

#[test]
fn the_consequence_is_the_strictest_action_that_is_violated() {
    let chain = [
        layer(Level::Orchestrator, "acme", vec![limiting("hard", Action::Deny, &[], Limit::Agents, 50)]),
        layer(
            Level::Domain,
            "d",
            vec![
                limiting("soft", Action::Warn, &[], Limit::Agents, 20),
                limiting("ask", Action::RequireApproval, &[], Limit::Agents, 30),
            ],
        ),
    ];
    let effective = of_pool(&chain);
    let found = [20, 21, 31, 51]
        .map(|agents| effective.exceeded(Limit::Agents, agents).map(|b| (b.action, b.constraint.value())));
    assert_eq!(found, [None, Some((Action::Warn, 20)), Some((Action::RequireApproval, 30)), Some((Action::Deny, 50))]);
    assert_eq!(effective.clamp(Limit::Agents).map(Bound::value), Some(50));
    let other = Subject { kind: Kind::Workflow, labels: &BTreeMap::new() };
    assert_eq!(super::effective(&chain, &other).exceeded(Limit::Agents, 51).map(|b| b.action), Some(Action::Deny));
}

#[test]
fn on_ties_the_highest_level_is_named() {
    let chain = [
        layer(Level::Supervisor, "s", vec![limiting("low", Action::Deny, &[], Limit::Agents, 5)]),
        layer(Level::Orchestrator, "acme", vec![limiting("high", Action::Deny, &[], Limit::Agents, 5)]),
    ];
    let effective = of_pool(&chain);
    let breach = effective.exceeded(Limit::Agents, 6).unwrap();
    assert_eq!(breach.constraint.origin().to_string(), "policy \"high\" of Orchestrator \"acme\" (generation 4)");
    assert_eq!(breach.constraint.declared().count(), 2);
}

#[test]
fn a_refused_name_tells_who_excludes_it() {
    let chain = [
        layer(Level::Orchestrator, "acme", vec![allowing("wide", Action::Deny, Allowance::Images, &["a/*", "b/*"])]),
        layer(Level::Domain, "d", vec![allowing("narrow", Action::Deny, Allowance::Images, &["a/*"])]),
    ];
    let effective = of_pool(&chain);
    let excluding = |name: &str| {
        let breach = effective.excluded(Allowance::Images, name).unwrap();
        breach.constraint.excluding(name).map(|(origin, _)| origin.policy().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        (excluding("b/x"), excluding("c/x")),
        (vec!["narrow".to_owned()], vec!["wide".to_owned(), "narrow".to_owned()])
    );
    assert_eq!(effective.excluded(Allowance::Images, "a/x"), None);
}

#[test]
fn an_explanation_tells_every_value_with_everybody_who_has_a_say() {
    let rule = Rule::compile("object.spec.replicas < 5", "use less").unwrap();
    let chain = [
        layer(
            Level::Orchestrator,
            "acme",
            vec![
                limiting("hard", Action::Deny, &[], Limit::MemoryPerAgent, 1 << 30),
                Policy { rules: BTreeSet::from([rule.clone()]), ..policy("rules", Action::Warn, &[]) },
            ],
        ),
        layer(
            Level::Domain,
            "d",
            vec![
                limiting("soft", Action::Audit, &[], Limit::MemoryPerAgent, 1 << 29),
                Policy { rules: BTreeSet::from([rule]), ..policy("same", Action::Deny, &[]) },
            ],
        ),
    ];
    let rows = explain(&of_pool(&chain));
    let told: Vec<String> = rows
        .iter()
        .map(|row| {
            let says = row.says.iter().map(|say| {
                format!("{}{}={}({})", if say.decides { "*" } else { "" }, say.origin.policy(), say.value, say.action)
            });
            format!("{} {} {}: {}", row.field, row.value, row.action, says.collect::<Vec<_>>().join(" "))
        })
        .collect();
    assert_eq!(
        told,
        [
            "limits.memoryPerAgent 1Gi Deny: *hard=1Gi(Deny) soft=512Mi(Audit)",
            "limits.memoryPerAgent 512Mi Audit: hard=1Gi(Deny) *soft=512Mi(Audit)",
            "rules object.spec.replicas < 5 Deny: rules=object.spec.replicas < 5(Warn) *same=object.spec.replicas < 5(Deny)",
        ]
    );
    let json = serde_json::to_value(&rows[0]).unwrap();
    let say = serde_json::json!({
        "origin": {"level": "Orchestrator", "name": "acme", "generation": 4, "policy": "hard"},
        "value": "1Gi", "action": "Deny", "decides": true
    });
    assert_eq!((&json["field"], &json["says"][0]), (&"limits.memoryPerAgent".into(), &say));
}

#[test]
fn a_comparison_of_effective_policies_tells_what_would_be_looser() {
    let strict = of_pool(&[layer(
        Level::Domain,
        "d",
        vec![Policy {
            limits: BTreeMap::from([(Limit::Agents, 5), (Limit::SpendPerDay, 20_000_000)]),
            require: BTreeSet::from([Requirement::Label("owner".to_owned())]),
            rules: BTreeSet::from([Rule::compile("1 == 1", "").unwrap()]),
            ..allowing("all", Action::Warn, Allowance::Images, &["a/*"])
        }],
    )]);
    let loose = of_pool(&[layer(Level::Domain, "d", vec![limiting("all", Action::Deny, &[], Limit::Agents, 9)])]);
    let told = |a: &Effective, b: &Effective| -> Vec<String> {
        a.looser_than(b).iter().map(|(action, d)| format!("{action} {} {d}", d.field())).collect()
    };
    let who = "policy \"all\" of Domain \"d\" (generation 4)";
    assert_eq!(
        told(&loose, &strict),
        [
            format!(
                "Warn limits.agents is 9, but {who} already allows at most 5 agents: write 5 or less, or leave it out"
            ),
            format!(
                "Warn limits.spendPerDay is not limited, but {who} already allows at most a spend of 20.00 per day: write 20.00 or less"
            ),
            format!(
                "Warn allow.images is not restricted, but {who} already allows only a/*: write nothing beyond that"
            ),
            format!("Warn require.labels lacks label \"owner\", which {who} requires: add it"),
            format!("Warn rules lacks \"1 == 1\", which {who} requires: add it"),
        ]
    );
    assert_eq!(
        told(&strict, &loose),
        [format!("Deny limits.agents is not limited, but {who} already allows at most 9 agents: write 9 or less")]
    );
}

#[rstest]
#[case("", "a pattern is empty: write a name, or a prefix that ends in *")]
#[case("a*b", "\"a*b\" has a * before its end: write a name, or a prefix with one * as its last character")]
#[case("a**", "\"a**\" has a * before its end")]
#[case("a b", "\"a b\" holds white space or a control character")]
fn other_texts_are_no_patterns(#[case] text: &str, #[case] expected: &str) {
    let error = text.parse::<Pattern>().unwrap_err().to_string();
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn words_are_read_as_they_are_written() {
    for kind in Kind::ALL {
        assert_eq!(kind.to_string().parse(), Ok(kind));
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
    assert!(Level::ALL.into_iter().zip(Kind::ALL).all(|(level, kind)| level.kind() == kind));
    assert!(Action::ALL.is_sorted() && Level::ALL.is_sorted());
    let unknown = "Allow".parse::<Action>().unwrap_err();
    assert_eq!(unknown.to_string(), "\"Allow\" is no action: write one of Audit, Warn, RequireApproval, Deny");
    for limit in Limit::ALL {
        assert_eq!(serde_json::to_value(limit).unwrap(), limit.as_str());
    }
    assert_eq!(Limit::Agents.phrase(1), "1 agent");
    assert_eq!(Limit::TaskTimeout.phrase(1_800_000), "a task timeout of 30m");
}
