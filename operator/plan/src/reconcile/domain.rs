//! What to do about a Domain: its namespace with everything in it that guards it, and its account on the bus.

mod deletion;

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube_core::{Resource, ResourceExt};
use serde_json::json;
use tetrarch_core::{
    capacity::{Amounts, Key, Ledger, usage},
    policy::Level,
};
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor, Workflow, quota::WhenExceeded};

use crate::{
    admit::Index,
    build::{limits, members, namespace, namespace::Tenure, network},
    effect::{Effect, Plan},
    governance, hierarchy,
    names::{self, Component, Position},
    object::{Kind, Object, ObjectKey, has_finalizer, is_deleting, to_json},
    parse::{self, domain::Parsed},
    reason::{Finding, Reason},
    reconcile::{all_violations, prune, refused, takes_new},
    settings::Settings,
};

/// What was read for one reconcile of a Domain.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The operator's settings.
    pub settings: Arc<Settings>,
    /// The Orchestrator that `spec.orchestratorRef` names.
    pub orchestrator: Option<Arc<Orchestrator>>,
    /// All Domains of that Orchestrator, this one among them.
    pub siblings: Vec<Arc<Domain>>,
    /// The namespace named by [`crate::hierarchy::namespace_of`], whoever it belongs to.
    pub namespace: Option<Arc<Namespace>>,
    /// Supervisors in that namespace.
    pub supervisors: Vec<Arc<Supervisor>>,
    /// AgentPools in that namespace.
    pub pools: Vec<Arc<AgentPool>>,
    /// Workflows in that namespace.
    pub workflows: Vec<Arc<Workflow>>,
    /// ResourceQuotas, LimitRanges, NetworkPolicies and RoleBindings in that namespace with the labels
    /// `app.kubernetes.io/managed-by: tetrarch` and `app.kubernetes.io/component: domain`. What is not wanted of them is deleted.
    pub children: BTreeSet<ObjectKey>,
    /// The policies above it.
    pub index: Index,
    /// What is booked below it; none before the ledger was read.
    pub ledger: Option<Arc<Ledger>>,
}

/// Decides what to do.
pub fn domain(object: &Domain, observed: &Observed, now: Timestamp) -> Plan {
    if is_deleting(object) {
        return deletion::plan(object, observed);
    }
    let keys = observed.orchestrator.as_ref().map(|orchestrator| orchestrator.spec.signing_keys.as_slice());
    let of_policies = governance::violations(Level::Domain, object, &object.spec.policies, keys);
    let parsed = match all_violations(parse::domain::domain(object), of_policies) {
        Ok(parsed) => parsed,
        Err(finding) => return Plan::refused(finding),
    };
    let (orchestrator, tenure) = match admit(object, observed) {
        Ok(admitted) => admitted,
        Err(finding) => return refused(object, finding, now),
    };
    let standing = governance::standing(object, &observed.index);
    match standing.hold.clone() {
        Some(hold) => Plan::refused(hold),
        None => accepted(object, &parsed, orchestrator, tenure, observed),
    }
    .under(standing)
}

fn accepted(
    object: &Domain,
    parsed: &Parsed,
    orchestrator: &Orchestrator,
    tenure: Tenure,
    observed: &Observed,
) -> Plan {
    if !has_finalizer(object, names::FINALIZER_DOMAIN) {
        return Plan::accepted(vec![Effect::AddFinalizer { finalizer: names::FINALIZER_DOMAIN }]);
    }
    if observed.namespace.as_deref().is_some_and(is_deleting) {
        let message = format!(
            "namespace {:?} is being deleted; the Domain makes it again when it is gone",
            hierarchy::namespace_of(object)
        );
        return Plan::accepted(Vec::new()).blocked_by([Finding::new(Reason::NamespaceTerminating, message)]);
    }
    Plan::accepted(effects(object, parsed, orchestrator, tenure, observed))
}

/// Whether what the Domain needs from others is there, and how it comes to its namespace.
fn admit<'a>(object: &Domain, observed: &'a Observed) -> Result<(&'a Orchestrator, Tenure), Finding> {
    let name = &object.spec.orchestrator_ref.name;
    let orchestrator = observed.orchestrator.as_deref().ok_or_else(|| {
        Finding::new(
            Reason::OrchestratorNotFound,
            format!(
                "spec.orchestratorRef.name: there is no Orchestrator {name:?}: create it, or refer to an existing one"
            ),
        )
    })?;
    if !has_finalizer(object, names::FINALIZER_DOMAIN) {
        takes_new(orchestrator)?;
    }
    let limit = orchestrator.spec.hierarchy.max_domains;
    if !hierarchy::is_within_count(&object.name_any(), &observed.siblings, limit) {
        return Err(Finding::new(
            Reason::LimitExceeded,
            format!(
                "Orchestrator {name:?} takes {limit} Domains (its spec.hierarchy.maxDomains) and older ones use them up: raise the limit, or delete a Domain"
            ),
        ));
    }
    let tenure = match observed.namespace.as_deref() {
        None => Tenure::Created,
        Some(namespace) => tenure_of(object, namespace)?,
    };
    Ok((orchestrator, tenure))
}

/// How the Domain comes to a namespace that exists; an error when it is not the Domain's to take.
pub(crate) fn tenure_of(object: &Domain, namespace: &Namespace) -> Result<Tenure, Finding> {
    let own_uid = object.meta().uid.as_deref();
    let controller = namespace.owner_references().iter().find(|owner| owner.controller == Some(true));
    let label = |key: &str| namespace.labels().get(key).map(String::as_str);
    let value = names::label_value(&object.name_any());
    let allowed = label(names::LABEL_ADOPT) == Some(&value) || label(names::LABEL_DOMAIN) == Some(&value);
    match controller {
        Some(owner) if own_uid == Some(owner.uid.as_str()) => Ok(Tenure::Created),
        None if allowed => Ok(Tenure::Adopted),
        Some(owner) => Err(Finding::new(
            Reason::NamespaceNotOwned,
            format!(
                "spec.namespace: namespace {:?} belongs to {} {:?}: choose another one in a new Domain",
                namespace.name_any(),
                owner.kind,
                owner.name
            ),
        )),
        None => Err(Finding::new(
            Reason::NamespaceNotOwned,
            format!(
                "spec.namespace: namespace {0:?} exists and is not this Domain's: choose another one in a new Domain, or allow it to be taken over with `kubectl label namespace {0} {1}={value}`",
                namespace.name_any(),
                names::LABEL_ADOPT
            ),
        )),
    }
}

fn effects(
    object: &Domain,
    parsed: &Parsed,
    orchestrator: &Orchestrator,
    tenure: Tenure,
    observed: &Observed,
) -> Vec<Effect> {
    let name = hierarchy::namespace_of(object);
    let position = Position {
        orchestrator: Some(&object.spec.orchestrator_ref.name),
        domain: Some(parsed.name.as_str()),
        ..Position::default()
    };
    let labels = to_json(&names::labels(Component::Domain, parsed.name.as_str(), position));
    // What guards the namespace comes before what lets people in.
    let booked = booked(object, observed);
    let quota = parsed.quota.iter().map(|quota| limits::quota(&name, &labels, quota, booked));
    let mut children: Vec<Object> = quota.collect();
    children.push(limits::limit_range(&name, &labels));
    let telemetry = parse::orchestrator::telemetry(&orchestrator.spec);
    children.extend(network::policies(&name, &labels, &observed.settings, telemetry.as_ref()));
    children.extend(members::role_bindings(&name, &labels, &object.spec.members));

    let unwanted = prune(&observed.children, &children);
    let mut effects = vec![Effect::Apply(Box::new(namespace::namespace(object, &name, tenure)))];
    effects.extend(children.into_iter().map(|child| Effect::Apply(Box::new(child))));
    effects.extend(unwanted);
    // The account before the Supervisor that uses it.
    effects.push(Effect::EnsureBusAccount { domain: parsed.name.clone() });
    if orchestrator.spec.hierarchy.depth == 3 {
        effects.push(Effect::Apply(Box::new(implicit_supervisor(&name, position))));
    }
    effects
}

/// What is booked beyond the quota of a Domain and was granted from above: the namespace must have room for that too.
fn booked(object: &Domain, observed: &Observed) -> Amounts {
    let escalates = object.spec.quota.as_ref().is_some_and(|quota| quota.when_exceeded == WhenExceeded::Escalate);
    let Some(ledger) = observed.ledger.as_deref().filter(|_| escalates) else { return Amounts::NONE };
    let usages = usage(ledger, &Key::domain(object.name_any()));
    usages.iter().map(|usage| (usage.resource, usage.booked)).collect()
}

/// The Supervisor of a Domain when the depth is 3. Its spec is left empty, so that whoever wants to may size it. With depth
/// 4 it is not applied any more and stays as an ordinary Supervisor.
fn implicit_supervisor(namespace: &str, position: Position<'_>) -> Object {
    let labels = names::labels(Component::Domain, names::DEFAULT_SUPERVISOR, position);
    Object::new(
        ObjectKey::namespaced(Kind::Supervisor, namespace, names::DEFAULT_SUPERVISOR),
        json!({ "metadata": { "labels": labels }, "spec": {} }),
    )
}
