//! Label selectors of policies.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use tetrarch_core::policy::{Expectation, Operator, Selector};

use crate::violation::Violations;

/// The selector, without what cannot be read of it.
pub(super) fn selector(path: &str, written: &LabelSelector, violations: &mut Violations) -> Selector {
    let labels = written.match_labels.clone().unwrap_or_default();
    for key in labels.keys() {
        violations.check(&format!("{path}.matchLabels[{key:?}]"), check_key(key));
    }
    let expressions = written.match_expressions.as_deref().unwrap_or_default();
    let expectations: Vec<Expectation> = expressions
        .iter()
        .enumerate()
        .filter_map(|(index, written)| {
            let path = format!("{path}.matchExpressions[{index}]");
            violations.check(&format!("{path}.key"), check_key(&written.key));
            expectation(&path, written, violations)
        })
        .collect();
    Selector::new(labels, expectations)
}

fn expectation(path: &str, written: &LabelSelectorRequirement, violations: &mut Violations) -> Option<Expectation> {
    let operator = match written.operator.as_str() {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        other => {
            let message = format!("{other:?} is no operator: write In, NotIn, Exists or DoesNotExist");
            violations.add(format!("{path}.operator"), message);
            return None;
        }
    };
    let values = written.values.clone().unwrap_or_default();
    let takes_values = matches!(operator, Operator::In | Operator::NotIn);
    if takes_values == values.is_empty() {
        let remedy = if takes_values { "write at least one" } else { "leave them out" };
        violations.add(format!("{path}.values"), format!("do not fit the operator {}: {remedy}", written.operator));
    }
    Some(Expectation { key: written.key.clone(), operator, values: values.into_iter().collect() })
}

/// Whether the text is the key of a label: a name of at most 63 characters, perhaps behind a DNS name and a slash.
pub(super) fn check_key(key: &str) -> Result<(), String> {
    let (prefix, name) = match key.rsplit_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let is_end = |c: char| c.is_ascii_alphanumeric();
    let is_name = |text: &str, most: usize, others: &[char]| {
        text.len() <= most
            && text.starts_with(is_end)
            && text.ends_with(is_end)
            && text.chars().all(|c| is_end(c) || others.contains(&c))
    };
    if is_name(name, 63, &['-', '_', '.']) && prefix.is_none_or(|prefix| is_name(prefix, 253, &['-', '.'])) {
        Ok(())
    } else {
        Err(format!(
            "{key:?} is no key of a label: write letters, digits, -, _ and ., such as owner or example.com/owner"
        ))
    }
}
