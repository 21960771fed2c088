//! The session's orders, each as a job that runs beside the others and ends in an event.

use futures::future::{Abortable, Aborted};
use serde_json::Value;
use tetrarch_bus::{
    Bus, blob,
    write::{self, MIN_BATCH, Message, Written},
};
use tetrarch_core::{id::TaskId, trace, workflow::journal::FailureReason};
use tetrarch_protocol::{
    VERSION, agent as wire,
    blob::{MAX_INLINE, Payload},
    task::{ResultEnvelope, ResultOutcome},
};

use super::Service;
use crate::{
    agent::Call,
    bus::Queues,
    session::event::{Action, Event, HandOver, Key, Loaded, Outcome, Report},
};

/// How a job ended.
#[derive(Debug)]
pub(super) enum Done {
    /// With nothing to tell.
    Nothing,
    /// With an event.
    Event(Event),
    /// With an input.
    Input(Key, Value),
    /// With a result that can be written now; the output is kept, so that it is stored once.
    Result(Key, Payload, Message),
    /// With results written, or not.
    Written(Vec<(Key, bool)>),
}

impl Service {
    /// Takes in how a job ended.
    pub(super) fn finish(&mut self, done: Done) -> Option<Event> {
        match done {
            Done::Nothing => None,
            Done::Event(event) => {
                if let Event::Answered(key, _) = &event {
                    self.calls.remove(key);
                }
                Some(event)
            }
            Done::Input(key, input) => {
                self.held.get_mut(&key)?.input = Some(input);
                Some(Event::Loaded(key, Loaded::Here))
            }
            Done::Result(key, output, message) => {
                self.held.get_mut(&key)?.output = Some(output);
                self.results.push((key, message));
                None
            }
            Done::Written(mut written) => {
                let last = written.pop();
                for (key, written) in written {
                    self.handle(Some(Event::Reported(key, written)));
                }
                last.map(|(key, written)| Event::Reported(key, written))
            }
        }
    }

    /// Does one thing that the session orders.
    pub(super) fn perform(&mut self, action: Action) {
        let queues = self.queues.clone();
        match action {
            Action::Pull { id, batch, wait } => {
                self.metrics.pulled(id.class);
                self.spawn(async move {
                    queues.pull(id, batch, wait).await;
                    Done::Nothing
                });
            }
            Action::StopPulling => self.closing = true,
            Action::Probe => {
                let agent = self.agent.clone();
                self.spawn(async move { Done::Event(Event::Probed(agent.probe().await)) });
            }
            Action::Abort(key) => {
                if let Some(call) = self.calls.remove(&key) {
                    call.abort();
                }
            }
            Action::Replace { old, new } => {
                if let (Some(new), Some(old)) = (self.held.remove(&new), self.held.get_mut(&old)) {
                    old.reply = new.reply;
                }
            }
            Action::Forget(key) => {
                self.held.remove(&key);
            }
            Action::Call(key, timeout) => self.call(key, timeout),
            Action::Load(key) => self.load(key),
            Action::Report(key, report) => self.report(key, report),
            Action::Inspect(key) => self.for_task(key, |id| async move {
                let inspection = queues.inspect(&id).await;
                if let Err(error) = &inspection {
                    tracing::warn!(task = %id, %error, "cannot look up a task that was delivered before");
                }
                Done::Event(Event::Inspected(key, inspection.ok()))
            }),
            Action::Mark(key, mark) => {
                let agent = self.options.agent.clone();
                self.for_task(key, |id| async move {
                    Done::Event(Event::Marked(key, queues.mark(&id, &agent, mark).await))
                });
            }
            Action::Ack(key) => {
                let Some(reply) = self.held.get(&key).map(|held| held.reply.clone()) else { return };
                self.spawn(async move { Done::Event(Event::Acked(key, queues.ack(reply).await)) });
            }
            Action::Extend(key) => {
                let Some(reply) = self.held.get(&key).map(|held| held.reply.clone()) else { return };
                self.spawn(async move {
                    queues.extend(reply).await;
                    Done::Nothing
                });
            }
            Action::HandBack { key, delay, withdraw } => {
                let Some(held) = self.held.remove(&key) else { return };
                self.metrics.handed_back.inc();
                let agent = self.options.agent.clone();
                self.spawn(async move {
                    if let Some(mark) = withdraw {
                        queues.mark(&held.id, &agent, mark).await;
                    }
                    queues.hand_back(held.reply, delay).await;
                    Done::Nothing
                });
            }
            // The loop ends before it gets here.
            Action::Exit => {}
        }
    }

    fn for_task<F: Future<Output = Done> + Send + 'static>(&self, key: Key, job: impl FnOnce(TaskId) -> F) {
        if let Some(held) = self.held.get(&key) {
            self.spawn(job(held.id.clone()));
        }
    }

    fn call(&mut self, key: Key, timeout: std::time::Duration) {
        let Some(held) = self.held.get_mut(&key) else { return };
        let Some(mut envelope) = held.envelope.take() else { return };
        let inline = std::mem::replace(&mut envelope.input, Payload::Inline(Value::Null));
        let input = match (held.input.take(), inline) {
            (Some(input), _) | (None, Payload::Inline(input)) => input,
            (None, Payload::Blob(_)) => return,
        };
        let TaskId { run, path, attempt } = &held.id;
        let call = Call {
            request: wire::Request {
                task_id: held.id.to_string(),
                workflow: envelope.workflow,
                run: run.to_string(),
                step: path.to_string(),
                attempt: *attempt,
                deadline: jiff::Timestamp::now() + timeout,
                input,
            },
            traceparent: envelope.traceparent.and_then(|traceparent| trace::for_call(&traceparent, &held.id)),
            idempotent: envelope.idempotent,
            timeout,
        };
        let agent = self.agent.clone();
        let (abort, registration) = futures::future::AbortHandle::new_pair();
        self.calls.insert(key, abort);
        self.spawn(async move {
            let call = Abortable::new(agent.call(call), registration).await;
            match call {
                Ok(answer) => Done::Event(Event::Answered(key, answer)),
                Err(Aborted) => Done::Nothing,
            }
        });
    }

    fn load(&mut self, key: Key) {
        let Some(input) = self.held.get(&key).and_then(|held| held.envelope.as_ref()).map(|envelope| &envelope.input)
        else {
            return;
        };
        let (bus, input) = (self.queues.bus().clone(), input.clone());
        self.spawn(async move {
            match bus.load_payload(input).await {
                Ok(input) => Done::Input(key, input),
                Err(error @ (blob::Error::Missing(_) | blob::Error::Unreadable { .. })) => {
                    Done::Event(Event::Loaded(key, Loaded::Missing(error.to_string())))
                }
                Err(error @ blob::Error::Refused { .. }) => {
                    tracing::warn!(%error, "cannot load an input");
                    Done::Event(Event::Loaded(key, Loaded::Unavailable))
                }
            }
        });
    }

    fn report(&mut self, key: Key, report: Report) {
        let Some(held) = self.held.get_mut(&key) else { return };
        if !std::mem::replace(&mut held.told, true) {
            let seconds = report.finished_at.duration_since(report.started_at).as_secs_f64();
            self.metrics.ended(&report.outcome, held.class, seconds);
            let class = held.class.as_str();
            match &report.outcome {
                Outcome::Succeeded(_) => {
                    self.beat.succeeded += 1;
                    tracing::debug!(task = %held.id, class, seconds, "task succeeded");
                }
                Outcome::HandedOver(hand_over) => {
                    self.beat.succeeded += 1;
                    tracing::debug!(task = %held.id, class, seconds, to = %hand_over.to, "task handed over");
                }
                Outcome::Failed(reason, message) => {
                    self.beat.failed += 1;
                    tracing::warn!(task = %held.id, class, seconds, ?reason, message, "task failed");
                }
                Outcome::Unknown(message) => {
                    self.beat.failed += 1;
                    tracing::warn!(task = %held.id, class, seconds, message, "outcome of the task is unknown");
                }
            }
        }
        let dead = matches!(report.outcome, Outcome::Failed(FailureReason::DeadLettered, _)).then(|| held.body.clone());
        let (queues, agent) = (self.queues.clone(), self.options.agent.clone());
        let (id, stored) = (held.id.clone(), held.output.clone());
        self.spawn(async move {
            let result = async {
                if let Some(body) = dead {
                    queues.bus().publish_new(queues.dead_letter(&id).to_string(), body).await?;
                }
                build_result(&queues, &id, agent, report, stored).await
            };
            match result.await {
                Ok((output, message)) => Done::Result(key, output, message),
                Err(error) => {
                    tracing::warn!(task = %id, %error, "cannot write a result, trying again");
                    Done::Written(vec![(key, false)])
                }
            }
        });
    }

    /// Writes the results that are ready: many as one batch, few each for itself.
    pub(super) fn write_results(&mut self) {
        let ready = std::mem::take(&mut self.results);
        if ready.len() >= MIN_BATCH {
            self.spawn(write_batch(self.queues.bus().clone(), ready));
        } else {
            for result in ready {
                self.spawn(write_batch(self.queues.bus().clone(), vec![result]));
            }
        }
    }
}

async fn write_batch(bus: Bus, results: Vec<(Key, Message)>) -> Done {
    let (keys, messages): (Vec<Key>, Vec<Message>) = results.into_iter().unzip();
    #[cfg(not(feature = "fault-no-deduplication"))]
    let stored = bus.publish_batch(&messages).await;
    #[cfg(feature = "fault-no-deduplication")]
    let stored = super::fault::write_results(&bus, &messages).await;
    let written = match stored {
        Ok(written) => {
            for (message, written) in messages.iter().zip(written) {
                if written == Written::Exists {
                    tracing::info!(subject = message.subject, "the attempt has its result already");
                }
            }
            true
        }
        Err(error) => {
            tracing::warn!(%error, "cannot write results, trying again");
            false
        }
    };
    Done::Written(keys.into_iter().map(|key| (key, written)).collect())
}

/// Why a result could not be prepared.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Write(#[from] write::Error),
    #[error(transparent)]
    Blob(#[from] blob::Error),
    #[error("the result is no JSON")]
    Json(#[from] serde_json::Error),
}

/// A value of a result as it travels.
async fn store_value(queues: &Queues, id: &TaskId, value: &[u8], stored: Option<Payload>) -> Result<Payload, Error> {
    Ok(match stored {
        Some(stored @ Payload::Blob(_)) => stored,
        _ if value.len() <= MAX_INLINE => Payload::Inline(serde_json::from_slice(value)?),
        _ => queues.bus().store_payload(&format!("{id}/out"), serde_json::from_slice(value)?).await?,
    })
}

/// Where a value is stored, to be kept until its result is written; one that is not stored need not be kept.
fn place_of(value: &Payload) -> Payload {
    match value {
        Payload::Blob(_) => value.clone(),
        Payload::Inline(_) => Payload::Inline(Value::Null),
    }
}

/// The message that carries a result; a large output is stored first, unless it is already.
async fn build_result(
    queues: &Queues,
    id: &TaskId,
    agent: String,
    report: Report,
    stored: Option<Payload>,
) -> Result<(Payload, Message), Error> {
    let mut kept = Payload::Inline(Value::Null);
    let outcome = match report.outcome {
        Outcome::Succeeded(output) => {
            let output = store_value(queues, id, &output, stored).await?;
            kept = place_of(&output);
            ResultOutcome::Succeeded { output }
        }
        Outcome::HandedOver(HandOver { to, input, reason }) => {
            let input = match input {
                Some(input) => Some(store_value(queues, id, &input, stored).await?),
                None => None,
            };
            kept = input.as_ref().map_or(kept, place_of);
            ResultOutcome::HandedOver { to, input, reason }
        }
        Outcome::Failed(reason, message) => ResultOutcome::Failed { reason, message },
        Outcome::Unknown(message) => ResultOutcome::Unknown { message },
    };
    let envelope = ResultEnvelope {
        version: VERSION,
        agent,
        deliveries: report.deliveries,
        started_at: report.started_at,
        finished_at: report.finished_at,
        outcome,
    };
    Ok((kept, Message::new(queues.result(id).to_string(), serde_json::to_vec(&envelope)?)))
}
