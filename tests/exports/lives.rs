//! Export, import, export: the same bytes, whoever the ledger belongs to; on another phone, the same facts.

use std::path::Path;
use std::time::Duration;

use manbo::delivery::{Batch, Identity};
use manbo::{
    Code, Correction, Counts, Day, Durability, Fact, HistoryEvent, IngestPolicy, Ledger, Moderation, Now,
    Options, Receipt, Refused, Reply, Source, Store, moderate,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::common::{self, Act, SPAN, any_act, any_day, any_fact, any_source, any_value, day};

/// What happens to a ledger of either kind.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// On a device.
    Act(Act),
    /// A receipt that takes the first of what is pending, refuses the next, and raises the revision.
    Answer {
        taken: usize,
        refused: usize,
    },
    /// A batch of one of a server's devices.
    Batch {
        device: u8,
        facts: Vec<Fact>,
    },
    Correct(Day, Source, Option<Counts>),
    Unpin(Day, Source),
    Erase,
    Compact,
    /// Days pass, or the clock goes back.
    Clock(i64),
}

pub(super) fn device_step() -> BoxedStrategy<Step> {
    prop_oneof![
        12 => any_act().prop_map(Step::Act),
        2 => (0..4_usize, 0..3_usize).prop_map(|(taken, refused)| Step::Answer { taken, refused }),
        1 => Just(Step::Compact),
        2 => any_clock(),
    ]
    .boxed()
}

pub(super) fn server_step() -> BoxedStrategy<Step> {
    let facts = prop::collection::vec(any_fact(), 0..6);
    prop_oneof![
        12 => (0..3_u8, facts).prop_map(|(device, facts)| Step::Batch { device, facts }),
        2 => (any_day(), any_source(), any_value()).prop_map(|(d, s, to)| Step::Correct(d, s, to)),
        1 => (any_day(), any_source()).prop_map(|(d, s)| Step::Unpin(d, s)),
        1 => Just(Step::Erase),
        1 => Just(Step::Compact),
        2 => any_clock(),
    ]
    .boxed()
}

fn any_clock() -> BoxedStrategy<Step> {
    let spans = vec![0, 1, 7, 60_000, 90_000_000, -1, -3_600_000];
    prop::sample::select(spans).prop_map(Step::Clock).boxed()
}

/// Where a life happens.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Device { history: bool },
    Server { history: bool },
}

impl Kind {
    pub(super) fn options(self, nonce: &str) -> Options {
        let options = Options::new().durability(Durability::Normal);
        let kept = |history: bool| history.then_some(Duration::from_secs(3 * 86_400));
        match self {
            Kind::Device { history } => options.history(kept(history)),
            Kind::Server { history } => options.server(nonce).history(kept(history)),
        }
    }
}

/// A store with one user who lives.
pub(super) struct Life {
    pub(super) store: Store,
    pub(super) user: String,
    pub(super) now: Now,
}

pub(super) const USER: &str = "user-77";

impl Life {
    pub(super) fn begin(path: &Path, kind: Kind) -> Life {
        Life::begin_with(path, &kind.options("a"))
    }

    fn begin_with(path: &Path, options: &Options) -> Life {
        let store = Store::open(path, options).unwrap();
        Life { store, user: USER.to_owned(), now: Now::on(day(SPAN)) }
    }

    pub(super) fn step(&mut self, step: &Step) {
        let now = self.now;
        match step {
            Step::Act(act) => {
                // Refused acts store nothing, as in an app.
                let _ = self.store.transact(&self.user, |ledger| Ok(act.apply(ledger, now)?));
            }
            Step::Answer { taken, refused } => self
                .store
                .transact(&self.user, |ledger| {
                    let pending = ledger.pending();
                    let refuse = |fact: &Fact| Refused { fact: *fact, code: Code::FutureDay };
                    let receipt = Receipt {
                        accepted: pending.iter().take(*taken).copied().collect(),
                        refused: pending.iter().skip(*taken).take(*refused).map(refuse).collect(),
                        revision: ledger.revision() + 1,
                        ..Receipt::default()
                    };
                    Ok(ledger.apply_receipt(&receipt, now)?)
                })
                .map(drop)
                .unwrap(),
            Step::Batch { device, facts } => drop(self.ingest(*device, facts, 0, None)),
            Step::Correct(day, source, to) => {
                let correction =
                    Correction { day: *day, source: *source, to: *to, reason: "\u{2}shaken \"7\"" };
                let act = Moderation::Correct(&correction);
                let _ = self.store.transact(&self.user, |ledger| Ok(moderate(ledger, act, now)?));
            }
            Step::Unpin(day, source) => {
                let act = Moderation::Unpin(*day, *source);
                let _ = self.store.transact(&self.user, |ledger| Ok(moderate(ledger, act, now)?));
            }
            Step::Erase => drop(self.store.erase(&self.user, now).unwrap()),
            Step::Compact => self.store.compact_history(&self.user, now.unix_ms - 60_000, now).unwrap(),
            Step::Clock(ms) => self.now.unix_ms += ms,
        }
    }

    pub(super) fn ingest(&mut self, device: u8, facts: &[Fact], since: u64, of: Option<Identity>) -> Reply {
        let batch = Batch { ticket: 0, identity: of, since, facts: facts.to_vec() };
        let policy = IngestPolicy { latest_day: self.now.today, recovery: false };
        self.store.ingest(&self.user, &format!("device \u{1}{device}"), &batch, policy, self.now).unwrap()
    }
}

pub(super) fn export(store: &mut Store, user: &str) -> Vec<u8> {
    let mut file = Vec::new();
    let told = store.export(user, &mut file).unwrap();
    let kinds = [told.sources, told.cells, told.attended, told.own_counts];
    let lines = kinds.iter().sum::<u64>() + told.remarks + told.changes + 2;
    assert_eq!(u64::try_from(file.split(|byte| *byte == b'\n').count() - 1).unwrap(), lines);
    file
}

/// In memory where there is such a folder: what is tested is what is written, thousands of times.
pub(super) fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

fn config() -> ProptestConfig {
    let cases = std::env::var("MANBO_CASES").map_or(Ok(300), |text| text.parse());
    ProptestConfig { cases: cases.expect("MANBO_CASES is a whole number"), ..common::config() }
}

/// On which phones a life is exported and imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phones {
    /// Nobody says.
    Unknown,
    Same,
    Other,
}

const PHONE: &str = "7d0c-phone";
const OTHER_PHONE: &str = "81aa-phone";

impl Phones {
    fn options(self, options: Options, importing: bool) -> Options {
        match self {
            Phones::Unknown => options,
            Phones::Other if importing => options.install_id(OTHER_PHONE),
            Phones::Same | Phones::Other => options.install_id(PHONE),
        }
    }
}

type Checked = Result<(), TestCaseError>;

/// Imports into an empty store with another user in it.
fn import_into(path: &Path, options: &Options, file: &[u8], now: Now) -> Result<Store, TestCaseError> {
    let mut store = Store::open(path, options).unwrap();
    store.transact("somebody else", |_| Ok(())).unwrap();
    let told = store.import("bo", &mut &file[..], now);
    let told = told.map_err(|error| TestCaseError::fail(format!("{error}")))?;
    prop_assert_eq!(u64::from(told.generation), header(file)["generation"].as_u64().unwrap());
    Ok(store)
}

fn check(kind: Kind, phones: Phones, steps: &[Step]) -> Checked {
    let folder = folder();
    let place = |name: &str| folder.path().join(name);
    let mut life = Life::begin_with(&place("one.db"), &phones.options(kind.options("a"), false));
    for step in steps {
        life.step(step);
    }
    let file = export(&mut life.store, USER);
    for secret in [USER, PHONE] {
        prop_assert!(!text(&file).contains(secret), "{} is named", secret);
    }
    let there = phones.options(kind.options("b"), true);
    let mut other = import_into(&place("two.db"), &there, &file, life.now)?;
    let again = export(&mut other, "bo");
    if phones == Phones::Other {
        // Every byte but what only a phone knows, and every byte between two stores of the second phone.
        let facts = |name: &str, file: &[u8]| {
            import_into(&place(name), &kind.options("c"), file, life.now).map(|mut it| export(&mut it, "bo"))
        };
        prop_assert_eq!(text(&facts("three.db", &again)?), text(&facts("four.db", &file)?));
        let mut third = import_into(&place("five.db"), &there, &again, life.now)?;
        prop_assert_eq!(text(&export(&mut third, "bo")), text(&again));
        prop_assert!(other.read("bo").unwrap().cells().iter().all(|cell| !cell.read_here));
        prop_assert!(header(&file)["installation"] != header(&again)["installation"] || steps.is_empty());
    } else {
        prop_assert_eq!(text(&again), text(&file));
    }
    compare(&mut life, &mut other, phones == Phones::Same)?;
    // A second time it is not empty, unless nothing came.
    let lines = file.split_inclusive(|byte| *byte == b'\n').count();
    let twice = other.import("bo", &mut &file[..], life.now);
    prop_assert!(twice.is_err() || lines == 2, "{} lines", lines);
    // What is imported goes on living.
    let mut on = Life { store: other, user: "bo".to_owned(), now: life.now };
    for step in steps {
        on.step(step);
    }
    Ok(())
}

/// Two stores with the same ledger; on one phone also what only that phone knows is the same.
fn compare(life: &mut Life, other: &mut Store, same_phone: bool) -> Checked {
    let (was, is) = (life.store.read(USER).unwrap(), other.read("bo").unwrap());
    prop_assert_eq!(was.digest(), is.digest());
    let cells = |ledger: &Ledger| {
        let mut cells = ledger.cells();
        for cell in cells.iter_mut().filter(|_| !same_phone) {
            (cell.read_here, cell.reread) = (false, false);
        }
        cells
    };
    prop_assert_eq!(cells(&was), cells(&is));
    prop_assert_eq!((was.pending(), was.parked()), (is.pending(), is.parked()));
    if same_phone {
        prop_assert_eq!(was.to_reread(), is.to_reread());
        for n in 0..SPAN {
            prop_assert_eq!(was.explain(day(n)).sentences, is.explain(day(n)).sentences);
        }
    } else {
        prop_assert_eq!(is.to_reread(), vec![]);
    }
    prop_assert_eq!(events(&mut life.store, USER), events(other, "bo"));
    for at_ms in (-2..3).map(|n| life.now.unix_ms + n * 45_000_000) {
        let [was, is] = [life.store.as_of(USER, at_ms).unwrap(), other.as_of("bo", at_ms).unwrap()];
        prop_assert_eq!(was.map(|ledger| ledger.digest()), is.map(|ledger| ledger.digest()));
    }
    Ok(())
}

fn text(file: &[u8]) -> String {
    String::from_utf8(file.to_vec()).unwrap()
}

/// The history; where one transaction changed several sources of a day, by their names.
fn events(store: &mut Store, user: &str) -> Vec<HistoryEvent> {
    let mut events = store.history(user).unwrap();
    events.sort_by_key(|event| match event.after {
        Fact::Cell { day, source, .. } => (event.transaction, day, Some(source)),
        Fact::Attended(day) => (event.transaction, day, None),
    });
    events
}

fn header(file: &[u8]) -> serde_json::Value {
    serde_json::from_slice(file.split(|byte| *byte == b'\n').next().unwrap()).unwrap()
}

/// Not by the macro: it lets `PROPTEST_CASES` override the number of lives that was asked for.
#[test]
fn every_life_comes_back_byte_for_byte() {
    let history = prop::bool::ANY;
    let phones = prop::sample::select(vec![Phones::Unknown, Phones::Same, Phones::Same, Phones::Other]);
    let devices = (history, phones, prop::collection::vec(device_step(), 0..40))
        .prop_map(|(history, phones, steps)| (Kind::Device { history }, phones, steps));
    let servers = (history, prop::collection::vec(server_step(), 0..30))
        .prop_map(|(history, steps)| (Kind::Server { history }, Phones::Unknown, steps));
    let lives = prop_oneof![2 => devices, 1 => servers];
    let run = TestRunner::new(config()).run(&lives, |(kind, phones, steps)| check(kind, phones, &steps));
    if let Err(failure) = run {
        panic!("{failure}");
    }
}
