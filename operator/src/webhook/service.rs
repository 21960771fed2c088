//! Puts the webhook of one replica together, and ends it without a failed request.

use std::{sync::Arc, time::Duration};

use kube::{Client, runtime::events::Recorder};
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{
    access::ApiAccess,
    ancestors::ApiAncestors,
    app::{self, Draining},
    audit::{Audit, events, stream},
    booking::Books,
    gate::Gate,
    hierarchy::Hierarchy,
    server,
};
use crate::{
    args::Serve,
    clock::Clock,
    telemetry::{
        admin::{Need, Readiness},
        metrics::admission::AdmissionMetrics,
    },
    trust::{secrets::Secrets, webhook::serving::Serving},
};

/// What the webhook of a replica needs.
pub struct Service {
    /// The API server.
    pub client: Client,
    /// What is known of the hierarchy, completely.
    pub hierarchy: Hierarchy,
    /// Who books capacity.
    pub books: Option<Arc<dyn Books>>,
    /// Writes Events.
    pub recorder: Recorder,
    /// Metrics.
    pub metrics: AdmissionMetrics,
    /// Learns of the first certificate.
    pub readiness: Readiness,
}

/// The webhook of a replica while it runs.
pub struct Running {
    draining: Draining,
    drain: Duration,
    cancel: CancellationToken,
    server: JoinHandle<()>,
    /// What it needs beside; ends when dropped.
    _beside: JoinSet<()>,
}

impl Service {
    /// Serves on this socket from now on; handshakes succeed as soon as there is a certificate.
    pub fn start(self, listener: TcpListener, serve: &Serve) -> Result<Running, rustls::Error> {
        let (draining, cancel, serving) = (Draining::default(), CancellationToken::new(), Serving::default());
        let mut beside = JoinSet::new();
        self.hierarchy.show();
        let hierarchy = self.hierarchy.clone();
        beside.spawn(async move { hierarchy.keep().await });

        let (following, client, namespace) = (serving.clone(), self.client.clone(), serve.namespace.clone());
        beside.spawn(async move { following.follow(client, &namespace).await });
        beside.spawn(announce(serving.clone(), self.readiness, self.metrics.clone()));

        let (audit, to_events, to_bus) = Audit::new(self.metrics.clone());
        beside.spawn(events::write(to_events, self.recorder, self.metrics.clone()));
        let writer = stream::Writer {
            secrets: Secrets::new(self.client.clone(), &serve.namespace),
            url: serve.own_bus_url().to_owned(),
            clock: Clock::system(),
            metrics: self.metrics.clone(),
        };
        beside.spawn(writer.write(to_bus));

        let gate = Gate {
            hierarchy: self.hierarchy,
            ancestors: Arc::new(ApiAncestors::new(self.client.clone())),
            access: Arc::new(ApiAccess::new(self.client)),
            books: self.books,
            audit,
            metrics: self.metrics,
            clock: Clock::system(),
        };
        let app = app::router(gate, draining.clone());
        let server = tokio::spawn(server::serve(listener, serving.tls()?, app, cancel.clone()));
        Ok(Running { draining, drain: serve.webhook.drain, cancel, server, _beside: beside })
    }
}

/// Tells of each certificate that is served.
async fn announce(serving: Serving, readiness: Readiness, metrics: AdmissionMetrics) {
    let mut until = serving.until();
    loop {
        if let Some(until) = *until.borrow_and_update() {
            metrics.certificate_until(until);
            readiness.set(Need::Certificate);
        }
        if until.changed().await.is_err() {
            return;
        }
    }
}

impl Running {
    /// Ends after nobody sends requests any more. One that never was ready got none.
    pub async fn stop(self, was_ready: bool) {
        if was_ready {
            self.draining.begin();
            sleep(self.drain).await;
        }
        self.cancel.cancel();
        self.server.await.ok();
    }
}
