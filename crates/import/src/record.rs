//! What a reader says: one record of an export, in the export's own words.

use crate::collect::RECORD_DAYS_MAX;
use crate::time::MINUTE_MS;

/// A moment as an export writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// What the clock on the wall showed, in milliseconds since 1970-01-01T00:00 of that clock.
    pub(crate) wall_ms: i64,
    /// Minutes east of UTC, where the export says so: then it is an instant.
    pub(crate) offset: Option<i16>,
}

impl Stamp {
    /// Milliseconds on the line on which this moment can be compared: Unix time where the offset is
    /// known, the wall's own time where it is not.
    pub(crate) fn line_ms(self) -> i64 {
        self.wall_ms - i64::from(self.offset.unwrap_or(0)) * MINUTE_MS
    }
}

/// When the steps of a record were walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// The whole civil day: a total that the export states, as days since 1970-01-01.
    Day(i32),
    /// From a moment until before another one; equal moments are an instant.
    Between(Stamp, Stamp),
    /// A stretch of a device's own time since it was started, all of it on one civil day.
    Uptime {
        /// The day, as days since 1970-01-01.
        day: i32,
        /// From when, in milliseconds.
        from_ms: i64,
        /// Until when, in milliseconds.
        until_ms: i64,
    },
}

/// Who counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum How {
    /// A device.
    #[default]
    Measured,
    /// The person typed it in.
    Typed,
}

/// Which of several dated reports of one history a record belongs to. Later reports overrule earlier
/// ones as the contract says; without one, all records of an import are one report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct ReportKey {
    /// When the report was made: Unix milliseconds and the printed offset in minutes.
    pub(crate) made: Option<(i64, i16)>,
    /// Its number.
    pub(crate) number: Option<u64>,
}

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// Whose; empty where the export has no such column.
    pub(crate) person: &'a str,
    /// The name of the device or app; empty where the export has none.
    pub(crate) source: &'a str,
    /// Which report it is part of.
    pub(crate) report: ReportKey,
    /// When it was walked.
    pub(crate) when: When,
    /// When the record was stored, in Unix milliseconds.
    pub(crate) arrived_ms: Option<i64>,
    /// Who counted.
    pub(crate) how: How,
    /// How many steps.
    pub(crate) steps: u32,
}

impl<'a> Record<'a> {
    /// A measured record of a single-person export without reports.
    pub(crate) fn measured(source: &'a str, when: When, steps: u32) -> Record<'a> {
        let report = ReportKey::default();
        Record { person: "", source, report, when, arrived_ms: None, how: How::Measured, steps }
    }
}

/// Why a row or record was left out. Never holds what the row said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The count is not a whole number of 0 to 4,294,967,295.
    BadCount,
    /// The date or time does not exist or is not in a form that is read.
    BadTime,
    /// The record ends before it starts.
    EndBeforeStart,
    /// One end of the record has a UTC offset, the other has none.
    MixedOffsets,
    /// The record is longer than [`RECORD_DAYS_MAX`](crate::RECORD_DAYS_MAX) days.
    TooLong,
    /// The day is outside what a ledger stores, or later than tomorrow.
    DayOutOfRange,
    /// More steps than a day can have.
    ImplausibleSteps,
    /// The row has too few fields.
    MissingField,
    /// The element is not built as this format builds it.
    BadShape,
    /// A counter went down without saying that the device was restarted.
    CounterWentDown,
}

impl Reason {
    /// The code of the core, as it is in every language.
    pub fn code(self) -> manbo::Code {
        match self {
            Reason::DayOutOfRange => manbo::Code::DayOutOfRange,
            Reason::ImplausibleSteps => manbo::Code::ImplausibleSteps,
            Reason::BadCount
            | Reason::BadTime
            | Reason::EndBeforeStart
            | Reason::MixedOffsets
            | Reason::TooLong
            | Reason::MissingField
            | Reason::BadShape
            | Reason::CounterWentDown => manbo::Code::BadValue,
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Reason::BadCount => "the count is not a whole number that fits 32 bits",
            Reason::BadTime => "the date or time does not exist, or is in a form that is not read",
            Reason::EndBeforeStart => "the record ends before it starts",
            Reason::MixedOffsets => "one end has a UTC offset and the other has none",
            Reason::TooLong => return write!(f, "the record is longer than {RECORD_DAYS_MAX} days"),
            Reason::DayOutOfRange => {
                let (first, last) = (manbo::Day::FIRST, manbo::Day::LAST);
                return write!(f, "the day is outside {first} to {last} or later than tomorrow");
            }
            Reason::ImplausibleSteps => return write!(f, "more than {} steps a day", manbo::STEPS_MAX),
            Reason::MissingField => "the row lacks a field that it needs",
            Reason::BadShape => "the element is not built as this format builds it",
            Reason::CounterWentDown => "the counter went down",
        })
    }
}
