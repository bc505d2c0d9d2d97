//! The locks of one file, as SQLite's five levels.

use std::ffi::c_int;

use rusqlite::ffi;

/// Who holds a lock: an open file of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) process: usize,
    pub(super) file: u64,
}

/// The levels that are held on one file.
#[derive(Debug, Default)]
pub(super) struct FileLocks {
    held: Vec<(Holder, c_int)>,
}

impl FileLocks {
    /// Raises a holder's level, or fails with `SQLITE_BUSY`.
    pub(super) fn lock(&mut self, holder: Holder, level: c_int) -> Result<(), c_int> {
        if self.level(holder) >= level {
            return Ok(());
        }
        let others = self
            .held
            .iter()
            .filter(|(other, _)| *other != holder)
            .map(|(_, level)| *level)
            .max()
            .unwrap_or(0);
        match level {
            ffi::SQLITE_LOCK_SHARED if others < ffi::SQLITE_LOCK_PENDING => self.set(holder, level),
            ffi::SQLITE_LOCK_RESERVED if others < ffi::SQLITE_LOCK_RESERVED => self.set(holder, level),
            ffi::SQLITE_LOCK_EXCLUSIVE if others < ffi::SQLITE_LOCK_SHARED => self.set(holder, level),
            ffi::SQLITE_LOCK_EXCLUSIVE if others < ffi::SQLITE_LOCK_RESERVED => {
                // No new reader comes in while this one waits for those that are there.
                self.set(holder, ffi::SQLITE_LOCK_PENDING);
                return Err(ffi::SQLITE_BUSY);
            }
            _ => return Err(ffi::SQLITE_BUSY),
        }
        Ok(())
    }

    /// Lowers a holder's level to shared or to none.
    pub(super) fn unlock(&mut self, holder: Holder, level: c_int) {
        if self.level(holder) > level {
            self.set(holder, level);
        }
    }

    /// Whether anybody means to write.
    pub(super) fn is_reserved(&self) -> bool {
        self.held.iter().any(|(_, level)| *level >= ffi::SQLITE_LOCK_RESERVED)
    }

    pub(super) fn count(&self) -> usize {
        self.held.len()
    }

    /// Gives back what the files of a process hold.
    pub(super) fn release_process(&mut self, process: usize) {
        self.held.retain(|(holder, _)| holder.process != process);
    }

    /// The level of one holder.
    pub(super) fn level(&self, holder: Holder) -> c_int {
        self.held
            .iter()
            .find(|(other, _)| *other == holder)
            .map_or(ffi::SQLITE_LOCK_NONE, |(_, level)| *level)
    }

    fn set(&mut self, holder: Holder, level: c_int) {
        self.held.retain(|(other, _)| *other != holder);
        if level > ffi::SQLITE_LOCK_NONE {
            self.held.push((holder, level));
        }
    }
}
