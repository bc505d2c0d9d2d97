//! A device with nothing of its own is filled page by page, whatever happens meanwhile.

use std::collections::{BTreeSet, HashSet};

use manbo::delivery::{BATCH_FACTS_MAX, Outcome};
use manbo::{
    Correction, Counts, Day, Error, Fact, Moderation, PAGE_FACTS_MAX, Reading, Source, moderate, wire,
};

use super::world::{Http, Phone, Service, ago, at, day, source};

type Key = (Day, Option<Source>);

fn key(fact: &Fact) -> Key {
    match fact {
        Fact::Cell { day, source, .. } => (*day, Some(*source)),
        Fact::Attended(day) => (*day, None),
    }
}

/// A service with so many days of three sources and some attendance, sent by a phone in its own batches.
fn service_with(days: i32) -> (Service, Phone) {
    let mut service = Service::new();
    let mut phone = Phone::of("ana");
    let names = ["apple-health", "garmin", "phone-sensor-1"];
    let readings: Vec<Reading> = (0..days)
        .flat_map(|n| names.map(|name| Reading::new(ago(n), source(name), 4_000 + n.unsigned_abs())))
        .collect();
    let recorded = phone.book.record_all(&readings, phone.now()).unwrap();
    assert_eq!(recorded.refused, []);
    (0..days).step_by(3).for_each(|n| phone.attend(ago(n)));
    phone.sync(&mut service);
    assert_eq!((phone.pending(), phone.digest()), (0, service.digest("ana")));
    (service, phone)
}

/// A page holds what its transactions changed, each whole, as it is now, and nothing else.
#[track_caller]
fn check_page(service: &mut Service, http: &Http) -> u64 {
    let answer = http.receipt();
    let ledger = service.store.read("ana").unwrap();
    let now: HashSet<Fact> = ledger.facts().into_iter().collect();
    let history = service.store.history("ana").unwrap();
    let of_page = history
        .iter()
        .filter(|event| (answer.since + 1..=answer.complete_to).contains(&event.transaction))
        .map(|event| key(&event.after));
    let expected: BTreeSet<Key> = of_page.collect();
    let came: BTreeSet<Key> = answer.receipt.facts.iter().map(key).collect();
    assert_eq!(came, expected, "since {} to {}", answer.since, answer.complete_to);
    assert_eq!(came.len(), answer.receipt.facts.len(), "each once");
    assert!(answer.receipt.facts.iter().all(|fact| now.contains(fact)), "as it is now");
    assert!(came.len() <= PAGE_FACTS_MAX + BATCH_FACTS_MAX);
    assert!(answer.complete_to <= answer.receipt.revision);
    answer.complete_to
}

#[test]
fn ten_years_of_three_sources_fill_an_empty_device_though_it_is_interrupted() {
    let (mut service, mut phone) = service_with(3_650);
    let mut tablet = Phone::of("ana");
    let mut complete_to = 0;
    let mut pages = 0;
    while complete_to < service.store.read("ana").unwrap().revision() {
        let batch = tablet.upload();
        assert_eq!((batch.facts.len(), batch.since), (0, complete_to), "it goes on where it was");
        let http = service.post("ana", &wire::upload(&batch));
        pages += 1;
        match pages % 4 {
            // The answer is lost, and with it nothing but time.
            1 => {
                let _ = tablet.report(Some(batch.ticket), &Outcome::Network);
                tablet.now_ms += 3_600_000;
                continue;
            }
            // The process ends before and after the answer.
            2 => tablet.reopen(),
            _ => {}
        }
        complete_to = check_page(&mut service, &http);
        let _ = tablet.report(Some(batch.ticket), &http.outcome());
        tablet.reopen();
    }
    assert!(pages > 10, "{pages} pages");
    tablet.sync(&mut service);
    assert_eq!((tablet.pending(), tablet.digest()), (0, service.digest("ana")));
    assert_eq!((tablet.notices.len(), tablet.stalls), (0, 0));
    phone.pull(&mut service);
    assert_eq!(phone.digest(), tablet.digest());
}

#[test]
fn what_others_change_while_a_device_is_being_filled_is_not_lost() {
    let (mut service, mut phone) = service_with(1_500);
    let mut tablet = Phone::of("ana");
    let mut since = Vec::new();
    for round in 0..40 {
        let batch = tablet.upload();
        since.push(batch.since);
        let http = service.post("ana", &wire::upload(&batch));
        let complete_to = check_page(&mut service, &http);
        // Between the answer and its arrival, and before the next page: days that were sent already, days that
        // were not, a day that is new, a day that an operator corrects.
        if round < 4 {
            for n in [0, 450, 1_499] {
                phone.walk(ago(n), 20_000 + round * 100);
            }
            phone.attend(ago(1_498 - round.cast_signed()));
            phone.walk(ago(2_000 + round.cast_signed()), 7_000);
            phone.sync(&mut service);
            correct(&mut service, ago(600 - round.cast_signed()), "garmin", Some(100 + round));
        }
        let _ = tablet.report(Some(batch.ticket), &http.outcome());
        if complete_to == service.store.read("ana").unwrap().revision() {
            break;
        }
    }
    assert!(since.len() > 4 && since.is_sorted(), "{since:?}");
    tablet.pull(&mut service);
    phone.pull(&mut service);
    assert_eq!((tablet.digest(), phone.digest()), (service.digest("ana"), service.digest("ana")));
    assert_eq!((tablet.notices.len(), phone.notices.len()), (0, 0));
}

#[test]
fn a_device_sends_its_own_while_it_is_being_filled() {
    let (mut service, mut phone) = service_with(600);
    let mut tablet = Phone::of("ana");
    for n in 0..500 {
        tablet.walk(ago(n), 9_000);
    }
    tablet.walk(ago(0), 9_001);
    tablet.sync(&mut service);
    phone.pull(&mut service);
    assert_eq!((tablet.pending(), tablet.digest()), (0, service.digest("ana")));
    assert_eq!(phone.digest(), tablet.digest());
}

fn correct(service: &mut Service, on: Day, name: &str, to: Option<u32>) {
    let now = service.now();
    let to = to.map(|steps| Counts::new(steps, 0));
    let correction = Correction { day: on, source: source(name), to, reason: "shaken" };
    let done = |ledger: &mut manbo::Ledger| {
        moderate(ledger, Moderation::Correct(&correction), now).map_err(Error::from)
    };
    service.store.transact("ana", done).unwrap();
}

#[test]
fn what_an_operator_does_reaches_every_device() {
    let mut service = Service::new();
    let (mut phone, mut tablet, mut new) = (Phone::of("ana"), Phone::of("ana"), Phone::of("ana"));
    let on = day("2022-10-03");
    phone.walk(on, 28_000);
    phone.sync(&mut service);
    tablet.sync(&mut service);
    correct(&mut service, on, "watch", Some(8_000));
    // One day has no data at all any more, one that nobody knew has a value.
    correct(&mut service, day("2022-10-02"), "watch", Some(1_234));
    for device in [&mut phone, &mut tablet, &mut new] {
        device.pull(&mut service);
        assert_eq!(device.digest(), service.digest("ana"));
        assert_eq!(device.book.day(on).unwrap().unwrap().shown, 8_000);
        assert_eq!(device.book.day(day("2022-10-02")).unwrap().unwrap().shown, 1_234);
    }
    // Pinned: what a source says changes nothing and is not sent.
    phone.walk(on, 30_000);
    assert_eq!(phone.pending(), 0);
    correct(&mut service, day("2022-10-02"), "watch", None);
    let unpin = Moderation::Unpin(on, source("watch"));
    let now = at(service.now_ms);
    service.store.transact("ana", |ledger| moderate(ledger, unpin, now).map_err(Error::from)).unwrap();
    for device in [&mut phone, &mut tablet, &mut new] {
        device.pull(&mut service);
        assert_eq!(device.digest(), service.digest("ana"));
        assert_eq!(device.book.day(day("2022-10-02")).unwrap(), None);
    }
    // Open again: the day counts as it is read, here and everywhere.
    phone.walk(on, 9_000);
    phone.sync(&mut service);
    tablet.pull(&mut service);
    assert_eq!(tablet.book.day(on).unwrap().unwrap().shown, 9_000);
    assert_eq!((phone.stalls, tablet.notices.len()), (0, 0));
}
