//! `AdmissionReview` v1 on the wire: reading a request and writing the answer.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};
use tetrarch_core::policy::Kind;

use super::{
    finding::{Code, Finding, message},
    review::{Operation, Review, Target, User, Written},
    verdict::{Change, Mutation, Verdict},
};

/// Why a body is no request that can be reviewed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no `AdmissionReview` of version 1.
    #[error("the body is no AdmissionReview of admission.k8s.io/v1: {0}")]
    Form(#[from] serde_json::Error),
    /// It holds no request.
    #[error("the AdmissionReview holds no request")]
    NoRequest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    request: Option<Request>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    uid: String,
    resource: Resource,
    #[serde(default)]
    sub_resource: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    namespace: Option<String>,
    operation: Operation,
    #[serde(default)]
    user_info: UserInfo,
    #[serde(default)]
    object: Option<Value>,
    #[serde(default)]
    old_object: Option<Value>,
    #[serde(default)]
    dry_run: Option<bool>,
    #[serde(default)]
    options: Option<Options>,
}

#[derive(Deserialize)]
struct Resource {
    group: String,
    resource: String,
}

#[derive(Default, Deserialize)]
struct UserInfo {
    #[serde(default)]
    username: String,
    #[serde(default)]
    groups: Option<Vec<String>>,
    #[serde(default)]
    uid: Option<String>,
    #[serde(default)]
    extra: Option<BTreeMap<String, Vec<String>>>,
}

#[derive(Deserialize)]
struct Options {
    #[serde(default)]
    kind: String,
}

/// A request that was read.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Id of the request, which the answer repeats.
    pub uid: String,
    /// What is to be decided; none for what is none of ours or needs no decision, which is let through.
    pub review: Option<Review>,
}

/// The plural of a kind in the API.
pub const fn resource(kind: Kind) -> &'static str {
    match kind {
        Kind::Orchestrator => "orchestrators",
        Kind::Domain => "domains",
        Kind::Supervisor => "supervisors",
        Kind::AgentPool => "agentpools",
        Kind::Workflow => "workflows",
        Kind::Pod => "pods",
    }
}

/// Reads a request. All versions of our group are read alike: the API server converts to the one that is registered.
pub fn read(body: &[u8]) -> Result<Incoming, Error> {
    let envelope: Envelope = serde_json::from_slice(body)?;
    let request = envelope.request.ok_or(Error::NoRequest)?;
    let uid = request.uid.clone();
    Ok(Incoming { uid, review: review(request) })
}

fn review(request: Request) -> Option<Review> {
    let group = match request.resource.resource.as_str() {
        "pods" => "",
        _ => tetrarch_crds::GROUP,
    };
    let kind = Kind::ALL.into_iter().find(|kind| resource(*kind) == request.resource.resource)?;
    if request.resource.group != group {
        return None;
    }
    let target = match request.sub_resource.as_deref() {
        Some("scale") => Target::Scale { replicas: replicas(request.object.as_ref()?)? },
        Some(other) if other != "ephemeralcontainers" => return None,
        _ => Target::Whole {
            new: request.object.filter(|o| !o.is_null()).map(|document| Box::new(Written::read(kind, document))),
            old: request.old_object.filter(|o| !o.is_null()).map(|document| Box::new(Written::read(kind, document))),
        },
    };
    let name = request.name.filter(|name| !name.is_empty());
    let name = name.or_else(|| generated(&target)).unwrap_or_default();
    Some(Review {
        operation: request.operation,
        kind,
        namespace: request.namespace.unwrap_or_default(),
        name,
        target,
        user: User {
            name: request.user_info.username,
            groups: request.user_info.groups.unwrap_or_default(),
            uid: request.user_info.uid.filter(|uid| !uid.is_empty()),
            extra: request.user_info.extra.unwrap_or_default(),
        },
        is_patch: request.options.is_some_and(|options| options.kind == "PatchOptions"),
        dry_run: request.dry_run.unwrap_or(false),
    })
}

fn replicas(scale: &Value) -> Option<i32> {
    // Zero is left out on the wire.
    i32::try_from(scale.pointer("/spec/replicas").map_or(Some(0), Value::as_i64)?).ok()
}

fn generated(target: &Target) -> Option<String> {
    let Target::Whole { new: Some(new), .. } = target else { return None };
    let metadata = new.document.get("metadata")?;
    let text = |field: &str| metadata.get(field)?.as_str().map(str::to_owned);
    text("name").or_else(|| text("generateName"))
}

/// Most characters of warnings that the API server passes on without cutting them.
const WARNINGS: usize = 4096;

/// The answer to a validating review.
pub fn answer(uid: &str, verdict: &Verdict) -> Value {
    let warnings = verdict.warnings.iter().map(Finding::to_string);
    let held = verdict.held.iter().map(|finding| format!("held for an approval: {finding}"));
    respond(uid, &verdict.denials, warnings.chain(held), &[])
}

/// The answer to a mutating review.
pub fn answer_mutation(uid: &str, mutation: &Mutation) -> Value {
    respond(uid, &mutation.denials, std::iter::empty(), &mutation.patch)
}

fn respond(uid: &str, denials: &[Finding], warnings: impl Iterator<Item = String>, patch: &[Change]) -> Value {
    let mut response = json!({ "uid": uid, "allowed": denials.is_empty() });
    if !denials.is_empty() {
        let invalid = denials.iter().all(|finding| matches!(finding.code, Code::InvalidSpec | Code::Contradiction));
        let (code, reason) = if invalid { (422, "Invalid") } else { (403, "Forbidden") };
        response["status"] =
            json!({ "status": "Failure", "code": code, "reason": reason, "message": message(denials) });
    }
    let mut left = WARNINGS;
    let warnings: Vec<String> = warnings
        .take_while(|warning| {
            let fits = warning.chars().count() <= left;
            left = left.saturating_sub(warning.chars().count());
            fits
        })
        .collect();
    if !warnings.is_empty() {
        response["warnings"] = json!(warnings);
    }
    if !patch.is_empty() && denials.is_empty() {
        let text = serde_json::to_vec(patch).unwrap_or_default();
        response["patchType"] = json!("JSONPatch");
        response["patch"] = json!(BASE64_STANDARD.encode(text));
    }
    json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(resource: &str, extra: &Value) -> Vec<u8> {
        let mut request = json!({
            "uid": "1", "operation": "UPDATE", "namespace": "compliance", "name": "classifier",
            "kind": { "group": "tetrarch.dev", "version": "v1alpha1", "kind": "AgentPool" },
            "resource": { "group": "tetrarch.dev", "version": "v1alpha1", "resource": resource },
            "userInfo": { "username": "ada", "groups": ["legal"] },
            "options": { "kind": "PatchOptions" },
        });
        for (field, value) in extra.as_object().into_iter().flatten() {
            request[field] = value.clone();
        }
        serde_json::to_vec(&json!({ "kind": "AdmissionReview", "request": request })).unwrap()
    }

    #[test]
    fn reads_who_writes_what_and_how() {
        let review = read(&request("agentpools", &json!({ "object": { "spec": { "agent": { "image": "a" } } } })));
        let review = review.unwrap().review.unwrap();
        assert_eq!((review.kind, review.name.as_str(), review.is_patch), (Kind::AgentPool, "classifier", true));
        let Target::Whole { new: Some(new), old: None } = &review.target else { panic!("{review:?}") };
        assert!(new.manifest.is_ok());
    }

    #[test]
    fn scale_to_zero_is_a_scale_although_zero_is_left_out() {
        let read = read(&request("agentpools", &json!({ "subResource": "scale", "object": { "spec": {} } }))).unwrap();
        assert!(matches!(read.review.unwrap().target, Target::Scale { replicas: 0 }));
    }

    #[test]
    fn status_and_foreign_kinds_need_no_decision() {
        assert!(read(&request("agentpools", &json!({ "subResource": "status" }))).unwrap().review.is_none());
        assert!(read(&request("pods", &json!({}))).unwrap().review.is_none(), "pods are in the core group");
        assert!(read(&request("secrets", &json!({}))).unwrap().review.is_none());
    }

    #[test]
    fn an_object_that_cannot_be_read_is_a_review_with_the_reason() {
        let read = read(&request("agentpools", &json!({ "object": { "spec": { "agent": 3 } } }))).unwrap();
        let Target::Whole { new: Some(new), .. } = read.review.unwrap().target else { panic!("no object") };
        assert!(new.manifest.unwrap_err().contains("invalid type"));
    }

    #[test]
    fn a_body_that_is_no_review_is_an_error() {
        assert!(matches!(read(b"{}"), Err(Error::NoRequest)));
        assert!(matches!(read(b"{"), Err(Error::Form(_))));
        let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
        assert!(matches!(read(deep.as_bytes()), Err(Error::Form(_))));
    }

    #[test]
    fn refusals_carry_the_message_and_warnings_stay_within_what_is_passed_on() {
        let denied = Verdict::refused(Finding::denied(Code::Limit, "spec.replicas", "is 9", "write 5 or less"));
        let answer_denied = answer("1", &denied);
        assert_eq!(answer_denied["response"]["allowed"], false);
        assert_eq!(answer_denied["response"]["status"]["message"], "spec.replicas: is 9: write 5 or less");
        let long = Finding::warned(Code::Rule, "spec", "x".repeat(1500), "");
        let warned = Verdict { warnings: vec![long; 5], ..Verdict::default() };
        assert_eq!(answer("1", &warned)["response"]["warnings"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn a_patch_is_base64_of_a_json_patch() {
        let patch = vec![Change::Remove { path: "/metadata/annotations/a".to_owned() }];
        let answer = answer_mutation("1", &Mutation { patch, ..Mutation::default() });
        let patch = BASE64_STANDARD.decode(answer["response"]["patch"].as_str().unwrap()).unwrap();
        assert_eq!(String::from_utf8(patch).unwrap(), r#"[{"op":"remove","path":"/metadata/annotations/a"}]"#);
    }
}
