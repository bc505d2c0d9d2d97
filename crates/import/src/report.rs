//! What an import found, for a person and for programs.

use manbo::{Day, Reading, Source};
use serde::Serialize;

use crate::record::Reason;

/// Everything that the files hold, as readings to record, with the report.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Import {
    /// The people, in the order of their names. Files that name nobody have one person without a name.
    pub people: Vec<Person>,
    /// What was found.
    pub report: Report,
}

/// One person's readings, one a (day, source), by day and source.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Person {
    /// The name in the files; `None` where they name nobody.
    pub name: Option<String>,
    /// What to record.
    pub readings: Vec<Reading>,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The files, in the order in which they were read.
    pub files: Vec<FileReport>,
    /// How moments became days, as a sentence.
    pub days_by: String,
    /// Whether no reading made of records is full, so that nothing of them is lowered: the caller said so, or
    /// rows were left out, which may be a part of any day.
    pub joins_only: bool,
    /// Rows or records of steps that were looked at.
    pub rows: u64,
    /// Rows without a count: no data, which is not 0 steps.
    pub blank: u64,
    /// Records of other kinds than steps.
    pub other: u64,
    /// Records that crossed a midnight and were split.
    pub splits: u64,
    /// What overlapped.
    pub union: Union,
    /// Days that several reports tell.
    pub rereports: Rereports,
    /// What was left out.
    pub rejects: Rejects,
    /// When records reached the store that was exported.
    pub arrivals: Arrivals,
    /// Each person's days.
    pub people: Vec<PersonReport>,
}

/// One file.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct FileReport {
    /// Its name, with the entry of an archive after `!`.
    pub file: String,
    /// The format that was detected or given.
    pub format: &'static str,
    /// Rows or records of steps in it.
    pub rows: u64,
    /// What was detected and chosen, one sentence each.
    pub notes: Vec<String>,
}

/// Records of one source that overlap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Union {
    /// Records that are exactly like another one.
    pub duplicates: u64,
    /// Other records that share time with another one.
    pub overlaps: u64,
    /// Steps that were not counted a second time.
    pub steps_spared: u64,
}

/// Days that several reports tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Rereports {
    /// (person, source, day) told by more than one report.
    pub days: u64,
    /// Later reports that said more.
    pub raised: u64,
    /// Later reports that said less and may: a correction of a closed day.
    pub lowered: u64,
    /// Later reports that said less and may not: the day was not over.
    pub kept: u64,
}

/// What was left out.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct Rejects {
    /// How many rows, records or days.
    pub total: u64,
    /// How many by reason.
    pub by_reason: std::collections::BTreeMap<Reason, u64>,
    /// The first of them, one by one.
    pub listed: Vec<Rejected>,
}

/// A row, record or day that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Rejected {
    /// The file; empty where a whole day was refused.
    pub file: String,
    /// The line on which the row or record begins; 0 where a whole day was refused.
    pub line: u64,
    /// Why.
    pub reason: Reason,
}

/// How long records took to reach the store that was exported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Arrivals {
    /// Records that tell when they were stored.
    pub known: u64,
    /// Those stored more than 24 hours after their end: late data.
    pub late: u64,
    /// The longest delay, in minutes.
    pub delay_minutes_max: u64,
    /// Those stored before they ended: a clock was wrong.
    pub early: u64,
}

/// One person's days.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PersonReport {
    /// The name in the files.
    pub name: Option<String>,
    /// Days with data from any source.
    pub days: u64,
    /// The sum over days of the most that any source says (shown steps).
    pub steps: u64,
    /// Days of exactly 0 steps: a device that was not worn looks the same in most exports.
    pub zero_days: u64,
    /// The first day.
    pub first: Option<Day>,
    /// The last day.
    pub last: Option<Day>,
    /// Days missing between the first and the last.
    pub missing: u64,
    /// Where days are missing, longest first; the first hundred.
    pub gaps: Vec<Gap>,
    /// Days that look wrong; they are taken as they are. The first hundred.
    pub suspicious: Vec<Suspicious>,
    /// How many days look wrong.
    pub suspicious_days: u64,
    /// Each source.
    pub sources: Vec<SourceReport>,
}

/// Days without data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Gap {
    /// The first missing day.
    pub first: Day,
    /// The last missing day.
    pub last: Day,
    /// How many.
    pub days: u64,
}

/// One source of a person.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SourceReport {
    /// Its name in the ledger.
    pub source: Source,
    /// Its names in the files.
    pub names: Vec<String>,
    /// Days with data.
    pub days: u64,
    /// Measured steps.
    pub recorded: u64,
    /// Typed-in steps.
    pub manual: u64,
    /// The first day.
    pub first: Day,
    /// The last day.
    pub last: Day,
}

/// A day that looks wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Suspicious {
    /// The day.
    pub day: Day,
    /// The source.
    pub source: Source,
    /// Why.
    pub why: Suspicion,
}

/// Why a day looks wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Suspicion {
    /// Much more than usual right after days without steps: it seems to hold those days' steps too.
    SeveralDays {
        /// The days without steps before it.
        days_without: u32,
    },
    /// One record covers more than a day, so that the days' shares are a guess.
    LongRecord,
}
