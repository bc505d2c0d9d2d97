//! Readers of what people really have: Apple Health, Fitbit, Google, Samsung and CSV exports become
//! readings of the step ledger.
//!
//! ```
//! use manbo::{Day, Now, Options, StepBook};
//! use manbo_import::{Format, ImportOptions, Importer};
//!
//! # let dir = tempfile::tempdir().unwrap();
//! let now = Now::on("2026-11-21".parse::<Day>()?);
//! let mut importer = Importer::new(ImportOptions::new(now.today));
//! importer.add_reader("days.csv", Format::Csv, "day,steps\n2026-11-18,8500\n2026-11-19,9100\n".as_bytes())?;
//! let import = importer.finish()?;
//! assert_eq!(import.report.rows, 2);
//!
//! let mut book = StepBook::open(dir.path().join("steps.db"), &Options::new())?;
//! let outcome = manbo_import::record(&mut book, &import.people[0], now)?;
//! assert_eq!(outcome.days_changed, 2);
//! // A second run changes nothing.
//! assert_eq!(manbo_import::record(&mut book, &import.people[0], now)?.days_changed, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How records become days
//!
//! - **The day.** A moment without a UTC offset is taken as the wall showed it (the hour that a clock shows
//!   twice in autumn is then one hour). One with an offset becomes
//!   a day in the zone of [`ImportOptions::zone`], else by the offset as printed; Apple prints the offset of
//!   the export for every time, so that winters shift by an hour without a zone.
//! - **Midnight.** A record that crosses midnight is split in proportion: its running total, rounded half
//!   up, is read off at each midnight, so that the parts add up to the record.
//! - **Overlaps.** Records of one source are taken shortest first (then earliest, then largest), and each
//!   adds only what the shorter ones within its time do not explain, spread over the time that they leave
//!   free. So minutes and the hour they are part of count once, and a repeated record counts once; the
//!   union lies between the largest record and the sum of all. The order of records and files is free.
//! - **Stated totals.** Where an export states a day's total beside its records, the larger counts.
//! - **Sources** are kept apart as cells of their own and never added up. Typed-in steps are kept apart as
//!   manual.
//! - **Reports.** Dated reports of the same days follow one another as readings do (the contract's section
//!   3): later ones join, and lower a day only where a full reading of a closed day may. What has no date
//!   joins.
//! - **Extent.** A day that the export covers wholly and that is over is a full reading. The last day of a
//!   source (where the export does not say when it was made), its first day made of records, days made of
//!   records where rows were left out, and days under several printed offsets may lack something: partial
//!   readings, which never lower anything.
//! - **Counters** since a device was started follow the core's own rule ([`manbo::Credit`]); a time that goes
//!   back is a new start. Such time has no midnight: all of it is the day that the caller names.
//!
//! # What it does not do
//!
//! It sends nothing, reads no clock, and records nothing until every file was read: a file that is cut off
//! or hostile is a clear error and leaves the ledger as it was. Memory is bounded whatever the size of the
//! files (30 MB for a million records of a person, 130 MB at [`CELLS_MAX`]): large imports are sorted in
//! temporary files that vanish with the process.
#![forbid(unsafe_code)]

mod book;
mod collect;
mod error;
mod export;
mod input;
mod options;
mod readers;
mod record;
mod report;
mod time;

pub use book::{Lowered, Outcome, Refused, preview, record};
pub use collect::{CELLS_MAX, CLUSTER_MAX, RECORD_DAYS_MAX};
pub use error::{ImportError, Result};
pub use export::{write_csv, write_json_lines};
pub use input::{Format, Importer, Progress};
pub use options::{CsvOptions, DateOrder, ImportOptions, SOURCE_DEFAULT};
pub use record::Reason;
pub use report::{
    Arrivals, FileReport, Gap, Import, Person, PersonReport, Rejected, Rejects, Report, Rereports,
    SourceReport, Suspicion, Suspicious, Union,
};
