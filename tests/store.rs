//! The store on real files: what is refused, what is kept, what another process sees.
#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that is not there")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use manbo::{
    Code, Correction, CounterReading, Counts, Credit, Day, Deletion, Durability, Error, Fact, IngestPolicy,
    Now, Operation, Options, Reading, Register, Report, Snapshot, Source, StepBook, Store, UtcOffset, ingest,
};
use rusqlite::Connection;
use sha2::{Digest, Sha256};

const ROLE: &str = "MANBO_TEST_ROLE";

fn day(n: i32) -> Day {
    "2022-10-01".parse::<Day>().unwrap().plus(n)
}

fn now() -> Now {
    Now::on(day(10))
}

fn health() -> Source {
    Source::new("health").unwrap()
}

fn options() -> Options {
    Options::new().durability(Durability::Normal)
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("steps.db");
    (folder, path)
}

fn read(n: i32, steps: u32) -> Reading {
    Reading::new(day(n), health(), steps)
}

/// A book in which every table has rows.
fn lived(path: &Path) -> StepBook {
    let mut book = StepBook::open(path, &options().install_id("phone-1")).unwrap();
    let seoul = UtcOffset::from_minutes(540).unwrap();
    for n in 0..9 {
        book.record(&read(n, 5_000 + n.unsigned_abs()).with_offset(seoul), now()).unwrap();
        book.attend(day(n), now()).unwrap();
    }
    book.record(&read(1, 4_000).full(), now()).unwrap();
    book.record(&read(2, 10), now()).unwrap();
    book.delete(&Deletion { day: day(3), source: health(), left: None }, now()).unwrap();
    let correction =
        Correction { day: day(4), source: health(), to: Some(Counts::new(9, 1)), reason: "report 7" };
    book.correct(&correction, now()).unwrap();
    let chip = Source::new("phone-sensor-1").unwrap();
    for count in [100, 350] {
        let _ = book.count(&CounterReading { day: day(5), source: chip, boot: "7", count }, now()).unwrap();
    }
    let register = Register { epoch: 2, counts: Some(Counts::new(1, 0)) };
    book.receive(&[Fact::Cell { day: day(6), source: health(), register }], now()).unwrap();
    book
}

/// Everything that a book tells, as text.
fn told(book: &mut StepBook) -> String {
    let ledger = book.ledger().unwrap();
    let explained: Vec<String> = (0..10).map(|n| format!("{:?}", ledger.explain(day(n)))).collect();
    format!(
        "{:?} {:?} {:?} {:?} {} {}",
        ledger.cells(),
        ledger.facts(),
        ledger.to_reread(),
        explained,
        ledger.pending_count(),
        ledger.revision()
    )
}

fn code<T>(result: Result<T, Error>) -> Code {
    result.err().expect("an error").code()
}

/// The files of a folder by name with the digests of their bytes, without `-shm`: that holds locks and the
/// index of a WAL, not data.
fn files(folder: &Path) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .map(|path| {
            let digest = Sha256::digest(std::fs::read(&path).unwrap_or_default());
            let digest = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            (path.file_name().unwrap().to_string_lossy().into_owned(), digest)
        })
        .filter(|(name, _)| !name.ends_with("-shm"))
        .collect();
    files.sort();
    files
}

#[test]
fn everything_is_there_after_reopening() {
    let (_folder, path) = place();
    let mut book = lived(&path);
    let before = told(&mut book);
    drop(book);
    let mut book = StepBook::open(&path, &options().install_id("phone-1")).unwrap();
    assert_eq!(told(&mut book), before);
    assert_eq!(*book.report(), Report::default());
    book.suspend().unwrap();
    assert_eq!(code(book.statistics(day(1))), Code::Closed);
    assert_eq!(code(book.record(&read(1, 1), now())), Code::Closed);
    // A resume that fails leaves it suspended: half resumed would miss another phone's backup.
    let away = path.with_extension("away");
    std::fs::rename(&path, &away).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert_eq!(code(book.resume()), Code::StorageLocked);
    assert_eq!(code(book.record(&read(1, 1), now())), Code::Closed);
    std::fs::remove_dir(&path).unwrap();
    std::fs::rename(&away, &path).unwrap();
    book.resume().unwrap();
    assert_eq!(told(&mut book), before);
}

#[test]
fn the_schema_says_whose_it_is() {
    let (_folder, path) = place();
    drop(lived(&path));
    let file = Connection::open(&path).unwrap();
    let number = |sql: &str| file.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!((number("PRAGMA application_id"), number("PRAGMA user_version")), (0x6d61_6e62, 2));
    let mode: String = file.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
    let sql = "SELECT day || ' ' || source || ' ' || recorded FROM readable WHERE recorded = 5008";
    let text: String = file.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(text, "2022-10-09 health 5008");
}

/// A file that the first schema made: what the later ones added is taken away.
#[test]
fn a_file_of_every_older_schema_is_taken_over_whole() {
    let (_folder, path) = place();
    let mut book = lived(&path);
    let (before, digest) = (told(&mut book), book.digest().unwrap());
    drop(book);
    let file = Connection::open(&path).unwrap();
    file.execute_batch("DROP TABLE change; DROP TABLE era; PRAGMA user_version = 1").unwrap();
    drop(file);
    let mut book = StepBook::open(&path, &Options::new()).unwrap();
    assert_eq!((told(&mut book), book.digest().unwrap()), (before, digest));
    assert_eq!(*book.report(), Report::default());
    drop(book);
    let schema = |path: &Path| -> Vec<(String, String)> {
        let file = Connection::open(path).unwrap();
        let sql = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
        let mut rows = file.prepare(sql).unwrap();
        rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    };
    let (_other, fresh) = place();
    drop(StepBook::open(&fresh, &Options::new()).unwrap());
    assert_eq!(schema(&path), schema(&fresh), "migrated and fresh are the same");
}

#[test]
fn newer_and_foreign_files_are_refused_untouched() {
    let newer = |version: i64| format!("PRAGMA user_version = {version}");
    let foreign = "CREATE TABLE notes (text); INSERT INTO notes VALUES ('mine')".to_owned();
    let cases = [
        (true, newer(3), Code::NewerSchema),
        (true, newer(0x7fff_ffff), Code::NewerSchema),
        (true, newer(-1), Code::StorageForeign),
        (true, "PRAGMA application_id = 1".to_owned(), Code::StorageForeign),
        (false, foreign.clone(), Code::StorageForeign),
        (false, format!("PRAGMA journal_mode = WAL; {foreign}"), Code::StorageForeign),
    ];
    for (ours, sql, expected) in cases {
        let (folder, path) = place();
        if ours {
            drop(lived(&path));
        }
        Connection::open(&path).unwrap().execute_batch(&sql).unwrap();
        let before = files(folder.path());
        assert_eq!(code(StepBook::open(&path, &options())), expected, "{sql}");
        assert_eq!(files(folder.path()), before, "{sql}");
    }
}

#[test]
fn a_foreign_file_with_a_waiting_wal_is_untouched_too() {
    let (folder, path) = place();
    let other = folder.path().join("other.db");
    let owner = Connection::open(&other).unwrap();
    owner.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE notes (text)").unwrap();
    for suffix in ["", "-wal"] {
        std::fs::copy(format!("{}{suffix}", other.display()), format!("{}{suffix}", path.display())).unwrap();
    }
    drop(owner);
    let before = files(folder.path());
    assert!(std::fs::metadata(folder.path().join("steps.db-wal")).unwrap().len() > 0);
    assert_eq!(code(StepBook::open(&path, &options())), Code::StorageForeign);
    assert_eq!(files(folder.path()), before);
}

#[test]
fn what_is_no_database_is_foreign_and_what_cannot_be_reached_is_locked() {
    for content in [b"a shopping list\n".repeat(900), b"\x89PNG\r\n\x1a\n".repeat(700), vec![7; 3]] {
        let (folder, path) = place();
        std::fs::write(&path, content).unwrap();
        let before = files(folder.path());
        assert_eq!(code(StepBook::open(&path, &options())), Code::StorageForeign);
        assert_eq!(files(folder.path()), before);
    }
    let (folder, path) = place();
    assert_eq!(code(StepBook::open(path.join("missing").join("steps.db"), &options())), Code::StorageLocked);
    assert_eq!(code(StepBook::open(folder.path(), &options())), Code::StorageLocked);
    std::fs::write(&path, "").unwrap();
    StepBook::open(&path, &options()).unwrap().record(&read(1, 1), now()).unwrap();
}

#[test]
fn a_held_lock_is_busy_and_then_works() {
    let (_folder, path) = place();
    let mut book = StepBook::open(&path, &options().busy_timeout(Duration::from_millis(30))).unwrap();
    book.record(&read(1, 1), now()).unwrap();
    let holder = Connection::open(&path).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = book.record(&read(1, 2), now()).unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), (Code::StorageBusy, true));
    assert_eq!(
        book.register(day(1), health()).unwrap().counts,
        Some(Counts::new(1, 0)),
        "nothing was stored"
    );
    holder.execute_batch("ROLLBACK").unwrap();
    book.record(&read(1, 2), now()).unwrap();
}

#[test]
fn the_same_reading_a_thousand_times_writes_nothing() {
    let (folder, path) = place();
    let mut book = StepBook::open(&path, &Options::new()).unwrap();
    assert_eq!(book.record(&read(1, 8_500), now()).unwrap().len(), 1);
    let chip = Source::new("phone-sensor-1").unwrap();
    let idle = CounterReading { day: day(2), source: chip, boot: "7", count: 400 };
    let first = [CounterReading { count: 100, ..idle }, idle].map(|c| book.count(&c, now()).unwrap().credit);
    assert_eq!(first, [Some(Credit::First), Some(Credit::Steps(300))]);
    let before = files(folder.path());
    for _ in 0..1_000 {
        assert!(book.record(&read(1, 8_500), now()).unwrap().is_empty());
        assert!(book.count(&idle, now()).unwrap().changes.is_empty());
    }
    assert_eq!(files(folder.path()), before);
    assert_eq!(book.pending_count().unwrap(), 2);
}

#[test]
fn two_handles_on_one_file_see_each_other_at_the_next_call() {
    let (_folder, path) = place();
    let [mut app, mut widget] = [0, 1].map(|_| StepBook::open(&path, &options()).unwrap());
    let mut alone = StepBook::open(path.with_extension("alone"), &options()).unwrap();
    for n in 0..300_u32 {
        let reading = read((n % 7).cast_signed(), 1_000 + (n * 7_919) % 12_000);
        let book = if n % 3 == 0 { &mut app } else { &mut widget };
        assert_eq!(book.record(&reading, now()).unwrap(), alone.record(&reading, now()).unwrap(), "{n}");
        let other = if n % 3 == 0 { &mut widget } else { &mut app };
        assert_eq!(other.statistics(day(9)).unwrap(), alone.statistics(day(9)).unwrap(), "{n}");
    }
    assert_eq!(app.digest().unwrap(), widget.digest().unwrap());
}

#[test]
fn many_users_share_a_file_and_nothing_else() {
    let (_folder, path) = place();
    let mut store = Store::open(&path, &options()).unwrap();
    let policy = IngestPolicy { latest_day: now().today, recovery: false };
    for n in 0..50_u32 {
        let register = Register { epoch: 0, counts: Some(Counts::new(1_000 + n, 0)) };
        let batch = [Fact::Cell { day: day(1), source: health(), register }, Fact::Attended(day(1))];
        let user = format!("user-{n}");
        let done = store.transact(&user, |ledger| Ok(ingest(ledger, &batch, 0, policy, now()))).unwrap();
        assert_eq!((done.receipt.accepted.len(), done.receipt.revision), (2, 1));
    }
    drop(store);
    let mut book = StepBook::open(&path, &options().user("user-7")).unwrap();
    assert_eq!(book.day(day(1)).unwrap().unwrap().shown, 1_007);
    book.record(&read(1, 9_000), now()).unwrap();
    let mut store = Store::open(&path, &options()).unwrap();
    assert_eq!(store.users().unwrap().len(), 50);
    for n in 0..50 {
        let shown = store.read(&format!("user-{n}")).unwrap().day(day(1)).unwrap().shown;
        assert_eq!(shown, if n == 7 { 9_000 } else { 1_000 + n });
    }
    let refused = store.transact("user-1", |ledger| {
        let correction = Correction { day: day(1), source: health(), to: None, reason: "" };
        let _ = ledger.apply(Operation::Correct(&correction), now())?;
        let _ = ledger.apply(Operation::Attend(day(400)), now())?;
        Ok(())
    });
    assert_eq!(code(refused), Code::DayOutOfRange);
    assert_eq!(store.read("user-1").unwrap().day(day(1)).unwrap().shown, 1_001, "half a change was stored");
    assert!(store.read("nobody").unwrap().facts().is_empty());
}

#[test]
fn a_phone_restored_from_another_phones_backup_drops_what_only_that_phone_knew() {
    let (_folder, path) = place();
    let mut book = lived(&path);
    assert_eq!(book.record(&read(8, 4_900).full(), now()).unwrap().len(), 1, "read here, so it may go down");
    let (digest, pending) = (book.digest().unwrap(), book.pending_count().unwrap());
    drop(book);
    let same = StepBook::open(&path, &options().install_id("phone-1")).unwrap();
    assert!(!same.report().from_other_device);
    drop(same);
    let mut restored = StepBook::open(&path, &options().install_id("phone-2")).unwrap();
    assert!(restored.report().from_other_device);
    assert_eq!((restored.digest().unwrap(), restored.pending_count().unwrap()), (digest, pending));
    assert!(restored.ledger().unwrap().cells().iter().all(|cell| !cell.read_here));
    assert!(restored.record(&read(7, 4_000).full(), now()).unwrap().is_empty(), "a good day stays");
    let chip = Source::new("phone-sensor-1").unwrap();
    let reading = CounterReading { day: day(5), source: chip, boot: "7", count: 900 };
    assert_eq!(restored.count(&reading, now()).unwrap().credit, Some(Credit::First));
}

#[test]
fn a_snapshot_is_a_small_file_of_its_own() {
    let (folder, path) = place();
    let mut book = StepBook::open(&path, &options()).unwrap();
    book.record(&Reading::new(now().today, health(), 12_000), now()).unwrap();
    let snapshot = book.snapshot(now()).unwrap();
    let file = folder.path().join("widget.json");
    snapshot.write(&file).unwrap();
    snapshot.write(&file).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(serde_json::from_str::<Snapshot>(&text).unwrap(), snapshot);
    assert!(text.len() < 300 && snapshot.steps == 12_000 && snapshot.pending == 1);
    assert_eq!(files(folder.path()).iter().filter(|(name, _)| name.contains("widget")).count(), 1);
}

/// Runs the test of this name again in a child that `prepare` has set up, with its file in the role.
#[cfg(unix)]
fn in_child(name: &str, command: &mut std::process::Command, path: &Path) {
    let output =
        command.args([name, "--exact", "--nocapture", "--test-threads=1"]).env(ROLE, path).output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[cfg(unix)]
#[test]
fn a_read_only_file_has_its_own_error() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    if let Some(path) = std::env::var_os(ROLE) {
        assert_eq!(code(StepBook::open(path, &options())), Code::StorageReadOnly);
        return;
    }
    let (folder, path) = place();
    drop(lived(&path));
    let before = files(folder.path());
    let mode =
        |path: &Path, bits| std::fs::set_permissions(path, std::fs::Permissions::from_mode(bits)).unwrap();
    // The program itself may lie where another user cannot go.
    let program = folder.path().join("program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    mode(&program, 0o755);
    mode(&path, 0o444);
    mode(folder.path(), 0o555);
    let mut child = std::process::Command::new(&program);
    if nobody_is_needed() {
        // The superuser may write everywhere.
        child.uid(65_534).gid(65_534);
    }
    in_child("a_read_only_file_has_its_own_error", &mut child, &path);
    mode(folder.path(), 0o755);
    std::fs::remove_file(&program).unwrap();
    assert_eq!(files(folder.path()), before);
}

#[cfg(unix)]
fn nobody_is_needed() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_has_its_own_error_and_loses_nothing() {
    if let Some(path) = std::env::var_os(ROLE) {
        return fill_the_disk(Path::new(&path));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut child = std::process::Command::new("unshare");
    let mount =
        format!("mount -t tmpfs -o size=768k tmpfs '{0}' && exec \"$0\" \"$@\"", folder.path().display());
    child.args(if nobody_is_needed() { ["-m", "--"] } else { ["-rm", "--"] });
    child.args(["sh", "-c", &mount]).arg(std::env::current_exe().unwrap());
    in_child("a_full_disk_has_its_own_error_and_loses_nothing", &mut child, &folder.path().join("steps.db"));
}

/// Records until the disk is full, reads on, makes room and records again.
#[cfg(target_os = "linux")]
fn fill_the_disk(path: &Path) {
    let mut book = StepBook::open(path, &Options::new()).unwrap();
    let mut stored = 0;
    let error = loop {
        let readings: Vec<Reading> = (0..100).map(|n| read(n - 4_000 + stored * 100, 7_000)).collect();
        match book.record_all(&readings, now()) {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 60, "the disk never filled");
    };
    assert_eq!((error.code(), error.is_retryable()), (Code::StorageFull, true));
    assert!(stored > 0);
    let days = u32::try_from(stored).unwrap() * 100;
    assert_eq!(book.statistics(day(9)).unwrap().days_logged, days, "reading goes on");
    std::process::Command::new("mount")
        .args(["-o", "remount,size=8m"])
        .arg(path.parent().unwrap())
        .status()
        .unwrap();
    book.record(&read(9, 9_000), now()).unwrap();
    drop(book);
    let mut book = StepBook::open(path, &Options::new()).unwrap();
    assert_eq!(book.statistics(day(9)).unwrap().days_logged, days + 1);
    assert_eq!(*book.report(), Report::default());
}
