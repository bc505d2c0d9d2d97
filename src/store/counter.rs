//! Tables `baseline` and `own_count`: what a since-boot counter of this device knows.

use std::sync::OnceLock;

use rusqlite::{Row, Statement};

use super::checksum::Checksum;
use super::row::{Sql, StoredRow, int, text};
use crate::domain::column::SourceId;
use crate::domain::counter::Baseline;
use crate::domain::day::Day;
use crate::domain::steps::STEPS_MAX;

pub(crate) struct BaselineRow {
    pub(crate) user: i64,
    pub(crate) source: SourceId,
    pub(crate) baseline: Baseline,
}

impl BaselineRow {
    fn checksum(&self) -> i32 {
        let sum = Checksum::of(4).int(self.user).int(self.source.0.into());
        sum.text(&self.baseline.boot).int(self.baseline.count.into()).finish()
    }
}

impl StoredRow for BaselineRow {
    const TABLE: &'static str = "baseline";
    const COLUMNS: &'static [&'static str] = &["user", "source", "boot", "count", "chk"];
    const KEY_COLUMNS: usize = 2;

    fn decode(row: &Row<'_>) -> Option<BaselineRow> {
        let baseline = Baseline { boot: text(row, 2)?.to_owned(), count: int(row, 3)? };
        let decoded = BaselineRow { user: int(row, 0)?, source: SourceId(int(row, 1)?), baseline };
        (int::<i32>(row, 4)? == decoded.checksum()).then_some(decoded)
    }

    fn bind(&self, statement: &mut Statement<'_>, first: usize) -> rusqlite::Result<()> {
        statement.raw_bind_parameter(first, self.user)?;
        statement.raw_bind_parameter(first + 1, self.source.0)?;
        statement.raw_bind_parameter(first + 2, &self.baseline.boot)?;
        statement.raw_bind_parameter(first + 3, self.baseline.count)?;
        statement.raw_bind_parameter(first + 4, self.checksum())
    }

    fn sql() -> &'static Sql {
        static SQL: OnceLock<Sql> = OnceLock::new();
        SQL.get_or_init(Sql::of::<BaselineRow>)
    }
}

pub(crate) struct OwnCountRow {
    pub(crate) user: i64,
    pub(crate) source: SourceId,
    pub(crate) day: Day,
    pub(crate) count: u32,
}

impl OwnCountRow {
    fn checksum(&self) -> i32 {
        let sum = Checksum::of(5).int(self.user).int(self.source.0.into());
        sum.int(self.day.number().into()).int(self.count.into()).finish()
    }
}

impl StoredRow for OwnCountRow {
    const TABLE: &'static str = "own_count";
    const COLUMNS: &'static [&'static str] = &["user", "source", "day", "count", "chk"];
    const KEY_COLUMNS: usize = 3;

    fn decode(row: &Row<'_>) -> Option<OwnCountRow> {
        let decoded = OwnCountRow {
            user: int(row, 0)?,
            source: SourceId(int(row, 1)?),
            day: Day::from_number(int(row, 2)?).ok().filter(|day| day.is_storable())?,
            count: int(row, 3).filter(|count| *count <= STEPS_MAX)?,
        };
        (int::<i32>(row, 4)? == decoded.checksum()).then_some(decoded)
    }

    fn bind(&self, statement: &mut Statement<'_>, first: usize) -> rusqlite::Result<()> {
        statement.raw_bind_parameter(first, self.user)?;
        statement.raw_bind_parameter(first + 1, self.source.0)?;
        statement.raw_bind_parameter(first + 2, self.day.number())?;
        statement.raw_bind_parameter(first + 3, self.count)?;
        statement.raw_bind_parameter(first + 4, self.checksum())
    }

    fn sql() -> &'static Sql {
        static SQL: OnceLock<Sql> = OnceLock::new();
        SQL.get_or_init(Sql::of::<OwnCountRow>)
    }
}
