//! The floors: the least that a program must do for the same durable result, written with rusqlite and
//! cached statements. They check nothing, know no levels and notice no damage.

use std::path::Path;
use std::time::{Duration, Instant};

use manbo::delivery::{BATCH_BYTES_MAX, BATCH_FACTS_MAX};
use manbo::{Day, Fact};
use rusqlite::{Connection, OpenFlags, params};
use serde::Deserialize;

use crate::data::{History, OFFSET_MINUTES, Result};

/// What a real row has in these columns.
const PENDING_MS: i64 = 1_795_000_000_000;
const CHECKSUM: i32 = 0x4d41_4e42;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    Normal,
    Full,
}

impl Durability {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Durability::Normal => "NORMAL",
            Durability::Full => "FULL",
        }
    }

    pub(crate) fn of_book(self) -> manbo::Durability {
        match self {
            Durability::Normal => manbo::Durability::Normal,
            Durability::Full => manbo::Durability::Full,
        }
    }
}

/// The same row in the same table as the library's.
const UPSERT: &str = "INSERT INTO cell (user, day, source, epoch, recorded, manual, read_here, reread,
        offset_minutes, pending_since_ms, parked, chk)
    VALUES (1, ?1, 0, 0, ?2, 0, 1, 0, ?3, ?4, NULL, ?5)
    ON CONFLICT (user, day, source) DO UPDATE SET recorded = max(recorded, excluded.recorded),
        manual = max(manual, excluded.manual), pending_since_ms = excluded.pending_since_ms,
        chk = excluded.chk";
/// The same, touching only a row that grows.
const UPSERT_GROWN: &str = "INSERT INTO cell (user, day, source, epoch, recorded, manual, read_here, reread,
        offset_minutes, pending_since_ms, parked, chk)
    VALUES (1, ?1, 0, 0, ?2, 0, 1, 0, ?3, ?4, NULL, ?5)
    ON CONFLICT (user, day, source) DO UPDATE SET recorded = max(recorded, excluded.recorded),
        manual = max(manual, excluded.manual), pending_since_ms = excluded.pending_since_ms,
        chk = excluded.chk WHERE excluded.recorded > recorded OR excluded.manual > manual";
/// The same row, whatever was there.
const REPLACE: &str = "REPLACE INTO cell (user, day, source, epoch, recorded, manual, read_here, reread,
        offset_minutes, pending_since_ms, parked, chk)
    VALUES (1, ?1, 0, 0, ?2, 0, 1, 0, ?3, ?4, NULL, ?5)";
/// One user, one source, no checksum, the date as the key of the table: as lean as rows can be.
const LEAN_TABLE: &str = "CREATE TABLE lean (day INTEGER PRIMARY KEY, recorded INTEGER NOT NULL,
        manual INTEGER NOT NULL, offset_minutes INTEGER, pending_since_ms INTEGER) STRICT";
const LEAN_UPSERT: &str = "INSERT INTO lean (day, recorded, manual, offset_minutes, pending_since_ms)
    VALUES (?1, ?2, 0, ?3, ?4)
    ON CONFLICT (day) DO UPDATE SET recorded = max(recorded, excluded.recorded),
        manual = max(manual, excluded.manual), pending_since_ms = excluded.pending_since_ms";

/// What a server sent: not read here, and known there.
const UPSERT_SENT: &str = "INSERT INTO cell (user, day, source, epoch, recorded, manual, read_here, reread,
        offset_minutes, pending_since_ms, parked, chk)
    VALUES (1, ?1, 0, ?2, ?3, ?4, 0, 0, NULL, NULL, NULL, ?5)
    ON CONFLICT (user, day, source) DO UPDATE SET recorded = max(recorded, excluded.recorded),
        manual = max(manual, excluded.manual), chk = excluded.chk";
/// What waits for the server, newest first: the key of the table is the order.
const PLAN: &str = "SELECT day, source, epoch, recorded, manual FROM cell
    WHERE user = 1 AND pending_since_ms IS NOT NULL ORDER BY day DESC LIMIT ?1";
/// The value is its own fence: what grew meanwhile stays pending.
const CLEAR: &str = "UPDATE cell SET pending_since_ms = NULL, chk = ?3
    WHERE user = 1 AND day = ?1 AND source = 0 AND recorded = ?2 AND manual = 0";

/// Which upsert a floor runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// The library's own table.
    Same,
    /// The library's own table, `WHERE` the row grows.
    SameGrown,
    /// The library's own table, overwriting without a look: the least that SQLite can do, and not a merge.
    SameReplaced,
    /// Five columns under an integer key.
    Lean,
}

impl Table {
    fn upsert(self) -> &'static str {
        match self {
            Table::Same => UPSERT,
            Table::SameGrown => UPSERT_GROWN,
            Table::SameReplaced => REPLACE,
            Table::Lean => LEAN_UPSERT,
        }
    }
}

/// A connection with the library's own pragmas on a file of its own.
pub(crate) struct Bare {
    connection: Connection,
    table: Table,
}

impl Bare {
    pub(crate) fn open(path: &Path, durability: Durability) -> Result<Bare> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(Duration::from_secs(4))?;
        let synchronous = durability.name();
        connection.execute_batch(&format!(
            "PRAGMA synchronous = {synchronous}; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;
             PRAGMA temp_store = MEMORY; PRAGMA cache_size = -512;"
        ))?;
        Ok(Bare { connection, table: Table::Same })
    }

    /// A file that holds a history: the library's own, or a lean one.
    pub(crate) fn with(path: &Path, durability: Durability, table: Table, history: &History) -> Result<Bare> {
        if table == Table::Lean {
            let fresh = Connection::open(path)?;
            fresh.execute_batch(&format!("PRAGMA journal_mode = WAL; {LEAN_TABLE}"))?;
        } else {
            drop(manbo::Store::open(path, &manbo::Options::new().durability(durability.of_book()))?);
        }
        let bare = Bare { table, ..Bare::open(path, durability)? };
        bare.put_all(history)?;
        Ok(bare)
    }

    fn put(&self, days: &[(Day, u32)]) -> Result<()> {
        let mut statement = self.connection.prepare_cached(self.table.upsert())?;
        for (day, steps) in days {
            if self.table == Table::Lean {
                statement.execute(params![day.number(), steps, OFFSET_MINUTES, PENDING_MS])?;
            } else {
                statement.execute(params![day.number(), steps, OFFSET_MINUTES, PENDING_MS, CHECKSUM])?;
            }
        }
        Ok(())
    }

    /// Row by row, one transaction.
    pub(crate) fn put_all(&self, history: &History) -> Result<()> {
        let run = |sql: &str| self.connection.prepare_cached(sql)?.raw_execute();
        run("BEGIN IMMEDIATE")?;
        self.put(&history.days)?;
        run("COMMIT")?;
        Ok(())
    }

    /// One row; the statement is its own transaction.
    pub(crate) fn put_one(&self, day: (Day, u32)) -> Result<()> {
        self.put(&[day])
    }

    /// One row by its key.
    pub(crate) fn read_one(&self, day: Day) -> Result<(u32, u32)> {
        let sql = "SELECT recorded, manual FROM cell WHERE user = 1 AND day = ?1 AND source = 0";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row([day.number()], |row| Ok((row.get(0)?, row.get(1)?)))?)
    }

    /// Every row of the user, each with all its columns.
    pub(crate) fn read_all(&self) -> Result<Vec<BareRow>> {
        let sql = "SELECT user, day, source, epoch, recorded, manual, read_here, reread, offset_minutes,
            pending_since_ms, parked, chk FROM cell WHERE user = 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| {
            Ok(BareRow {
                user: row.get(0)?,
                day: row.get(1)?,
                source: row.get(2)?,
                epoch: row.get(3)?,
                recorded: row.get(4)?,
                manual: row.get(5)?,
                read_here: row.get(6)?,
                reread: row.get(7)?,
                offset_minutes: row.get(8)?,
                pending_since_ms: row.get(9)?,
                parked: row.get(10)?,
                chk: row.get(11)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

/// Delivery: a batch and its lease, a receipt, a page of what a server knows.
impl Bare {
    /// The row that says when something may be sent again, and up to where everything is known.
    pub(crate) fn begin_lease(&self) -> Result<()> {
        self.connection.execute("INSERT INTO meta (key, value) VALUES ('lease', '')", [])?;
        Ok(())
    }

    fn in_transaction<T>(&self, step: impl FnOnce() -> Result<T>, lease: &str) -> Result<T> {
        let run = |sql: &str| self.connection.prepare_cached(sql)?.raw_execute();
        run("BEGIN IMMEDIATE")?;
        let done = step()?;
        self.connection.prepare_cached("UPDATE meta SET value = ?1 WHERE key = 'lease'")?.execute([lease])?;
        run("COMMIT")?;
        Ok(done)
    }

    /// The newest pending rows, and the lease until some time.
    pub(crate) fn plan(&self, until_ms: i64) -> Result<Vec<PlannedRow>> {
        let most = u32::try_from(BATCH_FACTS_MAX)?;
        let select = || {
            let mut statement = self.connection.prepare_cached(PLAN)?;
            let rows = statement.query_map([most], |row| {
                Ok(PlannedRow {
                    day: row.get(0)?,
                    source: row.get(1)?,
                    epoch: row.get(2)?,
                    recorded: row.get(3)?,
                    manual: row.get(4)?,
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        };
        self.in_transaction(select, &until_ms.to_string())
    }

    /// Clears what a server accepted; gives the rows that were still the same.
    pub(crate) fn clear(&self, accepted: &History) -> Result<usize> {
        let update = || {
            let mut statement = self.connection.prepare_cached(CLEAR)?;
            let mut cleared = 0;
            for (day, steps) in &accepted.days {
                cleared += statement.execute(params![day.number(), steps, CHECKSUM])?;
            }
            Ok(cleared)
        };
        self.in_transaction(update, "")
    }

    /// Reads a page and upserts its rows; gives their number.
    pub(crate) fn put_page(&self, text: &str) -> Result<usize> {
        let page: PageJson<'_> = serde_json::from_str(text)?;
        let upsert = || {
            let mut statement = self.connection.prepare_cached(UPSERT_SENT)?;
            for FactJson { day, epoch, recorded, manual } in &page.facts {
                let day: Day = day.parse()?;
                statement.execute(params![day.number(), epoch, recorded, manual, CHECKSUM])?;
            }
            Ok(page.facts.len())
        };
        self.in_transaction(upsert, &page.complete_to.to_string())
    }
}

/// A pending row as rusqlite gives it.
#[expect(dead_code, reason = "reading the columns is the work that is measured")]
pub(crate) struct PlannedRow {
    pub(crate) day: i32,
    pub(crate) source: u16,
    pub(crate) epoch: u16,
    pub(crate) recorded: Option<u32>,
    pub(crate) manual: u32,
}

/// A page, as far as a table of one source needs it.
#[derive(Deserialize)]
struct PageJson<'t> {
    complete_to: u64,
    #[serde(borrow)]
    facts: Vec<FactJson<'t>>,
}

#[derive(Deserialize)]
struct FactJson<'t> {
    day: &'t str,
    epoch: u16,
    recorded: Option<u32>,
    manual: u32,
}

/// The newest facts of a sorted array that fit a batch, and their JSON, written once.
pub(crate) fn newest(sorted: &[Fact]) -> Result<(Vec<Fact>, Vec<u8>)> {
    let mut facts = Vec::with_capacity(BATCH_FACTS_MAX);
    let mut text = Vec::new();
    for fact in sorted.iter().rev().take(BATCH_FACTS_MAX) {
        let before = text.len();
        serde_json::to_writer(&mut text, fact)?;
        text.push(b',');
        if text.len() > BATCH_BYTES_MAX {
            text.truncate(before);
            break;
        }
        facts.push(*fact);
    }
    Ok((facts, text))
}

/// The same, told beforehand that they fit.
pub(crate) fn newest_unwritten(sorted: &[Fact]) -> Vec<Fact> {
    sorted.iter().rev().take(BATCH_FACTS_MAX).copied().collect()
}

/// A row as rusqlite gives it.
#[expect(dead_code, reason = "reading the columns is the work that is measured")]
pub(crate) struct BareRow {
    pub(crate) user: i64,
    pub(crate) day: i32,
    pub(crate) source: u16,
    pub(crate) epoch: u16,
    pub(crate) recorded: Option<u32>,
    pub(crate) manual: u32,
    pub(crate) read_here: bool,
    pub(crate) reread: u8,
    pub(crate) offset_minutes: Option<i16>,
    pub(crate) pending_since_ms: Option<i64>,
    pub(crate) parked: Option<String>,
    pub(crate) chk: i32,
}

/// SQLite's own open, the pragmas, and a read of the file's rows.
pub(crate) fn open_and_read(path: &Path, durability: Durability) -> Result<(Duration, usize)> {
    let start = Instant::now();
    let bare = Bare::open(path, durability)?;
    let rows = bare.read_all()?;
    let took = start.elapsed();
    Ok((took, rows.len()))
}

/// The plain loop over an array of days: level, total, best day, days at the goal.
pub(crate) fn naive_fold(steps: &[u32]) -> (u8, u64, u32, u32) {
    let (mut level, mut total, mut best, mut at_goal) = (2_u8, 0_u64, 0_u32, 0_u32);
    for shown in steps {
        if *shown >= 10_000 && level < 4 {
            level += 1;
        }
        if *shown < 6_000 && level > 0 {
            level -= 1;
        }
        total += u64::from(*shown);
        best = best.max(*shown);
        at_goal += u32::from(*shown >= 10_000);
    }
    (level, total, best, at_goal)
}
