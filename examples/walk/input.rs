//! The days of a CSV file, read row by row: the memory is that of the days, not of the rows.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder};
use flate2::bufread::MultiGzDecoder;
use manbo::{Code, Counts, Day, Refusal};
use serde::Serialize;

use crate::lines::Lines;
use crate::progress::Progress;

/// Bad rows named one by one; more are only counted, so that a wrong file does not fill the memory.
const LISTED_MAX: usize = 1_000;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A row that was left out.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct BadRow {
    pub(crate) line: u64,
    pub(crate) code: Code,
    pub(crate) reason: String,
}

/// What a file says.
#[derive(Debug, Default)]
pub(crate) struct Imported {
    pub(crate) days: BTreeMap<Day, u32>,
    pub(crate) rows: u64,
    pub(crate) blank: u64,
    pub(crate) repeated: u64,
    pub(crate) bad: u64,
    pub(crate) listed: Vec<BadRow>,
}

/// Reads a file.
///
/// # Errors
/// A sentence for the person who named the file: it is missing, cut off, or has no such columns.
pub(crate) fn read(path: &Path, progress: &Progress) -> Result<Imported, String> {
    let name = path.display();
    let said = |error: std::io::Error| match error.kind() {
        ErrorKind::UnexpectedEof => format!("{name}: the gzip data ends before its end; the file is cut off"),
        _ => format!("{name}: {error}"),
    };
    let file = File::open(path).map_err(said)?;
    let len = file.metadata().map_err(said)?.len();
    let mut plain = BufReader::new(progress.reading(file, len));
    let is_gzip = plain.fill_buf().map_err(said)?.starts_with(&GZIP_MAGIC);
    let text: Box<dyn Read + '_> =
        if is_gzip { Box::new(MultiGzDecoder::new(plain)) } else { Box::new(plain) };
    read_rows(text, progress).map_err(|error| match error {
        Fault::Csv(error) => match error.into_kind() {
            csv::ErrorKind::Io(error) => said(error),
            other => format!("{name}: {other:?}"),
        },
        Fault::Form(text) => format!("{name}: {text}"),
    })
}

enum Fault {
    Csv(csv::Error),
    Form(String),
}

impl From<csv::Error> for Fault {
    fn from(error: csv::Error) -> Fault {
        Fault::Csv(error)
    }
}

fn read_rows(text: impl Read, progress: &Progress) -> Result<Imported, Fault> {
    let mut reader = ReaderBuilder::new().flexible(true).has_headers(false).from_reader(Lines::new(text));
    let mut record = ByteRecord::new();
    reader.read_byte_record(&mut record)?;
    let day_at = column(&record, &["day", "date"])?;
    let steps_at = column(&record, &["steps"])?;
    let mut imported = Imported::default();
    while reader.read_byte_record(&mut record)? {
        imported.rows += 1;
        progress.rows(imported.rows);
        match read_row(record.get(day_at), record.get(steps_at)) {
            Ok(None) => imported.blank += 1,
            Ok(Some((day, steps))) => imported.add(day, steps),
            Err(refusal) => {
                imported.bad += 1;
                if imported.listed.len() < LISTED_MAX {
                    let line = first_line(reader.position(), &record);
                    let (code, reason) = (refusal.code(), refusal.to_string());
                    imported.listed.push(BadRow { line, code, reason });
                }
            }
        }
    }
    Ok(imported)
}

/// The line on which a record begins. Its own position would name the line after the last record, where
/// blank lines may stand.
fn first_line(end: &csv::Position, record: &ByteRecord) -> u64 {
    let within = record.as_slice().iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
    end.line().saturating_sub(1 + within)
}

/// Finds a column by one of its names, whatever their case.
fn column(header: &ByteRecord, names: &[&str]) -> Result<usize, Fault> {
    let titles: Vec<String> = header.iter().map(|field| clean(field).to_ascii_lowercase()).collect();
    names.iter().find_map(|name| titles.iter().position(|title| title == name)).ok_or_else(|| {
        let found = if titles.is_empty() { "nothing".to_owned() } else { titles.join(", ") };
        Fault::Form(format!("no column called {}; the first line has: {found}", names.join(" or ")))
    })
}

fn clean(field: &[u8]) -> String {
    // Spreadsheets begin a file with a byte order mark.
    String::from_utf8_lossy(field).trim_start_matches('\u{feff}').trim().to_owned()
}

/// One row; `None` when it has no count, which is no data.
fn read_row(day: Option<&[u8]>, steps: Option<&[u8]>) -> Result<Option<(Day, u32)>, Refusal> {
    let day: Day = clean(day.unwrap_or_default()).parse()?;
    let Some(steps) = steps.map(clean) else {
        return Err(Refusal::BadValue { field: "steps", rule: "the row has no such field" });
    };
    if steps.is_empty() {
        return Ok(None);
    }
    let is_number = steps.bytes().all(|byte| byte.is_ascii_digit());
    let count = steps.parse().ok().filter(|_| is_number);
    let count =
        count.ok_or(Refusal::BadValue { field: "steps", rule: "a whole number of at most 32 bits" })?;
    if !day.is_storable() {
        return Err(Refusal::DayOutOfRange);
    }
    Counts::new(count, 0).check_reading()?;
    Ok(Some((day, count)))
}

impl Imported {
    /// Several rows of a day are several sights of it: the largest counts, as the join of readings says.
    /// (Recorded one after the other as full readings the last would win, and the order of the rows
    /// would decide.)
    fn add(&mut self, day: Day, steps: u32) {
        match self.days.entry(day) {
            Entry::Vacant(place) => {
                place.insert(steps);
            }
            Entry::Occupied(mut known) => {
                self.repeated += 1;
                known.insert(steps.max(*known.get()));
            }
        }
    }
}
