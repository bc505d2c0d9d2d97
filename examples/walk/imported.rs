//! The days of files that people have, as the library's import reads them: nothing here knows a format.

use std::error::Error;
use std::path::{Path, PathBuf};

use manbo::{Code, Reading};
use manbo_import::{ImportOptions, Importer, Rejected, Report};
use serde::Serialize;

use crate::progress::Progress;

/// A row that was left out.
#[derive(Debug, Serialize)]
pub(crate) struct BadRow {
    pub(crate) file: String,
    pub(crate) line: u64,
    pub(crate) code: Code,
    pub(crate) reason: String,
}

impl BadRow {
    pub(crate) fn of(rejected: &Rejected) -> BadRow {
        let Rejected { file, line, reason, .. } = rejected;
        BadRow { file: file.clone(), line: *line, code: reason.code(), reason: reason.to_string() }
    }
}

/// One person's readings, and what was found on the way.
pub(crate) struct Imported {
    pub(crate) readings: Vec<Reading>,
    pub(crate) report: Report,
}

/// Reads files and folders as one import.
///
/// # Errors
/// A sentence for the person who named the files; never whose steps they hold.
pub(crate) fn read(
    files: &[PathBuf],
    options: &ImportOptions,
    progress: &Progress,
) -> Result<Imported, Box<dyn Error>> {
    let mut importer = Importer::new(options.clone()).with_progress(progress.reading());
    for file in files {
        importer.add_path(file)?;
    }
    let import = importer.finish()?;
    let name = title(files);
    let Ok([person]) = <[_; 1]>::try_from(import.people) else {
        let people = import.report.people.len();
        return Err(match people {
            0 => format!("{name}: {}", nothing(&import.report)),
            _ => format!("{name}: the steps of {people} people; name one with --user"),
        }
        .into());
    };
    Ok(Imported { readings: person.readings, report: import.report })
}

fn nothing(report: &Report) -> String {
    format!(
        "no row has a day and a count ({} rows, {} without a count, {} bad)",
        report.rows, report.blank, report.rejects.total
    )
}

/// What the files are called together.
pub(crate) fn title(files: &[PathBuf]) -> String {
    let shown = |file: &Path| file.display().to_string();
    match files {
        [] => String::new(),
        [file] => shown(file),
        [file, more @ ..] => format!("{} and {} more", shown(file), more.len()),
    }
}
