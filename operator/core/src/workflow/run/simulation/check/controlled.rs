//! What must hold when people pause a run or end it at once, read from the journal alone.

use std::time::Duration;

use jiff::Timestamp;

use crate::workflow::journal::{Entry, FinalPhase, RunEvent};

/// A run whose time is over had all of it, pauses left out; one that was terminated undoes nothing from then on.
pub(super) fn check(
    journal: &[(Entry, Timestamp)],
    (end, phase, message): (usize, FinalPhase, &str),
) -> Result<(), String> {
    let terminated =
        journal.iter().position(|(entry, _)| matches!(entry, Entry::Run(RunEvent::TerminateRequested { .. })));
    if terminated.is_some_and(|at| at < end) {
        // When nothing was left to undo in that moment, both ends are true. That everything is undone is checked elsewhere.
        let is_lost =
            |(entry, _): &(Entry, Timestamp)| matches!(entry, Entry::Run(RunEvent::CompensationStarted { .. }));
        if phase == FinalPhase::Compensated && terminated.is_some_and(|at| journal[..at].iter().any(is_lost)) {
            return Ok(());
        }
        let is_told = message.starts_with("terminated: ");
        return if is_told && phase != FinalPhase::Compensated && phase != FinalPhase::Succeeded {
            Ok(())
        } else {
            Err(format!("the run was terminated and ended as {phase:?}: {message}"))
        };
    }
    let mut deadline = None;
    let mut pause = None;
    for (entry, at) in &journal[..=end] {
        match entry {
            Entry::Run(RunEvent::Started { deadline: end }) => deadline = deadline.or(Some(*end)),
            Entry::Run(RunEvent::Paused { .. }) => pause = pause.or(Some(*at)),
            Entry::Run(RunEvent::Resumed { .. } | RunEvent::CancelRequested { .. }) => {
                if let (Some(since), Some(end)) = (pause.take(), &mut deadline) {
                    let length = Duration::try_from(at.duration_since(since)).unwrap_or_default();
                    *end = end.checked_add(length).unwrap_or(Timestamp::MAX);
                }
            }
            _ => {}
        }
    }
    let is_over = deadline.is_some_and(|deadline| deadline <= journal[end].1);
    if message.contains("the run's time was over") && !is_over {
        return Err(format!("the run had more time than until {}: {message}", journal[end].1));
    }
    Ok(())
}
