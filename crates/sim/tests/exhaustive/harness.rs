//! Runs a scenario with a fault at every operation that a kind of fault concerns.
//!
//! ```text
//! run to the fault -- crash: start again --------------------------+
//!        |                                                         |
//!        +---------- error: it is over -- a copy: kill, start -----+-- open, go on, cut the power: the end
//!                                   |
//!                                   +-- the same handles go on: the end
//! ```
//! At every bend the file is what it was before the interrupted step, or what it is after it.

use std::collections::BTreeSet;

use manbo::{Code, Error};
use manbo_sim::vfs::{Disk, FaultKind, Medium, Snapshot};

use super::scenario::{Hands, Scenario, Step};
use super::state::{State, assert_not_deleted, check, look};

/// Processes that act in a scenario: the app and its widget.
const PROCESSES: usize = 2;

/// A scenario with what its file is before each step and at the end.
pub(crate) struct Reference {
    pub(crate) scenario: Scenario,
    setup: Snapshot,
    states: Vec<State>,
    /// Files that were opened as the library does and held to its promises.
    checked: std::cell::RefCell<BTreeSet<State>>,
}

/// How far a run came.
pub(crate) struct Run {
    pub(crate) done: usize,
    pub(crate) error: Option<Error>,
}

impl Reference {
    /// Runs a scenario without a fault.
    pub(crate) fn of(scenario: Scenario) -> Reference {
        let disk = Disk::new(Medium::Flush, 1);
        (scenario.setup)(&disk);
        disk.restart();
        let setup = disk.snapshot();
        let mut states = vec![look(&copy(&setup))];
        let mut hands = Hands::default();
        for step in &scenario.steps {
            take(&disk, step, &mut hands).unwrap_or_else(|error| panic!("{}: {error:?}", step.name));
            states.push(look(&disk));
        }
        let reference = Reference { scenario, setup, states, checked: std::cell::RefCell::default() };
        reference.end(&disk, hands, "without a fault");
        reference
    }

    pub(crate) fn disk(&self) -> Disk {
        copy(&self.setup)
    }

    /// Takes the steps in order until one fails or its process dies.
    pub(crate) fn run(&self, disk: &Disk, hands: &mut Hands, from: usize) -> Run {
        for (done, step) in self.scenario.steps.iter().enumerate().skip(from) {
            let result = take(disk, step, hands);
            // What the dead said was never said.
            if disk.is_dead(step.process) || result.is_err() {
                return Run { done, error: result.err() };
            }
        }
        Run { done: self.scenario.steps.len(), error: None }
    }

    /// Whether a file is as before a step or after it; gives the step to go on with.
    pub(crate) fn judge(&self, disk: &Disk, done: usize, case: &str) -> usize {
        let found = look(disk);
        let Some(step) = self.scenario.steps.get(done) else {
            assert_same(&found, &self.states[done], case);
            return done;
        };
        let (before, after) = (&self.states[done], &self.states[done + 1]);
        if found == *before || (step.opens && is_half_open(&found, before, after)) {
            return done;
        }
        assert_same(&found, after, case);
        // To open is to be done again in any case.
        if step.opens { done } else { done + 1 }
    }

    /// Opens a copy of a disk at rest as the library does, where no like one was opened before.
    pub(crate) fn check(&self, disk: &Disk, case: &str) {
        if self.checked.borrow_mut().insert(look(disk)) {
            check(&copy(&disk.snapshot()), &self.scenario.options, case);
        }
    }

    /// Starts what died, opens what it had open, and goes on to the end; then the power fails.
    pub(crate) fn go_on_anew(
        &self,
        disk: &Disk,
        mut hands: Hands,
        from: usize,
        dead: &[usize],
        seed: u64,
        case: &str,
    ) {
        for step in self.scenario.steps.iter().take(from).filter(|step| step.opens) {
            if dead.contains(&step.process) {
                take(disk, step, &mut hands)
                    .unwrap_or_else(|error| panic!("{case}: then {}: {error:?}", step.name));
            }
        }
        self.go_on(disk, hands, from, seed, case);
    }

    /// Goes on to the end; then the power fails.
    pub(crate) fn go_on(&self, disk: &Disk, mut hands: Hands, from: usize, seed: u64, case: &str) {
        let rest = self.run(disk, &mut hands, from);
        let name = self.scenario.steps.get(rest.done).map_or("", |step| step.name);
        assert!(rest.error.is_none(), "{case}: then {name}: {:?}", rest.error);
        let dark = copy(&disk.snapshot());
        dark.power_off(seed);
        dark.restart();
        self.end(&dark, Hands::default(), &format!("{case}, then the power fails"));
        self.end(disk, hands, case);
    }

    fn end(&self, disk: &Disk, mut hands: Hands, case: &str) {
        assert_same(&look(disk), self.states.last().unwrap(), case);
        hands.suspend().unwrap_or_else(|error| panic!("{case}: at the end: {error:?}"));
        assert_eq!(disk.locks_held(), 0, "{case}");
        assert_not_deleted(disk, case);
        self.check(disk, case);
    }
}

fn take(disk: &Disk, step: &Step, hands: &mut Hands) -> manbo::Result<()> {
    let _entered = disk.enter_as(step.process);
    (step.run)(hands)
}

pub(crate) fn copy(files: &Snapshot) -> Disk {
    let disk = Disk::new(Medium::Flush, 2);
    disk.restore(files);
    disk
}

/// Opening may make the file first and write what it remembers of this device or server then: two transactions.
fn is_half_open(found: &State, before: &State, after: &State) -> bool {
    let rows =
        |state: &State| -> State { state.iter().filter(|row| !row.starts_with("meta:")).cloned().collect() };
    let meta =
        |state: &State| -> State { state.iter().filter(|row| row.starts_with("meta:")).cloned().collect() };
    rows(found) == rows(after) && meta(found) == meta(before)
}

fn assert_same(found: &State, expected: &State, case: &str) {
    if found != expected {
        let only = |left: &State, right: &State| -> State {
            left.iter().filter(|row| !right.contains(row)).cloned().collect()
        };
        panic!(
            "{case}: neither the old state nor the new one: there is {:#?}, there should be {:#?}",
            only(found, expected),
            only(expected, found)
        );
    }
}

/// Every kind of fault, and whether it may stay.
fn kinds() -> Vec<(FaultKind, bool)> {
    let mut kinds = vec![(FaultKind::Kill, false), (FaultKind::KillProcess, false)];
    kinds.extend((0..2).map(|seed| (FaultKind::Torn { seed }, false)));
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
    for (kind, sticky) in kinds() {
        let mut points = 0;
        while strike(&reference, seeded(kind, points), sticky, points) {
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
    let (total, states) = (lines.iter().map(|line| line.2).sum::<u64>(), reference.checked.borrow().len());
    println!("{scenario} | all | {total} points, {states} different files");
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
        dead.iter().for_each(|process| hands.lose(*process));
        if disk.is_down() {
            disk.restart();
        } else {
            reference.judge(&disk, run.done, &case);
            dead.iter().for_each(|process| disk.start_process(*process));
        }
        let from = reference.judge(&disk, run.done, &case);
        if witness.is_none() {
            reference.check(&disk, &case);
        }
        drop(witness);
        reference.go_on_anew(&disk, hands, from, &dead, n, &case);
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
    if std::env::var_os("DBG").is_some() { eprintln!("{case}: {:?} unsynced {}", run.error, disk.unsynced()); }
    let from = reference.judge(&disk, run.done, &case);
    let killed = copy(&disk.snapshot());
    killed.restart();
    let from_killed = reference.judge(&killed, run.done, &format!("{case}, killed then"));
    reference.check(&killed, &case);
    reference.go_on_anew(&killed, Hands::default(), from_killed, &[0, 1], n, &format!("{case}, killed then"));
    reference.go_on(&disk, hands, from, n, &case);
    true
}

fn witness(disk: &Disk) -> Option<rusqlite::Connection> {
    let _entered = disk.enter_as(2);
    disk.image(super::state::PATH)?;
    let witness = rusqlite::Connection::open(super::state::PATH).unwrap();
    super::state::rows(&witness);
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
