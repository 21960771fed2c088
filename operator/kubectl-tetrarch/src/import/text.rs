//! Text with expressions in it, and CEL that is put together from parts.

use serde_json::Value;

/// A part of a text.
#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Cel(String),
}

/// A text in which some parts are expressions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Template(Vec<Part>);

impl Template {
    /// A text without expressions.
    pub fn text(text: &str) -> Self {
        let mut template = Self::default();
        template.push_text(text);
        template
    }

    /// One expression.
    pub fn cel(cel: impl Into<String>) -> Self {
        Self(vec![Part::Cel(cel.into())])
    }

    /// Adds a text.
    pub fn push_text(&mut self, text: &str) {
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(Part::Text(before)) => before.push_str(text),
            _ => self.0.push(Part::Text(text.to_owned())),
        }
    }

    /// Adds the parts of another one.
    pub fn push(&mut self, other: &Self) {
        for part in &other.0 {
            match part {
                Part::Text(text) => self.push_text(text),
                cel @ Part::Cel(_) => self.0.push(cel.clone()),
            }
        }
    }

    /// The expression, when it is nothing else.
    pub fn as_cel(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Part::Cel(cel)] => Some(cel),
            _ => None,
        }
    }

    /// The text, when there is no expression in it.
    pub fn as_text(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// As a value of a Workflow, with `${…}`.
    pub fn to_value(&self) -> Value {
        let part = |part: &Part| match part {
            Part::Text(text) => text.replace("${", "$${"),
            Part::Cel(cel) => format!("${{{cel}}}"),
        };
        Value::String(self.0.iter().map(part).collect())
    }

    /// As one expression.
    pub fn to_cel(&self) -> String {
        if let Some(cel) = self.as_cel() {
            return cel.to_owned();
        }
        let part = |part: &Part| match part {
            Part::Text(text) => quoted(text),
            Part::Cel(cel) => format!("string({cel})"),
        };
        let parts: Vec<String> = self.0.iter().map(part).collect();
        if parts.is_empty() { quoted("") } else { parts.join(" + ") }
    }
}

/// A text as CEL.
pub fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A field of what an expression yields.
pub fn field(base: &str, key: &str) -> String {
    let plain =
        key.chars().enumerate().all(|(at, c)| c == '_' || c.is_ascii_alphabetic() || at > 0 && c.is_ascii_digit());
    if plain && !key.is_empty() && !RESERVED.contains(&key) {
        format!("{base}.{key}")
    } else {
        format!("{base}['{}']", key.replace('\\', "\\\\").replace('\'', "\\'"))
    }
}

/// Words of CEL that cannot be names of fields.
const RESERVED: [&str; 19] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
];

/// What a step left.
pub fn step(name: &str, part: &str) -> String {
    format!("{}.{part}", field("steps", name))
}

/// Conditions of which all must hold.
pub fn all(conditions: impl IntoIterator<Item = String>) -> Option<String> {
    let mut conditions: Vec<String> = conditions.into_iter().filter(|condition| condition != "true").collect();
    conditions.dedup();
    match conditions.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        several => Some(several.iter().map(|one| bracketed(one)).collect::<Vec<_>>().join(" && ")),
    }
}

/// An expression of which fields and elements can be read: names, brackets and literals need none around them.
pub fn operand(cel: &str) -> String {
    let mut depth = 0i32;
    let mut quote = None;
    let mut chars = cel.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => drop(chars.next()),
            (Some(open), c) if open == c => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth -= 1,
            (None, c) if depth == 0 && !c.is_ascii_alphanumeric() && !"._".contains(c) => return format!("({cel})"),
            _ => {}
        }
    }
    cel.to_owned()
}

/// An expression that can stand beside an operator.
pub fn bracketed(cel: &str) -> String {
    let simple = cel.chars().all(|c| c.is_ascii_alphanumeric() || "._".contains(c));
    if simple { cel.to_owned() } else { format!("({cel})") }
}

/// A name of Kubernetes from any text: lower-case letters, digits and dashes.
pub fn label(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let label: String = lower.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(63).collect();
    let label = label.trim_matches('-');
    if label.is_empty() { "step".to_owned() } else { label.to_owned() }
}

/// A name for expressions from any text.
pub fn identifier(text: &str) -> String {
    let mut name: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(63).collect();
    if name.chars().next().is_none_or(|first| first.is_ascii_digit()) {
        name.insert(0, '_');
        name.truncate(63);
    }
    name
}

/// A duration as Workflows write it, in the largest unit that divides it.
pub fn duration(millis: i64) -> String {
    let units = [(3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let unit = units.into_iter().find(|(unit, _)| millis != 0 && millis % unit == 0);
    match unit {
        Some((unit, name)) => format!("{}{name}", millis / unit),
        None if millis == 0 => "0s".to_owned(),
        None => format!("{millis}ms"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_template_is_a_value_and_an_expression() {
        let mut template = Template::text("a ${b} ");
        template.push(&Template::cel("params.x"));
        assert_eq!(template.to_value(), json!("a $${b} ${params.x}"));
        assert_eq!(template.to_cel(), r#""a ${b} " + string(params.x)"#);
        assert_eq!(Template::default().to_cel(), r#""""#);
    }

    #[rstest]
    #[case("a", "b.a")]
    #[case("my-name", "b['my-name']")]
    #[case("in", "b['in']")]
    #[case("0", "b['0']")]
    #[case("it's", r"b['it\'s']")]
    fn fields_are_named_as_cel_can_read_them(#[case] key: &str, #[case] wanted: &str) {
        assert_eq!(field("b", key), wanted);
    }

    #[rstest]
    #[case("My_Step", "my-step")]
    #[case("--", "step")]
    #[case(&"x".repeat(70), &"x".repeat(63))]
    fn any_text_becomes_a_name(#[case] text: &str, #[case] wanted: &str) {
        assert_eq!(label(text), wanted);
    }

    #[rstest]
    #[case("my-param", "my_param")]
    #[case("2nd", "_2nd")]
    fn any_text_becomes_an_identifier(#[case] text: &str, #[case] wanted: &str) {
        assert_eq!(identifier(text), wanted);
    }
}
