//! Colours and icons.

use tetrarch_crds::workflow::RunPhase;

/// How to show: colours or not, and the width of the screen.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Whether colours may be used.
    pub colour: bool,
    /// Columns; lines are cut there. None: lines are as long as they are.
    pub width: Option<usize>,
}

/// What a text means, which decides on its colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// No colour.
    #[default]
    Plain,
    /// Well.
    Good,
    /// Badly.
    Bad,
    /// Somebody should look.
    Warning,
    /// Moving.
    Busy,
    /// Less important.
    Faint,
    /// Headings.
    Strong,
}

impl Style {
    /// The text with the colour of its tone.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            _ if !self.colour => return text.to_owned(),
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Warning => "33",
            Tone::Busy => "36",
            Tone::Faint => "2",
            Tone::Strong => "1",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// How an object does, in one sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// One character.
    pub icon: char,
    /// Its colour.
    pub tone: Tone,
}

/// The sign of a phase.
pub const fn phase_mark(phase: RunPhase) -> Mark {
    match phase {
        RunPhase::Pending => Mark { icon: '◷', tone: Tone::Faint },
        RunPhase::Running => Mark { icon: '●', tone: Tone::Busy },
        RunPhase::Waiting => Mark { icon: '✋', tone: Tone::Warning },
        RunPhase::Compensating => Mark { icon: '↶', tone: Tone::Busy },
        RunPhase::Compensated => Mark { icon: '↶', tone: Tone::Warning },
        RunPhase::Succeeded => Mark { icon: '✔', tone: Tone::Good },
        RunPhase::Failed => Mark { icon: '✖', tone: Tone::Bad },
        RunPhase::Cancelled => Mark { icon: '⚠', tone: Tone::Warning },
        RunPhase::Skipped => Mark { icon: '○', tone: Tone::Faint },
        RunPhase::OutcomeUnknown => Mark { icon: '⚠', tone: Tone::Bad },
    }
}
