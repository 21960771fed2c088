//! A document that knows which of its fields were read: what nobody reads is told, so that nothing is dropped silently.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::Value;

use super::report::{Finding, Severity};

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Index(usize),
    Key(String),
}

/// Where a value stands in its document.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(Vec<Segment>);

impl Path {
    fn join(&self, segment: Segment) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment);
        Self(segments)
    }

    /// Whether this is the other path or leads to it.
    #[cfg(test)]
    pub fn covers(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.0.iter().enumerate() {
            let dot = if at == 0 { "" } else { "." };
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) if key.chars().all(|c| c.is_ascii_alphanumeric() || "_-$".contains(c)) => {
                    write!(f, "{dot}{key}")?;
                }
                Segment::Key(key) => write!(f, "[{key:?}]")?,
            }
        }
        Ok(())
    }
}

/// A document with what was read of it and what there is to tell about it.
#[derive(Debug)]
pub struct Source {
    document: Value,
    read: RefCell<BTreeSet<Path>>,
    findings: RefCell<BTreeMap<(Path, String), Finding>>,
}

impl Source {
    /// A document of which nothing was read.
    pub fn new(document: Value) -> Self {
        Self { document, read: RefCell::default(), findings: RefCell::default() }
    }

    /// Its root.
    pub fn root(&self) -> Node<'_> {
        Node { path: Path::default(), value: &self.document, source: self }
    }

    /// Everything there is to tell, in the order of the document; what was never read is left out, and is told as such.
    pub fn finish(self) -> Vec<Finding> {
        let mut unread = Vec::new();
        self.collect(&self.document, &Path::default(), &mut unread);
        let mut findings = self.findings.into_inner();
        for (path, value) in unread {
            let finding = Finding {
                severity: Severity::LeftOut,
                path: path.clone(),
                what: "is nothing that this program knows here".to_owned(),
                instead: "look what it means there, and write it by hand".to_owned(),
                was: Some(value),
            };
            findings.insert((path, String::new()), finding);
        }
        findings.into_values().collect()
    }

    /// The largest parts of a value that were not read; whether any of it was.
    fn collect(&self, value: &Value, path: &Path, unread: &mut Vec<(Path, Value)>) -> bool {
        if self.read.borrow().contains(path) {
            return true;
        }
        let inside: Vec<(Path, &Value)> = match value {
            Value::Object(fields) => {
                fields.iter().map(|(key, value)| (path.join(Segment::Key(key.clone())), value)).collect()
            }
            Value::Array(list) => {
                list.iter().enumerate().map(|(index, value)| (path.join(Segment::Index(index)), value)).collect()
            }
            _ => Vec::new(),
        };
        let mut found = Vec::new();
        let was_read: Vec<bool> = inside.iter().map(|(path, value)| self.collect(value, path, &mut found)).collect();
        if was_read.contains(&true) {
            unread.extend(found);
            return true;
        }
        unread.push((path.clone(), value.clone()));
        false
    }
}

/// A value of the document. To read it is to answer for it: what is read must reach the Workflow or the report.
#[derive(Clone, Debug)]
pub struct Node<'s> {
    path: Path,
    value: &'s Value,
    source: &'s Source,
}

impl<'s> Node<'s> {
    /// A field, if it is there and not null.
    pub fn get(&self, key: &str) -> Option<Self> {
        let value = self.value.get(key)?;
        let node = Self { path: self.path.join(Segment::Key(key.to_owned())), value, source: self.source };
        if value.is_null() {
            node.mark();
            return None;
        }
        Some(node)
    }

    /// The elements of a list; none when it is no list.
    pub fn items(&self) -> Vec<Self> {
        let list = self.value.as_array().map(Vec::as_slice).unwrap_or_default();
        if self.value.as_array().is_some_and(Vec::is_empty) {
            self.mark();
        }
        let node = |(index, value)| Self { path: self.path.join(Segment::Index(index)), value, source: self.source };
        list.iter().enumerate().map(node).collect()
    }

    /// The elements of a list that is a field.
    pub fn list(&self, key: &str) -> Vec<Self> {
        self.get(key).map(|node| node.items()).unwrap_or_default()
    }

    /// The fields of an object; none when it is no object.
    pub fn entries(&self) -> Vec<(&'s str, Self)> {
        let Some(fields) = self.value.as_object() else { return Vec::new() };
        if fields.is_empty() {
            self.mark();
        }
        fields.keys().filter_map(|key| Some((key.as_str(), self.get(key)?))).collect()
    }

    /// The text, when it is one.
    pub fn as_text(&self) -> Option<&'s str> {
        let text = self.value.as_str()?;
        self.mark();
        Some(text)
    }

    /// The text of a field.
    pub fn text(&self, key: &str) -> Option<&'s str> {
        self.get(key)?.as_text()
    }

    /// Text, number or truth value of a field, as text.
    pub fn scalar(&self, key: &str) -> Option<String> {
        self.get(key)?.as_scalar()
    }

    /// Text, number or truth value, as text.
    pub fn as_scalar(&self) -> Option<String> {
        let text = match self.value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => self.value.to_string(),
            _ => return None,
        };
        self.mark();
        Some(text)
    }

    /// A whole number, also as text.
    pub fn as_number(&self) -> Option<i64> {
        let number = self.value.as_i64().or_else(|| self.value.as_str()?.trim().parse().ok())?;
        self.mark();
        Some(number)
    }

    /// A whole number of a field.
    pub fn number(&self, key: &str) -> Option<i64> {
        self.get(key)?.as_number()
    }

    /// A truth value of a field.
    pub fn truth(&self, key: &str) -> Option<bool> {
        let node = self.get(key)?;
        let truth = node.value.as_bool()?;
        node.mark();
        Some(truth)
    }

    /// The value with all that is in it.
    pub fn whole(&self) -> &'s Value {
        self.mark();
        self.value
    }

    /// Where it stands.
    pub fn path(&self) -> String {
        self.path.to_string()
    }

    /// The value, without answering for it.
    pub fn peek(&self) -> &'s Value {
        self.value
    }

    /// Tells that this is not carried over, and what to do instead.
    pub fn leave(&self, what: impl Into<String>, instead: impl Into<String>) {
        self.mark();
        self.tell(Severity::LeftOut, what.into(), instead.into(), Some(self.value.clone()));
    }

    /// Tells that this takes another form, and what to know of it.
    pub fn change(&self, what: impl Into<String>, instead: impl Into<String>) {
        self.mark();
        self.tell(Severity::Changed, what.into(), instead.into(), Some(self.value.clone()));
    }

    /// Tells that this is of no meaning any more; what it was is not repeated.
    pub fn forget(&self, what: impl Into<String>, instead: impl Into<String>) {
        self.mark();
        self.tell(Severity::Changed, what.into(), instead.into(), None);
    }

    /// Tells something about this without answering for what is in it.
    pub fn note(&self, severity: Severity, what: impl Into<String>, instead: impl Into<String>) {
        self.tell(severity, what.into(), instead.into(), None);
    }

    /// Tells of each of the fields that is there why it is not carried over.
    pub fn leave_fields(&self, fields: &[(&str, &str, &str)]) {
        for (key, what, instead) in fields {
            if let Some(node) = self.get(key) {
                node.leave(*what, *instead);
            }
        }
    }

    fn mark(&self) {
        self.source.read.borrow_mut().insert(self.path.clone());
    }

    fn tell(&self, severity: Severity, what: String, instead: String, was: Option<Value>) {
        let key = (self.path.clone(), what.clone());
        let finding = Finding { severity, path: self.path.clone(), what, instead, was };
        self.source.findings.borrow_mut().insert(key, finding);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(source: Source) -> Vec<String> {
        source.finish().iter().map(|finding| finding.path.to_string()).collect()
    }

    #[test]
    fn what_is_not_read_is_told_with_the_largest_part_that_was_not() {
        let source = Source::new(json!({"a": 1, "b": {"c": [1, 2], "d/e": {}}, "f": [{"g": 1, "h": 2}], "i": null}));
        let root = source.root();
        assert_eq!(root.number("a"), Some(1));
        assert_eq!(root.list("f")[0].number("g"), Some(1));
        assert_eq!(told(source), ["b", "f[0].h", "i"]);
    }

    #[test]
    fn a_value_of_another_type_is_told_and_not_taken_for_read() {
        let source = Source::new(json!({"name": ["a"], "limit": "three", "on": "yes"}));
        let root = source.root();
        assert_eq!((root.text("name"), root.number("limit"), root.truth("on")), (None, None, None));
        assert!(root.scalar("name").is_none());
        // Nothing at all was read, so it is the document that is told.
        assert_eq!(told(source), [""]);
    }

    #[test]
    fn an_empty_list_is_read_by_going_through_it() {
        let source = Source::new(json!({"a": [], "b": {}, "c": {}, "d": null}));
        let root = source.root();
        assert!(root.list("a").is_empty() && root.get("b").unwrap().entries().is_empty() && root.get("d").is_none());
        assert_eq!(told(source), ["c"]);
    }

    #[test]
    fn what_is_left_or_changed_is_told_once() {
        let source = Source::new(json!({"a": {"b": 1}, "c": 2}));
        let root = source.root();
        for _ in 0..2 {
            root.get("a").unwrap().leave("is odd", "write it otherwise");
            root.get("c").unwrap().change("is another thing", "mind the difference");
        }
        let findings = source.finish();
        assert_eq!(findings.len(), 2);
        assert_eq!(findings[0].was, Some(json!({"b": 1})));
        assert!(findings[0].path.covers(&findings[0].path));
    }
}
