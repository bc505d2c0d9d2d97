//! What the caller of an import decides.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use manbo::{Day, Source};

/// How an import is to be read. Nothing here reads a clock: `today` is the caller's.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// The walker's civil day: later days than tomorrow are refused, and today is not over yet.
    pub today: Day,
    /// The zone in which moments with a UTC offset become days; the printed offsets where there is none.
    pub zone: Option<Tz>,
    /// The source of records whose file names none.
    pub source: Source,
    /// Sources by the names that the export uses, before the automatic naming.
    pub sources: BTreeMap<String, Source>,
    /// Take this person only, of files with several.
    pub user: Option<String>,
    /// Whether this import may lower nothing: for an export that is older than what the ledger knows.
    pub join_only: bool,
    /// How CSV columns are read where the header does not tell.
    pub csv: CsvOptions,
}

impl ImportOptions {
    /// The defaults, on a day.
    pub fn new(today: Day) -> ImportOptions {
        ImportOptions {
            today,
            zone: None,
            source: default_source(),
            sources: BTreeMap::new(),
            user: None,
            join_only: false,
            csv: CsvOptions::default(),
        }
    }
}

/// The name under which an import without source names is kept.
pub const SOURCE_DEFAULT: &str = "import";

fn default_source() -> Source {
    // A constant of the right alphabet and length: see the test.
    Source::new(SOURCE_DEFAULT).unwrap_or_else(|_| unreachable!("`{SOURCE_DEFAULT}` is a source name"))
}

/// How CSV columns are read; what is `None` is detected from the header and said in the report.
#[derive(Debug, Clone, Default)]
pub struct CsvOptions {
    /// Column titles by role: `person`, `source`, `report`, `reported_at`, `day`, `hour`, `minute`, `start`,
    /// `end`, `boot`, `arrived`, `steps`, `manual`.
    pub columns: BTreeMap<String, String>,
    /// What separates fields: comma, semicolon or tab.
    pub delimiter: Option<u8>,
    /// The order of day, month and year in dates with slashes or dots.
    pub dates: Option<DateOrder>,
    /// How many minutes a record without an end lasts.
    pub slot_minutes: Option<u32>,
    /// The civil day of files whose times have no date, such as counters since boot.
    pub day: Option<Day>,
}

/// The order of the parts of a date such as `04/05/2016`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateOrder {
    /// Month, day, year.
    Mdy,
    /// Day, month, year.
    Dmy,
    /// Year, month, day.
    Ymd,
}
