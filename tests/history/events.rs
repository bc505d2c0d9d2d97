//! Who changed what, when, and from what to what; how far back that is known; what devices are told of it.

use std::time::Duration;

use manbo::{Correction, Fact, HistoryEvent, Moderation, Operation, Origin, Store, moderate};

use super::phone::{USER, YEAR, at, device, fact, facts_at, folder, ingest, read, register, server, watch};
use crate::common::day;

const DAY_MS: i64 = 86_400_000;

#[test]
fn an_event_tells_who_when_and_what_it_was_before() {
    let (_folder, path) = folder();
    let mut store = Store::open(&path, &server(Some(YEAR))).unwrap();
    ingest(&mut store, "phone 7", &[fact(day(1), 5_000), Fact::Attended(day(1))], 0, 1_000);
    ingest(&mut store, "tablet", &[fact(day(1), 6_000)], 0, 1_000);
    let correction = Correction { day: day(1), source: watch(), to: None, reason: "ticket 12" };
    let corrected =
        store.transact(USER, |ledger| Ok(moderate(ledger, Moderation::Correct(&correction), at(900))?));
    assert_eq!(corrected.unwrap().len(), 1);
    let cell = |epoch, counts| Fact::Cell {
        day: day(1),
        source: watch(),
        register: manbo::Register { epoch, counts },
    };
    let event = |transaction, at_ms, origin, before, after| HistoryEvent {
        transaction,
        at_ms,
        origin,
        before,
        after,
    };
    let phone = || Origin::Device("phone 7".to_owned());
    assert_eq!(
        store.history(USER).unwrap(),
        [
            event(1, 1_000, phone(), None, Fact::Attended(day(1))),
            event(1, 1_000, phone(), None, cell(0, register(5_000).counts)),
            event(
                2,
                1_000,
                Origin::Device("tablet".to_owned()),
                Some(fact(day(1), 5_000)),
                fact(day(1), 6_000)
            ),
            // The clock went back: never earlier than the event before it.
            event(
                3,
                1_000,
                Origin::Correction("ticket 12".to_owned()),
                Some(fact(day(1), 6_000)),
                cell(1, None)
            ),
        ]
    );
    assert_eq!(facts_at(&mut store, 999), Some(vec![]));
    assert_eq!(
        facts_at(&mut store, 1_000),
        Some(vec![cell(1, None), Fact::Attended(day(1))]),
        "the last one counts"
    );
    assert_eq!(store.as_of(USER, 999).unwrap().unwrap().revision(), 0);
}

#[test]
fn a_device_tells_its_own_reasons() {
    let (_folder, path) = folder();
    let mut store = Store::open(&path, &device(Some(YEAR))).unwrap();
    read(&mut store, 1, 5_000, 10);
    read(&mut store, 1, 5_000, 11);
    store
        .transact(USER, |ledger| Ok(ledger.apply(Operation::Receive(&fact(day(1), 7_000)), at(12))?))
        .map(drop)
        .unwrap();
    let told: Vec<_> = store
        .history(USER)
        .unwrap()
        .into_iter()
        .map(|event| (event.transaction, event.at_ms, event.origin))
        .collect();
    assert_eq!(told, [(1, 10, Origin::Reading), (2, 12, Origin::Server)], "what changed nothing is no event");
    assert_eq!(store.history("nobody").unwrap(), []);
    assert!(store.as_of("nobody", 10).unwrap().is_none());
}

#[test]
fn below_the_horizon_nothing_is_told_and_above_it_everything() {
    let (_folder, path) = folder();
    let mut store = Store::open(&path, &device(Some(YEAR))).unwrap();
    for n in 0..10 {
        read(&mut store, 1, 1_000 + u32::try_from(n).unwrap(), n * 100);
    }
    store.compact_history(USER, 500, at(1_000)).unwrap();
    for n in 0..10 {
        let known = facts_at(&mut store, n * 100);
        let was = vec![fact(day(1), 1_000 + u32::try_from(n).unwrap())];
        assert_eq!(known, (n >= 5).then_some(was), "{n}");
    }
    assert_eq!(store.history(USER).unwrap().len(), 5);
    // A horizon in the future is no horizon for what is still to come.
    store.compact_history(USER, i64::MAX, at(1_000)).unwrap();
    assert_eq!(store.history(USER).unwrap().len(), 1);
    assert_eq!(facts_at(&mut store, 899), None);
    assert_eq!(facts_at(&mut store, 900), Some(vec![fact(day(1), 1_009)]));
    read(&mut store, 1, 2_000, 2_000);
    assert_eq!(facts_at(&mut store, 1_999), Some(vec![fact(day(1), 1_009)]));
    assert_eq!(facts_at(&mut store, 2_000), Some(vec![fact(day(1), 2_000)]));
    // Nothing was overruled: nothing is dropped, and all of it stays known.
    let (_folder, path) = folder();
    let mut store = Store::open(&path, &device(Some(YEAR))).unwrap();
    (0..5).for_each(|n| read(&mut store, n, 1_000, i64::from(n)));
    store.compact_history(USER, 100, at(100)).unwrap();
    assert_eq!((store.history(USER).unwrap().len(), facts_at(&mut store, -1)), (5, Some(vec![])));
}

#[test]
fn once_a_day_what_is_older_than_asked_for_is_compacted() {
    let (_folder, path) = folder();
    let mut store = Store::open(&path, &device(Some(Duration::from_secs(2 * 86_400)))).unwrap();
    for n in 0..8 {
        read(&mut store, 1, 1_000 + u32::try_from(n).unwrap(), n * DAY_MS);
    }
    assert_eq!(store.history(USER).unwrap().len(), 3);
    assert_eq!(facts_at(&mut store, 5 * DAY_MS - 1), None);
    for n in 5..8 {
        assert_eq!(
            facts_at(&mut store, n * DAY_MS),
            Some(vec![fact(day(1), 1_000 + u32::try_from(n).unwrap())])
        );
    }
}

#[test]
fn a_server_without_history_still_tells_its_devices_what_changed() {
    let (_folder, path) = folder();
    let mut store = Store::open(&path, &server(None)).unwrap();
    let mut latest = std::collections::BTreeMap::new();
    // Beyond one change a fact and the thousand more that may pile up.
    for n in 0..1_300_u32 {
        let on = day(i32::try_from(n % 7).unwrap());
        ingest(&mut store, "phone", &[fact(on, 1_000 + n)], u64::from(n), i64::from(n));
        latest.insert(on, (u64::from(n) + 1, fact(on, 1_000 + n)));
    }
    let kept = store.history(USER).unwrap().len();
    assert!((7..1_050).contains(&kept), "{kept} changes: compacted on the way");
    for since in [0, 1, 500, 1_290, 1_294, 1_299] {
        let told = ingest(&mut store, "tablet", &[], since, 2_000);
        let lacks: Vec<Fact> =
            latest.values().filter(|(revision, _)| *revision > since).map(|(_, fact)| *fact).collect();
        let missing: Vec<_> = lacks.iter().filter(|fact| !told.receipt.facts.contains(fact)).collect();
        assert_eq!((missing, told.complete_to), (vec![], 1_300), "since {since}");
    }
}

#[test]
fn days_of_attendance_are_facts_too_before_changes_pile_up() {
    let (_folder, path) = folder();
    let mut store = Store::open(&path, &server(None)).unwrap();
    let days: Vec<Fact> = (0..1_100).map(|n| Fact::Attended(day(-n))).collect();
    for days in days.chunks(400) {
        ingest(&mut store, "phone", days, 0, 1_000);
    }
    let walk = |store: &mut Store, n: u32| {
        ingest(store, "phone", &[fact(day(1), 5_000 + n)], 0, 1_001 + i64::from(n));
    };
    let kept = |store: &mut Store| store.history(USER).unwrap().len();
    (0..3).for_each(|n| walk(&mut store, n));
    assert_eq!(kept(&mut store), 1_103, "hardly more than the facts, and some were compacted");
    // And still there is an end: two a fact, and a thousand.
    (3..2_102).for_each(|n| walk(&mut store, n));
    assert_eq!(kept(&mut store), 2 * 1_101 + 1_000);
    walk(&mut store, 2_102);
    assert_eq!(kept(&mut store), 1_101);
}
