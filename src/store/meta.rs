//! Table `meta`: what the file knows about itself.

use rusqlite::{Connection, OptionalExtension};

use super::connection::classify;
use super::transaction::WriteTx;
use crate::error::Result;

/// The device that last opened the file.
pub(crate) const INSTALL_ID: &str = "install_id";

pub(crate) fn get(connection: &Connection, key: &str) -> Result<Option<String>> {
    let sql = "SELECT value FROM meta WHERE key = ?1";
    connection.query_row(sql, [key], |row| row.get(0)).optional().map_err(classify)
}

pub(crate) fn set(tx: &WriteTx<'_>, key: &str, value: &str) -> Result<()> {
    let sql = "INSERT INTO meta (key, value) VALUES (?1, ?2)
               ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    tx.execute(sql, (key, value)).map(|_| ()).map_err(classify)
}
