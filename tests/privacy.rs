//! No error, log line or debug print tells a person's steps, names or paths: every one is provoked with
//! marked values, and none of the marks may come out.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on must say so at once")]

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::time::Duration;

use manbo::{
    Code, Correction, CounterReading, Counts, Day, Deletion, Error, Fact, LevelRules, Now, Operation,
    Options, Reading, Refusal, Register, Rules, Source, StepBook, Store, UtcOffset,
};

const STEPS: u32 = 271_828;
const TOO_MANY: u32 = 314_159_265;
const USER: &str = "wanda-the-walker";
const INSTALL: &str = "install-5f0c77";
const REASON: &str = "ticket of wanda";
const BOOT: &str = "boot-8c41";
const SOURCE: &str = "secret-watch";
const FOLDER: &str = "home-of-wanda";
const DAY: &str = "2022-10-01";

/// What may never come out, in every form in which it could.
const MARKS: [&str; 14] = [
    "271828",
    "271,828",
    "271_828",
    "314159265",
    "314,159,265",
    "wanda",
    "5f0c77",
    "ticket",
    "8c41",
    "secret",
    "steps.db",
    "2022",
    "2214",
    "19266",
];

fn day() -> Day {
    DAY.parse().unwrap()
}

fn now() -> Now {
    Now::on(day().next())
}

fn source() -> Source {
    Source::new(SOURCE).unwrap()
}

fn options() -> Options {
    let options = Options::new().user(USER).install_id(INSTALL);
    options.busy_timeout(Duration::from_millis(1))
}

/// A folder with a marked name, and the place of a file in it.
fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join(FOLDER);
    std::fs::create_dir(&home).unwrap();
    (folder, home.join("steps.db"))
}

/// A ledger file with marked steps, and nobody who has it open.
fn filled(path: &Path) {
    let mut book = StepBook::open(path, &options()).unwrap();
    let readings: Vec<Reading> =
        (0..600).map(|n| Reading::new(day().plus(-n), source(), STEPS).full()).collect();
    assert_eq!(book.record_all(&readings, now()).unwrap().refused, vec![]);
    book.correct(
        &Correction { day: day(), source: source(), to: Some(Counts::new(STEPS, 0)), reason: REASON },
        now(),
    )
    .unwrap();
    let _ = book
        .count(&CounterReading { day: day(), source: source(), boot: BOOT, count: STEPS }, now())
        .unwrap();
    book.suspend().unwrap();
}

fn sql(path: &Path, text: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(text).unwrap();
}

/// Everything that an error can print, down its chain of causes.
fn texts(error: &Error) -> Vec<String> {
    let mut texts =
        vec![format!("{error}"), format!("{error:?}"), format!("{error:#?}"), error.code().to_string()];
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        texts.extend([format!("{inner}"), format!("{inner:?}")]);
        cause = inner.source();
    }
    texts
}

#[track_caller]
fn assert_silent(texts: &[String]) {
    for text in texts {
        for mark in MARKS {
            assert!(!text.to_lowercase().contains(mark), "{mark:?} comes out in {text:?}");
        }
    }
}

#[track_caller]
fn debugged(what: &impl Debug) -> [String; 2] {
    [format!("{what:?}"), format!("{what:#?}")]
}

/// Provokes an error; whatever else happens, it must be one.
#[track_caller]
fn provoked<T>(errors: &mut Vec<Error>, code: Code, result: Result<T, Error>) {
    let error = result.err().expect("an error was to be provoked");
    assert_eq!(error.code(), code, "{error:?}");
    errors.push(error);
}

fn refusals_of_values(errors: &mut Vec<Error>) {
    let bad: [Error; 9] = [
        "2022-13-01 secret".parse::<Day>().unwrap_err().into(),
        Day::from_ymd(2022, 2, 30).unwrap_err().into(),
        Day::from_number(i32::MAX).unwrap_err().into(),
        UtcOffset::from_minutes(2_214).unwrap_err().into(),
        Source::new("Secret Watch").unwrap_err().into(),
        Counts::new(TOO_MANY, 0).check_register().unwrap_err().into(),
        Counts::new(STEPS, STEPS).check_reading().unwrap_err().into(),
        LevelRules::new(manbo::Level::Obese, STEPS - 1, STEPS, manbo::GapPolicy::Skip).unwrap_err().into(),
        Rules::builder().goal(0).build().unwrap_err().into(),
    ];
    errors.extend(bad);
    // Two are verdicts of a server, which gives their codes; as errors they can only be made by hand.
    errors.extend([Refusal::EpochNotAllowed.into(), Refusal::FutureDay.into()]);
    let (_folder, path) = place();
    let long = options().user(format!("{USER}{}", "-".repeat(128)));
    provoked(errors, Code::BadValue, StepBook::open(&path, &long));
}

fn refusals_of_a_book(errors: &mut Vec<Error>) {
    let (_folder, path) = place();
    filled(&path);
    let book = &mut StepBook::open(&path, &options()).unwrap();
    let (source, late) = (source(), day().plus(19_266));
    let too_many = Some(Counts::new(TOO_MANY, STEPS));
    let correct = |to, reason| Correction { day: day(), source, to, reason };
    let long = REASON.repeat(20);
    provoked(errors, Code::ImplausibleSteps, book.record(&Reading::new(day(), source, TOO_MANY), now()));
    provoked(errors, Code::DayOutOfRange, book.record(&Reading::new(late, source, STEPS), now()));
    let deletion = Deletion { day: day(), source, left: too_many };
    provoked(errors, Code::ImplausibleSteps, book.delete(&deletion, now()));
    provoked(errors, Code::ImplausibleSteps, book.correct(&correct(too_many, REASON), now()));
    provoked(errors, Code::BadValue, book.correct(&correct(None, &long), now()));
    provoked(errors, Code::DayOutOfRange, book.unpin(late, source, now()));
    provoked(errors, Code::DayOutOfRange, book.attend(late, now()));
    let reading = CounterReading { day: day(), source, boot: &BOOT.repeat(20), count: STEPS };
    provoked(errors, Code::BadValue, book.count(&reading, now()));
    let register = Register { epoch: 65_535, counts: Some(Counts::new(STEPS, 0)) };
    let fact = |day, register| Fact::Cell { day, source, register };
    provoked(
        errors,
        Code::ImplausibleSteps,
        book.receive(&[fact(day(), Register { epoch: 0, counts: too_many })], now()),
    );
    provoked(errors, Code::DayOutOfRange, book.merge(&[fact(Day::LAST.next(), register)], now()));
    book.receive(&[fact(day(), register)], now()).unwrap();
    provoked(errors, Code::TooManyCorrections, book.correct(&correct(None, REASON), now()));
    let crowd: Vec<Fact> = (0..16)
        .map(|n| Fact::Cell { day: day(), source: Source::new(&format!("crowd-{n}")).unwrap(), register })
        .collect();
    book.receive(&crowd, now()).unwrap();
    let new = Reading::new(day(), Source::new("secret-ring").unwrap(), STEPS);
    provoked(errors, Code::TooManySources, book.record(&new, now()));
    book.suspend().unwrap();
    provoked(errors, Code::Closed, book.record(&new, now()));
}

fn files_that_are_not_ours(errors: &mut Vec<Error>) {
    let (_folder, path) = place();
    sql(&path, "CREATE TABLE wanda (steps); INSERT INTO wanda VALUES (271828)");
    provoked(errors, Code::StorageForeign, StepBook::open(&path, &options()));
    let (_folder, path) = place();
    std::fs::write(&path, "wanda walked 271828 steps ".repeat(400)).unwrap();
    provoked(errors, Code::StorageForeign, StepBook::open(&path, &options()));
    let (_folder, path) = place();
    filled(&path);
    sql(&path, "PRAGMA user_version = 77");
    provoked(errors, Code::NewerSchema, StepBook::open(&path, &options()));
}

fn files_out_of_reach(errors: &mut Vec<Error>) {
    let (_folder, path) = place();
    provoked(errors, Code::StorageLocked, StepBook::open(path.join("wanda").join("steps.db"), &options()));
    std::fs::create_dir(&path).unwrap();
    provoked(errors, Code::StorageLocked, StepBook::open(&path, &options()));
    let (_folder, other) = place();
    let mut book = StepBook::open(&other, &options()).unwrap();
    let snapshot = book.snapshot(now()).unwrap();
    provoked(errors, Code::StorageLocked, snapshot.write(other.join("wanda.json")));

    let (_folder, path) = place();
    filled(&path);
    let mut book = StepBook::open(&path, &options()).unwrap();
    let holder = rusqlite::Connection::open(&path).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let reading = Reading::new(day().next(), source(), STEPS);
    provoked(errors, Code::StorageBusy, book.record(&reading, now()));
    assert_silent(&debugged(&book));
}

/// A table whose last number is taken, and a trigger that wants one more: what SQLite calls full.
fn full_disk(errors: &mut Vec<Error>) {
    let (_folder, path) = place();
    filled(&path);
    // A trigger that is there at opening counts as damage; this one comes later.
    let mut book = StepBook::open(&path, &options()).unwrap();
    sql(
        &path,
        "CREATE TABLE wanda (n INTEGER PRIMARY KEY AUTOINCREMENT, steps TEXT);
         INSERT INTO wanda VALUES (9223372036854775807, '271828');
         CREATE TRIGGER spy BEFORE INSERT ON cell
         BEGIN INSERT INTO wanda (steps) VALUES ('wanda walked 271828 steps'); END",
    );
    let reading = Reading::new(day().next(), source(), STEPS);
    provoked(errors, Code::StorageFull, book.record(&reading, now()));
}

fn damaged_beyond_help(errors: &mut Vec<Error>) {
    let (_folder, path) = place();
    filled(&path);
    damage(&path);
    // Every name for a damaged file is taken, so that it cannot be moved aside.
    for n in 1..=99 {
        std::fs::write(path.with_file_name(format!("steps.db.damaged-{n}")), "").unwrap();
    }
    let opened = StepBook::open(&path, &options());
    provoked(errors, Code::StorageCorrupt, opened);
}

/// Overwrites the last full page of rows, so that some of a table is lost and the rest can be read.
fn damage(path: &Path) {
    const PAGE: usize = 4_096;
    const LEAF_OF_ROWS: u8 = 0x0a;
    let mut bytes = std::fs::read(path).unwrap();
    let cells_on = |page: &[u8]| u16::from_be_bytes([page[3], page[4]]);
    let full_leaf = |page: &[u8]| page[0] == LEAF_OF_ROWS && cells_on(page) > 20;
    let page = bytes.chunks_mut(PAGE).rfind(|page| full_leaf(page)).unwrap();
    page.fill(0xa5);
    std::fs::write(path, bytes).unwrap();
}

/// A trigger of a foreign hand whose message holds what it saw.
fn a_fault_inside(errors: &mut Vec<Error>) {
    let (_folder, path) = place();
    filled(&path);
    // A trigger that is there at opening counts as damage; this one comes later.
    let mut book = StepBook::open(&path, &options()).unwrap();
    sql(
        &path,
        "CREATE TRIGGER spy BEFORE INSERT ON cell
         BEGIN SELECT RAISE(ABORT, 'wanda walked 271828 steps'); END",
    );
    let reading = Reading::new(day().next(), source(), STEPS);
    provoked(errors, Code::Internal, book.record(&reading, now()));
}

#[test]
fn no_error_tells_a_persons_data() {
    let mut errors = Vec::new();
    refusals_of_values(&mut errors);
    refusals_of_a_book(&mut errors);
    files_that_are_not_ours(&mut errors);
    files_out_of_reach(&mut errors);
    full_disk(&mut errors);
    damaged_beyond_help(&mut errors);
    a_fault_inside(&mut errors);

    let provoked: BTreeSet<Code> = errors.iter().map(Error::code).collect();
    // Not an error of this library: the limit of a server's transport, and a verdict on a fact. Read-only
    // takes another user, as in the store's own tests; its causes are fixed texts.
    let elsewhere =
        |code: &&Code| matches!(code, Code::BatchTooLarge | Code::Unexplained | Code::StorageReadOnly);
    let every: BTreeSet<Code> = Code::ALL.iter().filter(|code| !elsewhere(code)).copied().collect();
    assert_eq!(provoked, every);
    for error in &errors {
        assert_silent(&texts(error));
    }
}

#[test]
fn debug_of_what_an_app_holds_is_silent() {
    let (_folder, path) = place();
    filled(&path);
    let mut book = StepBook::open(&path, &options()).unwrap();
    assert_silent(&debugged(&book));
    assert_silent(&debugged(book.ledger().unwrap()));
    book.suspend().unwrap();
    assert_silent(&debugged(&book));
    assert_silent(&debugged(&options()));
    let mut store = Store::open(&path, &options()).unwrap();
    assert_silent(&debugged(&store));
    let seen = store.transact(USER, |ledger| Ok(debugged(ledger))).unwrap();
    assert_silent(&seen);
    let mut alone = manbo::Ledger::new(*Rules::default().levels());
    let _ = alone.apply(Operation::Read(&Reading::new(day(), source(), STEPS)), now()).unwrap();
    assert_silent(&debugged(&alone));
    let silent = |error: Error| assert_silent(&texts(&error));
    silent(
        store
            .transact::<()>(USER, |ledger| {
                let _ = ledger.apply(Operation::Read(&Reading::new(day(), source(), TOO_MANY)), now())?;
                Ok(())
            })
            .unwrap_err(),
    );
}

/// A report may name days, sources and files, which its reader needs; nothing else.
#[track_caller]
fn assert_names_no_steps(report: &manbo::Report) {
    let json = serde_json::to_string(report).unwrap();
    for text in debugged(report).into_iter().chain([json]) {
        for mark in ["271828", "271,828", "the-walker", INSTALL, REASON, BOOT] {
            assert!(!text.contains(mark), "{mark:?} comes out in {text}");
        }
    }
}

#[test]
fn a_report_names_days_and_sources_but_no_steps() {
    let (_folder, path) = place();
    filled(&path);
    sql(&path, "UPDATE cell SET manual = manual + 1 WHERE recorded = 271828");
    let book = StepBook::open(&path, &options().install_id("another phone")).unwrap();
    let report = book.report();
    assert!(report.from_other_device && !report.set_aside.is_empty());
    assert!(report.set_aside.iter().all(|row| row.day.is_some() && row.source == Some(source())));
    assert_names_no_steps(report);
    assert_silent(&debugged(&book));
}

#[test]
fn a_rebuilt_file_is_reported_without_steps() {
    let (_folder, path) = place();
    filled(&path);
    damage(&path);
    let mut book = StepBook::open(&path, &options()).unwrap();
    let recovered = &book.report().recovered;
    assert!(recovered.len() == 1 && (1..602).contains(&recovered[0].rows_kept), "{recovered:?}");
    assert_names_no_steps(book.report());
    assert_silent(&debugged(&book));
    assert!(book.record(&Reading::new(day(), source(), STEPS), now()).is_ok());
}
