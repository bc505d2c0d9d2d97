//! What happens on a device: what its apps ask, and what becomes of its processes and its storage.

use manbo::delivery::Next;
use manbo::{Code, Correction, CounterReading, Deletion, Fact, Reading, UtcOffset};

use super::compare::{self, BOUNDARIES, RESIDUES, Seen};
use super::convert::{self, CHIP, counts, day, source, source_number};
use super::network::Flight;
use super::truth::{Truth, Unlike};
use super::{Backup, Broken, Check, Device, Invariant, World, latest_day};
use crate::coverage::Hit;
use crate::doors::{Book, Change, Done, Doors, Failed};
use crate::event::{Act, Fault, StoreKind, ZONES};
use crate::oracle::{Item, Refused};

/// The steps of each day that is imported.
const STEPS_IMPORTED: u32 = 7_000;
/// Hundreds of days that are imported, exclusive: three sources of 500 days are more than a page of 1,000.
const IMPORTED_MAX: u8 = 6;
/// The residues of what is recorded while nobody is signed in begin here: one for each device.
const SIGNED_OUT: u32 = 10;

/// The residue of what is recorded in a book.
fn residue(book: Book) -> u32 {
    let device = u32::try_from(book.device).unwrap_or(0);
    if book.user == 0 { SIGNED_OUT + device } else { u32::from(book.user) }
}

/// A number of steps that tells whose it is, unless it is one of the boundaries.
pub(super) fn marked(steps: u32, residue: u32) -> u32 {
    if BOUNDARIES.contains(&steps) { steps } else { steps - steps % RESIDUES + residue }
}

impl<D: Doors> World<'_, D> {
    /// An app asks its book for something.
    pub(super) fn act(&mut self, handle: usize, act: Act, fault: Option<Fault>) -> Check {
        let book = self.book(handle);
        if !matches!(act, Act::Merge { .. } | Act::Reread { .. } | Act::Retry { .. } | Act::Discard { .. }) {
            self.meet(Hit::of_act(act));
        }
        match act {
            Act::Flush => return self.flush(handle, fault).map(|_| ()),
            Act::Follow => return self.follow(book, fault),
            Act::Import { hundreds } => return self.import(book, hundreds, fault),
            Act::Merge { from } => return self.merge(book, from, fault),
            Act::Reread { steps } => return self.reread(book, steps, fault),
            Act::Retry { nth } => return self.unpark(book, nth, true, fault),
            Act::Discard { nth } => return self.unpark(book, nth, false, fault),
            _ => {}
        }
        let now = self.now(book.device);
        let today = now.today.number();
        match act {
            Act::Read { day: on, source: from, recorded, manual, full, zone } => {
                let zone = usize::from(zone) % ZONES.len();
                let offset = (zone > 0).then_some(ZONES[zone]);
                let said = (marked(recorded, residue(book)), marked(manual, residue(book)));
                self.read(book, (on, from % CHIP), said, (full, offset), fault)
            }
            Act::Delete { day: on, source: from, left } => {
                self.delete(book, (on, from % CHIP), left, today, fault)
            }
            Act::Correct { day: on, source: from, to } => {
                let (number, from) = (convert::FIRST_DAY + i32::from(on), from % CHIP);
                let to = to.map(|steps| (marked(steps, residue(book)), 0));
                let correction =
                    Correction { day: day(on), source: source(from), to: to.map(counts), reason: "support" };
                self.change(book, &Change::Correct(correction), fault, |truth| {
                    truth.replica.correct(number, from, to, today)?;
                    truth.kept.insert((number, Some(from)));
                    Ok(())
                })
            }
            Act::Unpin { day: on, source: from } => {
                let (number, from) = (convert::FIRST_DAY + i32::from(on), from % CHIP);
                self.change(book, &Change::Unpin(day(on), source(from)), fault, |truth| {
                    truth.replica.unpin(number, from, today)?;
                    truth.kept.insert((number, Some(from)));
                    Ok(())
                })
            }
            Act::Count { day: on, boot, count } => {
                let number = convert::FIRST_DAY + i32::from(on);
                let name = boot.to_string();
                let reading = CounterReading { day: day(on), source: source(CHIP), boot: &name, count };
                let tried =
                    self.truths(book).first().replica.clone().count(number, CHIP, boot.into(), count, today);
                if tried.is_ok() {
                    self.hand_over_counters(book);
                }
                self.change(book, &Change::Count(reading), fault, |truth| {
                    truth.replica.count(number, CHIP, boot.into(), count, today)
                })
            }
            Act::Attend { day: on } => {
                let number = convert::FIRST_DAY + i32::from(on);
                self.change(book, &Change::Attend(day(on)), fault, |truth| {
                    truth.replica.attend(number, today)
                })
            }
            _ => self.trigger(book, act, fault),
        }
    }

    /// The book is told of something around the app.
    fn trigger(&mut self, book: Book, act: Act, fault: Option<Fault>) -> Check {
        let now_ms = self.now(book.device).unix_ms;
        let change = match act {
            Act::Foreground => Change::Foreground,
            Act::Connectivity => Change::Connectivity,
            _ => Change::Credentials,
        };
        self.change(book, &change, fault, |truth| {
            match act {
                Act::Foreground => truth.expect.foreground(now_ms),
                Act::Connectivity => truth.expect.connectivity(now_ms),
                _ => truth.expect.credentials(),
            }
            Ok(())
        })
    }

    /// Before a book counts, on a file that several people share: it goes on where whoever counted last left off.
    fn hand_over_counters(&mut self, book: Book) {
        let device = &mut self.devices[book.device];
        let user = book.user;
        if self.config.store == StoreKind::Model || device.counted_by == Some(user) {
            return;
        }
        let mut stood = Vec::new();
        if let Some(last) = device.counted_by {
            let states = &device.books[usize::from(last)].states;
            for truth in states {
                if !stood.contains(&truth.replica.baselines) {
                    stood.push(truth.replica.baselines.clone());
                }
            }
        } else {
            stood.push(std::collections::BTreeMap::new());
        }
        let own = &mut device.books[usize::from(user)];
        for states in [&mut own.states, &mut own.unflushed] {
            *states = states
                .iter()
                .flat_map(|truth| {
                    stood.iter().map(|stood| {
                        let mut truth = truth.clone();
                        truth.replica.baselines.clone_from(stood);
                        truth
                    })
                })
                .collect();
        }
        device.counted_by = Some(user);
    }

    fn read(
        &mut self,
        book: Book,
        (on, from): (u8, u8),
        said: (u32, u32),
        (full, offset): (bool, Option<i16>),
        fault: Option<Fault>,
    ) -> Check {
        let today = self.now(book.device).today.number();
        let mut reading = Reading::new(day(on), source(from), said.0).with_manual(said.1);
        if full {
            reading = reading.full();
        }
        reading.offset = offset.and_then(|minutes| UtcOffset::from_minutes(minutes.into()).ok());
        let number = convert::FIRST_DAY + i32::from(on);
        self.change(book, &Change::Read(reading), fault, |truth| {
            truth.replica.read(number, from, said.0, said.1, full, offset, today)
        })
    }

    /// A new phone reads years of its store.
    fn import(&mut self, book: Book, hundreds: u8, fault: Option<Fault>) -> Check {
        let today = self.now(book.device).today.number();
        let steps = marked(STEPS_IMPORTED, residue(book));
        let first = convert::FIRST_DAY - 100 * i32::from(hundreds % IMPORTED_MAX);
        let cells =
            || (first..convert::FIRST_DAY).flat_map(|number| (0..CHIP).map(move |from| (number, from)));
        let reading = |(number, from)| {
            manbo::Day::from_number(number).ok().map(|day| Reading::new(day, source(from), steps).full())
        };
        let readings: Vec<Reading> = cells().filter_map(reading).collect();
        self.change(book, &Change::Import(&readings), fault, |truth| {
            for (number, from) in cells() {
                truth.replica.read(number, from, steps, 0, true, None, today)?;
            }
            Ok(())
        })
    }

    /// The platform reports a deletion to a book.
    fn delete(
        &mut self,
        book: Book,
        (on, from): (u8, u8),
        left: Option<u32>,
        today: i32,
        fault: Option<Fault>,
    ) -> Check {
        let left = left.map(|steps| (marked(steps, residue(book)), 0));
        let deletion = Deletion { day: day(on), source: source(from), left: left.map(counts) };
        self.change(book, &Change::Delete(deletion), fault, |truth| {
            truth.replica.delete(convert::FIRST_DAY + i32::from(on), from, left, today)
        })
    }

    /// A change of a book, and the same in all that may be true of it.
    fn change(
        &mut self,
        book: Book,
        change: &Change<'_>,
        fault: Option<Fault>,
        mut step: impl FnMut(&mut Truth) -> Result<(), Refused>,
    ) -> Check {
        let now = self.now(book.device);
        let done = self.doors.change(book, change, now, fault);
        self.ended(book, &done, fault)?;
        self.truths(book).stale = true;
        self.truths(book).follow(&done, |truth, _| step(truth).map_err(Unlike::from))
    }

    /// Takes note of how a call ended: a process that died forgets what it waited for.
    pub(super) fn ended<T>(&mut self, book: Book, done: &Done<T>, fault: Option<Fault>) -> Check {
        self.trace.add(match done {
            Ok(_) => 1,
            Err(Failed::Refused(code)) => 2 + *code as u64,
            Err(Failed::Storage(_)) => 98,
            Err(Failed::Crashed) => 99,
        });
        if let (Some(fault), Err(Failed::Storage(_) | Failed::Crashed)) = (fault, done) {
            self.meet(Hit::of_fault(fault.kind));
        }
        match done {
            Err(Failed::Storage(code)) if fault.is_none() => {
                let why = format!("a storage without a fault failed: {code}");
                return Err(Broken { invariant: Invariant::I12, why });
            }
            // Accepted: a connection that met a read-only file stays so until its process opens anew.
            Err(Failed::Storage(Code::StorageReadOnly)) => {
                self.doors.kill(book.handle);
                self.forget(book.device);
            }
            Err(Failed::Crashed) => {
                self.counters.crashes += 1;
                self.hosts[book.handle].flights.clear();
                self.forget(book.device);
                if fault.is_some_and(|fault| fault.kind == crate::event::FaultKind::Power) {
                    self.device_died(book.device);
                }
            }
            _ => {}
        }
        self.note(|| match done {
            Ok(_) => "     done".to_owned(),
            Err(failed) => format!("     {failed:?}"),
        });
        Ok(())
    }

    fn device_died(&mut self, device: usize) {
        for host in self.hosts.iter_mut().filter(|host| host.device == device) {
            host.flights.clear();
            host.suspended = false;
        }
        self.forget(device);
    }

    /// What a process on a device did not make durable may be there or not.
    fn forget(&mut self, device: usize) {
        for book in &mut self.devices[device].books {
            book.crash();
        }
    }

    /// Asks what to send; a batch becomes a flight.
    pub(super) fn flush(&mut self, handle: usize, fault: Option<Fault>) -> Result<Option<Flight>, Broken> {
        let book = self.book(handle);
        if book.user == 0 {
            return Ok(None);
        }
        let (flight, _) = self.ask(book, fault)?;
        let flight = flight.filter(|_| self.devices[book.device].connected);
        if let Some(flight) = &flight {
            self.send(flight.clone());
        }
        Ok(flight)
    }

    /// Asks what to send. The second value is until when to wait.
    pub(super) fn ask(
        &mut self,
        book: Book,
        fault: Option<Fault>,
    ) -> Result<(Option<Flight>, Option<Next>), Broken> {
        let moment = self.moment(book.device);
        let now_ms = moment.now.unix_ms;
        let latest = latest_day(now_ms).number();
        let done = self.doors.next(book, moment, fault);
        self.ended(book, &done, fault)?;
        self.truths(book).follow(&done, |truth, said| {
            truth.expect.next(&truth.replica, now_ms, latest, said).map_err(Unlike::from)
        })?;
        let Ok(next) = done else { return Ok((None, None)) };
        self.note(|| format!("     next: {next:?}"));
        let Next::Upload(batch) = next else {
            self.trace.add(match next {
                Next::Wait { until_ms } | Next::Paused { until_ms } => until_ms.cast_unsigned(),
                _ => 5,
            });
            return Ok((None, Some(next)));
        };
        self.counters.batches += 1;
        self.trace.add(batch.facts.len() as u64);
        self.ticks += 1;
        let flight = Flight { id: self.ticks, handle: book.handle, user: book.user, batch };
        self.hosts[book.handle].flights.push((flight.id, flight.batch.ticket, book.user));
        Ok((Some(flight), None))
    }

    /// Follows an erasure, if one was told.
    pub(super) fn follow(&mut self, book: Book, fault: Option<Fault>) -> Check {
        let done = self.doors.follow(book, fault);
        self.devices[book.device].seen[usize::from(book.user)] = None;
        self.truths(book).stale = true;
        self.ended(book, &done, fault)?;
        self.truths(book).follow(&done, |truth, said| {
            let expected = truth.expect.erased();
            if said.is_some_and(|said| *said != expected) {
                let why = format!("an erasure was followed to {said:?}, expected {expected:?}");
                return Err(Unlike::Broken(Broken { invariant: Invariant::I11, why }));
            }
            if expected.is_some() {
                truth.replica = crate::oracle::Replica::default();
                truth.kept.clear();
                truth.expect.followed();
            }
            Ok(())
        })
    }

    fn merge(&mut self, book: Book, from: u8, fault: Option<Fault>) -> Check {
        let peer = self.book(self.host(from));
        if peer.device == book.device || peer.user != book.user || book.user == 0 {
            return Ok(());
        }
        let Ok(ledger) = self.doors.look(peer) else { return Ok(()) };
        let facts: Vec<Fact> = ledger.facts();
        self.meet(Hit::Cable);
        self.change(book, &Change::Merge(&facts), fault, |truth| {
            for item in convert::items(&facts) {
                truth.replica.merge(item)?;
            }
            Ok(())
        })
    }

    /// The host reads again what the book asks for.
    fn reread(&mut self, book: Book, steps: u32, fault: Option<Fault>) -> Check {
        let Ok(ledger) = self.doors.look(book) else { return Ok(()) };
        let wanted: Vec<_> = ledger
            .to_reread()
            .into_iter()
            .filter_map(|(on, from)| {
                let on = u8::try_from(on.number() - convert::FIRST_DAY).ok()?;
                Some((on, source_number(from)?))
            })
            .collect();
        let said = (marked(steps, residue(book)), 0);
        for cell in wanted {
            self.meet(Hit::Reread);
            self.read(book, cell, said, (true, None), fault)?;
        }
        Ok(())
    }

    /// Sends a parked fact again, or gives it up.
    pub(super) fn unpark(&mut self, book: Book, nth: u8, again: bool, fault: Option<Fault>) -> Check {
        let Ok(ledger) = self.doors.look(book) else { return Ok(()) };
        let parked = ledger.parked();
        if parked.is_empty() {
            return Ok(());
        }
        let fact = parked[usize::from(nth) % parked.len()].fact;
        let Some(item) = convert::item(&fact) else { return Ok(()) };
        self.meet(if again { Hit::Retry } else { Hit::Discard });
        let change = if again { Change::Retry(fact) } else { Change::Discard(fact) };
        self.change(book, &change, fault, |truth| {
            if again {
                truth.replica.retry(item);
            } else {
                truth.replica.discard(item);
                truth.kept.insert(item.key());
            }
            Ok(())
        })
    }

    /// Somebody signs in. What was recorded while nobody was goes to the first who does.
    pub(super) fn sign_in(&mut self, handle: usize, user: u8) -> Check {
        let user = user % (self.config.users + 1);
        let book = self.book(handle);
        let in_memory = self.config.store == StoreKind::Model;
        if self.hosts[handle].suspended || (!in_memory && book.user == user) {
            return Ok(());
        }
        self.compare(Book { user: 0, ..book })?;
        self.compare(Book { user, ..book })?;
        self.meet(Hit::SignIn);
        let now = self.now(book.device);
        let done = self.doors.sign_in(book, user, now);
        self.ended(book, &done, None)?;
        let device = &mut self.devices[book.device];
        device.user = user;
        device.visitors[usize::from(user)] = true;
        if in_memory || user == 0 {
            return Ok(());
        }
        let is_first = device.first.is_none_or(|first| first == user);
        let goes_on = device.counted_by.is_none_or(|last| last == user || (is_first && last == 0));
        let stood =
            device.books[usize::from(device.counted_by.unwrap_or(0))].first().replica.baselines.clone();
        let own = &mut device.books[usize::from(user)];
        for truth in own.states.iter_mut().chain(&mut own.unflushed) {
            truth.replica.baselines = if goes_on { stood.clone() } else { std::collections::BTreeMap::new() };
        }
        device.counted_by = device.counted_by.map(|_| user);
        if !is_first {
            return Ok(());
        }
        device.first = Some(user);
        let signed_out = std::mem::take(&mut device.books[0]);
        device.seen[0] = None;
        let own = &mut device.books[usize::from(user)];
        own.stale = true;
        for truth in &mut own.states {
            // Where the chip stood was settled above.
            let mut theirs = signed_out.first().replica.clone();
            theirs.baselines.clear();
            truth.replica.take_over(&mut theirs);
            truth.kept.extend(&signed_out.first().kept);
        }
        own.unflushed.clear();
        self.residues[usize::from(user)] |= 1 << residue(Book { user: 0, ..book });
        self.compare(Book { user, ..book })
    }

    pub(super) fn kill(&mut self, handle: usize) -> Check {
        self.counters.crashes += 1;
        self.meet(Hit::Killed);
        self.doors.kill(handle);
        self.forget(self.hosts[handle].device);
        self.hosts[handle].flights.clear();
        self.hosts[handle].suspended = false;
        self.look_after_end(handle)
    }

    pub(super) fn power(&mut self, handle: usize, image: u16) -> Check {
        self.counters.crashes += 1;
        self.meet(Hit::Killed);
        let device = self.hosts[handle].device;
        self.doors.power(device, image);
        self.device_died(device);
        self.look_after_end(handle)
    }

    /// Looks at a book whose process has ended; every second time on SQLite nobody does, so that the next call
    /// opens the file and recovers it under whatever goes wrong then.
    fn look_after_end(&mut self, handle: usize) -> Check {
        if self.config.store == StoreKind::Sqlite && self.counters.events.is_multiple_of(2) {
            return Ok(());
        }
        self.compare(self.book(handle))
    }

    /// The app is updated. Nobody looks at the book before it is asked for something: what opens it next, and
    /// brings it to the newest schema, does so under whatever goes wrong then.
    pub(super) fn update(&mut self, handle: usize, closed: bool) {
        self.counters.crashes += 1;
        self.meet(Hit::Updated);
        let device = self.hosts[handle].device;
        self.doors.update(device, closed);
        self.device_died(device);
    }

    pub(super) fn suspend(&mut self, handle: usize) -> Check {
        if self.hosts[handle].suspended {
            return Ok(());
        }
        self.meet(Hit::Suspended);
        let held = self.doors.suspend(self.book(handle));
        self.hosts[handle].suspended = true;
        if held.locks > 0 || held.deleted > 0 {
            return Err(Broken { invariant: Invariant::I13, why: format!("suspended: {held:?}") });
        }
        Ok(())
    }

    pub(super) fn resume(&mut self, handle: usize) -> Check {
        if !std::mem::take(&mut self.hosts[handle].suspended) {
            return Ok(());
        }
        self.meet(Hit::Suspended);
        let book = self.book(handle);
        let done = self.doors.resume(book);
        self.ended(book, &done, None)?;
        self.compare(book)
    }

    pub(super) fn backup(&mut self, handle: usize) {
        let device = self.hosts[handle].device;
        self.doors.backup(device);
        let device = &mut self.devices[device];
        let Device { phone, first, counted_by, .. } = *device;
        device.backup = Some(Backup { phone, first, counted_by, books: device.books.clone() });
    }

    pub(super) fn restore(&mut self, handle: usize, other_phone: bool) -> Check {
        let device = self.hosts[handle].device;
        let Some(Backup { phone, first, counted_by, books }) = self.devices[device].backup.clone() else {
            return Ok(());
        };
        self.meet(Hit::DeviceRestored);
        self.doors.restore(device, other_phone);
        self.devices[device].books = books;
        self.devices[device].first = first;
        self.devices[device].counted_by = counted_by;
        self.devices[device].seen.fill(None);
        self.device_died(device);
        self.devices[device].phone += u32::from(other_phone);
        if phone != self.devices[device].phone && self.doors.knows_phones() {
            for truth in self.devices[device].books.iter_mut().flat_map(|book| &mut book.states) {
                truth.replica.forget_device();
            }
        }
        self.compare(self.book(handle))
    }

    /// Compares a book with what may be true of it.
    pub(super) fn compare(&mut self, book: Book) -> Check {
        if self.hosts[book.handle].suspended {
            return Ok(());
        }
        let now = self.now(book.device);
        let may_fade = self.config.store == StoreKind::Sqlite;
        let device = &mut self.devices[book.device];
        let truths = &mut device.books[usize::from(book.user)];
        let unreadable = |failed: Failed| Broken {
            invariant: Invariant::I12,
            why: format!("the book cannot be read: {failed:?}"),
        };
        let ledger = self.doors.look(book).map_err(unreadable)?;
        let allowed = self.residues[usize::from(book.user)] | 1 << residue(book);
        compare::residues(ledger, book.user, allowed)?;
        truths.see(may_fade, |truth| compare::facts(ledger, &truth.replica))?;
        if std::mem::take(&mut truths.stale) {
            compare::derived(ledger, &truths.first().replica, &self.rules, now.today)?;
            let seen = Seen::of(ledger, &self.rules, now.today);
            let last = &mut device.seen[usize::from(book.user)];
            last.as_ref().map_or(Ok(()), |last| last.may_become(&seen))?;
            self.trace.add(seen.total());
            *last = Some(seen);
        }
        self.trace.add(ledger.pending_count() as u64);
        let health = self.doors.health(book, now).map_err(unreadable)?;
        truths.see(may_fade, |truth| truth.expect.health(&health, now.unix_ms))
    }

    /// The cells and days of a book whose value nobody else need have: kept here by somebody's will, or
    /// refused by the server.
    pub(super) fn excused(truth: &Truth, item: &Item) -> bool {
        let parked = match item {
            Item::Cell { day, source, .. } => truth.replica.mark(*day, *source).parked.is_some(),
            Item::Attended(day) => truth.replica.attended.get(day).is_some_and(|(_, code)| code.is_some()),
        };
        parked || truth.kept.contains(&item.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_tells_whose_it_is_unless_it_is_a_boundary() {
        for user in 0..14 {
            assert_eq!(marked(8_500, user) % RESIDUES, user);
            assert_eq!(marked(10_000, user), 10_000);
        }
        assert_eq!(marked(97, 1), 98);
    }
}
