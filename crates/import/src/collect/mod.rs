//! From records in any order to one reading a (person, source, day).

mod clock;
mod days;
mod names;
mod overlap;
mod people;
mod sorter;
mod summary;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;

use manbo::{Counts, Day, STEPS_MAX, Source, USER_LEN_MAX};

use crate::error::{ImportError, Result};
use crate::options::ImportOptions;
use crate::record::{How, Reason, Record, ReportKey, Stamp, When};
use crate::report::{Arrivals, FileReport, Import, Rejected, Rejects, Union};
use crate::time::{DAY_MS, MINUTE_MS};
use clock::{Clock, Line};
use days::{CellKey, Days};
use names::Names;
use sorter::{Item, Sorter};

/// The longest record that is taken, in days: a month's total can still be spread; more is no record.
pub const RECORD_DAYS_MAX: u32 = 31;
/// How many records may overlap without a gap: one a minute for 31 days is 44,640, ten times that is no
/// export. At 72 bytes each in the working tables, 32 MB.
pub const CLUSTER_MAX: usize = 450_000;
/// How many (person, source, day) one import may hold: twenty years of 16 sources of one person are
/// 116,880. At 480 bytes each in the working tables (measured), 96 MB.
pub const CELLS_MAX: usize = 200_000;
/// Names of people, of sources and of reports in one import: a study has hundreds. At 1,024 bytes each,
/// 10 MB.
const NAMES_MAX: usize = 10_000;
/// A source's name in an export; what is longer is cut.
const NAME_LEN_MAX: usize = 1_024;
/// Rejects named one by one; more are only counted, so that a wrong file does not fill the memory.
const LISTED_MAX: usize = 1_000;
/// Notes on one file; a reader says a handful.
const NOTES_MAX: usize = 100;

/// Late data is what arrives after more than a day.
const LATE_MS: i64 = DAY_MS;

/// What the records of one stream have in common: they are united with one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Series {
    person: u32,
    source: u32,
    report: u32,
    how: How,
    kind: LineKind,
}

/// Moments with and without an offset cannot be compared, so they are not united.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum LineKind {
    Wall,
    Printed,
    Zoned,
    /// What a device counted on this day since it was started.
    Uptime(i32),
}

/// Takes records from the readers.
pub(crate) struct Collector {
    options: ImportOptions,
    latest: i32,
    clock: Clock,
    people: Names,
    source_names: Names,
    /// The source of each source name, as an index into `sources`.
    source_of_name: Vec<u32>,
    sources: Vec<Source>,
    reports: Vec<ReportKey>,
    report_numbers: HashMap<ReportKey, u32>,
    series: Vec<Series>,
    series_numbers: HashMap<Series, u32>,
    last_series: Option<(Series, u32)>,
    /// When the current file says that it was exported.
    file_exported: Option<Stamp>,
    /// The latest export that holds something of a (person, source, report).
    exported: HashMap<(u32, u32, u32), Stamp>,
    /// Whether rows were left out that may belong to days that are taken.
    lossy: bool,
    sorter: Sorter,
    days: Days,
    files: Vec<FileReport>,
    rejects: Rejects,
    arrivals: Arrivals,
    rows: u64,
    blank: u64,
    other: u64,
    printed: Printed,
}

/// The printed offsets that were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Printed {
    None,
    One(i16),
    Several,
}

/// Where a record lies.
struct Span {
    line: Line,
    start: i64,
    len: u32,
    /// How many civil days it touches.
    days: u32,
}

/// Why a record is not taken.
enum Refused {
    Record(Reason),
    Import(ImportError),
}

impl From<Reason> for Refused {
    fn from(reason: Reason) -> Refused {
        Refused::Record(reason)
    }
}

impl From<ImportError> for Refused {
    fn from(error: ImportError) -> Refused {
        Refused::Import(error)
    }
}

impl Collector {
    pub(crate) fn new(options: ImportOptions) -> Collector {
        Collector {
            latest: options.today.next().min(Day::LAST).number(),
            clock: Clock::new(options.zone),
            options,
            people: Names::default(),
            source_names: Names::default(),
            source_of_name: Vec::new(),
            sources: Vec::new(),
            reports: Vec::new(),
            report_numbers: HashMap::new(),
            series: Vec::new(),
            series_numbers: HashMap::new(),
            last_series: None,
            file_exported: None,
            exported: HashMap::new(),
            lossy: false,
            sorter: Sorter::default(),
            days: Days::default(),
            files: Vec::new(),
            rejects: Rejects::default(),
            arrivals: Arrivals::default(),
            rows: 0,
            blank: 0,
            other: 0,
            printed: Printed::None,
        }
    }

    /// What the caller decided.
    pub(crate) fn options(&self) -> &ImportOptions {
        &self.options
    }

    /// A file begins. `format` is its name in the report.
    pub(crate) fn begin_file(&mut self, file: &str, format: &'static str) {
        self.file_exported = None;
        self.files.push(FileReport { file: file.to_owned(), format, rows: 0, notes: Vec::new() });
    }

    /// Says what was detected or chosen in the current file, as one sentence.
    pub(crate) fn note(&mut self, text: String) {
        if let Some(file) = self.files.last_mut()
            && file.notes.len() < NOTES_MAX
            && !file.notes.contains(&text)
        {
            file.notes.push(text);
        }
    }

    /// When the current file says that it was exported: of the sources in it, that day is not over.
    pub(crate) fn exported(&mut self, at: Stamp) {
        self.file_exported = Some(at);
    }

    /// A record of the current file, from the line on which it begins. What breaks a limit is rejected and
    /// listed. Fails only where the import as a whole must stop.
    pub(crate) fn take(&mut self, line: u64, record: &Record<'_>) -> Result<()> {
        let user = self.options.user.as_deref();
        if !record.person.is_empty() && user.is_some_and(|user| user != record.person) {
            self.other += 1;
            return Ok(());
        }
        match self.accept(record) {
            Ok(()) => self.count_row(),
            Err(Refused::Record(reason)) => self.reject(line, reason),
            Err(Refused::Import(error)) => return Err(error),
        }
        Ok(())
    }

    /// A row of the current file that cannot be read.
    pub(crate) fn reject(&mut self, line: u64, reason: Reason) {
        self.count_row();
        // What lies outside the ledger's days is missed on no day.
        self.lossy |= reason != Reason::DayOutOfRange;
        let file = self.files.last().map(|file| file.file.clone()).unwrap_or_default();
        self.rejects.add(file, line, reason);
    }

    /// A row of the current file without a count.
    pub(crate) fn blank(&mut self) {
        self.count_row();
        self.blank += 1;
    }

    /// A record of the current file that is not about steps.
    pub(crate) fn other(&mut self) {
        self.other += 1;
    }

    fn count_row(&mut self) {
        self.rows += 1;
        if let Some(file) = self.files.last_mut() {
            file.rows += 1;
        }
    }

    fn accept(&mut self, record: &Record<'_>) -> std::result::Result<(), Refused> {
        if record.person.len() > USER_LEN_MAX {
            return Err(Reason::BadShape.into());
        }
        // The days are checked before the steps, as the contract's order has it.
        let Span { line, start, len, days } = match record.when {
            When::Between(from, until) => self.span(from, until)?,
            When::Uptime { day, from_ms, until_ms } => {
                self.check_day(day)?;
                Span { line: Line::Uptime(day), start: from_ms, len: length(from_ms, until_ms)?, days: 1 }
            }
            When::Day(day) => {
                self.check_day(day)?;
                check_steps(record.steps, 1)?;
                let (person, source, report) = self.keys(record)?;
                let key = CellKey { person, source, report, day };
                return Ok(self.days.stated(key, record.how, record.steps)?);
            }
        };
        check_steps(record.steps, days)?;
        let (kind, offset) = match line {
            Line::Wall => (LineKind::Wall, 0),
            Line::Printed(offset) => (LineKind::Printed, offset),
            Line::Zoned => (LineKind::Zoned, 0),
            Line::Uptime(day) => (LineKind::Uptime(day), 0),
        };
        let (person, source, report) = self.keys(record)?;
        let series = self.series(Series { person, source, report, how: record.how, kind });
        if let LineKind::Printed = kind {
            self.printed = match self.printed {
                Printed::None => Printed::One(offset),
                Printed::One(known) if known == offset => Printed::One(known),
                Printed::One(_) | Printed::Several => Printed::Several,
            };
        }
        if let Some(arrived_ms) = record.arrived_ms {
            // The end as written: an instant is over when it begins.
            let end = if let When::Between(_, until) = record.when { until.line_ms() } else { start };
            self.arrivals.add(arrived_ms - end);
        }
        let item = Item { series, start, len, steps: record.steps, offset };
        Ok(self.sorter.push(item).map_err(temporary)?)
    }

    /// Where a record lies; checks its times.
    fn span(&mut self, from: Stamp, until: Stamp) -> std::result::Result<Span, Reason> {
        if from.offset.is_some() != until.offset.is_some() {
            return Err(Reason::MixedOffsets);
        }
        let (start, end) = (from.line_ms(), until.line_ms());
        let len = length(start, end)?;
        let line = self.clock.line(from.offset);
        let last = self.clock.stretch(line, start + i64::from(len) - 1).day;
        let first = self.clock.stretch(line, start).day;
        self.check_day(last)?;
        self.check_day(first)?;
        Ok(Span { line, start, len, days: first.abs_diff(last) + 1 })
    }

    fn check_day(&self, day: i32) -> std::result::Result<(), Reason> {
        if (Day::FIRST.number()..=self.latest).contains(&day) { Ok(()) } else { Err(Reason::DayOutOfRange) }
    }

    fn keys(&mut self, record: &Record<'_>) -> Result<(u32, u32, u32)> {
        // Files that name nobody are the person's that the caller asks for.
        let user = self.options.user.as_deref().filter(|_| record.person.is_empty());
        let person = self.people.number(user.unwrap_or(record.person));
        let source = self.source(record.source);
        let report = if let Some(known) = self.report_numbers.get(&record.report) {
            *known
        } else {
            let number = u32::try_from(self.reports.len()).unwrap_or(u32::MAX);
            self.report_numbers.insert(record.report, number);
            self.reports.push(record.report);
            number
        };
        for (what, len) in [
            ("people", self.people.len()),
            ("sources", self.source_names.len()),
            ("reports", self.reports.len()),
        ] {
            if len > NAMES_MAX {
                return Err(ImportError::Records(format!(
                    "the files name more than {NAMES_MAX} {what}; is the right column taken for it?"
                )));
            }
        }
        self.note_exported((person, source, report));
        Ok((person, source, report))
    }

    fn note_exported(&mut self, whose: (u32, u32, u32)) {
        let Some(at) = self.file_exported else { return };
        let known = self.exported.entry(whose).or_insert(at);
        if known.line_ms() < at.line_ms() {
            *known = at;
        }
    }

    /// The number of the source under a name of the export.
    fn source(&mut self, name: &str) -> u32 {
        let cut = (0..=NAME_LEN_MAX.min(name.len())).rev().find(|at| name.is_char_boundary(*at));
        let name_number = self.source_names.number(&name[..cut.unwrap_or(0)]) as usize;
        if let Some(source) = self.source_of_name.get(name_number) {
            return *source;
        }
        let source = names::source_of(name);
        // Apple writes `Apple Watch` with a blank that nobody can type.
        let alike = self
            .options
            .sources
            .iter()
            .find(|(known, _)| source.is_some() && names::source_of(known) == source);
        let mapped = self.options.sources.get(name).or(alike.map(|(_, mapped)| mapped));
        let source = mapped.copied().or(source).unwrap_or(self.options.source);
        let number = self.sources.iter().position(|known| *known == source).unwrap_or_else(|| {
            self.sources.push(source);
            self.sources.len() - 1
        });
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        self.source_of_name.push(number);
        number
    }

    fn series(&mut self, series: Series) -> u32 {
        if let Some((last, number)) = self.last_series
            && last == series
        {
            return number;
        }
        let number = *self.series_numbers.entry(series).or_insert_with(|| {
            self.series.push(series);
            u32::try_from(self.series.len() - 1).unwrap_or(u32::MAX)
        });
        self.last_series = Some((series, number));
        number
    }

    /// Unites, splits and adds up everything that was taken.
    pub(crate) fn finish(mut self) -> Result<Import> {
        let sorter = std::mem::take(&mut self.sorter);
        let mut uniting = Uniting {
            clock: &mut self.clock,
            series: &self.series,
            days: &mut self.days,
            cluster: Vec::new(),
            cluster_end: i64::MIN,
            union: Union::default(),
            splits: 0,
        };
        sorter.drain(|item| uniting.take(item)).map_err(|stop| stop.0)?;
        uniting.flush()?;
        let (union, splits) = (uniting.union, uniting.splits);
        summary::import(self, union, splits)
    }
}

fn temporary(cause: io::Error) -> ImportError {
    ImportError::Io { file: "a temporary file of the import".to_owned(), cause }
}

/// An error on the way out of the sorter.
struct Stop(ImportError);

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop(temporary(error))
    }
}

impl From<ImportError> for Stop {
    fn from(error: ImportError) -> Stop {
        Stop(error)
    }
}

/// Takes sorted records, unites those that overlap, and gives their steps to days.
struct Uniting<'a> {
    clock: &'a mut Clock,
    series: &'a [Series],
    days: &'a mut Days,
    cluster: Vec<Item>,
    cluster_end: i64,
    union: Union,
    splits: u64,
}

impl Uniting<'_> {
    fn take(&mut self, item: Item) -> std::result::Result<(), Stop> {
        if let Some(last) = self.cluster.last() {
            if (last.series, last.start, last.len, last.steps)
                == (item.series, item.start, item.len, item.steps)
            {
                self.union.duplicates += 1;
                self.union.steps_spared += u64::from(item.steps);
                return Ok(());
            }
            if last.series != item.series || item.start >= self.cluster_end {
                self.flush()?;
            }
        }
        if self.cluster.len() == CLUSTER_MAX {
            return Err(Stop(ImportError::Records(format!(
                "more than {CLUSTER_MAX} records of one source overlap without a gap; no device counts like that"
            ))));
        }
        self.cluster_end = self.cluster_end.max(item.end());
        self.cluster.push(item);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let mut cluster = std::mem::take(&mut self.cluster);
        self.cluster_end = i64::MIN;
        if cluster.len() > 1 {
            self.union.overlaps += cluster.len() as u64;
        }
        let mut result = Ok(());
        overlap::unite(&cluster, |item, adds, pieces| {
            self.union.steps_spared += u64::from(item.steps - adds);
            if result.is_ok() {
                result = self.spread(item, adds, pieces);
            }
        });
        cluster.clear();
        self.cluster = cluster;
        result
    }

    /// Gives what a record adds to the days of its pieces.
    fn spread(&mut self, item: &Item, adds: u32, pieces: &[overlap::Piece]) -> Result<()> {
        let series = self.series[item.series as usize];
        let line = match series.kind {
            LineKind::Wall => Line::Wall,
            LineKind::Printed => Line::Printed(item.offset),
            LineKind::Zoned => Line::Zoned,
            LineKind::Uptime(day) => Line::Uptime(day),
        };
        if self.clock.stretch(line, item.start).day != self.clock.stretch(line, item.end() - 1).day {
            self.splits += 1;
        }
        let long = i64::from(item.len) > DAY_MS;
        let mut share = overlap::Share::new(adds, pieces);
        let all = [(item.start, item.end())];
        // A record of 0 steps says 0 for all its time, whoever else covers it.
        let pieces = if item.steps == 0 { &all[..] } else { pieces };
        for (from, until) in pieces {
            let mut at = *from;
            while at < *until {
                let stretch = self.clock.stretch(line, at);
                let end = stretch.end_ms.min(*until);
                let part = share.take(end - at);
                at = end;
                // A piece that rounds to nothing says nothing of its day.
                if part > 0 || item.steps == 0 {
                    let key = CellKey {
                        person: series.person,
                        source: series.source,
                        report: series.report,
                        day: stretch.day,
                    };
                    self.days.walked(
                        key,
                        series.kind,
                        series.how,
                        days::Part { steps: part, offset: item.offset, long },
                    )?;
                }
            }
        }
        Ok(())
    }
}

impl Rejects {
    fn add(&mut self, file: String, line: u64, reason: Reason) {
        self.total += 1;
        *self.by_reason.entry(reason).or_default() += 1;
        if self.listed.len() < LISTED_MAX {
            self.listed.push(Rejected { file, line, reason });
        }
    }
}

impl Arrivals {
    fn add(&mut self, delay_ms: i64) {
        self.known += 1;
        if delay_ms < 0 {
            self.early += 1;
            return;
        }
        self.late += u64::from(delay_ms > LATE_MS);
        self.delay_minutes_max =
            self.delay_minutes_max.max(delay_ms.unsigned_abs() / MINUTE_MS.unsigned_abs());
    }
}

/// How long a record lasts, in milliseconds.
fn length(start: i64, end: i64) -> std::result::Result<u32, Reason> {
    if end < start {
        return Err(Reason::EndBeforeStart);
    }
    // An instant lasts the millisecond that is the finest part of a time here.
    let len = (end - start).max(1);
    if len > i64::from(RECORD_DAYS_MAX) * DAY_MS {
        return Err(Reason::TooLong);
    }
    // At most 31 days: 2,678,400,000 fits.
    Ok(u32::try_from(len).unwrap_or(u32::MAX))
}

/// Refuses a record that says more than so many days can have.
fn check_steps(steps: u32, days: u32) -> std::result::Result<(), Reason> {
    if steps > STEPS_MAX.saturating_mul(days) { Err(Reason::ImplausibleSteps) } else { Ok(()) }
}

/// Counts of a day, if both parts together can be a day's.
fn counts(measured: u64, typed: u64) -> Option<Counts> {
    let sum = measured.checked_add(typed)?;
    if sum > u64::from(STEPS_MAX) {
        return None;
    }
    Some(Counts::new(u32::try_from(measured).ok()?, u32::try_from(typed).ok()?))
}
