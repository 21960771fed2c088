//! JSON logs on standard output.

use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter cannot be parsed.
    #[error(
        "--log {filter:?}: {source}: write a level such as info, or pairs such as tetrarch_operator=debug,kube=warn"
    )]
    Filter {
        /// The refused filter.
        filter: String,
        /// Why.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Logging was set up before.
    #[error("logging is set up already")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Sends logs that pass `filter` to standard output, one JSON object a line.
pub fn install(filter: &str) -> Result<(), Error> {
    let parsed =
        EnvFilter::builder().parse(filter).map_err(|source| Error::Filter { filter: filter.to_owned(), source })?;
    let json =
        tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false);
    tracing_subscriber::registry().with(parsed).with(json).try_init()?;
    Ok(())
}
