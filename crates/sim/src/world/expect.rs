//! What delivery must say, from section 6 of the contract: when something may be sent, what a batch holds,
//! and what each answer does. Waits that chance spreads are a span until the machine has named one.

use std::collections::BTreeSet;

use manbo::Receipt;
use manbo::delivery::{Answer, Batch, Body, Health, Identity, Next, Notice, Outcome, Reported, Ticket};

use super::convert::{item, items};
use super::{Broken, Invariant};
use crate::oracle::{Item, Replica};

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Section 6: at most 400 facts a batch.
const FACTS: usize = 400;
/// Section 6: three receipts in a row.
const FRUITLESS: u32 = 3;
/// A server that announces more than it gives, or that is another one each time, is asked at once only so
/// often: a pull may come back empty once, and the server may have been restored twice.
const EMPTY_PULLS: u32 = 1;
const OTHER_LIVES: u32 = 2;

/// Why nothing may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Backoff,
    RetryAfter,
    Paused,
    Lease,
}

impl Why {
    fn cap_ms(self) -> i64 {
        match self {
            Why::Backoff => HOUR_MS,
            Why::RetryAfter | Why::Paused => DAY_MS,
            Why::Lease => MINUTE_MS,
        }
    }
}

/// Until when, at the earliest and at the latest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hold {
    why: Why,
    from_ms: i64,
    to_ms: i64,
}

/// The batch that was handed out last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sent {
    /// `None` where the process died before anybody saw it: no answer names it.
    ticket: Option<Ticket>,
    facts: usize,
    only: Option<Item>,
}

/// The state of a device towards the server, for tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// No server has answered yet.
    Strange,
    /// Nothing is pending.
    Quiet,
    /// Something is pending.
    Pending,
    /// A batch is on its way.
    Flight,
    /// A failure is waited out.
    Backoff,
    /// The server asked for patience.
    RetryAfter,
    /// The credentials were refused.
    Paused,
    /// An erasure waits to be followed.
    Erased,
    /// The server was restored, or delivery is stalled.
    Doubt,
    /// Something is parked.
    Parked,
}

impl Protocol {
    /// Every state, with its word.
    pub const NAMES: [&'static str; 10] = [
        "strange",
        "quiet",
        "pending",
        "flight",
        "backoff",
        "retry-after",
        "paused",
        "erased",
        "doubt",
        "parked",
    ];
}

/// What the machine of one book must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expect {
    identity: Option<Identity>,
    incarnation: Option<String>,
    watermark: Option<u64>,
    revision: u64,
    hold: Option<Hold>,
    sent: Option<Sent>,
    erased: Option<u32>,
    facts_max: usize,
    failures: u32,
    fruitless: u32,
    stalled_since_ms: Option<i64>,
    /// Pulls in a row that the server left without anything although there is more.
    empty_pulls: u32,
    /// How often the server was another one since everything was sent and fetched.
    other_lives: u32,
    last_receipt_ms: Option<i64>,
    last_trigger_ms: Option<i64>,
    asked: bool,
    last_ticket: Ticket,
    ticket_before: Ticket,
    attempts: u64,
}

impl Default for Expect {
    fn default() -> Expect {
        Expect {
            identity: None,
            incarnation: None,
            watermark: None,
            revision: 0,
            hold: None,
            sent: None,
            erased: None,
            facts_max: FACTS,
            failures: 0,
            fruitless: 0,
            stalled_since_ms: None,
            empty_pulls: 0,
            other_lives: 0,
            last_receipt_ms: None,
            last_trigger_ms: None,
            asked: false,
            last_ticket: 0,
            ticket_before: 0,
            attempts: 0,
        }
    }
}

fn broken(invariant: Invariant, why: String) -> Broken {
    Broken { invariant, why }
}

/// The pending facts of days that have begun somewhere on earth.
pub(super) fn sendable(replica: &Replica, latest_day: i32) -> BTreeSet<Item> {
    let mut pending = replica.pending();
    pending.retain(|item| item.day() <= latest_day);
    pending
}

impl Expect {
    /// The state, for tables.
    pub(super) fn protocol(&self, replica: &Replica, now_ms: i64) -> Protocol {
        let (cells, days) = (|| replica.cells.values(), || replica.attended.values());
        let parked = || cells().any(|mark| mark.parked.is_some()) || days().any(|(_, code)| code.is_some());
        let pending = || cells().any(|mark| mark.pending) || days().any(|(pending, _)| *pending);
        // Between the two times it is not known yet whether the wait is over.
        match self.hold.filter(|hold| hold.from_ms > now_ms).map(|hold| hold.why) {
            _ if self.erased.is_some() => Protocol::Erased,
            _ if self.stalled_since_ms.is_some()
                || (self.incarnation.is_some() && self.watermark.is_none()) =>
            {
                Protocol::Doubt
            }
            Some(Why::Lease) => Protocol::Flight,
            Some(Why::Backoff) => Protocol::Backoff,
            Some(Why::RetryAfter) => Protocol::RetryAfter,
            Some(Why::Paused) => Protocol::Paused,
            None if self.identity.is_none() => Protocol::Strange,
            None if parked() => Protocol::Parked,
            None if pending() => Protocol::Pending,
            None => Protocol::Quiet,
        }
    }

    /// The generation of an erasure that was told and not followed.
    pub(super) fn erased(&self) -> Option<u32> {
        self.erased
    }

    /// What `next` must say; with nothing observed, what it did before the process ended.
    pub(super) fn next(
        &mut self,
        replica: &Replica,
        now_ms: i64,
        latest_day: i32,
        said: Option<&Next>,
    ) -> Result<(), Broken> {
        if let Some(hold) = &mut self.hold {
            let cap = now_ms.saturating_add(hold.why.cap_ms());
            hold.to_ms = hold.to_ms.min(cap);
            hold.from_ms = hold.from_ms.min(cap);
            let waits = match said {
                Some(Next::Wait { .. } | Next::Paused { .. }) => hold.to_ms > now_ms,
                _ => hold.from_ms > now_ms,
            };
            if waits {
                return held(hold, said);
            }
            self.hold = None;
        }
        let sendable = if self.erased.is_some() { BTreeSet::new() } else { sendable(replica, latest_day) };
        let due = self.erased.is_none() && (!sendable.is_empty() || self.pull_due(now_ms));
        if !due {
            return match said {
                None | Some(Next::Idle) => Ok(()),
                Some(Next::Upload(_)) => {
                    Err(broken(Invariant::I7, "a batch was handed out, and nothing is due".to_owned()))
                }
                Some(other) => {
                    Err(broken(Invariant::I12, format!("nothing is due, and next says {other:?}")))
                }
            };
        }
        let stalls = !sendable.is_empty() && self.fruitless >= FRUITLESS && self.stalled_since_ms.is_none();
        if stalls {
            self.stalled_since_ms = Some(now_ms);
            self.back_off(now_ms);
        } else {
            self.hand_out(&sendable, now_ms, said);
        }
        match (said, stalls) {
            (None, _) | (Some(Next::Stalled), true) => Ok(()),
            (Some(Next::Upload(batch)), false) => self.check_batch(batch, &sendable),
            (Some(other), _) => Err(broken(
                Invariant::I12,
                format!("{} facts wait (stalled: {stalls}), and next says {}", sendable.len(), word(other)),
            )),
        }
    }

    fn hand_out(&mut self, sendable: &BTreeSet<Item>, now_ms: i64, said: Option<&Next>) {
        self.attempts += 1;
        let facts = sendable.len().min(self.facts_max.clamp(1, FACTS));
        let mut only = sendable.iter().max_by_key(|item| item.day()).copied().filter(|_| facts == 1);
        if let Some(Next::Upload(batch)) = said
            && let [fact] = batch.facts[..]
        {
            // Within a day the order is free: the machine chose.
            only = item(&fact);
        }
        let ticket = match said {
            Some(Next::Upload(batch)) => Some(batch.ticket),
            _ => None,
        };
        self.ticket_before = self.last_ticket;
        self.last_ticket = ticket.unwrap_or(self.last_ticket);
        self.sent = Some(Sent { ticket, facts, only });
        self.hold = Some(Hold { why: Why::Lease, from_ms: now_ms + MINUTE_MS, to_ms: now_ms + MINUTE_MS });
    }

    fn check_batch(&self, batch: &Batch, sendable: &BTreeSet<Item>) -> Result<(), Broken> {
        let facts = items(&batch.facts);
        let expected = self.sent.map_or(0, |sent| sent.facts);
        if facts.len() != expected {
            let why = format!("a batch has {} facts where {expected} may be sent", facts.len());
            return Err(broken(Invariant::I13, why));
        }
        if facts.windows(2).any(|pair| pair[0].day() < pair[1].day()) {
            return Err(broken(Invariant::I7, "a batch is not newest day first".to_owned()));
        }
        let left = sendable.iter().filter(|item| !facts.contains(item)).map(|item| item.day()).max();
        if facts.iter().any(|item| !sendable.contains(item)) {
            return Err(broken(Invariant::I7, "a batch holds what is not to be sent".to_owned()));
        }
        if facts.last().zip(left).is_some_and(|(last, left)| left > last.day()) {
            return Err(broken(Invariant::I7, "a batch leaves a newer day behind".to_owned()));
        }
        if batch.ticket <= self.ticket_before {
            return Err(broken(Invariant::I7, format!("ticket {} was given before", batch.ticket)));
        }
        if batch.identity != self.identity || batch.since != self.watermark.unwrap_or(0) {
            let why = format!(
                "a batch names {:?} since {}; known are {:?} and {:?}",
                batch.identity, batch.since, self.identity, self.watermark
            );
            return Err(broken(Invariant::I5, why));
        }
        Ok(())
    }

    fn pull_due(&self, now_ms: i64) -> bool {
        let Some(watermark) = self.watermark else { return true };
        let age = self.last_receipt_ms.map(|at| now_ms - at);
        // An age below nothing is a clock that went back.
        let younger = |limit: i64| age.is_some_and(|age| age >= 0 && age < limit);
        watermark < self.revision || !younger(DAY_MS) || (self.asked && !younger(15 * MINUTE_MS))
    }

    fn back_off(&mut self, now_ms: i64) {
        self.failures = self.failures.saturating_add(1);
        let mut longest = SECOND_MS;
        for _ in 1..self.failures.min(32) {
            longest = (longest * 2).min(HOUR_MS);
        }
        self.hold = Some(Hold { why: Why::Backoff, from_ms: now_ms + longest / 2, to_ms: now_ms + longest });
    }

    /// What the host was told of around the app.
    pub(super) fn foreground(&mut self, now_ms: i64) {
        self.asked = true;
        match self.hold.map(|hold| hold.why) {
            Some(Why::Paused) => self.hold = None,
            Some(Why::Backoff) => self.end_backoff(now_ms),
            _ => {}
        }
    }

    /// The network is said to be back.
    pub(super) fn connectivity(&mut self, now_ms: i64) {
        self.asked = true;
        if self.hold.is_some_and(|hold| hold.why == Why::Backoff) {
            self.end_backoff(now_ms);
        }
    }

    /// New credentials are said to be there.
    pub(super) fn credentials(&mut self) {
        if self.hold.is_some_and(|hold| hold.why == Why::Paused) {
            self.hold = None;
        }
    }

    fn end_backoff(&mut self, now_ms: i64) {
        let within_a_minute = self.last_trigger_ms.is_some_and(|at| now_ms >= at && now_ms - at < MINUTE_MS);
        if !within_a_minute {
            self.last_trigger_ms = Some(now_ms);
            self.hold = None;
        }
    }

    /// The person's older data is gone from this device.
    pub(super) fn followed(&mut self) {
        if let Some(generation) = self.erased {
            let identity = self.identity.take().map(|identity| Identity { generation, ..identity });
            let Expect { attempts, last_ticket, ticket_before, .. } = *self;
            *self = Expect { identity, last_ticket, ticket_before, attempts, ..Expect::default() };
        }
    }

    /// What an outcome must do to the facts and to delivery; the notices are compared with what was said.
    pub(super) fn report(
        &mut self,
        replica: &mut Replica,
        (of, outcome): (Option<Ticket>, &Outcome),
        (now_ms, latest_day): (i64, i32),
        said: Option<&Reported>,
    ) -> Result<(), Broken> {
        // An answer to a batch that is not the one under way.
        let late = of.is_some_and(|ticket| self.sent.is_none_or(|sent| sent.ticket != Some(ticket)));
        if self.identity.is_none() && (late || self.sent.is_none()) {
            // Nothing tells whose answer it is.
            return match said {
                Some(said) if !said.notices.is_empty() => {
                    Err(broken(Invariant::I12, "an answer to nobody was taken".to_owned()))
                }
                _ => Ok(()),
            };
        }
        let hold = self.hold;
        let sent = if late { None } else { self.sent.take() };
        if !late && self.hold.is_some_and(|hold| hold.why == Why::Lease) {
            self.hold = None;
        }
        let mut notices = Vec::new();
        match outcome {
            Outcome::Reply { status: 200..=299 | 400 | 422, body: Body::Receipt(answer), .. }
                if self.is_ours(&answer.identity) =>
            {
                notices = self.receipt(replica, sent, answer, (now_ms, latest_day));
                if late {
                    self.hold = hold;
                }
            }
            Outcome::Reply { status: 401 | 403, body: Body::Refusal(_), .. } if !late => {
                self.hold = Some(Hold { why: Why::Paused, from_ms: now_ms + DAY_MS, to_ms: now_ms + DAY_MS });
            }
            Outcome::Reply { status: 410, body: Body::Refusal(Some(identity)), .. }
                if self.is_erased_by(identity) =>
            {
                self.erased = Some(identity.generation);
                notices.push(Notice::Erased { generation: identity.generation });
            }
            // Its failure says nothing about the present one.
            _ if late => {}
            Outcome::Reply { status: 400 | 413 | 422, .. } => {
                notices = self.too_large(replica, sent, now_ms);
            }
            Outcome::Reply { retry_after_s: Some(seconds), .. } => {
                self.failures = self.failures.saturating_add(1);
                let until = now_ms + seconds.clamp(&1, &86_400) * SECOND_MS;
                self.hold = Some(Hold { why: Why::RetryAfter, from_ms: until, to_ms: until });
            }
            Outcome::Network | Outcome::Reply { .. } => self.back_off(now_ms),
        }
        match said {
            Some(said) if said.notices != notices => {
                let why = format!("the host was told {:?} instead of {notices:?}", said.notices);
                Err(broken(Invariant::I12, why))
            }
            _ => Ok(()),
        }
    }

    fn is_ours(&self, identity: &Identity) -> bool {
        self.identity.as_ref().is_none_or(|known| known == identity)
    }

    fn is_erased_by(&self, identity: &Identity) -> bool {
        let newer =
            |known: &Identity| known.ledger == identity.ledger && identity.generation > known.generation;
        self.identity.as_ref().is_some_and(newer)
    }

    fn too_large(&mut self, replica: &mut Replica, sent: Option<Sent>, now_ms: i64) -> Vec<Notice> {
        match sent {
            Some(Sent { only: Some(item), .. }) => {
                // One that has changed since it was sent stays pending, and there is nothing to tell.
                replica.refused(item, "unexplained");
                if replica.parked().contains_key(&item) {
                    return vec![Notice::Parked { facts: 1 }];
                }
            }
            Some(Sent { facts, .. }) if facts > 1 => self.facts_max = facts / 2,
            _ => self.back_off(now_ms),
        }
        Vec::new()
    }

    fn receipt(
        &mut self,
        replica: &mut Replica,
        sent: Option<Sent>,
        answer: &Answer,
        (now_ms, latest_day): (i64, i32),
    ) -> Vec<Notice> {
        let receipt = &answer.receipt;
        let mut notices = Vec::new();
        // A revision below what the request named; what is known now may be newer, where the answer is late.
        let restored = self.incarnation.as_ref().is_some_and(|known| *known != answer.incarnation)
            || receipt.revision < answer.since;
        if restored {
            replica.send_all_again();
            notices.push(Notice::ServerRestored);
        }
        let moved = take(replica, receipt);
        let raised = receipt.revision > self.revision;
        if !receipt.refused.is_empty() {
            notices.push(Notice::Parked { facts: receipt.refused.len() });
        }
        if answer.rules_version != 1 {
            notices.push(Notice::RulesDiffer { server: answer.rules_version });
        }
        self.identity = Some(answer.identity.clone());
        self.incarnation = Some(answer.incarnation.clone());
        let watermark = self.watermark.unwrap_or(0);
        // The answer to what is asked now tells the newest revision; another may be an older one.
        let is_newest = restored || (sent.is_some() && answer.since == watermark);
        self.revision = if is_newest { receipt.revision } else { self.revision.max(receipt.revision) };
        self.watermark = self.known_up_to(answer, restored);
        let fetched = self.watermark.unwrap_or(0) > watermark;
        self.failures = 0;
        self.last_receipt_ms = Some(now_ms);
        self.asked = false;
        self.facts_max = (self.facts_max * 2).min(FACTS);
        if moved || raised || restored {
            self.fruitless = 0;
            self.stalled_since_ms = None;
        }
        // An answer to a batch that is not under way says nothing about the present.
        if let Some(Sent { facts, .. }) = sent {
            let waits = !sendable(replica, latest_day).is_empty();
            let mut failures = if restored {
                self.met_another_life()
            } else {
                self.asked_in_vain(moved || fetched, facts == 0, waits)
            };
            if waits && !(moved || raised || restored) {
                failures = self.brought_nothing().max(failures);
            }
            if failures > 0 {
                self.failures = failures - 1;
                self.back_off(now_ms);
            }
        }
        notices
    }

    /// A receipt brought nothing while something waits: how many failures in a row that stands for, once it was
    /// said that delivery is stalled.
    fn brought_nothing(&mut self) -> u32 {
        self.fruitless += 1;
        if self.stalled_since_ms.is_some() { self.fruitless + 1 } else { 0 }
    }

    /// The server is another one than before: how many failures in a row that stands for.
    fn met_another_life(&mut self) -> u32 {
        self.empty_pulls = 0;
        self.other_lives += 1;
        self.other_lives.saturating_sub(OTHER_LIVES)
    }

    /// How many failures in a row an answer stands for that would only be followed by the same question.
    fn asked_in_vain(&mut self, brought: bool, is_pull: bool, waits: bool) -> u32 {
        let has_more = self.watermark.is_none_or(|watermark| watermark < self.revision);
        if is_pull && has_more && !brought {
            self.empty_pulls += 1;
            return self.empty_pulls.saturating_sub(EMPTY_PULLS);
        }
        if brought || !has_more {
            self.empty_pulls = 0;
        }
        if !has_more && !waits {
            self.other_lives = 0;
        }
        0
    }

    /// Up to which revision everything is known after a receipt: it tells what changed after the revision
    /// that its request named, which a late one may have named long ago.
    fn known_up_to(&self, answer: &Answer, restored: bool) -> Option<u64> {
        let known = self.watermark;
        if restored {
            None
        } else if answer.since <= known.unwrap_or(0) {
            // Nothing is complete beyond what there is.
            Some(answer.complete_to.min(answer.receipt.revision).max(known.unwrap_or(0)))
        } else {
            known
        }
    }

    /// Compares with what the book says of its delivery, and takes over the wait that chance chose.
    pub(super) fn health(&mut self, said: &Health, now_ms: i64) -> Result<(), Broken> {
        let until = self.hold.filter(|hold| hold.to_ms > now_ms);
        let cap = |hold: &Hold, ms: i64| ms.min(now_ms.saturating_add(hold.why.cap_ms()));
        let fits = match (said.next_attempt_ms, &until) {
            (None, None) => true,
            (None, Some(hold)) => hold.from_ms <= now_ms,
            (Some(_), None) => false,
            (Some(at), Some(hold)) => (cap(hold, hold.from_ms)..=cap(hold, hold.to_ms)).contains(&at),
        };
        if !fits {
            let why =
                format!("the next attempt is said to be at {:?}, not in {until:?}", said.next_attempt_ms);
            return Err(broken(Invariant::I7, why));
        }
        if let (Some(at), Some(hold)) = (said.next_attempt_ms, &mut self.hold)
            && hold.from_ms < hold.to_ms
            && hold.to_ms <= now_ms.saturating_add(hold.why.cap_ms())
        {
            (hold.from_ms, hold.to_ms) = (at, at);
        }
        let mine = (self.attempts, self.failures, self.last_receipt_ms, self.stalled_since_ms);
        let told = (said.attempts, said.failures, said.last_receipt_ms, said.stalled_since_ms);
        if mine == told {
            Ok(())
        } else {
            let why = format!("attempts, failures, last receipt, stalled: {told:?}, expected {mine:?}");
            Err(broken(Invariant::I7, why))
        }
    }
}

/// Takes over what a receipt says of the facts; gives whether one was cleared or parked, or changed.
fn take(replica: &mut Replica, receipt: &Receipt) -> bool {
    let known = replica.items();
    let pending = replica.pending();
    receipt.accepted.iter().filter_map(item).for_each(|item| replica.accepted(item));
    for refused in &receipt.refused {
        if let Some(item) = item(&refused.fact) {
            replica.refused(item, refused.code.as_str());
        }
    }
    for item in receipt.facts.iter().filter_map(item) {
        // The world's server sends nothing outside the limits.
        let _ = replica.receive(item);
    }
    let pending_now = replica.pending();
    pending.iter().any(|item| !pending_now.contains(item)) || replica.items() != known
}

fn word(next: &Next) -> &'static str {
    match next {
        Next::Upload(_) => "upload",
        Next::Wait { .. } => "wait",
        Next::Idle => "idle",
        Next::Paused { .. } => "paused",
        Next::Stalled => "stalled",
    }
}

/// Something holds it up: `next` must say what, and until when.
fn held(hold: &mut Hold, said: Option<&Next>) -> Result<(), Broken> {
    let (until_ms, paused) = match said {
        None => return Ok(()),
        Some(Next::Wait { until_ms }) => (*until_ms, false),
        Some(Next::Paused { until_ms }) => (*until_ms, true),
        Some(other) => {
            let why = format!("{:?} holds until {}, and next says {}", hold.why, hold.from_ms, word(other));
            return Err(broken(Invariant::I7, why));
        }
    };
    if paused != (hold.why == Why::Paused) || !(hold.from_ms..=hold.to_ms).contains(&until_ms) {
        let why = format!("a wait until {until_ms} (paused: {paused}) where {hold:?} holds");
        return Err(broken(Invariant::I12, why));
    }
    (hold.from_ms, hold.to_ms) = (until_ms, until_ms);
    Ok(())
}
