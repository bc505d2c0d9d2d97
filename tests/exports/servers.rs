//! What an import means on a server, and beside what is there already.

use manbo::delivery::{Answer, Batch, Identity};
use manbo::{
    Code, Counts, Fact, ImportError, ImportRule, IngestPolicy, Now, Options, PAGE_FACTS_MAX, Reading,
    Register, Reply, Source, Store,
};

use super::lives::{Kind, Life, USER, export, folder};
use crate::common::{SPAN, day};

fn fact(n: i32, steps: u32) -> Fact {
    let register = Register { epoch: 0, counts: Some(Counts::new(steps, 0)) };
    Fact::Cell { day: day(n), source: Source::new("watch").unwrap(), register }
}

fn answer(reply: Reply) -> Answer {
    match reply {
        Reply::Receipt { answer, .. } => *answer,
        other => panic!("{other:?}"),
    }
}

fn pull(store: &mut Store, user: &str, since: u64) -> Answer {
    let batch = Batch { ticket: 0, identity: None, since, facts: Vec::new() };
    let policy = IngestPolicy { latest_day: day(SPAN), recovery: false };
    answer(store.ingest(user, "phone", &batch, policy, Now::on(day(SPAN))).unwrap())
}

#[test]
fn after_an_import_every_device_is_told_everything_and_later_changes_alone() {
    let folder = folder();
    let kind = Kind::Server { history: true };
    let mut life = Life::begin(&folder.path().join("one.db"), kind);
    for n in 0..20 {
        drop(life.ingest(0, &[fact(n, 5_000), Fact::Attended(day(n))], 0, None));
    }
    let file = export(&mut life.store, USER);
    let facts = life.store.read(USER).unwrap().facts();

    let mut other = Store::open(folder.path().join("two.db"), &kind.options("b")).unwrap();
    let before = pull(&mut other, USER, 0);
    assert_eq!(other.import(USER, &mut &file[..], life.now).unwrap().lines.changes, 40);
    for since in [0, 1, 19] {
        let told = pull(&mut other, USER, since);
        assert_ne!(told.incarnation, before.incarnation, "its devices send and ask everything again");
        assert_eq!((told.receipt.facts, told.receipt.revision), (facts.clone(), 20), "since {since}");
        assert_eq!(told.complete_to, 20);
    }
    assert_eq!(pull(&mut other, USER, 20).receipt.facts, []);
    let mut on = Life { store: other, user: USER.to_owned(), now: life.now };
    drop(on.ingest(1, &[fact(3, 9_000)], 20, None));
    assert_eq!(pull(&mut on.store, USER, 20).receipt.facts, [fact(3, 9_000)]);
    assert_eq!(pull(&mut on.store, USER, 19).receipt.facts.len(), 40);
    assert_eq!(on.store.history(USER).unwrap().len(), 41);
    assert!(facts.len() < PAGE_FACTS_MAX);
}

#[test]
fn what_a_device_exported_can_go_on_at_a_server_and_back() {
    let folder = folder();
    let phone = Kind::Device { history: true }.options("");
    let mut phone = Store::open(folder.path().join("phone.db"), &phone).unwrap();
    for n in 0..5 {
        let reading = Reading::new(day(n), Source::new("watch").unwrap(), 6_000);
        phone
            .transact(USER, |ledger| {
                let read = manbo::Operation::Read(&reading);
                Ok(ledger.apply(read, Now { unix_ms: i64::from(n), today: day(9) })?)
            })
            .map(drop)
            .unwrap();
    }
    let file = export(&mut phone, USER);
    let server = Kind::Server { history: true }.options("b");
    let mut server = Store::open(folder.path().join("two.db"), &server).unwrap();
    let now = Now::on(day(9));
    server.import(USER, &mut &file[..], now).unwrap();
    assert_eq!(server.read(USER).unwrap().digest(), phone.read(USER).unwrap().digest());
    // Five transactions: the next revision takes none of their places.
    let policy = IngestPolicy { latest_day: day(9), recovery: false };
    let batch = Batch { ticket: 0, identity: None, since: 5, facts: vec![fact(0, 7_000)] };
    let told = answer(server.ingest(USER, "phone", &batch, policy, now).unwrap());
    assert_eq!((told.receipt.revision, told.receipt.facts), (6, vec![fact(0, 7_000)]));
    let history = server.history(USER).unwrap();
    assert_eq!(history.iter().map(|event| event.transaction).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(server.as_of(USER, 1).unwrap().unwrap().facts(), [fact(0, 6_000), fact(1, 6_000)]);
    // And back.
    let file = export(&mut server, USER);
    let mut again = Store::open(folder.path().join("three.db"), &Options::new()).unwrap();
    again.import("", &mut &file[..], now).unwrap();
    assert_eq!(export(&mut again, ""), file);
}

#[test]
fn an_import_needs_an_empty_ledger_and_never_lowers_the_generation() {
    let folder = folder();
    let mut life = Life::begin(&folder.path().join("one.db"), Kind::Server { history: true });
    drop(life.ingest(0, &[fact(1, 5_000)], 0, None));
    let old = export(&mut life.store, USER);
    let full = life.store.import(USER, &mut &old[..], life.now);
    assert!(matches!(full, Err(ImportError::NotEmpty)), "{full:?}");
    assert_eq!(full.unwrap_err().code(), Code::BadValue);
    assert_eq!(export(&mut life.store, USER), old, "nothing changed");
    for _ in 0..3 {
        life.store.erase(USER, life.now).unwrap();
    }
    let told = life.store.import(USER, &mut &old[..], life.now).unwrap();
    assert_eq!((told.generation, told.lines.cells), (3, 1));
    // A device that has not heard of the erasures is told of them, not taken.
    let before = Identity { generation: 2, ..pull(&mut life.store, USER, 0).identity };
    assert_eq!(life.ingest(0, &[fact(2, 1)], 0, Some(before)).status(), 410);
    // A generation further ahead than any erasure explains would make all later ones void.
    let ahead = |generation: &str| {
        let from = old.windows(16).position(|text| text == b"\"generation\":0,\"").unwrap() + 13;
        [&old[..from], generation.as_bytes(), &old[from + 1..]].concat()
    };
    let mut other = Store::open(folder.path().join("two.db"), &Options::new().server("b")).unwrap();
    for far in ["1001", "4294967295"] {
        let refused = other.import(USER, &mut &ahead(far)[..], life.now);
        let Err(ImportError::Line { line: 1, rule: ImportRule::Inconsistent(rule) }) = refused else {
            panic!("{refused:?}")
        };
        assert!(rule.starts_with("generation"), "{rule}");
    }
    let refused = other.import(USER, &mut &ahead("1000")[..], life.now);
    assert!(
        matches!(refused, Err(ImportError::Line { rule: ImportRule::Damaged, .. })),
        "the generation itself is allowed: {refused:?}"
    );
}
