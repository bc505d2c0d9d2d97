//! One file: what can be read of it, what survives a power loss, and what lies between.

use std::ffi::c_int;
use std::rc::Rc;

use rusqlite::ffi;

use super::lock::FileLocks;
use super::power::Image;
use super::shm::Shm;

/// A ledger is some hundred kilobytes; what grows to a gigabyte is an error in the test, answered as a full
/// disk.
const LEN_MAX: usize = 1 << 30;

/// A change of a file.
#[derive(Debug, Clone)]
pub(super) enum Edit {
    Write { at: usize, bytes: Box<[u8]> },
    Truncate(usize),
}

/// A change that the medium may not have.
#[derive(Debug, Clone)]
pub(super) struct Unsynced {
    /// The ordering flush that followed it, where flushes only order.
    pub(super) epoch: Option<u64>,
    pub(super) edit: Edit,
}

/// The content of one file and its locks.
#[derive(Debug, Default)]
pub(super) struct Node {
    cached: Rc<Vec<u8>>,
    durable: Rc<Vec<u8>>,
    unsynced: Vec<Unsynced>,
    pub(super) locks: FileLocks,
    pub(super) shm: Option<Rc<Shm>>,
}

impl Node {
    /// A file all of which is durable.
    pub(super) fn settled(bytes: Rc<Vec<u8>>) -> Node {
        Node { cached: Rc::clone(&bytes), durable: bytes, ..Node::default() }
    }

    /// The same content without locks and shared memory.
    pub(super) fn copy(&self) -> Node {
        Node {
            cached: Rc::clone(&self.cached),
            durable: Rc::clone(&self.durable),
            unsynced: self.unsynced.clone(),
            ..Node::default()
        }
    }

    pub(super) fn bytes(&self) -> &Rc<Vec<u8>> {
        &self.cached
    }

    pub(super) fn unsynced(&self) -> usize {
        self.unsynced.len()
    }

    /// Fills a buffer; what lies behind the end is zero, and then the answer is false.
    pub(super) fn read(&self, at: usize, buffer: &mut [u8]) -> bool {
        let there = self.cached.get(at..).unwrap_or_default();
        let len = there.len().min(buffer.len());
        let (filled, rest) = buffer.split_at_mut(len);
        filled.copy_from_slice(&there[..len]);
        rest.fill(0);
        rest.is_empty()
    }

    pub(super) fn write(&mut self, at: usize, bytes: &[u8], tracked: bool) -> Result<(), c_int> {
        if at.checked_add(bytes.len()).is_none_or(|end| end > LEN_MAX) {
            return Err(ffi::SQLITE_FULL);
        }
        overwrite(Rc::make_mut(&mut self.cached), at, bytes);
        if tracked {
            self.unsynced.push(Unsynced { epoch: None, edit: Edit::Write { at, bytes: bytes.into() } });
        }
        Ok(())
    }

    pub(super) fn truncate(&mut self, len: usize, tracked: bool) -> Result<(), c_int> {
        if len > LEN_MAX {
            return Err(ffi::SQLITE_FULL);
        }
        Rc::make_mut(&mut self.cached).resize(len, 0);
        if tracked {
            self.unsynced.push(Unsynced { epoch: None, edit: Edit::Truncate(len) });
        }
        Ok(())
    }

    /// Gives back the locks and the shared memory of a dead process.
    pub(super) fn release_process(&mut self, process: usize) {
        self.locks.release_process(process);
        if let Some(shm) = &self.shm {
            shm.release(|holder| holder.process == process);
        }
        self.leave_deserted();
    }

    /// Lets go of shared memory that nobody uses.
    pub(super) fn leave_deserted(&mut self) {
        self.shm = self.shm.take().filter(|shm| !shm.is_deserted());
    }

    /// Makes every change durable.
    pub(super) fn sync(&mut self) {
        if self.unsynced.is_empty() {
            return;
        }
        let durable = Rc::make_mut(&mut self.durable);
        for change in self.unsynced.drain(..) {
            match change.edit {
                Edit::Write { at, bytes } => overwrite(durable, at, &bytes),
                Edit::Truncate(len) => durable.resize(len, 0),
            }
        }
    }

    /// Orders what was written so far before what comes later.
    pub(super) fn order(&mut self, epoch: u64) {
        for change in self.unsynced.iter_mut().rev().take_while(|change| change.epoch.is_none()) {
            change.epoch = Some(epoch);
        }
    }

    /// A flush failed: what the coin names is marked clean and never reaches the medium.
    pub(super) fn lose(&mut self, seed: u64) {
        let mut coin = fastrand::Rng::with_seed(seed);
        if coin.bool() {
            let all = coin.bool();
            self.unsynced.retain(|_| !all && coin.bool());
        }
    }

    /// The file after a power loss.
    pub(super) fn after_power_loss(&self, image: &mut Image) -> Node {
        let mut durable = Rc::clone(&self.durable);
        if !self.unsynced.is_empty() {
            image.apply(&self.unsynced, Rc::make_mut(&mut durable));
        }
        Node::settled(durable)
    }
}

/// Writes into a file that grows as needed.
pub(super) fn overwrite(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[at..end].copy_from_slice(bytes);
}
