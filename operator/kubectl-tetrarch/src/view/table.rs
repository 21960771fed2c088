//! Aligned columns without lines, as kubectl prints them.

use crate::view::style::{Style, Tone};

/// One cell: pieces of text, each with its tone.
#[derive(Clone, Debug, Default)]
pub struct Cell(Vec<(Tone, String)>);

impl Cell {
    /// A cell of one tone.
    pub fn toned(tone: Tone, text: impl Into<String>) -> Self {
        Self(vec![(tone, text.into())])
    }

    /// Adds a piece.
    #[must_use]
    pub fn then(mut self, tone: Tone, text: impl Into<String>) -> Self {
        self.0.push((tone, text.into()));
        self
    }

    /// Adds the pieces of another cell.
    #[must_use]
    pub fn join(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.chars().count()).sum()
    }

    /// Paints at most `limit` characters; a cut text ends in `…`.
    fn paint(&self, style: Style, limit: usize) -> String {
        let cut = self.width() > limit;
        let mut left = if cut { limit.saturating_sub(1) } else { limit };
        let mut painted = String::new();
        for (tone, text) in &self.0 {
            let piece: String = text.chars().take(left).collect();
            left -= piece.chars().count();
            if !piece.is_empty() {
                painted.push_str(&style.paint(*tone, &piece));
            }
        }
        if cut && limit > 0 {
            painted.push('…');
        }
        painted
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::toned(Tone::Plain, text)
    }
}

/// Space between columns.
const GAP: usize = 2;

/// Renders rows under their headings; columns that are empty in every row are left out.
pub fn render(headings: &[&str], rows: &[Vec<Cell>], style: Style) -> String {
    let used: Vec<usize> = (0..headings.len())
        .filter(|at| *at == 0 || rows.iter().any(|row| row.get(*at).is_some_and(|cell| cell.width() > 0)))
        .collect();
    let widths: Vec<usize> = used
        .iter()
        .map(|at| {
            rows.iter()
                .filter_map(|row| row.get(*at))
                .map(Cell::width)
                .chain([headings[*at].chars().count()])
                .max()
                .unwrap_or(0)
        })
        .collect();
    let heading: Vec<Cell> = headings.iter().map(|text| Cell::toned(Tone::Strong, *text)).collect();
    std::iter::once(&heading).chain(rows).map(|row| line(row, &used, &widths, style)).collect()
}

fn line(row: &[Cell], used: &[usize], widths: &[usize], style: Style) -> String {
    let empty = Cell::default();
    let cells: Vec<(&Cell, usize)> =
        used.iter().zip(widths).map(|(at, width)| (row.get(*at).unwrap_or(&empty), *width)).collect();
    let last = cells.iter().rposition(|(cell, _)| cell.width() > 0).unwrap_or(0);
    let mut left = style.width.unwrap_or(usize::MAX);
    let mut text = String::new();
    for (cell, width) in cells.iter().take(last + 1) {
        if left == 0 {
            break;
        }
        text.push_str(&cell.paint(style, left));
        let padded = (width + GAP).min(left);
        text.push_str(&" ".repeat(padded.saturating_sub(cell.width())));
        left -= padded;
    }
    format!("{}\n", text.trim_end())
}
