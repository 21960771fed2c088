//! What the webhook decides about the change of a test, told as a test tells it.

use jiff::Timestamp;
use serde_json::{Value, json};
use tetrarch_core::policy::Kind;

use super::{Change, Expect, Operation, Outcome, capacity};
use crate::admit::{
    self, Check, Finding, Index, Review, User,
    review::{self, Target, Written},
    verdict,
};

/// Asks the webhook's own decisions, first what it writes into the object and then whether it admits it. `can` are the
/// verbs that the user has by RBAC.
pub fn judge(index: &Index, change: &Change, can: &[String], now: Timestamp) -> Result<Outcome, String> {
    let mut review = review(change)?;
    let mutation = admit::mutate(&review, index, now);
    let denials = mutation.denials.iter().chain(refused(&mutation.checks, can));
    let mut messages: Vec<String> = denials.map(Finding::to_string).collect();
    if !messages.is_empty() {
        return Ok(Outcome { verdict: Expect::Deny, messages });
    }
    if let Target::Whole { new: Some(new), .. } = &mut review.target {
        let mut document = new.document().clone();
        for change in &mutation.patch {
            apply(&mut document, change);
        }
        **new = Written::read(review.kind, document);
    }
    let mut found = admit::decide(&review, index, now);
    if let (Some(booking), Target::Scale { .. }) = (&mut found.booking, &review.target) {
        // What is scaled here is the version that is known.
        booking.claim.base = generation(index, &review);
    }
    if let Some(booking) = found.booking.as_ref().filter(|_| found.is_allowed()) {
        found.denials.extend(capacity::examine(booking, index, now));
    }
    let steps = [
        (Expect::Deny, found.denials.iter().chain(refused(&found.checks, can)).collect::<Vec<_>>()),
        (Expect::Hold, found.held.iter().collect()),
        (Expect::Warn, found.warnings.iter().collect()),
        (Expect::Audit, found.audits.iter().collect()),
    ];
    let verdict =
        steps.iter().find(|(_, findings)| !findings.is_empty()).map_or(Expect::Accept, |(verdict, _)| *verdict);
    // Whoever is refused is told why, and nothing of what would have happened otherwise.
    let told = steps.iter().filter(|(step, _)| verdict != Expect::Deny || *step == Expect::Deny);
    messages.extend(told.flat_map(|(_, findings)| findings).map(ToString::to_string));
    Ok(Outcome { verdict, messages })
}

/// Generation of the pool that is scaled.
fn generation(index: &Index, review: &Review) -> Option<i64> {
    index.space(&review.namespace)?.pool(&review.name)?.object().metadata.generation
}

fn refused<'a>(checks: &'a [Check], can: &'a [String]) -> impl Iterator<Item = &'a Finding> {
    checks.iter().filter(|check| !can.iter().any(|verb| verb == check.verb)).map(|check| &check.otherwise)
}

/// The request that the API server would send.
fn review(change: &Change) -> Result<Review, String> {
    let object = change.new.as_ref().or(change.old.as_ref()).ok_or("is about no object")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let kind: Kind = text(&object["kind"]).parse().map_err(|error| format!("kind: {error}"))?;
    let written = |value: &Option<Value>| value.clone().map(|value| Box::new(Written::read(kind, value)));
    let target = match change.operation {
        Operation::Scale => {
            let replicas = object["spec"]["replicas"].as_i64().and_then(|replicas| i32::try_from(replicas).ok());
            Target::Scale { replicas: replicas.ok_or("replicas: is no number of agents")?, version: None }
        }
        _ => Target::Whole { new: written(&change.new), old: written(&change.old) },
    };
    Ok(Review {
        operation: match change.operation {
            Operation::Create => review::Operation::Create,
            Operation::Update | Operation::Scale => review::Operation::Update,
            Operation::Delete => review::Operation::Delete,
        },
        kind,
        namespace: text(&object["metadata"]["namespace"]),
        name: text(&object["metadata"]["name"]),
        target,
        user: User { name: change.user.name.clone(), groups: change.user.groups.clone(), ..User::default() },
        is_patch: false,
        dry_run: false,
    })
}

/// One change of a JSON patch to the members of objects.
fn apply(document: &mut Value, change: &verdict::Change) {
    let (path, value) = match change {
        verdict::Change::Add { path, value } => (path, Some(value)),
        verdict::Change::Remove { path } => (path, None),
    };
    let mut steps: Vec<String> =
        path.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    let Some(last) = steps.pop() else { return };
    let mut at = document;
    for step in steps {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[step];
    }
    match (at, value) {
        (Value::Object(fields), None) => drop(fields.remove(&last)),
        (at, Some(value)) => {
            if !at.is_object() {
                *at = json!({});
            }
            at[last] = value.clone();
        }
        _ => {}
    }
}
