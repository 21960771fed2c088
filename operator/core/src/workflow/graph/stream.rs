//! What a map must be like whose items are the outputs of another one as they come.

use super::check::Checker;
use crate::workflow::definition::{Step, StepKind};

impl Checker<'_> {
    pub(super) fn check_stream(&mut self, field: &str, index: usize, step: &Step) {
        let Some(name) = step.streams_from() else { return };
        let place = format!("{field}.map.itemsFrom.step");
        if let Some(entry) = step.after.iter().position(|before| before == name) {
            let message =
                format!("step {:?} has to end before this one, so nothing of it comes while it runs", name.as_str());
            let remedy = "remove it from `after`, for itemsFrom waits for its items, or write map.items instead";
            self.add(format!("{field}.after[{entry}]"), message, remedy);
        }
        let steps = &self.definition.steps;
        let Some(source) = steps.iter().position(|candidate| candidate.name == *name) else {
            let message = format!("there is no step {:?}", name.as_str());
            return self.add(place, message, format!("write one of {}", self.maps_but(index)));
        };
        if source == index {
            let remedy = format!("write one of {}", self.maps_but(index));
            return self.add(place, "a step cannot get its items from itself", remedy);
        }
        if !matches!(steps[source].kind, StepKind::Map(_)) {
            let message = format!("step {:?} is no map, so it has no items that could come one by one", name.as_str());
            let remedy = "name a map step, or write `after` and map.items with its output";
            return self.add(place, message, remedy);
        }
        if steps[source].gate.is_some() {
            let message =
                format!("the gate of step {:?} looks at its output when all of its items are done", name.as_str());
            let remedy = "remove that gate, or write `after` and map.items here, so that this step waits for it";
            self.add(place, message, remedy);
        }
    }

    /// The map steps apart from one, for people to choose from.
    fn maps_but(&self, index: usize) -> String {
        let steps = self.definition.steps.iter().enumerate();
        let maps = steps.filter(|(at, step)| *at != index && matches!(step.kind, StepKind::Map(_)));
        let names: Vec<&str> = maps.map(|(_, step)| step.name.as_str()).take(20).collect();
        if names.is_empty() { "the map steps, of which there is no other".to_owned() } else { names.join(", ") }
    }
}
