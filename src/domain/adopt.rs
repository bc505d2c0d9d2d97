//! What was recorded before anyone signed in becomes the first user's, and what another device recorded comes here
//! without what only that device knows.

use super::cell::{Cell, From, Reread};
use super::column::SourceId;
use super::day::{Day, Now};
use super::history::Origin;
use super::ledger::Ledger;
use super::timeline::Change;

impl Ledger {
    /// Joins everything that was recorded on this device before anyone signed in, with what this device alone
    /// knows: read-here bits and offsets where the register equals the joined value, counters, re-read marks and
    /// remarks. What that changes is pending. The caller clears the other ledger.
    pub(crate) fn take_over(&mut self, signed_out: &Ledger, now: Now) -> Vec<Change> {
        (self.notes.origin, self.notes.at_ms) = (Origin::Peer, now.unix_ms);
        let ids: Vec<SourceId> = signed_out
            .sources
            .iter()
            .map(|entry| {
                let id = self.intern(entry.name);
                if entry.read_by_device {
                    self.mark_read(id);
                }
                id
            })
            .collect();
        for (from, day, came) in signed_out.each_cell() {
            let Some(id) = ids.get(usize::from(from.0)) else { continue };
            self.edit(day, *id, |cell| cell.take_over(came, now.unix_ms));
        }
        for (day, mark) in &signed_out.attendance {
            self.add_attendance(*day, Some(mark.pending_since_ms.unwrap_or(now.unix_ms)));
        }
        self.take_over_device(signed_out, &ids);
        self.settle()
    }

    /// Counters go on where they stood last: while nobody was signed in, or, where somebody counted after that,
    /// where they are already.
    fn take_over_device(&mut self, signed_out: &Ledger, ids: &[SourceId]) {
        if signed_out.counted_by_other.is_none() && !signed_out.baselines.is_empty() {
            self.counted_by_other = Some(signed_out.counters());
            self.take_counters();
        }
        let own = |from: &SourceId| ids.get(usize::from(from.0)).copied();
        for ((from, day), count) in &signed_out.own_counts {
            let Some(id) = own(from) else { continue };
            let key: (SourceId, Day) = (id, *day);
            let known = self.own_counts.get(&key).copied().unwrap_or(0);
            self.own_counts.insert(key, known.max(*count));
            self.dirty.own_counts.push(key);
        }
        for ((day, from, kind), remark) in &signed_out.remarks {
            let Some(id) = own(from) else { continue };
            self.remarks.insert((*day, id, *kind), remark.clone());
            self.dirty.remarks.push((*day, id, *kind));
        }
    }
}

impl Cell {
    /// The cell without what only one device knows of it, for another one.
    ///
    /// - The register stays, with its corrections, and so do the pending mark and the server's refusal: they tell
    ///   what the server knows, and that is the same from everywhere.
    /// - The offset stays: it bounded the day, wherever that was read.
    /// - The read-here bit goes: a full reading must not lower what was never read on the device that makes it.
    /// - The re-read mark goes: a deletion that another device ignored is none that this one ignored.
    pub(crate) fn without_device(mut self) -> Cell {
        self.read_here = false;
        self.reread = Reread::No;
        self
    }

    /// The cell of another device, on this one: as if its register had been received. So an even epoch that rose
    /// there, in whatever way, has risen outside.
    pub(crate) fn of_other_device(self) -> Cell {
        let mut cell = self.without_device();
        if cell.register.epoch > 0 && !cell.register.is_pinned() {
            cell.reread = Reread::IfRead;
        }
        cell
    }

    /// Joins the cell of the ledger from before anyone signed in.
    fn take_over(&mut self, came: &Cell, now_ms: i64) {
        let before = *self;
        self.receive(came.register, From::Peer, now_ms);
        if self.register != before.register {
            // It has waited since it was recorded.
            self.set_pending_since(Some(came.pending_since_ms().unwrap_or(now_ms)));
        }
        if self.register == came.register {
            let was_equal = before.register == came.register;
            self.read_here = came.read_here || (was_equal && before.read_here);
            self.offset = came.offset.or(before.offset);
        }
        if !self.register.is_pinned() {
            // The epoch rose here, not elsewhere: only what waited before still waits.
            self.reread = before.reread.max(came.reread);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ledger::Operation;
    use super::super::level::{GapPolicy, Level, LevelRules};
    use super::super::steps::{CounterReading, Extent, Reading, Source};
    use super::*;
    use crate::{Counts, Fact, Register};

    fn ledger() -> Ledger {
        Ledger::new(LevelRules::new(Level::Overweight, 10_000, 6_000, GapPolicy::Skip).unwrap())
    }

    fn source() -> Source {
        Source::new("health").unwrap()
    }

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    fn read(ledger: &mut Ledger, on: &str, steps: u32, extent: Extent, now: Now) {
        let reading = Reading { extent, ..Reading::new(day(on), source(), steps) };
        let _ = ledger.apply(Operation::Read(&reading), now).unwrap();
    }

    #[test]
    fn what_was_read_before_signing_in_may_still_be_lowered_by_a_full_reading() {
        let now = Now::on(day("2022-10-04"));
        let (mut signed_out, mut user) = (ledger(), ledger());
        read(&mut signed_out, "2022-10-02", 13_441, Extent::Partial, now);
        read(&mut signed_out, "2022-10-03", 5_000, Extent::Partial, now);
        let known = Fact::Cell {
            day: day("2022-10-03"),
            source: source(),
            register: Register { epoch: 0, counts: Some(Counts::new(9_000, 0)) },
        };
        let _ = user.apply(Operation::Receive(&known), now).unwrap();
        let changes = user.take_over(&signed_out, now);
        assert_eq!((changes.len(), user.pending_count()), (2, 1), "the level of the 3rd follows");
        read(&mut user, "2022-10-02", 4_252, Extent::Full, now);
        assert_eq!(user.register(day("2022-10-02"), &source()).epoch, 2);
        read(&mut user, "2022-10-03", 4_000, Extent::Full, now);
        assert_eq!(user.register(day("2022-10-03"), &source()).epoch, 0, "9,000 was not read here");
        assert!(user.to_reread().is_empty());
    }

    #[test]
    fn counters_and_attendance_go_on() {
        let now = Now::on(day("2022-10-04"));
        let (mut signed_out, mut user) = (ledger(), ledger());
        let count = |ledger: &mut Ledger, count| {
            let reading = CounterReading { day: now.today, source: source(), boot: "b", count };
            ledger.apply(Operation::Count(&reading), now).unwrap()
        };
        let _ = count(&mut signed_out, 41_200);
        let _ = count(&mut signed_out, 41_300);
        let _ = signed_out.apply(Operation::Attend(now.today), now).unwrap();
        let _ = user.take_over(&signed_out, now);
        let _ = count(&mut user, 41_350);
        assert_eq!(user.register(now.today, &source()).counts, Some(Counts::new(150, 0)));
        assert!(user.attended(now.today));
        assert_eq!(user.pending_count(), 2);
        let _ = user.take_over(&ledger(), now);
        assert_eq!(user.pending_count(), 2, "nothing to take over");
    }
}
