//! Any text as an expression of a policy and of a workflow: it is refused or evaluated, within its budget.
#![no_main]

use std::borrow::Cow;

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use tetrarch_core::expression::{Expression, Scope, Variable, Vocabulary};

fn object() -> Value {
    json!({
        "metadata": {"name": "scan", "namespace": "compliance", "labels": {"owner": "legal"}, "generation": 3},
        "spec": {"scaling": {"min": 1, "max": 50}, "agent": {"image": "registry.example/scan@sha256:00", "args": ["a", "b"]}},
    })
}

// The parser's own assertions are caught and become refusals; a panic that leaves the target ends the process all the same.
fuzz_target!(init: { std::panic::set_hook(Box::new(|_| {})) }, |text: &str| {
    for vocabulary in [Vocabulary::Policy, Vocabulary::Workflow] {
        let Ok(expression) = Expression::compile(text, vocabulary) else { continue };
        let mut scope = Scope::default().with_now(Timestamp::UNIX_EPOCH);
        for variable in vocabulary.variables() {
            if *variable != Variable::Now {
                scope = scope.with(*variable, Cow::Owned(object()));
            }
        }
        let first = expression.evaluate(&scope);
        assert_eq!(first, expression.evaluate(&scope), "the same expression over the same values");
    }
});
