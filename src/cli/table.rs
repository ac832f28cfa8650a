//! Tables and colours for what people read on standard output. A colour never says what no word says.

use std::fmt::Write as _;

use clap::builder::styling::AnsiColor;

/// How a word is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Good,
    Odd,
    Bad,
}

/// Colours words, or leaves them as they are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint(pub(super) bool);

impl Paint {
    pub(super) fn word(self, tone: Tone, word: &str) -> String {
        let colour = match tone {
            Tone::Good => AnsiColor::Green,
            Tone::Odd => AnsiColor::Yellow,
            Tone::Bad => AnsiColor::Red,
            Tone::Plain => return word.to_owned(),
        };
        if !self.0 {
            return word.to_owned();
        }
        let style = colour.on_default();
        format!("{style}{word}{style:#}")
    }
}

/// Text that others wrote, with escapes for what could move a terminal's cursor or begin a line; `kept` stays as it is.
pub(super) fn shown(text: &str, kept: &[char]) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && !kept.contains(&c) {
            shown.extend(c.escape_debug());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// A column: its head, and whether its cells are numbers, which stand at the right.
pub(super) type Column = (&'static str, bool);

/// Lines of cells under their heads, with two blanks between the columns. What is in a cell stays in its line.
pub(super) fn table(columns: &[Column], rows: &[Vec<(String, Tone)>], paint: Paint) -> String {
    let cells =
        |row: &Vec<(String, Tone)>| row.iter().map(|(text, tone)| (shown(text, &[]), *tone)).collect();
    let rows: Vec<Vec<(String, Tone)>> = rows.iter().map(cells).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|(text, _)| text.chars().count());
        cells.chain([columns[column].0.len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut text = String::new();
    let heads = columns.iter().map(|(head, _)| ((*head).to_owned(), Tone::Plain)).collect();
    for row in std::iter::once(&heads).chain(&rows) {
        let mut line = String::new();
        for ((cell, tone), ((_, number), width)) in row.iter().zip(columns.iter().zip(&widths)) {
            let blanks = " ".repeat(width.saturating_sub(cell.chars().count()));
            let cell = paint.word(*tone, cell);
            let _ = if *number { write!(line, "{blanks}{cell}  ") } else { write!(line, "{cell}{blanks}  ") };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_their_heads() {
        let rows = [
            vec![
                ("a".to_owned(), Tone::Plain),
                ("1000".to_owned(), Tone::Plain),
                ("yes".to_owned(), Tone::Good),
            ],
            vec![
                ("long".to_owned(), Tone::Plain),
                ("7".to_owned(), Tone::Plain),
                ("no".to_owned(), Tone::Bad),
            ],
        ];
        let columns = [("x", false), ("size", true), ("PIE", false)];
        insta::assert_snapshot!(table(&columns, &rows, Paint(false)), @r"
        x     size  PIE
        a     1000  yes
        long     7  no
        ");
        let foreign = vec![("a\u{1b}[2J\nb\tü".to_owned(), Tone::Plain), ("\r1".to_owned(), Tone::Plain)];
        insta::assert_snapshot!(table(&columns[..2], &[foreign], Paint(true)), @r"
        x                 size
        a\u{1b}[2J\nb\tü   \r1
        ");
        let coloured = table(&columns, &rows, Paint(true));
        assert!(coloured.contains("a     1000  \u{1b}[32myes\u{1b}[0m\n"), "{coloured:?}");
        assert!(coloured.contains("\u{1b}[31mno\u{1b}[0m"), "{coloured:?}");
    }
}
