//! Follows the messages that others publish for this Supervisor, and removes each from the stream when what it begins is in the journal.
//!
//! One replica does, by the lease of the first partition; two at the same time would begin nothing twice. Where it stands is what is left
//! in the stream, so nothing else is remembered.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde_json::Value;
use tetrarch_bus::follow::{Delivered, Event, Start};
use tetrarch_core::workflow::message::Message;
use tetrarch_protocol::{
    stream::{UNHEARD, WORK},
    subject::{events_of_supervisor, topic_of},
};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{intake::Intake, leases::Held, metrics::MessageEnd};

/// Pause before messages that could not be taken are looked at again.
const PAUSE: Duration = Duration::from_secs(2);

/// What becomes of a message in the stream.
enum Fate {
    /// It is done with.
    Done,
    /// It has to be looked at again.
    Again(Duration),
}

/// Takes messages whenever this replica holds the first partition, until it is told to stop.
pub async fn follow(intake: Intake, mut held: watch::Receiver<Held>, stop: CancellationToken) {
    let work = async {
        // The senders live as long as the driver and the leases.
        while held.wait_for(leads).await.is_ok() {
            let mut lost = held.clone();
            tokio::select! {
                _ = lost.wait_for(|held| !leads(held)) => {}
                () = take_all(intake.clone()) => return,
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

fn leads(held: &Held) -> bool {
    held.contains(&0)
}

/// Takes what is there and what comes. As long as something could not be taken, it reads what is left from the start now and then.
async fn take_all(mut intake: Intake) {
    let filters = vec![events_of_supervisor(&intake.supervisor)];
    loop {
        if intake.open.wait_for(Option::is_some).await.is_err() {
            return;
        }
        let mut follow = intake.bus.follow(WORK, filters.clone(), Start::After(0));
        let mut again: Option<Instant> = None;
        loop {
            let event = tokio::select! {
                event = follow.next() => event,
                () = sleep_until(again), if again.is_some() => break,
                changed = intake.open.changed() => match changed {
                    Ok(()) if again.is_some() => break,
                    Ok(()) => continue,
                    Err(_) => return,
                },
            };
            let Event::Message(message) = event else { continue };
            if let Fate::Again(pause) = take(&intake, &message).await {
                let at = Instant::now() + pause;
                again = Some(again.map_or(at, |again| again.min(at)));
            }
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    tokio::time::sleep_until(at.unwrap_or_else(Instant::now)).await;
}

/// Begins what a message begins, and removes it when that is in the journal.
async fn take(intake: &Intake, message: &Delivered) -> Fate {
    let fate = begin(intake, message).await;
    if matches!(fate, Fate::Again(_)) {
        return fate;
    }
    match intake.bus.remove(WORK, message.sequence).await {
        Ok(()) => Fate::Done,
        Err(error) => {
            tracing::warn!(sequence = message.sequence, %error, "cannot remove an event that is done with");
            Fate::Again(PAUSE)
        }
    }
}

async fn begin(intake: &Intake, message: &Delivered) -> Fate {
    let topic = topic_of(&intake.supervisor, &message.subject);
    let listeners = topic.as_ref().map(|topic| intake.listeners(topic, message.at)).unwrap_or_default();
    if listeners.is_empty() {
        return wait_for_a_trigger(intake, message, Timestamp::now());
    }
    let id = id_of(message);
    let headers = headers_of(message);
    let body = serde_json::from_slice::<Value>(&message.payload)
        .map_err(|error| format!("event {id} is no JSON: {error}: publish JSON"));
    let read = Message { id: &id, body: body.as_ref().map_err(String::as_str), headers: &headers };
    let mut fate = Fate::Done;
    for (workflow, definition, snapshot) in listeners {
        if let Err(error) = intake.take(&definition, &snapshot, read).await {
            let trigger = &snapshot.trigger.name;
            tracing::warn!(%workflow, %trigger, sequence = message.sequence, %error, "an event begins no run yet");
            fate = Fate::Again(PAUSE);
        }
    }
    fate
}

/// A message may come before its trigger does.
fn wait_for_a_trigger(intake: &Intake, message: &Delivered, now: Timestamp) -> Fate {
    let age = Duration::try_from(now.duration_since(message.at)).unwrap_or_default();
    if let Some(left) = UNHEARD.checked_sub(age).filter(|left| !left.is_zero()) {
        return Fate::Again(left);
    }
    tracing::warn!(
        subject = message.subject,
        sequence = message.sequence,
        "no trigger is about an event: throwing it away"
    );
    intake.metrics.message_ended(MessageEnd::Unheard);
    Fate::Done
}

/// The id that its publisher gave it, or where and when it was stored.
fn id_of(message: &Delivered) -> String {
    let given = message.headers.as_ref().and_then(|headers| headers.get(async_nats::header::NATS_MESSAGE_ID));
    given.map_or_else(|| format!("{}@{}", message.sequence, message.at), |id| id.as_str().to_owned())
}

fn headers_of(message: &Delivered) -> BTreeMap<String, String> {
    let headers = message.headers.iter().flat_map(|headers| headers.iter());
    headers
        .filter_map(|(name, values)| Some((name.to_string().to_ascii_lowercase(), values.first()?.as_str().to_owned())))
        .collect()
}
