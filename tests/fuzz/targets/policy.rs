//! Any JSON as the policies of a level: refused with fields, or a policy in effect that obeys the laws of the lattice.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use tetrarch_core::policy::{
    Kind, Layer, Level, Owner, Subject, contradictions, effective, explain, looser_than_ancestors,
};
use tetrarch_crds::policy::Policy;
use tetrarch_plan::parse::policy::{Context, PATH, layer, policies};

fn owner(level: Level) -> Owner {
    Owner { level, namespace: None, name: "fuzzed".into(), generation: 1 }
}

fuzz_target!(init: { std::panic::set_hook(Box::new(|_| {})) }, |text: &str| {
    let Ok(written) = serde_json::from_str::<Vec<Policy>>(text) else { return };
    let context = Context { level: Level::Domain, signing_keys: None };
    let read = policies(PATH, &written, &context);
    if let Err(violations) = &read {
        assert!(!violations.is_empty(), "a refusal without a reason");
    }
    let (above, _) = layer(owner(Level::Orchestrator), &written, None);
    let (below, _): (Layer, _) = layer(owner(Level::Domain), &written, None);
    let labels = BTreeMap::from([("owner".to_owned(), "legal".to_owned())]);
    for kind in Kind::ALL {
        let subject = Subject { kind, labels: &labels };
        let one = effective([&above], &subject);
        let both = effective([&above, &below], &subject);
        assert!(both.is_at_least_as_strict_as(&one), "a level below has loosened");
        assert_eq!(one.meet(&one), one, "meeting itself changes a policy");
        explain(&both);
    }
    for policy in &below.policies {
        contradictions(&below.owner, policy, &[&above]);
        looser_than_ancestors(&below.owner, policy, &[&above]);
    }
});
