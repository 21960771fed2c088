//! Normalisation of licence texts to words, after the SPDX matching guidelines.
//!
//! Case, white space, punctuation, quotes, comment marks, bullets and copyright lines do not count; variant spellings are one word.
//! What follows "END OF TERMS AND CONDITIONS" is a how-to and does not count either.

/// Ends the binding part of the Apache and GNU licences.
const END: [&str; 5] = ["end", "of", "terms", "and", "conditions"];

/// The words of a text that count.
pub fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> =
        text.lines().map(unmark).filter(|line| !is_copyright_line(line)).flat_map(split).collect();
    cut_appendix(&mut words);
    words
}

/// The words of one line or name, without any rule that needs the line as a whole.
pub fn split(line: &str) -> impl Iterator<Item = String> {
    line.replace("(c)", " ")
        .replace("(C)", " ")
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| unify(word.to_lowercase()))
        .collect::<Vec<_>>()
        .into_iter()
}

/// Removes comment marks, quotation marks and the bullet or number of a list item from the start of a line.
fn unmark(line: &str) -> &str {
    let line = line.trim_start_matches(|c: char| c.is_whitespace() || "*/#;>|-•·".contains(c));
    let label = line.split_whitespace().next().unwrap_or_default();
    let inner = label.trim_matches(|c: char| "().:".contains(c));
    let is_label = label.len() > inner.len()
        && (1..=3).contains(&inner.len())
        && (inner.chars().all(|c| c.is_ascii_digit())
            || inner.len() == 1 && inner.chars().all(|c| c.is_ascii_alphabetic()) && label != "(c)" && label != "(C)"
            || inner.chars().all(|c| "ivx".contains(c)));
    if is_label { line.get(label.len()..).unwrap_or_default().trim_start() } else { line }
}

/// Whether a line only says whose copyright it is: "Copyright (c) 2020 …", "© 2020 …", "All rights reserved."
fn is_copyright_line(line: &str) -> bool {
    let lower = line.to_lowercase();
    if lower.trim_end_matches(['.', ' ']) == "all rights reserved" {
        return true;
    }
    let mut tokens = line.split_whitespace();
    let (first, second) = (tokens.next().unwrap_or_default(), tokens.next().unwrap_or_default());
    let lead = first.trim_end_matches([':', ',']);
    match lead {
        "©" => true,
        "(c)" | "(C)" => second.starts_with(|c: char| c.is_ascii_digit()),
        _ if lead.eq_ignore_ascii_case("copyright") || lead == "Copyrights" => {
            let role = second.trim_end_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
            let names_owner = second.starts_with(char::is_uppercase) && lead == "Copyright";
            second.starts_with(|c: char| c.is_ascii_digit() || "(©<[{".contains(c))
                || names_owner && !["holder", "holders", "owner", "owners", "notice", "law"].contains(&role.as_str())
        }
        _ => false,
    }
}

/// The spellings that the guidelines call equal.
fn unify(word: String) -> String {
    let equal = match word.as_str() {
        "licence" => "license",
        "licences" => "licenses",
        "licenced" => "licensed",
        "sublicence" => "sublicense",
        "acknowledgement" => "acknowledgment",
        "favour" => "favor",
        "https" => "http",
        "organisation" => "organization",
        "merchantibility" => "merchantability",
        _ => return word,
    };
    equal.to_owned()
}

/// Drops the how-to after the end of the terms, but not further licences: at most the usual length of the how-to is dropped.
fn cut_appendix(words: &mut Vec<String>) {
    let Some(at) = words.windows(END.len()).position(|window| window == END) else { return };
    let rest = &words[at + END.len()..];
    let how_to = rest.iter().take(4).any(|word| word == "appendix" || word == "how");
    if how_to && let Some(end) = end_of_how_to(rest) {
        words.drain(at..at + END.len() + end);
    } else {
        words.drain(at..at + END.len());
    }
}

/// The how-to ends with "… limitations under the license", or with the text when it is short and says otherwise.
fn end_of_how_to(rest: &[String]) -> Option<usize> {
    let last = ["limitations", "under", "the", "license"];
    rest.windows(last.len())
        .position(|window| window == last)
        .map(|at| at + last.len())
        .or_else(|| (rest.len() < 400).then_some(rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(text: &str) -> String {
        words(text).join(" ")
    }

    #[rstest::rstest]
    #[case::case_and_space("Permission  IS\n  hereby", "permission is hereby")]
    #[case::punctuation("the \"Software\"), to ‘deal’", "the software to deal")]
    #[case::comment_marks("// Permission\n# is\n * hereby", "permission is hereby")]
    #[case::bullets("1. Redistributions\n(b) must\n iv) keep", "redistributions must keep")]
    #[case::copyright(
        "Copyright (c) 2019 Some Body\n© 2020 X\n(C) 2021 Y\nCopyright The Authors\nAll rights reserved.\nkeep",
        "keep"
    )]
    #[case::template("Copyright <year> <owner>\nCopyright [yyyy] [name]\nkeep", "keep")]
    #[case::wrapped("EVENT SHALL THE\nCOPYRIGHT HOLDERS BE LIABLE", "event shall the copyright holders be liable")]
    #[case::notice("Copyright Notice must stay", "copyright notice must stay")]
    #[case::spelling("this Licence at https://x", "this license at http x")]
    fn normalises(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(joined(text), expected);
    }

    #[test]
    fn the_apache_how_to_does_not_count() {
        let text = "liability.\nEND OF TERMS AND CONDITIONS\nAPPENDIX: How to apply\nCopyright [yyyy]\nlimitations under the License.\nMore";
        assert_eq!(joined(text), "liability more");
    }
}
