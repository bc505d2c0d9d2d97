//! Following an erasure: everything of a person leaves the file, and the bytes with it.

use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::Connection;

use super::connection::{self, classify};
use super::ledger::{self, LedgerRow};
use super::transaction::WriteTx;
use super::{meta, row};
use crate::domain::dirty::RowCounts;
use crate::error::{Error, Result};

/// Every table with rows of a person, but the one that names them.
const TABLES: [&str; 8] =
    ["cell", "attendance", "source", "baseline", "own_count", "remark", "change", "era"];

/// What the keys of `meta` begin with that name the numbers which erasures gave up, until the bytes of their rows
/// are off the disk. The number follows, and is the value too: so a mark is believed wherever it is found.
const GIVEN_UP: &str = "given_up:";

/// Deletes a person's rows and gives their number up: the empty ledger goes on under another one. What is still
/// found under the old number, now or in a damaged file, is nobody's, and no number is given twice. So nothing of
/// it can come back, and nothing that is written from now on can be taken for it. Gives the present number.
pub(crate) fn erase(tx: &WriteTx<'_>, ledger: &LedgerRow) -> Result<i64> {
    let was = ledger.user;
    meta::forget_baselines(tx, ledger)?;
    let mut deleted = 0;
    for table in TABLES {
        let sql = format!("DELETE FROM {table} WHERE user = ?1");
        deleted += tx.execute(&sql, [was]).map_err(classify)?;
    }
    // The first column of every row that can be set aside is the user. What is damaged again, or names a user
    // whom nobody knows, is nobody's any more, and goes too.
    let set_aside = "DELETE FROM set_aside WHERE CASE WHEN json_valid(content)
            THEN json_extract(content, '$[0]') = ?1
                 OR json_extract(content, '$[0]') NOT IN (SELECT user FROM ledger)
            ELSE 1 END";
    deleted += tx.execute(set_aside, [was]).map_err(classify)?;
    let user = if deleted == 0 { was } else { give_up(tx, ledger)? };
    let empty = LedgerRow { user, revision: 0, rows: RowCounts::default(), ..ledger.clone() };
    row::put(tx, std::iter::once(empty))?;
    Ok(user)
}

/// Takes the name off a number; gives the one under which the ledger goes on.
fn give_up(tx: &WriteTx<'_>, ledger: &LedgerRow) -> Result<i64> {
    let next = ledger::next_number(tx, ledger)?;
    tx.execute("DELETE FROM ledger WHERE user = ?1", [ledger.user]).map_err(classify)?;
    let was = ledger.user.to_string();
    let sql = "REPLACE INTO meta (key, value) VALUES (?1, ?2)";
    tx.execute(sql, (format!("{GIVEN_UP}{was}"), &was)).map_err(classify)?;
    if meta::get(tx, meta::FIRST_USER)?.as_ref() == Some(&was) {
        // It is still the same person.
        meta::set(tx, meta::FIRST_USER, &next.to_string())?;
    }
    Ok(next)
}

/// The number that a row of `meta` says was given up, if it says so.
pub(crate) fn mark(key: &str, value: &str) -> Option<i64> {
    let number = key.strip_prefix(GIVEN_UP).filter(|number| *number == value)?;
    number.parse().ok()
}

/// The numbers whose rows may still be on the disk.
pub(crate) fn marks(connection: &Connection) -> Result<BTreeSet<i64>> {
    // ';' is the character after ':'.
    let sql = "SELECT key, value FROM meta WHERE key BETWEEN 'given_up:' AND 'given_up;'";
    let mut statement = connection.prepare_cached(sql).map_err(classify)?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)));
    let rows: Vec<(String, String)> = rows.and_then(Iterator::collect).map_err(classify)?;
    Ok(rows.iter().filter_map(|(key, value)| mark(key, value)).collect())
}

/// Whether what is deleted is overwritten, or only given up to be used again.
pub(crate) fn overwrite(connection: &Connection, on: bool) -> Result<()> {
    let sql = if on { "PRAGMA secure_delete = ON" } else { "PRAGMA secure_delete = OFF" };
    connection.query_row(sql, [], |_| Ok(())).map_err(classify)
}

/// Where something was erased whose bytes may still be there: writes the file anew without what former changes left
/// behind in its pages, and empties the WAL, whose older pages hold it too; then forgets the marks. Where another
/// process is at the file just now, or the disk is full, the bytes stay until this is tried again: gone from every
/// answer, not yet from the disk.
///
/// # Errors
/// Busy, and nothing was written, while somebody is at the file; corrupt where pages are damaged: what they hide
/// would be hidden for ever. Any other may have left it half-way.
pub(crate) fn leave_no_trace(connection: &Connection) -> Result<()> {
    let marks = marks(connection)?;
    if marks.is_empty() {
        return Ok(());
    }
    // A reader keeps the WAL as it is: then it is of no use to write everything anew.
    connection::empty_wal(connection)?;
    let sound: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(classify)?;
    if sound != "ok" {
        return Err(Error::Corrupt("pages are damaged".into()));
    }
    connection.execute_batch("VACUUM").map_err(classify)?;
    let emptied = connection::empty_wal(connection).and_then(|()| forget(connection, &marks));
    emptied.map_err(|error| match error {
        Error::Busy(cause) => Error::Unreachable(cause),
        error => error,
    })
}

/// Nothing of these numbers is on the disk any more. A kill before this only means that it is done once more.
fn forget(connection: &Connection, marks: &BTreeSet<i64>) -> Result<()> {
    let tx = WriteTx::begin(connection, Duration::ZERO)?;
    for number in marks {
        let key = format!("{GIVEN_UP}{number}");
        tx.execute("DELETE FROM meta WHERE key = ?1", [key]).map_err(classify)?;
    }
    tx.commit()
}
