//! How much memory an operation takes at its peak: Rust's own, counted by the allocator, and SQLite's,
//! which SQLite counts itself.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering::Relaxed};

static COUNTING: AtomicBool = AtomicBool::new(false);
static CURRENT: AtomicIsize = AtomicIsize::new(0);
static PEAK: AtomicIsize = AtomicIsize::new(0);

/// The system's allocator; counts while [`peak_bytes`] runs, and otherwise costs one load.
pub(crate) struct Counting;

fn count(bytes: usize, sign: isize) {
    if COUNTING.load(Relaxed) {
        // No allocation is larger than `isize::MAX`: `Layout` says so.
        let change = sign * bytes.cast_signed();
        let current = CURRENT.fetch_add(change, Relaxed) + change;
        PEAK.fetch_max(current, Relaxed);
    }
}

// SAFETY: every call goes to `System` unchanged, which keeps the contract; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: the caller's promise is handed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // A block that moves exists twice for a moment.
        count(new_size, 1);
        // SAFETY: the caller's promise is handed on.
        let moved = unsafe { System.realloc(pointer, layout, new_size) };
        count(layout.size(), -1);
        moved
    }
}

fn sqlite_highwater() -> isize {
    // SAFETY: a counter that SQLite reads under its own lock; 1 resets its mark to what is in use now.
    let bytes = unsafe { rusqlite::ffi::sqlite3_memory_highwater(1) };
    isize::try_from(bytes).unwrap_or(isize::MAX)
}

fn sqlite_used() -> isize {
    // SAFETY: a counter that SQLite reads under its own lock.
    let bytes = unsafe { rusqlite::ffi::sqlite3_memory_used() };
    isize::try_from(bytes).unwrap_or(isize::MAX)
}

/// What `f` took at its peak above what was taken before, by Rust and by SQLite. Their sum is an upper
/// bound, because the two peaks need not come at the same moment.
pub(crate) fn peak_bytes<T>(f: impl FnOnce() -> T) -> (T, isize, isize) {
    sqlite_highwater();
    let sqlite_before = sqlite_used();
    CURRENT.store(0, Relaxed);
    PEAK.store(0, Relaxed);
    COUNTING.store(true, Relaxed);
    let result = f();
    COUNTING.store(false, Relaxed);
    (result, PEAK.load(Relaxed), sqlite_highwater() - sqlite_before)
}
