//! What a store keeps beside the facts: changes, for history and for devices that have not heard of them.

use std::collections::BTreeMap;

use super::change::{self, ChangeRow};
use super::era::{self, EraRow};
use super::row;
use super::transaction::WriteTx;
use crate::domain::column::SourceId;
use crate::domain::day::Day;
use crate::domain::history::{HistoryEvent, Was};
use crate::domain::ledger::Ledger;
use crate::domain::level::LevelRules;
use crate::domain::register::Register;
use crate::error::{Error, Result};

/// How long changes are kept by default: a year, and the season after it in which somebody asks.
pub const HISTORY_FOR_DEFAULT: std::time::Duration = std::time::Duration::from_secs(400 * 86_400);
/// Old changes are compacted once a day at most: it reads every change of the user.
const COMPACT_EVERY_MS: i64 = 86_400_000;
/// Without history, changes may pile up to this many beyond one a fact before they are compacted: a year of
/// today's steps at three batches a day.
const SUPERSEDED_MAX: i64 = 1_000;

/// How a ledger is loaded and what is written beside its facts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keeping {
    pub(crate) levels: LevelRules,
    /// Whether the ledgers are a server's: its revision counts the transactions.
    pub(crate) server: bool,
    /// For how long overruled changes are kept; `None`: no history.
    pub(crate) history_ms: Option<i64>,
}

impl Keeping {
    /// Whether changes are written at all.
    pub(crate) fn logs(self) -> bool {
        self.server || self.history_ms.is_some()
    }
}

/// Writes the changes of a transaction, and compacts old ones when that is due.
pub(crate) fn save(
    tx: &WriteTx<'_>,
    era: &mut EraRow,
    ledger: &Ledger,
    was: Vec<Was>,
    keeping: Keeping,
) -> Result<()> {
    let now_ms = was.iter().map(|was| was.at_ms).max().unwrap_or(era.last_ms);
    era.last_ms = era.last_ms.max(now_ms);
    era.seq = if keeping.server { i64::try_from(ledger.revision).unwrap_or(i64::MAX) } else { era.seq + 1 };
    if !era.is_whole() {
        // Somebody changed the ledger meanwhile and wrote no history: what is known begins here.
        era.history_from_ms = Some(era.last_ms);
        era.complete_from = era.seq - 1;
    }
    let rows: Vec<ChangeRow> = was
        .into_iter()
        .map(|was| ChangeRow {
            user: era.user,
            seq: era.seq,
            day: was.day,
            source: was.source,
            at_ms: era.last_ms,
            origin: was.origin,
            from: Some(was.register).filter(|from| *from != Register::UNKNOWN),
            to: was.source.map_or(Register::UNKNOWN, |id| ledger.cell(id, was.day).register),
        })
        .collect();
    era.changes += i64::try_from(rows.len()).unwrap_or(i64::MAX);
    row::put(tx, rows.into_iter())?;
    let rows = ledger.row_counts();
    let facts = i64::try_from(rows.cells + rows.attended).unwrap_or(i64::MAX);
    let piled_up = keeping.history_ms.is_none() && era.changes > facts.saturating_mul(2) + SUPERSEDED_MAX;
    // A clock that went back makes the last time one of the future.
    let long_ago = !(0..COMPACT_EVERY_MS).contains(&now_ms.saturating_sub(era.compacted_ms));
    if piled_up || long_ago {
        compact(tx, era, now_ms, now_ms.saturating_sub(keeping.history_ms.unwrap_or(0)))?;
    }
    row::put(tx, std::iter::once(era.clone()))
}

/// Drops what happened before an instant and was overruled since. Where a change cannot be trusted, or has
/// vanished, all of them are dropped: history begins anew, and a device that lacks any is told everything.
pub(crate) fn compact(tx: &WriteTx<'_>, era: &mut EraRow, now_ms: i64, before_ms: i64) -> Result<()> {
    era.compacted_ms = now_ms;
    let mut found = 0;
    let sound = change::each(tx, era.user, |_| {
        found += 1;
        Ok(())
    })?;
    if !sound || found != era.changes {
        change::delete_all(tx, era.user)?;
        era.changes = 0;
        era.complete_from = era.seq;
        era.begin_anew_after(era.last_ms);
        return Ok(());
    }
    let gone = change::compact(tx, era.user, before_ms)?;
    era.changes -= i64::try_from(gone).unwrap_or(i64::MAX);
    if gone > 0 {
        // Nothing is dropped that is still to happen: after the last change everything is known again.
        let from_ms = before_ms.min(era.last_ms);
        era.history_from_ms = Some(era.history_from_ms.map_or(from_ms, |from| from.max(from_ms)));
    }
    Ok(())
}

/// Every kept change of a user, checked against their number.
pub(crate) fn changes(
    connection: &rusqlite::Connection,
    user: i64,
) -> Result<Option<(EraRow, Vec<ChangeRow>)>> {
    let Some(era) = era::find(connection, user)? else { return Ok(None) };
    match change::all(connection, user)? {
        Some(changes) if i64::try_from(changes.len()) == Ok(era.changes) => Ok(Some((era, changes))),
        Some(_) | None => Err(Error::Corrupt("changes of the history have vanished or are damaged".into())),
    }
}

/// A kept change as an event; `None` where its source has no name, which a sound file never shows.
pub(crate) fn event(row: &ChangeRow, ledger: &Ledger) -> Option<HistoryEvent> {
    let fact = |register| ledger.fact_of(row.day, row.source, register);
    Some(HistoryEvent {
        transaction: u64::try_from(row.seq).unwrap_or(0),
        at_ms: row.at_ms,
        origin: row.origin.clone(),
        before: row.from.and_then(fact),
        after: fact(row.to)?,
    })
}

/// The ledger as it was at an instant: what happened later is undone, latest first.
pub(crate) fn undone(ledger: &Ledger, changes: &[ChangeRow], at_ms: i64, keeping: Keeping) -> Result<Ledger> {
    let mut facts: BTreeMap<(Day, Option<SourceId>), Register> = BTreeMap::new();
    for (id, day, cell) in ledger.each_cell() {
        facts.insert((day, Some(id)), cell.register);
    }
    for day in ledger.attendance.keys() {
        facts.insert((*day, None), Register::UNKNOWN);
    }
    let mut revision = ledger.revision;
    for change in changes.iter().rev().take_while(|change| change.at_ms > at_ms) {
        match change.from {
            Some(from) => facts.insert((change.day, change.source), from),
            None => facts.remove(&(change.day, change.source)),
        };
        if keeping.server {
            revision = u64::try_from(change.seq - 1).unwrap_or(0);
        }
    }
    let facts =
        facts.into_iter().filter_map(|((day, source), register)| ledger.fact_of(day, source, register));
    Ok(Ledger::load(*ledger.timeline().rules(), revision, facts)?)
}
