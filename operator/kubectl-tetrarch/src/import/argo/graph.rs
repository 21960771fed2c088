//! Templates of several steps: `dag` and `steps`, laid out as one graph.

use std::collections::{BTreeMap, BTreeSet};

use tetrarch_crds::workflow::FailurePolicy;

use super::{
    super::{Error, source::Node, text},
    Importer,
    depends::{self, Waits},
    fan::{self, Fan},
    pods,
    scope::{self, Inputs, Produced, Scope},
};

/// Deepest nesting of templates.
const MOST_NESTED: usize = 16;

/// Where in the graph a template is called.
#[derive(Clone, Debug, Default)]
pub struct Place {
    pub name: String,
    pub after: Vec<String>,
    pub when: Option<String>,
    pub inputs: Inputs,
    pub fan: Option<Fan>,
    /// Templates that this call is within.
    pub within: Vec<String>,
}

/// What a call became.
#[derive(Clone, Debug)]
pub struct Reached {
    /// The steps to wait for.
    pub last: Vec<String>,
    pub produced: Produced,
}

impl<'s> Importer<'s> {
    /// The steps of a template.
    pub(super) fn template(&mut self, template: &Node<'s>, mut place: Place) -> Result<Reached, Error> {
        if let Some(name) = template.text("name") {
            self.called.insert(name.to_owned());
            place.within.push(name.to_owned());
        }
        let is_nested = template.get("dag").is_some() || template.get("steps").is_some();
        if !is_nested {
            return self.leaf(template, place);
        }
        if place.fan.is_some() {
            let capability = text::label(template.text("name").unwrap_or(&place.name));
            template.leave(
                "does several steps for each item of a list",
                format!("it is one task for each item: write an AgentPool with the capability {capability:?} that does all of it"),
            );
            return Ok(self.stand_in(&capability, place));
        }
        for key in ["retryStrategy", "activeDeadlineSeconds", "timeout"] {
            if let Some(node) = template.get(key) {
                node.leave(
                    "is about several steps together",
                    "write retry and timeout in the tasks, or timeout of the Workflow",
                );
            }
        }
        template.leave_fields(&pods::TEMPLATE);
        template.leave_fields(&pods::POD);
        let mut scope = self.scope(&place);
        let last = match template.get("dag") {
            Some(dag) => self.dag(&dag, &place, &mut scope)?,
            None => self.steps(&template.list("steps"), &place, &mut scope)?,
        };
        let produced = outputs(template, &scope, &last);
        Ok(Reached { last, produced })
    }

    fn dag(&mut self, dag: &Node<'s>, place: &Place, scope: &mut Scope) -> Result<Vec<String>, Error> {
        if let Some(node) = dag.get("target") {
            node.leave("does only what some tasks need", "remove the others");
        }
        if dag.truth("failFast") == Some(false) {
            self.draft.on_failure(FailurePolicy::Continue);
        }
        let tasks = dag.list("tasks");
        let mut waits: BTreeMap<&str, (usize, Waits)> = BTreeMap::new();
        for (index, task) in tasks.iter().enumerate() {
            let name = task.text("name").ok_or_else(|| Error::at(task, "has no name: write one"))?;
            waits.insert(name, (index, depends::of(task)));
        }
        for (index, needed) in waits.values() {
            if let Some(missing) = needed.names.iter().find(|name| !waits.contains_key(name.as_str())) {
                return Err(Error::at(&tasks[*index], format!("waits for {missing:?}, which is no task")));
            }
        }
        let mut reached: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        // In the order of the document, each as soon as what it waits for is there: its outputs are readable then.
        while reached.len() < waits.len() {
            let next = tasks.iter().find_map(|task| {
                let name = task.text("name")?;
                let (_, needed) = waits.get(name)?;
                let is_ready = needed.names.iter().all(|name| reached.contains_key(name.as_str()));
                (is_ready && !reached.contains_key(name)).then_some((name, task, needed))
            });
            let Some((name, task, needed)) = next else {
                return Err(Error::at(
                    dag,
                    "has tasks that wait for each other in a circle: remove one of their dependencies",
                ));
            };
            let mut after: Vec<String> = needed.names.iter().flat_map(|name| reached[name.as_str()].clone()).collect();
            if after.is_empty() {
                after.clone_from(&place.after);
            }
            let mut outer = place.clone();
            if needed.is_for_failures {
                outer.when = Some("false".to_owned());
            }
            let call = self.call(task, name, &outer, after, scope)?;
            scope.steps.insert(name.to_owned(), call.produced);
            reached.insert(name, call.last);
        }
        let needed: BTreeSet<&String> = waits.values().flat_map(|(_, needed)| &needed.names).collect();
        let last =
            tasks.iter().filter_map(|task| task.text("name")).filter(|name| !needed.iter().any(|known| *known == name));
        Ok(last.flat_map(|name| reached[name].clone()).collect())
    }

    fn steps(&mut self, groups: &[Node<'s>], place: &Place, scope: &mut Scope) -> Result<Vec<String>, Error> {
        let mut after = place.after.clone();
        for group in groups {
            let mut last = Vec::new();
            let mut produced = Vec::new();
            for step in group.items() {
                let name = step.text("name").ok_or_else(|| Error::at(&step, "has no name: write one"))?;
                let call = self.call(&step, name, place, after.clone(), scope)?;
                last.extend(call.last);
                produced.push((name.to_owned(), call.produced));
            }
            // Steps side by side do not see each other.
            scope.steps.extend(produced);
            if !last.is_empty() {
                after = last;
            }
        }
        Ok(after)
    }

    /// One task of a dag or one of the steps.
    fn call(
        &mut self,
        call: &Node<'s>,
        name: &str,
        outer: &Place,
        after: Vec<String>,
        scope: &Scope,
    ) -> Result<Reached, Error> {
        depends::continue_on(call);
        let mut fan = self.fan(call, scope);
        let own = fan::conditions(call, &mut fan, scope);
        let when = text::all(outer.when.iter().cloned().chain(own));
        let mut inner = scope.clone();
        inner.item = fan.as_ref().map(|_| "item");
        let is_only = outer.within.len() <= 1;
        let name = if is_only { name.to_owned() } else { format!("{}-{name}", outer.name) };
        let mut place = Place { name, after, when, fan, within: outer.within.clone(), inputs: Inputs::default() };
        let arguments = call.get("arguments");
        if let Some(reference) = call.get("templateRef") {
            place.inputs = given(arguments.as_ref(), &inner);
            return Ok(self.elsewhere(&reference, place));
        }
        let template =
            match (call.get("inline"), call.text("template")) {
                (Some(inline), _) => inline,
                (None, Some(wanted)) => self.templates.get(wanted).cloned().ok_or_else(|| {
                    Error::at(call, format!("calls {wanted:?}, which is no template of this manifest"))
                })?,
                (None, None) => return Err(Error::at(call, "calls nothing: write template, inline or templateRef")),
            };
        let called = template.peek()["name"].as_str().unwrap_or_default();
        if outer.within.iter().any(|known| known == called) || outer.within.len() >= MOST_NESTED {
            call.note(
                super::super::Severity::LeftOut,
                format!("calls {called:?} from within itself, which is a loop without a bound"),
                "until you write it anew it is one task, for an AgentPool with a capability of this name that does all the repetitions: write a step of kind loop with the task that is repeated, the opposite of when in until, and the most times that it is done in maxIterations",
            );
            let capability = text::label(called);
            place.inputs = given(arguments.as_ref(), &inner);
            return Ok(self.stand_in(&capability, place));
        }
        place.inputs = scope::bind(&template, &Inputs::default(), arguments.as_ref(), &inner)?;
        self.template(&template, place)
    }
}

/// The arguments of a call whose template is not known.
fn given(arguments: Option<&Node<'_>>, scope: &Scope) -> Inputs {
    let mut inputs = Inputs::default();
    let Some(arguments) = arguments else { return inputs };
    for parameter in arguments.list("parameters") {
        if let (Some(name), Some(value)) = (parameter.text("name"), parameter.get("value")) {
            parameter.leave_fields(&pods::PARAMETER);
            let text = value.as_scalar().unwrap_or_else(|| value.whole().to_string());
            inputs.parameters.insert(name.to_owned(), scope.render(&text, &value));
        }
    }
    for artifact in arguments.list("artifacts") {
        if let Some(name) = artifact.text("name") {
            inputs.artifacts.insert(name.to_owned(), scope.value(artifact.whole(), &artifact));
        }
    }
    inputs
}

/// What a template of several steps declares as its own.
fn outputs(template: &Node<'_>, scope: &Scope, last: &[String]) -> Produced {
    let mut found = Produced::Nested { parameters: BTreeMap::new(), artifacts: BTreeMap::new(), last: last.to_vec() };
    let (Produced::Nested { parameters, artifacts, .. }, Some(outputs)) = (&mut found, template.get("outputs")) else {
        return found;
    };
    for parameter in outputs.list("parameters") {
        let Some(name) = parameter.text("name") else { continue };
        if let Some(node) = parameter.get("valueFrom").and_then(|from| from.get("parameter"))
            && let Some(text) = node.as_text()
        {
            parameters.insert(name.to_owned(), scope.render(text, &node));
        }
    }
    for artifact in outputs.list("artifacts") {
        let Some(name) = artifact.text("name") else { continue };
        if let Some(node) = artifact.get("from")
            && let Some(text) = node.as_text()
        {
            artifacts.insert(name.to_owned(), scope.render(text, &node));
        }
    }
    found
}
