//! The leader's part: makes authorities and certificates, publishes them, and replaces them in time.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, api::PostParams};
use tetrarch_plan::rotation::{Lifetimes, Step, next_step};

use super::{
    SECRET,
    registration::{self, Registration},
    stored::Stored,
};
use crate::{clock::Clock, trust::certificate};

/// Steps at one look; more would be a circle.
const MOST_STEPS: usize = 8;

/// Pause while something is missing.
const RETRY: Duration = Duration::from_millis(500);

/// Longest pause between two looks: a bundle that somebody removes is back after it.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Shortest pause between two looks.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// Looks within one life of a certificate.
const LOOKS: u32 = 60;

/// Why the certificate is not in order.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Secret cannot be read or written.
    #[error("Secret {SECRET}: {0}")]
    Secret(#[from] kube::Error),
    /// API servers cannot be told.
    #[error(transparent)]
    Registration(#[from] registration::Error),
    /// A certificate could not be made.
    #[error(transparent)]
    Certificate(#[from] certificate::Error),
}

/// How a look ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// All is as it should be.
    InOrder,
    /// API servers cannot be told yet, because a webhook configuration does not exist.
    Unregistered,
    /// Somebody else wrote the Secret at the same time.
    Conflict,
}

/// Keeps the certificate of the webhook in order. Only the leader may run it.
pub struct Rotation {
    secrets: Api<Secret>,
    /// None where nobody registers the webhook.
    registration: Option<Registration>,
    namespace: String,
    lifetimes: Lifetimes,
    clock: Clock,
}

impl Rotation {
    /// Keeps the Secret in this namespace; with `registered`, tells API servers by both webhook configurations.
    pub fn new(client: Client, namespace: &str, lifetimes: Lifetimes, registered: bool, clock: Clock) -> Self {
        Self {
            secrets: Api::namespaced(client.clone(), namespace),
            registration: registered.then(|| Registration::new(client)),
            namespace: namespace.to_owned(),
            lifetimes,
            clock,
        }
    }

    /// Looks again and again; never ends.
    pub async fn keep(&self) {
        let usual = (self.lifetimes.certificate / LOOKS).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        let mut told = false;
        loop {
            let pause = match self.look().await {
                Ok(Found::InOrder) => usual,
                Ok(Found::Conflict) => RETRY,
                Ok(Found::Unregistered) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::info!("waiting for the webhook configurations of the chart");
                    }
                    RETRY
                }
                Err(error) => {
                    tracing::warn!(%error, "the webhook's certificate is not in order, will be tried again");
                    RETRY
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Does all that is to be done now.
    pub async fn look(&self) -> Result<Found, Error> {
        let mut stored = self.read().await?;
        for _ in 0..MOST_STEPS {
            let now = self.clock.now();
            let published = self.publish(&stored).await?;
            let Some(step) = next_step(&stored.state(), now, &self.lifetimes, published) else {
                return Ok(if published { Found::InOrder } else { Found::Unregistered });
            };
            if stored.version.is_none() {
                self.adopt(&mut stored, now).await?;
            }
            let Some(written) = self.write(&stored.after(step, &self.namespace, now, rand::random())?).await? else {
                return Ok(Found::Conflict);
            };
            tell(&step);
            stored = written;
        }
        Ok(Found::InOrder)
    }

    async fn publish(&self, stored: &Stored) -> Result<bool, Error> {
        let bundle = stored.bundle();
        match &self.registration {
            // What is trusted now stays until there is something else to trust.
            Some(registration) if !bundle.is_empty() => Ok(registration.publish(&bundle).await?),
            Some(_) => Ok(false),
            None => Ok(true),
        }
    }

    /// A Secret that was lost must not end trust in the certificate that is still served.
    async fn adopt(&self, stored: &mut Stored, now: Timestamp) -> Result<(), Error> {
        if let Some(registration) = &self.registration {
            let life = SignedDuration::try_from(self.lifetimes.certificate).unwrap_or(SignedDuration::MAX);
            stored.adopt(&registration.bundle().await?, now.checked_add(life).unwrap_or(Timestamp::MAX));
        }
        Ok(())
    }

    async fn read(&self) -> Result<Stored, Error> {
        Ok(self.secrets.get_opt(SECRET).await?.map(|secret| Stored::of(&secret)).unwrap_or_default())
    }

    /// Writes against the version that was read; none if there is another one.
    async fn write(&self, stored: &Stored) -> Result<Option<Stored>, Error> {
        let (parameters, secret) = (PostParams::default(), stored.to_secret());
        let written = match stored.version {
            Some(_) => self.secrets.replace(SECRET, &parameters, &secret).await,
            None => self.secrets.create(&parameters, &secret).await,
        };
        match written {
            Ok(secret) => Ok(Some(Stored::of(&secret))),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn tell(step: &Step) {
    match step {
        Step::MakeAuthority(validity) => tracing::info!(until = %validity.until, "made a new authority of the webhook"),
        Step::NotePublished => tracing::info!("the new authority of the webhook is trusted from now on"),
        Step::Promote { certificate: validity, .. } => {
            tracing::info!(until = %validity.until, "the new authority signed the webhook's certificate");
        }
        Step::Sign(validity) => tracing::info!(until = %validity.until, "renewed the webhook's certificate"),
        Step::DropRetired => tracing::info!("the former authority of the webhook is no longer trusted"),
    }
}
