//! The laws of the union: a source's total lies between its largest record and the sum of all; neither the
//! order of records, nor their spread over files, nor their repetition matters; and a record around all
//! others of its source adds only what they do not explain.

use chrono::{DateTime, FixedOffset, NaiveDate, TimeDelta};
use manbo::Source;
use manbo_import::{Format, ImportOptions};

use crate::{Found, judged, read};

/// The bytes of a record: two say when it starts, one how long it is, two how many steps, one who and where.
const RECORD_LEN: usize = 6;
/// More records make an input slower, and nothing new happens.
const RECORDS_MAX: usize = 40;
/// Over how many files the records are spread.
const FILES: usize = 4;
/// Records start within three days: the night on which summer time begins lies in the middle.
const START_MINUTES: u16 = 3 * 24 * 60;
/// 255 times this are 29 h 45 min: a record may cross two midnights.
const LENGTH_MINUTES: i64 = 7;
/// 40 times this are 119,960, so that no day is refused as implausible.
const STEPS: u16 = 3_000;
/// The names of the sources, as the file and as the ledger has them.
const SOURCES: [&str; 3] = ["alpha", "beta", "gamma"];

struct Row {
    source: &'static str,
    file: usize,
    start: DateTime<FixedOffset>,
    end: DateTime<FixedOffset>,
    steps: u64,
}

impl Row {
    fn from_bytes(bytes: [u8; RECORD_LEN]) -> Row {
        let [start_low, start_high, length, steps_low, steps_high, place] = bytes;
        let start = u16::from_le_bytes([start_low, start_high]) % START_MINUTES;
        let start = beginning() + TimeDelta::minutes(i64::from(start));
        Row {
            source: SOURCES[usize::from(place & 0b11) % SOURCES.len()],
            file: usize::from(place >> 2) % FILES,
            start,
            end: start + TimeDelta::minutes(i64::from(length) * LENGTH_MINUTES),
            steps: u64::from(u16::from_le_bytes([steps_low, steps_high]) % STEPS),
        }
    }
}

/// Midnight of 2026-03-28 in winter time of Berlin.
fn beginning() -> DateTime<FixedOffset> {
    let offset = FixedOffset::east_opt(3_600).expect("an offset within a day");
    let midnight = NaiveDate::from_ymd_opt(2026, 3, 28).and_then(|day| day.and_hms_opt(0, 0, 0));
    let midnight = midnight.expect("a time that exists");
    midnight.and_local_timezone(offset).single().expect("an offset has every time once")
}

pub(crate) fn run(options: &ImportOptions, bytes: &[u8]) {
    let rows: Vec<Row> =
        bytes.as_chunks().0.iter().take(RECORDS_MAX).map(|chunk| Row::from_bytes(*chunk)).collect();
    let mut options = options.clone();
    options.sources =
        SOURCES.iter().filter_map(|name| Some(((*name).to_owned(), Source::new(name).ok()?))).collect();

    let whole = found(&options, [rows.iter().collect()]);
    within_bounds(&rows, &whole);

    let backwards = found(&options, [rows.iter().rev().collect()]);
    assert_eq!(whole.people, backwards.people, "the order of the records matters");

    let twice = found(&options, [rows.iter().collect(), rows.iter().collect()]);
    assert_eq!(whole.people, twice.people, "a repeated record counts twice");

    let spread = [0, 1, 2, 3].map(|file| rows.iter().filter(|row| row.file == file).collect());
    let spread = found(&options, spread);
    assert_eq!(whole.people, spread.people, "the spread over files matters");

    for source in SOURCES {
        let total = total(&whole, source);
        for steps in [total / 2, total, total + 100] {
            let Some(around) = around(&rows, source, steps) else { continue };
            let wider = found(&options, [rows.iter().chain([&around]).collect()]);
            assert_eq!(self::total(&wider, source), steps.max(total), "{source}: {steps} around {total}");
        }
    }
}

/// Imports files of such rows. A target that writes its own files has none that may be refused.
fn found<const N: usize>(options: &ImportOptions, files: [Vec<&Row>; N]) -> Found {
    let texts = files.map(|rows| csv(&rows));
    let names: Vec<String> = (0..N).map(|number| format!("{number}.csv")).collect();
    let files: Vec<_> =
        names.iter().zip(&texts).map(|(name, text)| (name.as_str(), Format::Csv, text.as_bytes())).collect();
    let outcome = judged(read(options, &files));
    assert!(outcome.is_ok(), "{outcome:?}");
    outcome.unwrap_or_else(|_| unreachable!("just asserted"))
}

fn csv(rows: &[&Row]) -> String {
    let lines = rows.iter().map(|row| {
        let (start, end) = (row.start.to_rfc3339(), row.end.to_rfc3339());
        format!("{start},{end},{},{}\n", row.source, row.steps)
    });
    std::iter::once("start,end,source,steps\n".to_owned()).chain(lines).collect()
}

/// A record of a source that begins before its others and ends after them.
fn around(rows: &[Row], source: &'static str, steps: u64) -> Option<Row> {
    let own = || rows.iter().filter(|row| row.source == source);
    let start = own().map(|row| row.start).min()? - TimeDelta::minutes(1);
    let end = own().map(|row| row.end).max()? + TimeDelta::minutes(1);
    Some(Row { source, file: 0, start, end, steps })
}

fn total(found: &Found, source: &str) -> u64 {
    let readings = found.people.iter().flat_map(|(_, readings)| readings);
    readings.filter(|reading| reading.source.as_str() == source).map(|reading| reading.counts.sum()).sum()
}

fn within_bounds(rows: &[Row], whole: &Found) {
    for source in SOURCES {
        let steps = || rows.iter().filter(|row| row.source == source).map(|row| row.steps);
        let (total, most, sum) = (total(whole, source), steps().max().unwrap_or_default(), steps().sum());
        assert!(most <= total && total <= sum, "{source}: {total} is not within {most} to {sum}");
    }
}
