//! Fixed scenarios of the library on a simulated disk, with every fault at every operation: the old state or the
//! new one, the right name for what went wrong, and afterwards everything works.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first thing that is not there, and tells how much it tried"
)]

mod exhaustive {
    pub(crate) mod faults;
    pub(crate) mod handed_out;
    pub(crate) mod harness;
    pub(crate) mod scenario;
    pub(crate) mod scenarios;
    pub(crate) mod state;
}

use exhaustive::{faults::exhaust, scenarios};

#[test]
fn create_and_record() {
    exhaust(scenarios::create());
}

#[test]
fn a_life_in_an_existing_file() {
    exhaust(scenarios::life());
}

#[test]
fn a_file_of_the_first_schema_is_migrated() {
    exhaust(scenarios::migrate());
}

#[test]
fn another_devices_backup_is_opened() {
    exhaust(scenarios::other_device());
}

#[test]
fn a_batch_is_delivered() {
    exhaust(scenarios::delivery());
}

#[test]
fn signing_in_adopts_what_was_recorded_signed_out() {
    exhaust(scenarios::sign_in());
}

#[test]
fn an_erasure_is_followed() {
    exhaust(scenarios::erasure());
}

#[test]
fn a_server_takes_and_erases() {
    exhaust(scenarios::server_life());
}

#[test]
fn suspended_and_resumed() {
    exhaust(scenarios::suspend());
}

#[test]
fn an_app_and_its_widget_take_turns() {
    exhaust(scenarios::two());
}

#[test]
fn history_is_kept_and_compacted() {
    exhaust(scenarios::history());
}

#[test]
fn a_ledger_is_exported_and_imported() {
    exhaust(scenarios::export());
}
