//! Laws of the pure core for any input: merge, levels, statistics, changes, exchange with a server.
//!
//! `PROPTEST_CASES` sets the number of cases, `PROPTEST_RNG_SEED` makes a run repeatable.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on must say so at once")]

mod common;
#[path = "model/derived.rs"]
mod derived;

mod properties {
    mod bulk;
    mod differences;
    mod exchange;
    mod extremes;
    mod laws;
    mod ledgers;
    mod monotone;
}
