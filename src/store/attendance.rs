//! Table `attendance`: the days on which the person opened the app.

use std::sync::OnceLock;

use rusqlite::{Row, Statement};

use super::checksum::Checksum;
use super::row::{Sql, StoredRow, int, opt_int, opt_text};
use crate::domain::code::Code;
use crate::domain::day::Day;
use crate::domain::dirty::Attendance;

pub(crate) struct AttendanceRow {
    pub(crate) user: i64,
    pub(crate) day: Day,
    pub(crate) mark: Attendance,
}

impl AttendanceRow {
    fn checksum(&self) -> i32 {
        Checksum::of(2)
            .int(self.user)
            .int(self.day.number().into())
            .opt(self.mark.pending_since_ms)
            .text(self.mark.parked.map_or("", Code::as_str))
            .finish()
    }
}

impl StoredRow for AttendanceRow {
    const TABLE: &'static str = "attendance";
    const COLUMNS: &'static [&'static str] = &["user", "day", "pending_since_ms", "parked", "chk"];
    const KEY_COLUMNS: usize = 2;

    fn decode(row: &Row<'_>) -> Option<AttendanceRow> {
        let parked = match opt_text(row, 3)? {
            None => None,
            Some(code) => Some(Code::parse(code)?),
        };
        let day = Day::from_number(int(row, 1)?).ok().filter(|day| day.is_storable())?;
        let mark = Attendance { pending_since_ms: opt_int(row, 2)?, parked };
        let decoded = AttendanceRow { user: int(row, 0)?, day, mark };
        (int::<i32>(row, 4)? == decoded.checksum()).then_some(decoded)
    }

    fn bind(&self, statement: &mut Statement<'_>, first: usize) -> rusqlite::Result<()> {
        statement.raw_bind_parameter(first, self.user)?;
        statement.raw_bind_parameter(first + 1, self.day.number())?;
        statement.raw_bind_parameter(first + 2, self.mark.pending_since_ms)?;
        statement.raw_bind_parameter(first + 3, self.mark.parked.map(Code::as_str))?;
        statement.raw_bind_parameter(first + 4, self.checksum())
    }

    fn sql() -> &'static Sql {
        static SQL: OnceLock<Sql> = OnceLock::new();
        SQL.get_or_init(Sql::of::<AttendanceRow>)
    }
}
