//! Rules and conditions in CEL.

use std::{borrow::Cow, cell::OnceCell};

use serde_json::{Value, json};
use tetrarch_core::{
    expression::{Error, Scope, Variable},
    policy::{Action, Requirement, Rule},
};

use super::Standard;
use crate::admit::finding::{Against, Code, Finding};

/// What only a write has.
const OF_A_WRITE: [Variable; 4] = [Variable::OldObject, Variable::Operation, Variable::User, Variable::Now];

/// Notes every rule that does not hold, and every condition that asks for an approval.
pub(super) fn examine<'a>(document: impl Fn() -> Cow<'a, Value>, standard: &'a Standard<'a>, found: &mut Vec<Finding>) {
    let scope = OnceCell::new();
    let holds = |rule: &Rule| {
        let read = &rule.expression().references().variables;
        if standard.write.is_none() && OF_A_WRITE.iter().any(|variable| read.contains(variable)) {
            return None;
        }
        Some(rule.holds(scope.get_or_init(|| self::scope(document(), standard))))
    };
    for (rule, breach) in standard.effective.rules() {
        let why = match holds(rule) {
            None | Some(Ok(true)) => continue,
            Some(Ok(false)) => String::new(),
            Some(Err(error)) => reason(&error),
        };
        found.push(Finding::of_policy(
            "spec",
            rule.text(),
            format!("does not fulfil the rule {:?}{why}", rule.text()),
            Against {
                code: Code::Rule,
                action: breach.action,
                origin: breach.origin(),
                bound: "requires it".to_owned(),
                remedy: rule.message().trim_end_matches('.').to_owned(),
                change: "change the rule",
            },
        ));
    }
    for (requirement, breach) in standard.effective.requirements() {
        let Requirement::ApprovalFor(condition) = requirement else { continue };
        let why = match holds(condition) {
            None | Some(Ok(false)) => continue,
            Some(Ok(true)) => String::new(),
            Some(Err(error)) => reason(&error),
        };
        found.push(Finding::of_policy(
            "spec",
            condition.text(),
            format!("meets the condition {:?}{why}", condition.text()),
            Against {
                code: Code::Approval,
                action: Action::RequireApproval,
                origin: breach.origin(),
                bound: "requires an approval for that".to_owned(),
                remedy: "have this generation approved".to_owned(),
                change: "change the condition",
            },
        ));
    }
}

/// An error never admits: a rule that fails does not hold, and a condition that fails asks for an approval.
fn reason(error: &Error) -> String {
    format!(" (it cannot be evaluated: {error}; guard it with has(…), or narrow appliesTo.kinds)")
}

fn scope<'a>(document: Cow<'a, Value>, standard: &'a Standard<'a>) -> Scope<'a> {
    static NULL: Value = Value::Null;
    let scope = Scope::default()
        .with(Variable::Object, document)
        .with(Variable::Domain, Cow::Borrowed(standard.domain.unwrap_or(&NULL)));
    let Some(write) = standard.write else { return scope };
    scope
        .with(Variable::OldObject, Cow::Borrowed(write.old))
        .with(Variable::Operation, Cow::Owned(json!(write.operation.as_str())))
        .with(Variable::User, Cow::Owned(json!({ "name": write.user.name, "groups": write.user.groups })))
        .with_now(write.now)
}
