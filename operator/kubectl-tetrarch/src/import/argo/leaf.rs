//! Templates that do one thing: a task for an agent, a wait, or a question to people.

use serde_json::{Map, Value};
use tetrarch_crds::{
    shared::{AnyJson, DurationText},
    workflow::{Approval, MapStep, Retry, Step, Task, WaitStep},
};

use super::{
    super::{Error, Severity, draft, source::Node, text},
    Importer,
    fan::Fan,
    graph::{Place, Reached},
    pods, retry,
    scope::{Produced, Scope},
};

/// What a template may be, other than several steps.
const WORK: [&str; 7] = ["container", "script", "http", "resource", "containerSet", "data", "plugin"];

impl<'s> Importer<'s> {
    /// The step of a template that does one thing.
    pub(super) fn leaf(&mut self, template: &Node<'s>, place: Place) -> Result<Reached, Error> {
        template.leave_fields(&pods::TEMPLATE);
        template.leave_fields(&pods::POD);
        if let Some(suspend) = template.get("suspend") {
            return Ok(self.suspend(template, &suspend, place));
        }
        let work = WORK.into_iter().find_map(|kind| Some((kind, template.get(kind)?)));
        let (kind, work) = work.ok_or_else(|| {
            Error::at(template, "does nothing that is known here: write one of dag, steps, container, script, http, resource or suspend")
        })?;
        let capability = text::label(template.text("name").unwrap_or(&place.name));
        let scope = self.scope(&place);
        let input = input(kind, &work, &place, &scope);
        told(kind, &work, &capability);
        if let Some(outputs) = template.get("outputs") {
            outputs.change(
                "are what the container leaves in files",
                "the agent answers with an object: one field for each parameter and artifact, and result for what it would print",
            );
        }
        let mut task = draft::task(&capability, input);
        task.retry = self.retries(template);
        task.timeout = timeout(template, &work, kind);
        let until = template.get("timeout").and_then(|node| retry::seconds(&node)).map(DurationText);
        Ok(self.work(place, task, until))
    }

    /// A call of what cannot be carried over: one task for a capability of its name.
    pub(super) fn stand_in(&mut self, capability: &str, place: Place) -> Reached {
        let input = inputs(&place);
        let task = draft::task(capability, Value::Object(input));
        self.work(place, task, None)
    }

    /// A task, or one for each item.
    fn work(&mut self, place: Place, task: Task, until: Option<DurationText>) -> Reached {
        let name = self.draft.name(&place.name);
        let is_list = place.fan.is_some();
        let mut step =
            Step { name: name.clone(), after: place.after, when: place.when, timeout: until, ..Step::default() };
        match place.fan {
            None => step.task = Some(task),
            Some(Fan { items }) => step.map = Some(self.map(items, task)),
        }
        self.draft.push(step);
        Reached { last: vec![name.clone()], produced: Produced::Step { name, is_list } }
    }

    fn map(&self, items: Value, task: Task) -> MapStep {
        let most = self.parallelism.map_or(100, |most| i32::try_from(most.clamp(1, 10_000)).unwrap_or(100));
        MapStep {
            items: Some(AnyJson(items)),
            task,
            max_parallel: most,
            min_success_percent: 100,
            ..MapStep::default()
        }
    }

    fn suspend(&mut self, template: &Node<'s>, suspend: &Node<'s>, place: Place) -> Reached {
        let written = suspend.get("duration");
        let duration = written.as_ref().and_then(retry::seconds);
        let (step, what, instead) = match (duration, written, template.get("outputs")) {
            (Some(duration), ..) => {
                let wait = WaitStep { duration: Some(DurationText(duration)), ..WaitStep::default() };
                (Step { wait: Some(wait), ..Step::default() }, "waits once for each item of a list", "it waits once")
            }
            (None, None, None) => {
                suspend.change(
                    "waits until a person lets it go on",
                    "it is an approval: whoever has the verb approve on the Workflow decides, within 7 days, and a no fails the step",
                );
                let step = Step { approval: Some(Approval::default()), ..Step::default() };
                (step, "asks once for each item of a list", "it asks once")
            }
            (None, ..) => {
                suspend.leave(
                    "waits for what a person gives it",
                    "it is a task for a capability of its name: let an agent ask the person, or split the Workflow in two",
                );
                let capability = text::label(&place.name);
                return self.stand_in(&capability, place);
            }
        };
        if place.fan.is_some() {
            suspend.note(Severity::LeftOut, what, instead);
        }
        let name = self.draft.name(&place.name);
        self.draft.push(Step { name: name.clone(), after: place.after, when: place.when, ..step });
        Reached { last: vec![name.clone()], produced: Produced::Step { name, is_list: false } }
    }

    fn retries(&self, template: &Node<'s>) -> Retry {
        retry::retry(template.get("retryStrategy").as_ref().or(self.retry.as_ref()))
    }

    /// What the texts of a template may read.
    pub(super) fn scope(&self, place: &Place) -> Scope {
        let mut scope = Scope::new(std::rc::Rc::clone(&self.parameters));
        scope.inputs = place.inputs.clone();
        scope.item = place.fan.as_ref().map(|_| "item");
        scope
    }
}

/// The time of one attempt.
fn timeout(template: &Node<'_>, work: &Node<'_>, kind: &str) -> Option<DurationText> {
    let own = template.get("activeDeadlineSeconds").and_then(|node| retry::seconds(&node));
    let of_call = (kind == "http").then(|| work.get("timeoutSeconds").and_then(|node| retry::seconds(&node))).flatten();
    let found = own.or(of_call);
    if found.is_none() {
        template.note(
            Severity::Changed,
            "has no deadline of its own",
            "an attempt may take 60s; write timeout in the task when it takes longer",
        );
    }
    found.map(DurationText)
}

/// The parameters and artifacts by name.
fn inputs(place: &Place) -> Map<String, Value> {
    let parameters = place.inputs.parameters.iter().map(|(name, value)| (name.clone(), value.to_value()));
    parameters.chain(place.inputs.artifacts.clone()).collect()
}

/// What the agent gets: the inputs, what the template reads beside them, and for a request the request.
fn input(kind: &str, work: &Node<'_>, place: &Place, scope: &Scope) -> Value {
    let mut input = inputs(place);
    match kind {
        "http" => {
            for key in ["url", "method", "body"] {
                if let Some(node) = work.get(key) {
                    input.insert(key.to_owned(), scope.value(node.whole(), &node));
                }
            }
            let headers: Map<String, Value> =
                work.list("headers").iter().filter_map(|header| named(header, scope)).collect();
            if !headers.is_empty() {
                input.insert("headers".to_owned(), Value::Object(headers));
            }
        }
        "resource" => {
            for key in ["action", "manifest"] {
                if let Some(node) = work.get(key) {
                    input.insert(key.to_owned(), scope.value(node.whole(), &node));
                }
            }
        }
        _ => {
            for (name, value) in read_directly(&work.peek().to_string(), scope) {
                input.entry(name).or_insert(value);
            }
        }
    }
    Value::Object(input)
}

fn named(header: &Node<'_>, scope: &Scope) -> Option<(String, Value)> {
    let value = header.get("value")?;
    Some((header.text("name")?.to_owned(), scope.value(value.whole(), &value)))
}

/// Values that a container reads without declaring them as its inputs.
fn read_directly(text: &str, scope: &Scope) -> Vec<(String, Value)> {
    let tags = text.split("{{").skip(1).filter_map(|behind| Some(behind.split_once("}}")?.0.trim()));
    let foreign = tags.filter(|tag| !tag.starts_with("inputs."));
    foreign.filter_map(|tag| Some((tag.rsplit('.').next()?.to_owned(), scope.resolve(tag)?.to_value()))).collect()
}

/// Tells which agents are needed.
fn told(kind: &str, work: &Node<'_>, capability: &str) {
    let pool = format!("an AgentPool with the capability {capability:?}");
    match kind {
        "container" | "script" => work.change(
            "is a program that Argo starts in a pod of its own",
            format!("write {pool} and this program as its image: it gets the inputs as JSON and answers with the outputs as JSON"),
        ),
        "http" => {
            work.note(
                Severity::Changed,
                "is a request that Argo itself sends",
                format!("write {pool}, which sends it and answers with what came back"),
            );
            for (key, _) in work.entries() {
                if !["url", "method", "body", "headers", "timeoutSeconds"].contains(&key)
                    && let Some(node) = work.get(key)
                {
                    node.leave("is a part of a request that is not carried over", "let the agent see to it, or write a gate");
                }
            }
        }
        "resource" => {
            work.note(
                Severity::Changed,
                "is a change that Argo itself makes in the cluster",
                format!("write {pool} and the rights for it, which makes the change"),
            );
            for (key, _) in work.entries() {
                if !["action", "manifest"].contains(&key)
                    && let Some(node) = work.get(key)
                {
                    node.leave("is a part of a change that is not carried over", "let the agent see to it, or write a gate");
                }
            }
        }
        _ => work.leave(format!("is a {kind}, which only Argo has"), format!("it is a task: write {pool}, which does the same")),
    }
}
