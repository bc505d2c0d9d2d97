//! An open file of a simulated disk: what SQLite's calls do to it.

use std::cell::{RefCell, RefMut};
use std::ffi::c_int;
use std::rc::Rc;

use rusqlite::ffi;

use super::directory::NodeRef;
use super::disk::{Current, Shared, thread};
use super::fault::{Answer, Operation};
use super::lock::Holder;
use super::machine::Machine;
use super::node::Node;
use super::shm::Shm;

/// A result whose error is a code of SQLite.
pub(super) type Outcome<T> = Result<T, c_int>;

/// One open file.
pub(super) struct File {
    shared: Rc<Shared>,
    node: NodeRef,
    shm: RefCell<Option<Rc<Shm>>>,
    holder: Holder,
    life: (u64, u64),
    thread: usize,
    /// A file without a name, of which no fault knows and which nobody counts.
    is_temporary: bool,
    is_read_only: bool,
}

/// The machine of a disk; an error while it is in use, which only a call from within a call could meet.
pub(super) fn machine(shared: &Shared) -> Outcome<RefMut<'_, Machine>> {
    shared.machine.try_borrow_mut().map_err(|_| ffi::SQLITE_IOERR)
}

/// Go on, or the code of a fault.
pub(super) fn go(answer: Answer) -> Outcome<()> {
    match answer {
        Answer::Go => Ok(()),
        Answer::Fail(code) => Err(code),
        Answer::Torn(_) | Answer::SyncLost(_) | Answer::ReadOnly => Err(ffi::SQLITE_IOERR),
    }
}

impl File {
    /// Opens a file; gives it and the flags it was opened with.
    pub(super) fn open(current: Current, name: Option<&str>, flags: c_int) -> Outcome<(File, c_int)> {
        let Current { disk: shared, process } = current;
        let mut machine = machine(&shared)?;
        let mut out_flags = flags;
        let mut is_read_only = flags & ffi::SQLITE_OPEN_READONLY != 0;
        let node = match name {
            None if machine.is_dead(process) => return Err(ffi::SQLITE_IOERR),
            None => NodeRef::default(),
            Some(name) => {
                let answer = machine.admit(process, Operation::Open, name.len(), 0);
                let refuses_change = answer == Answer::ReadOnly;
                if !refuses_change {
                    go(answer)?;
                }
                let tracked = machine.is_tracked();
                let existing = machine.directory.get(name).map(Rc::clone);
                let is_new_only =
                    flags & ffi::SQLITE_OPEN_EXCLUSIVE != 0 && flags & ffi::SQLITE_OPEN_CREATE != 0;
                match existing {
                    Some(_) if is_new_only => return Err(ffi::SQLITE_CANTOPEN),
                    Some(node) if refuses_change => {
                        is_read_only = true;
                        out_flags &= !(ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_CREATE);
                        out_flags |= ffi::SQLITE_OPEN_READONLY;
                        node
                    }
                    Some(node) => node,
                    None if refuses_change || flags & ffi::SQLITE_OPEN_CREATE == 0 => {
                        return Err(ffi::SQLITE_CANTOPEN);
                    }
                    None => machine.directory.create(name, tracked),
                }
            }
        };
        let (holder, life) = (machine.next_holder(process), machine.life(process));
        drop(machine);
        let file = File {
            shared,
            node,
            shm: RefCell::default(),
            holder,
            life,
            thread: thread(),
            is_temporary: name.is_none(),
            is_read_only,
        };
        Ok((file, out_flags))
    }

    /// Whether this thread opened it; another must not touch it.
    pub(super) fn is_of_this_thread(&self) -> bool {
        self.thread == thread()
    }

    /// Fills a buffer; a short read is an error with zeros.
    pub(super) fn read(&self, at: i64, buffer: &mut [u8]) -> Outcome<()> {
        let at = usize::try_from(at).map_err(|_| ffi::SQLITE_IOERR_READ)?;
        let (_machine, answer) = self.admit(Operation::Read, at, buffer.len())?;
        go(answer)?;
        if self.node()?.read(at, buffer) { Ok(()) } else { Err(ffi::SQLITE_IOERR_SHORT_READ) }
    }

    /// Writes, growing the file as needed.
    pub(super) fn write(&self, at: i64, bytes: &[u8]) -> Outcome<()> {
        let at = usize::try_from(at).map_err(|_| ffi::SQLITE_IOERR_WRITE)?;
        let (machine, answer) = self.admit(Operation::Write, at, bytes.len())?;
        let tracked = machine.is_tracked() && !self.is_temporary;
        if let Answer::Torn(seed) = answer {
            let len = fastrand::Rng::with_seed(seed).usize(0..=bytes.len());
            self.node()?.write(at, &bytes[..len], tracked)?;
            return Err(ffi::SQLITE_IOERR);
        }
        go(answer)?;
        if self.is_read_only {
            return Err(ffi::SQLITE_READONLY);
        }
        self.node()?.write(at, bytes, tracked)
    }

    /// Cuts or lengthens the file.
    pub(super) fn truncate(&self, len: i64) -> Outcome<()> {
        let len = usize::try_from(len).map_err(|_| ffi::SQLITE_IOERR_TRUNCATE)?;
        let (machine, answer) = self.admit(Operation::Truncate, len, 0)?;
        go(answer)?;
        if self.is_read_only {
            return Err(ffi::SQLITE_READONLY);
        }
        self.node()?.truncate(len, machine.is_tracked() && !self.is_temporary)
    }

    /// Flushes the file.
    pub(super) fn sync(&self) -> Outcome<()> {
        let (mut machine, answer) = self.admit(Operation::Sync, 0, 0)?;
        if self.is_temporary {
            return Ok(());
        }
        if let Answer::SyncLost(seed) = answer {
            self.node()?.lose(seed);
            return Err(ffi::SQLITE_IOERR_FSYNC);
        }
        go(answer)?;
        machine.sync(&self.node)
    }

    /// The length of the file in bytes.
    pub(super) fn len(&self) -> Outcome<i64> {
        let (_machine, answer) = self.admit(Operation::Look, 0, 0)?;
        go(answer)?;
        i64::try_from(self.node()?.bytes().len()).map_err(|_| ffi::SQLITE_IOERR_FSTAT)
    }

    /// Raises the lock of this file.
    pub(super) fn lock(&self, level: c_int) -> Outcome<()> {
        let (_machine, answer) = self.admit(Operation::Lock, 0, 0)?;
        go(answer)?;
        self.node()?.locks.lock(self.holder, level)
    }

    /// Lowers the lock of this file. The dead hold none.
    pub(super) fn unlock(&self, level: c_int) -> Outcome<()> {
        self.node()?.locks.unlock(self.holder, level);
        Ok(())
    }

    /// Whether anybody means to write.
    pub(super) fn is_reserved(&self) -> Outcome<bool> {
        let (_machine, answer) = self.admit(Operation::Lock, 0, 0)?;
        go(answer)?;
        Ok(self.node()?.locks.is_reserved())
    }

    /// The level of the lock that this file holds.
    pub(super) fn level(&self) -> Outcome<c_int> {
        Ok(self.node()?.locks.level(self.holder))
    }

    /// The address of a region of shared memory.
    pub(super) fn shm_map(&self, index: c_int, len: c_int, extend: bool) -> Outcome<*mut u8> {
        let index = usize::try_from(index).map_err(|_| ffi::SQLITE_IOERR_SHMMAP)?;
        let len = usize::try_from(len).map_err(|_| ffi::SQLITE_IOERR_SHMMAP)?;
        let (_machine, answer) = self.admit(Operation::ShmMap, index, len)?;
        let shm = self.shm()?;
        // Where nothing is made, a full disk has nothing to refuse.
        if answer != Answer::Fail(ffi::SQLITE_IOERR_SHMSIZE) || shm.would_grow(index, extend) {
            go(answer)?;
        }
        shm.map(index, len, extend)
    }

    /// Takes or gives back locks in shared memory.
    pub(super) fn shm_lock(&self, first: c_int, count: c_int, flags: c_int) -> Outcome<()> {
        let place = usize::try_from(first).unwrap_or_default();
        let is_unlock = flags & ffi::SQLITE_SHM_UNLOCK != 0;
        let (machine, answer) = self.admit(Operation::ShmLock, place, usize::from(is_unlock))?;
        // To give a lock back fails for nobody who lives; SQLite would not even look.
        if !is_unlock || machine.is_dead(self.holder.process) {
            go(answer)?;
        }
        self.shm()?.lock(self.holder, first, count, flags)
    }

    /// Lets go of the shared memory; it goes with the last one that uses it.
    pub(super) fn shm_unmap(&self) -> Outcome<()> {
        let Some(shm) = self.shm.try_borrow_mut().map_err(|_| ffi::SQLITE_IOERR)?.take() else {
            return Ok(());
        };
        shm.release(|holder| holder == self.holder);
        self.node()?.leave_deserted();
        Ok(())
    }

    /// Gives back all that this file holds.
    pub(super) fn close(self) -> Outcome<()> {
        self.shm_unmap()?;
        self.unlock(ffi::SQLITE_LOCK_NONE)
    }

    /// The shared memory of this file, made with the first who asks.
    fn shm(&self) -> Outcome<Rc<Shm>> {
        let mut mine = self.shm.try_borrow_mut().map_err(|_| ffi::SQLITE_IOERR_SHMMAP)?;
        if let Some(shm) = &*mine {
            return Ok(Rc::clone(shm));
        }
        let shm = Rc::clone(self.node()?.shm.get_or_insert_with(Rc::default));
        shm.attach(self.holder)?;
        *mine = Some(Rc::clone(&shm));
        Ok(shm)
    }

    fn node(&self) -> Outcome<RefMut<'_, Node>> {
        self.node.try_borrow_mut().map_err(|_| ffi::SQLITE_IOERR)
    }

    /// Counts an operation; an error when the machine that opened this file is no more.
    fn admit(&self, operation: Operation, at: usize, len: usize) -> Outcome<(RefMut<'_, Machine>, Answer)> {
        let mut machine = machine(&self.shared)?;
        let process = self.holder.process;
        if machine.life(process) != self.life || machine.is_dead(process) {
            return Err(ffi::SQLITE_IOERR);
        }
        let answer = if self.is_temporary { Answer::Go } else { machine.admit(process, operation, at, len) };
        Ok((machine, answer))
    }
}
