//! Words: which are akin, and those that tell order, agreement, or a change of the world.

/// Longest end that a word can have more than the one it is made of.
const ENDS: [&str; 12] = ["s", "es", "ed", "d", "er", "r", "ing", "ion", "ment", "al", "or", "ings"];

/// Shortest common beginning of words that are akin and end differently.
const BEGINNING: usize = 5;

/// Verbs that say that something is undone, as they begin or end the name of a capability.
pub(super) const UNDOING: [&str; 7] = ["cancel", "undo", "revert", "refund", "withdraw", "rollback", "release"];

/// Beginnings of verbs after which the world outside is different.
const IRREVERSIBLE: [&str; 16] = [
    "book",
    "pay",
    "charge",
    "reserve",
    "deploy",
    "publish",
    "send",
    "delete",
    "transfer",
    "order",
    "buy",
    "refund",
    "release",
    "rollout",
    "provision",
    "notify",
];

/// Verbs with which an instruction begins. What follows an "and" is an instruction of its own only when it begins with one, or with a
/// word that is akin to a capability.
const VERBS: [&str; 64] = [
    "add",
    "analyse",
    "analyze",
    "approve",
    "ask",
    "assess",
    "audit",
    "book",
    "build",
    "calculate",
    "cancel",
    "charge",
    "check",
    "choose",
    "classify",
    "collect",
    "compare",
    "compute",
    "convert",
    "copy",
    "count",
    "create",
    "decide",
    "delete",
    "deploy",
    "describe",
    "detect",
    "draft",
    "draw",
    "estimate",
    "evaluate",
    "explain",
    "extract",
    "fetch",
    "find",
    "fix",
    "gather",
    "generate",
    "inspect",
    "list",
    "measure",
    "merge",
    "monitor",
    "notify",
    "order",
    "pay",
    "plan",
    "publish",
    "rank",
    "read",
    "report",
    "research",
    "reserve",
    "review",
    "score",
    "search",
    "send",
    "sort",
    "summarise",
    "summarize",
    "test",
    "translate",
    "verify",
    "write",
];

/// Words that stand for what was done before.
const BACK: [&str; 14] = [
    "it", "its", "them", "their", "this", "these", "those", "both", "result", "results", "outcome", "outcomes",
    "answers", "findings",
];

/// The words of a text in lower case.
pub(super) fn of(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

/// Whether two words in lower case are forms of one, or made of one: `licences` and `licence`, `classify` and `classification`.
pub(super) fn are_akin(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    if short == long {
        return true;
    }
    if short.len() >= 3 && long.strip_prefix(short).is_some_and(|end| ENDS.contains(&end)) {
        return true;
    }
    let common = short.chars().zip(long.chars()).take_while(|(a, b)| a == b).count();
    // Of what is left of the shorter word, no more than a quarter of it may differ.
    common >= BEGINNING && common * 4 >= short.chars().count() * 3
}

pub(super) fn is_verb(word: &str) -> bool {
    VERBS.contains(&word)
}

pub(super) fn is_irreversible(word: &str) -> bool {
    IRREVERSIBLE.iter().any(|verb| are_akin(verb, word))
}

pub(super) fn is_reference(word: &str) -> bool {
    BACK.contains(&word)
}

/// A small number in words or digits.
pub(super) fn number(word: &str) -> Option<u32> {
    const NAMES: [&str; 8] = ["two", "three", "four", "five", "six", "seven", "eight", "nine"];
    let by_name = NAMES.iter().position(|name| *name == word).and_then(|at| u32::try_from(at + 2).ok());
    by_name.or_else(|| word.parse().ok()).filter(|number| (2..=100).contains(number))
}
