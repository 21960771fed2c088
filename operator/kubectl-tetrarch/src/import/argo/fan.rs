//! The lists of Argo, one task for each item: `withItems`, `withParam`, `withSequence`.

use serde_json::Value;

use super::{
    super::{Severity, source::Node, text},
    Importer, condition,
    scope::Scope,
};

/// Most items that a sequence is written out to.
const MOST: i64 = 1_000;

/// What a step is done for.
#[derive(Clone, Debug)]
pub struct Fan {
    /// The list, or an expression that yields one.
    pub items: Value,
}

impl<'s> Importer<'s> {
    /// The list of a call, if it has one.
    pub(super) fn fan(&mut self, call: &Node<'s>, scope: &Scope) -> Option<Fan> {
        let items = if let Some(items) = call.get("withItems") {
            if let Value::String(text) = items.peek() {
                self.list_of_text(text, &items, scope)
            } else {
                scope.value(items.whole(), &items)
            }
        } else if let Some(node) = call.get("withParam") {
            let text = node.peek().as_str().unwrap_or_default().to_owned();
            self.list_of_text(&text, &node, scope)
        } else {
            sequence(&call.get("withSequence")?, scope)
        };
        Some(Fan { items })
    }

    fn list_of_text(&mut self, text: &str, node: &Node<'s>, scope: &Scope) -> Value {
        let template = scope.render(text, node);
        if let Some(constant) = template.as_text()
            && let Ok(list @ Value::Array(_)) = serde_json::from_str(constant)
        {
            node.whole();
            return list;
        }
        let Some(cel) = template.as_cel() else {
            node.leave("is no list and no value that could hold one", "write items; until then there are none");
            return Value::Array(Vec::new());
        };
        node.whole();
        // A text that holds a list is a list only in Argo.
        if let Some(value) = cel.strip_prefix("params.").and_then(|parameter| self.draft.value_of(parameter))
            && let Some(Ok(list @ Value::Array(_))) = value.as_str().map(serde_json::from_str)
        {
            *value = list;
            node.note(
                Severity::Changed,
                "takes its list from the text of a parameter",
                "the parameter is a list now: give runs a list, too",
            );
        }
        template.to_value()
    }
}

/// The condition of a call; one that reads the item chooses among the items.
pub fn conditions(call: &Node<'_>, fan: &mut Option<Fan>, scope: &Scope) -> Option<String> {
    let node = call.get("when")?;
    let text = node.as_text()?;
    if let Some(cel) = condition::to_cel(text, scope) {
        return Some(cel);
    }
    let of_item = Scope { item: Some("one"), ..scope.clone() };
    if let (Some(fan), Some(cel)) = (fan, condition::to_cel(text, &of_item)) {
        let items = match &fan.items {
            Value::String(text) => text.trim_start_matches("${").trim_end_matches('}').to_owned(),
            list => list.to_string(),
        };
        fan.items = Value::String(format!("${{{}.filter(one, {cel})}}", text::bracketed(&items)));
        return None;
    }
    node.leave(
        "is a condition that cannot be said in CEL as it is",
        "write it in when of the step; until then the step is skipped",
    );
    Some("false".to_owned())
}

fn sequence(node: &Node<'_>, scope: &Scope) -> Value {
    let nothing = Value::Array(Vec::new());
    let number = |key: &str| match node.get(key) {
        None => Some(None),
        Some(found) => {
            let text = scope.render(&found.as_scalar()?, &found);
            text.as_text()?.trim().parse::<i64>().ok().map(Some)
        }
    };
    let format = node.text("format").unwrap_or("%d").to_owned();
    let range = match (number("count"), number("start"), number("end")) {
        (Some(Some(count)), Some(start), Some(None)) => {
            Some((start.unwrap_or(0), start.unwrap_or(0) + count - 1, true))
        }
        (Some(None), Some(start), Some(Some(end))) => Some((start.unwrap_or(0), end, false)),
        _ => None,
    };
    let Some((start, end, is_count)) = range else {
        node.leave(
            "is a sequence whose bounds are only known in a run",
            "give the run a list as a parameter, and write it in items",
        );
        return nothing;
    };
    let numbers: Vec<i64> = match (start <= end, is_count) {
        (true, _) => (start..=end).take(usize::try_from(MOST + 1).unwrap_or(0)).collect(),
        (false, true) => Vec::new(),
        (false, false) => (end..=start).rev().take(usize::try_from(MOST + 1).unwrap_or(0)).collect(),
    };
    let written: Option<Vec<Value>> =
        numbers.iter().map(|number| formatted(&format, *number).map(Value::String)).collect();
    match written {
        Some(list) if i64::try_from(list.len()).unwrap_or(i64::MAX) <= MOST => Value::Array(list),
        Some(_) => {
            node.leave(
                "is a sequence of more than 1000 numbers",
                "give the run a list as a parameter, and write it in items",
            );
            nothing
        }
        None => {
            node.leave("writes its numbers in a format that is not known here", "write the items as a list");
            nothing
        }
    }
}

/// One number in a format such as `host-%03d`.
fn formatted(format: &str, number: i64) -> Option<String> {
    let (before, behind) = format.split_once('%')?;
    let end = behind.find(|c: char| c.is_ascii_alphabetic())?;
    let (width, rest) = behind.split_at(end);
    let wide: usize = if width.is_empty() { 0 } else { width.parse().ok()? };
    let is_zero = width.starts_with('0');
    let text = match rest.chars().next()? {
        'd' if is_zero => format!("{number:0wide$}"),
        'd' => format!("{number:wide$}"),
        'x' if is_zero => format!("{number:0wide$x}"),
        'x' => format!("{number:wide$x}"),
        'X' if is_zero => format!("{number:0wide$X}"),
        'X' => format!("{number:wide$X}"),
        _ => return None,
    };
    let after = &rest[1..];
    (!after.contains('%')).then(|| format!("{before}{text}{after}"))
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use rstest::rstest;
    use serde_json::json;

    use super::{super::super::source::Source, *};

    #[rstest]
    #[case(json!({"count": "3"}), json!(["0", "1", "2"]))]
    #[case(json!({"start": 5, "count": 2}), json!(["5", "6"]))]
    #[case(json!({"start": "3", "end": "1", "format": "host-%02d"}), json!(["host-03", "host-02", "host-01"]))]
    #[case(json!({"count": 0}), json!([]))]
    #[case(json!({"start": 10, "end": 11, "format": "%X.log"}), json!(["A.log", "B.log"]))]
    fn a_sequence_is_written_out(#[case] written: Value, #[case] wanted: Value) {
        let source = Source::new(written);
        assert_eq!(sequence(&source.root(), &Scope::new(Rc::default())), wanted);
        assert_eq!(source.finish(), []);
    }

    #[rstest]
    #[case(json!({"count": "{{workflow.parameters.n}}"}))]
    #[case(json!({"count": 5000}))]
    #[case(json!({"count": 1, "format": "%s"}))]
    #[case(json!({"count": 1, "end": 2}))]
    fn a_sequence_that_cannot_be_written_out_is_told(#[case] written: Value) {
        let source = Source::new(written);
        assert_eq!(sequence(&source.root(), &Scope::new(Rc::default())), json!([]));
        assert!(!source.finish().is_empty());
    }
}
