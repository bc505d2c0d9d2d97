//! The lines of an export: one JSON object each, in one canonical form.
//!
//! ```text
//! {"manbo_export":1,"generation":G,"revision":R,"transaction":T,"history_kept":B,"history_from_ms":MS,
//!  "last_change_ms":MS,"installation":{"salt":X,"hash":X}}
//! {"source":{"name":S,"read_by_device":B}}
//! {"cell":{"day":D,"source":S,"epoch":E,"recorded":N,"manual":N,"read_here":B,"reread":0..2,
//!          "offset_minutes":M,"pending_since_ms":MS,"parked":C}}
//! {"attended":{"day":D,"pending_since_ms":MS,"parked":C}}
//! {"own_count":{"day":D,"source":S,"count":N}}
//! {"remark":{"day":D,"source":S,"at_ms":MS,"event":EVENT}}
//! {"change":{"transaction":T,"day":D,"source":S,"at_ms":MS,"origin":TEXT,"from":REGISTER,"to":REGISTER}}
//! {"end":{"lines":N,"digest":X}}
//! REGISTER {"epoch":E,"recorded":N,"manual":N}
//! ```
//!
//! Each in one line, here broken for the page; `null` where a member does not apply. The header of a store that does
//! not know its installation has no such member; then no line tells what only a device knows. Earlier files had a
//! line `{"baseline":{"source":S,"boot":TEXT,"count":N}}` before the own counts, and no header named an installation:
//! they are still read, as those of another device.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::domain::cell::{Cell, Reread};
use crate::domain::code::{Code, Refusal};
use crate::domain::day::{Day, UtcOffset};
use crate::domain::dirty::Attendance;
use crate::domain::register::Register;
use crate::domain::remark::{Event, Kind};
use crate::domain::steps::{Counts, Source};

/// The first line. It does not say whose the ledger is: whoever imports it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    pub(super) manbo_export: u64,
    pub(super) generation: u32,
    pub(super) revision: u64,
    /// The last transaction that changed a fact while history was kept.
    pub(super) transaction: u64,
    pub(super) history_kept: bool,
    /// From when on history is whole; `None`: from the beginning, or it is not kept.
    pub(super) history_from_ms: Option<i64>,
    pub(super) last_change_ms: Option<i64>,
    /// On which device what only a device knows may be taken back; `None`: there is nothing of the kind, or, in an
    /// earlier file, nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) installation: Option<Installation>,
}

/// An installation, told to nobody who does not know its id. The salt is the digest of the exported facts: the same
/// ledger gives the same bytes, and the files of two people do not tell that they share a phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Installation {
    salt: String,
    hash: String,
}

impl Installation {
    pub(super) fn of(salt: String, install_id: &str) -> Installation {
        let hasher = Sha256::new_with_prefix("manbo installation 1\n");
        let hash = super::digest(hasher.chain_update(&salt).chain_update("\n").chain_update(install_id));
        Installation { salt, hash }
    }

    /// Whether the installation with this id wrote it.
    pub(super) fn is(&self, install_id: &str) -> bool {
        *self == Installation::of(self.salt.clone(), install_id)
    }
}

/// The one member that a header of every version has.
#[derive(Deserialize)]
pub(super) struct Version {
    pub(super) manbo_export: u64,
}

/// Every later line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    Source(SourceLine),
    Cell(CellLine),
    Attended(AttendedLine),
    Baseline(BaselineLine),
    OwnCount(OwnCountLine),
    Remark(RemarkLine),
    Change(ChangeLine),
    End(EndLine),
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceLine {
    pub(super) name: Source,
    pub(super) read_by_device: bool,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CellLine {
    pub(super) day: Day,
    pub(super) source: Source,
    epoch: u16,
    recorded: Option<u32>,
    manual: u32,
    read_here: bool,
    reread: u8,
    offset_minutes: Option<i32>,
    pending_since_ms: Option<i64>,
    parked: Option<Code>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AttendedLine {
    pub(super) day: Day,
    pending_since_ms: Option<i64>,
    parked: Option<Code>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BaselineLine {
    pub(super) source: Source,
    pub(super) boot: String,
    pub(super) count: u32,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnCountLine {
    pub(super) day: Day,
    pub(super) source: Source,
    pub(super) count: u32,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RemarkLine {
    pub(super) day: Day,
    pub(super) source: Source,
    pub(super) at_ms: i64,
    pub(super) event: Event,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeLine {
    pub(super) transaction: u64,
    pub(super) day: Day,
    /// `None`: attendance, which has no registers.
    pub(super) source: Option<Source>,
    pub(super) at_ms: i64,
    pub(super) origin: String,
    pub(super) from: Option<RegisterLine>,
    pub(super) to: Option<RegisterLine>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RegisterLine {
    epoch: u16,
    recorded: Option<u32>,
    manual: u32,
}

/// The last line: a file that was cut or changed is noticed.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndLine {
    pub(super) lines: u64,
    pub(super) digest: String,
}

/// Where a line stands: kind, transaction, day, source, kind of remark. Each line stands after the one before it.
pub(super) type Place = (u8, u64, Option<Day>, Option<Source>, u8);

impl Line {
    pub(super) fn place(&self) -> Place {
        match self {
            Line::Source(line) => (0, 0, None, Some(line.name), 0),
            Line::Cell(line) => (1, 0, Some(line.day), Some(line.source), 0),
            Line::Attended(line) => (2, 0, Some(line.day), None, 0),
            Line::Baseline(line) => (3, 0, None, Some(line.source), 0),
            Line::OwnCount(line) => (4, 0, Some(line.day), Some(line.source), 0),
            Line::Remark(line) => (5, 0, Some(line.day), Some(line.source), line.event.kind().number()),
            Line::Change(line) => (6, line.transaction, Some(line.day), line.source, 0),
            Line::End(_) => (7, 0, None, None, 0),
        }
    }
}

impl CellLine {
    pub(super) fn of(day: Day, source: Source, cell: &Cell) -> CellLine {
        let register = RegisterLine::of(cell.register);
        CellLine {
            day,
            source,
            epoch: register.epoch,
            recorded: register.recorded,
            manual: register.manual,
            read_here: cell.read_here,
            reread: cell.reread as u8,
            offset_minutes: cell.offset.map(|offset| offset.minutes().into()),
            pending_since_ms: cell.pending_since_ms(),
            parked: cell.parked,
        }
    }

    pub(super) fn cell(&self) -> Result<Cell, Refusal> {
        let register = RegisterLine { epoch: self.epoch, recorded: self.recorded, manual: self.manual };
        let rereads = [Reread::No, Reread::IfRead, Reread::Always];
        let reread = rereads.get(usize::from(self.reread));
        let bad_reread = Refusal::BadValue { field: "reread", rule: "0, 1 or 2" };
        check_marks(self.pending_since_ms, self.parked)?;
        let mut cell = Cell::UNKNOWN;
        cell.register = register.register()?;
        cell.read_here = self.read_here;
        cell.reread = *reread.ok_or(bad_reread)?;
        cell.offset = self.offset_minutes.map(UtcOffset::from_minutes).transpose()?;
        cell.parked = self.parked;
        cell.set_pending_since(self.pending_since_ms);
        Ok(cell)
    }
}

impl AttendedLine {
    pub(super) fn of(day: Day, mark: Attendance) -> AttendedLine {
        AttendedLine { day, pending_since_ms: mark.pending_since_ms, parked: mark.parked }
    }

    pub(super) fn mark(&self) -> Result<Attendance, Refusal> {
        check_marks(self.pending_since_ms, self.parked)?;
        Ok(Attendance { pending_since_ms: self.pending_since_ms, parked: self.parked })
    }
}

impl RegisterLine {
    pub(super) fn of(register: Register) -> RegisterLine {
        RegisterLine {
            epoch: register.epoch,
            recorded: register.counts.map(|counts| counts.recorded),
            manual: register.counts.map_or(0, |counts| counts.manual),
        }
    }

    pub(super) fn register(self) -> Result<Register, Refusal> {
        if self.recorded.is_none() && self.manual != 0 {
            return Err(Refusal::BadValue { field: "manual", rule: "0 where recorded is null" });
        }
        let counts = self.recorded.map(|recorded| Counts::new(recorded, self.manual));
        counts.map_or(Ok(()), Counts::check_register)?;
        Ok(Register { epoch: self.epoch, counts })
    }
}

impl RemarkLine {
    /// Refuses an event with steps or a reason that no operation can have left.
    pub(super) fn check(&self) -> Result<Kind, Refusal> {
        let all = |counts: &[Option<Counts>]| {
            counts.iter().try_for_each(|counts| counts.map_or(Ok(()), Counts::check_register))
        };
        match &self.event {
            Event::Reading { said, .. } => all(&[Some(*said)]),
            Event::Replaced { from, to } => all(&[Some(*from), Some(*to)]),
            Event::Deleted { from, left } => all(&[*from, *left]),
            Event::DeletionIgnored { left, .. } => all(&[*left]),
            Event::Corrected { from, to, reason } => {
                if reason.len() > crate::domain::steps::REASON_LEN_MAX {
                    return Err(Refusal::BadValue { field: "reason", rule: "at most 200 bytes" });
                }
                all(&[*from, *to])
            }
            Event::Unpinned | Event::SetAside => Ok(()),
        }?;
        Ok(self.event.kind())
    }
}

/// A fact waits for the server, or was refused by it, not both; the smallest number of all stands for neither.
fn check_marks(pending_since_ms: Option<i64>, parked: Option<Code>) -> Result<(), Refusal> {
    if pending_since_ms == Some(i64::MIN) || (pending_since_ms.is_some() && parked.is_some()) {
        return Err(Refusal::BadValue { field: "pending_since_ms", rule: "a time, and null where parked" });
    }
    Ok(())
}
