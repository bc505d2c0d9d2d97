//! Why an import stopped. Nothing is recorded then: an import is taken whole or not at all.

use std::io;

/// The result of this crate's calls.
pub type Result<T> = std::result::Result<T, ImportError>;

/// Why an import stopped. The text names files, lines and limits, never what a file says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file cannot be read.
    #[error("{file}: {cause}")]
    Io {
        /// The file, with the entry of an archive after `!`.
        file: String,
        /// What the system said.
        cause: io::Error,
    },
    /// The file ends before its end.
    #[error("{file}{}: the file is cut off ({what})", at(*.line))]
    Truncated {
        /// The file.
        file: String,
        /// The last line that was read; 0 where there are no lines, as in an archive's directory.
        line: u64,
        /// What is not closed.
        what: &'static str,
    },
    /// The bytes are not what the format demands.
    #[error("{file}{}: {what}", at(*.line))]
    Malformed {
        /// The file.
        file: String,
        /// The line; 0 where there are none.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// No reader knows this file, or it lacks the columns.
    #[error("{file}: {what}")]
    Unknown {
        /// The file.
        file: String,
        /// What was looked for, and the option that helps.
        what: String,
    },
    /// Something is larger than any export has it: a line, an element, a depth, a ratio of compression.
    #[error("{file}{}: {what} is over the limit of {limit}", at(*.line))]
    TooLarge {
        /// The file.
        file: String,
        /// The line.
        line: u64,
        /// What.
        what: &'static str,
        /// The limit, with its unit.
        limit: String,
    },
    /// The records as a whole cannot be taken.
    #[error("{0}")]
    Records(String),
    /// An option does not fit what the files hold.
    #[error("{0}")]
    Option(String),
    /// The ledger's file.
    #[error(transparent)]
    Ledger(#[from] manbo::Error),
}

/// Where in a file.
fn at(line: u64) -> String {
    if line == 0 { String::new() } else { format!(", line {line}") }
}

impl ImportError {
    /// An error of the system about a file.
    pub(crate) fn io(file: &str, cause: io::Error) -> ImportError {
        ImportError::Io { file: file.to_owned(), cause }
    }
}
