//! What a status tells about policies: the condition PolicyCompliant, the values in effect, and the counts of a subtree.

use std::sync::Arc;

use tetrarch_core::policy::{Effective, Explanation, explain};
use tetrarch_crds::{
    AgentPool, Domain, Supervisor, Workflow,
    shared::{Approved, Compliance, EffectiveValue},
};

use crate::{
    admit::finding,
    conditions::{self, Extra, HasConditions, POLICY_COMPLIANT},
    effect::Plan,
    governance::{Clamp, Standing},
    reason::{Finding, Reason},
};

/// Most values that a status lists.
const LISTED: usize = 256;

/// Most clamps that a message lists.
const CLAMPS_LISTED: usize = 10;

/// Longest text of one value.
const LONGEST_VALUE: usize = 1024;

/// Whether the object is as the policies ask, and whether what is booked below it fits.
pub(super) fn compliant(plan: &Plan, overbooked: Option<&Finding>) -> Extra {
    let Some(standing) = &plan.standing else {
        return overbooked.map_or(Extra::Kept(POLICY_COMPLIANT), |finding| known(false, finding.clone()));
    };
    let mut told = Vec::new();
    if !standing.findings.is_empty() {
        told.push(finding::message(&standing.findings));
    }
    told.extend(clamped(&standing.clamps));
    if told.is_empty() {
        return match overbooked {
            Some(finding) => known(false, finding.clone()),
            None => known(true, Finding::new(Reason::Compliant, complies(standing))),
        };
    }
    told.extend(overbooked.map(|finding| finding.message.clone()));
    known(false, Finding::new(Reason::PolicyViolated, told.join("; ")))
}

/// The condition of an Orchestrator, which no policy governs.
pub(super) fn root(overbooked: Option<Finding>) -> Extra {
    match overbooked {
        Some(finding) => known(false, finding),
        None => known(true, Finding::new(Reason::Compliant, "what is booked below is within spec.capacity")),
    }
}

fn known(holds: bool, finding: Finding) -> Extra {
    Extra::Known(POLICY_COMPLIANT, holds, finding)
}

fn complies(standing: &Standing) -> String {
    match explain(&standing.effective).len() {
        0 => "no policy bounds this object".to_owned(),
        1 => "complies with the one value that policies set for it".to_owned(),
        count => format!("complies with the {count} values that policies set for it"),
    }
}

fn clamped(clamps: &[Clamp]) -> Option<String> {
    if clamps.is_empty() {
        return None;
    }
    let mut told: Vec<String> = clamps.iter().take(CLAMPS_LISTED).map(ToString::to_string).collect();
    if clamps.len() > CLAMPS_LISTED {
        told.push(format!("and {} more", clamps.len() - CLAMPS_LISTED));
    }
    Some(told.join("; "))
}

/// The values in effect; what was last known while they are not.
pub(super) fn values(plan: &Plan, before: Option<&[EffectiveValue]>) -> Vec<EffectiveValue> {
    match &plan.standing {
        Some(standing) => values_of(&standing.effective),
        None => before.map(<[_]>::to_vec).unwrap_or_default(),
    }
}

fn values_of(effective: &Effective) -> Vec<EffectiveValue> {
    let value = |explanation: Explanation| EffectiveValue {
        from: shorten(&explanation.deciding().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
        bound: shorten(&explanation.value),
        action: explanation.action.to_string(),
        value: explanation.field,
    };
    explain(effective).into_iter().take(LISTED).map(value).collect()
}

fn shorten(text: &str) -> String {
    if text.len() <= LONGEST_VALUE {
        return text.to_owned();
    }
    let end = (0..=LONGEST_VALUE - 3).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}...", &text[..end])
}

/// The approval that the object runs under.
pub(super) fn approved(plan: &Plan) -> Option<Approved> {
    plan.standing.as_ref()?.approved.clone()
}

/// The object's own part of the counts. `extra` is its condition.
pub(super) fn own(plan: &Plan, extra: &Extra, before: &impl HasConditions) -> Compliance {
    let violating = match extra {
        Extra::Known(_, holds, _) => !holds,
        Extra::Kept(kind) => is_violating(before, kind),
    };
    let standing = plan.standing.as_ref();
    Compliance {
        violating: violating.into(),
        held: standing.is_some_and(|standing| standing.hold.is_some()).into(),
        clamped: standing.is_some_and(|standing| !standing.clamps.is_empty()).into(),
    }
}

fn is_violating(object: &impl HasConditions, kind: &str) -> bool {
    conditions::find(object.conditions(), kind).is_some_and(|condition| condition.status == "False")
}

/// The counts of children that have nothing below them.
pub(super) fn leaves<'a>(
    pools: impl IntoIterator<Item = &'a Arc<AgentPool>>,
    workflows: impl IntoIterator<Item = &'a Arc<Workflow>>,
) -> Compliance {
    let pools = pools.into_iter().filter_map(|pool| Some(&pool.status.as_ref()?.compliance));
    let workflows = workflows.into_iter().filter_map(|workflow| Some(&workflow.status.as_ref()?.compliance));
    pools.chain(workflows).fold(Compliance::default(), |sum, part| add(&sum, part))
}

/// The Supervisors' own part, without what is below them.
pub(super) fn supervisors(all: &[Arc<Supervisor>]) -> Compliance {
    all.iter().fold(Compliance::default(), |sum, supervisor| {
        let accepted = conditions::find(supervisor.conditions(), conditions::ACCEPTED);
        let is_held = accepted.is_some_and(|condition| condition.reason == Reason::ApprovalRequired.as_str());
        let violating = is_violating(supervisor.as_ref(), POLICY_COMPLIANT).into();
        add(&sum, &Compliance { violating, held: is_held.into(), clamped: 0 })
    })
}

/// The counts of whole Domains.
pub(super) fn domains(all: &[Arc<Domain>]) -> Compliance {
    let statuses = all.iter().filter_map(|domain| Some(&domain.status.as_ref()?.compliance));
    statuses.fold(Compliance::default(), |sum, part| add(&sum, part))
}

pub(super) fn add(a: &Compliance, b: &Compliance) -> Compliance {
    Compliance {
        violating: a.violating.saturating_add(b.violating),
        held: a.held.saturating_add(b.held),
        clamped: a.clamped.saturating_add(b.clamped),
    }
}
