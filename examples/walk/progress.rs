//! A bar on standard error while something long runs, and only when a person looks at it.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub(crate) fn new() -> Progress {
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        Progress { bar }
    }

    /// Follows files as they are read.
    pub(crate) fn reading(&self) -> Box<dyn manbo_import::Progress> {
        self.style("reading   {bar:30} {bytes}/{total_bytes}, {bytes_per_sec} {wide_msg}");
        Box::new(Files { bar: self.bar.clone() })
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

/// Hears from the import.
struct Files {
    bar: ProgressBar,
}

impl manbo_import::Progress for Files {
    fn file(&mut self, name: &str, bytes: Option<u64>) {
        self.bar.reset();
        self.bar.set_length(bytes.unwrap_or(0));
        self.bar.set_message(name.to_owned());
    }

    fn advance(&mut self, bytes: u64) {
        self.bar.inc(bytes);
    }
}
