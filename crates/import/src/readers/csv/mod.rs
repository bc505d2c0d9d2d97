//! CSV of any of the shapes that people have: days, hours, minutes, records, wide hours and minutes,
//! counters. What a table is, is seen from its titles and said in the report.

mod counters;
mod header;
mod presets;
mod rows;
mod shape;
mod table;
#[cfg(test)]
mod tests;

use std::io::Read;

use crate::collect::Collector;
use crate::error::{ImportError, Result};
use crate::options::{CsvOptions, DateOrder};

use header::{Header, Role};
use presets::{Devices, Preset};
use rows::{DELIMITERS, Rows};
use shape::Columns;
use table::Table;

/// Reads a file of comma-separated values.
///
/// # Errors
/// [`ImportError::Unknown`] where the titles say no time or no steps, [`ImportError::Option`] where an
/// option is missing or does not fit, and what the rows and the collector say.
pub(crate) fn read(file: &str, reader: impl Read, collector: &mut Collector) -> Result<()> {
    let options = collector.options().csv.clone();
    if options.delimiter.is_some_and(|given| DELIMITERS.iter().all(|(known, _)| *known != given)) {
        return Err(ImportError::Option(
            "fields are separated by commas, semicolons or tabs only".to_owned(),
        ));
    }
    let mut rows = Rows::open(file, reader, options.delimiter)?;
    let preset = presets::begin(&mut rows)?;
    let Some(titles) = rows.next()? else {
        if preset != Preset::NoData {
            return Err(ImportError::Unknown { file: file.to_owned(), what: "it has no header".to_owned() });
        }
        collector.note("the file says that it has no data".to_owned());
        return Ok(());
    };
    let header = Header::new(file, &titles, &options)?;
    told(&rows, &options, collector);
    match header.column(Role::Boot) {
        Some(boot) => counters::read(&mut rows, &header, boot, &options, collector),
        None => table(&mut rows, &preset, &header, &options, collector),
    }
}

fn table<R: Read>(
    rows: &mut Rows<R>,
    preset: &Preset,
    header: &Header,
    options: &CsvOptions,
    collector: &mut Collector,
) -> Result<()> {
    let mut columns = Columns::detect(rows.file(), header, options.slot_minutes)?;
    collector.note(columns.told.clone());
    if let Preset::Samsung(kind) = preset {
        collector.note(format!(
            "Samsung Health `{kind}`: each device is a source, and so is what Samsung makes of all of them"
        ));
        columns.devices = Some(Devices::new(header));
    }
    let day = options.day.map(manbo::Day::number).or(presets::day_of_name(rows.file()));
    let mut table = Table::new(rows.file(), columns, options, day);
    let mut within = true;
    while let Some(row) = rows.next()? {
        // The next block of the file of fitbit.com; the rest is read so that damage is seen.
        within &= *preset != Preset::Fitbit || row.len() > 1;
        if within {
            table.row(&row, collector)?;
        }
    }
    table.finish(collector);
    Ok(())
}

/// Says how the file is written, where that is not a matter of course.
fn told<R: Read>(rows: &Rows<R>, options: &CsvOptions, collector: &mut Collector) {
    if rows.delimiter() != DELIMITERS[0].1 {
        collector.note(format!("fields are separated by {}", rows.delimiter()));
    }
    if let Some(order) = options.dates {
        let parts = match order {
            DateOrder::Mdy => "month, day, year",
            DateOrder::Dmy => "day, month, year",
            DateOrder::Ymd => "year, month, day",
        };
        collector.note(format!("dates with slashes, dots or other hyphens than ISO's are {parts}"));
    }
}
