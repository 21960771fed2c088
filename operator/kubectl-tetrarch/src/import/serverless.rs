//! Serverless Workflow documents of the DSL 1.0: what stands around the tasks.

mod data;
mod each;
mod expression;
mod flow;
mod jq;
mod policy;
mod reach;
mod schedule;
mod started;

mod work;

use std::collections::BTreeSet;

use tetrarch_crds::workflow::{Retry, StartPolicy};

use self::{
    data::Data,
    flow::{Flow, Leaving},
    jq::Variables,
};
use super::{Error, Severity, draft::Draft, source::Node, text};

/// What a conversion knows.
struct Importer<'s> {
    draft: Draft,
    /// What the document defines once and uses by name.
    shared: Option<Node<'s>>,
    /// Shared definitions that something uses, as `retries.x`.
    used: BTreeSet<String>,
    /// What repeats the tasks that are converted now.
    retry: Option<Retry>,
    /// Ends of the run other than the last task.
    ends: Vec<Leaving>,
}

/// Fields of a document that are not carried over.
const DOCUMENT: [(&str, &str, &str); 1] =
    [("evaluate", "configures how expressions are evaluated", "all expressions are CEL here")];

/// Shared definitions that are not carried over.
const SHARED: [(&str, &str, &str); 4] = [
    ("authentications", "are credentials for services", "give them to the agents that call the services, as Secrets"),
    (
        "secrets",
        "are secrets that expressions read",
        "give them to the agents that need them; no secret is ever in a task",
    ),
    ("extensions", "are tasks around other tasks", "write them as steps, or let the agents do it"),
    ("catalogs", "are places where functions are defined", "write an AgentPool for each function that is called"),
];

/// Converts a document.
pub fn convert(root: &Node<'_>) -> Result<(String, Draft), Error> {
    let document = root.get("document").ok_or_else(|| Error::at(root, "has no document"))?;
    let dsl = document.text("dsl").unwrap_or_default();
    if !dsl.starts_with("1.") {
        return Err(Error::at(&document, format!("is of DSL {dsl:?}: convert it to 1.0 first")));
    }
    let name = document.text("name").ok_or_else(|| Error::at(&document, "has no name: write one"))?;
    let mut draft = Draft::new(name, document.text("namespace"))?;
    draft.start(StartPolicy::OnRequest);
    for key in ["version", "title", "summary", "tags", "metadata"] {
        if let Some(node) = document.get(key) {
            node.change(
                "describes the document",
                "it stands in this comment only; write labels and annotations as you need them",
            );
        }
    }
    root.leave_fields(&DOCUMENT);
    let shared = root.get("use");
    let mut importer = Importer { draft, shared, used: BTreeSet::new(), retry: None, ends: Vec::new() };
    importer.convert(root)?;
    Ok((format!("the Serverless Workflow {name:?} of DSL {dsl}"), importer.draft))
}

impl<'s> Importer<'s> {
    fn convert(&mut self, root: &Node<'s>) -> Result<(), Error> {
        let variables = Variables::default();
        let input = self.input(root, &variables);
        if let Some(timeout) = root.get("timeout").and_then(|timeout| self.timeout(&timeout)) {
            self.draft.time_out(timeout);
        }
        let tasks = root.get("do").ok_or_else(|| Error::at(root, "has no do: write the tasks"))?;
        let start = Flow::new(input, variables);
        let end = self.tasks(&tasks, start)?;
        let mut leaving = std::mem::take(&mut self.ends);
        leaving.push(Leaving { reach: end.reach.clone(), data: end.data.clone(), context: end.context.clone() });
        let merged = flow::merge(&leaving);
        let mut output = merged.data;
        if let Some(node) = root.get("output") {
            let variables = end.variables.with("context", merged.context);
            output = expression::transformed(&node, "as", output, &variables);
        }
        if output != Data::Input(Vec::new()) && output != Data::Constant(serde_json::Value::Null) {
            self.draft.output(output.to_value());
        }
        for name in self.draft.parameters_read() {
            self.draft.parameter(&name, None);
        }
        if let Some(schedule) = root.get("schedule") {
            schedule::carry_over(&schedule, &mut self.draft);
        }
        self.rest_of_shared();
        root.note(
            Severity::Changed,
            "has its expressions in jq",
            "they are CEL here, where to read a field that is not there is an error and no null",
        );
        Ok(())
    }

    /// What the run is given, as the first task sees it.
    fn input(&mut self, root: &Node<'s>, variables: &Variables) -> Data {
        let Some(input) = root.get("input") else { return Data::Input(Vec::new()) };
        if let Some(schema) = input.get("schema") {
            let document = schema.peek()["document"].clone();
            let properties = document["properties"].as_object().cloned().unwrap_or_default();
            for (name, property) in &properties {
                self.draft.parameter(&text::identifier(name), property.get("default").cloned());
            }
            schema.change(
                "describes what a run is given",
                "its properties are parameters; let the first agent refuse what does not fit",
            );
        }
        expression::transformed(&input, "from", Data::Input(Vec::new()), variables)
    }

    fn rest_of_shared(&mut self) {
        let Some(shared) = self.shared.clone() else { return };
        shared.leave_fields(&SHARED);
        for (kind, node) in shared.entries() {
            if SHARED.iter().any(|(known, ..)| *known == kind)
                || !["functions", "retries", "timeouts", "errors"].contains(&kind)
            {
                continue;
            }
            for (name, definition) in node.entries() {
                if !self.used.contains(&format!("{kind}.{name}")) {
                    definition.leave("is used by no task", "leave it away");
                } else if kind == "functions" {
                    definition.change(
                        "is a function that tasks call",
                        format!("write an AgentPool with the capability {:?} that does the same", text::label(name)),
                    );
                }
            }
        }
    }
}
