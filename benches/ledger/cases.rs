//! What is measured, each beside its floor. A side runs a number of times and says how long the measured
//! part took, so that criterion and the table of ratios time the very same code.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use manbo::{DayTotals, Ledger, Now, Operation, Options, Reading, Rules, StepBook, Timeline};

use crate::data::{History, Result, TEN_YEARS, YEAR, now, reading, typical};
use crate::delivery;
use crate::floor::{self, Bare, Durability, Table};

/// Runs so many times; gives the time of the measured part.
pub(crate) type Side = Box<dyn FnMut(u64) -> Result<Duration>>;

/// What the issue asks for.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    /// Our time is at most so many times the floor's.
    AtMost(f64),
    /// Our rate is at least this share of the floor's.
    RateAtLeast(f64),
    /// We are at least so many times faster.
    FasterAtLeast(f64),
    /// At most so many microseconds, whatever the floor takes.
    MicrosAtMost(f64),
    /// For information.
    None,
}

pub(crate) struct Case {
    pub(crate) group: &'static str,
    pub(crate) name: &'static str,
    pub(crate) mode: &'static str,
    pub(crate) goal: Goal,
    /// Runs in a round, so that the clock's own cost disappears.
    pub(crate) repeat: u64,
    /// The first is the one that the goal is about.
    pub(crate) floors: Vec<(&'static str, Side)>,
    pub(crate) ours: Side,
}

/// Every case, each on files of its own.
pub(crate) fn all(dir: &Path) -> Result<Vec<Case>> {
    let mut cases = vec![
        record(dir, Durability::Normal, Goal::RateAtLeast(0.65))?,
        record(dir, Durability::Full, Goal::None)?,
        resend(dir)?,
        one_day(dir, "1 day and statistics, 1 year", YEAR, Durability::Normal, Goal::AtMost(1.6))?,
        one_day(dir, "1 day and statistics, 10 years", TEN_YEARS, Durability::Normal, Goal::AtMost(2.5))?,
        one_day(dir, "1 day and statistics, 1 year", YEAR, Durability::Full, Goal::AtMost(1.15))?,
        one_day(dir, "1 day and statistics, 10 years", TEN_YEARS, Durability::Full, Goal::None)?,
        statistics(dir, "statistics, 1 year", YEAR, Goal::AtMost(1.5))?,
        statistics(dir, "statistics, 10 years", TEN_YEARS, Goal::AtMost(7.0))?,
        open(dir, "open to statistics, 1 year", YEAR, Goal::AtMost(1.8))?,
        open(dir, "open to statistics, 10 years", TEN_YEARS, Goal::MicrosAtMost(1_000.0))?,
        fold()?,
        apply()?,
    ];
    cases.extend(delivery::cases(dir)?);
    Ok(cases)
}

/// A ledger in memory that holds a history.
pub(crate) fn ledger(history: &History) -> Result<Ledger> {
    let (now, mut ledger) = (now()?, Ledger::new(*Rules::default().levels()));
    for (day, steps) in &history.days {
        ledger.apply(Operation::Read(&reading(*day, *steps)?), now).map(drop)?;
    }
    Ok(ledger)
}

/// A book of its own file that holds a history.
pub(crate) fn book(path: &Path, durability: Durability, history: &History) -> Result<StepBook> {
    let mut book = StepBook::open(path, &Options::new().durability(durability.of_book()))?;
    let recorded = book.record_all(&history.readings()?, now()?)?;
    if recorded.refused.is_empty() { Ok(book) } else { Err("a typical day was refused".into()) }
}

pub(crate) fn timed(start: Instant) -> Duration {
    start.elapsed()
}

fn upsert_years(bare: Bare, history: &History, growth: u32) -> Side {
    let history = history.clone();
    let mut turn = 0;
    Box::new(move |times| {
        let mut took = Duration::ZERO;
        for _ in 0..times {
            turn += growth;
            let days = history.grown(turn);
            let start = Instant::now();
            bare.put_all(&days)?;
            took += timed(start);
        }
        Ok(took)
    })
}

fn record(dir: &Path, durability: Durability, goal: Goal) -> Result<Case> {
    let history = History::of(YEAR)?;
    let path = |side: &str| dir.join(format!("record-{}-{side}.db", durability.name()));
    let same = Bare::with(&path("same"), durability, Table::Same, &history)?;
    let replaced = Bare::with(&path("replaced"), durability, Table::SameReplaced, &history)?;
    let lean = Bare::with(&path("lean"), durability, Table::Lean, &history)?;
    let mut ours = book(&path("ours"), durability, &history)?;
    let (now, mut turn) = (now()?, 0);
    Ok(Case {
        group: "record",
        name: "365 grown days, one call",
        mode: durability.name(),
        goal,
        repeat: 2,
        floors: vec![
            ("upsert row by row", upsert_years(same, &history, 1)),
            ("overwrite row by row", upsert_years(replaced, &history, 1)),
            ("lean table", upsert_years(lean, &history, 1)),
        ],
        ours: Box::new(move |times| {
            let mut took = Duration::ZERO;
            for _ in 0..times {
                turn += 1;
                let readings = history.grown(turn).readings()?;
                let start = Instant::now();
                let recorded = book_all(&mut ours, &readings, now)?;
                took += timed(start);
                if recorded != readings.len() {
                    return Err("a grown day was not reported".into());
                }
            }
            Ok(took)
        }),
    })
}

fn book_all(book: &mut StepBook, readings: &[Reading], now: Now) -> Result<usize> {
    let recorded = book.record_all(readings, now)?;
    Ok(black_box(recorded).changes.len())
}

fn resend(dir: &Path) -> Result<Case> {
    let history = History::of(YEAR)?;
    let durability = Durability::Normal;
    let path = |side: &str| dir.join(format!("resend-{side}.db"));
    let same = Bare::with(&path("same"), durability, Table::Same, &history)?;
    let grown = Bare::with(&path("grown"), durability, Table::SameGrown, &history)?;
    let lean = Bare::with(&path("lean"), durability, Table::Lean, &history)?;
    let mut ours = book(&path("ours"), durability, &history)?;
    // Another connection sees every commit that writes a page.
    let watcher = rusqlite::Connection::open(path("ours"))?;
    let (now, readings) = (now()?, history.readings()?);
    Ok(Case {
        group: "resend",
        name: "365 unchanged days, one call",
        mode: durability.name(),
        goal: Goal::FasterAtLeast(8.0),
        repeat: 4,
        floors: vec![
            ("upsert row by row", upsert_years(same, &history, 0)),
            ("upsert WHERE it grows", upsert_years(grown, &history, 0)),
            ("lean table", upsert_years(lean, &history, 0)),
        ],
        ours: Box::new(move |times| {
            let version = || watcher.query_row("PRAGMA data_version", [], |row| row.get::<_, i64>(0));
            let before = version()?;
            let start = Instant::now();
            for _ in 0..times {
                book_all(&mut ours, &readings, now)?;
            }
            let took = timed(start);
            if version()? == before { Ok(took) } else { Err("a re-send wrote to the file".into()) }
        }),
    })
}

fn one_day(dir: &Path, name: &'static str, days: usize, durability: Durability, goal: Goal) -> Result<Case> {
    let history = History::of(days)?;
    let path = |side: &str| dir.join(format!("one-day-{days}-{}-{side}.db", durability.name()));
    let same = Bare::with(&path("same"), durability, Table::Same, &history)?;
    let replaced = Bare::with(&path("replaced"), durability, Table::SameReplaced, &history)?;
    let lean = Bare::with(&path("lean"), durability, Table::Lean, &history)?;
    let mut ours = book(&path("ours"), durability, &history)?;
    let put_one = |bare: Bare| -> Side {
        let (history, mut turn) = (history.clone(), 0);
        Box::new(move |times| {
            let start = Instant::now();
            for _ in 0..times {
                turn += 1;
                bare.put_one(history.one_step_more(turn))?;
            }
            Ok(timed(start))
        })
    };
    let floors = vec![
        ("upsert, one commit", put_one(same)),
        ("overwrite, one commit", put_one(replaced)),
        ("lean table", put_one(lean)),
    ];
    let (now, mut turn) = (now()?, 0);
    let side = history.clone();
    Ok(Case {
        group: "one_day",
        name,
        mode: durability.name(),
        goal,
        repeat: if durability == Durability::Full { 2 } else { 32 },
        floors,
        ours: Box::new(move |times| {
            let start = Instant::now();
            for _ in 0..times {
                turn += 1;
                let (day, steps) = side.one_step_more(turn);
                let changes = ours.record(&reading(day, steps)?, now)?;
                if changes.is_empty() {
                    return Err("a grown day was not reported".into());
                }
                black_box(ours.statistics(now.today)?);
            }
            Ok(timed(start))
        }),
    })
}

fn statistics(dir: &Path, name: &'static str, days: usize, goal: Goal) -> Result<Case> {
    let history = History::of(days)?;
    let path = |side: &str| dir.join(format!("statistics-{days}-{side}.db"));
    let bare = Bare::with(&path("same"), Durability::Normal, Table::Same, &history)?;
    let mut ours = book(&path("ours"), Durability::Normal, &history)?;
    let today = now()?.today;
    Ok(Case {
        group: "statistics",
        name,
        mode: "read",
        goal,
        repeat: 128,
        floors: vec![(
            "read one row",
            Box::new(move |times| {
                let start = Instant::now();
                for _ in 0..times {
                    black_box(bare.read_one(black_box(today))?);
                }
                Ok(timed(start))
            }),
        )],
        ours: Box::new(move |times| {
            let start = Instant::now();
            for _ in 0..times {
                black_box(ours.statistics(black_box(today))?);
            }
            Ok(timed(start))
        }),
    })
}

fn open(dir: &Path, name: &'static str, days: usize, goal: Goal) -> Result<Case> {
    let history = History::of(days)?;
    let path = dir.join(format!("open-{days}.db"));
    drop(book(&path, Durability::Full, &history)?);
    let (rows, today, same) = (history.days.len(), now()?.today, path.clone());
    Ok(Case {
        group: "open",
        name,
        mode: "FULL",
        goal,
        repeat: 1,
        floors: vec![(
            "open, pragmas, rows",
            Box::new(move |times| {
                let mut took = Duration::ZERO;
                for _ in 0..times {
                    let (time, found) = floor::open_and_read(&same, Durability::Full)?;
                    took += time;
                    if found != rows {
                        return Err("the floor read another file".into());
                    }
                }
                Ok(took)
            }),
        )],
        // Closing is not part of it, on either side.
        ours: Box::new(move |times| {
            let mut took = Duration::ZERO;
            for _ in 0..times {
                let start = Instant::now();
                let mut book = StepBook::open(&path, &Options::new())?;
                let statistics = black_box(book.statistics(today)?);
                took += timed(start);
                if usize::try_from(statistics.days_logged)? != rows {
                    return Err("the book opened another file".into());
                }
            }
            Ok(took)
        }),
    })
}

/// Ten years from their totals to every level, and to statistics.
fn fold() -> Result<Case> {
    let steps = typical(TEN_YEARS);
    let history = History::of(TEN_YEARS)?;
    let ledger = ledger(&history)?;
    let totals: Vec<_> =
        history.days.iter().map(|(day, steps)| (*day, DayTotals { shown: *steps, ranked: *steps })).collect();
    let (rules, today) = (Rules::default(), now()?.today);
    let statistics: Side = Box::new(move |times| {
        let start = Instant::now();
        for _ in 0..times {
            black_box(ledger.statistics(rules.statistics(), black_box(today)));
        }
        Ok(timed(start))
    });
    Ok(Case {
        group: "fold",
        name: "10 years: levels of every day",
        mode: "memory",
        goal: Goal::None,
        repeat: 64,
        floors: vec![
            (
                "naive loop, one level",
                Box::new(move |times| {
                    let start = Instant::now();
                    for _ in 0..times {
                        black_box(floor::naive_fold(black_box(&steps)));
                    }
                    Ok(timed(start))
                }),
            ),
            ("statistics of a timeline", statistics),
        ],
        ours: Box::new(move |times| {
            let start = Instant::now();
            for _ in 0..times {
                black_box(Timeline::build(*rules.levels(), black_box(&totals).iter().copied()));
            }
            Ok(timed(start))
        }),
    })
}

/// One grown day in a ledger of a year, levels and reported changes included.
fn apply() -> Result<Case> {
    let (history, now) = (History::of(YEAR)?, now()?);
    let mut ledger = ledger(&history)?;
    let (mut plain, mut plain_turn, mut turn) = (typical(YEAR), 0_u32, 0_u32);
    let naive: Side = Box::new(move |times| {
        let start = Instant::now();
        for _ in 0..times {
            plain_turn += 1;
            let last = plain.len() - 1;
            plain[last] = plain[last].max(typical_top(plain_turn));
            black_box(floor::naive_fold(black_box(&plain)));
        }
        Ok(timed(start))
    });
    Ok(Case {
        group: "apply",
        name: "1 grown day of a year",
        mode: "memory",
        goal: Goal::None,
        repeat: 64,
        floors: vec![("set it, naive fold", naive)],
        ours: Box::new(move |times| {
            let start = Instant::now();
            for _ in 0..times {
                turn += 1;
                let (day, steps) = history.one_step_more(turn);
                drop(black_box(ledger.apply(Operation::Read(&reading(day, steps)?), now)?));
            }
            Ok(timed(start))
        }),
    })
}

fn typical_top(turn: u32) -> u32 {
    30_000 + turn % 100_000
}
