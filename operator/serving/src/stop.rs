//! The end of a process, as a container runtime (SIGTERM) or a person at a terminal (SIGINT) asks for it.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled when the process is asked to stop. From this call on no signal ends the process by itself.
///
/// # Errors
/// When signals cannot be received, which an operating system refuses only to a process that is out of file descriptors.
pub fn stop_signal() -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let asked = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("told to stop"),
            _ = interrupt.recv() => tracing::info!("interrupted"),
        }
        asked.cancel();
    });
    Ok(stop)
}
