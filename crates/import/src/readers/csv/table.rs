//! Rows of a table become records.

use std::borrow::Cow;

use crate::collect::Collector;
use crate::error::{ImportError, Result};
use crate::options::{CsvOptions, DateOrder};
use crate::record::{How, Reason, Record, ReportKey, Stamp, When};
use crate::time::{self, DAY_MS, Moment, Unit};

use super::presets::NO_DATA;
use super::rows::Row;
use super::shape::{Columns, Narrow, Shape, Wide};

/// Days since 1970 as Unix milliseconds have at least so many digits from September 2001 on.
const EPOCH_DIGITS: usize = 13;

/// Why a row gives no record.
pub(super) enum Fault {
    /// The row is left out.
    Row(Reason),
    /// The import stops.
    Import(ImportError),
}

impl From<Reason> for Fault {
    fn from(reason: Reason) -> Fault {
        Fault::Row(reason)
    }
}

impl From<ImportError> for Fault {
    fn from(error: ImportError) -> Fault {
        Fault::Import(error)
    }
}

type Cell<T> = std::result::Result<T, Fault>;

/// Turns the rows of one table into records.
pub(super) struct Table {
    columns: Columns,
    times: Times,
}

impl Table {
    /// A table of these columns. `day` is that of times without a date, where something tells it.
    pub(super) fn new(file: &str, columns: Columns, options: &CsvOptions, day: Option<i32>) -> Table {
        let times = Times { file: file.to_owned(), order: options.dates, day, any: false, of_day: false };
        Table { columns, times }
    }

    /// Hands the records of a row to the collector.
    ///
    /// # Errors
    /// [`ImportError::Option`] where the first time shows that an option is missing; else what the
    /// collector says.
    pub(super) fn row(&mut self, row: &Row<'_>, collector: &mut Collector) -> Result<()> {
        match self.records(row, collector) {
            Ok(()) => Ok(()),
            Err(Fault::Row(reason)) => {
                collector.reject(row.line, reason);
                Ok(())
            }
            Err(Fault::Import(error)) => Err(error),
        }
    }

    /// What became clear on the way.
    pub(super) fn finish(&self, collector: &mut Collector) {
        if self.times.of_day {
            collector.note(
                "its times have no date: the day is that of the file's name or of the option".to_owned(),
            );
        }
    }

    fn records(&mut self, row: &Row<'_>, collector: &mut Collector) -> Cell<()> {
        if row.len() < self.columns.fields {
            return short(row, collector);
        }
        if let Some(kind) = self.columns.kind
            && !is_steps(row.trimmed(kind))
        {
            if !row.is_blank() {
                collector.other();
            }
            return Ok(());
        }
        match &self.columns.shape {
            Shape::Narrow(narrow) => one(row, &self.columns, *narrow, &mut self.times, collector),
            Shape::Wide(wide) => many(row, &self.columns, wide, &mut self.times, collector),
        }
    }
}

/// A row that is one record, or two where typed-in steps stand beside the measured ones.
fn one(
    row: &Row<'_>,
    columns: &Columns,
    narrow: Narrow,
    times: &mut Times,
    collector: &mut Collector,
) -> Cell<()> {
    let measured = cell(row, columns.steps)?;
    let typed = cell(row, columns.manual)?.filter(|&typed| typed > 0 || measured.is_none());
    if measured.is_none() && typed.is_none() {
        blank(row, collector);
        return Ok(());
    }
    let when = times.when(row, narrow)?;
    let person = name(row, columns.person, &times.file)?;
    let source = source(row, columns, &times.file)?;
    let record = Record {
        person,
        source: &source,
        report: report(row, columns, times.order)?,
        when,
        arrived_ms: arrived(row, columns, times.order, when),
        how: How::Measured,
        steps: 0,
    };
    if let Some(steps) = measured {
        collector.take(row.line, &Record { steps, ..record })?;
    }
    if let Some(steps) = typed {
        collector.take(row.line, &Record { steps, how: How::Typed, ..record })?;
    }
    Ok(())
}

/// A day in hours, or an hour in minutes. A bad cell leaves the others as they are.
fn many(
    row: &Row<'_>,
    columns: &Columns,
    wide: &Wide,
    times: &mut Times,
    collector: &mut Collector,
) -> Cell<()> {
    if wide.cells.iter().chain(&columns.steps).all(|&cell| row.trimmed(cell).is_empty()) {
        blank(row, collector);
        return Ok(());
    }
    let at = row.trimmed(wide.at);
    let first = if wide.is_day { midnight(times.day(at)?) } else { times.moment(at)?.stamp };
    let person = name(row, columns.person, &times.file)?;
    let source = source(row, columns, &times.file)?;
    let report = report(row, columns, times.order)?;
    let mut take = |column, when| -> Cell<()> {
        match cell(row, Some(column)) {
            Ok(None) => Ok(()),
            Ok(Some(steps)) => {
                let arrived_ms = arrived(row, columns, times.order, when);
                let (source, how) = (&source, How::Measured);
                let record = Record { person, source, report, when, arrived_ms, how, steps };
                Ok(collector.take(row.line, &record)?)
            }
            Err(Fault::Row(reason)) => {
                collector.reject(row.line, reason);
                Ok(())
            }
            Err(fault) => Err(fault),
        }
    };
    if let Some(total) = columns.steps {
        take(total, When::Day(day_of(first.wall_ms)?))?;
    }
    let mut after_ms = 0;
    for &column in &wide.cells {
        take(column, between(first, after_ms, wide.cell_ms))?;
        after_ms += wide.cell_ms;
    }
    Ok(())
}

fn source<'a>(row: &Row<'a>, columns: &Columns, file: &str) -> Cell<Cow<'a, str>> {
    let source = name(row, columns.source, file)?;
    Ok(match &columns.devices {
        Some(devices) => Cow::Owned(devices.source(row, source)),
        None => Cow::Borrowed(source),
    })
}

fn report(row: &Row<'_>, columns: &Columns, order: Option<DateOrder>) -> Cell<ReportKey> {
    let mut key = ReportKey::default();
    if let Some(column) = columns.report {
        let text = row.trimmed(column);
        key.number = if text.is_empty() { None } else { Some(time::digits(text).ok_or(Reason::BadCount)?) };
    }
    if let Some(column) = columns.reported_at {
        let text = row.trimmed(column);
        if !text.is_empty() {
            let stamp = time::parse(text, order).ok_or(Reason::BadTime)?.stamp;
            key.made = Some((stamp.line_ms(), stamp.offset.ok_or(Reason::BadTime)?));
        }
    }
    Ok(key)
}

/// When the record was stored. Only a remark: what cannot be read or compared is not known, as of a day,
/// whose end depends on the zone.
fn arrived(row: &Row<'_>, columns: &Columns, order: Option<DateOrder>, when: When) -> Option<i64> {
    let When::Between(_, end) = when else { return None };
    let stamp = time::parse(row.trimmed(columns.arrived?), order)?.stamp;
    (stamp.offset.is_some() == end.offset.is_some()).then(|| stamp.line_ms())
}

/// The times of one file.
struct Times {
    file: String,
    order: Option<DateOrder>,
    /// The day of times that have none.
    day: Option<i32>,
    /// Whether any time was read: from then on one that cannot be is just a bad row.
    any: bool,
    /// Whether times without a date were read.
    of_day: bool,
}

impl Times {
    fn when(&mut self, row: &Row<'_>, narrow: Narrow) -> Cell<When> {
        match narrow {
            Narrow::Day { day } => Ok(When::Day(self.day(row.trimmed(day))?)),
            Narrow::Slot { at, slot } => {
                let moment = self.moment(row.trimmed(at))?;
                Ok(between(moment.stamp, 0, slot.length_ms(moment)))
            }
            Narrow::Interval { start, end } => {
                let start = self.moment(row.trimmed(start))?.stamp;
                let mut end = self.moment(row.trimmed(end))?.stamp;
                // The last quarter of an hour of a day of Google Fit ends at 00:00.
                if self.of_day && end.wall_ms < start.wall_ms && end.wall_ms % DAY_MS == 0 {
                    end.wall_ms += DAY_MS;
                }
                Ok(When::Between(start, end))
            }
        }
    }

    fn moment(&mut self, text: &[u8]) -> Cell<Moment> {
        match time::parse(text, self.order) {
            Some(moment) => {
                self.any = true;
                Ok(moment)
            }
            None => self.time_of_day(text),
        }
    }

    fn time_of_day(&mut self, text: &[u8]) -> Cell<Moment> {
        let Some((ms, offset)) = time::time_of_day(text) else { return Err(self.unread(text)) };
        if let Some(day) = self.day {
            self.any = true;
            self.of_day = true;
            let stamp = Stamp { wall_ms: midnight(day).wall_ms + ms, offset };
            return Ok(Moment { stamp, unit: Unit::Minute });
        }
        if self.any {
            return Err(Reason::BadTime.into());
        }
        let text = format!("{}: its times have no date; --day YYYY-MM-DD gives it", self.file);
        Err(ImportError::Option(text).into())
    }

    /// A day as a date, as the midnight of one, or as the Unix milliseconds of its midnight in UTC.
    fn day(&mut self, text: &[u8]) -> Cell<i32> {
        let wall_ms = match time::parse(text, self.order) {
            Some(moment) => moment.stamp.wall_ms,
            None if text.len() >= EPOCH_DIGITS => {
                time::digits(text).and_then(|ms| i64::try_from(ms).ok()).ok_or_else(|| self.unread(text))?
            }
            None => return Err(self.unread(text)),
        };
        self.any = true;
        if wall_ms % DAY_MS == 0 { day_of(wall_ms) } else { Err(Reason::BadTime.into()) }
    }

    /// The fault of a time that is in no form that is read. Where the first one of a file is a date in
    /// an order that nobody told, all the others would be refused too.
    fn unread(&self, text: &[u8]) -> Fault {
        let ordered =
            || [DateOrder::Mdy, DateOrder::Dmy, DateOrder::Ymd].map(|order| time::parse(text, Some(order)));
        if self.any || self.order.is_some() || ordered().iter().all(Option::is_none) {
            return Reason::BadTime.into();
        }
        let what =
            "the order of day, month and year in its dates is not known; --dates mdy, dmy or ymd gives it";
        ImportError::Option(format!("{}: {what}", self.file)).into()
    }
}

/// A row that is too short: without a word where it says nothing at all.
fn short(row: &Row<'_>, collector: &mut Collector) -> Cell<()> {
    if row.is_blank() {
        return Ok(());
    }
    // All that Google writes below the header of a month without steps.
    if row.len() == 1 && row.trimmed(0).eq_ignore_ascii_case(NO_DATA) {
        collector.blank();
        return Ok(());
    }
    Err(Reason::MissingField.into())
}

/// A row without a count; without a word where it says nothing at all.
fn blank(row: &Row<'_>, collector: &mut Collector) {
    if !row.is_blank() {
        collector.blank();
    }
}

/// A count, if there is such a column and it says anything.
fn cell(row: &Row<'_>, column: Option<usize>) -> Cell<Option<u32>> {
    let text = column.map_or(&[][..], |column| row.trimmed(column));
    if text.is_empty() { Ok(None) } else { Ok(Some(time::count(text).ok_or(Reason::BadCount)?)) }
}

/// A name. In another encoding two different names could look alike, so that stops the import.
fn name<'a>(row: &Row<'a>, column: Option<usize>, file: &str) -> Cell<&'a str> {
    let text = column.map_or(&[][..], |column| unguarded(row.trimmed(column)));
    std::str::from_utf8(text).map_err(|_| {
        let what = "a name is not UTF-8 text; save the file as UTF-8".to_owned();
        ImportError::Malformed { file: file.to_owned(), line: row.line, what }.into()
    })
}

/// A text without the apostrophe that keeps a spreadsheet from running it as a formula.
fn unguarded(text: &[u8]) -> &[u8] {
    match text {
        [b'\'', rest @ ..] if matches!(rest, [b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r', ..]) => rest,
        _ => text,
    }
}

/// Whether the type of a record, as Apple names it or shortened, is that of steps.
fn is_steps(kind: &[u8]) -> bool {
    let plain: Vec<u8> =
        kind.iter().filter(|b| b.is_ascii_alphabetic()).map(u8::to_ascii_lowercase).collect();
    plain.ends_with(b"stepcount") || plain == b"steps" || plain.ends_with(b"stepcountdelta")
}

fn midnight(day: i32) -> Stamp {
    Stamp { wall_ms: i64::from(day) * DAY_MS, offset: None }
}

fn day_of(wall_ms: i64) -> Cell<i32> {
    Ok(i32::try_from(wall_ms.div_euclid(DAY_MS)).map_err(|_| Reason::BadTime)?)
}

/// So long, so much after a moment.
fn between(moment: Stamp, after_ms: i64, length_ms: i64) -> When {
    let start = Stamp { wall_ms: moment.wall_ms + after_ms, ..moment };
    When::Between(start, Stamp { wall_ms: start.wall_ms + length_ms, ..start })
}
