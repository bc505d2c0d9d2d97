//! One ledger, of a device or of a server: cells, attendance, and what is known about their delivery.
//!
//! Sections 2, 3, 6 and 8, rule by rule.

use std::collections::{BTreeMap, BTreeSet};

use super::fact::{DayNumber, Item, SourceNumber, Value};
use super::limits;

/// Why something was refused; then nothing changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Refused {
    /// An offset outside -720 to 840 minutes.
    BadValue,
    /// A day outside the range of section 2, or later than tomorrow.
    DayOutOfRange,
    /// More steps than a day can have.
    ImplausibleSteps,
    /// A new source name where there are 16.
    TooManySources,
    /// No epoch is left in the cell.
    TooManyCorrections,
    /// On a server: a day later than today at UTC+14.
    FutureDay,
    /// On a server: an epoch that a client may not give.
    EpochNotAllowed,
}

impl Refused {
    /// The code of section 8.
    pub fn code(self) -> &'static str {
        match self {
            Refused::BadValue => "bad_value",
            Refused::DayOutOfRange => "day_out_of_range",
            Refused::ImplausibleSteps => "implausible_steps",
            Refused::TooManySources => "too_many_sources",
            Refused::TooManyCorrections => "too_many_corrections",
            Refused::FutureDay => "future_day",
            Refused::EpochNotAllowed => "epoch_not_allowed",
        }
    }
}

/// Why a cell waits for a full reading.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reread {
    /// Its even epoch rose from outside. Listed only if this device ever read the source.
    pub risen: bool,
    /// A deletion was ignored only because the value was not read here.
    pub deletion_ignored: bool,
}

impl Reread {
    /// Nothing to read again.
    pub const NO: Reread = Reread { risen: false, deletion_ignored: false };
}

/// What is known about one cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mark {
    /// The register.
    pub value: Value,
    /// Whether a local reading said exactly this.
    pub read_here: bool,
    /// The offset of the reading that last left the register equal to what it said, in minutes.
    pub offset: Option<i16>,
    /// Whether the register is not yet known to be at the server.
    pub pending: bool,
    /// The code with which the server refused the register.
    pub parked: Option<&'static str>,
    /// Why it waits for a full reading.
    pub reread: Reread,
}

impl Mark {
    /// The register is new to the server.
    fn waits_for_server(&mut self) {
        self.pending = true;
        self.parked = None;
    }

    /// The server has the register, or nobody is to send it.
    fn settled(&mut self) {
        self.pending = false;
        self.parked = None;
    }

    /// A register from elsewhere is joined, whoever sent it. Says whether it changed the cell.
    fn join(&mut self, came: Value) -> bool {
        let before = self.value;
        self.value = before.join(came);
        if self.value == before {
            return false;
        }
        self.read_here = false;
        if self.value.is_pinned() {
            self.reread = Reread::NO;
        } else if self.value.epoch > before.epoch {
            self.reread.risen = true;
        }
        true
    }
}

/// All cells and attendance of one user, in one place.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Replica {
    /// What is known about each cell. A `(0, absent)` here is not a fact.
    pub cells: BTreeMap<(DayNumber, SourceNumber), Mark>,
    /// The attended days: whether it is pending, and the code with which the server refused it.
    pub attended: BTreeMap<DayNumber, (bool, Option<&'static str>)>,
    /// The source names that this ledger has, for the limit of 16.
    pub sources: BTreeSet<SourceNumber>,
    /// The sources that this device ever read.
    pub read_sources: BTreeSet<SourceNumber>,
    /// Where each counter stood: its boot, and the count since then. Per device, never sent.
    pub baselines: BTreeMap<SourceNumber, (u32, u32)>,
    /// This device's own counts of days. Per device, never sent.
    pub own_counts: BTreeMap<(DayNumber, SourceNumber), u32>,
}

/// What happens on the device itself.
impl Replica {
    /// A local reading.
    ///
    /// # Errors
    /// The codes of section 8, in its order.
    #[expect(
        clippy::too_many_arguments,
        reason = "a reading is all of this, and plain numbers are the point"
    )]
    pub fn read(
        &mut self,
        day: DayNumber,
        source: SourceNumber,
        recorded: u32,
        manual: u32,
        full: bool,
        offset: Option<i16>,
        today: DayNumber,
    ) -> Result<(), Refused> {
        if offset.is_some_and(|minutes| minutes < limits::OFFSETS.0 || minutes > limits::OFFSETS.1) {
            return Err(Refused::BadValue);
        }
        limits::check_day(day, today)?;
        if u64::from(recorded) + u64::from(manual) > u64::from(limits::STEPS) {
            return Err(Refused::ImplausibleSteps);
        }
        self.check_source(source)?;
        self.sources.insert(source);
        self.read_sources.insert(source);
        self.enter(day, source, (recorded, manual), full, offset, today);
        Ok(())
    }

    /// What a reading that passed the checks does to its cell.
    fn enter(
        &mut self,
        day: DayNumber,
        source: SourceNumber,
        said: (u32, u32),
        full: bool,
        offset: Option<i16>,
        today: DayNumber,
    ) {
        let mark = self.cells.entry((day, source)).or_default();
        let before = mark.value;
        if before.is_pinned() {
            return;
        }
        let lower = match before.counts {
            None => false,
            Some((recorded, manual)) => said.0 < recorded || said.1 < manual,
        };
        let closed = day < today;
        let offsets_differ = match (offset, mark.offset) {
            (Some(one), Some(other)) => one != other,
            _ => false,
        };
        let replaces = full
            && closed
            && lower
            && said.0 + said.1 > 0
            && !offsets_differ
            && mark.read_here
            && before.epoch < limits::LAST_OPEN_EPOCH;
        mark.value = if replaces {
            Value { epoch: before.epoch + 2, counts: Some(said) }
        } else {
            before.join(Value { epoch: before.epoch, counts: Some(said) })
        };
        if mark.value.counts == Some(said) {
            mark.read_here = true;
            if offset.is_some() {
                mark.offset = offset;
            }
        }
        if full {
            mark.reread = Reread::NO;
        }
        if mark.value != before {
            mark.waits_for_server();
        }
    }

    /// The platform reported a deletion, and what is left after it.
    ///
    /// # Errors
    /// The codes of section 8, in its order; `too_many_corrections` at the last open epoch.
    pub fn delete(
        &mut self,
        day: DayNumber,
        source: SourceNumber,
        left: Option<(u32, u32)>,
        today: DayNumber,
    ) -> Result<(), Refused> {
        limits::check_day(day, today)?;
        limits::check_counts(left)?;
        self.check_source(source)?;
        let mut mark = self.mark(day, source);
        if mark.value.is_pinned() || left == mark.value.counts {
            return Ok(());
        }
        if mark.read_here {
            if mark.value.epoch == limits::LAST_OPEN_EPOCH {
                return Err(Refused::TooManyCorrections);
            }
            mark.value = Value { epoch: mark.value.epoch + 2, counts: left };
            mark.reread = Reread::NO;
            mark.waits_for_server();
        } else {
            mark.reread.deletion_ignored = true;
        }
        self.put(day, source, mark);
        Ok(())
    }

    /// A correction, which pins. The server is where it is made, so it is not pending.
    ///
    /// # Errors
    /// The codes of section 8, in its order; `too_many_corrections` when no odd epoch is left.
    pub fn correct(
        &mut self,
        day: DayNumber,
        source: SourceNumber,
        to: Option<(u32, u32)>,
        today: DayNumber,
    ) -> Result<(), Refused> {
        limits::check_day(day, today)?;
        limits::check_counts(to)?;
        self.check_source(source)?;
        let mut mark = self.mark(day, source);
        let up = if mark.value.is_pinned() { 2 } else { 1 };
        let epoch = mark.value.epoch.checked_add(up).ok_or(Refused::TooManyCorrections)?;
        mark.value = Value { epoch, counts: to };
        mark.read_here = false;
        mark.reread = Reread::NO;
        mark.settled();
        self.put(day, source, mark);
        Ok(())
    }

    /// The end of a correction. It is not pending either.
    ///
    /// # Errors
    /// The codes of section 8, in its order; `too_many_corrections` when no even epoch is left.
    pub fn unpin(&mut self, day: DayNumber, source: SourceNumber, today: DayNumber) -> Result<(), Refused> {
        limits::check_day(day, today)?;
        self.check_source(source)?;
        let mut mark = self.mark(day, source);
        if !mark.value.is_pinned() {
            return Ok(());
        }
        mark.value.epoch = mark.value.epoch.checked_add(1).ok_or(Refused::TooManyCorrections)?;
        mark.settled();
        self.put(day, source, mark);
        Ok(())
    }

    /// The person opened the app.
    ///
    /// # Errors
    /// `day_out_of_range`.
    pub fn attend(&mut self, day: DayNumber, today: DayNumber) -> Result<(), Refused> {
        limits::check_day(day, today)?;
        self.attended.entry(day).or_insert((true, None));
        Ok(())
    }

    /// A reading of a counter since boot.
    ///
    /// # Errors
    /// The codes of section 8, in its order.
    pub fn count(
        &mut self,
        day: DayNumber,
        source: SourceNumber,
        boot: u32,
        counter: u32,
        today: DayNumber,
    ) -> Result<(), Refused> {
        limits::check_day(day, today)?;
        self.check_source(source)?;
        self.sources.insert(source);
        self.read_sources.insert(source);
        let difference = match self.baselines.get(&source) {
            None => None,
            Some((known, stood)) if *known == boot => {
                if counter < *stood {
                    return Ok(());
                }
                Some(counter - stood)
            }
            Some(_) => Some(counter),
        };
        self.baselines.insert(source, (boot, counter));
        if let Some(steps) = difference
            && steps <= limits::STEPS
        {
            self.credit(day, source, steps, today);
        }
        Ok(())
    }

    /// Adds counted steps to this device's own count of the day, which enters as a partial reading.
    fn credit(&mut self, day: DayNumber, source: SourceNumber, steps: u32, today: DayNumber) {
        let value = self.mark(day, source).value;
        if value.is_pinned() {
            return;
        }
        let stood = match value.counts {
            None => 0,
            Some((recorded, _)) => self.own_counts.get(&(day, source)).copied().unwrap_or(recorded),
        };
        let count = (stood + steps).min(limits::STEPS);
        self.own_counts.insert((day, source), count);
        self.enter(day, source, (count, 0), false, None, today);
    }
}

/// What comes from elsewhere, and delivery.
impl Replica {
    /// A fact that the server sent.
    ///
    /// # Errors
    /// `day_out_of_range`, `implausible_steps`.
    pub fn receive(&mut self, item: Item) -> Result<(), Refused> {
        check_item(item)?;
        match item {
            Item::Cell { day, source, value } => {
                let mut mark = self.mark(day, source);
                let changed = mark.join(value);
                if mark.value == value {
                    mark.settled();
                } else if changed {
                    mark.waits_for_server();
                }
                self.put(day, source, mark);
            }
            Item::Attended(day) => {
                self.attended.insert(day, (false, None));
            }
        }
        Ok(())
    }

    /// A fact of a peer.
    ///
    /// # Errors
    /// `day_out_of_range`, `implausible_steps`.
    pub fn merge(&mut self, item: Item) -> Result<(), Refused> {
        check_item(item)?;
        match item {
            Item::Cell { day, source, value } => {
                let mut mark = self.mark(day, source);
                if mark.join(value) {
                    mark.waits_for_server();
                }
                self.put(day, source, mark);
            }
            Item::Attended(day) => {
                self.attended.entry(day).or_insert((true, None));
            }
        }
        Ok(())
    }

    /// A fact from a client, on a server, after the server's own checks: nothing is pending there, and
    /// nothing is read again. Says whether it changed anything.
    pub(super) fn take(&mut self, item: Item) -> bool {
        match item {
            Item::Cell { day, source, value } => {
                let mut mark = self.mark(day, source);
                let changed = mark.join(value);
                mark.reread = Reread::NO;
                self.put(day, source, mark);
                changed
            }
            Item::Attended(day) => self.attended.insert(day, (false, None)).is_none(),
        }
    }

    /// A receipt accepts a fact: it is at the server, if it is still exactly that.
    pub fn accepted(&mut self, item: Item) {
        self.answered(item, None);
    }

    /// A receipt refuses a fact: it is parked, if it is still exactly that.
    pub fn refused(&mut self, item: Item, code: &'static str) {
        self.answered(item, Some(code));
    }

    fn answered(&mut self, item: Item, parked: Option<&'static str>) {
        match item {
            Item::Cell { day, source, value } => {
                // An unknown cell is no fact, so that nothing can be said about it.
                if value == Value::UNKNOWN {
                    return;
                }
                if let Some(mark) = self.cells.get_mut(&(day, source)).filter(|mark| mark.value == value) {
                    mark.pending = false;
                    mark.parked = parked;
                }
            }
            Item::Attended(day) => {
                if let Some(mark) = self.attended.get_mut(&day) {
                    *mark = (false, parked);
                }
            }
        }
    }

    /// A parked fact is to be sent again.
    pub fn retry(&mut self, item: Item) {
        self.unpark(item, true);
    }

    /// A parked fact is given up; its value stays here.
    pub fn discard(&mut self, item: Item) {
        self.unpark(item, false);
    }

    fn unpark(&mut self, item: Item, again: bool) {
        if !self.parked().contains_key(&item) {
            return;
        }
        match item {
            Item::Cell { day, source, .. } => {
                if let Some(mark) = self.cells.get_mut(&(day, source)) {
                    mark.pending = again;
                    mark.parked = None;
                }
            }
            Item::Attended(day) => {
                self.attended.insert(day, (again, None));
            }
        }
    }

    /// The server was restored from a backup: everything is pending, but for what it refused.
    pub fn send_all_again(&mut self) {
        for mark in self.cells.values_mut() {
            if mark.value != Value::UNKNOWN && mark.parked.is_none() {
                mark.pending = true;
            }
        }
        for (pending, parked) in self.attended.values_mut() {
            if parked.is_none() {
                *pending = true;
            }
        }
    }

    /// What was recorded before anyone signed in is joined to the ledger of the first user who does, and
    /// cleared there. Read-here bits and offsets move along where the register equals the joined value.
    /// It is the same device: what it read and counted moves along, and nothing rose from outside.
    pub fn take_over(&mut self, signed_out: &mut Replica) {
        let old = std::mem::take(signed_out);
        for ((day, source), theirs) in old.cells {
            let mut mark = self.mark(day, source);
            let known = mark.reread;
            let changed = mark.join(theirs.value);
            if changed {
                mark.waits_for_server();
            }
            if mark.value == theirs.value {
                mark.read_here = mark.read_here || theirs.read_here;
                mark.offset = theirs.offset.or(mark.offset);
            }
            mark.reread = if mark.value.is_pinned() {
                Reread::NO
            } else {
                Reread {
                    risen: known.risen || theirs.reread.risen,
                    deletion_ignored: known.deletion_ignored || theirs.reread.deletion_ignored,
                }
            };
            self.put(day, source, mark);
        }
        for day in old.attended.into_keys() {
            self.attended.entry(day).or_insert((true, None));
        }
        self.sources.extend(old.sources);
        self.read_sources.extend(old.read_sources);
        // The signed-out baselines are the later ones: an older one would credit the same steps again.
        self.baselines.extend(old.baselines);
        for (key, count) in old.own_counts {
            let own = self.own_counts.entry(key).or_insert(count);
            *own = (*own).max(count);
        }
    }

    /// The file came from another phone's backup: what that phone read and counted is not known here.
    pub fn forget_device(&mut self) {
        for mark in self.cells.values_mut() {
            mark.read_here = false;
        }
        self.read_sources.clear();
        self.baselines.clear();
        self.own_counts.clear();
    }
}

/// What is asked of a ledger.
impl Replica {
    /// All facts. `(0, absent)` is not a fact.
    pub fn items(&self) -> BTreeSet<Item> {
        self.cell_items(|_| true).chain(self.attended.keys().copied().map(Item::Attended)).collect()
    }

    /// The facts that are not yet known to be at the server.
    pub fn pending(&self) -> BTreeSet<Item> {
        let days = self.attended.iter().filter(|(_, (pending, _))| *pending);
        self.cell_items(|mark| mark.pending).chain(days.map(|(day, _)| Item::Attended(*day))).collect()
    }

    /// The facts that the server refused, with its codes.
    pub fn parked(&self) -> BTreeMap<Item, &'static str> {
        let mut parked = BTreeMap::new();
        for ((day, source), mark) in &self.cells {
            if let Some(code) = mark.parked {
                parked.insert(Item::Cell { day: *day, source: *source, value: mark.value }, code);
            }
        }
        for (day, (_, code)) in &self.attended {
            if let Some(code) = code {
                parked.insert(Item::Attended(*day), *code);
            }
        }
        parked
    }

    /// The cells that wait for a full reading.
    pub fn to_reread(&self) -> BTreeSet<(DayNumber, SourceNumber)> {
        let listed = |(_, source): &(DayNumber, SourceNumber), reread: Reread| {
            reread.deletion_ignored || (reread.risen && self.read_sources.contains(source))
        };
        self.cells.iter().filter(|(key, mark)| listed(key, mark.reread)).map(|(key, _)| *key).collect()
    }

    /// What is known about a cell; an unknown one is `(0, absent)`.
    pub fn mark(&self, day: DayNumber, source: SourceNumber) -> Mark {
        self.cells.get(&(day, source)).copied().unwrap_or_default()
    }

    fn cell_items(&self, which: impl Fn(&Mark) -> bool) -> impl Iterator<Item = Item> {
        let known = self.cells.iter().filter(move |(_, mark)| mark.value != Value::UNKNOWN && which(mark));
        known.map(|((day, source), mark)| Item::Cell { day: *day, source: *source, value: mark.value })
    }

    /// Keeps what is known about a cell. Where nothing is known there is no cell, and no source name.
    fn put(&mut self, day: DayNumber, source: SourceNumber, mark: Mark) {
        if mark != Mark::default() {
            self.sources.insert(source);
            self.cells.insert((day, source), mark);
        }
    }

    /// Whether a register of this source may come.
    ///
    /// # Errors
    /// `too_many_sources`.
    pub(super) fn check_source(&self, source: SourceNumber) -> Result<(), Refused> {
        if self.sources.len() < limits::SOURCES || self.sources.contains(&source) {
            Ok(())
        } else {
            Err(Refused::TooManySources)
        }
    }
}

/// On a device, facts from elsewhere are checked only for the range of days and the component limits.
fn check_item(item: Item) -> Result<(), Refused> {
    limits::check_range(item.day())?;
    match item {
        Item::Cell { value, .. } => limits::check_counts(value.counts),
        Item::Attended(_) => Ok(()),
    }
}
