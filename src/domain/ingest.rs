//! The server's half: a batch of facts from a client joins the server's ledger, and a receipt answers.
//!
//! Pure: the caller loads one user's ledger, calls [`ingest`], and writes what changed in one
//! transaction. The user comes from the credentials, never from the batch.

use std::collections::BTreeSet;

use serde::Serialize;

use super::canary;
use super::code::Refusal;
use super::day::{Day, Now, UtcOffset};
use super::fact::{Fact, Refused};
use super::history::Origin;
use super::ledger::{Ledger, Operation};
use super::register::Register;
use super::steps::{Correction, Counts, Source};
use super::timeline::Change;

/// How far a client's epoch may run ahead of the server's: at two epochs a deletion, more than 2,000
/// deletions of one day while offline; beyond that it is a fault or an attack.
pub const EPOCH_LEAD_MAX: u16 = 4_096;

/// How a server takes a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IngestPolicy {
    /// Today at UTC+14: the last day that has begun anywhere.
    pub latest_day: Day,
    /// Whether an operator runs a restored server in recovery mode, which accepts epochs that only the
    /// server may give (and flags them), because the server gave them before it lost them.
    pub recovery: bool,
}

impl IngestPolicy {
    /// The policy of an instant, in Unix milliseconds: days that have begun at UTC+14, no recovery mode.
    pub fn at(unix_ms: i64) -> IngestPolicy {
        // A constant offset that exists.
        let first_zone = UtcOffset::from_minutes(840).unwrap_or(UtcOffset::UTC);
        IngestPolicy { latest_day: Now::at(unix_ms, first_zone).today, recovery: false }
    }
}

/// The server's answer to a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Receipt {
    /// The facts that the server now knows, exactly as they came.
    pub accepted: Vec<Fact>,
    /// The facts that it refused.
    pub refused: Vec<Refused>,
    /// Facts that recovery mode accepted although their epoch was the server's to give.
    pub flagged: Vec<Fact>,
    /// The server's revision after the batch.
    pub revision: u64,
    /// What the client may not know yet: a superset is harmless.
    pub facts: Vec<Fact>,
}

/// What a batch did on the server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct Ingested {
    /// The answer to the client.
    pub receipt: Receipt,
    /// Every day that differs, for totals kept behind rankings.
    pub changes: Vec<Change>,
    /// The plan: the facts that differ from before, each once, for a server with a database of its own to
    /// write in the same transaction.
    pub written: Vec<Fact>,
}

/// Joins a client's facts into the server's ledger: one verdict an item, duplicates joined, the revision
/// raised once if anything changed. `since` is the revision that the client knows; one that knows less gets
/// every fact. A server that keeps the revision of each change sends less: see [`Store::ingest`](crate::Store::ingest).
pub fn ingest(server: &mut Ledger, batch: &[Fact], since: u64, policy: IngestPolicy, now: Now) -> Ingested {
    server.notes.origin = Origin::Device(String::new());
    let mut done = take_batch(server, batch, policy, now);
    if since != done.receipt.revision {
        done.receipt.facts = server.facts();
    }
    done
}

/// The same, and leaves the facts that the client may not know yet to the caller.
pub(crate) fn take_batch(server: &mut Ledger, batch: &[Fact], policy: IngestPolicy, now: Now) -> Ingested {
    server.notes.at_ms = now.unix_ms;
    let mut receipt = Receipt::default();
    let mut written = BTreeSet::new();
    for fact in batch {
        let known = server.known(fact);
        match accept(server, fact, policy, now) {
            Ok(flagged) => {
                if server.known(fact) != known {
                    written.insert(key(fact));
                }
                receipt.accepted.push(*fact);
                if flagged {
                    receipt.flagged.push(*fact);
                }
            }
            Err(refusal) => receipt.refused.push(Refused { fact: *fact, code: refusal.code() }),
        }
    }
    let changes = server.settle();
    if !written.is_empty() && !canary::sings("revision not raised") {
        server.raise_revision();
    }
    receipt.revision = server.revision;
    let written = written.into_iter().map(|(day, source)| server.fact(day, source)).collect();
    Ingested { receipt, changes, written }
}

/// A cell, or (without a source) an attended day.
fn key(fact: &Fact) -> (Day, Option<Source>) {
    match fact {
        Fact::Cell { day, source, .. } => (*day, Some(*source)),
        Fact::Attended(day) => (*day, None),
    }
}

/// What a server's own operators may do to a cell.
#[derive(Debug, Clone, Copy)]
pub enum Moderation<'a> {
    /// Set a value and pin it.
    Correct(&'a Correction<'a>),
    /// End a correction.
    Unpin(Day, Source),
}

/// An operation of the server's own operators: like a batch it raises the revision once if it changed a
/// register, so that every device hears of it with its next receipt.
///
/// # Errors
/// Those of [`Ledger::apply`].
pub fn moderate(server: &mut Ledger, moderation: Moderation<'_>, now: Now) -> Result<Vec<Change>, Refusal> {
    server.stage(
        match moderation {
            Moderation::Correct(correction) => Operation::Correct(correction),
            Moderation::Unpin(day, source) => Operation::Unpin(day, source),
        },
        now,
    )?;
    if server.has_touched() {
        server.raise_revision();
    }
    Ok(server.settle())
}

fn accept(server: &mut Ledger, fact: &Fact, policy: IngestPolicy, now: Now) -> Result<bool, Refusal> {
    if fact.day() > policy.latest_day {
        return Err(Refusal::FutureDay);
    }
    if !fact.day().is_storable() {
        return Err(Refusal::DayOutOfRange);
    }
    let mut flagged = false;
    if let Fact::Cell { day, source, register } = fact {
        register.counts.map_or(Ok(()), Counts::check_register)?;
        server.has_room_for(source)?;
        let allowed = epoch_allowed(*register, server.register(*day, source));
        flagged = !allowed;
        if flagged && !policy.recovery {
            return Err(Refusal::EpochNotAllowed);
        }
    }
    server.take(fact, now)?;
    Ok(flagged)
}

/// A client may not pin, nor run further ahead than deletions can explain.
fn epoch_allowed(client: Register, server: Register) -> bool {
    let pins = client.is_pinned() && client.epoch > server.epoch;
    let pins = pins && !canary::sings("server takes pins from clients");
    !pins && client.epoch <= server.epoch.saturating_add(EPOCH_LEAD_MAX)
}

impl Ledger {
    pub(crate) fn raise_revision(&mut self) {
        self.revision += 1;
        self.dirty.revision = true;
    }

    /// What is known under a fact's key; `None` for a day that is not attended.
    fn known(&self, fact: &Fact) -> Option<Register> {
        match fact {
            Fact::Cell { day, source, .. } => Some(self.register(*day, source)),
            Fact::Attended(day) => self.attended(*day).then_some(Register::UNKNOWN),
        }
    }

    fn fact(&self, day: Day, source: Option<Source>) -> Fact {
        match source {
            Some(source) => Fact::Cell { day, source, register: self.register(day, &source) },
            None => Fact::Attended(day),
        }
    }

    /// Applies a server's answer: verdicts first, then the server's facts. No memory of the request is
    /// needed: a fact that changed since stays pending.
    ///
    /// # Errors
    /// The refusal of the first of the server's facts that is outside the limits; then nothing changed.
    pub fn apply_receipt(&mut self, receipt: &Receipt, now: Now) -> Result<Vec<Change>, Refusal> {
        receipt.facts.iter().try_for_each(Fact::check)?;
        receipt.accepted.iter().for_each(|fact| self.answer(fact, None));
        receipt.refused.iter().for_each(|refused| self.answer(&refused.fact, Some(refused.code)));
        for fact in &receipt.facts {
            self.stage(Operation::Receive(fact), now)?;
        }
        if receipt.revision != self.revision {
            self.revision = receipt.revision;
            self.dirty.revision = true;
        }
        Ok(self.settle())
    }
}

#[cfg(test)]
mod tests {
    use super::super::code::Code;
    use super::super::level::{GapPolicy, Level, LevelRules};
    use super::*;

    fn ledger() -> Ledger {
        Ledger::new(LevelRules::new(Level::Overweight, 10_000, 6_000, GapPolicy::Skip).unwrap())
    }

    fn cell(day: &str, epoch: u16, recorded: u32) -> Fact {
        let register = Register { epoch, counts: Some(Counts::new(recorded, 0)) };
        Fact::Cell { day: day.parse().unwrap(), source: Source::new("health").unwrap(), register }
    }

    #[test]
    fn each_item_gets_its_verdict_and_the_rest_is_joined() {
        let latest_day: Day = "2022-10-04".parse().unwrap();
        let policy = IngestPolicy { latest_day, recovery: false };
        let now = Now::on(latest_day);
        let mut server = ledger();
        let batch = [
            cell("2022-10-03", 0, 8_000),
            cell("2022-10-05", 0, 8_000),
            cell("1999-12-31", 0, 8_000),
            cell("2022-10-02", 0, 300_001),
            cell("2022-10-01", 1, 8_000),
            cell("2022-10-01", 4_098, 8_000),
            cell("2022-10-01", 4_096, 8_000),
            cell("2022-10-03", 0, 9_000),
            Fact::Attended(latest_day),
        ];
        let done = ingest(&mut server, &batch, 0, policy, now);
        let codes: Vec<Code> = done.receipt.refused.iter().map(|r| r.code).collect();
        assert_eq!(
            codes,
            [
                Code::FutureDay,
                Code::DayOutOfRange,
                Code::ImplausibleSteps,
                Code::EpochNotAllowed,
                Code::EpochNotAllowed
            ]
        );
        assert_eq!((done.receipt.accepted.len(), done.receipt.revision, done.changes.len()), (4, 1, 2));
        assert_eq!(
            done.written,
            [cell("2022-10-01", 4_096, 8_000), cell("2022-10-03", 0, 9_000), Fact::Attended(latest_day)]
        );
        assert_eq!(
            Ledger::load(*server.timeline().rules(), 1, done.written).unwrap().digest(),
            server.digest()
        );
        assert_eq!(server.pending_count(), 0);
        let again = ingest(&mut server, &done.receipt.accepted, 1, policy, now);
        assert_eq!((again.receipt.revision, again.changes.len(), again.receipt.facts.len()), (1, 0, 0));
        let recovered = ingest(&mut server, &batch[4..5], 1, IngestPolicy { recovery: true, ..policy }, now);
        assert_eq!(
            (recovered.receipt.flagged.len(), recovered.receipt.refused.len()),
            (0, 0),
            "below the server's own"
        );
    }

    #[test]
    fn a_correction_on_the_server_reaches_a_device_that_was_up_to_date() {
        let latest_day: Day = "2022-10-04".parse().unwrap();
        let (policy, now) = (IngestPolicy { latest_day, recovery: false }, Now::on(latest_day));
        let (mut server, mut phone) = (ledger(), ledger());
        let done = ingest(&mut server, &[cell("2022-10-03", 0, 28_000)], 0, policy, now);
        phone.apply_receipt(&done.receipt, now).unwrap();
        let day = "2022-10-03".parse().unwrap();
        let source = Source::new("health").unwrap();
        let correction = Correction { day, source, to: Some(Counts::new(8_000, 0)), reason: "shaken" };
        let changes = moderate(&mut server, Moderation::Correct(&correction), now).unwrap();
        assert_eq!(changes.len(), 1);
        moderate(&mut server, Moderation::Unpin(latest_day, source), now).unwrap();
        assert_eq!(server.revision(), 2, "an unpin of what is not pinned changes nothing");
        let pull = ingest(&mut server, &[], phone.revision(), policy, now);
        phone.apply_receipt(&pull.receipt, now).unwrap();
        assert_eq!((phone.digest(), phone.revision()), (server.digest(), 2));
    }

    #[test]
    fn an_unknown_cell_is_neither_refused_nor_tried_again() {
        let now = Now::on("2022-10-04".parse().unwrap());
        let mut phone = ledger();
        let source = Source::new("health").unwrap();
        let reading = super::super::steps::Reading::new(now.today, source, 500);
        let _ = phone.apply(Operation::Read(&reading), now).unwrap();
        let fact = Fact::Cell { day: now.today.previous(), source, register: Register::UNKNOWN };
        let refused = vec![Refused { fact, code: Code::FutureDay }];
        phone.apply_receipt(&Receipt { refused, ..Receipt::default() }, now).unwrap();
        assert!(phone.parked().is_empty());
        let _ = phone.apply(Operation::Retry(&fact), now).unwrap();
        assert_eq!((phone.pending_count(), phone.pending().len()), (1, 1));
    }

    #[test]
    fn a_receipt_clears_only_what_is_still_the_same() {
        let now = Now::on("2022-10-04".parse().unwrap());
        let mut phone = ledger();
        let read = |phone: &mut Ledger, steps| {
            let source = Source::new("health").unwrap();
            let reading = super::super::steps::Reading::new(now.today, source, steps);
            phone.apply(super::super::ledger::Operation::Read(&reading), now).unwrap()
        };
        let _ = read(&mut phone, 500);
        let in_flight = phone.pending();
        let _ = read(&mut phone, 1_382);
        let receipt = Receipt { accepted: in_flight, ..Receipt::default() };
        phone.apply_receipt(&receipt, now).unwrap();
        assert_eq!(phone.pending_count(), 1);
        let receipt = Receipt { accepted: phone.pending(), ..Receipt::default() };
        phone.apply_receipt(&receipt, now).unwrap();
        assert_eq!(phone.pending_count(), 0);
    }
}
