//! Which fault met which state of delivery, and how often, so that blind spots show.
//!
//! Only what really happened is counted: an answer that was lost because a request was sent, a fault that a call
//! met. Where several states are possible nothing is counted.

use std::fmt;

use crate::event::{Act, Fate, FaultKind};
use crate::world::Protocol;

/// Something that happened, as a row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hit {
    /// A reading, or many.
    Reading,
    /// A deletion that the platform reported.
    Deletion,
    /// A correction on the device.
    CorrectionHere,
    /// The end of a correction on the device.
    UnpinHere,
    /// A counter since boot.
    Counter,
    /// The person opened the app.
    Attendance,
    /// Facts of another device came over a cable.
    Cable,
    /// Something was read again.
    Reread,
    /// A parked fact was sent again.
    Retry,
    /// A parked fact was given up.
    Discard,
    /// The host asked what to send.
    Flush,
    /// Foreground, connectivity, credentials.
    Trigger,
    /// The host followed an erasure, or asked whether there was one.
    Follow,
    /// A call met a kill.
    CallKilled,
    /// A call met a kill in the middle of a write.
    CallTorn,
    /// A call met a power loss.
    CallPower,
    /// A call met an I/O error.
    CallIoError,
    /// A call met a full disk.
    CallFull,
    /// A call met a flush that failed.
    CallFlushFails,
    /// A call met a read that failed.
    CallReadError,
    /// A call met a lock.
    CallLocked,
    /// A call met a file that cannot be opened.
    CallCannotOpen,
    /// A call met a read-only file system.
    CallReadOnly,
    /// A request was lost.
    RequestLost,
    /// An answer was lost.
    ReplyLost,
    /// A request arrived twice.
    Twice,
    /// An answer came late.
    Late,
    /// The server ended before the transaction.
    ServerCrashBefore,
    /// The server ended during the transaction.
    ServerCrashInside,
    /// The server ended after the commit.
    ServerCrashAfter,
    /// The server's machine lost power.
    ServerPower,
    /// A portal answered.
    Portal,
    /// The answer was damaged on its way.
    GarbledReply,
    /// The request was damaged on its way.
    GarbledRequest,
    /// The answer said that there is more, and gave nothing of it.
    Withheld,
    /// Another server answered at the same address.
    Stranger,
    /// The server was busy.
    Busy,
    /// A request that waited in the network arrived.
    RequestArrives,
    /// An answer that waited in the network arrived.
    AnswerArrives,
    /// A message was lost.
    MessageLost,
    /// A message was doubled.
    MessageDoubled,
    /// A host gave up waiting.
    GivesUp,
    /// Time passed.
    TimePasses,
    /// A clock jumped, or a device travelled.
    ClockOrZone,
    /// A process was killed, or a device lost power, between calls.
    Killed,
    /// A process let go of its file, or took it up again.
    Suspended,
    /// A device's storage was restored from its backup.
    DeviceRestored,
    /// The app was updated.
    Updated,
    /// The network was cut or came back, or credentials expired or were renewed.
    NetworkOrToken,
    /// Somebody signed in or out.
    SignIn,
    /// A server's process ended or came back, or took only small batches.
    ServerTrouble,
    /// The server's store was restored.
    ServerRestored,
    /// A server's rules got another version.
    ServerRules,
    /// An operator corrected, or ended a correction.
    Operator,
    /// A person's data was erased on the server.
    Erased,
}

/// The rows, in the order of [`Hit`].
const ROWS: [&str; 55] = [
    "reading",
    "deletion",
    "correction here",
    "unpin here",
    "counter",
    "attendance",
    "cable",
    "re-read",
    "retry",
    "discard",
    "flush",
    "trigger",
    "follow",
    "call: kill",
    "call: torn",
    "call: power",
    "call: I/O error",
    "call: full",
    "call: flush fails",
    "call: read error",
    "call: locked",
    "call: cannot open",
    "call: read-only",
    "request lost",
    "reply lost",
    "twice",
    "late",
    "server crash before",
    "server crash inside",
    "server crash after",
    "server power",
    "portal",
    "garbled reply",
    "garbled request",
    "withheld",
    "stranger",
    "busy",
    "request arrives",
    "answer arrives",
    "message lost",
    "message doubled",
    "gives up",
    "time passes",
    "clock or zone",
    "kill or power",
    "suspend or resume",
    "device restored",
    "app updated",
    "network or token",
    "sign-in",
    "server down or limited",
    "server restored",
    "server rules",
    "operator",
    "erase",
];
const COLUMNS: usize = Protocol::NAMES.len();

/// Cells that cannot occur: rows, columns, and the reason.
const IMPOSSIBLE: [(&[Hit], &[Protocol], &str); 2] = [
    (
        // Not the server's crashes: they also strike a request that left before.
        &[
            Hit::RequestLost,
            Hit::ReplyLost,
            Hit::Twice,
            Hit::Late,
            Hit::ServerCrashBefore,
            Hit::ServerCrashAfter,
            Hit::Portal,
            Hit::GarbledReply,
            Hit::GarbledRequest,
            Hit::Withheld,
            Hit::Stranger,
            Hit::Busy,
        ],
        &[Protocol::Flight, Protocol::Backoff, Protocol::RetryAfter, Protocol::Paused, Protocol::Erased],
        "nothing is sent while something holds delivery, nor before an erasure is followed",
    ),
    (
        &[Hit::Retry, Hit::Discard],
        &[Protocol::Quiet, Protocol::Pending],
        "something is parked then, and the state is another one",
    ),
];

impl Hit {
    /// What an app asked.
    pub fn of_act(act: Act) -> Hit {
        match act {
            Act::Read { .. } | Act::Import { .. } => Hit::Reading,
            Act::Delete { .. } => Hit::Deletion,
            Act::Correct { .. } => Hit::CorrectionHere,
            Act::Unpin { .. } => Hit::UnpinHere,
            Act::Count { .. } => Hit::Counter,
            Act::Attend { .. } => Hit::Attendance,
            Act::Merge { .. } => Hit::Cable,
            Act::Reread { .. } => Hit::Reread,
            Act::Retry { .. } => Hit::Retry,
            Act::Discard { .. } => Hit::Discard,
            Act::Flush => Hit::Flush,
            Act::Foreground | Act::Connectivity | Act::Credentials => Hit::Trigger,
            Act::Follow => Hit::Follow,
        }
    }

    /// What a call met.
    pub fn of_fault(kind: FaultKind) -> Hit {
        match kind {
            FaultKind::Kill => Hit::CallKilled,
            FaultKind::Torn => Hit::CallTorn,
            FaultKind::Power => Hit::CallPower,
            FaultKind::IoError => Hit::CallIoError,
            FaultKind::Full => Hit::CallFull,
            FaultKind::FlushFails => Hit::CallFlushFails,
            FaultKind::ReadError => Hit::CallReadError,
            FaultKind::Locked => Hit::CallLocked,
            FaultKind::CannotOpen => Hit::CallCannotOpen,
            FaultKind::ReadOnly => Hit::CallReadOnly,
        }
    }

    /// What became of a request; `None` where it went well.
    pub fn of_fate(fate: Fate) -> Option<Hit> {
        Some(match fate {
            Fate::Fine => return None,
            Fate::RequestLost => Hit::RequestLost,
            Fate::ReplyLost => Hit::ReplyLost,
            Fate::Twice => Hit::Twice,
            Fate::Late => Hit::Late,
            Fate::CrashBefore => Hit::ServerCrashBefore,
            Fate::CrashInside(_) => Hit::ServerCrashInside,
            Fate::CrashAfter => Hit::ServerCrashAfter,
            Fate::PowerInside(_) => Hit::ServerPower,
            Fate::Portal(_) => Hit::Portal,
            Fate::Garbled(_) => Hit::GarbledReply,
            Fate::GarbledRequest(_) => Hit::GarbledRequest,
            Fate::Withheld => Hit::Withheld,
            Fate::Stranger => Hit::Stranger,
            Fate::Busy(..) => Hit::Busy,
        })
    }
}

/// The table.
#[derive(Debug, Clone)]
pub struct Coverage {
    cells: Vec<[u64; COLUMNS]>,
}

impl Default for Coverage {
    fn default() -> Coverage {
        Coverage { cells: vec![[0; COLUMNS]; ROWS.len()] }
    }
}

impl Coverage {
    /// Counts that something met a state.
    pub fn add(&mut self, hit: Hit, state: Protocol) {
        self.cells[hit as usize][state as usize] += 1;
    }

    /// Adds another table.
    pub fn merge(&mut self, other: &Coverage) {
        for (row, theirs) in self.cells.iter_mut().zip(&other.cells) {
            for (cell, more) in row.iter_mut().zip(theirs) {
                *cell += more;
            }
        }
    }

    /// The cells that can occur and that fewer than `least` hits have met, as (row, column).
    pub fn blind(&self, least: u64) -> Vec<(&'static str, &'static str)> {
        self.named(|row, column, count| count < least && why_not(row, column).is_none())
    }

    /// The cells that were said not to occur, and did.
    pub fn met_although_impossible(&self) -> Vec<(&'static str, &'static str)> {
        self.named(|row, column, count| count > 0 && why_not(row, column).is_some())
    }

    fn named(&self, which: impl Fn(usize, usize, u64) -> bool) -> Vec<(&'static str, &'static str)> {
        let mut found = Vec::new();
        for (row, (name, cells)) in ROWS.iter().zip(&self.cells).enumerate() {
            for (column, (state, count)) in Protocol::NAMES.iter().zip(cells).enumerate() {
                if which(row, column, *count) {
                    found.push((*name, *state));
                }
            }
        }
        found
    }
}

/// Why a cell cannot occur; `None` where it can.
fn why_not(row: usize, column: usize) -> Option<&'static str> {
    let listed = |(hits, states, _): &&(&[Hit], &[Protocol], &str)| {
        hits.iter().any(|hit| *hit as usize == row) && states.iter().any(|state| *state as usize == column)
    };
    IMPOSSIBLE.iter().find(listed).map(|(_, _, why)| *why)
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<24}", "")?;
        for name in Protocol::NAMES {
            write!(f, "{name:>12}")?;
        }
        writeln!(f)?;
        for (number, (row, cells)) in ROWS.iter().zip(&self.cells).enumerate() {
            write!(f, "{row:<24}")?;
            for (column, cell) in cells.iter().enumerate() {
                if *cell == 0 && why_not(number, column).is_some() {
                    write!(f, "{:>12}", "-")?;
                } else {
                    write!(f, "{cell:>12}")?;
                }
            }
            writeln!(f)?;
        }
        IMPOSSIBLE.iter().try_for_each(|(hits, states, why)| {
            let names = |numbers: Vec<usize>, of: &[&str]| {
                numbers.into_iter().map(|number| of[number]).collect::<Vec<_>>().join(", ")
            };
            let hits = names(hits.iter().map(|hit| *hit as usize).collect(), &ROWS);
            let states = names(states.iter().map(|state| *state as usize).collect(), &Protocol::NAMES);
            writeln!(f, "- ({hits}) x ({states}): {why}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hit_has_its_row() {
        assert_eq!(ROWS[Hit::Reading as usize], "reading");
        assert_eq!(ROWS[Hit::CallReadOnly as usize], "call: read-only");
        assert_eq!(ROWS[Hit::Stranger as usize], "stranger");
        assert_eq!(ROWS[Hit::Erased as usize], "erase");
        assert_eq!(Hit::Erased as usize, ROWS.len() - 1);
        let fates = [Fate::Withheld, Fate::CrashInside(1), Fate::PowerInside(2), Fate::Busy(503, 1)];
        let rows = fates.map(|fate| Hit::of_fate(fate).map(|hit| ROWS[hit as usize]));
        assert_eq!(rows, ["withheld", "server crash inside", "server power", "busy"].map(Some));
        assert_eq!(Hit::of_fate(Fate::Fine), None);
        for kind in FaultKind::ALL {
            assert!(ROWS[Hit::of_fault(kind) as usize].starts_with("call: "), "{kind:?}");
        }
    }

    #[test]
    fn a_cell_is_blind_until_it_was_met_often_enough_and_one_that_cannot_occur_never_is() {
        let mut table = Coverage::default();
        let all = ROWS.len() * COLUMNS;
        let listed: usize = IMPOSSIBLE.iter().map(|(hits, states, _)| hits.len() * states.len()).sum();
        assert_eq!(table.blind(1).len(), all - listed);
        table.add(Hit::Busy, Protocol::Quiet);
        assert_eq!((table.blind(1).len(), table.blind(2).len()), (all - listed - 1, all - listed));
        assert_eq!(table.met_although_impossible(), []);
        table.add(Hit::Busy, Protocol::Flight);
        assert_eq!(table.met_although_impossible(), [("busy", "flight")]);
        let mut sum = Coverage::default();
        sum.merge(&table);
        sum.merge(&table);
        assert_eq!(sum.blind(2).len(), all - listed - 1);
    }
}
