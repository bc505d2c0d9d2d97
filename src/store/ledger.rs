//! Table `ledger`: a user, and how many rows of each table are theirs.

use std::sync::OnceLock;

use rusqlite::{Connection, OptionalExtension, Row, Statement};

use super::checksum::Checksum;
use super::connection::classify;
use super::row::{self, Sql, StoredRow, int, text};
use crate::domain::dirty::RowCounts;
use crate::error::{Error, Result};

/// The first number of the device's own ledger, before anyone signs in. Its later ones are -1, -2 ...; everybody
/// else's go up from here. No number is ever given twice.
const DEVICE_USER: i64 = 1;

/// Whether a number is one of the device's own ledger.
pub(crate) fn is_devices(user: i64) -> bool {
    user <= DEVICE_USER
}

/// Whether a number was given before another one of the same kind.
pub(crate) fn is_before(user: i64, other: i64) -> bool {
    is_devices(user) == is_devices(other) && if is_devices(user) { user > other } else { user < other }
}

/// Up to this number all users are asked whether one bears a name that nobody has: a tenth of a millisecond, which
/// is less than the flush of a sign-up.
const FEW_USERS: i64 = 1_000;

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

const FIND: &str =
    "SELECT user, name, revision, cells, attended, sources, baselines, own_counts, remarks, chk
      FROM ledger WHERE name = ?1";
const LAST: &str = "SELECT max(user) FROM ledger";
/// The two names before a name, and whether their rows say the same.
const BEFORE: &str =
    "SELECT i.name, i.name IS (SELECT t.name FROM ledger t NOT INDEXED WHERE t.user = i.user)
      FROM ledger i INDEXED BY sqlite_autoindex_ledger_1 WHERE i.name < ?1 ORDER BY i.name DESC LIMIT 2";
/// And the two behind it.
const BEHIND: &str =
    "SELECT i.name, i.name IS (SELECT t.name FROM ledger t NOT INDEXED WHERE t.user = i.user)
      FROM ledger i INDEXED BY sqlite_autoindex_ledger_1 WHERE i.name > ?1 ORDER BY i.name LIMIT 2";

/// The row of a user, if they have one.
pub(crate) fn find(connection: &Connection, name: &str) -> Result<Option<LedgerRow>> {
    let mut statement = connection.prepare_cached(FIND).map_err(classify)?;
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
/// a second one. Among few users all are asked. Among many, all were asked when the file was opened; damage since
/// then that leads the search astray lies where the search ended.
fn check_absent(connection: &Connection, name: &str) -> Result<()> {
    if has_many(connection)? {
        return check_neighbours(connection, name);
    }
    let sql = "SELECT count(*) FROM ledger NOT INDEXED WHERE name = ?1";
    let mut statement = connection.prepare_cached(sql).map_err(classify)?;
    match statement.query_row([name], |row| row.get::<_, i64>(0)).map_err(classify)? {
        0 => Ok(()),
        _ => Err(index_damaged()),
    }
}

fn index_damaged() -> Error {
    Error::Corrupt("the index of users disagrees with their table".into())
}

fn has_many(connection: &Connection) -> Result<bool> {
    let mut statement = connection.prepare_cached(LAST).map_err(classify)?;
    let last: Option<i64> = statement.query_row([], |row| row.get(0)).map_err(classify)?;
    Ok(last.is_some_and(|last| last > FEW_USERS))
}

/// The two names before and the two behind the place of a name must be in order, and those of their rows. A search
/// goes astray at an entry that says less or more than it should; whatever it is compared with from there on lies
/// on one side, so that the search ends beside that entry.
fn check_neighbours(connection: &Connection, name: &str) -> Result<()> {
    let near = |sql: &str| -> Result<Vec<(String, bool)>> {
        let mut statement = connection.prepare_cached(sql).map_err(classify)?;
        let rows = statement.query_map([name], |row| Ok((row.get(0)?, row.get(1)?))).map_err(classify)?;
        rows.collect::<rusqlite::Result<_>>().map_err(classify)
    };
    let (mut names, behind) = (near(BEFORE)?, near(BEHIND)?);
    names.reverse();
    names.push((name.to_owned(), true));
    names.extend(behind);
    let agree = names.iter().all(|(_, agrees)| *agrees) && names.is_sorted_by(|(a, _), (b, _)| a < b);
    if agree { Ok(()) } else { Err(index_damaged()) }
}

/// Whether the table of users and its index tell the same, asked once when a file with many users is opened.
pub(crate) fn check_index(connection: &Connection) -> Result<()> {
    if !has_many(connection)? {
        return Ok(());
    }
    let (mut last, mut in_order) = (None::<String>, true);
    let indexed = sum_of_names(connection, "INDEXED BY sqlite_autoindex_ledger_1 ORDER BY name", |name| {
        in_order &= last.as_deref() < Some(name);
        last = Some(name.to_owned());
    })?;
    let listed = sum_of_names(connection, "NOT INDEXED", |_| ())?;
    if in_order && indexed == listed { Ok(()) } else { Err(index_damaged()) }
}

/// The number of names and a sum over them with their numbers, in whatever order they come: one that differs makes
/// another sum.
fn sum_of_names(connection: &Connection, by: &str, mut look: impl FnMut(&str)) -> Result<(u64, u64)> {
    let mut statement =
        connection.prepare(&format!("SELECT user, name FROM ledger {by}")).map_err(classify)?;
    let mut rows = statement.query([]).map_err(classify)?;
    let (mut count, mut sum) = (0, 0_u64);
    while let Some(row) = rows.next().map_err(classify)? {
        let (Some(user), Some(name)) = (int::<i64>(row, 0), text(row, 1)) else { return Err(damaged()) };
        look(name);
        count += 1;
        let one = Checksum::of(7).int(user).text(name).finish().cast_unsigned();
        sum = sum.wrapping_add(one.into());
    }
    Ok((count, sum))
}

/// The number of a new user.
pub(crate) fn new_user(connection: &Connection, name: &str) -> Result<i64> {
    if name.is_empty() {
        return Ok(DEVICE_USER);
    }
    let sql = "SELECT max(coalesce(max(user), 0), ?1) + 1 FROM ledger";
    connection.query_row(sql, [DEVICE_USER], |row| row.get(0)).map_err(classify)
}

/// The number under which a ledger goes on when its present one is given up.
pub(crate) fn next_number(connection: &Connection, row: &LedgerRow) -> Result<i64> {
    if row.name.is_empty() { Ok(row.user.min(0).saturating_sub(1)) } else { new_user(connection, &row.name) }
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

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus::{FullscanStep, VmStep};

    use super::*;
    use crate::store::schema;

    #[test]
    fn a_new_name_among_many_users_is_looked_up_and_not_searched_for() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection, schema::State::New).unwrap();
        let users = 2 * FEW_USERS;
        for user in 2..users {
            let sql = "INSERT INTO ledger VALUES (?1, ?2, 0, 0, 0, 0, 0, 0, 0, 0)";
            connection.execute(sql, (user, format!("user-{:04}", user * 7 % users))).unwrap();
        }
        check_index(&connection).unwrap();
        for name in ["", "user-0998x", "zoe"] {
            assert_eq!(find(&connection, name).unwrap(), None);
        }
        for sql in [FIND, LAST, BEFORE, BEHIND] {
            // The statement that was just used, from the cache.
            let used = connection.prepare_cached(sql).unwrap();
            let steps = (used.get_status(FullscanStep), used.get_status(VmStep));
            assert!(steps.0 <= 3 && (1..300).contains(&steps.1), "{sql}: {steps:?}");
        }
        assert!(find(&connection, "user-0998").unwrap_err().is_corrupt(), "its row has no checksum");
    }
}
