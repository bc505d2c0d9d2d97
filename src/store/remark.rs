//! Table `remark`: what `explain` remembers beside the registers.

use std::sync::OnceLock;

use rusqlite::{Row, Statement};

use super::checksum::Checksum;
use super::row::{Sql, StoredRow, int, text};
use crate::domain::column::SourceId;
use crate::domain::day::Day;
use crate::domain::remark::{Kind, Remark};

pub(crate) struct RemarkRow {
    pub(crate) user: i64,
    pub(crate) day: Day,
    pub(crate) source: SourceId,
    pub(crate) kind: Kind,
    pub(crate) at_ms: i64,
    pub(crate) body: String,
}

impl RemarkRow {
    /// The row of a remark. Events are plain data, for which JSON has a form.
    pub(crate) fn of(user: i64, (day, source, kind): (Day, SourceId, Kind), remark: &Remark) -> RemarkRow {
        let body = serde_json::to_string(&remark.event).unwrap_or_default();
        RemarkRow { user, day, source, kind, at_ms: remark.at_ms, body }
    }

    pub(crate) fn remark(&self) -> Option<Remark> {
        let event = serde_json::from_str(&self.body).ok()?;
        Some(Remark { at_ms: self.at_ms, event })
    }

    fn checksum(&self) -> i32 {
        let sum = Checksum::of(6).int(self.user).int(self.day.number().into()).int(self.source.0.into());
        sum.int(self.kind.number().into()).int(self.at_ms).text(&self.body).finish()
    }
}

impl StoredRow for RemarkRow {
    const TABLE: &'static str = "remark";
    const COLUMNS: &'static [&'static str] = &["user", "day", "source", "kind", "at_ms", "body", "chk"];
    const KEY_COLUMNS: usize = 4;

    fn decode(row: &Row<'_>) -> Option<RemarkRow> {
        let decoded = RemarkRow {
            user: int(row, 0)?,
            day: Day::from_number(int(row, 1)?).ok().filter(|day| day.is_storable())?,
            source: SourceId(int(row, 2)?),
            kind: *Kind::ALL.get(int::<usize>(row, 3)?)?,
            at_ms: int(row, 4)?,
            body: text(row, 5)?.to_owned(),
        };
        (int::<i32>(row, 6)? == decoded.checksum()).then_some(decoded)
    }

    fn bind(&self, statement: &mut Statement<'_>, first: usize) -> rusqlite::Result<()> {
        statement.raw_bind_parameter(first, self.user)?;
        statement.raw_bind_parameter(first + 1, self.day.number())?;
        statement.raw_bind_parameter(first + 2, self.source.0)?;
        statement.raw_bind_parameter(first + 3, self.kind.number())?;
        statement.raw_bind_parameter(first + 4, self.at_ms)?;
        statement.raw_bind_parameter(first + 5, &self.body)?;
        statement.raw_bind_parameter(first + 6, self.checksum())
    }

    fn sql() -> &'static Sql {
        static SQL: OnceLock<Sql> = OnceLock::new();
        SQL.get_or_init(Sql::of::<RemarkRow>)
    }
}
