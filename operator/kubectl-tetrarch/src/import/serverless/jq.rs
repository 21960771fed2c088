//! The part of jq that documents use most, as data that is known and CEL for the rest.

mod token;

use std::collections::BTreeMap;

use serde_json::Value;

use self::token::{Piece, Token, tokens};
use super::{
    super::text::{self, Template},
    data::Data,
};

/// What `$name` means.
#[derive(Clone, Debug, Default)]
pub struct Variables(BTreeMap<String, Data>);

impl Variables {
    /// The same with one more.
    #[must_use]
    pub fn with(&self, name: &str, value: Data) -> Self {
        let mut variables = self.0.clone();
        variables.insert(name.to_owned(), value);
        Self(variables)
    }
}

/// The value of an expression, when CEL can say it.
pub fn evaluate(source: &str, dot: &Data, variables: &Variables) -> Option<Data> {
    let tokens = tokens(source)?;
    let mut parser = Parser { tokens: &tokens, at: 0, variables };
    let data = parser.pipe(dot)?;
    (parser.at == tokens.len()).then_some(data)
}

struct Parser<'t> {
    tokens: &'t [Token],
    at: usize,
    variables: &'t Variables,
}

impl Parser<'_> {
    fn is(&self, symbol: &str) -> bool {
        matches!(self.tokens.get(self.at), Some(Token::Symbol(known)) if *known == symbol)
    }

    fn take(&mut self, symbol: &str) -> bool {
        let found = self.is(symbol);
        self.at += usize::from(found);
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Word(known)) if known == word);
        self.at += usize::from(found);
        found
    }

    fn pipe(&mut self, dot: &Data) -> Option<Data> {
        let mut data = self.either(dot)?;
        while self.take("|") {
            data = self.either(&data.clone())?;
        }
        Some(data)
    }

    fn either(&mut self, dot: &Data) -> Option<Data> {
        let mut parts = vec![self.both(dot)?];
        while self.take_word("or") {
            parts.push(self.both(dot)?);
        }
        Some(combined(&parts, " || "))
    }

    fn both(&mut self, dot: &Data) -> Option<Data> {
        let mut parts = vec![self.comparison(dot)?];
        while self.take_word("and") {
            parts.push(self.comparison(dot)?);
        }
        Some(combined(&parts, " && "))
    }

    fn comparison(&mut self, dot: &Data) -> Option<Data> {
        let left = self.sum(dot)?;
        for operator in ["==", "!=", "<=", ">=", "<", ">"] {
            if self.take(operator) {
                let right = self.sum(dot)?;
                return Some(Data::Test(operation(&left, operator, &right)));
            }
        }
        Some(left)
    }

    fn sum(&mut self, dot: &Data) -> Option<Data> {
        let mut data = self.product(dot)?;
        loop {
            let operator = ["+", "-"].into_iter().find(|operator| self.is(operator));
            let Some(operator) = operator else { return Some(data) };
            self.at += 1;
            let right = self.product(dot)?;
            data = match (operator, &data, &right) {
                ("+", Data::Object(left), Data::Object(right)) => {
                    Data::Object(left.iter().chain(right).map(|(key, value)| (key.clone(), value.clone())).collect())
                }
                ("+", Data::Object(_), _) | ("+", _, Data::Object(_)) => return None,
                _ => Data::Cel(operation(&data, operator, &right)),
            };
        }
    }

    fn product(&mut self, dot: &Data) -> Option<Data> {
        let mut data = self.postfix(dot)?;
        loop {
            let operator = ["*", "/", "%"].into_iter().find(|operator| self.is(operator));
            let Some(operator) = operator else { return Some(data) };
            self.at += 1;
            data = Data::Cel(operation(&data, operator, &self.postfix(dot)?));
        }
    }

    fn postfix(&mut self, dot: &Data) -> Option<Data> {
        let mut data = self.primary(dot)?;
        loop {
            if self.is(".") && matches!(self.tokens.get(self.at + 1), Some(Token::Word(_) | Token::Text(_))) {
                self.at += 1;
                data = data.get(&self.key()?);
            } else if self.take("[") {
                data = self.element(&data)?;
            } else {
                return Some(data);
            }
        }
    }

    /// Behind `[`.
    fn element(&mut self, of: &Data) -> Option<Data> {
        let data = match self.tokens.get(self.at)? {
            Token::Number(number) => of.at(number.parse().ok()?),
            Token::Text(_) => of.get(&self.constant_text()?),
            _ => return None,
        };
        if matches!(self.tokens.get(self.at), Some(Token::Number(_))) {
            self.at += 1;
        }
        self.take("]").then_some(data)
    }

    fn key(&mut self) -> Option<String> {
        if let Some(Token::Word(word)) = self.tokens.get(self.at) {
            self.at += 1;
            return Some(word.clone());
        }
        self.constant_text()
    }

    fn constant_text(&mut self) -> Option<String> {
        let Some(Token::Text(pieces)) = self.tokens.get(self.at) else { return None };
        self.at += 1;
        match pieces.as_slice() {
            [] => Some(String::new()),
            [Piece::Plain(text)] => Some(text.clone()),
            _ => None,
        }
    }

    fn primary(&mut self, dot: &Data) -> Option<Data> {
        let token = self.tokens.get(self.at)?.clone();
        self.at += 1;
        match token {
            Token::Symbol(".") => match self.tokens.get(self.at) {
                Some(Token::Word(word)) if !["and", "or"].contains(&word.as_str()) => Some(dot.get(&self.key()?)),
                Some(Token::Text(_)) => Some(dot.get(&self.key()?)),
                _ => Some(dot.clone()),
            },
            Token::Symbol("(") => {
                let inside = self.pipe(dot)?;
                self.take(")").then_some(inside)
            }
            Token::Symbol("[") => self.list(dot),
            Token::Symbol("{") => self.object(dot),
            Token::Symbol("-") => match self.tokens.get(self.at)? {
                Token::Number(number) => {
                    let number = format!("-{number}");
                    self.at += 1;
                    Some(Data::Constant(serde_json::from_str(&number).ok()?))
                }
                _ => None,
            },
            Token::Number(number) => Some(Data::Constant(serde_json::from_str(&number).ok()?)),
            Token::Text(pieces) => self.text(&pieces, dot),
            Token::Variable(name) => self.variables.0.get(&name).cloned(),
            Token::Word(word) => self.function(&word, dot),
            Token::Symbol(_) => None,
        }
    }

    fn text(&self, pieces: &[Piece], dot: &Data) -> Option<Data> {
        let mut template = Template::default();
        for piece in pieces {
            match piece {
                Piece::Plain(text) => template.push_text(text),
                Piece::Inside(source) => match evaluate(source, dot, self.variables)? {
                    Data::Constant(Value::String(text)) => template.push_text(&text),
                    data => template.push(&Template::cel(data.to_cel())),
                },
            }
        }
        Some(match template.as_text() {
            Some(text) => Data::Constant(Value::from(text)),
            None if template.as_cel().is_some() => Data::Cel(format!("string({})", template.to_cel())),
            None => Data::Text(template),
        })
    }

    fn list(&mut self, dot: &Data) -> Option<Data> {
        let mut list = Vec::new();
        if self.take("]") {
            return Some(Data::List(list));
        }
        loop {
            list.push(self.pipe(dot)?);
            if self.take("]") {
                return Some(Data::List(list));
            }
            self.take(",").then_some(())?;
        }
    }

    fn object(&mut self, dot: &Data) -> Option<Data> {
        let mut fields = BTreeMap::new();
        if self.take("}") {
            return Some(Data::Object(fields));
        }
        loop {
            let key = self.key()?;
            let value = if self.take(":") { self.either(dot)? } else { dot.get(&key) };
            fields.insert(key, value);
            if self.take("}") {
                return Some(Data::Object(fields));
            }
            self.take(",").then_some(())?;
        }
    }

    fn function(&mut self, name: &str, dot: &Data) -> Option<Data> {
        let base = text::operand(&dot.to_cel());
        let whole = dot.to_cel();
        Some(match name {
            "true" | "false" | "null" => Data::Constant(serde_json::from_str(name).ok()?),
            "not" => Data::Test(format!("!({})", dot.to_condition())),
            "length" => Data::Cel(format!("size({whole})")),
            "tostring" => Data::Cel(format!("string({whole})")),
            "tonumber" => Data::Cel(format!("double({whole})")),
            "ascii_downcase" => Data::Cel(format!("{base}.lowerAscii()")),
            "ascii_upcase" => Data::Cel(format!("{base}.upperAscii()")),
            "startswith" | "endswith" | "contains" | "test" | "split" | "join" | "has" | "map" | "any" | "all" => {
                self.take("(").then_some(())?;
                let found = self.with_argument(name, dot, &base)?;
                self.take(")").then_some(())?;
                found
            }
            _ => return None,
        })
    }

    fn with_argument(&mut self, name: &str, dot: &Data, base: &str) -> Option<Data> {
        if ["map", "any", "all"].contains(&name) {
            let one = Data::Cel("one".to_owned());
            if name == "map" && self.take_word("select") {
                self.take("(").then_some(())?;
                let condition = self.pipe(&one)?.to_condition();
                self.take(")").then_some(())?;
                return Some(Data::Cel(format!("{base}.filter(one, {condition})")));
            }
            let inside = self.pipe(&one)?;
            return Some(match name {
                "map" => Data::Cel(format!("{base}.map(one, {})", inside.to_cel())),
                "any" => Data::Test(format!("{base}.exists(one, {})", inside.to_condition())),
                _ => Data::Test(format!("{base}.all(one, {})", inside.to_condition())),
            });
        }
        if name == "has" {
            let key = self.constant_text()?;
            let field = text::field(base, &key);
            return Some(Data::Test(if field.ends_with(']') {
                format!("{} in {base}", text::quoted(&key))
            } else {
                format!("has({field})")
            }));
        }
        let argument = self.pipe(dot)?.to_cel();
        let function = match name {
            "startswith" => "startsWith",
            "endswith" => "endsWith",
            "test" => "matches",
            other => other,
        };
        let call = format!("{base}.{function}({argument})");
        Some(if ["split", "join"].contains(&name) { Data::Cel(call) } else { Data::Test(call) })
    }
}

fn operation(left: &Data, operator: &str, right: &Data) -> String {
    format!("{} {operator} {}", text::operand(&left.to_cel()), text::operand(&right.to_cel()))
}

fn combined(parts: &[Data], operator: &str) -> Data {
    match parts {
        [one] => one.clone(),
        several => {
            let conditions = several.iter().map(|part| text::bracketed(&part.to_condition()));
            Data::Test(conditions.collect::<Vec<_>>().join(operator))
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn cel(source: &str) -> Option<String> {
        let dot = Data::Cel("steps.s.output".to_owned());
        let variables = Variables::default().with("item", Data::Cel("item".to_owned()));
        evaluate(source, &dot, &variables).map(|data| data.to_cel())
    }

    #[rstest]
    #[case(".", "steps.s.output")]
    #[case(".a.b[0].\"c-d\"", "steps.s.output.a.b[0]['c-d']")]
    #[case(".a[\"b\"]", "steps.s.output.a.b")]
    #[case(".n > 38", "steps.s.output.n > 38")]
    #[case(".bpm < 60 or .bpm > 100", "(steps.s.output.bpm < 60) || (steps.s.output.bpm > 100)")]
    #[case(
        ".a == \"x\" and (.b | not)",
        r#"(steps.s.output.a == "x") && (!(steps.s.output.b != null && steps.s.output.b != false))"#
    )]
    #[case(".pets | length", "size(steps.s.output.pets)")]
    #[case("$item.id + 1", "item.id + 1")]
    #[case("\"Hello \\(.name)!\"", r#""Hello " + string(steps.s.output.name) + "!""#)]
    #[case("{a: .x, b}", r#"{"a": steps.s.output.x, "b": steps.s.output.b}"#)]
    #[case("[.x, -2, true]", "[steps.s.output.x, -2, true]")]
    #[case(
        ".pets | map(select(.age >= 2)) | map(.name) | join(\", \")",
        r#"steps.s.output.pets.filter(one, one.age >= 2).map(one, one.name).join(", ")"#
    )]
    #[case(".pets | any(.breed == \"dalmatian\")", r#"steps.s.output.pets.exists(one, one.breed == "dalmatian")"#)]
    #[case(".name | startswith(\"a\")", r#"steps.s.output.name.startsWith("a")"#)]
    #[case("has(\"x\")", "has(steps.s.output.x)")]
    #[case("(.a + .b) * 2", "(steps.s.output.a + steps.s.output.b) * 2")]
    fn an_expression_is_said_in_cel(#[case] source: &str, #[case] wanted: &str) {
        assert_eq!(cel(source).as_deref(), Some(wanted));
    }

    #[rstest]
    #[case(".a // 3")]
    #[case("$unknown.x")]
    #[case(".[] | .x")]
    #[case("reduce .[] as $i (0; . + $i)")]
    #[case("if .a then 1 else 2 end")]
    #[case("now")]
    #[case(".a +")]
    #[case("(.a")]
    #[case("\"open")]
    #[case("{a: 1")]
    fn what_cannot_be_said_is_none(#[case] source: &str) {
        assert_eq!(cel(source), None);
    }
}
