//! An API server in memory that records writes and fails on demand, for tests of one reconcile.
//!
//! It stores objects, counts versions and generations, and honours finalizers, preconditions and the status subresource.
//! It does not imitate the ownership of fields: an apply is merged over what is there. What depends on more belongs on a
//! real API server.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::{Client, client::Body};
use serde_json::{Value, json};

mod merge;
mod path;

pub use path::Path;

/// One write that the server carried out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Write {
    /// `create`, `replace`, `apply`, `patch`, `status` or `delete`.
    pub verb: &'static str,
    /// Plural of the kind.
    pub resource: String,
    /// `<namespace>/<name>`, or the name alone.
    pub object: String,
}

impl std::fmt::Display for Write {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.verb, self.resource, self.object)
    }
}

/// The server. Clones share it.
#[derive(Clone, Default)]
pub struct FakeApi(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    objects: BTreeMap<Path, Value>,
    version: u64,
    writes: Vec<Write>,
    requests: usize,
    fault: Fault,
}

/// What goes wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// After this many writes no further request is served, as if the client had died.
    CrashAfter(usize),
    /// Writes of this kind (plural) with this verb are refused with this code; the verb `*` means all.
    Refuse {
        /// Plural of the kind.
        resource: String,
        /// Verb of [`Write`].
        verb: &'static str,
        /// Status code.
        code: u16,
    },
}

impl FakeApi {
    /// A client of this server.
    pub fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { Ok::<_, Infallible>(server.serve(request).await) }
        });
        Client::new(service, "default")
    }

    /// Stores an object as if somebody else had written it, or changes a stored one.
    pub fn put(&self, plural: &str, object: &Value) -> Value {
        let mut state = self.lock();
        let path = Path::of_object(plural, object);
        let old = state.objects.get(&path).cloned();
        let merged = old.as_ref().map_or_else(|| object.clone(), |old| merge::merge(old, object));
        state.store(&path, old.as_ref(), merged)
    }

    /// All objects of a kind.
    pub fn list(&self, plural: &str) -> Vec<Value> {
        let state = self.lock();
        state.objects.iter().filter(|(path, _)| path.plural == plural).map(|(_, object)| object.clone()).collect()
    }

    /// One object.
    pub fn get(&self, plural: &str, namespace: Option<&str>, name: &str) -> Option<Value> {
        let found = |path: &Path| path.plural == plural && path.namespace.as_deref() == namespace && path.name == name;
        self.lock().objects.iter().find(|(path, _)| found(path)).map(|(_, object)| object.clone())
    }

    /// Everything that is stored, without versions, times and uids, to compare end states.
    pub fn end_state(&self) -> BTreeMap<String, Value> {
        let bare = |object: &Value| {
            let mut object = object.clone();
            if let Some(meta) = object["metadata"].as_object_mut() {
                for key in ["resourceVersion", "generation"] {
                    meta.remove(key);
                }
            }
            object
        };
        self.lock().objects.iter().map(|(path, object)| (path.to_string(), bare(object))).collect()
    }

    /// Removes everything that asks for it: objects in deletion without finalizers, and what their owners leave.
    pub fn collect_garbage(&self) {
        let mut state = self.lock();
        loop {
            let uids: Vec<String> = state.objects.values().filter_map(uid).collect();
            let doomed: Vec<Path> = state
                .objects
                .iter()
                .filter(|(_, object)| owner_uids(object).any(|owner| !uids.contains(&owner)))
                .map(|(path, _)| path.clone())
                .collect();
            if doomed.is_empty() {
                return;
            }
            for path in doomed {
                state.objects.remove(&path);
            }
        }
    }

    /// The writes since the last call.
    pub fn take_writes(&self) -> Vec<Write> {
        std::mem::take(&mut self.lock().writes)
    }

    /// The requests since the start, reads included.
    pub fn requests(&self) -> usize {
        self.lock().requests
    }

    /// Sets what goes wrong from now on.
    pub fn fail(&self, fault: Fault) {
        self.lock().fault = fault;
    }

    async fn serve(&self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let content = parts.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut state = self.lock();
        state.requests += 1;
        match state.answer(&parts.method, parts.uri.path(), content, body) {
            Ok(object) => respond(StatusCode::OK, &object),
            Err((code, reason)) => {
                let status = json!({
                    "kind": "Status", "apiVersion": "v1", "status": "Failure",
                    "code": code, "reason": reason, "message": format!("{reason} (fake)"),
                });
                respond(StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &status)
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Refusal = (u16, &'static str);

impl State {
    fn answer(&mut self, method: &Method, url: &str, content: &str, body: Value) -> Result<Value, Refusal> {
        if matches!(self.fault, Fault::CrashAfter(writes) if self.writes.len() >= writes) {
            return Err((500, "Crashed"));
        }
        let path = Path::parse(url, &body).ok_or((404, "NotFound"))?;
        let verb = match *method {
            Method::GET => return self.objects.get(&path).cloned().ok_or((404, "NotFound")),
            Method::POST => "create",
            Method::PUT => "replace",
            Method::DELETE => "delete",
            _ if path.subresource.as_deref() == Some("status") => "status",
            _ if content.contains("apply-patch") => "apply",
            _ => "patch",
        };
        if let Fault::Refuse { resource, verb: refused, code } = &self.fault
            && *resource == path.plural
            && (*refused == "*" || *refused == verb)
        {
            return Err((*code, "Refused"));
        }
        if path.plural == "events" {
            return Ok(body);
        }
        self.write(verb, &path.without_subresource(), body)
    }

    fn write(&mut self, verb: &'static str, path: &Path, body: Value) -> Result<Value, Refusal> {
        let old = self.objects.get(path).cloned();
        if let (Some(old), Some(wanted)) = (&old, body.pointer("/metadata/uid").filter(|uid| !uid.is_null()))
            && uid(old).as_deref() != wanted.as_str()
        {
            return Err((409, "Conflict"));
        }
        let stale = |old: &Value| {
            let wanted = &body["metadata"]["resourceVersion"];
            !wanted.is_null() && *wanted != old["metadata"]["resourceVersion"]
        };
        let new = match (verb, &old) {
            ("create", Some(_)) => return Err((409, "AlreadyExists")),
            ("create" | "apply", None) => body,
            (_, None) => return Err((404, "NotFound")),
            (_, Some(old)) if stale(old) => return Err((409, "Conflict")),
            ("delete", Some(old)) => {
                self.note(verb, path);
                let mut doomed = old.clone();
                doomed["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
                return Ok(self.store(path, Some(old), doomed));
            }
            ("status", Some(old)) => {
                let mut new = old.clone();
                new["status"] = body["status"].clone();
                new
            }
            ("replace", Some(_)) => body,
            (_, Some(old)) => merge::merge(old, &body),
        };
        if old.as_ref() == Some(&new) {
            return Ok(new);
        }
        self.note(verb, path);
        Ok(self.store(path, old.as_ref(), new))
    }

    fn note(&mut self, verb: &'static str, path: &Path) {
        self.writes.push(Write { verb, resource: path.plural.clone(), object: path.object() });
    }

    /// Stores an object with a new version; one in deletion without finalizers is gone.
    fn store(&mut self, path: &Path, old: Option<&Value>, mut new: Value) -> Value {
        if old == Some(&new) {
            return new;
        }
        self.version += 1;
        let spec_changed = old.is_none_or(|old| old["spec"] != new["spec"]);
        let generation = old.and_then(|old| old["metadata"]["generation"].as_i64()).unwrap_or(0);
        new["metadata"]["generation"] = json!(generation + i64::from(spec_changed));
        new["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if new["metadata"]["uid"].is_null() {
            new["metadata"]["uid"] = json!(format!("uid-of-{path}"));
        }
        if new["metadata"]["creationTimestamp"].is_null() {
            new["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        let held = new["metadata"]["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty());
        if new["metadata"]["deletionTimestamp"].is_null() || held {
            self.objects.insert(path.clone(), new.clone());
        } else {
            self.objects.remove(path);
        }
        new
    }
}

fn uid(object: &Value) -> Option<String> {
    object["metadata"]["uid"].as_str().map(ToOwned::to_owned)
}

fn owner_uids(object: &Value) -> impl Iterator<Item = String> + '_ {
    object["metadata"]["ownerReferences"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|owner| owner["uid"].as_str().map(ToOwned::to_owned))
}

fn respond(code: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string().into_bytes()));
    *response.status_mut() = code;
    response
}
