//! Defects that tests switch on to see that their checks find them; none is in a built program.

#[cfg(test)]
pub(super) use switched::*;

#[cfg(test)]
mod switched {
    use std::cell::Cell;

    /// A way in which an engine, or the bus below it, can be broken.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(in super::super) enum Flaw {
        Duplicates,
        Dependencies,
        OrderOfCompensation,
        LateWork,
        /// An owner writes events whatever another one wrote meanwhile.
        Fence,
        /// The bus stores a dispatch that it has.
        Deduplication,
        /// The same seed does not give the same trace.
        Chance,
        Pause,
        /// A decision is taken for that about any question of the step.
        AnyDecision,
        Repetition,
        Judgement,
        Fallback,
        /// A tree goes up when only some groups of a level are reduced.
        Tree,
        /// A gate that says so does not make the run undo anything.
        GateThatUndoes,
        /// Agents hand a task on as often as they like.
        HandOver,
        /// A plan is begun although nobody has approved it.
        Approval,
        /// What is done is done again when the run is opened again.
        DoneTwice,
        /// A map begins with items that do not exist yet.
        Stream,
    }

    thread_local! {
        static FLAW: Cell<Option<Flaw>> = const { Cell::new(None) };
        static CALLS: Cell<u64> = const { Cell::new(0) };
    }

    pub(in super::super) fn switch(flaw: Option<Flaw>) {
        FLAW.set(flaw);
    }

    pub(in super::super) fn has_no_fence() -> bool {
        FLAW.get() == Some(Flaw::Fence)
    }

    pub(in super::super) fn has_no_deduplication() -> bool {
        FLAW.get() == Some(Flaw::Deduplication)
    }

    /// A number that differs from call to call.
    pub(in super::super) fn chance() -> u64 {
        CALLS.set(CALLS.get() + 1);
        if FLAW.get() == Some(Flaw::Chance) { CALLS.get() } else { 0 }
    }

    pub(in super::super) fn ignores_duplicates() -> bool {
        FLAW.get() == Some(Flaw::Duplicates)
    }

    pub(in super::super) fn ignores_dependencies() -> bool {
        FLAW.get() == Some(Flaw::Dependencies)
    }

    pub(in super::super) fn compensates_forwards() -> bool {
        FLAW.get() == Some(Flaw::OrderOfCompensation)
    }

    pub(in super::super) fn takes_any_decision() -> bool {
        FLAW.get() == Some(Flaw::AnyDecision)
    }

    pub(in super::super) fn forgets_late_work() -> bool {
        FLAW.get() == Some(Flaw::LateWork)
    }

    pub(in super::super) fn ignores_pauses() -> bool {
        FLAW.get() == Some(Flaw::Pause)
    }

    pub(in super::super) fn ignores_judges() -> bool {
        FLAW.get() == Some(Flaw::Judgement)
    }

    pub(in super::super) fn falls_back_for_ever() -> bool {
        FLAW.get() == Some(Flaw::Fallback)
    }

    pub(in super::super) fn hands_over_for_ever() -> bool {
        FLAW.get() == Some(Flaw::HandOver)
    }

    pub(in super::super) fn forgets_gates_that_undo() -> bool {
        FLAW.get() == Some(Flaw::GateThatUndoes)
    }

    pub(in super::super) fn reduces_early() -> bool {
        FLAW.get() == Some(Flaw::Tree)
    }

    pub(in super::super) fn repeats_forever() -> bool {
        FLAW.get() == Some(Flaw::Repetition)
    }

    pub(in super::super) fn approves_every_plan() -> bool {
        FLAW.get() == Some(Flaw::Approval)
    }

    pub(in super::super) fn repeats_what_is_done() -> bool {
        FLAW.get() == Some(Flaw::DoneTwice)
    }

    pub(in super::super) fn streams_early() -> bool {
        FLAW.get() == Some(Flaw::Stream)
    }
}

#[cfg(not(test))]
pub(super) const fn approves_every_plan() -> bool {
    false
}

#[cfg(not(test))]
pub(super) const fn ignores_duplicates() -> bool {
    false
}

#[cfg(not(test))]
pub(super) const fn ignores_dependencies() -> bool {
    false
}

#[cfg(not(test))]
pub(super) const fn compensates_forwards() -> bool {
    false
}

#[cfg(not(test))]
pub(super) const fn forgets_late_work() -> bool {
    false
}

#[cfg(not(test))]
pub(super) const fn ignores_pauses() -> bool {
    false
}

#[cfg(not(test))]
pub(super) const fn takes_any_decision() -> bool {
    false
}

#[cfg(not(test))]
pub(super) const fn repeats_forever() -> bool {
    false
}

#[cfg(not(test))]
pub(super) const fn ignores_judges() -> bool {
    false
}

#[cfg(not(test))]
pub(super) const fn falls_back_for_ever() -> bool {
    false
}

#[cfg(not(test))]
pub(super) const fn hands_over_for_ever() -> bool {
    false
}

#[cfg(not(test))]
pub(super) const fn forgets_gates_that_undo() -> bool {
    false
}

#[cfg(not(test))]
pub(super) const fn reduces_early() -> bool {
    false
}

#[cfg(not(test))]
pub(super) const fn repeats_what_is_done() -> bool {
    false
}

#[cfg(not(test))]
pub(super) const fn streams_early() -> bool {
    false
}
