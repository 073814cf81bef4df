//! A small table: columns as wide as their cells, the last one as it comes.

use super::{Paint, Tone, clean};

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A cell in a tone.
    pub(crate) fn toned(text: impl AsRef<str>, tone: Tone) -> Self {
        Self { text: clean(text.as_ref()), tone }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

/// A table with a heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    heads: &'static [&'static str],
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table with these columns.
    pub(crate) fn new(heads: &'static [&'static str]) -> Self {
        Self { heads, rows: Vec::new() }
    }

    /// Adds a row; one cell for each column.
    pub(crate) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        debug_assert_eq!(N, self.heads.len(), "a cell for each column");
        self.rows.push(cells.into());
    }

    /// Whether it has no rows.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text.
    pub(crate) fn render(&self, paint: Paint) -> String {
        let heads: Vec<Cell> = self.heads.iter().map(|head| Cell::toned(head, Tone::Faint)).collect();
        let widths: Vec<usize> = (0..self.heads.len())
            .map(|column| {
                let cells = self.rows.iter().chain([&heads]).filter_map(|row| row.get(column));
                cells.map(|cell| cell.text.chars().count()).max().unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for row in [&heads].into_iter().chain(&self.rows) {
            let last = row.len().saturating_sub(1);
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                text.push_str(&paint.tone(cell.tone, &cell.text));
                if column < last {
                    let gap = width.saturating_sub(cell.text.chars().count()) + 2;
                    text.push_str(&" ".repeat(gap));
                }
            }
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_cells() {
        let mut table = Table::new(&["NAME", "STATE", "NOTE"]);
        table.row(["a".into(), Cell::toned("running", Tone::Busy), "x".into()]);
        table.row(["a-long-name".into(), "ok".into(), "".into()]);
        insta::assert_snapshot!(table.render(Paint::NONE), @r"
        NAME         STATE    NOTE
        a            running  x
        a-long-name  ok
        ");
    }

    #[test]
    fn what_a_cell_says_cannot_steer_the_terminal() {
        let mut table = Table::new(&["NAME"]);
        table.row(["a\u{1b}[2Jb\nc".into()]);
        assert_eq!(table.render(Paint::NONE), "NAME\na [2Jb c\n");
    }
}
