//! A bar on standard error while something long runs, and only when a person looks at it.

use std::io::{IsTerminal, Read};

use indicatif::{ProgressBar, ProgressStyle};

/// Drawing costs more than reading a row.
const ROWS_A_DRAWING: u64 = 4_096;

pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub(crate) fn new() -> Progress {
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        Progress { bar }
    }

    /// Follows a file as it is read: the bar by bytes, the rate by rows.
    pub(crate) fn reading<R: Read>(&self, file: R, len: u64) -> impl Read + use<R> {
        self.style("reading   {bar:30} {bytes}/{total_bytes} {msg}");
        self.bar.set_length(len);
        self.bar.wrap_read(file)
    }

    /// So many rows have been read.
    pub(crate) fn rows(&self, rows: u64) {
        if rows.is_multiple_of(ROWS_A_DRAWING) {
            let tenths = u64::try_from(self.bar.elapsed().as_millis() / 100).unwrap_or(u64::MAX).max(1);
            self.bar.set_message(format!("{rows} rows, {}/s", rows * 10 / tenths));
        }
    }

    /// Begins to record so many things.
    pub(crate) fn recording(&self, count: usize, things: &'static str) {
        self.style("recording {bar:30} {pos}/{len} {msg}, {per_sec}, {eta} left");
        self.bar.reset();
        self.bar.set_length(count as u64);
        self.bar.set_message(things);
    }

    /// So many more are recorded.
    pub(crate) fn advance(&self, count: usize) {
        self.bar.inc(count as u64);
    }

    /// Takes the bar away.
    pub(crate) fn done(&self) {
        self.bar.finish_and_clear();
    }

    fn style(&self, template: &str) {
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
    }
}
