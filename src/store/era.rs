//! Table `era`: one row a user whose changes are kept, with the generation that erasure raises.

use std::sync::OnceLock;

use rusqlite::{Connection, OptionalExtension, Row, Statement};

use super::checksum::Checksum;
use super::connection::classify;
use super::row::{Sql, StoredRow, int, opt_int};
use crate::error::{Error, Result};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EraRow {
    pub(crate) user: i64,
    /// Raised by erasure; facts of older generations are refused.
    pub(crate) generation: u32,
    /// Raised when rows of a server's ledger were lost: its devices are to send everything again.
    pub(crate) lives: u32,
    /// The last transaction that changed something.
    pub(crate) seq: i64,
    /// The newest change of every fact that changed after this transaction is kept.
    pub(crate) complete_from: i64,
    /// From when on every change is kept; `None`: from the beginning.
    pub(crate) history_from_ms: Option<i64>,
    pub(crate) last_ms: i64,
    pub(crate) compacted_ms: i64,
    pub(crate) changes: i64,
}

impl EraRow {
    /// In place of the time from which on every change is kept: somebody changed the ledger without writing the
    /// changes, so that nothing is known of what was before the next one that is written.
    pub(crate) const NOT_WHOLE: i64 = i64::MAX;

    /// Whether the kept changes lead to the present state of the ledger.
    pub(crate) fn is_whole(&self) -> bool {
        self.history_from_ms != Some(EraRow::NOT_WHOLE)
    }

    /// The ledger changes and nobody writes how. A server's devices are to be told everything.
    pub(crate) fn break_off(&mut self) {
        self.history_from_ms = Some(EraRow::NOT_WHOLE);
        self.complete_from = i64::MAX;
        self.lives = self.lives.saturating_add(1);
    }

    /// Rows of the ledger were lost: the kept changes lead to what it was before that, not to what it is.
    pub(crate) fn lose_rows(&mut self) {
        self.lives = self.lives.saturating_add(1);
        self.begin_anew_after(self.last_ms);
    }

    /// What happened up to an instant does not count as known any more.
    pub(crate) fn begin_anew_after(&mut self, at_ms: i64) {
        let from_ms = at_ms.saturating_add(1);
        self.history_from_ms = Some(self.history_from_ms.map_or(from_ms, |from| from.max(from_ms)));
    }

    /// The era of a ledger of which no change is kept yet.
    pub(crate) fn begin(user: i64, seq: i64, is_new: bool, now_ms: i64) -> EraRow {
        EraRow {
            user,
            generation: 0,
            lives: 0,
            seq,
            // Facts from before are in no change: nobody knows them who knows no revision.
            complete_from: if is_new { seq } else { seq.max(1) },
            history_from_ms: (!is_new).then_some(now_ms),
            last_ms: i64::MIN,
            compacted_ms: now_ms,
            changes: 0,
        }
    }

    fn checksum(&self) -> i32 {
        Checksum::of(10)
            .int(self.user)
            .int(self.generation.into())
            .int(self.lives.into())
            .int(self.seq)
            .int(self.complete_from)
            .opt(self.history_from_ms)
            .int(self.last_ms)
            .int(self.compacted_ms)
            .int(self.changes)
            .finish()
    }
}

impl StoredRow for EraRow {
    const TABLE: &'static str = "era";
    const COLUMNS: &'static [&'static str] = &[
        "user",
        "generation",
        "lives",
        "seq",
        "complete_from",
        "history_from_ms",
        "last_ms",
        "compacted_ms",
        "changes",
        "chk",
    ];
    const KEY_COLUMNS: usize = 1;

    fn decode(row: &Row<'_>) -> Option<EraRow> {
        let decoded = EraRow {
            user: int(row, 0)?,
            generation: int(row, 1)?,
            lives: int(row, 2)?,
            seq: int(row, 3)?,
            complete_from: int(row, 4)?,
            history_from_ms: opt_int(row, 5)?,
            last_ms: int(row, 6)?,
            compacted_ms: int(row, 7)?,
            changes: int(row, 8)?,
        };
        (int::<i32>(row, 9)? == decoded.checksum()).then_some(decoded)
    }

    fn bind(&self, statement: &mut Statement<'_>, first: usize) -> rusqlite::Result<()> {
        statement.raw_bind_parameter(first, self.user)?;
        statement.raw_bind_parameter(first + 1, self.generation)?;
        statement.raw_bind_parameter(first + 2, self.lives)?;
        statement.raw_bind_parameter(first + 3, self.seq)?;
        statement.raw_bind_parameter(first + 4, self.complete_from)?;
        statement.raw_bind_parameter(first + 5, self.history_from_ms)?;
        statement.raw_bind_parameter(first + 6, self.last_ms)?;
        statement.raw_bind_parameter(first + 7, self.compacted_ms)?;
        statement.raw_bind_parameter(first + 8, self.changes)?;
        statement.raw_bind_parameter(first + 9, self.checksum())
    }

    fn sql() -> &'static Sql {
        static SQL: OnceLock<Sql> = OnceLock::new();
        SQL.get_or_init(Sql::of::<EraRow>)
    }
}

/// The era of a user, if changes are kept.
///
/// # Errors
/// Corrupt where its row cannot be trusted: without the generation, what was erased could come back.
pub(crate) fn find(connection: &Connection, user: i64) -> Result<Option<EraRow>> {
    let sql = format!("SELECT {} FROM era WHERE user = ?1", EraRow::COLUMNS.join(", "));
    let mut statement = connection.prepare_cached(&sql).map_err(classify)?;
    let row = statement.query_row([user], |row| Ok(EraRow::decode(row))).optional().map_err(classify)?;
    match row {
        None => Ok(None),
        Some(Some(row)) => Ok(Some(row)),
        Some(None) => Err(Error::Corrupt("a row of the era table fails its checksum".into())),
    }
}
