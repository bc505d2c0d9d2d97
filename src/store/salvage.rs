//! What can still be read of a damaged file, newest version of each row first.
//!
//! Three ways, each past what stops the one before: through SQLite as the file is, through SQLite with a
//! fresh schema (its pages are the same in every ledger), and page by page without SQLite. The versions
//! that they find are joined: registers only ever grow in the order of the join, so the greater one is
//! the newer one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::types::Value;

use super::attendance::AttendanceRow;
use super::carve::{self, Decoder, Look, PAGE_LEN};
use super::cell::CellRow;
use super::change::ChangeRow;
use super::connection;
use super::counter::{BaselineRow, OwnCountRow};
use super::era::EraRow;
use super::failure::{classify, io};
use super::ledger::{self, LedgerRow};
use super::remark::RemarkRow;
use super::row::{self, StoredRow};
use super::set_aside::BadRow;
use super::source::SourceRow;
use super::transaction::WriteTx;
use super::{Options, beside, erase, meta};
use crate::domain::column::SourceId;
use crate::domain::day::Day;
use crate::error::Result;

/// What could be read of a damaged file.
#[derive(Default)]
pub(crate) struct Saved {
    /// What the file knows about itself: key and value.
    pub(crate) meta: BTreeMap<String, String>,
    pub(crate) ledgers: BTreeMap<i64, LedgerRow>,
    pub(crate) sources: BTreeMap<(i64, u16), SourceRow>,
    pub(crate) cells: BTreeMap<(i64, Day, u16), CellRow>,
    pub(crate) attendance: BTreeMap<(i64, Day), AttendanceRow>,
    pub(crate) baselines: BTreeMap<(i64, u16), BaselineRow>,
    pub(crate) own_counts: BTreeMap<(i64, u16, Day), OwnCountRow>,
    pub(crate) remarks: BTreeMap<(i64, Day, u16, u8), RemarkRow>,
    pub(crate) changes: BTreeMap<(i64, i64, Day, i32), ChangeRow>,
    pub(crate) eras: BTreeMap<i64, EraRow>,
    pub(crate) bad: Vec<BadRow>,
    pub(crate) set_aside: Vec<(String, String)>,
    /// The second copy of every user's name, by number: the index of the ledger table.
    names: BTreeMap<i64, String>,
    /// The numbers that bear the mark of an erasure.
    marked: BTreeSet<i64>,
    /// Every number that had a name, each time that the ledger table and its index told the same.
    lists: Vec<BTreeSet<i64>>,
}

impl Saved {
    /// Rows of facts and of this device's counters.
    pub(crate) fn rows(&self) -> usize {
        self.cells.len()
            + self.attendance.len()
            + self.baselines.len()
            + self.own_counts.len()
            + self.remarks.len()
    }

    /// Everyone of whom something was found.
    pub(crate) fn users(&self) -> Vec<i64> {
        let mut users: Vec<i64> = self.ledgers.keys().copied().collect();
        users.extend(self.cells.keys().map(|key| key.0));
        users.extend(self.attendance.keys().map(|key| key.0));
        // Of whom nothing is left but that everything was erased: that must not be forgotten.
        users.extend(self.eras.keys());
        users.sort_unstable();
        users.dedup();
        users
    }

    /// The name of a user whose own row is lost: from the index, from what is left of the row, or one
    /// that says so. Never a name that another user has.
    pub(crate) fn name_of(&self, user: i64) -> String {
        use Value::{Integer, Text};
        if ledger::is_devices(user) {
            return String::new();
        }
        let left = self.bad.iter().filter(|row| row.table == LedgerRow::TABLE);
        let left = left.filter_map(|row| match (row.values.first(), row.values.get(1)) {
            (Some(Integer(number)), Some(Text(name))) if *number == user => Some(name),
            _ => None,
        });
        let free = |name: &&String| !self.ledgers.values().any(|row| row.name == **name);
        let name = self.names.get(&user).into_iter().chain(left).find(free);
        name.cloned().unwrap_or_else(|| format!("recovered-{user}"))
    }

    /// Whether every row that the ledgers count was found, good or bad.
    fn is_complete(&self) -> bool {
        let counted: usize = self.ledgers.values().map(LedgerRow::counted).sum();
        !self.ledgers.is_empty() && self.rows() + self.sources.len() + self.bad.len() >= counted
    }

    /// Writes a user's kept changes into the new file: all of them, or, where one is missing, none but what
    /// overrules them, so that every device is told everything again. Where facts are missing, the ledger as it
    /// was cannot be told from the changes any more.
    pub(crate) fn put_changes(&mut self, tx: &WriteTx<'_>, user: i64, revision: i64) -> Result<()> {
        let changes: Vec<ChangeRow> = self.changes.values().filter(|row| row.user == user).cloned().collect();
        let Some(mut era) = self.eras.remove(&user) else { return Ok(()) };
        if i64::try_from(changes.len()) != Ok(era.changes) {
            era.lose_rows();
            era.complete_from = revision.max(era.seq);
            era.changes = 0;
        } else if self.has_all_facts(user, &changes) {
            era.lives = era.lives.saturating_add(1);
            row::put(tx, changes.into_iter())?;
        } else {
            era.lose_rows();
            row::put(tx, changes.into_iter())?;
        }
        row::put(tx, std::iter::once(era))
    }

    /// Whether as many facts were found as the ledger counts, each as its last change left it.
    fn has_all_facts(&self, user: i64, changes: &[ChangeRow]) -> bool {
        let Some(ledger) = self.ledgers.get(&user) else { return false };
        let cells = self.cells.keys().filter(|key| key.0 == user).count();
        let attended = self.attendance.keys().filter(|key| key.0 == user).count();
        // By transaction: a later change takes the place of an earlier one.
        let newest: BTreeMap<_, _> = changes.iter().map(|row| ((row.day, row.source), row.to)).collect();
        let agrees = |day: Day, source: Option<SourceId>, to| match source {
            None => self.attendance.contains_key(&(user, day)),
            Some(id) => self.cells.get(&(user, day, id.0)).is_some_and(|row| row.cell.register == to),
        };
        (cells, attended) == (ledger.rows.cells, ledger.rows.attended)
            && newest.into_iter().all(|((day, source), to)| agrees(day, source, to))
    }

    /// Every number under which a sound row was found.
    fn numbers(&self) -> BTreeSet<i64> {
        let mut numbers: BTreeSet<i64> = self.ledgers.keys().copied().collect();
        numbers.extend(self.sources.keys().map(|key| key.0));
        numbers.extend(self.cells.keys().map(|key| key.0));
        numbers.extend(self.attendance.keys().map(|key| key.0));
        numbers.extend(self.baselines.keys().map(|key| key.0));
        numbers.extend(self.own_counts.keys().map(|key| key.0));
        numbers.extend(self.remarks.keys().map(|key| key.0));
        numbers.extend(self.changes.keys().map(|key| key.0));
        numbers.extend(self.eras.keys());
        numbers
    }

    /// The numbers that an erasure gave up. A number is given up for ever, and each later one is given after it, so
    /// that every trace is a proof, however old the page that holds it: a mark; the same name under a later number;
    /// a list of all users that goes beyond the number and lacks it. They lie on different pages.
    fn given_up(&self) -> BTreeSet<i64> {
        let numbers = self.numbers();
        let mut latest: BTreeMap<&str, i64> = BTreeMap::new();
        for row in self.ledgers.values() {
            let known = latest.entry(&row.name).or_insert(row.user);
            if ledger::is_before(*known, row.user) {
                *known = row.user;
            }
        }
        let overtaken = |user: &i64| {
            let by = |later: Option<&i64>| later.is_some_and(|later| ledger::is_before(*user, *later));
            let name = self.ledgers.get(user).map(|row| row.name.as_str());
            let mut lists = self.lists.iter().filter(|list| !list.contains(user));
            by(name.and_then(|name| latest.get(name)))
                || lists.any(|list| by(list.first()) || by(list.last()))
        };
        numbers.iter().filter(|user| overtaken(user)).chain(&self.marked).copied().collect()
    }

    /// Leaves out whatever is under a number that was given up, sound or not. Of rows that failed their checksum
    /// only those stay that name somebody who is known.
    fn drop_given_up(&mut self) {
        let gone = self.given_up();
        if gone.is_empty() {
            return;
        }
        let first = self.meta.get(meta::FIRST_USER).and_then(|number| number.parse().ok());
        if let Some(was) =
            first.filter(|first| gone.contains(first)).and_then(|first| self.ledgers.get(&first))
        {
            // The first user goes on under another number.
            let mut others = self.ledgers.values().filter(|row| !gone.contains(&row.user));
            if let Some(now) = others.find(|row| row.name == was.name) {
                self.meta.insert(meta::FIRST_USER.to_owned(), now.user.to_string());
            }
        }
        self.ledgers.retain(|user, _| !gone.contains(user));
        self.sources.retain(|key, _| !gone.contains(&key.0));
        self.cells.retain(|key, _| !gone.contains(&key.0));
        self.attendance.retain(|key, _| !gone.contains(&key.0));
        self.baselines.retain(|key, _| !gone.contains(&key.0));
        self.own_counts.retain(|key, _| !gone.contains(&key.0));
        self.remarks.retain(|key, _| !gone.contains(&key.0));
        self.changes.retain(|key, _| !gone.contains(&key.0));
        self.eras.retain(|user, _| !gone.contains(user));
        let known = self.numbers();
        self.bad.retain(|row| match row.values.first() {
            // The row that names a user may be all that is left of them.
            Some(Value::Integer(user)) if row.table == LedgerRow::TABLE => !gone.contains(user),
            Some(Value::Integer(user)) => known.contains(user),
            _ => false,
        });
        self.set_aside.retain(|(_, content)| {
            let values: Option<Vec<serde_json::Value>> = serde_json::from_str(content).ok();
            let user = values.and_then(|values| values.first()?.as_i64());
            user.is_some_and(|user| known.contains(&user))
        });
    }

    fn take_cell(&mut self, row: CellRow) {
        let known = self.cells.entry((row.user, row.day, row.source.0));
        known
            .and_modify(|known| {
                let (a, b) = (known.cell.register, row.cell.register);
                if a != b && a.join(b) == b {
                    known.cell = row.cell;
                }
            })
            .or_insert(row);
    }
}

/// Reads all that is left of a file and its WAL, from copies: SQLite may write to a damaged file that it
/// reads.
pub(crate) fn salvage(path: &Path, damaged_wal: bool) -> Result<Saved> {
    let copy = beside(path, ".salvage");
    let result = read_copies(path, &copy, damaged_wal);
    remove_own(&copy);
    remove_own(&beside(&copy, ".template"));
    result.map(|mut saved| {
        saved.drop_given_up();
        saved
    })
}

/// Removes a file of our own making with what SQLite keeps beside it.
pub(crate) fn remove_own(path: &Path) {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        // Where there is none, or it cannot be removed, the next use overwrites it or says so.
        let _ = std::fs::remove_file(beside(path, suffix));
    }
}

fn read_copies(path: &Path, copy: &Path, damaged_wal: bool) -> Result<Saved> {
    let mut saved = Saved::default();
    for fresh_schema in [false, true] {
        remove_own(copy);
        copy_files(path, copy)?;
        if fresh_schema {
            replace_schema(copy)?;
        }
        // An error only means that more is to be found in another way.
        let whole = read_all(copy, &mut saved).is_ok();
        if whole && saved.is_complete() && saved.bad.is_empty() && !damaged_wal {
            return Ok(saved);
        }
    }
    carve_files(path, Look::InUse, &mut saved)?;
    saved.drop_given_up();
    if !saved.is_complete() {
        carve_files(path, Look::Anywhere, &mut saved)?;
        saved.drop_given_up();
    }
    mend_names(path, &mut saved)?;
    Ok(saved)
}

/// The rows on which all others hang, users and sources, are worth mending: whichever single bit flipped,
/// exactly one flip makes the checksum agree again.
fn mend_names(path: &Path, saved: &mut Saved) -> Result<()> {
    let decoder = Decoder::new()?;
    let bad = std::mem::take(&mut saved.bad);
    for row in bad {
        let mended = match row.table {
            LedgerRow::TABLE => decoder.mended(&row.values).map(|row: LedgerRow| {
                saved.ledgers.entry(row.user).or_insert(row);
            }),
            SourceRow::TABLE => decoder.mended(&row.values).map(|row: SourceRow| {
                saved.sources.entry((row.user, row.id.0)).or_insert(row);
            }),
            EraRow::TABLE => decoder.mended(&row.values).map(|row: EraRow| take_era(&mut saved.eras, row)),
            _ => None,
        };
        if mended.is_none() {
            saved.bad.push(row);
        }
    }
    let lacks_user = saved.users().iter().any(|user| !saved.ledgers.contains_key(user));
    let lacks_source = saved.cells.keys().any(|key| !saved.sources.contains_key(&(key.0, key.2)));
    if path.exists() && (lacks_user || lacks_source) {
        let found = |values: Vec<Value>| {
            if let Some(row) = decoder.row::<SourceRow>(&values) {
                saved.sources.entry((row.user, row.id.0)).or_insert(row);
            } else if let Some(row) = decoder.row::<LedgerRow>(&values) {
                saved.ledgers.entry(row.user).or_insert(row);
            }
        };
        carve::flipped_records(path, found).map_err(io)?;
    }
    Ok(())
}

fn copy_files(path: &Path, copy: &Path) -> Result<()> {
    for suffix in ["", "-wal"] {
        let from = beside(path, suffix);
        if from.exists() {
            std::fs::copy(from, beside(copy, suffix)).map_err(io)?;
        }
    }
    Ok(())
}

/// Puts the schema of a new ledger in place of a damaged one.
fn replace_schema(copy: &Path) -> Result<()> {
    let template = beside(copy, ".template");
    remove_own(&template);
    drop(connection::open(&template, Options::new().opening())?);
    let fresh = std::fs::read(&template).map_err(io)?;
    let mut bytes = if copy.exists() { std::fs::read(copy).map_err(io)? } else { Vec::new() };
    if bytes.len() < PAGE_LEN {
        // Only a WAL is left: it holds the pages that differ from those of a new ledger.
        bytes.clone_from(&fresh);
    }
    bytes.resize(bytes.len().next_multiple_of(PAGE_LEN).max(fresh.len()), 0);
    for (page, with) in bytes.chunks_exact_mut(PAGE_LEN).zip(fresh.chunks_exact(PAGE_LEN)) {
        if with.starts_with(b"SQLite format 3") || with.windows(7).any(|text| text == b"CREATE ") {
            page.copy_from_slice(with);
        }
    }
    // The size in pages belongs to this file; no free pages are known.
    let pages = u32::try_from(bytes.len() / PAGE_LEN).unwrap_or(u32::MAX);
    bytes[28..32].copy_from_slice(&pages.to_be_bytes());
    bytes[32..40].fill(0);
    std::fs::write(copy, bytes).map_err(io)
}

fn read_all(copy: &Path, saved: &mut Saved) -> Result<()> {
    let connection = Connection::open(copy).map_err(classify)?;
    let config = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    connection.set_db_config(config, true).map_err(classify)?;
    if let Ok(known) = meta::all(&connection) {
        saved.meta.extend(known);
    }
    if let Ok(marks) = erase::marks(&connection) {
        saved.marked.extend(marks);
    }
    let (mut bad, mut listed) = (Vec::new(), BTreeMap::new());
    let Saved { ledgers, sources, attendance, baselines, own_counts, remarks, changes, eras, .. } = saved;
    let mut results = vec![
        collect(&connection, &mut bad, |row: LedgerRow| {
            listed.insert(row.user, row.name.clone());
            take_ledger_row(ledgers, row);
        }),
        collect(&connection, &mut bad, |row: SourceRow| {
            sources.entry((row.user, row.id.0)).or_insert(row);
        }),
        collect(&connection, &mut bad, |row: AttendanceRow| {
            attendance.entry((row.user, row.day)).or_insert(row);
        }),
        collect(&connection, &mut bad, |row: BaselineRow| {
            baselines.entry((row.user, row.source.0)).or_insert(row);
        }),
        collect(&connection, &mut bad, |row: OwnCountRow| {
            own_counts.entry((row.user, row.source.0, row.day)).or_insert(row);
        }),
        collect(&connection, &mut bad, |row: RemarkRow| {
            remarks.entry((row.user, row.day, row.source.0, row.kind.number())).or_insert(row);
        }),
        collect(&connection, &mut bad, |row: EraRow| take_era(eras, row)),
        collect(&connection, &mut bad, |row: ChangeRow| {
            changes.entry(row.key()).or_insert(row);
        }),
    ];
    results.push(collect(&connection, &mut bad, |row: CellRow| saved.take_cell(row)));
    if let Ok(names) = names_in_index(&connection) {
        if results.first().is_some_and(Result::is_ok) && listed.iter().eq(names.iter()) {
            saved.lists.push(listed.into_keys().collect());
        }
        saved.names.extend(names);
    }
    // A damaged schema makes rows of one table look like bad ones of another: the way of reading that
    // sees fewer of them is right.
    let fewer = results.iter().all(Result::is_ok) && bad.len() < saved.bad.len();
    if fewer || saved.bad.is_empty() {
        saved.bad = bad;
    }
    if let Ok(rows) = earlier_set_aside(&connection) {
        saved.set_aside = rows;
    }
    results.into_iter().collect()
}

fn take_ledger_row(ledgers: &mut BTreeMap<i64, LedgerRow>, row: LedgerRow) {
    let known = ledgers.entry(row.user);
    // Every change adds rows or raises the revision.
    let age = |row: &LedgerRow| (row.revision, row.counted());
    known
        .and_modify(|known| {
            if age(&row) > age(known) {
                *known = row.clone();
            }
        })
        .or_insert(row);
}

fn take_era(eras: &mut BTreeMap<i64, EraRow>, row: EraRow) {
    let age = |row: &EraRow| (row.generation, row.lives, row.seq);
    match eras.get(&row.user) {
        Some(known) if age(known) >= age(&row) => {}
        Some(_) | None => {
            eras.insert(row.user, row);
        }
    }
}

fn earlier_set_aside(connection: &Connection) -> Result<Vec<(String, String)>> {
    let sql = "SELECT from_table, content FROM set_aside";
    let mut statement = connection.prepare(sql).map_err(classify)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(classify)?;
    rows.collect::<rusqlite::Result<_>>().map_err(classify)
}

fn names_in_index(connection: &Connection) -> Result<BTreeMap<i64, String>> {
    let sql = "SELECT user, name FROM ledger INDEXED BY sqlite_autoindex_ledger_1 ORDER BY name";
    let mut statement = connection.prepare(sql).map_err(classify)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(classify)?;
    rows.collect::<rusqlite::Result<_>>().map_err(classify)
}

/// Reads a table forwards and, where a damaged page stops that, backwards.
fn collect<R: StoredRow>(
    connection: &Connection,
    bad: &mut Vec<BadRow>,
    mut take: impl FnMut(R),
) -> Result<()> {
    let mut sort = |row: std::result::Result<R, BadRow>| match row {
        Ok(row) => take(row),
        Err(row) if !bad.contains(&row) => bad.push(row),
        Err(_) => {}
    };
    let order = |direction: &str| {
        let key = R::COLUMNS[..R::KEY_COLUMNS].join(&format!(" {direction}, "));
        format!("ORDER BY {key} {direction}")
    };
    let forwards = row::scan(connection, &order("ASC"), &mut sort);
    if forwards.is_err() {
        // What stops this way too is left for the carver.
        let _ = row::scan(connection, &order("DESC"), &mut sort);
    }
    forwards
}

/// Takes every row that still lies whole on any page. What belongs to this device only is left out: a
/// version from before it was deleted on purpose would credit steps that nobody walked here.
fn carve_files(path: &Path, look: Look, saved: &mut Saved) -> Result<()> {
    let decoder = Decoder::new()?;
    let mut take = |values: Vec<Value>| {
        if let Some(row) = decoder.row::<CellRow>(&values) {
            saved.take_cell(row);
        } else if let Some(row) = decoder.row::<AttendanceRow>(&values) {
            saved.attendance.entry((row.user, row.day)).or_insert(row);
        } else if let Some(row) = decoder.row::<RemarkRow>(&values) {
            saved.remarks.entry((row.user, row.day, row.source.0, row.kind.number())).or_insert(row);
        } else if let Some(row) = decoder.row::<SourceRow>(&values) {
            saved.sources.entry((row.user, row.id.0)).or_insert(row);
        } else if let Some(row) = decoder.row::<LedgerRow>(&values) {
            take_ledger_row(&mut saved.ledgers, row);
        } else if let Some(row) = decoder.row::<EraRow>(&values) {
            take_era(&mut saved.eras, row);
        } else if let Some(row) = decoder.row::<ChangeRow>(&values) {
            saved.changes.entry(row.key()).or_insert(row);
        } else if let [Value::Text(key), Value::Text(value)] = &values[..] {
            saved.marked.extend(erase::mark(key, value));
        }
    };
    carve::files(path, look, &mut take).map_err(io)
}
