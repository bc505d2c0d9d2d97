//! The scenarios.

use std::time::Duration;

use manbo::delivery::{Answer, Batch, Body, Delivery, Identity, Moment, Next, Outcome, Ticket, Trigger};
use manbo::{
    Code, Correction, CounterReading, Counts, Day, Deletion, Erased, Error, Fact, ImportError, IngestPolicy,
    Ledger, LevelRules, Now, Operation, Options, Reading, Receipt, Refused, Register, Reply, Result, Source,
    StepBook, Store,
};
use manbo_sim::vfs::Disk;

use super::scenario::{Hands, Scenario, Step, open};
use super::state::PATH;

/// A day of October 2022.
pub(crate) fn day(number: u32) -> Day {
    Day::from_ymd(2022, 10, number).unwrap()
}

pub(crate) fn on(number: u32) -> Now {
    Now::on(day(number))
}

fn source(name: &str) -> Source {
    Source::new(name).unwrap()
}

pub(crate) fn phone(number: u32, steps: u32) -> Reading {
    Reading::new(day(number), source("phone"), steps)
}

fn cell(number: u32, name: &str, steps: u32) -> Fact {
    let register = Register { epoch: 0, counts: Some(Counts::new(steps, 0)) };
    Fact::Cell { day: day(number), source: source(name), register }
}

pub(crate) fn options() -> Options {
    // Nobody waits: a lock that is taken is an error at once.
    Options::new().busy_timeout(Duration::ZERO)
}

fn server() -> Options {
    options().server("first")
}

pub(crate) fn at(number: u32, seed: u64) -> Moment {
    Moment { now: on(number), seed }
}

fn record(hands: &mut Hands, number: u32, steps: u32) -> Result<()> {
    hands.book().record(&phone(number, steps), on(4)).map(drop)
}

fn open_book() -> Step {
    Step::opening("open", |hands| {
        hands.book = Some(StepBook::open(PATH, &options())?);
        Ok(())
    })
}

fn nothing(_: &Disk) {}

/// A file of a few days of two sources, closed well.
pub(crate) fn few_days(disk: &Disk) {
    disk.with(|| {
        let mut book = open(&options());
        let readings = [phone(1, 8_000), phone(2, 12_000), phone(3, 3_000)];
        assert!(book.record_all(&readings, on(4)).unwrap().refused.is_empty());
        book.record(&Reading::new(day(2), source("garmin"), 11_000), on(4)).unwrap();
        book.attend(day(1), on(4)).unwrap();
        let count = CounterReading { day: day(3), source: source("chip"), boot: "b1", count: 100 };
        assert!(book.count(&count, on(4)).unwrap().credit.is_some());
        book.suspend().unwrap();
    });
}

/// The same, left in its WAL by a process that was killed.
fn few_days_killed(disk: &Disk) {
    few_days(disk);
    disk.with(|| {
        let mut book = open(&options());
        book.record(&phone(4, 4_000), on(4)).unwrap();
        book.record(&phone(3, 3_500), on(4)).unwrap();
        disk.kill();
    });
    disk.restart();
}

/// A file of the first schema.
fn first_schema(disk: &Disk) {
    few_days(disk);
    disk.with(|| {
        let connection = rusqlite::Connection::open(PATH).unwrap();
        connection.execute_batch("DROP TABLE change; DROP TABLE era; PRAGMA user_version = 1").unwrap();
    });
}

pub(crate) fn create() -> Scenario {
    let steps = vec![
        open_book(),
        Step::of("record", |hands| record(hands, 3, 8_500)),
        Step::of("record again", |hands| record(hands, 3, 9_000)),
        Step::of("attend", |hands| hands.book().attend(day(3), on(4))),
    ];
    Scenario { name: "create", options: options(), setup: nothing, steps }
}

pub(crate) fn life() -> Scenario {
    let steps = vec![
        open_book(),
        Step::of("record all", |hands| {
            let mut readings: Vec<Reading> = (1..=5).map(|number| phone(number, 9_000 + number)).collect();
            readings.push(Reading::new(day(3), source("watch"), 7_000).with_manual(500));
            readings.push(phone(20, 1));
            let recorded = hands.book().record_all(&readings, on(4))?;
            assert_eq!(recorded.refused.len(), 1, "a day that has not begun");
            Ok(())
        }),
        Step::of("full reading of a closed day", |hands| {
            hands.book().record(&phone(2, 6_000).full(), on(4)).map(drop)
        }),
        Step::of("delete", |hands| {
            let left = Some(Counts::new(7_000, 0));
            hands.book().delete(&Deletion { day: day(3), source: source("watch"), left }, on(4)).map(drop)
        }),
        Step::of("correct", |hands| {
            let to = Some(Counts::new(5_000, 0));
            let correction = Correction { day: day(1), source: source("phone"), to, reason: "shaken" };
            hands.book().correct(&correction, on(4)).map(drop)
        }),
        Step::of("attend", |hands| hands.book().attend(day(4), on(4))),
        Step::of("count", |hands| {
            let count = CounterReading { day: day(4), source: source("chip"), boot: "b1", count: 160 };
            hands.book().count(&count, on(4)).map(drop)
        }),
        Step::of("ask", |hands| {
            let book = hands.book();
            assert_eq!(book.statistics(day(4))?.days_logged, 4);
            assert!(book.day(day(3))?.is_some() && book.to_reread()?.is_empty());
            book.explain(day(1)).map(drop)
        }),
        Step::of("unpin", |hands| hands.book().unpin(day(1), source("phone"), on(4)).map(drop)),
    ];
    Scenario { name: "life", options: options(), setup: few_days_killed, steps }
}

pub(crate) fn migrate() -> Scenario {
    let steps = vec![open_book(), Step::of("record", |hands| record(hands, 4, 1_234))];
    Scenario { name: "migrate", options: options(), setup: first_schema, steps }
}

fn of_device(id: &str) -> Options {
    options().install_id(id)
}

pub(crate) fn other_device() -> Scenario {
    let setup = |disk: &Disk| {
        few_days(disk);
        disk.with(|| open(&of_device("a")).suspend().unwrap());
    };
    let steps = vec![
        Step::opening("open another device's backup", |hands| {
            hands.book = Some(StepBook::open(PATH, &of_device("b"))?);
            Ok(())
        }),
        Step::of("record", |hands| record(hands, 3, 9_999)),
    ];
    Scenario { name: "other device", options: of_device("b"), setup, steps }
}

fn identity(generation: u32) -> Identity {
    Identity { ledger: "l".to_owned(), generation }
}

fn answered(revision: u64, receipt: Receipt) -> Outcome {
    let answer = Answer {
        identity: identity(1),
        incarnation: "i".to_owned(),
        rules_version: manbo::Rules::default().version(),
        since: 0,
        complete_to: revision,
        receipt: Receipt { revision, ..receipt },
    };
    Outcome::Reply { status: 200, retry_after_s: None, body: Body::Receipt(Box::new(answer)) }
}

fn upload(next: &Next) -> usize {
    match next {
        Next::Upload(batch) => batch.facts.len(),
        other => panic!("no batch but {other:?}"),
    }
}

/// What a host keeps beside its request: the ticket of the last of the batches that a book gives out at these seeds.
fn ticket(seeds: &[u64]) -> Ticket {
    let (mut machine, ledger) = (Delivery::default(), Ledger::new(LevelRules::default()));
    let give = |(day, seed): (u32, &u64)| match machine.next(&ledger, at(day, *seed)) {
        Next::Upload(batch) => batch.ticket,
        other => panic!("no batch but {other:?}"),
    };
    // Another day each time: the lease of the batch before is over.
    (4..).zip(seeds).map(give).last().unwrap()
}

/// What the server says of the first batch: one taken, one refused, one outrun, and one of its own.
fn first_receipt() -> Outcome {
    let receipt = Receipt {
        accepted: vec![cell(1, "phone", 8_000), cell(2, "phone", 12_000), Fact::Attended(day(1))],
        refused: vec![Refused { fact: cell(3, "phone", 3_000), code: Code::ImplausibleSteps }],
        facts: vec![cell(1, "watch", 15_000), Fact::Attended(day(2))],
        ..Receipt::default()
    };
    answered(3, receipt)
}

pub(crate) fn delivery() -> Scenario {
    let steps = vec![
        open_book(),
        Step::of("next", |hands| {
            let next = hands.book().next_delivery(at(4, 1))?;
            assert_eq!(upload(&next), 5);
            Ok(())
        }),
        Step::of("grow in flight", |hands| record(hands, 2, 12_500)),
        Step::of("receipt", |hands| {
            let reported = hands.book().report_delivery(Some(ticket(&[1])), &first_receipt(), at(4, 2))?;
            assert_eq!(reported.notices.len(), 1, "parked");
            Ok(())
        }),
        Step::of("trigger", |hands| hands.book().trigger_delivery(Trigger::Foreground, on(4))),
        Step::of("next", |hands| {
            let next = hands.book().next_delivery(at(4, 3))?;
            assert_eq!(upload(&next), 2, "what was not answered and what grew");
            Ok(())
        }),
        Step::of("no network", |hands| {
            hands.book().report_delivery(Some(ticket(&[1, 3])), &Outcome::Network, at(4, 4)).map(drop)
        }),
        Step::of("wait", |hands| {
            assert!(matches!(hands.book().next_delivery(at(4, 5))?, Next::Wait { .. }));
            Ok(())
        }),
        Step::of("retry", |hands| hands.book().retry(&cell(3, "phone", 3_000), on(4))),
        Step::of("health", |hands| {
            let health = hands.book().delivery_health(on(4))?;
            assert_eq!(
                (health.pending, health.failures),
                (3, 1),
                "the second batch failed, and nothing is gone"
            );
            Ok(())
        }),
    ];
    Scenario { name: "delivery", options: options(), setup: few_days, steps }
}

fn signed_out(disk: &Disk) {
    disk.with(|| {
        let mut book = open(&options().user("ana"));
        book.record(&phone(1, 500), on(4)).unwrap();
        book.suspend().unwrap();
    });
    few_days(disk);
}

pub(crate) fn sign_in() -> Scenario {
    let steps = vec![
        open_book(),
        Step::opening("ana signs in", |hands| hands.book().sign_in("ana", on(4)).map(drop)),
        Step::of("record", |hands| record(hands, 4, 400)),
        Step::of("ben signs in", |hands| {
            hands.book().sign_out();
            assert!(hands.book().sign_in("ben", on(4))?.is_empty());
            Ok(())
        }),
    ];
    Scenario { name: "sign in", options: options(), setup: signed_out, steps }
}

fn erased_elsewhere(disk: &Disk) {
    few_days(disk);
    disk.with(|| {
        let mut book = open(&options());
        assert_eq!(upload(&book.next_delivery(at(4, 1)).unwrap()), 5);
        assert!(
            !book.report_delivery(Some(ticket(&[1])), &first_receipt(), at(4, 2)).unwrap().changes.is_empty()
        );
        book.suspend().unwrap();
    });
}

pub(crate) fn erasure() -> Scenario {
    let steps = vec![
        open_book(),
        Step::of("erased elsewhere", |hands| {
            let body = Body::Refusal(Some(identity(2)));
            let gone = Outcome::Reply { status: 410, retry_after_s: None, body };
            hands.book().report_delivery(None, &gone, at(4, 3)).map(drop)
        }),
        Step::of("follow", |hands| {
            assert_eq!(hands.book().follow_erasure()?, Some(2));
            Ok(())
        }),
        Step::of("record", |hands| record(hands, 3, 777)),
        Step::of("erase with proof", |hands| {
            hands.book().erase(Some(&Erased { identity: identity(3), at_ms: on(4).unix_ms }))
        }),
        Step::of("record again", |hands| record(hands, 4, 888)),
        Step::of("erase", |hands| hands.book().erase(None)),
    ];
    Scenario { name: "erasure", options: options(), setup: erased_elsewhere, steps }
}

const POLICY_DAY: u32 = 5;

fn ingest(hands: &mut Hands, device: &str, batch: &Batch) -> Result<Reply> {
    let policy = IngestPolicy { latest_day: day(POLICY_DAY), recovery: false };
    hands.store().ingest("ana", device, batch, policy, on(4))
}

fn batch(identity: Option<Identity>, since: u64, facts: Vec<Fact>) -> Batch {
    Batch { ticket: 1, identity, since, facts }
}

pub(crate) fn server_life() -> Scenario {
    let steps = vec![
        Step::opening("open", |hands| {
            hands.store = Some(Store::open(PATH, &server())?);
            Ok(())
        }),
        Step::of("ingest", |hands| {
            let facts = vec![
                cell(1, "phone", 5_000),
                cell(2, "phone", 6_000),
                cell(9, "phone", 1),
                Fact::Attended(day(2)),
            ];
            let reply = ingest(hands, "phone", &batch(None, 0, facts))?;
            let Reply::Receipt { answer, .. } = reply else { panic!("refused") };
            assert_eq!((answer.receipt.accepted.len(), answer.receipt.refused.len()), (3, 1));
            Ok(())
        }),
        Step::of("ingest and page", |hands| {
            let reply = ingest(hands, "watch", &batch(None, 0, vec![cell(2, "watch", 7_000)]))?;
            let Reply::Receipt { answer, .. } = reply else { panic!("refused") };
            assert_eq!((answer.receipt.facts.len(), answer.receipt.revision), (4, 2));
            Ok(())
        }),
        Step::of("plain", |hands| {
            let item = Ok(manbo::PlainReading { day: day(3), steps: 1_500 });
            let policy = IngestPolicy { latest_day: day(POLICY_DAY), recovery: false };
            hands.store().ingest_plain("ben", &[item], true, policy, on(4)).map(drop)
        }),
        Step::of("erase", |hands| hands.store().erase("ana", on(4)).map(drop)),
        Step::of("ingest after the erasure", |hands| {
            let reply = ingest(hands, "phone", &batch(None, 0, vec![cell(4, "phone", 10)]))?;
            assert_eq!(reply.status(), 200);
            Ok(())
        }),
        Step::of("new life", |hands| hands.store().begin_incarnation("second")),
    ];
    Scenario { name: "server", options: server(), setup: nothing, steps }
}

pub(crate) fn suspend() -> Scenario {
    let suspend = || Step::of("suspend", |hands| hands.book().suspend());
    let resume = || Step::of("resume", |hands| hands.book().resume());
    let steps = vec![
        open_book(),
        Step::of("record", |hands| record(hands, 4, 5_100)),
        suspend(),
        resume(),
        Step::of("record again", |hands| record(hands, 4, 5_200)),
        suspend(),
        resume(),
        Step::of("ask", |hands| hands.book().statistics(day(4)).map(drop)),
    ];
    Scenario { name: "suspend", options: options(), setup: few_days_killed, steps }
}

pub(crate) fn two() -> Scenario {
    let widget = |name, run| Step::of(name, run).widget();
    let steps = vec![
        open_book(),
        Step {
            opens: true,
            ..widget("the widget opens", |hands| {
                hands.widget = Some(StepBook::open(PATH, &options())?);
                Ok(())
            })
        },
        Step::of("record", |hands| record(hands, 4, 1_000)),
        widget("the widget asks", |hands| hands.widget().snapshot(on(4)).map(drop)),
        widget("the widget records", |hands| hands.widget().record(&phone(4, 2_000), on(4)).map(drop)),
        Step::of("next", |hands| {
            assert_eq!(upload(&hands.book().next_delivery(at(4, 1))?), 6);
            Ok(())
        }),
        widget("the widget waits", |hands| {
            assert!(matches!(hands.widget().next_delivery(at(4, 2))?, Next::Wait { .. }));
            Ok(())
        }),
        widget("the widget attends", |hands| hands.widget().attend(day(4), on(4))),
        Step::of("receipt", |hands| {
            hands.book().report_delivery(Some(ticket(&[1])), &first_receipt(), at(4, 3)).map(drop)
        }),
        widget("suspend the widget", |hands| hands.widget().suspend()),
        Step::of("record again", |hands| record(hands, 4, 3_000)),
    ];
    Scenario { name: "two processes", options: options(), setup: few_days, steps }
}

/// Keeps a day of history, so that a later write compacts.
fn keeping() -> Options {
    options().history(Some(Duration::from_secs(86_400)))
}

fn apply(hands: &mut Hands, operation: &Operation<'_>, now: Now) -> Result<()> {
    let mut apply = |ledger: &mut manbo::Ledger| ledger.apply(*operation, now).map_err(Error::from);
    hands.store().transact("", &mut apply).map(drop)
}

pub(crate) fn history() -> Scenario {
    let steps = vec![
        Step::opening("open", |hands| {
            hands.store = Some(Store::open(PATH, &keeping())?);
            Ok(())
        }),
        Step::of("record", |hands| apply(hands, &Operation::Read(&phone(4, 2_000)), on(4))),
        Step::of("record again", |hands| apply(hands, &Operation::Read(&phone(4, 2_500)), on(4))),
        Step::of("correct", |hands| {
            let to = Some(Counts::new(1, 0));
            let correction = Correction { day: day(4), source: source("phone"), to, reason: "shaken" };
            apply(hands, &Operation::Correct(&correction), on(5))
        }),
        Step::of("record and compact", |hands| apply(hands, &Operation::Read(&phone(8, 4_000)), on(8))),
        Step::of("compact", |hands| hands.store().compact_history("", on(8).unix_ms, on(8))),
        Step::of("ask", |hands| {
            assert!(!hands.store().history("")?.is_empty());
            assert!(hands.store().as_of("", on(8).unix_ms)?.is_some());
            Ok(())
        }),
    ];
    Scenario { name: "history", options: keeping(), setup: few_days, steps }
}

fn exported(hands: &mut Hands, user: &str) -> Result<Vec<u8>> {
    let mut file = Vec::new();
    hands.store().export(user, &mut file)?;
    Ok(file)
}

pub(crate) fn export() -> Scenario {
    let steps = vec![
        Step::opening("open", |hands| {
            hands.store = Some(Store::open(PATH, &options())?);
            Ok(())
        }),
        Step::of("export and import", |hands| {
            let file = exported(hands, "")?;
            match hands.store().import("ana", &mut &file[..], on(4)) {
                Ok(_) => Ok(()),
                Err(ImportError::Store(error)) => Err(error),
                Err(other) => panic!("{other}"),
            }
        }),
        Step::of("export both", |hands| {
            assert_eq!(exported(hands, "")?, exported(hands, "ana")?);
            Ok(())
        }),
    ];
    Scenario { name: "export", options: options(), setup: few_days, steps }
}
