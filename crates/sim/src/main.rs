//! `manbo-sim`: runs simulated worlds by seed, replays one, or soaks.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    let done = match cli::Args::parse() {
        Ok(args) => cli::run(&args),
        Err(error) => {
            eprintln!("error: {error}\n\n{}", cli::HELP);
            return ExitCode::from(2);
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(2)
    })
}
