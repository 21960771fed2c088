//! `AdmissionReview` of `admission.k8s.io/v1`, as API servers send it and expect it back.

use std::{borrow::Cow, collections::BTreeMap};

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::admission::Answer;

/// The only version that is spoken.
pub const VERSION: &str = "admission.k8s.io/v1";

/// The kind of questions and answers.
pub const KIND: &str = "AdmissionReview";

/// Longest text of all warnings of an answer together; API servers cut off what goes beyond.
const WARNINGS_LENGTH: usize = 4096;

/// Why a body is no question.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body is no JSON of this form, or is nested too deeply.
    #[error("the body is no AdmissionReview: {0}")]
    Json(#[from] serde_json::Error),
    /// Another version or kind.
    #[error("the body is {kind:?} of {version:?}: send an AdmissionReview of admission.k8s.io/v1")]
    Version {
        /// Its kind.
        kind: String,
        /// Its version.
        version: String,
    },
    /// An answer instead of a question.
    #[error("request: is missing: send an AdmissionReview with a request")]
    NoRequest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    #[serde(default, borrow)]
    api_version: Cow<'a, str>,
    #[serde(default, borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    request: Option<Request<'a>>,
}

/// What an API server wants to know. The objects are still text.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request<'a> {
    /// Identifies the request; the answer repeats it.
    #[serde(borrow)]
    pub uid: Cow<'a, str>,
    /// Kind of the object.
    #[serde(borrow)]
    pub kind: GroupVersionKind<'a>,
    /// The part of the object that is written, such as `scale`.
    #[serde(default, borrow)]
    pub sub_resource: Option<Cow<'a, str>>,
    /// Name of the object; absent when the API server makes one up.
    #[serde(default, borrow)]
    pub name: Option<Cow<'a, str>>,
    /// Its namespace.
    #[serde(default, borrow)]
    pub namespace: Option<Cow<'a, str>>,
    /// What is done.
    pub operation: Operation,
    /// Who does it.
    #[serde(default, borrow)]
    pub user_info: UserInfo<'a>,
    /// The object as it would be stored; absent when it is deleted.
    #[serde(default, borrow)]
    pub object: Option<&'a RawValue>,
    /// The object as it is stored; absent when it is created.
    #[serde(default, borrow)]
    pub old_object: Option<&'a RawValue>,
    /// Whether nothing will be stored.
    #[serde(default)]
    pub dry_run: bool,
    /// Options of the operation.
    #[serde(default, borrow)]
    pub options: Option<&'a RawValue>,
}

/// A kind with its group and version.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct GroupVersionKind<'a> {
    /// Group; empty for the core one.
    #[serde(borrow)]
    pub group: Cow<'a, str>,
    /// Version.
    #[serde(borrow)]
    pub version: Cow<'a, str>,
    /// Kind.
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
}

/// What is done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Operation {
    /// It is created.
    Create,
    /// It is changed.
    Update,
    /// It is deleted.
    Delete,
    /// Something is connected to it.
    Connect,
}

/// Who asks.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
pub struct UserInfo<'a> {
    /// Name.
    #[serde(default, borrow)]
    pub username: Cow<'a, str>,
    /// Uid, if the authenticator knows one.
    #[serde(default, borrow)]
    pub uid: Cow<'a, str>,
    /// Groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Further facts.
    #[serde(default)]
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Reads a question.
pub fn read(body: &[u8]) -> Result<Request<'_>, Error> {
    let question: Question<'_> = serde_json::from_slice(body)?;
    if question.api_version != VERSION || question.kind != KIND {
        return Err(Error::Version { kind: question.kind.into_owned(), version: question.api_version.into_owned() });
    }
    question.request.ok_or(Error::NoRequest)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reply<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: Response<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    audit_annotations: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "<[&str]>::is_empty")]
    warnings: &'a [&'a str],
}

#[derive(Serialize)]
struct Status<'a> {
    code: u16,
    reason: &'static str,
    message: &'a str,
}

/// Writes the answer to the request with this uid.
pub fn write(uid: &str, answer: &Answer) -> Result<Vec<u8>, serde_json::Error> {
    let status = answer.refusal.as_ref().map(|refusal| Status {
        code: refusal.class.code(),
        reason: refusal.class.reason(),
        message: &refusal.message,
    });
    let patch = answer.patch.as_ref().filter(|_| answer.refusal.is_none());
    let warnings = cut(&answer.warnings);
    serde_json::to_vec(&Reply {
        api_version: VERSION,
        kind: KIND,
        response: Response {
            uid,
            allowed: answer.refusal.is_none(),
            status,
            patch: patch.map(|patch| serde_json::to_vec(patch).map(|json| BASE64.encode(&json))).transpose()?,
            patch_type: patch.map(|_| "JSONPatch"),
            audit_annotations: &answer.audit_annotations,
            warnings: &warnings,
        },
    })
}

/// As many whole warnings as API servers pass on.
fn cut(warnings: &[String]) -> Vec<&str> {
    let mut left = WARNINGS_LENGTH;
    warnings
        .iter()
        .map_while(|warning| {
            left = left.checked_sub(warning.len())?;
            Some(warning.as_str())
        })
        .collect()
}
