//! Lets a decision wait until this replica has seen the levels above the object: a replica whose watch is a moment late
//! must not decide without their policies and quotas.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use kube::{
    Api, Client,
    api::{ApiResource, ListParams},
    core::DynamicObject,
};
use tetrarch_crds::{Domain, Orchestrator, Supervisor};
use tetrarch_plan::{
    admit::{
        Code, Finding, Index, Review,
        ancestor::{Unknown, unknown_above},
    },
    hierarchy::namespace_of,
};
use tokio::time::{Instant, sleep};

use super::hierarchy::Hierarchy;

/// Longest wait for what exists; watches are usually behind by milliseconds. With the longest claim of capacity it stays
/// below the timeout of the webhook.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Pause between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Knows what exists, whether or not a watch has told of it.
pub trait Ancestors: Send + Sync {
    /// Whether it exists at this moment.
    fn exists<'a>(&'a self, unknown: &'a Unknown) -> BoxFuture<'a, Result<bool, kube::Error>>;
}

/// The API server's own answer, by consistent reads.
pub struct ApiAncestors(Client);

impl ApiAncestors {
    /// Asks this API server.
    pub fn new(client: Client) -> Self {
        Self(client)
    }

    async fn is_named(&self, api: Api<DynamicObject>, name: &str) -> Result<bool, kube::Error> {
        let list = ListParams::default().fields(&format!("metadata.name={name}"));
        Ok(!api.list_metadata(&list).await?.items.is_empty())
    }
}

impl Ancestors for ApiAncestors {
    fn exists<'a>(&'a self, unknown: &'a Unknown) -> BoxFuture<'a, Result<bool, kube::Error>> {
        Box::pin(async move {
            match unknown {
                Unknown::Orchestrator(name) => {
                    let api = Api::all_with(self.0.clone(), &ApiResource::erase::<Orchestrator>(&()));
                    self.is_named(api, name).await
                }
                Unknown::Supervisor { namespace, name } => {
                    let kind = ApiResource::erase::<Supervisor>(&());
                    self.is_named(Api::namespaced_with(self.0.clone(), namespace, &kind), name).await
                }
                Unknown::DomainOf(namespace) => {
                    let kind = ApiResource::erase::<Domain>(&());
                    let all =
                        Api::<DynamicObject>::all_with(self.0.clone(), &kind).list(&ListParams::default()).await?;
                    // What is no Domain of ours to read owns nothing, here as in the index.
                    let mut domains = all.items.into_iter().filter_map(|object| object.try_parse::<Domain>().ok());
                    Ok(domains.any(|domain| namespace_of(&domain) == *namespace))
                }
            }
        })
    }
}

/// The hierarchy as this review may see it: with everything above the object that exists. An error is the refusal.
pub async fn informed(
    hierarchy: &Hierarchy,
    ancestors: &dyn Ancestors,
    review: &Review,
) -> Result<Arc<Index>, Finding> {
    let index = hierarchy.snapshot();
    let mut existing = Vec::new();
    for unknown in unknown_above(review, &index) {
        match ancestors.exists(&unknown).await {
            Ok(true) => existing.push(unknown),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%unknown, %error, "what is above an object cannot be looked up");
                return Err(refusal(format!("the API server did not say whether {unknown} exists")));
            }
        }
    }
    if existing.is_empty() {
        return Ok(index);
    }
    let deadline = Instant::now() + LONGEST_WAIT;
    loop {
        let index = hierarchy.snapshot();
        let unknown = unknown_above(review, &index);
        let Some(late) = existing.iter().find(|existing| unknown.contains(existing)) else { return Ok(index) };
        if Instant::now() >= deadline {
            return Err(refusal(format!("{late} exists, and the webhook does not know its policies yet")));
        }
        sleep(LOOK_AGAIN).await;
    }
}

fn refusal(problem: String) -> Finding {
    Finding::denied(Code::Reference, "spec", problem, "try again in a moment")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;
    use tetrarch_plan::admit::wire;

    use super::*;

    /// Says the same of everything and counts how often it was asked; none is an error.
    struct Says(Option<bool>, AtomicUsize);

    impl Ancestors for Says {
        fn exists<'a>(&'a self, _: &'a Unknown) -> BoxFuture<'a, Result<bool, kube::Error>> {
            self.1.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move { self.0.ok_or(kube::Error::LinesCodecMaxLineLengthExceeded) })
        }
    }

    fn says(answer: Option<bool>) -> Says {
        Says(answer, AtomicUsize::new(0))
    }

    fn review() -> Review {
        let body = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "u1", "operation": "CREATE", "name": "legal",
                "kind": {"group": "tetrarch.dev", "version": "v1alpha1", "kind": "Domain"},
                "resource": {"group": "tetrarch.dev", "version": "v1alpha1", "resource": "domains"},
                "userInfo": {"username": "ada"},
                "object": {"metadata": {"name": "legal"}, "spec": {"orchestratorRef": {"name": "acme"}}},
            },
        });
        wire::read(body.to_string().as_bytes()).unwrap().review.unwrap()
    }

    fn orchestrator() -> Arc<Orchestrator> {
        Arc::new(serde_json::from_value(json!({"metadata": {"name": "acme"}, "spec": {}})).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_child_that_comes_right_after_its_parent_is_decided_with_the_parent() {
        let hierarchy = Hierarchy::new(Index::default());
        let late = hierarchy.clone();
        tokio::spawn(async move {
            sleep(Duration::from_millis(300)).await;
            late.apply(orchestrator());
            late.show();
        });
        let index = informed(&hierarchy, &says(Some(true)), &review()).await.unwrap();
        assert!(index.orchestrator("acme").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_parent_that_exists_and_is_never_seen_refuses_the_child() {
        let refusal = informed(&Hierarchy::new(Index::default()), &says(Some(true)), &review()).await.unwrap_err();
        let text = refusal.to_string();
        assert!(text.contains("Orchestrator \"acme\" exists") && text.contains("try again"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_parent_that_does_not_exist_is_not_waited_for() {
        let (before, ancestors) = (Instant::now(), says(Some(false)));
        informed(&Hierarchy::new(Index::default()), &ancestors, &review()).await.unwrap();
        assert_eq!((before.elapsed(), ancestors.1.load(Ordering::Relaxed)), (Duration::ZERO, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_asked_about_what_was_seen() {
        let hierarchy = Hierarchy::new(Index::default());
        hierarchy.apply(orchestrator());
        hierarchy.show();
        let ancestors = says(None);
        informed(&hierarchy, &ancestors, &review()).await.unwrap();
        assert_eq!(ancestors.1.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_answer_nothing_is_let_through() {
        let refusal = informed(&Hierarchy::new(Index::default()), &says(None), &review()).await.unwrap_err();
        assert!(refusal.to_string().contains("did not say whether"), "{refusal}");
    }
}
