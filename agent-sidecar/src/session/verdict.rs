//! What an agent's answer means for its task.

use std::time::Duration;

use tetrarch_core::workflow::journal::FailureReason;

use super::event::{Answer, HandOver, Outcome};

/// Longest message of a result, in bytes.
pub const MAX_MESSAGE: usize = 2 * 1024;

/// What becomes of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It ended.
    End(Outcome),
    /// It goes back, untouched, for at least this time.
    Later(Duration),
}

/// Judges an answer. Only for tasks that are not idempotent it matters whether the agent may have worked without our knowing how far.
pub fn judge(answer: Answer, idempotent: bool) -> Verdict {
    use FailureReason::{AgentError, InvalidResponse, Rejected, ResponseTooLarge, Timeout, Unreachable};
    let fail = |reason, message: &str| Verdict::End(Outcome::Failed(reason, bounded(message)));
    match answer {
        Answer::Output(output) => Verdict::End(Outcome::Succeeded(output)),
        Answer::HandedOver(hand_over) => {
            let reason = hand_over.reason.as_deref().map(bounded);
            Verdict::End(Outcome::HandedOver(HandOver { reason, ..hand_over }))
        }
        Answer::Failed(message) => fail(AgentError, &message),
        Answer::Rejected(message) => fail(Rejected, &message),
        Answer::Busy(delay) => Verdict::Later(delay),
        Answer::Invalid(message) => fail(InvalidResponse, &message),
        Answer::TooLarge(message) => fail(ResponseTooLarge, &message),
        Answer::TimedOut(after) => fail(
            Timeout,
            &format!("the agent did not answer within {after:?}: raise the step's timeout or make the agent faster"),
        ),
        Answer::NotConnected(message) => fail(Unreachable, &message),
        Answer::ConnectionLost(message) if idempotent => fail(Unreachable, &message),
        Answer::ConnectionLost(message) => Verdict::End(Outcome::Unknown(bounded(&format!(
            "{message}; the task is not idempotent and the agent may have done it"
        )))),
    }
}

/// The message, cut at a character boundary so that it fits into a result.
pub fn bounded(message: &str) -> String {
    let mut end = message.len().min(MAX_MESSAGE);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn reason(verdict: &Verdict) -> Option<FailureReason> {
        match verdict {
            Verdict::End(Outcome::Failed(reason, _)) => Some(*reason),
            _ => None,
        }
    }

    #[rstest]
    #[case(Answer::Failed("500".into()), FailureReason::AgentError)]
    #[case(Answer::Rejected("422".into()), FailureReason::Rejected)]
    #[case(Answer::Invalid("not JSON".into()), FailureReason::InvalidResponse)]
    #[case(Answer::TooLarge("17 MiB".into()), FailureReason::ResponseTooLarge)]
    #[case(Answer::TimedOut(Duration::from_secs(1)), FailureReason::Timeout)]
    #[case(Answer::NotConnected("refused".into()), FailureReason::Unreachable)]
    fn failures_have_the_same_reason_for_all_tasks(#[case] answer: Answer, #[case] expected: FailureReason) {
        assert_eq!(reason(&judge(answer.clone(), true)), Some(expected));
        assert_eq!(reason(&judge(answer, false)), Some(expected));
    }

    #[test]
    fn a_connection_that_breaks_after_sending_is_unknown_unless_the_task_is_idempotent() {
        let lost = Answer::ConnectionLost("reset".into());
        assert_eq!(reason(&judge(lost.clone(), true)), Some(FailureReason::Unreachable));
        assert!(matches!(judge(lost, false), Verdict::End(Outcome::Unknown(_))));
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let long = "é".repeat(MAX_MESSAGE);
        let cut = bounded(&format!("x{long}"));
        assert!(cut.len() <= MAX_MESSAGE && cut.len() >= MAX_MESSAGE - 2);
    }
}
