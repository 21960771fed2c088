//! What all triggers have in common: a condition, values for the parameters of the run that begins, and an id that follows from what
//! happened.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::child::MAX_PARAMETERS;
use crate::{
    expression::{Expression, References, Scope, Template, Variable, Vocabulary},
    id::{Name, RunId},
};

/// Something that is wrong with a trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where, such as `.when` or `.parameters.size`.
    pub place: String,
    /// What, and what to write instead.
    pub message: String,
}

/// The expressions of a trigger.
pub(super) struct Expressions<'t> {
    pub(super) trigger: &'t Name,
    /// None for always.
    pub(super) when: Option<&'t str>,
    /// Templates of the parameters.
    pub(super) parameters: &'t Map<String, Value>,
}

impl Expressions<'_> {
    /// Everything that is wrong with them, where only these variables have a value; `remedy` says which.
    pub(super) fn mistakes(&self, readable: &[Variable], remedy: &str) -> Vec<Mistake> {
        let unreadable = |place: String, references: &References| {
            let other = references.variables.iter().find(|variable| !readable.contains(variable))?;
            let message = format!("{:?} has no value in such a trigger: write {remedy}", other.as_str());
            Some(Mistake { place, message })
        };
        let mut mistakes = Vec::new();
        if let Some(when) = self.when {
            match Expression::compile(when, Vocabulary::Workflow) {
                Ok(expression) => mistakes.extend(unreadable(".when".to_owned(), expression.references())),
                Err(error) => mistakes.push(Mistake { place: ".when".to_owned(), message: error.to_string() }),
            }
        }
        let (readings, wrong) = Template::inspect(&Value::Object(self.parameters.clone()));
        mistakes.extend(wrong.into_iter().map(|mistake| Mistake {
            place: format!(".parameters{}", mistake.place),
            message: format!("{}: write CEL inside of ${{…}}", mistake.error),
        }));
        for reading in readings {
            mistakes.extend(unreadable(format!(".parameters{}", reading.place), &reading.references));
        }
        mistakes
    }

    /// The parameters; none when the condition is false.
    pub(super) fn evaluate(&self, scope: &Scope<'_>) -> Result<Option<BTreeMap<String, Value>>, String> {
        let told = |what: &str, error: &dyn std::fmt::Display| format!("{what} of trigger {}: {error}", self.trigger);
        if let Some(when) = self.when {
            let condition = Expression::compile(when, Vocabulary::Workflow);
            let met = condition.and_then(|condition| condition.evaluate_condition(scope));
            if !met.map_err(|error| told("when", &error))? {
                return Ok(None);
            }
        }
        let template = Template::compile(&Value::Object(self.parameters.clone()));
        let template = template.map_err(|_| told("parameters", &"they cannot be read"))?;
        let Value::Object(parameters) = template.evaluate(scope).map_err(|error| told("parameters", &error))? else {
            return Ok(Some(BTreeMap::new()));
        };
        let length = Value::Object(parameters.clone()).to_string().len();
        if length > MAX_PARAMETERS {
            let problem = format!("they have {length} bytes, and at most {MAX_PARAMETERS} may be given");
            return Err(told("parameters", &problem));
        }
        Ok(Some(parameters.into_iter().collect()))
    }
}

/// The id of the run that a trigger begins for something that happened: the same for the same, and another one for each trigger.
pub(super) fn run_of(prefix: &str, kind: char, trigger: &Name, happened: &str) -> Option<RunId> {
    let digest = Sha256::digest(format!("{trigger}/{happened}"));
    let hash = digest.iter().take(8).fold(0_u64, |hash, byte| hash << 8 | u64::from(*byte));
    format!("{prefix}-{kind}{hash:016x}").parse().ok()
}
