//! A damaged file is moved aside and rebuilt from what is readable. Nothing is deleted.
//!
//! The order makes a kill harmless at every step: the new file is complete and durable under the name
//! `.rebuilt` before the old one is touched; from then on every open finishes the exchange.
//!
//! ```text
//! 1. copy db, wal to .salvage        (reading a damaged file through SQLite may write to it)
//! 2. write what is readable to .rebuilding, close it, rename it to .rebuilt
//! 3. move wal and shm aside, link the db aside, rename .rebuilt over the db
//! ```

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::attendance::AttendanceRow;
use super::cell::CellRow;
use super::connection::{self, classify};
use super::counter::{BaselineRow, OwnCountRow};
use super::ledger::{DEVICE_USER, LedgerRow};
use super::remark::RemarkRow;
use super::row::{self, StoredRow};
use super::schema::APPLICATION_ID;
use super::set_aside::{self, BadRow};
use super::source::SourceRow;
use super::transaction::WriteTx;
use super::{Loaded, Options, Recovered, beside, meta};
use crate::domain::column::SourceId;
use crate::domain::day::Day;
use crate::domain::dirty::RowCounts;
use crate::domain::ledger::Ledger;
use crate::domain::steps::Source;
use crate::error::{Error, Result};

/// Damaged files kept beside one ledger; more than this is a failing disk, which the app must show.
const DAMAGED_MAX: usize = 99;
/// Where the header of an SQLite file holds the application id.
const HEADER_APPLICATION_ID: std::ops::Range<usize> = 68..72;
/// SQLite's default page size, which every ledger has.
const PAGE_LEN: usize = 4_096;

/// Moves a damaged file aside and puts a new one, with everything readable, in its place.
pub(crate) fn rebuild(path: &Path, options: &Options, cause: Error) -> Result<Recovered> {
    if !is_ours(path).map_err(unreachable)? {
        return Err(Error::Foreign);
    }
    let aside = free_name(path).ok_or(cause)?;
    let saved = salvage(path)?;
    let (rows_kept, rows_set_aside) = (saved.rows(), saved.bad.len());
    write_rebuilt(path, options, saved)?;
    exchange(path, &aside).map_err(unreachable)?;
    Ok(Recovered { moved_to: aside, rows_kept, rows_set_aside })
}

/// Finishes an exchange that a kill interrupted.
pub(crate) fn finish_interrupted(path: &Path) -> Result<()> {
    if !beside(path, ".rebuilt").exists() {
        return Ok(());
    }
    let aside =
        free_name(path).ok_or_else(|| Error::Corrupt("too many damaged files lie beside it".into()))?;
    exchange(path, &aside).map_err(unreachable)
}

fn unreachable(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull => Error::Full(error.kind().to_string().into()),
        io::ErrorKind::ReadOnlyFilesystem => Error::ReadOnly(error.kind().to_string().into()),
        // The kind only: an I/O error's text may hold a path.
        kind => Error::Unreachable(kind.to_string().into()),
    }
}

/// Whether a file that SQLite does not accept was once a ledger: some trace of its first page is left,
/// or the page is gone altogether (zeros, as a torn write leaves) in front of other pages.
fn is_ours(path: &Path) -> io::Result<bool> {
    let bytes = std::fs::read(path)?;
    let head = &bytes[..bytes.len().min(PAGE_LEN)];
    let magic = b"SQLite format 3\0";
    let like_magic = head.iter().zip(magic).filter(|(a, b)| a == b).count() >= magic.len() - 2;
    let ours = head.get(HEADER_APPLICATION_ID) == Some(&APPLICATION_ID.to_be_bytes()[..]);
    let schema = head.windows(17).any(|text| text == b"CREATE TABLE cell");
    let zeroed = bytes.len() > PAGE_LEN && head.iter().all(|byte| *byte == 0);
    Ok((like_magic && (ours || schema)) || (ours && schema) || zeroed)
}

fn free_name(path: &Path) -> Option<PathBuf> {
    // An interrupted exchange may have moved a WAL already, but not yet the file: its number goes on.
    (1..=DAMAGED_MAX).map(|n| beside(path, &format!(".damaged-{n}"))).find(|name| !name.exists())
}

fn exchange(path: &Path, aside: &Path) -> io::Result<()> {
    for suffix in ["-wal", "-shm"] {
        let from = beside(path, suffix);
        if from.exists() {
            std::fs::rename(from, beside(aside, suffix))?;
        }
    }
    if path.exists() {
        // A link first: at no moment is the name without a file.
        if std::fs::hard_link(path, aside).is_err() {
            std::fs::copy(path, aside)?;
        }
    }
    std::fs::rename(beside(path, ".rebuilt"), path)?;
    sync_folder(path)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// What could be read of a damaged file.
#[derive(Default)]
struct Saved {
    install_id: Option<String>,
    ledgers: BTreeMap<i64, LedgerRow>,
    sources: BTreeMap<(i64, u16), SourceRow>,
    cells: BTreeMap<(i64, Day, u16), CellRow>,
    attendance: BTreeMap<(i64, Day), AttendanceRow>,
    baselines: BTreeMap<(i64, u16), BaselineRow>,
    own_counts: BTreeMap<(i64, u16, Day), OwnCountRow>,
    remarks: BTreeMap<(i64, Day, u16, u8), RemarkRow>,
    bad: Vec<BadRow>,
    set_aside: Vec<(String, String)>,
}

impl Saved {
    fn rows(&self) -> usize {
        self.cells.len()
            + self.attendance.len()
            + self.baselines.len()
            + self.own_counts.len()
            + self.remarks.len()
    }

    fn users(&self) -> Vec<i64> {
        let mut users: Vec<i64> = self.ledgers.keys().copied().collect();
        users.extend(self.cells.keys().map(|key| key.0));
        users.extend(self.attendance.keys().map(|key| key.0));
        users.sort_unstable();
        users.dedup();
        users
    }
}

fn salvage(path: &Path) -> Result<Saved> {
    let copy = beside(path, ".salvage");
    let result = read_copy(path, &copy);
    // The copies are this function's own; a leftover would be overwritten next time.
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(beside(&copy, suffix));
    }
    result
}

fn read_copy(path: &Path, copy: &Path) -> Result<Saved> {
    let mut saved = Saved::default();
    // As it is; then with a fresh first page, because the schema always puts the tables at the same
    // pages; and without the WAL, whose own damage may hide a sound file.
    for (with_wal, fresh_head) in [(true, false), (true, true), (false, false), (false, true)] {
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(beside(copy, suffix));
        }
        std::fs::copy(path, copy).map_err(unreachable)?;
        let wal = beside(path, "-wal");
        if with_wal && wal.exists() {
            std::fs::copy(wal, beside(copy, "-wal")).map_err(unreachable)?;
        }
        if fresh_head {
            replace_head(copy)?;
        }
        if read_all(copy, &mut saved).is_ok() && !saved.ledgers.is_empty() {
            break;
        }
    }
    Ok(saved)
}

/// Puts the first page of a new ledger in place of a damaged one.
fn replace_head(copy: &Path) -> Result<()> {
    let template = beside(copy, ".template");
    let _ = std::fs::remove_file(&template);
    drop(connection::open(&template, Options::new().opening())?);
    let fresh = std::fs::read(&template).map_err(unreachable)?;
    let _ = std::fs::remove_file(&template);
    let mut bytes = std::fs::read(copy).map_err(unreachable)?;
    if bytes.len() < PAGE_LEN || fresh.len() < PAGE_LEN {
        return Ok(());
    }
    bytes[..PAGE_LEN].copy_from_slice(&fresh[..PAGE_LEN]);
    // The size in pages belongs to this file; no free pages are known.
    let pages = u32::try_from(bytes.len() / PAGE_LEN).unwrap_or(u32::MAX);
    bytes[28..32].copy_from_slice(&pages.to_be_bytes());
    bytes[32..40].fill(0);
    std::fs::write(copy, bytes).map_err(unreachable)
}

fn read_all(copy: &Path, saved: &mut Saved) -> Result<()> {
    let connection = Connection::open(copy).map_err(classify)?;
    let config = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    connection.set_db_config(config, true).map_err(classify)?;
    if let Ok(id) = meta::get(&connection, meta::INSTALL_ID) {
        saved.install_id = saved.install_id.take().or(id);
    }
    let Saved { ledgers, sources, cells, attendance, baselines, own_counts, remarks, bad, .. } = saved;
    collect(&connection, bad, |row: LedgerRow| {
        ledgers.insert(row.user, row);
    });
    collect(&connection, bad, |row: SourceRow| {
        sources.insert((row.user, row.id.0), row);
    });
    collect(&connection, bad, |row: CellRow| {
        cells.insert((row.user, row.day, row.source.0), row);
    });
    collect(&connection, bad, |row: AttendanceRow| {
        attendance.insert((row.user, row.day), row);
    });
    collect(&connection, bad, |row: BaselineRow| {
        baselines.insert((row.user, row.source.0), row);
    });
    collect(&connection, bad, |row: OwnCountRow| {
        own_counts.insert((row.user, row.source.0, row.day), row);
    });
    collect(&connection, bad, |row: RemarkRow| {
        remarks.insert((row.user, row.day, row.source.0, row.kind.number()), row);
    });
    if let Ok(rows) = earlier_set_aside(&connection) {
        saved.set_aside = rows;
    }
    // Whether the schema could be read at all decides if another way of reading is tried.
    connection.query_row("SELECT count(*) FROM cell", [], |_| Ok(())).map_err(classify)
}

fn earlier_set_aside(connection: &Connection) -> Result<Vec<(String, String)>> {
    let sql = "SELECT from_table, content FROM set_aside";
    let mut statement = connection.prepare(sql).map_err(classify)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(classify)?;
    rows.collect::<rusqlite::Result<_>>().map_err(classify)
}

/// Reads a table forwards, backwards and, where it has days, in ever smaller pieces: each way stops at a
/// damaged page, and together they leave out little more than that page.
fn collect<R: StoredRow>(connection: &Connection, bad: &mut Vec<BadRow>, mut take: impl FnMut(R)) {
    let mut sort = |row: std::result::Result<R, BadRow>| match row {
        Ok(row) => take(row),
        Err(row) if !bad.contains(&row) => bad.push(row),
        Err(_) => {}
    };
    let key = &R::COLUMNS[..R::KEY_COLUMNS];
    let order = |direction: &str| format!("ORDER BY {} {direction}", key.join(&format!(" {direction}, ")));
    if row::scan(connection, &order("ASC"), &mut sort).is_ok() {
        return;
    }
    let _ = row::scan(connection, &order("DESC"), &mut sort);
    if key.get(1) != Some(&"day") {
        return;
    }
    let users: Vec<i64> = distinct_users(connection).unwrap_or_else(|_| vec![DEVICE_USER]);
    for user in users {
        let mut start = Day::FIRST.number();
        while start <= Day::LAST.number() {
            // A month at a time; where that fails, a day at a time.
            let piece = |from: i32, to: i32| format!("WHERE user = {user} AND day >= {from} AND day < {to}");
            if row::scan(connection, &piece(start, start + 31), &mut sort).is_err() {
                for day in start..start + 31 {
                    let _ = row::scan(connection, &piece(day, day + 1), &mut sort);
                }
            }
            start += 31;
        }
    }
}

fn distinct_users(connection: &Connection) -> Result<Vec<i64>> {
    let mut statement = connection.prepare("SELECT user FROM ledger").map_err(classify)?;
    let users = statement.query_map([], |row| row.get(0)).map_err(classify)?;
    users.collect::<rusqlite::Result<_>>().map_err(classify)
}

/// Writes what was saved as a new file, complete and durable before it gets its name.
fn write_rebuilt(path: &Path, options: &Options, mut saved: Saved) -> Result<()> {
    let rebuilding = beside(path, ".rebuilding");
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(beside(&rebuilding, suffix));
    }
    let connection = connection::open(&rebuilding, options.opening())?;
    let tx = WriteTx::begin(&connection)?;
    if let Some(id) = &saved.install_id {
        meta::set(&tx, meta::INSTALL_ID, id)?;
    }
    for user in saved.users() {
        let row = saved.ledgers.remove(&user).unwrap_or_else(|| LedgerRow {
            user,
            name: if user == DEVICE_USER { String::new() } else { format!("recovered-{user}") },
            revision: 0,
            rows: RowCounts::default(),
        });
        let ledger = take_ledger(user, &row, options, &mut saved);
        Loaded::rebuilt(ledger, row).save(&tx)?;
    }
    for row in &saved.bad {
        set_aside::insert(&tx, row.table, &row.content())?;
    }
    for (table, content) in &saved.set_aside {
        set_aside::insert(&tx, table, content)?;
    }
    tx.commit()?;
    connection.close().map_err(|(_, error)| classify(error))?;
    let file = std::fs::File::open(&rebuilding).map_err(unreachable)?;
    file.sync_all().map_err(unreachable)?;
    std::fs::rename(rebuilding, beside(path, ".rebuilt")).map_err(unreachable)?;
    sync_folder(path).map_err(unreachable)
}

fn take_ledger(user: i64, row: &LedgerRow, options: &Options, saved: &mut Saved) -> Ledger {
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
    for cell in saved.cells.values().filter(|cell| cell.user == user && has_source(cell.source)) {
        ledger.load_cell(cell.day, cell.source, cell.cell);
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
    ledger.mark_all_dirty();
    ledger
}
