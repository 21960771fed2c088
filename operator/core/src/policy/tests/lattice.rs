//! The laws of the lattice over random policies, and that widened merges break them.

use std::collections::BTreeMap;

use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestError, TestRng, TestRunner},
};
use rstest::rstest;

use super::{
    super::*,
    generate::{Candidate, NAMES, candidate, chain, layer, patterns, policy, selector},
};

type Merge = fn(&Effective, &Effective) -> Effective;

/// A merge is right when an object gets what is worse of both: that is what "a lower level can only tighten" means.
fn merged_is_the_worse_of_both(
    merge: Merge,
    a: &[Layer],
    b: &[Layer],
    object: &Candidate,
) -> Result<(), TestCaseError> {
    let (a, b) = (effective(a, &object.subject()), effective(b, &object.subject()));
    let merged = merge(&a, &b);
    prop_assert_eq!(object.verdict(&merged), object.verdict(&a).max(object.verdict(&b)));
    prop_assert!(merged.is_at_least_as_strict_as(&a) && merged.is_at_least_as_strict_as(&b));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn the_meet_is_associative_commutative_and_idempotent(
        chains in (chain(), chain(), chain()), object in candidate()
    ) {
        let [a, b, c] = [chains.0, chains.1, chains.2].map(|chain| effective(&chain, &object.subject()));
        prop_assert_eq!(a.meet(&b).meet(&c), a.meet(&b.meet(&c)));
        prop_assert_eq!(a.meet(&b), b.meet(&a));
        prop_assert_eq!(a.meet(&a), a.clone());
        prop_assert_eq!(a.meet(&b).meet(&b), a.meet(&b));
        prop_assert_eq!(a.meet(&Effective::default()), a);
    }

    #[test]
    fn an_object_gets_the_worse_of_two_policies(a in chain(), b in chain(), object in candidate()) {
        merged_is_the_worse_of_both(Effective::meet, &a, &b, &object)?;
    }

    #[test]
    fn the_merged_policy_says_what_each_policy_says(chain in chain(), object in candidate()) {
        let merged = effective(&chain, &object.subject());
        prop_assert_eq!(object.verdict(&merged), object.verdict_of_each(&chain));
    }

    #[test]
    fn a_further_layer_never_admits_more_wherever_it_stands(
        chain in chain(), added in layer(), at in any::<prop::sample::Index>(), object in candidate()
    ) {
        let without = effective(&chain, &object.subject());
        let mut longer = chain.clone();
        longer.insert(at.index(chain.len() + 1), added.clone());
        let with = effective(&longer, &object.subject());
        prop_assert!(object.verdict(&with) >= object.verdict(&without));
        prop_assert!(with.is_at_least_as_strict_as(&without), "{:?}", with.looser_than(&without));
        longer.reverse();
        prop_assert_eq!(effective(&longer, &object.subject()), with.clone());
        prop_assert_eq!(without.meet(&effective([&added], &object.subject())), with);
    }

    #[test]
    fn milder_actions_hold_more(chain in chain(), object in candidate()) {
        let effective = effective(&chain, &object.subject());
        for (milder, stricter) in Action::ALL.into_iter().zip(Action::ALL.into_iter().skip(1)) {
            prop_assert!(effective.at(milder).is_at_least_as_strict_as(effective.at(stricter)));
        }
    }

    #[test]
    fn what_is_at_least_as_strict_never_admits_more(a in chain(), b in chain(), object in candidate()) {
        let (a, b) = (effective(&a, &object.subject()), effective(&b, &object.subject()));
        if a.is_at_least_as_strict_as(&b) {
            prop_assert!(object.verdict(&a) >= object.verdict(&b));
        }
        // Comparing finds exactly what merging adds.
        prop_assert_eq!(a.is_at_least_as_strict_as(&b), a.meet(&b).looser_than(&a).is_empty() && same_values(&a, &a.meet(&b)));
    }

    /// What is refused as looser would have had no effect on any object, whatever its labels.
    #[test]
    fn a_refused_limit_has_no_effect(chain in chain(), child in policy()) {
        let owner = Owner { level: Level::AgentPool, namespace: None, name: "child".to_owned(), generation: 1 };
        let ancestors: Vec<&Layer> = chain.iter().collect();
        for loosening in looser_than_ancestors(&owner, &child, &ancestors) {
            let Difference::Limit { limit, .. } = loosening.difference else { continue };
            let with = Layer { owner: owner.clone(), policies: vec![child.clone()] };
            let mut without = with.clone();
            without.policies[0].limits.remove(&limit);
            for (kind, labels) in limit.kinds().iter().flat_map(|kind| all_labels().into_iter().map(|l| (*kind, l))) {
                let bounds = |last: &Layer| {
                    let effective = effective(chain.iter().chain([last]), &Subject { kind, labels: &labels });
                    Action::ALL.map(|action| effective.at(action).limits.get(&limit).map(Bound::value))
                };
                prop_assert_eq!(bounds(&with), bounds(&without), "{:?} {:?}", kind, labels);
            }
        }
    }

    #[test]
    fn patterns_are_sets_of_names(a in patterns(), b in patterns(), name in prop::sample::select(&NAMES[..])) {
        let both = a.intersection(&b);
        prop_assert_eq!(both.matches(name), a.matches(name) && b.matches(name));
        prop_assert_eq!(&both, &b.intersection(&a));
        prop_assert_eq!(a.includes(&b), both == b);
        prop_assert!(a.includes(&both) && b.includes(&both));
        // A pattern beyond a set matches a name that the set does not match: itself, or itself with an unused letter.
        for beyond in a.beyond(&b) {
            let witness = beyond.to_string().replace('*', "z");
            prop_assert!(b.matches(&witness) && !a.matches(&witness), "{} {} {}", a, b, witness);
        }
        let written: Vec<String> = serde_json::from_value(serde_json::to_value(&a).unwrap()).unwrap();
        prop_assert_eq!(written.iter().map(|text| text.parse::<Pattern>().unwrap()).collect::<Patterns>(), a);
    }

    /// Exact, by trying all labels: the last value stands for all that no selector names.
    #[test]
    fn selectors_include_each_other_exactly(a in selector(), b in selector()) {
        let all = all_labels();
        prop_assert_eq!(a.includes(&b), all.iter().all(|labels| !b.matches(labels) || a.matches(labels)));
        prop_assert_eq!(a.is_impossible(), !all.iter().any(|labels| a.matches(labels)));
        let excludes = all.iter().all(|labels| !a.matches(labels) || !labels.contains_key("team"));
        prop_assert!(!a.excludes_label("team") || excludes);
    }

    #[test]
    fn explanations_agree_with_what_holds(chain in chain(), object in candidate()) {
        let effective = effective(&chain, &object.subject());
        let rows = explain(&effective);
        prop_assert_eq!(rows.is_empty(), effective.is_empty());
        for row in &rows {
            prop_assert!(row.deciding().next().is_some(), "{:?}", row);
            prop_assert!(row.says.iter().all(|say| !say.decides || say.action >= row.action), "{:?}", row);
            if let Some(limit) = Limit::ALL.into_iter().find(|limit| row.field == format!("limits.{limit}")) {
                let bound = &effective.at(row.action).limits[&limit];
                prop_assert_eq!(&row.value, &limit.quantity(bound.value()).to_string());
                prop_assert_eq!(row.deciding().collect::<Vec<_>>(), [bound.origin()]);
            }
        }
    }
}

/// All combinations of labels; the last value stands for all that no selector names.
fn all_labels() -> Vec<BTreeMap<String, String>> {
    let values = [None, Some("a"), Some("b"), Some("c"), Some("other")];
    let all = values.iter().flat_map(|team| values.iter().map(move |tier| [("team", *team), ("tier", *tier)]));
    all.map(|labels| labels.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?.to_owned()))).collect()).collect()
}

/// Equal but for who says it.
fn same_values(a: &Effective, b: &Effective) -> bool {
    a.is_at_least_as_strict_as(b) && b.is_at_least_as_strict_as(a)
}

/// Takes the larger of two values of one limit.
fn takes_the_larger_limit(a: &Effective, b: &Effective) -> Effective {
    widened(a, b, |merged, a, b| {
        if let (Some(ours), Some(theirs)) = (a.limits.get(&Limit::Agents), b.limits.get(&Limit::Agents)) {
            let larger = if ours.value() > theirs.value() { ours } else { theirs };
            merged.limits.insert(Limit::Agents, larger.clone());
        }
    })
}

/// Takes the union of two values of one allowance.
fn takes_the_union_of_images(a: &Effective, b: &Effective) -> Effective {
    widened(a, b, |merged, a, b| {
        if let (Some(ours), Some(theirs)) = (a.allow.get(&Allowance::Images), b.allow.get(&Allowance::Images)) {
            let union = ours.patterns().iter().chain(theirs.patterns().iter()).cloned().collect();
            let origin = ours.declared().next().unwrap().0.clone();
            merged.allow.insert(Allowance::Images, Allowed::of(origin, union));
        }
    })
}

/// Keeps only the requirements that both have.
fn takes_common_requirements(a: &Effective, b: &Effective) -> Effective {
    widened(a, b, |merged, a, b| {
        merged.require.retain(|key, _| a.require.contains_key(key) && b.require.contains_key(key));
    })
}

/// Lets the lower level replace the rules of the higher one.
fn replaces_the_rules(a: &Effective, b: &Effective) -> Effective {
    widened(a, b, |merged, a, b| merged.rules = if b.rules.is_empty() { a.rules.clone() } else { b.rules.clone() })
}

fn widened(a: &Effective, b: &Effective, widen: fn(&mut Constraints, &Constraints, &Constraints)) -> Effective {
    let mut merged = a.meet(b);
    for action in Action::ALL {
        widen(&mut merged.0[action as usize], a.at(action), b.at(action));
    }
    merged
}

/// The negative control: the property that holds for the meet fails for each of these.
#[rstest]
#[case::larger_limit(takes_the_larger_limit)]
#[case::union_of_images(takes_the_union_of_images)]
#[case::common_requirements(takes_common_requirements)]
#[case::replaced_rules(replaces_the_rules)]
fn a_widened_merge_is_caught(#[case] merge: Merge) {
    let config =
        ProptestConfig { cases: 2000, failure_persistence: None, max_shrink_iters: 0, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let property =
        |(a, b, object): (Vec<Layer>, Vec<Layer>, Candidate)| merged_is_the_worse_of_both(merge, &a, &b, &object);
    let result = runner.run(&(chain(), chain(), candidate()), property);
    assert!(matches!(result, Err(TestError::Fail(..))), "{result:?}");
}
