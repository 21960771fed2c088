//! The floor of the direct measure: a TLS server that reads the review and answers yes without looking.

use std::net::SocketAddr;

use anyhow::Result;
use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio_rustls::TlsAcceptor;

use super::tls::Identity;
use crate::cores::Core;

const YES: &str =
    r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"","allowed":true}}"#;

/// Starts the server on a thread of its own, bound to that core; it ends with the program.
pub fn start(identity: &Identity, core: Core) -> Result<SocketAddr> {
    let acceptor = TlsAcceptor::from(identity.server()?);
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || -> Result<()> {
        core.bind()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let stream = TokioIo::new(acceptor.accept(stream).await?);
                    let connection =
                        hyper::server::conn::http1::Builder::new().serve_connection(stream, service_fn(answer));
                    anyhow::Ok(connection.await?)
                });
            }
        })
    });
    Ok(address)
}

async fn answer(request: http::Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    request.into_body().collect().await?;
    Ok(Response::new(Full::new(Bytes::from_static(YES.as_bytes()))))
}
