//! What does not depend on the clock: bytes on disk and in memory. Checked hard in every run.

use std::path::{Path, PathBuf};

use manbo::{Correction, Counts, Deletion, Fact, Now, Operation, Options, Reading, Receipt, Rules, StepBook};

use crate::cases::book;
use crate::data::{History, Result, TEN_YEARS, YEAR, now, reading};
use crate::floor::Durability;
use crate::meter;

/// Bytes a day that ten more years of one source may take.
const DISK_BYTES_A_DAY_MAX: f64 = 32.0;
/// Bytes that any operation with ten years stored may take at its peak, book and SQLite included.
const MEMORY_BYTES_MAX: isize = 2 * 1024 * 1024;

/// A figure with its limit.
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) limit: String,
    pub(crate) met: bool,
}

fn closed_size(path: &Path, book: StepBook) -> Result<u64> {
    drop(book);
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    if std::fs::exists(wal)? {
        return Err("the last close left a WAL behind".into());
    }
    Ok(std::fs::metadata(path)?.len())
}

fn figure_of_disk(name: &str, before: u64, after: u64, limit: Option<f64>) -> Result<Figure> {
    let grown = f64::from(u32::try_from(after - before)?);
    let a_day = grown / f64::from(u32::try_from(TEN_YEARS)?);
    Ok(Figure {
        name: name.to_owned(),
        value: format!("{a_day:.1} B a day"),
        limit: limit.map_or("for information".to_owned(), |most| format!("<= {most} B")),
        met: limit.is_none_or(|most| a_day <= most),
    })
}

/// Ten more years after a first one: lived day by day, and imported in one call.
pub(crate) fn disk(dir: &Path) -> Result<Vec<Figure>> {
    let ten = History::of(TEN_YEARS)?;
    let first = ten.days[0].0.previous();
    let year = History::ending(first, YEAR)?;
    let start = |name: &str| -> Result<(PathBuf, u64, StepBook)> {
        let path = dir.join(name);
        let size = closed_size(&path, book(&path, Durability::Normal, &year)?)?;
        let book = StepBook::open(&path, &Options::new().durability(Durability::Normal.of_book()))?;
        Ok((path, size, book))
    };

    let (path, before, mut lived) = start("lived.db")?;
    for (day, steps) in &ten.days {
        let now = Now::on(*day);
        drop(lived.record(&reading(*day, *steps)?, now)?);
        let receipt = Receipt { accepted: lived.pending()?, ..Receipt::default() };
        lived.apply_receipt(&receipt, now)?;
    }
    let after = closed_size(&path, lived)?;
    let name = "disk, 10 more years, a day at a time, each acknowledged";
    let lived = figure_of_disk(name, before, after, Some(DISK_BYTES_A_DAY_MAX))?;

    let (path, before, mut imported) = start("imported.db")?;
    drop(imported.record_all(&ten.readings()?, now()?)?);
    let after = closed_size(&path, imported)?;
    // The mark "pending since" takes 6 bytes of a row, until the server has it.
    let name = "disk, 10 more years in one call, all of them pending";
    let imported = figure_of_disk(name, before, after, None)?;
    Ok(vec![lived, imported])
}

type Act = fn(&mut StepBook, &Inputs) -> manbo::Result<()>;

/// What the operations are given; made before anything is counted, because it is the caller's.
struct Inputs {
    file: PathBuf,
    now: Now,
    same: Vec<Reading>,
    grown: Vec<Reading>,
    one: Reading,
    facts: Vec<Fact>,
    receipt: Receipt,
}

impl Inputs {
    fn new(file: PathBuf) -> Result<Inputs> {
        let history = History::of(TEN_YEARS)?;
        let grown = history.grown(1_000).readings()?;
        let (now, one) = (now()?, grown[TEN_YEARS - 1]);
        let mut peer = manbo::Ledger::new(*Rules::default().levels());
        for reading in &grown {
            peer.apply(Operation::Read(reading), now).map(drop)?;
        }
        let facts = peer.facts();
        let receipt = Receipt { facts: facts.clone(), revision: 1, ..Receipt::default() };
        Ok(Inputs { file, now, same: history.readings()?, grown, one, facts, receipt })
    }
}

const ACTS: &[(&str, Act)] = &[
    ("open", |_, _| Ok(())),
    ("statistics", |book, with| book.statistics(with.now.today).map(drop)),
    ("record one day", |book, with| book.record(&with.one, with.now).map(drop)),
    ("record a year", |book, with| book.record_all(&with.grown[TEN_YEARS - YEAR..], with.now).map(drop)),
    ("record ten years", |book, with| book.record_all(&with.grown, with.now).map(drop)),
    ("re-send ten years", |book, with| book.record_all(&with.same, with.now).map(drop)),
    ("receive ten years", |book, with| book.receive(&with.facts, with.now).map(drop)),
    ("merge ten years", |book, with| book.merge(&with.facts, with.now).map(drop)),
    ("apply a receipt of ten years", |book, with| book.apply_receipt(&with.receipt, with.now).map(drop)),
    ("delete", |book, with| {
        let deletion = Deletion { day: with.one.day, source: with.one.source, left: None };
        book.delete(&deletion, with.now).map(drop)
    }),
    ("correct and unpin", |book, with| {
        let Reading { day, source, .. } = with.one;
        let to = Some(Counts::new(1, 0));
        book.correct(&Correction { day, source, to, reason: "a test" }, with.now)?;
        book.unpin(day, source, with.now).map(drop)
    }),
    ("attend", |book, with| book.attend(with.now.today, with.now)),
    ("all days", |book, with| book.days(manbo::Day::FIRST..with.now.today.next()).map(drop)),
    ("pending facts", |book, _| book.pending().map(drop)),
    ("digest", |book, _| book.digest().map(drop)),
    ("explain", |book, with| book.explain(with.now.today).map(drop)),
    ("snapshot", |book, with| book.snapshot(with.now).map(drop)),
    ("suspend, resume, read", |book, with| {
        book.suspend()?;
        book.resume()?;
        book.statistics(with.now.today).map(drop)
    }),
    ("read after another process wrote", |book, with| {
        StepBook::open(&with.file, &Options::new())?.record(&with.one, with.now)?;
        book.statistics(with.now.today).map(drop)
    }),
];

/// The largest peak of all operations, each on a file of its own with ten years in it, from open on.
pub(crate) fn memory(dir: &Path) -> Result<Vec<Figure>> {
    let template = dir.join("ten-years.db");
    drop(book(&template, Durability::Normal, &History::of(TEN_YEARS)?)?);
    let inputs = Inputs::new(dir.join("memory.db"))?;
    let mut worst = ("", 0, 0);
    for (name, act) in ACTS {
        std::fs::copy(&template, &inputs.file)?;
        let (rust, sqlite) = peak_of(&inputs, *act)?;
        if rust + sqlite > worst.1 + worst.2 {
            worst = (name, rust, sqlite);
        }
    }
    std::fs::copy(&template, &inputs.file)?;
    damage(&inputs.file)?;
    let (rust, sqlite) = peak_of(&inputs, |book, _| {
        let rebuilt = book.report().recovered.len() == 1;
        if rebuilt { Ok(()) } else { Err(manbo::Error::Internal("nothing was rebuilt".into())) }
    })?;
    let rebuild = ("rebuild of a damaged file", rust, sqlite);
    let kib = |bytes: isize| bytes / 1_024;
    let figure = |(name, rust, sqlite): (&str, isize, isize)| Figure {
        name: format!("peak memory, ten years stored: {name}"),
        value: format!("{} KiB (Rust {}, SQLite {})", kib(rust + sqlite), kib(rust), kib(sqlite)),
        limit: format!("<= {} KiB", kib(MEMORY_BYTES_MAX)),
        met: rust + sqlite <= MEMORY_BYTES_MAX,
    };
    Ok(vec![figure(worst), figure(rebuild)])
}

fn peak_of(inputs: &Inputs, act: Act) -> Result<(isize, isize)> {
    let (result, rust, sqlite) = meter::peak_bytes(|| -> manbo::Result<()> {
        let mut book = StepBook::open(&inputs.file, &Options::new())?;
        act(&mut book, inputs)
    });
    result?;
    Ok((rust, sqlite))
}

/// As a torn write leaves it: the first page is gone.
fn damage(path: &Path) -> Result<()> {
    use std::io::Write as _;
    let mut file = std::fs::OpenOptions::new().write(true).open(path)?;
    Ok(file.write_all(&[0; 4_096])?)
}
