//! What `{{…}}` means at a place of an Argo manifest, as CEL.

use std::{collections::BTreeMap, rc::Rc};

use serde_json::{Map, Value};

use super::super::{
    Error, Severity,
    source::Node,
    text::{self, Template},
};

/// What a template was given.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    pub parameters: BTreeMap<String, Template>,
    pub artifacts: BTreeMap<String, Value>,
}

/// What a step leaves for others.
#[derive(Clone, Debug)]
pub enum Produced {
    /// The output of one step, or of each of its items.
    Step { name: String, is_list: bool },
    /// What a template of several steps declares.
    Nested { parameters: BTreeMap<String, Template>, artifacts: BTreeMap<String, Template>, last: Vec<String> },
}

/// The variables at a place.
#[derive(Clone, Debug)]
pub struct Scope {
    pub inputs: Inputs,
    pub steps: BTreeMap<String, Produced>,
    /// What the item of a list is called in CEL.
    pub item: Option<&'static str>,
    /// Names of the parameters of the workflow, each with its name in expressions.
    pub parameters: Rc<BTreeMap<String, String>>,
}

impl Scope {
    /// A place that only knows the parameters of the workflow.
    pub fn new(parameters: Rc<BTreeMap<String, String>>) -> Self {
        Self { inputs: Inputs::default(), steps: BTreeMap::new(), item: None, parameters }
    }

    /// What a text says; tags that mean nothing here stay as they are, and are told.
    pub fn render(&self, text: &str, node: &Node<'_>) -> Template {
        let mut template = Template::default();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("{{") {
            template.push_text(before);
            let Some((tag, after)) = behind.split_once("}}") else {
                template.push_text("{{");
                rest = behind;
                continue;
            };
            if let Some(value) = self.resolve(tag.trim()) {
                template.push(&value);
            } else {
                unknown(tag.trim(), node);
                template.push_text(&format!("{{{{{tag}}}}}"));
            }
            rest = after;
        }
        template.push_text(rest);
        template
    }

    /// A value with everything in it that is text.
    pub fn value(&self, value: &Value, node: &Node<'_>) -> Value {
        match value {
            Value::String(text) => self.render(text, node).to_value(),
            Value::Array(list) => list.iter().map(|element| self.value(element, node)).collect(),
            Value::Object(fields) => {
                let fields = fields.iter().map(|(key, value)| (key.clone(), self.value(value, node)));
                Value::Object(fields.collect::<Map<String, Value>>())
            }
            other => other.clone(),
        }
    }

    /// The meaning of a tag, if it has one here.
    pub fn resolve(&self, tag: &str) -> Option<Template> {
        if let Some(item) = self.item
            && let Some(path) = tag.strip_prefix("item")
        {
            if path.is_empty() {
                return Some(Template::cel(item));
            }
            let keys = path.strip_prefix('.')?.split('.');
            return Some(Template::cel(keys.fold(item.to_owned(), |base, key| text::field(&base, key))));
        }
        if let Some(name) = tag.strip_prefix("inputs.parameters.") {
            return self.inputs.parameters.get(name).cloned();
        }
        if let Some(name) = tag.strip_prefix("workflow.parameters.") {
            return Some(Template::cel(text::field("params", self.parameters.get(name)?)));
        }
        match tag {
            "workflow.parameters" | "workflow.parameters.json" => return Some(Template::cel("params")),
            "workflow.name" | "workflow.uid" => return Some(Template::cel("run.id")),
            _ => {}
        }
        let step = tag.strip_prefix("tasks.").or_else(|| tag.strip_prefix("steps."))?;
        let (name, output) = step.split_once('.')?;
        self.steps.get(name)?.read(output)
    }
}

impl Produced {
    fn read(&self, output: &str) -> Option<Template> {
        let (kind, key) = output.strip_prefix("outputs.").map_or((output, None), |rest| match rest.split_once('.') {
            Some((kind, key)) => (kind, Some(key)),
            None => (rest, None),
        });
        match (self, kind, key) {
            (Self::Step { name, .. }, "status", None) => Some(Template::cel(text::step(name, "phase"))),
            (Self::Step { name, is_list: true }, "parameters", None) => Some(Template::cel(text::step(name, "output"))),
            (Self::Step { name, is_list }, "result" | "parameters" | "artifacts", key) => {
                let key = key.unwrap_or("result");
                let output = text::step(name, "output");
                Some(Template::cel(if *is_list {
                    format!("{output}.map(one, {})", text::field("one", key))
                } else {
                    text::field(&output, key)
                }))
            }
            (Self::Nested { last, .. }, "status", None) => match last.as_slice() {
                [only] => Some(Template::cel(text::step(only, "phase"))),
                _ => None,
            },
            (Self::Nested { parameters, .. }, "parameters", Some(key)) => parameters.get(key).cloned(),
            (Self::Nested { artifacts, .. }, "artifacts", Some(key)) => artifacts.get(key).cloned(),
            _ => None,
        }
    }
}

fn unknown(tag: &str, node: &Node<'_>) {
    let instead = if tag.starts_with('=') {
        "write the expression as CEL inside of ${…}; until then its text stands there"
    } else {
        "nothing here has this value, so the text stands there as it is: give it to the run as a parameter, or leave it away"
    };
    node.note(Severity::LeftOut, format!("reads {{{{{tag}}}}}"), instead);
}

/// What a template gets: the arguments of the call, or else its own defaults.
pub fn bind(
    template: &Node<'_>,
    given: &Inputs,
    arguments: Option<&Node<'_>>,
    caller: &Scope,
) -> Result<Inputs, Error> {
    let mut inputs = Inputs::default();
    let mut given = given.clone();
    let declared = template.get("inputs");
    let names = |list: &str| -> Vec<String> {
        let declared = declared.as_ref().map(|inputs| inputs.list(list)).unwrap_or_default();
        declared.iter().filter_map(|input| input.scalar("name")).collect()
    };
    let (parameters, artifacts) = (names("parameters"), names("artifacts"));
    if let Some(arguments) = arguments {
        for parameter in arguments.list("parameters") {
            let Some(name) = parameter.text("name") else { continue };
            if !parameters.iter().any(|known| known == name) {
                parameter.leave("gives what the template does not declare", "declare it there, or leave it away");
                continue;
            }
            parameter.leave_fields(&super::pods::PARAMETER);
            if let Some(value) = parameter.get("value") {
                given.parameters.insert(name.to_owned(), rendered(&value, caller));
            }
        }
        for artifact in arguments.list("artifacts") {
            if !artifact.scalar("name").is_some_and(|name| artifacts.contains(&name)) {
                artifact.leave("gives what the template does not declare", "declare it there, or leave it away");
            } else if let Some((name, value)) = artifact_of(&artifact, caller) {
                given.artifacts.insert(name, value);
            }
        }
    }
    for parameter in declared.as_ref().map(|inputs| inputs.list("parameters")).unwrap_or_default() {
        let Some(name) = parameter.text("name") else { continue };
        parameter.leave_fields(&super::pods::PARAMETER);
        let own = parameter.get("value").or_else(|| parameter.get("default"));
        let own = own.map(|own| rendered(&own, caller));
        let value = given.parameters.remove(name).or(own);
        let value = value.ok_or_else(|| {
            Error::at(&parameter, format!("{name:?} has no value: give one in the call, or write a default"))
        })?;
        inputs.parameters.insert(name.to_owned(), value);
    }
    for artifact in declared.as_ref().map(|inputs| inputs.list("artifacts")).unwrap_or_default() {
        let Some((name, own)) = artifact_of(&artifact, caller) else { continue };
        let is_default = !own.is_null();
        let value = match given.artifacts.remove(&name) {
            Some(given) if is_default => {
                artifact.change("is a default that the call replaces", "nothing is to be done");
                given
            }
            Some(given) => given,
            None => own,
        };
        if !value.is_null() {
            inputs.artifacts.insert(name, value);
        }
    }
    Ok(inputs)
}

fn rendered(value: &Node<'_>, scope: &Scope) -> Template {
    match value.whole() {
        Value::String(text) => scope.render(text, value),
        other => Template::text(&other.to_string()),
    }
}

/// An artifact by name: what another step left, its text, or where it is.
fn artifact_of(artifact: &Node<'_>, scope: &Scope) -> Option<(String, Value)> {
    let name = artifact.text("name")?.to_owned();
    if let Some(from) = artifact.get("from") {
        let text = from.as_text()?;
        artifact.leave_fields(&super::pods::ARTIFACT);
        return Some((name, scope.render(text, &from).to_value()));
    }
    if let Some(raw) = artifact.get("raw") {
        let data = raw.get("data")?;
        artifact.leave_fields(&super::pods::ARTIFACT);
        return Some((name, scope.render(data.as_text()?, &data).to_value()));
    }
    artifact.leave_fields(&super::pods::ARTIFACT);
    let mut location = Map::new();
    for key in ["s3", "gcs", "git", "http", "artifactory", "oss", "azure", "hdfs", "plugin"] {
        if let Some(value) = artifact.get(key) {
            location.insert(key.to_owned(), scope.value(value.whole(), &value));
        }
    }
    if location.is_empty() {
        return Some((name, Value::Null));
    }
    artifact.note(
        Severity::Changed,
        "is where an artifact is",
        "the agent gets the place as its input and fetches it itself",
    );
    Some((name, Value::Object(location)))
}
