//! Text for people: tables that fit a terminal, in colour or not.

use std::fmt::Write;

/// Columns that a page takes at most, where its words let it.
pub(crate) const WIDTH: usize = 100;
/// Of the last column of a table at least so many are left.
const LAST_MIN: usize = 24;
/// No column gives way below this.
const COLUMN_MIN: usize = 12;

/// How a text looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Style {
    #[default]
    Plain,
    Bold,
    Good,
    Doubtful,
    Bad,
    Ordered,
}

impl Style {
    /// ECMA-48, SGR.
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Bold => Some("1"),
            Self::Good => Some("32"),
            Self::Doubtful => Some("33"),
            Self::Bad => Some("31"),
            Self::Ordered => Some("35"),
        }
    }
}

/// A cell of a table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>, style: Style) -> Self {
        Self { text: safe(&text.into()), style }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Style::Plain)
    }
}

/// A page under way.
#[derive(Debug)]
pub(crate) struct Page {
    colour: bool,
    text: String,
}

impl Page {
    pub(crate) fn new(colour: bool) -> Self {
        Self { colour, text: String::new() }
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }

    /// An empty line, unless the page begins here.
    pub(crate) fn gap(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
    }

    /// A line of its own.
    pub(crate) fn line(&mut self, text: &str, style: Style) {
        for (index, line) in wrap(&safe(text), WIDTH).iter().enumerate() {
            let line = if index == 0 { line.clone() } else { format!("  {line}") };
            self.styled(&line, style);
            self.text.push('\n');
        }
    }

    /// A line that is not broken, however long it is.
    pub(crate) fn raw(&mut self, text: &str, style: Style) {
        self.styled(&safe(text), style);
        self.text.push('\n');
    }

    /// Lines of cells. Columns are as wide as their widest cell where all fit; else the widest give
    /// way, and what they hold is wrapped. The last column takes what is left.
    pub(crate) fn table(&mut self, rows: &[Vec<Cell>]) {
        self.columns(rows, WIDTH);
    }

    /// The same with a line for each row, however long: for those that are searched and copied from.
    pub(crate) fn list(&mut self, rows: &[Vec<Cell>]) {
        self.columns(rows, usize::MAX);
    }

    fn columns(&mut self, rows: &[Vec<Cell>], page: usize) {
        let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = rows.iter().filter(|row| column + 1 < row.len());
            let widths = cells.filter_map(|row| Some(row.get(column)?.text.chars().count()));
            widths.max().unwrap_or_default()
        };
        let mut widths: Vec<usize> = (0..columns.saturating_sub(1)).map(width).collect();
        while indent(&widths) + LAST_MIN > page {
            let Some(widest) = widths.iter_mut().max().filter(|width| **width > COLUMN_MIN) else {
                break;
            };
            *widest -= 1;
        }
        widths.push(page.saturating_sub(indent(&widths)).max(LAST_MIN));
        for row in rows {
            self.row(row, &widths, page);
        }
    }

    fn row(&mut self, row: &[Cell], widths: &[usize], page: usize) {
        let last = widths.len().saturating_sub(1);
        // A row that ends early lets its last cell take the rest.
        let room = |column: usize| match column + 1 == row.len() {
            true => page.saturating_sub(indent(widths.get(..column).unwrap_or_default())),
            false => widths.get(column).copied().unwrap_or_default(),
        };
        let wrapped: Vec<(Vec<String>, Style)> = row
            .iter()
            .enumerate()
            .map(|(column, cell)| (wrap(&cell.text, room(column).max(1)), cell.style))
            .collect();
        let lines = wrapped.iter().map(|(lines, _)| lines.len()).max().unwrap_or_default();
        for line in 0..lines {
            let mut padding = 2;
            for (column, (lines, style)) in wrapped.iter().enumerate() {
                let text = lines.get(line).map(String::as_str).unwrap_or_default();
                if !text.is_empty() {
                    let _ = write!(self.text, "{:padding$}", "");
                    self.styled(text, *style);
                    padding = 0;
                }
                if column < last {
                    padding += room(column).saturating_sub(text.chars().count()) + 2;
                }
            }
            self.text.push('\n');
        }
    }

    fn styled(&mut self, text: &str, style: Style) {
        match style.code().filter(|_| self.colour && !text.is_empty()) {
            Some(code) => drop(write!(self.text, "\x1b[{code}m{text}\x1b[0m")),
            None => self.text.push_str(text),
        }
    }
}

/// Where the column behind these begins: two spaces stand before and between them.
fn indent(widths: &[usize]) -> usize {
    widths.iter().map(|width| width + 2).sum::<usize>() + 2
}

/// Lines of at most `width` characters, broken between words where there are such.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut room = width;
    for word in text.split(' ') {
        let mut rest: Vec<char> = word.chars().collect();
        let space = usize::from(room < width);
        if rest.len() + space > room && room < width {
            lines.push(String::new());
            room = width;
        } else if space == 1 {
            push(&mut lines, " ");
            room -= 1;
        }
        while rest.len() > room {
            let piece: String = rest.drain(..room).collect();
            push(&mut lines, &piece);
            lines.push(String::new());
            room = width;
        }
        room -= rest.len();
        push(&mut lines, &rest.into_iter().collect::<String>());
    }
    lines
}

fn push(lines: &mut [String], text: &str) {
    if let Some(last) = lines.last_mut() {
        last.push_str(text);
    }
}

/// A text of somebody else as it may go to a terminal: nothing in it moves the cursor, and it stays
/// in its line.
pub(crate) fn safe(text: &str) -> String {
    // Marks that turn the direction of writing could hide what stands there.
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if c.is_control() || turns(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_broken_between_words() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("", 8), [""]);
        assert_eq!(wrap("abcdefghij kl", 4), ["abcd", "efgh", "ij", "kl"]);
        assert_eq!(wrap("a abcdef", 3), ["a", "abc", "def"]);
        for width in 1..30 {
            let lines = wrap("no ServerHello in time, and no byte since: öäü", width);
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{width}: {lines:?}");
        }
    }

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(safe("a\x1b[2Jb\nc\u{202e}"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}");
    }
}
