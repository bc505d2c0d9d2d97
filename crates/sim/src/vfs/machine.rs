//! The state of one simulated machine's disk, and what its operations are told.

use std::ffi::c_int;

use rusqlite::ffi;

use super::directory::{Directory, NodeRef};
use super::disk::Medium;
use super::fault::{Answer, Fault, FaultKind, Operation};
use super::lock::Holder;
use super::power::Image;

/// 2022-10-04T00:00:00Z in milliseconds since 1970, where the clock stands until it is set.
const CLOCK_START_MS: i64 = 1_664_841_600_000;
/// Processes of one machine: the app, its widget, a background extension, and one to spare.
pub(super) const PROCESSES: usize = 4;
/// The FNV-1a parameters of 64 bits.
const TRACE_START: u64 = 0xcbf2_9ce4_8422_2325;
const TRACE_PRIME: u64 = 0x0100_0000_01b3;

/// A fault that waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub(super) fault: Fault,
    /// How many of the operations that it is meant for it still lets pass, where it counts those.
    pub(super) passes: Option<u64>,
}

/// The life of one process.
#[derive(Debug, Clone, Copy, Default)]
struct Process {
    is_dead: bool,
    /// How often it was started anew; files opened in an earlier life are dead.
    life: u64,
}

/// The disk of one simulated machine.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) medium: Medium,
    pub(super) directory: Directory,
    /// Files opened under an earlier one are dead.
    pub(super) generation: u64,
    pub(super) faults: Vec<Waiting>,
    /// How often a fault struck.
    pub(super) fired: u64,
    /// What stopped the machine.
    pub(super) crash: Option<FaultKind>,
    pub(super) ops: u64,
    pub(super) trace: u64,
    /// Ordering flushes since all was durable.
    pub(super) epoch: u64,
    pub(super) deleted: Vec<String>,
    pub(super) rng: fastrand::Rng,
    pub(super) clock_ms: i64,
    pub(super) slept_us: u64,
    processes: [Process; PROCESSES],
    last_file: u64,
}

impl Machine {
    pub(super) fn new(medium: Medium, seed: u64) -> Machine {
        Machine {
            medium,
            directory: Directory::default(),
            generation: 0,
            faults: Vec::new(),
            fired: 0,
            crash: None,
            ops: 0,
            trace: TRACE_START,
            epoch: 0,
            deleted: Vec::new(),
            rng: fastrand::Rng::with_seed(seed),
            clock_ms: CLOCK_START_MS,
            slept_us: 0,
            processes: [Process::default(); PROCESSES],
            last_file: 0,
        }
    }

    /// Whether unsynced changes are kept apart.
    pub(super) fn is_tracked(&self) -> bool {
        self.medium != Medium::Steady
    }

    pub(super) fn next_holder(&mut self, process: usize) -> Holder {
        self.last_file += 1;
        Holder { process, file: self.last_file }
    }

    /// Whether a process, or all of them, has died and was not started again.
    pub(super) fn is_dead(&self, process: usize) -> bool {
        self.crash.is_some() || self.processes.get(process).is_none_or(|process| process.is_dead)
    }

    /// In which of its lives a process, and with it what it has open, is.
    pub(super) fn life(&self, process: usize) -> (u64, u64) {
        (self.generation, self.processes.get(process).map_or(0, |process| process.life))
    }

    /// Counts an operation of a process and decides what it is told. `at` and `len` are for the trace alone.
    pub(super) fn admit(&mut self, process: usize, operation: Operation, at: usize, len: usize) -> Answer {
        if self.is_dead(process) {
            return Answer::Fail(ffi::SQLITE_IOERR);
        }
        let number = self.ops;
        if operation.is_counted() {
            self.ops += 1;
            for part in [operation as usize, at, len] {
                self.trace = (self.trace ^ part as u64).wrapping_mul(TRACE_PRIME);
            }
        }
        let due = |waiting: &mut Waiting| {
            if waiting.fault.at_op > number {
                return None;
            }
            let answer = waiting.fault.kind.answer(operation)?;
            let Some(passes) = &mut waiting.passes else { return Some(answer) };
            if !waiting.fault.kind.is_meant_for(operation) {
                return None;
            }
            let strikes = *passes == 0;
            *passes = passes.saturating_sub(1);
            strikes.then_some(answer)
        };
        let mut told = self.faults.iter_mut().enumerate();
        let Some((index, answer)) = told.find_map(|(index, waiting)| Some((index, due(waiting)?))) else {
            return Answer::Go;
        };
        let Waiting { fault, .. } = self.faults[index];
        self.fired += 1;
        if fault.kind.is_single() || !fault.sticky {
            self.faults.remove(index);
        }
        if fault.kind.is_crash() {
            self.stop(fault.kind);
        } else if fault.kind == FaultKind::KillProcess {
            self.kill(process);
        }
        answer
    }

    /// Ends one process; the others live on.
    pub(super) fn kill(&mut self, process: usize) {
        if let Some(process) = self.processes.get_mut(process) {
            process.is_dead = true;
        }
        for (_, node) in self.directory.iter() {
            if let Ok(mut node) = node.try_borrow_mut() {
                node.release_process(process);
            }
        }
    }

    /// Starts one process again; what it had open is dead.
    pub(super) fn start(&mut self, process: usize) {
        self.kill(process);
        if let Some(process) = self.processes.get_mut(process) {
            process.is_dead = false;
            process.life += 1;
        }
    }

    /// Stops the machine: nothing answers until it is started again, and the locks of the dead are gone.
    pub(super) fn stop(&mut self, crash: FaultKind) {
        self.crash = Some(crash);
        (0..PROCESSES).for_each(|process| self.kill(process));
    }

    /// Starts the machine again after a crash, or under a running one: files opened before are dead.
    pub(super) fn restart(&mut self) {
        self.directory = match self.crash.take() {
            Some(FaultKind::Power { seed }) => {
                let mut image = Image::new(seed, self.epoch);
                let kept = image.entries(self.directory.waiting());
                self.epoch = 0;
                self.directory.after_power_loss(kept, |node| node.after_power_loss(&mut image))
            }
            _ => self.directory.copy(),
        };
        self.begin();
    }

    /// Puts other files in the place of all that is there, with the ordering flushes that they have seen.
    pub(super) fn replace(&mut self, directory: Directory, epoch: u64) {
        self.crash = None;
        self.epoch = epoch;
        self.directory = directory;
        self.begin();
    }

    fn begin(&mut self) {
        self.generation += 1;
        for process in &mut self.processes {
            process.is_dead = false;
        }
    }

    /// A flush of a file.
    pub(super) fn sync(&mut self, node: &NodeRef) -> Result<(), c_int> {
        let mut file = node.try_borrow_mut().map_err(|_| ffi::SQLITE_IOERR_FSYNC)?;
        match self.medium {
            Medium::Steady | Medium::NoFlush => {}
            Medium::Flush => {
                file.sync();
                self.directory.synced(node);
            }
            Medium::Order => {
                file.order(self.epoch);
                self.epoch += 1;
                self.directory.synced(node);
            }
        }
        Ok(())
    }
}
