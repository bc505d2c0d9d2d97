//! The doors between a world and the shipping code: a device's book and a server's store. Behind them is
//! the library as it ships; what is simulated is the clock, the random seed, the storage and the transport.

pub mod model;
mod rules;
pub mod sqlite;

use manbo::delivery::{Batch, Health, Moment, Next, Outcome, Reported, Ticket};
use manbo::{Code, Correction, CounterReading, Day, Deletion, Fact, Ledger, Now, Reading, Source};

use crate::event::{Config, Fault};

pub use rules::rules;

/// Which book: a process on a device, and who is signed in there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Book {
    /// The process.
    pub handle: usize,
    /// The device.
    pub device: usize,
    /// The person; 0 is nobody yet.
    pub user: u8,
}

/// Why a call did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// The rules refuse the input: nothing was stored.
    Refused(Code),
    /// The storage failed. Whether the change will be there later is not known.
    Storage(Code),
    /// The process has ended, or the device. Whether the change is there is not known.
    Crashed,
}

/// What a call gives.
pub type Done<T> = Result<T, Failed>;

/// What an app asks of a book that changes its facts.
#[derive(Debug, Clone)]
pub enum Change<'a> {
    /// A reading.
    Read(Reading),
    /// Many readings at once.
    Import(&'a [Reading]),
    /// A deletion.
    Delete(Deletion),
    /// A correction on the device.
    Correct(Correction<'a>),
    /// The end of a correction.
    Unpin(Day, Source),
    /// A counter since boot.
    Count(CounterReading<'a>),
    /// The person opened the app.
    Attend(Day),
    /// Facts of a peer.
    Merge(&'a [Fact]),
    /// A parked fact is sent again.
    Retry(Fact),
    /// A parked fact is given up.
    Discard(Fact),
    /// The app came to the foreground.
    Foreground,
    /// The network came back.
    Connectivity,
    /// There are new credentials.
    Credentials,
}

/// A request as it arrives at a server.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The person that the credentials name.
    pub user: u8,
    /// The batch.
    pub batch: &'a Batch,
    /// The server's present.
    pub now: Now,
    /// Whether epochs that only the server may give are accepted.
    pub recovery: bool,
    /// The version of the server's rules.
    pub rules_version: u32,
}

/// When a server's process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerCrash {
    /// At this operation of its storage.
    Killed(u8),
    /// The machine loses power at this operation of its storage.
    Power(u8),
}

/// What a server knows of a person.
#[derive(Debug)]
pub struct ServerState<'a> {
    /// The facts.
    pub ledger: &'a Ledger,
    /// The revision.
    pub revision: u64,
    /// The erasure counter, where it can be asked for.
    pub generation: Option<u32>,
}

/// What a storage still holds after a process let go of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// Locks.
    pub locks: usize,
    /// Files that were deleted although they hold facts.
    pub deleted: usize,
}

/// Everything that a world asks of the shipping code.
pub trait Doors {
    /// A fresh world.
    fn begin(&mut self, config: &Config);

    /// Changes a book.
    ///
    /// # Errors
    /// See [`Failed`].
    fn change(&mut self, book: Book, change: &Change<'_>, now: Now, fault: Option<Fault>) -> Done<()>;

    /// Asks what to send.
    ///
    /// # Errors
    /// See [`Failed`].
    fn next(&mut self, book: Book, moment: Moment, fault: Option<Fault>) -> Done<Next>;

    /// Tells what became of a batch.
    ///
    /// # Errors
    /// See [`Failed`].
    fn report(
        &mut self,
        book: Book,
        of: Option<Ticket>,
        outcome: &Outcome,
        moment: Moment,
        fault: Option<Fault>,
    ) -> Done<Reported>;

    /// Follows an erasure.
    ///
    /// # Errors
    /// See [`Failed`].
    fn follow(&mut self, book: Book, fault: Option<Fault>) -> Done<Option<u32>>;

    /// Looks at a book.
    ///
    /// # Errors
    /// See [`Failed`].
    fn look(&mut self, book: Book) -> Done<&Ledger>;

    /// How delivery is doing.
    ///
    /// # Errors
    /// See [`Failed`].
    fn health(&mut self, book: Book, now: Now) -> Done<Health>;

    /// Somebody signs in on a device, or (0) out; the book is then theirs. In memory there is nothing to do.
    ///
    /// # Errors
    /// See [`Failed`].
    fn sign_in(&mut self, book: Book, user: u8, now: Now) -> Done<()>;

    /// A process ends between calls.
    fn kill(&mut self, handle: usize);

    /// A device loses power between calls; every process on it ends.
    fn power(&mut self, device: usize, image: u16);

    /// The app of a device is updated: every process on it ends, and its file is as the version before the newest
    /// schema left it, `closed` or with what it wrote last in its log. In memory there is no file.
    fn update(&mut self, _device: usize, _closed: bool) {}

    /// A process lets go of its file; tells what is still held.
    fn suspend(&mut self, book: Book) -> Held;

    /// A process takes its file up again.
    ///
    /// # Errors
    /// See [`Failed`].
    fn resume(&mut self, book: Book) -> Done<()>;

    /// A device's storage is backed up.
    fn backup(&mut self, device: usize);

    /// A device's storage is restored; every process on it ends.
    fn restore(&mut self, device: usize, other_phone: bool);

    /// Whether a file restored on another phone is told apart here.
    fn knows_phones(&self) -> bool;

    /// A server's process takes a request.
    ///
    /// # Errors
    /// See [`Failed`].
    fn serve(&mut self, server: usize, request: Request<'_>, crash: Option<ServerCrash>) -> Done<Outcome>;

    /// An operator corrects on the server, or ends a correction (without `to`). Tells what is refused.
    ///
    /// # Errors
    /// See [`Failed`].
    fn moderate(&mut self, user: u8, change: &Change<'_>, now: Now) -> Done<()>;

    /// A person's data is erased on the server.
    ///
    /// # Errors
    /// See [`Failed`].
    fn erase(&mut self, user: u8, now: Now) -> Done<()>;

    /// What the server knows.
    ///
    /// # Errors
    /// See [`Failed`].
    fn server(&mut self, user: u8) -> Done<ServerState<'_>>;

    /// The server's store is backed up.
    fn server_backup(&mut self);

    /// The server's store is restored: a new life begins.
    fn server_restore(&mut self);
}
