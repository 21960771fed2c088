//! The tasks themselves: what becomes a step, and what only changes the data.

use std::collections::BTreeMap;

use serde_json::Value;
use tetrarch_crds::{
    shared::DurationText,
    workflow::{Gate, Step, Task, WaitStep},
};

use super::{
    super::{Error, Severity, draft, source::Node, text},
    Importer,
    data::Data,
    expression,
    flow::{Flow, named},
    policy,
};

impl<'s> Importer<'s> {
    /// What a task does, and what it leaves.
    pub(super) fn work(
        &mut self,
        name: &str,
        task: &Node<'s>,
        flow: Flow,
        timeout: Option<String>,
    ) -> Result<Flow, Error> {
        if let Some(set) = task.get("set") {
            let data = expression::value(&set, &flow.data, &flow.variables);
            set.change("sets data", "there is no step for it: its expressions stand where the data is read");
            return Ok(Flow { data, ..flow });
        }
        if let Some(inside) = task.get("do").filter(|_| task.get("for").is_none()) {
            cannot_time_out(task);
            return self.tasks(&inside, flow);
        }
        if let Some(fork) = task.get("fork") {
            cannot_time_out(task);
            return self.fork(&fork, flow);
        }
        if let Some(tried) = task.get("try") {
            cannot_time_out(task);
            return self.attempt(task, &tried, flow);
        }
        if let Some(each) = task.get("for") {
            return self.each(name, task, &each, flow, timeout);
        }
        if let Some(wait) = task.get("wait") {
            return Ok(self.wait(name, &wait, flow));
        }
        if let Some(raise) = task.get("raise") {
            return Ok(self.raise(name, &raise, flow));
        }
        if let Some(run) = task.get("run").filter(|run| run.peek()["workflow"]["name"].is_string()) {
            return Ok(self.started(name, &run, flow, timeout));
        }
        let made = self.agent_task(name, task, &flow, timeout)?;
        let name = self.draft.name(name);
        let step = Step { task: Some(made), ..Step::default() };
        Ok(self.push(&name, step, flow))
    }

    /// A task that an agent does: its capability and its input.
    pub(super) fn agent_task(
        &mut self,
        name: &str,
        task: &Node<'s>,
        flow: &Flow,
        timeout: Option<String>,
    ) -> Result<Task, Error> {
        let (capability, input) = if let Some(call) = task.text("call") {
            self.call(call, task, flow)
        } else if let Some(run) = task.get("run") {
            self::run(name, &run, flow)
        } else if let Some(emit) = task.get("emit") {
            emit.note(
                Severity::Changed,
                "publishes an event",
                "write an AgentPool with the capability \"emit\" that publishes its input",
            );
            ("emit".to_owned(), expression::value(&emit, &flow.data, &flow.variables))
        } else if let Some(listen) = task.get("listen") {
            listen.leave(
                "waits for an event",
                "it is a task: write an AgentPool with the capability \"listen\" that waits for it, or have the event ask for a run",
            );
            ("listen".to_owned(), Data::Constant(listen.whole().clone()))
        } else {
            return Err(Error::at(
                task,
                "does nothing that is known here: write one of call, do, emit, for, fork, listen, raise, run, set, switch, try or wait",
            ));
        };
        let mut made = draft::task(&capability, input.to_value());
        made.retry = self.retry.clone().unwrap_or(made.retry);
        if timeout.is_none() {
            task.note(
                Severity::Changed,
                "has no timeout of its own",
                "an attempt may take 60s; write timeout in the task when it takes longer",
            );
        }
        made.timeout = timeout.map(DurationText);
        Ok(made)
    }

    fn call(&mut self, call: &str, task: &Node<'s>, flow: &Flow) -> (String, Data) {
        let is_known = ["http", "grpc", "openapi", "asyncapi", "a2a", "mcp"].contains(&call);
        if !is_known
            && self.shared("functions", call).is_none()
            && let Some(node) = task.get("call")
        {
            let pool = format!("write an AgentPool with the capability {:?} that does the same", text::label(call));
            node.note(Severity::Changed, "calls a function that is defined elsewhere", pool);
        }
        if is_known && let Some(node) = task.get("call") {
            let pool = format!("write an AgentPool with the capability {call:?} that makes the call");
            node.note(Severity::Changed, "is a call that the engine itself makes", pool);
        }
        let with = task.get("with").map_or(flow.data.clone(), |with| arguments(&with, flow));
        (text::label(call), with)
    }

    fn fork(&mut self, fork: &Node<'s>, flow: Flow) -> Result<Flow, Error> {
        let branches = fork.get("branches").ok_or_else(|| Error::at(fork, "has no branches: write them"))?;
        let (mut after, mut outputs, mut contexts) = (Vec::new(), Vec::new(), Vec::new());
        for (name, task) in named(&branches)? {
            let done = self.branch(name, &task, flow.clone())?;
            after.extend(done.after.into_iter().filter(|step| !flow.after.contains(step)));
            outputs.push(done.data);
            contexts.push(done.context);
        }
        let data = if fork.truth("compete") == Some(true) {
            if let Some(node) = fork.get("compete") {
                node.leave(
                    "takes the branch that ends first, and stops the others",
                    "all branches run to their end, and the output is that of the first one that is written; a scatter with gather: {first: {}} asks several agents for the same",
                );
            }
            outputs.into_iter().next().unwrap_or(Data::Constant(Value::Null))
        } else {
            Data::List(outputs)
        };
        let after = if after.is_empty() { flow.after.clone() } else { after };
        Ok(Flow { data, after, ..flow })
    }

    /// A branch is a task, which may lead nowhere.
    fn branch(&mut self, name: &str, task: &Node<'s>, flow: Flow) -> Result<Flow, Error> {
        if let Some(then) = task.get("then") {
            then.leave("leads out of a branch", "a branch ends with its task");
        }
        if let Some(cases) = task.get("switch") {
            cases.leave("chooses among tasks where there is only one", "write the condition in if of the tasks");
            return Ok(flow);
        }
        self.task(name, task, flow)
    }

    fn attempt(&mut self, task: &Node<'s>, tried: &Node<'s>, flow: Flow) -> Result<Flow, Error> {
        let catch = task.get("catch").ok_or_else(|| Error::at(task, "has no catch: write one"))?;
        let outer = self.retry.clone();
        match catch.get("retry") {
            Some(retry) => self.retry = Some(self.retries(&retry)),
            None => catch.note(
                Severity::LeftOut,
                "goes on after an error",
                "a failed step ends the run; let the agent answer with what went wrong instead of failing",
            ),
        }
        for (key, what, instead) in [
            ("errors", "chooses which errors are caught", "let the agent say which failures must not be repeated"),
            ("when", "chooses which errors are caught", "let the agent say which failures must not be repeated"),
            ("exceptWhen", "chooses which errors are caught", "let the agent say which failures must not be repeated"),
            ("as", "is the name of the error", "nothing reads it"),
            (
                "do",
                "is done after an error",
                "let the agent answer with what went wrong, and write steps with a condition on it",
            ),
        ] {
            if let Some(node) = catch.get(key) {
                node.leave(what, instead);
            }
        }
        let done = self.tasks(tried, flow);
        self.retry = outer;
        done
    }

    fn wait(&mut self, name: &str, wait: &Node<'s>, flow: Flow) -> Flow {
        let Some(duration) = policy::duration(wait) else {
            wait.leave(
                "is no duration that is known before the run",
                "write a step of kind wait; until then nothing waits",
            );
            return flow;
        };
        let name = self.draft.name(name);
        let step = WaitStep { duration: Some(DurationText(duration)), ..WaitStep::default() };
        let data = flow.data.clone();
        Flow { data, ..self.push(&name, Step { wait: Some(step), ..Step::default() }, flow) }
    }

    /// A step that always fails, and says why.
    fn raise(&mut self, name: &str, raise: &Node<'s>, flow: Flow) -> Flow {
        let mut error = raise.get("error");
        let known = error.as_ref().and_then(|error| error.peek().as_str());
        if let Some(shared) = known.and_then(|known| self.shared("errors", known)) {
            error.as_ref().and_then(Node::as_text);
            error = Some(shared);
        }
        let said = error.map(|error| error.whole().clone()).unwrap_or_default();
        let part =
            |key: &str| said[key].as_str().map(str::to_owned).or_else(|| said[key].as_i64().map(|n| n.to_string()));
        let parts: Vec<String> =
            ["title", "detail", "type", "status", "instance"].into_iter().filter_map(part).collect();
        let message = if parts.is_empty() { said.to_string() } else { parts.join(", ") };
        raise.change("raises an error", "it is a step whose gate never holds, so that the run fails with this message");
        let gate = Gate {
            expression: Some("false".to_owned()),
            message: Some(message.chars().take(1024).collect()),
            ..Gate::default()
        };
        let wait = WaitStep { duration: Some("1ms".into()), ..WaitStep::default() };
        let name = self.draft.name(name);
        let step = Step { wait: Some(wait), gate: Some(gate), ..Step::default() };
        let mut done = self.push(&name, step, flow);
        done.reach = super::reach::Reach::never();
        done
    }

    pub(super) fn push(&mut self, name: &str, step: Step, flow: Flow) -> Flow {
        let when = flow.reach.to_cel();
        self.draft.push(Step { name: name.to_owned(), after: flow.after.clone(), when, ..step });
        Flow { data: Data::Cel(text::step(name, "output")), after: vec![name.to_owned()], ..flow }
    }
}

/// Tells that the timeout of several tasks is none of a step.
fn cannot_time_out(task: &Node<'_>) {
    if let Some(node) = task.get("timeout") {
        node.leave("bounds several tasks together", "write timeout in the tasks, or timeout of the Workflow");
    }
}

pub(super) fn is_for_an_agent(task: &Node<'_>) -> bool {
    ["call", "run", "emit", "listen"].iter().any(|kind| task.peek().get(kind).is_some())
}

/// The arguments of a call. The places in braces of an endpoint are fields of the data.
fn arguments(with: &Node<'_>, flow: &Flow) -> Data {
    let mut fields = BTreeMap::new();
    if !with.peek().is_object() {
        return expression::value(with, &flow.data, &flow.variables);
    }
    for (key, node) in with.entries() {
        let is_plain = node.peek().as_str().is_some_and(|text| text.contains('{') && !text.contains("${"));
        let value = match node.peek().as_str() {
            Some(text) if key == "endpoint" && is_plain => {
                node.as_text();
                expression::endpoint(text, &flow.data)
            }
            _ => expression::value(&node, &flow.data, &flow.variables),
        };
        fields.insert(key.to_owned(), value);
    }
    Data::Object(fields)
}

/// A program as a task for a capability that has the name of the task.
fn run(name: &str, run: &Node<'_>, flow: &Flow) -> (String, Data) {
    let capability = text::label(name);
    let pool =
        format!("write an AgentPool with the capability {capability:?} that does it; its input says what it was");
    run.note(Severity::Changed, "is a program that the engine itself starts", pool);
    if run.truth("await") == Some(false) {
        run.note(
            Severity::LeftOut,
            "is not waited for",
            "the step ends when its agent has answered; let it answer at once",
        );
    }
    let input = expression::value(run, &flow.data, &flow.variables);
    (capability, input)
}
