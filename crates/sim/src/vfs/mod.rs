//! A file system for SQLite in memory, with faults.
//!
//! It is SQLite's default file system from the first [`Disk::new`] on, so the library opens its file as ever.
//! A path opened while a thread has entered a disk belongs to that disk for good; without one it is a real
//! path and goes to the file system that was the default before.
//!
//! ```text
//! Disk ---- faults, crashes, snapshots, counts      disk.rs
//!   Machine ---- what each operation is told        machine.rs, fault.rs
//!     Directory ---- names, cached and durable      directory.rs
//!       Node ---- bytes, cached and durable; locks  node.rs, lock.rs, shm.rs, power.rs
//! File ---- what an operation does                  file.rs
//! the calls from C                                  methods.rs (files), vfs.rs (names, clock)
//! ```
//!
//! ```
//! use manbo_sim::vfs::{Disk, Fault, FaultKind, Medium};
//! let disk = Disk::new(Medium::Flush, 1);
//! let _entered = disk.enter();
//! let connection = rusqlite::Connection::open("/sim/steps.db")?;
//! disk.inject(Fault::once(disk.ops() + 5, FaultKind::Power { seed: 7 }));
//! assert!(connection.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (v)").is_err());
//! drop(connection);
//! disk.restart();
//! let connection = rusqlite::Connection::open("/sim/steps.db")?;
//! assert_eq!(connection.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0))?, "ok");
//! # Ok::<(), rusqlite::Error>(())
//! ```

pub mod alloc;
mod directory;
mod disk;
mod fault;
mod file;
mod lock;
mod machine;
mod methods;
mod node;
mod power;
mod shm;
#[expect(clippy::module_inception, reason = "SQLite's own word for the table of calls")]
mod vfs;

pub use disk::{Disk, Entered, Medium, Snapshot};
pub use fault::{Fault, FaultKind, Operation};

/// Makes SQLite draw its next random numbers afresh, from the disk that this thread has entered. SQLite has
/// one generator for the whole process, so two runs are equal only where no other thread uses it meanwhile;
/// it chooses the salts of a WAL and `random()`, nothing that a ledger stores.
pub fn reseed() {
    // SAFETY: with a length below one SQLite only marks its generator as unseeded; the pointer is not used.
    unsafe { rusqlite::ffi::sqlite3_randomness(0, std::ptr::null_mut()) };
}
