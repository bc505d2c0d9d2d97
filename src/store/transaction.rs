//! A write transaction in a type: what writes takes `&WriteTx`, so that half-written state does not
//! compile.

use std::time::Duration;

use rusqlite::Connection;

use super::connection::classify;
use crate::error::{Error, Result};

/// How long to wait before asking again for the write lock: a flush takes a few of these.
const LOCK_PAUSE: Duration = Duration::from_millis(1);

/// A `BEGIN IMMEDIATE` transaction; dropping it without [`WriteTx::commit`] rolls back.
pub(crate) struct WriteTx<'c> {
    connection: &'c Connection,
    open: bool,
}

impl<'c> WriteTx<'c> {
    /// Takes the write lock at once, so that the transaction never has to upgrade and fail half-way.
    /// Cached statements: beginning and ending cost as much as the row they frame otherwise.
    ///
    /// Waits by itself: SQLite's own waiting asks ten times a second in the end, and beside a process that
    /// writes without a pause, and so is nearly always inside its flush, it came away with nothing.
    pub(crate) fn begin(connection: &'c Connection, timeout: Duration) -> Result<WriteTx<'c>> {
        waiting(timeout, || {
            connection.busy_timeout(Duration::ZERO).map_err(classify)?;
            let begun = run(connection, "BEGIN IMMEDIATE");
            connection.busy_timeout(timeout).map_err(classify)?;
            begun.map(|()| WriteTx { connection, open: true })
        })
    }

    /// Leaves the end to the connection, which rolls back when it goes.
    pub(crate) fn leave_open(mut self) {
        self.open = false;
    }

    /// Makes it durable.
    pub(crate) fn commit(mut self) -> Result<()> {
        run(self.connection, "COMMIT")?;
        self.open = false;
        Ok(())
    }
}

/// Asks again while somebody else holds what is asked for, until the time is over.
pub(super) fn waiting<T>(timeout: Duration, mut ask: impl FnMut() -> Result<T>) -> Result<T> {
    let mut pauses_left = timeout.as_millis() / LOCK_PAUSE.as_millis();
    loop {
        match ask() {
            Err(Error::Busy(_)) if pauses_left > 0 => {
                std::thread::sleep(LOCK_PAUSE);
                pauses_left -= 1;
            }
            answer => return answer,
        }
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
    // What went wrong first: a full disk ends the transaction by itself, and then there is none to end.
    result.and_then(|value| ended.map(|()| value))
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
