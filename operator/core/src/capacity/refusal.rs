//! Why a claim was refused: the level, the numbers, and what to do.

use std::fmt;

use super::{Key, Resource};
use crate::policy::Level;

/// A refused claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(Box<Shortage>);

/// Why a claim was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shortage {
    /// A level has not enough left.
    NoRoom {
        /// The object that needs more.
        object: Key,
        /// The level that has not enough.
        level: Key,
        /// Of what.
        resource: Resource,
        /// How much more is needed at that level, in the base unit.
        wanted: u64,
        /// How much is left there.
        free: u64,
        /// What the level has in all.
        bound: u64,
        /// How much of what is booked there belongs to changes that are not stored yet and may never be.
        unsettled: u64,
    },
    /// A quota would be smaller than what is booked under it.
    BelowBooked {
        /// The object whose quota it is.
        object: Key,
        /// Of what.
        resource: Resource,
        /// The refused quota.
        bound: u64,
        /// What is booked.
        booked: u64,
        /// The children that have most of it, the largest first.
        largest: Vec<(Key, u64)>,
        /// As in [`Shortage::NoRoom`].
        unsettled: u64,
    },
    /// Too many changes of one object are on their way.
    TooManyClaims {
        /// The object.
        object: Key,
        /// How many.
        claims: usize,
    },
}

impl From<Shortage> for Refusal {
    fn from(shortage: Shortage) -> Self {
        Self(Box::new(shortage))
    }
}

impl Refusal {
    /// Why, with all numbers.
    pub fn shortage(&self) -> &Shortage {
        &self.0
    }

    /// The object whose write was refused.
    pub fn object(&self) -> &Key {
        match self.shortage() {
            Shortage::NoRoom { object, .. }
            | Shortage::BelowBooked { object, .. }
            | Shortage::TooManyClaims { object, .. } => object,
        }
    }

    /// The level that refused.
    pub fn level(&self) -> &Key {
        match self.shortage() {
            Shortage::NoRoom { level, .. } => level,
            Shortage::BelowBooked { object, .. } | Shortage::TooManyClaims { object, .. } => object,
        }
    }

    /// Of what there is not enough.
    pub fn resource(&self) -> Option<Resource> {
        match self.shortage() {
            Shortage::NoRoom { resource, .. } | Shortage::BelowBooked { resource, .. } => Some(*resource),
            Shortage::TooManyClaims { .. } => None,
        }
    }

    /// Whether changes that are not stored yet may make room soon.
    pub fn may_pass_soon(&self) -> bool {
        match self.shortage() {
            Shortage::NoRoom { unsettled, .. } | Shortage::BelowBooked { unsettled, .. } => *unsettled > 0,
            Shortage::TooManyClaims { .. } => true,
        }
    }
}

/// The field that holds the quota of a resource.
fn field(level: Level, resource: Resource) -> String {
    let quota = if level == Level::Orchestrator { "capacity" } else { "quota" };
    format!("spec.{quota}.{resource}")
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shortage() {
            Shortage::NoRoom { object, level, resource, wanted, free, bound, unsettled } => {
                let (wanted, noun, free) = (resource.quantity(*wanted), resource.noun(), resource.quantity(*free));
                let (bound, field) = (resource.quantity(*bound), field(level.level, *resource));
                write!(f, "{object} needs {wanted} more {noun}, but {level} has {free} of {bound} left: ")?;
                write!(f, "ask for no more than that, or ask its admins to raise {field}")?;
                note_unsettled(f, *resource, *unsettled)
            }
            Shortage::BelowBooked { object, resource, bound, booked, largest, unsettled } => {
                let (bound, noun, booked) = (resource.quantity(*bound), resource.noun(), resource.quantity(*booked));
                let field = field(object.level, *resource);
                write!(f, "{field} of {object} would be {bound}, but {booked} {noun} are booked under it")?;
                for (index, (child, amount)) in largest.iter().enumerate() {
                    let before = if index == 0 { " (most by " } else { ", " };
                    write!(f, "{before}{child}: {}", resource.quantity(*amount))?;
                }
                if !largest.is_empty() {
                    f.write_str(")")?;
                }
                write!(f, ": write {booked} or more, or make them smaller first")?;
                note_unsettled(f, *resource, *unsettled)
            }
            Shortage::TooManyClaims { object, claims } => {
                write!(f, "{claims} changes of {object} are being stored: try again in a minute")
            }
        }
    }
}

fn note_unsettled(f: &mut fmt::Formatter<'_>, resource: Resource, unsettled: u64) -> fmt::Result {
    if unsettled == 0 {
        return Ok(());
    }
    let amount = resource.quantity(unsettled);
    write!(f, "; {amount} are held by changes that are being stored right now: trying again in a minute may help")
}
