//! A damaged file is moved aside and rebuilt from what is readable. Nothing is deleted.
//!
//! The order makes a kill harmless at every step: the new file is complete and durable under the name
//! `.rebuilt` before the old one is touched; from then on every open finishes the exchange.
//!
//! ```text
//! 0. one process at a time; writers of the damaged file wait, as far as it still can be locked
//! 1. copy db, wal to .salvage        (reading a damaged file through SQLite may write to it)
//! 2. write what is readable to .rebuilding, close it, rename it to .rebuilt
//! 3. move wal and shm aside, link the db aside, rename .rebuilt over the db
//! ```

use std::io::Read;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::carve::PAGE_LEN;
use super::connection;
use super::exchange::{self, RecoveryLock};
use super::failure::{classify, io};
use super::ledger::LedgerRow;
use super::loaded::note;
use super::salvage::{Saved, remove_own, salvage};
use super::schema::APPLICATION_ID;
use super::set_aside;
use super::transaction::WriteTx;
use super::wal::Wal;
use super::{FileId, Loaded, Options, Recovered, SetAside, beside, delivery, meta, serve};
use crate::domain::column::SourceId;
use crate::domain::dirty::RowCounts;
use crate::domain::ledger::Ledger;
use crate::domain::steps::Source;
use crate::error::{Error, Result};

/// Where the header of an SQLite file holds the application id.
const HEADER_APPLICATION_ID: std::ops::Range<usize> = 68..72;
/// Where the schema lies, in a file or a WAL of ours: it is written first.
const HEAD_LEN: u64 = 32 * PAGE_LEN as u64;
/// SQLite takes a file of one byte, which it once wrote itself on some file systems, for an empty one.
const EMPTY_LEN: u64 = 1;
/// A line of our schema that no other program has.
const TRACES: [&[u8]; 2] =
    [b"-- 1 is the device's own ledger, '' before anyone", b"-- what this device's counter gave to a day"];

/// What a rebuild did.
pub(crate) struct Rebuilt {
    pub(crate) recovered: Recovered,
    pub(crate) set_aside: Vec<SetAside>,
}

/// Moves a damaged file aside and puts a new one, with everything readable, in its place. `None` when
/// another process has done it since the caller saw the file.
pub(crate) fn rebuild(
    path: &Path,
    options: &Options,
    seen: Option<FileId>,
    cause: Error,
) -> Result<Option<Rebuilt>> {
    if !is_ours(path)? {
        return Err(Error::Foreign);
    }
    let lock = RecoveryLock::take(path, options.busy_timeout)?;
    if FileId::of(path) != seen || exchange::is_interrupted(path) {
        return Ok(None);
    }
    let aside = exchange::name_aside(path).ok_or(cause)?;
    let writers = hold_writers(path, options)?;
    let damaged_wal = Wal::look(&beside(path, "-wal")) == Wal::Damaged;
    let mut saved = salvage(path, damaged_wal)?;
    let (rows_kept, rows_set_aside) = (saved.rows(), saved.bad.len());
    let set_aside = write_rebuilt(path, options, &mut saved)?;
    exchange::exchange(path, &aside)?;
    drop(writers);
    drop(lock);
    let recovered = Recovered { moved_to: aside, rows_kept, rows_set_aside };
    Ok(Some(Rebuilt { recovered, set_aside }))
}

/// Finishes an exchange that a kill interrupted; tells what it finished.
pub(crate) fn finish_interrupted(path: &Path, options: &Options) -> Result<Option<Recovered>> {
    if !exchange::is_interrupted(path) {
        return Ok(None);
    }
    let _lock = RecoveryLock::take(path, options.busy_timeout)?;
    if !exchange::is_interrupted(path) {
        return Ok(None);
    }
    let moved_to = exchange::name_aside(path).ok_or_else(exchange::too_many)?;
    exchange::exchange(path, &moved_to)?;
    let connection = connection::open(path, options.opening())?;
    let number = |sql: &str| -> Result<usize> {
        let number: u32 = connection.query_row(sql, [], |row| row.get(0)).map_err(classify)?;
        Ok(usize::try_from(number).unwrap_or(usize::MAX))
    };
    let kept = "SELECT coalesce(sum(cells + attended + baselines + own_counts + remarks), 0) FROM ledger";
    let rows_kept = number(kept)?;
    let rows_set_aside = number("SELECT count(*) FROM set_aside")?;
    Ok(Some(Recovered { moved_to, rows_kept, rows_set_aside }))
}

/// Damage that SQLite does not see: it takes an empty database for a new one and throws its WAL away,
/// and it ends a WAL at the first damage.
pub(crate) fn check_unseen_damage(path: &Path, options: &Options) -> Result<()> {
    let wal = beside(path, "-wal");
    if len(&wal) == 0 {
        return Ok(());
    }
    if len(path) <= EMPTY_LEN {
        return Err(Error::Corrupt("the database is empty, its WAL is not".into()));
    }
    if Wal::look(&wal) == Wal::Damaged {
        // Asked through SQLite: to open and close the file beside it would drop this process's locks on it.
        connection::refuse_untouched(path)?;
        // A process that writes just now may have made it look so: the second look is under its lock.
        let _writers = hold_writers(path, options)?;
        if Wal::look(&wal) == Wal::Damaged {
            return Err(Error::Corrupt("the WAL is damaged".into()));
        }
    }
    Ok(())
}

fn len(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

fn head(path: &Path, len: u64) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    std::fs::File::open(path)?.take(len).read_to_end(&mut head)?;
    Ok(head)
}

/// Whether a file that SQLite does not accept was once a ledger: its header says so, or its schema or
/// that in its WAL is ours.
fn is_ours(path: &Path) -> Result<bool> {
    let mut found = false;
    for file in [path.to_path_buf(), beside(path, "-wal")] {
        if file.exists() {
            let head = head(&file, HEAD_LEN).map_err(io)?;
            let sqlite = head.starts_with(b"SQLite format 3\0");
            found |= sqlite && head.get(HEADER_APPLICATION_ID) == Some(&APPLICATION_ID.to_be_bytes()[..]);
            found |= TRACES.iter().any(|trace| head.windows(trace.len()).any(|text| text == *trace));
        }
    }
    Ok(found)
}

/// Takes the write lock of the damaged file, so that nobody commits to it what the new one will lack.
/// Where SQLite cannot read the file nobody else can write it either.
fn hold_writers(path: &Path, options: &Options) -> Result<Option<Connection>> {
    if len(path) <= EMPTY_LEN {
        // SQLite would throw the WAL of an empty file away.
        return Ok(None);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let Ok(connection) = Connection::open_with_flags(path, flags) else { return Ok(None) };
    connection.busy_timeout(options.busy_timeout).map_err(classify)?;
    // Nothing of the WAL must be written over the damaged file.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(classify)?;
    let begun = WriteTx::begin(&connection, options.busy_timeout).map(WriteTx::leave_open);
    match begun {
        Ok(()) => Ok(Some(connection)),
        Err(error @ Error::Busy(_)) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Writes what was saved as a new file, complete and durable before it gets its name.
fn write_rebuilt(path: &Path, options: &Options, saved: &mut Saved) -> Result<Vec<SetAside>> {
    let rebuilding = beside(path, ".rebuilding");
    remove_own(&rebuilding);
    let result = fill(&rebuilding, options, saved);
    if result.is_err() {
        // A full disk has no room for half a file.
        remove_own(&rebuilding);
    }
    let set_aside = result?;
    let file = std::fs::File::open(&rebuilding).map_err(io)?;
    file.sync_all().map_err(io)?;
    std::fs::rename(rebuilding, beside(path, ".rebuilt")).map_err(io)?;
    exchange::sync_folder(path)?;
    Ok(set_aside)
}

fn fill(rebuilding: &Path, options: &Options, saved: &mut Saved) -> Result<Vec<SetAside>> {
    let connection = connection::open(rebuilding, options.opening())?;
    let tx = WriteTx::begin(&connection, options.busy_timeout)?;
    for (key, value) in &saved.meta {
        meta::set(&tx, key, value)?;
        if let Some(user) = key.strip_prefix(delivery::KEYS) {
            // Also of one whose own row is lost.
            delivery::ask_anew(&tx, user)?;
        }
    }
    let revisions: i64 = saved.ledgers.values().map(|row| row.revision).fold(0, i64::wrapping_add);
    let found = format!("{} rows, {revisions} revisions", saved.rows());
    if options.server_name().is_some() {
        serve::begin_life_after(&tx, &found)?;
    }
    let mut noted = Vec::new();
    for user in saved.users() {
        let row = saved.ledgers.remove(&user).unwrap_or_else(|| LedgerRow {
            user,
            name: saved.name_of(user),
            revision: 0,
            rows: RowCounts::default(),
        });
        let ledger = take_ledger(user, &row, options, saved, &mut noted);
        saved.ledgers.insert(user, row.clone());
        let revision = row.revision;
        Loaded::rebuilt(ledger, row, options.keeping()).save(&tx)?;
        saved.put_changes(&tx, user, revision)?;
    }
    for row in &saved.bad {
        set_aside::insert(&tx, row.table, &row.content())?;
    }
    for (table, content) in &saved.set_aside {
        set_aside::insert(&tx, table, content)?;
    }
    tx.commit()?;
    connection.close().map_err(|(_, error)| classify(error))?;
    Ok(noted)
}

fn take_ledger(
    user: i64,
    row: &LedgerRow,
    options: &Options,
    saved: &Saved,
    noted: &mut Vec<SetAside>,
) -> Ledger {
    let mut ledger = Ledger::new(*options.rules.levels());
    let known = saved.sources.range((user, 0)..=(user, u16::MAX)).map(|(key, _)| key.1);
    let referred = saved.cells.keys().filter(|key| key.0 == user).map(|key| key.2);
    let sources = known.chain(referred).max().map_or(0, |last| usize::from(last) + 1);
    for id in (0..=u16::MAX).take(sources) {
        match saved.sources.get(&(user, id)) {
            Some(source) => ledger.load_source(source.name, source.read_by_device),
            // Steps whose source lost its name are worth more than none.
            None => match Source::new(&format!("recovered-{id}")) {
                Ok(name) => ledger.load_source(name, false),
                Err(_) => break,
            },
        }
    }
    let has_source = |id: SourceId| usize::from(id.0) < sources;
    for row in saved.cells.values().filter(|row| row.user == user && has_source(row.source)) {
        let mut cell = row.cell;
        if !saved.sources.contains_key(&(user, row.source.0)) {
            // Under its new name nobody else knows it yet.
            cell.send_again(0);
        }
        ledger.load_cell(row.day, row.source, cell);
    }
    for row in saved.attendance.values().filter(|row| row.user == user) {
        ledger.load_attendance(row.day, row.mark);
    }
    for row in saved.baselines.values().filter(|row| row.user == user && has_source(row.source)) {
        ledger.baselines.insert(row.source, row.baseline.clone());
    }
    for row in saved.own_counts.values().filter(|row| row.user == user && has_source(row.source)) {
        ledger.own_counts.insert((row.source, row.day), row.count);
    }
    for row in saved.remarks.values().filter(|row| row.user == user && has_source(row.source)) {
        if let Some(remark) = row.remark() {
            ledger.remarks.insert((row.day, row.source, row.kind), remark);
        }
    }
    ledger.revision = u64::try_from(row.revision).unwrap_or(0);
    ledger.rebuild();
    let mine = |row: &&set_aside::BadRow| row.values.first() == Some(&rusqlite::types::Value::Integer(user));
    noted.extend(saved.bad.iter().filter(mine).map(|row| note(row, &mut ledger)));
    ledger.mark_all_dirty();
    ledger
}
