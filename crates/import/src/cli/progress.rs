//! A bar on standard error while files are read, and only when a person looks at it.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};
use manbo_import::Progress;

use super::text::plain;

/// Drawing costs more than reading: one look a megabyte, a hundred a second at the speed of XML.
const BYTES_A_DRAWING: u64 = 1 << 20;

/// The bar of an import.
#[derive(Debug)]
pub(crate) struct Bar {
    bar: ProgressBar,
    undrawn: u64,
}

impl Bar {
    pub(crate) fn new() -> Bar {
        let bar =
            if std::io::stderr().is_terminal() { ProgressBar::no_length() } else { ProgressBar::hidden() };
        Bar { bar, undrawn: 0 }
    }

    /// A second handle of the same bar, to take it away in the end.
    pub(crate) fn handle(&self) -> ProgressBar {
        self.bar.clone()
    }

    fn style(&self, template: &str) {
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
    }
}

impl Progress for Bar {
    fn file(&mut self, name: &str, bytes: Option<u64>) {
        self.undrawn = 0;
        self.bar.reset();
        if let Some(bytes) = bytes {
            self.style("{bar:30} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left  {wide_msg}");
            self.bar.set_length(bytes);
        } else {
            self.style("{spinner} {bytes}, {bytes_per_sec}  {wide_msg}");
            self.bar.unset_length();
        }
        self.bar.set_message(plain(name));
    }

    fn advance(&mut self, bytes: u64) {
        self.undrawn += bytes;
        if self.undrawn >= BYTES_A_DRAWING {
            self.bar.inc(std::mem::take(&mut self.undrawn));
        }
    }
}
