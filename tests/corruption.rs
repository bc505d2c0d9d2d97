//! Damage at random places of a file that syncs: flipped, zeroed, cut off, exchanged, in the database, its WAL
//! and its index; on a device and on a server. Afterwards it is opened, mended and synced: no wrong number, and
//! whatever the other side knew is back.
//!
//! `MANBO_CASES` says how many places, `MANBO_SEED` where they begin.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on must say so at once")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use manbo::delivery::{Moment, Next, Trigger};
use manbo::{
    Correction, Counts, Day, Durability, Fact, IngestPolicy, Moderation, Now, Options, Reading, Source,
    StepBook, Store, moderate, wire,
};

const USER: &str = "walker";
const CASES_DEFAULT: u64 = 300;
const DAYS: i32 = 150;
const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];
/// Later than any wait of delivery, so that each round of a sync may send.
const ROUND_MS: i64 = 2 * 86_400_000;

type Files = BTreeMap<&'static str, Vec<u8>>;

fn day(n: i32) -> Day {
    Day::from_ymd(2024, 3, 1).unwrap().plus(n)
}

fn now() -> Now {
    Now::on(day(DAYS))
}

fn watch() -> Source {
    Source::new("watch").unwrap()
}

fn device_options() -> Options {
    Options::new().durability(Durability::Normal).install_id("phone-1").user(USER)
}

fn server_options() -> Options {
    Options::new().durability(Durability::Normal).server("corruption")
}

/// `SplitMix64`: the same places everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }
}

/// Syncs until nothing is left to do, with the text that would travel.
///
/// A server that lost rows runs in recovery mode: its own corrections come back from the devices.
fn sync(book: &mut StepBook, server: &mut Store, rounds: i64, recovery: bool, case: &str) {
    for round in 0..rounds {
        let now = Now { unix_ms: now().unix_ms + round * ROUND_MS, ..now() };
        let moment = Moment { now, seed: 1 };
        book.trigger_delivery(Trigger::Foreground, now).unwrap_or_else(|error| panic!("{case}: {error:?}"));
        while let Next::Upload(batch) =
            book.next_delivery(moment).unwrap_or_else(|error| panic!("{case}: {error:?}"))
        {
            let sent = wire::read_upload(wire::upload(&batch).as_bytes()).unwrap();
            let policy = IngestPolicy { recovery, ..IngestPolicy::at(now.unix_ms) };
            let reply = server
                .ingest(USER, "phone", &sent, policy, now)
                .unwrap_or_else(|error| panic!("{case}: {error:?}"));
            let outcome = wire::read_reply(reply.status(), None, reply.body().as_bytes(), now.unix_ms);
            let told = book.report_delivery(Some(batch.ticket), &outcome, moment);
            drop(told.unwrap_or_else(|error| panic!("{case}: {error:?}")));
        }
    }
}

/// A device and a server as they are before the damage, with everything that was ever true.
struct Template {
    device: Files,
    server: Files,
    /// What the device held, what the server held.
    facts: [BTreeSet<String>; 2],
    ever: BTreeSet<String>,
}

fn text(fact: &Fact) -> String {
    serde_json::to_string(fact).unwrap()
}

fn texts(facts: &[Fact]) -> BTreeSet<String> {
    facts.iter().map(text).collect()
}

fn files(folder: &Path, name: &str) -> Files {
    SUFFIXES
        .iter()
        .filter_map(|suffix| Some((*suffix, std::fs::read(folder.join(format!("{name}{suffix}"))).ok()?)))
        .collect()
}

/// Half of the history is synced, then some of it grows and more comes, with a WAL that waits or without one.
fn template(folder: &Path, with_wal: bool) -> Template {
    let (device, server) = (folder.join("steps.db"), folder.join("server.db"));
    let mut book = StepBook::open(&device, &device_options()).unwrap();
    let mut store = Store::open(&server, &server_options()).unwrap();
    let mut ever = BTreeSet::new();
    let readings = |days: std::ops::Range<i32>, more: u32| -> Vec<Reading> {
        let steps = |n: i32| 4_000 + 37 * n.unsigned_abs() + more;
        days.map(|n| Reading::new(day(n), watch(), steps(n)).with_manual(n.unsigned_abs() % 3)).collect()
    };
    let _ = book.record_all(&readings(0..DAYS - 10, 0), now()).unwrap();
    for n in (0..DAYS - 10).step_by(4) {
        book.attend(day(n), now()).unwrap();
    }
    ever.extend(texts(&book.ledger().unwrap().facts()));
    sync(&mut book, &mut store, 2, false, "before");
    let correction =
        Correction { day: day(3), source: watch(), to: Some(Counts::new(99, 0)), reason: "shaken" };
    let corrected = |ledger: &mut manbo::Ledger| {
        moderate(ledger, Moderation::Correct(&correction), now()).map_err(manbo::Error::from)
    };
    store.transact(USER, corrected).map(drop).unwrap();
    sync(&mut book, &mut store, 3, false, "before");
    ever.extend(texts(&book.ledger().unwrap().facts()));
    if !with_wal {
        book.suspend().unwrap();
        store.suspend().unwrap();
        book.resume().unwrap();
        store.resume().unwrap();
    }
    let _ = book.record_all(&readings(DAYS - 20..DAYS, 500), now()).unwrap();
    ever.extend(texts(&book.ledger().unwrap().facts()));
    let facts = [texts(&book.ledger().unwrap().facts()), texts(&store.read(USER).unwrap().facts())];
    if !with_wal {
        book.suspend().unwrap();
        store.suspend().unwrap();
    }
    let template =
        Template { device: files(folder, "steps.db"), server: files(folder, "server.db"), facts, ever };
    assert_eq!(template.device.contains_key("-wal"), with_wal);
    template
}

/// Damages one file in one way; says which.
fn damage(files: &mut Files, other: &Files, random: &mut Random) -> String {
    let names: Vec<&'static str> = files.keys().copied().collect();
    let name = names[random.below(names.len())];
    let bytes = files.get_mut(name).unwrap();
    let (at, len) = (random.below(bytes.len()), 1 + random.below(600));
    let end = (at + len).min(bytes.len());
    let what = match random.below(6) {
        0 => {
            let bit = random.below(8);
            bytes[at] ^= 1 << bit;
            format!("bit {bit} of {at} flipped")
        }
        1 => {
            bytes[at..end].fill(0);
            format!("{at}..{end} zeroed")
        }
        2 => {
            bytes[at..end].fill_with(|| random.next().to_le_bytes()[0]);
            format!("{at}..{end} garbage")
        }
        3 => {
            bytes.truncate(at);
            format!("cut at {at}")
        }
        4 => {
            let (page, with) = (at / 4_096 * 4_096, random.below(bytes.len()) / 4_096 * 4_096);
            let last = bytes.len().saturating_sub(4_096);
            let (page, with) = (page.min(last), with.min(last));
            for i in 0..4_096.min(bytes.len() - page.max(with)) {
                bytes.swap(page + i, with + i);
            }
            format!("pages at {page} and {with} exchanged")
        }
        _ => {
            // The same file of another ledger, as a careless restore leaves it.
            let foreign = other.get(name).cloned().unwrap_or_default();
            *bytes = foreign;
            "exchanged with another ledger's".to_owned()
        }
    };
    format!("db{name}: {what}")
}

fn put(folder: &Path, name: &str, files: &Files) {
    for (suffix, bytes) in files {
        std::fs::write(folder.join(format!("{name}{suffix}")), bytes).unwrap();
    }
}

fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// A ledger of somebody else, whose files may end up in place of ours.
fn stranger() -> Files {
    let folder = folder();
    let path = folder.path().join("steps.db");
    let mut book = StepBook::open(&path, &device_options()).unwrap();
    book.record(&Reading::new(day(1), watch(), 4_037).with_manual(1), now()).unwrap();
    files(folder.path(), "steps.db")
}

/// Opens both sides after the damage, syncs, and looks.
fn check(template: &Template, damaged: usize, files: [&Files; 2], case: &str) -> Option<&'static str> {
    let folder = folder();
    put(folder.path(), "steps.db", files[0]);
    put(folder.path(), "server.db", files[1]);
    let mut book = match StepBook::open(folder.path().join("steps.db"), &device_options()) {
        Ok(book) => book,
        Err(error) => {
            assert!(!error.is_retryable(), "{case}: {error}");
            return Some(error.code().as_str());
        }
    };
    let mut store = match Store::open(folder.path().join("server.db"), &server_options()) {
        Ok(store) => store,
        Err(error) => {
            assert!(!error.is_retryable(), "{case}: {error}");
            return Some(error.code().as_str());
        }
    };
    let held = [
        texts(&book.ledger().unwrap().facts()),
        texts(&store.read(USER).unwrap_or_else(|error| panic!("{case}: {error}")).facts()),
    ];
    let is_true = |fact: &String| template.ever.contains(fact) || fact.contains("\"recovered-");
    for held in &held {
        let wrong: Vec<&String> = held.iter().filter(|fact| !is_true(fact)).collect();
        assert!(wrong.is_empty(), "{case}: wrong numbers {wrong:?}");
    }
    let report = if damaged == 0 { book.report() } else { store.report() };
    if case.starts_with("db:")
        && *report == manbo::Report::default()
        && held[damaged] != template.facts[damaged]
    {
        // Only a file that is as good as none may say nothing.
        assert!(held[damaged].is_empty() || case.contains("another"), "{case}: nobody said so");
    }
    sync(&mut book, &mut store, 5, damaged == 1, case);
    let (device, server) = (book.ledger().unwrap().clone(), store.read(USER).unwrap());
    let (here, there) = (texts(&device.facts()), texts(&server.facts()));
    // A correction whose source lost its name is the device's word only: refused, and shown as that.
    let parked: BTreeSet<String> = book.parked().unwrap().iter().map(|refused| text(&refused.fact)).collect();
    let only_here = here.difference(&there).find(|fact| !parked.contains(*fact));
    assert_eq!(only_here, None, "{case}: only on the device after the sync");
    assert_eq!(there.difference(&here).next(), None, "{case}: only on the server after the sync");
    assert_eq!(device.pending_count(), 0, "{case}: something is stuck");
    // What the side that was not damaged held is on both sides: nothing of it was lost.
    for fact in &template.facts[1 - damaged] {
        let fact: Fact = serde_json::from_str(fact).unwrap();
        let known = match fact {
            Fact::Cell { day, source, register } => {
                let there = device.register(day, &source);
                there.join(register) == there
            }
            Fact::Attended(day) => device.attended(day),
        };
        assert!(known, "{case}: a fact of the sound side did not come back");
    }
    None
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

#[test]
fn damage_anywhere_costs_no_truth_that_the_other_side_knows() {
    let (with_wal, closed) = (folder(), folder());
    let templates = [template(with_wal.path(), true), template(closed.path(), false)];
    let stranger = stranger();
    let (cases, seed) = (number("MANBO_CASES", CASES_DEFAULT), number("MANBO_SEED", 20_261_121));
    let mut refused = Vec::new();
    for number in 0..cases {
        let mut random = Random(seed.wrapping_add(number).wrapping_mul(0x2545_f491_4f6c_dd1d));
        let template = &templates[random.below(2)];
        let damaged = usize::from(random.below(3) == 0);
        let mut files = [template.device.clone(), template.server.clone()];
        let what = damage(&mut files[damaged], &stranger, &mut random);
        let side = ["device", "server"][damaged];
        let case = format!("{what} ({side}, case {number})");
        if let Some(code) = check(template, damaged, [&files[0], &files[1]], &case) {
            refused.push(format!("{code}: {case}"));
        }
    }
    eprintln!("{cases} places, opening refused: {refused:?}");
    assert!(
        u64::try_from(refused.len()).unwrap() * 1_000 <= cases,
        "more than one in a thousand could not be opened"
    );
}
