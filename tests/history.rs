//! What became of a ledger: every past moment as it was, who changed what, and what is said where that is not known
//! any more.
//!
//! `MANBO_CASES` sets the number of lives, `PROPTEST_RNG_SEED` makes a run repeatable.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on must say so at once")]

mod common;

mod history {
    mod damage;
    mod events;
    mod gaps;
    mod past;
    mod phone;
}
