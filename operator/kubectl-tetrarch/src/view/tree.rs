//! A tree of rows: the first column is drawn with branches.

use crate::view::{
    style::{Mark, Style, Tone},
    table::{self, Cell},
};

/// A row with the rows below it.
#[derive(Clone, Debug)]
pub struct Node {
    /// Sign before the name.
    pub mark: Option<Mark>,
    /// The name, with what belongs to it.
    pub title: Cell,
    /// The other columns.
    pub cells: Vec<Cell>,
    /// The rows below.
    pub children: Vec<Node>,
}

/// Renders trees under the headings of their columns.
pub fn render(headings: &[&str], roots: &[Node], style: Style) -> String {
    let mut rows = Vec::new();
    for root in roots {
        add(&mut rows, root, "", "");
    }
    table::render(headings, &rows, style)
}

fn add(rows: &mut Vec<Vec<Cell>>, node: &Node, lead: &str, below: &str) {
    let mut first = Cell::toned(Tone::Faint, lead);
    if let Some(mark) = node.mark {
        first = first.then(mark.tone, format!("{} ", mark.icon));
    }
    first = first.join(node.title.clone());
    rows.push(std::iter::once(first).chain(node.cells.iter().cloned()).collect());
    for (at, child) in node.children.iter().enumerate() {
        let is_last = at + 1 == node.children.len();
        let (branch, bar) = if is_last { ("└─", "  ") } else { ("├─", "│ ") };
        add(rows, child, &format!("{below}{branch}"), &format!("{below}{bar}"));
    }
}
