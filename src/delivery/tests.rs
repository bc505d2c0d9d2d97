//! The machine, driven by hand and by chance.

use super::*;
use crate::domain::code::Code;
use crate::domain::day::{Day, Now};
use crate::domain::fact::{Fact, Refused};
use crate::domain::ingest::Receipt;
use crate::domain::ledger::{Ledger, Operation};
use crate::domain::level::{GapPolicy, Level, LevelRules};
use crate::domain::register::Register;
use crate::domain::steps::{Counts, Reading, Source};

const RULES: u32 = 1;

/// A phone with its delivery, and a server that keeps what it is sent.
struct Phone {
    ledger: Ledger,
    delivery: Delivery,
    server: Ledger,
    incarnation: &'static str,
    now_ms: i64,
    seed: u64,
}

fn ledger() -> Ledger {
    Ledger::new(LevelRules::new(Level::Overweight, 10_000, 6_000, GapPolicy::Skip).unwrap())
}

fn day(n: i32) -> Day {
    Day::FIRST.plus(8_000 + n)
}

fn noon(n: i32) -> i64 {
    Now::on(day(n)).unix_ms
}

fn identity() -> Identity {
    Identity { ledger: "ana".to_owned(), generation: 1 }
}

impl Phone {
    fn new() -> Phone {
        Phone {
            ledger: ledger(),
            delivery: Delivery::default(),
            server: ledger(),
            incarnation: "first",
            now_ms: noon(0),
            seed: 0,
        }
    }

    fn with_days(days: i32) -> Phone {
        let mut phone = Phone::new();
        (0..days).for_each(|n| phone.walk(-n, 1_000));
        phone
    }

    fn moment(&self) -> Moment {
        let today = Now::at(self.now_ms, crate::UtcOffset::UTC).today;
        Moment { now: Now { unix_ms: self.now_ms, today }, seed: self.seed }
    }

    fn walk(&mut self, n: i32, steps: u32) {
        let reading = Reading::new(day(n), Source::new("watch").unwrap(), steps);
        let _ = self.ledger.apply(Operation::Read(&reading), self.moment().now).unwrap();
    }

    fn next(&mut self) -> Next {
        self.seed += 1;
        // Through its stored form each time: it survives the process.
        let stored = serde_json::to_string(&self.delivery).unwrap();
        self.delivery = serde_json::from_str(&stored).unwrap();
        self.delivery.next(&self.ledger, self.moment())
    }

    #[track_caller]
    fn upload(&mut self) -> Batch {
        match self.next() {
            Next::Upload(batch) => batch,
            other => panic!("expected an upload, got {other:?}"),
        }
    }

    #[track_caller]
    fn waits(&mut self) -> i64 {
        match self.next() {
            Next::Wait { until_ms } => until_ms - self.now_ms,
            other => panic!("expected a wait, got {other:?}"),
        }
    }

    fn report(&mut self, outcome: Outcome) -> Reported {
        self.report_of(None, outcome)
    }

    fn report_of(&mut self, of: Option<Ticket>, outcome: Outcome) -> Reported {
        let moment = self.moment();
        self.delivery.report(&mut self.ledger, of, outcome, RULES, moment).unwrap()
    }

    fn status(&mut self, status: u16) -> Reported {
        self.report(Outcome::Reply { status, retry_after_s: None, body: Body::Foreign })
    }

    /// What a correct server answers to a batch.
    fn answer(&mut self, batch: &Batch, refused: &[Fact]) -> Outcome {
        let now = self.moment().now;
        let policy = crate::IngestPolicy { latest_day: Day::LAST, recovery: false };
        let sent: Vec<Fact> = batch.facts.iter().filter(|fact| !refused.contains(fact)).copied().collect();
        let mut receipt = crate::ingest(&mut self.server, &sent, batch.since, policy, now).receipt;
        receipt.refused.extend(refused.iter().map(|fact| Refused { fact: *fact, code: Code::FutureDay }));
        self.reply(receipt)
    }

    fn reply(&self, receipt: Receipt) -> Outcome {
        let answer = Answer {
            identity: identity(),
            incarnation: self.incarnation.to_owned(),
            rules_version: RULES,
            since: 0,
            complete_to: receipt.revision,
            receipt,
        };
        Outcome::Reply { status: 200, retry_after_s: None, body: Body::Receipt(Box::new(answer)) }
    }

    /// Sends until nothing is left to do.
    #[track_caller]
    fn drain(&mut self) {
        for _ in 0..100 {
            match self.next() {
                Next::Upload(batch) => {
                    let answer = self.answer(&batch, &[]);
                    let _ = self.report(answer);
                }
                Next::Wait { until_ms } | Next::Paused { until_ms } => self.now_ms = until_ms,
                Next::Stalled => {}
                Next::Idle => return,
            }
        }
        panic!("it never came to rest");
    }
}

#[test]
fn what_is_pending_is_sent_newest_first_and_cleared_by_its_receipt() {
    let mut phone = Phone::with_days(3);
    let batch = phone.upload();
    assert_eq!((batch.identity.clone(), batch.since, batch.facts.len()), (None, 0, 3));
    assert!(batch.facts.windows(2).all(|pair| pair[0].day() > pair[1].day()));
    assert!(phone.waits() <= LEASE_MS, "one batch at a time");
    let answer = phone.answer(&batch, &[]);
    let _ = phone.report(answer);
    assert_eq!((phone.ledger.pending_count(), phone.next()), (0, Next::Idle));
    assert_eq!(phone.ledger.digest(), phone.server.digest());
}

#[test]
fn steps_that_come_during_a_flight_stay_pending() {
    let mut phone = Phone::new();
    phone.walk(0, 500);
    let batch = phone.upload();
    phone.walk(0, 1_382);
    let answer = phone.answer(&batch, &[]);
    let _ = phone.report(answer);
    assert_eq!(phone.ledger.pending_count(), 1);
    let batch = phone.upload();
    assert!(
        matches!(batch.facts[0], Fact::Cell { register, .. } if register.counts.unwrap().recorded == 1_382)
    );
}

#[test]
fn failures_back_off_and_survive_the_process() {
    let mut phone = Phone::with_days(1);
    for failures in 1..=20 {
        phone.upload();
        let _ = phone.status(503);
        let ceiling = backoff::ceiling_ms(failures);
        let wait = phone.waits();
        assert!((ceiling / 2..=ceiling).contains(&wait), "{failures}: {wait}");
        phone.now_ms += wait;
    }
    phone.drain();
    assert_eq!(phone.delivery.health(&phone.ledger, phone.now_ms).failures, 0);
}

#[test]
fn a_clock_jump_makes_no_wait_longer_than_its_kind() {
    let mut phone = Phone::with_days(1);
    phone.upload();
    let _ = phone.status(500);
    phone.now_ms -= 50 * 365 * 86_400_000;
    assert!(phone.waits() <= BACKOFF_MAX_MS);
    phone.now_ms += BACKOFF_MAX_MS;
    phone.now_ms = noon(0);
    phone.upload();
    phone.now_ms -= 86_400_000 * 400;
    assert!(phone.waits() <= LEASE_MS, "the lease too");
}

#[test]
fn triggers_end_a_backoff_once_a_minute_and_never_the_servers_wish() {
    let mut phone = Phone::with_days(1);
    phone.upload();
    let _ = phone.status(503);
    phone.delivery.trigger(Trigger::Credentials, phone.now_ms);
    phone.waits();
    phone.delivery.trigger(Trigger::Connectivity, phone.now_ms);
    phone.upload();
    let _ = phone.status(503);
    phone.delivery.trigger(Trigger::Foreground, phone.now_ms);
    phone.waits();
    phone.now_ms += TRIGGER_GAP_MS;
    phone.delivery.trigger(Trigger::Foreground, phone.now_ms);
    phone.upload();
    let wish = Outcome::Reply { status: 429, retry_after_s: Some(999_999_999), body: Body::Foreign };
    let _ = phone.report(wish);
    phone.now_ms += TRIGGER_GAP_MS;
    phone.delivery.trigger(Trigger::Foreground, phone.now_ms);
    assert_eq!(phone.waits(), RETRY_AFTER_MAX_MS - TRIGGER_GAP_MS);
}

#[test]
fn refused_credentials_pause_until_something_changes() {
    let refusal =
        || Outcome::Reply { status: 401, retry_after_s: None, body: Body::Refusal(Some(identity())) };
    let mut phone = Phone::with_days(1);
    for trigger in [Trigger::Credentials, Trigger::Foreground] {
        phone.upload();
        let _ = phone.report(refusal());
        phone.delivery.trigger(Trigger::Connectivity, phone.now_ms);
        assert_eq!(phone.next(), Next::Paused { until_ms: phone.now_ms + PAUSE_MAX_MS });
        phone.delivery.trigger(trigger, phone.now_ms);
    }
    phone.upload();
    let _ = phone.report(refusal());
    phone.now_ms += PAUSE_MAX_MS;
    phone.upload();
}

#[test]
fn a_batch_that_is_too_large_is_halved_and_a_single_fact_is_parked() {
    let mut phone = Phone::with_days(450);
    for expected in [400, 200, 100, 50, 25, 12, 6, 3, 1] {
        assert_eq!(phone.upload().facts.len(), expected);
        let _ = phone.status(413);
    }
    assert_eq!(phone.ledger.pending_count(), 449, "one is parked, none is lost");
    let parked: Vec<_> = phone.ledger.cells().into_iter().filter_map(|cell| cell.parked).collect();
    assert_eq!(parked, [Code::Unexplained]);
    phone.drain();
    assert_eq!(phone.ledger.pending_count(), 0);
}

#[test]
fn refused_facts_are_parked_and_hold_up_nothing() {
    let mut phone = Phone::with_days(30);
    let batch = phone.upload();
    let refused = [batch.facts[7]];
    let answer = phone.answer(&batch, &refused);
    assert_eq!(phone.report(answer).notices, [Notice::Parked { facts: 1 }]);
    assert_eq!((phone.ledger.pending_count(), phone.next()), (0, Next::Idle));
    // Changed after it was parked, it is pending again.
    phone.walk(-7, 2_000);
    assert_eq!(phone.upload().facts.len(), 1);
}

#[test]
fn receipts_that_bring_nothing_stall_once_and_then_back_off() {
    let mut phone = Phone::with_days(1);
    let fruitless = |phone: &Phone| phone.reply(Receipt { revision: 0, ..Receipt::default() });
    for _ in 0..FRUITLESS_RECEIPTS_MAX {
        phone.upload();
        let outcome = fruitless(&phone);
        let _ = phone.report(outcome);
    }
    assert_eq!(phone.next(), Next::Stalled);
    let mut longest = 0;
    for _ in 0..6 {
        let wait = phone.waits();
        longest = longest.max(wait);
        phone.now_ms += wait;
        phone.upload();
        let outcome = fruitless(&phone);
        let _ = phone.report(outcome);
    }
    assert!(longest >= 8_000, "ever more slowly: {longest}");
    assert!(phone.delivery.health(&phone.ledger, phone.now_ms).stalled_since_ms.is_some());
    phone.drain();
    assert_eq!(phone.delivery.health(&phone.ledger, phone.now_ms).stalled_since_ms, None);
}

#[test]
fn a_reinstalled_phone_that_sends_everything_again_is_not_stalled() {
    let mut phone = Phone::with_days(400);
    phone.drain();
    let mut again = Phone::with_days(400);
    again.server = phone.server.clone();
    again.drain();
    assert_eq!(again.ledger.digest(), phone.ledger.digest());
    assert_eq!(again.delivery.health(&again.ledger, again.now_ms).stalled_since_ms, None);
}

#[test]
fn an_empty_device_is_filled_and_pulls_when_it_is_due() {
    let mut phone = Phone::with_days(40);
    phone.drain();
    let mut tablet = Phone::new();
    tablet.server = phone.server.clone();
    let batch = tablet.upload();
    assert!(batch.facts.is_empty() && batch.since == 0);
    let answer = tablet.answer(&batch, &[]);
    assert_eq!(tablet.report(answer).changes.len(), 40);
    assert_eq!((tablet.ledger.digest(), tablet.next()), (phone.ledger.digest(), Next::Idle));
    tablet.delivery.trigger(Trigger::Foreground, tablet.now_ms);
    assert_eq!(tablet.next(), Next::Idle, "the last receipt is young");
    tablet.now_ms += PULL_AFTER_MS;
    let batch = tablet.upload();
    let answer = tablet.answer(&batch, &[]);
    let _ = tablet.report(answer);
    tablet.now_ms += PULL_DAILY_MS - 1;
    assert_eq!(tablet.next(), Next::Idle);
    tablet.now_ms += 1;
    tablet.upload();
}

#[test]
fn a_pull_goes_on_while_pages_are_missing() {
    let mut phone = Phone::new();
    let batch = phone.upload();
    let Outcome::Reply { status, retry_after_s, body: Body::Receipt(mut answer) } = phone.answer(&batch, &[])
    else {
        panic!("a receipt")
    };
    answer.receipt.revision = 9;
    answer.complete_to = 4;
    let _ = phone.report(Outcome::Reply { status, retry_after_s, body: Body::Receipt(answer) });
    assert_eq!(phone.upload().since, 4);
}

#[test]
fn a_restored_server_gets_everything_again() {
    let mut phone = Phone::with_days(20);
    phone.drain();
    phone.server = ledger();
    phone.incarnation = "second";
    phone.now_ms += PULL_DAILY_MS;
    let batch = phone.upload();
    let answer = phone.answer(&batch, &[]);
    assert_eq!(phone.report(answer).notices, [Notice::ServerRestored]);
    assert_eq!(phone.ledger.pending_count(), 20);
    phone.drain();
    assert_eq!(phone.server.digest(), phone.ledger.digest());
}

#[test]
fn after_an_erasure_nothing_is_sent_until_the_device_followed() {
    let mut phone = Phone::with_days(5);
    phone.drain();
    phone.walk(0, 9_000);
    phone.upload();
    let erased = Body::Refusal(Some(Identity { generation: 2, ..identity() }));
    let told = phone.report(Outcome::Reply { status: 410, retry_after_s: None, body: erased });
    assert_eq!(told.notices, [Notice::Erased { generation: 2 }]);
    assert_eq!(phone.next(), Next::Idle);
    phone.ledger = ledger();
    phone.delivery.begin_generation(2);
    let batch = phone.upload();
    assert_eq!((batch.identity.unwrap().generation, batch.since, batch.facts.len()), (2, 0, 0));
}

#[test]
fn days_that_have_begun_nowhere_are_not_offered() {
    let mut phone = Phone::new();
    phone.now_ms = noon(0);
    phone.walk(1, 5_000);
    assert_eq!(phone.upload().facts.len(), 1, "at noon UTC it is tomorrow at UTC+14");
    let mut phone = Phone::new();
    phone.walk(1, 5_000);
    phone.now_ms = noon(0) - 4 * 3_600_000;
    assert!(phone.upload().facts.is_empty(), "a pull only");
}

#[test]
fn facts_outside_the_limits_from_a_server_change_nothing() {
    let mut phone = Phone::with_days(2);
    let batch = phone.upload();
    let far = Fact::Attended(Day::LAST.next());
    let outcome = phone.reply(Receipt { accepted: batch.facts, facts: vec![far], ..Receipt::default() });
    let moment = phone.moment();
    let refused = phone.delivery.report(&mut phone.ledger, None, outcome, RULES, moment);
    assert_eq!(refused.unwrap_err().code(), Code::DayOutOfRange);
    assert_eq!(phone.ledger.pending_count(), 2);
    phone.waits();
}

/// A receipt without verdicts that says how far the server is, and how far what it brings is complete.
fn pages(since: u64, complete_to: u64, revision: u64) -> Outcome {
    let receipt = Receipt { revision, ..Receipt::default() };
    let incarnation = "first".to_owned();
    let answer =
        Answer { identity: identity(), incarnation, rules_version: RULES, since, complete_to, receipt };
    Outcome::Reply { status: 200, retry_after_s: None, body: Body::Receipt(Box::new(answer)) }
}

#[test]
fn a_server_that_never_gives_what_it_announces_is_asked_ever_more_slowly() {
    let mut phone = Phone::new();
    for _ in 0..=FRUITLESS_PULLS_FREE {
        assert_eq!(phone.upload().since, 0, "at once");
        let _ = phone.report(pages(0, 0, 9));
    }
    for failures in 1..=20 {
        let ceiling = backoff::ceiling_ms(failures);
        let wait = phone.waits();
        assert!((ceiling / 2..=ceiling).contains(&wait), "{failures}: {wait}");
        phone.now_ms += wait;
        assert!(phone.upload().facts.is_empty());
        let _ = phone.report(pages(0, 0, 9));
    }
    // The app in the foreground asks once more, and what comes of it is not forgotten.
    phone.now_ms += TRIGGER_GAP_MS;
    phone.delivery.trigger(Trigger::Foreground, phone.now_ms);
    phone.upload();
    let _ = phone.report(pages(0, 0, 9));
    assert!(phone.waits() >= BACKOFF_MAX_MS / 2);
    // A page that brings it nearer ends it, and the next is asked for at once.
    phone.now_ms += BACKOFF_MAX_MS;
    phone.upload();
    let _ = phone.report(pages(0, 5, 9));
    assert_eq!(phone.upload().since, 5);
    let _ = phone.report(pages(5, 5, 9));
    assert_eq!(phone.upload().since, 5, "one is free again");
    let _ = phone.report(pages(5, 9, 9));
    assert_eq!(phone.next(), Next::Idle);
}

#[test]
fn pages_that_bring_it_nearer_are_asked_for_at_full_speed() {
    let mut phone = Phone::new();
    for page in 0..1_000 {
        assert_eq!(phone.upload().since, page);
        let _ = phone.report(pages(page, page + 1, 1_000));
    }
    assert_eq!(phone.next(), Next::Idle);
}

#[test]
fn what_is_walked_meanwhile_is_sent_and_ends_the_wait_for_pages() {
    let mut phone = Phone::new();
    for _ in 0..=FRUITLESS_PULLS_FREE {
        phone.upload();
        let _ = phone.report(pages(0, 0, 9));
    }
    phone.walk(0, 4_000);
    phone.now_ms += phone.waits();
    let batch = phone.upload();
    assert_eq!(batch.facts.len(), 1);
    let receipt = Receipt { accepted: batch.facts, revision: 9, ..Receipt::default() };
    let Outcome::Reply { status, retry_after_s, body: Body::Receipt(mut answer) } = phone.reply(receipt)
    else {
        panic!("a receipt")
    };
    answer.complete_to = 0;
    let _ = phone.report(Outcome::Reply { status, retry_after_s, body: Body::Receipt(answer) });
    assert_eq!(phone.ledger.pending_count(), 0);
    for _ in 0..=FRUITLESS_PULLS_FREE {
        assert!(phone.upload().facts.is_empty());
        let _ = phone.report(pages(0, 0, 9));
    }
    assert!(phone.waits() <= BACKOFF_BASE_MS);
}

#[test]
fn a_revision_that_was_never_true_is_taken_back() {
    let mut phone = Phone::new();
    phone.upload();
    let _ = phone.report(pages(0, 0, u64::MAX));
    phone.upload();
    let _ = phone.report(pages(0, 3, 3));
    assert_eq!(phone.next(), Next::Idle);
    phone.now_ms += PULL_DAILY_MS;
    assert_eq!(phone.upload().since, 3);
    // Nor is anything complete beyond the revision.
    let _ = phone.report(pages(3, 700, 4));
    phone.now_ms += PULL_DAILY_MS;
    assert_eq!(phone.upload().since, 4);
    let late = phone.report(pages(0, 2, 2));
    assert_eq!((late.notices, phone.next()), (Vec::new(), Next::Idle), "an older answer takes nothing back");
}

/// Two servers behind one address, each with a life of its own; every request goes to the other one.
#[test]
fn two_servers_behind_one_address_are_not_sent_everything_without_end() {
    let mut phone = Phone::with_days(1_000);
    let mut other = ledger();
    let begin_ms = phone.now_ms;
    let (mut requests, mut restores) = (0, 0);
    while phone.now_ms < begin_ms + PULL_DAILY_MS {
        match phone.next() {
            Next::Upload(batch) => {
                std::mem::swap(&mut phone.server, &mut other);
                phone.incarnation = if phone.incarnation == "first" { "second" } else { "first" };
                let answer = phone.answer(&batch, &[]);
                let told = phone.report(answer);
                requests += 1;
                restores += usize::from(told.notices == [Notice::ServerRestored]);
                assert!(requests > 2 + usize::from(RESTORES_FREE) || phone.now_ms == begin_ms, "at once");
            }
            Next::Wait { until_ms } => phone.now_ms = until_ms,
            Next::Idle => phone.now_ms += PENDING_AGE_MS,
            other => panic!("{other:?}"),
        }
    }
    assert!(restores > 20 && requests < 70, "{restores} lives in {requests} requests of a day");
    // One of them goes: nothing that only the other had been sent is lost.
    phone.drain();
    phone.now_ms += PULL_DAILY_MS;
    phone.drain();
    assert_eq!((phone.ledger.pending_count(), phone.server.digest()), (0, phone.ledger.digest()));
    let stored = serde_json::to_value(&phone.delivery).unwrap();
    assert_eq!(stored["brake"]["lives"], 0, "all is done: the next life is an honest one again");
}

#[test]
fn a_server_that_is_restored_twice_within_a_minute_is_sent_everything_at_full_speed() {
    let mut phone = Phone::with_days(450);
    phone.drain();
    phone.now_ms += PULL_DAILY_MS;
    for life in ["second", "third"] {
        phone.server = ledger();
        phone.incarnation = life;
        let batch = phone.upload();
        let answer = phone.answer(&batch, &[]);
        assert_eq!(phone.report(answer).notices, [Notice::ServerRestored]);
    }
    while let Next::Upload(batch) = phone.next() {
        let answer = phone.answer(&batch, &[]);
        let _ = phone.report(answer);
    }
    assert_eq!((phone.next(), phone.ledger.pending_count()), (Next::Idle, 0));
    assert_eq!(phone.server.digest(), phone.ledger.digest());
}

#[test]
fn an_answer_of_before_a_backup_is_not_taken_for_one_of_after() {
    let mut phone = Phone::with_days(1);
    let backup = phone.delivery.clone();
    let before = phone.upload();
    phone.delivery = backup;
    let after = phone.upload();
    assert_ne!(before.ticket, after.ticket);
    let refusal = || Outcome::Reply { status: 413, retry_after_s: None, body: Body::Foreign };
    let _ = phone.report_of(Some(before.ticket), refusal());
    assert_eq!((phone.ledger.parked().len(), phone.ledger.pending_count()), (0, 1));
    let _ = phone.report_of(Some(after.ticket), refusal());
    assert_eq!((phone.ledger.parked().len(), phone.ledger.pending_count()), (1, 0));
}

#[test]
fn late_receipts_never_say_that_delivery_is_stalled() {
    for tickets in [true, false] {
        let mut phone = Phone::new();
        let mut asked = Vec::new();
        for _ in 0..FRUITLESS_RECEIPTS_MAX {
            asked.push(phone.upload().ticket);
            phone.now_ms += LEASE_MS;
        }
        phone.walk(0, 4_000);
        let batch = phone.upload();
        let answer = phone.answer(&batch, &[]);
        if !tickets {
            // Nothing is under way any more.
            let _ = phone.report(answer.clone());
            phone.walk(0, 5_000);
        }
        for ticket in asked {
            let _ = phone.report_of(tickets.then_some(ticket), pages(0, 0, 0));
        }
        if tickets {
            assert_eq!(phone.waits(), LEASE_MS, "the batch under way still is");
            let _ = phone.report_of(Some(batch.ticket), answer);
        } else {
            assert_eq!(phone.upload().facts.len(), 1);
        }
        assert_eq!(phone.delivery.health(&phone.ledger, phone.now_ms).stalled_since_ms, None);
    }
}

#[test]
fn the_receipt_of_a_pull_counts_where_something_waits_by_then() {
    let mut phone = Phone::new();
    phone.upload();
    phone.walk(0, 4_000);
    for _ in 1..FRUITLESS_RECEIPTS_MAX {
        let _ = phone.report(pages(0, 0, 0));
        assert_eq!(phone.upload().facts.len(), 1);
    }
    let _ = phone.report(pages(0, 0, 0));
    assert_eq!(phone.next(), Next::Stalled);
}

#[test]
fn a_state_from_before_the_brake_is_read() {
    let mut phone = Phone::with_days(3);
    phone.upload();
    let mut stored = serde_json::to_value(&phone.delivery).unwrap();
    assert!(stored.as_object_mut().unwrap().remove("brake").is_some());
    assert_eq!(serde_json::from_value::<Delivery>(stored).unwrap(), phone.delivery);
}

proptest::proptest! {
    /// Whatever happens on the way: what was walked is pending, parked or at the server, and when the
    /// faults end everything arrives.
    #[test]
    fn nothing_is_lost_and_nothing_stays_stuck(
        events in proptest::collection::vec((0_u8..12, 0_i32..6, 0_u32..20_000), 1..60)
    ) {
        let mut phone = Phone::new();
        for (kind, n, value) in events {
            match kind {
                0..=3 => phone.walk(-n, value),
                4 => phone.now_ms += i64::from(value) * 1_000,
                5 => phone.delivery.trigger(Trigger::Foreground, phone.now_ms),
                _ => if let Next::Upload(batch) = phone.next() {
                    let answer = phone.answer(&batch, &[]);
                    let outcome = match kind {
                        6 => Outcome::Network,
                        7 => Outcome::Reply { status: 200, retry_after_s: None, body: Body::Foreign },
                        8 => Outcome::Reply { status: 503, retry_after_s: Some(n.into()), body: Body::Foreign },
                        9 if batch.facts.len() > 1 => Outcome::Reply { status: 413, retry_after_s: None, body: Body::Foreign },
                        _ => answer,
                    };
                    let _ = phone.report(outcome);
                },
            }
        }
        phone.now_ms += BACKOFF_MAX_MS;
        phone.drain();
        proptest::prop_assert_eq!(phone.ledger.pending_count(), 0);
        proptest::prop_assert_eq!(phone.ledger.digest(), phone.server.digest());
    }
}

#[test]
fn the_length_of_a_fact_is_what_is_written_of_it() {
    let edges = [0, 1, 9, 10, 99, 100, 9_999, 10_000, 300_000, u32::MAX];
    let day: Day = "2022-10-04".parse().unwrap();
    let mut facts = vec![Fact::Attended(day)];
    for name in ["a", "apple-health", "0123456789-0123456789-0123456789"] {
        let source = Source::new(name).unwrap();
        for epoch in [0, 9, 10, 65_535] {
            let mut with = |counts| {
                facts.push(Fact::Cell { day, source, register: Register { epoch, counts } });
            };
            with(None);
            for recorded in edges {
                for manual in edges {
                    with(Some(Counts::new(recorded, manual)));
                }
            }
        }
    }
    for fact in facts {
        assert_eq!(
            super::machine::encoded_len(&fact),
            serde_json::to_vec(&fact).unwrap().len() + 1,
            "{fact:?}"
        );
    }
}
