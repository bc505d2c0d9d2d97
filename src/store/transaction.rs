//! A write transaction in a type: what writes takes `&WriteTx`, so that half-written state does not
//! compile.

use rusqlite::Connection;

use super::connection::classify;
use crate::error::Result;

/// A `BEGIN IMMEDIATE` transaction; dropping it without [`WriteTx::commit`] rolls back.
pub(crate) struct WriteTx<'c> {
    connection: &'c Connection,
    open: bool,
}

impl<'c> WriteTx<'c> {
    /// Takes the write lock at once, so that the transaction never has to upgrade and fail half-way.
    /// Cached statements: beginning and ending cost as much as the row they frame otherwise.
    pub(crate) fn begin(connection: &'c Connection) -> Result<WriteTx<'c>> {
        run(connection, "BEGIN IMMEDIATE")?;
        Ok(WriteTx { connection, open: true })
    }

    /// Makes it durable.
    pub(crate) fn commit(mut self) -> Result<()> {
        run(self.connection, "COMMIT")?;
        self.open = false;
        Ok(())
    }
}

/// A read transaction over several tables: one snapshot.
pub(crate) fn read<T>(connection: &Connection, f: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    run(connection, "BEGIN")?;
    let result = f(connection);
    let ended = run(connection, "COMMIT");
    if ended.is_err() {
        // The snapshot must not stay open; an error here has nothing to undo.
        let _ = run(connection, "ROLLBACK");
    }
    ended.and(result)
}

fn run(connection: &Connection, sql: &str) -> Result<()> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.raw_execute())
        .map(|_| ())
        .map_err(classify)
}

impl Drop for WriteTx<'_> {
    fn drop(&mut self) {
        if self.open && !self.connection.is_autocommit() {
            // SQLite rolls back by itself when the connection goes; there is nobody to tell here.
            let _ = run(self.connection, "ROLLBACK");
        }
    }
}

impl std::ops::Deref for WriteTx<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}
