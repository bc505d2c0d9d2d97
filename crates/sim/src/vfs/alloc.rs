//! Memory that runs out: the k-th allocation of SQLite in this thread fails.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::marker::PhantomData;
use std::sync::OnceLock;

use rusqlite::ffi;

/// SQLite's own allocator.
struct Real {
    malloc: unsafe extern "C" fn(c_int) -> *mut c_void,
    realloc: unsafe extern "C" fn(*mut c_void, c_int) -> *mut c_void,
}

/// Set before SQLite calls the functions below for the first time.
static REAL: OnceLock<Real> = OnceLock::new();

/// Puts the counting in front of SQLite's allocator, and turns its memory statistics off, which would take a
/// lock at every allocation. Call it before anything else of SQLite in the process; a second call does
/// nothing. Until [`Allocations::fail_at`] nothing fails.
///
/// # Errors
/// SQLite's code, `SQLITE_MISUSE` (21) where SQLite is in use already.
pub fn install() -> Result<(), c_int> {
    static INSTALLED: OnceLock<c_int> = OnceLock::new();
    match *INSTALLED.get_or_init(configure) {
        ffi::SQLITE_OK => Ok(()),
        code => Err(code),
    }
}

fn configure() -> c_int {
    let mut methods = ffi::sqlite3_mem_methods {
        xMalloc: None,
        xFree: None,
        xRealloc: None,
        xSize: None,
        xRoundup: None,
        xInit: None,
        xShutdown: None,
        pAppData: std::ptr::null_mut(),
    };
    // SAFETY: the request wants the address of such a table, and fills it.
    let code = unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_GETMALLOC, &raw mut methods) };
    if code != ffi::SQLITE_OK {
        return code;
    }
    let (Some(real_malloc), Some(real_realloc)) = (methods.xMalloc, methods.xRealloc) else {
        return ffi::SQLITE_ERROR;
    };
    REAL.get_or_init(|| Real { malloc: real_malloc, realloc: real_realloc });
    methods.xMalloc = Some(malloc);
    methods.xRealloc = Some(realloc);
    // SAFETY: the requests want the address of a table, which SQLite copies, and a number. The functions are
    // SQLite's own but for two, which call SQLite's own.
    unsafe {
        match ffi::sqlite3_config(ffi::SQLITE_CONFIG_MALLOC, &raw const methods) {
            ffi::SQLITE_OK => ffi::sqlite3_config(ffi::SQLITE_CONFIG_MEMSTATUS, 0 as c_int),
            code => code,
        }
    }
}

/// What one thread's allocations meet.
#[derive(Debug, Clone, Copy)]
struct Plan {
    count: u64,
    failed: u64,
    fail_at: Option<u64>,
    sticky: bool,
}

const NO_PLAN: Plan = Plan { count: 0, failed: 0, fail_at: None, sticky: false };

thread_local! {
    static PLAN: Cell<Plan> = const { Cell::new(NO_PLAN) };
}

/// The allocations of this thread while this lives: it counts them, and fails some.
#[derive(Debug)]
#[must_use]
pub struct Allocations {
    /// A plan belongs to its thread.
    of_thread: PhantomData<*const ()>,
}

impl Allocations {
    /// Lets the k-th allocation from now on fail, the first being 0; with `sticky` every later one, too. A
    /// plan made before in this thread is forgotten.
    pub fn fail_at(k: u64, sticky: bool) -> Allocations {
        PLAN.set(Plan { fail_at: Some(k), sticky, ..NO_PLAN });
        Allocations { of_thread: PhantomData }
    }

    /// Counts only.
    pub fn watch() -> Allocations {
        PLAN.set(NO_PLAN);
        Allocations { of_thread: PhantomData }
    }

    /// How many allocations were asked for.
    pub fn count(&self) -> u64 {
        PLAN.get().count
    }

    /// How many of them failed.
    pub fn failed(&self) -> u64 {
        PLAN.get().failed
    }
}

impl Drop for Allocations {
    fn drop(&mut self) {
        PLAN.set(NO_PLAN);
    }
}

/// Counts an allocation; whether it may succeed.
fn admit() -> bool {
    // At the end of a thread the plan may be gone: then nothing fails.
    let admitted = PLAN.try_with(|plan| {
        let mut now = plan.get();
        let number = now.count;
        let fails = now.fail_at.is_some_and(|k| number == k || (now.sticky && number > k));
        now.count += 1;
        now.failed += u64::from(fails);
        plan.set(now);
        !fails
    });
    admitted.unwrap_or(true)
}

unsafe extern "C" fn malloc(len: c_int) -> *mut c_void {
    match REAL.get() {
        // SAFETY: SQLite's own function with SQLite's own argument.
        Some(real) if admit() => unsafe { (real.malloc)(len) },
        _ => std::ptr::null_mut(),
    }
}

unsafe extern "C" fn realloc(memory: *mut c_void, len: c_int) -> *mut c_void {
    match REAL.get() {
        // SAFETY: SQLite's own function with SQLite's own arguments.
        Some(real) if admit() => unsafe { (real.realloc)(memory, len) },
        _ => std::ptr::null_mut(),
    }
}
