//! SQLite, and the library, on simulated disks: honest locks, and what each fault may and may not take.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first thing that is not there")]

use std::time::Duration;

use manbo::{Now, Options, Reading, Source, StepBook};
use manbo_sim::vfs::alloc::{self, Allocations};
use manbo_sim::vfs::{Disk, Fault, FaultKind, Medium, reseed};
use rusqlite::{Connection, ErrorCode};

const PATH: &str = "/sim/steps.db";
/// Transactions of the script; with a checkpoint at every eighth page some of them checkpoint.
const TRANSACTIONS: u32 = 8;

fn disk(medium: Medium) -> Disk {
    alloc::install().unwrap();
    Disk::new(medium, 1)
}

fn code(error: &rusqlite::Error) -> ErrorCode {
    error.sqlite_error_code().unwrap()
}

fn extended(error: &rusqlite::Error) -> i32 {
    error.sqlite_error().unwrap().extended_code
}

fn open() -> rusqlite::Result<Connection> {
    let connection = Connection::open(PATH)?;
    connection.busy_timeout(Duration::ZERO)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 8;
         CREATE TABLE IF NOT EXISTS step (n INTEGER PRIMARY KEY, text TEXT) STRICT;
         CREATE TABLE IF NOT EXISTS total (id INTEGER PRIMARY KEY, n INTEGER) STRICT;
         INSERT OR IGNORE INTO total VALUES (1, 0);",
    )?;
    Ok(connection)
}

fn add(connection: &mut Connection, n: u32) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let text = "x".repeat(usize::try_from(n * 311 % 3000).unwrap());
    transaction.execute("INSERT INTO step VALUES (?1, ?2)", (n, text))?;
    transaction.execute("UPDATE total SET n = ?1", [n])?;
    transaction.commit()
}

/// How far a script came.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Progress {
    begun: u32,
    committed: u32,
}

/// Writes the transactions in order, half of them through a second connection that comes later.
fn script(progress: &mut Progress) -> rusqlite::Result<()> {
    for half in 0..2 {
        let mut connection = open()?;
        for n in half * TRANSACTIONS / 2 + 1..=(half + 1) * TRANSACTIONS / 2 {
            progress.begun = n;
            add(&mut connection, n)?;
            progress.committed = n;
        }
    }
    Ok(())
}

fn run(disk: &Disk) -> Progress {
    let mut progress = Progress::default();
    let _ = disk.with(|| script(&mut progress));
    progress
}

/// Opens what is left, checks that it is whole, and tells the last transaction in it.
fn last(disk: &Disk) -> u32 {
    disk.with(|| {
        let connection = Connection::open(PATH).unwrap();
        let verdict: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(verdict, "ok");
        if !connection.table_exists(None, "total").unwrap() {
            return 0;
        }
        let total: Option<u32> =
            connection.query_row("SELECT max(n) FROM total", [], |row| row.get(0)).unwrap();
        let (rows, greatest): (u32, Option<u32>) =
            connection.query_row("SELECT count(*), max(n) FROM step", [], |row| row.try_into()).unwrap();
        let greatest = greatest.unwrap_or(0);
        assert_eq!((rows, greatest), (greatest, total.unwrap_or(0)), "half a transaction");
        greatest
    })
}

fn assert_nothing_lost(disk: &Disk, progress: Progress, case: &str) {
    let last = last(disk);
    assert!(last >= progress.committed, "{case}: {last} of {progress:?}");
    assert!(last <= progress.begun, "{case}: {last} of {progress:?}");
}

/// After a fault has gone, the disk is as good as any.
fn assert_works(disk: &Disk) {
    let last = last(disk);
    disk.with(|| add(&mut open().unwrap(), last + 1)).unwrap();
    assert_eq!(self::last(disk), last + 1);
    assert_eq!(disk.locks_held(), 0);
    assert!(!disk.deleted().iter().any(|name| name == PATH), "{:?}", disk.deleted());
}

#[test]
fn two_connections_contend_honestly() {
    let disk = disk(Medium::Flush);
    let _entered = disk.enter();
    let (mut app, mut widget) = (open().unwrap(), open().unwrap());
    let version = |connection: &Connection| -> u32 {
        connection.query_row("PRAGMA data_version", [], |row| row.get(0)).unwrap()
    };
    let before = version(&widget);
    app.execute_batch("BEGIN IMMEDIATE; INSERT INTO step VALUES (1, 'a'); UPDATE total SET n = 1").unwrap();
    assert_eq!(version(&widget), before, "not committed yet");
    assert_eq!(code(&widget.execute_batch("BEGIN IMMEDIATE").unwrap_err()), ErrorCode::DatabaseBusy);
    assert_eq!(disk.slept(), Duration::ZERO);
    widget.busy_timeout(Duration::from_secs(3_600)).unwrap();
    assert_eq!(code(&widget.execute_batch("BEGIN IMMEDIATE").unwrap_err()), ErrorCode::DatabaseBusy);
    assert!(disk.slept() > Duration::from_secs(3_500), "{:?}", disk.slept());

    widget.execute_batch("BEGIN; SELECT * FROM step").unwrap();
    app.execute_batch("COMMIT").unwrap();
    let seen = |connection: &Connection| -> u32 {
        connection.query_row("SELECT count(*) FROM step", [], |row| row.get(0)).unwrap()
    };
    assert_eq!((seen(&app), seen(&widget)), (1, 0), "a reader keeps its moment");
    assert_eq!(extended(&add(&mut widget, 2).unwrap_err()), 1, "a transaction within a transaction");
    widget.execute_batch("COMMIT").unwrap();
    assert_ne!(version(&widget), before);
    add(&mut widget, 2).unwrap();
    add(&mut app, 3).unwrap();
    assert!(disk.locks_held() >= 2, "each has the database shared");
    assert!(disk.files().contains(&format!("{PATH}-wal")));
    drop(app);
    assert!(disk.locks_held() >= 1);
    drop(widget);
    assert_eq!(disk.locks_held(), 0);
    assert_eq!(disk.files(), [PATH]);
    assert!(disk.deleted().contains(&format!("{PATH}-wal")));
    assert_eq!(last(&disk), 3);
}

#[test]
fn a_rollback_journal_locks_by_levels() {
    let disk = disk(Medium::Flush);
    let _entered = disk.enter();
    let (writer, reader) = (Connection::open(PATH).unwrap(), Connection::open(PATH).unwrap());
    for connection in [&writer, &reader] {
        connection.busy_timeout(Duration::ZERO).unwrap();
    }
    writer.execute_batch("CREATE TABLE t (v); INSERT INTO t VALUES (1)").unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let count = "SELECT count(*) FROM t";
    let seen = |c: &Connection| -> rusqlite::Result<u32> { c.query_row(count, [], |row| row.get(0)) };
    assert_eq!(seen(&reader).unwrap(), 1);
    writer.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (2)").unwrap();
    assert_eq!(code(&writer.execute_batch("COMMIT").unwrap_err()), ErrorCode::DatabaseBusy);
    let late = Connection::open(PATH).unwrap();
    late.busy_timeout(Duration::ZERO).unwrap();
    assert_eq!(code(&seen(&late).unwrap_err()), ErrorCode::DatabaseBusy, "the writer waits: nobody comes in");
    reader.execute_batch("COMMIT").unwrap();
    writer.execute_batch("COMMIT").unwrap();
    assert_eq!((seen(&reader).unwrap(), seen(&late).unwrap()), (2, 2));
}

#[test]
fn real_files_stay_real_and_simulated_ones_leave_no_trace() {
    let disk = disk(Medium::Steady);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("real.db");
    let real = Connection::open(&path).unwrap();
    real.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (v)").unwrap();
    let simulated = disk.with(|| Connection::open(folder.path().join("simulated.db")).unwrap());
    // Neither needs its file system to be entered once it is open.
    simulated.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (v)").unwrap();
    disk.with(|| real.execute_batch("INSERT INTO t VALUES (1)")).unwrap();
    assert_eq!(disk.files().len(), 2);
    simulated.close().unwrap();
    assert_eq!(disk.files().len(), 1, "the WAL went with the last connection");
    real.close().unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(std::fs::metadata(&path).unwrap().len() > 0);
    let number_of_nobody = "/manbo-sim:ffffffffffffffff:0:/sim/steps.db";
    assert_eq!(code(&Connection::open(number_of_nobody).unwrap_err()), ErrorCode::CannotOpen);
}

#[test]
fn another_thread_gets_an_error_not_the_memory() {
    let disk = disk(Medium::Steady);
    let mut connection = disk.with(|| open().unwrap());
    let error = std::thread::spawn(move || {
        let error = add(&mut connection, 1).unwrap_err();
        // To close it there would be refused as well.
        std::mem::forget(connection);
        error
    });
    assert_eq!(code(&error.join().unwrap()), ErrorCode::ApiMisuse);
    drop(disk);
}

/// Runs the script with a crash at every operation; gives how many there were.
fn crash_at_every_op(medium: Medium, kind: impl Fn(u64) -> FaultKind) -> u64 {
    for at_op in 0.. {
        let disk = disk(medium);
        disk.inject(Fault::once(at_op, kind(at_op)));
        let progress = run(&disk);
        if disk.fired() == 0 {
            assert_eq!(progress.committed, TRANSACTIONS);
            return at_op;
        }
        assert!(disk.is_down());
        assert_eq!(disk.locks_held(), 0, "the dead hold no lock");
        let dead =
            disk.with(|| Connection::open(PATH).and_then(|c| c.execute_batch("SELECT * FROM sqlite_schema")));
        assert_eq!(code(&dead.unwrap_err()), ErrorCode::SystemIoFailure);
        disk.restart();
        assert_nothing_lost(&disk, progress, &format!("{:?} at {at_op}", kind(at_op)));
        assert_works(&disk);
    }
    unreachable!()
}

#[test]
fn a_kill_at_any_operation_loses_no_commit() {
    assert!(crash_at_every_op(Medium::Steady, |_| FaultKind::Kill) > 100);
    for round in 0..4 {
        crash_at_every_op(Medium::Flush, |at_op| FaultKind::Torn { seed: at_op * 4 + round });
    }
}

#[test]
fn a_power_loss_at_any_operation_loses_no_commit() {
    for round in 0..12 {
        crash_at_every_op(Medium::Flush, |at_op| FaultKind::Power { seed: at_op * 12 + round });
    }
}

/// How many of some power losses took a committed transaction.
fn losses(medium: Medium, seeds: u64) -> usize {
    let lost = |seed: &u64| {
        let disk = disk(medium);
        let at_op = fastrand::Rng::with_seed(*seed).u64(60..200);
        disk.inject(Fault::once(at_op, FaultKind::Power { seed: *seed }));
        let progress = run(&disk);
        disk.restart();
        let found = disk.with(|| {
            let connection = Connection::open(PATH)?;
            connection.query_row("SELECT max(n) FROM total", [], |row| row.get::<_, u32>(0))
        });
        // Without flushes the file may even be unreadable.
        progress.committed > 0 && found.unwrap_or(0) < progress.committed
    };
    (0..seeds).filter(lost).count()
}

#[test]
fn the_flush_is_what_keeps_commits() {
    assert_eq!(losses(Medium::Flush, 1_000), 0);
    assert!(losses(Medium::Order, 400) > 40);
    assert!(losses(Medium::NoFlush, 400) > 40);
}

/// Kills at an operation of a second commit, opens what is there and perhaps commits again, then cuts the
/// power: what was seen in between, and what is there at the end. `None` when the commit was done.
fn kill_then_power(after: u64, seed: u64, commits_again: bool) -> Option<(u32, u32)> {
    let disk = disk(Medium::Flush);
    let mut connection = disk.with(|| open().unwrap());
    add(&mut connection, 1).unwrap();
    disk.inject(Fault::once(disk.ops() + after, FaultKind::Kill));
    add(&mut connection, 2).err()?;
    drop(connection);
    disk.restart();
    let mut reader = disk.with(|| open().unwrap());
    let recovered = reader.query_row("SELECT n FROM total", [], |row| row.get(0)).unwrap();
    if commits_again {
        add(&mut reader, recovered + 1).unwrap();
    }
    disk.power_off(seed);
    drop(reader);
    disk.restart();
    Some((recovered, last(&disk)))
}

#[test]
fn what_a_kill_left_unflushed_is_recovered_and_then_lost_to_the_power() {
    let count = |commits_again: bool| {
        let (mut seen, mut lost) = (0, 0);
        for seed in 0..200 {
            let ends = (0..).map_while(|after| kill_then_power(after, seed, commits_again));
            for (between, end) in ends.filter(|(between, _)| *between == 2) {
                seen += 1;
                lost += u32::from(end < between);
            }
        }
        (seen, lost)
    };
    let (seen, lost) = count(false);
    assert!(seen >= 200, "the process died between the write and the flush of a commit: {seen}");
    assert!(lost > seen / 10, "{lost} of {seen}");
    assert_eq!(count(true).1, 0, "a commit flushes what was recovered with it");
}

#[test]
fn one_process_dies_and_the_others_live_on() {
    let mut recovered = 0;
    for after in 0.. {
        let disk = disk(Medium::Flush);
        let mut widget = {
            let _entered = disk.enter_as(1);
            open().unwrap()
        };
        let mut app = disk.with(|| open().unwrap());
        add(&mut app, 1).unwrap();
        disk.inject(Fault::once(disk.ops() + after, FaultKind::KillProcess));
        let done = add(&mut app, 2);
        if disk.fired() == 0 {
            done.unwrap();
            assert!(recovered > 0);
            break;
        }
        assert!(disk.is_dead(0) && !disk.is_dead(1) && !disk.is_down());
        let refused =
            disk.with(|| Connection::open(PATH).and_then(|c| c.execute_batch("SELECT 1 FROM step")));
        assert_eq!(code(&refused.unwrap_err()), ErrorCode::SystemIoFailure, "still dead");
        let last: u32 = widget.query_row("SELECT n FROM total", [], |row| row.get(0)).unwrap();
        assert!(last == 2 || done.is_err(), "a commit is seen at once");
        recovered += u32::from(last == 1);
        add(&mut widget, last + 1).unwrap();
        disk.start_process(0);
        assert!(add(&mut app, last + 2).is_err(), "its connection died with it");
        drop(app);
        let mut app = disk.with(|| open().unwrap());
        add(&mut app, last + 2).unwrap();
        disk.power_off(after);
        drop((app, widget));
        disk.restart();
        assert_eq!(self::last(&disk), last + 2);
        assert_eq!(disk.locks_held(), 0);
    }
}

#[test]
fn the_index_of_a_wal_goes_with_the_last_living_process() {
    let disk = disk(Medium::Steady);
    let mut app = disk.with(|| open().unwrap());
    add(&mut app, 1).unwrap();
    app.execute_batch("BEGIN IMMEDIATE; UPDATE total SET n = 7").unwrap();
    assert!(disk.locks_held() > 1);
    disk.kill_process(0);
    assert_eq!(disk.locks_held(), 0);
    // The dead connection is still there, and with it its memory.
    disk.start_process(0);
    let before = disk.ops();
    assert_eq!(last(&disk), 1);
    let recovery = disk.ops() - before;
    assert_eq!(last(&disk), 1);
    assert!(recovery > disk.ops() - before - recovery, "the index was built anew");
    assert!(app.execute_batch("COMMIT").is_err());
    assert_eq!(last(&disk), 1);
}

/// Faults that are no crash: the process goes on, or its caller gives up and opens again.
const ERRORS: [FaultKind; 7] = [
    FaultKind::SyncFails { seed: 5 },
    FaultKind::Full,
    FaultKind::IoError,
    FaultKind::ReadError,
    FaultKind::Busy,
    FaultKind::CantOpen,
    FaultKind::ReadOnly,
];

#[test]
fn an_error_at_any_operation_loses_no_commit() {
    for kind in ERRORS {
        for sticky in [false, true] {
            let mut failed = 0;
            for at_op in 0.. {
                let disk = disk(Medium::Steady);
                disk.inject(Fault { at_op, kind, sticky });
                let progress = run(&disk);
                if disk.fired() == 0 {
                    assert_eq!(progress.committed, TRANSACTIONS);
                    break;
                }
                failed += u32::from(progress.committed < TRANSACTIONS);
                disk.clear_faults();
                assert!(!disk.is_down());
                assert_eq!(disk.locks_held(), 0, "{kind:?} at {at_op}");
                assert_nothing_lost(&disk, progress, &format!("{kind:?} at {at_op}, sticky {sticky}"));
                assert_works(&disk);
            }
            assert!(failed > 0, "{kind:?} hurts nobody");
        }
    }
}

#[test]
fn each_error_has_its_own_code() {
    let expected = |kind| match kind {
        FaultKind::SyncFails { .. } => rusqlite::ffi::SQLITE_IOERR_FSYNC,
        FaultKind::Full => rusqlite::ffi::SQLITE_FULL,
        FaultKind::IoError => rusqlite::ffi::SQLITE_IOERR_SHMLOCK,
        FaultKind::ReadError => rusqlite::ffi::SQLITE_IOERR_READ,
        // What SQLite says when it has asked a hundred times for any lock of a reader.
        FaultKind::Busy => rusqlite::ffi::SQLITE_PROTOCOL,
        FaultKind::CantOpen => rusqlite::ffi::SQLITE_CANTOPEN,
        _ => rusqlite::ffi::SQLITE_READONLY,
    };
    for kind in ERRORS {
        let disk = disk(Medium::Steady);
        let _entered = disk.enter();
        let mut connection = open().unwrap();
        // Another one changes the file, so that this one has something to read.
        add(&mut open().unwrap(), 1).unwrap();
        disk.inject(Fault::from(disk.ops(), kind));
        let error = match kind {
            FaultKind::CantOpen => {
                Connection::open(PATH).and_then(|new| new.execute_batch("SELECT * FROM step"))
            }
            _ => add(&mut connection, 2),
        };
        assert_eq!(extended(&error.unwrap_err()), expected(kind), "{kind:?}");
        assert!(disk.fired() > 0);
        disk.clear_faults();
        add(&mut connection, 2).unwrap();
    }
}

#[test]
fn after_a_failed_flush_only_opening_and_flushing_again_would_help() {
    // Goes on with the same connection, or opens anew: SQLite writes the frames again, or takes them from the
    // page cache, where they look whole. Counts what a power loss then takes of later, successful commits.
    let lost = |opens_anew: bool| {
        let mut lost = 0;
        for seed in 0..400 {
            let disk = disk(Medium::Flush);
            // Another connection keeps the WAL from being checkpointed at close.
            let _other = disk.with(|| open().unwrap());
            let mut connection = disk.with(|| open().unwrap());
            add(&mut connection, 1).unwrap();
            disk.inject(Fault::once(disk.ops(), FaultKind::SyncFails { seed }));
            assert_eq!(extended(&add(&mut connection, 2).unwrap_err()), rusqlite::ffi::SQLITE_IOERR_FSYNC);
            if opens_anew {
                drop(connection);
                disk.kill();
                disk.restart();
                connection = disk.with(|| open().unwrap());
            }
            let n: u32 = connection.query_row("SELECT n FROM total", [], |row| row.get(0)).unwrap();
            add(&mut connection, n + 1).unwrap();
            disk.power_off(seed);
            drop(connection);
            disk.restart();
            lost += u32::from(last(&disk) <= n);
        }
        lost
    };
    assert_eq!(lost(false), 0, "the same connection writes the frames again");
    assert!(lost(true) > 20, "recovered frames are taken for durable ones");
}

#[test]
fn memory_may_run_out_at_any_allocation() {
    for sticky in [false, true] {
        let mut failed = 0;
        for k in 0.. {
            let disk = disk(Medium::Steady);
            let plan = Allocations::fail_at(k, sticky);
            let progress = run(&disk);
            let (count, failures) = (plan.count(), plan.failed());
            drop(plan);
            if failures == 0 {
                assert_eq!(progress.committed, TRANSACTIONS);
                assert!(count > 100 && k == count, "{count}");
                break;
            }
            failed += u32::from(progress.committed < TRANSACTIONS);
            assert_nothing_lost(&disk, progress, &format!("allocation {k}, sticky {sticky}"));
            assert_works(&disk);
        }
        assert!(failed > 50, "{failed}");
    }
    let watch = Allocations::watch();
    disk(Medium::Steady).with(|| drop(open().unwrap()));
    assert!(watch.count() > 50 && watch.failed() == 0);
    assert_eq!(alloc::install(), Ok(()), "a second time nothing happens");
}

#[test]
fn the_nth_operation_of_a_kind_is_met_once() {
    let points = |kind: FaultKind| {
        let mut failed = 0;
        for n in 0.. {
            let disk = disk(Medium::Flush);
            disk.inject_nth(n, kind, false);
            let progress = run(&disk);
            if disk.fired() == 0 {
                assert_eq!(progress.committed, TRANSACTIONS);
                return (n, failed);
            }
            assert_eq!(disk.fired(), 1);
            failed += u32::from(progress.committed < TRANSACTIONS);
        }
        unreachable!()
    };
    let (ops, killed) = points(FaultKind::Kill);
    let (writes, torn) = points(FaultKind::Torn { seed: 1 });
    let (reads, _) = points(FaultKind::ReadError);
    let (syncs, unsynced) = points(FaultKind::SyncFails { seed: 1 });
    assert!(ops > writes && writes > syncs && syncs > u64::from(TRANSACTIONS), "{ops} {writes} {syncs}");
    assert!(killed > 0 && torn > 0 && unsynced > 0 && reads > 0);

    // To give a lock back fails for nobody who lives.
    let disk = disk(Medium::Steady);
    let mut connection = disk.with(|| open().unwrap());
    let mut n = 0;
    while disk.fired() == n {
        disk.inject_nth(n, FaultKind::IoError, false);
        let _ = add(&mut connection, u32::try_from(n).unwrap() + 1);
        disk.clear_faults();
        n += 1;
    }
    disk.clear_faults();
    add(&mut disk.with(|| open().unwrap()), 1_000).unwrap();
}

#[test]
fn the_dead_change_nothing() {
    let disk = disk(Medium::Flush);
    let mut dead = disk.with(|| open().unwrap());
    add(&mut dead, 1).unwrap();
    dead.execute_batch("BEGIN IMMEDIATE; INSERT INTO step VALUES (2, 'never')").unwrap();
    disk.kill();
    disk.restart();
    let mut alive = disk.with(|| open().unwrap());
    add(&mut alive, 2).unwrap();
    let (held, files, ops) = (disk.locks_held(), disk.files(), disk.ops());
    let wal = disk.image(&format!("{PATH}-wal"));
    assert_eq!(code(&dead.execute_batch("COMMIT").unwrap_err()), ErrorCode::SystemIoFailure);
    let _ = dead.close();
    assert_eq!((disk.locks_held(), disk.files(), disk.ops()), (held, files, ops));
    assert_eq!(disk.image(&format!("{PATH}-wal")), wal);
    add(&mut alive, 3).unwrap();
    drop(alive);
    assert_eq!(last(&disk), 3);
}

#[test]
fn a_snapshot_comes_back_here_and_elsewhere() {
    let disk = disk(Medium::Flush);
    let mut connection = disk.with(|| open().unwrap());
    add(&mut connection, 1).unwrap();
    connection.execute_batch("PRAGMA synchronous = OFF").unwrap();
    add(&mut connection, 2).unwrap();
    let (snapshot, unsynced) = (disk.snapshot(), disk.unsynced());
    assert!(unsynced > 0);
    add(&mut connection, 3).unwrap();
    disk.restore(&snapshot);
    assert_eq!(
        code(&connection.execute_batch("SELECT * FROM step").unwrap_err()),
        ErrorCode::SystemIoFailure
    );
    drop(connection);
    assert_eq!(disk.unsynced(), unsynced, "what was not flushed is not flushed now");
    let other = self::disk(Medium::Steady);
    other.restore(&snapshot);
    assert_eq!(last(&other), 2);
    let image = other.image(PATH).unwrap();
    let backup = self::disk(Medium::Flush);
    backup.put(PATH, image.clone());
    backup.power_off(3);
    backup.restart();
    assert_eq!(backup.image(PATH), Some(image));
    assert_eq!((last(&backup), last(&disk)), (2, 2));
    let ends: std::collections::BTreeSet<u32> = (0..64)
        .map(|seed| {
            disk.restore(&snapshot);
            disk.power_off(seed);
            disk.restart();
            last(&disk)
        })
        .collect();
    assert_eq!(ends, [1, 2].into(), "the power may take what was not flushed, or not");
}

#[test]
fn a_flipped_bit_is_read_as_it_lies() {
    let disk = disk(Medium::Steady);
    let progress = run(&disk);
    assert_eq!(progress.committed, TRANSACTIONS);
    let mut image = disk.image(PATH).unwrap();
    image[0] ^= 1;
    disk.put(PATH, image.clone());
    let read = || disk.with(|| Connection::open(PATH).and_then(|c| c.execute_batch("SELECT * FROM step")));
    assert_eq!(code(&read().unwrap_err()), ErrorCode::NotADatabase);
    image[0] ^= 1;
    disk.put(PATH, image);
    assert_eq!(last(&disk), TRANSACTIONS);
    assert_eq!(disk.image("/sim/nothing.db"), None);
}

#[test]
fn a_run_repeats_itself() {
    let trace = |fault: Option<Fault>| {
        let disk = disk(Medium::Flush);
        disk.with(reseed);
        fault.inspect(|fault| disk.inject(*fault));
        let progress = run(&disk);
        disk.restart();
        let last = last(&disk);
        (disk.trace(), disk.ops(), progress, last)
    };
    assert_eq!(trace(None), trace(None));
    let crash = |at_op| Some(Fault::once(at_op, FaultKind::Power { seed: at_op }));
    assert_eq!(trace(crash(90)), trace(crash(90)));
    assert_ne!(trace(crash(90)).0, trace(crash(91)).0);
}

#[test]
fn sqlite_sees_the_clock_of_the_disk() {
    let disk = disk(Medium::Steady);
    let _entered = disk.enter();
    let connection = Connection::open(PATH).unwrap();
    let now = || -> String { connection.query_row("SELECT datetime('now')", [], |row| row.get(0)).unwrap() };
    assert_eq!(now(), "2022-10-04 00:00:00");
    disk.set_clock(1_666_666_666_000);
    assert_eq!(now(), "2022-10-25 02:57:46");
}

#[test]
#[should_panic(expected = "a steady medium does not know")]
fn a_steady_medium_has_no_power_loss() {
    disk(Medium::Steady).power_off(0);
}

/// Days that the library records: enough for a WAL of several commits.
const DAYS: u32 = 4;

/// Records some days through the library; gives how many it said were recorded.
fn record(disk: &Disk, options: &Options) -> (u32, manbo::Result<()>) {
    let mut recorded = 0;
    let result = disk.with(|| {
        let source = Source::new("phone")?;
        let mut book = StepBook::open(PATH, options)?;
        for n in 1..=DAYS {
            let day = format!("2022-10-{n:02}").parse()?;
            book.record(&Reading::new(day, source, 1_000 + n), Now::on(day))?;
            recorded = n;
        }
        book.suspend()?;
        assert_eq!(disk.locks_held(), 0);
        book.resume()?;
        // A crash at the giving back of a lock goes unnoticed by SQLite.
        assert!(disk.locks_held() > 0 || disk.is_down());
        book.suspend()
    });
    (recorded, result)
}

fn recorded(disk: &Disk, options: &Options) -> u32 {
    disk.with(|| {
        let mut book = StepBook::open(PATH, options).unwrap();
        let statistics = book.statistics("2022-10-10".parse().unwrap()).unwrap();
        assert!(book.report().recovered.is_empty() && book.report().set_aside.is_empty());
        book.suspend().unwrap();
        assert_eq!(disk.locks_held(), 0);
        statistics.days_logged
    })
}

#[test]
fn the_library_runs_on_it_and_keeps_what_it_acknowledged() {
    let options = Options::new().busy_timeout(Duration::ZERO);
    for round in 0..3 {
        for at_op in 0.. {
            let kind = match round {
                0 => FaultKind::Kill,
                1 => FaultKind::Torn { seed: at_op },
                _ => FaultKind::Power { seed: at_op },
            };
            let disk = disk(Medium::Flush);
            disk.inject(Fault::once(at_op, kind));
            let (count, result) = record(&disk, &options);
            if disk.fired() == 0 {
                result.unwrap();
                assert!(count == DAYS && at_op > 100 && disk.files() == [PATH]);
                break;
            }
            disk.restart();
            let found = recorded(&disk, &options);
            assert!((count..=count + 1).contains(&found), "{kind:?} at {at_op}: {found} of {count}");
            assert!(!disk.deleted().iter().any(|name| name == PATH));
        }
    }
}

/// What the library may say of a fault; damage it must never see.
fn says(kind: FaultKind, error: &manbo::Error) -> bool {
    use manbo::Error;
    match kind {
        FaultKind::Full => matches!(error, Error::Full(_) | Error::Unreachable(_)),
        FaultKind::Busy => matches!(error, Error::Busy(_)),
        FaultKind::ReadOnly => matches!(error, Error::ReadOnly(_) | Error::Unreachable(_)),
        _ => matches!(error, Error::Unreachable(_)),
    }
}

#[test]
fn the_library_takes_no_error_for_damage() {
    let options = Options::new().busy_timeout(Duration::ZERO);
    for (kind, sticky) in ERRORS.iter().flat_map(|kind| [(*kind, false), (*kind, true)]) {
        for at_op in 0.. {
            let disk = disk(Medium::Steady);
            disk.inject(Fault { at_op, kind, sticky });
            let (count, result) = record(&disk, &options);
            let case = format!("{kind:?} at {at_op}, sticky {sticky}");
            if disk.fired() == 0 {
                break;
            }
            assert!(result.as_ref().err().is_none_or(|error| says(kind, error)), "{case}: {result:?}");
            assert_eq!(disk.locks_held(), 0, "{case}");
            disk.clear_faults();
            let found = recorded(&disk, &options);
            assert!((count..=count + 1).contains(&found), "{case}: {found} of {count}");
        }
    }
}

#[test]
fn the_library_takes_no_lack_of_memory_for_damage() {
    let options = Options::new().busy_timeout(Duration::ZERO);
    for sticky in [false, true] {
        // Lasting want of memory looks alike from neighbouring points.
        for k in (0..).step_by(if sticky { 11 } else { 1 }) {
            let disk = disk(Medium::Steady);
            let plan = Allocations::fail_at(k, sticky);
            let (count, result) = record(&disk, &options);
            let failed = plan.failed();
            drop(plan);
            if failed == 0 {
                result.unwrap();
                assert!(k > 100);
                break;
            }
            let is_named =
                result.as_ref().err().is_none_or(|error| matches!(error, manbo::Error::Unreachable(_)));
            assert!(is_named, "allocation {k}, sticky {sticky}: {result:?}");
            assert_eq!(disk.locks_held(), 0);
            let found = recorded(&disk, &options);
            assert!((count..=count + 1).contains(&found), "allocation {k}: {found} of {count}");
        }
    }
}
