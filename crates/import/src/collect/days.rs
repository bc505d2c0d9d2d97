//! The sums of days, a (person, source, report, day) each.

use std::collections::HashMap;

use super::{CELLS_MAX, LineKind};
use crate::error::{ImportError, Result};
use crate::record::How;

/// Where steps belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct CellKey {
    pub(super) person: u32,
    pub(super) source: u32,
    pub(super) report: u32,
    /// Days since 1970-01-01.
    pub(super) day: i32,
}

/// What one piece of a record gives to a day.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) steps: u32,
    /// The printed offset in minutes, where the line has one.
    pub(super) offset: i16,
    /// Whether the record is longer than a day.
    pub(super) long: bool,
}

/// The offset by which moments became a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Bound {
    /// Wall time or a stated day: not known.
    #[default]
    Unknown,
    /// The zone of the import.
    Zone,
    /// This printed offset, in minutes.
    Printed(i16),
    /// Several printed offsets.
    Mixed,
}

/// Wall time, Unix time and time since a start.
const LINES: usize = 3;

/// Everything that one report of one source says of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sums {
    /// Steps by who counted and on which line of time: what has no common line is not added.
    measured: [Option<u64>; LINES],
    typed: [Option<u64>; LINES],
    stated_measured: Option<u32>,
    stated_typed: Option<u32>,
    pub(super) bound: Bound,
    pub(super) long: bool,
}

impl Sums {
    /// Measured and typed-in steps: the most that the records and the stated total say.
    pub(super) fn counts(&self) -> (u64, u64) {
        let most = |sums: [Option<u64>; LINES], stated: Option<u32>| {
            sums.into_iter().chain([stated.map(u64::from)]).flatten().max().unwrap_or(0)
        };
        (most(self.measured, self.stated_measured), most(self.typed, self.stated_typed))
    }

    /// Whether the export states the day's total.
    pub(super) fn is_stated(&self) -> bool {
        self.stated_measured.is_some() || self.stated_typed.is_some()
    }
}

/// The sums of all days.
#[derive(Default)]
pub(super) struct Days {
    cells: HashMap<CellKey, Sums>,
}

impl Days {
    fn cell(&mut self, key: CellKey) -> Result<&mut Sums> {
        if self.cells.len() >= CELLS_MAX && !self.cells.contains_key(&key) {
            return Err(ImportError::Records(format!(
                "the files hold more than {CELLS_MAX} days of people and sources; take one person at a time"
            )));
        }
        Ok(self.cells.entry(key).or_default())
    }

    /// A day's total that the export states; of several the largest counts.
    pub(super) fn stated(&mut self, key: CellKey, how: How, steps: u32) -> Result<()> {
        let sums = self.cell(key)?;
        let stated = match how {
            How::Measured => &mut sums.stated_measured,
            How::Typed => &mut sums.stated_typed,
        };
        *stated = (*stated).max(Some(steps));
        Ok(())
    }

    /// What a piece of a record adds.
    pub(super) fn walked(&mut self, key: CellKey, kind: LineKind, how: How, part: Part) -> Result<()> {
        let sums = self.cell(key)?;
        let lines = match how {
            How::Measured => &mut sums.measured,
            How::Typed => &mut sums.typed,
        };
        let line = &mut lines[match kind {
            LineKind::Wall => 0,
            LineKind::Printed | LineKind::Zoned => 1,
            LineKind::Uptime(_) => 2,
        }];
        *line = Some(line.unwrap_or(0) + u64::from(part.steps));
        sums.long |= part.long;
        sums.bound = match (kind, sums.bound) {
            (LineKind::Wall | LineKind::Uptime(_), bound) => bound,
            (LineKind::Zoned, _) => Bound::Zone,
            (LineKind::Printed, Bound::Unknown) => Bound::Printed(part.offset),
            (LineKind::Printed, Bound::Printed(known)) if known == part.offset => Bound::Printed(known),
            (LineKind::Printed, _) => Bound::Mixed,
        };
        Ok(())
    }

    /// All sums, in the order of their keys.
    pub(super) fn into_sorted(self) -> Vec<(CellKey, Sums)> {
        let mut cells: Vec<(CellKey, Sums)> = self.cells.into_iter().collect();
        cells.sort_unstable_by_key(|(key, _)| *key);
        cells
    }
}
