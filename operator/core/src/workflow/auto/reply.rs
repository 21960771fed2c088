//! What a planner agent replies: an object with `steps`, each with `name`, `capability` and `instruction`, and if it likes `after`,
//! `forEach`, `votes` or `undoneBy`; beside them, if it likes, a `reason`.

use serde_json::{Map, Value};

use super::{Author, Planned, Request, build::definition};
use crate::{
    decompose::{self, Decomposition, Over, PlannedStep},
    id::Name,
    workflow::{
        definition::Definition,
        graph::{self, TARGETS},
    },
};

/// Longest instruction of one step, in bytes.
const MAX_INSTRUCTION: usize = 16 * 1024;
/// Longest reason that is kept, in characters.
const MAX_REASON: usize = 500;
/// Most mistakes that are told.
const MAX_MISTAKES: usize = 20;

/// The plan that a reply proposes, or everything that is wrong with it, each with its step and field. A run of `parent` would begin it.
pub fn read(reply: &Value, request: &Request<'_>, parent: &Definition) -> Result<Planned, Vec<String>> {
    let mut mistakes = Vec::new();
    let steps = read_steps(reply, request, &mut mistakes);
    if !mistakes.is_empty() {
        mistakes.truncate(MAX_MISTAKES);
        return Err(mistakes);
    }
    let found = decompose::conclude(steps, request.inputs, &[]);
    if let Some(excess) = request.excess(&found) {
        return Err(vec![excess]);
    }
    let planned = Planned::of(with_reason(found, reply), Author::Planner, request);
    // The same checks as for a written definition: names, order, sizes.
    let violations = graph::validate(&definition(&planned, request.step, parent));
    let mistakes: Vec<String> =
        violations.iter().take(MAX_MISTAKES).map(|found| found.to_string().replace("spec.steps", "steps")).collect();
    if mistakes.is_empty() { Ok(planned) } else { Err(mistakes) }
}

fn with_reason(mut found: Decomposition, reply: &Value) -> Decomposition {
    if let Some(reason) = reply.get("reason").and_then(Value::as_str).filter(|reason| !reason.is_empty()) {
        let reason: String = reason.chars().take(MAX_REASON).collect();
        found.recommendation.reason = format!("{}; the planner says: {reason}", found.recommendation.reason);
    }
    found
}

fn read_steps(reply: &Value, request: &Request<'_>, mistakes: &mut Vec<String>) -> Vec<PlannedStep> {
    let Some(written) = reply.get("steps").and_then(Value::as_array) else {
        mistakes.push(
            "steps: is missing: reply with {\"steps\": [{\"name\": …, \"capability\": …, \"instruction\": …}]}"
                .to_owned(),
        );
        return Vec::new();
    };
    let most = request.step.max_steps as usize;
    if written.is_empty() || written.len() > most {
        mistakes.push(format!("steps: there are {}: write 1 to {most}", written.len()));
        return Vec::new();
    }
    let capabilities = request.capabilities();
    let mut steps: Vec<PlannedStep> = Vec::with_capacity(written.len());
    for (index, step) in written.iter().enumerate() {
        let place = format!("steps[{index}]");
        let mut reader = Reader { place, request, capabilities: &capabilities, before: &steps, mistakes };
        let read = match step.as_object() {
            Some(step) => reader.step(step),
            None => reader.add("", "is no object: write {name, capability, instruction}"),
        };
        steps.extend(read);
    }
    steps
}

struct Reader<'r> {
    place: String,
    request: &'r Request<'r>,
    capabilities: &'r [Name],
    /// The steps before, as far as they could be read.
    before: &'r [PlannedStep],
    mistakes: &'r mut Vec<String>,
}

impl Reader<'_> {
    fn add<T>(&mut self, field: &str, message: &str) -> Option<T> {
        let dot = if field.is_empty() { "" } else { "." };
        self.mistakes.push(format!("{}{dot}{field}: {message}", self.place));
        None
    }

    fn step(&mut self, step: &Map<String, Value>) -> Option<PlannedStep> {
        const KNOWN: [&str; 7] = ["name", "capability", "instruction", "after", "forEach", "votes", "undoneBy"];
        for unknown in step.keys().filter(|field| !KNOWN.contains(&field.as_str())) {
            self.add::<()>(unknown, &format!("there is no such field: write {}", KNOWN.join(", ")));
        }
        let given = |field: &str| step.get(field).filter(|value| !value.is_null());
        let name = self.name(given("name"));
        let capability = self.capability("capability", given("capability"));
        let instruction = self.instruction(given("instruction"));
        let after = self.after(given("after"));
        let over = given("forEach").and_then(|list| self.for_each(list));
        let votes = given("votes").and_then(|votes| self.votes(votes));
        let undone_by = given("undoneBy").and_then(|by| self.capability("undoneBy", Some(by)));
        if [over.is_some(), votes.is_some(), undone_by.is_some()].into_iter().filter(|kind| *kind).count() > 1 {
            return self.add("", "has more than one of forEach, votes and undoneBy: split it into several steps");
        }
        Some(PlannedStep {
            name: name?,
            capability: capability?,
            instruction: instruction?,
            after,
            over,
            votes,
            is_irreversible: undone_by.is_some(),
            undone_by,
        })
    }

    fn name(&mut self, written: Option<&Value>) -> Option<Name> {
        let name: Option<Name> = written.and_then(Value::as_str).and_then(|name| name.parse().ok());
        match name {
            Some(name) if self.before.iter().any(|step| step.name == name) => {
                self.add("name", &format!("{:?} is the name of a step before: write another one", name.as_str()))
            }
            None => {
                self.add("name", "is no name: write lower-case letters, digits and -, at most 63, such as find-sources")
            }
            name => name,
        }
    }

    fn capability(&mut self, field: &str, written: Option<&Value>) -> Option<Name> {
        let wanted = written.and_then(Value::as_str).unwrap_or_default();
        if let Some(found) = self.capabilities.iter().find(|name| name.as_str() == wanted) {
            return Some(found.clone());
        }
        let names = self.capabilities.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
        self.add(field, &format!("{wanted:?} is none that this plan may use and a pool has: write one of {names}"))
    }

    fn instruction(&mut self, written: Option<&Value>) -> Option<String> {
        match written.and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty()) {
            None => self.add("instruction", "is missing: write what the agent is to do"),
            Some(text) if text.len() > MAX_INSTRUCTION => {
                self.add("instruction", &format!("has {} bytes: write at most {MAX_INSTRUCTION}", text.len()))
            }
            Some(text) => Some(text.to_owned()),
        }
    }

    fn after(&mut self, written: Option<&Value>) -> Vec<usize> {
        let Some(written) = written else { return Vec::new() };
        let Some(names) = written.as_array() else {
            self.add::<()>("after", "is no list: write the names of the steps that it waits for");
            return Vec::new();
        };
        let mut found = Vec::new();
        for (at, name) in names.iter().enumerate() {
            let position = self.before.iter().position(|step| Some(step.name.as_str()) == name.as_str());
            match position {
                Some(position) if !found.contains(&position) => found.push(position),
                Some(_) => {}
                None => {
                    let message = format!("{name} is no step before this one: write steps in the order of their work");
                    self.add::<()>(&format!("after[{at}]"), &message);
                }
            }
        }
        found
    }

    fn for_each(&mut self, written: &Value) -> Option<Over> {
        let wanted = written.as_str().unwrap_or_default();
        let is_list = |name: &&String| self.request.inputs.get(*name).is_some_and(Value::is_array);
        let lists: Vec<&str> = self.request.inputs.keys().filter(is_list).map(String::as_str).collect();
        let mapped = |step: &PlannedStep| step.over.is_some() && step.name.as_str() == wanted;
        if lists.contains(&wanted) {
            return Some(Over::Input(wanted.to_owned()));
        }
        if let Some(before) = self.before.iter().position(mapped) {
            return Some(Over::Step(before));
        }
        let known = if lists.is_empty() {
            "no input is a list, leave it out".to_owned()
        } else {
            format!("write one of {}, or a step before that has forEach itself", lists.join(", "))
        };
        self.add("forEach", &format!("{wanted:?} is no list: {known}"))
    }

    fn votes(&mut self, written: &Value) -> Option<u32> {
        let most = self.request.step.max_parallel.min(*TARGETS.end());
        let found = written.as_u64().and_then(|votes| u32::try_from(votes).ok());
        match found.filter(|votes| (*TARGETS.start()..=most).contains(votes)) {
            Some(votes) => Some(votes),
            None if most < *TARGETS.start() => {
                self.add("votes", "auto.maxParallel allows one agent only: leave it out")
            }
            None => self.add("votes", &format!("{written} agents cannot vote: write 2 to {most}, or leave it out")),
        }
    }
}
