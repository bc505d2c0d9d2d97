//! Tables of counters that only go up, with the time since the device was started.

use std::io::Read;

use manbo::Day;

use crate::collect::Collector;
use crate::error::{ImportError, Result};
use crate::options::CsvOptions;
use crate::record::{Reason, Record, Stamp, When};
use crate::time::{self, DAY_MS};

use super::header::{Header, Role, shown};
use super::rows::{Row, Rows};

/// The longest that a device can have been up, in days: 27 years, longer than there were such devices.
/// It keeps every sum of times far within 64 bits.
const BOOT_DAYS_MAX: u64 = 10_000;
const NANOS_PER_MS: u64 = 1_000_000;

/// One column.
struct Counter {
    column: usize,
    source: String,
    /// The last reading that was taken: milliseconds since boot, and what the counter showed.
    last: Option<(i64, u32)>,
}

/// The table.
struct Counters {
    boot: usize,
    units_per_ms: u64,
    day: Day,
    columns: Vec<Counter>,
    fields: usize,
    /// Whole days that the device was up before the first row, in milliseconds.
    up_before_ms: Option<i64>,
    last_boot_ms: i64,
}

/// Reads the rows below the header of such a table: each counter is a source, and the difference of two
/// rows is a record.
///
/// # Errors
/// [`ImportError::Option`] without a day; else as rows and collector say.
pub(super) fn read<R: Read>(
    rows: &mut Rows<R>,
    header: &Header,
    boot: usize,
    options: &CsvOptions,
    collector: &mut Collector,
) -> Result<()> {
    let Some(day) = options.day else {
        let what = "it has times since boot but no date; --day YYYY-MM-DD gives it";
        return Err(ImportError::Option(format!("{}: {what}", rows.file())));
    };
    let counters: Vec<Counter> = header
        .titled()
        .filter(|(column, _)| *column != boot)
        .map(|(column, title)| Counter { column, source: shown(title), last: None })
        .collect();
    let Some(last) = counters.last() else { return Err(header.lacks(rows.file(), "steps")) };
    let fields = last.column.max(boot) + 1;
    let names: Vec<String> = counters.iter().map(|counter| format!("`{}`", counter.source)).collect();
    collector.note(format!(
        "columns: {}, counters = {}; each counter is a source of its own; {day} is taken as the day",
        header.told(&[Role::Boot]),
        names.join(", ")
    ));
    let units_per_ms = if header.squeezed(boot).ends_with("ns") { NANOS_PER_MS } else { 1 };
    let mut table =
        Counters { boot, units_per_ms, day, columns: counters, fields, up_before_ms: None, last_boot_ms: 0 };
    while let Some(row) = rows.next()? {
        table.row(&row, collector)?;
    }
    Ok(())
}

impl Counters {
    fn row(&mut self, row: &Row<'_>, collector: &mut Collector) -> Result<()> {
        if row.is_blank() {
            return Ok(());
        }
        if row.len() < self.fields {
            collector.reject(row.line, Reason::MissingField);
            return Ok(());
        }
        let Some(boot_ms) = self.boot_ms(row) else {
            collector.reject(row.line, Reason::BadTime);
            return Ok(());
        };
        if boot_ms < self.last_boot_ms {
            collector.reject(row.line, Reason::EndBeforeStart);
            return Ok(());
        }
        self.last_boot_ms = boot_ms;
        let up_before_ms = *self.up_before_ms.get_or_insert(boot_ms - boot_ms % DAY_MS);
        let zero_ms = i64::from(self.day.number()) * DAY_MS - up_before_ms;
        let stamp = |boot_ms: i64| Stamp { wall_ms: zero_ms + boot_ms, offset: None };
        let mut any = false;
        for counter in &mut self.columns {
            let text = row.trimmed(counter.column);
            if text.is_empty() {
                continue;
            }
            any = true;
            match (time::count(text), counter.last) {
                (None, _) => collector.reject(row.line, Reason::BadCount),
                (Some(value), None) => counter.last = Some((boot_ms, value)),
                (Some(value), Some((_, before))) if value < before => {
                    collector.reject(row.line, Reason::CounterWentDown);
                }
                (Some(value), Some((from_ms, before))) => {
                    let when = When::Between(stamp(from_ms), stamp(boot_ms));
                    collector.take(row.line, &Record::measured(&counter.source, when, value - before))?;
                    counter.last = Some((boot_ms, value));
                }
            }
        }
        if !any {
            collector.blank();
        }
        Ok(())
    }

    fn boot_ms(&self, row: &Row<'_>) -> Option<i64> {
        let boot_ms = time::digits(row.trimmed(self.boot))? / self.units_per_ms;
        let within = boot_ms / u64::try_from(DAY_MS).ok()? < BOOT_DAYS_MAX;
        if within { i64::try_from(boot_ms).ok() } else { None }
    }
}
