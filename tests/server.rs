//! The server's half and what a device makes of its answers: real files on both sides, and between them the
//! text of the wire, written and read each way.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on must say so at once")]

mod server {
    mod answers;
    mod batches;
    mod contract;
    mod erased;
    mod late;
    mod pages;
    mod people;
    mod plain;
    mod restored;
    mod world;
}
