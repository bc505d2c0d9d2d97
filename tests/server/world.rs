//! A service on a store, and phones that talk to it in the wire's text.

use std::path::{Path, PathBuf};

use manbo::delivery::{Answer, Batch, Moment, Next, Outcome, Reported};
use manbo::wire::{self, Problem};
use manbo::{
    Code, Day, Durability, Erased, Error, Fact, IngestPolicy, Now, Options, Reading, Source, StepBook, Store,
    UtcOffset,
};

/// Noon of 2022-10-04.
pub(crate) const NOON_MS: i64 = 1_664_884_800_000;
pub(crate) const DAY_MS: i64 = 86_400_000;
/// Rounds of a device until it has nothing left to do: ten years of five sources take a hundred.
const ROUNDS_MAX: usize = 400;

pub(crate) fn day(text: &str) -> Day {
    text.parse().unwrap()
}

/// So many days before 2022-10-04.
pub(crate) fn ago(days: i32) -> Day {
    day("2022-10-04").plus(-days)
}

pub(crate) fn at(unix_ms: i64) -> Now {
    Now::at(unix_ms, UtcOffset::UTC)
}

pub(crate) fn source(name: &str) -> Source {
    Source::new(name).unwrap()
}

/// Power cuts are the subject of other tests.
pub(crate) fn options() -> Options {
    Options::new().durability(Durability::Normal)
}

/// What an HTTP client sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Http {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Http {
    pub(crate) fn outcome(&self) -> Outcome {
        wire::read_reply(self.status, None, self.body.as_bytes(), NOON_MS)
    }

    #[track_caller]
    pub(crate) fn receipt(&self) -> Answer {
        assert_eq!(self.status, 200, "{}", self.body);
        wire::read_receipt(self.body.as_bytes()).unwrap()
    }
}

/// A service as `examples/sync` shows it, without the sockets.
pub(crate) struct Service {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) store: Store,
    pub(crate) now_ms: i64,
    pub(crate) recovery: bool,
}

impl Service {
    pub(crate) fn new() -> Service {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("server.db"), &options().server("first life")).unwrap();
        Service { folder, store, now_ms: NOON_MS, recovery: false }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("server.db")
    }

    pub(crate) fn now(&self) -> Now {
        at(self.now_ms)
    }

    /// Answers a body that came with the credentials of a user.
    pub(crate) fn post(&mut self, user: &str, body: &str) -> Http {
        let refused = |code| match code {
            Code::BatchTooLarge => Http { status: 413, body: wire::problem(Problem::BatchTooLarge, None) },
            _ => Http { status: 400, body: wire::problem(Problem::BadValue, None) },
        };
        let batch = match wire::read_upload(body.as_bytes()) {
            Ok(batch) => batch,
            Err(error) => return refused(error.code()),
        };
        let policy = IngestPolicy { recovery: self.recovery, ..IngestPolicy::at(self.now_ms) };
        match self.store.ingest(user, "phone", &batch, policy, at(self.now_ms)) {
            Ok(reply) => Http { status: reply.status(), body: reply.body() },
            Err(Error::Refused(refusal)) => refused(refusal.code()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Answers facts that no device of ours sent.
    pub(crate) fn post_facts(&mut self, user: &str, facts: Vec<Fact>) -> Http {
        let batch = Batch { ticket: 0, identity: None, since: 0, facts };
        self.post(user, &wire::upload(&batch))
    }

    pub(crate) fn erase(&mut self, user: &str) -> Erased {
        self.store.erase(user, at(self.now_ms)).unwrap()
    }

    pub(crate) fn digest(&mut self, user: &str) -> String {
        self.store.read(user).unwrap().digest().to_string()
    }

    pub(crate) fn facts(&mut self, user: &str) -> Vec<Fact> {
        self.store.read(user).unwrap().facts()
    }

    /// A copy of the file, as a backup at rest is.
    pub(crate) fn back_up(&mut self) -> Vec<u8> {
        self.store.suspend().unwrap();
        let copy = std::fs::read(self.path()).unwrap();
        self.store.resume().unwrap();
        copy
    }

    pub(crate) fn restore(&mut self, backup: &[u8]) {
        self.store.suspend().unwrap();
        put_file(&self.path(), backup);
        self.store.resume().unwrap();
    }
}

/// Puts a file where a ledger was, without what lay beside it.
fn put_file(path: &Path, content: &[u8]) {
    for suffix in ["-wal", "-shm"] {
        let mut beside = path.as_os_str().to_owned();
        beside.push(suffix);
        let _ = std::fs::remove_file(PathBuf::from(beside));
    }
    std::fs::write(path, content).unwrap();
}

/// A device with a clock of its own.
pub(crate) struct Phone {
    folder: tempfile::TempDir,
    pub(crate) book: StepBook,
    pub(crate) user: &'static str,
    pub(crate) now_ms: i64,
    /// Batches sent.
    pub(crate) sent: usize,
    /// What the person was told.
    pub(crate) notices: Vec<manbo::delivery::Notice>,
    pub(crate) stalls: usize,
}

impl Phone {
    pub(crate) fn of(user: &'static str) -> Phone {
        let folder = tempfile::tempdir().unwrap();
        let book = StepBook::open(folder.path().join("steps.db"), &options()).unwrap();
        Phone { folder, book, user, now_ms: NOON_MS, sent: 0, notices: Vec::new(), stalls: 0 }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("steps.db")
    }

    /// A process that knows nothing but the file.
    pub(crate) fn reopen(&mut self) {
        self.book = StepBook::open(self.path(), &options()).unwrap();
    }

    pub(crate) fn back_up(&mut self) -> Vec<u8> {
        self.book.suspend().unwrap();
        let copy = std::fs::read(self.path()).unwrap();
        self.book.resume().unwrap();
        copy
    }

    pub(crate) fn restore(&mut self, backup: &[u8]) {
        self.book.suspend().unwrap();
        put_file(&self.path(), backup);
        self.reopen();
    }

    pub(crate) fn now(&self) -> Now {
        at(self.now_ms)
    }

    /// The seed is the number of the batch: different each time, the same in every run.
    pub(crate) fn moment(&self) -> Moment {
        Moment { now: self.now(), seed: self.sent as u64 }
    }

    pub(crate) fn walk(&mut self, on: Day, steps: u32) {
        self.book.record(&Reading::new(on, source("watch"), steps), self.now()).unwrap();
    }

    pub(crate) fn attend(&mut self, on: Day) {
        self.book.attend(on, self.now()).unwrap();
    }

    pub(crate) fn next(&mut self) -> Next {
        let moment = self.moment();
        self.book.next_delivery(moment).unwrap()
    }

    #[track_caller]
    pub(crate) fn upload(&mut self) -> Batch {
        match self.next() {
            Next::Upload(batch) => {
                self.sent += 1;
                batch
            }
            other => panic!("expected an upload, got {other:?}"),
        }
    }

    pub(crate) fn report(&mut self, of: Option<u64>, outcome: &Outcome) -> Reported {
        let moment = self.moment();
        let told = self.book.report_delivery(of, outcome, moment).unwrap();
        self.notices.extend(told.notices.iter().cloned());
        told
    }

    /// One batch there and its answer back.
    #[track_caller]
    pub(crate) fn exchange(&mut self, service: &mut Service) -> Http {
        let batch = self.upload();
        let answer = service.post(self.user, &wire::upload(&batch));
        let _ = self.report(Some(batch.ticket), &answer.outcome());
        answer
    }

    /// As a host does: sends, waits, is told, until nothing is left to do.
    #[track_caller]
    pub(crate) fn sync(&mut self, service: &mut Service) {
        for _ in 0..ROUNDS_MAX {
            match self.next() {
                Next::Idle => return,
                Next::Upload(batch) => {
                    self.sent += 1;
                    let answer = service.post(self.user, &wire::upload(&batch));
                    let _ = self.report(Some(batch.ticket), &answer.outcome());
                }
                Next::Wait { until_ms } | Next::Paused { until_ms } => self.now_ms = until_ms,
                Next::Stalled => self.stalls += 1,
            }
        }
        panic!("it never came to rest");
    }

    /// Asks the server what is new, as a day later it does by itself.
    #[track_caller]
    pub(crate) fn pull(&mut self, service: &mut Service) {
        self.now_ms += DAY_MS;
        self.sync(service);
    }

    pub(crate) fn digest(&mut self) -> String {
        self.book.digest().unwrap().to_string()
    }

    pub(crate) fn facts(&mut self) -> Vec<Fact> {
        self.book.ledger().unwrap().facts()
    }

    pub(crate) fn pending(&mut self) -> usize {
        self.book.pending_count().unwrap()
    }

    /// Everything that a person would miss: facts, what waits, what was refused.
    pub(crate) fn state(&mut self) -> (Vec<Fact>, Vec<Fact>, Vec<manbo::Refused>) {
        (self.facts(), self.book.pending().unwrap(), self.book.parked().unwrap())
    }
}
