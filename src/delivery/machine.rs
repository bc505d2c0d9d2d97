//! The machine: `next(now)` and `report(outcome, now)`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::backoff;
use super::brake::{Brake, Left, Told};
use super::hold::{Hold, Why};
use super::outcome::{Answer, Follows, Identity, Outcome, follows};
use super::policy::{
    BATCH_BYTES_MAX, BATCH_FACTS_MAX, FRUITLESS_RECEIPTS_MAX, LEASE_MS, PAUSE_MAX_MS, PENDING_AGE_MS,
    PENDING_FACTS, PULL_AFTER_MS, PULL_DAILY_MS, SEAL_LEAD_MS, TICKET_CHANCE_BITS, TRIGGER_GAP_MS,
};
use crate::domain::canary;
use crate::domain::code::{Code, Refusal};
use crate::domain::day::{Day, Now};
use crate::domain::fact::Fact;
use crate::domain::ingest::IngestPolicy;
use crate::domain::ledger::Ledger;
use crate::domain::timeline::Change;

/// The caller's present, with a seed that is different each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The present.
    pub now: Now,
    /// Spreads the waits of many devices; any number.
    pub seed: u64,
}

/// What the host is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Send this and report what happened. An empty batch asks what is new.
    Upload(Batch),
    /// Ask again then, in Unix milliseconds: a backoff, the server's wish, or a batch on its way.
    Wait {
        /// When.
        until_ms: i64,
    },
    /// Nothing is pending and nothing is due.
    Idle,
    /// The server refused the credentials: get new ones.
    Paused {
        /// When it is tried again at the latest, in Unix milliseconds.
        until_ms: i64,
    },
    /// Receipts come and nothing moves: said once, for a log or a support screen; then tried ever more slowly.
    Stalled,
}

/// The number of a batch: what the host keeps beside a request, to say which one an answer belongs to.
pub type Ticket = u64;

/// What to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its number; it is not sent.
    pub ticket: Ticket,
    /// Whose ledger; `None` before any server named one.
    pub identity: Option<Identity>,
    /// The revision up to which everything is known here; 0 asks for everything.
    pub since: u64,
    /// Pending facts, newest day first.
    pub facts: Vec<Fact>,
}

/// When it is next worth asking what to send, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Due {
    /// In Unix milliseconds; the present where it is due.
    pub at_ms: i64,
    /// Why.
    pub reason: DueReason,
}

/// What makes delivery due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DueReason {
    /// The oldest fact has waited for [`PENDING_AGE_MS`](super::PENDING_AGE_MS).
    Age,
    /// [`PENDING_FACTS`](super::PENDING_FACTS) facts wait.
    Number,
    /// A day is over, and something of it waits.
    DayRollover,
    /// A week is about to be sealed.
    Seal,
    /// The server may have something new.
    Pull,
}

/// Something that happened around the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// The app came to the foreground.
    Foreground,
    /// The network came back.
    Connectivity,
    /// The person signed in, or the token was renewed.
    Credentials,
}

/// Something that the host should hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The server's rules have another version than this device's.
    RulesDiffer {
        /// The server's version.
        server: u32,
    },
    /// The server was restored from a backup: everything is sent again.
    ServerRestored,
    /// The person's data was erased: what is older than this generation has to go.
    Erased {
        /// The new generation.
        generation: u32,
    },
    /// The server refused facts; they are kept, with the reason.
    Parked {
        /// How many.
        facts: usize,
    },
}

/// What a report did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use = "a notice is only told here"]
pub struct Reported {
    /// Every day that differs.
    pub changes: Vec<Change>,
    /// What the host should hear of.
    pub notices: Vec<Notice>,
}

/// How delivery is doing, for a support screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Facts that are not known to be at the server.
    pub pending: usize,
    /// How long the oldest of them has waited, in milliseconds.
    pub oldest_pending_age_ms: Option<i64>,
    /// Facts that the server refused, by reason.
    pub parked: BTreeMap<Code, usize>,
    /// Batches handed out.
    pub attempts: u64,
    /// Failures since the last receipt; one that is waited out because it brought nothing is a failure, too.
    pub failures: u32,
    /// When the last receipt came, in Unix milliseconds.
    pub last_receipt_ms: Option<i64>,
    /// When something may be sent again, where something holds it up.
    pub next_attempt_ms: Option<i64>,
    /// Since when receipts come and nothing moves.
    pub stalled_since_ms: Option<i64>,
    /// The generation of an erasure elsewhere that the person is still to be told of; until it is followed nothing
    /// is sent.
    pub erased: Option<u32>,
}

/// The batch on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct InFlight {
    #[serde(default)]
    ticket: Ticket,
    facts: usize,
    /// The fact of a batch of one: what the server cannot read is parked as it was sent.
    only: Option<Fact>,
}

/// The state of delivery. A store keeps it beside the ledger: it survives the process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Delivery {
    identity: Option<Identity>,
    incarnation: Option<String>,
    /// Up to which of the server's revisions everything is known here.
    watermark: Option<u64>,
    /// The server's revision, as last told.
    revision: u64,
    hold: Option<Hold>,
    in_flight: Option<InFlight>,
    /// The generation of an erasure that this device has not followed yet: nothing is sent until then.
    erased: Option<u32>,
    /// How many facts a batch may have: halved where the server finds it too large.
    facts_max: usize,
    failures: u32,
    fruitless: u8,
    stalled_since_ms: Option<i64>,
    brake: Brake,
    last_receipt_ms: Option<i64>,
    last_trigger_ms: Option<i64>,
    /// Whether foreground or connectivity asked since the last receipt.
    asked: bool,
    attempts: u64,
    /// What tells the tickets of one user of a file from those of another.
    first_ticket: Ticket,
    /// Whether what is not pending may be unknown to the server all the same: the ledger was imported.
    unproven: bool,
}

impl Default for Delivery {
    fn default() -> Delivery {
        Delivery {
            identity: None,
            incarnation: None,
            watermark: None,
            revision: 0,
            hold: None,
            in_flight: None,
            erased: None,
            facts_max: BATCH_FACTS_MAX,
            failures: 0,
            fruitless: 0,
            stalled_since_ms: None,
            brake: Brake::default(),
            last_receipt_ms: None,
            last_trigger_ms: None,
            asked: false,
            attempts: 0,
            first_ticket: 0,
            unproven: false,
        }
    }
}

impl Delivery {
    /// What the host is to do now. A batch that is handed out holds the lease until it is reported or
    /// [`LEASE_MS`](super::LEASE_MS) have passed.
    pub fn next(&mut self, ledger: &Ledger, moment: Moment) -> Next {
        let now_ms = moment.now.unix_ms;
        self.hold = self.hold.and_then(|hold| hold.left(now_ms));
        let ignored =
            matches!(self.hold, Some(Hold { why: Why::Lease, .. })) && canary::sings("lease ignored");
        match self.hold.filter(|_| !ignored) {
            Some(Hold { why: Why::Paused, until_ms }) => return Next::Paused { until_ms },
            Some(Hold { until_ms, .. }) => return Next::Wait { until_ms },
            None => {}
        }
        if self.erased.is_some() {
            return Next::Idle;
        }
        let facts = self.offered(ledger, now_ms);
        if facts.is_empty() && !self.is_pull_due(now_ms) {
            return Next::Idle;
        }
        if !facts.is_empty() && self.fruitless >= FRUITLESS_RECEIPTS_MAX && self.stalled_since_ms.is_none() {
            self.stalled_since_ms = Some(now_ms);
            self.back_off(moment);
            return Next::Stalled;
        }
        self.attempts += 1;
        let chance = backoff::mixed(moment.seed) >> (u64::BITS - TICKET_CHANCE_BITS);
        let ticket = self.first_ticket.saturating_add(self.attempts << TICKET_CHANCE_BITS | chance);
        self.in_flight = Some(InFlight { ticket, facts: facts.len(), only: only(&facts) });
        self.hold = Some(Hold::new(Why::Lease, now_ms, LEASE_MS));
        let since = self.watermark.unwrap_or(0);
        Next::Upload(Batch { ticket, identity: self.identity.clone(), since, facts })
    }

    /// What became of a batch. A receipt is applied also where this process knows nothing of the request.
    ///
    /// `of` is the batch's ticket; `None` where the host does not know it, which means the one under way. A
    /// failure of a batch that is not under way any more says nothing about the present one, and is let pass.
    ///
    /// # Errors
    /// The refusal of the first of the server's facts that is outside the limits; then nothing changed but
    /// that the batch counts as failed.
    pub fn report(
        &mut self,
        ledger: &mut Ledger,
        of: Option<Ticket>,
        outcome: Outcome,
        rules_version: u32,
        moment: Moment,
    ) -> Result<Reported, Refusal> {
        let is_late = of.is_some_and(|ticket| self.in_flight.as_ref().is_none_or(|now| now.ticket != ticket));
        let follows = follows(outcome, self.identity.as_ref());
        if is_late && matches!(follows, Follows::Halve | Follows::Pause | Follows::Retry { .. }) {
            return Ok(Reported::default());
        }
        // Before any server named this ledger, only the batch under way tells that an answer is for it: it may
        // be for whoever was signed in before.
        if self.identity.is_none() && (is_late || self.in_flight.is_none()) {
            return Ok(Reported::default());
        }
        let hold = self.hold;
        let sent = if is_late { None } else { self.in_flight.take() };
        if !is_late && self.hold.is_some_and(|hold| hold.why == Why::Lease) {
            self.hold = None;
        }
        match follows {
            Follows::Apply(answer) => {
                let applied = self.apply(ledger, sent.as_ref(), *answer, rules_version, moment);
                if is_late {
                    // It says nothing about the batch that is on its way now.
                    self.hold = hold;
                }
                applied
            }
            Follows::Pause => {
                self.hold = Some(Hold::new(Why::Paused, moment.now.unix_ms, PAUSE_MAX_MS));
                Ok(Reported::default())
            }
            Follows::Erased { generation } => {
                self.erased = Some(generation);
                Ok(Reported { notices: vec![Notice::Erased { generation }], ..Reported::default() })
            }
            Follows::Halve => Ok(self.halve(ledger, sent, moment)),
            Follows::Retry { after_s } if after_s.is_none() || canary::sings("retry-after ignored") => {
                self.back_off(moment);
                Ok(Reported::default())
            }
            Follows::Retry { after_s } => {
                self.failures = self.failures.saturating_add(1);
                let wait_ms = backoff::retry_after_ms(after_s.unwrap_or(0));
                self.hold = Some(Hold::new(Why::RetryAfter, moment.now.unix_ms, wait_ms));
                Ok(Reported::default())
            }
        }
    }

    /// Tells of something around the app. Foreground and connectivity end a backoff, once a minute at most;
    /// foreground and new credentials end a pause; nothing ends the server's own wish.
    pub fn trigger(&mut self, trigger: Trigger, now_ms: i64) {
        self.asked |= trigger != Trigger::Credentials;
        let ends = match self.hold.map(|hold| hold.why) {
            Some(Why::Paused) => trigger != Trigger::Connectivity,
            Some(Why::Backoff) => trigger != Trigger::Credentials && self.may_trigger(now_ms),
            Some(Why::RetryAfter) if canary::sings("retry-after ended by triggers") => true,
            Some(Why::RetryAfter | Why::Lease) | None => false,
        };
        if ends {
            self.hold = None;
        }
    }

    /// The generation of an erasure that this device has not followed yet.
    pub fn erased(&self) -> Option<u32> {
        self.erased
    }

    /// The person's data of older generations is gone from this device: delivery begins anew.
    pub fn begin_generation(&mut self, generation: u32) {
        let identity = self.identity.take().map(|identity| Identity { generation, ..identity });
        *self = Delivery {
            identity,
            attempts: self.attempts,
            first_ticket: self.first_ticket,
            ..Delivery::default()
        };
    }

    /// The person's data is gone from this device, and nothing here is to tell of it; the generation goes on.
    #[cfg_attr(not(feature = "sqlite"), allow(dead_code, reason = "only a store drops a person"))]
    pub(crate) fn begin_again(&mut self) {
        let generation = self.identity.as_ref().map_or(0, |identity| identity.generation);
        self.begin_generation(generation);
    }

    /// All of it went to somebody else. Tickets go on: a late answer to one of before must not pass for a new one's.
    #[cfg_attr(not(feature = "sqlite"), allow(dead_code, reason = "only a store gives a ledger away"))]
    pub(crate) fn begin_for_nobody(&mut self) {
        self.identity = None;
        self.begin_generation(0);
    }

    /// Numbers tickets from here on: those of another user of the same file must not pass for this one's.
    #[cfg_attr(not(feature = "sqlite"), allow(dead_code, reason = "only a store has many users"))]
    pub(crate) fn number_from(&mut self, first_ticket: Ticket) {
        self.first_ticket = first_ticket;
    }

    /// The ledger came from elsewhere: the first server that answers is asked and told everything.
    #[cfg_attr(not(feature = "sqlite"), allow(dead_code, reason = "only a store imports"))]
    pub(crate) fn begin_unproven(&mut self) {
        self.ask_anew();
        self.unproven = true;
    }

    /// What begins anew where the state was lost, but for whose ledger it is.
    #[cfg_attr(not(feature = "sqlite"), allow(dead_code, reason = "only a store loses it"))]
    pub(crate) fn of(identity: Option<Identity>) -> Delivery {
        Delivery { identity, ..Delivery::default() }
    }

    /// Whose ledger this is, as far as a server named it.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// The person erased everything, and this is the server's word for it.
    #[cfg_attr(not(feature = "sqlite"), allow(dead_code, reason = "only a store drops a person"))]
    pub(crate) fn begin_erased(&mut self, identity: Identity) {
        let generation = identity.generation;
        self.identity = Some(identity);
        self.begin_generation(generation);
    }

    /// Rows of the ledger were lost: what the server knows is asked for from the beginning.
    #[cfg_attr(not(feature = "sqlite"), allow(dead_code, reason = "only a store loses rows"))]
    pub(crate) fn ask_anew(&mut self) {
        self.watermark = None;
    }

    /// How it is doing.
    pub fn health(&self, ledger: &Ledger, now_ms: i64) -> Health {
        Health {
            pending: ledger.pending_count(),
            oldest_pending_age_ms: ledger
                .oldest_pending_ms(Day::LAST)
                .map(|since| now_ms.saturating_sub(since).max(0)),
            parked: ledger.parked().iter().fold(BTreeMap::new(), |mut by_reason, refused| {
                *by_reason.entry(refused.code).or_default() += 1;
                by_reason
            }),
            attempts: self.attempts,
            failures: self.failures,
            last_receipt_ms: self.last_receipt_ms,
            next_attempt_ms: self.hold.and_then(|hold| hold.left(now_ms)).map(|hold| hold.until_ms),
            stalled_since_ms: self.stalled_since_ms,
            erased: self.erased,
        }
    }

    /// The facts of days that have begun somewhere on earth, as many as a batch may have.
    fn offered(&self, ledger: &Ledger, now_ms: i64) -> Vec<Fact> {
        let latest = IngestPolicy::at(now_ms).latest_day;
        let mut room = BATCH_BYTES_MAX;
        let mut pending = ledger.pending();
        if canary::sings("oldest days are sent first") {
            pending.reverse();
        }
        pending
            .into_iter()
            .filter(|fact| fact.day() <= latest || canary::sings("days that have not begun are sent"))
            .take(self.facts_max.clamp(1, BATCH_FACTS_MAX))
            .take_while(|fact| {
                let len = encoded_len(fact);
                let fits = len <= room;
                room = room.saturating_sub(len);
                fits
            })
            .collect()
    }

    /// When it is next worth asking, so that a host can set its alarm: not before what holds delivery up, and
    /// earliest of what makes it due. `seal_ms` is when the next week that counts is sealed, if the host knows.
    /// `None`: an erasure is to be followed first.
    pub fn due(&self, ledger: &Ledger, now: Now, seal_ms: Option<i64>) -> Option<Due> {
        if self.erased.is_some() {
            return None;
        }
        let hold = self.hold.and_then(|hold| hold.left(now.unix_ms));
        let earliest = hold.map_or(now.unix_ms, |hold| hold.until_ms);
        let at = |at_ms: i64, reason| Due { at_ms: at_ms.max(earliest), reason };
        let mut dues = Vec::new();
        let latest = IngestPolicy::at(now.unix_ms).latest_day;
        if let Some(oldest_ms) = ledger.oldest_pending_ms(latest) {
            dues.push(at(oldest_ms.saturating_add(PENDING_AGE_MS), DueReason::Age));
            let may_go: Vec<Fact> =
                ledger.pending().into_iter().filter(|fact| fact.day() <= latest).collect();
            if may_go.len() >= PENDING_FACTS {
                dues.push(at(now.unix_ms, DueReason::Number));
            }
            if may_go.iter().any(|fact| fact.day() < now.today) {
                dues.push(at(now.unix_ms, DueReason::DayRollover));
            }
            if let Some(seal_ms) = seal_ms.filter(|seal_ms| *seal_ms > now.unix_ms) {
                dues.push(at(seal_ms.saturating_sub(SEAL_LEAD_MS), DueReason::Seal));
            }
        }
        let pull_ms = if self.is_pull_due(now.unix_ms) {
            now.unix_ms
        } else {
            self.last_receipt_ms.unwrap_or(now.unix_ms).saturating_add(PULL_DAILY_MS)
        };
        dues.push(at(pull_ms, DueReason::Pull));
        dues.into_iter().min_by_key(|due| due.at_ms)
    }

    fn is_pull_due(&self, now_ms: i64) -> bool {
        if canary::sings("no pull with nothing pending") {
            return false;
        }
        let Some(watermark) = self.watermark else { return true };
        // A clock that went back makes the last receipt one of the future: that is due, too.
        let younger_than = |age_ms| {
            self.last_receipt_ms.is_some_and(|at_ms| (0..age_ms).contains(&now_ms.saturating_sub(at_ms)))
        };
        watermark < self.revision
            || !younger_than(PULL_DAILY_MS)
            || (self.asked && !younger_than(PULL_AFTER_MS))
    }

    fn may_trigger(&mut self, now_ms: i64) -> bool {
        let since = self.last_trigger_ms.map(|at_ms| now_ms.saturating_sub(at_ms));
        let may = since.is_none_or(|since| !(0..TRIGGER_GAP_MS).contains(&since));
        if may {
            self.last_trigger_ms = Some(now_ms);
        }
        may
    }

    fn back_off(&mut self, moment: Moment) {
        self.failures = self.failures.saturating_add(1);
        let wait_ms = backoff::wait_ms(self.failures, moment.seed);
        self.hold = Some(Hold::new(Why::Backoff, moment.now.unix_ms, wait_ms));
    }

    /// The server found the batch too large, or could not read it: smaller ones, down to a single fact,
    /// which is parked so that it does not hold up the others.
    fn halve(&mut self, ledger: &mut Ledger, sent: Option<InFlight>, moment: Moment) -> Reported {
        match sent {
            Some(InFlight { only: Some(fact), .. }) if !canary::sings("single facts are never parked") => {
                let before = ledger.parked().len();
                ledger.answer(&fact, Some(Code::Unexplained));
                // What grew meanwhile is another value, and goes with the next batch.
                let parks = ledger.parked().len() > before;
                let notices = if parks { vec![Notice::Parked { facts: 1 }] } else { Vec::new() };
                Reported { notices, ..Reported::default() }
            }
            Some(InFlight { facts, only: None, .. }) if facts > 1 => {
                self.facts_max = if canary::sings("batches are never halved") { facts } else { facts / 2 };
                Reported::default()
            }
            Some(_) | None => {
                self.back_off(moment);
                Reported::default()
            }
        }
    }

    fn apply(
        &mut self,
        ledger: &mut Ledger,
        sent: Option<&InFlight>,
        answer: Answer,
        rules_version: u32,
        moment: Moment,
    ) -> Result<Reported, Refusal> {
        let now_ms = moment.now.unix_ms;
        let Answer { identity, incarnation, rules_version: server, since, complete_to, receipt } = answer;
        if let Some(refusal) = receipt.facts.iter().find_map(|fact| fact.check().err()) {
            self.back_off(moment);
            return Err(refusal);
        }
        let mut notices = Vec::new();
        let complete_to =
            if canary::sings("watermark runs ahead of the pages") { receipt.revision } else { complete_to };
        // Below what the client named, not below what is known now: a late answer is older, and nothing was lost.
        let is_another_life = !canary::sings("restored servers unnoticed")
            && (self.incarnation.as_ref().is_some_and(|known| *known != incarnation)
                || receipt.revision < since);
        let restored = is_another_life || self.unproven;
        if restored {
            ledger.send_all_again(now_ms);
            notices.extend((!std::mem::take(&mut self.unproven)).then_some(Notice::ServerRestored));
        }
        let before = ledger.sizes();
        let changes = ledger.apply_receipt(&receipt, moment.now)?;
        let counts = !canary::sings("growing steps count as no progress");
        let moved = counts && (!changes.is_empty() || ledger.sizes() != before);
        let raised = counts && receipt.revision > self.revision;
        if !receipt.refused.is_empty() {
            notices.push(Notice::Parked { facts: receipt.refused.len() });
        }
        if server != rules_version {
            notices.push(Notice::RulesDiffer { server });
        }
        self.identity = Some(identity);
        self.incarnation = Some(incarnation);
        let known = self.watermark.unwrap_or(0);
        // What it answers is what is asked now: a revision that is not there any more was never true.
        let is_newest = restored || (sent.is_some() && since == known);
        self.revision = if is_newest { receipt.revision } else { self.revision.max(receipt.revision) };
        self.watermark = match self.watermark {
            // What a restored server says is complete only from its beginning on.
            _ if restored => None,
            // A late answer tells what changed after what was known then: from beyond what is known now it
            // proves nothing, and from before that it takes nothing back.
            watermark if since > known => watermark,
            // No server knows more than it has.
            _ => Some(known.max(complete_to.min(receipt.revision))),
        };
        self.failures = 0;
        self.last_receipt_ms = Some(now_ms);
        self.asked = false;
        self.facts_max = self.facts_max.saturating_mul(2).min(BATCH_FACTS_MAX);
        let is_progress = moved || raised || restored;
        if is_progress {
            self.fruitless = 0;
            self.stalled_since_ms = None;
        }
        // What does not answer the batch under way says nothing about the present.
        if let Some(sent) = sent {
            let fetched = self.watermark.unwrap_or(0) > known;
            let told = Told::of(is_another_life, moved || fetched, sent.facts);
            self.note_present(told, is_progress, ledger, moment);
        }
        Ok(Reported { changes, notices })
    }

    /// Takes note of what the answer to the batch under way was worth, and waits out what is worth too little.
    fn note_present(&mut self, told: Told, is_progress: bool, ledger: &Ledger, moment: Moment) {
        // Looked for only where something depends on it: it costs as much as planning a batch.
        let matters = !is_progress || self.brake.is_on();
        let is_pending = matters && !self.offered(ledger, moment.now.unix_ms).is_empty();
        let left = match self.watermark {
            Some(watermark) if watermark < self.revision => Left::Pages,
            None => Left::Pages,
            Some(_) if is_pending => Left::Facts,
            Some(_) => Left::Nothing,
        };
        let mut failures = self.brake.note(told, left);
        if !is_progress && is_pending {
            self.fruitless = self.fruitless.saturating_add(1);
            if self.stalled_since_ms.is_some() {
                // It was said: from here on ever more slowly.
                failures = failures.max(Some(u32::from(self.fruitless) + 1));
            }
        }
        if let Some(failures) = failures {
            // Backing off adds the last one.
            self.failures = failures - 1;
            self.back_off(moment);
        }
    }
}

/// The bytes of a fact in a batch, with the comma after it: reckoned, because writing it only to count costs half
/// of planning a batch. A test holds it to what is written.
pub(super) fn encoded_len(fact: &Fact) -> usize {
    const CELL: usize = r#"{"day":"2022-10-04","source":"","epoch":,"recorded":,"manual":},"#.len();
    const ATTENDED: usize = r#"{"attended":"2022-10-04"},"#.len();
    let digits = |number: u32| number.checked_ilog10().map_or(1, |log| log as usize + 1);
    match fact {
        Fact::Attended(_) => ATTENDED,
        Fact::Cell { source, register, .. } => {
            let recorded = register.counts.map_or("null".len(), |counts| digits(counts.recorded));
            let manual = register.counts.map_or(1, |counts| digits(counts.manual));
            CELL + source.as_str().len() + digits(register.epoch.into()) + recorded + manual
        }
    }
}

fn only(facts: &[Fact]) -> Option<Fact> {
    match facts {
        [fact] => Some(*fact),
        _ => None,
    }
}
