//! Results without their protection: the deliberately broken build with which the cluster tests prove that they notice its loss.
//! No released image has it.

use futures::future::try_join_all;
use tetrarch_bus::{
    Bus,
    write::{Error, Message, Written},
};

/// Writes results whatever is there already, so that a task that was delivered twice has two.
pub(super) async fn write_results(bus: &Bus, results: &[Message]) -> Result<Vec<Written>, Error> {
    try_join_all(results.iter().map(|result| async move {
        bus.client()
            .request(result.subject.clone(), result.payload.clone())
            .await
            .map(|_| Written::Fresh(0))
            .map_err(|error| Error::Refused { subject: result.subject.clone(), reason: error.to_string() })
    }))
    .await
}
