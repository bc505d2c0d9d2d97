//! What known exports have around or beside a plain table.

use std::io::Read;

use crate::error::{ImportError, Result};
use crate::time;

use super::header::{Header, shown};
use super::rows::{Row, Rows};

/// All that Google writes into a file of a month without steps.
pub(super) const NO_DATA: &[u8] = b"no data";
/// What the type on the first line of every table of Samsung Health begins with.
const SAMSUNG: &str = "com.samsung.";
/// The tables of Samsung Health that state days.
const SAMSUNG_DAYS: [&str; 2] = ["pedometer_day_summary", "step_daily_trend"];
/// The id of the device that stands for all of them, the same for everybody.
const SAMSUNG_COMBINED_ID: &[u8] = b"VfS0qUERdZ";
/// The type of source that stands for all of them.
const SAMSUNG_COMBINED_TYPE: &[u8] = b"-2";
/// The blocks of the file that fitbit.com exports, each begun by a line with its name.
const FITBIT_BLOCKS: [&[u8]; 5] = [b"Activities", b"Body", b"Food", b"Foods", b"Sleep"];
/// The block with the steps.
const FITBIT_STEPS: &[u8] = b"Activities";

/// What stands before the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Preset {
    /// Nothing.
    Plain,
    /// A line with the type of Samsung Health's table.
    Samsung(&'static str),
    /// The name of a block, whose rows end where the next one is named.
    Fitbit,
    /// The file says that it has no data.
    NoData,
}

/// Passes what stands before the header.
///
/// # Errors
/// [`ImportError::Unknown`] where nothing is there, or a known table that states no days.
pub(super) fn begin<R: Read>(rows: &mut Rows<R>) -> Result<Preset> {
    let file = rows.file().to_owned();
    let unknown = |what: String| ImportError::Unknown { file: file.clone(), what };
    let Some(first) = rows.peek()? else { return Err(unknown("the file is empty".to_owned())) };
    let title = first.trimmed(0);
    let kind = String::from_utf8_lossy(title);
    let alone = first.len() == 1;
    let preset = if kind.starts_with(SAMSUNG) && time::digits(first.trimmed(1)).is_some() {
        let Some(known) = SAMSUNG_DAYS.into_iter().find(|known| kind.ends_with(known)) else {
            let days = SAMSUNG_DAYS.join("` or `");
            return Err(unknown(format!("`{}` is not read; the days are in `{days}`", shown(&kind))));
        };
        Preset::Samsung(known)
    } else if alone && title.eq_ignore_ascii_case(NO_DATA) {
        Preset::NoData
    } else if alone && FITBIT_BLOCKS.contains(&title) {
        Preset::Fitbit
    } else {
        return Ok(Preset::Plain);
    };
    if preset == Preset::Fitbit {
        while let Some(row) = rows.peek()? {
            let found = row.len() == 1 && row.trimmed(0) == FITBIT_STEPS;
            rows.pass();
            if found {
                return Ok(preset);
            }
        }
        return Err(unknown("it has no block `Activities`".to_owned()));
    }
    rows.pass();
    Ok(preset)
}

/// The devices of Samsung Health, each a source of its own.
#[derive(Debug)]
pub(super) struct Devices {
    kind: Option<usize>,
}

impl Devices {
    pub(super) fn new(header: &Header) -> Devices {
        Devices { kind: header.find("sourcetype") }
    }

    /// The source of a row. Besides the devices there is a row for all of them together, which counts no
    /// step twice.
    pub(super) fn source(&self, row: &Row<'_>, device: &str) -> String {
        let combined = self.kind.is_some_and(|kind| row.trimmed(kind) == SAMSUNG_COMBINED_TYPE)
            || device.as_bytes() == SAMSUNG_COMBINED_ID;
        match device {
            _ if combined => "samsung combined".to_owned(),
            "" => "samsung".to_owned(),
            id => format!("samsung {id}"),
        }
    }
}

/// The day in the name of a file such as `2024-10-09.csv`, as days since 1970-01-01.
pub(super) fn day_of_name(file: &str) -> Option<i32> {
    let name = file.rsplit(['/', '\\', '!']).next()?;
    let (day, extension) = name.split_at_checked(10)?;
    let moment = time::parse(day.as_bytes(), None).filter(|_| extension.starts_with('.'))?;
    i32::try_from(moment.stamp.wall_ms / time::DAY_MS).ok()
}
