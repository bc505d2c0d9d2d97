//! Runs a scenario with a fault at every operation that a kind of fault concerns.
//!
//! ```text
//! run to the fault -- crash: start again --------------------------+
//!        |                                                         |
//!        +---------- error: it is over -- a copy: kill, start -----+-- open, go on, cut the power: the end
//!                                   |
//!                                   +-- the same handles go on, cut the power: the end
//! ```

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use manbo::Code;
use manbo_sim::vfs::{Disk, FaultKind};

use super::harness::{Place, Reference, copy};
use super::scenario::{Hands, Scenario};
use super::state::{PATH, rows};

/// Processes that act in a scenario: the app and its widget.
const PROCESSES: usize = 2;
/// Broken promises that are shown whole.
const SHOWN_MAX: usize = 8;

/// Every kind of fault, and whether it may stay.
fn kinds() -> Vec<(FaultKind, bool)> {
    let mut kinds = vec![(FaultKind::Kill, false), (FaultKind::KillProcess, false)];
    kinds.push((FaultKind::Torn { seed: 0 }, false));
    kinds.extend((0..2).map(|seed| (FaultKind::Power { seed }, false)));
    for sticky in [false, true] {
        kinds.extend((0..3).map(|seed| (FaultKind::SyncFails { seed }, sticky)));
        let errors = [
            FaultKind::Full,
            FaultKind::IoError,
            FaultKind::ReadError,
            FaultKind::Busy,
            FaultKind::CantOpen,
            FaultKind::ReadOnly,
        ];
        kinds.extend(errors.map(|kind| (kind, sticky)));
    }
    kinds
}

/// The same kind with a seed for the n-th operation.
fn seeded(kind: FaultKind, n: u64) -> FaultKind {
    let mix = |seed: u64| seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(n);
    match kind {
        FaultKind::Torn { seed } => FaultKind::Torn { seed: mix(seed) },
        FaultKind::Power { seed } => FaultKind::Power { seed: mix(seed) },
        FaultKind::SyncFails { seed } => FaultKind::SyncFails { seed: mix(seed) },
        kind => kind,
    }
}

fn name(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Kill => "kill",
        FaultKind::KillProcess => "kill process",
        FaultKind::Torn { .. } => "torn",
        FaultKind::Power { .. } => "power",
        FaultKind::SyncFails { .. } => "sync fails",
        FaultKind::Full => "full",
        FaultKind::IoError => "I/O error",
        FaultKind::ReadError => "read error",
        FaultKind::Busy => "busy",
        FaultKind::CantOpen => "cannot open",
        FaultKind::ReadOnly => "read-only",
    }
}

/// What the library may call a fault.
fn codes(kind: FaultKind) -> &'static [Code] {
    match kind {
        FaultKind::Full => &[Code::StorageFull],
        FaultKind::Busy => &[Code::StorageBusy],
        // Whether a file that cannot be made is a matter of permission is asked of the real file system, which
        // knows nothing of this one.
        FaultKind::ReadOnly => &[Code::StorageReadOnly, Code::StorageLocked],
        _ => &[Code::StorageLocked],
    }
}

/// Runs a scenario with every fault; prints a line a kind.
pub(crate) fn exhaust(scenario: Scenario) {
    let reference = Reference::of(scenario);
    let mut lines: Vec<(&str, bool, u64)> = Vec::new();
    let mut broken: Vec<String> = Vec::new();
    for (kind, sticky) in kinds() {
        let mut points = 0;
        loop {
            let struck =
                catch_unwind(AssertUnwindSafe(|| strike(&reference, seeded(kind, points), sticky, points)));
            match struck {
                Ok(false) => break,
                Ok(true) => {}
                Err(panic) => broken.push(said(&*panic)),
            }
            points += 1;
        }
        match lines.iter_mut().find(|(known, stays, _)| (*known, *stays) == (name(kind), sticky)) {
            Some((_, _, sum)) => *sum += points,
            None => lines.push((name(kind), sticky, points)),
        }
    }
    let scenario = reference.scenario.name;
    for (kind, sticky, points) in &lines {
        println!("{scenario} | {kind}{} | {points}", if *sticky { ", lasting" } else { "" });
    }
    let (total, files) = (lines.iter().map(|line| line.2).sum::<u64>(), reference.files());
    println!("{scenario} | all | {total} points, {files} different files");
    let shown = broken.iter().take(SHOWN_MAX).cloned().collect::<Vec<_>>().join("\n");
    assert!(broken.is_empty(), "{scenario}: {} of {total} points break a promise:\n{shown}", broken.len());
    assert!(lines.iter().all(|line| line.2 > 0), "{scenario}: a kind of fault struck nothing: {lines:?}");
}

/// Runs a scenario with one fault; whether it struck anything.
fn strike(reference: &Reference, kind: FaultKind, sticky: bool, n: u64) -> bool {
    let disk = reference.disk();
    // Somebody is at the file while one process dies, so that its memory lives on.
    let witness = (kind == FaultKind::KillProcess).then(|| witness(&disk)).flatten();
    disk.inject_nth(n, kind, sticky);
    let mut hands = Hands::default();
    let run = reference.run(&disk, &mut hands, 0);
    if disk.fired() == 0 {
        assert!(run.error.is_none() && n > 0);
        return false;
    }
    let at = reference.scenario.steps.get(run.done).map_or("the end", |step| step.name);
    let stays = if sticky { ", lasting" } else { "" };
    let case = format!("{}: {kind:?}{stays} at {n}, in {at}", reference.scenario.name);
    let dead: Vec<usize> = (0..PROCESSES).filter(|process| disk.is_dead(*process)).collect();
    if !dead.is_empty() {
        for process in &dead {
            lose(&mut hands, *process);
        }
        if disk.is_down() {
            disk.restart();
        } else {
            reference.judge(&disk, run.done, &case);
            for process in &dead {
                disk.start_process(*process);
            }
        }
        let from = if witness.is_none() && disk.locks_held() == 0 {
            reference.judge_at_rest(&disk, run.done, &case)
        } else {
            reference.judge(&disk, run.done, &case)
        };
        drop(witness);
        let place = Place { done: run.done, from, seed: n, goes_dark: goes_dark(kind, n) };
        reference.go_on_anew(&disk, hands, place, &dead, &case);
        return true;
    }
    if let Some(error) = &run.error {
        assert!(codes(kind).contains(&error.code()), "{case}: called {} ({error:?})", error.code());
        if kind == FaultKind::Full && sticky {
            assert_readable(&disk, &mut hands, &case);
        }
        if at.starts_with("suspend") {
            assert_eq!(disk.locks_held(), 0, "{case}");
        }
    }
    disk.clear_faults();
    if std::env::var_os("DBG").is_some() {
        eprintln!("{case}: {:?} unsynced {}", run.error, disk.unsynced());
    }
    let from = reference.judge(&disk, run.done, &case);
    let killed = copy(&disk.snapshot());
    killed.restart();
    let from_killed = reference.judge_at_rest(&killed, run.done, &format!("{case}, killed then"));
    let place = |from| Place { done: run.done, from, seed: n, goes_dark: goes_dark(kind, n) };
    let case_killed = format!("{case}, killed then");
    reference.go_on_anew(&killed, Hands::default(), place(from_killed), &[0, 1], &case_killed);
    reference.go_on(&disk, hands, place(from), &case);
    true
}

/// Whether the power fails at the end: after a failed flush always, else every other time.
fn goes_dark(kind: FaultKind, n: u64) -> bool {
    matches!(kind, FaultKind::SyncFails { .. }) || n.is_multiple_of(2)
}

/// Drops what a process held.
fn lose(hands: &mut Hands, process: usize) {
    if process == 0 {
        (hands.book, hands.store) = (None, None);
    } else {
        hands.widget = None;
    }
}

fn witness(disk: &Disk) -> Option<rusqlite::Connection> {
    let _entered = disk.enter_as(2);
    disk.image(PATH)?;
    let witness = rusqlite::Connection::open(PATH).unwrap();
    rows(&witness);
    Some(witness)
}

/// A full disk keeps nobody from reading what is open already.
fn assert_readable(disk: &Disk, hands: &mut Hands, case: &str) {
    let _entered = disk.enter();
    if let Some(book) = &mut hands.book {
        let read = book.ledger().map(|_| ());
        let is_right = read.as_ref().err().is_none_or(|error| error.code() == Code::Closed);
        assert!(is_right, "{case}: cannot be read: {read:?}");
    }
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("something").to_owned()
}
