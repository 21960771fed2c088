//! Looks at the text of an expression before the parser does: its limits, its strings, the end of `${…}`.

use super::{Error, MAX_LENGTH, MAX_NESTING, MAX_OPERATORS};

/// How much stack the parser needs for a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nesting {
    /// A small part of any thread's stack.
    Shallow,
    /// Up to a few megabytes.
    Deep,
}

/// Refuses texts on which a recursive parser could use up any stack.
pub(super) fn check_limits(source: &str) -> Result<Nesting, Error> {
    if source.len() > MAX_LENGTH {
        return Err(Error::Length(source.len()));
    }
    let bytes = source.as_bytes();
    let (mut depth, mut deepest, mut conditions, mut operators, mut at) = (0_usize, 0_usize, 0_usize, 0_usize, 0_usize);
    while at < bytes.len() {
        if let Some(end) = string_end(bytes, at) {
            at = end;
            continue;
        }
        match bytes[at] {
            b'(' | b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
                operators += 1;
            }
            b'?' => {
                conditions += 1;
                operators += 1;
            }
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'.' | b',' | b'+' | b'-' | b'*' | b'/' | b'%' | b'!' | b'<' | b'>' | b'=' | b'&' | b'|' | b':' => {
                operators += 1;
            }
            b'i' if bytes[at..].starts_with(b"in") => operators += 1,
            _ => {}
        }
        if depth > MAX_NESTING || conditions > MAX_NESTING {
            return Err(Error::Complexity { what: "its brackets or conditions are nested too deeply" });
        }
        if operators > MAX_OPERATORS {
            return Err(Error::Complexity { what: "it has too many operators" });
        }
        at += 1;
    }
    Ok(if deepest <= 3 && conditions <= 8 { Nesting::Shallow } else { Nesting::Deep })
}

/// When a string literal starts at `at`, the position behind its end (or the end of the text when it is not closed).
pub(super) fn string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let quote = *bytes.get(at)?;
    if quote != b'"' && quote != b'\'' {
        return None;
    }
    let is_raw = is_raw_prefix(bytes, at);
    let fence: &[u8] = if bytes[at..].starts_with(&[quote; 3]) { &[quote; 3] } else { &[quote; 1] };
    let mut position = at + fence.len();
    while position < bytes.len() {
        if !is_raw && bytes[position] == b'\\' {
            position += 2;
        } else if bytes[position..].starts_with(fence) {
            return Some(position + fence.len());
        } else {
            position += 1;
        }
    }
    Some(bytes.len())
}

/// Whether the quote at `at` follows a prefix of a raw string: `r`, `br`, `rb` that is no end of a longer name.
fn is_raw_prefix(bytes: &[u8], at: usize) -> bool {
    let is_word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    let start = bytes[..at].iter().rposition(|b| !is_word(b)).map_or(0, |before| before + 1);
    matches!(&bytes[start..at].to_ascii_lowercase()[..], b"r" | b"br" | b"rb")
}

/// A part of a text with expressions.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// Text as it is.
    Text(&'a str),
    /// The inside of `${…}`.
    Expression(&'a str),
}

/// Splits a text into its plain parts and its expressions; `$${` stands for the characters `${`.
pub(super) fn split(text: &str) -> Result<Vec<Part<'_>>, Error> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            parts.push(Part::Text(&rest[..at - 1]));
            parts.push(Part::Text("${"));
            rest = &rest[at + 2..];
            continue;
        }
        if at > 0 {
            parts.push(Part::Text(&rest[..at]));
        }
        let inside = &rest[at + 2..];
        let end = expression_end(inside).ok_or(Error::Unclosed)?;
        parts.push(Part::Expression(&inside[..end]));
        rest = &inside[end + 1..];
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    Ok(parts)
}

/// Position of the `}` that closes an expression: the first one outside of strings and inner braces.
fn expression_end(inside: &str) -> Option<usize> {
    let bytes = inside.as_bytes();
    let (mut depth, mut at) = (0_usize, 0_usize);
    while at < bytes.len() {
        if let Some(end) = string_end(bytes, at) {
            at = end;
            continue;
        }
        match bytes[at] {
            b'{' => depth += 1,
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    None
}
