//! The disk that a simulation holds: its faults, crashes, images and counts.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::directory::Directory;
use super::fault::{Fault, FaultKind};
use super::machine::{Machine, PROCESSES, Waiting};
use super::node::Node;
use super::vfs;

/// How a disk keeps what is written, and what a flush means to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Medium {
    /// Power never fails, so nothing is kept apart: the fastest, for kills and errors.
    Steady,
    /// A flush makes a file durable.
    Flush,
    /// A flush only orders: what was flushed before an unknown moment is kept, what was flushed later is
    /// not. `fsync` on Apple, without a full flush.
    Order,
    /// A flush does nothing.
    NoFlush,
}

/// A disk and the process that acts on it.
#[derive(Debug, Clone)]
pub(super) struct Current {
    pub(super) disk: Rc<Shared>,
    pub(super) process: usize,
}

/// A disk and the number that its paths carry.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) number: u64,
    pub(super) machine: RefCell<Machine>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // At the end of a thread the table may be gone already, and with it what there was to do.
        let _ = DISKS.try_with(|disks| disks.try_borrow_mut().map(|mut disks| disks.remove(&self.number)));
    }
}

thread_local! {
    static DISKS: RefCell<BTreeMap<u64, Weak<Shared>>> = const { RefCell::new(BTreeMap::new()) };
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
    static THREAD: Cell<u8> = const { Cell::new(0) };
}

/// The last number given to a disk: unique in the process, so that no thread takes another's path for its own.
static LAST_NUMBER: AtomicU64 = AtomicU64::new(0);

/// The disk of this thread that has a number.
pub(super) fn find(number: u64) -> Option<Rc<Shared>> {
    DISKS.try_with(|disks| disks.try_borrow().ok()?.get(&number)?.upgrade()).ok()?
}

/// The disk that this thread has entered.
pub(super) fn current() -> Option<Current> {
    CURRENT.try_with(|current| current.try_borrow().ok()?.clone()).ok()?
}

/// What differs between threads that live at the same time.
pub(super) fn thread() -> usize {
    THREAD.try_with(|place| std::ptr::from_ref(place).addr()).unwrap_or_default()
}

/// The disk of one simulated machine. Clones are the same disk. It belongs to one thread, and so do the
/// connections opened on it.
#[derive(Debug, Clone)]
pub struct Disk {
    shared: Rc<Shared>,
}

/// What SQLite opens belongs to the disk until this goes, then to the one entered before, or to the real
/// file system. Connections stay with their disk.
#[derive(Debug)]
#[must_use]
pub struct Entered {
    before: Option<Current>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let before = self.before.take();
        let _ = CURRENT.try_with(|current| current.replace(before));
    }
}

/// The files of a disk at one moment, durable and not. Cheap: contents are shared until they change.
#[derive(Debug)]
pub struct Snapshot {
    directory: Directory,
    epoch: u64,
    tracked: bool,
}

impl Disk {
    /// An empty disk; registers the file system when it is the first. The seed is for the random numbers
    /// that SQLite asks of its file system.
    ///
    /// # Panics
    /// Where SQLite does not start.
    pub fn new(medium: Medium, seed: u64) -> Disk {
        let code = vfs::register();
        assert_eq!(code, rusqlite::ffi::SQLITE_OK, "SQLite takes the file system");
        let number = LAST_NUMBER.fetch_add(1, Ordering::Relaxed);
        let shared = Rc::new(Shared { number, machine: RefCell::new(Machine::new(medium, seed)) });
        DISKS.with_borrow_mut(|disks| disks.insert(number, Rc::downgrade(&shared)));
        Disk { shared }
    }

    /// Sends what SQLite opens in this thread to this disk, until the answer is dropped, as process 0, the
    /// app. Drop the latest first.
    pub fn enter(&self) -> Entered {
        self.enter_as(0)
    }

    /// As [`Disk::enter`], in the place of another process of the same machine. A connection stays with the
    /// process that opened it.
    ///
    /// # Panics
    /// A machine has the processes 0 to 3.
    pub fn enter_as(&self, process: usize) -> Entered {
        assert!(process < PROCESSES, "a machine has four processes");
        let disk = Rc::clone(&self.shared);
        Entered { before: CURRENT.replace(Some(Current { disk, process })) }
    }

    /// Runs a closure with this disk entered.
    pub fn with<T>(&self, f: impl FnOnce() -> T) -> T {
        let _entered = self.enter();
        f()
    }

    /// How many operations were counted since the disk was made: see
    /// [`Operation::is_counted`](super::Operation::is_counted). The next one has this number.
    pub fn ops(&self) -> u64 {
        self.shared.machine.borrow().ops
    }

    /// A hash of the kind, place and length of every counted operation: equal for equal runs.
    pub fn trace(&self) -> u64 {
        self.shared.machine.borrow().trace
    }

    /// Adds a fault.
    ///
    /// # Panics
    /// A power loss needs a medium that is not [`Medium::Steady`].
    pub fn inject(&self, fault: Fault) {
        self.check(fault.kind);
        self.shared.machine.borrow_mut().faults.push(Waiting { fault, passes: None });
    }

    /// Adds a fault that strikes the n-th operation from now on that it concerns, the first being 0: so every
    /// one is met once, also those that [`Disk::ops`] does not count.
    ///
    /// # Panics
    /// As [`Disk::inject`].
    pub fn inject_nth(&self, n: u64, kind: FaultKind, sticky: bool) {
        self.check(kind);
        let fault = Fault { at_op: 0, kind, sticky };
        self.shared.machine.borrow_mut().faults.push(Waiting { fault, passes: Some(n) });
    }

    /// Removes the faults that wait or stay. A machine that is down stays down.
    pub fn clear_faults(&self) {
        self.shared.machine.borrow_mut().faults.clear();
    }

    /// How many operations a fault has struck.
    pub fn fired(&self) -> u64 {
        self.shared.machine.borrow().fired
    }

    /// Kills every process between two operations.
    pub fn kill(&self) {
        self.shared.machine.borrow_mut().stop(FaultKind::Kill);
    }

    /// Kills one process between two operations.
    pub fn kill_process(&self, process: usize) {
        self.shared.machine.borrow_mut().kill(process);
    }

    /// Whether a process was killed, alone or with all, and not started again. What it said since the kill was
    /// never said, success included: SQLite does not notice a kill at the giving back of a lock.
    pub fn is_dead(&self, process: usize) -> bool {
        self.shared.machine.borrow().is_dead(process)
    }

    /// Starts one process; connections that it opened before are dead. A machine that is down stays down.
    pub fn start_process(&self, process: usize) {
        self.shared.machine.borrow_mut().start(process);
    }

    /// Cuts the power between two operations.
    ///
    /// # Panics
    /// On [`Medium::Steady`].
    pub fn power_off(&self, seed: u64) {
        self.check(FaultKind::Power { seed });
        self.shared.machine.borrow_mut().stop(FaultKind::Power { seed });
    }

    /// Whether a crash has stopped the machine.
    pub fn is_down(&self) -> bool {
        self.shared.machine.borrow().crash.is_some()
    }

    /// Starts the machine: after a kill with all that was written, after a power loss with what the image
    /// has. Connections opened before are dead, also where there was no crash; faults that wait stay.
    pub fn restart(&self) {
        self.shared.machine.borrow_mut().restart();
    }

    /// The files as they are.
    pub fn snapshot(&self) -> Snapshot {
        let machine = self.shared.machine.borrow();
        let directory = machine.directory.copy();
        Snapshot { directory, epoch: machine.epoch, tracked: machine.is_tracked() }
    }

    /// Puts the files of a snapshot, of this or another disk, in the place of all that is there, and starts
    /// the machine if it was down. Connections opened before are dead. Counts and faults stay.
    pub fn restore(&self, snapshot: &Snapshot) {
        // One that kept nothing apart holds a machine at rest.
        let directory =
            if snapshot.tracked { snapshot.directory.copy() } else { snapshot.directory.settled() };
        self.shared.machine.borrow_mut().replace(directory, snapshot.epoch);
    }

    /// What can be read of a file, by the name with which it was opened.
    pub fn image(&self, name: &str) -> Option<Vec<u8>> {
        let machine = self.shared.machine.borrow();
        let bytes = machine.directory.get(name)?.borrow().bytes().to_vec();
        Some(bytes)
    }

    /// Puts a durable file there, in the place of any of that name: a backup, or an image with a flipped
    /// bit. Connections that have the former one open keep that.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        self.shared.machine.borrow_mut().directory.put(name, Node::settled(Rc::new(bytes)));
    }

    /// The names of the files that are there.
    pub fn files(&self) -> Vec<String> {
        self.shared.machine.borrow().directory.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The names of the files that SQLite has removed, in order.
    pub fn deleted(&self) -> Vec<String> {
        self.shared.machine.borrow().deleted.clone()
    }

    /// How many locks are held on files and in shared memory.
    pub fn locks_held(&self) -> usize {
        let count = |node: &Node| node.locks.count() + node.shm.as_ref().map_or(0, |shm| shm.count());
        self.shared.machine.borrow().directory.iter().map(|(_, node)| count(&node.borrow())).sum()
    }

    /// How many writes and cuts a power loss could take.
    pub fn unsynced(&self) -> usize {
        self.shared.machine.borrow().directory.iter().map(|(_, node)| node.borrow().unsynced()).sum()
    }

    /// How long SQLite has slept. Nobody waited: the disk's clock went on instead.
    pub fn slept(&self) -> Duration {
        Duration::from_micros(self.shared.machine.borrow().slept_us)
    }

    /// Sets the clock that SQLite sees, in milliseconds since 1970.
    pub fn set_clock(&self, unix_ms: i64) {
        self.shared.machine.borrow_mut().clock_ms = unix_ms;
    }

    fn check(&self, kind: FaultKind) {
        let is_power = matches!(kind, FaultKind::Power { .. });
        let is_tracked = self.shared.machine.borrow().is_tracked();
        assert!(!is_power || is_tracked, "a steady medium does not know what was flushed");
    }
}
