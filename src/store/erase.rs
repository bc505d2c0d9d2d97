//! Following an erasure: everything of a person leaves the file, and the bytes with it.

use rusqlite::Connection;

use super::connection::classify;
use super::ledger::LedgerRow;
use super::row;
use super::transaction::WriteTx;
use crate::domain::dirty::RowCounts;
use crate::error::Result;

/// Every table with rows of a person, but the one that names them.
const TABLES: [&str; 7] = ["cell", "attendance", "source", "baseline", "own_count", "remark", "change"];

/// Deletes a person's rows. The row of the ledger stays, empty, so that its number is not given again.
pub(crate) fn erase(tx: &WriteTx<'_>, ledger: &LedgerRow) -> Result<()> {
    for table in TABLES {
        tx.execute(&format!("DELETE FROM {table} WHERE user = ?1"), [ledger.user]).map_err(classify)?;
    }
    // The first column of every row that can be set aside is the user. What is damaged again, or names a user
    // whom nobody knows, is nobody's any more, and goes too.
    let set_aside = "DELETE FROM set_aside WHERE CASE WHEN json_valid(content)
            THEN json_extract(content, '$[0]') = ?1
                 OR json_extract(content, '$[0]') NOT IN (SELECT user FROM ledger)
            ELSE 1 END";
    tx.execute(set_aside, [ledger.user]).map_err(classify)?;
    let empty = LedgerRow { revision: 0, rows: RowCounts::default(), ..ledger.clone() };
    row::put(tx, std::iter::once(empty))
}

/// Whether what is deleted is overwritten, or only given up to be used again.
pub(crate) fn overwrite(connection: &Connection, on: bool) -> Result<()> {
    let sql = if on { "PRAGMA secure_delete = ON" } else { "PRAGMA secure_delete = OFF" };
    connection.query_row(sql, [], |_| Ok(())).map_err(classify)
}

/// Writes the file anew without what former changes left behind in its pages, and empties the WAL, whose
/// older pages hold it too. Where another process is at the file just now, or the disk is full, the bytes stay
/// until SQLite uses their place again: gone from every answer, not yet from the disk.
///
/// Says whether it was done.
pub(crate) fn leave_no_trace(connection: &Connection) -> Result<bool> {
    let vacuumed = connection.execute_batch("VACUUM").map_err(classify);
    let emptied = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(classify);
    match vacuumed.and(emptied) {
        Ok(()) => Ok(true),
        Err(error) if error.is_corrupt() => Err(error),
        // The rows are gone already: a busy or full disk is no failure of the erasure.
        Err(_) => Ok(false),
    }
}
