//! A small ledger with something in every table, and what it holds as data that can be compared.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use manbo::{
    CellView, Code, Correction, CounterReading, Counts, Day, Deletion, Durability, Fact, Ledger, Now,
    Options, Reading, Receipt, Refused, Register, Remark, Source, StepBook, Store, UtcOffset,
};

/// The second user of the file.
pub(crate) const NAMED: &str = "user-7";

pub(crate) fn day(n: i32) -> Day {
    Day::from_ymd(2024, 3, 1).unwrap().plus(n)
}

pub(crate) fn source(name: &str) -> Source {
    Source::new(name).unwrap()
}

/// Without a flush a commit: what is tested here is damage, not power loss.
pub(crate) fn options() -> Options {
    Options::new().durability(Durability::Normal).install_id("phone-1")
}

/// The options of the file's second user.
pub(crate) fn named() -> Options {
    options().user(NAMED)
}

/// Writes something of every kind for one user.
pub(crate) fn fill(book: &mut StepBook, days: i32) {
    let now = Now::on(day(days));
    let offset = UtcOffset::from_minutes(540).unwrap();
    for n in 0..days {
        let steps = 4_000 + 900 * n.unsigned_abs();
        let reading = Reading::new(day(n), source("phone"), steps).with_manual(n.unsigned_abs() % 3).full();
        let reading = if n % 2 == 0 { reading.with_offset(offset) } else { reading };
        book.record(&reading, now).unwrap();
        if n % 3 == 0 {
            book.attend(day(n), now).unwrap();
        }
    }
    let watch = |n: i32, steps| Reading::new(day(n), source("watch"), steps);
    book.record_all(&[watch(0, 7_000), watch(1, 0), watch(2, 9_500)], now).map(drop).unwrap();
    // Remarks: a lower partial reading, a replacement, a deletion, a correction.
    book.record(&watch(0, 100), now).unwrap();
    book.record(&watch(2, 9_000).full(), now).unwrap();
    book.delete(&Deletion { day: day(1), source: source("watch"), left: None }, now).unwrap();
    let correction = Correction {
        day: day(0),
        source: source("phone"),
        to: Some(Counts::new(3_500, 0)),
        reason: "ticket 12",
    };
    book.correct(&correction, now).unwrap();
    let count = |count| CounterReading { day: day(days), source: source("chip"), boot: "b-1", count };
    book.count(&count(41_200), now).map(drop).unwrap();
    book.count(&count(41_900), now).map(drop).unwrap();
    // Known at the server, refused by it, and sent by it.
    let pending = book.pending().unwrap();
    let receipt = Receipt {
        accepted: pending.iter().skip(3).step_by(2).copied().collect(),
        refused: vec![Refused { fact: pending[1], code: Code::Unexplained }],
        facts: vec![Fact::Cell {
            day: day(3),
            source: source("watch"),
            register: Register { epoch: 2, counts: Some(Counts::new(12_345, 6)) },
        }],
        revision: 5,
        ..Receipt::default()
    };
    book.apply_receipt(&receipt, now).unwrap();
}

/// A folder in memory where there is one: what is tested is what the bytes say, thousands of times.
pub(crate) fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// Makes the file and closes it: everything is in the database, nothing in a WAL.
pub(crate) fn make(folder: &Path, days: i32) -> PathBuf {
    let path = folder.join("steps.db");
    fill(&mut StepBook::open(&path, &options()).unwrap(), days);
    fill(&mut StepBook::open(&path, &named()).unwrap(), days);
    assert!(!path.with_file_name("steps.db-wal").exists());
    path
}

/// All that a user's ledger says, by its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Held {
    pub(crate) cells: BTreeMap<(Day, Source), CellView>,
    pub(crate) attended: Vec<Day>,
    pub(crate) remarks: BTreeMap<(Day, Source), Vec<Remark>>,
    pub(crate) pending: Vec<Fact>,
    pub(crate) reread: Vec<(Day, Source)>,
    pub(crate) revision: u64,
}

impl Held {
    pub(crate) fn of(ledger: &Ledger) -> Held {
        let cells: BTreeMap<_, _> =
            ledger.cells().into_iter().map(|cell| ((cell.day, cell.source), cell)).collect();
        let days: std::collections::BTreeSet<Day> = cells.keys().map(|key| key.0).collect();
        let accounts = days.iter().flat_map(|day| ledger.explain(*day).sources);
        let remarks = accounts.map(|a| ((a.cell.day, a.cell.source), a.remarks)).collect();
        let attended = |fact: &Fact| if let Fact::Attended(day) = fact { Some(*day) } else { None };
        Held {
            cells,
            attended: ledger.facts().iter().filter_map(attended).collect(),
            remarks,
            pending: ledger.pending(),
            reread: ledger.to_reread(),
            revision: ledger.revision(),
        }
    }

    /// Of both users of a file, with what the store noticed.
    pub(crate) fn both(path: &Path) -> Result<(Vec<Held>, manbo::Report), manbo::Error> {
        let mut store = Store::open(path, &options())?;
        let users = store.users()?;
        assert_eq!(users, ["", NAMED]);
        let held = [store.read("")?, store.read(NAMED)?].iter().map(Held::of).collect();
        Ok((held, store.report().clone()))
    }

    /// How many cells, attended days and remarks of `self` are not in `now` as they were. Fails where
    /// `now` holds a number that was never said.
    pub(crate) fn lost(&self, now: &Held, case: &str) -> usize {
        let mut lost = 0;
        for (place, cell) in &self.cells {
            let found = now.cells.get(place);
            if found == Some(cell) {
                continue;
            }
            lost += 1;
            // In the place of a lost row may be an empty one, or an older version of it.
            if let Some(found) = found {
                assert_eq!(
                    register(found).join(register(cell)),
                    register(cell),
                    "{case}: {found:?} {cell:?}"
                );
            }
        }
        // Several damaged bits may name a day that the row never had: it waits to be read, no more.
        let says_something = |cell: &&CellView| register(cell) != Register::UNKNOWN || !cell.reread;
        let mut new = now.cells.values().filter(|cell| !self.cells.contains_key(&(cell.day, cell.source)));
        assert_eq!(new.find(says_something), None, "{case}: a cell from nowhere");
        lost += self.attended.iter().filter(|day| !now.attended.contains(day)).count();
        assert!(now.attended.iter().all(|day| self.attended.contains(day)), "{case}: attended by nobody");
        for (place, remarks) in &self.remarks {
            let found = now.remarks.get(place).map(Vec::as_slice).unwrap_or_default();
            // A cell that is gone shows no remarks.
            if now.cells.contains_key(place) {
                lost += remarks.iter().filter(|remark| !found.contains(remark)).count();
            }
        }
        lost
    }

    /// The most that any source says about each day: what is left where the names of sources are lost.
    pub(crate) fn shown(&self) -> BTreeMap<Day, u32> {
        let mut shown = BTreeMap::new();
        for cell in self.cells.values() {
            let most: &mut u32 = shown.entry(cell.day).or_default();
            *most = (*most).max(cell.recorded.unwrap_or(0) + cell.manual);
        }
        shown
    }
}

fn register(cell: &CellView) -> Register {
    Register { epoch: cell.epoch, counts: cell.recorded.map(|recorded| Counts::new(recorded, cell.manual)) }
}

/// Every file of a folder with its content, so that nothing can vanish unseen; without the index of a
/// WAL, which holds nothing of its own.
pub(crate) fn listing(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    files
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
        .filter(|(name, _)| !name.ends_with("-shm"))
        // A file may go between its name and its content while another process mends.
        .filter_map(|(name, path)| Some((name, std::fs::read(path).ok()?)))
        .collect()
}

/// Puts a folder back to a listing.
pub(crate) fn restore(folder: &Path, files: &BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    for (name, bytes) in files {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}
