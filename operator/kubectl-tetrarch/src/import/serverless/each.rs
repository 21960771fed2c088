//! Tasks that are done for each item of a list: a map when none needs what the one before left, and else a loop.

use serde_json::{Value, json};
use tetrarch_core::workflow::graph;
use tetrarch_crds::{
    shared::AnyJson,
    workflow::{LoopStep, MapStep, Step, Task},
};

use super::{
    super::{Error, Severity, draft, source::Node, text},
    Importer,
    data::Data,
    expression,
    flow::{Flow, named},
    jq,
    work::is_for_an_agent,
};

/// A task for each item, in the words of a document.
struct Each<'s> {
    node: Node<'s>,
    items: Data,
    /// Its names for an item and for its number.
    item: String,
    index: String,
}

impl Each<'_> {
    /// How many items there are, when that is known now.
    fn count(&self) -> Option<usize> {
        match &self.items {
            Data::List(list) => Some(list.len()),
            Data::Constant(Value::Array(list)) => Some(list.len()),
            Data::Constant(_) => Some(0),
            _ => None,
        }
    }

    /// An item, by an expression that yields its number.
    fn at(&self, index: &str) -> Data {
        Data::Cel(format!("{}[{index}]", text::operand(&self.items.to_cel())))
    }

    /// What a condition or a task reads of an item.
    fn flow(&self, flow: &Flow, data: Data, item: Data, index: &str) -> Flow {
        let number =
            index.parse::<u64>().map_or_else(|_| Data::Cel(index.to_owned()), |known| Data::Constant(json!(known)));
        let variables = flow.variables.with(&self.item, item).with(&self.index, number);
        Flow { data, variables, ..flow.clone() }
    }
}

impl<'s> Importer<'s> {
    pub(super) fn each(
        &mut self,
        name: &str,
        task: &Node<'s>,
        each: &Node<'s>,
        flow: Flow,
        timeout: Option<String>,
    ) -> Result<Flow, Error> {
        let each = Each {
            items: items(each, &flow)?,
            item: each.text("each").unwrap_or("item").to_owned(),
            index: each.text("at").unwrap_or("index").to_owned(),
            node: each.clone(),
        };
        let inside = task.get("do").ok_or_else(|| Error::at(task, "has no do: write the tasks"))?;
        let condition = task.get("while").or_else(|| each.node.get("while"));
        let tasks = named(&inside)?;
        let [(only, of_item)] = tasks.as_slice() else {
            return Ok(self.stand_in_for_several(name, &each, &inside, condition.as_ref(), flow));
        };
        if !is_for_an_agent(of_item) {
            return Ok(self.stand_in_for_several(name, &each, &inside, condition.as_ref(), flow));
        }
        let ends = condition.as_ref().and_then(|condition| ending(&each, condition, &flow));
        let of_map = each.flow(&flow, flow.data.clone(), Data::Cel("item".to_owned()), "index");
        let needs_the_one_before = reads_data(of_item, &of_map);
        let fits = each.count().is_none_or(|count| (1..=most()).contains(&count));
        let is_loop = fits && (ends.is_some() || needs_the_one_before);
        let before = Data::either("index == 0", flow.data.clone(), Data::Cel("previous".to_owned()));
        let of_task = if is_loop { each.flow(&flow, before, each.at("index"), "index") } else { of_map };
        let made = self.agent_task(only, of_item, &of_task, timeout)?;
        for key in ["if", "input", "output", "export", "then", "timeout"] {
            if let Some(node) = of_item.get(key) {
                node.leave("is about one task of a loop", "let the agent see to it");
            }
        }
        if is_loop {
            return Ok(self.loop_over(name, &each, made, ends, flow));
        }
        let how = match (each.count(), needs_the_one_before) {
            (Some(count), true) if count > 0 => {
                format!(
                    "a loop has at most {} iterations, so it is a map, and none sees what the one before left: let a Workflow do a part of the list",
                    most()
                )
            }
            _ => "items are done one at a time: raise maxParallel where their order does not matter".to_owned(),
        };
        each.node.note(Severity::Changed, "does one item after the other", how);
        Ok(self.map_over(name, &each, made, flow))
    }

    /// One task for each item, each with what the one before left, until there is none or the condition ends it.
    fn loop_over(&mut self, name: &str, each: &Each<'_>, task: Task, ends: Option<Ending>, flow: Flow) -> Flow {
        let size = format!("size({})", each.items.to_cel());
        let last = match each.count() {
            Some(count) => format!("index >= {}", count - 1),
            None => format!("index + 1 >= {size}"),
        };
        let has_items = each.count().is_none().then(|| format!("{size} > 0"));
        let (begins, until) = match ends {
            Some(Ending { first, next }) => (Some(first), format!("{last} || !({next})")),
            None => (None, last),
        };
        if each.count().is_none() {
            let bound = format!("a loop has a bound: a run whose list has more than {} items fails there", most());
            each.node.note(Severity::Changed, "takes a list that is only known in a run", bound);
        }
        let begins = text::all(has_items.into_iter().chain(begins));
        let repeated = LoopStep {
            task,
            until,
            max_iterations: i32::try_from(each.count().unwrap_or(most())).unwrap_or(i32::MAX),
            ..LoopStep::default()
        };
        let name = self.draft.name(name);
        self.push_when(
            &name,
            Step { r#loop: Some(repeated), ..Step::default() },
            begins,
            text::step(&name, "output"),
            flow,
        )
    }

    /// One task for each item, none of which needs the others.
    fn map_over(&mut self, name: &str, each: &Each<'_>, task: Task, flow: Flow) -> Flow {
        let map = MapStep {
            items: Some(AnyJson(each.items.to_value())),
            task,
            max_parallel: 1,
            min_success_percent: 100,
            ..MapStep::default()
        };
        let name = self.draft.name(name);
        let output = text::step(&name, "output");
        let last = format!("{output}[size({output}) - 1]");
        let (before, is_known) = (flow.data.clone(), each.count().is_some_and(|count| count > 0));
        let mut done = self.push(&name, Step { map: Some(map), ..Step::default() }, flow);
        done.data = if is_known {
            Data::Cel(last)
        } else {
            // Nothing is left by no item.
            Data::choose(&format!("size({output}) > 0"), &Data::Cel(last), &before)
        };
        done
    }

    /// A step that hands on what it was given when its own condition leaves it out.
    fn push_when(&mut self, name: &str, step: Step, when: Option<String>, output: String, flow: Flow) -> Flow {
        let Some(when) = when else { return self.push(name, step, flow) };
        let (before, reach) = (flow.data.clone(), flow.reach.clone());
        let inside = Flow { reach: flow.reach.and(&when, true), ..flow };
        let mut done = self.push(name, step, inside);
        done.data = Data::choose(&when, &Data::Cel(output), &before);
        done.reach = reach;
        done
    }

    /// Several tasks for each item are one for an agent.
    fn stand_in_for_several(
        &mut self,
        name: &str,
        each: &Each<'_>,
        inside: &Node<'s>,
        condition: Option<&Node<'s>>,
        flow: Flow,
    ) -> Flow {
        let capability = text::label(name);
        inside.leave(
            "does for each item what is more than one task for an agent",
            format!("it is one task for each item: write an AgentPool with the capability {capability:?} that does all of it, or a Workflow of these tasks that takes the item as a parameter"),
        );
        if let Some(condition) = condition {
            condition.leave(
                "ends a loop of several tasks early",
                "a loop is of one task: all items are done; let the agent answer at once for those that are not needed",
            );
        }
        each.node.note(
            Severity::Changed,
            "does one item after the other, each with what the one before left",
            "items are done one at a time, but none sees the others; the output is that of the last one",
        );
        let made = draft::task(&capability, json!({"item": "${item}", "index": "${index}"}));
        self.map_over(name, each, made, flow)
    }
}

/// The list.
fn items(each: &Node<'_>, flow: &Flow) -> Result<Data, Error> {
    let node = each.get("in").ok_or_else(|| Error::at(each, "has no in: write the list"))?;
    let Some(text) = node.peek().as_str() else {
        return Ok(expression::value(&node, &flow.data, &flow.variables));
    };
    let text = text.trim();
    let source = text.strip_prefix("${").and_then(|text| text.strip_suffix('}')).unwrap_or(text);
    if let Some(data) = jq::evaluate(source, &flow.data, &flow.variables) {
        node.as_text();
        return Ok(data);
    }
    node.leave("is a list that cannot be said in CEL as it is", "write items; until then there are none");
    Ok(Data::List(Vec::new()))
}

/// What has to hold for an iteration, in CEL.
struct Ending {
    /// Before the first one.
    first: String,
    /// After each, of the next one.
    next: String,
}

/// The condition of a loop, which is asked before each iteration; none when CEL cannot say it.
fn ending(each: &Each<'_>, condition: &Node<'_>, flow: &Flow) -> Option<Ending> {
    let source = condition.peek().as_str().unwrap_or_default().trim();
    let source = source.strip_prefix("${").and_then(|text| text.strip_suffix('}')).unwrap_or(source);
    let asked = |flow: &Flow| Some(jq::evaluate(source, &flow.data, &flow.variables)?.to_condition());
    let first = asked(&each.flow(flow, flow.data.clone(), each.at("0"), "0"));
    let next = asked(&each.flow(flow, Data::Cel("output".to_owned()), each.at("index + 1"), "(index + 1)"));
    let fits = each.count().is_none_or(|count| (1..=most()).contains(&count));
    match (first, next) {
        (Some(first), Some(next)) if fits => {
            condition.as_text();
            Some(Ending { first, next })
        }
        (Some(_), Some(_)) => {
            let why = format!("ends a loop early that has no item, or more than {}", most());
            condition.leave(
                why,
                "a loop has at most so many iterations: all items are done; let a Workflow do a part of the list",
            );
            None
        }
        _ => {
            condition.leave(
                "ends the loop by a condition that cannot be said in CEL as it is",
                "write its opposite in until of a step of kind loop; until then all items are done",
            );
            None
        }
    }
}

/// Whether the task of an item reads what the one before it left.
fn reads_data(task: &Node<'_>, flow: &Flow) -> bool {
    let task = task.peek();
    let is_call_without_arguments = task.get("call").is_some() && task.get("with").is_none();
    let read = |key: &str| task.get(key).is_some_and(|value| expression::reads_data(value, &flow.variables));
    is_call_without_arguments || ["with", "run", "emit"].into_iter().any(read)
}

/// Most iterations of a loop.
fn most() -> usize {
    *graph::ITERATIONS.end() as usize
}
