//! An erasure while another process reads: the erased rows are still on the disk, and whatever is damaged then,
//! mending brings none of them back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use manbo::{
    Correction, CounterReading, Counts, Fact, Ledger, Now, Operation, Options, Reading, SetAside, StepBook,
    Store,
};
use rusqlite::Connection;
use rusqlite::types::Value;

use super::book::{day, folder, listing, options, restore, source};
use super::pages::PAGE_LEN;

type Files = BTreeMap<String, Vec<u8>>;

/// What only the erased rows have: this name of a source, of a boot and of a reason, and days so long ago.
const GONE: &str = "erase-me-without-a-trace";
const GONE_DAYS: i32 = 160;
const GONE_BEFORE: i32 = -1_000;
/// The one who stays.
const OTHER: &str = "bo";
const OTHER_DAYS: i32 = 60;
/// What both walk from then on.
const AFTER_DAYS: i32 = 3;

fn now() -> Now {
    Now { unix_ms: 1_709_300_000_000, today: day(OTHER_DAYS + AFTER_DAYS) }
}

/// Nobody is waited for: who reads, reads until the end.
fn device() -> Options {
    options().busy_timeout(Duration::from_millis(1))
}

fn server() -> Options {
    device().server("5f3a")
}

fn apply(store: &mut Store, user: &str, operations: &[Operation<'_>]) {
    let mut all = |ledger: &mut Ledger| {
        for operation in operations {
            let _ = ledger.apply(*operation, now())?;
        }
        Ok(())
    };
    store.transact(user, &mut all).unwrap();
}

/// Each day a reading and an attendance, all in one transaction.
fn walk(store: &mut Store, user: &str, name: &str, days: std::ops::Range<i32>) {
    let name = source(name);
    let steps = |n: i32| 4_000 + 7 * n.unsigned_abs();
    let readings: Vec<Reading> = days.map(|n| Reading::new(day(n), name, steps(n)).full()).collect();
    let read = readings.iter().map(Operation::Read);
    let attend = readings.iter().map(|reading| Operation::Attend(reading.day));
    apply(store, user, &read.chain(attend).collect::<Vec<_>>());
}

/// Something in every table, in several transactions.
fn walk_gone(store: &mut Store, user: &str) {
    let first = GONE_BEFORE - GONE_DAYS;
    for n in (first..GONE_BEFORE).step_by(40) {
        walk(store, user, GONE, n..n + 40);
    }
    let (from, name) = (day(first), source(GONE));
    let correction = Correction { day: from, source: name, to: Some(Counts::new(3_500, 0)), reason: GONE };
    let count = |count| CounterReading { day: from, source: name, boot: GONE, count };
    let (first, second) = (count(41_200), count(41_900));
    apply(store, user, &[Operation::Count(&first), Operation::Count(&second)]);
    apply(store, user, &[Operation::Correct(&correction)]);
}

/// A file in which somebody was erased while another connection read, and what was written since.
struct Life {
    folder: tempfile::TempDir,
    options: Options,
    person: &'static str,
    files: Files,
    facts: Vec<Fact>,
    others: Vec<Fact>,
}

impl Life {
    fn new(
        options: Options,
        person: &'static str,
        after_days: i32,
        erase: impl FnOnce(&Path, &mut Store),
    ) -> Life {
        let folder = folder();
        let path = folder.path().join("steps.db");
        let mut store = Store::open(&path, &options).unwrap();
        walk_gone(&mut store, person);
        walk(&mut store, OTHER, "watch", 0..OTHER_DAYS);
        spoil(&path);
        assert!(rows_back(&path).len() > 7);
        let reader = reading(&path);
        erase(&path, &mut store);
        walk(&mut store, person, "watch", 0..after_days);
        walk(&mut store, OTHER, "watch", OTHER_DAYS..OTHER_DAYS + after_days);
        let [facts, others] = [person, OTHER].map(|user| store.read(user).unwrap().facts());
        assert_eq!(facts.len(), 2 * usize::try_from(after_days).unwrap());
        let files = listing(folder.path());
        drop((store, reader));
        let life = Life { folder, options, person, files, facts, others };
        restore(life.folder.path(), &life.files);
        assert!(bytes_left(life.folder.path()), "nobody was in the way of the erasure");
        life
    }

    fn on_a_server(after_days: i32) -> Life {
        Life::new(server(), "ana", after_days, |_, store| {
            store.erase("ana", now()).unwrap();
        })
    }

    fn on_a_device(person: &'static str, after_days: i32) -> Life {
        Life::new(device(), person, after_days, |path, _| {
            StepBook::open(path, &device().user(person)).unwrap().erase(None).unwrap();
        })
    }

    /// Recorded before anyone signed in, and so erased with the one who did.
    fn signed_in() -> Life {
        Life::new(device(), "ana", AFTER_DAYS, |path, store| {
            walk_gone(store, "");
            let mut book = StepBook::open(path, &device()).unwrap();
            book.sign_in("ana", now()).unwrap();
            book.erase(None).unwrap();
        })
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("steps.db")
    }

    /// Whatever can be asked about the file.
    #[track_caller]
    fn assert_gone(&self, case: &str) -> Store {
        let mut store = Store::open(self.path(), &self.options).unwrap_or_else(|e| panic!("{case}: {e}"));
        for user in store.users().unwrap() {
            let ledger = store.read(&user).unwrap();
            let days = ledger.cells().into_iter().map(|cell| cell.day);
            let days = days.chain(ledger.facts().into_iter().map(|fact| fact.day()));
            let days = days.chain(ledger.to_reread().into_iter().map(|(day, _)| day));
            let back = days.filter(|at| *at < day(GONE_BEFORE)).count();
            assert_eq!(back, 0, "{case}: erased facts are back with {user:?}");
            let events = store.history(&user).unwrap();
            assert!(events.iter().all(|event| event.after.day() >= day(GONE_BEFORE)), "{case}: {user:?}");
            let mut export = Vec::new();
            store.export(&user, &mut export).unwrap();
            assert!(!holds(&export), "{case}: the export of {user:?} tells it");
        }
        assert_eq!(rows_back(&self.path()), Vec::<String>::new(), "{case}");
        let told = &store.report().set_aside;
        let is_back = |row: &SetAside| {
            row.day.is_some_and(|at| at < day(GONE_BEFORE)) || row.source == Some(source(GONE))
        };
        assert!(!told.iter().any(is_back), "{case}: {told:?}");
        store
    }
}

/// One row was set aside long ago, and one was damaged just now.
fn spoil(path: &Path) {
    let before = day(GONE_BEFORE).number();
    let sql = format!(
        "INSERT INTO set_aside (from_table, content)
             SELECT 'cell', json_array(user, day, source, 0, 9000, 7) FROM cell WHERE day < {before} LIMIT 1;
         UPDATE cell SET chk = chk + 1 WHERE day = {before} - 1"
    );
    Connection::open(path).unwrap().execute_batch(&sql).unwrap();
}

/// Another process that reads and does not end.
fn reading(path: &Path) -> Connection {
    let reader = Connection::open(path).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    reader.query_row("SELECT count(*) FROM cell", [], |row| row.get::<_, i64>(0)).unwrap();
    reader
}

fn holds(bytes: &[u8]) -> bool {
    bytes.windows(GONE.len()).any(|part| part == GONE.as_bytes())
}

fn bytes_left(folder: &Path) -> bool {
    listing(folder).values().any(|bytes| holds(bytes))
}

/// Rows of the erased days, of the source or of the boot, in any table of a file.
fn rows_back(path: &Path) -> Vec<String> {
    let file = Connection::open(path).unwrap();
    let (first, end) = (day(GONE_BEFORE - GONE_DAYS).number(), day(GONE_BEFORE).number());
    let mut back = Vec::new();
    for table in ["cell", "attendance", "own_count", "remark", "change"] {
        let sql = format!("SELECT count(*) FROM {table} WHERE day BETWEEN {first} AND {end}");
        let rows: i64 = file.query_row(&sql, [], |row| row.get(0)).unwrap();
        back.extend((rows > 0).then(|| format!("{rows} rows of {table}")));
    }
    let days = (first..=end).map(|n| n.to_string()).collect::<BTreeSet<_>>();
    for table in ["source", "baseline", "meta", "set_aside", "remark"] {
        let mut statement = file.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = statement.column_count();
        let mut found = statement.query([]).unwrap();
        while let Some(row) = found.next().unwrap() {
            let values: Vec<Value> = (0..columns).map(|n| row.get(n).unwrap()).collect();
            let text = format!("{values:?}");
            // What was set aside is a list of numbers, bytes and texts.
            let tells = table == "set_aside" && text.split([',', '[', ']']).any(|part| days.contains(part));
            back.extend((tells || text.contains(GONE)).then(|| format!("{table}: {text}")));
        }
    }
    back
}

const FRAME_LEN: usize = 24 + PAGE_LEN;

/// Every page and every frame, one at a time, and what hides all of them.
fn damages(files: &Files) -> Vec<(String, Files)> {
    let (database, wal) = (&files["steps.db"], &files["steps.db-wal"]);
    let mut all = Vec::new();
    let mut damage = |case: String, name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut damaged = files.clone();
        change(damaged.get_mut(name).unwrap());
        all.push((case, damaged));
    };
    damage("header zeroed".to_owned(), "steps.db", &|bytes| bytes[..100].fill(0));
    damage("nothing but the WAL".to_owned(), "steps.db", &Vec::clear);
    damage("WAL header zeroed".to_owned(), "steps.db-wal", &|bytes| bytes[..32].fill(0));
    for page in 0..database.len() / PAGE_LEN {
        let range = page * PAGE_LEN..(page + 1) * PAGE_LEN;
        damage(format!("page {} zeroed", page + 1), "steps.db", &|bytes| bytes[range.clone()].fill(0));
        damage(format!("page {} and the header zeroed", page + 1), "steps.db", &|bytes| {
            bytes[..100].fill(0);
            bytes[range.clone()].fill(0);
        });
    }
    // Without its last frame a commit looks like a write that was cut off.
    for frame in 0..(wal.len() - 32) / FRAME_LEN - 1 {
        let start = 32 + frame * FRAME_LEN;
        damage(format!("frame {} garbage", frame + 1), "steps.db-wal", &|bytes| {
            bytes[start + 24..start + FRAME_LEN].iter_mut().for_each(|byte| *byte ^= 0x5a);
        });
    }
    all
}

/// Damages a life in every way; nothing is back, and a damaged header costs nobody anything.
fn no_damage_brings_it_back(life: &Life) {
    let mut mended = 0;
    for (case, files) in damages(&life.files) {
        restore(life.folder.path(), &files);
        let mut store = life.assert_gone(&case);
        mended += store.report().recovered.len();
        if case == "header zeroed" {
            let now = [life.person, OTHER].map(|user| store.read(user).unwrap().facts());
            assert_eq!(now, [life.facts.clone(), life.others.clone()]);
        }
    }
    eprintln!("{mended} files mended");
    assert!(mended > 50);
}

#[test]
fn no_damage_brings_back_what_was_erased_on_a_server_while_somebody_read() {
    no_damage_brings_it_back(&Life::on_a_server(AFTER_DAYS));
}

#[test]
fn no_damage_brings_back_what_was_erased_on_a_device_while_somebody_read() {
    no_damage_brings_it_back(&Life::on_a_device("ana", AFTER_DAYS));
}

#[test]
fn no_damage_brings_back_what_was_erased_signed_out_while_somebody_read() {
    no_damage_brings_it_back(&Life::on_a_device("", AFTER_DAYS));
}

#[test]
fn no_damage_brings_back_what_a_person_recorded_before_they_signed_in() {
    no_damage_brings_it_back(&Life::signed_in());
}

/// The erasure is the last thing in the file: only it tells of itself.
#[test]
fn no_damage_brings_it_back_where_nothing_was_written_since() {
    for life in [Life::on_a_server(0), Life::on_a_device("ana", 0), Life::on_a_device("", 0)] {
        no_damage_brings_it_back(&life);
    }
}

/// Rows that lie in free pages, with nothing else that knows their number: those who are known are numbered on.
#[test]
fn rows_of_a_number_that_nobody_has_any_more_are_nobodys() {
    for life in [Life::on_a_server(AFTER_DAYS), Life::on_a_device("", AFTER_DAYS)] {
        restore(life.folder.path(), &life.files);
        let before = life.path().with_extension("before");
        let mut store = Store::open(&before, &life.options).unwrap();
        walk_gone(&mut store, "");
        walk_gone(&mut store, "ana");
        drop((store, life.assert_gone("scrubbed")));
        let file = Connection::open(life.path()).unwrap();
        let sql = "SELECT (SELECT count(*) FROM meta WHERE key LIKE 'given_up%'), min(user) FROM ledger";
        let (marks, first): (i64, i64) =
            file.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(marks, 0);
        let gone = if first < 0 { 1 } else { 2 };
        let add = "ATTACH ?1 AS before";
        file.execute(add, [before.to_str().unwrap()]).unwrap();
        let sql = format!(
            "INSERT INTO cell SELECT * FROM before.cell WHERE user = {gone};
             DELETE FROM cell WHERE user = {gone}; DETACH before"
        );
        file.execute_batch(&sql).unwrap();
        drop(file);
        std::fs::remove_file(&before).unwrap();
        let mut files = listing(life.folder.path());
        let attendance = 6 * PAGE_LEN..7 * PAGE_LEN;
        files.get_mut("steps.db").unwrap()[attendance].fill(0);
        restore(life.folder.path(), &files);
        let mut store = life.assert_gone("free pages");
        assert_eq!(store.report().recovered.len(), 1);
        assert_eq!(store.users().unwrap().len(), 2);
    }
}

#[test]
fn a_later_opening_takes_the_bytes_off_the_disk() {
    let lives = [
        ("server", Life::on_a_server(AFTER_DAYS)),
        ("device", Life::on_a_device("ana", AFTER_DAYS)),
        ("signed out", Life::on_a_device("", AFTER_DAYS)),
        ("signed in", Life::signed_in()),
    ];
    for (kind, life) in lives {
        // Somebody still reads: everything works, and the bytes stay.
        restore(life.folder.path(), &life.files);
        let reader = reading(&life.path());
        let mut store = life.assert_gone(kind);
        walk(&mut store, OTHER, "ring", 0..1);
        assert!(bytes_left(life.folder.path()), "{kind}: nobody was in the way");
        drop((reader, store));

        let mut store = life.assert_gone(kind);
        assert!(!bytes_left(life.folder.path()), "{kind}: they are on the disk");
        assert_eq!(store.read(life.person).unwrap().facts(), life.facts, "{kind}");
        assert_eq!(store.read(OTHER).unwrap().facts().len(), life.others.len() + 1, "{kind}");
        drop(store);
        // From here on nothing has to be left out: damage costs what it costs anybody.
        let mut scrubbed = listing(life.folder.path());
        scrubbed.get_mut("steps.db").unwrap()[..100].fill(0);
        restore(life.folder.path(), &scrubbed);
        let mut store = life.assert_gone(kind);
        assert_eq!(store.read(life.person).unwrap().facts(), life.facts, "{kind}");
        assert_eq!(store.report().recovered.len(), 1);
    }
}

#[test]
fn a_process_that_stays_open_takes_them_off_too() {
    let life = Life::on_a_server(AFTER_DAYS);
    restore(life.folder.path(), &life.files);
    let reader = reading(&life.path());
    let mut store = life.assert_gone("open");
    drop(reader);
    assert!(bytes_left(life.folder.path()));
    let written = (1..=200).find(|n| {
        let reading = Reading::new(day(OTHER_DAYS), source("watch"), 10 * n);
        apply(&mut store, OTHER, &[Operation::Read(&reading)]);
        !bytes_left(life.folder.path())
    });
    assert!(written.is_some());
}
