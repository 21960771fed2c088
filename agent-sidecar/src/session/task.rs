//! One task from its delivery to its end: `inspect` (only when delivered before), load a large input, mark (when a second call could do harm),
//! call, report, acknowledge.

use std::time::Duration;

use jiff::Timestamp;
use tetrarch_core::{id::TaskId, workflow::journal::FailureReason};
use tetrarch_protocol::stream::MAX_DELIVERIES;

use super::{
    ACKS, Context, Order, RETRY,
    event::{Action, Brief, Inspection, Loaded, Mark, Marked, NewMark, Outcome, Report},
    verdict::bounded,
};

/// How far a task is.
#[derive(Debug)]
pub(super) enum Stage {
    /// Delivered, nothing done.
    Fresh,
    /// Its result and its last mark are being read.
    Inspecting { retry_at: Option<Duration> },
    /// Somebody else has called an agent with it, and may yet report or show a sign of life.
    Doubting { mark: Mark, until: Duration, retry_at: Duration },
    /// Its input is being loaded.
    Loading { retry_at: Option<Duration> },
    /// Its mark is being written.
    Marking,
    /// The agent works on it.
    Calling { since: Timestamp },
    /// Its result is being written.
    Reporting { report: Report, retry_at: Option<Duration> },
    /// Its acknowledgement is being confirmed.
    Acking { tries: u32 },
}

impl Stage {
    pub(super) fn occupies_slot(&self) -> bool {
        !matches!(self, Self::Doubting { .. } | Self::Reporting { .. } | Self::Acking { .. })
    }
}

/// What is known of the marks on the task's `try` subject.
#[derive(Debug, Default)]
struct Marks {
    /// Sequence of the last one; the next is written after it.
    last: u64,
    /// Calls it counts.
    calls: u32,
    /// When we tried to write ours.
    tried: Option<Timestamp>,
    /// Whether the last one is ours and stands.
    held: bool,
}

/// A task in the sidecar's hands.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) id: TaskId,
    pub(super) stage: Stage,
    pub(super) deliveries: u64,
    pub(super) extend_at: Duration,
    brief: Brief,
    loaded: bool,
    marks: Marks,
}

impl Task {
    /// A delivered task, and why its envelope could not be read.
    pub(super) fn new(
        id: TaskId,
        deliveries: u64,
        brief: Result<Brief, String>,
        extend_at: Duration,
    ) -> (Self, Option<String>) {
        let (brief, unreadable) = match brief {
            Ok(brief) => (brief, None),
            Err(why) => {
                let none =
                    Brief { idempotent: false, timeout: Duration::ZERO, deadline: Timestamp::MIN, large_input: false };
                (none, Some(why))
            }
        };
        let loaded = !brief.large_input;
        let task = Self { id, stage: Stage::Fresh, deliveries, extend_at, brief, loaded, marks: Marks::default() };
        (task, unreadable)
    }

    pub(super) fn idempotent(&self) -> bool {
        self.brief.idempotent
    }

    /// Whether it can go back as if it had never come.
    pub(super) fn is_untouched(&self) -> bool {
        matches!(self.stage, Stage::Fresh | Stage::Inspecting { .. } | Stage::Doubting { .. } | Stage::Loading { .. })
            && (self.marks.tried.is_none() || self.marks.held)
    }

    /// When it has to be looked at though nothing is heard.
    pub(super) fn wake(&self) -> Duration {
        match &self.stage {
            Stage::Inspecting { retry_at: Some(at) }
            | Stage::Loading { retry_at: Some(at) }
            | Stage::Doubting { retry_at: at, .. }
            | Stage::Reporting { retry_at: Some(at), .. } => self.extend_at.min(*at),
            _ => self.extend_at,
        }
    }

    /// Reads what the stream knows of it.
    pub(super) fn inspect(&mut self, ctx: Context<'_>) -> Order {
        self.stage = Stage::Inspecting { retry_at: None };
        Order::go(Action::Inspect(ctx.key))
    }

    /// The next step towards the call, or away from it.
    pub(super) fn proceed(&mut self, ctx: Context<'_>) -> Order {
        let left = Duration::try_from(self.brief.deadline.duration_since(ctx.now.wall)).unwrap_or_default();
        if ctx.draining {
            self.hand_back(Duration::ZERO, ctx)
        } else if left.is_zero() {
            let message = format!("the run's time ended at {} before an agent was free", self.brief.deadline);
            self.end(Outcome::Failed(FailureReason::Timeout, message), ctx)
        } else if !self.loaded {
            self.stage = Stage::Loading { retry_at: None };
            Order::go(Action::Load(ctx.key))
        } else if self.needs_mark() && !self.marks.held {
            self.stage = Stage::Marking;
            self.marks.tried = Some(ctx.now.wall);
            let Marks { last, calls, .. } = self.marks;
            let mark = NewMark { at: ctx.now.wall, calls: calls.saturating_add(1), withdrawn: false, after: last };
            Order::go(Action::Mark(ctx.key, mark))
        } else {
            self.stage = Stage::Calling { since: ctx.now.wall };
            Order::go(Action::Call(ctx.key, self.brief.timeout.min(left)))
        }
    }

    pub(super) fn inspected(&mut self, inspection: Option<Inspection>, ctx: Context<'_>) -> Order {
        if let Stage::Doubting { mark, until, .. } = &self.stage {
            let (before, until) = (mark.clone(), *until);
            return self.inspected_again(inspection, &before, until, ctx);
        }
        if !matches!(self.stage, Stage::Inspecting { .. }) {
            return Order::default();
        }
        match inspection {
            None => {
                self.stage = Stage::Inspecting { retry_at: Some(ctx.now.steady + RETRY) };
                Order::default()
            }
            Some(Inspection { ended: true, .. }) => self.acknowledge(ctx),
            Some(Inspection { mark: None, .. }) => self.proceed(ctx),
            Some(Inspection { mark: Some(mark), .. }) => self.weigh(&mark, ctx),
        }
    }

    /// What became of a task that somebody else has called an agent with, since it was last looked at.
    fn inspected_again(
        &mut self,
        inspection: Option<Inspection>,
        before: &Mark,
        until: Duration,
        ctx: Context<'_>,
    ) -> Order {
        match inspection {
            Some(Inspection { ended: true, .. }) => self.acknowledge(ctx),
            // Nobody works on it; a task in doubt holds no slot, so whoever has a free one is to take it.
            Some(Inspection { mark: Some(mark), .. }) if mark.withdrawn => self.hand_back(Duration::ZERO, ctx),
            // It is worked on, and its pod is heard again.
            Some(Inspection { mark: Some(mark), .. }) if mark.sequence != before.sequence => {
                Order::last(vec![Action::Forget(ctx.key)])
            }
            Some(_) if until <= ctx.now.steady => self.end_unknown(before, ctx),
            _ => {
                self.stage = Stage::Doubting { mark: before.clone(), until, retry_at: ctx.now.steady + RETRY };
                Order::default()
            }
        }
    }

    fn end_unknown(&mut self, mark: &Mark, ctx: Context<'_>) -> Order {
        let message = format!(
            "pod {} handed the task to its agent at {} and never reported; the agent may have done it",
            mark.agent, mark.at
        );
        self.end(Outcome::Unknown(bounded(&message)), ctx)
    }

    /// Shows that it is still worked on, to those that got it too while the bus was away.
    pub(super) fn renew_mark(&mut self, ctx: Context<'_>) -> Order {
        let Marks { last, calls, held, .. } = self.marks;
        if !held || !matches!(self.stage, Stage::Calling { .. }) {
            return Order::default();
        }
        Order::go(Action::Mark(ctx.key, NewMark { at: ctx.now.wall, calls, withdrawn: false, after: last }))
    }

    /// Decides by the last mark that stands on the task.
    fn weigh(&mut self, mark: &Mark, ctx: Context<'_>) -> Order {
        let ours = self.marks.tried == Some(mark.at) && mark.agent == ctx.agent;
        self.marks.last = mark.sequence;
        self.marks.calls = mark.calls;
        if mark.withdrawn {
            self.proceed(ctx)
        } else if ours {
            self.marks.held = true;
            self.proceed(ctx)
        } else if self.marks.tried.is_some() {
            // Nobody had it when we looked first, so somebody took it over since: it is theirs.
            Order::last(vec![Action::Forget(ctx.key)])
        } else if !self.brief.idempotent && mark.agent == ctx.agent {
            // A process before this one, in the same pod.
            self.end_unknown(mark, ctx)
        } else if !self.brief.idempotent {
            // The bus gives a task to somebody else also when it was away itself: then its pod is heard again soon.
            let now = ctx.now.steady;
            self.stage = Stage::Doubting { mark: mark.clone(), until: now + ctx.ack_wait, retry_at: now + RETRY };
            Order::default()
        } else if mark.calls.saturating_add(1) >= MAX_DELIVERIES {
            // The first call of an idempotent task needs no mark, hence one more than the marks say.
            let message = format!(
                "{MAX_DELIVERIES} agents were called and none reported, the last one {} at {}: the task seems to kill them",
                mark.agent, mark.at
            );
            self.end(Outcome::Failed(FailureReason::DeadLettered, bounded(&message)), ctx)
        } else {
            self.proceed(ctx)
        }
    }

    pub(super) fn loaded(&mut self, loaded: Loaded, ctx: Context<'_>) -> Order {
        if !matches!(self.stage, Stage::Loading { .. }) {
            return Order::default();
        }
        match loaded {
            Loaded::Here => {
                self.loaded = true;
                self.proceed(ctx)
            }
            Loaded::Missing(why) => self.end(Outcome::Failed(FailureReason::Rejected, bounded(&why)), ctx),
            Loaded::Unavailable => {
                self.stage = Stage::Loading { retry_at: Some(ctx.now.steady + RETRY) };
                Order::default()
            }
        }
    }

    pub(super) fn marked(&mut self, marked: Marked, ctx: Context<'_>) -> Order {
        if let (Stage::Calling { .. }, Marked::Written(sequence)) = (&self.stage, marked) {
            self.marks.last = sequence;
        }
        if !matches!(self.stage, Stage::Marking) {
            return Order::default();
        }
        match marked {
            Marked::Written(sequence) => {
                self.marks.last = sequence;
                self.marks.calls = self.marks.calls.saturating_add(1);
                self.marks.held = true;
                self.proceed(ctx)
            }
            Marked::Taken => self.inspect(ctx),
            Marked::Unclear => {
                self.stage = Stage::Inspecting { retry_at: Some(ctx.now.steady + RETRY) };
                Order::default()
            }
        }
    }

    /// It ended; the result is written until the bus confirms it.
    pub(super) fn end(&mut self, outcome: Outcome, ctx: Context<'_>) -> Order {
        let finished_at = ctx.now.wall;
        let started_at = if let Stage::Calling { since } = self.stage { since } else { finished_at };
        let report = Report { outcome, deliveries: self.deliveries, started_at, finished_at };
        self.stage = Stage::Reporting { report: report.clone(), retry_at: None };
        Order::go(Action::Report(ctx.key, report))
    }

    pub(super) fn reported(&mut self, written: bool, ctx: Context<'_>) -> Order {
        match &mut self.stage {
            Stage::Reporting { .. } if written => self.acknowledge(ctx),
            Stage::Reporting { retry_at, .. } => {
                *retry_at = Some(ctx.now.steady + RETRY);
                Order::default()
            }
            _ => Order::default(),
        }
    }

    fn acknowledge(&mut self, ctx: Context<'_>) -> Order {
        self.stage = Stage::Acking { tries: 1 };
        Order::go(Action::Ack(ctx.key))
    }

    pub(super) fn acked(&mut self, confirmed: bool, ctx: Context<'_>) -> Order {
        match &mut self.stage {
            Stage::Acking { tries } if !confirmed && *tries < ACKS => {
                *tries += 1;
                Order::go(Action::Ack(ctx.key))
            }
            Stage::Acking { .. } => Order::last(vec![]),
            _ => Order::default(),
        }
    }

    /// Gives it back; a mark of ours is taken back, because the agent did nothing.
    pub(super) fn hand_back(&mut self, delay: Duration, ctx: Context<'_>) -> Order {
        let Marks { last, calls, held, .. } = self.marks;
        let withdraw =
            held.then(|| NewMark { at: ctx.now.wall, calls: calls.saturating_sub(1), withdrawn: true, after: last });
        Order::last(vec![Action::HandBack { key: ctx.key, delay, withdraw }])
    }

    /// Tries again what the bus did not answer.
    pub(super) fn retry(&mut self, ctx: Context<'_>) -> Order {
        let due = |at: &Option<Duration>| at.is_some_and(|at| at <= ctx.now.steady);
        match &mut self.stage {
            Stage::Inspecting { retry_at } if due(retry_at) => {
                *retry_at = None;
                Order::go(Action::Inspect(ctx.key))
            }
            Stage::Doubting { retry_at, .. } if *retry_at <= ctx.now.steady => {
                // The answer says when to look again.
                *retry_at = Duration::MAX;
                Order::go(Action::Inspect(ctx.key))
            }
            Stage::Loading { retry_at } if due(retry_at) => {
                *retry_at = None;
                Order::go(Action::Load(ctx.key))
            }
            Stage::Reporting { report, retry_at } if due(retry_at) => {
                *retry_at = None;
                Order::go(Action::Report(ctx.key, report.clone()))
            }
            _ => Order::default(),
        }
    }

    /// The drain timeout is over: no call may run on.
    pub(super) fn out_of_time(&mut self, ctx: Context<'_>) -> Order {
        if self.is_untouched() {
            return self.hand_back(Duration::ZERO, ctx);
        }
        if !matches!(self.stage, Stage::Calling { .. }) {
            return Order::default();
        }
        let mut order = if self.brief.idempotent {
            self.hand_back(Duration::ZERO, ctx)
        } else {
            let message = "the pod had to stop before its agent answered; the agent may have done the task";
            self.end(Outcome::Unknown(message.to_owned()), ctx)
        };
        order.actions.insert(0, Action::Abort(ctx.key));
        order
    }

    fn needs_mark(&self) -> bool {
        !self.brief.idempotent || self.deliveries > 1
    }
}
