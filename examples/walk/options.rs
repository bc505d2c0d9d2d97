//! The command line, read by hand: eleven options do not need a library.

use std::ffi::OsString;
use std::path::PathBuf;

use manbo::{Day, Source};
use manbo_import::ImportOptions;

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
  --input FILE   take the days of a file or folder instead of the simulated walker's: an export of
                 Apple Health, Fitbit, Google Fit or Samsung Health, or a CSV with columns such as
                 `day,steps`; plain, gzip or zip; may be given several times
  --zone ZONE    the walker's IANA zone, in which moments become days (default: as the files print)
  --user NAME    take this person only, of files with several
  --source NAME  the source of steps whose file names none (default: import)
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
    /// The days of files.
    Import { files: Vec<PathBuf>, options: Box<ImportOptions> },
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
    input: Vec<OsString>,
    zone: Option<OsString>,
    user: Option<OsString>,
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
            "--input" => {
                given.input.push(value(name, inline.take(), &mut arguments)?);
                continue;
            }
            "--zone" => &mut given.zone,
            "--user" => &mut given.user,
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
        *slot = Some(value(name, inline.take(), &mut arguments)?);
    }
    build(given).map(Command::Walk)
}

fn value(
    name: &str,
    inline: Option<OsString>,
    arguments: &mut impl Iterator<Item = OsString>,
) -> Result<OsString, String> {
    let value = inline.or_else(|| arguments.next()).filter(|value| !value.is_empty());
    value.ok_or_else(|| format!("{name} needs a value"))
}

fn build(given: Given) -> Result<Options, String> {
    let for_files = given.source.is_some() || given.zone.is_some() || given.user.is_some();
    let task = match given.input.as_slice() {
        [] if for_files => return Err("--source, --zone and --user need --input".to_owned()),
        [] => Task::Simulate {
            seed: number("--seed", given.seed, SEED_DEFAULT, 0..=u64::MAX)?,
            days: u32::try_from(number("--days", given.days, 365, 1..=u64::from(DAYS_MAX))?)
                .map_err(|error| error.to_string())?,
        },
        _ if given.seed.is_some() || given.days.is_some() => {
            return Err("--seed and --days are for the simulated walker, not for --input".to_owned());
        }
        files => Task::Import {
            files: files.iter().map(PathBuf::from).collect(),
            options: Box::new(import_options(given.source, given.zone, given.user)?),
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

fn import_options(
    source: Option<OsString>,
    zone: Option<OsString>,
    user: Option<OsString>,
) -> Result<ImportOptions, String> {
    let text = |name: &str, value: OsString| {
        value.into_string().map_err(|_| format!("{name} takes text in Unicode"))
    };
    // Any day that a ledger stores may be in a file: a walk has no clock and no present of its own.
    let mut options = ImportOptions::new(Day::LAST);
    if let Some(source) = source {
        let source = text("--source", source)?;
        options.source = Source::new(&source).map_err(|error| format!("--source: {error}"))?;
    }
    if let Some(zone) = zone {
        let zone = text("--zone", zone)?;
        let zone = zone.parse().map_err(|_| "--zone takes an IANA zone, such as Europe/Berlin".to_owned())?;
        options.zone = Some(zone);
    }
    options.user = user.map(|user| text("--user", user)).transpose()?;
    Ok(options)
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
