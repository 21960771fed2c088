//! Workflows that a document starts: runs of the Workflows that come of those.

use serde_json::{Map, Value};
use tetrarch_crds::{
    shared::{AnyJson, DurationText},
    workflow::{Step, SubWorkflow},
};

use super::{
    super::{Severity, source::Node, text},
    Importer, expression,
    flow::Flow,
};

impl<'s> Importer<'s> {
    /// A run of another Workflow as a step.
    pub(super) fn started(&mut self, name: &str, run: &Node<'s>, flow: Flow, timeout: Option<String>) -> Flow {
        let Some(called) = run.get("workflow") else { return flow };
        let wanted = text::label(called.text("name").unwrap_or_default());
        called.leave_fields(&[
            ("namespace", "is the namespace of a workflow", "write it into the namespace of this one"),
            (
                "version",
                "is the version of a workflow",
                "write that version as the Workflow, or under a name of its own",
            ),
        ]);
        called.note(
            Severity::Changed,
            "is a workflow that the engine itself starts",
            format!("it is a run of the Workflow {wanted:?}: import that document under this name"),
        );
        if run.truth("await") == Some(false) {
            run.note(
                Severity::LeftOut,
                "is not waited for",
                "the step ends when that run has ended; write it as a trigger of the other Workflow to begin it and go on",
            );
        }
        let parameters = called.get("input").map(|input| parameters(&input, &flow)).unwrap_or_default();
        let name = self.draft.name(name);
        let called = SubWorkflow {
            name: wanted,
            parameters: parameters.into_iter().map(|(name, value)| (text::identifier(&name), AnyJson(value))).collect(),
            retry: None,
        };
        let step = Step { workflow: Some(called), timeout: timeout.map(DurationText), ..Step::default() };
        self.push(&name, step, flow)
    }
}

/// What the run is given, by name.
fn parameters(input: &Node<'_>, flow: &Flow) -> Map<String, Value> {
    if let Value::Object(fields) = expression::value(input, &flow.data, &flow.variables).to_value() {
        return fields;
    }
    input.leave("gives a run something without names", "write it as a parameter of the other Workflow");
    Map::new()
}
