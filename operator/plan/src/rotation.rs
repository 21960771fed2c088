//! In which order the webhook's authority and certificate are replaced, so that every client trusts at each moment what is served.
//!
//! A new authority is made, then trusted by everybody, then signs; the one before it stays trusted until the last certificate
//! that it signed has ended. Every step is written down before the next one is decided, so a leader that is replaced in the
//! middle loses nothing.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The longest time in which everybody learns of a new authority after it was published.
const LONGEST_SETTLING: Duration = Duration::from_secs(30);

/// A part of a certificate's life that may pass while an authority becomes known: a twelfth.
const SETTLING_PARTS: u32 = 12;

/// How long certificates are valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Of the certificate that is served.
    pub certificate: Duration,
    /// Of the authority that signs it.
    pub authority: Duration,
}

/// Why lifetimes cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A certificate ends before it can be replaced.
    #[error("the webhook certificate's lifetime is {0:?}: write at least 1s")]
    Short(Duration),
    /// An authority ends before a certificate that it signs.
    #[error(
        "the webhook authority's lifetime is {authority:?}: write at least three times the certificate's lifetime of {certificate:?}"
    )]
    Authority {
        /// Of the authority.
        authority: Duration,
        /// Of the certificate.
        certificate: Duration,
    },
    /// No date can be that far away.
    #[error("the webhook authority's lifetime is {0:?}: write at most 876000h")]
    Long(Duration),
}

impl Lifetimes {
    /// A hundred years.
    const LONGEST: Duration = Duration::from_hours(876_000);

    /// Lifetimes with which a certificate is always replaced before it ends, and an authority before what it signed.
    pub fn new(certificate: Duration, authority: Duration) -> Result<Self, Error> {
        if certificate < Duration::from_secs(1) {
            return Err(Error::Short(certificate));
        }
        if authority > Self::LONGEST {
            return Err(Error::Long(authority));
        }
        if certificate.checked_mul(3).is_none_or(|least| authority < least) {
            return Err(Error::Authority { authority, certificate });
        }
        Ok(Self { certificate, authority })
    }

    /// How long an authority must have been published before it may sign.
    pub fn settling(&self) -> Duration {
        (self.certificate / SETTLING_PARTS).min(LONGEST_SETTLING)
    }
}

/// From when to when something is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// When it was made.
    pub from: Timestamp,
    /// When it ends.
    pub until: Timestamp,
}

impl Validity {
    /// Valid from now on, but not longer than `bound`.
    pub fn starting(now: Timestamp, lifetime: Duration, bound: Option<Timestamp>) -> Self {
        let until = later(now, lifetime);
        Self { from: now, until: bound.map_or(until, |bound| until.min(bound)) }
    }

    fn has_ended(&self, now: Timestamp) -> bool {
        now >= self.until
    }

    /// When it is to be replaced: after two thirds of its life, or of the life that is wanted now if that is shorter.
    fn due(&self, lifetime: Duration) -> Timestamp {
        let life = Duration::try_from(self.until.duration_since(self.from)).unwrap_or_default().min(lifetime);
        later(self.from, life * 2 / 3)
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// An authority that does not sign yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// Its life.
    pub validity: Validity,
    /// Since when everybody who asks is told to trust it.
    pub published: Option<Timestamp>,
}

/// What there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The authority that signs.
    pub current: Option<Validity>,
    /// The authority that will sign next.
    pub next: Option<Next>,
    /// Until when authorities that no longer sign are still trusted, if there are any.
    pub retired_until: Option<Timestamp>,
    /// The certificate that is served.
    pub certificate: Option<Validity>,
    /// Whether the current authority signed it.
    pub signed_by_current: bool,
}

/// One change of what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make the authority that signs next, and tell everybody to trust it.
    MakeAuthority(Validity),
    /// Write down that the next authority is trusted from now on.
    NotePublished,
    /// Let the next authority sign, keep the current one trusted until then, and sign a certificate.
    Promote {
        /// Until when all that signed before stay trusted; none if nothing did.
        retired_until: Option<Timestamp>,
        /// Life of the new certificate.
        certificate: Validity,
    },
    /// Sign a certificate with the current authority.
    Sign(Validity),
    /// No longer trust authorities that do not sign.
    DropRetired,
}

/// What to do now, if anything. `published` says whether everybody is told to trust all that is to be trusted.
pub fn next_step(state: &State, now: Timestamp, lifetimes: &Lifetimes, published: bool) -> Option<Step> {
    let alive = |validity: Validity| Some(validity).filter(|validity| !validity.has_ended(now));
    let current = state.current.and_then(alive);
    let next = state.next.filter(|next| !next.validity.has_ended(now));
    let certificate = state.certificate.and_then(alive);
    let sign = |authority: Validity| Validity::starting(now, lifetimes.certificate, Some(authority.until));

    match next {
        None if current.is_none_or(|authority| now >= authority.due(lifetimes.authority)) => {
            return Some(Step::MakeAuthority(Validity::starting(now, lifetimes.authority, None)));
        }
        Some(Next { published: None, .. }) if published => return Some(Step::NotePublished),
        Some(Next { validity, published: Some(since) })
            // Nobody waits for an authority that nothing is signed by.
            if certificate.is_none() || now >= later(since, lifetimes.settling()) =>
        {
            let ends = certificate.map(|certificate| certificate.until);
            return Some(Step::Promote { retired_until: state.retired_until.max(ends), certificate: sign(validity) });
        }
        _ => {}
    }
    if let Some(authority) = current {
        let good = certificate
            .is_some_and(|certificate| state.signed_by_current && now < certificate.due(lifetimes.certificate));
        if !good {
            return Some(Step::Sign(sign(authority)));
        }
    }
    state.retired_until.filter(|until| now >= *until).map(|_| Step::DropRetired)
}

#[cfg(test)]
mod tests;
