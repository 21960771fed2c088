//! How a step waits for a person: it asks, and ends with the first decision about that very question, or when its time is over.
//!
//! A step asks because it is an approval, or because its output does not pass a gate that escalates. While somebody is asked the
//! clock of the run stands still: nobody's weekend makes a run fail.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{
    Run, StepPhase, auto, flaw,
    plan::{BodyPlan, Plan},
    state::{Body, Decision as Found, Part, State, TaskKey, TaskState},
    step::Fold,
};
use crate::{
    id::Name,
    workflow::{
        approval::{Approval, Decision},
        definition::{GateFailure, Step, StepKind},
        journal::RunEvent,
    },
};

/// A question that waits for a decision.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ask {
    pub(super) attempt: u32,
    since: Timestamp,
    pub(super) until: Timestamp,
    message: String,
    /// What the gate said, and the output that it said it of; none of an approval.
    judged: Option<(String, Value)>,
}

impl Ask {
    /// What would be asked about an output if it were not about to be undone.
    pub(super) const fn unasked(verdict: String, output: Value) -> Self {
        let moment = Timestamp::UNIX_EPOCH;
        Self { attempt: 0, since: moment, until: moment, message: String::new(), judged: Some((verdict, output)) }
    }

    /// Whether it is about an output that did not pass a gate, and not an approval.
    pub(super) const fn is_about_an_output(&self) -> bool {
        self.judged.is_some()
    }
}

/// A question to people, as they see it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Question<'r> {
    /// The step that waits.
    pub step: &'r Name,
    /// Which of its questions, from 1.
    pub attempt: u32,
    /// What is asked.
    pub message: &'r str,
    /// When it was asked.
    pub since: Timestamp,
    /// When the time for a decision is over.
    pub until: Timestamp,
    /// Who may decide, and how.
    pub approval: &'r Approval,
}

/// Whom a step asks, if it ever does.
pub(super) fn of_step(step: &Step) -> Option<&Approval> {
    match (&step.kind, &step.gate) {
        (_, Some(gate)) if gate.on_failure == GateFailure::Escalate => gate.escalation.as_ref(),
        (StepKind::Approval(approval), _) => Some(approval),
        (StepKind::Auto(auto), _) => auto.approval.as_ref(),
        _ => None,
    }
}

/// The event that ends a question whose time is over.
pub(super) fn timed_out(plan: &Plan, step: usize, attempt: u32) -> Option<RunEvent> {
    let approved = of_step(plan.definition.steps.get(step)?)?.on_timeout.is_approved();
    Some(RunEvent::DecisionTimedOut { step: plan.name(step).clone(), attempt, approved })
}

impl Run {
    /// Everything that waits for a person now.
    pub fn questions(&self) -> impl Iterator<Item = Question<'_>> {
        let steps = self.plan.definition.steps.iter().zip(&self.state.steps);
        steps.filter(|_| self.state.is_asking_people()).filter_map(|(step, state)| match &state.body {
            Body::Asked(ask) => Some(Question {
                step: &step.name,
                attempt: ask.attempt,
                message: &ask.message,
                since: ask.since,
                until: ask.until,
                approval: of_step(step)?,
            }),
            _ => None,
        })
    }

    pub(super) fn whom_it_waits_for(&self) -> Option<String> {
        let mut questions = self.questions();
        let first = questions.next()?;
        let others = match questions.count() {
            0 => String::new(),
            1 => " (and for 1 other decision)".to_owned(),
            more => format!(" (and for {more} other decisions)"),
        };
        let who = first.approval.who();
        Some(format!("waits for {who} to decide about step {} until {}{others}", first.step, first.until))
    }
}

impl State {
    fn is_asking_people(&self) -> bool {
        self.questions > 0 && self.finished.is_none()
    }

    /// Whether nothing goes on before a person has decided.
    pub(super) fn waits_for_people_only(&self) -> bool {
        self.is_asking_people() && !self.steps.iter().any(|step| step.phase == StepPhase::Running)
    }

    /// Whether a step waits for the decision about this question.
    pub(super) fn is_asking(&self, step: usize, attempt: u32) -> bool {
        match self.steps.get(step).map(|step| &step.body) {
            Some(Body::Asked(ask)) => ask.attempt == attempt || flaw::takes_any_decision(),
            _ => false,
        }
    }

    /// When the time of the run is over; unknown while it waits for people.
    pub(super) fn end_of_run(&self) -> Option<Timestamp> {
        let deadline = self.deadline.filter(|_| self.asking_since.is_none())?;
        Some(deadline.checked_add(self.waited).unwrap_or(Timestamp::MAX))
    }
}

impl Fold<'_> {
    /// Asks people about a step: because it is an approval, or because of what its gate said of its output.
    pub(super) fn ask(&mut self, step: usize, judged: Option<(String, Value)>) {
        let Some(approval) = of_step(&self.plan.definition.steps[step]) else {
            return self.decide(step, Found::Fail("gate.escalation: there is nobody to ask".to_owned()));
        };
        let plan = self.state.steps[step].planned.as_ref().filter(|_| judged.is_none()).map(|plan| auto::told(plan));
        let question = match (self.question(step, judged.as_ref().map(|(_, output)| output)), &judged) {
            (Ok(question), None) => match (question, plan) {
                (Some(question), Some(plan)) => format!("{question} ({plan})"),
                (question, plan) => question.or(plan).unwrap_or_else(|| "may the run go on?".to_owned()),
            },
            (Ok(Some(question)), Some((verdict, _))) => format!("{question} ({verdict})"),
            // The verdict says enough.
            (Ok(None) | Err(_), Some((verdict, _))) => verdict.clone(),
            (Err(error), None) => return self.decide(step, Found::Fail(format!("approval.message: {error}"))),
        };
        let until = self.at.checked_add(approval.timeout).unwrap_or(Timestamp::MAX);
        let told = format!("waits for {} until {until}: {question}", approval.who());
        self.withdraw_tasks(step);
        if self.state.questions == 0 {
            self.state.asking_since = Some(self.at);
        }
        self.state.questions += 1;
        let state = &mut self.state.steps[step];
        state.asked += 1;
        state.phase = StepPhase::Waiting;
        state.message = Some(told);
        // What is judged was done all the same, and now.
        state.is_doubtful |= judged.is_some();
        if judged.is_some() && self.plan.is_compensable(step) && !self.state.done.contains(&step) {
            self.state.done.push(step);
        }
        let state = &mut self.state.steps[step];
        self.memo.decide_until(until, step, state.asked);
        state.body =
            Body::Asked(Box::new(Ask { attempt: state.asked, since: self.at, until, message: question, judged }));
    }

    /// Gives an output of a round before to the gate again.
    pub(super) fn gate_once_more(&mut self, step: usize, ask: Ask) {
        let Some((_, output)) = ask.judged else { return };
        let is_task = matches!(self.plan.steps[step].body, BodyPlan::Task(_));
        let state = &mut self.state.steps[step];
        (state.phase, state.started_at, state.tasks) = (StepPhase::Running, Some(self.at), 1);
        state.body = if is_task { Body::Task(TaskState::CLOSED) } else { Body::Closed };
        self.note_done(TaskKey { step, part: Part::Only });
        self.succeed(step, output);
    }

    fn question(&self, step: usize, output: Option<&Value>) -> Result<Option<String>, String> {
        let Some(template) = &self.plan.steps[step].question else { return Ok(None) };
        let mut scope = self.state.scope(self.plan, template.references());
        if let Some(output) = output {
            scope = scope.with(crate::expression::Variable::Output, std::borrow::Cow::Borrowed(output));
        }
        let text = template.evaluate(&scope).map_err(|error| error.to_string())?;
        Ok(Some(text.as_str().map_or_else(|| text.to_string(), str::to_owned)))
    }

    pub(super) fn decided(&mut self, step: &Name, attempt: u32, decision: &Decision) -> bool {
        self.answer_question(step, attempt, decision.approved, &decision.to_string(), decision.output())
    }

    pub(super) fn decision_timed_out(&mut self, step: &Name, attempt: u32, approved: bool) -> bool {
        use crate::workflow::approval::TimeoutDecision::{Approve, Reject};
        let said = if approved { Approve } else { Reject };
        self.answer_question(step, attempt, approved, &said.to_string(), said.output(self.at))
    }

    /// Ends a question; false when nobody asks it any more.
    fn answer_question(&mut self, step: &Name, attempt: u32, approved: bool, said: &str, answer: Value) -> bool {
        let Some(step) = self.plan.step(step.as_str()).filter(|step| self.state.is_asking(*step, attempt)) else {
            return false;
        };
        let Body::Asked(ask) = std::mem::replace(&mut self.state.steps[step].body, Body::Closed) else { return false };
        match (ask.judged, approved) {
            (Some((verdict, output)), _) => {
                let phase = if approved { StepPhase::Succeeded } else { StepPhase::Failed };
                self.end_step(step, phase, Some(format!("{verdict}; {said}")), output);
            }
            (None, true) => {
                self.stop_asking(step);
                self.state.steps[step].message = Some(said.to_owned());
                if self.plan.auto(step).is_some() {
                    self.hold_step(step, ask.since);
                    self.begin_plan(step);
                } else {
                    self.succeed(step, answer);
                }
            }
            (None, false) => self.end_step(step, StepPhase::Failed, Some(said.to_owned()), answer),
        }
        true
    }

    fn count_waiting(&mut self, since: Timestamp, until: Timestamp) {
        let waited = until.duration_since(since).max(SignedDuration::ZERO);
        self.state.waited = self.state.waited.saturating_add(waited);
    }

    /// A pause that ends has moved the end of the run already.
    pub(super) fn ask_on_after_pause(&mut self, paused_since: Timestamp) {
        if let Some(since) = self.state.asking_since {
            self.count_waiting(since, paused_since);
            self.state.asking_since = Some(self.at);
        }
    }

    /// The step waits for nobody any more; when none does, the clock of the run goes on.
    pub(super) fn stop_asking(&mut self, step: usize) {
        if self.state.steps[step].phase != StepPhase::Waiting {
            return;
        }
        self.state.steps[step].phase = StepPhase::Running;
        self.state.questions = self.state.questions.saturating_sub(1);
        if self.state.questions == 0
            && let Some(since) = self.state.asking_since.take()
        {
            // The time of a pause counts as such.
            let until = self.state.control.pause.as_ref().map_or(self.at, |pause| pause.since);
            self.count_waiting(since, until);
        }
    }
}
