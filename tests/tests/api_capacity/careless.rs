//! A client that writes ledgers without saying which version it has read: the negative control.

use std::task::{Context, Poll};

use futures::{FutureExt, TryFutureExt, future::BoxFuture};
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use kube::{
    Client, Config,
    client::{Body, ClientBuilder},
};
use serde_json::Value;
use tower::{BoxError, Layer, Service};

/// A client that drops the precondition of every write of a ConfigMap.
pub fn client(config: Config) -> anyhow::Result<Client> {
    Ok(ClientBuilder::try_from(config)?.with_layer(&Careless).build())
}

#[derive(Clone, Copy)]
struct Careless;

impl<S> Layer<S> for Careless {
    type Service = Forgetful<S>;

    fn layer(&self, inner: S) -> Forgetful<S> {
        Forgetful { inner }
    }
}

struct Forgetful<S> {
    inner: S,
}

impl<S, B> Service<Request<Body>> for Forgetful<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError> + 'static,
    B: Send + 'static,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<B>, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let is_ledger =
            request.method() == Method::PUT && request.uri().path().contains("/configmaps/tetrarch-capacity-");
        let request = if is_ledger { without_version(request) } else { Ok(request) };
        match request {
            Ok(request) => self.inner.call(request).map_err(Into::into).boxed(),
            Err(error) => futures::future::err(error).boxed(),
        }
    }
}

/// What is written is in memory already, so nothing has to be waited for.
fn without_version(request: Request<Body>) -> Result<Request<Body>, BoxError> {
    let (mut parts, body) = request.into_parts();
    let body = body.collect().now_or_never().ok_or("a ledger that is written bit by bit")??;
    let mut object: Value = serde_json::from_slice(&body.to_bytes())?;
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("resourceVersion");
    }
    let body = serde_json::to_vec(&object)?;
    parts.headers.remove(http::header::CONTENT_LENGTH);
    Ok(Request::from_parts(parts, Body::from(body)))
}
