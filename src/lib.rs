//! The step ledger that pedometer and health apps embed: it keeps steps on the device's own SQLite,
//! merges them by a law that makes retries, duplicates, reordering and late data harmless, and turns
//! them into health levels, statistics and streaks: the same numbers on every device and on the server.
//!
//! # The story
//!
//! An app opens a [`StepBook`] on a file and records what its sources say, as often as it likes. Every
//! call names the present ([`Now`]); nothing in this crate reads a clock or a zone.
//!
//! ```
//! use manbo::{Counts, Day, Deletion, Level, Now, Options, Reading, Source, StepBook};
//!
//! # let dir = tempfile::tempdir().unwrap();
//! let mut book = StepBook::open(dir.path().join("steps.db"), &Options::new())?;
//! let health = Source::new("apple-health")?;
//! let saturday: Day = "2022-10-01".parse()?;
//! let now = Now::on(saturday);
//!
//! // Partial readings grow; the same one again, or an older one, changes nothing.
//! book.record(&Reading::new(saturday, health, 3_200), now)?;
//! book.record(&Reading::new(saturday, health, 8_500).with_manual(2_000), now)?;
//! assert!(book.record(&Reading::new(saturday, health, 3_200), now)?.is_empty());
//!
//! // A second source is never added: shown is the most that any source says.
//! book.record(&Reading::new(saturday, Source::new("garmin")?, 9_100), now)?;
//! let day = book.day(saturday)?.unwrap();
//! assert_eq!((day.shown, day.ranked, day.level), (10_500, 9_100, Level::Healthy));
//!
//! // Wrong numbers can be corrected: the walker deletes the typed-in steps, and the level follows.
//! let sunday = Now::on(saturday.next());
//! let left = Some(Counts::new(8_500, 0));
//! let changes = book.delete(&Deletion { day: saturday, source: health, left }, sunday)?;
//! assert_eq!(changes[0].after.unwrap().level, Level::Overweight);
//!
//! // And there is a reason for every number.
//! println!("{}", book.explain(saturday)?);
//! # Ok::<(), manbo::Error>(())
//! ```
//!
//! A server depends on the same crate: [`Store`] holds many users in one file, and [`ingest`] is the
//! server's half of the exchange. A server with a database of its own takes the crate without its default
//! feature `sqlite` and gets the pure core: no C, no files.
//!
//! # How steps merge
//!
//! The value of a (user, source, day) is a [`Register`]: `(epoch, recorded, manual)` or
//! `(epoch, absent)`. Two registers join by the larger epoch, and at equal epochs by the larger of each
//! component: idempotent, commutative, associative, so that order, repetition and loss followed by
//! re-sending cannot change a result. What must go down goes down by a new epoch: a complete reading of a
//! closed day that was read on this device, a deletion, a correction.
//!
//! # Limits
//!
//! | what | limit | a breach gets |
//! |---|---|---|
//! | recorded + manual of a reading; each component of a register | [`STEPS_MAX`] | `implausible_steps` |
//! | a day | [`Day::FIRST`] to [`Day::LAST`], not later than tomorrow | `day_out_of_range` |
//! | a value that does not fit its type | | `bad_value` |
//! | a source name, and their number | [`SOURCE_LEN_MAX`], [`SOURCES_MAX`] | `bad_source`, `too_many_sources` |
//! | rules | 1 <= drop below <= raise at, goal >= 1 | `bad_rules` |
//! | epochs of a cell | 65,535 | `too_many_corrections`; `epoch_not_allowed` on a server |
//!
//! They are checked in the order `bad_value`, `bad_source`, `day_out_of_range`, `implausible_steps`,
//! `too_many_sources`. A refused input changes nothing. Errors name the field, the limit and the rule,
//! never a person's numbers; [`Error::code`] is the same in every language.
//!
//! # How steps reach a server
//!
//! The buffer is not a log but the set of facts that are not yet known to be at the server. The book says
//! what to send and when ([`StepBook::next_delivery`]), the host sends it, and tells what came back
//! ([`StepBook::report_delivery`]): [`delivery`] has the machine, with every limit and every answer.
//!
//! # What it does not do
//!
//! It reads no sensor, no clock and no zone, opens no socket, starts no thread, and keeps no derived
//! number on disk that could go stale. It never deletes a file: a damaged one is moved aside and reported.
//! It does not encrypt: the platform's file protection does.
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(not(feature = "sqlite"), allow(rustdoc::broken_intra_doc_links))]

/// Faults put in on purpose, for the simulator to find.
#[cfg(manbo_canaries)]
pub mod canary {
    pub use crate::domain::canary::{NAMES, choose};
}
pub mod delivery;
mod domain;
mod error;
mod rules;
mod snapshot;
#[cfg(feature = "sqlite")]
mod stepbook;
#[cfg(feature = "sqlite")]
mod store;
pub mod wire;

/// The README's code, compiled.
#[cfg(all(doctest, feature = "sqlite"))]
#[doc = include_str!("../README.md")]
struct Readme;

pub use domain::code::{Code, Refusal};
pub use domain::counter::{Baseline, Credit};
pub use domain::day::{Day, Now, UtcOffset, Week, WeekStart};
pub use domain::digest::Digest;
pub use domain::explain::{Explanation, LevelAccount, SourceAccount};
pub use domain::fact::{Fact, Refused};
pub use domain::history::{HistoryEvent, ORIGIN_LEN_MAX, Origin};
pub use domain::ingest::{EPOCH_LEAD_MAX, IngestPolicy, Ingested, Moderation, Receipt, ingest, moderate};
pub use domain::ledger::{Applied, Ledger, Operation};
pub use domain::level::{GapPolicy, Level, LevelRules, Transition};
pub use domain::plain::{PLAIN_SOURCE, PlainReading, TakenPlain, take_plain};
pub use domain::query::CellView;
pub use domain::register::Register;
pub use domain::remark::{Event, Ignored, Kept, Kind, Remark};
pub use domain::stats::{StatRules, Statistics};
pub use domain::steps::{
    BOOT_LEN_MAX, Correction, CounterReading, Counts, Deletion, Extent, RANKED_MAX, REASON_LEN_MAX, Reading,
    SOURCE_LEN_MAX, SOURCES_MAX, STEPS_MAX, Source,
};
pub use domain::streak::{Runs, Streaks};
pub use domain::timeline::{Change, DayState, DayTotals, Timeline};
pub use domain::totals::{KeptTotals, WeekTotals};
pub use error::{Cause, Error, Result};
pub use rules::{Rules, RulesBuilder};
pub use snapshot::{SNAPSHOT_VERSION, Snapshot};
#[cfg(feature = "sqlite")]
pub use stepbook::{Recorded, RefusedReading, StepBook};
#[cfg(feature = "sqlite")]
pub use store::{
    BATCH_ITEMS_MAX, BUSY_TIMEOUT_DEFAULT, Durability, EXPORT_LINE_MAX, EXPORT_LINES_MAX, EXPORT_VERSION,
    Erased, Exported, GENERATION_LEAD_MAX, HISTORY_FOR_DEFAULT, ImportError, ImportRule, Imported, Options,
    PAGE_FACTS_MAX, Recovered, Reply, Report, SetAside, Store, USER_LEN_MAX,
};
