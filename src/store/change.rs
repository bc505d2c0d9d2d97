//! Table `change`: every change of a fact, for history and for devices that have not heard of it yet.

use std::sync::OnceLock;

use rusqlite::{Connection, Row, Statement};

use super::checksum::Checksum;
use super::connection::classify;
use super::era;
use super::row::{Sql, StoredRow, int, opt_int, text};
use super::transaction::WriteTx;
use crate::domain::column::SourceId;
use crate::domain::day::Day;
use crate::domain::history::Origin;
use crate::domain::register::Register;
use crate::domain::steps::{Counts, STEPS_MAX};
use crate::error::Result;

/// The number of the source that stands for attendance.
const ATTENDANCE: i32 = -1;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChangeRow {
    pub(crate) user: i64,
    pub(crate) seq: i64,
    pub(crate) day: Day,
    /// `None`: attendance.
    pub(crate) source: Option<SourceId>,
    pub(crate) at_ms: i64,
    pub(crate) origin: Origin,
    /// `None`: nothing was known.
    pub(crate) from: Option<Register>,
    pub(crate) to: Register,
}

impl ChangeRow {
    fn source_number(&self) -> i32 {
        self.source.map_or(ATTENDANCE, |id| id.0.into())
    }

    /// What no other row has.
    pub(crate) fn key(&self) -> (i64, i64, Day, i32) {
        (self.user, self.seq, self.day, self.source_number())
    }

    fn checksum(&self) -> i32 {
        let sum = Checksum::of(9).int(self.user).int(self.seq).int(self.day.number().into());
        let sum = sum.int(self.source_number().into()).int(self.at_ms).text(&self.origin.to_text());
        let register = |sum: Checksum, register: Register| {
            let counts = register.counts.unwrap_or_default();
            sum.int(register.epoch.into())
                .int(register.counts.is_some().into())
                .int(counts.recorded.into())
                .int(counts.manual.into())
        };
        let sum = register(sum.int(self.from.is_some().into()), self.from.unwrap_or_default());
        register(sum, self.to).finish()
    }
}

fn register(row: &Row<'_>, epoch: u16, first: usize) -> Option<Register> {
    let within = |n: u32| n <= STEPS_MAX;
    let recorded = opt_int::<u32>(row, first)?.filter(|n| within(*n));
    let manual = int::<u32>(row, first + 1).filter(|n| within(*n))?;
    Some(Register { epoch, counts: recorded.map(|recorded| Counts::new(recorded, manual)) })
}

impl StoredRow for ChangeRow {
    const TABLE: &'static str = "change";
    const COLUMNS: &'static [&'static str] = &[
        "user",
        "seq",
        "day",
        "source",
        "at_ms",
        "origin",
        "from_epoch",
        "from_recorded",
        "from_manual",
        "to_epoch",
        "to_recorded",
        "to_manual",
        "chk",
    ];
    const KEY_COLUMNS: usize = 4;

    fn decode(row: &Row<'_>) -> Option<ChangeRow> {
        let source = match int::<i32>(row, 3)? {
            ATTENDANCE => None,
            number => Some(SourceId(u16::try_from(number).ok()?)),
        };
        let from = match opt_int::<u16>(row, 6)? {
            None => None,
            Some(epoch) => Some(register(row, epoch, 7)?),
        };
        let decoded = ChangeRow {
            user: int(row, 0)?,
            seq: int(row, 1)?,
            day: Day::from_number(int(row, 2)?).ok().filter(|day| day.is_storable())?,
            source,
            at_ms: int(row, 4)?,
            origin: Origin::of_text(text(row, 5)?)?,
            from,
            to: register(row, int(row, 9)?, 10)?,
        };
        (int::<i32>(row, 12)? == decoded.checksum()).then_some(decoded)
    }

    fn bind(&self, statement: &mut Statement<'_>, first: usize) -> rusqlite::Result<()> {
        let counts = |register: Option<Register>| register.and_then(|register| register.counts);
        let manual = |register| counts(register).map_or(0, |counts: Counts| counts.manual);
        let (from, to) = (self.from, Some(self.to));
        statement.raw_bind_parameter(first, self.user)?;
        statement.raw_bind_parameter(first + 1, self.seq)?;
        statement.raw_bind_parameter(first + 2, self.day.number())?;
        statement.raw_bind_parameter(first + 3, self.source_number())?;
        statement.raw_bind_parameter(first + 4, self.at_ms)?;
        statement.raw_bind_parameter(first + 5, self.origin.to_text())?;
        statement.raw_bind_parameter(first + 6, from.map(|from| from.epoch))?;
        statement.raw_bind_parameter(first + 7, counts(from).map(|counts| counts.recorded))?;
        statement.raw_bind_parameter(first + 8, manual(from))?;
        statement.raw_bind_parameter(first + 9, self.to.epoch)?;
        statement.raw_bind_parameter(first + 10, counts(to).map(|counts| counts.recorded))?;
        statement.raw_bind_parameter(first + 11, manual(to))?;
        statement.raw_bind_parameter(first + 12, self.checksum())
    }

    fn sql() -> &'static Sql {
        static SQL: OnceLock<Sql> = OnceLock::new();
        SQL.get_or_init(Sql::of::<ChangeRow>)
    }
}

/// The facts that changed after a transaction, oldest change first, at most so many rows and then the rest of
/// the last transaction; `None` where a row cannot be trusted, or where one has vanished.
pub(crate) fn since(connection: &Connection, user: i64, seq: i64, rows_max: usize) -> Result<Option<Page>> {
    // A whole row that is gone leaves no bad checksum behind. To count the keys of a year takes a tenth of
    // a flush.
    if era::find(connection, user)?.map(|era| era.changes) != Some(count(connection, user)?) {
        return Ok(None);
    }
    let columns = ChangeRow::COLUMNS.join(", ");
    let sql = format!("SELECT {columns} FROM change WHERE user = ?1 AND seq > ?2 ORDER BY seq");
    let mut statement = connection.prepare_cached(&sql).map_err(classify)?;
    let mut rows = statement.query([user, seq]).map_err(classify)?;
    let mut page = Page { facts: Vec::new(), complete_to: None };
    let mut last = seq;
    while let Some(row) = rows.next().map_err(classify)? {
        let Some(change) = ChangeRow::decode(row) else { return Ok(None) };
        if change.seq != last && page.facts.len() >= rows_max {
            page.complete_to = Some(last);
            break;
        }
        last = change.seq;
        page.facts.push((change.day, change.source));
    }
    page.facts.sort_unstable();
    page.facts.dedup();
    Ok(Some(page))
}

/// What changed after a transaction.
pub(crate) struct Page {
    /// Each once.
    pub(crate) facts: Vec<(Day, Option<SourceId>)>,
    /// The last transaction that is wholly in the page; `None`: there is no later one.
    pub(crate) complete_to: Option<i64>,
}

/// Every change of a user in the order in which they happened; `None` where one cannot be trusted.
pub(crate) fn all(connection: &Connection, user: i64) -> Result<Option<Vec<ChangeRow>>> {
    let mut changes = Vec::new();
    let sound = each(connection, user, |row| {
        changes.push(row);
        Ok(())
    })?;
    Ok(sound.then_some(changes))
}

/// How many rows a user has, sound or not.
pub(crate) fn count(connection: &Connection, user: i64) -> Result<i64> {
    let sql = "SELECT count(*) FROM change WHERE user = ?1";
    let mut statement = connection.prepare_cached(sql).map_err(classify)?;
    statement.query_row([user], |row| row.get(0)).map_err(classify)
}

/// Gives every change of a user in the order in which they happened, one at a time; says whether all of them
/// can be trusted. It ends at the first that cannot.
pub(crate) fn each(
    connection: &Connection,
    user: i64,
    mut take: impl FnMut(ChangeRow) -> Result<()>,
) -> Result<bool> {
    let sql = format!("SELECT {} FROM change WHERE user = ?1", ChangeRow::COLUMNS.join(", "));
    let mut statement = connection.prepare_cached(&sql).map_err(classify)?;
    let mut rows = statement.query([user]).map_err(classify)?;
    while let Some(row) = rows.next().map_err(classify)? {
        let Some(change) = ChangeRow::decode(row) else { return Ok(false) };
        take(change)?;
    }
    Ok(true)
}

/// Deletes every change of a user.
pub(crate) fn delete_all(tx: &WriteTx<'_>, user: i64) -> Result<()> {
    let mut statement = tx.prepare_cached("DELETE FROM change WHERE user = ?1").map_err(classify)?;
    statement.execute([user]).map(|_| ()).map_err(classify)
}

/// Deletes the changes from before an instant that a later one of the same fact overrules.
pub(crate) fn compact(tx: &WriteTx<'_>, user: i64, before_ms: i64) -> Result<usize> {
    let sql = "DELETE FROM change WHERE user = ?1 AND at_ms < ?2 AND (day, source, seq) NOT IN
                   (SELECT day, source, max(seq) FROM change WHERE user = ?1 GROUP BY day, source)";
    let mut statement = tx.prepare_cached(sql).map_err(classify)?;
    statement.execute((user, before_ms)).map_err(classify)
}
