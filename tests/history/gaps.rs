//! A ledger that is changed while nobody writes history: what is told afterwards is true, or not told.

use manbo::{Fact, Operation, Options, Reading, Store};

use super::phone::{USER, YEAR, at, device, fact, facts_at, folder, ingest, read, server, watch};
use crate::common::day;

#[test]
fn history_that_was_off_for_a_while_tells_nothing_of_the_time_before() {
    let (_folder, path) = folder();
    let on = || Store::open(&path, &device(Some(YEAR))).unwrap();
    let off = || Store::open(&path, &device(None)).unwrap();
    let mut store = on();
    read(&mut store, 1, 1_000, 10);
    read(&mut store, 1, 2_000, 20);
    drop(store);
    // Only looked at, or told what it knows already: nothing is lost.
    let mut store = off();
    assert_eq!(facts_at(&mut store, 10), Some(vec![fact(day(1), 1_000)]));
    read(&mut store, 1, 500, 25);
    store.transact(USER, |ledger| Ok(ledger.apply(Operation::Attend(day(40)), at(25)).is_err())).unwrap();
    drop(store);
    let mut store = on();
    assert_eq!(facts_at(&mut store, 10), Some(vec![fact(day(1), 1_000)]));
    drop(store);
    let mut store = off();
    read(&mut store, 1, 3_000, 30);
    read(&mut store, 2, 4_000, 31);
    assert_eq!((facts_at(&mut store, 10), facts_at(&mut store, 31)), (None, None));
    drop(store);
    let mut store = on();
    assert_eq!((facts_at(&mut store, 20), facts_at(&mut store, i64::MAX - 1)), (None, None));
    // The clock went back; the gap stays unknown.
    read(&mut store, 1, 5_000, 15);
    assert_eq!((facts_at(&mut store, 19), facts_at(&mut store, 10)), (None, None));
    let now = vec![fact(day(1), 5_000), fact(day(2), 4_000)];
    assert_eq!(facts_at(&mut store, 20), Some(now.clone()));
    read(&mut store, 2, 6_000, 50);
    assert_eq!(facts_at(&mut store, 49), Some(now));
    let told: Vec<_> = store.history(USER).unwrap().iter().map(|event| (event.before, event.after)).collect();
    let known = |steps| Some(fact(day(1), steps));
    assert_eq!(
        told,
        [
            (None, fact(day(1), 1_000)),
            (known(1_000), fact(day(1), 2_000)),
            (known(3_000), fact(day(1), 5_000)),
            (Some(fact(day(2), 4_000)), fact(day(2), 6_000)),
        ]
    );
}

#[test]
fn another_process_without_history_breaks_it_off_too() {
    let (_folder, path) = folder();
    // Opened before there is any history, and open all the time.
    let mut widget = Store::open(&path, &device(None)).unwrap();
    let mut app = Store::open(&path, &device(Some(YEAR))).unwrap();
    read(&mut app, 1, 1_000, 10);
    read(&mut widget, 1, 2_000, 20);
    assert_eq!(facts_at(&mut app, 10), None);
    read(&mut app, 1, 3_000, 30);
    read(&mut app, 1, 4_000, 40);
    assert_eq!(facts_at(&mut app, 29), None);
    assert_eq!(facts_at(&mut app, 30), Some(vec![fact(day(1), 3_000)]));
    read(&mut widget, 1, 5_000, 50);
    assert_eq!(facts_at(&mut app, 40), None);
}

#[test]
fn history_that_begins_later_begins_there() {
    let (_folder, path) = folder();
    let mut store = Store::open(&path, &device(None)).unwrap();
    read(&mut store, 1, 1_000, 10);
    drop(store);
    let mut store = Store::open(&path, &device(Some(YEAR))).unwrap();
    assert_eq!(facts_at(&mut store, 10), None);
    read(&mut store, 1, 2_000, 20);
    assert_eq!((facts_at(&mut store, 19), facts_at(&mut store, 20)), (None, Some(vec![fact(day(1), 2_000)])));
    assert_eq!(store.history(USER).unwrap()[0].before, Some(fact(day(1), 1_000)));
    // A new ledger whose first act changes no fact is known from its beginning all the same.
    let reading = manbo::CounterReading { day: day(1), source: watch(), boot: "7", count: 41_200 };
    let count = |store: &mut Store, count, ms| {
        let reading = manbo::CounterReading { count, ..reading };
        store
            .transact("new", |ledger| Ok(ledger.apply(Operation::Count(&reading), at(ms))?))
            .map(drop)
            .unwrap();
    };
    count(&mut store, 41_200, 10);
    count(&mut store, 41_300, 20);
    assert_eq!(store.as_of("new", 19).unwrap().unwrap().facts(), []);
    assert_eq!(store.as_of("new", 20).unwrap().unwrap().facts(), [fact(day(1), 100)]);
}

#[test]
fn a_servers_file_that_was_written_as_a_devices_tells_its_devices_everything() {
    let (_folder, path) = folder();
    let mut store = Store::open(&path, &server(Some(YEAR))).unwrap();
    let first = ingest(&mut store, "phone", &[fact(day(1), 1_000), Fact::Attended(day(1))], 0, 10);
    drop(store);
    let mut store = Store::open(&path, &Options::new()).unwrap();
    let reading = Reading::new(day(2), watch(), 2_000);
    store.transact(USER, |ledger| Ok(ledger.apply(Operation::Read(&reading), at(20))?)).map(drop).unwrap();
    drop(store);
    let mut store = Store::open(&path, &server(Some(YEAR))).unwrap();
    let told = ingest(&mut store, "phone", &[], 1, 30);
    assert_ne!(told.incarnation, first.incarnation, "the phone asks from the beginning");
    let told = ingest(&mut store, "phone", &[], 0, 30);
    assert_eq!(told.receipt.facts, [fact(day(1), 1_000), fact(day(2), 2_000), Fact::Attended(day(1))]);
    assert_eq!(facts_at(&mut store, 10), None);
    let after = ingest(&mut store, "phone", &[fact(day(3), 3_000)], 1, 40);
    assert_eq!((after.incarnation, after.receipt.facts), (told.incarnation, vec![fact(day(3), 3_000)]));
    assert_eq!(ingest(&mut store, "tablet", &[], 0, 41).receipt.facts.len(), 4);
    assert_eq!(facts_at(&mut store, 39), None);
    assert_eq!(facts_at(&mut store, 40).map(|facts| facts.len()), Some(4));
}
