//! What was acknowledged or handed out is on the medium, whatever the processes before went through.

use std::panic::{AssertUnwindSafe, catch_unwind};

use manbo::delivery::Next;
use manbo::{Code, Fact, Reading, StepBook};
use manbo_sim::vfs::{Disk, FaultKind, Medium};
use rusqlite::Connection;

use super::harness::copy;
use super::scenarios::{at, day, few_days, on, options, phone};
use super::state::{PATH, check, look};

/// Power losses a case: every style of image comes several times.
const SEEDS: u64 = 32;
/// Failed flushes a case: a quarter of them take all, a quarter some of what was to be flushed.
const FLUSH_SEEDS: u64 = 128;
/// Failed flushes for each operation that fails after them.
const SEEDS_A_FAULT: u64 = 4;
/// More operations than to open a file and to commit twice takes of any kind.
const OPERATIONS: u64 = 60;

fn base() -> Disk {
    let disk = Disk::new(Medium::Flush, 1);
    few_days(&disk);
    disk.restart();
    disk
}

fn open(disk: &Disk) -> StepBook {
    disk.with(|| StepBook::open(PATH, &options()).unwrap())
}

fn raw(disk: &Disk) -> Connection {
    disk.with(|| Connection::open(PATH).unwrap())
}

/// Cuts the power; gives the facts that are there then.
fn facts_after(disk: &Disk, seed: u64, case: &str) -> Vec<Fact> {
    if !disk.is_down() {
        disk.power_off(seed);
    }
    disk.restart();
    look(disk, case);
    check(disk, &options(), case);
    let mut book = open(disk);
    let facts = book.ledger().unwrap().facts();
    assert_eq!(book.pending().unwrap().len(), facts.len(), "{case}: nothing was answered");
    book.suspend().unwrap();
    facts
}

/// A file in which a process died at the n-th operation of a commit; `None` when it came through.
fn killed_at(n: u64) -> Option<Disk> {
    let disk = base();
    let mut book = open(&disk);
    book.record(&phone(4, 4_000), on(4)).unwrap();
    disk.inject_nth(n, FaultKind::Kill, false);
    book.record(&phone(4, 4_500), on(4)).err()?;
    drop(book);
    disk.restart();
    Some(disk)
}

fn is_newer(fact: &Fact) -> bool {
    matches!(fact, Fact::Cell { day: of, register, .. }
        if *of == day(4) && register.counts.is_some_and(|counts| counts.recorded == 4_500))
}

#[test]
fn a_batch_is_durable_before_it_is_handed_out() {
    let (mut recovered, mut raw_seen, mut raw_lost) = (0, 0, 0);
    for n in 0.. {
        let Some(disk) = killed_at(n) else { break };
        for seed in 0..SEEDS {
            let case = format!("killed at {n}, power {seed}");
            let library = copy(&disk.snapshot());
            let mut book = open(&library);
            let next = book.next_delivery(at(4, 1)).unwrap();
            let Next::Upload(batch) = next else { panic!("{case}: {next:?}") };
            let facts = facts_after(&library, seed, &case);
            drop(book);
            assert!(batch.facts.iter().all(|fact| facts.contains(fact)), "{case}: a sent fact is gone");
            recovered += u32::from(batch.facts.iter().any(is_newer));

            // The same without the library's commit before it hands anything out.
            let bare = copy(&disk.snapshot());
            let connection = raw(&bare);
            let sql = "SELECT max(recorded) FROM cell WHERE day = (SELECT max(day) FROM cell)";
            let seen: u32 = connection.query_row(sql, [], |row| row.get(0)).unwrap();
            let facts = facts_after(&bare, seed, &case);
            drop(connection);
            raw_seen += u32::from(seen == 4_500);
            raw_lost += u32::from(seen == 4_500 && !facts.iter().any(is_newer));
        }
    }
    println!("handed out after a kill | {recovered} recovered, 0 lost | bare: {raw_lost} of {raw_seen} lost");
    assert!(recovered > 0 && raw_lost > 0, "{recovered} {raw_lost} of {raw_seen}");
}

/// The commit whose flush fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unflushed {
    /// In the pages of the commit before it.
    Record,
    /// In a page of its own, too.
    Attend,
}

/// A file whose last commit's flush failed, after which the process died.
fn unflushed(which: Unflushed, seed: u64) -> Disk {
    let disk = base();
    let mut book = open(&disk);
    book.record(&phone(4, 4_000), on(4)).unwrap();
    disk.inject_nth(0, FaultKind::SyncFails { seed }, false);
    let failed = match which {
        Unflushed::Record => book.record(&phone(3, 3_500), on(4)).map(drop),
        Unflushed::Attend => book.attend(day(4), on(4)),
    };
    assert_eq!(failed.unwrap_err().code(), Code::StorageLocked);
    disk.kill();
    drop(book);
    disk.restart();
    disk
}

/// A new process on such a file.
#[derive(Debug, Clone, Copy)]
struct Case {
    which: Unflushed,
    /// How many readings it records, each in a commit.
    commits: u32,
    /// Whether it is handed a batch then.
    sends: bool,
    /// The n-th operation of a kind fails meanwhile.
    fault: Option<(u64, FaultKind)>,
}

/// What a power loss leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    Whole,
    Lost,
    Damaged,
}

/// What becomes of a new process when the power fails after it.
fn goes_on(case: Case, seed: u64) -> Ends {
    let Case { which, commits, sends, fault } = case;
    let disk = unflushed(which, seed);
    if let Some((n, kind)) = fault {
        disk.inject_nth(n, kind, false);
    }
    let name = format!("{case:?}, seed {seed}");
    let mut acknowledged = vec![phone(4, 4_000)];
    let mut sent = Vec::new();
    let opened = disk.with(|| StepBook::open(PATH, &options()));
    if let Ok(mut book) = opened {
        for n in 1..=commits {
            let reading = phone(1, 8_000 + n);
            if book.record(&reading, on(4)).is_ok() {
                acknowledged.push(reading);
            }
        }
        if sends && let Ok(Next::Upload(batch)) = book.next_delivery(at(4, 1)) {
            sent = batch.facts;
        }
        disk.clear_faults();
        disk.power_off(seed);
        drop(book);
    } else {
        disk.clear_faults();
        disk.power_off(seed);
    }
    let after = catch_unwind(AssertUnwindSafe(|| facts_after(&disk, seed, &name)));
    let Ok(facts) = after else { return Ends::Damaged };
    let is_there = |reading: &Reading| {
        facts.iter().any(|fact| {
            matches!(fact, Fact::Cell { day, source, register }
                if (*day, *source) == (reading.day, reading.source)
                    && register.counts.is_some_and(|counts| counts.recorded >= reading.counts.recorded))
        })
    };
    let is_whole = acknowledged.iter().all(is_there) && sent.iter().all(|fact| facts.contains(fact));
    if is_whole { Ends::Whole } else { Ends::Lost }
}

/// How many of some seeds lose what was acknowledged or sent, and how many leave a file that is neither.
fn count(case: Case, seeds: u64) -> (usize, usize) {
    let ends: Vec<Ends> = (0..seeds).map(|seed| goes_on(case, seed)).collect();
    let of = |kind| ends.iter().filter(|end| **end == kind).count();
    (of(Ends::Lost), of(Ends::Damaged))
}

#[test]
fn after_a_failed_flush_and_a_new_process_nothing_acknowledged_is_lost() {
    let mut broken = Vec::new();
    for which in [Unflushed::Record, Unflushed::Attend] {
        for (commits, sends) in [(0, false), (1, false), (2, false), (3, false), (0, true), (1, true)] {
            let case = Case { which, commits, sends, fault: None };
            let (lost, damaged) = count(case, FLUSH_SEEDS);
            println!("after a failed flush | {case:?} | {lost} lost, {damaged} damaged of {FLUSH_SEEDS}");
            if lost + damaged > 0 {
                broken.push((case, lost, damaged));
            }
        }
    }
    assert!(broken.is_empty(), "(case, lost, damaged) of {FLUSH_SEEDS}: {broken:#?}");
}

/// What plain SQLite makes of such a file, so that it is known what the library has to do about it: how often a
/// commit that was acknowledged is gone, and how often the file is a mixture.
#[test]
fn only_a_checkpoint_before_the_next_commit_saves_it() {
    const COMMIT: &str = "UPDATE cell SET manual = 77 WHERE day = (SELECT max(day) FROM cell);";
    const PASSIVE: &str = "PRAGMA wal_checkpoint(PASSIVE);";
    const TRUNCATE: &str = "PRAGMA wal_checkpoint(TRUNCATE);";
    let gone = |which: Unflushed, script: &[&str]| {
        let (mut lost, mut mixed) = (0, 0);
        for seed in 0..FLUSH_SEEDS {
            let disk = unflushed(which, seed);
            let connection = raw(&disk);
            connection.execute_batch(&script.concat()).unwrap();
            disk.power_off(seed);
            drop(connection);
            disk.restart();
            let after = catch_unwind(AssertUnwindSafe(|| look(&disk, "bare")));
            match after {
                Ok(rows) => lost += u32::from(!rows.iter().any(|row| row.contains("Integer(77)"))),
                Err(_) => mixed += 1,
            }
        }
        println!("bare | {which:?}, {script:?} | {lost} lost, {mixed} mixed of {FLUSH_SEEDS}");
        (lost, mixed)
    };
    for which in [Unflushed::Record, Unflushed::Attend] {
        assert!(gone(which, &[COMMIT]).0 > 0, "a commit after the unflushed one is in danger");
        let (lost, mixed) = gone(which, &[COMMIT, PASSIVE]);
        assert!(lost + mixed > 0, "older frames that the medium has hide what the checkpoint moved");
        let (lost, mixed) = gone(which, &[COMMIT, TRUNCATE]);
        assert!(lost + mixed > 0, "the WAL is cut, and nothing flushes that");
        assert_eq!(
            gone(which, &[PASSIVE, COMMIT]),
            (0, 0),
            "the commit begins the WAL anew, and flushes that"
        );
        assert_eq!(
            gone(which, &[TRUNCATE, COMMIT]),
            (0, 0),
            "the commit begins the WAL anew, and flushes that"
        );
    }
}

#[test]
fn a_fault_while_recovered_commits_are_flushed_endangers_nothing() {
    let mut broken = Vec::new();
    let mut points = 0;
    // Not Busy: a lock that is held is another process's, and then nothing is taken over from a WAL.
    for kind in [FaultKind::Full, FaultKind::IoError, FaultKind::ReadError] {
        // Beyond the last operation nothing fails any more.
        for n in 0..OPERATIONS {
            let case = Case { which: Unflushed::Record, commits: 2, sends: false, fault: Some((n, kind)) };
            let (lost, damaged) = count(case, SEEDS_A_FAULT);
            points += SEEDS_A_FAULT;
            if lost + damaged > 0 {
                broken.push((kind, n, lost, damaged));
            }
        }
    }
    println!(
        "after a failed flush, and a fault | {points} points, {} operations endanger a commit",
        broken.len()
    );
    assert!(broken.is_empty(), "(kind, operation, lost, damaged) of {SEEDS_A_FAULT}: {broken:?}");
}
