//! The cells of one source, by day.

use std::collections::VecDeque;

use super::cell::Cell;
use super::day::Day;
use super::steps::Source;

/// The index of a source within a ledger; never reused, and the same in its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SourceId(pub(crate) u16);

/// A source of a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceEntry {
    pub(crate) name: Source,
    /// Whether this device ever read it.
    pub(crate) read_by_device: bool,
    pub(super) cells: Column,
}

/// The cells of one source by day, without a hole in memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Column {
    pub(super) first: i32,
    pub(super) cells: VecDeque<Option<Cell>>,
}

impl Column {
    pub(super) fn get(&self, day: Day) -> Option<&Cell> {
        let index = usize::try_from(day.number() - self.first).ok()?;
        self.cells.get(index)?.as_ref()
    }

    /// Sets a cell; says whether it is a new one.
    pub(super) fn set(&mut self, day: Day, cell: Cell) -> bool {
        if self.cells.is_empty() {
            self.first = day.number();
        }
        while day.number() < self.first {
            self.cells.push_front(None);
            self.first -= 1;
        }
        let index = usize::try_from(day.number() - self.first).unwrap_or(0);
        if index >= self.cells.len() {
            self.cells.resize(index + 1, None);
        }
        self.cells[index].replace(cell).is_none()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Day, &Cell)> {
        (self.first..)
            .zip(&self.cells)
            .filter_map(|(n, cell)| Some((Day::from_number(n).ok()?, cell.as_ref()?)))
    }
}
