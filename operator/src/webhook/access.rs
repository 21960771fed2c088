//! Asks the API server whether a writer has a permission.

use futures::future::BoxFuture;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::{Api, Client, api::PostParams};
use tetrarch_crds::GROUP;
use tetrarch_plan::admit::{Check, User, wire};

/// Knows the permissions of everybody.
pub trait Access: Send + Sync {
    /// Whether the user may do that.
    fn allows<'a>(&'a self, user: &'a User, check: &'a Check) -> BoxFuture<'a, Result<bool, kube::Error>>;
}

/// The API server's own answer.
pub struct ApiAccess(Api<SubjectAccessReview>);

impl ApiAccess {
    /// Asks this API server.
    pub fn new(client: Client) -> Self {
        Self(Api::all(client))
    }
}

impl Access for ApiAccess {
    fn allows<'a>(&'a self, user: &'a User, check: &'a Check) -> BoxFuture<'a, Result<bool, kube::Error>> {
        Box::pin(async move {
            let answer = self.0.create(&PostParams::default(), &question(user, check)).await?;
            Ok(answer.status.is_some_and(|status| status.allowed && status.denied != Some(true)))
        })
    }
}

fn question(user: &User, check: &Check) -> SubjectAccessReview {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: some(&user.name),
            groups: Some(user.groups.clone()),
            uid: user.uid.clone(),
            extra: Some(user.extra.clone()).filter(|extra| !extra.is_empty()),
            resource_attributes: Some(ResourceAttributes {
                group: Some(GROUP.to_owned()),
                resource: Some(wire::resource(check.kind).to_owned()),
                verb: Some(check.verb.to_owned()),
                namespace: some(&check.namespace),
                name: some(&check.name),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tetrarch_core::policy::Kind;
    use tetrarch_plan::admit::{Code, Finding};

    use super::*;

    #[test]
    fn the_question_names_the_writer_with_all_that_authorizers_look_at() {
        let user = User {
            name: "ada".to_owned(),
            groups: vec!["legal".to_owned()],
            extra: [("scopes".to_owned(), vec!["a".to_owned()])].into(),
            ..User::default()
        };
        let check = Check {
            verb: "approve",
            kind: Kind::AgentPool,
            namespace: "compliance".to_owned(),
            name: "classifier".to_owned(),
            otherwise: Finding::denied(Code::Permission, "metadata", "is not allowed", ""),
        };
        assert_eq!(
            serde_json::to_value(question(&user, &check)).unwrap()["spec"],
            json!({
                "user": "ada", "groups": ["legal"], "extra": {"scopes": ["a"]},
                "resourceAttributes": {
                    "group": "tetrarch.dev", "resource": "agentpools", "verb": "approve",
                    "namespace": "compliance", "name": "classifier",
                },
            })
        );
    }
}
