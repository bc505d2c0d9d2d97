//! A year on foot, from readings to levels and statistics: what the library is for, in one run.
//!
//! `cargo run --release --example walk` needs no arguments, no network and no data; `-- --help` tells
//! what else it does.

use std::error::Error;
use std::io::{BufWriter, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use manbo::{Now, Rules};
use manbo_import::ImportOptions;

mod calendar;
mod generator;
mod imported;
mod journey;
mod moments;
mod options;
mod progress;
mod report;
mod svg;
mod terminal;
// One way to write numbers and sentences: the import's program and this example are one package.
#[path = "../../crates/import/src/cli/words.rs"]
mod words;

use imported::BadRow;
use journey::Journey;
use options::{Command, Options, Task, USAGE};
use progress::Progress;
use report::{Origin, Report, Told};

/// Readings recorded in one transaction: few enough that a bar moves, many enough that a commit is cheap.
const READINGS_A_TRANSACTION: usize = 500;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let options = match options::parse(std::env::args_os().skip(1)) {
        Ok(Command::Walk(options)) => options,
        Ok(Command::Help) => return finish(write!(std::io::stdout(), "{USAGE}").map_err(Into::into)),
        Err(problem) => {
            eprint!("walk: {problem}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    finish(walk(&options).and_then(|report| show(&report, &options)))
}

fn finish(result: Outcome<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(error.as_ref()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("walk: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A reader that has seen enough (`walk | head`) is no failure.
fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

fn walk(options: &Options) -> Outcome<Report> {
    let progress = Progress::new();
    let report = match &options.task {
        Task::Simulate { seed, days } => simulate(*seed, *days, options.db.as_deref(), &progress),
        Task::Import { files, options: how } => import(files, how, options.db.as_deref(), &progress),
    };
    progress.done();
    report
}

fn simulate(seed: u64, days: u32, db: Option<&Path>, progress: &Progress) -> Outcome<Report> {
    if let Some(file) = db.filter(|file| file.exists()) {
        // The same year twice in one ledger would tell another story than the one shown.
        return Err(format!("{} exists already; name a new file", file.display()).into());
    }
    let walker = generator::walker(seed, days)?;
    let moments = moments::moments(&walker, seed)?;
    let mut journey = Journey::open(db, Rules::default())?;
    progress.recording(moments.len(), "moments");
    for moment in &moments {
        journey.live(moment)?;
        progress.advance(1);
    }
    let (Some(last), Some(end)) = (walker.days.last(), moments.last()) else {
        return Err("there is no day to walk".into());
    };
    let copies = journey.settle(end.now)?;
    let told = told(&mut journey, Origin::Simulated { seed, days }, copies, walker.story);
    Ok(report::report(&mut journey.phone, last.day, told)?)
}

fn import(files: &[PathBuf], how: &ImportOptions, db: Option<&Path>, progress: &Progress) -> Outcome<Report> {
    let imported = imported::read(files, how, progress)?;
    let Some(last) = imported.readings.iter().map(|reading| reading.day).max() else {
        return Err("a person without a day".into());
    };
    // The day after the last: every day of the files is over.
    let now = Now::on(last.next());
    let mut journey = Journey::open(db, Rules::default())?;
    progress.recording(imported.readings.len(), "readings");
    for batch in imported.readings.chunks(READINGS_A_TRANSACTION) {
        journey.record_all(batch, now)?;
        progress.advance(batch.len());
    }
    let copies = journey.settle(now)?;
    // A kept ledger may know later days than the files.
    let as_of = journey.phone.ledger()?.timeline().last_logged().unwrap_or(last);
    let told = told(&mut journey, origin(files, imported.report), copies, None);
    Ok(report::report(&mut journey.phone, as_of, told)?)
}

fn origin(files: &[PathBuf], report: manbo_import::Report) -> Origin {
    Origin::Imported {
        file: imported::title(files),
        rows: report.rows,
        days: report.people.iter().map(|person| person.days).sum(),
        blank_rows: report.blank,
        bad_rows: report.rejects.total,
        bad_rows_listed: report.rejects.listed.iter().map(BadRow::of).collect(),
        splits: report.splits,
        union: report.union,
        days_by: report.days_by,
        sources: report.people.into_iter().flat_map(|person| person.sources).collect(),
        files: report.files,
    }
}

fn told(journey: &mut Journey, origin: Origin, copies: journey::Copies, story: Option<manbo::Day>) -> Told {
    Told {
        origin,
        fed: std::mem::take(&mut journey.fed),
        late_changes: std::mem::take(&mut journey.late),
        story,
        snapshot: journey.snapshot.take(),
        traffic: journey.traffic.clone(),
        copies,
    }
}

fn show(report: &Report, options: &Options) -> Outcome<()> {
    let stdout = std::io::stdout();
    let colour = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut out = BufWriter::new(stdout.lock());
    if options.json {
        serde_json::to_writer(&mut out, report)?;
        writeln!(out)?;
    } else {
        terminal::write(&mut out, report, colour)?;
    }
    if let Some(file) = &options.svg {
        write_svg(file, &svg::draw(report)?).map_err(|error| format!("{}: {error}", file.display()))?;
        if !options.json {
            writeln!(out, "\nThe picture is in {}.", file.display())?;
        }
    }
    if let (Some(file), false) = (&options.db, options.json) {
        writeln!(out, "The ledger is in {}.", file.display())?;
    }
    out.flush()?;
    if report.copies.equal { Ok(()) } else { Err("the three copies differ".into()) }
}

fn write_svg(file: &Path, picture: &str) -> std::io::Result<()> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(file, picture)
}
