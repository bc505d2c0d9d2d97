//! Which rows of a ledger differ from what its store holds, and how many there are.

use super::code::Code;
use super::column::SourceId;
use super::day::Day;
use super::remark::Kind;

/// An attended day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attendance {
    pub(crate) pending_since_ms: Option<i64>,
    pub(crate) parked: Option<Code>,
}

/// How many rows of each kind a ledger has, so that a store notices one that vanished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RowCounts {
    pub(crate) cells: usize,
    pub(crate) attended: usize,
    pub(crate) sources: usize,
    pub(crate) baselines: usize,
    pub(crate) own_counts: usize,
    pub(crate) remarks: usize,
}

/// The rows that differ from what the store holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Dirty {
    pub(crate) revision: bool,
    pub(crate) sources: Vec<SourceId>,
    pub(crate) cells: Vec<(Day, SourceId)>,
    pub(crate) attendance: Vec<Day>,
    pub(crate) baselines: Vec<SourceId>,
    pub(crate) own_counts: Vec<(SourceId, Day)>,
    pub(crate) remarks: Vec<(Day, SourceId, Kind)>,
}

impl Dirty {
    pub(super) fn is_empty(&self) -> bool {
        *self == Dirty::default()
    }

    pub(super) fn sort(&mut self) {
        fn unique<T: Ord>(rows: &mut Vec<T>) {
            rows.sort_unstable();
            rows.dedup();
        }
        unique(&mut self.sources);
        unique(&mut self.cells);
        unique(&mut self.attendance);
        unique(&mut self.baselines);
        unique(&mut self.own_counts);
        unique(&mut self.remarks);
    }
}
