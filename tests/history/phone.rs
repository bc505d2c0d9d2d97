//! Stores with a clock, and the calls that all these tests make.

use std::path::{Path, PathBuf};
use std::time::Duration;

use manbo::delivery::{Answer, Batch};
use manbo::{
    Counts, Day, Durability, Fact, IngestPolicy, Ledger, Now, Operation, Options, Reading, Register, Reply,
    Source, Store,
};

use crate::common::{SPAN, day};

pub(crate) const USER: &str = "ana";
pub(crate) const YEAR: Duration = Duration::from_secs(365 * 86_400);

pub(crate) fn folder() -> (tempfile::TempDir, PathBuf) {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let path = folder.path().join("steps.db");
    (folder, path)
}

pub(crate) fn device(history: Option<Duration>) -> Options {
    Options::new().durability(Durability::Normal).history(history)
}

pub(crate) fn server(history: Option<Duration>) -> Options {
    device(history).server("5f3a")
}

pub(crate) fn at(unix_ms: i64) -> Now {
    Now { unix_ms, today: day(SPAN) }
}

pub(crate) fn watch() -> Source {
    Source::new("watch").unwrap()
}

pub(crate) fn register(steps: u32) -> Register {
    Register { epoch: 0, counts: Some(Counts::new(steps, 0)) }
}

pub(crate) fn fact(day: Day, steps: u32) -> Fact {
    Fact::Cell { day, source: watch(), register: register(steps) }
}

pub(crate) fn read(store: &mut Store, n: i32, steps: u32, ms: i64) {
    let reading = Reading::new(day(n), watch(), steps);
    store.transact(USER, |ledger| Ok(ledger.apply(Operation::Read(&reading), at(ms))?)).map(drop).unwrap();
}

pub(crate) fn ingest(store: &mut Store, device: &str, facts: &[Fact], since: u64, ms: i64) -> Answer {
    let batch = Batch { ticket: 0, identity: None, since, facts: facts.to_vec() };
    let policy = IngestPolicy { latest_day: day(SPAN), recovery: false };
    match store.ingest(USER, device, &batch, policy, at(ms)).unwrap() {
        Reply::Receipt { answer, .. } => *answer,
        other => panic!("{other:?}"),
    }
}

/// What the store says that it was; `None` where it does not know.
pub(crate) fn facts_at(store: &mut Store, ms: i64) -> Option<Vec<Fact>> {
    store.as_of(USER, ms).unwrap().map(|ledger: Ledger| ledger.facts())
}

/// A step behind the store's back.
pub(crate) fn raw(path: &Path, sql: &str) -> usize {
    rusqlite::Connection::open(path).unwrap().execute(sql, []).unwrap()
}
