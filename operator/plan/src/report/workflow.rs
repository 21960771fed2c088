//! The status of a Workflow: a mirror of its latest run's summary.

use jiff::Timestamp;
use kube_core::ResourceExt;
use tetrarch_core::id::RunId;
use tetrarch_crds::{
    Workflow, WorkflowStatus,
    shared::AnyJson,
    workflow::{PlanStatus, PlannedStepStatus, RunPhase, RunStatus, ScheduleStatus, StepStatus},
};
use tetrarch_protocol::summary::{Phase, PlanSummary, RunSummary, StepSummary};

use crate::{
    conditions::Health,
    effect::{Acceptance, Plan},
    hierarchy,
    outcome::Outcome,
    reason::{Finding, Reason},
    reconcile::workflow::{Observed, next_time, scheduled_since, trigger_status, waiting, wanted_runs},
    report::{conditions_of, generation, policy, time},
};

/// Most steps that a status lists.
const MOST_STEPS: usize = 256;

/// The new status.
pub fn workflow(
    object: &Workflow,
    plan: &Plan,
    outcome: &Outcome,
    observed: &Observed,
    now: Timestamp,
) -> WorkflowStatus {
    let namespace = object.namespace().unwrap_or_default();
    let before = object.status.as_ref();
    // Whoever has the Workflow is remembered until it was handed to somebody else: the next plan takes it away there.
    let supervisor = if plan.acceptance == Acceptance::Accepted && matches!(outcome, Outcome::Done(_)) {
        hierarchy::supervisor_of(object.spec.supervisor_ref.as_ref(), &namespace, &observed.supervisors, &[])
            .ok()
            .map(|supervisor| supervisor.name_any())
    } else {
        before.and_then(|status| status.supervisor.clone())
    };
    // A summary that cannot be read just now leaves what was last seen.
    let run = observed.summary.as_ref().map(run_status).or_else(|| before.and_then(|status| status.run.clone()));
    let waiting = waiting::status(object, observed, now);
    let values = before.map(|status| status.effective_policy.as_slice());
    let compliant = policy::compliant(plan, None);
    let accepted = observed.summary.as_ref().map(|summary| summary.accepted.as_slice()).unwrap_or_default();
    WorkflowStatus {
        observed_generation: generation(object),
        supervisor,
        waiting,
        compliance: policy::own(plan, &compliant, object),
        effective_policy: policy::values(plan, values),
        approved: policy::approved(plan),
        conditions: conditions_of(object, plan, outcome, || health(object, run.as_ref(), accepted), &[compliant], now),
        schedule: schedule(object, observed, now),
        triggers: trigger_status(object, now),
        run,
    }
}

/// What is known of the schedule.
fn schedule(object: &Workflow, observed: &Observed, now: Timestamp) -> Option<ScheduleStatus> {
    let written = object.spec.schedule.as_ref()?;
    let before = object.status.as_ref().and_then(|status| status.schedule.as_ref());
    let last = observed.summary.as_ref().and_then(|summary| summary.scheduled).map(time);
    Some(ScheduleStatus {
        cron: written.cron.clone(),
        time_zone: written.time_zone.clone(),
        since: scheduled_since(object, now).map(time),
        last_time: last.or_else(|| before.and_then(|before| before.last_time.clone())),
        next_time: next_time(object, now).map(time),
    })
}

fn health(object: &Workflow, run: Option<&RunStatus>, accepted: &[RunId]) -> Health {
    let wanted = wanted_runs(object);
    // A run that began by itself came after those that are wanted, or before.
    let are_accepted = wanted.iter().all(|wanted| accepted.iter().any(|run| run.as_str() == wanted));
    let Some(run) = run.filter(|run| are_accepted || wanted.contains(&run.id)) else {
        return match wanted.last() {
            Some(id) => {
                Health::Reconciling(Finding::new(Reason::RunPending, format!("run {id} has not been accepted yet")))
            }
            None => {
                Health::Ready(Finding::new(Reason::Idle, "no run is wanted: ask for one with `kubectl tetrarch run`"))
            }
        };
    };
    let id = &run.id;
    let why = run.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
    let finding = |reason, text: String| Finding::new(reason, format!("run {id} {text}{why}"));
    match run.phase {
        RunPhase::Pending => Health::Reconciling(finding(Reason::RunPending, "waits for its turn".to_owned())),
        RunPhase::Running => {
            let progress = run.progress.as_deref().unwrap_or("0/0");
            Health::Reconciling(finding(Reason::RunActive, format!("is at {progress} steps")))
        }
        RunPhase::Waiting => Health::NotReady(finding(Reason::RunWaiting, "waits for a person".to_owned())),
        RunPhase::Compensating => {
            Health::Reconciling(finding(Reason::RunActive, "has failed and undoes what was done".to_owned()))
        }
        RunPhase::Compensated => Health::Stalled(finding(
            Reason::RunCompensated,
            "failed, and everything that was done is undone".to_owned(),
        )),
        RunPhase::Succeeded | RunPhase::Skipped => Health::Ready(finding(Reason::RunSucceeded, "succeeded".to_owned())),
        RunPhase::Failed => Health::Stalled(finding(Reason::RunFailed, "failed".to_owned())),
        RunPhase::Cancelled => Health::Stalled(finding(Reason::RunCancelled, "was cancelled".to_owned())),
        RunPhase::OutcomeUnknown => Health::Stalled(finding(
            Reason::RunOutcomeUnknown,
            "ended without knowing whether an agent finished its work, look and start a new run".to_owned(),
        )),
    }
}

fn run_status(summary: &RunSummary) -> RunStatus {
    RunStatus {
        id: summary.run.to_string(),
        cause: summary.cause.clone(),
        phase: phase(summary.phase),
        message: summary.message.clone(),
        waits_for: summary.waits_for.clone(),
        retried: Some(i64::from(summary.retried)).filter(|retried| *retried > 0),
        progress: Some(format!("{}/{}", summary.ended, summary.total)),
        started_at: summary.started_at.map(time),
        finished_at: summary.finished_at.map(time),
        outputs_removed_at: summary.outputs_removed_at.map(time),
        steps: summary.steps.iter().take(MOST_STEPS).map(step_status).collect(),
        // A null would be dropped by the API server and then be missed.
        output: summary.output.clone().filter(|output| !output.is_null()).map(AnyJson),
    }
}

fn step_status(step: &StepSummary) -> StepStatus {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    StepStatus {
        name: step.name.to_string(),
        kind: step.kind.clone(),
        phase: phase(step.phase),
        message: step.message.clone(),
        tasks: number(step.tasks),
        succeeded: number(step.succeeded),
        failed: number(step.failed),
        retries: number(step.retries),
        run: step.run.as_ref().map(ToString::to_string),
        plan: step.plan.as_ref().map(plan_status),
        started_at: step.started_at.map(time),
        finished_at: step.finished_at.map(time),
    }
}

fn plan_status(plan: &PlanSummary) -> PlanStatus {
    PlanStatus {
        complexity: plan.complexity.clone(),
        pattern: plan.pattern.clone(),
        reason: plan.reason.clone(),
        steps: plan
            .steps
            .iter()
            .map(|step| PlannedStepStatus {
                name: step.name.to_string(),
                capability: step.capability.to_string(),
                after: step.after.iter().map(ToString::to_string).collect(),
                phase: phase(step.phase),
            })
            .collect(),
        more_steps: Some(i64::from(plan.more)).filter(|more| *more > 0),
    }
}

const fn phase(phase: Phase) -> RunPhase {
    match phase {
        Phase::Pending => RunPhase::Pending,
        Phase::Running => RunPhase::Running,
        Phase::Waiting => RunPhase::Waiting,
        Phase::Succeeded => RunPhase::Succeeded,
        Phase::Failed => RunPhase::Failed,
        Phase::Cancelled => RunPhase::Cancelled,
        Phase::Skipped => RunPhase::Skipped,
        Phase::OutcomeUnknown => RunPhase::OutcomeUnknown,
        Phase::Compensating => RunPhase::Compensating,
        Phase::Compensated => RunPhase::Compensated,
    }
}
