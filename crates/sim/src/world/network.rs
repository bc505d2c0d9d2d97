//! The network: requests and answers that wait in it, and what becomes of them.

use manbo::delivery::{Batch, Body, Outcome, Ticket};
use manbo::wire;

use super::truth::Unlike;
use super::{Broken, Check, Invariant, World, latest_day};
use crate::doors::{Book, Doors, ServerCrash};
use crate::event::{Fate, Fault, FaultKind, StoreKind};

/// The most messages that wait in the network: more are lost, as in a real one.
const MESSAGES_MAX: usize = 24;

/// A batch on its way.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    /// What tells its answer from others.
    pub(super) id: u64,
    /// The process that sent it.
    pub(super) handle: usize,
    /// Whose it is.
    pub(super) user: u8,
    /// What it holds.
    pub(super) batch: Batch,
}

/// Something that waits in the network.
#[derive(Debug, Clone)]
pub(super) enum Message {
    /// On its way to a server.
    Request(Flight),
    /// On its way back.
    Reply {
        /// To which request.
        to: u64,
        /// The number of the batch.
        ticket: Ticket,
        /// To which process.
        handle: usize,
        /// Whose it is.
        user: u8,
        /// The answer.
        outcome: Outcome,
    },
}

impl<D: Doors> World<'_, D> {
    /// Puts a request into the network.
    pub(super) fn send(&mut self, flight: Flight) {
        self.put(Message::Request(flight));
    }

    fn put(&mut self, message: Message) {
        if self.messages.len() < MESSAGES_MAX {
            self.messages.push(message);
        }
    }

    /// Takes a message out of the network.
    pub(super) fn take_message(&mut self, message: u8) -> Option<Message> {
        let count = self.messages.len();
        (count > 0).then(|| self.messages.remove(usize::from(message) % count))
    }

    pub(super) fn double(&mut self, message: u8) {
        let count = self.messages.len();
        if count > 0 {
            let copy = self.messages[usize::from(message) % count].clone();
            self.put(copy);
        }
    }

    /// A message arrives.
    pub(super) fn deliver(&mut self, message: u8, server: u8, fault: Option<Fault>) -> Check {
        match self.take_message(message) {
            None => Ok(()),
            Some(Message::Request(flight)) => {
                let crash = fault.map(|fault| match fault.kind {
                    FaultKind::Power => ServerCrash::Power(fault.at),
                    _ => ServerCrash::Killed(fault.at),
                });
                if let Some(outcome) = self.request(server, &flight, crash)? {
                    let Flight { id, handle, user, batch } = flight;
                    self.put(Message::Reply { to: id, ticket: batch.ticket, handle, user, outcome });
                }
                Ok(())
            }
            Some(Message::Reply { to, ticket, handle, user, outcome }) => {
                let host = &mut self.hosts[handle];
                host.flights.retain(|(id, ..)| *id != to);
                let book = self.book(handle);
                if self.hosts[handle].suspended || book.user != user || !self.devices[book.device].connected {
                    return Ok(());
                }
                self.report(book, ticket, &outcome, fault)?;
                self.look(handle, fault.is_some())
            }
        }
    }

    /// A host gives up waiting for its oldest request.
    pub(super) fn give_up(&mut self, handle: usize) -> Check {
        if self.hosts[handle].suspended || self.hosts[handle].flights.is_empty() {
            return Ok(());
        }
        let (_, ticket, user) = self.hosts[handle].flights.remove(0);
        let book = self.book(handle);
        if book.user != user {
            return Ok(());
        }
        self.report(book, ticket, &Outcome::Network, None)?;
        self.look(handle, false)
    }

    /// A host asks, sends and waits for the answer.
    pub(super) fn sync(&mut self, handle: usize, server: u8, fate: Fate, fault: Option<Fault>) -> Check {
        let book = self.book(handle);
        if book.user == 0 {
            return Ok(());
        }
        let (Some(flight), _) = self.ask(book, None)? else { return Ok(()) };
        let outcome = if self.devices[book.device].connected {
            self.exchange(server, &flight, fate)?
        } else {
            Outcome::Network
        };
        self.hosts[handle].flights.retain(|(id, ..)| *id != flight.id);
        self.report(book, flight.batch.ticket, &outcome, fault)
    }

    /// What a host gets for a request.
    pub(super) fn exchange(&mut self, server: u8, flight: &Flight, fate: Fate) -> Result<Outcome, Broken> {
        let reply = |outcome| Message::Reply {
            to: flight.id,
            ticket: flight.batch.ticket,
            handle: flight.handle,
            user: flight.user,
            outcome,
        };
        let foreign = |status, retry_after_s| Outcome::Reply { status, retry_after_s, body: Body::Foreign };
        let crash = match fate {
            Fate::CrashInside(at) => Some(ServerCrash::Killed(at)),
            Fate::PowerInside(at) => Some(ServerCrash::Power(at)),
            _ => None,
        };
        match fate {
            Fate::RequestLost | Fate::CrashBefore => return Ok(Outcome::Network),
            Fate::Portal(status) => return Ok(foreign(status, None)),
            Fate::Busy(status, wait) => {
                return Ok(foreign(status, (wait > 0).then_some(i64::from(wait))));
            }
            _ => {}
        }
        let Some(outcome) = self.request(server, flight, crash)? else { return Ok(Outcome::Network) };
        let outcome = if self.config.store == StoreKind::Sqlite { carried(&outcome, None)? } else { outcome };
        Ok(match fate {
            Fate::ReplyLost | Fate::CrashAfter => Outcome::Network,
            Fate::Twice => {
                if let Some(second) = self.request(server, flight, None)? {
                    self.put(reply(second));
                }
                outcome
            }
            Fate::Late => {
                self.put(reply(outcome));
                Outcome::Network
            }
            Fate::Garbled(how) => carried(&outcome, Some(how))?,
            _ => outcome,
        })
    }

    /// A request arrives at a server.
    pub(super) fn request(
        &mut self,
        server: u8,
        flight: &Flight,
        crash: Option<ServerCrash>,
    ) -> Result<Option<Outcome>, Broken> {
        let device = self.hosts[flight.handle].device;
        if !self.service.is_up(server) {
            return Ok(None);
        }
        let refused =
            |status| Some(Outcome::Reply { status, retry_after_s: None, body: Body::Refusal(None) });
        if !self.devices[device].token {
            return Ok(refused(401));
        }
        if self.service.limit > 0 && flight.batch.facts.len() > self.service.limit {
            return Ok(refused(413));
        }
        if self.config.store == StoreKind::Model {
            return self.ingest(server, flight, crash);
        }
        // Through its text, as a server gets it.
        let batch = match wire::read_upload(wire::upload(&flight.batch).as_bytes()) {
            Ok(batch) => Batch { ticket: flight.batch.ticket, ..batch },
            Err(error) => {
                let why = format!("an upload cannot be read: {error}");
                return Err(Broken { invariant: Invariant::I3, why });
            }
        };
        self.ingest(server, &Flight { batch, ..flight.clone() }, crash)
    }

    /// A host tells what became of a batch.
    pub(super) fn report(
        &mut self,
        book: Book,
        ticket: Ticket,
        outcome: &Outcome,
        fault: Option<Fault>,
    ) -> Check {
        let of = self.config.tickets.then_some(ticket);
        let moment = self.moment(book.device);
        let now_ms = moment.now.unix_ms;
        let latest = latest_day(now_ms).number();
        self.note(|| format!("     answer: {outcome:?}"));
        let done = self.doors.report(book, of, outcome, moment, fault);
        self.ended(book, &done, fault)?;
        self.counters.receipts += u64::from(done.is_ok() && is_receipt(outcome));
        self.truths(book).stale = true;
        self.truths(book).follow(&done, |truth, said| {
            truth
                .expect
                .report(&mut truth.replica, (of, outcome), (now_ms, latest), said)
                .map_err(Unlike::from)
        })
    }
}

/// An answer as it arrives: as text, cut off or with a changed byte where it is garbled.
fn carried(outcome: &Outcome, garbled: Option<u16>) -> Result<Outcome, Broken> {
    let Outcome::Reply { status, retry_after_s, body } = outcome else { return Ok(outcome.clone()) };
    let text = match body {
        Body::Receipt(answer) => wire::receipt(answer),
        Body::Refusal(identity) => wire::problem(problem(*status), identity.as_ref()),
        Body::Foreign => String::from("<html>please sign in</html>"),
    };
    let mut bytes = text.into_bytes();
    let at = usize::from(garbled.unwrap_or(0) >> 1) % bytes.len();
    match garbled {
        None => {}
        Some(how) if how % 2 == 0 => bytes.truncate(at),
        Some(_) => bytes[at] ^= 1,
    }
    let retry_after = retry_after_s.map(|seconds| seconds.to_string());
    let arrived = wire::read_reply(*status, retry_after.as_deref(), &bytes, 0);
    let damaged = Outcome::Reply { status: *status, retry_after_s: *retry_after_s, body: Body::Foreign };
    let expected = if garbled.is_some() { &damaged } else { outcome };
    if arrived == *expected {
        return Ok(arrived);
    }
    let why = format!("{outcome:?} (garbled: {garbled:?}) arrived as {arrived:?}");
    Err(Broken { invariant: Invariant::I3, why })
}

fn problem(status: u16) -> wire::Problem {
    match status {
        401 => wire::Problem::Unauthorized,
        403 => wire::Problem::Forbidden,
        410 => wire::Problem::Erased,
        413 => wire::Problem::BatchTooLarge,
        _ => wire::Problem::Unknown,
    }
}

fn is_receipt(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Reply { body: Body::Receipt(_), .. })
}
