//! The runs of which journals are kept: each pattern, and each way in which a run can end.

use std::sync::Arc;

use serde_json::{Value, json};
use tetrarch_core::workflow::definition::Definition;
use tetrarch_protocol::{subject::Subject, task::ResultOutcome};

use crate::world::{Behaviour, fail, hand_over, map, step, succeed, task, workflow_with};

/// A run to record.
pub struct Scenario {
    /// Name of its Workflow and of its files.
    pub name: &'static str,
    steps: Value,
    settings: Value,
    /// How it ends.
    pub ends: &'static str,
    /// What somebody asks of it on its way.
    pub asked: Asked,
}

/// What is asked of a run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Nothing.
    Nothing,
    /// To cancel it when its first step has ended.
    Cancel,
    /// To end it at once when its first step has ended.
    Terminate,
    /// To pause when its first step has ended, and then to go on.
    Pause,
    /// What to say to its first question.
    Decision(bool),
}

impl Scenario {
    /// What is run.
    pub fn definition(&self) -> Definition {
        workflow_with(self.name, self.steps.clone(), self.settings.clone())
    }
}

/// The Workflow of which the scenario `child` begins a run.
pub fn inner() -> Definition {
    let settings = json!({"parameters": {"text": "nothing"}, "output": "${steps.say.output}"});
    workflow_with("inner", json!([step("say", &[], json!("${params.text}"))]), settings)
}

fn succeeds(name: &'static str, steps: Value) -> Scenario {
    Scenario { name, steps, settings: json!({}), ends: "Succeeded", asked: Asked::Nothing }
}

fn scatter(gather: &Value, late: &str) -> Value {
    let scatter = json!({"task": task(json!("${index}")), "to": 3, "gather": gather, "late": late});
    json!([{"name": "ask", "kind": {"scatter": scatter}}])
}

fn undone(name: &str, after: &[&str], input: Value) -> Value {
    let mut made = step(name, after, input);
    made["compensate"] = task(json!({"undo": name}));
    made
}

/// What is taken apart, with room for three steps.
fn auto(text: &str) -> Value {
    let retry = json!({"limit": 0, "initial": 100, "factor": 1, "max": 100});
    json!({"text": text, "inputs": {"places": ["a", "b"]}, "capabilities": ["work"], "maxSteps": 3, "maxParallel": 2,
        "taskTimeout": 60_000, "retry": retry})
}

/// A plan and a step behind it.
fn decomposed(auto: &Value) -> Value {
    json!([{"name": "do", "kind": {"auto": auto}}, step("last", &["do"], json!("${steps.do.output}"))])
}

/// All of them.
pub fn all() -> Vec<Scenario> {
    patterns().into_iter().chain(asked()).collect()
}

/// The patterns, and the ways in which a run ends by itself.
fn patterns() -> Vec<Scenario> {
    let parallel = json!({"parallel": [
        {"name": "a", "stages": [{"name": "one", "task": task(json!("a"))}]},
        {"name": "b", "stages": [{"name": "one", "task": task(json!("b"))}, {"name": "two", "task": task(json!("${previous}"))}]},
    ]});
    let pipeline = json!({"pipeline": [{"name": "one", "task": task(json!(1))}, {"name": "two", "task": task(json!("${previous}"))}]});
    let mut reduced = map("each", 6, 3);
    reduced["kind"]["map"]["reduce"] = json!({"task": task(json!("${results}"))});
    let mut tree = map("each", 5, 5);
    tree["kind"]["map"]["items"] = json!({"from": 1, "to": 5});
    tree["kind"]["map"]["reduce"] = json!({"tree": {"task": task(json!("${results}")), "fanIn": 2}});
    let mut tolerant = map("each", 4, 4);
    tolerant["kind"]["map"]["task"] = task(json!({"refuseOdd": "${item}"}));
    tolerant["kind"]["map"]["minSuccessPercent"] = json!(50);
    let mut gated = step("draft", &[], json!({"failures": 0, "verdict": "${verdict}"}));
    gated["gate"] = json!({"expression": "output.verdict != null", "message": "say it again", "onFailure": "Retry"});
    let mut judged = step("draft", &[], json!({"verdict": "${verdict}"}));
    let judge = task(json!({"score": "${output.verdict == '' ? 60 : 90}", "reason": "too plain"}));
    judged["gate"] = json!({"judge": {"task": judge, "atLeast": 80}, "onFailure": "Retry"});
    let mut replaced = step("translate", &[], json!({"refuse": true}));
    let schema = json!({"type": "object", "required": ["by"]});
    replaced["gate"] = json!({"schema": schema, "schemaName": "text 1", "onFailure": "Fallback", "fallback": task(json!({"by": "${verdict}"}))});
    let last = json!({"capability": "work", "input": "paid back"});
    let mut handed = step(
        "answer",
        &[],
        json!({"handOver": {"capability": "work", "input": {"handOver": last}, "reason": "money"}}),
    );
    handed["kind"]["task"]["handOver"] = json!({"to": ["work"], "limit": 2});
    let mut unwanted = step("hotel", &["flight"], json!("hotel"));
    unwanted["gate"] = json!({"expression": "output != 'hotel'", "onFailure": "Compensate"});
    let pause =
        |milliseconds: u64| json!({"name": "pause", "after": ["first"], "kind": {"wait": {"for": milliseconds}}});
    vec![
        succeeds("task", json!([step("only", &[], json!({"say": "hello"}))])),
        succeeds(
            "order",
            json!([
                step("first", &[], json!({"n": 1})),
                step("second", &["first"], json!("${steps.first.output.n + 1}")),
                {"name": "never", "after": ["first"], "when": "steps.first.output.n > 1", "kind": {"task": task(json!(0))}},
                step("last", &["second", "never"], json!("${steps.second.output}")),
            ]),
        ),
        succeeds("map", json!([reduced])),
        succeeds("map-tree", json!([tree])),
        succeeds("map-tolerant", json!([tolerant])),
        succeeds("parallel", json!([{"name": "sides", "kind": parallel}])),
        succeeds("pipeline", json!([{"name": "chain", "kind": pipeline}])),
        succeeds("scatter-first", scatter(&json!("first"), "Withdraw")),
        succeeds("scatter-quorum", scatter(&json!({"quorum": {"atLeast": 2}}), "Collect")),
        succeeds("scatter-best", scatter(&json!({"best": {"score": "output", "atLeast": 3}}), "Collect")),
        succeeds("wait", json!([step("first", &[], json!(1)), pause(50), step("last", &["pause"], json!(2))])),
        succeeds("gate", json!([gated])),
        succeeds("judge", json!([judged])),
        succeeds("fallback", json!([replaced])),
        succeeds("hand-over", json!([handed])),
        Scenario {
            ends: "Compensated",
            ..succeeds("gate-undoes", json!([undone("flight", &[], json!("flight")), unwanted]))
        },
        succeeds("retry", json!([step("flaky", &[], json!({"failures": 2}))])),
        Scenario {
            ends: "Failed",
            ..succeeds(
                "failed",
                json!([step("first", &[], json!(1)), step("refused", &["first"], json!({"refuse": true}))]),
            )
        },
        Scenario {
            ends: "Failed",
            settings: json!({"onFailure": "Continue"}),
            ..succeeds(
                "failed-beside",
                json!([step("refused", &[], json!({"refuse": true})), step("good", &[], json!(1))]),
            )
        },
        Scenario {
            ends: "Compensated",
            settings: json!({"onFailure": "Compensate"}),
            ..succeeds(
                "saga",
                json!([
                    undone("flight", &[], json!("flight")),
                    undone("hotel", &["flight"], json!("hotel")),
                    step("pay", &["hotel"], json!({"refuse": true})),
                ]),
            )
        },
        Scenario { ends: "OutcomeUnknown", ..succeeds("unknown", json!([step("lost", &[], json!({"lose": true}))])) },
        Scenario {
            ends: "Cancelled",
            asked: Asked::Cancel,
            ..succeeds(
                "cancelled",
                json!([step("first", &[], json!(1)), pause(600_000), step("last", &["pause"], json!(2))]),
            )
        },
    ]
}

/// What people and the clock decide, and runs of other Workflows.
fn asked() -> Vec<Scenario> {
    let question = |time: u64, otherwise: &str| json!({"approvers": [], "timeout": time, "onTimeout": otherwise});
    let asking = |time: u64, otherwise: &str| {
        let sign_off = json!({"name": "sign-off", "after": ["first"], "kind": {"approval": question(time, otherwise)}});
        json!([step("first", &[], json!(1)), sign_off, step("last", &["sign-off"], json!(2))])
    };
    let mut escalated = step("draft", &[], json!({"score": 60}));
    escalated["gate"] = json!({"expression": "output.score >= 80", "onFailure": "Escalate", "escalation": question(3_600_000, "Reject")});
    let looping = json!({"name": "revise", "after": [], "kind": {"loop": {
        "task": task(json!({"score": "${index == 0 ? 60 : previous.score + 15}"})),
        "until": "output.score >= 80", "maxIterations": 5, "interval": 20, "onExhausted": "Fail"}}});
    let pause =
        |milliseconds: u64| json!({"name": "pause", "after": ["first"], "kind": {"wait": {"for": milliseconds}}});
    let mut by_planner = auto("Nobody knows what.");
    by_planner["planner"] = task(json!(null));
    by_planner["approval"] = question(3_600_000, "Reject");
    vec![
        succeeds("auto", decomposed(&auto("[work] Look, then [work] leap."))),
        Scenario { asked: Asked::Decision(true), ..succeeds("auto-by-planner", decomposed(&by_planner)) },
        Scenario {
            settings: json!({"keepOutputsFor": 0, "onFailure": "Continue"}),
            ends: "Failed",
            ..succeeds(
                "outputs-removed",
                json!([
                    step("first", &[], json!({"failures": 1})),
                    map("each", 3, 3),
                    step("refused", &["first"], json!({"refuse": true})),
                    step("last", &["refused"], json!(2)),
                ]),
            )
        },
        Scenario {
            ends: "Cancelled",
            asked: Asked::Terminate,
            settings: json!({"onFailure": "Compensate"}),
            ..succeeds("terminated", json!([undone("first", &[], json!("first")), pause(600_000)]))
        },
        Scenario {
            asked: Asked::Pause,
            ..succeeds("paused", json!([step("first", &[], json!(1)), pause(200), step("last", &["pause"], json!(2))]))
        },
        Scenario { asked: Asked::Decision(true), ..succeeds("approved", asking(3_600_000, "Reject")) },
        Scenario {
            ends: "Failed",
            asked: Asked::Decision(false),
            ..succeeds("rejected", asking(3_600_000, "Approve"))
        },
        succeeds("approved-by-time", asking(100, "Approve")),
        Scenario { asked: Asked::Decision(true), ..succeeds("escalated", json!([escalated])) },
        succeeds("loop", json!([looping, step("last", &["revise"], json!("${steps.revise.output}"))])),
        succeeds(
            "child",
            json!([
                step("first", &[], json!("hello")),
                {"name": "inner", "after": ["first"], "kind": {"workflow": {
                    "name": "inner", "parameters": {"text": "${steps.first.output}"},
                    "retry": {"limit": 0, "initial": 100, "factor": 1, "max": 100}}}},
                step("last", &["inner"], json!("${steps.inner.output}")),
            ]),
        ),
    ]
}

/// An agent that does what its input says, and otherwise answers with it.
pub fn agent() -> Behaviour {
    Arc::new(|subject, input| {
        let attempt = match subject {
            Subject::Task { task, .. } => u64::from(task.attempt),
            _ => 0,
        };
        if input["failures"].as_u64().is_some_and(|failures| attempt <= failures) {
            return fail("not yet");
        }
        if let Some(mistakes) = input.get("mistakes").and_then(Value::as_array) {
            // Its first reply is no plan.
            let capability = if mistakes.is_empty() { "fly" } else { "work" };
            return succeed(json!({"steps": [{"name": "look", "capability": capability, "instruction": "Look."}]}));
        }
        if input["refuse"] == true || input["refuseOdd"].as_u64().is_some_and(|n| n % 2 == 1) {
            return fail("no");
        }
        if let Some(named) = input.get("handOver") {
            let reason = named["reason"].as_str().map(str::to_owned);
            return hand_over(named["capability"].as_str().unwrap_or_default(), named["input"].clone(), reason);
        }
        if input["lose"] == true {
            return ResultOutcome::Unknown { message: "the pod is gone".to_owned() };
        }
        succeed(input)
    })
}
