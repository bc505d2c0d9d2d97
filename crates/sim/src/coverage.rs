//! Which fault met which state of delivery, and how often, so that blind spots show.

use std::fmt;

use crate::event::{Act, Event, Fate, FaultKind};
use crate::world::Protocol;

/// Something that goes wrong, or is asked, as a row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit(usize);

/// The rows.
const ROWS: [&str; 44] = [
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
    "garbled",
    "busy",
    "arrival",
    "message lost",
    "message doubled",
    "time passes",
    "clock or zone",
    "kill or power",
    "suspend or resume",
    "backup or restore",
    "server restored",
    "erase, token, sign-in, limit, operator",
];
const COLUMNS: usize = Protocol::NAMES.len();

impl Hit {
    /// What an event puts to the test.
    pub fn of(event: &Event) -> impl Iterator<Item = Hit> {
        let mut event = *event;
        let fault = event.fault().and_then(|fault| *fault).map(|fault| fault_row(fault.kind));
        let row = match event {
            Event::App { act, .. } => Some(act_row(act)),
            Event::Sync { fate, .. } => fate_row(fate),
            Event::Deliver { .. } => Some(34),
            Event::Lose { .. } => Some(35),
            Event::Double { .. } => Some(36),
            Event::Pass { .. } | Event::GiveUp { .. } => Some(37),
            Event::Jump { .. } | Event::Travel { .. } => Some(38),
            Event::Kill { .. } | Event::Power { .. } => Some(39),
            Event::Suspend { .. } | Event::Resume { .. } => Some(40),
            Event::Backup { .. } | Event::Restore { .. } => Some(41),
            Event::ServerBackup | Event::ServerRestore { .. } => Some(42),
            _ => Some(43),
        };
        row.into_iter().chain(fault).map(Hit)
    }
}

fn act_row(act: Act) -> usize {
    match act {
        Act::Read { .. } | Act::Import { .. } => 0,
        Act::Delete { .. } => 1,
        Act::Correct { .. } => 2,
        Act::Unpin { .. } => 3,
        Act::Count { .. } => 4,
        Act::Attend { .. } => 5,
        Act::Merge { .. } => 6,
        Act::Reread { .. } => 7,
        Act::Retry { .. } => 8,
        Act::Discard { .. } => 9,
        Act::Flush => 10,
        Act::Foreground | Act::Connectivity | Act::Credentials => 11,
        Act::Follow => 12,
    }
}

fn fault_row(kind: FaultKind) -> usize {
    13 + FaultKind::ALL.iter().position(|known| *known == kind).unwrap_or(0)
}

fn fate_row(fate: Fate) -> Option<usize> {
    Some(match fate {
        Fate::Fine => return None,
        Fate::RequestLost => 23,
        Fate::ReplyLost => 24,
        Fate::Twice => 25,
        Fate::Late => 26,
        Fate::CrashBefore => 27,
        Fate::CrashInside(_) => 28,
        Fate::CrashAfter => 29,
        Fate::PowerInside(_) => 30,
        Fate::Portal(_) => 31,
        Fate::Garbled(_) => 32,
        Fate::Busy(..) => 33,
    })
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
        self.cells[hit.0][state as usize] += 1;
    }

    /// Adds another table.
    pub fn merge(&mut self, other: &Coverage) {
        for (row, theirs) in self.cells.iter_mut().zip(&other.cells) {
            for (cell, more) in row.iter_mut().zip(theirs) {
                *cell += more;
            }
        }
    }

    /// The cells that fewer than `least` hits have met, as (row, column).
    pub fn blind(&self, least: u64) -> Vec<(&'static str, &'static str)> {
        let rows = ROWS.iter().zip(&self.cells);
        rows.flat_map(|(row, cells)| {
            let columns = Protocol::NAMES.iter().zip(cells);
            columns.filter(move |(_, count)| **count < least).map(move |(column, _)| (*row, *column))
        })
        .collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<40}", "")?;
        for name in Protocol::NAMES {
            write!(f, "{name:>12}")?;
        }
        writeln!(f)?;
        for (row, cells) in ROWS.iter().zip(&self.cells) {
            write!(f, "{row:<40}")?;
            for cell in cells {
                write!(f, "{cell:>12}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
