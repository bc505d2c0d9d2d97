//! Tables of counters that only go up, with the time since the device was started.

use std::io::Read;

use manbo::{Baseline, Credit, Day};

use crate::collect::Collector;
use crate::error::{ImportError, Result};
use crate::options::CsvOptions;
use crate::record::{Reason, Record, When};
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
    /// Where it stood when it was last read, and at which uptime.
    last: Option<(Baseline, i64)>,
}

/// The table.
struct Counters {
    boot: usize,
    units_per_ms: u64,
    day: Day,
    columns: Vec<Counter>,
    fields: usize,
    /// How often the device was started again: time since the start went back.
    boots: u32,
    /// The uptime of all former starts together, in milliseconds.
    before_ms: i64,
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
    let mut table = Counters {
        boot,
        units_per_ms,
        day,
        columns: counters,
        fields,
        boots: 0,
        before_ms: 0,
        last_boot_ms: 0,
    };
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
            self.boots += 1;
            self.before_ms += self.last_boot_ms;
        }
        self.last_boot_ms = boot_ms;
        let (boot, until_ms) = (self.boots.to_string(), self.before_ms + boot_ms);
        let mut any = false;
        for counter in &mut self.columns {
            let text = row.trimmed(counter.column);
            if text.is_empty() {
                continue;
            }
            any = true;
            let Some(count) = time::count(text) else {
                collector.reject(row.line, Reason::BadCount);
                continue;
            };
            let from_ms = counter.last.as_ref().map_or(until_ms, |(_, at_ms)| *at_ms);
            let credit = Credit::of(counter.last.as_ref().map(|(stood, _)| stood), &boot, count);
            if credit.moves_baseline() {
                counter.last = Some((Baseline { boot: boot.clone(), count }, until_ms));
            }
            match credit {
                Credit::First => {}
                Credit::Steps(steps) => {
                    let when = When::Uptime { day: self.day.number(), from_ms, until_ms };
                    collector.take(row.line, &Record::measured(&counter.source, when, steps))?;
                }
                Credit::Backwards => collector.reject(row.line, Reason::CounterWentDown),
                Credit::Implausible => collector.reject(row.line, Reason::ImplausibleSteps),
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
