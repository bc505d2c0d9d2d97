//! Table `ledger`: a user, and how many rows of each table are theirs.

use std::sync::OnceLock;

use rusqlite::{Connection, OptionalExtension, Row, Statement};

use super::checksum::Checksum;
use super::connection::classify;
use super::row::{self, Sql, StoredRow, int, text};
use crate::domain::dirty::RowCounts;
use crate::error::{Error, Result};

/// The device's own ledger, before anyone signs in.
pub(crate) const DEVICE_USER: i64 = 1;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LedgerRow {
    pub(crate) user: i64,
    pub(crate) name: String,
    pub(crate) revision: i64,
    pub(crate) rows: RowCounts,
}

impl LedgerRow {
    fn numbers(&self) -> [i64; 7] {
        let RowCounts { cells, attended, sources, baselines, own_counts, remarks } = self.rows;
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let [cells, attended, sources] = [cells, attended, sources].map(count);
        let [baselines, own_counts, remarks] = [baselines, own_counts, remarks].map(count);
        [self.revision, cells, attended, sources, baselines, own_counts, remarks]
    }

    /// How many rows of the other tables are this user's.
    pub(crate) fn counted(&self) -> usize {
        let RowCounts { cells, attended, sources, baselines, own_counts, remarks } = self.rows;
        cells + attended + sources + baselines + own_counts + remarks
    }

    fn checksum(&self) -> i32 {
        let sum = Checksum::of(7).int(self.user).text(&self.name);
        self.numbers().into_iter().fold(sum, Checksum::int).finish()
    }
}

impl StoredRow for LedgerRow {
    const TABLE: &'static str = "ledger";
    const COLUMNS: &'static [&'static str] = &[
        "user",
        "name",
        "revision",
        "cells",
        "attended",
        "sources",
        "baselines",
        "own_counts",
        "remarks",
        "chk",
    ];
    const KEY_COLUMNS: usize = 1;

    fn decode(row: &Row<'_>) -> Option<LedgerRow> {
        let rows = RowCounts {
            cells: int(row, 3)?,
            attended: int(row, 4)?,
            sources: int(row, 5)?,
            baselines: int(row, 6)?,
            own_counts: int(row, 7)?,
            remarks: int(row, 8)?,
        };
        let decoded =
            LedgerRow { user: int(row, 0)?, name: text(row, 1)?.to_owned(), revision: int(row, 2)?, rows };
        (int::<i32>(row, 9)? == decoded.checksum()).then_some(decoded)
    }

    fn bind(&self, statement: &mut Statement<'_>, first: usize) -> rusqlite::Result<()> {
        statement.raw_bind_parameter(first, self.user)?;
        statement.raw_bind_parameter(first + 1, &self.name)?;
        for (i, number) in self.numbers().into_iter().enumerate() {
            statement.raw_bind_parameter(first + 2 + i, number)?;
        }
        statement.raw_bind_parameter(first + 9, self.checksum())
    }

    fn sql() -> &'static Sql {
        static SQL: OnceLock<Sql> = OnceLock::new();
        SQL.get_or_init(Sql::of::<LedgerRow>)
    }
}

/// The row of a user, if they have one.
pub(crate) fn find(connection: &Connection, name: &str) -> Result<Option<LedgerRow>> {
    let sql = "SELECT user, name, revision, cells, attended, sources, baselines, own_counts, remarks, chk
                 FROM ledger WHERE name = ?1";
    let mut statement = connection.prepare_cached(sql).map_err(classify)?;
    let row = statement.query_row([name], |row| Ok(LedgerRow::decode(row))).optional().map_err(classify)?;
    match row {
        None => check_absent(connection, name).map(|()| None),
        Some(Some(row)) => Ok(Some(row)),
        // Its row counts guard the other tables: without them nothing can be trusted alone.
        Some(None) => Err(damaged()),
    }
}

fn damaged() -> Error {
    Error::Corrupt("a row of the ledger table fails its checksum".into())
}

/// The index says that there is no such user: a damaged one must not make a ledger look empty, nor start
/// a second one.
fn check_absent(connection: &Connection, name: &str) -> Result<()> {
    let sql = "SELECT count(*) FROM ledger NOT INDEXED WHERE name = ?1";
    let mut statement = connection.prepare_cached(sql).map_err(classify)?;
    match statement.query_row([name], |row| row.get::<_, i64>(0)).map_err(classify)? {
        0 => Ok(()),
        _ => Err(Error::Corrupt("the index of users misses one".into())),
    }
}

/// The number of a new user.
pub(crate) fn new_user(connection: &Connection, name: &str) -> Result<i64> {
    if name.is_empty() {
        return Ok(DEVICE_USER);
    }
    let sql = "SELECT max(coalesce(max(user), 0), ?1) + 1 FROM ledger";
    connection.query_row(sql, [DEVICE_USER], |row| row.get(0)).map_err(classify)
}

/// Every user, in the order of their numbers.
pub(crate) fn names(connection: &Connection) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut all_good = true;
    row::scan(connection, "ORDER BY user", |row: std::result::Result<LedgerRow, _>| match row {
        Ok(row) => names.push(row.name),
        Err(_) => all_good = false,
    })?;
    if all_good { Ok(names) } else { Err(damaged()) }
}
