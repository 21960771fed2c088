//! What flows from task to task, as far as it is known before a run: constants, expressions, and objects of both.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::text::{self, Template};

/// A value that a task gets or leaves.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// What the run was given, or something inside of it.
    Input(Vec<String>),
    /// Known now.
    Constant(Value),
    /// An expression.
    Cel(String),
    /// An expression that yields true or false.
    Test(String),
    /// A text with expressions in it.
    Text(Template),
    /// An object whose fields are known.
    Object(BTreeMap<String, Data>),
    /// A list whose elements are known.
    List(Vec<Data>),
    /// The first where the condition holds, else the second.
    Either(String, Box<(Data, Data)>),
}

impl Data {
    /// A field.
    pub fn get(&self, key: &str) -> Self {
        match self {
            Self::Input(path) => Self::Input(path.iter().cloned().chain([key.to_owned()]).collect()),
            Self::Constant(value) => Self::Constant(value.get(key).cloned().unwrap_or(Value::Null)),
            Self::Object(fields) => fields.get(key).cloned().unwrap_or(Self::Constant(Value::Null)),
            Self::Either(condition, of) => Self::either(condition, of.0.get(key), of.1.get(key)),
            other => Self::Cel(text::field(&text::operand(&other.to_cel()), key)),
        }
    }

    /// An element.
    pub fn at(&self, index: usize) -> Self {
        match self {
            Self::Constant(value) => Self::Constant(value.get(index).cloned().unwrap_or(Value::Null)),
            Self::List(list) => list.get(index).cloned().unwrap_or(Self::Constant(Value::Null)),
            Self::Either(condition, of) => Self::either(condition, of.0.at(index), of.1.at(index)),
            other => Self::Cel(format!("{}[{index}]", text::operand(&other.to_cel()))),
        }
    }

    /// As one expression.
    pub fn to_cel(&self) -> String {
        match self {
            Self::Input(path) => {
                // The first field of the input is a parameter.
                let mut fields = path.iter();
                let first = fields.next().map(|name| text::field("params", &text::identifier(name)));
                fields.fold(first.unwrap_or_else(|| "params".to_owned()), |base, key| text::field(&base, key))
            }
            Self::Constant(value) => value.to_string(),
            Self::Cel(cel) | Self::Test(cel) => cel.clone(),
            Self::Text(template) => template.to_cel(),
            Self::Object(fields) => {
                let fields = fields.iter().map(|(key, value)| format!("{}: {}", text::quoted(key), value.to_cel()));
                format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
            }
            Self::List(list) => format!("[{}]", list.iter().map(Self::to_cel).collect::<Vec<_>>().join(", ")),
            Self::Either(condition, of) => Self::choose(condition, &of.0, &of.1).to_cel(),
        }
    }

    /// As a value of a Workflow, with `${…}`.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Constant(value) => escaped(value),
            Self::Text(template) => template.to_value(),
            Self::Object(fields) => {
                Value::Object(fields.iter().map(|(key, value)| (key.clone(), value.to_value())).collect())
            }
            Self::List(list) => list.iter().map(Self::to_value).collect(),
            other => Template::cel(other.to_cel()).to_value(),
        }
    }

    /// As a condition: in jq everything but null and false holds.
    pub fn to_condition(&self) -> String {
        match self {
            Self::Test(cel) => cel.clone(),
            Self::Constant(value) => (!value.is_null() && *value != Value::Bool(false)).to_string(),
            other => {
                let cel = text::operand(&other.to_cel());
                format!("{cel} != null && {cel} != false")
            }
        }
    }

    /// One of two, by a condition; their fields are read in each by itself.
    pub fn either(condition: &str, then: Self, otherwise: Self) -> Self {
        if then == otherwise { then } else { Self::Either(condition.to_owned(), Box::new((then, otherwise))) }
    }

    /// One of two, by a condition.
    pub fn choose(condition: &str, then: &Self, otherwise: &Self) -> Self {
        if then == otherwise {
            return then.clone();
        }
        let part = |data: &Self| text::operand(&data.to_cel());
        Self::Cel(format!("{} ? {} : {}", text::bracketed(condition), part(then), part(otherwise)))
    }
}

/// A constant in which nothing is an expression.
fn escaped(value: &Value) -> Value {
    match value {
        Value::String(text) => Template::text(text).to_value(),
        Value::Array(list) => list.iter().map(escaped).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, value)| (key.clone(), escaped(value))).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_known_is_read_now_and_the_rest_by_an_expression() {
        let input = Data::Input(Vec::new());
        assert_eq!(input.get("order").get("my-id").to_cel(), "params.order['my-id']");
        assert_eq!(input.to_cel(), "params");
        let object = Data::Object(BTreeMap::from([
            ("a".to_owned(), Data::Constant(json!("x ${y}"))),
            ("b".to_owned(), Data::Cel("steps.s.output".to_owned())),
        ]));
        assert_eq!(object.get("b").get("c").to_cel(), "steps.s.output.c");
        assert_eq!(object.to_value(), json!({"a": "x $${y}", "b": "${steps.s.output}"}));
        assert_eq!(object.to_cel(), r#"{"a": "x ${y}", "b": steps.s.output}"#);
    }

    #[test]
    fn what_is_not_null_and_not_false_holds() {
        assert_eq!(Data::Constant(json!(0)).to_condition(), "true");
        assert_eq!(Data::Constant(json!(null)).to_condition(), "false");
        assert_eq!(Data::Cel("a.b".to_owned()).to_condition(), "a.b != null && a.b != false");
        let chosen = Data::choose("a == 1", &Data::Cel("b".to_owned()), &Data::Constant(json!(2)));
        assert_eq!(chosen.to_cel(), "(a == 1) ? b : 2");
        let either = Data::either("a == 1", Data::Input(Vec::new()), Data::Cel("b".to_owned()));
        assert_eq!(either.get("x").at(0).to_cel(), "(a == 1) ? params.x[0] : b.x[0]");
        assert_eq!(either.to_value(), json!("${(a == 1) ? params : b}"));
    }
}
