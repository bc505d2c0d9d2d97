//! The command line: what was asked for, or why it makes no sense.

use std::ffi::OsString;

use lexopt::{Arg, Parser, ValueExt};

use crate::suites::{SUITES, Suite};

/// Shown on `--help` and after a usage error.
pub(crate) const USAGE: &str = "\
usage: cargo xtask test [--all] [--no-install] [--long [SUITE]] [SUITE...]
       cargo xtask test --list

  SUITE         only these suites, in the order of the table (default: every suite)
  --all         a suite that cannot run here is a failure, not a skip
  --no-install  never install a lacking tool
  --long        the larger numbers, of the suites that have a long size
  --list        show the table of suites and stop
  --help        show this and stop
";

/// What to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// Show the usage.
    Help,
    /// Show the table of suites.
    List,
    /// Run suites.
    Test(Options),
}

/// How `test` was asked to run.
#[derive(Debug)]
pub(crate) struct Options {
    /// The suites to run, never empty, each at most once.
    pub(crate) suites: Vec<&'static Suite>,
    /// Whether a skip counts as a failure.
    pub(crate) all: bool,
    /// Whether lacking tools may be installed.
    pub(crate) install: bool,
    /// Whether to run the long size.
    pub(crate) long: bool,
}

/// Reads the arguments behind `cargo xtask`. The error is meant for a reader, to be shown with [`USAGE`].
pub(crate) fn parse<I>(args: I) -> Result<Command, lexopt::Error>
where
    I: IntoIterator<Item = OsString>,
{
    let mut parser = Parser::from_args(args);
    match parser.next()? {
        None => Err("no task named".into()),
        Some(Arg::Long("help") | Arg::Short('h')) => Ok(Command::Help),
        Some(Arg::Value(task)) => match task.string()?.as_str() {
            "test" => parse_test(&mut parser),
            "help" => Ok(Command::Help),
            other => Err(format!("there is no task `{other}`").into()),
        },
        Some(other) => Err(other.unexpected()),
    }
}

fn parse_test(parser: &mut Parser) -> Result<Command, lexopt::Error> {
    let (mut all, mut install, mut long, mut list) = (false, true, false, false);
    let mut names = Vec::new();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("all") => all = true,
            Arg::Long("no-install") => install = false,
            Arg::Long("list") => list = true,
            Arg::Long("long") => {
                long = true;
                // `--long=SUITE`; in `--long SUITE` the name arrives as a value of its own.
                if let Some(name) = parser.optional_value() {
                    names.push(name.string()?);
                }
            }
            Arg::Long("help") | Arg::Short('h') => return Ok(Command::Help),
            Arg::Value(name) => names.push(name.string()?),
            other => return Err(other.unexpected()),
        }
    }
    let suites = select(&names, long)?;
    Ok(if list { Command::List } else { Command::Test(Options { suites, all, install, long }) })
}

/// The suites behind the names, in the order of the table; no name means all that have the size.
fn select(names: &[String], long: bool) -> Result<Vec<&'static Suite>, lexopt::Error> {
    let with_size = |suite: &&Suite| !long || suite.has_long();
    for name in names {
        let Some(suite) = SUITES.iter().find(|suite| suite.name == name) else {
            return Err(format!("there is no suite `{name}`; there are: {}", join(SUITES.iter())).into());
        };
        if !with_size(&suite) {
            let having = join(SUITES.iter().filter(with_size));
            return Err(format!("the suite `{name}` has no long size; those that have one: {having}").into());
        }
    }
    let asked_for = |suite: &&Suite| names.is_empty() || names.iter().any(|name| name == suite.name);
    Ok(SUITES.iter().filter(with_size).filter(asked_for).collect())
}

fn join<'a>(suites: impl Iterator<Item = &'a Suite>) -> String {
    suites.map(|suite| suite.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(OsString::from)).map_err(|error| error.to_string())
    }

    /// The options of a line that has to be a test run.
    fn options(line: &str) -> Result<Options, String> {
        match parsed(line)? {
            Command::Test(options) => Ok(options),
            other => Err(format!("{other:?}")),
        }
    }

    fn names(options: &Options) -> Vec<&str> {
        options.suites.iter().map(|suite| suite.name).collect()
    }

    #[test]
    fn without_names_every_suite_runs_at_gate_size() -> Result<(), String> {
        let options = options("test")?;
        assert_eq!(options.suites.len(), SUITES.len());
        assert!(!options.all && options.install && !options.long);
        Ok(())
    }

    #[test]
    fn flags_and_names_mix_in_any_order() -> Result<(), String> {
        let options = options("test model --all unit --no-install")?;
        assert_eq!(names(&options), ["unit", "model"]);
        assert!(options.all && !options.install);
        Ok(())
    }

    #[test]
    fn a_suite_named_twice_runs_once() -> Result<(), String> {
        assert_eq!(names(&options("test unit unit")?), ["unit"]);
        Ok(())
    }

    #[test]
    fn long_alone_takes_the_suites_that_have_a_long_size() -> Result<(), String> {
        let options = options("test --long")?;
        assert!(options.long && !options.suites.is_empty());
        assert!(options.suites.iter().all(|suite| suite.has_long()));
        assert!(options.suites.len() < SUITES.len());
        Ok(())
    }

    #[test]
    fn long_takes_a_name_either_way() -> Result<(), String> {
        assert_eq!(names(&options("test --long processes")?), ["processes"]);
        assert_eq!(names(&options("test --long=processes")?), ["processes"]);
        Ok(())
    }

    #[test]
    fn list_and_help_run_nothing() {
        assert!(matches!(parsed("test --list"), Ok(Command::List)));
        for line in ["--help", "-h", "help", "test --help", "test -h"] {
            assert!(matches!(parsed(line), Ok(Command::Help)), "{line}");
        }
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (line, named) in [
            ("", "no task"),
            ("tset", "`tset`"),
            ("--all", "--all"),
            ("test nonesuch", "`nonesuch`"),
            ("test --list nonesuch", "`nonesuch`"),
            ("test --fast", "--fast"),
            ("test --all=yes", "--all"),
            ("test --long unit", "`unit`"),
        ] {
            let error = parsed(line).expect_err(line);
            assert!(error.contains(named), "{line}: {error}");
        }
    }
}
