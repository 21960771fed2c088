//! Expressions where they stand in a document: in values, in conditions, in what goes into a task and comes out of it.

use serde_json::Value;

use super::{
    super::{source::Node, text::Template},
    data::Data,
    flow::Flow,
    jq::{self, Variables},
};

/// A value in which texts may hold expressions.
pub fn value(node: &Node<'_>, dot: &Data, variables: &Variables) -> Data {
    match node.peek() {
        Value::String(text) => {
            let found = rendered(text, dot, variables);
            if let Some(data) = found {
                node.as_text();
                return data;
            }
            node.leave(
                "is an expression that cannot be said in CEL as it is",
                "write it in CEL; until then its text stands there",
            );
            Data::Constant(Value::from(text.clone()))
        }
        Value::Array(_) => Data::List(node.items().iter().map(|item| value(item, dot, variables)).collect()),
        Value::Object(_) => {
            let fields = node.entries().into_iter();
            Data::Object(fields.map(|(key, node)| (key.to_owned(), value(&node, dot, variables))).collect())
        }
        _ => Data::Constant(node.whole().clone()),
    }
}

/// Whether any of the expressions in a value reads the data that a task gets.
pub fn reads_data(value: &Value, variables: &Variables) -> bool {
    const MARK: &str = "data_of_the_task";
    match value {
        Value::String(text) if text.contains("${") => {
            rendered(text, &Data::Cel(MARK.to_owned()), variables).is_some_and(|data| data.to_cel().contains(MARK))
        }
        // The places in braces of an endpoint are fields of the data.
        Value::String(text) => text.contains('{'),
        Value::Array(list) => list.iter().any(|item| reads_data(item, variables)),
        Value::Object(fields) => fields.values().any(|field| reads_data(field, variables)),
        _ => false,
    }
}

/// A `from` or an `as`.
pub fn transformed(holder: &Node<'_>, key: &str, dot: Data, variables: &Variables) -> Data {
    match holder.get(key) {
        Some(node) => value(&node, &dot, variables),
        None => dot,
    }
}

/// A condition of a task.
pub fn condition(node: &Node<'_>, dot: &Data, flow: &Flow) -> String {
    let variables = flow.variables.with("context", flow.context.clone());
    let text = node.peek().as_str().unwrap_or_default().trim().to_owned();
    let source = text.strip_prefix("${").and_then(|text| text.strip_suffix('}')).unwrap_or(&text);
    if let Some(found) = jq::evaluate(source, dot, &variables) {
        node.as_text();
        return found.to_condition();
    }
    node.leave(
        "is a condition that cannot be said in CEL as it is",
        "write it in when of the step; until then it does not hold",
    );
    "false".to_owned()
}

/// A text with expressions in it; none when one of them cannot be said in CEL.
fn rendered(text: &str, dot: &Data, variables: &Variables) -> Option<Data> {
    let trimmed = text.trim();
    if let Some(source) = trimmed.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'))
        && closing(source).is_none()
    {
        return jq::evaluate(source, dot, variables);
    }
    if !text.contains("${") {
        return Some(Data::Constant(Value::from(text)));
    }
    let mut template = Template::default();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("${") {
        template.push_text(before);
        let end = closing(behind)?;
        template.push(&Template::cel(jq::evaluate(&behind[..end], dot, variables)?.to_cel()));
        rest = &behind[end + 1..];
    }
    template.push_text(rest);
    Some(Data::Text(template))
}

/// Where the brace is that closes an expression.
fn closing(source: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut is_quoted = false;
    let mut chars = source.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '"' => is_quoted = !is_quoted,
            '{' if !is_quoted => depth += 1,
            '}' if !is_quoted && depth == 0 => return Some(at),
            '}' if !is_quoted => depth -= 1,
            _ => {}
        }
    }
    None
}

/// A text in which names in braces are fields of the data.
pub fn endpoint(text: &str, data: &Data) -> Data {
    let mut template = Template::default();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        template.push_text(before);
        let Some((name, after)) = behind.split_once('}') else { break };
        template.push(&Template::cel(data.get(name).to_cel()));
        rest = after;
    }
    template.push_text(rest);
    Data::Text(template)
}
