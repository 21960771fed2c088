//! Runs that begin because of a message from outside: which one, with which parameters, and why it cannot be run.
//!
//! The id of the run follows from the trigger and the id of the message, so each message begins at most one run for a trigger, however
//! often it comes.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    begin::{self, Expressions, Mistake},
    trigger::{Follower, Origin},
};
use crate::{
    expression::{Scope, Variable},
    id::Name,
};

/// Most characters of the id of a message that the cause of a run quotes.
const QUOTED: usize = 64;

/// What begins runs of a workflow when a message comes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageTrigger {
    /// Its name.
    pub name: Name,
    /// Where messages come from.
    pub source: Source,
    /// A condition in CEL; none for always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Templates of the parameters.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
}

/// Where messages come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// From the bus.
    Event {
        /// What they are about.
        topic: Name,
    },
    /// By HTTP.
    Webhook {
        /// How they are signed.
        signature: Signature,
    },
}

/// How a message by HTTP is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signature {
    /// By the specification Standard Webhooks.
    Standard,
    /// As GitHub does.
    GitHub,
}

/// A message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'m> {
    /// Its id: a message that comes again has the same one.
    pub id: &'m str,
    /// What it says, or why that cannot be read.
    pub body: Result<&'m Value, &'m str>,
    /// Its headers, names in lower case.
    pub headers: &'m BTreeMap<String, String>,
}

impl MessageTrigger {
    /// Everything that is wrong with its expressions.
    pub fn mistakes(&self) -> Vec<Mistake> {
        self.expressions().mistakes(&[Variable::Event], "event")
    }

    /// The run that a message begins; none when it is none of the trigger's business. What cannot be read or evaluated gives a run with a flaw
    /// ([`Origin::flaw`]), so that no message is lost without a trace. `prefix` begins the id.
    pub fn begin(&self, prefix: &str, message: Message<'_>) -> Option<Follower> {
        let run = begin::run_of(prefix, 'e', &self.name, message.id)?;
        let evaluated = match message.body {
            Err(flaw) => Err(flaw.to_owned()),
            Ok(body) => {
                let event = json!({"id": message.id, "body": body, "headers": message.headers});
                self.expressions().evaluate(&Scope::default().with(Variable::Event, Cow::Borrowed(&event)))
            }
        };
        let (parameters, flaw) = match evaluated {
            Ok(parameters) => (parameters?, None),
            Err(flaw) => (BTreeMap::new(), Some(flaw)),
        };
        let quoted: String = message.id.chars().take(QUOTED).collect();
        let cause = match &self.source {
            Source::Event { topic } => format!("trigger {}: event {topic} {quoted}", self.name),
            Source::Webhook { .. } => format!("trigger {}: webhook {quoted}", self.name),
        };
        let origin = Origin { trigger: self.name.clone(), run: None, lineage: Vec::new(), flaw };
        Some(Follower { run, parameters, cause, origin })
    }

    fn expressions(&self) -> Expressions<'_> {
        Expressions { trigger: &self.name, when: self.when.as_deref(), parameters: &self.parameters }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::samples::name;

    fn trigger(when: &str) -> MessageTrigger {
        MessageTrigger {
            name: name("ordered"),
            source: Source::Event { topic: name("orders") },
            when: Some(when.to_owned()),
            parameters: serde_json::from_value(json!({"of": "${event.body.number}", "by": "${event.headers['by']}"}))
                .unwrap(),
        }
    }

    fn begin(trigger: &MessageTrigger, id: &str, body: Result<&Value, &str>) -> Option<Follower> {
        let headers = BTreeMap::from([("by".to_owned(), "shop".to_owned())]);
        trigger.begin("ship-0a1b2", Message { id, body, headers: &headers })
    }

    #[test]
    fn a_message_begins_one_run_however_often_it_comes() {
        let body = json!({"number": 7});
        let trigger = trigger("event.body.number > 5 && event.id.startsWith('m')");
        let begun = begin(&trigger, "m1", Ok(&body)).unwrap();
        assert_eq!(Some(&begun), begin(&trigger, "m1", Ok(&body)).as_ref());
        assert_eq!(json!(begun.parameters), json!({"of": 7, "by": "shop"}));
        assert_eq!(begun.cause, "trigger ordered: event orders m1");
        assert!(begun.run.as_str().starts_with("ship-0a1b2-e"), "{}", begun.run);
        assert_ne!(begin(&trigger, "m2", Ok(&body)).unwrap().run, begun.run);
        assert_eq!(begin(&trigger, "m3", Ok(&json!({"number": 5}))), None, "the condition is false");
    }

    #[test]
    fn what_cannot_be_read_or_evaluated_is_a_run_that_says_so() {
        let flaw = |begun: Option<Follower>| begun.unwrap().origin.flaw.unwrap();
        assert_eq!(flaw(begin(&trigger("true"), "m1", Err("it is no JSON"))), "it is no JSON");
        let missing = flaw(begin(&trigger("true"), "m1", Ok(&json!({}))));
        assert!(missing.starts_with("parameters of trigger ordered: "), "{missing}");
        let no_condition = flaw(begin(&trigger("event.body"), "m1", Ok(&json!({}))));
        assert!(no_condition.starts_with("when of trigger ordered: "), "{no_condition}");
    }

    #[test]
    fn it_reads_nothing_but_the_event() {
        let mut trigger = trigger("run.id == 'x'");
        trigger.parameters = serde_json::from_value(json!({"a": "${output}", "b": "${event.id}"})).unwrap();
        let told: Vec<String> =
            trigger.mistakes().into_iter().map(|told| format!("{} {}", told.place, told.message)).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with(".when") && told[1].starts_with(".parameters.a"), "{told:?}");
        assert!(told[0].ends_with("write event"), "{told:?}");
    }
}
