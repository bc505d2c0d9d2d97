//! Opening a connection: flags, pragmas each with its reason, identity, and what each SQLite error means.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

pub(crate) use super::failure::classify;
use super::{schema, transaction};
use crate::domain::canary;
use crate::error::{Error, Result};

/// How durable a success is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Survives power loss: every commit is flushed to the medium (one fdatasync; a true full flush on
    /// Apple). The default.
    #[default]
    Full,
    /// Survives the app and the system being killed; a power loss may take the commits since the last
    /// checkpoint, and the next reading of the platform's own store brings them back.
    Normal,
}

/// How a file is opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opening {
    pub durability: Durability,
    pub busy_timeout: Duration,
}

/// 512 KiB of page cache: ten years of one source are 110 KiB, and an app extension has 30 MiB in all.
const CACHE_KIB: u32 = 512;
/// SQLite before 3.51.3 can corrupt a WAL file that two processes write.
const SQLITE_MIN: i32 = 3_051_003;

/// Opens a ledger file, creating or migrating it where needed. A foreign or newer file is refused
/// before anything is written.
pub(crate) fn open(path: &Path, opening: Opening) -> Result<Connection> {
    open_noting(path, opening).map(|(connection, _)| connection)
}

/// The same, and whether SQLite took over commits from a WAL that lay there.
pub(super) fn open_noting(path: &Path, opening: Opening) -> Result<(Connection, bool)> {
    if rusqlite::version_number() < SQLITE_MIN {
        return Err(Error::Internal("this build links an SQLite older than 3.51.3".into()));
    }
    open_checked(path, opening).map_err(|error| match error {
        // "SQL logic error" of statements that are right: the header names a format that does not exist.
        Error::Internal(cause) => Error::Corrupt(cause),
        error => error,
    })
}

fn open_checked(path: &Path, opening: Opening) -> Result<(Connection, bool)> {
    let waits = ["-wal", "-journal"].iter().any(|suffix| super::beside(path, suffix).exists());
    if waits {
        refuse_untouched(path)?;
    }
    // No mutex of SQLite's own: a connection is used by one thread at a time, as `&mut` says.
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection =
        Connection::open_with_flags(path, flags).map_err(|error| read_only_or(classify(error), path))?;
    connection.busy_timeout(opening.busy_timeout).map_err(classify)?;
    // Until the file is known to be ours, closing must not checkpoint what waits in its WAL.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, waits).map_err(classify)?;
    let read_only = |connection: &Connection| connection.is_readonly("main").map_err(classify);
    let opened_read_only = read_only(&connection)?;
    let state =
        transaction::read(&connection, schema::identify).map_err(|error| read_only_or(error, path))?;
    if opened_read_only {
        return Err(Error::ReadOnly("the file was opened read-only".into()));
    }
    if read_only(&connection)? {
        return Err(Error::Corrupt("the header names a version that does not exist".into()));
    }
    configure(&connection, opening)?;
    let recovered = has_recovered(&connection)?;
    schema::migrate(&mut connection, state)?;
    schema::verify(&connection)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map_err(classify)?;
    Ok((connection, recovered))
}

/// Refuses a foreign or newer file without touching it: to look at a file whose WAL or journal waits,
/// SQLite would make a `-shm` or roll back. So this look leaves them out; what they hold is seen next.
pub(super) fn refuse_untouched(path: &Path) -> Result<()> {
    let Some(name) = path.to_str().filter(|_| cfg!(unix)) else { return Ok(()) };
    let mut uri = String::from("file:");
    for byte in name.bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => uri.push(byte.into()),
            // A String never fails to take text.
            _ => write!(uri, "%{byte:02x}").unwrap_or_default(),
        }
    }
    uri += "?immutable=1";
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let Ok(connection) = Connection::open_with_flags(uri, flags) else { return Ok(()) };
    match schema::identify(&connection) {
        Err(error @ (Error::Foreign | Error::NewerSchema { .. })) => Err(error),
        // Any other fault is for the ordinary way to meet and to name.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// SQLite says "cannot open" of a locked phone and of a folder in which its WAL cannot be made alike.
fn read_only_or(error: Error, path: &Path) -> Error {
    const EACCES: i32 = 13;
    const EROFS: i32 = 30;
    if !matches!(error, Error::Unreachable(_)) {
        return error;
    }
    let trial = super::beside(path, ".trial");
    match std::fs::File::create_new(&trial) {
        Ok(_) => {
            // Empty and of our own making.
            let _ = std::fs::remove_file(trial);
            error
        }
        // A locked phone says EPERM.
        Err(why) if matches!(why.raw_os_error(), Some(EACCES | EROFS)) => {
            Error::ReadOnly("no file can be made in the folder".into())
        }
        Err(_) => error,
    }
}

/// Whether SQLite found commits in the WAL when it opened the file. It refuses a WAL that, or whose index, could only
/// be opened read-only: the connection would keep it so for as long as it lives, whatever is allowed meanwhile.
fn has_recovered(connection: &Connection) -> Result<bool> {
    // NOOP only counts the frames.
    let frames = connection.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get::<_, i64>(1));
    frames.map(|frames| frames > 0).map_err(classify)
}

/// Moves what the WAL holds into the file, as far as nobody reads it, and flushes that.
///
/// # Errors
/// Busy while another process does so.
pub(super) fn checkpoint(connection: &Connection) -> Result<()> {
    move_wal(connection, "PRAGMA wal_checkpoint(PASSIVE)")
}

/// Moves all that the WAL holds into the file and leaves nothing in it.
///
/// # Errors
/// Busy while another process reads or writes.
pub(super) fn empty_wal(connection: &Connection) -> Result<()> {
    move_wal(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
}

fn move_wal(connection: &Connection, sql: &str) -> Result<()> {
    // That it could not be done is no error of SQLite's, but a column of its answer.
    if connection.query_row(sql, [], |row| row.get::<_, bool>(0)).map_err(classify)? {
        return Err(Error::Busy("another process uses the WAL".into()));
    }
    Ok(())
}

/// Asks to the end, and once more: the commit that turns a new file to WAL comes after the first answer, and its
/// failure would leave a journal whose commits a power cut can take back.
fn set_wal(connection: &Connection) -> Result<()> {
    let mut is_wal = false;
    for sql in ["PRAGMA journal_mode = WAL", "PRAGMA journal_mode"] {
        let mut statement = connection.prepare(sql).map_err(classify)?;
        let mut rows = statement.query([]).map_err(classify)?;
        while let Some(row) = rows.next().map_err(classify)? {
            is_wal = row.get::<_, String>(0).map_err(classify)? == "wal";
        }
    }
    if is_wal { Ok(()) } else { Err(Error::Unreachable("the file could not be turned to WAL".into())) }
}

fn configure(connection: &Connection, opening: Opening) -> Result<()> {
    // A file from elsewhere must not run code of its own or change the schema behind our back.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true).map_err(classify)?;
    // "text" in double quotes is an identifier; a typing error in our SQL is an error.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false).map_err(classify)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false).map_err(classify)?;
    // Readers and a writer at once (app, widget), one fsync a commit. Stays with the file, unless a
    // flipped bit says otherwise.
    set_wal(connection)?;
    let synchronous = match opening.durability {
        _ if canary::sings("commits without a flush") => "NORMAL",
        Durability::Full => "FULL",
        Durability::Normal => "NORMAL",
    };
    // trusted_schema: views and triggers of a foreign hand may call nothing. cell_size_check: notice
    // damaged pages early. temp_store: Android has no place for temporary files. recursive_triggers
    // stays off. cache_size: see CACHE_KIB.
    let pragmas = format!(
        "PRAGMA synchronous = {synchronous}; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;
         PRAGMA temp_store = MEMORY; PRAGMA cache_size = -{CACHE_KIB};"
    );
    connection.execute_batch(&pragmas).map_err(classify)?;
    if cfg!(target_vendor = "apple") && opening.durability == Durability::Full {
        // On Apple fsync only orders writes; F_FULLFSYNC makes them durable.
        connection
            .execute_batch("PRAGMA fullfsync = 1; PRAGMA checkpoint_fullfsync = 1")
            .map_err(classify)?;
    }
    // One user's load and one batch use about a dozen statements.
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}
