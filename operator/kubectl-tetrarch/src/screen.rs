//! The terminal: whether there is one, its width, and drawing over what was drawn before.

use std::io::{self, IsTerminal as _, Write as _};

use terminal_size::{Height, Width, terminal_size};

use crate::view::style::Style;

/// Where answers go.
#[derive(Debug)]
pub struct Screen {
    /// Whether a person looks at it.
    pub live: bool,
    drawn: usize,
}

impl Screen {
    /// The standard output.
    pub fn stdout() -> Self {
        Self { live: io::stdout().is_terminal(), drawn: 0 }
    }

    /// Colours only on a terminal and never with `NO_COLOR`; lines are cut at its width.
    pub fn style(&self) -> Style {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let width = self.live.then(terminal_size).flatten().map(|(Width(columns), _)| usize::from(columns));
        Style { colour: self.live && wanted, width }
    }

    /// Prints a text.
    pub fn print(&mut self, text: &str) -> io::Result<()> {
        self.drawn = 0;
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    /// Draws a text over the one drawn before; what does not fit on the screen is left out.
    pub fn redraw(&mut self, text: &str) -> io::Result<()> {
        let rows = terminal_size().map_or(usize::MAX, |(_, Height(rows))| usize::from(rows).saturating_sub(1));
        let shown: Vec<&str> = text.lines().take(rows).collect();
        let up = if self.drawn > 0 { format!("\x1b[{}A", self.drawn) } else { String::new() };
        let mut stdout = io::stdout().lock();
        write!(stdout, "{up}\r\x1b[J")?;
        for line in &shown {
            writeln!(stdout, "{line}")?;
        }
        self.drawn = shown.len();
        stdout.flush()
    }
}
