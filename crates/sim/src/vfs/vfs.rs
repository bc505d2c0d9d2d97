//! The calls that SQLite makes on names, the clock and randomness, and the registration of it all.
//!
//! A name that is opened while a disk is entered becomes `/manbo-sim:0000000000000001:0:/sim/steps.db`, with
//! the number of the disk and of the process, so that what SQLite later asks about it, its WAL or its journal
//! finds both without their being entered.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::OnceLock;

use rusqlite::ffi;

use super::disk::{self, Current, Shared};
use super::fault::Operation;
use super::file::{File, Outcome, go, machine};
use super::methods::{self, Handle, guarded};

const NAME: &CStr = c"manbo-sim";
const PREFIX: &str = "/manbo-sim:";
/// A disk's number in a name: sixteen digits, so that every name of a run is as long as in any other run.
const NUMBER_LEN: usize = 16;
/// The start of 1970 in milliseconds of SQLite's calendar, which starts at noon of 4714-11-24 BC:
/// 2,440,587.5 days.
const UNIX_START_MS: i64 = 210_866_760_000_000;
/// Milliseconds of a day, for the older call that wants days.
const DAY_MS: f64 = 86_400_000.0;

/// Registers the file system as SQLite's default, once; gives SQLite's code.
pub(super) fn register() -> c_int {
    static REGISTERED: OnceLock<c_int> = OnceLock::new();
    *REGISTERED.get_or_init(|| {
        // SAFETY: a null name asks for the default; this call initializes SQLite.
        let former = unsafe { ffi::sqlite3_vfs_find(std::ptr::null()) };
        // SAFETY: what SQLite has registered is valid and stays.
        let Some(real) = (unsafe { former.as_ref() }) else { return ffi::SQLITE_ERROR };
        let own_len = c_int::try_from(size_of::<Handle>()).unwrap_or(c_int::MAX);
        let vfs = Box::new(ffi::sqlite3_vfs {
            iVersion: 2,
            szOsFile: real.szOsFile.max(own_len),
            mxPathname: real.mxPathname,
            pNext: std::ptr::null_mut(),
            zName: NAME.as_ptr(),
            pAppData: former.cast(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            xFullPathname: Some(full_pathname),
            xDlOpen: Some(dl_open),
            xDlError: Some(dl_error),
            xDlSym: Some(dl_sym),
            xDlClose: Some(dl_close),
            xRandomness: Some(randomness),
            xSleep: Some(sleep),
            xCurrentTime: Some(current_time),
            xGetLastError: Some(last_error),
            xCurrentTimeInt64: Some(current_time_int64),
            xSetSystemCall: None,
            xGetSystemCall: None,
            xNextSystemCall: None,
        });
        // SAFETY: the table is never freed, as SQLite asks.
        unsafe { ffi::sqlite3_vfs_register(Box::leak(vfs), 1) }
    })
}

/// Where a name leads.
enum Place<'n> {
    Simulated(Current, &'n str),
    /// A disk of another thread, or one that is no more.
    Gone,
    Real,
}

/// # Safety
/// `name` is null or a C string that outlives the answer.
unsafe fn place<'n>(name: *const c_char) -> Place<'n> {
    if name.is_null() {
        return Place::Real;
    }
    // SAFETY: the caller vouches for the string.
    let name = unsafe { CStr::from_ptr(name) };
    if !name.to_bytes().starts_with(PREFIX.as_bytes()) {
        return Place::Real;
    }
    let found = || {
        let (number, name) = name.to_str().ok()?.strip_prefix(PREFIX)?.split_at_checked(NUMBER_LEN)?;
        let (process, name) = name.strip_prefix(':')?.split_once(':')?;
        let disk = disk::find(u64::from_str_radix(number, 16).ok()?)?;
        Some(Place::Simulated(Current { disk, process: process.parse().ok()? }, name))
    };
    found().unwrap_or(Place::Gone)
}

/// The file system that was the default before.
///
/// # Safety
/// `vfs` is the table made in [`register`].
unsafe fn former(vfs: *mut ffi::sqlite3_vfs) -> *mut ffi::sqlite3_vfs {
    // SAFETY: the caller vouches for the table, whose application data is a registered file system.
    unsafe { (*vfs).pAppData.cast() }
}

/// Passes a call on to the former file system, or gives `$none` where that has no such call.
macro_rules! pass_on {
    ($vfs:expr, $call:ident($($argument:expr),*), $none:expr) => {{
        let former = former($vfs);
        match (*former).$call {
            Some(call) => call(former, $($argument),*),
            None => $none,
        }
    }};
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    to: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives a name or null.
    let place = unsafe { place(name) };
    let (current, name) = match place {
        Place::Simulated(current, name) => (current, Some(name)),
        Place::Real if name.is_null() => match disk::current() {
            Some(current) => (current, None),
            // SAFETY: the arguments are SQLite's own.
            None => return unsafe { pass_on!(vfs, xOpen(name, to, flags, out_flags), ffi::SQLITE_CANTOPEN) },
        },
        // SAFETY: the arguments are SQLite's own.
        Place::Real => {
            return unsafe { pass_on!(vfs, xOpen(name, to, flags, out_flags), ffi::SQLITE_CANTOPEN) };
        }
        Place::Gone => {
            // SAFETY: SQLite's place is at least `szOsFile` long, which is at least a handle.
            unsafe { methods::put(to, None) };
            return ffi::SQLITE_CANTOPEN;
        }
    };
    guarded(|| {
        // SAFETY: as above.
        unsafe { methods::put(to, None) };
        let (file, opened) = File::open(current, name, flags)?;
        // SAFETY: as above; the place for the flags may be null.
        unsafe {
            methods::put(to, Some(file));
            if let Some(out_flags) = out_flags.as_mut() {
                *out_flags = opened;
            }
        }
        Ok(())
    })
}

unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: SQLite gives a name.
    match unsafe { place(name) } {
        Place::Simulated(current, name) => guarded(|| delete_in(&current, name, sync != 0)),
        Place::Gone => ffi::SQLITE_IOERR_DELETE,
        // SAFETY: the arguments are SQLite's own.
        Place::Real => unsafe { pass_on!(vfs, xDelete(name, sync), ffi::SQLITE_IOERR_DELETE) },
    }
}

fn delete_in(current: &Current, name: &str, sync: bool) -> Outcome<()> {
    let mut machine = machine(&current.disk)?;
    go(machine.admit(current.process, Operation::Delete, name.len(), usize::from(sync)))?;
    let tracked = machine.is_tracked();
    // Where flushes do nothing, that of the folder does nothing, too.
    let sync = sync && machine.medium != disk::Medium::NoFlush;
    if !machine.directory.delete(name, tracked, sync) {
        return Err(ffi::SQLITE_IOERR_DELETE_NOENT);
    }
    machine.deleted.push(name.to_owned());
    Ok(())
}

unsafe extern "C" fn access(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    to: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives a name.
    match unsafe { place(name) } {
        Place::Simulated(current, name) => guarded(|| {
            let is_there = is_there(&current, name, flags)?;
            // SAFETY: SQLite gives a place for the answer.
            unsafe { to.write(c_int::from(is_there)) };
            Ok(())
        }),
        Place::Gone => ffi::SQLITE_IOERR_ACCESS,
        // SAFETY: the arguments are SQLite's own.
        Place::Real => unsafe { pass_on!(vfs, xAccess(name, flags, to), ffi::SQLITE_IOERR_ACCESS) },
    }
}

fn is_there(current: &Current, name: &str, flags: c_int) -> Outcome<bool> {
    let mut machine = machine(&current.disk)?;
    go(machine.admit(current.process, Operation::Look, 0, 0))?;
    let Some(node) = machine.directory.get(name) else { return Ok(false) };
    let node = node.try_borrow().map_err(|_| ffi::SQLITE_IOERR_ACCESS)?;
    // An empty file does not exist to SQLite, as in its own file systems.
    Ok(flags != ffi::SQLITE_ACCESS_EXISTS || !node.bytes().is_empty())
}

unsafe extern "C" fn full_pathname(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    room: c_int,
    to: *mut c_char,
) -> c_int {
    // SAFETY: SQLite gives a name.
    let is_real = matches!(unsafe { place(name) }, Place::Real);
    let current = disk::current().filter(|_| is_real);
    if is_real && current.is_none() {
        // SAFETY: the arguments are SQLite's own.
        return unsafe { pass_on!(vfs, xFullPathname(name, room, to), ffi::SQLITE_CANTOPEN) };
    }
    guarded(|| {
        // SAFETY: SQLite gives a name.
        let name = unsafe { CStr::from_ptr(name) }.to_bytes();
        let prefix = current.map(|current| prefix(&current)).unwrap_or_default();
        let full: Vec<u8> = prefix.bytes().chain(name.iter().copied()).chain([0]).collect();
        if usize::try_from(room).map_err(|_| ffi::SQLITE_CANTOPEN)? < full.len() {
            return Err(ffi::SQLITE_CANTOPEN);
        }
        // SAFETY: SQLite gives `room` writable bytes, and the name was seen to fit.
        unsafe { to.cast::<u8>().copy_from_nonoverlapping(full.as_ptr(), full.len()) };
        Ok(())
    })
}

fn prefix(current: &Current) -> String {
    format!("{PREFIX}{:0NUMBER_LEN$x}:{}:", current.disk.number, current.process)
}

unsafe extern "C" fn randomness(vfs: *mut ffi::sqlite3_vfs, len: c_int, to: *mut c_char) -> c_int {
    let Some(Current { disk, .. }) = disk::current() else {
        // SAFETY: the arguments are SQLite's own.
        return unsafe { pass_on!(vfs, xRandomness(len, to), 0) };
    };
    let code = guarded(|| {
        let len = usize::try_from(len).map_err(|_| ffi::SQLITE_MISUSE)?;
        // SAFETY: SQLite gives that many writable bytes. They are initialized: it cleared them.
        let bytes = unsafe { std::slice::from_raw_parts_mut(to.cast::<u8>(), len) };
        machine(&disk)?.rng.fill(bytes);
        Ok(())
    });
    if code == ffi::SQLITE_OK { len } else { 0 }
}

unsafe extern "C" fn sleep(vfs: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    let Some(Current { disk, .. }) = disk::current() else {
        // SAFETY: the arguments are SQLite's own.
        return unsafe { pass_on!(vfs, xSleep(microseconds), 0) };
    };
    guarded(|| {
        machine(&disk)?.slept_us += u64::try_from(microseconds).unwrap_or_default();
        Ok(())
    });
    microseconds
}

/// The clock of a disk in SQLite's milliseconds; what SQLite slept went by on it.
fn clock(disk: &Shared) -> Outcome<i64> {
    let machine = machine(disk)?;
    let slept_ms = i64::try_from(machine.slept_us / 1000).map_err(|_| ffi::SQLITE_ERROR)?;
    machine
        .clock_ms
        .checked_add(slept_ms)
        .and_then(|unix_ms| unix_ms.checked_add(UNIX_START_MS))
        .ok_or(ffi::SQLITE_ERROR)
}

unsafe extern "C" fn current_time_int64(vfs: *mut ffi::sqlite3_vfs, to: *mut i64) -> c_int {
    let Some(Current { disk, .. }) = disk::current() else {
        // SAFETY: the arguments are SQLite's own.
        return unsafe { pass_on!(vfs, xCurrentTimeInt64(to), ffi::SQLITE_ERROR) };
    };
    // SAFETY: SQLite gives a place for the number.
    guarded(|| clock(&disk).map(|now| unsafe { to.write(now) }))
}

unsafe extern "C" fn current_time(vfs: *mut ffi::sqlite3_vfs, to: *mut f64) -> c_int {
    let Some(Current { disk, .. }) = disk::current() else {
        // SAFETY: the arguments are SQLite's own.
        return unsafe { pass_on!(vfs, xCurrentTime(to), ffi::SQLITE_ERROR) };
    };
    #[expect(clippy::cast_precision_loss, reason = "below 2^53 until the year 280,000")]
    let days = |now: i64| now as f64 / DAY_MS;
    // SAFETY: SQLite gives a place for the number.
    guarded(|| clock(&disk).map(|now| unsafe { to.write(days(now)) }))
}

unsafe extern "C" fn last_error(vfs: *mut ffi::sqlite3_vfs, len: c_int, to: *mut c_char) -> c_int {
    if disk::current().is_some() {
        // A simulated fault has no number of the operating system.
        return 0;
    }
    // SAFETY: the arguments are SQLite's own.
    unsafe { pass_on!(vfs, xGetLastError(len, to), 0) }
}

unsafe extern "C" fn dl_open(vfs: *mut ffi::sqlite3_vfs, name: *const c_char) -> *mut c_void {
    // SAFETY: the arguments are SQLite's own.
    unsafe { pass_on!(vfs, xDlOpen(name), std::ptr::null_mut()) }
}

unsafe extern "C" fn dl_error(vfs: *mut ffi::sqlite3_vfs, len: c_int, to: *mut c_char) {
    // SAFETY: the arguments are SQLite's own.
    unsafe { pass_on!(vfs, xDlError(len, to), ()) }
}

/// A function of a loaded library.
type Symbol = Option<unsafe extern "C" fn(*mut ffi::sqlite3_vfs, *mut c_void, *const c_char)>;

unsafe extern "C" fn dl_sym(vfs: *mut ffi::sqlite3_vfs, library: *mut c_void, name: *const c_char) -> Symbol {
    // SAFETY: the arguments are SQLite's own.
    unsafe { pass_on!(vfs, xDlSym(library, name), None) }
}

unsafe extern "C" fn dl_close(vfs: *mut ffi::sqlite3_vfs, library: *mut c_void) {
    // SAFETY: the arguments are SQLite's own.
    unsafe { pass_on!(vfs, xDlClose(library), ()) }
}
