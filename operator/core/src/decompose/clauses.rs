//! Splits a goal into clauses, each one instruction, and says how each joins those before it.

use super::words;
use crate::id::Name;

/// How a clause joins those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    /// After them.
    Then,
    /// At the same time as the one before.
    Beside,
}

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clause {
    pub(super) join: Join,
    pub(super) text: String,
    pub(super) words: Vec<String>,
    /// The capability that it names in brackets.
    pub(super) named: Option<String>,
}

/// What stands between two instructions of one sentence, longest first.
const BETWEEN: [(&str, Join); 12] = [
    (" at the same time ", Join::Beside),
    (" and after that ", Join::Then),
    (" followed by ", Join::Then),
    (" and finally ", Join::Then),
    (" after that ", Join::Then),
    (" in parallel ", Join::Beside),
    (" afterwards ", Join::Then),
    (" meanwhile ", Join::Beside),
    (" and then ", Join::Then),
    (" finally ", Join::Then),
    (" then ", Join::Then),
    ("; ", Join::Then),
];

/// What a sentence or a point can begin with.
const BEFORE: [(&str, Join); 10] = [
    ("at the same time", Join::Beside),
    ("in parallel", Join::Beside),
    ("after that", Join::Then),
    ("afterwards", Join::Then),
    ("meanwhile", Join::Beside),
    ("and then", Join::Then),
    ("finally", Join::Then),
    ("first", Join::Then),
    ("then", Join::Then),
    ("next", Join::Then),
];

/// The clauses of a text in its order. Points of a list stand beside each other, points of a numbered list and sentences follow each other.
pub(super) fn split(text: &str, capabilities: &[Name]) -> Vec<Clause> {
    let mut clauses = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (line, join) = point(line);
        for (number, sentence) in sentences(line).into_iter().enumerate() {
            let join = if number == 0 { join } else { Join::Then };
            split_sentence(sentence, join, capabilities, &mut clauses);
        }
    }
    clauses
}

/// The text of a line without the mark of its list.
fn point(line: &str) -> (&str, Join) {
    for mark in ["- ", "* ", "• "] {
        if let Some(rest) = line.strip_prefix(mark) {
            return (rest.trim(), Join::Beside);
        }
    }
    let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let rest = line[digits..].strip_prefix(['.', ')']).filter(|rest| digits > 0 && rest.starts_with(' '));
    (rest.map_or(line, str::trim), Join::Then)
}

fn sentences(line: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    let mut start = 0;
    for (at, found) in line.char_indices() {
        let end = at + found.len_utf8();
        let is_end = matches!(found, '.' | '!' | '?') && (end == line.len() || line[end..].starts_with(' '));
        if is_end {
            sentences.push(&line[start..at]);
            start = end;
        }
    }
    sentences.push(&line[start..]);
    sentences.retain(|sentence| sentence.chars().any(char::is_alphanumeric));
    sentences
}

fn split_sentence(sentence: &str, join: Join, capabilities: &[Name], clauses: &mut Vec<Clause>) {
    let sentence = sentence.trim().trim_matches([',', ':']).trim();
    let (sentence, join) = beginning(sentence, join);
    let lower = sentence.to_ascii_lowercase();
    let marked = BETWEEN.iter().filter_map(|(mark, join)| lower.find(mark).map(|at| (at, mark.len(), *join)));
    if let Some((at, length, after)) = marked.min_by_key(|(at, length, _)| (*at, usize::MAX - length)) {
        split_sentence(&sentence[..at], join, capabilities, clauses);
        return split_sentence(&sentence[at + length..], after, capabilities, clauses);
    }
    let mut from = 0;
    while let Some((at, length)) = next_joint(&lower, from) {
        let (left, right) = (&sentence[..at], &sentence[at + length..]);
        if begins_an_instruction(right, capabilities) {
            split_sentence(left, join, capabilities, clauses);
            return split_sentence(right, Join::Beside, capabilities, clauses);
        }
        from = at + length;
    }
    if sentence.chars().any(char::is_alphanumeric) {
        clauses.push(clause(sentence, join));
    }
}

/// The next place where two instructions of one sentence may meet.
fn next_joint(lower: &str, from: usize) -> Option<(usize, usize)> {
    let joints = [", and ", " and ", ", "];
    let found = joints.iter().filter_map(|joint| lower[from..].find(joint).map(|at| (from + at, joint.len())));
    found.min_by_key(|(at, length)| (*at, usize::MAX - length))
}

fn begins_an_instruction(text: &str, capabilities: &[Name]) -> bool {
    let Some(first) = words::of(text).into_iter().next() else { return false };
    let is_part = |capability: &Name| capability.as_str().split('-').any(|part| words::are_akin(part, &first));
    words::is_verb(&first) || text.trim_start().starts_with('[') || capabilities.iter().any(is_part)
}

/// The text without the word that only says how it joins what is before.
fn beginning(sentence: &str, join: Join) -> (&str, Join) {
    let lower = sentence.to_ascii_lowercase();
    for (mark, told) in BEFORE {
        if let Some(rest) = lower.strip_prefix(mark)
            && rest.starts_with([' ', ','])
        {
            return (sentence[mark.len()..].trim_start_matches([' ', ',']), told);
        }
    }
    (sentence, join)
}

fn clause(text: &str, join: Join) -> Clause {
    let text = text.trim().trim_end_matches([',', ';', ':']).trim();
    let bracket = text.find('[').and_then(|start| {
        let end = start + text[start..].find(']')?;
        Some((start, end))
    });
    let (named, text) = match bracket {
        Some((start, end)) => {
            let without = format!("{} {}", text[..start].trim(), text[end + 1..].trim());
            (Some(text[start + 1..end].trim().to_lowercase()), without.trim().to_owned())
        }
        None => (None, text.to_owned()),
    };
    Clause { join, words: words::of(&text), text, named }
}

impl Clause {
    fn has(&self, word: &str) -> bool {
        self.words.iter().any(|own| own == word)
    }

    fn has_in_order(&self, words: &[&str]) -> bool {
        self.words.windows(words.len()).any(|window| window.iter().zip(words).all(|(own, word)| own == word))
    }

    /// Whether it speaks of what was done before.
    pub(super) fn refers_back(&self) -> bool {
        self.words.iter().any(|word| words::is_reference(word))
    }

    /// Whether it is to be done item by item.
    pub(super) fn is_for_each(&self) -> bool {
        self.has("each") || self.has("every") || self.has_in_order(&["for", "all"])
    }

    /// How many agents are to agree on it, if several are; `usual` when it says not how many.
    pub(super) fn votes(&self, usual: u32) -> Option<u32> {
        let wants_agreement =
            ["independently", "consensus", "vote", "majority", "quorum"].iter().any(|word| self.has(word))
                || self.has_in_order(&["second", "opinion"]);
        wants_agreement.then(|| self.words.iter().find_map(|word| words::number(word)).unwrap_or(usual))
    }

    /// Whether the world outside is different after it.
    pub(super) fn is_irreversible(&self) -> bool {
        // The verb leads; further on the same word is mostly a noun: "summarize the order".
        self.words.iter().take(2).any(|word| words::is_irreversible(word))
    }

    /// What it depends on, as far as a plan cannot say it.
    pub(super) fn condition(&self) -> Option<String> {
        let at = self.words.iter().position(|word| matches!(word.as_str(), "if" | "unless" | "when" | "otherwise"))?;
        Some(self.words[at..].join(" "))
    }
}
