//! A user's whole ledger as lines of JSON, out and in again: to move it, to keep it, to hand it to its owner.
//!
//! What is exported is what the rules know: sources by name, cells and attendance with what is pending and what
//! was refused, remarks, history. Left out is what belongs to one file: source numbers, the state of delivery,
//! which changes a device has heard of. So two stores that know the same give the same bytes.
//!
//! What only one phone knows of a cell (whether it was read there, whether it waits to be read again, what its
//! counters gave to the day) is exported where the host says which phone that is
//! ([`Options::install_id`](crate::Options::install_id)), and taken back on that phone alone: elsewhere a full
//! reading could lower what was never read there, and every register comes as if it had been received. A store that
//! does not know its phone exports nothing of the kind. Where counters stood is never exported: a file is from the
//! past, and the steps since then were credited.

mod intake;
mod line;

use std::io::{BufRead, Write};

use rusqlite::Connection;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::change::{self, ChangeRow};
use super::era::EraRow;
use super::locked::Ended;
use super::{Loaded, Store, check_user, delivery, meta, transaction};
use crate::domain::code::{Code, Refusal};
use crate::domain::column::SourceEntry;
use crate::domain::day::{Day, Now};
use crate::domain::dirty::RowCounts;
use crate::domain::ledger::Ledger;
use crate::domain::register::Register;
use crate::domain::steps::Source;
use crate::error::{Error, Result};
use line::{
    AttendedLine, CellLine, ChangeLine, EndLine, Header, Installation, Line, OwnCountLine, RegisterLine,
    RemarkLine, SourceLine,
};

/// The version of the files that this library writes; it reads this one and every released one before.
pub const EXPORT_VERSION: u64 = 1;
/// The longest line of an export in bytes: an origin of 256 bytes, each of which takes six once it is escaped
/// (1,536), and at most 400 for the names, numbers and braces around it; rounded up.
pub const EXPORT_LINE_MAX: usize = 2_048;
/// The most lines of an export: 16 sources on each of the 36,525 days of a century are 584,400 cells, and
/// 415,600 are left for attendance, counters, remarks and history.
pub const EXPORT_LINES_MAX: u64 = 1_000_000;

/// How many lines of each kind an export has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Exported {
    /// Sources.
    pub sources: u64,
    /// Cells: registers, with what the device knows about them.
    pub cells: u64,
    /// Attended days.
    pub attended: u64,
    /// Days to which this device's counters gave steps; none where the host did not say which device it is.
    pub own_counts: u64,
    /// Remarks.
    pub remarks: u64,
    /// Changes of the history.
    pub changes: u64,
}

/// What an import brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// How many lines of each kind were taken.
    pub lines: Exported,
    /// The generation of the ledger since: the file's, or the store's own where that is higher.
    pub generation: u32,
    /// Whether the file was written on another device, or by a store that did not know on which: then what only
    /// that device knew was not taken.
    pub from_other_device: bool,
}

/// Why an export was not imported. Nothing was stored. It tells the line and the rule, never what the line said.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A line breaks a rule.
    #[error("line {line}: {rule}")]
    Line {
        /// From 1.
        line: u64,
        /// The rule.
        rule: ImportRule,
    },
    /// The file was written by a newer version of this library.
    #[error("the export has version {found}, this library knows {EXPORT_VERSION}: update it")]
    Newer {
        /// The version of the file.
        found: u64,
    },
    /// The user has a ledger already: an import would mix two.
    #[error("the ledger is not empty: erase it first, or import for another user")]
    NotEmpty,
    /// The store, or the reader of the file, failed.
    #[error(transparent)]
    Store(#[from] Error),
}

/// The rules of an export's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportRule {
    /// The first line is no header of an export.
    #[error("not the first line of an export")]
    NotAnExport,
    /// Not JSON, not a line of an export, or a member that does not fit its type.
    #[error("not a line of an export")]
    Malformed,
    /// The same value in another form: spaces, another order of members.
    #[error("not in the canonical form")]
    NotCanonical,
    /// A line above [`EXPORT_LINE_MAX`].
    #[error("a line has at most 2048 bytes")]
    TooLong,
    /// More lines than [`EXPORT_LINES_MAX`].
    #[error("an export has at most 1000000 lines")]
    TooManyLines,
    /// Cells that are further apart than memory can hold.
    #[error("the days from the first to the last of every source are at most 1168784 together")]
    TooWide,
    /// The line has the key of the one before it.
    #[error("the line repeats the one before it")]
    Repeated,
    /// The line belongs before the one before it.
    #[error("the lines are out of order")]
    OutOfOrder,
    /// A source that no line named.
    #[error("the source is not among the sources of the export")]
    UnknownSource,
    /// A value that the rules of the ledger refuse.
    #[error("{0}")]
    Refused(Refusal),
    /// A generation, revision, transaction or time that does not fit the others.
    #[error("{0}")]
    Inconsistent(&'static str),
    /// The file ends before its last line.
    #[error("the export is cut off here")]
    Cut,
    /// The digest or the number of lines disagrees.
    #[error("the export was changed: its digest disagrees")]
    Damaged,
    /// Something follows the last line.
    #[error("something follows the last line")]
    Trailing,
}

impl ImportError {
    /// The stable code, the same in every language.
    pub const fn code(&self) -> Code {
        match self {
            ImportError::Line { rule: ImportRule::Refused(refusal), .. } => refusal.code(),
            ImportError::Line { .. } | ImportError::NotEmpty | ImportError::Newer { .. } => Code::BadValue,
            ImportError::Store(error) => error.code(),
        }
    }
}

impl Store {
    /// Writes everything of a user as lines of JSON, from one snapshot: a header, the ledger, its history, and
    /// a last line by which a cut or changed file is noticed. Nothing in it names the user. The snapshot stays open
    /// until the last line is taken.
    ///
    /// The same facts give the same bytes. With [`Options::install_id`](crate::Options::install_id), what only this
    /// device knows is among them, and a salted hash of that id tells on which device it may be taken back.
    ///
    /// ```
    /// use manbo::{Now, Options, Reading, Source, StepBook, Store};
    /// # let dir = tempfile::tempdir().unwrap();
    /// let path = dir.path().join("steps.db");
    /// let now = Now::on("2022-10-04".parse()?);
    /// StepBook::open(&path, &Options::new())?.record(&Reading::new(now.today, Source::new("watch")?, 8_500), now)?;
    /// let mut file = Vec::new();
    /// let told = Store::open(&path, &Options::new())?.export("", &mut file)?;
    /// assert_eq!((told.sources, told.cells), (1, 1));
    ///
    /// let mut other = Store::open(dir.path().join("other.db"), &Options::new())?;
    /// assert_eq!(other.import("ana", &mut &file[..], now)?.lines, told);
    /// let mut again = Vec::new();
    /// other.export("ana", &mut again)?;
    /// assert_eq!(again, file);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of the storage, and `storage_full` or `storage_locked` where `out` fails.
    pub fn export(&mut self, user: &str, out: &mut dyn Write) -> Result<Exported> {
        // What is damaged is set aside first.
        self.past(user)?;
        let mut begun = false;
        self.recovering(|store| {
            if begun {
                return Err(Error::Internal("the file was mended while it was exported: begin again".into()));
            }
            let keeping = store.options.keeping();
            transaction::read(store.connected()?, |snapshot| {
                let (loaded, bad) = Loaded::load(snapshot, user, keeping)?;
                if !bad.is_empty() {
                    return Err(Error::Corrupt("rows are damaged and cannot be set aside".into()));
                }
                // Before the first line is out: what is damaged can be mended only until then.
                check_changes(snapshot, &loaded)?;
                begun = true;
                export(snapshot, user, &loaded, out)
            })
        })
    }

    /// Reads an export into the empty ledger of a user, in one transaction, and checks every value. On a
    /// server every device is told everything afterwards. The write lock is held while `input` is read: give it
    /// bytes that are here, not ones that are still to come.
    ///
    /// Facts, corrections, offsets, remarks, history, and what the server does not know yet or refused, come along
    /// from anywhere. What only the exporting device knew comes along only where both stores were opened with the
    /// same [`Options::install_id`](crate::Options::install_id). Where counters stood does not come along: they go
    /// on where this device's own users left them, or else their first reading credits nothing.
    ///
    /// The generation is never lowered. On a server the revision is at least the file's last transaction.
    ///
    /// # Errors
    /// An [`ImportError`]; then nothing was stored.
    pub fn import(
        &mut self,
        user: &str,
        input: &mut dyn BufRead,
        now: Now,
    ) -> std::result::Result<Imported, ImportError> {
        check_user(user)?;
        // A damaged file is mended first: the input can be read only once.
        self.load(user)?;
        self.settle_recovered(user)?;
        let imported = self.locked(&mut |tx, store| {
            let keeping = store.options.keeping();
            let (loaded, noted) = Loaded::load_for_write(tx, user, keeping)?;
            let changes = loaded.era.as_ref().map_or(0, |era| era.changes);
            let taken = if loaded.ledger.row_counts() == RowCounts::default() && changes == 0 {
                intake::take(tx, user, &loaded, keeping, input, now)
            } else {
                Err(ImportError::NotEmpty)
            };
            let keep = taken.is_ok();
            Ok(Ended { result: Ok(taken), keep, noted: if keep { noted } else { Vec::new() } })
        });
        self.let_go_if_stuck();
        imported?
    }
}

/// The changes of a user must be those that were counted, and each of a source that has a name.
fn check_changes(snapshot: &Connection, loaded: &Loaded) -> Result<()> {
    let (Some(user), Some(era)) = (loaded.user(), &loaded.era) else { return Ok(()) };
    let (mut found, mut named) = (0, true);
    let sound = change::each(snapshot, user, |row| {
        found += 1;
        named &= row.source.is_none_or(|id| loaded.ledger.source_name(id).is_some());
        Ok(())
    })?;
    if sound && named && found == era.changes {
        return Ok(());
    }
    Err(Error::Corrupt("changes of the history have vanished or are damaged".into()))
}

fn header(ledger: &Ledger, era: Option<&EraRow>, named: u32, installation: Option<Installation>) -> Header {
    let kept = era.filter(|era| era.is_whole());
    Header {
        manbo_export: EXPORT_VERSION,
        generation: era.map_or(0, |era| era.generation).max(named),
        revision: ledger.revision,
        transaction: era.and_then(|era| u64::try_from(era.seq).ok()).unwrap_or(0),
        history_kept: kept.is_some(),
        history_from_ms: kept.and_then(|era| era.history_from_ms),
        last_change_ms: era.map(|era| era.last_ms).filter(|ms| *ms != i64::MIN),
        installation,
    }
}

/// The generation in which a server named the ledger to this device.
fn named_generation(connection: &Connection, user: &str) -> Result<u32> {
    Ok(delivery::load(connection, user)?.identity().map_or(0, |identity| identity.generation))
}

fn export(snapshot: &Connection, user: &str, loaded: &Loaded, out: &mut dyn Write) -> Result<Exported> {
    let ledger = &loaded.ledger;
    let mut file = Lines { out, hasher: Sha256::new(), written: 0 };
    let installation = meta::get(snapshot, meta::INSTALL_ID)?;
    let installation = installation.map(|id| Installation::of(ledger.digest().to_string(), &id));
    let knows_device = installation.is_some();
    file.put(&header(ledger, loaded.era.as_ref(), named_generation(snapshot, user)?, installation))?;
    let mut told = Exported::default();
    let read = |entry: &SourceEntry| entry.read_by_device && knows_device;
    let mut sources: Vec<_> = ledger.sources.iter().map(|entry| (entry.name, read(entry))).collect();
    sources.sort_unstable();
    for (name, read_by_device) in sources {
        told.sources += 1;
        file.put(&Line::Source(SourceLine { name, read_by_device }))?;
    }
    export_facts(ledger, knows_device, &mut file, &mut told)?;
    if knows_device {
        export_own_counts(ledger, &mut file, &mut told)?;
    }
    let mut remarks: Vec<_> = ledger
        .remarks
        .iter()
        .filter_map(|((day, id, kind), remark)| Some(((*day, ledger.source_name(*id)?, *kind), remark)))
        .collect();
    remarks.sort_unstable_by_key(|(key, _)| *key);
    for ((day, source, _), remark) in remarks {
        told.remarks += 1;
        let event = remark.event.clone();
        file.put(&Line::Remark(RemarkLine { day, source, at_ms: remark.at_ms, event }))?;
    }
    if let Some(user) = loaded.user().filter(|_| loaded.era.is_some()) {
        told.changes = export_changes(snapshot, user, ledger, &mut file)?;
    }
    file.end()?;
    Ok(told)
}

fn export_facts(
    ledger: &Ledger,
    knows_device: bool,
    file: &mut Lines<'_>,
    told: &mut Exported,
) -> Result<()> {
    let mut cells: Vec<_> =
        ledger.each_cell().filter_map(|(id, day, cell)| Some((day, ledger.source_name(id)?, cell))).collect();
    cells.sort_unstable_by_key(|(day, source, _)| (*day, *source));
    for (day, source, cell) in cells {
        told.cells += 1;
        let cell = if knows_device { *cell } else { cell.without_device() };
        file.put(&Line::Cell(CellLine::of(day, source, &cell)))?;
    }
    for (day, mark) in &ledger.attendance {
        told.attended += 1;
        file.put(&Line::Attended(AttendedLine::of(*day, *mark)))?;
    }
    Ok(())
}

fn export_own_counts(ledger: &Ledger, file: &mut Lines<'_>, told: &mut Exported) -> Result<()> {
    let counts = ledger.own_counts.iter();
    let mut counts: Vec<_> =
        counts.filter_map(|((id, day), n)| Some((*day, ledger.source_name(*id)?, *n))).collect();
    counts.sort_unstable();
    for (day, source, count) in counts {
        told.own_counts += 1;
        file.put(&Line::OwnCount(OwnCountLine { day, source, count }))?;
    }
    Ok(())
}

/// The changes as they happened; those of one day in one transaction, which lie by source number, by name.
fn export_changes(snapshot: &Connection, user: i64, ledger: &Ledger, file: &mut Lines<'_>) -> Result<u64> {
    let mut told = 0;
    let mut together: Vec<(Option<Source>, ChangeRow)> = Vec::new();
    let place = |row: &ChangeRow| -> (i64, Day) { (row.seq, row.day) };
    change::each(snapshot, user, |row| {
        if together.last().is_some_and(|(_, last)| place(last) != place(&row)) {
            told += put_changes(&mut together, file)?;
        }
        together.push((row.source.and_then(|id| ledger.source_name(id)), row));
        Ok(())
    })?;
    told += put_changes(&mut together, file)?;
    Ok(told)
}

fn put_changes(together: &mut Vec<(Option<Source>, ChangeRow)>, file: &mut Lines<'_>) -> Result<u64> {
    together.sort_unstable_by_key(|(source, _)| *source);
    let mut told = 0;
    for (source, row) in together.drain(..) {
        told += 1;
        let register =
            |register: Option<Register>| register.map(RegisterLine::of).filter(|_| source.is_some());
        file.put(&Line::Change(ChangeLine {
            transaction: u64::try_from(row.seq).unwrap_or(0),
            day: row.day,
            source,
            at_ms: row.at_ms,
            origin: row.origin.to_text().into_owned(),
            from: register(row.from),
            to: register(Some(row.to)),
        }))?;
    }
    Ok(told)
}

/// An export under way: counts its lines and digests its bytes.
struct Lines<'o> {
    out: &'o mut dyn Write,
    hasher: Sha256,
    written: u64,
}

impl Lines<'_> {
    fn put(&mut self, line: &impl Serialize) -> Result<()> {
        let text = text(line)?;
        self.hasher.update(&text);
        self.written += 1;
        self.write(&text)
    }

    fn end(mut self) -> Result<()> {
        let digest = digest(std::mem::take(&mut self.hasher));
        let text = text(&Line::End(EndLine { lines: self.written, digest }))?;
        self.write(&text)?;
        self.out.flush().map_err(|error| Error::of_io(&error))
    }

    fn write(&mut self, text: &[u8]) -> Result<()> {
        self.out.write_all(text).map_err(|error| Error::of_io(&error))
    }
}

/// A line in the one form that it has, with its end.
fn text(line: &impl Serialize) -> Result<Vec<u8>> {
    // No line has a part that JSON cannot write.
    let mut text = serde_json::to_vec(line).map_err(|error| Error::Internal(error.into()))?;
    text.push(b'\n');
    Ok(text)
}

/// As [`wire::digest`](crate::wire::digest) of all the bytes.
fn digest(hasher: Sha256) -> String {
    hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_an_export_is_that_of_a_message() {
        for message in [&b""[..], b"{\"manbo_export\":1}\n"] {
            assert_eq!(digest(Sha256::new_with_prefix(message)), crate::wire::digest(message));
        }
    }

    #[test]
    fn the_longest_line_fits() {
        let origin = "\u{1}".repeat(crate::domain::history::ORIGIN_LEN_MAX);
        let register = RegisterLine::of(Register {
            epoch: u16::MAX,
            counts: Some(crate::Counts::new(crate::STEPS_MAX, crate::STEPS_MAX)),
        });
        let line = Line::Change(ChangeLine {
            transaction: u64::MAX,
            day: Day::LAST,
            source: Source::new(&"z".repeat(crate::SOURCE_LEN_MAX)).ok(),
            at_ms: i64::MIN,
            origin,
            from: Some(register),
            to: Some(register),
        });
        let len = text(&line).unwrap().len();
        assert!((1_537 + 200..EXPORT_LINE_MAX).contains(&len), "{len}");
    }
}
