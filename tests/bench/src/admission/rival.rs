//! Who enforces the rule on the API server, and how each is told to begin and to stop.

use std::time::Duration;

use anyhow::{Context, Result};
use kube::Client;
use serde_json::{Value, json};
use tetrarch_testkit::cluster::until;

use super::{
    api,
    fleet::{self, MEASURED},
};

/// How long an API server may take until it acts on a registration.
const SOON: Duration = Duration::from_mins(1);
const REGISTRATION: &str = "admissionregistration.k8s.io/v1";
const PARAMETERS: &str = "limits";

/// What enforces the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rival {
    /// Nothing does: what differs between measured and control requests is noise.
    Nobody,
    /// Our webhook.
    Tetrarch,
    /// A `ValidatingAdmissionPolicy` with a binding for each Domain.
    PolicyBindings,
    /// A `ValidatingAdmissionPolicy` whose parameters are looked up in the namespace of the object.
    PolicyNamespaces,
    /// Gatekeeper with a constraint for each Domain.
    Gatekeeper,
}

impl Rival {
    /// All, in the order of the tables.
    pub const ALL: [Self; 5] =
        [Self::Nobody, Self::Tetrarch, Self::PolicyNamespaces, Self::PolicyBindings, Self::Gatekeeper];

    /// What it is called in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nobody => "nothing (noise)",
            Self::Tetrarch => "Tetrarch",
            Self::PolicyBindings => "ValidatingAdmissionPolicy, a binding per Domain",
            Self::PolicyNamespaces => "ValidatingAdmissionPolicy, a parameter per namespace",
            Self::Gatekeeper => "Gatekeeper, a constraint per Domain",
        }
    }

    /// What must stand for each Domain before this rival can begin.
    pub fn of_domain(self, number: usize) -> Vec<Value> {
        match self {
            Self::Nobody | Self::Tetrarch => Vec::new(),
            Self::PolicyNamespaces => vec![parameters(number)],
            Self::PolicyBindings => vec![parameters(number), binding(number)],
            Self::Gatekeeper => vec![constraint(number)],
        }
    }
}

/// A webhook's registration for the measured `AgentPool`s.
pub fn webhook(name: &str, mutating: bool, url: &str, bundle: &str) -> Value {
    let kind = if mutating { "MutatingWebhookConfiguration" } else { "ValidatingWebhookConfiguration" };
    json!({"apiVersion": REGISTRATION, "kind": kind, "metadata": {"name": name}, "webhooks": [{
        "name": format!("{name}.bench.tetrarch.dev"), "admissionReviewVersions": ["v1"], "sideEffects": "NoneOnDryRun", "timeoutSeconds": 10,
        "failurePolicy": "Fail", "clientConfig": {"url": url, "caBundle": bundle}, "objectSelector": {"matchLabels": {MEASURED: "yes"}},
        "rules": [{"apiGroups": ["tetrarch.dev"], "apiVersions": ["*"], "resources": ["agentpools"], "operations": ["CREATE", "UPDATE"]}]}]})
}

/// The policy of the API server itself; its bindings say where the parameters are.
fn policy(name: &str) -> Value {
    json!({"apiVersion": REGISTRATION, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name}, "spec": {
        "failurePolicy": "Fail", "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "matchConstraints": {"objectSelector": {"matchLabels": {MEASURED: "yes"}}, "resourceRules": [
            {"apiGroups": ["tetrarch.dev"], "apiVersions": ["*"], "resources": ["agentpools"], "operations": ["CREATE", "UPDATE"]}]},
        "validations": [
            {"expression": "object.spec.scaling.max <= int(params.data.agents)",
             "messageExpression": "'spec.scaling.max: is ' + string(object.spec.scaling.max) + ', at most ' + params.data.agents"},
            {"expression": "object.spec.agent.image.startsWith(params.data.images)",
             "messageExpression": "'spec.agent.image: must begin with ' + params.data.images"}]}})
}

/// A policy that looks at nothing, and its binding. They must stand as long as others come and go: when the last bound policy with parameters of a
/// kind is deleted, the API server stops watching that kind and does not begin again, so that later ones would see the parameters of that moment only.
pub fn keeps_watching() -> [Value; 2] {
    let mut keeper = policy("keeps-watching");
    keeper["spec"]["matchConstraints"] = json!({"resourceRules": [
        {"apiGroups": ["nothing.tetrarch.dev"], "apiVersions": ["*"], "resources": ["nothings"], "operations": ["CREATE"]}]});
    [keeper, binding_of_all("keeps-watching")]
}

fn parameters(number: usize) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": PARAMETERS, "namespace": fleet::domain(number)},
        "data": {"agents": fleet::MOST_AGENTS.to_string(), "images": fleet::registry(number)}})
}

fn binding(number: usize) -> Value {
    let domain = fleet::domain(number);
    json!({"apiVersion": REGISTRATION, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": domain}, "spec": {
        "policyName": "per-binding", "validationActions": ["Deny"],
        "paramRef": {"name": PARAMETERS, "namespace": domain, "parameterNotFoundAction": "Deny"},
        "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": domain}}}}})
}

fn binding_of_all(policy: &str) -> Value {
    json!({"apiVersion": REGISTRATION, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": policy}, "spec": {
        "policyName": policy, "validationActions": ["Deny"], "paramRef": {"name": PARAMETERS, "parameterNotFoundAction": "Deny"}}})
}

/// What the constraints of Gatekeeper are of: its own CEL, which it evaluates no slower than Rego.
pub fn template() -> Value {
    json!({"apiVersion": "templates.gatekeeper.sh/v1", "kind": "ConstraintTemplate", "metadata": {"name": "domainpolicy"}, "spec": {
        "crd": {"spec": {"names": {"kind": "DomainPolicy"}, "validation": {"openAPIV3Schema": {"type": "object", "properties": {
            "agents": {"type": "integer"}, "images": {"type": "string"}}}}}},
        "targets": [{"target": "admission.k8s.gatekeeper.sh", "code": [{"engine": "K8sNativeValidation", "source": {"validations": [
            // A review of `scale` has neither of the fields.
            {"expression": "!has(object.spec.scaling) || object.spec.scaling.max <= variables.params.agents",
             "messageExpression": "'spec.scaling.max: is ' + string(object.spec.scaling.max) + ', at most ' + string(variables.params.agents)"},
            {"expression": "!has(object.spec.agent) || object.spec.agent.image.startsWith(variables.params.images)",
             "messageExpression": "'spec.agent.image: must begin with ' + variables.params.images"}]}}]}]}})
}

fn constraint(number: usize) -> Value {
    let domain = fleet::domain(number);
    json!({"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": "DomainPolicy", "metadata": {"name": domain}, "spec": {
        "match": {"kinds": [{"apiGroups": ["tetrarch.dev"], "kinds": ["AgentPool"]}], "namespaces": [domain]},
        "parameters": {"agents": fleet::MOST_AGENTS, "images": fleet::registry(number)}}})
}

/// Rivals that take part: which registrations make each begin.
pub struct Ring {
    client: Client,
    /// Registrations of our webhooks.
    pub ours: Vec<Value>,
    /// Registrations of Gatekeeper's webhook.
    pub gatekeeper: Vec<Value>,
}

impl Ring {
    /// A ring on this API server.
    pub fn new(client: Client) -> Self {
        Self { client, ours: Vec::new(), gatekeeper: Vec::new() }
    }

    /// Whether this rival takes part.
    pub fn has(&self, rival: Rival) -> bool {
        match rival {
            Rival::Tetrarch => !self.ours.is_empty(),
            Rival::Gatekeeper => !self.gatekeeper.is_empty(),
            Rival::Nobody | Rival::PolicyBindings | Rival::PolicyNamespaces => true,
        }
    }

    fn registrations(&self, rival: Rival) -> Vec<Value> {
        match rival {
            Rival::Nobody => Vec::new(),
            Rival::Tetrarch => self.ours.clone(),
            Rival::PolicyBindings => vec![policy("per-binding")],
            Rival::PolicyNamespaces => vec![policy("per-namespace"), binding_of_all("per-namespace")],
            Rival::Gatekeeper => self.gatekeeper.clone(),
        }
    }

    /// Lets a rival begin, and waits until it refuses what it should in the first and the last Domain, and nothing else.
    pub async fn begin(&self, rival: Rival, domains: usize) -> Result<()> {
        api::create(&self.client, self.registrations(rival)).await?;
        if rival == Rival::Nobody {
            return Ok(());
        }
        for number in [0, domains - 1] {
            self.until_refused(number, Some(rival)).await?;
            let admitted = fleet::candidate(number, true, fleet::MOST_AGENTS);
            if let Some(refusal) = api::refusal(&self.client, &admitted).await? {
                anyhow::bail!("{} refuses what it should admit: {refusal}", rival.name());
            }
        }
        Ok(())
    }

    /// Stops a rival, and waits until nothing is refused.
    pub async fn stop(&self, rival: Rival) -> Result<()> {
        api::delete(&self.client, &self.registrations(rival)).await?;
        self.until_refused(0, None).await
    }

    /// Waits until too large a pool is refused because of its size by this rival, or by nobody.
    async fn until_refused(&self, number: usize, by: Option<Rival>) -> Result<()> {
        let too_large = fleet::candidate(number, true, fleet::MOST_AGENTS + 1);
        let what = format!("refusal in {} by {}", fleet::domain(number), by.unwrap_or(Rival::Nobody).name());
        until(&what, SOON, || async {
            let refusal = api::refusal(&self.client, &too_large).await?;
            let refused = refusal.as_deref().is_some_and(|text| text.contains("scaling.max"));
            Ok(if refused == by.is_some() { Ok(()) } else { Err(format!("{refusal:?}")) })
        })
        .await
        .context("a rival did not do what it was told")
    }
}
