//! Runs conformance vectors against the public API, each on a fresh on-disk store.
//!
//! ```text
//! cargo run --release --example conformance -- [--reopen] FILE...
//! ```
//!
//! One line a vector (`ok NAME`, or `FAILED NAME: step K: expected ..., got ...`), last
//! `N passed, N failed`. `--reopen` closes and opens the stores again after every step. Exit status 0
//! if all passed, 1 if any failed, 2 if a file cannot be read or has an unknown key.

use std::io::{Write, stderr, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

// With the attribute, its own modules lie beside it, as they do for the test that includes it too.
#[path = "runner.rs"]
mod runner;

fn main() -> std::io::Result<ExitCode> {
    let mut reopen = false;
    let mut files = Vec::new();
    for arg in std::env::args_os().skip(1) {
        match arg.to_str() {
            Some("--reopen") => reopen = true,
            Some(option) if option.starts_with("--") => {
                writeln!(stderr(), "unknown option {option}; {}", runner::USAGE)?;
                return Ok(ExitCode::from(runner::UNREADABLE));
            }
            _ => files.push(PathBuf::from(arg)),
        }
    }
    runner::run_files(&files, reopen, &mut stdout().lock(), &mut stderr().lock()).map(ExitCode::from)
}
