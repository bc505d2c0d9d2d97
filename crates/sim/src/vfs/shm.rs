//! The shared memory of one database in WAL mode: regions that never move, and eight locks.

use std::cell::RefCell;
use std::ffi::c_int;

use rusqlite::ffi;

use super::lock::Holder;

/// The locks of a WAL index.
const LOCKS: c_int = ffi::SQLITE_SHM_NLOCK;
/// What SQLite asks for at a time is 32 KiB, enough for 4,096 frames; sixteen megabytes of it are a WAL of
/// two million frames, which is an error in the test.
const REGIONS_MAX: usize = 512;
/// A region is 32 KiB; more is not SQLite.
const REGION_LEN_MAX: usize = 1 << 20;

/// Memory that stays where it is until it goes.
#[derive(Debug)]
struct Region {
    words: *mut [u64],
}

impl Region {
    fn new(len: usize) -> Region {
        let words = vec![0u64; len.div_ceil(size_of::<u64>())].into_boxed_slice();
        Region { words: Box::into_raw(words) }
    }

    fn address(&self) -> *mut u8 {
        self.words.cast()
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `Box::into_raw` in `new`, and nobody else frees it. Whoever could
        // still use the memory holds the `Shm` that owns this region.
        drop(unsafe { Box::from_raw(self.words) });
    }
}

/// Which of the eight locks one holder has, a bit each.
#[derive(Debug, Clone, Copy)]
struct Held {
    holder: Holder,
    shared: u8,
    exclusive: u8,
}

/// The shared memory of one database. An open file keeps it alive as long as it uses it, also when a
/// restarted machine has new one.
#[derive(Debug, Default)]
pub(super) struct Shm {
    regions: RefCell<Vec<Region>>,
    held: RefCell<Vec<Held>>,
    users: RefCell<Vec<Holder>>,
}

impl Shm {
    /// Whether no living process uses it: then the next one gets new memory, and builds the index anew.
    pub(super) fn is_deserted(&self) -> bool {
        self.users.try_borrow().is_ok_and(|users| users.is_empty())
    }

    /// Notes one that uses it.
    pub(super) fn attach(&self, holder: Holder) -> Result<(), c_int> {
        self.users.try_borrow_mut().map_err(|_| ffi::SQLITE_IOERR_SHMMAP)?.push(holder);
        Ok(())
    }

    /// The address of a region. Null where there is none and `extend` is false.
    pub(super) fn map(&self, index: usize, len: usize, extend: bool) -> Result<*mut u8, c_int> {
        if index >= REGIONS_MAX || len > REGION_LEN_MAX {
            return Err(ffi::SQLITE_IOERR_SHMSIZE);
        }
        let mut regions = self.regions.try_borrow_mut().map_err(|_| ffi::SQLITE_IOERR_SHMMAP)?;
        while extend && regions.len() <= index {
            regions.push(Region::new(len));
        }
        Ok(regions.get(index).map_or(std::ptr::null_mut(), Region::address))
    }

    /// Whether a call with these arguments would have to make a region.
    pub(super) fn would_grow(&self, index: usize, extend: bool) -> bool {
        extend && self.regions.try_borrow().is_ok_and(|regions| regions.len() <= index)
    }

    /// Takes or gives back `count` locks from `first` on.
    pub(super) fn lock(&self, holder: Holder, first: c_int, count: c_int, flags: c_int) -> Result<(), c_int> {
        let is_valid = first >= 0 && count >= 1 && first <= LOCKS && count <= LOCKS - first;
        if !is_valid {
            return Err(ffi::SQLITE_MISUSE);
        }
        let bits =
            (0..LOCKS).filter(|at| (first..first + count).contains(at)).fold(0u8, |bits, at| bits | 1 << at);
        let mut held = self.held.try_borrow_mut().map_err(|_| ffi::SQLITE_IOERR_SHMLOCK)?;
        let others = held.iter().filter(|held| held.holder != holder);
        let (shared, exclusive) = others.fold((0, 0), |(s, e), held| (s | held.shared, e | held.exclusive));
        let is_shared = flags & ffi::SQLITE_SHM_SHARED != 0;
        let at = held.iter().position(|held| held.holder == holder);
        let mut mine = at.map_or(Held { holder, shared: 0, exclusive: 0 }, |at| held.swap_remove(at));
        let mut result = Ok(());
        if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
            let which = if is_shared { &mut mine.shared } else { &mut mine.exclusive };
            *which &= !bits;
        } else if is_shared {
            if exclusive & bits == 0 {
                mine.shared |= bits;
            } else {
                result = Err(ffi::SQLITE_BUSY);
            }
        } else if (exclusive | shared) & bits == 0 {
            mine.exclusive |= bits;
        } else {
            result = Err(ffi::SQLITE_BUSY);
        }
        if mine.shared | mine.exclusive != 0 {
            held.push(mine);
        }
        result
    }

    /// Gives back all that some holders have.
    pub(super) fn release(&self, is_gone: impl Fn(Holder) -> bool) {
        if let (Ok(mut held), Ok(mut users)) = (self.held.try_borrow_mut(), self.users.try_borrow_mut()) {
            held.retain(|held| !is_gone(held.holder));
            users.retain(|user| !is_gone(*user));
        }
    }

    /// How many locks are held.
    pub(super) fn count(&self) -> usize {
        let count = |held: &Held| (held.shared.count_ones() + held.exclusive.count_ones()) as usize;
        self.held.try_borrow().map_or(0, |held| held.iter().map(count).sum())
    }
}
