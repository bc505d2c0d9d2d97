//! A user's ledger, loaded from its rows and saved row by row.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::attendance::AttendanceRow;
use super::carve::Decoder;
use super::cell::CellRow;
use super::change::ChangeRow;
use super::connection::classify;
use super::counter::{BaselineRow, OwnCountRow};
use super::era::{self, EraRow};
use super::keeping::{self, Keeping};
use super::ledger::{self, LedgerRow};
use super::remark::RemarkRow;
use super::row::{self, StoredRow};
use super::set_aside::BadRow;
use super::source::SourceRow;
use super::transaction::WriteTx;
use super::{SetAside, Store, delivery, meta};
use crate::domain::canary;
use crate::domain::cell::Cell;
use crate::domain::column::SourceId;
use crate::domain::counter::Stood;
use crate::domain::day::{Day, Now};
use crate::domain::dirty::Dirty;
use crate::domain::ledger::Ledger;
use crate::error::{Error, Result};

/// Rows that are set aside one by one. More of them are a damaged page, whose rows a rebuild still finds.
const SET_ASIDE_MAX: usize = 3;

/// A ledger in memory, with what the file says of it.
pub(crate) struct Loaded {
    pub(crate) ledger: Ledger,
    /// The state of the file from which it comes.
    pub(crate) version: i64,
    /// Of which opening of the file: each counts its versions anew.
    pub(crate) opening: u64,
    pub(crate) era: Option<EraRow>,
    name: String,
    saved: Option<LedgerRow>,
    keeping: Keeping,
    /// Whether the file says that nobody read a counter after this user did.
    counted_last: bool,
}

impl Loaded {
    /// Loads a user's rows within the caller's transaction; gives those that cannot be trusted.
    pub(crate) fn load(snapshot: &Connection, name: &str, keeping: Keeping) -> Result<(Loaded, Vec<BadRow>)> {
        let version = Store::version(snapshot)?;
        let saved = ledger::find(snapshot, name)?;
        let mut ledger = Ledger::new(keeping.levels);
        let mut bad = Vec::new();
        let mut era = None;
        if let Some(row) = &saved {
            bad = load_rows(snapshot, row, &mut ledger)?;
            ledger.revision = u64::try_from(row.revision).unwrap_or(0);
            era = era::find(snapshot, row.user)?;
        }
        let counted_by = if keeping.server { None } else { counted_by(snapshot)? };
        let counted_last = counted_by.is_some() && counted_by == saved.as_ref().map(|row| row.user);
        if let Some(other) = counted_by.filter(|_| !counted_last) {
            ledger.counted_by_other = Some(counters_of(snapshot, other)?);
        }
        ledger.rebuild();
        // Where history is off, a change still has to break off what was kept of it.
        ledger.notes.kept = keeping.logs() || era.as_ref().is_some_and(EraRow::is_whole);
        let name = name.to_owned();
        Ok((Loaded { ledger, version, opening: 0, era, name, saved, keeping, counted_last }, bad))
    }

    pub(crate) fn keeping(&self) -> Keeping {
        self.keeping
    }

    /// Rows of a server's ledger were lost: its devices are to send everything again, and see it by this.
    pub(crate) fn begin_life(&mut self, tx: &WriteTx<'_>, now: Now) -> Result<()> {
        if self.saved.is_none() {
            self.save(tx)?;
        }
        let Some(user) = self.user() else { return Ok(()) };
        let seq = i64::try_from(self.ledger.revision).unwrap_or(i64::MAX);
        let era = self.era.get_or_insert_with(|| EraRow::begin(user, seq, seq == 0, now.unix_ms));
        era.lives = era.lives.saturating_add(1);
        row::put(tx, std::iter::once(era.clone()))
    }

    /// The number of the user, if they have a ledger.
    pub(crate) fn user(&self) -> Option<i64> {
        self.saved.as_ref().map(|row| row.user)
    }

    /// The same under the write lock: rows that cannot be trusted are set aside, and their days wait to
    /// be read again.
    pub(crate) fn load_for_write(
        tx: &WriteTx<'_>,
        name: &str,
        keeping: Keeping,
    ) -> Result<(Loaded, Vec<SetAside>)> {
        let (mut loaded, bad) = Loaded::load(tx, name, keeping)?;
        let mut noted = Vec::new();
        for row in &bad {
            if !row.set_aside(tx)? {
                return Err(Error::Corrupt("a row lies where its key does not find it".into()));
            }
            noted.push(note(row, &mut loaded.ledger));
        }
        if !bad.is_empty() {
            // What the others know of these rows is to come back: on a device from the server, which is asked
            // for everything once more; on a server from the devices, which see that it has a new life.
            delivery::ask_anew(tx, name)?;
            if let Some(era) = &mut loaded.era {
                era.lose_rows();
                row::put(tx, std::iter::once(era.clone()))?;
            }
            loaded.save(tx)?;
        }
        Ok((loaded, noted))
    }

    /// This user signs in. What the counters gave since another user of this device read them is nobody's: only
    /// from their next reading on is it known who walked.
    pub(crate) fn begin_counters(&mut self, tx: &WriteTx<'_>) -> Result<()> {
        match &mut self.ledger.counted_by_other {
            Some(stood) if !stood.is_empty() => {
                stood.clear();
                meta::set_counted_by(tx, meta::NOBODY)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Takes over what could be saved of a damaged file.
    pub(crate) fn rebuilt(ledger: Ledger, row: LedgerRow, keeping: Keeping) -> Loaded {
        Loaded {
            ledger,
            version: 0,
            opening: 0,
            era: None,
            name: row.name.clone(),
            saved: Some(row),
            keeping,
            // Who did is in the damaged file's own words, which were taken over before.
            counted_last: true,
        }
    }

    /// Writes the rows that differ.
    pub(crate) fn save(&mut self, tx: &WriteTx<'_>) -> Result<()> {
        let was = self.ledger.notes.take();
        let known = self.saved.as_ref().map_or(0, |row| u64::try_from(row.revision).unwrap_or(0));
        if self.keeping.server && !was.is_empty() && self.ledger.revision == known {
            // Whatever changed a server's ledger, its devices are to hear of it.
            self.ledger.raise_revision();
        }
        let dirty = self.ledger.take_dirty();
        let user = match &self.saved {
            Some(row) => row.user,
            None => ledger::new_user(tx, &self.name)?,
        };
        put_facts(tx, user, &self.ledger, &dirty)?;
        put_device_rows(tx, user, &self.ledger, &dirty)?;
        if !dirty.baselines.is_empty() && !self.counted_last {
            meta::set_counted_by(tx, user)?;
            self.counted_last = true;
        }
        let revision = i64::try_from(self.ledger.revision).unwrap_or(i64::MAX);
        let row = LedgerRow { user, name: self.name.clone(), revision, rows: self.ledger.row_counts() };
        if self.saved.as_ref() != Some(&row) || dirty.revision {
            row::put(tx, std::iter::once(row.clone()))?;
        }
        if !was.is_empty() && !self.keeping.logs() {
            if let Some(era) = &mut self.era {
                era.break_off();
                row::put(tx, std::iter::once(era.clone()))?;
            }
            self.ledger.notes.kept = false;
        } else if !was.is_empty() {
            let now_ms = was.iter().map(|was| was.at_ms).max().unwrap_or(0);
            let seq = i64::try_from(known).unwrap_or(i64::MAX);
            let is_new = self.saved.is_none();
            let era = self.era.get_or_insert_with(|| EraRow::begin(user, seq, is_new, now_ms));
            keeping::save(tx, era, &self.ledger, was, self.keeping)?;
        } else if self.keeping.logs() && self.saved.is_none() {
            // Of an empty ledger everything is known.
            let era = EraRow::begin(user, 0, true, 0);
            row::put(tx, std::iter::once(era.clone()))?;
            self.era = Some(era);
        }
        self.saved = Some(row);
        Ok(())
    }
}

/// Whose baselines are this device's; `None` where there are none.
fn counted_by(snapshot: &Connection) -> Result<Option<i64>> {
    let sql = "SELECT DISTINCT user FROM baseline LIMIT 2";
    let mut statement = snapshot.prepare_cached(sql).map_err(classify)?;
    let users = statement.query_map([], |row| row.get(0)).map_err(classify)?;
    let users: Vec<i64> = users.collect::<rusqlite::Result<_>>().map_err(classify)?;
    let only = match users[..] {
        [] => return Ok(None),
        [user] => user,
        // The file does not say whose are the last ones: to go on from older ones would credit steps again.
        _ => meta::NOBODY,
    };
    Ok(Some(meta::counted_by(snapshot)?.unwrap_or(only)))
}

/// Where a user's counters stood. What cannot be trusted is left out: that counter's next reading is a first one.
fn counters_of(snapshot: &Connection, user: i64) -> Result<Stood> {
    let mut names = BTreeMap::new();
    row::load(snapshot, user, |source: SourceRow| {
        names.insert(source.id, source.name);
    })?;
    let mut stood = Stood::new();
    row::load(snapshot, user, |row: BaselineRow| {
        if let Some(name) = names.get(&row.source) {
            stood.insert(*name, row.baseline);
        }
    })?;
    Ok(stood)
}

fn load_rows(snapshot: &Connection, row: &LedgerRow, ledger: &mut Ledger) -> Result<Vec<BadRow>> {
    let user = row.user;
    let expected = row.rows;
    let mut in_order = true;
    let sources_bad = row::load(snapshot, user, |source: SourceRow| {
        in_order &= usize::from(source.id.0) == ledger.sources.len();
        ledger.load_source(source.name, source.read_by_device);
    })?;
    if !in_order || !sources_bad.is_empty() || ledger.sources.len() != expected.sources {
        return Err(Error::Corrupt("the names of the sources are damaged".into()));
    }
    let mut bad = row::load(snapshot, user, |cell: CellRow| {
        if usize::from(cell.source.0) < ledger.sources.len() {
            ledger.load_cell(cell.day, cell.source, cell.cell);
        }
    })?;
    // Most ledgers have no rows of these kinds: a statement that is not prepared costs nothing.
    if expected.attended > 0 {
        bad.extend(row::load(snapshot, user, |row: AttendanceRow| {
            ledger.load_attendance(row.day, row.mark);
        })?);
    }
    if expected.baselines > 0 {
        bad.extend(row::load(snapshot, user, |row: BaselineRow| {
            ledger.baselines.insert(row.source, row.baseline);
        })?);
    }
    if expected.own_counts > 0 {
        bad.extend(row::load(snapshot, user, |row: OwnCountRow| {
            ledger.own_counts.insert((row.source, row.day), row.count);
        })?);
    }
    if expected.remarks > 0 {
        bad.extend(row::load(snapshot, user, |row: RemarkRow| {
            if let Some(remark) = row.remark() {
                ledger.remarks.insert((row.day, row.source, row.kind), remark);
            }
        })?);
    }
    let bad_of = |table| bad.iter().filter(|row: &&BadRow| row.table == table).count();
    let mut found = ledger.row_counts();
    found.cells += bad_of(CellRow::TABLE);
    found.attended += bad_of(AttendanceRow::TABLE);
    found.baselines += bad_of(BaselineRow::TABLE);
    found.own_counts += bad_of(OwnCountRow::TABLE);
    found.remarks += bad_of(RemarkRow::TABLE);
    if found != expected || bad.len() > SET_ASIDE_MAX {
        return Err(Error::Corrupt("rows have vanished, or many are damaged".into()));
    }
    Ok(bad)
}

/// Names a bad row, and puts its day on the re-read list as far as the row still tells it.
pub(crate) fn note(row: &BadRow, ledger: &mut Ledger) -> SetAside {
    use rusqlite::types::Value;
    // The flipped bit may lie in the day itself.
    let values = true_values(row).unwrap_or_else(|| row.values.clone());
    let number = |index: usize| match values.get(index) {
        Some(Value::Integer(n)) => i32::try_from(*n).ok(),
        _ => None,
    };
    let (day_column, source_column) = match row.table {
        OwnCountRow::TABLE => (2, 1),
        ChangeRow::TABLE => (2, 3),
        BaselineRow::TABLE => (1, 1),
        _ => (1, 2),
    };
    let day = number(day_column).and_then(|n| Day::from_number(n).ok()).filter(|day| day.is_storable());
    let id = number(source_column).and_then(|n| u16::try_from(n).ok()).map(SourceId);
    let source = id.and_then(|id| ledger.source_name(id));
    if let (CellRow::TABLE, Some(day), Some(id), Some(_)) = (row.table, day, id, source) {
        ledger.note_set_aside(day, id);
    }
    let has_day = !matches!(row.table, BaselineRow::TABLE | EraRow::TABLE);
    let has_source = !matches!(row.table, AttendanceRow::TABLE | EraRow::TABLE);
    SetAside { table: row.table, day: day.filter(|_| has_day), source: source.filter(|_| has_source) }
}

fn true_values(row: &BadRow) -> Option<Vec<rusqlite::types::Value>> {
    let decoder = Decoder::new().ok()?;
    let values = &row.values;
    match row.table {
        CellRow::TABLE => decoder.mended_values::<CellRow>(values),
        AttendanceRow::TABLE => decoder.mended_values::<AttendanceRow>(values),
        BaselineRow::TABLE => decoder.mended_values::<BaselineRow>(values),
        OwnCountRow::TABLE => decoder.mended_values::<OwnCountRow>(values),
        RemarkRow::TABLE => decoder.mended_values::<RemarkRow>(values),
        _ => None,
    }
}

fn put_facts(tx: &WriteTx<'_>, user: i64, ledger: &Ledger, dirty: &Dirty) -> Result<()> {
    let sources = dirty.sources.iter().filter_map(|id| {
        let entry = ledger.sources.get(usize::from(id.0))?;
        Some(SourceRow { user, id: *id, name: entry.name, read_by_device: entry.read_by_device })
    });
    row::put(tx, sources)?;
    let cells = dirty.cells.iter().map(|(day, source)| CellRow {
        user,
        day: *day,
        source: *source,
        cell: stored(ledger.cell(*source, *day)),
    });
    row::put(tx, cells)?;
    let attendance = dirty.attendance.iter().filter_map(|day| {
        let mark = *ledger.attendance.get(day)?;
        Some(AttendanceRow { user, day: *day, mark })
    });
    row::put(tx, attendance)
}

/// A cell as its row holds it.
fn stored(mut cell: Cell) -> Cell {
    if canary::sings("pending mark lost on disk") {
        cell.set_pending_since(None);
    }
    cell
}

fn put_device_rows(tx: &WriteTx<'_>, user: i64, ledger: &Ledger, dirty: &Dirty) -> Result<()> {
    let baselines = dirty.baselines.iter().filter_map(|source| {
        let baseline = ledger.baselines.get(source)?.clone();
        Some(BaselineRow { user, source: *source, baseline })
    });
    row::put(tx, baselines)?;
    let own_counts = dirty.own_counts.iter().filter_map(|(source, day)| {
        let count = *ledger.own_counts.get(&(*source, *day))?;
        Some(OwnCountRow { user, source: *source, day: *day, count })
    });
    row::put(tx, own_counts)?;
    let gone = |source: &&SourceId| !ledger.baselines.contains_key(source);
    let mut baselines_gone = dirty.baselines.iter().filter(gone).peekable();
    if baselines_gone.peek().is_some() {
        row::delete::<BaselineRow, 2>(tx, baselines_gone.map(|source| [user, source.0.into()]))?;
    }
    let gone = |key: &&(SourceId, Day)| !ledger.own_counts.contains_key(key);
    let mut counts_gone = dirty.own_counts.iter().filter(gone).peekable();
    if counts_gone.peek().is_some() {
        let keys = counts_gone.map(|(source, day)| [user, source.0.into(), day.number().into()]);
        row::delete::<OwnCountRow, 3>(tx, keys)?;
    }
    let remarks =
        dirty.remarks.iter().filter_map(|key| Some(RemarkRow::of(user, *key, ledger.remarks.get(key)?)));
    row::put(tx, remarks)
}
