//! Real processes on one file: killed, dropped and opened again, and suspended while others work.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that is not there")]
#![allow(
    clippy::print_stdout,
    reason = "a child's acknowledgements and the figures of the run are its output"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use manbo::{Day, Durability, Error, Ledger, Now, Options, Reading, Rules, Source, StepBook};

/// The role of a child process; the parent runs without one.
const ROLE: &str = "MANBO_TEST_ROLE";
const FILE: &str = "MANBO_TEST_FILE";
/// How many days the writers turn over.
const DAYS: i32 = 40;
/// One end in four is a clean one, the others are kills.
const CLEAN_ENDS: u64 = 4;

fn day(n: i32) -> Day {
    "2026-03-01".parse::<Day>().unwrap().plus(n % DAYS)
}

fn now() -> Now {
    Now::on(day(DAYS - 1))
}

/// The schedule of a run by `SplitMix64`, the same every time as far as the machine allows.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn seconds() -> u64 {
    std::env::var("MANBO_SECONDS").map_or(10, |text| text.parse().unwrap())
}

/// Calls again as an app does that is told so: on a loaded machine another process may hold the file
/// longer than the time-out. Any other error ends the test.
fn persist<T>(mut call: impl FnMut() -> Result<T, Error>) -> T {
    loop {
        match call() {
            Err(error) if error.is_retryable() => {}
            result => return result.unwrap(),
        }
    }
}

/// The entry of every child: this same program, told its role by the environment.
#[test]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let file = std::env::var(FILE).unwrap();
    let durability = if role.ends_with(" normal") { Durability::Normal } else { Durability::Full };
    let mut book = persist(|| StepBook::open(&file, &Options::new().durability(durability)));
    match role.split_once(' ') {
        Some(("write", writer)) => write(&mut book, writer),
        Some(("suspend", _)) => hold_suspended(&mut book),
        Some(("batch", batch)) => record_batch(&mut book, batch),
        _ => unreachable!("no such role: {role}"),
    }
}

/// Records ever more steps and says so after each success, until standard input ends.
fn write(book: &mut StepBook, writer: &str) {
    let source = Source::new(writer).unwrap();
    let (asked_to_end, end) = channel::<()>();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_line(&mut String::new());
        drop(asked_to_end);
    });
    let start =
        book.ledger().unwrap().cells().iter().filter(|c| c.source == source).filter_map(|c| c.recorded).max();
    let mut steps = start.unwrap_or(0);
    let mut out = std::io::stdout().lock();
    for n in 0.. {
        steps += 1;
        persist(|| book.record(&Reading::new(day(n), source, steps), now()));
        writeln!(out, "recorded {} {steps}", day(n).number()).unwrap();
        out.flush().unwrap();
        if end.try_recv() == Err(std::sync::mpsc::TryRecvError::Disconnected) {
            break;
        }
    }
}

/// Works, suspends, says so, and waits to be asked on.
fn hold_suspended(book: &mut StepBook) {
    let source = Source::new("suspended").unwrap();
    for round in 1.. {
        persist(|| book.record(&Reading::new(day(0), source, round), now()));
        book.suspend().unwrap();
        println!("suspended");
        let mut line = String::new();
        if std::io::stdin().read_line(&mut line).unwrap() == 0 {
            return;
        }
        persist(|| book.resume());
    }
}

/// Records a batch of so many grown days between two lines, then the same batch again between two more:
/// `tests/tools/syscalls.py` counts the system calls in between.
fn record_batch(book: &mut StepBook, batch: &str) {
    let days: i32 = batch.split(' ').next().unwrap().parse().unwrap();
    let first: Day = "2025-01-01".parse().unwrap();
    let source = Source::new("health").unwrap();
    let grown = |steps| (0..days).map(|n| Reading::new(first.plus(n), source, steps)).collect::<Vec<_>>();
    // The file and its WAL exist, and the rows too: what is counted is growth.
    let _ = book.record_all(&grown(4_000), now()).unwrap();
    let _ = book.record_all(&grown(5_000), now()).unwrap();
    for word in ["grown", "again"] {
        let readings = grown(6_000);
        println!("{word} begins");
        let recorded = book.record_all(&readings, now()).unwrap();
        println!("{word} ends");
        assert!(recorded.refused.is_empty());
    }
}

fn spawn(role: &str, file: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(FILE, file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn lines(child: &mut Child) -> Receiver<String> {
    let (send, receive) = channel();
    let out = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
    receive
}

/// A writer that has begun, and when to end it.
struct Writer {
    child: Child,
    lines: Receiver<String>,
    source: Source,
    acknowledged: Vec<String>,
}

impl Writer {
    fn start(name: &str, file: &Path) -> Writer {
        let mut child = spawn(&format!("write {name}"), file);
        let lines = lines(&mut child);
        let mut acknowledged = Vec::new();
        // Only after its first success is there something to lose.
        while acknowledged.is_empty() {
            let line = lines.recv_timeout(Duration::from_secs(60)).expect("a writer never wrote");
            acknowledged.extend(line.starts_with("recorded").then_some(line));
        }
        Writer { child, lines, source: Source::new(name).unwrap(), acknowledged }
    }

    fn end(mut self, clean: bool) -> (Source, Vec<(Day, u32)>) {
        if clean {
            drop(self.child.stdin.take());
            assert!(self.child.wait().unwrap().success(), "a writer failed");
        } else {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
        self.acknowledged.extend(self.lines.iter());
        let parse = |line: &String| {
            let mut words = line.strip_prefix("recorded ")?.split(' ');
            let day = Day::from_number(words.next()?.parse().ok()?).ok()?;
            // A kill may cut the last line short: a number without its end is not an acknowledgement.
            Some((day, words.next()?.parse().ok()?))
        };
        (self.source, self.acknowledged.iter().filter_map(parse).collect())
    }
}

#[test]
fn no_acknowledged_row_is_lost_when_two_writers_are_killed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("steps.db");
    let mut seed = 20_261_121;
    let mut known: BTreeMap<(Source, Day), u32> = BTreeMap::new();
    let (mut cycles, mut kills, mut acknowledged) = (0_u32, 0_u32, 0_usize);
    let end = Instant::now() + Duration::from_secs(seconds());
    while Instant::now() < end {
        let writers = ["first", "second"].map(|name| Writer::start(name, &file));
        for writer in writers {
            std::thread::sleep(Duration::from_millis(2 + random(&mut seed) % 13));
            let clean = random(&mut seed).is_multiple_of(CLEAN_ENDS);
            kills += u32::from(!clean);
            let (source, rows) = writer.end(clean);
            acknowledged += rows.len();
            for (day, steps) in rows {
                let best = known.entry((source, day)).or_default();
                *best = steps.max(*best);
            }
        }
        cycles += 1;
        check(&file, &known);
    }
    println!("{cycles} cycles, {kills} kills, {acknowledged} acknowledged rows, 0 lost");
    assert!(kills > 0 && acknowledged > 0);
}

fn check(file: &Path, known: &BTreeMap<(Source, Day), u32>) {
    let mut book = StepBook::open(file, &Options::new()).unwrap();
    assert_eq!(*book.report(), manbo::Report::default(), "the file was damaged");
    let ledger = book.ledger().unwrap();
    for ((source, day), steps) in known {
        let stored = ledger.register(*day, source).counts.map_or(0, |counts| counts.recorded);
        assert!(stored >= *steps, "an acknowledged row of {source} is lost");
    }
    assert_eq!(ledger.pending_count(), ledger.cells().len(), "a cell without its pending mark");
    let fold = Ledger::load(*Rules::default().levels(), 0, ledger.facts()).unwrap();
    let all = Day::FIRST..Day::LAST;
    assert!(fold.days(all.clone()).eq(ledger.days(all)), "levels differ from the full fold");
}

/// The locks that the kernel holds on a database and its companions, as (process, line).
#[cfg(target_os = "linux")]
fn locks(file: &Path) -> Vec<(u32, String)> {
    let inodes: Vec<u64> = ["", "-wal", "-shm"]
        .iter()
        .filter_map(|suffix| std::fs::metadata(format!("{}{suffix}", file.display())).ok())
        .map(|file| file.ino())
        .collect();
    let locks = std::fs::read_to_string("/proc/locks").unwrap();
    let held = locks.lines().filter(|line| !line.contains("->")).filter_map(|line| {
        // 1: POSIX ADVISORY WRITE 4242 fd:00:1234 0 EOF
        let words: Vec<&str> = line.split_whitespace().collect();
        let inode: u64 = words.get(5)?.rsplit(':').next()?.parse().ok()?;
        Some((inode, words.get(4)?.parse().ok()?, line.to_owned()))
    });
    held.filter(|(inode, ..)| inodes.contains(inode)).map(|(_, process, line)| (process, line)).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn suspend_leaves_no_lock_while_another_process_works() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("steps.db");
    let mut book = StepBook::open(&file, &Options::new()).unwrap();
    book.record(&Reading::new(day(1), Source::new("here").unwrap(), 1), now()).unwrap();
    assert!(!locks(&file).is_empty(), "an open book holds locks, or this test sees none");

    let mut held = spawn("suspend -", &file);
    let said = lines(&mut held);
    let wait = |said: &Receiver<String>| {
        // The first line begins with the test runner's own words.
        while !said
            .recv_timeout(Duration::from_secs(60))
            .expect("the child never suspended")
            .ends_with("suspended")
        {}
    };
    let writer = Writer::start("other", &file);
    for _ in 0..50 {
        wait(&said);
        let process = held.id();
        assert_eq!(locks(&file).into_iter().find(|(pid, _)| *pid == process), None);
        let open = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
        let files = open.filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok());
        assert!(!files.into_iter().any(|f| f.starts_with(folder.path())), "a file is still open");
        writeln!(held.stdin.as_mut().unwrap(), "go on").unwrap();
    }
    drop(held.stdin.take());
    assert!(held.wait().unwrap().success());
    let (source, rows) = writer.end(true);
    assert!(!rows.is_empty());
    book.suspend().unwrap();
    assert_eq!(locks(&file), []);
    book.resume().unwrap();
    let (last_day, steps) = rows[rows.len() - 1];
    assert_eq!(book.register(last_day, source).unwrap().counts.unwrap().recorded, steps);
}
