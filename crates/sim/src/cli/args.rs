//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::{Long, Short, ValueExt};
use manbo_sim::event::StoreKind;

/// What is asked for.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    /// Many schedules, and one line of figures.
    Run,
    /// The schedule of one seed, told.
    Seed(u64),
    /// A schedule from a file, told.
    Replay(PathBuf),
    /// Schedules until somebody or the time ends it.
    Soak,
    /// Every canary.
    Canaries,
    /// The table of faults and states.
    Coverage,
    /// The help text.
    Help,
}

/// The command line, read.
#[derive(Debug, PartialEq)]
pub(crate) struct Args {
    pub(crate) command: Command,
    pub(crate) store: StoreKind,
    pub(crate) first_seed: u64,
    pub(crate) schedules: u64,
    pub(crate) threads: u64,
    pub(crate) time: Option<Duration>,
    /// How often every cell of the table that can occur has to be met.
    pub(crate) least: u64,
    /// Where failing schedules are written.
    pub(crate) out: PathBuf,
}

pub(crate) const HELP: &str = "\
manbo-sim: simulated worlds of devices, servers, networks and disks that fail

  manbo-sim [--schedules N] [--store model|sqlite] [--first-seed S] [--threads T]
  manbo-sim --seed N [--store ...]     run one seed and tell what happens
  manbo-sim --replay FILE              run a stored schedule and tell what happens
  manbo-sim --soak [--minutes M]       run until it is stopped, with progress
  manbo-sim --canaries                 let every canary be found (needs RUSTFLAGS=\"--cfg manbo_canaries\")
  manbo-sim --coverage [--least N]     the table of faults and protocol states

  --out DIR     where failing schedules are written, shrunk (default: target/sim)
It ends with a line of figures, and with 1 where an invariant did not hold, or where a cell of the table that can
occur was met less than N times (default: 1).
";

impl Args {
    /// Reads the arguments of the process.
    pub(crate) fn parse() -> Result<Args, lexopt::Error> {
        Args::from(lexopt::Parser::from_env())
    }

    fn from(mut parser: lexopt::Parser) -> Result<Args, lexopt::Error> {
        let mut args = Args {
            command: Command::Run,
            store: StoreKind::Model,
            first_seed: 0,
            schedules: 10_000,
            threads: 2,
            time: None,
            least: 1,
            out: PathBuf::from("target/sim"),
        };
        while let Some(argument) = parser.next()? {
            match argument {
                Long("seed") => args.command = Command::Seed(parser.value()?.parse()?),
                Long("replay") => args.command = Command::Replay(parser.value()?.into()),
                Long("soak") => args.command = Command::Soak,
                Long("canaries") => args.command = Command::Canaries,
                Long("coverage") => args.command = Command::Coverage,
                Long("help") | Short('h') => args.command = Command::Help,
                Long("first-seed") => args.first_seed = parser.value()?.parse()?,
                Long("schedules") => args.schedules = parser.value()?.parse()?,
                Long("least") => args.least = parser.value()?.parse()?,
                Long("threads") => args.threads = parser.value()?.parse()?,
                Long("minutes") => {
                    let minutes: u64 = parser.value()?.parse()?;
                    args.time = Some(Duration::from_secs(minutes.saturating_mul(60)));
                }
                Long("out") => args.out = parser.value()?.into(),
                Long("store") => {
                    args.store = match parser.value()?.string()?.as_str() {
                        "model" => StoreKind::Model,
                        "sqlite" => StoreKind::Sqlite,
                        other => return Err(format!("--store is model or sqlite, not {other}").into()),
                    };
                }
                other => return Err(other.unexpected()),
            }
        }
        Ok(args)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[&str]) -> Result<Args, lexopt::Error> {
        Args::from(lexopt::Parser::from_args(line))
    }

    #[test]
    fn a_line_is_read_and_a_wrong_one_is_refused() {
        let args = read(&["--schedules", "5", "--store", "sqlite", "--first-seed=7", "--threads", "1"]);
        let args = args.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((args.command, args.schedules, args.first_seed), (Command::Run, 5, 7));
        assert_eq!((args.store, args.threads), (StoreKind::Sqlite, 1));
        let args = read(&["--coverage", "--least", "7"]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((args.command, args.least), (Command::Coverage, 7));
        for bad in [
            &["--store", "tape"][..],
            &["--seed"],
            &["--least", "few"],
            &["--seed", "-1"],
            &["--nonsense"],
            &["file"],
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
