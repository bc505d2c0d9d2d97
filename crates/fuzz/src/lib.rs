//! What is asked of the import's readers whatever bytes they get. A target takes bytes and panics where
//! the import breaks a promise; libFuzzer looks for such bytes, and `tests/fuzz.rs` replays those that
//! were kept, without libFuzzer.
#![forbid(unsafe_code)]

mod law;
mod time;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use chrono_tz::Tz;
use manbo::{Day, Reading, STEPS_MAX};
use manbo_import::{DateOrder, Format, Import, ImportError, ImportOptions, Importer};

/// The longest text of an error. A CSV header is shown up to 30 titles of 60 characters, at most 7,200
/// bytes; what is longer repeats the file.
const ERROR_LEN_MAX: usize = 8_000;

/// What is fuzzed. The first byte of every input chooses the options of the import, `@` the defaults; the
/// rest is what the name of the target says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Apple Health's `export.xml`.
    Apple,
    /// A CSV file.
    Csv,
    /// Fitbit's `steps-YYYY-MM-DD.json`.
    Fitbit,
    /// A few records, six bytes each, of which the target writes CSV files: the laws of the union.
    Law,
    /// Times, one a line, as a CSV file may have them: a second opinion on which day each is.
    Time,
    /// A zip archive as a file.
    Zip,
}

impl Target {
    /// Every target.
    pub const ALL: [Target; 6] =
        [Target::Apple, Target::Csv, Target::Fitbit, Target::Law, Target::Time, Target::Zip];

    /// Its name, which its folder of inputs has too.
    pub fn name(self) -> &'static str {
        match self {
            Target::Apple => "apple",
            Target::Csv => "csv",
            Target::Fitbit => "fitbit",
            Target::Law => "law",
            Target::Time => "time",
            Target::Zip => "zip",
        }
    }

    /// The target of this name.
    pub fn named(name: &str) -> Option<Target> {
        Target::ALL.into_iter().find(|target| target.name() == name)
    }

    /// Tries one input.
    ///
    /// # Panics
    /// When the import does with it what it must never do.
    pub fn run(self, input: &[u8]) {
        let Some((first, bytes)) = input.split_first() else { return };
        let options = options(*first);
        match self {
            Target::Apple => read_twice(&options, "export.xml", Format::AppleHealth, bytes),
            Target::Csv => read_twice(&options, "steps.csv", Format::Csv, bytes),
            Target::Fitbit => read_twice(&options, "steps-2026-10-01.json", Format::FitbitJson, bytes),
            Target::Law => law::run(&options, bytes),
            Target::Time => time::run(&options, bytes),
            Target::Zip => open_twice(&options, bytes),
        }
    }
}

/// The day on which the targets import: fixed, so that an input means the same for ever.
fn today() -> Day {
    Day::from_ymd(2026, 11, 21).expect("a day that exists")
}

/// Options from a byte, so that a letter in front of a file chooses them: `@` (0x40) stands for the
/// defaults. Two bits choose the zone, two the order of dates, one the length of slots, one whether to
/// join only, and the highest one the day of times without a date.
fn options(choice: u8) -> ImportOptions {
    let mut options = ImportOptions::new(today());
    options.zone = match choice & 0b11 {
        0 => None,
        1 => Some(Tz::Europe__Berlin),
        // Half hours, and a half hour of summer time.
        2 => Some(Tz::Australia__Lord_Howe),
        // It has no 2011-12-30.
        _ => Some(Tz::Pacific__Apia),
    };
    options.csv.dates = match choice >> 2 & 0b11 {
        0 => None,
        1 => Some(DateOrder::Mdy),
        2 => Some(DateOrder::Dmy),
        _ => Some(DateOrder::Ymd),
    };
    options.csv.slot_minutes = (choice & 0b1_0000 != 0).then_some(15);
    options.join_only = choice & 0b10_0000 != 0;
    options.csv.day = (choice & 0b1000_0000 != 0).then(|| today().previous());
    options
}

/// What came out of an import, in a form that can be compared.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    people: Vec<(Option<String>, Vec<Reading>)>,
    report: String,
}

/// Reads bytes twice, and judges the outcome.
fn read_twice(options: &ImportOptions, name: &str, format: Format, bytes: &[u8]) {
    let import = || read(options, &[(name, format, bytes)]);
    let first = judged(import());
    assert_eq!(first, judged(import()), "the same bytes gave something else the second time");
}

/// Reads bytes twice as a file that ends in `.zip`, and judges the outcome.
fn open_twice(options: &ImportOptions, bytes: &[u8]) {
    let mut file = tempfile::Builder::new().suffix(".zip").tempfile().expect("a temporary file");
    file.write_all(bytes).expect("room for a temporary file");
    let import = || open(options, file.path());
    let first = judged(import());
    assert_eq!(first, judged(import()), "the same file gave something else the second time");
}

/// Reads files that are given as bytes.
fn read(options: &ImportOptions, files: &[(&str, Format, &[u8])]) -> Result<Import, ImportError> {
    let mut importer = Importer::new(options.clone());
    for (name, format, bytes) in files {
        importer.add_reader(name, *format, *bytes)?;
    }
    importer.finish()
}

fn open(options: &ImportOptions, path: &Path) -> Result<Import, ImportError> {
    let mut importer = Importer::new(options.clone());
    importer.add_path(path)?;
    importer.finish()
}

/// The outcome of an import, after it was looked at; an error is an outcome too.
fn judged(outcome: Result<Import, ImportError>) -> Result<Found, String> {
    match outcome {
        Ok(import) => {
            in_range(&import);
            as_reported(&import);
            let report = serde_json::to_string(&import.report).expect("a report can be written");
            let people = import.people.into_iter().map(|person| (person.name, person.readings)).collect();
            Ok(Found { people, report })
        }
        Err(error) => {
            let text = error.to_string();
            assert!(!text.is_empty() && text.len() <= ERROR_LEN_MAX, "an error of {} bytes", text.len());
            Err(text)
        }
    }
}

/// Every reading is one that a ledger takes, and there is one a day and source.
fn in_range(import: &Import) {
    for person in &import.people {
        let readings = &person.readings;
        let ordered = readings.windows(2).all(|pair| {
            let key = |reading: &Reading| (reading.day, reading.source.as_str().to_owned());
            key(&pair[0]) < key(&pair[1])
        });
        assert!(ordered, "readings out of order, or two of one day and source");
        for reading in readings {
            assert!(reading.day.is_storable() && reading.day <= today().next(), "a day out of range");
            assert!(reading.counts.sum() <= u64::from(STEPS_MAX), "more steps than a day can have");
        }
    }
}

/// The report of each person adds up to the readings.
fn as_reported(import: &Import) {
    assert_eq!(import.people.len(), import.report.people.len());
    for (person, report) in import.people.iter().zip(&import.report.people) {
        let mut days: BTreeMap<Day, u64> = BTreeMap::new();
        for reading in &person.readings {
            let most = days.entry(reading.day).or_default();
            *most = reading.counts.sum().max(*most);
        }
        assert_eq!(person.name, report.name);
        assert_eq!(u64::try_from(days.len()), Ok(report.days));
        assert_eq!(days.values().sum::<u64>(), report.steps);
        assert_eq!(days.keys().next(), report.first.as_ref());
        assert_eq!(days.keys().next_back(), report.last.as_ref());
    }
}
