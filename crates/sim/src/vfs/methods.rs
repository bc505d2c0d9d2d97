//! The calls that SQLite makes on an open file.
//!
//! Each one turns C's arguments into Rust's, and nothing of Rust's, no panic either, goes out but a code.

use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::ffi;

use super::file::{File, Outcome};

/// What SQLite allocates for an open file.
#[repr(C)]
pub(super) struct Handle {
    base: ffi::sqlite3_file,
    file: *mut File,
}

/// The unit that writes of SQLite heed: a page of the systems that phones run.
const SECTOR_LEN: c_int = 4096;

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// The code of an outcome; of a panic, which must not reach C, that of an I/O error.
pub(super) fn guarded(f: impl FnOnce() -> Outcome<()>) -> c_int {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(())) => ffi::SQLITE_OK,
        Ok(Err(code)) => code,
        Err(_) => ffi::SQLITE_IOERR,
    }
}

/// Puts an open file into the place that SQLite made for it, or marks the place as not opened.
///
/// # Safety
/// `place` is writable for a [`Handle`].
pub(super) unsafe fn put(place: *mut ffi::sqlite3_file, file: Option<File>) {
    let methods = if file.is_some() { &raw const METHODS } else { std::ptr::null() };
    let file = file.map_or(std::ptr::null_mut(), |file| Box::into_raw(Box::new(file)));
    let handle = Handle { base: ffi::sqlite3_file { pMethods: methods }, file };
    // SAFETY: the caller vouches for the place; nothing in it needs to be dropped.
    unsafe { place.cast::<Handle>().write(handle) };
}

/// Runs a call on the open file behind SQLite's pointer.
///
/// # Safety
/// `place` was filled by [`put`] with a file and is not closed yet.
unsafe fn on(place: *mut ffi::sqlite3_file, f: impl FnOnce(&File) -> Outcome<()>) -> c_int {
    guarded(|| {
        // SAFETY: the caller vouches for the place; only `close` frees the file, and SQLite makes no call on
        // a file while it closes it. Shared references alone are made, so calls may even nest.
        let file = unsafe { (*place.cast::<Handle>()).file.as_ref() }.ok_or(ffi::SQLITE_MISUSE)?;
        if file.is_of_this_thread() { f(file) } else { Err(ffi::SQLITE_MISUSE) }
    })
}

unsafe extern "C" fn close(place: *mut ffi::sqlite3_file) -> c_int {
    guarded(|| {
        // SAFETY: SQLite closes a file that `put` filled in.
        let handle = unsafe { &mut *place.cast::<Handle>() };
        let file = std::mem::replace(&mut handle.file, std::ptr::null_mut());
        handle.base.pMethods = std::ptr::null();
        // SAFETY: `file` is null or came from `Box::into_raw` in `put`, and was taken out just now, so nobody
        // has it any more.
        let is_own = unsafe { file.as_ref() }.is_some_and(File::is_of_this_thread);
        if !is_own {
            // Another thread's: it stays in memory, because its counters are not atomic.
            return Err(ffi::SQLITE_MISUSE);
        }
        // SAFETY: as above, and not null.
        unsafe { Box::from_raw(file) }.close()
    })
}

unsafe extern "C" fn read(place: *mut ffi::sqlite3_file, to: *mut c_void, len: c_int, at: i64) -> c_int {
    let Ok(len) = usize::try_from(len) else { return ffi::SQLITE_IOERR_READ };
    // SAFETY: SQLite gives a buffer of this length, which nobody else uses meanwhile, and an open file.
    unsafe { on(place, |file| file.read(at, std::slice::from_raw_parts_mut(to.cast::<u8>(), len))) }
}

unsafe extern "C" fn write(place: *mut ffi::sqlite3_file, from: *const c_void, len: c_int, at: i64) -> c_int {
    let Ok(len) = usize::try_from(len) else { return ffi::SQLITE_IOERR_WRITE };
    // SAFETY: SQLite gives that many readable bytes and an open file.
    unsafe { on(place, |file| file.write(at, std::slice::from_raw_parts(from.cast::<u8>(), len))) }
}

unsafe extern "C" fn truncate(place: *mut ffi::sqlite3_file, len: i64) -> c_int {
    // SAFETY: SQLite gives an open file.
    unsafe { on(place, |file| file.truncate(len)) }
}

unsafe extern "C" fn sync(place: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: SQLite gives an open file.
    unsafe { on(place, File::sync) }
}

unsafe extern "C" fn file_size(place: *mut ffi::sqlite3_file, to: *mut i64) -> c_int {
    // SAFETY: SQLite gives an open file and a place for the number.
    unsafe { on(place, |file| file.len().map(|len| to.write(len))) }
}

unsafe extern "C" fn lock(place: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: SQLite gives an open file.
    unsafe { on(place, |file| file.lock(level)) }
}

unsafe extern "C" fn unlock(place: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: SQLite gives an open file.
    unsafe { on(place, |file| file.unlock(level)) }
}

unsafe extern "C" fn check_reserved_lock(place: *mut ffi::sqlite3_file, to: *mut c_int) -> c_int {
    // SAFETY: SQLite gives an open file and a place for the answer.
    unsafe { on(place, |file| file.is_reserved().map(|is_reserved| to.write(c_int::from(is_reserved)))) }
}

unsafe extern "C" fn file_control(place: *mut ffi::sqlite3_file, request: c_int, to: *mut c_void) -> c_int {
    if request != ffi::SQLITE_FCNTL_LOCKSTATE {
        return ffi::SQLITE_NOTFOUND;
    }
    // SAFETY: SQLite gives an open file and, with this request, a place for a number.
    unsafe { on(place, |file| file.level().map(|level| to.cast::<c_int>().write(level))) }
}

unsafe extern "C" fn sector_size(_place: *mut ffi::sqlite3_file) -> c_int {
    SECTOR_LEN
}

unsafe extern "C" fn device_characteristics(_place: *mut ffi::sqlite3_file) -> c_int {
    // What SQLite assumes on every phone and server: a write cut off by a power loss changes no byte beside it.
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn shm_map(
    place: *mut ffi::sqlite3_file,
    index: c_int,
    len: c_int,
    extend: c_int,
    to: *mut *mut c_void,
) -> c_int {
    // SAFETY: SQLite gives an open file and a place for the address. On an error it reads that place, too.
    unsafe {
        to.write(std::ptr::null_mut());
        on(place, |file| file.shm_map(index, len, extend != 0).map(|region| to.write(region.cast())))
    }
}

unsafe extern "C" fn shm_lock(
    place: *mut ffi::sqlite3_file,
    first: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: SQLite gives an open file.
    unsafe { on(place, |file| file.shm_lock(first, count, flags)) }
}

unsafe extern "C" fn shm_barrier(_place: *mut ffi::sqlite3_file) {
    // One thread uses a disk: there is nothing to order but what the compiler might move.
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}

unsafe extern "C" fn shm_unmap(place: *mut ffi::sqlite3_file, _delete: c_int) -> c_int {
    // SAFETY: SQLite gives an open file. The memory goes with its last user, so there is nothing to delete.
    unsafe { on(place, File::shm_unmap) }
}
