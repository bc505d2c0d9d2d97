//! A ledger out as lines and in again: equal bytes for any life of a device or a server's user, on another phone
//! nothing that only the first one knew, and nothing stored of a file that was cut, changed, mixed up or made to hurt.
//!
//! `MANBO_CASES` sets the number of lives, `PROPTEST_RNG_SEED` makes a run repeatable.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on must say so at once")]

mod common;

mod exports {
    mod hostile;
    mod lives;
    mod phones;
    mod servers;
}
