//! Regions that agents may run in: a required node affinity in the pod template, on top of whatever the template has.

use serde_json::{Value, json};
use tetrarch_core::policy::{Action, Allowance, Effective, Pattern};

use crate::parse::demand::REGION_LABEL as LABEL;

/// The regions that pods must be in; none when they are not restricted. Only what is refused otherwise restricts pods.
pub fn allowed(effective: &Effective) -> Option<Vec<String>> {
    let allowed = effective.at(Action::Deny).allow.get(&Allowance::Regions)?;
    let everything = Pattern::Prefix(String::new());
    if allowed.patterns().iter().any(|pattern| *pattern == everything) {
        return None;
    }
    // A node affinity knows whole names only.
    let exact = |pattern: &Pattern| match pattern {
        Pattern::Exact(name) => Some(name.clone()),
        Pattern::Prefix(_) => None,
    };
    Some(allowed.patterns().iter().filter_map(exact).collect())
}

/// Restricts a pod template: each of the alternatives that it has must be in one of the regions as well.
pub fn restrict(template: &mut Value, regions: &[String]) {
    let here = json!({ "key": LABEL, "operator": "In", "values": regions });
    let required = &mut template["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    let terms = required["nodeSelectorTerms"].as_array_mut();
    match terms.filter(|terms| !terms.is_empty()) {
        Some(terms) => {
            for term in terms {
                match term["matchExpressions"].as_array_mut() {
                    Some(expressions) => expressions.push(here.clone()),
                    None => term["matchExpressions"] = json!([here]),
                }
            }
        }
        None => *required = json!({ "nodeSelectorTerms": [{ "matchExpressions": [here] }] }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(template: &Value) -> &Value {
        let node = &template["spec"]["affinity"]["nodeAffinity"];
        &node["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    }

    #[test]
    fn a_template_without_affinity_gets_one() {
        let mut template = json!({ "spec": { "affinity": null } });
        restrict(&mut template, &["eu-west-1".to_owned()]);
        let expected = json!([{ "matchExpressions": [{ "key": LABEL, "operator": "In", "values": ["eu-west-1"] }] }]);
        assert_eq!(*terms(&template), expected);
    }

    #[test]
    fn no_alternative_of_a_template_leads_out_of_the_regions() {
        let other = json!({ "key": "disk", "operator": "Exists" });
        let affinity = json!({ "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [
            { "matchExpressions": [other] }, { "matchFields": [other] },
        ] } } });
        let mut template = json!({ "spec": { "affinity": affinity } });
        restrict(&mut template, &["eu-west-1".to_owned()]);
        for term in terms(&template).as_array().into_iter().flatten() {
            let expressions = term["matchExpressions"].as_array().map(Vec::as_slice).unwrap_or_default();
            assert!(expressions.iter().any(|e| e["key"] == LABEL), "{term}");
        }
    }
}
