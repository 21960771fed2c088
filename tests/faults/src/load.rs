//! The runs that are under way while things break.

use serde_json::{Value, json};

/// A pool whose tasks may be handed out twice.
pub const AGAIN: &str = "again";

/// A pool whose tasks may not.
pub const ONCE: &str = "once";

/// A run: its Workflow has its name, the run `<name>-1`.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Name of the Workflow.
    pub name: String,
    definition: Value,
}

impl Wanted {
    /// Id of the run.
    pub fn run(&self) -> String {
        format!("{}-1", self.name)
    }

    /// What the operator would publish for it.
    pub fn snapshot(&self) -> Value {
        json!({
            "version": 1, "definition": self.definition, "cancel": [], "deleted": false,
            "runs": [{"run": self.run(), "parameters": {}, "cause": "faults"}],
        })
    }
}

fn task(pool: &str, input: Value) -> Value {
    json!({
        "agent": {"pool": pool}, "input": input, "timeout": 60_000,
        "retry": {"limit": 10, "initial": 20, "factor": 2, "max": 500},
    })
}

fn wanted(kind: &str, number: usize, on_failure: &str, steps: Value) -> Wanted {
    let name = format!("{kind}-{number}");
    let definition = json!({
        "workflow": name, "generation": 1, "class": "normal", "onFailure": on_failure, "parameters": {}, "keepRuns": 3,
        "timeout": 1_800_000, "steps": steps,
    });
    Wanted { name, definition }
}

/// One run of each kind: a map over tasks that may be repeated, tasks that may not, and a saga that is lost at its last step.
pub fn runs(number: usize, sleep: u64) -> Vec<Wanted> {
    let items: Vec<usize> = (0..30).collect();
    let map = json!({
        "items": items, "task": task(AGAIN, json!({"sleep": sleep, "item": "${item}"})), "maxParallel": 10,
        "minSuccessPercent": 0, "reduce": "collect",
    });
    let map = json!([
        {"name": "each", "kind": {"map": map}},
        {"name": "last", "after": ["each"], "kind": {"task": task(AGAIN, json!({"sleep": sleep}))}},
    ]);
    // Independent of each other, so that one whose outcome is unknown ends nothing but itself.
    let single = |n: usize| json!({"name": format!("s{n}"), "kind": {"task": task(ONCE, json!({"sleep": sleep}))}});
    let singles: Vec<Value> = (0..10).map(single).collect();
    let mut saga: Vec<Value> = (0..4)
        .map(|n| {
            let after: Vec<String> = (0..n).map(|before| format!("s{before}")).collect();
            json!({
                "name": format!("s{n}"), "after": after, "kind": {"task": task(AGAIN, json!({"sleep": sleep}))},
                "compensate": task(AGAIN, json!({"undo": n})),
            })
        })
        .collect();
    saga.push(json!({"name": "pay", "after": ["s3"], "kind": {"task": task(AGAIN, json!({"refuse": true}))}}));
    vec![
        wanted("map", number, "Continue", map),
        wanted("once", number, "Continue", json!(singles)),
        wanted("saga", number, "Compensate", json!(saga)),
    ]
}
