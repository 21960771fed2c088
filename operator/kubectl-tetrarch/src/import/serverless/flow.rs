//! Lists of tasks: one after the other, with jumps forward, each reached under the conditions that lead to it.

use serde_json::Value;

use super::{
    super::{Error, source::Node},
    Importer,
    data::Data,
    expression,
    jq::Variables,
    reach::Reach,
};

/// Where the conversion is.
#[derive(Clone, Debug)]
pub struct Flow {
    /// What the next task gets.
    pub data: Data,
    /// What was exported so far.
    pub context: Data,
    /// When the next task is reached.
    pub reach: Reach,
    /// The steps to wait for.
    pub after: Vec<String>,
    /// What expressions may read by name.
    pub variables: Variables,
}

/// A way to leave a task, and with what.
#[derive(Clone, Debug)]
pub struct Leaving {
    pub reach: Reach,
    pub data: Data,
    pub context: Data,
}

impl Flow {
    /// The beginning.
    pub fn new(data: Data, variables: Variables) -> Self {
        let context = Data::Constant(Value::Object(serde_json::Map::new()));
        Self { data, context, reach: Reach::always(), after: Vec::new(), variables }
    }

    fn leaving(&self) -> Leaving {
        Leaving { reach: self.reach.clone(), data: self.data.clone(), context: self.context.clone() }
    }
}

/// Several ways as one.
pub fn merge(ways: &[Leaving]) -> Leaving {
    let Some((last, others)) = ways.split_last() else {
        return Leaving {
            reach: Reach::never(),
            data: Data::Constant(Value::Null),
            context: Data::Constant(Value::Null),
        };
    };
    others.iter().rev().fold(last.clone(), |merged, way| {
        let pick = |one: &Data, other: &Data| match way.reach.to_cel() {
            None => one.clone(),
            Some(_) if merged.reach.is_never() => one.clone(),
            Some(_) if way.reach.is_never() => other.clone(),
            Some(condition) => Data::choose(&condition, one, other),
        };
        Leaving {
            reach: way.reach.or(&merged.reach),
            data: pick(&way.data, &merged.data),
            context: pick(&way.context, &merged.context),
        }
    })
}

/// What follows a task.
#[derive(Clone, Copy)]
enum Next {
    Continue,
    Exit,
    End,
    To(usize),
}

impl<'s> Importer<'s> {
    /// The tasks of a list.
    pub(super) fn tasks(&mut self, list: &Node<'s>, start: Flow) -> Result<Flow, Error> {
        let tasks = named(list)?;
        let mut ways: Vec<Vec<Leaving>> = vec![Vec::new(); tasks.len() + 1];
        ways[0].push(start.leaving());
        let mut after = start.after.clone();
        for (at, (name, task)) in tasks.iter().enumerate() {
            if ways[at].is_empty() {
                task.leave("is never reached", "leave it away, or let a task before it lead here");
                continue;
            }
            let merged = merge(&ways[at]);
            let flow = Flow {
                data: merged.data,
                context: merged.context,
                reach: merged.reach,
                after: after.clone(),
                variables: start.variables.clone(),
            };
            if let Some(cases) = task.get("switch") {
                let flow = entered(task, flow);
                self.switch(&cases, &tasks, at, &flow, &mut ways)?;
                continue;
            }
            let done = self.task(name, task, flow)?;
            after.clone_from(&done.after);
            let next = match task.get("then") {
                Some(then) => next(&then, &tasks, at)?,
                None => Next::Continue,
            };
            self.lead(next, at, done.leaving(), &mut ways);
        }
        let merged = merge(&ways.pop().unwrap_or_default());
        Ok(Flow { data: merged.data, context: merged.context, reach: merged.reach, after, variables: start.variables })
    }

    fn lead(&mut self, next: Next, at: usize, leaving: Leaving, ways: &mut [Vec<Leaving>]) {
        if leaving.reach.is_never() {
            return;
        }
        let last = ways.len() - 1;
        match next {
            Next::Continue => ways[at + 1].push(leaving),
            Next::Exit => ways[last].push(leaving),
            Next::To(index) => ways[index].push(leaving),
            Next::End => self.ends.push(leaving),
        }
    }

    fn switch(
        &mut self,
        cases: &Node<'s>,
        tasks: &[(&'s str, Node<'s>)],
        at: usize,
        flow: &Flow,
        ways: &mut [Vec<Leaving>],
    ) -> Result<(), Error> {
        let mut rest = flow.reach.clone();
        let mut has_default = false;
        for (_, case) in named(cases)? {
            let reach = match case.get("when") {
                None => {
                    has_default = true;
                    rest.clone()
                }
                Some(when) => {
                    let condition = expression::condition(&when, &flow.data, flow);
                    let reach = rest.and(&condition, true);
                    rest = rest.and(&condition, false);
                    reach
                }
            };
            let then = case.get("then");
            let next = then.map_or(Ok(Next::Continue), |then| next(&then, tasks, at))?;
            self.lead(next, at, Leaving { reach, ..flow.leaving() }, ways);
        }
        if !has_default {
            self.lead(Next::Continue, at, Leaving { reach: rest, ..flow.leaving() }, ways);
        }
        Ok(())
    }

    /// One task that is no switch.
    pub(super) fn task(&mut self, name: &str, task: &Node<'s>, before: Flow) -> Result<Flow, Error> {
        let entered = entered(task, before.clone());
        let timeout = task.get("timeout").and_then(|node| self.timeout(&node));
        let mut done = self.work(name, task, entered.clone(), timeout)?;
        let inside = entered.variables.with("input", entered.data.clone());
        if let Some(output) = task.get("output") {
            if let Some(schema) = output.get("schema") {
                schema.leave("describes what a task yields", "write a gate, which judges the output");
            }
            done.data = expression::transformed(&output, "as", done.data.clone(), &inside);
        }
        if let Some(export) = task.get("export") {
            if let Some(schema) = export.get("schema") {
                schema.leave("describes what a task exports", "write a gate, which judges the output");
            }
            let inside = inside.with("output", done.data.clone());
            done.context = expression::transformed(&export, "as", done.data.clone(), &inside);
        }
        // A task that its own condition leaves out hands on what it was given.
        if task.get("if").is_some() && !done.reach.is_never() {
            if let Some(condition) = entered.reach.to_cel() {
                done.data = Data::choose(&condition, &done.data, &before.data);
                done.context = Data::choose(&condition, &done.context, &before.context);
            }
            done.reach = before.reach;
        }
        done.variables = before.variables;
        Ok(done)
    }
}

/// The tasks of a list with their names.
pub fn named<'s>(list: &Node<'s>) -> Result<Vec<(&'s str, Node<'s>)>, Error> {
    if !list.peek().is_array() {
        return Err(Error::at(list, "is no list: write the tasks as a list, each with its name"));
    }
    let one = |item: &Node<'s>| match item.entries().as_slice() {
        [one] => Ok(one.clone()),
        _ => Err(Error::at(item, "is not one named task: write - name: {…}")),
    };
    list.items().iter().map(one).collect()
}

fn next(then: &Node<'_>, tasks: &[(&str, Node<'_>)], at: usize) -> Result<Next, Error> {
    let Some(directive) = then.as_text() else { return Ok(Next::Continue) };
    Ok(match directive {
        "continue" => Next::Continue,
        "exit" => Next::Exit,
        "end" => Next::End,
        name => {
            let index = tasks.iter().position(|(known, _)| *known == name);
            let index =
                index.ok_or_else(|| Error::at(then, format!("leads to {name:?}, which is no task of this list")))?;
            if index > at {
                Next::To(index)
            } else {
                then.leave(
                    "leads back to a task, which is a loop without a bound",
                    "the run ends there: write a step of kind loop with the task that is repeated, when it is over in until, and the most times that it is done in maxIterations",
                );
                Next::End
            }
        }
    })
}

/// What a task does first: its own condition and its own input.
fn entered(task: &Node<'_>, mut flow: Flow) -> Flow {
    if let Some(condition) = task.get("if") {
        let condition = expression::condition(&condition, &flow.data, &flow);
        flow.reach = flow.reach.and(&condition, true);
    }
    flow.variables = flow.variables.with("context", flow.context.clone()).with("input", flow.data.clone());
    if let Some(input) = task.get("input") {
        if let Some(schema) = input.get("schema") {
            schema.leave("describes what a task is given", "let the agent refuse what does not fit");
        }
        flow.data = expression::transformed(&input, "from", flow.data.clone(), &flow.variables);
    }
    if let Some(node) = task.get("metadata") {
        node.change("describes a task", "it stands in this comment only");
    }
    flow
}
