//! A scenario's states, and how it goes on after an interruption: at every bend the file is what it was before
//! the interrupted step, or what it is after it.

use std::collections::BTreeSet;

use manbo::Error;
use manbo_sim::vfs::{Disk, Medium, Snapshot};

use super::scenario::{Hands, Scenario, Step};
use super::state::{State, assert_not_deleted, check, look};

/// A scenario with what its file is before each step and at the end.
pub(crate) struct Reference {
    pub(crate) scenario: Scenario,
    setup: Snapshot,
    states: Vec<State>,
    /// Files that were opened as the library does and held to its promises.
    checked: std::cell::RefCell<BTreeSet<State>>,
}

/// Where a scenario was interrupted.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// Steps that were acknowledged.
    pub(crate) done: usize,
    /// The step to go on with.
    pub(crate) from: usize,
    /// Of the power loss at the end.
    pub(crate) seed: u64,
    /// Whether there is one.
    pub(crate) goes_dark: bool,
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
        let mut states = vec![look(&copy(&setup), "at first")];
        let mut hands = Hands::default();
        for step in &scenario.steps {
            take(&disk, step, &mut hands).unwrap_or_else(|error| panic!("{}: {error:?}", step.name));
            states.push(look(&disk, step.name));
        }
        let reference = Reference { scenario, setup, states, checked: std::cell::RefCell::default() };
        reference.end(&disk, hands, "without a fault");
        reference
    }

    pub(crate) fn disk(&self) -> Disk {
        copy(&self.setup)
    }

    /// How many different files were checked.
    pub(crate) fn files(&self) -> usize {
        self.checked.borrow().len()
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
        self.place(&look(disk, case), done, case)
    }

    /// As [`Reference::judge`], of a disk at rest, whose file is opened as the library does, too.
    pub(crate) fn judge_at_rest(&self, disk: &Disk, done: usize, case: &str) -> usize {
        let found = look(disk, case);
        let from = self.place(&found, done, case);
        self.check(disk, found, case);
        from
    }

    fn place(&self, found: &State, done: usize, case: &str) -> usize {
        let Some(step) = self.scenario.steps.get(done) else {
            assert_same(found, &self.states[done], case);
            return done;
        };
        let (before, after) = (&self.states[done], &self.states[done + 1]);
        if found == before || (step.opens && is_half_open(found, before, after)) {
            return done;
        }
        assert_same(found, after, case);
        // To open is to be done again in any case.
        if step.opens { done } else { done + 1 }
    }

    /// Opens a copy of a disk at rest as the library does, where no like one was opened before.
    fn check(&self, disk: &Disk, found: State, case: &str) {
        if self.checked.borrow_mut().insert(found) {
            check(&copy(&disk.snapshot()), &self.scenario.options, case);
        }
    }

    /// Starts what died, opens what it had open, and goes on to the end; then the power fails.
    pub(crate) fn go_on_anew(&self, disk: &Disk, mut hands: Hands, at: Place, dead: &[usize], case: &str) {
        for step in self.scenario.steps.iter().take(at.from).filter(|step| step.opens) {
            if dead.contains(&step.process) {
                take(disk, step, &mut hands)
                    .unwrap_or_else(|error| panic!("{case}: then {}: {error:?}", step.name));
            }
        }
        self.go_on(disk, hands, at, case);
    }

    /// Goes on to the end; then the power fails.
    pub(crate) fn go_on(&self, disk: &Disk, mut hands: Hands, at: Place, case: &str) {
        let rest = self.run(disk, &mut hands, at.from);
        let name = self.scenario.steps.get(rest.done).map_or("", |step| step.name);
        assert!(rest.error.is_none(), "{case}: then {name}: {:?}", rest.error);
        if at.goes_dark {
            self.go_dark(disk, at, case);
        }
        self.end(disk, hands, case);
    }

    /// What a power loss leaves of a copy.
    fn go_dark(&self, disk: &Disk, at: Place, case: &str) {
        let case = format!("{case}, then the power fails");
        let dark = copy(&disk.snapshot());
        dark.power_off(at.seed);
        dark.restart();
        // What was seen but never acknowledged may go, if nothing was acknowledged after it.
        let is_last = self.states[at.from..].iter().all(|state| *state == self.states[at.from]);
        if !(is_last && look(&dark, &case) == self.states[at.done]) {
            self.end(&dark, Hands::default(), &case);
        }
    }

    fn end(&self, disk: &Disk, mut hands: Hands, case: &str) {
        let found = look(disk, case);
        assert_same(&found, self.states.last().unwrap(), case);
        hands.suspend().unwrap_or_else(|error| panic!("{case}: at the end: {error:?}"));
        assert_eq!(disk.locks_held(), 0, "{case}");
        assert_not_deleted(disk, case);
        self.check(disk, found, case);
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
