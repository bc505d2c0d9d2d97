//! `manbo-import import`: read, record or rehearse, report.

use std::collections::BTreeSet;
use std::error::Error;

use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Datelike};
use chrono_tz::Tz;
use manbo::{Day, Extent, Now, Options, Source, StepBook};
use manbo_import::{Import, Importer, Outcome, Person, Report};
use serde::Serialize;

use super::args::ImportArgs;
use super::progress::Bar;
use super::report::{self, Fate, Told};
use super::text::Paint;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The present, and who says so.
struct Present {
    now: Now,
    by: String,
}

/// What became of one person's readings.
#[derive(Serialize)]
struct PersonOutcome<'a> {
    user: Option<&'a str>,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Serialize)]
struct DayJson<'a> {
    user: Option<&'a str>,
    day: Day,
    source: Source,
    recorded: u32,
    manual: u32,
    extent: Extent,
    offset_minutes: Option<i16>,
}

/// The one object of `--json`.
#[derive(Serialize)]
struct Json<'a> {
    today: Day,
    report: &'a Report,
    outcome: Option<&'a [PersonOutcome<'a>]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    days: Option<Vec<DayJson<'a>>>,
}

/// Runs the command.
///
/// # Errors
/// Those of the files, of the ledger and of standard output.
pub(crate) fn run(args: &ImportArgs) -> Result<()> {
    let present = present(args)?;
    let import = read(args, present.now.today)?;
    let outcomes = match &args.db {
        Some(file) if args.dry_run => Some(rehearse(&import, file, args, present.now)?),
        Some(file) => Some(record(&import, file, args, present.now)?),
        None => None,
    };
    let mut out = BufWriter::new(std::io::stdout().lock());
    if args.json {
        let days = args.days.then(|| days(&import, args));
        let json =
            Json { today: present.now.today, report: &import.report, outcome: outcomes.as_deref(), days };
        serde_json::to_writer(&mut out, &json)?;
        writeln!(out)?;
    } else {
        let told = Told {
            import: &import,
            today: format!("{} {}", present.now.today, present.by),
            fate: match &args.db {
                None => Fate::OnlyRead,
                Some(file) if args.dry_run => Fate::Rehearsed(file),
                Some(file) => Fate::Recorded(file),
            },
            outcome: &total(outcomes.unwrap_or_default()),
            days: args.days,
            paint: Paint { colour: colour() },
        };
        report::write(&mut out, &told)?;
    }
    Ok(out.flush()?)
}

fn colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The walker's day: as given, or by the clock. Nothing but this program reads one.
fn present(args: &ImportArgs) -> Result<Present> {
    if let Some(today) = args.today {
        return Ok(Present { now: Now::on(today), by: "by --today".to_owned() });
    }
    let unix = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let unix_ms = i64::try_from(unix.as_millis())?;
    let zone = args.zone.unwrap_or(Tz::UTC);
    let date =
        DateTime::from_timestamp_millis(unix_ms).ok_or("the clock is out of range")?.with_timezone(&zone);
    let today = Day::from_ymd(date.year(), date.month(), date.day())?;
    Ok(Present { now: Now { unix_ms, today }, by: format!("by the clock in {}", zone.name()) })
}

/// Of two values for one role or name, neither may win unseen.
fn check_given_once(option: &str, names: impl Iterator<Item = String>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for name in names {
        if seen.contains(&name) {
            return Err(format!("{option} is given twice for `{name}`").into());
        }
        seen.insert(name);
    }
    Ok(())
}

fn read(args: &ImportArgs, today: Day) -> Result<Import> {
    check_given_once("--column", args.columns.iter().map(|(role, _)| role.clone()))?;
    check_given_once("--map", args.maps.iter().map(|(name, _)| name.clone()))?;
    let bar = Bar::new();
    let handle = bar.handle();
    let mut importer = Importer::new(args.options(today)).with_progress(Box::new(bar));
    let read = args.files.iter().try_for_each(|file| importer.add_path(file));
    let import = read.and_then(|()| importer.finish());
    // Before an error is told, too: the bar would stand in its way.
    handle.finish_and_clear();
    Ok(import?)
}

/// Whose ledger takes a person's readings: the name in the files, else `--user`, else the device's own.
fn user<'a>(person: &'a Person, args: &'a ImportArgs) -> Option<&'a str> {
    person.name.as_deref().or(args.user.as_deref())
}

fn options(user: Option<&str>) -> Options {
    Options::new().user(user.unwrap_or_default())
}

/// Records each person in one transaction: what stops the program in between leaves whole people, and
/// running it again does the rest.
fn record<'a>(
    import: &'a Import,
    file: &Path,
    args: &'a ImportArgs,
    now: Now,
) -> Result<Vec<PersonOutcome<'a>>> {
    let mut outcomes = Vec::with_capacity(import.people.len());
    for person in &import.people {
        let user = user(person, args);
        let outcome = StepBook::open(file, &options(user)).map_err(Into::into).and_then(|mut book| {
            tell_of_damage(&book);
            manbo_import::record(&mut book, person, now)
        });
        match outcome {
            Ok(outcome) => outcomes.push(PersonOutcome { user, outcome }),
            Err(error) => return Err(stopped(file, error, outcomes.len(), import.people.len()).into()),
        }
    }
    Ok(outcomes)
}

fn stopped(file: &Path, error: manbo_import::ImportError, done: usize, people: usize) -> String {
    let file = file.display();
    if done == 0 {
        format!("{file}: {error}; nothing was recorded")
    } else {
        format!("{file}: {error}; {done} of {people} people were recorded: run the same again for the rest")
    }
}

fn rehearse<'a>(
    import: &'a Import,
    file: &Path,
    args: &'a ImportArgs,
    now: Now,
) -> Result<Vec<PersonOutcome<'a>>> {
    // On a copy in a folder that vanishes: to open a ledger may create, migrate or mend its file.
    let folder = tempfile::tempdir()?;
    let copy = folder.path().join("rehearsal.db");
    for suffix in ["", "-wal"] {
        let with = |path: &Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        if with(file).exists() {
            std::fs::copy(with(file), with(&copy)).map_err(|error| format!("{}: {error}", file.display()))?;
        }
    }
    let rehearsed = import.people.iter().map(|person| {
        let user = user(person, args);
        let mut book = StepBook::open(&copy, &options(user))?;
        Ok(PersonOutcome { user, outcome: manbo_import::preview(&mut book, person, now)? })
    });
    rehearsed
        .collect::<manbo_import::Result<_>>()
        .map_err(|error| format!("{}: {error}", file.display()).into())
}

/// What the ledger noticed about its file is worth a line beside the report.
fn tell_of_damage(book: &StepBook) {
    let report = book.report();
    for recovered in &report.recovered {
        eprintln!(
            "manbo-import: the ledger was damaged; the damaged file is now {}, {} rows were kept",
            recovered.moved_to.display(),
            recovered.rows_kept
        );
    }
    if !report.set_aside.is_empty() {
        eprintln!("manbo-import: {} damaged rows of the ledger were set aside", report.set_aside.len());
    }
}

fn total(outcomes: Vec<PersonOutcome<'_>>) -> Outcome {
    let mut total = Outcome::default();
    for PersonOutcome { outcome, .. } in outcomes {
        total.readings += outcome.readings;
        total.cells_new += outcome.cells_new;
        total.cells_changed += outcome.cells_changed;
        total.unchanged += outcome.unchanged;
        total.kept += outcome.kept;
        total.lowered.extend(outcome.lowered);
        total.refused.extend(outcome.refused);
        total.days_changed += outcome.days_changed;
        total.later_days_changed += outcome.later_days_changed;
    }
    total
}

fn days<'a>(import: &'a Import, args: &'a ImportArgs) -> Vec<DayJson<'a>> {
    let of_person = |person: &'a Person| {
        person.readings.iter().map(move |reading| DayJson {
            user: user(person, args),
            day: reading.day,
            source: reading.source,
            recorded: reading.counts.recorded,
            manual: reading.counts.manual,
            extent: reading.extent,
            offset_minutes: reading.offset.map(manbo::UtcOffset::minutes),
        })
    };
    import.people.iter().flat_map(of_person).collect()
}
