//! A schedule: a small world and the list of what happens in it. Small integers only, so that it can be
//! stored, replayed and shrunk; an event that has lost its meaning does nothing.

use serde::{Deserialize, Serialize};

/// What a world is made of, and what happens in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// The world.
    pub config: Config,
    /// What happens, in order. After the last event everything heals.
    pub events: Vec<Event>,
}

/// Which store the devices and the server have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreKind {
    /// Ledgers in memory with a committed copy: quick.
    Model,
    /// The step book and the server's store on SQLite, over disks that fail.
    Sqlite,
}

/// A small world.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The store.
    pub store: StoreKind,
    /// How many people there are, 1 to 3. They are numbered from 1; 0 is nobody.
    pub users: u8,
    /// Who is signed in on each device at first.
    pub devices: Vec<u8>,
    /// The device of each process: two with the same number share a file.
    pub handles: Vec<u8>,
    /// How many processes serve the one store of the server, 1 or 2.
    pub servers: u8,
    /// Which of the sets of rules applies.
    pub rules: u8,
    /// The version of the server's rules at first; the devices have 1.
    pub server_rules: u8,
    /// Whether the hosts keep the number of a batch beside its request.
    pub tickets: bool,
}

/// A fault of the storage during a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// At which operation of the storage, counted from 0.
    pub at: u8,
    /// What a power loss leaves of the writes that were not flushed.
    pub image: u16,
}

/// What goes wrong with a storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The process ends; what it wrote stays.
    Kill,
    /// The process ends in the middle of a write.
    Torn,
    /// The device loses power: what was not flushed may be there, torn, or gone.
    Power,
    /// An operation fails with an I/O error.
    IoError,
    /// The disk is full.
    Full,
    /// A flush fails, and what was to be flushed is lost or kept.
    FlushFails,
    /// A read fails.
    ReadError,
    /// Another process holds the lock.
    Locked,
    /// A file cannot be opened: the phone is locked.
    CannotOpen,
    /// The file system has become read-only.
    ReadOnly,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [FaultKind; 10] = [
        FaultKind::Kill,
        FaultKind::Torn,
        FaultKind::Power,
        FaultKind::IoError,
        FaultKind::Full,
        FaultKind::FlushFails,
        FaultKind::ReadError,
        FaultKind::Locked,
        FaultKind::CannotOpen,
        FaultKind::ReadOnly,
    ];

    /// Whether the process ends.
    pub fn is_crash(self) -> bool {
        matches!(self, FaultKind::Kill | FaultKind::Torn | FaultKind::Power)
    }
}

/// What an app asks of its book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// A reading.
    Read {
        /// The day, counted from the world's first.
        day: u8,
        /// The source.
        source: u8,
        /// Measured steps.
        recorded: u32,
        /// Typed-in steps.
        manual: u32,
        /// Whether the read was complete.
        full: bool,
        /// The zone that bounded it; 0 is unknown.
        zone: u8,
    },
    /// Years of readings at once, as of a new phone that reads its store.
    Import {
        /// How many days before the world's first, in hundreds, of each source.
        hundreds: u8,
    },
    /// A deletion that the platform reported.
    Delete {
        /// The day.
        day: u8,
        /// The source.
        source: u8,
        /// What is left.
        left: Option<u32>,
    },
    /// A correction on the device itself.
    Correct {
        /// The day.
        day: u8,
        /// The source.
        source: u8,
        /// To what.
        to: Option<u32>,
    },
    /// The end of a correction on the device itself.
    Unpin {
        /// The day.
        day: u8,
        /// The source.
        source: u8,
    },
    /// A counter since boot.
    Count {
        /// The day of new steps.
        day: u8,
        /// The boot.
        boot: u8,
        /// The count.
        count: u32,
    },
    /// The person opens the app.
    Attend {
        /// The day.
        day: u8,
    },
    /// All facts of another device of the same person come over a cable.
    Merge {
        /// That device's process.
        from: u8,
    },
    /// The host reads again what the book wants to be read again; the source says this much.
    Reread {
        /// Measured steps.
        steps: u32,
    },
    /// A parked fact is sent again.
    Retry {
        /// Which one.
        nth: u8,
    },
    /// A parked fact is given up.
    Discard {
        /// Which one.
        nth: u8,
    },
    /// The host asks what to send; a batch goes on its way.
    Flush,
    /// The app comes to the foreground.
    Foreground,
    /// The network is said to be back.
    Connectivity,
    /// New credentials are said to be there.
    Credentials,
    /// The host follows an erasure that it was told of.
    Follow,
}

/// What becomes of a request that is sent and awaited in one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It arrives, and so does the answer.
    Fine,
    /// It never arrives.
    RequestLost,
    /// It is committed; the answer is lost.
    ReplyLost,
    /// It arrives twice; the second answer waits in the network.
    Twice,
    /// It is committed; the host gives up waiting, and the answer waits in the network.
    Late,
    /// The server ends before the transaction.
    CrashBefore,
    /// The server ends during the transaction, at this operation of its storage.
    CrashInside(u8),
    /// The server ends after the commit, before the answer.
    CrashAfter,
    /// The server's machine loses power during the transaction, at this operation of its storage.
    PowerInside(u8),
    /// A portal answers with this status and a page of its own.
    Portal(u16),
    /// The answer arrives cut off or with a changed byte.
    Garbled(u16),
    /// The request arrives cut off or with a changed byte.
    GarbledRequest(u16),
    /// It is committed; the answer says that there is more, and gives nothing of it.
    Withheld,
    /// Another server answers at the same address, and takes what is sent for its own store.
    Stranger,
    /// The server is busy: this status, and `Retry-After` in seconds where it is not 0.
    Busy(u16, u32),
}

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// An app asks its book for something.
    App {
        /// The process.
        at: u8,
        /// What it asks.
        act: Act,
        /// What goes wrong meanwhile.
        fault: Option<Fault>,
    },
    /// A host asks what to send, sends it and reports.
    Sync {
        /// The process.
        at: u8,
        /// The server's process.
        server: u8,
        /// What becomes of the request.
        fate: Fate,
        /// What goes wrong while the answer is reported.
        fault: Option<Fault>,
    },
    /// A message that waits in the network arrives.
    Deliver {
        /// Which one.
        message: u8,
        /// The server's process.
        server: u8,
        /// What goes wrong where it arrives.
        fault: Option<Fault>,
    },
    /// A message that waits in the network is lost.
    Lose {
        /// Which one.
        message: u8,
    },
    /// A message that waits in the network is doubled.
    Double {
        /// Which one.
        message: u8,
    },
    /// A host gives up waiting.
    GiveUp {
        /// The process.
        at: u8,
    },
    /// Time passes.
    Pass {
        /// How much: an index into [`PASSES_MS`].
        step: u8,
    },
    /// A device's clock jumps.
    Jump {
        /// The process.
        at: u8,
        /// To which error: an index into [`SKEWS_MS`].
        skew: u8,
    },
    /// A device travels.
    Travel {
        /// The process.
        at: u8,
        /// To which zone: an index into [`ZONES`].
        zone: u8,
    },
    /// A process is killed between calls.
    Kill {
        /// The process.
        at: u8,
    },
    /// A device loses power between calls.
    Power {
        /// The process.
        at: u8,
        /// What is left of unflushed writes.
        image: u16,
    },
    /// A process lets go of its file.
    Suspend {
        /// The process.
        at: u8,
    },
    /// A process takes its file up again.
    Resume {
        /// The process.
        at: u8,
    },
    /// A device's storage is backed up.
    Backup {
        /// The process.
        at: u8,
    },
    /// A device's storage is restored from its backup.
    Restore {
        /// The process.
        at: u8,
        /// Whether it is another phone.
        other_phone: bool,
    },
    /// A device's network is cut or comes back.
    Network {
        /// The process.
        at: u8,
        /// Whether it is there.
        up: bool,
    },
    /// A server's process ends or comes back.
    Server {
        /// Which one.
        server: u8,
        /// Whether it is there.
        up: bool,
    },
    /// The server's store is backed up.
    ServerBackup,
    /// The server's store is restored from its backup.
    ServerRestore {
        /// Whether it accepts epochs that only it may give.
        recovery: bool,
    },
    /// The server takes at most so many facts a batch; 0 is no limit.
    ServerLimit {
        /// How many.
        facts: u8,
    },
    /// A server's process is replaced by one whose rules have another version.
    ServerRules {
        /// The process.
        server: u8,
        /// The version.
        version: u8,
    },
    /// The app is updated: the file of its device is as the version before the newest schema left it, and every
    /// process there ends. In memory the processes end.
    Update {
        /// A process.
        at: u8,
        /// Whether the former version had closed its file; what it wrote last stands in the log otherwise.
        closed: bool,
    },
    /// A device's credentials expire or are renewed.
    Token {
        /// The process.
        at: u8,
        /// Whether they are valid.
        valid: bool,
    },
    /// An operator corrects on the server.
    Correct {
        /// The person.
        user: u8,
        /// The day.
        day: u8,
        /// The source.
        source: u8,
        /// To what.
        to: Option<u32>,
    },
    /// An operator ends a correction on the server.
    Unpin {
        /// The person.
        user: u8,
        /// The day.
        day: u8,
        /// The source.
        source: u8,
    },
    /// A person's data is erased on the server.
    Erase {
        /// The person.
        user: u8,
    },
    /// Somebody signs in on a device.
    SignIn {
        /// The process.
        at: u8,
        /// The person; 0 signs out.
        user: u8,
    },
}

/// How much time passes, in milliseconds: from less than a backoff to more than a day.
pub const PASSES_MS: [i64; 12] = [
    100,
    700,
    2_000,
    30_000,
    61_000,
    300_000,
    901_000,
    3_601_000,
    21_600_000,
    86_400_000,
    90_000_000,
    172_800_000,
];
/// How far a device's clock may be off, in milliseconds: right, a little, hours, days, years.
pub const SKEWS_MS: [i64; 10] = [
    0,
    90_000,
    -90_000,
    5_400_000,
    -5_400_000,
    86_400_000,
    -86_400_000,
    259_200_000,
    -31_536_000_000,
    441_504_000_000,
];
/// Zones as minutes from UTC; the first stands for an offset that is not told.
pub const ZONES: [i16; 7] = [0, 540, 60, -300, 840, -720, 345];

impl Event {
    /// What the event is, for tables.
    pub fn name(&self) -> usize {
        match self {
            Event::App { .. } => 0,
            Event::Sync { .. } => 1,
            Event::Deliver { .. } => 2,
            Event::Lose { .. } => 3,
            Event::Double { .. } => 4,
            Event::GiveUp { .. } => 5,
            Event::Pass { .. } => 6,
            Event::Jump { .. } => 7,
            Event::Travel { .. } => 8,
            Event::Kill { .. } => 9,
            Event::Power { .. } => 10,
            Event::Suspend { .. } => 11,
            Event::Resume { .. } => 12,
            Event::Backup { .. } => 13,
            Event::Restore { .. } => 14,
            Event::Network { .. } => 15,
            Event::Server { .. } => 16,
            Event::ServerBackup => 17,
            Event::ServerRestore { .. } => 18,
            Event::ServerLimit { .. } => 19,
            Event::Token { .. } => 20,
            Event::Correct { .. } => 21,
            Event::Unpin { .. } => 22,
            Event::Erase { .. } => 23,
            Event::SignIn { .. } => 24,
            Event::ServerRules { .. } => 25,
            Event::Update { .. } => 26,
        }
    }

    /// The process that the event is about, where it is about one.
    pub fn process(&mut self) -> Option<&mut u8> {
        match self {
            Event::App { at, .. }
            | Event::Sync { at, .. }
            | Event::GiveUp { at }
            | Event::Jump { at, .. }
            | Event::Travel { at, .. }
            | Event::Kill { at }
            | Event::Power { at, .. }
            | Event::Suspend { at }
            | Event::Resume { at }
            | Event::Backup { at }
            | Event::Restore { at, .. }
            | Event::Network { at, .. }
            | Event::Token { at, .. }
            | Event::Update { at, .. }
            | Event::SignIn { at, .. } => Some(at),
            Event::Deliver { .. }
            | Event::Lose { .. }
            | Event::Double { .. }
            | Event::Pass { .. }
            | Event::Server { .. }
            | Event::ServerBackup
            | Event::ServerRestore { .. }
            | Event::ServerLimit { .. }
            | Event::ServerRules { .. }
            | Event::Correct { .. }
            | Event::Unpin { .. }
            | Event::Erase { .. } => None,
        }
    }

    /// What goes wrong with a storage during the event.
    pub fn fault(&mut self) -> Option<&mut Option<Fault>> {
        match self {
            Event::App { fault, .. } | Event::Sync { fault, .. } | Event::Deliver { fault, .. } => {
                Some(fault)
            }
            _ => None,
        }
    }
}
