//! The Workflow that an import puts together, and whether the API server and the webhook would take it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tetrarch_core::expression::{Expression, Template, Vocabulary};
use tetrarch_crds::{
    Workflow,
    shared::{AnyJson, DurationText, NameRef},
    workflow::{AgentSelector, FailurePolicy, Parameter, Retry, Schedule, StartPolicy, Step, Task, WorkflowSpec},
};
use tetrarch_plan::parse;

use super::{Error, text};
use crate::manifest::schema;

/// A Workflow in the making.
#[derive(Debug)]
pub struct Draft {
    name: String,
    namespace: Option<String>,
    labels: Vec<(String, String)>,
    annotations: Vec<(String, String)>,
    spec: WorkflowSpec,
    names: BTreeSet<String>,
    is_suspended: bool,
}

impl Draft {
    /// An empty one.
    pub fn new(name: &str, namespace: Option<&str>) -> Result<Self, Error> {
        let spec = serde_json::from_value(json!({"steps": []})).map_err(|error| Error::Refused(error.to_string()))?;
        Ok(Self {
            name: text::label(name),
            namespace: namespace.map(text::label),
            labels: Vec::new(),
            annotations: Vec::new(),
            spec,
            names: BTreeSet::new(),
            is_suspended: false,
        })
    }

    /// Adds a label.
    pub fn label(&mut self, key: &str, value: String) {
        self.labels.push((key.to_owned(), value));
    }

    /// Adds an annotation.
    pub fn annotate(&mut self, key: &str, value: String) {
        self.annotations.push((key.to_owned(), value));
    }

    /// Says when runs start.
    pub fn start(&mut self, start: StartPolicy) {
        self.spec.start = start;
    }

    /// Says at which times runs begin by themselves.
    pub fn schedule(&mut self, schedule: Schedule) {
        self.spec.schedule = Some(schedule);
    }

    /// Says that no run begins by itself for now.
    pub const fn suspend(&mut self) {
        self.is_suspended = true;
    }

    /// Whether no run begins by itself for now.
    pub const fn is_suspended(&self) -> bool {
        self.is_suspended
    }

    /// A parameter that a run has to be given.
    pub fn lacks_a_value(&self) -> Option<String> {
        let without = self.spec.parameters.iter().find(|parameter| parameter.value.is_none());
        without.map(|parameter| parameter.name.clone())
    }

    /// Whether this is its own name.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name
    }

    /// Says how long a run may take.
    pub fn time_out(&mut self, duration: String) {
        self.spec.timeout = Some(DurationText(duration));
    }

    /// Says what follows from a step that failed.
    pub fn on_failure(&mut self, policy: FailurePolicy) {
        self.spec.on_failure = policy;
    }

    /// Says what a run yields.
    pub fn output(&mut self, output: Value) {
        self.spec.output = Some(AnyJson(output));
    }

    /// Adds a parameter, once.
    pub fn parameter(&mut self, name: &str, value: Option<Value>) {
        if !self.spec.parameters.iter().any(|known| known.name == name) {
            self.spec.parameters.push(Parameter { name: name.to_owned(), value: value.map(AnyJson) });
        }
    }

    /// The value that a parameter has so far.
    pub fn value_of(&mut self, parameter: &str) -> Option<&mut Value> {
        let found = self.spec.parameters.iter_mut().find(|known| known.name == parameter)?;
        found.value.as_mut().map(|value| &mut value.0)
    }

    /// A name for a step that no other step has.
    pub fn name(&mut self, wanted: &str) -> String {
        let label = text::label(wanted);
        let mut name = label.clone();
        let mut number = 2;
        while !self.names.insert(name.clone()) {
            let end = format!("-{number}");
            name = format!("{}{end}", label.chars().take(63 - end.len()).collect::<String>());
            number += 1;
        }
        name
    }

    /// Adds a step.
    pub fn push(&mut self, step: Step) {
        self.spec.steps.push(step);
    }

    /// The steps that no other step waits for.
    pub fn ends(&self) -> Vec<String> {
        let is_last = |name: &String| !self.spec.steps.iter().any(|step| step.after.contains(name));
        self.spec.steps.iter().map(|step| step.name.clone()).filter(is_last).collect()
    }

    /// The parameters that expressions read.
    pub fn parameters_read(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        if let Ok(spec) = serde_json::to_value(&self.spec) {
            read("", &spec, &mut found);
        }
        found
    }

    /// The Workflow, when it is one that would be accepted.
    pub fn finish(self, supervisor: Option<&str>) -> Result<Workflow, Error> {
        let Self { name, namespace, labels, annotations, mut spec, .. } = self;
        if spec.steps.is_empty() {
            return Err(Error::Refused("nothing in it is work for an agent, so there would be no step".to_owned()));
        }
        spec.supervisor_ref = supervisor.map(|name| NameRef { name: name.to_owned() });
        if spec.parameters.iter().any(|parameter| parameter.value.is_none()) {
            spec.start = StartPolicy::OnRequest;
        }
        let mut workflow = Workflow::new(&name, spec);
        workflow.metadata.namespace = namespace;
        workflow.metadata.labels =
            Some(labels.into_iter().collect()).filter(|labels: &std::collections::BTreeMap<_, _>| !labels.is_empty());
        workflow.metadata.annotations = Some(annotations.into_iter().collect())
            .filter(|found: &std::collections::BTreeMap<_, _>| !found.is_empty());
        check(&workflow)?;
        Ok(workflow)
    }
}

fn read(key: &str, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if ["when", "expression"].contains(&key) => {
            if let Ok(expression) = Expression::compile(text, Vocabulary::Workflow) {
                found.extend(expression.references().parameters.iter().cloned());
            }
        }
        Value::String(_) => {
            let (readings, _) = Template::inspect(value);
            found.extend(readings.into_iter().flat_map(|reading| reading.references.parameters));
        }
        Value::Array(list) => list.iter().for_each(|element| read("", element, found)),
        Value::Object(fields) => fields.iter().for_each(|(key, value)| read(key, value, found)),
        _ => {}
    }
}

/// Asks the schema and the parser that the webhook asks.
fn check(workflow: &Workflow) -> Result<(), Error> {
    let mut manifest = serde_json::to_value(workflow).map_err(|error| Error::Refused(error.to_string()))?;
    let misfits = schema::admit(&mut manifest).into_iter().map(|(field, message)| format!("{field}: {message}"));
    let mut wrong: Vec<String> = misfits.collect();
    if let Err(violations) = parse::workflow::definition(workflow) {
        wrong.extend(violations.iter().map(ToString::to_string));
    }
    if wrong.is_empty() { Ok(()) } else { Err(Error::Refused(wrong.join("\n       "))) }
}

/// A task for any agent with a capability.
pub fn task(capability: &str, input: Value) -> Task {
    Task {
        agent: AgentSelector { capability: Some(text::label(capability)), ..AgentSelector::default() },
        input: Some(AnyJson(input)).filter(|input| !input.0.is_null() && input.0 != json!({})),
        timeout: None,
        retry: Retry { limit: 0, ..Retry::default() },
        hand_over: None,
    }
}
