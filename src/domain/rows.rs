//! A ledger as rows: loading them, and taking those that differ. What a store needs, and nothing else.

use super::cell::{Cell, Reread};
use super::column::{Column, SourceEntry, SourceId};
use super::day::Day;
use super::dirty::{Attendance, Dirty, RowCounts};
use super::fact::Fact;
use super::ledger::Ledger;
use super::register::Register;
use super::remark::Event;
use super::steps::Source;
use super::timeline::Timeline;

/// What a store does: load rows, take the changed ones, forget what another device knew.
impl Ledger {
    pub(crate) fn load_source(&mut self, name: Source, read_by_device: bool) {
        self.sources.push(SourceEntry { name, read_by_device, cells: Column::default() });
    }

    pub(crate) fn load_cell(&mut self, day: Day, id: SourceId, cell: Cell) {
        self.pending += usize::from(cell.is_pending());
        self.put_cell(id, day, cell);
    }

    pub(crate) fn load_attendance(&mut self, day: Day, mark: Attendance) {
        self.pending += usize::from(mark.pending_since_ms.is_some());
        self.attendance.insert(day, mark);
        self.attended.insert(day);
    }

    /// Every known cell, by source and then day.
    pub(crate) fn each_cell(&self) -> impl Iterator<Item = (SourceId, Day, &Cell)> {
        (0..)
            .map(SourceId)
            .zip(&self.sources)
            .flat_map(|(id, entry)| entry.cells.iter().map(move |(day, cell)| (id, day, cell)))
    }

    /// The fact of a cell, or without a source of an attended day; `None` for a source that has no name.
    pub(crate) fn fact_of(&self, day: Day, source: Option<SourceId>, register: Register) -> Option<Fact> {
        match source {
            None => Some(Fact::Attended(day)),
            Some(id) => Some(Fact::Cell { day, source: self.source_name(id)?, register }),
        }
    }

    pub(crate) fn source_name(&self, id: SourceId) -> Option<Source> {
        self.sources.get(usize::from(id.0)).map(|entry| entry.name)
    }

    /// How many rows of each kind there are.
    pub(crate) fn row_counts(&self) -> RowCounts {
        RowCounts {
            cells: self.known_cells,
            attended: self.attendance.len(),
            sources: self.sources.len(),
            baselines: self.baselines.len(),
            own_counts: self.own_counts.len(),
            remarks: self.remarks.len(),
        }
    }

    /// Whether a store holds everything as it is.
    pub(crate) fn is_saved(&self) -> bool {
        self.dirty.is_empty()
    }

    /// Notes every row as differing: for a new file that takes over what could be saved of an old one.
    pub(crate) fn mark_all_dirty(&mut self) {
        self.dirty = Dirty {
            revision: true,
            sources: (0..).map(SourceId).take(self.sources.len()).collect(),
            cells: self.each_cell().map(|(id, day, _)| (day, id)).collect(),
            attendance: self.attendance.keys().copied().collect(),
            baselines: self.baselines.keys().copied().collect(),
            own_counts: self.own_counts.keys().copied().collect(),
            remarks: self.remarks.keys().copied().collect(),
        };
    }

    /// The full fold over what was loaded.
    pub(crate) fn rebuild(&mut self) {
        let columns =
            || self.sources.iter().map(|entry| &entry.cells).filter(|column| !column.cells.is_empty());
        let first = columns().map(|c| c.first).min().unwrap_or(0);
        let end = columns().map(|c| c.first + i32::try_from(c.cells.len()).unwrap_or(0)).max().unwrap_or(0);
        let days = (first..end).filter_map(|n| Day::from_number(n).ok());
        let logged = days.filter_map(|day| Some((day, self.totals(day)?)));
        self.timeline = Timeline::build(*self.timeline.rules(), logged);
    }

    /// The rows that differ from what the store holds, each once and in key order.
    pub(crate) fn take_dirty(&mut self) -> Dirty {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.sort();
        dirty
    }

    /// The server lost what it knew: every fact that it did not refuse is pending again.
    pub(crate) fn send_all_again(&mut self, now_ms: i64) {
        let cells: Vec<(Day, SourceId)> = self.each_cell().map(|(id, day, _)| (day, id)).collect();
        for (day, id) in cells {
            self.edit(day, id, |cell| cell.send_again(now_ms));
        }
        for (day, mark) in &mut self.attendance {
            if mark.parked.is_none() && mark.pending_since_ms.is_none() {
                mark.pending_since_ms = Some(now_ms);
                self.pending += 1;
                self.dirty.attendance.push(*day);
            }
        }
    }

    /// How many facts there are of each kind, and how many wait: differs when a receipt brought or cleared one.
    pub(crate) fn sizes(&self) -> [usize; 3] {
        [self.known_cells, self.attendance.len(), self.pending]
    }

    /// This file came from another device's backup: what that device read and counted is not known here.
    pub(crate) fn forget_device(&mut self) {
        for (id, entry) in (0..).map(SourceId).zip(&mut self.sources) {
            if std::mem::take(&mut entry.read_by_device) {
                self.dirty.sources.push(id);
            }
            let days: Vec<Day> =
                entry.cells.iter().filter(|(_, c)| c.read_here).map(|(day, _)| day).collect();
            for day in days {
                if let Some(mut cell) = entry.cells.get(day).copied() {
                    cell.read_here = false;
                    entry.cells.set(day, cell);
                    self.dirty.cells.push((day, id));
                }
            }
        }
        self.dirty.baselines.extend(std::mem::take(&mut self.baselines).into_keys());
        self.dirty.own_counts.extend(std::mem::take(&mut self.own_counts).into_keys());
    }

    /// A row of this cell was unreadable: the day waits for a full reading.
    pub(crate) fn note_set_aside(&mut self, day: Day, id: SourceId) {
        self.edit(day, id, |cell| cell.reread = Reread::Always);
        // Nobody saw it happen: the time is unknown.
        self.remark(day, id, Event::SetAside, 0);
    }
}
