//! Templates of other manifests: runs of the Workflows that come of those.

use tetrarch_crds::{
    shared::AnyJson,
    workflow::{Step, SubWorkflow},
};

use super::{
    super::{source::Node, text},
    Importer,
    graph::{Place, Reached},
    scope::Produced,
};

impl<'s> Importer<'s> {
    /// A call of a template of another manifest. Where a run cannot stand, it is a task for a capability of its name.
    pub(super) fn elsewhere(&mut self, reference: &Node<'s>, place: Place) -> Reached {
        let written = |key: &str| reference.peek()[key].as_str().map(str::to_owned);
        let template = written("template").unwrap_or_else(|| "template".to_owned());
        let name = written("name").map(|name| text::label(&name)).filter(|name| !self.draft.is_called(name));
        let (Some(name), None, true) = (name, &place.fan, place.inputs.artifacts.is_empty()) else {
            let capability = text::label(&template);
            reference.leave(
                "calls a template of another manifest",
                format!("it is a task for the capability {capability:?}: write an AgentPool that does the same, or import the other manifest"),
            );
            return self.stand_in(&capability, place);
        };
        reference.change(
            "calls a template of another manifest",
            format!("it is a run of the Workflow {name:?}: import that manifest under this name, with the entrypoint {template:?}; what it declares as outputs are the fields of its output"),
        );
        let parameters = place.inputs.parameters.iter();
        let parameters = parameters.map(|(name, value)| (text::identifier(name), AnyJson(value.to_value()))).collect();
        let called = SubWorkflow { name, parameters, retry: None };
        let name = self.draft.name(&place.name);
        self.draft.push(Step {
            name: name.clone(),
            after: place.after,
            when: place.when,
            workflow: Some(called),
            ..Step::default()
        });
        Reached { last: vec![name.clone()], produced: Produced::Step { name, is_list: false } }
    }
}
