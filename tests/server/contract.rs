//! Sentences of the contract about delivery that no other test holds, each on a real file.

use manbo::delivery::{
    BATCH_BYTES_MAX, BATCH_FACTS_MAX, DueReason, LEASE_MS, Next, Notice, Outcome, PENDING_AGE_MS,
    PENDING_FACTS, PULL_AFTER_MS, PULL_DAILY_MS, SEAL_LEAD_MS, Trigger,
};
use manbo::{Counts, Fact, Register, Rules, StepBook, wire};

use super::world::{DAY_MS, Http, Phone, Service, ago, options, source};

fn cell(days_ago: i32, counts: Counts) -> Fact {
    let register = Register { epoch: 0, counts: Some(counts) };
    Fact::Cell { day: ago(days_ago), source: source("watch"), register }
}

#[test]
fn verdicts_come_before_the_changes_of_a_receipt() {
    let mut service = Service::new();
    let mut phone = Phone::of("ana");
    phone.walk(ago(0), 9_000);
    // Another device typed something in: the joined value is news to this one, but not to the server.
    let _ = service.post_facts("ana", vec![cell(0, Counts::new(8_000, 500))]);
    let answer = phone.exchange(&mut service).receipt();
    assert_eq!(answer.receipt.facts, [cell(0, Counts::new(9_000, 500))]);
    assert_eq!((phone.pending(), phone.facts()), (0, vec![cell(0, Counts::new(9_000, 500))]));
}

#[test]
fn what_the_server_sent_is_pending_only_where_the_joined_value_differs() {
    let mut service = Service::new();
    let mut phone = Phone::of("ana");
    let _ = service.post_facts("ana", vec![cell(0, Counts::new(8_000, 500)), Fact::Attended(ago(0))]);
    phone.sync(&mut service);
    assert_eq!(phone.pending(), 0, "all of it came from there");
    let _ = service.post_facts("ana", vec![cell(0, Counts::new(8_200, 700))]);
    phone.now_ms += DAY_MS;
    let batch = phone.upload();
    let http = service.post("ana", &wire::upload(&batch));
    phone.walk(ago(0), 9_000);
    let _ = phone.report(Some(batch.ticket), &http.outcome());
    assert_eq!(phone.book.pending().unwrap(), [cell(0, Counts::new(9_000, 700))]);
    phone.sync(&mut service);
    assert_eq!((phone.pending(), phone.digest()), (0, service.digest("ana")));
}

#[test]
fn what_a_peers_merge_changed_is_sent() {
    let mut service = Service::new();
    let mut phone = Phone::of("ana");
    phone.walk(ago(1), 9_000);
    phone.sync(&mut service);
    let peer = [cell(0, Counts::new(4_000, 0)), cell(1, Counts::new(8_000, 0)), Fact::Attended(ago(2))];
    let now = phone.now();
    phone.book.merge(&peer, now).unwrap();
    assert_eq!(phone.book.pending().unwrap(), [peer[0], peer[2]], "the middle one told nothing new");
    phone.sync(&mut service);
    assert_eq!(phone.digest(), service.digest("ana"));
}

#[test]
fn nothing_is_evicted_however_long_the_server_is_away() {
    let mut phone = Phone::of("ana");
    let readings: Vec<manbo::Reading> =
        (0..3_650).map(|n| manbo::Reading::new(ago(n), source("watch"), 8_000)).collect();
    let _ = phone.book.record_all(&readings, phone.now()).unwrap();
    for _ in 0..40 {
        let batch = phone.upload();
        assert_eq!(batch.facts.len(), BATCH_FACTS_MAX);
        assert!(batch.facts.windows(2).all(|pair| pair[0].day() > pair[1].day()), "newest day first");
        assert_eq!(batch.facts[0].day(), ago(0));
        let _ = phone.report(Some(batch.ticket), &Outcome::Network);
        let Next::Wait { until_ms } = phone.next() else { panic!("a backoff") };
        phone.now_ms = until_ms;
        phone.reopen();
    }
    assert_eq!(phone.pending(), 3_650);
}

#[test]
fn the_largest_facts_fit_into_a_batch() {
    let mut phone = Phone::of("ana");
    let register = Register { epoch: 65_534, counts: Some(Counts::new(300_000, 300_000)) };
    let widest: Vec<Fact> =
        (0..500).map(|n| Fact::Cell { day: ago(n), source: source(&"w".repeat(32)), register }).collect();
    let now = phone.now();
    phone.book.merge(&widest, now).unwrap();
    let batch = phone.upload();
    assert_eq!(batch.facts, widest[..BATCH_FACTS_MAX]);
    assert!(wire::upload(&batch).len() <= BATCH_BYTES_MAX);
}

/// V39: a proxy that lets only small bodies through is got past, and nothing is parked.
#[test]
fn batches_are_halved_until_they_get_through() {
    let mut service = Service::new();
    let mut phone = Phone::of("ana");
    (0..400).for_each(|n| phone.walk(ago(n), 8_000));
    let mut sizes = Vec::new();
    while phone.pending() > 0 {
        assert!(sizes.len() < 20, "it does not get through: {sizes:?}");
        let batch = phone.upload();
        sizes.push(batch.facts.len());
        let body = wire::upload(&batch);
        let http = match body.len() {
            0..=5_000 => service.post("ana", &body),
            _ => Http { status: 413, body: "<html>too large</html>".to_owned() },
        };
        let _ = phone.report(Some(batch.ticket), &http.outcome());
    }
    assert_eq!(sizes[..5], [400, 200, 100, 50, 100]);
    assert_eq!((phone.book.parked().unwrap().len(), phone.notices.len()), (0, 0));
    assert_eq!(phone.digest(), service.digest("ana"));
}

#[test]
fn a_register_that_changes_after_it_was_parked_is_pending_again() {
    let mut service = Service::new();
    let mut phone = Phone::of("ana");
    phone.sync(&mut service);
    phone.walk(ago(0), 8_000);
    let batch = phone.upload();
    let _ = phone.report(Some(batch.ticket), &Http { status: 422, body: String::new() }.outcome());
    assert_eq!((phone.pending(), phone.book.parked().unwrap().len()), (0, 1));
    phone.reopen();
    phone.walk(ago(0), 8_000);
    assert_eq!(phone.pending(), 0, "the same again is no change");
    phone.walk(ago(0), 8_100);
    assert_eq!((phone.pending(), phone.book.parked().unwrap().len()), (1, 0));
    phone.sync(&mut service);
    assert_eq!(phone.digest(), service.digest("ana"));
}

#[test]
fn no_lock_is_held_while_a_batch_is_on_its_way() {
    let mut service = Service::new();
    let mut phone = Phone::of("ana");
    phone.walk(ago(0), 8_000);
    let batch = phone.upload();
    let other = rusqlite::Connection::open(phone.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; ROLLBACK").unwrap();
    let mut widget = StepBook::open(phone.path(), &options()).unwrap();
    let reading = manbo::Reading::new(ago(1), source("watch"), 7_000);
    widget.record(&reading, phone.now()).unwrap();
    let until_ms = phone.now_ms + LEASE_MS;
    assert_eq!(widget.next_delivery(phone.moment()).unwrap(), Next::Wait { until_ms });
    let http = service.post("ana", &wire::upload(&batch));
    let _ = phone.report(Some(batch.ticket), &http.outcome());
    assert_eq!(phone.pending(), 1);
}

#[test]
fn with_nothing_pending_it_asks_when_that_is_due_and_not_before() {
    let mut service = Service::new();
    let mut phone = Phone::of("ana");
    assert_eq!(phone.upload().facts, [], "no watermark");
    phone.now_ms += LEASE_MS;
    phone.sync(&mut service);
    let start_ms = phone.now_ms;
    let due = |phone: &mut Phone| phone.book.delivery_due(phone.now(), None).unwrap().unwrap();
    let told = due(&mut phone);
    assert_eq!((told.at_ms, told.reason), (start_ms + PULL_DAILY_MS, DueReason::Pull));
    phone.now_ms = start_ms + PULL_AFTER_MS;
    assert_eq!(phone.next(), Next::Idle, "nobody asked");
    phone.book.trigger_delivery(Trigger::Credentials, phone.now()).unwrap();
    assert_eq!(phone.next(), Next::Idle);
    for trigger in [Trigger::Foreground, Trigger::Connectivity] {
        phone.book.trigger_delivery(trigger, phone.now()).unwrap();
        phone.reopen();
        assert_eq!(due(&mut phone).at_ms, phone.now_ms);
        phone.exchange(&mut service);
        phone.book.trigger_delivery(trigger, phone.now()).unwrap();
        assert_eq!(phone.next(), Next::Idle, "the last receipt is young");
        phone.now_ms += PULL_AFTER_MS;
    }
}

#[test]
fn a_host_is_told_when_to_come_back_and_why() {
    let mut service = Service::new();
    let mut phone = Phone::of("ana");
    phone.sync(&mut service);
    let due = |phone: &mut Phone, seal_ms| {
        let due = phone.book.delivery_due(phone.now(), seal_ms).unwrap().unwrap();
        (due.at_ms, due.reason)
    };
    let now_ms = phone.now_ms;
    phone.walk(ago(0), 500);
    assert_eq!(due(&mut phone, None), (now_ms + PENDING_AGE_MS, DueReason::Age));
    phone.now_ms += PENDING_AGE_MS / 2;
    phone.walk(ago(0), 600);
    assert_eq!(due(&mut phone, None).0, now_ms + PENDING_AGE_MS, "the oldest of what waits");
    // A seal that is near comes first, one that is past is past.
    let half_way = phone.now_ms;
    assert_eq!(due(&mut phone, Some(half_way + SEAL_LEAD_MS + 1)), (half_way + 1, DueReason::Seal));
    assert_eq!(due(&mut phone, Some(half_way - 1)).1, DueReason::Age);
    // The day is over.
    phone.walk(ago(1), 700);
    assert_eq!(due(&mut phone, None), (half_way, DueReason::DayRollover));
    // Nothing is due while a batch is on its way, or while a backoff holds.
    let batch = phone.upload();
    assert_eq!(due(&mut phone, None).0, half_way + LEASE_MS);
    let _ = phone.report(Some(batch.ticket), &Outcome::Network);
    let Next::Wait { until_ms } = phone.next() else { panic!("a backoff") };
    assert_eq!(due(&mut phone, None).0, until_ms);
    phone.sync(&mut service);
    assert_eq!(due(&mut phone, None).1, DueReason::Pull);
}

#[test]
fn fifty_facts_are_due_at_once() {
    let mut service = Service::new();
    let mut phone = Phone::of("ana");
    phone.sync(&mut service);
    // Of days that are over: what is not even begun does not count, and of two reasons the number is told.
    let attended = |n: usize| Fact::Attended(ago(0).plus(-i32::try_from(n).unwrap()));
    let now = phone.now();
    for n in 1..PENDING_FACTS {
        phone.book.merge(&[attended(n)], now).unwrap();
        let due = phone.book.delivery_due(now, None).unwrap().unwrap();
        assert_ne!(due.reason, DueReason::Number, "{n}");
    }
    phone.walk(ago(0), 500);
    let due = phone.book.delivery_due(now, None).unwrap().unwrap();
    assert_eq!((due.at_ms, due.reason), (now.unix_ms, DueReason::Number));
}

/// A host that sets its alarm by `delivery_due` must not be woken again and again for nothing.
#[test]
fn what_may_not_be_sent_yet_is_not_due_yet() {
    let mut service = Service::new();
    let mut phone = Phone::of("ana");
    phone.now_ms -= 12 * 3_600_000;
    phone.sync(&mut service);
    // A traveller's tomorrow, which begins at UTC+14 in ten hours.
    phone.walk(ago(-1), 500);
    phone.now_ms += PENDING_AGE_MS + 1;
    assert_eq!(phone.next(), Next::Idle);
    let due = phone.book.delivery_due(phone.now(), None).unwrap().unwrap();
    assert!(due.at_ms > phone.now_ms, "due now by {:?}, and there is nothing to send", due.reason);
}

#[test]
fn other_rules_on_the_server_are_told() {
    let mut service = Service::new();
    let mut phone = Phone::of("ana");
    let rules = Rules::builder().version(7).build().unwrap();
    phone.book = StepBook::open(phone.path(), &options().rules(rules)).unwrap();
    phone.sync(&mut service);
    assert_eq!(phone.notices, [Notice::RulesDiffer { server: 1 }]);
}

#[test]
fn a_state_that_survived_a_clock_jump_waits_no_longer_than_its_kind() {
    let mut phone = Phone::of("ana");
    phone.walk(ago(0), 8_000);
    let batch = phone.upload();
    let hotel = wire::read_reply(503, Some("86400"), b"", phone.now_ms);
    let _ = phone.report(Some(batch.ticket), &hotel);
    phone.now_ms -= 400 * DAY_MS;
    phone.reopen();
    let Next::Wait { until_ms } = phone.next() else { panic!("the server's wish") };
    assert_eq!(until_ms, phone.now_ms + DAY_MS);
    phone.now_ms = until_ms;
    phone.walk(ago(0).plus(-399), 1);
    assert_eq!(phone.upload().facts.len(), 1, "today has not begun by this clock");
}
