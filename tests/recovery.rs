//! Damage to a ledger file: every flipped bit is noticed or harmless, every damaged file is mended and
//! kept, and a kill at any step of the mending does no harm.
//!
//! `MANBO_ALL_BITS=1` flips every bit of the whole file instead of every bit of every row and a sample
//! of the rest.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on must say so at once")]

mod recovery {
    mod book;
    mod damage;
    mod erased;
    mod flips;
    mod interrupted;
    mod many_users;
    mod pages;
    #[cfg(unix)]
    mod read_only;
    mod single_rows;
}
