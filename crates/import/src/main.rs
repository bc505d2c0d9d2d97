//! `manbo-import`: real step exports into a ledger, and a ledger into files.

use std::error::Error;
use std::io::ErrorKind;
use std::process::ExitCode;

use clap::Parser;

mod cli {
    pub(crate) mod args;
    pub(crate) mod export;
    pub(crate) mod import;
    pub(crate) mod progress;
    pub(crate) mod report;
    pub(crate) mod text;
    pub(crate) mod words;
    pub(crate) mod years;
}

use cli::args::{Cli, Command};

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Import(args) => cli::import::run(&args),
        Command::Export(args) => cli::export::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(error.as_ref()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("manbo-import: {}", cli::text::plain(&error.to_string()));
            ExitCode::FAILURE
        }
    }
}

/// A reader that has seen enough (`manbo-import ... | head`) is no failure.
fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    let io = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    let json = error.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
    io.or(json) == Some(ErrorKind::BrokenPipe)
}
