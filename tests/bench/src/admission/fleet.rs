//! The generated department: Domains with a policy each, and what each rival needs to know to enforce the same rule.
//!
//! The rule is the same for everybody: an `AgentPool` of a Domain has at most so many agents, and its image comes from the Domain's own part of the registry.

use std::sync::Arc;

use serde_json::{Value, json};

/// Largest `spec.scaling.max` that the policy of a Domain admits.
pub const MOST_AGENTS: u32 = 50;
/// The label of the objects that the rivals look at; objects without it are the controls.
pub const MEASURED: &str = "bench.tetrarch.dev/measured";
/// Name of the one pool that each Domain has.
pub const POOL: &str = "classifier";
/// Name of the Supervisor of each Domain.
pub const SUPERVISOR: &str = "default";
/// Domains of one Orchestrator.
const DOMAINS_OF_AN_ORCHESTRATOR: usize = 256;

const API: &str = "tetrarch.dev/v1alpha1";

/// Name of a Domain, which is that of its namespace too.
pub fn domain(number: usize) -> String {
    format!("team-{number:04}")
}

/// What images of a Domain begin with.
pub fn registry(number: usize) -> String {
    format!("registry.example/{}/", domain(number))
}

/// The Orchestrators of so many Domains. Their policy admits what the policies of all Domains admit, and more.
pub fn orchestrators(domains: usize) -> Vec<Value> {
    (0..domains.div_ceil(DOMAINS_OF_AN_ORCHESTRATOR))
        .map(|number| {
            json!({"apiVersion": API, "kind": "Orchestrator", "metadata": {"name": format!("fleet-{number}")},
                "spec": {"hierarchy": {"maxDomains": DOMAINS_OF_AN_ORCHESTRATOR, "maxAgentsPerSupervisor": 10_000},
                    "policies": [policy("baseline", 2 * MOST_AGENTS, "registry.example/")]}})
        })
        .collect()
}

/// A Domain with its policy.
pub fn domain_object(number: usize) -> Value {
    json!({"apiVersion": API, "kind": "Domain", "metadata": {"name": domain(number)},
        "spec": {"orchestratorRef": {"name": format!("fleet-{}", number / DOMAINS_OF_AN_ORCHESTRATOR)},
            "policies": [policy("own", MOST_AGENTS, &registry(number))]}})
}

fn policy(name: &str, agents: u32, images: &str) -> Value {
    json!({"name": name, "appliesTo": {"kinds": ["AgentPool"]},
        "limits": {"agents": agents}, "allow": {"images": [format!("{images}*")]}, "action": "Deny"})
}

/// The Supervisor of a Domain.
pub fn supervisor(number: usize) -> Value {
    json!({"apiVersion": API, "kind": "Supervisor", "metadata": {"name": SUPERVISOR, "namespace": domain(number)}, "spec": {"replicas": 1}})
}

/// The pool that stands in a Domain; its size is fixed, so that it can be scaled.
pub fn pool(number: usize) -> Value {
    json!({"apiVersion": API, "kind": "AgentPool", "metadata": {"name": POOL, "namespace": domain(number)},
        "spec": {"supervisorRef": {"name": SUPERVISOR}, "replicas": 2,
            "agent": {"image": format!("{}classifier:1.4", registry(number))}}})
}

/// The namespace of a Domain.
pub fn namespace(number: usize) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": domain(number), "labels": {"tetrarch.dev/domain": domain(number)}}})
}

/// Bodies of the recorded reviews.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Recorded {
    /// `kubectl scale` of a pool: 1.4 kB.
    Scale,
    /// Creation of a pool of ordinary size: 4 kB.
    Create,
    /// Change of a pool with many settings: 16 kB, for the old object is in it too.
    Update,
}

impl Recorded {
    /// All, by size.
    pub const ALL: [Self; 3] = [Self::Scale, Self::Create, Self::Update];

    /// What it is called in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scale => "scale, 1.4 kB",
            Self::Create => "create, 4 kB",
            Self::Update => "update, 16 kB",
        }
    }

    fn body(self) -> &'static str {
        match self {
            Self::Scale => include_str!("../../recorded/scale.json"),
            Self::Create => include_str!("../../recorded/create.json"),
            Self::Update => include_str!("../../recorded/update.json"),
        }
    }

    /// The review as the API server would send it for a pool of this Domain.
    pub fn review(self, number: usize) -> String {
        self.body().replace(&domain(0), &domain(number))
    }
}

/// A pool to create in a Domain; the rivals look at it when it is `measured`, and refuse it when it asks for too many agents.
pub fn candidate(number: usize, measured: bool, agents: u32) -> Value {
    let review: Value = serde_json::from_str(&Recorded::Create.review(number)).unwrap_or_default();
    let mut pool = review["request"]["object"].clone();
    pool["metadata"] = json!({"name": "candidate", "namespace": domain(number), "labels": if measured { json!({MEASURED: "yes"}) } else { json!({}) }});
    pool["spec"]["scaling"]["max"] = agents.into();
    pool
}

/// Domains in an order that jumps about, so that nothing profits from the one before.
pub fn order(domains: usize) -> impl Iterator<Item = usize> {
    // 389 is a prime that does not divide the numbers of Domains, so that every Domain has its turn.
    (0..).map(move |turn: usize| (turn * 389) % domains.max(1))
}

/// Different reviews that are sent, however many Domains there are, so that what comes in takes the same place in the caches.
const BODIES: usize = 1_024;

/// Review bodies of one kind for all Domains in turn.
pub fn bodies(kind: Recorded, domains: usize) -> Arc<[bytes::Bytes]> {
    order(domains).take(BODIES).map(|number| kind.review(number).into()).collect()
}

/// As [`bodies`], of dry runs: everything is decided and nothing booked.
pub fn dry_runs(kind: Recorded, domains: usize) -> Arc<[bytes::Bytes]> {
    let dry = |number| kind.review(number).replace("\"dryRun\":false", "\"dryRun\":true");
    order(domains).take(BODIES).map(|number| dry(number).into()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_domain_has_its_turn() {
        for domains in [4, 64, 1_024] {
            let seen: BTreeSet<usize> = order(domains).take(domains).collect();
            assert_eq!(seen.len(), domains);
        }
    }

    #[test]
    fn reviews_speak_of_their_domain() {
        for kind in Recorded::ALL {
            let review = kind.review(17);
            assert!(review.contains("team-0017") && !review.contains("team-0000"), "{review}");
        }
    }

    #[test]
    fn dry_runs_book_nothing() {
        for body in &*dry_runs(Recorded::Create, 4) {
            let review: Value = serde_json::from_slice(body).unwrap();
            assert_eq!(review["request"]["dryRun"], true);
        }
    }

    #[test]
    fn a_candidate_is_as_asked() {
        let pool = candidate(3, true, 80);
        assert_eq!(pool["metadata"]["labels"][MEASURED], "yes");
        assert_eq!(pool["spec"]["scaling"]["max"], 80);
        assert_eq!(pool["spec"]["agent"]["image"], "registry.example/team-0003/classifier:1.4");
    }
}
