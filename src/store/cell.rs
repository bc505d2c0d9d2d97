//! Table `cell`: a register and what this device knows about it.

use std::sync::OnceLock;

use rusqlite::{Row, Statement};

use super::checksum::Checksum;
use super::row::{Sql, StoredRow, flag, int, opt_int, opt_text};
use crate::domain::cell::{Cell, Reread};
use crate::domain::code::Code;
use crate::domain::column::SourceId;
use crate::domain::day::{Day, UtcOffset};
use crate::domain::register::Register;
use crate::domain::steps::Counts;

/// Takes part in the checksum, so that a row cannot pass for one of another table.
const TABLE_NUMBER: u8 = 1;

pub(crate) struct CellRow {
    pub(crate) user: i64,
    pub(crate) day: Day,
    pub(crate) source: SourceId,
    pub(crate) cell: Cell,
}

impl CellRow {
    fn checksum(&self) -> i32 {
        let Cell { register, read_here, reread, offset, parked, .. } = self.cell;
        let counts = register.counts.unwrap_or_default();
        let pending = self.cell.pending_since_ms();
        // Every small value in its own bits: which of the optional ones are there, then the values.
        let small = u64::from(register.counts.is_some())
            | u64::from(read_here) << 1
            | (reread as u64) << 2
            | u64::from(offset.is_some()) << 4
            | u64::from(pending.is_some()) << 5
            | u64::from(register.epoch) << 8
            | u64::from(offset.map_or(0, UtcOffset::minutes).cast_unsigned()) << 24
            | u64::from(self.source.0) << 40;
        let steps = u64::from(counts.recorded) | u64::from(counts.manual) << 32;
        if let Some(code) = parked {
            let sum = Checksum::of(TABLE_NUMBER).int(self.user).int(self.day.number().into());
            let sum = sum.packed(small).packed(steps);
            let sum = match pending {
                None => sum,
                Some(ms) => sum.int(ms),
            };
            return sum.text(code.as_str()).finish();
        }
        // The same bytes in one piece: a load of ten years does this 3,650 times.
        let mut bytes = [0; 41];
        bytes[0] = TABLE_NUMBER;
        bytes[1..9].copy_from_slice(&self.user.to_le_bytes());
        bytes[9..17].copy_from_slice(&i64::from(self.day.number()).to_le_bytes());
        bytes[17..25].copy_from_slice(&small.to_le_bytes());
        bytes[25..33].copy_from_slice(&steps.to_le_bytes());
        bytes[33..].copy_from_slice(&pending.unwrap_or(0).to_le_bytes());
        let len = if pending.is_some() { bytes.len() } else { 33 };
        crc32fast::hash(&bytes[..len]).cast_signed()
    }
}

impl StoredRow for CellRow {
    const TABLE: &'static str = "cell";
    const COLUMNS: &'static [&'static str] = &[
        "user",
        "day",
        "source",
        "epoch",
        "recorded",
        "manual",
        "read_here",
        "reread",
        "offset_minutes",
        "pending_since_ms",
        "parked",
        "chk",
    ];
    const KEY_COLUMNS: usize = 3;

    fn decode(row: &Row<'_>) -> Option<CellRow> {
        let recorded: Option<u32> = opt_int(row, 4)?;
        let manual: u32 = int(row, 5)?;
        if recorded.is_none() && manual != 0 {
            return None;
        }
        let offset = opt_int::<i32>(row, 8)?.map(UtcOffset::from_minutes).transpose().ok()?;
        let mut cell = Cell::UNKNOWN;
        cell.register =
            Register { epoch: int(row, 3)?, counts: recorded.map(|recorded| Counts::new(recorded, manual)) };
        cell.read_here = flag(row, 6)?;
        cell.reread = *[Reread::No, Reread::IfRead, Reread::Always].get(int::<usize>(row, 7)?)?;
        cell.offset = offset;
        cell.parked = match opt_text(row, 10)? {
            None => None,
            Some(code) => Some(Code::parse(code)?),
        };
        cell.set_pending_since(opt_int(row, 9)?);
        let day = Day::from_number(int(row, 1)?).ok().filter(|day| day.is_storable())?;
        let decoded = CellRow { user: int(row, 0)?, day, source: SourceId(int(row, 2)?), cell };
        (int::<i32>(row, 11)? == decoded.checksum()).then_some(decoded)
    }

    fn bind(&self, statement: &mut Statement<'_>, first: usize) -> rusqlite::Result<()> {
        let Cell { register, read_here, reread, offset, parked, .. } = self.cell;
        statement.raw_bind_parameter(first, self.user)?;
        statement.raw_bind_parameter(first + 1, self.day.number())?;
        statement.raw_bind_parameter(first + 2, self.source.0)?;
        statement.raw_bind_parameter(first + 3, register.epoch)?;
        statement.raw_bind_parameter(first + 4, register.counts.map(|c| c.recorded))?;
        statement.raw_bind_parameter(first + 5, register.counts.map_or(0, |c| c.manual))?;
        statement.raw_bind_parameter(first + 6, read_here)?;
        statement.raw_bind_parameter(first + 7, reread as u8)?;
        statement.raw_bind_parameter(first + 8, offset.map(UtcOffset::minutes))?;
        statement.raw_bind_parameter(first + 9, self.cell.pending_since_ms())?;
        statement.raw_bind_parameter(first + 10, parked.map(Code::as_str))?;
        statement.raw_bind_parameter(first + 11, self.checksum())
    }

    fn sql() -> &'static Sql {
        static SQL: OnceLock<Sql> = OnceLock::new();
        SQL.get_or_init(Sql::of::<CellRow>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_a_row_is_pinned_in_every_form() {
        let mut cell = Cell::UNKNOWN;
        cell.register = Register { epoch: 2, counts: Some(Counts::new(8_500, 200)) };
        cell.offset = UtcOffset::from_minutes(540).ok();
        let sum = |cell: Cell| {
            let day = Day::from_ymd(2022, 10, 4).unwrap();
            CellRow { user: 1, day, source: SourceId(3), cell }.checksum()
        };
        let small = 1 | 1 << 4 | 2 << 8 | 540 << 24 | 3 << 40;
        let steps = 8_500 + (200 << 32);
        let bytes = |small| Checksum::of(1).int(1).int(19_269).packed(small).packed(steps);
        assert_eq!(sum(cell), bytes(small).finish());
        cell.set_pending_since(Some(7));
        assert_eq!(sum(cell), bytes(small | 1 << 5).int(7).finish());
        cell.set_pending_since(None);
        cell.parked = Some(Code::FutureDay);
        assert_eq!(sum(cell), bytes(small).text("future_day").finish());
    }
}
