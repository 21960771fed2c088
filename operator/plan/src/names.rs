//! Every name that Tetrarch gives: children, labels, annotations, finalizers, field managers, ports.
//!
//! A child's name is `<parent>-<suffix>`. The suffix tells the kinds apart, so that a pool and a Supervisor of the same
//! name, or a pool named like another's child, never meet. Names longer than 63 characters are cut and end in a hash.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use tetrarch_protocol::snapshot::StepDecision;

/// Longest name and label value that we give, as in a DNS label.
pub const MAX_LENGTH: usize = 63;

/// Value of `app.kubernetes.io/managed-by` on everything that the operator makes.
pub const MANAGED_BY: &str = "tetrarch";

/// Label with the name of the Orchestrator.
pub const LABEL_ORCHESTRATOR: &str = "tetrarch.dev/orchestrator";
/// Label with the name of the Domain; on a namespace it says which Domain the namespace belongs to.
pub const LABEL_DOMAIN: &str = "tetrarch.dev/domain";
/// Label with the name of the Supervisor.
pub const LABEL_SUPERVISOR: &str = "tetrarch.dev/supervisor";
/// Label with the name of the AgentPool.
pub const LABEL_POOL: &str = "tetrarch.dev/pool";
/// Label by which a namespace that exists already allows one Domain, named in its value, to take it over.
pub const LABEL_ADOPT: &str = "tetrarch.dev/adopt";
/// Label by which a namespace is allowed to scrape metrics from the pods of all Domains; its value is `allowed`.
pub const LABEL_METRICS_ACCESS: &str = "tetrarch.dev/metrics-access";
/// Label by which a namespace is allowed to deliver webhooks to the Supervisors of all Domains; its value is `allowed`.
pub const LABEL_HOOKS_ACCESS: &str = "tetrarch.dev/hooks-access";
/// Label with the name of the object that a child belongs to, cut to the length of a label.
pub const LABEL_INSTANCE: &str = "app.kubernetes.io/instance";
/// Well-known label of the part that an object plays.
pub const LABEL_COMPONENT: &str = "app.kubernetes.io/component";
/// Well-known label of who made an object.
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// Annotation on a Workflow that asks for one run; its value is the request id.
pub const ANNOTATION_RUN: &str = "tetrarch.dev/run";
/// Annotation on a Workflow with the parameter values of the requested run, a JSON object.
pub const ANNOTATION_RUN_PARAMETERS: &str = "tetrarch.dev/run-parameters";
/// Annotation on a Workflow that asks to cancel a run; its value is the run id.
pub const ANNOTATION_CANCEL: &str = "tetrarch.dev/cancel";
/// Annotation on a Workflow with the runs that are paused, ids joined by commas; taking a run out lets it go on.
pub const ANNOTATION_PAUSE: &str = "tetrarch.dev/pause";
/// Annotation on a Workflow that asks to end a run at once, without undoing anything; its value is the run id.
pub const ANNOTATION_TERMINATE: &str = "tetrarch.dev/terminate";
/// Annotation on a Workflow with who asked what of its runs lately; only the webhook writes it.
pub const ANNOTATION_REQUESTS: &str = "tetrarch.dev/requests";
/// Annotation on a Workflow that was planned from a goal: the pattern that was recommended. The past of each pattern is counted by it.
pub const ANNOTATION_PLANNED_PATTERN: &str = "tetrarch.dev/planned-pattern";
/// Annotation on a Workflow that was planned from a goal: how large the work is.
pub const ANNOTATION_PLANNED_COMPLEXITY: &str = "tetrarch.dev/planned-complexity";
/// Annotation on a Workflow that asks to open a run again that did not end well: `<run id>/<request>`, each request once.
pub const ANNOTATION_RETRY: &str = "tetrarch.dev/retry";
/// Annotation on a Workflow with what a person has found out: `<run id>/<task>/<attempt>=done` or `=not-done`, joined by commas.
pub const ANNOTATION_RESOLVE: &str = "tetrarch.dev/resolve";
/// Annotation on a Workflow with the output, as JSON, of the only attempt that is resolved as done.
pub const ANNOTATION_RESOLVE_OUTPUT: &str = "tetrarch.dev/resolve-output";
/// Annotation by which an approver approves a generation of an object that is held; its value is that generation.
pub const ANNOTATION_APPROVE: &str = "tetrarch.dev/approve";
/// Annotation with the reason of the approval.
pub const ANNOTATION_APPROVE_REASON: &str = "tetrarch.dev/approve-reason";
/// Annotation by which an approver says no to a generation of an object that is held; its value is that generation.
pub const ANNOTATION_REJECT: &str = "tetrarch.dev/reject";
/// Annotation with the reason of the rejection.
pub const ANNOTATION_REJECT_REASON: &str = "tetrarch.dev/reject-reason";
/// Annotation with the latest approval; only the webhook writes it.
pub const ANNOTATION_APPROVAL: &str = "tetrarch.dev/approval";
/// Annotation with the generation that is held and the policies that hold it; only the webhook writes it.
pub const ANNOTATION_HELD: &str = "tetrarch.dev/held";
/// Annotation on a Workflow by which an approver says yes to a step that waits; its value is the id of the question, and behind a space the reason.
pub const ANNOTATION_APPROVE_STEP: &str = "tetrarch.dev/approve-step";
/// Annotation on a Workflow by which an approver says no to a step that waits; its value is as for a yes.
pub const ANNOTATION_REJECT_STEP: &str = "tetrarch.dev/reject-step";
/// Annotation on a Workflow with the latest decisions about its steps; only the webhook writes it.
pub const ANNOTATION_DECISIONS: &str = "tetrarch.dev/decisions";
/// Annotation on a pool's Deployment that says who owns the number of replicas: `pool` or `autoscaler`.
pub const ANNOTATION_REPLICAS_OWNER: &str = "tetrarch.dev/replicas-owner";
/// Annotation on a pool's Deployment with what its Supervisor was told of the pool when the Deployment was applied.
pub const ANNOTATION_OFFER: &str = "tetrarch.dev/offer";
/// Annotation with the value `"true"` that lets a deletion finish although the bus cannot be reached; data on the bus stays.
pub const ANNOTATION_SKIP_BUS_CLEANUP: &str = "tetrarch.dev/skip-bus-cleanup";

/// Annotation on a capacity ledger with the name of its Orchestrator, which is too long for a label at times.
pub const ANNOTATION_LEDGER_OF: &str = "tetrarch.dev/ledger-of";

/// Finalizer on a Domain: its bus account, and an adopted namespace, are beyond the garbage collector.
pub const FINALIZER_DOMAIN: &str = "tetrarch.dev/domain-cleanup";
/// Finalizer on a Supervisor: its data on the bus.
pub const FINALIZER_SUPERVISOR: &str = "tetrarch.dev/supervisor-cleanup";
/// Finalizer on a Workflow: its runs on the bus.
pub const FINALIZER_WORKFLOW: &str = "tetrarch.dev/workflow-cleanup";

/// Field manager of the Domain controller.
pub const MANAGER_DOMAIN: &str = "tetrarch/domain";
/// Field manager of the Supervisor controller.
pub const MANAGER_SUPERVISOR: &str = "tetrarch/supervisor";
/// Field manager of the AgentPool controller.
pub const MANAGER_AGENT_POOL: &str = "tetrarch/agentpool";
/// Field manager of the Workflow controller.
pub const MANAGER_WORKFLOW: &str = "tetrarch/workflow";
/// Field manager of the Orchestrator controller.
pub const MANAGER_ORCHESTRATOR: &str = "tetrarch/orchestrator";
/// Field manager that holds `spec.replicas` of a pool's Deployment from the moment the pool lets go of it until the
/// autoscaler writes it for the first time; without it the API server would reset the number to 1.
pub const MANAGER_HANDOVER: &str = "tetrarch/handover-to-autoscaler";

/// Field manager of the capacity ledgers.
pub const MANAGER_CAPACITY: &str = "tetrarch/capacity";

/// Name of the implicit Supervisor when the depth is 3; pools and Workflows without `supervisorRef` belong to it.
pub const DEFAULT_SUPERVISOR: &str = "default";

/// Name of the agent's container in its pod.
pub const CONTAINER_AGENT: &str = "agent";
/// Name of the sidecar, a native one, in an agent's pod.
pub const CONTAINER_SIDECAR: &str = "tetrarch-sidecar";
/// Name of the container in a supervisor's pod.
pub const CONTAINER_SUPERVISOR: &str = "supervisor";
/// Name of the volume with the credentials for the bus.
pub const VOLUME_BUS: &str = "tetrarch-bus";
/// Where that volume is mounted.
pub const BUS_MOUNT_PATH: &str = "/etc/tetrarch/bus";
/// Key of the credentials in a bus secret.
pub const BUS_SECRET_CREDENTIALS: &str = "user.creds";
/// Key of the authority's certificate in a bus secret.
pub const BUS_SECRET_CA: &str = "ca.crt";

/// Name of the volume with the secrets of webhooks.
pub const VOLUME_HOOKS: &str = "tetrarch-hooks";
/// Where that volume is mounted: a file `<workflow>/<trigger>` for each.
pub const HOOKS_MOUNT_PATH: &str = "/etc/tetrarch/hooks";
/// Name of the volume with the certificate for webhooks.
pub const VOLUME_HOOKS_TLS: &str = "tetrarch-hooks-tls";
/// Where that volume is mounted.
pub const HOOKS_TLS_MOUNT_PATH: &str = "/etc/tetrarch/hooks-tls";

/// Port of a supervisor for webhooks, over TLS.
pub const SUPERVISOR_HOOKS_PORT: u16 = 9443;
/// Port of health and metrics of a supervisor.
pub const SUPERVISOR_HTTP_PORT: u16 = 9090;
/// Port of health, metrics and drain of a sidecar.
pub const SIDECAR_HTTP_PORT: u16 = 9091;

/// The part that an object plays, the value of `app.kubernetes.io/component`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    /// Something that a Domain has in its namespace.
    Domain,
    /// The runtime of a Supervisor.
    Supervisor,
    /// The agents of a pool.
    Agent,
    /// A ledger of capacity.
    Capacity,
}

impl Component {
    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Supervisor => "supervisor",
            Self::Agent => "agent",
            Self::Capacity => "capacity",
        }
    }
}

/// `<base>-<suffix>` when that fits; otherwise the start of the base, eight hexadecimal digits of its hash, and the suffix.
pub fn child(base: &str, suffix: &str) -> String {
    let whole = format!("{base}-{suffix}");
    if whole.len() <= MAX_LENGTH { whole } else { format!("{}-{suffix}", shorten(base, MAX_LENGTH - suffix.len() - 1)) }
}

/// A label value for a name: the name itself when it fits, else cut and ended with a hash.
pub fn label_value(name: &str) -> String {
    shorten(name, MAX_LENGTH)
}

/// Object names are ASCII, so that cutting at a byte is cutting at a character; a text that is not is only hashed.
fn shorten(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let hash = &hex::encode(Sha256::digest(text.as_bytes()))[..8];
    let kept = text.get(..max.saturating_sub(hash.len() + 1)).unwrap_or_default().trim_end_matches(['-', '.']);
    if kept.is_empty() { hash.to_owned() } else { format!("{kept}-{hash}") }
}

/// Deployment, ServiceAccount, Service and PodDisruptionBudget of a Supervisor.
pub fn supervisor_runtime(supervisor: &str) -> String {
    child(supervisor, "supervisor")
}

/// Secret with the bus credentials of a Supervisor.
pub fn supervisor_bus_secret(supervisor: &str) -> String {
    child(supervisor, "supervisor-bus")
}

/// Service that takes webhooks for a Supervisor.
pub fn supervisor_hooks(supervisor: &str) -> String {
    child(supervisor, "hooks")
}

/// Secret with the certificate that a Supervisor takes webhooks with; somebody else makes it, or nobody.
pub fn supervisor_hooks_tls(supervisor: &str) -> String {
    child(supervisor, "hooks-tls")
}

/// Secret with the credentials of whoever publishes events for the Workflows of a Supervisor.
pub fn supervisor_publisher_secret(supervisor: &str) -> String {
    child(supervisor, "publisher-bus")
}

/// Deployment, ServiceAccount, PodDisruptionBudget and HorizontalPodAutoscaler of a pool.
pub fn pool_agents(pool: &str) -> String {
    child(pool, "agents")
}

/// Secret with the bus credentials of a pool's agents.
pub fn pool_bus_secret(pool: &str) -> String {
    child(pool, "agent-bus")
}

/// ConfigMap in the operator's namespace with the capacity ledger of an Orchestrator.
pub fn capacity_ledger(orchestrator: &str) -> String {
    shorten(&format!("tetrarch-capacity-{orchestrator}"), MAX_LENGTH)
}

/// A Service's name must begin with a letter, which names of other objects need not.
pub fn service(name: &str) -> String {
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        shorten(&format!("n{name}"), MAX_LENGTH)
    } else {
        name.to_owned()
    }
}

/// ResourceQuota of a Domain.
pub const QUOTA: &str = "tetrarch-quota";
/// LimitRange of a Domain.
pub const LIMIT_RANGE: &str = "tetrarch-defaults";
/// NetworkPolicy that denies what no other one opens.
pub const POLICY_DEFAULT_DENY: &str = "tetrarch-default-deny";
/// NetworkPolicy that lets all pods resolve names.
pub const POLICY_DNS: &str = "tetrarch-dns";
/// NetworkPolicy that lets supervisors and agents reach the bus.
pub const POLICY_BUS: &str = "tetrarch-bus";
/// NetworkPolicy that lets supervisors reach the collector of traces.
pub const POLICY_TELEMETRY: &str = "tetrarch-telemetry";
/// NetworkPolicy that lets metrics be scraped.
pub const POLICY_METRICS: &str = "tetrarch-metrics";
/// NetworkPolicy that lets webhooks be delivered.
pub const POLICY_HOOKS: &str = "tetrarch-hooks";
/// `ClusterRole` of the installation that a Domain's admins are bound to in its namespace.
pub const CLUSTER_ROLE_MEMBER_ADMIN: &str = "tetrarch-member-admin";
/// `ClusterRole` of the installation that a Domain's viewers are bound to in its namespace.
pub const CLUSTER_ROLE_MEMBER_VIEWER: &str = "tetrarch-member-viewer";
/// `ClusterRole` of the installation that a Domain's approvers are bound to in its namespace.
pub const CLUSTER_ROLE_MEMBER_APPROVER: &str = "tetrarch-member-approver";
/// `RoleBinding` of a Domain's admins.
pub const BINDING_ADMIN: &str = "tetrarch-admin";
/// `RoleBinding` of a Domain's viewers.
pub const BINDING_VIEWER: &str = "tetrarch-viewer";
/// `RoleBinding` of a Domain's approvers.
pub const BINDING_APPROVER: &str = "tetrarch-approver";

/// Id of the run of one generation: `<workflow>-<uid5>-g<generation>`.
pub fn generation_run(workflow: &str, uid: &str, generation: i64) -> String {
    format!("{workflow}-{}-g{generation}", uid5(uid))
}

/// Beginning of the ids of all runs of a Workflow object: `<workflow>-<uid5>`.
pub fn run_prefix(workflow: &str, uid: &str) -> String {
    format!("{workflow}-{}", uid5(uid))
}

/// Id of a requested run: `<workflow>-<uid5>-<request>`.
pub fn requested_run(workflow: &str, uid: &str, request: &str) -> String {
    format!("{workflow}-{}-{request}", uid5(uid))
}

fn uid5(uid: &str) -> &str {
    uid.get(..5).unwrap_or(uid)
}

/// Id of a question to people: `<run>/<step>/<attempt>/<generation>`. Neither runs nor steps have a slash in their names.
pub fn question(run: &str, step: &str, attempt: u32, generation: i64) -> String {
    format!("{run}/{step}/{attempt}/{generation}")
}

/// Id of the question that a decision is about.
pub fn question_of(decision: &StepDecision) -> String {
    question(decision.run.as_str(), decision.step.as_str(), decision.attempt, decision.generation)
}

/// Where an object stands in the hierarchy; what is known becomes labels.
#[derive(Clone, Copy, Debug, Default)]
pub struct Position<'a> {
    /// The Orchestrator.
    pub orchestrator: Option<&'a str>,
    /// The Domain.
    pub domain: Option<&'a str>,
    /// The Supervisor.
    pub supervisor: Option<&'a str>,
    /// The AgentPool.
    pub pool: Option<&'a str>,
}

/// All labels of an object that plays `component` for `instance`.
pub fn labels(component: Component, instance: &str, position: Position<'_>) -> BTreeMap<String, String> {
    let mut labels = selector(component, instance);
    labels.insert(LABEL_MANAGED_BY.to_owned(), MANAGED_BY.to_owned());
    labels.insert("app.kubernetes.io/part-of".to_owned(), MANAGED_BY.to_owned());
    for (key, name) in [
        (LABEL_ORCHESTRATOR, position.orchestrator),
        (LABEL_DOMAIN, position.domain),
        (LABEL_SUPERVISOR, position.supervisor),
        (LABEL_POOL, position.pool),
    ] {
        if let Some(name) = name {
            labels.insert(key.to_owned(), label_value(name));
        }
    }
    labels
}

/// Labels that never change in an object's life: what selectors of Deployments, Services and budgets use.
pub fn selector(component: Component, instance: &str) -> BTreeMap<String, String> {
    let name = match component {
        Component::Domain => "tetrarch-domain",
        Component::Supervisor => "tetrarch-supervisor",
        Component::Agent => "tetrarch-agent",
        Component::Capacity => "tetrarch-capacity",
    };
    [
        ("app.kubernetes.io/name", name.to_owned()),
        (LABEL_INSTANCE, label_value(instance)),
        (LABEL_COMPONENT, component.as_str().to_owned()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

/// A selector as text, `key=value` joined by commas, for the scale subresource.
pub fn selector_text(selector: &BTreeMap<String, String>) -> String {
    selector.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_stay_within_63_characters_and_stay_apart() {
        let (a, b) = ("x".repeat(63), format!("{}y", "x".repeat(62)));
        for suffix in ["agents", "agent-bus", "supervisor-bus"] {
            assert!(child(&a, suffix).len() <= MAX_LENGTH && child(&a, suffix).ends_with(suffix));
            assert_ne!(child(&a, suffix), child(&b, suffix));
        }
    }

    #[test]
    fn cutting_leaves_no_dash_before_the_hash() {
        let name = format!("{}-{}", "a".repeat(53), "b".repeat(20));
        assert!(!label_value(&name).contains("--"));
    }

    #[test]
    fn pool_named_like_a_supervisors_runtime_does_not_collide() {
        assert_ne!(pool_agents("x-supervisor"), supervisor_runtime("x"));
        assert_ne!(pool_agents("x"), supervisor_runtime("x"));
    }

    #[test]
    fn service_names_begin_with_a_letter() {
        assert_eq!(service("1st-agents"), "n1st-agents");
        assert_eq!(service("first-agents"), "first-agents");
    }

    #[test]
    fn run_ids_tell_apart_a_recreated_workflow() {
        assert_eq!(generation_run("audit", "0a1b2c3d-…", 4), "audit-0a1b2-g4");
        assert_eq!(requested_run("audit", "0a1b2c3d", "nightly"), "audit-0a1b2-nightly");
    }
}
