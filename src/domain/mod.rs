//! The rules, pure: from what a source says about a day to levels, statistics and reasons.
//!
//! Reading order: [`day`], [`steps`], [`register`] (the join), [`cell`] (what a reading, a deletion
//! or a correction does to one register), [`level`], [`timeline`] (all days in order, with their
//! levels), [`stats`], [`ledger`] (one user's facts, composed of all of these), [`ingest`] (the
//! server's half) and [`explain`].
//!
//! Architecture invariant: nothing here reads a clock, a file, a socket, the environment or a random
//! number, and nothing here knows SQLite. `now` and `today` are parameters. The modules may use
//! `code`, `day` and `steps` but otherwise not each other, except that `cell` builds on `register`,
//! `timeline` on `level`, `stats` on `timeline` and `streak`, and `ledger`, `ingest` and `explain`
//! compose them all. A test (`tests/architecture.rs`) holds this.

// A store is the only caller.
#[cfg_attr(not(feature = "sqlite"), allow(dead_code))]
pub(crate) mod adopt;
pub(crate) mod canary;
pub(crate) mod cell;
pub(crate) mod code;
#[cfg_attr(not(feature = "sqlite"), allow(dead_code))]
pub(crate) mod column;
pub(crate) mod counter;
pub(crate) mod day;
pub(crate) mod digest;
#[cfg_attr(not(feature = "sqlite"), allow(dead_code))]
pub(crate) mod dirty;
pub(crate) mod explain;
pub(crate) mod fact;
pub(crate) mod history;
pub(crate) mod ingest;
pub(crate) mod ledger;
pub(crate) mod level;
pub(crate) mod plain;
pub(crate) mod query;
pub(crate) mod register;
pub(crate) mod remark;
// A store is the only caller; the pure core alone has none.
#[cfg_attr(not(feature = "sqlite"), allow(dead_code))]
pub(crate) mod rows;
pub(crate) mod stats;
pub(crate) mod steps;
pub(crate) mod streak;
pub(crate) mod timeline;
pub(crate) mod totals;
