//! The words of jq.

/// A part of a text in quotes.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Text.
    Plain(String),
    /// `\(…)`.
    Inside(String),
}

/// A word of an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// An operator or a bracket.
    Symbol(&'static str),
    /// A name, also of a function.
    Word(String),
    /// `$name`.
    Variable(String),
    /// A number as it is written.
    Number(String),
    /// A text in quotes.
    Text(Vec<Piece>),
}

const SYMBOLS: [&str; 24] = [
    "//", "==", "!=", "<=", ">=", "?", "<", ">", "+", "-", "*", "/", "%", "|", ".", ",", ":", ";", "(", ")", "[", "]",
    "{", "}",
];

/// The words, when all of them are known.
pub fn tokens(source: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = source.trim_start();
    while let Some(first) = rest.chars().next() {
        let name_end = |text: &str| text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        if first == '"' {
            let (pieces, behind) = text(&rest[1..])?;
            tokens.push(Token::Text(pieces));
            rest = behind;
        } else if first == '$' {
            let end = name_end(&rest[1..]);
            tokens.push(Token::Variable(rest[1..=end].to_owned()));
            rest = &rest[end + 1..];
        } else if first.is_ascii_digit() {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            tokens.push(Token::Number(rest[..end].to_owned()));
            rest = &rest[end..];
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = name_end(rest);
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        } else {
            let symbol = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol))?;
            tokens.push(Token::Symbol(symbol));
            rest = &rest[symbol.len()..];
        }
        rest = rest.trim_start();
    }
    Some(tokens)
}

/// A text behind its opening quote, and what follows its closing one.
fn text(source: &str) -> Option<(Vec<Piece>, &str)> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut chars = source.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                if !plain.is_empty() {
                    pieces.push(Piece::Plain(plain));
                }
                return Some((pieces, &source[at + 1..]));
            }
            '\\' => match chars.next()?.1 {
                '(' => {
                    let inside = enclosed(&source[at + 2..])?;
                    if !plain.is_empty() {
                        pieces.push(Piece::Plain(std::mem::take(&mut plain)));
                    }
                    pieces.push(Piece::Inside(inside.to_owned()));
                    for _ in 0..=inside.chars().count() {
                        chars.next();
                    }
                }
                'n' => plain.push('\n'),
                't' => plain.push('\t'),
                other => plain.push(other),
            },
            other => plain.push(other),
        }
    }
    None
}

/// What stands before the bracket that closes.
fn enclosed(source: &str) -> Option<&str> {
    let mut depth = 0usize;
    for (at, c) in source.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return Some(&source[..at]),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}
