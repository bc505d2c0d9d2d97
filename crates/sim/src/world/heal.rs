//! The end of every world: everything works again, and within a few rounds every device of a person must
//! be drained and equal to the server and to the oracle.

use std::collections::BTreeSet;

use manbo::delivery::Next;

use super::expect::sendable;
use super::truth::Truth;
use super::{Broken, Check, Clock, Invariant, World, compare, convert, latest_day};
use crate::doors::{Book, Doors};
use crate::event::{Act, Fate};
use crate::oracle::Item;

/// Times that a book is asked in one round: 8 days of 4 sources and 8 attendance days are 40 facts, one a
/// batch at worst after a server that took only small ones, with as many waits between them; doubled.
const ASKS_A_ROUND: usize = 160;
/// Rounds over all books: one to send, one to fetch what the others sent, one that must bring nothing.
const ROUNDS: usize = 3;
/// A day that begins while they come to rest brings out what nobody could be offered before it, and all go round
/// once more. The first pass may wait out days of patience; a later one has nothing left to wait for, and three
/// rounds last less than an hour of their day.
const PASSES: usize = 4;
/// Between rounds: more than the 15 minutes after which the foreground asks anew.
const ROUND_MS: i64 = 1_000_000;

impl<D: Doors> World<'_, D> {
    /// Everything works again; then all must come to rest, and be equal.
    pub(super) fn heal(&mut self) -> Check {
        self.met = None;
        self.service.heal();
        for device in &mut self.devices {
            device.connected = true;
            device.token = true;
            device.clock = Clock::default();
        }
        for handle in 0..self.hosts.len() {
            self.resume(handle)?;
        }
        while !self.messages.is_empty() {
            self.deliver(0, 0, None)?;
        }
        for handle in 0..self.hosts.len() {
            while !self.hosts[handle].flights.is_empty() {
                self.give_up(handle)?;
            }
        }
        let books = self.books();
        for book in &books {
            self.devices[book.device].user = book.user;
            self.compare(*book)?;
            self.follow(*book, None)?;
            self.retry_all(*book)?;
        }
        for _ in 0..PASSES {
            let day = latest_day(self.now_ms);
            self.rounds(&books)?;
            if latest_day(self.now_ms) == day {
                break;
            }
        }
        books.iter().try_for_each(|book| self.check_equal(*book))
    }

    fn rounds(&mut self, books: &[Book]) -> Check {
        for _ in 0..ROUNDS {
            self.now_ms += ROUND_MS;
            for book in books {
                self.devices[book.device].user = book.user;
                self.drain(book.handle)?;
            }
        }
        Ok(())
    }

    /// Every book of somebody, with a process of its device.
    fn books(&self) -> Vec<Book> {
        let handle_of = |device| self.hosts.iter().position(|host| host.device == device);
        let mut books = Vec::new();
        for device in 0..self.devices.len() {
            let Some(handle) = handle_of(device) else { continue };
            let visited = |user: &u8| self.devices[device].visitors[usize::from(*user)];
            let users = (1..=self.config.users).filter(visited);
            books.extend(users.map(|user| Book { handle, device, user }));
        }
        books
    }

    /// The host tries once more what was refused.
    fn retry_all(&mut self, book: Book) -> Check {
        let parked = self.truths(book).first().replica.parked().len();
        (0..parked).try_for_each(|_| self.unpark(book, 0, true, None))
    }

    /// Sends until a book has nothing to send.
    fn drain(&mut self, handle: usize) -> Check {
        self.act(handle, Act::Credentials, None)?;
        self.act(handle, Act::Foreground, None)?;
        let book = self.book(handle);
        // Whose answers it is told, a host without tickets cannot say: late ones count for it, once.
        let mut may_stall = !self.config.tickets;
        for _ in 0..ASKS_A_ROUND {
            self.counters.events += 1;
            let (flight, next) = self.ask(book, None)?;
            if let Some(flight) = flight {
                self.answer(book, &flight)?;
                continue;
            }
            match next {
                Some(Next::Wait { until_ms } | Next::Paused { until_ms }) => {
                    self.now_ms = self.now_ms.max(until_ms);
                }
                Some(Next::Stalled) if may_stall => may_stall = false,
                Some(Next::Stalled) => {
                    let why = "a healthy server, and delivery says it is stalled".to_owned();
                    return Err(Broken { invariant: Invariant::I12, why });
                }
                _ if self.truths(book).first().expect.erased().is_some() => self.follow(book, None)?,
                _ => return self.compare(book),
            }
        }
        let why = format!("after {ASKS_A_ROUND} questions there is still something to do");
        Err(Broken { invariant: Invariant::I5, why })
    }

    fn answer(&mut self, book: Book, flight: &super::network::Flight) -> Check {
        let outcome = self.exchange(0, flight, Fate::Fine)?;
        self.hosts[book.handle].flights.clear();
        self.report(book, flight.batch.ticket, &outcome, None)
    }

    /// I5: nothing is pending, and the copy equals the server's but for what somebody or the server willed.
    fn check_equal(&mut self, book: Book) -> Check {
        let latest = latest_day(self.now_ms).number();
        let truth: Truth = self.truths(book).first().clone();
        let left = sendable(&truth.replica, latest);
        if let Some(item) = left.first() {
            let why = format!("device {} still has to send {item:?}", book.device);
            return Err(Broken { invariant: Invariant::I5, why });
        }
        let excused = |item: &Item| Self::excused(&truth, item);
        let unreadable = |failed| Broken { invariant: Invariant::I12, why: format!("{failed:?}") };
        let here: BTreeSet<Item> =
            compare::shared(self.doors.look(book).map_err(unreadable)?, latest, excused)
                .into_iter()
                .collect();
        let state = self.doors.server(book.user).map_err(unreadable)?;
        let there: BTreeSet<Item> = state.ledger.facts().iter().filter_map(convert::item).collect();
        let erased = self.service.generation(book.user) > 0;
        let there: BTreeSet<Item> =
            there.into_iter().filter(|item| item.day() <= latest && !excused(item)).collect();
        if here == there {
            return Ok(());
        }
        let invariant = if erased && here.len() > there.len() { Invariant::I11 } else { Invariant::I5 };
        let differ: Vec<_> = here.symmetric_difference(&there).collect();
        Err(Broken {
            invariant,
            why: format!("device {} of user {} differs: {differ:?}", book.device, book.user),
        })
    }
}
