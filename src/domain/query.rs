//! What a ledger answers.

use serde::Serialize;

use super::cell::{Cell, Reread};
use super::code::Code;
use super::day::Day;
use super::dirty::Attendance;
use super::fact::{Fact, Refused};
use super::ledger::Ledger;
use super::level::Level;
use super::register::Register;
use super::stats::{self, StatRules, Statistics};
use super::steps::Source;
use super::timeline::{DayState, Timeline};

/// A cell with its place, as data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CellView {
    /// The day.
    pub day: Day,
    /// The source.
    pub source: Source,
    /// The correction counter.
    pub epoch: u16,
    /// Measured steps; `None` is absent.
    pub recorded: Option<u32>,
    /// Typed-in steps.
    pub manual: u32,
    /// Whether the value was read on this device.
    pub read_here: bool,
    /// Whether the day waits for a full reading.
    pub reread: bool,
    /// The offset that bounded the day, in minutes.
    pub offset_minutes: Option<i16>,
    /// Since when it waits to be known at the server, in Unix milliseconds.
    pub pending_since_ms: Option<i64>,
    /// Why the server refused it.
    pub parked: Option<Code>,
}
/// What a ledger answers.
impl Ledger {
    /// The register of a cell; an unknown cell is `(0, absent)`.
    pub fn register(&self, day: Day, source: &Source) -> Register {
        self.source_id(source).map_or(Register::UNKNOWN, |id| self.cell(id, day).register)
    }

    /// The sources, in the order of their first appearance.
    pub fn source_names(&self) -> impl Iterator<Item = Source> + '_ {
        self.sources.iter().map(|entry| entry.name)
    }

    /// The known cells, by day and then by the name of the source.
    pub fn cells(&self) -> Vec<CellView> {
        let mut cells: Vec<CellView> = self
            .sources
            .iter()
            .flat_map(|entry| entry.cells.iter().map(move |(day, cell)| view(day, entry.name, cell)))
            .collect();
        cells.sort_unstable_by_key(|cell| (cell.day, cell.source));
        cells
    }

    /// All facts: registers by day and source, then attended days. `(0, absent)` is not a fact.
    pub fn facts(&self) -> Vec<Fact> {
        self.collect_facts(|_| true, |_| true)
    }

    /// The facts that are not yet known to be at the server, newest day first.
    pub fn pending(&self) -> Vec<Fact> {
        let mut facts = self.collect_facts(Cell::is_pending, |mark| mark.pending_since_ms.is_some());
        // Stable: within a day the order of `facts` stays.
        facts.sort_by_key(|fact| std::cmp::Reverse(fact.day()));
        facts
    }

    /// How many facts are pending.
    pub fn pending_count(&self) -> usize {
        self.pending
    }

    /// Since when the oldest pending fact of a day up to this one waits, in Unix milliseconds.
    pub fn oldest_pending_ms(&self, latest: Day) -> Option<i64> {
        let cells = self.sources.iter().flat_map(|entry| entry.cells.iter());
        let cells = cells.map(|(day, cell)| (day, cell.pending_since_ms()));
        let days = self.attendance.iter().map(|(day, mark)| (*day, mark.pending_since_ms));
        cells.chain(days).filter(|(day, _)| *day <= latest).filter_map(|(_, since_ms)| since_ms).min()
    }

    /// The facts that the server refused, with its reasons: kept, visible, out of the way of the others.
    pub fn parked(&self) -> Vec<Refused> {
        let parked = self.collect_facts(|cell| cell.parked.is_some(), |mark| mark.parked.is_some());
        let refused =
            parked.into_iter().filter_map(|fact| Some(Refused { fact, code: self.parked_code(&fact)? }));
        refused.collect()
    }

    pub(super) fn parked_code(&self, fact: &Fact) -> Option<Code> {
        match fact {
            Fact::Cell { day, source, .. } => self.cell(self.source_id(source)?, *day).parked,
            Fact::Attended(day) => self.attendance.get(day)?.parked,
        }
    }

    fn collect_facts(
        &self,
        cell: impl Fn(&Cell) -> bool,
        attended: impl Fn(&Attendance) -> bool,
    ) -> Vec<Fact> {
        let mut facts: Vec<(Day, Source, Register)> = Vec::new();
        for entry in &self.sources {
            let cells = entry.cells.iter().filter(|(_, c)| c.register != Register::UNKNOWN && cell(c));
            facts.extend(cells.map(|(day, c)| (day, entry.name, c.register)));
        }
        facts.sort_unstable_by_key(|(day, source, _)| (*day, *source));
        let cells = facts.into_iter().map(|(day, source, register)| Fact::Cell { day, source, register });
        let days =
            self.attendance.iter().filter(|(_, mark)| attended(mark)).map(|(day, _)| Fact::Attended(*day));
        cells.chain(days).collect()
    }

    /// The (day, source) pairs that want a full reading.
    pub fn to_reread(&self) -> Vec<(Day, Source)> {
        let mut list: Vec<_> = self
            .sources
            .iter()
            .flat_map(|entry| {
                let least = if entry.read_by_device { Reread::IfRead } else { Reread::Always };
                entry
                    .cells
                    .iter()
                    .filter(move |(_, c)| c.reread >= least)
                    .map(move |(day, _)| (day, entry.name))
            })
            .collect();
        list.sort_unstable();
        list
    }

    /// A logged day with its levels.
    pub fn day(&self, day: Day) -> Option<DayState> {
        self.timeline.get(day)
    }

    /// The logged days of a half-open range, ascending.
    pub fn days(&self, range: std::ops::Range<Day>) -> impl Iterator<Item = (Day, DayState)> + '_ {
        self.timeline.days(range)
    }

    /// Whether the person opened the app on a day.
    pub fn attended(&self, day: Day) -> bool {
        self.attendance.contains_key(&day)
    }

    /// All days in order, with their levels.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// The level of a day, or the initial level it would have.
    pub fn current_level(&self, as_of: Day) -> Level {
        self.timeline.current_level(as_of)
    }

    /// The statistics as of a day.
    pub fn statistics(&self, rules: StatRules, as_of: Day) -> Statistics {
        stats::statistics(&self.timeline, &self.attended, rules, as_of)
    }

    /// The revision up to which this ledger knows the server's, or the server's own.
    pub fn revision(&self) -> u64 {
        self.revision
    }
}

pub(crate) fn view(day: Day, source: Source, cell: &Cell) -> CellView {
    CellView {
        day,
        source,
        epoch: cell.register.epoch,
        recorded: cell.register.counts.map(|c| c.recorded),
        manual: cell.register.counts.map_or(0, |c| c.manual),
        read_here: cell.read_here,
        reread: cell.reread != Reread::No,
        offset_minutes: cell.offset.map(super::day::UtcOffset::minutes),
        pending_since_ms: cell.pending_since_ms(),
        parked: cell.parked,
    }
}
