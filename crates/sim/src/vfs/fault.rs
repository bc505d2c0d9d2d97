//! What may go wrong on a disk, and when.

use std::ffi::c_int;

use rusqlite::ffi;
use serde::{Deserialize, Serialize};

/// A call from SQLite to its file system, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A database, WAL or journal is opened.
    Open,
    /// Bytes are written.
    Write,
    /// A file is cut or lengthened.
    Truncate,
    /// A file is flushed.
    Sync,
    /// A file is removed.
    Delete,
    /// A region of shared memory is asked for.
    ShmMap,
    /// A lock in shared memory is taken or given back.
    ShmLock,
    /// Bytes are read. Not counted.
    Read,
    /// A lock of a file is taken. Not counted.
    Lock,
    /// Whether a file is there, or how long it is. Not counted.
    Look,
}

impl Operation {
    /// Whether [`super::Disk::ops`] counts it. Reads, looks and file locks change nothing that a crash could
    /// leave half done.
    pub fn is_counted(self) -> bool {
        !matches!(self, Operation::Read | Operation::Lock | Operation::Look)
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Every process dies before the operation; what was written stays in the page cache.
    Kill,
    /// The process that asks for the operation dies before it, the others live on.
    KillProcess,
    /// As `Kill`; if the operation is a write, a part of it is in the page cache.
    Torn {
        /// Chooses how much of the write is there.
        seed: u64,
    },
    /// The power fails before the operation. Every write that no flush followed is kept, dropped, kept in
    /// some of its sectors, or turned to garbage in some of them.
    Power {
        /// Chooses what becomes of each write.
        seed: u64,
    },
    /// A flush fails, and by coin some of what it should have made durable never will be, though it can
    /// still be read until the next start.
    SyncFails {
        /// The coin.
        seed: u64,
    },
    /// No space: a write or an extension of shared memory fails.
    Full,
    /// Any counted operation fails with its own I/O error; nothing of it happens.
    IoError,
    /// A read fails.
    ReadError,
    /// A lock of a file or in shared memory is said to be taken.
    Busy,
    /// A file cannot be opened.
    CantOpen,
    /// What is there opens for reading only, nothing can be made, and a write is refused.
    ReadOnly,
}

impl FaultKind {
    /// Whether it ends every process.
    pub fn is_crash(self) -> bool {
        matches!(self, FaultKind::Kill | FaultKind::Torn { .. } | FaultKind::Power { .. })
    }

    /// Whether it strikes once, also where it is said to stay.
    pub(super) fn is_single(self) -> bool {
        self.is_crash() || self == FaultKind::KillProcess
    }

    /// Whether it does something to such an operation that no other fault does: a torn write tears writes only.
    pub(super) fn is_meant_for(self, operation: Operation) -> bool {
        !matches!(self, FaultKind::Torn { .. }) || operation == Operation::Write
    }

    /// What an operation is answered; `None` where the fault does not concern it.
    pub(super) fn answer(self, operation: Operation) -> Option<Answer> {
        use Operation::{Delete, Lock, Look, Open, Read, ShmLock, ShmMap, Sync, Truncate, Write};
        let fail = |code| Some(Answer::Fail(code));
        match (self, operation) {
            (FaultKind::Torn { seed }, Write) => Some(Answer::Torn(seed)),
            (kind, operation) if kind.is_single() => {
                operation.is_counted().then_some(Answer::Fail(ffi::SQLITE_IOERR))
            }
            (FaultKind::SyncFails { seed }, Sync) => Some(Answer::SyncLost(seed)),
            (FaultKind::Full, Write) => fail(ffi::SQLITE_FULL),
            (FaultKind::Full, ShmMap) => fail(ffi::SQLITE_IOERR_SHMSIZE),
            (FaultKind::IoError, operation) => io_error(operation).map(Answer::Fail),
            (FaultKind::ReadError, Read) => fail(ffi::SQLITE_IOERR_READ),
            (FaultKind::Busy, Lock | ShmLock) => fail(ffi::SQLITE_BUSY),
            (FaultKind::CantOpen, Open) => fail(ffi::SQLITE_CANTOPEN),
            (FaultKind::ReadOnly, Open) => Some(Answer::ReadOnly),
            (FaultKind::ReadOnly, Write | Truncate) => fail(ffi::SQLITE_READONLY),
            (FaultKind::ReadOnly, Delete) => fail(ffi::SQLITE_IOERR_DELETE),
            (FaultKind::ReadOnly, ShmMap) => fail(ffi::SQLITE_READONLY_CANTINIT),
            (
                FaultKind::Kill
                | FaultKind::KillProcess
                | FaultKind::Torn { .. }
                | FaultKind::Power { .. }
                | FaultKind::SyncFails { .. }
                | FaultKind::Full
                | FaultKind::ReadError
                | FaultKind::Busy
                | FaultKind::CantOpen
                | FaultKind::ReadOnly,
                Open | Write | Truncate | Sync | Delete | ShmMap | ShmLock | Read | Lock | Look,
            ) => None,
        }
    }
}

fn io_error(operation: Operation) -> Option<c_int> {
    match operation {
        Operation::Open => Some(ffi::SQLITE_CANTOPEN),
        Operation::Write => Some(ffi::SQLITE_IOERR_WRITE),
        Operation::Truncate => Some(ffi::SQLITE_IOERR_TRUNCATE),
        Operation::Sync => Some(ffi::SQLITE_IOERR_FSYNC),
        Operation::Delete => Some(ffi::SQLITE_IOERR_DELETE),
        Operation::ShmMap => Some(ffi::SQLITE_IOERR_SHMMAP),
        Operation::ShmLock => Some(ffi::SQLITE_IOERR_SHMLOCK),
        Operation::Read | Operation::Lock | Operation::Look => None,
    }
}

/// A fault that waits for its operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fault {
    /// It strikes the first operation it concerns when at least this many operations were counted before.
    pub at_op: u64,
    /// What goes wrong.
    pub kind: FaultKind,
    /// Whether it strikes every time from then on. A crash strikes once.
    pub sticky: bool,
}

impl Fault {
    /// A fault that strikes once.
    pub fn once(at_op: u64, kind: FaultKind) -> Fault {
        Fault { at_op, kind, sticky: false }
    }

    /// A fault that stays until [`super::Disk::clear_faults`].
    pub fn from(at_op: u64, kind: FaultKind) -> Fault {
        Fault { at_op, kind, sticky: true }
    }
}

/// What an operation is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Go,
    Fail(c_int),
    /// A part of the write happens, then the process is dead.
    Torn(u64),
    /// The flush fails, and by this coin loses writes.
    SyncLost(u64),
    /// Opens for reading, if the file is there.
    ReadOnly,
}
