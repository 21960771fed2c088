//! Patterns of `matches()`: linear in the text, bounded in size, paid by size.

use super::{Error, value::Meter};

/// Largest compiled size in bytes, with the cost of a byte of text relative to that of the smallest patterns. A match takes at
/// most time in proportion to the product of both.
const SIZES: [(usize, usize); 3] = [(8 * 1024, 1), (32 * 1024, 4), (256 * 1024, 32)];

/// A compiled regular expression.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    compiled: regex::Regex,
    weight: usize,
}

impl Pattern {
    pub(super) fn compile(text: &str) -> Result<Self, Error> {
        let build = |(size, weight): (usize, usize)| {
            let compiled = regex::RegexBuilder::new(text).size_limit(size).dfa_size_limit(256 * 1024).build();
            compiled.ok().map(|compiled| Self { compiled, weight })
        };
        SIZES
            .into_iter()
            .find_map(build)
            .ok_or_else(|| Error::Evaluation("matches() got an invalid or too large pattern".to_owned()))
    }

    pub(super) fn is_match(&self, text: &str, meter: &Meter) -> Result<bool, Error> {
        meter.spend_bytes(text.len().saturating_mul(self.weight))?;
        Ok(self.compiled.is_match(text))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.compiled.as_str() == other.compiled.as_str()
    }
}
