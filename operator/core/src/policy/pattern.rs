//! Patterns of names: exact, or a prefix that ends in one `*`. So intersection and inclusion are exact.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// Nothing is written.
    #[error("a pattern is empty: write a name, or a prefix that ends in *")]
    Empty,
    /// A `*` that is not the last character.
    #[error("{0:?} has a * before its end: write a name, or a prefix with one * as its last character")]
    Star(String),
    /// White space or a control character, which no name holds.
    #[error("{0:?} holds white space or a control character, which no name does: remove it")]
    Character(String),
}

/// One pattern.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Pattern {
    /// This name.
    Exact(String),
    /// All names that start with this; with an empty prefix all names.
    Prefix(String),
}

impl Pattern {
    /// Whether the name matches.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == name,
            Self::Prefix(prefix) => name.starts_with(prefix.as_str()),
        }
    }

    /// Whether every name that matches `other` matches this.
    pub fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Exact(name)) => self.matches(name),
            (Self::Exact(_), Self::Prefix(_)) => false,
            (Self::Prefix(prefix), Self::Prefix(longer)) => longer.starts_with(prefix.as_str()),
        }
    }

    /// The pattern of the names that match both. Two patterns either nest or are disjoint.
    pub fn intersection<'p>(&'p self, other: &'p Self) -> Option<&'p Self> {
        if self.includes(other) {
            Some(other)
        } else if other.includes(self) {
            Some(self)
        } else {
            None
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

impl FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        if text.is_empty() {
            return Err(InvalidPattern::Empty);
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(InvalidPattern::Character(text.to_owned()));
        }
        let prefix = text.strip_suffix('*');
        if prefix.unwrap_or(text).contains('*') {
            return Err(InvalidPattern::Star(text.to_owned()));
        }
        Ok(prefix.map_or_else(|| Self::Exact(text.to_owned()), |prefix| Self::Prefix(prefix.to_owned())))
    }
}

impl TryFrom<String> for Pattern {
    type Error = InvalidPattern;

    fn try_from(text: String) -> Result<Self, InvalidPattern> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.to_string()
    }
}

/// A set of names, written as patterns of which none includes another, so that equal sets are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<Pattern>", into = "Vec<Pattern>")]
pub struct Patterns(BTreeSet<Pattern>);

impl Patterns {
    /// The set of all names.
    pub fn everything() -> Self {
        Self(BTreeSet::from([Pattern::Prefix(String::new())]))
    }

    /// Whether no name matches.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The patterns, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Pattern> {
        self.0.iter()
    }

    /// Whether the name matches one of the patterns.
    pub fn matches(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(name))
    }

    /// The names that match both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let pairs = self.0.iter().flat_map(|a| other.0.iter().filter_map(move |b| a.intersection(b)));
        pairs.cloned().collect()
    }

    /// Whether every name of `other` is one of these. Exact: a prefix is never covered by several longer ones.
    pub fn includes(&self, other: &Self) -> bool {
        self.beyond(other).next().is_none()
    }

    /// The patterns of `other` that match names which match none of these.
    pub fn beyond<'p>(&'p self, other: &'p Self) -> impl Iterator<Item = &'p Pattern> {
        other.0.iter().filter(|theirs| !self.0.iter().any(|ours| ours.includes(theirs)))
    }
}

impl FromIterator<Pattern> for Patterns {
    fn from_iter<I: IntoIterator<Item = Pattern>>(patterns: I) -> Self {
        let all: BTreeSet<Pattern> = patterns.into_iter().collect();
        let needed = |pattern: &&Pattern| !all.iter().any(|other| other != *pattern && other.includes(pattern));
        Self(all.iter().filter(needed).cloned().collect())
    }
}

impl From<Vec<Pattern>> for Patterns {
    fn from(patterns: Vec<Pattern>) -> Self {
        patterns.into_iter().collect()
    }
}

impl From<Patterns> for Vec<Pattern> {
    fn from(patterns: Patterns) -> Self {
        patterns.0.into_iter().collect()
    }
}

impl fmt::Display for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        for (index, pattern) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{pattern}")?;
        }
        Ok(())
    }
}
