//! Argo Workflows: the manifest around the templates.

mod condition;
mod cron;
mod depends;
mod elsewhere;
mod fan;
mod graph;
mod leaf;
mod pods;
mod retry;
mod scope;

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use tetrarch_crds::workflow::StartPolicy;

use self::{
    graph::Place,
    scope::{Inputs, Scope},
};
use super::{
    Error,
    draft::Draft,
    source::Node,
    text::{self, Template},
};

/// What a conversion knows.
struct Importer<'s> {
    draft: Draft,
    templates: BTreeMap<&'s str, Node<'s>>,
    /// Templates that a step calls.
    called: BTreeSet<String>,
    /// Parameters of the workflow, with their names in expressions.
    parameters: Rc<BTreeMap<String, String>>,
    /// What retries a template that does not say so itself.
    retry: Option<Node<'s>>,
    /// Pods at once.
    parallelism: Option<i64>,
    /// Whether other manifests may call it, and read what it yields.
    is_to_be_called: bool,
}

/// Converts a manifest of any kind that holds templates.
pub fn convert(root: &Node<'_>) -> Result<(String, Draft), Error> {
    let kind = root.text("kind").unwrap_or_default();
    let version = root.text("apiVersion").unwrap_or_default();
    let holder = root.get("spec").ok_or_else(|| Error::at(root, "has no spec: write one with templates"))?;
    let (spec, start) = match kind {
        "Workflow" => (holder.clone(), StartPolicy::OnApply),
        "WorkflowTemplate" | "ClusterWorkflowTemplate" => (holder.clone(), StartPolicy::OnRequest),
        "CronWorkflow" => {
            let spec = holder.get("workflowSpec");
            let spec =
                spec.ok_or_else(|| Error::at(&holder, "has no workflowSpec: write the workflow that is to run"))?;
            (spec, StartPolicy::OnRequest)
        }
        _ => {
            let known = "Workflow, WorkflowTemplate, ClusterWorkflowTemplate or CronWorkflow";
            return Err(Error::Format(format!("is an Argo {kind}, which holds no steps: give a {known}")));
        }
    };
    let (name, mut draft) = metadata(root)?;
    draft.start(start);
    if let Some(status) = root.get("status") {
        status.forget("is what Argo knows of its own run", "the runs of the Workflow begin anew");
    }
    let mut importer = Importer {
        draft,
        templates: BTreeMap::new(),
        called: BTreeSet::new(),
        parameters: Rc::default(),
        retry: None,
        parallelism: spec.number("parallelism"),
        is_to_be_called: kind.ends_with("Template"),
    };
    importer.convert(&spec)?;
    if kind == "CronWorkflow" {
        cron::carry_over(&holder, &mut importer.draft);
    }
    Ok((format!("the {kind} {name:?} of {version}"), importer.draft))
}

fn metadata(root: &Node<'_>) -> Result<(String, Draft), Error> {
    let missing = || Error::at(root, "has no metadata.name: write one");
    let metadata = root.get("metadata").ok_or_else(missing)?;
    let prefix = || metadata.text("generateName").map(|prefix| prefix.trim_end_matches('-').to_owned());
    let name = metadata.text("name").map(str::to_owned).or_else(prefix).ok_or_else(missing)?;
    let mut draft = Draft::new(&name, metadata.text("namespace"))?;
    for (key, value) in metadata.get("labels").map(|labels| labels.entries()).unwrap_or_default() {
        if key.contains("argoproj.io/") {
            value.leave("is a label that only Argo reads", "leave it away");
        } else if let Some(text) = value.as_text() {
            draft.label(key, text.to_owned());
        }
    }
    for (key, value) in metadata.get("annotations").map(|found| found.entries()).unwrap_or_default() {
        if key.contains("argoproj.io/") || key.starts_with("kubectl.kubernetes.io/") {
            value.leave("is an annotation that only Argo or kubectl reads", "leave it away");
        } else if let Some(text) = value.as_text() {
            draft.annotate(key, text.to_owned());
        }
    }
    for key in
        ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink", "ownerReferences"]
    {
        if let Some(node) = metadata.get(key) {
            node.forget("is written by the API server", "it writes its own into the Workflow");
        }
    }
    Ok((name, draft))
}

impl<'s> Importer<'s> {
    fn convert(&mut self, spec: &Node<'s>) -> Result<(), Error> {
        if let Some(reference) = spec.get("workflowTemplateRef") {
            return Err(Error::at(
                &reference,
                "takes the templates from another manifest: import that one, and give its parameters to the run",
            ));
        }
        let templates = spec.list("templates");
        for template in &templates {
            let name = template.text("name");
            let name = name.ok_or_else(|| Error::at(template, "has no name: write one, so that steps can call it"))?;
            self.templates.insert(name, template.clone());
        }
        self.parameters(spec);
        self.settings(spec);
        let entry = spec.text("entrypoint").ok_or_else(|| {
            Error::at(spec, "has no entrypoint: write the name of the template to begin with, or import each template's own workflow")
        })?;
        let template = self.templates.get(entry).cloned();
        let template =
            template.ok_or_else(|| Error::at(spec, format!("names the entrypoint {entry:?}, which is no template")))?;
        let scope = Scope::new(Rc::clone(&self.parameters));
        let inputs = self.entry_inputs(&template, &scope)?;
        let place = Place { name: entry.to_owned(), inputs, ..Place::default() };
        let reached = self.template(&template, place)?;
        match &reached.produced {
            scope::Produced::Nested { parameters, .. } if !parameters.is_empty() => {
                let output = parameters.iter().map(|(name, value)| (name.clone(), value.to_value()));
                self.draft.output(serde_json::Value::Object(output.collect()));
            }
            scope::Produced::Step { name, .. } if self.is_to_be_called => {
                self.draft.output(Template::cel(text::step(name, "output")).to_value());
            }
            _ => {}
        }
        if let Some(handler) = spec.get("onExit") {
            self.exit_handler(&handler, &scope)?;
        }
        for (name, template) in &self.templates {
            if !self.called.contains(*name) {
                template.leave("is called by no step", "import it by itself when something else needs it");
            }
        }
        Ok(())
    }

    /// What the first template reads comes from the arguments of the workflow.
    fn entry_inputs(&self, template: &Node<'s>, scope: &Scope) -> Result<Inputs, Error> {
        let mut given = Inputs::default();
        for (name, identifier) in self.parameters.iter() {
            given.parameters.insert(name.clone(), Template::cel(text::field("params", identifier)));
        }
        scope::bind(template, &given, None, scope)
    }

    fn parameters(&mut self, spec: &Node<'s>) {
        let Some(arguments) = spec.get("arguments") else { return };
        let mut names = BTreeMap::new();
        for parameter in arguments.list("parameters") {
            let Some(name) = parameter.text("name") else { continue };
            let identifier = text::identifier(name);
            if identifier != name {
                parameter.note(
                    super::Severity::Changed,
                    format!("is the parameter {identifier:?}, because expressions could not read {name:?}"),
                    "give runs this name",
                );
            }
            let given = parameter.get("value").or_else(|| parameter.get("default"));
            self.draft.parameter(&identifier, given.map(|value| value.whole().clone()));
            names.insert(name.to_owned(), identifier);
            parameter.leave_fields(&pods::PARAMETER);
        }
        for artifact in arguments.list("artifacts") {
            artifact.leave(
                "is an artifact of the whole workflow",
                "give what it holds, or where it is, to the run as a parameter",
            );
        }
        self.parameters = Rc::new(names);
    }

    /// What holds for the whole workflow.
    fn settings(&mut self, spec: &Node<'s>) {
        if let Some(deadline) = spec.get("activeDeadlineSeconds") {
            match retry::seconds(&deadline) {
                Some(duration) => self.draft.time_out(duration),
                None => deadline.leave("is no number of seconds", "write spec.timeout"),
            }
        } else {
            spec.note(
                super::Severity::Changed,
                "has no activeDeadlineSeconds",
                "a run may take as long as its priority class allows (normal: 15m); write spec.timeout when it takes longer",
            );
        }
        if let Some(suspend) = spec.get("suspend")
            && suspend.peek().as_bool() == Some(true)
        {
            suspend.change("keeps the workflow from starting", "the Workflow starts on request only");
            self.draft.start(StartPolicy::OnRequest);
            self.draft.suspend();
        }
        self.retry = spec.get("retryStrategy").or_else(|| spec.get("templateDefaults")?.get("retryStrategy"));
        if self.parallelism.is_some()
            && let Some(node) = spec.get("parallelism")
        {
            node.change(
                "bounds the pods of a run",
                "it is maxParallel of each map; concurrency and replicas of an AgentPool bound the rest",
            );
        }
        spec.leave_fields(&pods::SPEC);
        spec.leave_fields(&pods::POD);
    }

    /// A handler runs in Argo however the workflow ends. Here it is a last step.
    fn exit_handler(&mut self, handler: &Node<'s>, scope: &Scope) -> Result<(), Error> {
        let Some(name) = handler.as_text() else { return Ok(()) };
        let template = self.templates.get(name).cloned();
        let template = template.ok_or_else(|| Error::at(handler, format!("names {name:?}, which is no template")))?;
        handler.leave(
            "runs a template however the workflow ends",
            "it is the last step, which runs when all others ended well; have failed runs noticed by an alert on their metrics",
        );
        let inputs = self.entry_inputs(&template, scope)?;
        let after = self.draft.ends();
        self.template(&template, Place { name: name.to_owned(), after, inputs, ..Place::default() })?;
        Ok(())
    }
}
