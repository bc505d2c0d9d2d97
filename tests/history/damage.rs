//! Rows of the history that vanish or are damaged, and files that are mended: what is left is told as what it is.

use std::path::Path;

use manbo::delivery::{Answer, Batch, Identity};
use manbo::{Fact, IngestPolicy, Store};

use super::phone::{USER, YEAR, at, fact, facts_at, folder, ingest, raw, server};
use crate::common::{SPAN, day};

const DAY_MS: i64 = 86_400_000;

/// A server's file with ten changes of five days, closed.
fn lived(path: &Path) -> Answer {
    let mut store = Store::open(path, &server(Some(YEAR))).unwrap();
    for n in 0..10_i32 {
        let steps = 1_000 + n.unsigned_abs();
        ingest(&mut store, "phone", &[fact(day(n % 5), steps)], 0, i64::from(n));
    }
    ingest(&mut store, "phone", &[], 10, 20)
}

fn open(path: &Path) -> Store {
    Store::open(path, &server(Some(YEAR))).unwrap()
}

/// What the damage does to receipts: everything, however little the device lacks.
fn tells_everything(store: &mut Store) {
    let facts = store.read(USER).unwrap().facts();
    for since in [0, 4, 9] {
        assert_eq!(ingest(store, "tablet", &[], since, 30).receipt.facts, facts, "since {since}");
    }
}

const DAMAGES: [&str; 4] = [
    "DELETE FROM change WHERE seq = 10",
    "DELETE FROM change WHERE seq = 2",
    "UPDATE change SET to_recorded = to_recorded + 1 WHERE seq = 10",
    "UPDATE change SET seq = 77 WHERE seq = 10",
];

#[test]
fn receipts_carry_everything_where_a_change_is_damaged_or_gone() {
    for damage in DAMAGES {
        let (_folder, path) = folder();
        lived(&path);
        let mut store = open(&path);
        assert_eq!(ingest(&mut store, "tablet", &[], 9, 30).receipt.facts.len(), 1);
        assert_eq!(raw(&path, damage), 1);
        if !damage.contains("77") {
            tells_everything(&mut store);
        }
        // At the next upkeep history begins anew, and receipts are short again.
        ingest(&mut store, "phone", &[fact(day(0), 5_000)], 10, 2 * DAY_MS);
        ingest(&mut store, "phone", &[fact(day(1), 6_000)], 11, 2 * DAY_MS + 1);
        assert_eq!(
            ingest(&mut store, "tablet", &[], 11, 30).receipt.facts,
            [fact(day(1), 6_000)],
            "{damage}"
        );
        assert_eq!(ingest(&mut store, "tablet", &[], 9, 30).receipt.facts.len(), 5, "{damage}");
        assert_eq!(facts_at(&mut store, 9), None, "{damage}");
        assert_eq!(facts_at(&mut store, 2 * DAY_MS), None, "{damage}");
        assert!(facts_at(&mut store, 2 * DAY_MS + 1).is_some(), "{damage}");
        assert_eq!(store.history(USER).unwrap().len(), 1, "{damage}");
        assert_eq!(*store.report(), manbo::Report::default(), "{damage}");
    }
}

#[test]
fn a_history_that_cannot_be_trusted_is_not_told() {
    for damage in DAMAGES {
        let (_folder, path) = folder();
        let before = lived(&path);
        raw(&path, damage);
        let mut store = open(&path);
        let facts = store.read(USER).unwrap().facts();
        assert_eq!(store.history(USER).unwrap(), [], "{damage}");
        assert_eq!(*store.report(), manbo::Report::default(), "{damage}: only that history is gone");
        assert_eq!((facts_at(&mut store, 5), facts_at(&mut store, 9)), (None, None), "{damage}");
        assert_eq!(store.read(USER).unwrap().facts(), facts, "{damage}");
        tells_everything(&mut store);
        assert_eq!(ingest(&mut store, "phone", &[], 10, 30).incarnation, before.incarnation, "{damage}");
    }
}

#[test]
fn a_lost_cell_ends_what_history_tells_and_brings_it_back_from_the_devices() {
    let (_folder, path) = folder();
    let before = lived(&path);
    raw(&path, "UPDATE cell SET recorded = recorded + 1 WHERE day = (SELECT min(day) FROM cell)");
    let mut store = open(&path);
    let told = ingest(&mut store, "phone", &[], 10, 30);
    assert_eq!(store.report().set_aside.len(), 1);
    assert_ne!(told.incarnation, before.incarnation);
    assert_eq!((facts_at(&mut store, 4), facts_at(&mut store, 9)), (None, None));
    assert_eq!(facts_at(&mut store, 10).map(|facts| facts.len()), Some(4));
    assert_eq!(store.history(USER).unwrap().len(), 10, "what happened stays told");
    ingest(&mut store, "phone", &[fact(day(0), 1_005)], 0, 40);
    assert_eq!(facts_at(&mut store, 40).map(|facts| facts.len()), Some(5));
    assert_eq!(facts_at(&mut store, 39).map(|facts| facts.len()), Some(4));
}

/// The erasure counter of the user, as a client's refusal tells it.
fn generation(store: &mut Store) -> u32 {
    ingest(store, "phone", &[], 0, 50).identity.generation
}

fn damage_bytes(path: &Path, range: std::ops::Range<usize>) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[range].fill(0x5a);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_mended_file_keeps_generation_and_history_and_has_a_new_life() {
    let (_folder, path) = folder();
    drop(lived(&path));
    let mut store = open(&path);
    for _ in 0..3 {
        store.erase(USER, at(-1)).unwrap();
    }
    drop(store);
    let before = lived(&path);
    let mut store = open(&path);
    assert_eq!(generation(&mut store), 3);
    let history = store.history(USER).unwrap();
    assert_eq!(history.len(), 10);
    drop(store);
    damage_bytes(&path, 0..100);
    let mut store = open(&path);
    assert_eq!(store.report().recovered.len(), 1);
    let told = ingest(&mut store, "phone", &[], 10, 50);
    assert_eq!((told.identity.clone(), told.receipt.revision), (before.identity.clone(), 10));
    assert_ne!(told.incarnation, before.incarnation, "every device sends everything again");
    assert_eq!(store.history(USER).unwrap(), history);
    for n in 0..10 {
        assert_eq!(facts_at(&mut store, n).unwrap().len(), usize::try_from(n + 1).unwrap().min(5));
    }
    // A device of before the erasure is still refused.
    let old = Identity { generation: 2, ..told.identity };
    let batch = Batch { ticket: 0, identity: Some(old), since: 0, facts: vec![Fact::Attended(day(0))] };
    let policy = IngestPolicy { latest_day: day(SPAN), recovery: false };
    assert_eq!(store.ingest(USER, "old", &batch, policy, at(60)).unwrap().status(), 410);
}

#[test]
fn a_mended_file_that_lacks_facts_or_changes_says_that_the_past_is_gone() {
    let cases = [
        ("UPDATE cell SET recorded = 7 WHERE day = (SELECT max(day) FROM cell)", 10),
        ("DELETE FROM change WHERE seq = 4", 0),
        ("UPDATE change SET at_ms = at_ms + 1 WHERE seq = 4", 0),
    ];
    for (damage, events) in cases {
        let (_folder, path) = folder();
        let before = lived(&path);
        assert_eq!(raw(&path, damage), 1);
        damage_bytes(&path, 0..100);
        let mut store = open(&path);
        assert_eq!(store.report().recovered.len(), 1, "{damage}");
        assert_eq!(store.history(USER).unwrap().len(), events, "{damage}");
        assert_eq!((facts_at(&mut store, 5), facts_at(&mut store, 9)), (None, None), "{damage}");
        let told = ingest(&mut store, "phone", &[], 10, 50);
        assert_ne!(told.incarnation, before.incarnation, "{damage}");
        tells_everything_there_is(&mut store, damage);
        ingest(&mut store, "phone", &[fact(day(9), 9_000)], 10, 60);
        assert!(facts_at(&mut store, 60).unwrap().contains(&fact(day(9), 9_000)), "{damage}");
        assert!(
            facts_at(&mut store, 59).is_some_and(|facts| !facts.contains(&fact(day(9), 9_000))),
            "{damage}"
        );
    }
}

fn tells_everything_there_is(store: &mut Store, case: &str) {
    let told = ingest(store, "tablet", &[], 0, 50).receipt.facts;
    let missing: Vec<Fact> =
        store.read(USER).unwrap().facts().into_iter().filter(|fact| !told.contains(fact)).collect();
    assert_eq!(missing, [], "{case}");
}

/// A user of whom nothing is left but the number of their erasures.
#[test]
fn an_erasure_survives_the_loss_of_the_row_that_names_the_user() {
    for damage in ["UPDATE ledger SET revision = 8, cells = 3", "UPDATE era SET seq = seq + 1"] {
        let (_folder, path) = folder();
        drop(lived(&path));
        let mut store = open(&path);
        store.erase(USER, at(-1)).unwrap();
        drop(store);
        raw(&path, damage);
        let mut store = open(&path);
        assert_eq!(generation(&mut store), 1, "{damage}");
        assert_eq!(store.report().recovered.len(), 1, "{damage}");
    }
}
