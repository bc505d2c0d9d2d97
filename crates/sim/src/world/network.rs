//! The network: requests and answers that wait in it, and what becomes of them.

use manbo::Receipt;
use manbo::delivery::{Answer, Batch, Body, Outcome, Ticket};
use manbo::wire::{self, WireError};

use super::truth::Unlike;
use super::{Broken, Check, Invariant, World, latest_day};
use crate::coverage::Hit;
use crate::doors::{Book, Doors, ServerCrash};
use crate::event::{Fate, Fault, FaultKind, StoreKind};

/// The most messages that wait in the network: more are lost, as in a real one.
const MESSAGES_MAX: usize = 24;

/// The life of the server that is not the person's: no other is called so.
const STRANGER: &str = "stranger";

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

    /// The process that a message is of.
    pub(super) fn host_of(&self, message: u8) -> Option<usize> {
        let at = usize::from(message).checked_rem(self.messages.len())?;
        Some(match &self.messages[at] {
            Message::Request(flight) => flight.handle,
            Message::Reply { handle, .. } => *handle,
        })
    }

    pub(super) fn double(&mut self, message: u8) {
        let count = self.messages.len();
        if count > 0 {
            self.meet(Hit::MessageDoubled);
            let copy = self.messages[usize::from(message) % count].clone();
            self.put(copy);
        }
    }

    /// A message arrives.
    pub(super) fn deliver(&mut self, message: u8, server: u8, fault: Option<Fault>) -> Check {
        match self.take_message(message) {
            None => Ok(()),
            Some(Message::Request(flight)) => {
                self.meet(Hit::RequestArrives);
                let crash = fault.map(|fault| match fault.kind {
                    FaultKind::Power => ServerCrash::Power(fault.at),
                    _ => ServerCrash::Killed(fault.at),
                });
                if let Some(outcome) = self.request(server, &flight, crash, None)? {
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
                self.meet(Hit::AnswerArrives);
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
        self.meet(Hit::GivesUp);
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
        let (crash, garbled) = match fate {
            Fate::CrashInside(at) => (Some(ServerCrash::Killed(at)), None),
            Fate::PowerInside(at) => (Some(ServerCrash::Power(at)), None),
            Fate::GarbledRequest(how) => (None, Some(how)),
            _ => (None, None),
        };
        let early = match fate {
            Fate::RequestLost | Fate::CrashBefore => Some(Outcome::Network),
            Fate::Portal(status) => Some(foreign(status, None)),
            Fate::Busy(status, wait) => Some(foreign(status, (wait > 0).then_some(i64::from(wait)))),
            Fate::Stranger => self.stranger(flight),
            _ => None,
        };
        if let Some(outcome) = early {
            self.meet_fate(fate);
            return Ok(outcome);
        }
        let Some(outcome) = self.request(server, flight, crash, garbled)? else {
            return Ok(Outcome::Network);
        };
        if crash.is_none() {
            self.meet_fate(fate);
        }
        let outcome = if fate == Fate::Withheld { withheld(outcome) } else { outcome };
        let outcome = if self.config.store == StoreKind::Sqlite { carried(&outcome, None)? } else { outcome };
        Ok(match fate {
            Fate::ReplyLost | Fate::CrashAfter => Outcome::Network,
            Fate::Twice => {
                if let Some(second) = self.request(server, flight, None, None)? {
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

    fn meet_fate(&mut self, fate: Fate) {
        if let Some(hit) = Hit::of_fate(fate) {
            self.meet(hit);
        }
    }

    /// What another server answers that stands behind the same address: it knows the person, takes everything
    /// for its own store, has nothing to tell, and says that it is complete beyond what it has. `None` where no
    /// server has named the ledger yet.
    fn stranger(&self, flight: &Flight) -> Option<Outcome> {
        let Batch { identity, since, facts, .. } = &flight.batch;
        let revision = since + 1;
        let receipt = Receipt { accepted: facts.clone(), revision, ..Receipt::default() };
        let answer = Answer {
            identity: identity.clone()?,
            incarnation: STRANGER.to_owned(),
            rules_version: self.service.rules_version(0),
            since: *since,
            complete_to: revision + 2,
            receipt,
        };
        Some(Outcome::Reply { status: 200, retry_after_s: None, body: Body::Receipt(Box::new(answer)) })
    }

    /// A request arrives at a server.
    pub(super) fn request(
        &mut self,
        server: u8,
        flight: &Flight,
        crash: Option<ServerCrash>,
        garbled: Option<u16>,
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
        let batch = match garbled {
            None if self.config.store == StoreKind::Model => flight.batch.clone(),
            // Through its text, as a server gets it.
            None => match wire::read_upload(wire::upload(&flight.batch).as_bytes()) {
                Ok(batch) => Batch { ticket: flight.batch.ticket, ..batch },
                Err(error) => {
                    let why = format!("an upload cannot be read: {error}");
                    return Err(Broken { invariant: Invariant::I3, why });
                }
            },
            Some(how) => match damaged(&flight.batch, how)? {
                Ok(batch) => batch,
                Err(error) => return Ok(refused(error.status())),
            },
        };
        if self.service.limit > 0 && batch.facts.len() > self.service.limit {
            return Ok(refused(413));
        }
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
    let bytes = match garbled {
        None => text.into_bytes(),
        Some(how) => garble(text, how),
    };
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

/// A message that was damaged on its way: cut off, or with a changed bit.
fn garble(text: String, how: u16) -> Vec<u8> {
    let mut bytes = text.into_bytes();
    let number = usize::from(how >> 1);
    let (at, bit) = (number % bytes.len(), number / bytes.len() % 8);
    if how.is_multiple_of(2) {
        bytes.truncate(at);
    } else {
        bytes[at] ^= 1 << bit;
    }
    bytes
}

/// What a server reads of an upload that was damaged on its way: an error that the device sends again after, or
/// exactly what was sent, where only the name of the digest was struck.
fn damaged(batch: &Batch, how: u16) -> Result<Result<Batch, WireError>, Broken> {
    let wrong = |why: String| Err(Broken { invariant: Invariant::I3, why });
    match wire::read_upload(&garble(wire::upload(batch), how)) {
        Ok(read) => {
            let read = Batch { ticket: batch.ticket, ..read };
            if read == *batch { Ok(Ok(read)) } else { wrong(format!("{batch:?} was read as {read:?}")) }
        }
        Err(error) if [400, 501, 503].contains(&error.status()) => Ok(Err(error)),
        Err(error) => wrong(format!("a damaged upload is answered with {}", error.status())),
    }
}

/// What a broken server makes of its answer: it says that there is more, and gives nothing of it.
fn withheld(mut outcome: Outcome) -> Outcome {
    if let Outcome::Reply { body: Body::Receipt(answer), .. } = &mut outcome {
        answer.complete_to = answer.since;
        answer.receipt.facts.clear();
        answer.receipt.revision = answer.receipt.revision.max(answer.since + 1);
    }
    outcome
}

fn problem(status: u16) -> wire::Problem {
    match status {
        400 | 501 | 503 => wire::Problem::BadValue,
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

#[cfg(test)]
mod tests {
    use super::*;
    use manbo::Fact;

    #[test]
    fn whatever_is_damaged_on_its_way_is_refused_or_was_not_needed() {
        let fact = |text: &str| serde_json::from_str::<Fact>(text).unwrap();
        let facts = vec![
            fact(r#"{"day":"2022-10-04","source":"watch","epoch":2,"recorded":8500,"manual":0}"#),
            fact(r#"{"attended":"2022-10-04"}"#),
        ];
        let identity = Some(manbo::delivery::Identity { ledger: "ana".to_owned(), generation: 1 });
        let batch = Batch { ticket: 7, identity, since: 41, facts };
        let mut statuses = std::collections::BTreeMap::new();
        for how in 0..=u16::MAX {
            let status = match damaged(&batch, how).unwrap() {
                Ok(read) => {
                    assert_eq!(read, batch);
                    200
                }
                Err(error) => error.status(),
            };
            *statuses.entry(status).or_insert(0) += 1;
        }
        assert_eq!(statuses.keys().copied().collect::<Vec<_>>(), [200, 400, 501, 503]);
        assert!(statuses[&200] < statuses[&503] / 8, "{statuses:?}");
    }

    #[test]
    fn an_answer_that_withholds_says_that_there_is_more() {
        let receipt = Receipt { revision: 5, ..Receipt::default() };
        let answer = Answer {
            identity: manbo::delivery::Identity { ledger: "ana".to_owned(), generation: 1 },
            incarnation: "first".to_owned(),
            rules_version: 1,
            since: 5,
            complete_to: 5,
            receipt,
        };
        let body = Body::Receipt(Box::new(answer));
        let outcome = withheld(Outcome::Reply { status: 200, retry_after_s: None, body });
        let Outcome::Reply { body: Body::Receipt(answer), .. } = outcome else { panic!("a receipt") };
        assert_eq!((answer.since, answer.complete_to, answer.receipt.revision), (5, 5, 6));
        assert_eq!(withheld(Outcome::Network), Outcome::Network);
    }
}
