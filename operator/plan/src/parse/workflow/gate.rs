//! Gates as they are read, and the schemas that they name.

use serde_json::json;
use tetrarch_core::{
    schema::Schema,
    workflow::definition::{Gate, GateFailure, Judge},
};
use tetrarch_crds::workflow::{self as written, HandoffSchema};

use super::{approval::approval, steps::task};
use crate::{parse::at_least, violation::Violations};

/// Checks the schemas that have names and versions.
pub(super) fn check_schemas(schemas: &[HandoffSchema], violations: &mut Violations) {
    for (index, known) in schemas.iter().enumerate() {
        let path = format!("spec.schemas[{index}]");
        if let Err(error) = Schema::compile(&known.schema.0) {
            violations.add(format!("{path}.schema"), format!("{error}: {}", error.remedy()));
        }
        let is_same = |other: &HandoffSchema| other.name == known.name && other.version == known.version;
        if schemas[..index].iter().any(is_same) {
            let message = format!("{:?} {:?} is listed twice: write another version", known.name, known.version);
            violations.add(format!("{path}.version"), message);
        }
    }
}

pub(super) fn read(
    gate: &written::Gate,
    step: &written::Step,
    schemas: &[HandoffSchema],
    path: &str,
    violations: &mut Violations,
) -> Option<Gate> {
    let on_failure = match gate.on_failure {
        written::GateFailure::Fail => GateFailure::Fail,
        written::GateFailure::Retry => GateFailure::Retry,
        written::GateFailure::Continue => GateFailure::Continue,
        written::GateFailure::Escalate => GateFailure::Escalate,
        written::GateFailure::Fallback => GateFailure::Fallback,
        written::GateFailure::Compensate => GateFailure::Compensate,
    };
    let escalation = match &gate.escalation {
        Some(written) => Some(approval(written, &format!("{path}.escalation"), violations)?),
        None => None,
    };
    let judge = match &gate.judge {
        Some(written) => Some(Box::new(judge(written, &format!("{path}.judge"), violations)?)),
        None => None,
    };
    let fallback = match &gate.fallback {
        Some(written) => {
            let mut read = task(written, &format!("{path}.fallback"), violations)?;
            if let (None, Some(task)) = (&written.input, &step.task) {
                read.input = task.input.as_ref().map(|input| input.0.clone()).unwrap_or_default();
            }
            Some(Box::new(read))
        }
        None => None,
    };
    let (schema, schema_name) = match (&gate.schema, &gate.schema_ref) {
        (Some(_), Some(_)) => {
            violations
                .add(format!("{path}.schemaRef"), "there is a schema already: write schema or schemaRef, not both");
            return None;
        }
        (Some(schema), None) => (Some(schema.0.clone()), None),
        (None, Some(named)) => {
            let is_named = |known: &&HandoffSchema| known.name == named.name && known.version == named.version;
            let Some(known) = schemas.iter().find(is_named) else {
                let message = format!("there is no schema {:?} of version {:?}", named.name, named.version);
                violations.add(format!("{path}.schemaRef"), format!("{message}: {}", remedy(&named.name, schemas)));
                return None;
            };
            (Some(known.schema.0.clone()), Some(format!("{} {}", known.name, known.version)))
        }
        (None, None) => (None, None),
    };
    let (expression, message) = (gate.expression.clone(), gate.message.clone());
    Some(Gate { schema, schema_name, expression, judge, message, on_failure, escalation, fallback })
}

fn remedy(name: &str, schemas: &[HandoffSchema]) -> String {
    let versions: Vec<&str> =
        schemas.iter().filter(|known| known.name == name).map(|known| known.version.as_str()).collect();
    if versions.is_empty() {
        "add it to spec.schemas, or correct the name".to_owned()
    } else {
        format!("add it to spec.schemas, or write one of the versions {}", versions.join(", "))
    }
}

fn judge(judge: &written::Judge, path: &str, violations: &mut Violations) -> Option<Judge> {
    let mut read = task(&judge.task, &format!("{path}.task"), violations)?;
    if judge.task.input.is_none() {
        read.input = json!({"output": "${output}"});
    }
    Some(Judge { task: read, at_least: at_least(&format!("{path}.atLeast"), judge.at_least, 0, violations)? })
}
