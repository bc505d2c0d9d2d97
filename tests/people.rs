//! Whose facts are whose: signing in, signing out, erasing, and one chip for everyone on one device.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first thing that is not there")]

mod people {
    mod counters;
    mod generations;
}

use std::path::Path;

use manbo::delivery::{Batch, Identity, Moment, Next, Reported};
use manbo::{
    Code, CounterReading, Day, Erased, Extent, Fact, IngestPolicy, Now, Options, Origin, Reading, Reply,
    Source, StepBook, Store,
};

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn now() -> Now {
    Now::on(day("2022-10-04"))
}

fn watch() -> Source {
    Source::new("watch").unwrap()
}

fn open(path: &Path) -> StepBook {
    StepBook::open(path, &Options::new()).unwrap()
}

fn record(book: &mut StepBook, on: &str, steps: u32) {
    book.record(&Reading::new(day(on), watch(), steps), now()).unwrap();
}

#[test]
fn a_late_answer_to_a_batch_from_before_signing_in_is_for_no_later_batch() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = open(&folder.path().join("steps.db"));
    let mut ticket = |steps| {
        record(&mut book, "2022-10-04", steps);
        let Next::Upload(batch) = book.next_delivery(Moment { now: now(), seed: 1 }).unwrap() else {
            panic!("something is pending")
        };
        book.sign_in("a", now()).unwrap();
        book.sign_out();
        batch.ticket
    };
    let first = ticket(500);
    assert_ne!(ticket(700), first);
}

#[test]
fn what_was_recorded_signed_out_goes_to_the_first_user_and_to_no_second() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("steps.db");
    let mut book = open(&path);
    record(&mut book, "2022-10-02", 9_000);
    record(&mut book, "2022-10-03", 12_000);
    book.attend(day("2022-10-03"), now()).unwrap();
    let recorded = book.ledger().unwrap().facts();
    assert_eq!(book.sign_in("a", now()).unwrap().len(), 2);
    assert_eq!(book.ledger().unwrap().facts(), recorded);
    assert_eq!(book.pending_count().unwrap(), 3);
    book.sign_out();
    assert!(book.ledger().unwrap().facts().is_empty(), "joined, then cleared");
    assert_eq!(book.pending_count().unwrap(), 0);

    record(&mut book, "2022-10-04", 500);
    drop(book);
    let mut book = open(&path);
    assert!(book.sign_in("b", now()).unwrap().is_empty());
    assert!(book.ledger().unwrap().facts().is_empty());
    record(&mut book, "2022-10-04", 7_000);
    assert_eq!(book.sign_in("a", now()).unwrap().len(), 1, "the first user came back");
    assert_eq!(book.day(day("2022-10-04")).unwrap().unwrap().shown, 500);
    let mut other = StepBook::open(&path, &Options::new().user("b")).unwrap();
    assert_eq!(other.ledger().unwrap().facts().len(), 1);
}

#[test]
fn the_first_user_is_the_first_also_when_nothing_was_recorded_before() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = open(&folder.path().join("steps.db"));
    book.sign_in("a", now()).unwrap();
    book.sign_out();
    record(&mut book, "2022-10-04", 500);
    book.sign_in("b", now()).unwrap();
    assert!(book.ledger().unwrap().facts().is_empty());
    book.sign_in("a", now()).unwrap();
    assert_eq!(book.ledger().unwrap().facts().len(), 1);
}

#[test]
fn what_this_device_alone_knows_moves_along() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("steps.db");
    let mut book = open(&path);
    record(&mut book, "2022-10-02", 13_441);
    let chip = Source::new("phone-sensor-1").unwrap();
    let count = |book: &mut StepBook, count| {
        book.count(&CounterReading { day: day("2022-10-04"), source: chip, boot: "b", count }, now()).unwrap()
    };
    let _ = count(&mut book, 1_000);
    let _ = count(&mut book, 1_100);
    book.sign_in("a", now()).unwrap();
    drop(book);
    let mut book = StepBook::open(&path, &Options::new().user("a")).unwrap();
    let _ = count(&mut book, 1_150);
    assert_eq!(book.day(day("2022-10-04")).unwrap().unwrap().shown, 150);
    let full = Reading { extent: Extent::Full, ..Reading::new(day("2022-10-02"), watch(), 4_252) };
    book.record(&full, now()).unwrap();
    assert_eq!(book.register(day("2022-10-02"), watch()).unwrap().epoch, 2, "it was read here");
}

#[test]
fn a_name_that_is_too_long_leaves_the_book_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = open(&folder.path().join("steps.db"));
    record(&mut book, "2022-10-04", 500);
    let refused = book.sign_in("x".repeat(129), now());
    assert_eq!(refused.unwrap_err().code(), Code::BadValue);
    assert_eq!(book.pending_count().unwrap(), 1);
}

fn moment() -> Moment {
    Moment { now: now(), seed: 1 }
}

/// Sends a batch to a server and tells what it answered.
fn send(book: &mut StepBook, server: &mut Store, user: &str, batch: &Batch) -> (Reply, Reported) {
    let reply = server.ingest(user, "phone", batch, IngestPolicy::at(now().unix_ms), now()).unwrap();
    let outcome = manbo::wire::read_reply(reply.status(), None, reply.body().as_bytes(), 0);
    let reported = book.report_delivery(Some(batch.ticket), &outcome, moment()).unwrap();
    (reply, reported)
}

/// Sends what there is to a server and takes its receipts.
fn sync(book: &mut StepBook, server: &mut Store, user: &str) {
    while let Next::Upload(batch) = book.next_delivery(moment()).unwrap() {
        let (reply, _) = send(book, server, user, &batch);
        assert!(matches!(reply, Reply::Receipt { .. }), "{reply:?}");
    }
}

#[test]
fn a_person_erases_here_with_the_servers_proof() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Store::open(folder.path().join("server.db"), &Options::new().server("nonce")).unwrap();
    let mut book = open(&folder.path().join("steps.db"));
    book.sign_in("a", now()).unwrap();
    record(&mut book, "2022-10-03", 12_000);
    sync(&mut book, &mut server, "a");
    let proof = server.erase("a", now()).unwrap();
    let other = Erased { identity: Identity { ledger: "other".to_owned(), generation: 9 }, at_ms: 0 };
    assert_eq!(book.erase(Some(&other)).unwrap_err().code(), Code::BadValue);
    assert_eq!(book.ledger().unwrap().facts().len(), 1, "a wrong proof drops nothing");
    book.erase(Some(&proof)).unwrap();
    assert_eq!(book.erase(Some(&proof)).unwrap_err().code(), Code::BadValue, "once is enough");
    assert!(book.ledger().unwrap().facts().is_empty());
    record(&mut book, "2022-10-04", 700);
    sync(&mut book, &mut server, "a");
    let facts = server.read("a").unwrap().facts();
    assert!(matches!(facts[..], [Fact::Cell { .. }]));
    assert_eq!(server.history("a").unwrap().len(), 1, "what was erased has no history either");
}

#[test]
fn erased_without_proof_the_servers_facts_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Store::open(folder.path().join("server.db"), &Options::new().server("nonce")).unwrap();
    let mut book = open(&folder.path().join("steps.db"));
    record(&mut book, "2022-10-03", 12_000);
    sync(&mut book, &mut server, "a");
    book.erase(None).unwrap();
    assert!(book.ledger().unwrap().facts().is_empty());
    sync(&mut book, &mut server, "a");
    assert_eq!(book.ledger().unwrap().facts().len(), 1);
}

#[test]
fn a_device_that_keeps_history_tells_who_changed_what() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::new().history(Some(std::time::Duration::from_secs(86_400 * 30)));
    let mut book = StepBook::open(folder.path().join("steps.db"), &options).unwrap();
    record(&mut book, "2022-10-03", 12_000);
    let later = Now { unix_ms: now().unix_ms + 1, ..now() };
    book.record(&Reading::new(day("2022-10-03"), watch(), 12_500), later).unwrap();
    let history = book.history().unwrap();
    assert_eq!(history.len(), 2);
    assert_eq!((history[0].before, &history[1].origin), (None, &Origin::Reading));
    let then = book.ledger_as_of(now().unix_ms).unwrap().unwrap();
    assert_eq!(then.day(day("2022-10-03")).unwrap().shown, 12_000);
    assert!(book.ledger_as_of(now().unix_ms - 1).unwrap().unwrap().facts().is_empty());
}
