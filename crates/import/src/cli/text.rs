//! What the report's texts are made of: numbers, columns, colour.

use super::words::grouped;

/// No line of a report is longer.
pub(crate) const COLUMNS: usize = 100;

/// Colours of middle brightness, which stand out on light and dark alike; none into a pipe.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    pub(crate) colour: bool,
}

impl Paint {
    fn paint(self, code: &str, text: &str) -> String {
        if self.colour && !text.trim().is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// What a person should look at.
    pub(crate) fn warning(self, text: &str) -> String {
        self.paint("38;5;172", text)
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.paint("38;5;36", text)
    }

    pub(crate) fn steps(self, text: &str) -> String {
        self.paint("38;5;73", text)
    }
}

/// A number of things: `1 day`, `12,345 days`.
pub(crate) fn count(number: u64, thing: &str) -> String {
    let ending = match (number, thing) {
        (1, _) => "",
        (_, "person") => return format!("{} people", grouped(number)),
        _ => "s",
    };
    format!("{} {thing}{ending}", grouped(number))
}

/// A text of a file without what a terminal would obey: control characters and changes of direction.
pub(crate) fn plain(text: &str) -> String {
    let obeyed = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if obeyed(c) { '\u{fffd}' } else { c }).collect()
}

/// The text if it fits, else its end behind an ellipsis: the end of a path tells more than its start.
pub(crate) fn ending(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().skip(length + 1 - width).collect();
    format!("\u{2026}{kept}")
}

/// The text if it fits, else its start before an ellipsis.
pub(crate) fn beginning(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}\u{2026}")
}

/// How a column of a table stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A table: a title a column, and rows of as many cells.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(columns: &[(&'static str, Align)]) -> Table {
        Table { columns: columns.to_vec(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The lines, the titles first. Blanks at the ends of lines are left out.
    pub(crate) fn lines(&self) -> Vec<String> {
        let titles: Vec<String> = self.columns.iter().map(|(title, _)| (*title).to_owned()).collect();
        let all: Vec<&Vec<String>> = std::iter::once(&titles).chain(&self.rows).collect();
        let width = |column: usize| {
            all.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells =
                row.iter().zip(&widths).zip(&self.columns).map(|((cell, width), (_, align))| match align {
                    Align::Left => format!("{cell:<width$}"),
                    Align::Right => format!("{cell:>width$}"),
                });
            cells.collect::<Vec<_>>().join("   ").trim_end().to_owned()
        };
        all.into_iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::wrapped;
    use super::*;

    #[test]
    fn numbers_are_grouped_and_things_counted() {
        assert_eq!([0_u64, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(count(1, "day"), "1 day");
        assert_eq!(count(2_000, "person"), "2,000 people");
        assert_eq!(count(0, "row"), "0 rows");
    }

    #[test]
    fn a_file_cannot_command_the_terminal() {
        assert_eq!(plain("a\x1b[2Jb\u{202e}c\n"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}");
        assert_eq!(plain("Ana\u{2019}s Watch"), "Ana\u{2019}s Watch");
    }

    #[test]
    fn long_texts_are_cut_where_they_tell_least() {
        assert_eq!((ending("abcdef", 6), ending("abcdef", 4)), ("abcdef".into(), "\u{2026}def".into()));
        assert_eq!((beginning("abcdef", 6), beginning("abcdef", 4)), ("abcdef".into(), "abc\u{2026}".into()));
        assert_eq!(wrapped("one two  three", 7), ["one two", "three"]);
    }

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(&[("source", Align::Left), ("days", Align::Right), ("", Align::Left)]);
        table.row(vec!["phone".into(), "1,000".into(), "x".into()]);
        table.row(vec!["w".into(), "5".into(), String::new()]);
        assert_eq!(table.lines(), ["source    days", "phone    1,000   x", "w            5"]);
    }

    #[test]
    fn no_colour_into_a_pipe() {
        assert_eq!(Paint { colour: false }.bold("x"), "x");
        assert_eq!(Paint { colour: true }.bold("x"), "\x1b[1mx\x1b[0m");
        assert_eq!(Paint { colour: true }.dim("  "), "  ");
    }
}
