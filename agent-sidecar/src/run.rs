//! Wiring and the order of shutdown: drain on SIGTERM, then flush, then stop serving.

use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::{
    args::Args,
    http,
    metrics::Metrics,
    service::{self, Service},
};

/// Why the process cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Signals or the HTTP address cannot be had.
    #[error("cannot set up the process: {0}")]
    Io(#[from] std::io::Error),
    /// Metrics cannot be set up.
    #[error("cannot set up the metrics")]
    Metrics(#[from] prometheus::Error),
    /// The bus cannot be used.
    #[error(transparent)]
    Bus(#[from] tetrarch_bus::connection::Error),
    /// The service ended badly.
    #[error(transparent)]
    Service(#[from] service::Error),
}

/// Runs until SIGTERM or SIGINT and everything after it is done.
pub async fn run(args: Args) -> Result<(), Error> {
    let span = tracing::info_span!("sidecar", domain = %args.domain, supervisor = %args.supervisor, pool = %args.pool, pod = %args.pod);
    async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let metrics = Metrics::new()?;
        let listener = TcpListener::bind(args.http_addr).await?;
        let bus = tetrarch_bus::connect(&args.bus()).await?;
        let (service, handle) = Service::new(args.options(), bus, metrics.clone()).await?;
        let stop = CancellationToken::new();
        tokio::spawn(http::serve(listener, handle.clone(), metrics, stop.clone()).in_current_span());
        tokio::spawn(
            async move {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                tracing::info!("asked to stop, draining");
                handle.stop();
            }
            .in_current_span(),
        );
        tracing::info!(slots = args.slots, agent = args.agent_url, "started");
        let end = service.run().await;
        stop.cancel();
        tracing::info!("stopped");
        Ok::<_, Error>(end?)
    }
    .instrument(span)
    .await
}
