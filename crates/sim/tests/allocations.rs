//! The fixed scenarios while memory runs out, at every allocation of SQLite: a typed error, never damage; the old
//! state or the new one; and afterwards everything works.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first thing that is not there, and tells how much it tried"
)]

#[path = "exhaustive/harness.rs"]
mod harness;
#[path = "exhaustive/scenario.rs"]
mod scenario;
#[path = "exhaustive/scenarios.rs"]
mod scenarios;
#[path = "exhaustive/state.rs"]
mod state;

use std::panic::{AssertUnwindSafe, catch_unwind};

use harness::{Place, Reference, copy};
use manbo::Code;
use manbo_sim::vfs::alloc::{self, Allocations};
use scenario::{Hands, Scenario};

/// At every gate each of this many allocations, another place for each scenario; `MANBO_ALL_ALLOCATIONS=1` takes all.
const STRIDE: usize = 7;

fn stride() -> usize {
    if std::env::var_os("MANBO_ALL_ALLOCATIONS").is_some() { 1 } else { STRIDE }
}

/// Lasting want of memory looks alike from neighbouring points.
const LASTING_STRIDE: usize = 23;
/// One in so many goes on in a new process, too.
const KILLED_STRIDE: u64 = 8;
/// Broken promises that are shown whole.
const SHOWN_MAX: usize = 8;

fn exhaust(scenario: fn() -> Scenario, stride: usize) {
    alloc::install().unwrap();
    let reference = Reference::of(scenario());
    let name = reference.scenario.name;
    let (mut total, mut broken) = (0, Vec::new());
    for (sticky, stride) in [(false, stride), (true, LASTING_STRIDE)] {
        let (mut points, mut failed) = (0, 0);
        for k in (u64::try_from(name.len() % stride).unwrap()..).step_by(stride) {
            match catch_unwind(AssertUnwindSafe(|| strike(&reference, k, sticky))) {
                Ok(None) => break,
                Ok(Some(is_error)) => failed += u32::from(is_error),
                Err(panic) => {
                    let text = panic.downcast_ref::<String>().cloned();
                    broken.push(text.unwrap_or_else(|| format!("{name}: allocation {k}: a panic")));
                }
            }
            points += 1;
        }
        println!("{name} | memory{} | {points}, {failed} errors", if sticky { ", lasting" } else { "" });
        assert!(failed > 0, "{name}: no allocation mattered");
        total += points;
    }
    println!("{name} | all | {total} points, {} different files", reference.files());
    let shown = broken.iter().take(SHOWN_MAX).cloned().collect::<Vec<_>>().join("\n");
    assert!(broken.is_empty(), "{name}: {} of {total} points break a promise:\n{shown}", broken.len());
}

/// Runs a scenario with one allocation that fails; whether a step failed, `None` where all were granted.
fn strike(reference: &Reference, k: u64, sticky: bool) -> Option<bool> {
    let disk = reference.disk();
    let mut hands = Hands::default();
    let plan = Allocations::fail_at(k, sticky);
    let run = reference.run(&disk, &mut hands, 0);
    let failed = plan.failed();
    drop(plan);
    let at = reference.scenario.steps.get(run.done).map_or("the end", |step| step.name);
    let stays = if sticky { ", lasting" } else { "" };
    let case = format!("{}: allocation {k}{stays}, in {at}", reference.scenario.name);
    if failed == 0 {
        assert!(run.error.is_none(), "{case}: {:?}", run.error);
        return None;
    }
    if let Some(error) = &run.error {
        assert_eq!(error.code(), Code::StorageLocked, "{case}: {error:?}");
        if at.starts_with("suspend") {
            assert_eq!(disk.locks_held(), 0, "{case}");
        }
    }
    let from = reference.judge(&disk, run.done, &case);
    let place = |from| Place { done: run.done, from, seed: k, goes_dark: true };
    if k.is_multiple_of(KILLED_STRIDE) {
        let killed = copy(&disk.snapshot());
        killed.restart();
        let from_killed = reference.judge_at_rest(&killed, run.done, &format!("{case}, killed then"));
        let case = format!("{case}, killed then");
        reference.go_on_anew(&killed, Hands::default(), place(from_killed), &[0, 1], &case);
    }
    reference.go_on(&disk, hands, place(from), &case);
    Some(run.error.is_some())
}

#[test]
fn create_and_record() {
    exhaust(scenarios::create, stride());
}

#[test]
fn a_life_in_an_existing_file() {
    exhaust(scenarios::life, stride());
}

#[test]
fn a_file_of_the_first_schema_is_migrated() {
    exhaust(scenarios::migrate, stride());
}

#[test]
fn another_devices_backup_is_opened() {
    exhaust(scenarios::other_device, stride());
}

#[test]
fn a_batch_is_delivered() {
    exhaust(scenarios::delivery, stride());
}

#[test]
fn signing_in_adopts_what_was_recorded_signed_out() {
    exhaust(scenarios::sign_in, stride());
}

#[test]
fn an_erasure_is_followed() {
    exhaust(scenarios::erasure, stride());
}

#[test]
fn a_server_takes_and_erases() {
    exhaust(scenarios::server_life, stride());
}

#[test]
fn suspended_and_resumed() {
    exhaust(scenarios::suspend, stride());
}

#[test]
fn an_app_and_its_widget_take_turns() {
    exhaust(scenarios::two, stride());
}

#[test]
fn history_is_kept_and_compacted() {
    exhaust(scenarios::history, stride());
}

#[test]
fn a_ledger_is_exported_and_imported() {
    exhaust(scenarios::export, stride());
}
