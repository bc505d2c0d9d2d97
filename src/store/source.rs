//! Table `source`: the names behind the numbers in `cell`, a user's own.

use std::sync::OnceLock;

use rusqlite::{Row, Statement};

use super::checksum::Checksum;
use super::row::{Sql, StoredRow, flag, int, text};
use crate::domain::column::SourceId;
use crate::domain::steps::Source;

pub(crate) struct SourceRow {
    pub(crate) user: i64,
    pub(crate) id: SourceId,
    pub(crate) name: Source,
    pub(crate) read_by_device: bool,
}

impl SourceRow {
    fn checksum(&self) -> i32 {
        let sum = Checksum::of(3).int(self.user).int(self.id.0.into()).text(self.name.as_str());
        sum.int(self.read_by_device.into()).finish()
    }
}

impl StoredRow for SourceRow {
    const TABLE: &'static str = "source";
    const COLUMNS: &'static [&'static str] = &["user", "id", "name", "read_by_device", "chk"];
    const KEY_COLUMNS: usize = 2;

    fn decode(row: &Row<'_>) -> Option<SourceRow> {
        let decoded = SourceRow {
            user: int(row, 0)?,
            id: SourceId(int(row, 1)?),
            name: Source::new(text(row, 2)?).ok()?,
            read_by_device: flag(row, 3)?,
        };
        (int::<i32>(row, 4)? == decoded.checksum()).then_some(decoded)
    }

    fn bind(&self, statement: &mut Statement<'_>, first: usize) -> rusqlite::Result<()> {
        statement.raw_bind_parameter(first, self.user)?;
        statement.raw_bind_parameter(first + 1, self.id.0)?;
        statement.raw_bind_parameter(first + 2, self.name.as_str())?;
        statement.raw_bind_parameter(first + 3, self.read_by_device)?;
        statement.raw_bind_parameter(first + 4, self.checksum())
    }

    fn sql() -> &'static Sql {
        static SQL: OnceLock<Sql> = OnceLock::new();
        SQL.get_or_init(Sql::of::<SourceRow>)
    }
}
