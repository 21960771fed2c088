//! A sidecar between a real bus and a scripted agent: the ways of a task when nothing breaks but the agent's answer.

use std::time::Duration;

use crate::support::{Agent, Department, envelope, pool, supervisor, task};
use rstest::rstest;
use serde_json::json;
use tetrarch_core::{priority::Class, workflow::journal::FailureReason};
use tetrarch_protocol::{blob::Payload, task::ResultOutcome};

#[tokio::test]
async fn tasks_of_all_classes_are_answered_once_and_acknowledged() -> anyhow::Result<()> {
    let department = Department::start().await?;
    let agent = Agent::start().await?;
    let sidecar = department.sidecar(&agent, "pod-a", 3).await?;
    for number in 0..40 {
        let class = Class::ALL[number % 4];
        department.dispatch(class, &task(number), &envelope(json!({"n": number, "sleep": 5}), number % 2 == 0)).await?;
    }
    for number in 0..40 {
        let result = department.result(&task(number)).await?;
        assert_eq!(result.agent, "pod-a");
        // A stalled machine may let a delivery run out; the agent is not asked again for that.
        assert!(result.deliveries >= 1, "{number}");
        let expected = Payload::Inline(json!({"echo": {"n": number, "sleep": 5}}));
        assert_eq!(result.outcome, ResultOutcome::Succeeded { output: expected });
    }
    department.settled().await?;
    assert_eq!(agent.asked().len(), 40);
    assert!(agent.peak() <= 3, "{} calls at once", agent.peak());
    let asked = &agent.asked()[0];
    assert_eq!(asked.headers["idempotency-key"], asked.request.task_id.as_str());
    assert!(asked.headers["traceparent"].to_str()?.starts_with("00-4bf9"));
    let text = sidecar.metrics.text()?;
    assert!(text.contains(r#"tetrarch_sidecar_tasks_total{class="high",outcome="succeeded"} 10"#), "{text}");
    sidecar.stop().await
}

#[rstest]
#[case::garbage(json!({"do": "garbage"}), FailureReason::InvalidResponse, "output")]
#[case::error_500(json!({"do": "500"}), FailureReason::AgentError, "out of tokens")]
#[case::refusal(json!({"do": "422"}), FailureReason::Rejected, "no such licence")]
#[case::error_envelope(json!({"do": "error"}), FailureReason::Rejected, "model refused")]
#[case::too_large(json!({"do": "large", "size": 5 * 1024 * 1024}), FailureReason::ResponseTooLarge, "larger than")]
#[case::never(json!({"sleep": 600_000}), FailureReason::Timeout, "did not answer")]
#[case::crash(json!({"do": "crash"}), FailureReason::Unreachable, "closed the connection")]
#[tokio::test]
async fn an_agent_that_fails_ends_the_attempt_with_the_reason(
    #[case] input: serde_json::Value,
    #[case] expected: FailureReason,
    #[case] says: &str,
) -> anyhow::Result<()> {
    let department = Department::start().await?;
    let agent = Agent::start().await?;
    let sidecar = department.sidecar(&agent, "pod-a", 1).await?;
    let mut envelope = envelope(input, true);
    envelope.timeout_ms = 2_000;
    department.dispatch(Class::Normal, &task(1), &envelope).await?;
    let ResultOutcome::Failed { reason, message } = department.outcome(&task(1)).await? else {
        anyhow::bail!("it did not fail")
    };
    assert_eq!(reason, expected);
    assert!(message.contains(says), "{message}");
    department.settled().await?;
    assert_eq!(agent.calls(&task(1)), 1);
    sidecar.stop().await
}

#[tokio::test]
async fn a_crash_within_a_call_of_a_task_that_is_not_idempotent_is_unknown() -> anyhow::Result<()> {
    let department = Department::start().await?;
    let agent = Agent::start().await?;
    let sidecar = department.sidecar(&agent, "pod-a", 1).await?;
    department.dispatch(Class::Normal, &task(1), &envelope(json!({"do": "crash"}), false)).await?;
    assert!(matches!(department.outcome(&task(1)).await?, ResultOutcome::Unknown { .. }));
    department.settled().await?;
    assert_eq!(agent.calls(&task(1)), 1);
    sidecar.stop().await
}

#[rstest]
#[tokio::test]
async fn not_now_gives_the_task_back_and_it_is_done_later(
    #[values(true, false)] idempotent: bool,
) -> anyhow::Result<()> {
    let department = Department::start().await?;
    let agent = Agent::start().await?;
    let sidecar = department.sidecar(&agent, "pod-a", 2).await?;
    department.dispatch(Class::Normal, &task(1), &envelope(json!({"busy": 2}), idempotent)).await?;
    let result = department.result(&task(1)).await?;
    assert!(matches!(result.outcome, ResultOutcome::Succeeded { .. }), "{result:?}");
    assert_eq!(result.deliveries, 3);
    department.settled().await?;
    sidecar.stop().await
}

#[tokio::test]
async fn urgent_tasks_go_first() -> anyhow::Result<()> {
    let department = Department::start().await?;
    let agent = Agent::start().await?;
    for number in 0..12 {
        let class = Class::ALL[3 - number % 4];
        department.dispatch(class, &task(number), &envelope(json!({"class": class.as_str()}), true)).await?;
    }
    let sidecar = department.sidecar(&agent, "pod-a", 1).await?;
    department.settled().await?;
    let order: Vec<_> =
        agent.asked().iter().map(|asked| asked.request.input["class"].as_str().unwrap_or("").to_owned()).collect();
    let expected: Vec<_> = Class::ALL.iter().flat_map(|class| [class.as_str(); 3]).collect();
    assert_eq!(order, expected);
    sidecar.stop().await
}

#[tokio::test]
async fn values_larger_than_a_message_travel_both_ways() -> anyhow::Result<()> {
    let department = Department::start().await?;
    let agent = Agent::start().await?;
    let sidecar = department.sidecar(&agent, "pod-a", 1).await?;
    let text = "y".repeat(3 * 1024 * 1024);
    let mut envelope = envelope(json!(null), false);
    envelope.input = department.admin.store_payload("audit-1/classify:1/1/in", json!({"text": text})).await?;
    assert!(matches!(envelope.input, Payload::Blob(_)));
    department.dispatch(Class::High, &task(1), &envelope).await?;
    let ResultOutcome::Succeeded { output } = department.outcome(&task(1)).await? else { anyhow::bail!("failed") };
    assert!(matches!(output, Payload::Blob(_)));
    assert_eq!(department.admin.load_payload(output).await?, json!({"echo": {"text": text}}));
    department.settled().await?;
    sidecar.stop().await
}

#[tokio::test]
async fn a_large_input_that_is_gone_rejects_the_task() -> anyhow::Result<()> {
    let department = Department::start().await?;
    let agent = Agent::start().await?;
    let sidecar = department.sidecar(&agent, "pod-a", 1).await?;
    let mut envelope = envelope(json!(null), true);
    envelope.input = Payload::Blob(tetrarch_protocol::blob::BlobRef { name: "nowhere".into(), size: 9 });
    department.dispatch(Class::High, &task(1), &envelope).await?;
    let ResultOutcome::Failed { reason, message } = department.outcome(&task(1)).await? else { anyhow::bail!("done") };
    assert_eq!(reason, FailureReason::Rejected);
    assert!(message.contains("nowhere"), "{message}");
    sidecar.stop().await
}

#[tokio::test]
async fn a_run_whose_time_is_over_calls_no_agent() -> anyhow::Result<()> {
    let department = Department::start().await?;
    let agent = Agent::start().await?;
    let sidecar = department.sidecar(&agent, "pod-a", 1).await?;
    let mut envelope = envelope(json!({}), true);
    envelope.deadline = jiff::Timestamp::now() - Duration::from_secs(1);
    department.dispatch(Class::Normal, &task(1), &envelope).await?;
    let ResultOutcome::Failed { reason, .. } = department.outcome(&task(1)).await? else { anyhow::bail!("done") };
    assert_eq!(reason, FailureReason::Timeout);
    department.settled().await?;
    assert_eq!(agent.asked().len(), 0);
    sidecar.stop().await
}

#[tokio::test]
async fn a_dispatch_that_is_no_envelope_goes_to_the_dead_letters() -> anyhow::Result<()> {
    let department = Department::start().await?;
    let agent = Agent::start().await?;
    let sidecar = department.sidecar(&agent, "pod-a", 1).await?;
    let subject = format!("task.{}.{}.low.audit-1.classify:1.1", supervisor(), pool());
    department.admin.publish_new(subject, "nonsense").await?;
    let ResultOutcome::Failed { reason, .. } = department.outcome(&task(1)).await? else { anyhow::bail!("done") };
    assert_eq!(reason, FailureReason::DeadLettered);
    assert_eq!(department.count("dead.>").await?.len(), 1);
    sidecar.stop().await
}
