//! Wiring and the order of shutdown: drain on SIGTERM, then flush, then stop serving.

use tetrarch_serving::stop::stop_signal;
use tokio::net::TcpListener;
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
        let stop = stop_signal()?;
        let metrics = Metrics::new()?;
        let listener = TcpListener::bind(args.http_addr).await?;
        let connected = async {
            let bus = tetrarch_bus::connect(&args.bus()).await?;
            Ok::<_, Error>(Service::new(args.options(), bus, metrics.clone()).await?)
        };
        // A bus that never answers, such as that of a Domain being deleted, must not hold the pod until it is killed.
        let (service, handle) = tokio::select! {
            biased;
            () = stop.cancelled() => {
                tracing::info!("asked to stop before the bus answered");
                return Ok(());
            }
            connected = connected => connected?,
        };
        let end = CancellationToken::new();
        tokio::spawn(http::serve(listener, handle.clone(), metrics, end.clone()).in_current_span());
        tokio::spawn(
            async move {
                stop.cancelled().await;
                tracing::info!("asked to stop, draining");
                handle.stop();
            }
            .in_current_span(),
        );
        tracing::info!(slots = args.slots, agent = args.agent_url, "started");
        let result = service.run().await;
        end.cancel();
        tracing::info!("stopped");
        Ok::<_, Error>(result?)
    }
    .instrument(span)
    .await
}
