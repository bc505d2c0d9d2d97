//! One user's facts in memory: `apply(operation, now) -> changes`.
//!
//! Every cell of a source lies in one array by day, so that a lookup is an index and ten years of a
//! source take 117 KB. What an operation touched is noted, so that a store writes those rows only.

use std::collections::BTreeMap;

use super::canary;
use super::cell::{Cell, From, LocalRead};
use super::code::{Code, Refusal};
use super::column::{Column, SourceEntry, SourceId};
use super::counter::{Baseline, Credit, Stood};
use super::day::{Day, Now};
use super::dirty::{Attendance, Dirty};
use super::fact::Fact;
use super::history::{Notes, Origin};
use super::level::LevelRules;
use super::register::Register;
use super::remark::{Event, Kind, Remark};
use super::steps::{
    BOOT_LEN_MAX, Correction, CounterReading, Counts, Deletion, RANKED_MAX, REASON_LEN_MAX, Reading,
    SOURCES_MAX, STEPS_MAX, Source,
};
use super::streak::Runs;
use super::timeline::{Change, DayTotals, Timeline};

/// Source names that a ledger takes from elsewhere. A server holds 16 a user, so that this is far beyond what an
/// honest one can send, and far from the end of the numbers that stand for names.
const SOURCES_ELSEWHERE_MAX: usize = 256 * SOURCES_MAX;

/// One thing that happens to a ledger.
#[derive(Debug, Clone, Copy)]
pub enum Operation<'a> {
    /// A local reading.
    Read(&'a Reading),
    /// The platform reported a deletion.
    Delete(&'a Deletion),
    /// A privileged correction.
    Correct(&'a Correction<'a>),
    /// The end of a correction.
    Unpin(Day, Source),
    /// A reading of a counter since boot.
    Count(&'a CounterReading<'a>),
    /// The person opened the app.
    Attend(Day),
    /// A fact that the server sent.
    Receive(&'a Fact),
    /// A fact of another ledger, as from a peer.
    Merge(&'a Fact),
    /// A fact that the server refused is to be sent again.
    Retry(&'a Fact),
    /// A fact that the server refused is given up; its value stays on this device.
    Discard(&'a Fact),
}

impl Operation<'_> {
    fn origin(&self) -> Origin {
        match self {
            Operation::Read(_) => Origin::Reading,
            Operation::Delete(_) => Origin::Deletion,
            Operation::Correct(correction) => Origin::Correction(correction.reason.to_owned()),
            Operation::Unpin(..) => Origin::Unpin,
            Operation::Count(_) => Origin::Counter,
            Operation::Attend(_) => Origin::Opened,
            // A fact that is sent again or given up keeps its value.
            Operation::Receive(_) | Operation::Retry(_) | Operation::Discard(_) => Origin::Server,
            Operation::Merge(_) => Origin::Peer,
        }
    }
}

/// What an operation did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct Applied {
    /// Every day that differs.
    pub changes: Vec<Change>,
    /// What a counter reading was worth; `None` for every other operation.
    pub credit: Option<Credit>,
}

/// One user's facts, and what follows from them.
#[derive(Clone, PartialEq, Eq)]
pub struct Ledger {
    pub(crate) sources: Vec<SourceEntry>,
    pub(crate) attendance: BTreeMap<Day, Attendance>,
    pub(crate) baselines: BTreeMap<SourceId, Baseline>,
    /// Where the counters of this device stood, if another of its users read one last: then `baselines` are past.
    pub(crate) counted_by_other: Option<Stood>,
    pub(crate) own_counts: BTreeMap<(SourceId, Day), u32>,
    pub(crate) remarks: BTreeMap<(Day, SourceId, Kind), Remark>,
    pub(crate) revision: u64,
    pub(super) attended: Runs,
    pub(super) timeline: Timeline,
    pub(super) pending: usize,
    pub(super) known_cells: usize,
    pub(super) touched: Vec<Day>,
    pub(crate) dirty: Dirty,
    pub(crate) notes: Notes,
}

impl std::fmt::Debug for Ledger {
    /// Names no steps: a ledger in a log is a person's health.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("sources", &self.sources.len()).finish_non_exhaustive()
    }
}

impl Ledger {
    /// A ledger without a fact.
    pub fn new(rules: LevelRules) -> Ledger {
        Ledger {
            sources: Vec::new(),
            attendance: BTreeMap::new(),
            baselines: BTreeMap::new(),
            counted_by_other: None,
            own_counts: BTreeMap::new(),
            remarks: BTreeMap::new(),
            revision: 0,
            attended: Runs::default(),
            timeline: Timeline::new(rules),
            pending: 0,
            known_cells: 0,
            touched: Vec::new(),
            dirty: Dirty::default(),
            notes: Notes::default(),
        }
    }

    /// A ledger from facts that a server keeps in a database of its own, at that server's revision.
    ///
    /// # Errors
    /// The refusal of the first fact outside the limits of section 8: a damaged row.
    pub fn load(
        rules: LevelRules,
        revision: u64,
        facts: impl IntoIterator<Item = Fact>,
    ) -> Result<Ledger, Refusal> {
        let mut ledger = Ledger::new(rules);
        for fact in facts {
            ledger.receive(&fact, From::Client, Now::on(fact.day()))?;
        }
        ledger.touched.clear();
        ledger.dirty = Dirty::default();
        ledger.revision = revision;
        ledger.rebuild();
        Ok(ledger)
    }

    /// Applies one operation and reports what it changed.
    ///
    /// # Errors
    /// A [`Refusal`], checked in the order `bad_value`, `bad_source`, `day_out_of_range`,
    /// `implausible_steps`, `too_many_sources`; then nothing changed.
    pub fn apply(&mut self, operation: Operation<'_>, now: Now) -> Result<Applied, Refusal> {
        let credit = self.stage(operation, now)?;
        Ok(Applied { changes: self.settle(), credit })
    }

    /// Applies an operation without working out the days; [`Ledger::settle`] must follow.
    pub(crate) fn stage(&mut self, operation: Operation<'_>, now: Now) -> Result<Option<Credit>, Refusal> {
        if self.notes.kept {
            (self.notes.origin, self.notes.at_ms) = (operation.origin(), now.unix_ms);
        }
        match operation {
            Operation::Read(reading) => self.read(reading, now).map(|()| None),
            Operation::Delete(deletion) => self.delete(deletion, now).map(|()| None),
            Operation::Correct(correction) => self.correct(correction, now).map(|()| None),
            Operation::Unpin(day, source) => self.unpin(day, source, now).map(|()| None),
            Operation::Count(reading) => self.count(reading, now).map(Some),
            Operation::Attend(day) => self.attend(day, now).map(|()| None),
            Operation::Receive(fact) => self.receive(fact, From::Server, now).map(|()| None),
            Operation::Merge(fact) => self.receive(fact, From::Peer, now).map(|()| None),
            Operation::Retry(fact) => {
                self.unpark(fact, true, now);
                Ok(None)
            }
            Operation::Discard(fact) => {
                self.unpark(fact, false, now);
                Ok(None)
            }
        }
    }

    /// Whether a register changed that is not yet worked out.
    pub(super) fn has_touched(&self) -> bool {
        !self.touched.is_empty()
    }

    /// Works out the days that were touched since the last call.
    pub(crate) fn settle(&mut self) -> Vec<Change> {
        let mut days = std::mem::take(&mut self.touched);
        days.sort_unstable();
        days.dedup();
        let totals: Vec<_> = days.into_iter().map(|day| (day, self.totals(day))).collect();
        self.timeline.apply(&totals)
    }

    fn read(&mut self, reading: &Reading, now: Now) -> Result<(), Refusal> {
        check_day(reading.day, now)?;
        reading.counts.check_reading()?;
        self.check_source(&reading.source)?;
        let id = self.intern(reading.source);
        self.mark_read(id);
        let read = LocalRead {
            said: reading.counts,
            extent: reading.extent,
            closed: reading.day < now.today,
            offset: reading.offset,
        };
        let (event, pinned) = self.edit(reading.day, id, |cell| {
            let event = cell.read(read, now.unix_ms);
            (event, cell.register.is_pinned())
        });
        // While a day is open, lower readings come and go with every look; only what they say about a
        // closed day or a pinned cell is worth a row.
        if let Some(event) = event.filter(|_| read.closed || pinned) {
            self.remark(reading.day, id, event, now.unix_ms);
        }
        Ok(())
    }

    fn delete(&mut self, deletion: &Deletion, now: Now) -> Result<(), Refusal> {
        check_day(deletion.day, now)?;
        deletion.left.map_or(Ok(()), Counts::check_register)?;
        self.check_source(&deletion.source)?;
        if self.source_id(&deletion.source).is_none() && deletion.left.is_none() {
            return Ok(());
        }
        let id = self.intern(deletion.source);
        if let Some(event) = self.edit(deletion.day, id, |cell| cell.delete(deletion.left, now.unix_ms))? {
            self.remark(deletion.day, id, event, now.unix_ms);
        }
        Ok(())
    }

    fn correct(&mut self, correction: &Correction<'_>, now: Now) -> Result<(), Refusal> {
        if correction.reason.len() > REASON_LEN_MAX {
            return Err(Refusal::BadValue { field: "reason", rule: "at most 200 bytes" });
        }
        check_day(correction.day, now)?;
        correction.to.map_or(Ok(()), Counts::check_register)?;
        self.check_source(&correction.source)?;
        let from = self.register(correction.day, &correction.source);
        from.next_pinned()?;
        let id = self.intern(correction.source);
        self.edit(correction.day, id, |cell| cell.correct(correction.to))?;
        let event =
            Event::Corrected { from: from.counts, to: correction.to, reason: correction.reason.to_owned() };
        self.remark(correction.day, id, event, now.unix_ms);
        Ok(())
    }

    fn unpin(&mut self, day: Day, source: Source, now: Now) -> Result<(), Refusal> {
        check_day(day, now)?;
        self.check_source(&source)?;
        let Some(id) = self.source_id(&source) else { return Ok(()) };
        if self.edit(day, id, Cell::unpin)? {
            self.remark(day, id, Event::Unpinned, now.unix_ms);
        }
        Ok(())
    }

    fn count(&mut self, reading: &CounterReading<'_>, now: Now) -> Result<Credit, Refusal> {
        if reading.boot.is_empty() || reading.boot.len() > BOOT_LEN_MAX {
            return Err(Refusal::BadValue { field: "boot", rule: "1 to 64 bytes" });
        }
        check_day(reading.day, now)?;
        self.check_source(&reading.source)?;
        let id = self.intern(reading.source);
        self.mark_read(id);
        self.take_counters();
        let credit = Credit::of(self.baselines.get(&id), reading.boot, reading.count);
        if credit.moves_baseline() {
            let baseline = Baseline { boot: reading.boot.to_owned(), count: reading.count };
            if self.baselines.get(&id) != Some(&baseline) {
                self.baselines.insert(id, baseline);
                self.dirty.baselines.push(id);
            }
        }
        // Also when it stood still: 0 steps of a day are known steps.
        if let Credit::Steps(steps) = credit {
            self.credit(reading, id, steps, now);
        }
        Ok(credit)
    }

    /// A device has one set of baselines, whoever reads its counters: this ledger goes on where another user left
    /// them, all of them, so that the next user can do the same.
    pub(super) fn take_counters(&mut self) {
        let Some(stood) = self.counted_by_other.take() else { return };
        self.dirty.baselines.extend(std::mem::take(&mut self.baselines).into_keys());
        for (source, baseline) in stood {
            // Where no room is left for its name, the counter's next reading is a first one: it credits nothing.
            if self.has_room_for(&source).is_ok() {
                let id = self.intern(source);
                self.baselines.insert(id, baseline);
                self.dirty.baselines.push(id);
            }
        }
    }

    /// Where the counters stood when this ledger read them last.
    pub(crate) fn counters(&self) -> Stood {
        let named = self.baselines.iter();
        named.filter_map(|(id, baseline)| Some((self.source_name(*id)?, baseline.clone()))).collect()
    }

    /// Adds counted steps to this device's own count of the day, which enters as a reading.
    fn credit(&mut self, reading: &CounterReading<'_>, id: SourceId, steps: u32, now: Now) {
        let register = self.cell(id, reading.day).register;
        if register.is_pinned() {
            return;
        }
        // The contract: the count starts from the cell's value, and an absent cell starts from 0 (also
        // one that a deletion made absent: what was deleted does not come back with the next step).
        let own = register
            .counts
            .map_or(0, |counts| self.own_counts.get(&(id, reading.day)).copied().unwrap_or(counts.recorded));
        let count = (own + steps).min(STEPS_MAX);
        if self.own_counts.insert((id, reading.day), count) != Some(count) {
            self.dirty.own_counts.push((id, reading.day));
        }
        let read = LocalRead {
            said: Counts::new(count, 0),
            extent: super::steps::Extent::Partial,
            closed: reading.day < now.today,
            offset: None,
        };
        self.edit(reading.day, id, |cell| cell.read(read, now.unix_ms));
    }

    fn attend(&mut self, day: Day, now: Now) -> Result<(), Refusal> {
        check_day(day, now)?;
        let pending = !canary::sings("attendance is never sent");
        self.add_attendance(day, pending.then_some(now.unix_ms));
        Ok(())
    }

    pub(super) fn add_attendance(&mut self, day: Day, pending_since_ms: Option<i64>) {
        if self.attendance.contains_key(&day) {
            return;
        }
        // As a cell keeps it: the smallest number stands for none there.
        let pending_since_ms = pending_since_ms.map(|ms| ms.max(i64::MIN + 1));
        self.attendance.insert(day, Attendance { pending_since_ms, parked: None });
        self.attended.insert(day);
        self.pending += usize::from(pending_since_ms.is_some());
        self.dirty.attendance.push(day);
        self.notes.note(day, None, Register::UNKNOWN);
    }

    fn receive(&mut self, fact: &Fact, from: From, now: Now) -> Result<(), Refusal> {
        fact.check()?;
        match fact {
            Fact::Cell { day, source, register } => {
                if self.source_id(source).is_none() {
                    if *register == Register::UNKNOWN {
                        return Ok(());
                    }
                    if self.sources.len() >= SOURCES_ELSEWHERE_MAX {
                        return Err(Refusal::TooManySources);
                    }
                }
                let id = self.intern(*source);
                self.edit(*day, id, |cell| cell.receive(*register, from, now.unix_ms));
            }
            Fact::Attended(day) => match from {
                From::Peer => self.add_attendance(*day, Some(now.unix_ms)),
                From::Server | From::Client => {
                    self.add_attendance(*day, None);
                    self.settle_attendance(*day, None);
                }
            },
        }
        Ok(())
    }

    /// Takes a fact from a client into a server's ledger. The server's half of the limits is in `ingest`.
    pub(crate) fn take(&mut self, fact: &Fact, now: Now) -> Result<(), Refusal> {
        self.receive(fact, From::Client, now)
    }

    /// The server answered exactly this fact: known there, or refused with a code. A fact that changed
    /// since stays pending: the value is its own fence.
    pub(crate) fn answer(&mut self, fact: &Fact, refused: Option<Code>) {
        match fact {
            // No fact: nothing is sent of an unknown cell, and nothing can be refused.
            Fact::Cell { register: Register::UNKNOWN, .. } => {}
            Fact::Cell { day, source, register } => {
                let Some(id) = self.source_id(source) else { return };
                self.edit(*day, id, |cell| {
                    if cell.register == *register || canary::sings("receipt clears what changed since") {
                        match refused {
                            Some(_) if canary::sings("refused facts are dropped") => cell.settle(),
                            Some(_) if canary::sings("refused facts stay pending") => {}
                            Some(code) => cell.park(code),
                            None => cell.settle(),
                        }
                    }
                });
            }
            Fact::Attended(day) => self.settle_attendance(*day, refused),
        }
    }

    /// Takes a refused fact out of the parked ones: to be sent again, or given up. Given up, its value stays
    /// on this device. A fact that is not parked as it is given stays as it is.
    fn unpark(&mut self, fact: &Fact, again: bool, now: Now) {
        if self.parked_code(fact).is_none() {
            return;
        }
        match fact {
            Fact::Cell { day, source, register } => {
                let Some(id) = self.source_id(source) else { return };
                self.edit(*day, id, |cell| match (cell.register == *register, again) {
                    (true, true) => cell.retry(now.unix_ms),
                    (true, false) => cell.settle(),
                    (false, _) => {}
                });
            }
            Fact::Attended(day) if again => {
                let Some(mark) = self.attendance.get_mut(day) else { return };
                *mark = Attendance { pending_since_ms: Some(now.unix_ms), parked: None };
                self.pending += 1;
                self.dirty.attendance.push(*day);
            }
            Fact::Attended(day) => self.settle_attendance(*day, None),
        }
    }

    fn settle_attendance(&mut self, day: Day, parked: Option<Code>) {
        let Some(mark) = self.attendance.get_mut(&day) else { return };
        let settled = Attendance { pending_since_ms: None, parked };
        if *mark != settled {
            self.pending -= usize::from(mark.pending_since_ms.is_some());
            *mark = settled;
            self.dirty.attendance.push(day);
        }
    }

    /// Edits a cell and notes what that touched. A cell that stays unknown is not created.
    pub(super) fn edit<T>(&mut self, day: Day, id: SourceId, f: impl FnOnce(&mut Cell) -> T) -> T {
        let before = self.cell(id, day);
        let mut cell = before;
        let result = f(&mut cell);
        if cell != before {
            self.put_cell(id, day, cell);
            self.pending = self.pending + usize::from(cell.is_pending()) - usize::from(before.is_pending());
            self.dirty.cells.push((day, id));
            if cell.register != before.register {
                self.touched.push(day);
                self.notes.note(day, Some(id), before.register);
            }
        }
        result
    }

    pub(super) fn put_cell(&mut self, id: SourceId, day: Day, cell: Cell) {
        let is_new = self.entry(id).cells.set(day, cell);
        self.known_cells += usize::from(is_new);
    }

    pub(super) fn remark(&mut self, day: Day, id: SourceId, event: Event, at_ms: i64) {
        let key = (day, id, event.kind());
        // What changed nothing is kept as first seen; what changed something, as last.
        let again = matches!(event, Event::Reading { .. } | Event::DeletionIgnored { .. } | Event::SetAside)
            && self.remarks.get(&key).is_some_and(|known| known.event == event);
        if !again {
            self.remarks.insert(key, Remark { at_ms, event });
            self.dirty.remarks.push(key);
        }
    }

    fn check_source(&self, source: &Source) -> Result<(), Refusal> {
        let fits = self.sources.len() < SOURCES_MAX || self.source_id(source).is_some();
        if fits { Ok(()) } else { Err(Refusal::TooManySources) }
    }

    /// Whether a new source name may still come, as a server asks of ingested registers.
    pub(crate) fn has_room_for(&self, source: &Source) -> Result<(), Refusal> {
        self.check_source(source)
    }

    pub(crate) fn source_id(&self, source: &Source) -> Option<SourceId> {
        // At most a few names: a scan beats a map.
        let index = self.sources.iter().position(|entry| entry.name == *source)?;
        u16::try_from(index).ok().map(SourceId)
    }

    pub(super) fn intern(&mut self, name: Source) -> SourceId {
        if let Some(id) = self.source_id(&name) {
            return id;
        }
        // Registers from elsewhere may bring more than SOURCES_MAX names, never 65,536: a user's
        // server holds 16.
        let id = SourceId(u16::try_from(self.sources.len()).unwrap_or(u16::MAX));
        self.sources.push(SourceEntry { name, read_by_device: false, cells: Column::default() });
        self.dirty.sources.push(id);
        id
    }

    pub(super) fn mark_read(&mut self, id: SourceId) {
        let entry = self.entry(id);
        if !entry.read_by_device {
            entry.read_by_device = true;
            self.dirty.sources.push(id);
        }
    }

    pub(super) fn entry(&mut self, id: SourceId) -> &mut SourceEntry {
        &mut self.sources[usize::from(id.0)]
    }

    /// The cell; an unknown one where there is none.
    pub(crate) fn cell(&self, id: SourceId, day: Day) -> Cell {
        self.sources
            .get(usize::from(id.0))
            .and_then(|entry| entry.cells.get(day))
            .copied()
            .unwrap_or(Cell::UNKNOWN)
    }

    /// The cells of a day with their sources, in the order of the sources' first appearance.
    pub(crate) fn cells_of(&self, day: Day) -> impl Iterator<Item = (SourceId, &SourceEntry, &Cell)> {
        (0..)
            .map(SourceId)
            .zip(&self.sources)
            .filter_map(move |(id, entry)| Some((id, entry, entry.cells.get(day)?)))
    }

    /// What counts of a day: the most that any source says, never the sum. While a cell is pinned only
    /// the pinned ones count.
    pub(super) fn totals(&self, day: Day) -> Option<DayTotals> {
        let mut open: Option<DayTotals> = None;
        let mut pinned: Option<DayTotals> = None;
        let mut any_pinned = false;
        for entry in &self.sources {
            let Some(cell) = entry.cells.get(day) else { continue };
            any_pinned |= cell.register.is_pinned();
            if let Some(counts) = cell.register.counts {
                let best = if cell.register.is_pinned() { &mut pinned } else { &mut open };
                let known = best.unwrap_or_default();
                let shown = u32::try_from(counts.sum()).unwrap_or(u32::MAX).min(STEPS_MAX);
                let ranked = counts.recorded.min(RANKED_MAX);
                let ranked =
                    if canary::sings("ranked steps without their cap") { counts.recorded } else { ranked };
                let added = if canary::sings("sources of a day are added") { known.shown } else { 0 };
                let shown = shown + added;
                *best = Some(DayTotals { shown: known.shown.max(shown), ranked: known.ranked.max(ranked) });
            }
        }
        if any_pinned { pinned } else { open }
    }
}

fn check_day(day: Day, now: Now) -> Result<(), Refusal> {
    if day.is_storable() && day <= now.today.next() { Ok(()) } else { Err(Refusal::DayOutOfRange) }
}
