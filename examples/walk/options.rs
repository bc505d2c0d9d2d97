//! The command line, read by hand: nine options do not need a library.

use std::ffi::OsString;
use std::path::PathBuf;

use manbo::Source;

/// Twenty years with their leap days.
const DAYS_MAX: u32 = 7_305;
/// A walker whose year shows much of what can happen.
const SEED_DEFAULT: u64 = 111;
/// Where the picture goes when nobody says otherwise: a folder that version control ignores.
const SVG_DEFAULT: &str = "target/walk.svg";

pub(crate) const USAGE: &str = "\
Usage: cargo run --release --example walk -- [OPTIONS]

Records a year of steps in a ledger, syncs a second device, and shows what became of it.

Options:
  --input FILE   take the days of a CSV file instead of the simulated walker's; the header names the
                 columns `day` (or `date`) and `steps`; plain or gzip; a blank count is no data, not 0;
                 of several rows for one day the largest counts
  --source NAME  the source under which the file's steps are recorded (default: import)
  --db FILE      keep the ledger in FILE, with the server's in FILE.server and the second device's in
                 FILE.tablet (default: a temporary folder)
  --svg FILE     write the picture to FILE (default: target/walk.svg; with --json only when named)
  --json         print one JSON object for programs instead of the report
  --seed N       another simulated walker (default: 111)
  --days N       simulate so many days, 1 to 7305 (default: 365)
  --help         print this and stop
";

/// What to walk.
#[derive(Debug)]
pub(crate) enum Task {
    /// A simulated walker.
    Simulate { seed: u64, days: u32 },
    /// The days of a file.
    Import { file: PathBuf, source: Source },
}

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) task: Task,
    pub(crate) db: Option<PathBuf>,
    pub(crate) svg: Option<PathBuf>,
    pub(crate) json: bool,
}

#[derive(Debug)]
pub(crate) enum Command {
    Help,
    Walk(Options),
}

#[derive(Default)]
struct Given {
    input: Option<OsString>,
    source: Option<OsString>,
    db: Option<OsString>,
    svg: Option<OsString>,
    seed: Option<OsString>,
    days: Option<OsString>,
    json: bool,
}

/// Reads the arguments; the error says what is wrong with them.
pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Command, String> {
    let mut given = Given::default();
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy().into_owned();
        let (name, mut inline) = match text.split_once('=') {
            Some((name, value)) => (name, Some(OsString::from(value))),
            None => (text.as_str(), None),
        };
        let slot = match name {
            "--help" | "-h" => return Ok(Command::Help),
            "--json" if inline.is_none() => {
                given.json = true;
                continue;
            }
            "--input" => &mut given.input,
            "--source" => &mut given.source,
            "--db" => &mut given.db,
            "--svg" => &mut given.svg,
            "--seed" => &mut given.seed,
            "--days" => &mut given.days,
            _ => return Err(format!("unknown option: {text}")),
        };
        if slot.is_some() {
            return Err(format!("{name} is given twice"));
        }
        let value = inline.take().or_else(|| arguments.next()).filter(|value| !value.is_empty());
        *slot = Some(value.ok_or_else(|| format!("{name} needs a value"))?);
    }
    build(given).map(Command::Walk)
}

fn build(given: Given) -> Result<Options, String> {
    let task = match given.input {
        Some(file) if given.seed.is_none() && given.days.is_none() => {
            let name = given.source.unwrap_or_else(|| OsString::from("import"));
            let source =
                Source::new(&name.to_string_lossy()).map_err(|error| format!("--source: {error}"))?;
            Task::Import { file: file.into(), source }
        }
        Some(_) => return Err("--seed and --days are for the simulated walker, not for --input".to_owned()),
        None if given.source.is_some() => return Err("--source needs --input".to_owned()),
        None => Task::Simulate {
            seed: number("--seed", given.seed, SEED_DEFAULT, 0..=u64::MAX)?,
            days: u32::try_from(number("--days", given.days, 365, 1..=u64::from(DAYS_MAX))?)
                .map_err(|error| error.to_string())?,
        },
    };
    let default_svg = (!given.json).then(|| PathBuf::from(SVG_DEFAULT));
    Ok(Options {
        task,
        db: given.db.map(PathBuf::from),
        svg: given.svg.map(PathBuf::from).or(default_svg),
        json: given.json,
    })
}

fn number(
    name: &str,
    value: Option<OsString>,
    default: u64,
    range: std::ops::RangeInclusive<u64>,
) -> Result<u64, String> {
    let Some(value) = value else { return Ok(default) };
    value
        .to_str()
        .and_then(|text| text.parse().ok())
        .filter(|n| range.contains(n))
        .ok_or_else(|| format!("{name} takes a whole number from {} to {}", range.start(), range.end()))
}
