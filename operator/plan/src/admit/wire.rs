//! `AdmissionReview` v1 on the wire: reading a request and writing the answer.

use std::{borrow::Cow, collections::BTreeMap};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tetrarch_core::policy::Kind;

use super::{
    finding::{Finding, message},
    review::{Operation, Review, Target, User, Written},
    verdict::{Change, Mutation, Verdict},
};

/// The version that is spoken.
const VERSION: &str = "admission.k8s.io/v1";

/// Why a body is no request that can be reviewed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no `AdmissionReview`.
    #[error("the body is no AdmissionReview: {0}")]
    Form(#[from] serde_json::Error),
    /// It is one of another version, or something else.
    #[error("the body is {kind:?} of {version:?}: send an AdmissionReview of {VERSION}")]
    Version {
        /// What it says it is.
        kind: String,
        /// Of which version.
        version: String,
    },
    /// It holds no request.
    #[error("the AdmissionReview holds no request")]
    NoRequest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(default, borrow)]
    api_version: Cow<'a, str>,
    #[serde(default, borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    request: Option<Request<'a>>,
}

/// The objects stay text here, so that each is read once, as what it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    uid: String,
    #[serde(borrow)]
    resource: Resource<'a>,
    #[serde(default)]
    sub_resource: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    namespace: Option<String>,
    operation: Operation,
    #[serde(default)]
    user_info: UserInfo,
    #[serde(default, borrow)]
    object: Option<&'a RawValue>,
    #[serde(default, borrow)]
    old_object: Option<&'a RawValue>,
    #[serde(default)]
    dry_run: Option<bool>,
    #[serde(default)]
    options: Option<Options>,
}

#[derive(Deserialize)]
struct Resource<'a> {
    #[serde(borrow)]
    group: Cow<'a, str>,
    #[serde(borrow)]
    resource: Cow<'a, str>,
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

/// The part of an object that tells its name.
#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    generate_name: Option<String>,
    resource_version: Option<String>,
}

/// A `Scale` of the group `autoscaling`.
#[derive(Deserialize)]
struct Scale {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    spec: ScaleSpec,
}

/// Zero is left out on the wire.
#[derive(Default, Deserialize)]
struct ScaleSpec {
    #[serde(default)]
    replicas: i32,
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
    let envelope: Envelope<'_> = serde_json::from_slice(body)?;
    if envelope.kind != "AdmissionReview" || envelope.api_version != VERSION {
        let (kind, version) = (envelope.kind.into_owned(), envelope.api_version.into_owned());
        return Err(Error::Version { kind, version });
    }
    let request = envelope.request.ok_or(Error::NoRequest)?;
    let uid = request.uid.clone();
    Ok(Incoming { uid, review: review(request)? })
}

fn review(request: Request<'_>) -> Result<Option<Review>, Error> {
    let kind = Kind::ALL.into_iter().find(|kind| resource(*kind) == request.resource.resource);
    let Some(kind) = kind.filter(|kind| request.resource.group == group(*kind)) else { return Ok(None) };
    let whole = |object: Option<&RawValue>| object.map(|object| Box::new(Written::parse(kind, object.get())));
    let target = match request.sub_resource.as_deref().unwrap_or_default() {
        "" | "ephemeralcontainers" => Target::Whole { new: whole(request.object), old: whole(request.old_object) },
        "scale" => {
            let scale: Scale = serde_json::from_str(request.object.map_or("{}", RawValue::get))?;
            Target::Scale { replicas: scale.spec.replicas, version: scale.metadata.resource_version }
        }
        _ => return Ok(None),
    };
    let name = request.name.filter(|name| !name.is_empty());
    let name = name.or_else(|| generated(request.object?.get())).unwrap_or_default();
    Ok(Some(Review {
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
    }))
}

const fn group(kind: Kind) -> &'static str {
    match kind {
        Kind::Pod => "",
        _ => tetrarch_crds::GROUP,
    }
}

fn generated(object: &str) -> Option<String> {
    let Named { metadata } = serde_json::from_str(object).ok()?;
    metadata.name.or(metadata.generate_name)
}

/// Most characters of warnings that the API server passes on without cutting them.
const WARNINGS: usize = 4096;

/// The answer to a validating review.
pub fn answer(uid: &str, verdict: &Verdict) -> Value {
    respond(uid, &verdict.denials, verdict.is_invalid(), verdict.notices(), &[])
}

/// The answer to a mutating review.
pub fn answer_mutation(uid: &str, mutation: &Mutation) -> Value {
    respond(uid, &mutation.denials, false, std::iter::empty(), &mutation.patch)
}

fn respond(
    uid: &str,
    denials: &[Finding],
    is_invalid: bool,
    notices: impl Iterator<Item = String>,
    patch: &[Change],
) -> Value {
    let mut response = json!({ "uid": uid, "allowed": denials.is_empty() });
    if !denials.is_empty() {
        let (code, reason) = if is_invalid { (422, "Invalid") } else { (403, "Forbidden") };
        response["status"] =
            json!({ "status": "Failure", "code": code, "reason": reason, "message": message(denials) });
    }
    let mut left = WARNINGS;
    let warnings: Vec<String> = notices
        .map_while(|warning| {
            left = left.checked_sub(warning.chars().count())?;
            Some(warning)
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
    use crate::admit::Code;

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
        serde_json::to_vec(&json!({ "apiVersion": VERSION, "kind": "AdmissionReview", "request": request })).unwrap()
    }

    fn pool(agent: &Value) -> Value {
        json!({
            "apiVersion": "tetrarch.dev/v1alpha1", "kind": "AgentPool",
            "metadata": { "name": "classifier", "namespace": "compliance" }, "spec": { "agent": agent },
        })
    }

    #[test]
    fn reads_who_writes_what_and_how() {
        let review = read(&request("agentpools", &json!({ "object": pool(&json!({ "image": "a" })) })));
        let review = review.unwrap().review.unwrap();
        assert_eq!((review.kind, review.name.as_str(), review.is_patch), (Kind::AgentPool, "classifier", true));
        let Target::Whole { new: Some(new), old: None } = &review.target else { panic!("{review:?}") };
        assert!(new.manifest().is_ok(), "{new:?}");
    }

    #[test]
    fn scale_to_zero_is_a_scale_although_zero_is_left_out() {
        let read = read(&request("agentpools", &json!({ "subResource": "scale", "object": { "spec": {} } }))).unwrap();
        assert!(matches!(read.review.unwrap().target, Target::Scale { replicas: 0, .. }));
    }

    #[test]
    fn status_and_foreign_kinds_need_no_decision() {
        assert!(read(&request("agentpools", &json!({ "subResource": "status" }))).unwrap().review.is_none());
        assert!(read(&request("pods", &json!({}))).unwrap().review.is_none(), "pods are in the core group");
        assert!(read(&request("secrets", &json!({}))).unwrap().review.is_none());
    }

    #[test]
    fn an_object_that_cannot_be_read_is_a_review_with_the_reason() {
        let read = read(&request("agentpools", &json!({ "object": pool(&json!(3)) }))).unwrap();
        let Target::Whole { new: Some(new), .. } = read.review.unwrap().target else { panic!("no object") };
        assert!(new.manifest().unwrap_err().contains("invalid type"));
    }

    #[test]
    fn an_object_that_is_nested_too_deeply_is_one_that_cannot_be_read() {
        let overlay = json!({ "image": "a", "podTemplate": "deep" });
        let body = String::from_utf8(request("agentpools", &json!({ "object": pool(&overlay) }))).unwrap();
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let read = read(body.replace(r#""deep""#, &deep).as_bytes()).unwrap();
        let Target::Whole { new: Some(new), .. } = read.review.unwrap().target else { panic!("no object") };
        let error = new.manifest().unwrap_err();
        assert!(error.contains("recursion limit"), "{error}");
        assert!(new.document().is_null());
    }

    #[test]
    fn a_body_that_is_no_review_is_an_error() {
        assert!(matches!(read(b"{}"), Err(Error::Version { .. })));
        let old = json!({ "apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview" }).to_string();
        assert!(read(old.as_bytes()).unwrap_err().to_string().contains("v1beta1"));
        let answer = json!({ "apiVersion": VERSION, "kind": "AdmissionReview", "response": {} }).to_string();
        assert!(matches!(read(answer.as_bytes()), Err(Error::NoRequest)));
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
