//! The tasks of this workspace, run as `cargo xtask`; the one that counts is `cargo xtask test`.

mod args;
mod package;
mod provision;
mod report;
mod run;
mod suites;
mod tally;
mod tools;

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::args::{Command, Options};
use crate::provision::Lacking;
use crate::report::{Outcome, Row};
use crate::run::Runner;
use crate::tools::{Tool, Toolbox};

/// What a usage error ends with, so that a script can tell it from a failed suite.
const USAGE_ERROR: u8 = 2;

fn main() -> ExitCode {
    let done = match args::parse(env::args_os().skip(1)) {
        Err(reason) => {
            eprintln!("error: {reason}\n\n{}", args::USAGE);
            return ExitCode::from(USAGE_ERROR);
        }
        Ok(Command::Help) => write!(io::stdout(), "{}", args::USAGE).map_err(Into::into).map(|()| true),
        Ok(Command::List) => report::list(&mut io::stdout(), suites::SUITES).map(|()| true),
        Ok(Command::Test(options)) => test(&options),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what was asked for and reports it; true when nothing failed.
fn test(options: &Options) -> Result<bool> {
    let root = workspace_root()?;
    let toolbox = Toolbox::new(&root);
    let mut out = io::stdout();

    let mut needed: Vec<Tool> = Vec::new();
    for tool in options.suites.iter().flat_map(|suite| suite.needs) {
        if !needed.contains(tool) {
            needed.push(*tool);
        }
    }
    let lacking = provision::provide(&mut out, &toolbox, &needed, options.install)?;

    let runner = Runner { root: &root, toolbox: &toolbox, long: options.long };
    let mut rows = Vec::new();
    for suite in &options.suites {
        let row = match Lacking::of(&lacking, suite.needs) {
            Some(reason) => Row::not_run(suite.name, skip(reason, options.all)),
            None => runner.run(&mut out, suite)?,
        };
        rows.push(row);
    }
    report::summary(&mut out, &rows)?;
    Ok(!rows.iter().any(|row| matches!(row.outcome, Outcome::Failed(_))))
}

/// A suite whose tool is lacking: skipped, unless every suite has to run.
fn skip(reason: String, all: bool) -> Outcome {
    if all {
        Outcome::Failed(format!("not run, which --all forbids: {reason}"))
    } else {
        Outcome::Skipped(reason)
    }
}

/// The folder of the workspace, looked for upwards from the current one: a path fixed at build time
/// would be wrong as soon as the checkout moves.
fn workspace_root() -> Result<PathBuf> {
    let here = env::current_dir().context("the current folder cannot be read")?;
    here.ancestors()
        .find(|folder| folder.join("crates/xtask/Cargo.toml").is_file())
        .map(PathBuf::from)
        .with_context(|| format!("{} is not inside the workspace", here.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skip_is_a_failure_only_under_all() {
        assert_eq!(skip("needs strace".into(), false), Outcome::Skipped("needs strace".into()));
        let failed = Outcome::Failed("not run, which --all forbids: needs strace".into());
        assert_eq!(skip("needs strace".into(), true), failed);
    }

    #[test]
    fn the_root_is_found_from_a_crate_inside_it() -> Result<()> {
        let root = workspace_root()?;
        assert!(root.join("Cargo.lock").is_file(), "{}", root.display());
        Ok(())
    }
}
