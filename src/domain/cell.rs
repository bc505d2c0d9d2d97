//! What a local reading, a deletion, a correction and a register from elsewhere do to one cell.
//!
//! ```text
//!                    epoch even: open                              epoch odd: pinned
//!  reading   joined at e, or replaces as e + 2 (closed full read)  nothing
//!  deletion  what is left, as e + 2, if it was read here           nothing
//!  correct   given value, as e + 1                                 given value, as e + 2
//!  unpin     nothing                                               same value, as e + 1
//!  elsewhere join                                                  join
//! ```

use super::canary;
use super::code::{Code, Refusal};
use super::day::UtcOffset;
use super::register::Register;
use super::remark::{Event, Ignored, Kept};
use super::steps::{Counts, Extent};

/// A register and what this device knows about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    /// The fact.
    pub register: Register,
    /// Whether the stored value was read on this device.
    pub read_here: bool,
    /// Whether the day waits for a full reading of this source.
    pub reread: Reread,
    /// The offset of the reading that last left the register equal to what it said.
    pub offset: Option<UtcOffset>,
    /// Why the server refused the register, while it did.
    pub parked: Option<Code>,
    pending_since_ms: i64,
}

/// Whether a cell waits for a full reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) enum Reread {
    /// It does not.
    #[default]
    No,
    /// Its even epoch rose from outside: it does, if this device ever read its source.
    IfRead,
    /// A deletion was ignored because the value was not read here, or its row was set aside: it does.
    Always,
}

/// A sentinel smaller than any instant, so that a cell stays 32 bytes (ten years: 117 KB a source).
const NOT_PENDING: i64 = i64::MIN;
const _: () = assert!(std::mem::size_of::<Option<Cell>>() <= 32);

/// A local reading, as a cell sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalRead {
    pub said: Counts,
    pub extent: Extent,
    pub closed: bool,
    pub offset: Option<UtcOffset>,
}

/// Where a register from elsewhere comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// The server: it knows what it sent.
    Server,
    /// Another ledger: the server may not know.
    Peer,
    /// A client, seen from the server: nothing is pending there and nothing is read again.
    Client,
}

impl Cell {
    pub(crate) const UNKNOWN: Cell = Cell {
        register: Register::UNKNOWN,
        read_here: false,
        reread: Reread::No,
        offset: None,
        parked: None,
        pending_since_ms: NOT_PENDING,
    };

    /// Since when the register waits to be known at the server, in Unix milliseconds.
    pub(crate) fn pending_since_ms(&self) -> Option<i64> {
        (self.pending_since_ms != NOT_PENDING).then_some(self.pending_since_ms)
    }

    /// Whether the register waits to be known at the server. A parked one does not: it was refused.
    pub(crate) fn is_pending(&self) -> bool {
        self.pending_since_ms != NOT_PENDING
    }

    pub(crate) fn set_pending_since(&mut self, ms: Option<i64>) {
        self.pending_since_ms = ms.map_or(NOT_PENDING, |ms| ms.max(NOT_PENDING + 1));
    }

    fn mark_pending(&mut self, now_ms: i64) {
        self.parked = None;
        if !self.is_pending() {
            self.set_pending_since(Some(now_ms));
        }
    }

    /// A local reading. Gives the remark to keep, if the value is not simply what was said.
    pub(crate) fn read(&mut self, read: LocalRead, now_ms: i64) -> Option<Event> {
        let said = read.said;
        let remark = |kept| Some(Event::Reading { said, extent: read.extent, kept });
        if self.register.is_pinned() && !canary::sings("readings change pinned cells") {
            return remark(Kept::Pinned);
        }
        let before = self.register;
        let lower = before.counts.filter(|c| said.recorded < c.recorded || said.manual < c.manual);
        let event = match (lower, self.keeps(read)) {
            (None, _) => None,
            (Some(from), None) => {
                // `keeps` made sure that an open epoch is left.
                self.register = Register { epoch: before.epoch + 2, counts: Some(said) };
                Some(Event::Replaced { from, to: said })
            }
            (Some(_), Some(kept)) => remark(kept),
        };
        self.register = self.register.join(Register { epoch: self.register.epoch, counts: Some(said) });
        if self.register.counts == Some(said) {
            self.read_here = true;
            self.offset = read.offset.or(self.offset);
        }
        if read.extent == Extent::Full {
            self.reread = Reread::No;
        }
        if self.register != before {
            self.mark_pending(now_ms);
        }
        event
    }

    /// Why a reading that says less may not replace the value; `None` when it may.
    fn keeps(&self, read: LocalRead) -> Option<Kept> {
        let offsets_differ = matches!((read.offset, self.offset), (Some(a), Some(b)) if a != b);
        if read.extent == Extent::Partial {
            Some(Kept::Partial)
        } else if !read.closed && !canary::sings("full readings of the open day lower") {
            Some(Kept::OpenDay)
        } else if read.said.sum() == 0 && !canary::sings("readings that say nothing lower") {
            Some(Kept::Nothing)
        } else if offsets_differ && !canary::sings("full readings of another zone lower") {
            Some(Kept::OtherOffset)
        } else if !self.read_here {
            Some(Kept::NotReadHere)
        } else if self.register.next_open().is_err() {
            Some(Kept::LastEpoch)
        } else {
            None
        }
    }

    /// A deletion that the platform reported.
    pub(crate) fn delete(&mut self, left: Option<Counts>, now_ms: i64) -> Result<Option<Event>, Refusal> {
        if self.register.is_pinned() {
            return Ok(Some(Event::DeletionIgnored { left, ignored: Ignored::Pinned }));
        }
        if left == self.register.counts && !canary::sings("redelivered deletions delete again") {
            return Ok(None);
        }
        if !self.read_here {
            self.reread = Reread::Always;
            return Ok(Some(Event::DeletionIgnored { left, ignored: Ignored::NotReadHere }));
        }
        let from = self.register.counts;
        self.register = Register { epoch: self.register.next_open()?, counts: left };
        self.reread = Reread::No;
        self.mark_pending(now_ms);
        Ok(Some(Event::Deleted { from, left }))
    }

    /// A privileged correction. Not pending: only the server may pin, so that is where it is made.
    pub(crate) fn correct(&mut self, to: Option<Counts>) -> Result<(), Refusal> {
        self.register = Register { epoch: self.register.next_pinned()?, counts: to };
        self.read_here = false;
        self.reread = Reread::No;
        self.settle();
        Ok(())
    }

    /// The end of a correction. Says whether there was one.
    pub(crate) fn unpin(&mut self) -> Result<bool, Refusal> {
        if !self.register.is_pinned() {
            return Ok(false);
        }
        self.register.epoch = self.register.next_open()?;
        self.settle();
        Ok(true)
    }

    /// A register from elsewhere, joined as it is.
    pub(crate) fn receive(&mut self, came: Register, from: From, now_ms: i64) {
        let before = self.register;
        let last_write = from == From::Client && canary::sings("server takes the last write");
        self.register = if last_write { came } else { before.join(came) };
        let changed = self.register != before;
        if changed {
            self.read_here &= canary::sings("read-here kept when others change the value");
            if self.register.is_pinned() {
                self.reread = Reread::No;
            } else if self.register.epoch > before.epoch && from != From::Client {
                self.reread = self.reread.max(Reread::IfRead);
            }
        }
        match from {
            From::Server if self.register == came => self.settle(),
            From::Peer if canary::sings("facts from peers are not sent") => {}
            From::Server | From::Peer if changed => self.mark_pending(now_ms),
            From::Server | From::Peer | From::Client => {}
        }
    }

    /// The server may have lost it: it is to be sent again, unless it was refused.
    pub(crate) fn send_again(&mut self, now_ms: i64) {
        if self.parked.is_none() && self.register != Register::UNKNOWN {
            self.mark_pending(now_ms);
        }
    }

    /// The walker tries a refused register again.
    pub(crate) fn retry(&mut self, now_ms: i64) {
        if self.parked.is_some() {
            self.mark_pending(now_ms);
        }
    }

    /// The server has exactly this register.
    pub(crate) fn settle(&mut self) {
        self.parked = None;
        self.pending_since_ms = NOT_PENDING;
    }

    /// The server refused exactly this register: kept, visible, out of the way.
    pub(crate) fn park(&mut self, code: Code) {
        self.parked = Some(code);
        self.pending_since_ms = NOT_PENDING;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(recorded: u32, read_here: bool) -> Cell {
        Cell {
            register: Register { epoch: 0, counts: Some(Counts::new(recorded, 0)) },
            read_here,
            ..Cell::UNKNOWN
        }
    }

    fn full(recorded: u32) -> LocalRead {
        LocalRead { said: Counts::new(recorded, 0), extent: Extent::Full, closed: true, offset: None }
    }

    #[track_caller]
    fn check(mut cell: Cell, read: LocalRead, epoch: u16, recorded: u32, kept: Option<Kept>) {
        let event = cell.read(read, 0);
        assert_eq!(cell.register, Register { epoch, counts: Some(Counts::new(recorded, 0)) });
        match event {
            Some(Event::Reading { kept: why, .. }) => assert_eq!(Some(why), kept),
            _ => assert_eq!(None, kept),
        }
    }

    #[test]
    fn a_full_read_replaces_only_when_every_condition_holds() {
        let seoul = UtcOffset::from_minutes(540).ok();
        let berlin = UtcOffset::from_minutes(60).ok();
        check(known(13_441, true), full(4_252), 2, 4_252, None);
        check(
            known(13_441, true),
            LocalRead { extent: Extent::Partial, ..full(4_252) },
            0,
            13_441,
            Some(Kept::Partial),
        );
        check(
            known(13_441, true),
            LocalRead { closed: false, ..full(4_252) },
            0,
            13_441,
            Some(Kept::OpenDay),
        );
        check(known(13_441, true), full(0), 0, 13_441, Some(Kept::Nothing));
        check(known(13_441, false), full(4_252), 0, 13_441, Some(Kept::NotReadHere));
        let there = Cell { offset: seoul, ..known(13_441, true) };
        check(there, LocalRead { offset: berlin, ..full(4_252) }, 0, 13_441, Some(Kept::OtherOffset));
        check(there, LocalRead { offset: seoul, ..full(4_252) }, 2, 4_252, None);
        check(there, full(4_252), 2, 4_252, None);
        let mut last = known(13_441, true);
        last.register.epoch = 65_534;
        check(last, full(4_252), 65_534, 13_441, Some(Kept::LastEpoch));
        check(known(13_441, true), full(20_000), 0, 20_000, None);
        let mut pinned = known(13_441, true);
        pinned.register.epoch = 1;
        check(pinned, full(20_000), 1, 13_441, Some(Kept::Pinned));
    }

    #[test]
    fn an_unknown_offset_leaves_the_kept_one() {
        let seoul = UtcOffset::from_minutes(540).ok();
        let mut cell = Cell::UNKNOWN;
        cell.read(LocalRead { offset: seoul, ..full(10) }, 0);
        cell.read(full(20), 0);
        assert_eq!(cell.offset, seoul);
        let lower = LocalRead { extent: Extent::Partial, offset: UtcOffset::from_minutes(0).ok(), ..full(5) };
        cell.read(lower, 0);
        assert_eq!(cell.offset, seoul, "only a reading that became the value brings its offset");
    }

    #[test]
    fn what_the_server_sent_is_pending_only_where_it_lacks_something() {
        let mut cell = known(8_000, true);
        cell.set_pending_since(Some(5));
        cell.receive(Register { epoch: 0, counts: Some(Counts::new(7_000, 0)) }, From::Server, 9);
        assert_eq!((cell.pending_since_ms(), cell.read_here), (Some(5), true));
        cell.receive(Register { epoch: 0, counts: Some(Counts::new(7_000, 10)) }, From::Server, 9);
        assert_eq!((cell.pending_since_ms(), cell.read_here), (Some(5), false));
        cell.receive(Register { epoch: 0, counts: Some(Counts::new(8_000, 10)) }, From::Server, 9);
        assert_eq!(cell.pending_since_ms(), None);
        cell.receive(Register { epoch: 0, counts: Some(Counts::new(7_000, 0)) }, From::Server, 9);
        assert_eq!(cell.pending_since_ms(), None, "an older page of the server's own says nothing new");
        cell.receive(Register { epoch: 0, counts: Some(Counts::new(9_000, 0)) }, From::Peer, 9);
        assert_eq!(cell.pending_since_ms(), Some(9));
    }
}
