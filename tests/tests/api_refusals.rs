//! Rung 3: what the API server itself refuses, because the rules are in the definitions: each refusal names the field and what to write instead.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tetrarch_testkit::cluster::Cluster;
use tetrarch_tests::department::{Department, scripted};

/// A manifest that must be refused, and what the refusal must say.
struct Case {
    name: &'static str,
    manifest: String,
    says: &'static [&'static str],
}

fn orchestrator(spec: &Value) -> String {
    json!({"apiVersion": "tetrarch.dev/v1alpha1", "kind": "Orchestrator", "metadata": {"name": "refused"}, "spec": spec}).to_string()
}

fn domain(spec: &Value) -> String {
    json!({"apiVersion": "tetrarch.dev/v1alpha1", "kind": "Domain", "metadata": {"name": "refused"}, "spec": spec})
        .to_string()
}

#[expect(clippy::too_many_lines, reason = "a table, one case after the other")]
fn cases(department: &Department) -> Vec<Case> {
    let task = json!({"agent": {"capability": "scripted"}});
    let step = |step: Value| department.workflow("refused", &json!([step]), &json!({}));
    let pool = |patch: Value| department.pool(1, &patch);
    let map = |map: Value| {
        let mut full = json!({"items": [1], "task": task});
        full.as_object_mut().into_iter().for_each(|full| full.extend(map.as_object().cloned().unwrap_or_default()));
        department.workflow("refused", &json!([{"name": "a", "map": full}]), &json!({}))
    };
    let triggered = |triggers: Value| {
        department.workflow("refused", &json!([scripted("a", &json!({}))]), &json!({"triggers": triggers}))
    };
    let case = |name, manifest, says| Case { name, manifest, says };
    vec![
        case(
            "two kinds in one step",
            step(json!({"name": "a", "task": task, "pipeline": {"stages": [{"name": "s", "task": task}]}})),
            &[
                "spec.steps[0]",
                "exactly one kind",
                "task, map, parallel, pipeline, scatter, loop, wait, approval, workflow or auto",
            ],
        ),
        case(
            "a scatter that gathers in two ways",
            step(
                json!({"name": "a", "scatter": {"to": 3, "task": task, "gather": {"first": {}, "quorum": {"atLeast": 2}}}}),
            ),
            &["spec.steps[0].scatter.gather", "exactly one way", "weighted or consensus"],
        ),
        case(
            "a scatter to one target",
            step(json!({"name": "a", "scatter": {"to": 1, "task": task, "gather": {"first": {}}}})),
            &["spec.steps[0].scatter.to", "greater than or equal to 2"],
        ),
        case(
            "a pipeline that is undone as one",
            step(json!({"name": "a", "pipeline": {"stages": [{"name": "s", "task": task}]}, "compensate": task})),
            &["spec.steps[0]", "compensate undoes a step of kind task", "split other steps"],
        ),
        case(
            "a compensation without an agent",
            step(json!({"name": "a", "task": task, "compensate": {"agent": {}}})),
            &["spec.steps[0].compensate.agent", "either pool", "or capability"],
        ),
        case(
            "a hand-over to nobody",
            step(json!({"name": "a", "task": {"agent": {"capability": "scripted"}, "handOver": {"to": []}}})),
            &["spec.steps[0].task.handOver.to", "at least 1 items"],
        ),
        case(
            "a hand-over without end",
            step(
                json!({"name": "a", "task": {"agent": {"capability": "scripted"}, "handOver": {"to": ["x"], "limit": 21}}}),
            ),
            &["spec.steps[0].task.handOver.limit", "less than or equal to 20"],
        ),
        case(
            "a guess about what is not known",
            department.workflow("refused", &json!([scripted("a", &json!({}))]), &json!({"onUnknown": "Guess"})),
            &["spec.onUnknown", "Unsupported value: \"Guess\"", "\"Fail\", \"Ask\""],
        ),
        case(
            "runs that are kept for a time in words",
            department.workflow("refused", &json!([scripted("a", &json!({}))]), &json!({"keepRunsFor": "a week"})),
            &["spec.keepRunsFor", "is not a duration: write a number with a unit"],
        ),
        case(
            "outputs that are kept for a time in words",
            department.workflow("refused", &json!([scripted("a", &json!({}))]), &json!({"keepOutputsFor": "a day"})),
            &["spec.keepOutputsFor", "is not a duration: write a number with a unit"],
        ),
        case(
            "a loop without an end",
            step(json!({"name": "a", "loop": {"task": task}})),
            &["spec.steps[0].loop.until", "Required value"],
        ),
        case(
            "a loop that never begins",
            step(json!({"name": "a", "loop": {"task": task, "until": "true", "maxIterations": 0}})),
            &["spec.steps[0].loop.maxIterations", "greater than or equal to 1"],
        ),
        case(
            "a loop that goes on for ever",
            step(json!({"name": "a", "loop": {"task": task, "until": "false", "maxIterations": 1001}})),
            &["spec.steps[0].loop.maxIterations", "less than or equal to 1000"],
        ),
        case(
            "a tree without a task",
            map(json!({"reduce": {"builtin": "Sum", "fanIn": 10}})),
            &["spec.steps[0].map.reduce", "write task, or leave fanIn out"],
        ),
        case(
            "a tree of one branch",
            map(json!({"reduce": {"task": task, "fanIn": 1}})),
            &["spec.steps[0].map.reduce.fanIn", "greater than or equal to 2"],
        ),
        case(
            "a wait with two ends",
            step(json!({"name": "a", "wait": {"duration": "1s", "until": "2026-11-21T17:00:00Z"}})),
            &["spec.steps[0].wait", "either duration or until"],
        ),
        case(
            "a text that no capability can do anything about",
            step(json!({"name": "a", "auto": {"text": "do it", "capabilities": []}})),
            &["spec.steps[0].auto.capabilities", "at least 1"],
        ),
        case(
            "an empty text",
            step(json!({"name": "a", "auto": {"text": "", "capabilities": ["scripted"]}})),
            &["spec.steps[0].auto.text", "at least 1"],
        ),
        case(
            "a plan of too many steps",
            step(json!({"name": "a", "auto": {"text": "do it", "capabilities": ["scripted"], "maxSteps": 65}})),
            &["spec.steps[0].auto.maxSteps", "less than or equal to 64"],
        ),
        case(
            "a planner that is nobody",
            step(
                json!({"name": "a", "auto": {"text": "do it", "capabilities": ["scripted"], "planner": {"agent": {}}}}),
            ),
            &["spec.steps[0].auto.planner.agent", "write either pool", "or capability"],
        ),
        case(
            "an approval with a timeout of the step",
            step(json!({"name": "a", "approval": {}, "timeout": "1h"})),
            &["spec.steps[0]", "write approval.timeout instead of timeout"],
        ),
        case(
            "an approval whose timeout is no duration",
            step(json!({"name": "a", "approval": {"timeout": "tomorrow"}})),
            &["spec.steps[0].approval.timeout", "not a duration"],
        ),
        case(
            "an approver of an unknown kind",
            step(json!({"name": "a", "approval": {"approvers": [{"kind": "Robot", "name": "r2"}]}})),
            &["spec.steps[0].approval.approvers[0].kind", "ServiceAccount"],
        ),
        case(
            "an approval that is undecided for ever",
            step(json!({"name": "a", "approval": {"onTimeout": "Wait"}})),
            &["spec.steps[0].approval.onTimeout", "Reject", "Approve"],
        ),
        case(
            "a gate that escalates to nobody",
            step(json!({"name": "a", "task": task, "gate": {"expression": "true", "onFailure": "Escalate"}})),
            &["spec.steps[0].gate", "write escalation (who is asked) together with onFailure: Escalate"],
        ),
        case(
            "a gate that asks and never escalates",
            step(json!({"name": "a", "task": task, "gate": {"expression": "true", "escalation": {}}})),
            &["spec.steps[0].gate", "write escalation (who is asked) together with onFailure: Escalate"],
        ),
        case(
            "a gate that asks for nothing",
            step(json!({"name": "a", "task": task, "gate": {"onFailure": "Fail"}})),
            &["spec.steps[0].gate", "write schema, schemaRef, expression or judge"],
        ),
        case(
            "a gate of two schemas",
            step(
                json!({"name": "a", "task": task, "gate": {"schema": {}, "schemaRef": {"name": "x", "version": "1"}}}),
            ),
            &["spec.steps[0].gate", "write schema or schemaRef, not both"],
        ),
        case(
            "a gate that falls back to nothing",
            step(json!({"name": "a", "task": task, "gate": {"expression": "true", "onFailure": "Fallback"}})),
            &["spec.steps[0].gate", "write fallback"],
        ),
        case(
            "a fallback that nothing calls",
            step(json!({"name": "a", "task": task, "gate": {"expression": "true", "fallback": task}})),
            &["spec.steps[0].gate", "nothing ever calls the fallback: write onFailure: Fallback"],
        ),
        case(
            "a score that nobody gives",
            step(json!({"name": "a", "task": task, "gate": {"judge": {"task": task, "atLeast": 101}}})),
            &["spec.steps[0].gate.judge.atLeast", "less than or equal to 100"],
        ),
        case(
            "a judge without a task",
            step(json!({"name": "a", "task": task, "gate": {"judge": {"atLeast": 80}}})),
            &["spec.steps[0].gate.judge.task", "Required value"],
        ),
        case(
            "a schema without a version",
            department.workflow(
                "refused",
                &json!([{"name": "a", "task": task}]),
                &json!({"schemas": [{"name": "x", "schema": {}}]}),
            ),
            &["spec.schemas[0].version", "Required value"],
        ),
        case(
            "a run of a Workflow without a name",
            step(json!({"name": "a", "workflow": {"parameters": {"x": 1}}})),
            &["spec.steps[0].workflow.name", "Required value"],
        ),
        case(
            "a run of a Workflow with a bad name",
            step(json!({"name": "a", "workflow": {"name": "Other Workflow"}})),
            &["spec.steps[0].workflow.name"],
        ),
        case(
            "a run of a Workflow that is undone by a task",
            step(json!({"name": "a", "workflow": {"name": "other"}, "compensate": task})),
            &["spec.steps[0]", "compensate undoes a step of kind task"],
        ),
        case(
            "a trigger without anything that triggers it",
            triggered(json!([{"name": "t"}])),
            &["spec.triggers[0]", "exactly one kind", "completion, event or webhook"],
        ),
        case(
            "a trigger by a run that ends as nothing ends",
            triggered(json!([{"name": "t", "completion": {"workflow": "b", "phases": ["Done"]}}])),
            &["spec.triggers[0].completion.phases[0]", "Succeeded", "Compensated"],
        ),
        case(
            "a trigger by a Workflow with a bad name",
            triggered(json!([{"name": "t", "completion": {"workflow": "Other Workflow"}}])),
            &["spec.triggers[0].completion.workflow"],
        ),
        case(
            "a trigger of two kinds",
            triggered(json!([{"name": "t", "completion": {"workflow": "b"}, "event": {"topic": "b"}}])),
            &["spec.triggers[0]", "exactly one kind", "completion, event or webhook"],
        ),
        case(
            "a trigger by a webhook without a secret",
            triggered(json!([{"name": "t", "webhook": {"signature": "GitHub"}}])),
            &["spec.triggers[0].webhook.secretRef", "Required value"],
        ),
        case(
            "a trigger by a webhook that is signed in an unknown way",
            triggered(json!([{"name": "t", "webhook": {"secretRef": {"name": "s", "key": "k"}, "signature": "Sha1"}}])),
            &["spec.triggers[0].webhook.signature", "Standard", "GitHub"],
        ),
        case(
            "a trigger by a topic of two parts",
            triggered(json!([{"name": "t", "event": {"topic": "orders.new"}}])),
            &["spec.triggers[0].event.topic"],
        ),
        case(
            "a schedule of three fields",
            department.workflow(
                "refused",
                &json!([scripted("a", &json!({}))]),
                &json!({"schedule": {"cron": "0 6 *"}}),
            ),
            &["spec.schedule.cron", "write minute, hour, day of month, month and day of week"],
        ),
        case(
            "a schedule without times",
            department.workflow(
                "refused",
                &json!([scripted("a", &json!({}))]),
                &json!({"schedule": {"timeZone": "Europe/Berlin"}}),
            ),
            &["spec.schedule.cron", "Required value"],
        ),
        case(
            "an unknown concurrency of a schedule",
            department.workflow(
                "refused",
                &json!([scripted("a", &json!({}))]),
                &json!({"schedule": {"cron": "@daily", "concurrency": "Queue"}}),
            ),
            &["spec.schedule.concurrency", "Allow", "Replace"],
        ),
        case("no kind at all", step(json!({"name": "a"})), &["spec.steps[0]", "exactly one kind"]),
        case(
            "a pool and a capability",
            step(json!({"name": "a", "task": {"agent": {"pool": "p", "capability": "c"}}})),
            &["spec.steps[0].task.agent", "either pool", "or capability"],
        ),
        case(
            "neither pool nor capability",
            step(json!({"name": "a", "task": {"agent": {}}})),
            &["spec.steps[0].task.agent", "either pool", "or capability"],
        ),
        case("a step without a name", step(json!({"task": task})), &[".spec.steps: element 0", r#"["name"]"#]),
        case("a step with a bad name", step(json!({"name": "Not A Name", "task": task})), &["spec.steps[0].name"]),
        case(
            "two steps of one name",
            department.workflow("refused", &json!([scripted("a", &json!({})), scripted("a", &json!({}))]), &json!({})),
            &[".spec.steps", r#"duplicate entries for key [name="a"]"#],
        ),
        case("no steps", department.workflow("refused", &json!([]), &json!({})), &["spec.steps", "at least 1"]),
        case(
            "an unparsable timeout",
            department.workflow("refused", &json!([scripted("a", &json!({}))]), &json!({"timeout": "ten minutes"})),
            &["spec.timeout", "not a duration", "30s, 5m or 1h30m"],
        ),
        case(
            "a timeout without a unit",
            step(json!({"name": "a", "task": {"agent": {"pool": "p"}, "timeout": "30"}})),
            &["spec.steps[0].task.timeout", "not a duration"],
        ),
        case(
            "an unparsable backoff",
            step(json!({"name": "a", "task": {"agent": {"pool": "p"}, "retry": {"backoff": {"initial": "soon"}}}})),
            &["spec.steps[0].task.retry.backoff.initial", "not a duration"],
        ),
        case(
            "a reducer that is builtin and a task",
            map(json!({"reduce": {"builtin": "Sum", "task": task}})),
            &["spec.steps[0].map.reduce", "write one of builtin", "or expression"],
        ),
        case(
            "an unknown reducer",
            map(json!({"reduce": {"builtin": "Average"}})),
            &["spec.steps[0].map.reduce.builtin", "Collect", "Vote"],
        ),
        case("more than all must succeed", map(json!({"minSuccessPercent": 101})), &["minSuccessPercent", "100"]),
        case(
            "traces over an encrypted way",
            orchestrator(&json!({"telemetry": {"otlpEndpoint": "https://collector:4318"}})),
            &["spec.telemetry.otlpEndpoint"],
        ),
        case(
            "a Workflow without weight",
            department.workflow("refused", &json!([{"name": "a", "task": task}]), &json!({"weight": 0})),
            &["spec.weight", "greater than or equal to 1"],
        ),
        case(
            "a Workflow that may never run",
            department.workflow("refused", &json!([{"name": "a", "task": task}]), &json!({"maxConcurrentRuns": 0})),
            &["spec.maxConcurrentRuns", "greater than or equal to 1"],
        ),
        case("nothing in parallel", map(json!({"maxParallel": 0})), &["maxParallel", "1"]),
        case(
            "an unknown priority",
            department.workflow("refused", &json!([scripted("a", &json!({}))]), &json!({"priority": "urgent"})),
            &["spec.priority", "critical", "low"],
        ),
        case(
            "an unknown start",
            department.workflow("refused", &json!([scripted("a", &json!({}))]), &json!({"start": "Now"})),
            &["spec.start", "OnApply", "OnRequest"],
        ),
        case(
            "minimum above maximum",
            pool(json!({"replicas": null, "scaling": {"min": 9, "max": 3}})),
            &["spec.scaling", "min is larger than max"],
        ),
        case(
            "replicas outside the autoscaler's bounds",
            pool(json!({"replicas": 9, "scaling": {"min": 1, "max": 3}})),
            &["spec.replicas is outside", "leave replicas out"],
        ),
        case("a negative number of agents", pool(json!({"replicas": -1})), &["spec.replicas", "0"]),
        case("no concurrency", pool(json!({"concurrency": 0})), &["spec.concurrency", "1"]),
        case(
            "a port that is none",
            pool(json!({"agent": {"protocol": {"port": 70_000}}})),
            &["spec.agent.protocol.port", "65535"],
        ),
        case(
            "a path without a slash",
            pool(json!({"agent": {"protocol": {"path": "tasks"}}})),
            &["spec.agent.protocol.path"],
        ),
        case(
            "an unknown protocol",
            pool(json!({"agent": {"protocol": {"type": "Gopher"}}})),
            &["spec.agent.protocol.type", "Http"],
        ),
        case("no image", pool(json!({"agent": {"image": ""}})), &["spec.agent.image"]),
        case(
            "too proficient",
            pool(json!({"capabilities": [{"name": "x", "proficiency": 101}]})),
            &["proficiency", "100"],
        ),
        case(
            "an unparsable drain",
            pool(json!({"drain": {"timeout": "1 minute"}})),
            &["spec.drain.timeout", "not a duration"],
        ),
        case("a depth of five", orchestrator(&json!({"hierarchy": {"depth": 5}})), &["spec.hierarchy.depth", "4"]),
        case(
            "a class that is none",
            orchestrator(&json!({"priorityClasses": [{"name": "urgent", "maxConcurrent": 1, "timeout": "1m"}]})),
            &["spec.priorityClasses[0].name", "critical"],
        ),
        case(
            "a class twice",
            orchestrator(
                &json!({"priorityClasses": [{"name": "low", "maxConcurrent": 1, "timeout": "1m"}, {"name": "low", "maxConcurrent": 2, "timeout": "1m"}]}),
            ),
            &[".spec.priorityClasses", r#"duplicate entries for key [name="low"]"#],
        ),
        case(
            "a namespace of the cluster itself",
            domain(&json!({"orchestratorRef": {"name": "o"}, "namespace": "kube-system"})),
            &["spec.namespace", "must not be a namespace of the cluster"],
        ),
        case("no Orchestrator", domain(&json!({})), &["spec.orchestratorRef", "Required"]),
        case(
            "a member that is no subject",
            domain(&json!({"orchestratorRef": {"name": "o"}, "members": {"admins": [{"kind": "Robot", "name": "x"}]}})),
            &["spec.members.admins[0].kind", "User", "ServiceAccount"],
        ),
    ]
}

/// Nonsense in policies, quotas and budgets: a Domain with one policy that has this in it.
fn cases_of_policies(department: &Department) -> Vec<Case> {
    let policies = |policies: Value| domain(&json!({"orchestratorRef": {"name": "o"}, "policies": policies}));
    let policy = |part: Value| {
        let mut policy = json!({"name": "a"});
        policy.as_object_mut().into_iter().for_each(|all| all.extend(part.as_object().cloned().unwrap_or_default()));
        policies(json!([policy]))
    };
    let quota = |quota: Value| domain(&json!({"orchestratorRef": {"name": "o"}, "quota": quota}));
    let budget = |budget: Value| department.pool(1, &json!({ "budget": budget }));
    let case = |name, manifest, says| Case { name, manifest, says };
    let rule = json!({"expression": "true", "message": "m"});
    vec![
        case("a policy without a name", policies(json!([{}])), &["spec.policies", "name"]),
        case(
            "two policies of one name",
            policies(json!([{"name": "a"}, {"name": "a"}])),
            &["spec.policies", r#"duplicate entries for key [name="a"]"#],
        ),
        case(
            "an action that is none",
            policy(json!({"action": "Block"})),
            &["spec.policies[0].action", "Audit", "Deny"],
        ),
        case(
            "a kind that nobody governs",
            policy(json!({"appliesTo": {"kinds": ["Deployment"]}})),
            &["spec.policies[0].appliesTo.kinds[0]", "AgentPool", "Pod"],
        ),
        case("a limit of nothing", policy(json!({"limits": {"agents": 0}})), &["spec.policies[0].limits.agents", "1"]),
        case(
            "a limit of time that is none",
            policy(json!({"limits": {"taskTimeout": "long"}})),
            &["spec.policies[0].limits.taskTimeout", "not a duration", "30s, 5m or 1h30m"],
        ),
        case(
            "a limit of money that is none",
            policy(json!({"limits": {"spendPerDay": "20 USD"}})),
            &["spec.policies[0].limits.spendPerDay", "not an amount of money", "50.00"],
        ),
        case(
            "no image allowed",
            policy(json!({"allow": {"images": []}})),
            &["spec.policies[0].allow.images", "at least 1"],
        ),
        case(
            "a priority that is none",
            policy(json!({"allow": {"priorities": ["urgent"]}})),
            &["spec.policies[0].allow.priorities[0]", "critical", "low"],
        ),
        case(
            "a rule without a message",
            policy(json!({"rules": [{"expression": "true"}]})),
            &["rules[0].message", "Required"],
        ),
        case("too many rules", policy(json!({"rules": vec![rule; 17]})), &["spec.policies[0].rules", "16"]),
        case(
            "an approver that is none",
            policy(json!({"approvers": [{"kind": "Robot", "name": "r"}]})),
            &["approvers[0].kind", "Group"],
        ),
        case("a negative quota", quota(json!({"agents": -1})), &["spec.quota.agents", "0"]),
        case(
            "a quota of money that is none",
            quota(json!({"spendPerDay": "-1"})),
            &["spec.quota.spendPerDay", "50.00"],
        ),
        case(
            "a quota that is exceeded somehow",
            quota(json!({"whenExceeded": "Shrug"})),
            &["whenExceeded", "Refuse", "Escalate"],
        ),
        case("a negative budget", budget(json!({"tokensPerMinute": -1})), &["spec.budget.tokensPerMinute", "0"]),
    ]
}

#[tokio::test]
async fn nonsense_is_refused_with_the_field_and_the_remedy() -> Result<()> {
    let cluster = Cluster::connect().await?;
    cluster.install_definitions()?;
    let department = Department::new("refusals");
    cluster.apply(r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"refusals"}}"#)?;
    let mut wrong = Vec::new();
    for case in cases(&department).into_iter().chain(cases_of_policies(&department)) {
        match cluster.refusal(&case.manifest) {
            Ok(refusal) => wrong.extend(
                case.says
                    .iter()
                    .filter(|words| !refusal.contains(**words))
                    .map(|words| format!("{}: does not say {words:?}: {refusal}", case.name)),
            ),
            Err(accepted) => wrong.push(format!("{}: {accepted:#}", case.name)),
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    Ok(())
}

#[tokio::test]
async fn what_must_not_change_cannot_be_changed() -> Result<()> {
    let cluster = Cluster::connect().await?;
    cluster.install_definitions()?;
    let manifest = |orchestrator: &str, namespace: &str| {
        json!({"apiVersion": "tetrarch.dev/v1alpha1", "kind": "Domain", "metadata": {"name": "fixed"},
            "spec": {"orchestratorRef": {"name": orchestrator}, "namespace": namespace}})
        .to_string()
    };
    cluster.apply(&manifest("one", "space"))?;
    for (changed, field) in
        [(manifest("two", "space"), "spec.orchestratorRef"), (manifest("one", "elsewhere"), "spec.namespace")]
    {
        let refusal = cluster.refusal(&changed)?;
        ensure!(refusal.contains(field) && refusal.contains("create a new Domain"), "{refusal}");
    }
    cluster.kubectl(&["delete", "domain", "fixed"]).context("nobody holds it here")?;
    Ok(())
}

/// An empty spec of every kind that has one gets defaults a reader can see with `kubectl get -o yaml`.
#[tokio::test]
async fn every_default_is_visible() -> Result<()> {
    let cluster = Cluster::connect().await?;
    cluster.install_definitions()?;
    cluster.apply(r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"defaults"}}"#)?;
    let department = Department::new("defaults");
    let apply = |manifest: &str| -> Result<Value> {
        cluster.apply(manifest)?;
        let object: Value = serde_json::from_str(manifest)?;
        let (kind, name) = (&object["kind"], &object["metadata"]["name"]);
        cluster
            .get(
                kind.as_str().unwrap_or_default(),
                object["metadata"]["namespace"].as_str(),
                name.as_str().unwrap_or_default(),
            )?
            .context("vanished")
    };
    let orchestrator = apply(&orchestrator(&json!({})).replace("refused", "defaults"))?;
    ensure!(orchestrator["spec"]["hierarchy"]["depth"] == json!(4), "{orchestrator}");
    ensure!(
        orchestrator["spec"]["priorityClasses"].as_array().is_some_and(|classes| classes.len() == 4),
        "{orchestrator}"
    );
    let workflow =
        apply(&department.workflow("w", &json!([{"name": "a", "task": {"agent": {"pool": "p"}}}]), &json!({})))?;
    let task = &workflow["spec"]["steps"][0]["task"];
    ensure!(task["retry"]["limit"] == json!(3) && task["retry"]["backoff"]["initial"] == "1s", "{workflow}");
    ensure!(workflow["spec"]["priority"] == "normal" && workflow["spec"]["start"] == "OnApply", "{workflow}");
    let pool = apply(&department.pool(1, &json!({"concurrency": null, "drain": null, "agent": {"protocol": null}})))?;
    ensure!(pool["spec"]["agent"]["protocol"]["port"] == json!(8080), "{pool}");
    ensure!(pool["spec"]["drain"]["timeout"] == "300s" && pool["spec"]["concurrency"] == json!(1), "{pool}");
    cluster.kubectl(&["delete", "orchestrator", "defaults"])?;
    Ok(())
}

/// The API server took such an apply for one that removes the whole spec, as long as the definitions filled empty lists in.
#[tokio::test]
async fn an_empty_spec_can_be_applied_again() -> Result<()> {
    let cluster = Cluster::connect().await?;
    cluster.install_definitions()?;
    let empty = |kind: &str| json!({"apiVersion": "tetrarch.dev/v1alpha1", "kind": kind, "metadata": {"name": "empty", "namespace": "default"}, "spec": {}});
    let mut orchestrator = empty("Orchestrator");
    orchestrator["metadata"]["namespace"].take();
    for manifest in [orchestrator, empty("Supervisor")] {
        for _ in 0..2 {
            cluster.apply(&manifest.to_string())?;
        }
        let kind = manifest["kind"].as_str().unwrap_or_default().to_lowercase();
        cluster.kubectl(&["delete", &kind, "empty", "-n", "default"])?;
    }
    Ok(())
}
