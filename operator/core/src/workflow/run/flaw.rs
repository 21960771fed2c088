//! Defects that tests switch on to see that their checks find them; none is in a built program.

#[cfg(test)]
pub(super) use switched::*;

#[cfg(test)]
mod switched {
    use std::cell::Cell;

    /// A way in which an engine can be broken.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(in super::super) enum Flaw {
        Duplicates,
        Dependencies,
        OrderOfCompensation,
        LateWork,
    }

    thread_local! {
        static FLAW: Cell<Option<Flaw>> = const { Cell::new(None) };
    }

    pub(in super::super) fn switch(flaw: Option<Flaw>) {
        FLAW.set(flaw);
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

    pub(in super::super) fn forgets_late_work() -> bool {
        FLAW.get() == Some(Flaw::LateWork)
    }
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
