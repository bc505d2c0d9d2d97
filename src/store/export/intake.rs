//! Reading an export: nothing of it is trusted, and each line goes to the database before the next is read.

use std::collections::BTreeMap;
use std::io::{BufRead, ErrorKind};

use sha2::{Digest, Sha256};

use super::line::{ChangeLine, Header, Installation, Line, Place, Version};
use super::{
    EXPORT_LINE_MAX, EXPORT_LINES_MAX, EXPORT_VERSION, Exported, ImportError, ImportRule, Imported, digest,
    named_generation, text,
};
use crate::domain::code::Refusal;
use crate::domain::column::SourceId;
use crate::domain::day::{Day, Now};
use crate::domain::dirty::RowCounts;
use crate::domain::history::{ORIGIN_LEN_MAX, Origin};
use crate::domain::register::Register;
use crate::domain::remark::Remark;
use crate::domain::steps::{BOOT_LEN_MAX, STEPS_MAX, Source};
use crate::error::Error;
use crate::store::attendance::AttendanceRow;
use crate::store::cell::CellRow;
use crate::store::change::ChangeRow;
use crate::store::counter::OwnCountRow;
use crate::store::era::EraRow;
use crate::store::keeping::Keeping;
use crate::store::ledger::{self, LedgerRow};
use crate::store::remark::RemarkRow;
use crate::store::row::{self, StoredRow};
use crate::store::serve::GENERATION_LEAD_MAX;
use crate::store::source::SourceRow;
use crate::store::transaction::WriteTx;
use crate::store::{Loaded, delivery, meta};

/// Rows that wait in memory for a statement: 32 statements of 32, and at most 300 KB.
const ROWS_HELD: usize = 1_024;
/// A ledger holds the cells of a source in one array from the first day to the last, 32 bytes a day: every day
/// that can be stored (73,049) of 16 sources is 37 MB. A file must not ask for more.
const DAYS_HELD_MAX: i64 = 73_049 * 16;
/// The largest number that every reader of JSON keeps exactly, and far from where counting on would end: 2^53.
const COUNTER_MAX: u64 = 1 << 53;

type Taken<T> = std::result::Result<T, ImportError>;
type Kept<T> = std::result::Result<T, ImportRule>;

/// Takes a whole export into the empty ledger of a user, inside the caller's transaction.
pub(super) fn take(
    tx: &WriteTx<'_>,
    name: &str,
    loaded: &Loaded,
    keeping: Keeping,
    input: &mut dyn BufRead,
    now: Now,
) -> Taken<Imported> {
    let user = match loaded.user() {
        Some(user) => user,
        None => ledger::new_user(tx, name)?,
    };
    let mut reader = Reader { input, line: Vec::new(), number: 0, hasher: Sha256::new() };
    let header = read_header(&mut reader)?;
    let known = loaded.era.as_ref().map_or(0, |era| era.generation).max(named_generation(tx, name)?);
    check_header(&header, known).map_err(|rule| reader.broken(rule))?;
    let installation = meta::get(tx, meta::INSTALL_ID)?;
    let is_here = |wrote: &Installation| installation.as_ref().is_some_and(|id| wrote.is(id));
    let device = match &header.installation {
        Some(wrote) if is_here(wrote) => Device::This,
        Some(_) | None if keeping.server => Device::None,
        Some(_) | None => Device::Other,
    };
    let mut intake = Intake::new(tx, user, &header, device);
    while intake.next(&mut reader)? {}
    let (rows, told) = intake.finish()?;
    let generation = known.max(header.generation);
    let least = if keeping.server { header.transaction } else { 0 };
    let revision = int(header.revision.max(least));
    let lives = loaded.era.as_ref().map_or(0, |era| era.lives);
    let era = EraRow {
        user,
        generation,
        // A server's devices are to hear of everything: their next receipt is one of a new life.
        lives: if keeping.server { lives.saturating_add(1) } else { lives },
        seq: int(header.transaction),
        complete_from: revision.max(int(header.transaction)),
        history_from_ms: if header.history_kept { header.history_from_ms } else { Some(EraRow::NOT_WHOLE) },
        last_ms: header.last_change_ms.unwrap_or(i64::MIN),
        compacted_ms: now.unix_ms,
        changes: int(told.changes),
    };
    let tells = header.history_kept || header.transaction > 0 || header.last_change_ms.is_some();
    if keeping.server || tells || generation > 0 || loaded.era.is_some() {
        row::put(tx, std::iter::once(era))?;
    }
    row::put(tx, std::iter::once(LedgerRow { user, name: name.to_owned(), revision, rows }))?;
    // What the server knows is asked for from the beginning, and told: it may be another one.
    delivery::begin_unproven(tx, name)?;
    Ok(Imported { lines: told, generation, from_other_device: device != Device::This })
}

fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Reads lines of bounded length and digests them.
struct Reader<'i> {
    input: &'i mut dyn BufRead,
    line: Vec<u8>,
    number: u64,
    hasher: Sha256,
}

impl Reader<'_> {
    /// The next line with its end; an empty one at the end of the file.
    fn next(&mut self) -> Taken<()> {
        self.line.clear();
        self.number += 1;
        loop {
            let held = match self.input.fill_buf() {
                Ok(held) => held,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::of_io(&error).into()),
            };
            let (len, ends) = match held.iter().take(EXPORT_LINE_MAX + 1).position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (held.len().min(EXPORT_LINE_MAX + 1), held.is_empty()),
            };
            if self.line.len() + len > EXPORT_LINE_MAX {
                return Err(self.broken(ImportRule::TooLong));
            }
            self.line.extend(held.iter().take(len));
            self.input.consume(len);
            if ends {
                return Ok(());
            }
        }
    }

    /// The line, which is there and whole.
    fn whole(&self) -> Kept<&[u8]> {
        self.line.strip_suffix(b"\n").ok_or(ImportRule::Cut)
    }

    fn broken(&self, rule: ImportRule) -> ImportError {
        ImportError::Line { line: self.number, rule }
    }
}

fn read_header(reader: &mut Reader<'_>) -> Taken<Header> {
    reader.next()?;
    let bytes = &reader.line;
    let Ok(Version { manbo_export: found }) = serde_json::from_slice(bytes) else {
        return Err(reader.broken(ImportRule::NotAnExport));
    };
    if found > EXPORT_VERSION {
        return Err(ImportError::Newer { found });
    }
    let header: Header = serde_json::from_slice(bytes).map_err(|_| reader.broken(ImportRule::NotAnExport))?;
    let cut = reader.whole().err();
    let other_form = (text(&header)? != *bytes).then_some(ImportRule::NotCanonical);
    if let Some(rule) = cut.or(other_form) {
        return Err(reader.broken(rule));
    }
    reader.hasher.update(&reader.line);
    Ok(header)
}

fn check_header(header: &Header, known_generation: u32) -> Kept<()> {
    let wrong = |rule| Err(ImportRule::Inconsistent(rule));
    if header.manbo_export != EXPORT_VERSION {
        return Err(ImportRule::NotAnExport);
    }
    if header.generation > known_generation.saturating_add(GENERATION_LEAD_MAX) {
        return wrong("generation: more erasures than can have been missed");
    }
    if header.revision > COUNTER_MAX || header.transaction > COUNTER_MAX {
        return wrong("revision, transaction: at most 2^53");
    }
    if header.history_from_ms == Some(EraRow::NOT_WHOLE)
        || (header.history_from_ms.is_some() && !header.history_kept)
    {
        return wrong("history_from_ms: a time, and null where history is not kept");
    }
    if header.last_change_ms == Some(i64::MIN) {
        return wrong("last_change_ms: a time, or null");
    }
    Ok(())
}

/// Rows of one kind that wait for a statement.
struct Held<R> {
    rows: Vec<R>,
    put: usize,
}

impl<R: StoredRow> Held<R> {
    const fn new() -> Held<R> {
        Held { rows: Vec::new(), put: 0 }
    }

    fn push(&mut self, tx: &WriteTx<'_>, row: R) -> Taken<()> {
        self.rows.push(row);
        if self.rows.len() >= ROWS_HELD { self.flush(tx) } else { Ok(()) }
    }

    fn flush(&mut self, tx: &WriteTx<'_>) -> Taken<()> {
        self.put += self.rows.len();
        Ok(row::put(tx, std::mem::take(&mut self.rows).into_iter())?)
    }
}

/// Whose is what only the device knew that wrote the file. It is checked in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Device {
    /// This one's: taken.
    This,
    /// Another one's: let go, and what comes is from outside.
    Other,
    /// Another one's, and this is a server, which reads nothing.
    None,
}

/// What was taken so far.
struct Intake<'t> {
    tx: &'t WriteTx<'t>,
    user: i64,
    last_transaction: u64,
    last_change_ms: i64,
    device: Device,
    sources: BTreeMap<Source, SourceId>,
    /// The last day of each source's cells.
    last_days: BTreeMap<SourceId, Day>,
    days_held: i64,
    before: Option<Place>,
    /// The transaction and the time of the last change.
    change: (u64, i64),
    named: Held<SourceRow>,
    cells: Held<CellRow>,
    attended: Held<AttendanceRow>,
    own_counts: Held<OwnCountRow>,
    remarks: Held<RemarkRow>,
    changes: Held<ChangeRow>,
}

impl<'t> Intake<'t> {
    fn new(tx: &'t WriteTx<'t>, user: i64, header: &Header, device: Device) -> Intake<'t> {
        Intake {
            tx,
            user,
            last_transaction: header.transaction,
            last_change_ms: header.last_change_ms.unwrap_or(i64::MIN),
            device,
            sources: BTreeMap::new(),
            last_days: BTreeMap::new(),
            days_held: 0,
            before: None,
            change: (0, i64::MIN),
            named: Held::new(),
            cells: Held::new(),
            attended: Held::new(),
            own_counts: Held::new(),
            remarks: Held::new(),
            changes: Held::new(),
        }
    }

    /// Takes the next line; says whether there may be another one.
    fn next(&mut self, reader: &mut Reader<'_>) -> Taken<bool> {
        reader.next()?;
        let broken = |rule| Err(reader.broken(rule));
        if reader.number > EXPORT_LINES_MAX {
            return broken(ImportRule::TooManyLines);
        }
        let bytes = match reader.whole() {
            Ok(bytes) => bytes,
            Err(rule) => return broken(rule),
        };
        let Ok(line) = serde_json::from_slice::<Line>(bytes) else { return broken(ImportRule::Malformed) };
        if text(&line)? != reader.line {
            return broken(ImportRule::NotCanonical);
        }
        let place = line.place();
        match self.before.map(|before| before.cmp(&place)) {
            Some(std::cmp::Ordering::Equal) => return broken(ImportRule::Repeated),
            Some(std::cmp::Ordering::Greater) => return broken(ImportRule::OutOfOrder),
            Some(std::cmp::Ordering::Less) | None => self.before = Some(place),
        }
        if let Line::End(end) = line {
            let told = digest(reader.hasher.clone());
            if end.lines != reader.number - 1 || end.digest != told {
                return broken(ImportRule::Damaged);
            }
            reader.next()?;
            return if reader.line.is_empty() { Ok(false) } else { Err(reader.broken(ImportRule::Trailing)) };
        }
        self.line(line).map_err(|error| match error {
            Wrong::Rule(rule) => reader.broken(rule),
            Wrong::Store(error) => error,
        })?;
        reader.hasher.update(&reader.line);
        Ok(true)
    }

    fn line(&mut self, line: Line) -> std::result::Result<(), Wrong> {
        let (tx, user) = (self.tx, self.user);
        match line {
            Line::Source(line) => {
                let id = u16::try_from(self.sources.len()).map(SourceId);
                let id = id.map_err(|_| ImportRule::Refused(Refusal::TooManySources))?;
                self.sources.insert(line.name, id);
                let read_by_device = line.read_by_device && self.device == Device::This;
                let row = SourceRow { user, id, name: line.name, read_by_device };
                self.named.push(tx, row)?;
            }
            Line::Cell(line) => {
                let (day, source) = (storable(line.day)?, self.source(&line.source)?);
                self.hold_day(source, day)?;
                let told = line.cell()?;
                let cell = match self.device {
                    Device::This => told,
                    Device::Other => told.of_other_device(),
                    Device::None => told.without_device(),
                };
                self.cells.push(tx, CellRow { user, day, source, cell })?;
            }
            Line::Attended(line) => {
                let row = AttendanceRow { user, day: storable(line.day)?, mark: line.mark()? };
                self.attended.push(tx, row)?;
            }
            Line::Baseline(line) => {
                if line.boot.is_empty() || line.boot.len() > BOOT_LEN_MAX {
                    return Err(Refusal::BadValue { field: "boot", rule: "1 to 64 bytes" }.into());
                }
                // Where a counter stood is let go: the steps since then were credited.
                self.source(&line.source)?;
            }
            Line::OwnCount(line) => {
                let (day, source, count) = (storable(line.day)?, self.source(&line.source)?, line.count);
                if count > STEPS_MAX {
                    return Err(Refusal::ImplausibleSteps.into());
                }
                if self.device == Device::This {
                    self.own_counts.push(tx, OwnCountRow { user, source, day, count })?;
                }
            }
            Line::Remark(line) => {
                let kind = line.check()?;
                let key = (storable(line.day)?, self.source(&line.source)?, kind);
                let remark = Remark { at_ms: line.at_ms, event: line.event };
                self.remarks.push(tx, RemarkRow::of(user, key, &remark))?;
            }
            Line::Change(line) => {
                let row = self.change(&line)?;
                self.changes.push(tx, row)?;
            }
            // The caller ends there.
            Line::End(_) => {}
        }
        Ok(())
    }

    fn source(&self, name: &Source) -> Kept<SourceId> {
        self.sources.get(name).copied().ok_or(ImportRule::UnknownSource)
    }

    /// Counts the days from the first to the last of each source: cells come by day, so that each adds the days
    /// since the one before.
    fn hold_day(&mut self, source: SourceId, day: Day) -> Kept<()> {
        let last = self.last_days.entry(source).or_insert(day.previous());
        self.days_held += i64::from(day.since(*last));
        *last = day;
        if self.days_held > DAYS_HELD_MAX { Err(ImportRule::TooWide) } else { Ok(()) }
    }

    fn change(&mut self, line: &ChangeLine) -> std::result::Result<ChangeRow, Wrong> {
        let wrong = |rule| Err(ImportRule::Inconsistent(rule).into());
        if !(1..=self.last_transaction).contains(&line.transaction) {
            return wrong("transaction: from 1 to that of the header");
        }
        let (transaction, at_ms) = self.change;
        let same = line.transaction == transaction;
        if line.at_ms < at_ms || line.at_ms > self.last_change_ms || (same && line.at_ms != at_ms) {
            return wrong("at_ms: one time a transaction, never back, at most that of the header");
        }
        self.change = (line.transaction, line.at_ms);
        let origin = Origin::of_text(&line.origin).filter(|origin| origin.to_text() == line.origin);
        let Some(origin) = origin.filter(|_| line.origin.len() <= ORIGIN_LEN_MAX) else {
            return wrong("origin: a known word, and at most 256 bytes");
        };
        let from = line.from.map(super::RegisterLine::register).transpose()?;
        let to = line.to.map(super::RegisterLine::register).transpose()?;
        if from == Some(Register::UNKNOWN)
            || to.is_some() != line.source.is_some()
            || (from.is_some() && to.is_none())
        {
            return wrong("from, to: registers of a source, null for attendance");
        }
        let source = line.source.map(|name| self.source(&name)).transpose()?;
        Ok(ChangeRow {
            user: self.user,
            seq: int(line.transaction),
            day: storable(line.day)?,
            source,
            at_ms: line.at_ms,
            origin,
            from,
            to: to.unwrap_or(Register::UNKNOWN),
        })
    }

    fn finish(mut self) -> Taken<(RowCounts, Exported)> {
        let tx = self.tx;
        self.named.flush(tx)?;
        self.cells.flush(tx)?;
        self.attended.flush(tx)?;
        self.own_counts.flush(tx)?;
        self.remarks.flush(tx)?;
        self.changes.flush(tx)?;
        let rows = RowCounts {
            cells: self.cells.put,
            attended: self.attended.put,
            sources: self.named.put,
            baselines: 0,
            own_counts: self.own_counts.put,
            remarks: self.remarks.put,
        };
        let count = |rows: usize| u64::try_from(rows).unwrap_or(u64::MAX);
        let lines = Exported {
            sources: count(rows.sources),
            cells: count(rows.cells),
            attended: count(rows.attended),
            own_counts: count(rows.own_counts),
            remarks: count(rows.remarks),
            changes: count(self.changes.put),
        };
        Ok((rows, lines))
    }
}

/// What is wrong with a line: the line itself, or the store that takes it.
enum Wrong {
    Rule(ImportRule),
    Store(ImportError),
}

impl From<ImportRule> for Wrong {
    fn from(rule: ImportRule) -> Wrong {
        Wrong::Rule(rule)
    }
}

impl From<Refusal> for Wrong {
    fn from(refusal: Refusal) -> Wrong {
        Wrong::Rule(ImportRule::Refused(refusal))
    }
}

impl From<ImportError> for Wrong {
    fn from(error: ImportError) -> Wrong {
        Wrong::Store(error)
    }
}

fn storable(day: Day) -> Kept<Day> {
    if day.is_storable() { Ok(day) } else { Err(ImportRule::Refused(Refusal::DayOutOfRange)) }
}
