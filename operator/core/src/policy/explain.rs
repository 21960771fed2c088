//! Explains an effective policy: each value with who decides it and who else has a say.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Action, Constraints, Effective, Origin};

/// One value that holds for an object, at the strictest action at which it has this value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Explanation {
    /// The field of a policy, such as `limits.agents`.
    pub field: String,
    /// The value that holds, as in a manifest.
    pub value: String,
    /// What happens to an object that violates it.
    pub action: Action,
    /// Everybody who declared this field, the highest level first, with what they declared.
    pub says: Vec<Say>,
}

/// What one policy declares for a field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Say {
    /// The policy.
    pub origin: Origin,
    /// What it declares.
    pub value: String,
    /// Its action.
    pub action: Action,
    /// Whether the value that holds comes from it, alone or together with others.
    pub decides: bool,
}

impl Explanation {
    /// Who decides the value.
    pub fn deciding(&self) -> impl Iterator<Item = &Origin> {
        self.says.iter().filter(|say| say.decides).map(|say| &say.origin)
    }
}

/// Explains everything that holds, in the order limits, allowances, requirements, rules.
pub fn explain(effective: &Effective) -> Vec<Explanation> {
    let mut rows = Vec::new();
    let all = effective.at(Action::Audit);
    for limit in all.limits.keys() {
        let said = |at: &Constraints| {
            let declared = at.limits.get(limit).into_iter().flat_map(super::Bound::declared);
            declared.map(|(origin, value)| (origin.clone(), limit.quantity(value).to_string())).collect()
        };
        let holds = |at: &Constraints| {
            let bound = at.limits.get(limit)?;
            Some((limit.quantity(bound.value()).to_string(), BTreeSet::from([bound.origin().clone()])))
        };
        explain_field(effective, &format!("limits.{limit}"), said, holds, &mut rows);
    }
    for allowance in all.allow.keys() {
        let said = |at: &Constraints| {
            let declared = at.allow.get(allowance).into_iter().flat_map(super::Allowed::declared);
            declared.map(|(origin, patterns)| (origin.clone(), patterns.to_string())).collect()
        };
        let holds = |at: &Constraints| {
            let allowed = at.allow.get(allowance)?;
            Some((allowed.patterns().to_string(), allowed.declared().map(|(origin, _)| origin.clone()).collect()))
        };
        explain_field(effective, &format!("allow.{allowance}"), said, holds, &mut rows);
    }
    for requirement in all.require.keys() {
        let value = requirement.value();
        let who = |at: &Constraints| {
            at.require.get(requirement).into_iter().flat_map(super::Origins::iter).cloned().collect()
        };
        explain_demand(effective, &format!("require.{}", requirement.field()), value, who, &mut rows);
    }
    for rule in all.rules.keys() {
        let who = |at: &Constraints| at.rules.get(rule).into_iter().flat_map(super::Origins::iter).cloned().collect();
        explain_demand(effective, "rules", rule.text(), who, &mut rows);
    }
    rows
}

/// A field whose value may differ from action to action: one row for each value.
fn explain_field(
    effective: &Effective,
    field: &str,
    said: impl Fn(&Constraints) -> Vec<(Origin, String)>,
    holds: impl Fn(&Constraints) -> Option<(String, BTreeSet<Origin>)>,
    rows: &mut Vec<Explanation>,
) {
    let everybody = said(effective.at(Action::Audit));
    let mut last = None;
    for (action, constraints) in effective.strictest_first() {
        let Some((value, deciding)) = holds(constraints) else { continue };
        if last.as_ref() == Some(&value) {
            continue;
        }
        let says = everybody.iter().map(|(origin, value)| Say {
            origin: origin.clone(),
            value: value.clone(),
            action: strictest(effective, |at| said(at).iter().any(|(known, _)| known == origin)),
            decides: deciding.contains(origin),
        });
        rows.push(Explanation { field: field.to_owned(), value: value.clone(), action, says: says.collect() });
        last = Some(value);
    }
}

/// A field that only adds up: one row, at the strictest action.
fn explain_demand(
    effective: &Effective,
    field: &str,
    value: &str,
    who: impl Fn(&Constraints) -> BTreeSet<Origin>,
    rows: &mut Vec<Explanation>,
) {
    let action = strictest(effective, |at| !who(at).is_empty());
    let deciding = who(effective.at(action));
    let says = who(effective.at(Action::Audit)).into_iter().map(|origin| Say {
        value: value.to_owned(),
        action: strictest(effective, |at| who(at).contains(&origin)),
        decides: deciding.contains(&origin),
        origin,
    });
    rows.push(Explanation { field: field.to_owned(), value: value.to_owned(), action, says: says.collect() });
}

fn strictest(effective: &Effective, holds: impl Fn(&Constraints) -> bool) -> Action {
    effective.strictest_first().find(|(_, at)| holds(at)).map_or(Action::Audit, |(action, _)| action)
}
