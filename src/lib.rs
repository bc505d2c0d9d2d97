//! The step ledger that pedometer and health apps embed.
#![forbid(unsafe_code)]

mod domain;
mod error;
mod rules;
mod snapshot;
#[cfg(feature = "sqlite")]
mod stepbook;
#[cfg(feature = "sqlite")]
mod store;

pub use domain::code::{Code, Refusal};
pub use domain::counter::Credit;
pub use domain::day::{Day, Now, Week, WeekStart};
pub use domain::digest::Digest;
pub use domain::explain::{Explanation, LevelAccount, SourceAccount};
pub use domain::fact::Fact;
pub use domain::ingest::{EPOCH_LEAD_MAX, IngestPolicy, Ingested, Receipt, Refused, ingest};
pub use domain::ledger::{Applied, Ledger, Operation};
pub use domain::level::{GapPolicy, Level, LevelRules, Transition};
pub use domain::query::CellView;
pub use domain::register::Register;
pub use domain::remark::{Event, Ignored, Kept, Kind, Remark};
pub use domain::stats::{StatRules, Statistics};
pub use domain::steps::{
    BOOT_LEN_MAX, Correction, CounterReading, Counts, Deletion, Extent, RANKED_MAX, REASON_LEN_MAX, Reading,
    SOURCE_LEN_MAX, SOURCES_MAX, STEPS_MAX, Source, UtcOffset,
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
    BUSY_TIMEOUT_DEFAULT, Durability, Options, Recovered, Report, SetAside, Store, USER_LEN_MAX,
};
