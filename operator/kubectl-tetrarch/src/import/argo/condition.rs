//! The conditions of Argo as CEL: tags, words, numbers, comparisons and their combinations.

use super::{
    super::text::{self, Template},
    scope::Scope,
};

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Operator(&'static str),
    Open,
    Close,
    /// A value; one that stood in quotes is a text in any case.
    Value(Template, bool),
}

const OPERATORS: [&str; 11] = ["&&", "||", "==", "!=", "=~", "!~", "<=", ">=", "<", ">", "!"];

/// The condition as CEL, when it can be said in it.
pub fn to_cel(text: &str, scope: &Scope) -> Option<String> {
    let tokens = tokens(text, scope)?;
    let mut parser = Parser { tokens: &tokens, at: 0 };
    let cel = parser.either()?;
    (parser.at == tokens.len()).then_some(cel)
}

fn tokens(text: &str, scope: &Scope) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if let Some(operator) = OPERATORS.into_iter().find(|operator| rest.starts_with(operator)) {
            tokens.push(Token::Operator(operator));
            rest = &rest[operator.len()..];
        } else if first == '(' || first == ')' {
            tokens.push(if first == '(' { Token::Open } else { Token::Close });
            rest = &rest[1..];
        } else if first == '\'' || first == '"' {
            let (inside, behind) = rest[1..].split_once(first)?;
            tokens.push(Token::Value(rendered(inside, scope)?, true));
            rest = behind;
        } else {
            let end = end_of_word(rest);
            tokens.push(Token::Value(rendered(&rest[..end], scope)?, false));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    Some(tokens)
}

/// A word ends at a blank, a bracket or an operator, but not inside of a tag.
fn end_of_word(text: &str) -> usize {
    let mut depth = 0usize;
    for (at, c) in text.char_indices() {
        let rest = &text[at..];
        if rest.starts_with("{{") {
            depth += 1;
        } else if rest.starts_with("}}") {
            depth = depth.saturating_sub(1);
        } else if depth == 0
            && (c.is_whitespace() || "()".contains(c) || OPERATORS.iter().any(|known| rest.starts_with(known)))
        {
            return at;
        }
    }
    text.len()
}

/// A text whose tags all mean something.
fn rendered(text: &str, scope: &Scope) -> Option<Template> {
    let mut template = Template::default();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("{{") {
        template.push_text(before);
        let (tag, after) = behind.split_once("}}")?;
        template.push(&scope.resolve(tag.trim())?);
        rest = after;
    }
    template.push_text(rest);
    Some(template)
}

struct Parser<'t> {
    tokens: &'t [Token],
    at: usize,
}

impl Parser<'_> {
    fn take(&mut self, operator: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Operator(known)) if *known == operator);
        self.at += usize::from(found);
        found
    }

    fn either(&mut self) -> Option<String> {
        let mut parts = vec![self.both()?];
        while self.take("||") {
            parts.push(self.both()?);
        }
        Some(joined(&parts, " || "))
    }

    fn both(&mut self) -> Option<String> {
        let mut parts = vec![self.single()?];
        while self.take("&&") {
            parts.push(self.single()?);
        }
        Some(joined(&parts, " && "))
    }

    fn single(&mut self) -> Option<String> {
        if self.take("!") {
            return Some(format!("!({})", self.single()?));
        }
        if self.tokens.get(self.at) == Some(&Token::Open) {
            self.at += 1;
            let inside = self.either()?;
            (self.tokens.get(self.at) == Some(&Token::Close)).then_some(())?;
            self.at += 1;
            return Some(inside);
        }
        let left = self.value()?;
        let operator = match self.tokens.get(self.at) {
            Some(Token::Operator(operator)) if !["&&", "||", "!"].contains(operator) => *operator,
            _ => return Some(truth(&left)),
        };
        self.at += 1;
        let right = self.value()?;
        Some(match operator {
            // Both sides are texts in Argo once the tags are replaced; a number is the same as its text.
            "==" | "!=" => format!("{} {operator} {}", as_text(&left), as_text(&right)),
            "=~" => format!("{}.matches({})", as_text(&left), as_text(&right)),
            "!~" => format!("!{}.matches({})", as_text(&left), as_text(&right)),
            _ => format!("{} {operator} {}", as_number(&left)?, as_number(&right)?),
        })
    }

    fn value(&mut self) -> Option<(Template, bool)> {
        let Some(Token::Value(template, is_quoted)) = self.tokens.get(self.at) else { return None };
        self.at += 1;
        Some((template.clone(), *is_quoted))
    }
}

fn joined(parts: &[String], operator: &str) -> String {
    match parts {
        [one] => one.clone(),
        several => several.iter().map(|one| text::bracketed(one)).collect::<Vec<_>>().join(operator),
    }
}

fn truth((template, _): &(Template, bool)) -> String {
    match template.as_text() {
        Some(word @ ("true" | "false")) => word.to_owned(),
        _ => format!("{} == \"true\"", as_text(&(template.clone(), false))),
    }
}

fn as_text((template, _): &(Template, bool)) -> String {
    match template.as_cel() {
        Some(cel) => format!("string({cel})"),
        None => template.to_cel(),
    }
}

fn as_number((template, is_quoted): &(Template, bool)) -> Option<String> {
    match template.as_text() {
        Some(text) if !is_quoted => text.trim().parse::<f64>().is_ok().then(|| text.trim().to_owned()),
        Some(_) => None,
        None => Some(format!("double({})", template.to_cel())),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, rc::Rc};

    use rstest::rstest;

    use super::{super::scope::Produced, *};

    fn scope() -> Scope {
        let mut scope = Scope::new(Rc::new(BTreeMap::from([("my-env".to_owned(), "my_env".to_owned())])));
        scope.steps.insert("flip".to_owned(), Produced::Step { name: "flip".to_owned(), is_list: false });
        scope
    }

    #[rstest]
    #[case("{{steps.flip.outputs.result}} == heads", r#"string(steps.flip.output.result) == "heads""#)]
    #[case("'{{workflow.parameters.my-env}}' != \"prod\"", r#"string(params.my_env) != "prod""#)]
    #[case("{{tasks.flip.outputs.parameters.n}} >= 3", "double(steps.flip.output.n) >= 3")]
    #[case(
        "{{tasks.flip.status}} == Succeeded || ( {{workflow.parameters.my-env}} =~ '^p' && true )",
        r#"(string(steps.flip.phase) == "Succeeded") || ((string(params.my_env).matches("^p")) && true)"#
    )]
    #[case("!{{workflow.parameters.my-env}}", r#"!(string(params.my_env) == "true")"#)]
    #[case("a-{{workflow.parameters.my-env}}==a-b", r#""a-" + string(params.my_env) == "a-b""#)]
    fn a_condition_is_said_in_cel(#[case] text: &str, #[case] wanted: &str) {
        assert_eq!(to_cel(text, &scope()).as_deref(), Some(wanted));
    }

    #[rstest]
    #[case("{{=asInt(x) > 3}}")]
    #[case("{{pod.name}} == a")]
    #[case("a < b")]
    #[case("(a == b")]
    #[case("a == b c")]
    #[case("'a")]
    #[case("")]
    fn what_cannot_be_said_is_none(#[case] text: &str) {
        assert_eq!(to_cel(text, &scope()), None);
    }
}
