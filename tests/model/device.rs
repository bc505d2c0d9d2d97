//! One device's ledger, written from sections 2, 3 and 8 of the domain contract: plain maps, every rule
//! spelled out where it applies.

use std::collections::{BTreeMap, BTreeSet};

use manbo::{Code, Day, Extent, Fact, Reading, Receipt, Source};

use crate::common::Act;
use crate::derived::Cells;

/// (recorded, manual); `None` is absent.
pub(crate) type Value = Option<(u32, u32)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Cell {
    pub(crate) epoch: u16,
    pub(crate) value: Value,
    pub(crate) read_here: bool,
    pub(crate) offset: Option<i16>,
    pub(crate) pending_since: Option<i64>,
    pub(crate) parked: Option<Code>,
    /// Its even epoch rose from outside.
    pub(crate) risen: bool,
    /// A deletion was ignored because the value was not read here.
    pub(crate) deletion_ignored: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Attended {
    pub(crate) pending_since: Option<i64>,
    pub(crate) parked: Option<Code>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Device {
    pub(crate) cells: BTreeMap<(Day, Source), Cell>,
    pub(crate) attended: BTreeMap<Day, Attended>,
    pub(crate) sources: BTreeSet<Source>,
    ever_read: BTreeSet<Source>,
    baselines: BTreeMap<Source, (String, u32)>,
    own_counts: BTreeMap<(Day, Source), u32>,
}

/// The caller's present.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    pub(crate) today: Day,
    pub(crate) ms: i64,
}

fn in_range(day: Day) -> bool {
    let (year, _, _) = day.ymd();
    (2000..=2199).contains(&year)
}

fn not_later_than_tomorrow(day: Day, clock: Clock) -> Result<(), Code> {
    if in_range(day) && day <= clock.today.next() { Ok(()) } else { Err(Code::DayOutOfRange) }
}

fn components(value: Value) -> Result<(), Code> {
    match value {
        Some((recorded, manual)) if recorded > 300_000 || manual > 300_000 => Err(Code::ImplausibleSteps),
        _ => Ok(()),
    }
}

fn plain(counts: Option<manbo::Counts>) -> Value {
    counts.map(|counts| (counts.recorded, counts.manual))
}

fn join(a: (u16, Value), b: (u16, Value)) -> (u16, Value) {
    if a.0 > b.0 {
        return a;
    }
    if b.0 > a.0 {
        return b;
    }
    match (a.1, b.1) {
        (None, value) | (value, None) => (a.0, value),
        (Some(x), Some(y)) => (a.0, Some((x.0.max(y.0), x.1.max(y.1)))),
    }
}

impl Device {
    pub(crate) fn act(&mut self, act: &Act, clock: Clock) -> Result<(), Code> {
        match act {
            Act::Read(reading) => self.read(reading, clock),
            Act::Delete(deletion) => self.delete(deletion.day, deletion.source, plain(deletion.left), clock),
            Act::Correct(day, source, to) => self.correct(*day, *source, plain(*to), clock),
            Act::Unpin(day, source) => self.unpin(*day, *source, clock),
            Act::Count(day, source, boot, count) => {
                self.count(*day, *source, &format!("boot-{boot}"), *count, clock)
            }
            Act::Attend(day) => {
                not_later_than_tomorrow(*day, clock)?;
                let new = Attended { pending_since: Some(clock.ms), parked: None };
                self.attended.entry(*day).or_insert(new);
                Ok(())
            }
            Act::Receive(fact) => self.receive(fact, false, clock),
            Act::Merge(fact) => self.receive(fact, true, clock),
        }
    }

    /// All or none.
    pub(crate) fn receive_all(&mut self, facts: &[Fact], peer: bool, clock: Clock) -> Result<(), Code> {
        let mut after = self.clone();
        for fact in facts {
            after.receive(fact, peer, clock)?;
        }
        *self = after;
        Ok(())
    }

    fn room_for(&self, source: Source) -> Result<(), Code> {
        if self.sources.len() < 16 || self.sources.contains(&source) {
            Ok(())
        } else {
            Err(Code::TooManySources)
        }
    }

    fn read(&mut self, reading: &Reading, clock: Clock) -> Result<(), Code> {
        not_later_than_tomorrow(reading.day, clock)?;
        if u64::from(reading.counts.recorded) + u64::from(reading.counts.manual) > 300_000 {
            return Err(Code::ImplausibleSteps);
        }
        self.room_for(reading.source)?;
        self.sources.insert(reading.source);
        self.ever_read.insert(reading.source);
        self.say(reading, clock);
        Ok(())
    }

    fn say(&mut self, reading: &Reading, clock: Clock) {
        let cell = self.cells.entry((reading.day, reading.source)).or_default();
        if cell.epoch % 2 == 1 {
            return;
        }
        let before = (cell.epoch, cell.value);
        let (recorded, manual) = (reading.counts.recorded, reading.counts.manual);
        let offset = reading.offset.map(manbo::UtcOffset::minutes);
        let full = reading.extent == Extent::Full;
        let closed = reading.day < clock.today;
        let lower = cell.value.is_some_and(|(r, m)| recorded < r || manual < m);
        let offset_differs = offset.is_some() && cell.offset.is_some() && offset != cell.offset;
        let epoch_left = cell.epoch < 65_534;
        if full && closed && lower && recorded + manual > 0 && !offset_differs && cell.read_here && epoch_left
        {
            cell.epoch += 2;
            cell.value = Some((recorded, manual));
        } else {
            cell.value = join((0, cell.value), (0, Some((recorded, manual)))).1;
        }
        if cell.value == Some((recorded, manual)) {
            cell.read_here = true;
            if offset.is_some() {
                cell.offset = offset;
            }
        }
        if full {
            cell.risen = false;
            cell.deletion_ignored = false;
        }
        if (cell.epoch, cell.value) != before {
            cell.changed_here(clock);
        }
    }

    fn delete(&mut self, day: Day, source: Source, left: Value, clock: Clock) -> Result<(), Code> {
        not_later_than_tomorrow(day, clock)?;
        components(left)?;
        self.room_for(source)?;
        let cell = self.cells.entry((day, source)).or_default();
        if left.is_some() {
            self.sources.insert(source);
        }
        if cell.epoch % 2 == 1 || cell.value == left {
            return Ok(());
        }
        if !cell.read_here {
            cell.deletion_ignored = true;
            return Ok(());
        }
        if cell.epoch > 65_533 {
            return Err(Code::TooManyCorrections);
        }
        cell.epoch += 2;
        cell.value = left;
        cell.risen = false;
        cell.deletion_ignored = false;
        cell.changed_here(clock);
        Ok(())
    }

    fn correct(&mut self, day: Day, source: Source, to: Value, clock: Clock) -> Result<(), Code> {
        not_later_than_tomorrow(day, clock)?;
        components(to)?;
        self.room_for(source)?;
        let cell = self.cells.entry((day, source)).or_default();
        let next_odd = u32::from(cell.epoch) + if cell.epoch % 2 == 1 { 2 } else { 1 };
        cell.epoch = u16::try_from(next_odd).map_err(|_| Code::TooManyCorrections)?;
        cell.value = to;
        cell.read_here = false;
        cell.risen = false;
        cell.deletion_ignored = false;
        cell.known_at_the_server();
        self.sources.insert(source);
        Ok(())
    }

    fn unpin(&mut self, day: Day, source: Source, clock: Clock) -> Result<(), Code> {
        not_later_than_tomorrow(day, clock)?;
        self.room_for(source)?;
        let Some(cell) = self.cells.get_mut(&(day, source)) else { return Ok(()) };
        if cell.epoch % 2 == 1 {
            if cell.epoch == 65_535 {
                return Err(Code::TooManyCorrections);
            }
            cell.epoch += 1;
            cell.known_at_the_server();
        }
        Ok(())
    }

    fn count(&mut self, day: Day, source: Source, boot: &str, count: u32, clock: Clock) -> Result<(), Code> {
        not_later_than_tomorrow(day, clock)?;
        self.room_for(source)?;
        self.sources.insert(source);
        self.ever_read.insert(source);
        let grown = match self.baselines.get(&source) {
            None => None,
            Some((known, at)) if known == boot && count < *at => return Ok(()),
            Some((known, at)) if known == boot => Some(count - at),
            Some(_) => Some(count),
        };
        self.baselines.insert(source, (boot.to_owned(), count));
        // A difference of 0 enters as well: 0 steps are known and logged.
        let Some(grown) = grown.filter(|grown| *grown <= 300_000) else { return Ok(()) };
        let cell = self.cells.get(&(day, source)).copied().unwrap_or_default();
        if cell.epoch % 2 == 1 {
            return Ok(());
        }
        let own = match cell.value {
            None => 0,
            Some((recorded, _)) => self.own_counts.get(&(day, source)).copied().unwrap_or(recorded),
        };
        let own = (own + grown).min(300_000);
        self.own_counts.insert((day, source), own);
        self.say(&Reading::new(day, source, own), clock);
        Ok(())
    }

    fn receive(&mut self, fact: &Fact, peer: bool, clock: Clock) -> Result<(), Code> {
        if !in_range(fact.day()) {
            return Err(Code::DayOutOfRange);
        }
        let Fact::Cell { day, source, register } = fact else {
            let new = Attended { pending_since: peer.then_some(clock.ms), parked: None };
            if peer {
                self.attended.entry(fact.day()).or_insert(new);
            } else {
                self.attended.insert(fact.day(), new);
            }
            return Ok(());
        };
        let came = (register.epoch, plain(register.counts));
        components(came.1)?;
        let cell = self.cells.entry((*day, *source)).or_default();
        if came != (0, None) {
            self.sources.insert(*source);
        }
        let before = (cell.epoch, cell.value);
        let joined = join(before, came);
        (cell.epoch, cell.value) = joined;
        if joined != before {
            cell.read_here = false;
            if joined.0 % 2 == 1 {
                cell.risen = false;
                cell.deletion_ignored = false;
            } else if joined.0 > before.0 {
                cell.risen = true;
            }
        }
        if !peer && joined == came {
            cell.known_at_the_server();
        } else if joined != before {
            cell.changed_here(clock);
        }
        Ok(())
    }

    /// The server's answer: verdicts clear or park what is still exactly as it was sent, then its facts
    /// are joined.
    pub(crate) fn answered(&mut self, receipt: &Receipt, clock: Clock) -> Result<(), Code> {
        let mut after = self.clone();
        receipt.accepted.iter().for_each(|fact| after.verdict(fact, None));
        receipt.refused.iter().for_each(|refused| after.verdict(&refused.fact, Some(refused.code)));
        for fact in &receipt.facts {
            after.receive(fact, false, clock)?;
        }
        *self = after;
        Ok(())
    }

    fn verdict(&mut self, fact: &Fact, parked: Option<Code>) {
        match fact {
            Fact::Attended(day) => {
                if let Some(mark) = self.attended.get_mut(day) {
                    *mark = Attended { pending_since: None, parked };
                }
            }
            Fact::Cell { day, source, register } => {
                if let Some(cell) = self.cells.get_mut(&(*day, *source))
                    && (cell.epoch, cell.value) == (register.epoch, plain(register.counts))
                {
                    cell.known_at_the_server();
                    cell.parked = parked;
                }
            }
        }
    }

    /// The file came to another phone: what this one read and counted is not known there.
    pub(crate) fn moved_to_another_phone(&mut self) {
        self.cells.values_mut().for_each(|cell| cell.read_here = false);
        self.ever_read.clear();
        self.baselines.clear();
        self.own_counts.clear();
    }

    pub(crate) fn to_reread(&self) -> Vec<(Day, Source)> {
        let listed = |(key, cell): &(&(Day, Source), &Cell)| {
            cell.deletion_ignored || (cell.risen && self.ever_read.contains(&key.1))
        };
        self.cells.iter().filter(listed).map(|(key, _)| *key).collect()
    }

    pub(crate) fn facts(&self) -> Facts {
        let cells = self.cells.iter().filter(|(_, cell)| (cell.epoch, cell.value) != (0, None));
        (
            cells.map(|(key, cell)| (*key, (cell.epoch, cell.value))).collect(),
            self.attended.keys().copied().collect(),
        )
    }

    pub(crate) fn pending_count(&self) -> usize {
        self.cells.values().filter(|cell| cell.pending_since.is_some()).count()
            + self.attended.values().filter(|mark| mark.pending_since.is_some()).count()
    }
}

/// What two ledgers must share to have the same digest.
pub(crate) type Facts = (Cells, BTreeSet<Day>);

impl Cell {
    fn changed_here(&mut self, clock: Clock) {
        self.parked = None;
        self.pending_since = self.pending_since.or(Some(clock.ms));
    }

    fn known_at_the_server(&mut self) {
        self.parked = None;
        self.pending_since = None;
    }
}
