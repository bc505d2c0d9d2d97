//! Delivery through the step book, on a real file: one batch at a time across handles, and a state that
//! survives the process.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic)]

use manbo::delivery::{
    Answer, BACKOFF_MAX_MS, Batch, Body, FRUITLESS_PULLS_FREE, Identity, LEASE_MS, Moment, Next, Outcome,
    PAUSE_MAX_MS, Trigger,
};
use manbo::{Code, Fact, Now, Options, Reading, Receipt, Refused, Source, StepBook};

const NOON_MS: i64 = 1_664_884_800_000;

struct Phone {
    dir: tempfile::TempDir,
}

impl Phone {
    fn new() -> Phone {
        Phone { dir: tempfile::tempdir().unwrap() }
    }

    fn open(&self) -> StepBook {
        StepBook::open(self.dir.path().join("steps.db"), &Options::new()).unwrap()
    }

    /// Whether any file of the ledger holds these bytes.
    fn holds(&self, bytes: &[u8]) -> bool {
        std::fs::read_dir(self.dir.path()).unwrap().any(|file| {
            let content = std::fs::read(file.unwrap().path()).unwrap();
            content.windows(bytes.len()).any(|part| part == bytes)
        })
    }

    fn sql(&self, sql: &str) -> usize {
        rusqlite::Connection::open(self.dir.path().join("steps.db")).unwrap().execute(sql, []).unwrap()
    }
}

fn at(ms: i64) -> Moment {
    let now = Now { unix_ms: NOON_MS + ms, today: "2022-10-04".parse().unwrap() };
    Moment { now, seed: ms.unsigned_abs() }
}

fn walk(book: &mut StepBook, steps: u32) {
    let reading = Reading::new(at(0).now.today, Source::new("watch").unwrap(), steps);
    book.record(&reading, at(0).now).unwrap();
}

#[track_caller]
fn upload(book: &mut StepBook, ms: i64) -> Batch {
    match book.next_delivery(at(ms)).unwrap() {
        Next::Upload(batch) => batch,
        other => panic!("expected an upload, got {other:?}"),
    }
}

fn receipt(accepted: Vec<Fact>, refused: Vec<Refused>) -> Outcome {
    let identity = Identity { ledger: "ana".to_owned(), generation: 1 };
    let receipt = Receipt { accepted, refused, revision: 1, ..Receipt::default() };
    let incarnation = "first".to_owned();
    let answer = Answer { identity, incarnation, rules_version: 1, since: 0, complete_to: 1, receipt };
    Outcome::Reply { status: 200, retry_after_s: None, body: Body::Receipt(Box::new(answer)) }
}

#[test]
fn of_two_handles_on_one_file_one_gets_the_batch() {
    let phone = Phone::new();
    let (mut app, mut widget) = (phone.open(), phone.open());
    walk(&mut app, 8_500);
    let batch = upload(&mut widget, 0);
    assert_eq!(app.next_delivery(at(1)).unwrap(), Next::Wait { until_ms: NOON_MS + LEASE_MS });
    // The answer comes to the other one: it needs no memory of the request.
    let told = app.report_delivery(None, &receipt(batch.facts, Vec::new()), at(2)).unwrap();
    assert!(told.changes.is_empty());
    assert_eq!((widget.pending_count().unwrap(), widget.next_delivery(at(3)).unwrap()), (0, Next::Idle));
}

#[test]
fn the_state_survives_the_process() {
    let phone = Phone::new();
    let mut book = phone.open();
    walk(&mut book, 8_500);
    upload(&mut book, 0);
    let body = Body::Refusal(Some(Identity { ledger: "ana".to_owned(), generation: 1 }));
    let _ = book
        .report_delivery(None, &Outcome::Reply { status: 401, retry_after_s: None, body }, at(0))
        .unwrap();
    drop(book);
    let mut book = phone.open();
    assert_eq!(book.next_delivery(at(1)).unwrap(), Next::Paused { until_ms: NOON_MS + PAUSE_MAX_MS });
    let health = book.delivery_health(at(1).now).unwrap();
    assert_eq!(
        (health.pending, health.attempts, health.next_attempt_ms),
        (1, 1, Some(NOON_MS + PAUSE_MAX_MS))
    );
    book.trigger_delivery(Trigger::Credentials, at(2).now).unwrap();
    assert_eq!(upload(&mut book, 2).facts.len(), 1);
}

#[test]
fn a_damaged_state_begins_anew_and_loses_no_fact() {
    for damage in [
        "UPDATE meta SET value = replace(value, 'attempts', 'attempt') WHERE key = 'delivery:'",
        "UPDATE meta SET value = '{' WHERE key = 'delivery:'",
        "DELETE FROM meta WHERE key LIKE 'delivery%'",
    ] {
        let phone = Phone::new();
        let mut book = phone.open();
        walk(&mut book, 8_500);
        upload(&mut book, 0);
        let _ = book.report_delivery(None, &Outcome::Network, at(0)).unwrap();
        drop(book);
        assert!(phone.sql(damage) > 0, "{damage}");
        let mut book = phone.open();
        assert_eq!(upload(&mut book, 1).facts.len(), 1, "{damage}");
    }
}

/// What a server says that announces more than it ever gives.
fn announcement(revision: u64) -> Outcome {
    let Outcome::Reply { status, retry_after_s, body: Body::Receipt(mut answer) } =
        receipt(Vec::new(), Vec::new())
    else {
        panic!("a receipt")
    };
    (answer.receipt.revision, answer.complete_to) = (revision, 0);
    Outcome::Reply { status, retry_after_s, body: Body::Receipt(answer) }
}

#[test]
fn a_server_that_gives_nothing_is_waited_out_by_every_process_and_the_next_one() {
    let phone = Phone::new();
    let (mut app, mut widget) = (phone.open(), phone.open());
    let mut now_ms = 0;
    for _ in 0..=FRUITLESS_PULLS_FREE {
        assert!(upload(&mut app, now_ms).facts.is_empty());
        let _ = widget.report_delivery(None, &announcement(9), at(now_ms)).unwrap();
    }
    let mut asked = 0;
    while now_ms < BACKOFF_MAX_MS * 24 {
        drop(app);
        app = phone.open();
        let next = widget.next_delivery(at(now_ms)).unwrap();
        assert_eq!(app.next_delivery(at(now_ms)).unwrap(), next);
        let Next::Wait { until_ms } = next else { panic!("expected a wait, got {next:?}") };
        now_ms = until_ms - NOON_MS;
        upload(&mut widget, now_ms);
        let _ = app.report_delivery(None, &announcement(9), at(now_ms)).unwrap();
        asked += 1;
    }
    assert!((24..70).contains(&asked), "asked {asked} times in a day");
    walk(&mut app, 8_500);
    assert_eq!(app.delivery_health(at(now_ms).now).unwrap().stalled_since_ms, None);
    now_ms += BACKOFF_MAX_MS;
    let batch = upload(&mut app, now_ms);
    assert_eq!(batch.facts.len(), 1);
    let _ = app.report_delivery(None, &receipt(batch.facts, Vec::new()), at(now_ms)).unwrap();
    assert_eq!(app.next_delivery(at(now_ms)).unwrap(), Next::Idle, "honest at last");
}

#[test]
fn a_question_that_changes_nothing_writes_nothing() {
    let phone = Phone::new();
    let (mut book, mut other) = (phone.open(), phone.open());
    let batch = upload(&mut book, 0);
    let _ = book.report_delivery(None, &receipt(batch.facts, Vec::new()), at(0)).unwrap();
    other.digest().unwrap();
    let version = || rusqlite::Connection::open(phone.dir.path().join("steps.db")).unwrap();
    let watcher = version();
    let before: i64 = watcher.query_row("PRAGMA data_version", [], |row| row.get(0)).unwrap();
    for ms in 1..20 {
        assert_eq!(book.next_delivery(at(ms)).unwrap(), Next::Idle);
        book.delivery_health(at(ms).now).unwrap();
    }
    let after: i64 = watcher.query_row("PRAGMA data_version", [], |row| row.get(0)).unwrap();
    assert_eq!(before, after);
}

#[test]
fn what_was_refused_can_be_tried_again_or_given_up() {
    let phone = Phone::new();
    let mut book = phone.open();
    walk(&mut book, 8_500);
    book.attend(at(0).now.today, at(0).now).unwrap();
    let batch = upload(&mut book, 0);
    assert_eq!(batch.facts.len(), 2);
    let refused = |facts: &[Fact]| {
        facts.iter().map(|fact| Refused { fact: *fact, code: Code::FutureDay }).collect::<Vec<_>>()
    };
    let _ = book.report_delivery(None, &receipt(Vec::new(), refused(&batch.facts)), at(1)).unwrap();
    let parked = book.parked().unwrap();
    assert_eq!((parked.len(), parked[0].code, book.pending_count().unwrap()), (2, Code::FutureDay, 0));
    drop(book);
    let mut book = phone.open();
    for refused in &parked {
        book.retry(&refused.fact, at(2).now).unwrap();
    }
    assert_eq!((book.parked().unwrap().len(), upload(&mut book, 3).facts.len()), (0, 2));
    let _ = book.report_delivery(None, &receipt(Vec::new(), refused(&batch.facts)), at(4)).unwrap();
    for refused in &parked {
        book.discard(&refused.fact, at(5).now).unwrap();
        book.retry(&refused.fact, at(5).now).unwrap();
    }
    assert_eq!((book.parked().unwrap().len(), book.pending_count().unwrap()), (0, 0));
    assert_eq!(book.day(at(0).now.today).unwrap().unwrap().shown, 8_500, "given up is not taken away");
}

#[test]
fn an_erasure_is_followed_once_it_was_said_and_leaves_no_byte() {
    let phone = Phone::new();
    let mut book = phone.open();
    let mut widget = phone.open();
    let unmistakable = Source::new("erase-me-without-a-trace").unwrap();
    let reading = Reading::new(at(0).now.today, unmistakable, 8_500).with_manual(1_234);
    book.record(&reading, at(0).now).unwrap();
    book.attend(at(0).now.today, at(0).now).unwrap();
    assert_eq!(book.follow_erasure().unwrap(), None, "nobody said so");
    assert_eq!(book.pending_count().unwrap(), 2);
    let batch = upload(&mut book, 0);
    let _ = book.report_delivery(None, &receipt(batch.facts, Vec::new()), at(0)).unwrap();
    book.record(&Reading { counts: manbo::Counts::new(9_000, 0), ..reading }, at(1).now).unwrap();
    upload(&mut book, 1);
    let body = Body::Refusal(Some(Identity { ledger: "ana".to_owned(), generation: 2 }));
    let gone = Outcome::Reply { status: 410, retry_after_s: None, body };
    let told = book.report_delivery(None, &gone, at(1)).unwrap();
    assert_eq!(told.notices, [manbo::delivery::Notice::Erased { generation: 2 }]);
    assert_eq!(book.next_delivery(at(2)).unwrap(), Next::Idle, "nothing is sent before it is followed");
    assert!(phone.holds(b"erase-me-without-a-trace"));

    // Rows that were set aside are the person's too; one of them is damaged a second time.
    for content in ["[1, 19269, \"erase-me-without-a-trace\"]", "[1, erase-me-without-a-trace"] {
        phone.sql(&format!("INSERT INTO set_aside (from_table, content) VALUES ('cell', '{content}')"));
    }

    assert_eq!(widget.follow_erasure().unwrap(), Some(2));
    for book in [&mut book, &mut widget, &mut phone.open()] {
        assert_eq!((book.pending_count().unwrap(), book.ledger().unwrap().facts()), (0, Vec::new()));
        assert_eq!(book.follow_erasure().unwrap(), None);
    }
    assert!(!phone.holds(b"erase-me-without-a-trace"));
    // A new life begins: what is walked from here on is sent under the new generation.
    book.record(&reading, at(3).now).unwrap();
    let batch = upload(&mut book, 3);
    assert_eq!((batch.identity.unwrap().generation, batch.since, batch.facts.len()), (2, 0, 1));
}
