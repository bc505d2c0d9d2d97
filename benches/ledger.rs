//! The ledger beside its floors: criterion groups, then a table of ratios from interleaved rounds, then the
//! figures that do not depend on the clock.
//!
//! `cargo bench --bench ledger` measures everything; `-- ratios` leaves criterion out and prints the table;
//! `-- --test` (and `cargo test --benches`) runs each case once, and fails only for what is not a time.

#[path = "ledger/cases.rs"]
mod cases;
#[path = "ledger/data.rs"]
mod data;
#[path = "ledger/delivery.rs"]
mod delivery;
#[path = "ledger/floor.rs"]
mod floor;
#[path = "ledger/limits.rs"]
mod limits;
#[path = "ledger/meter.rs"]
mod meter;
#[path = "ledger/table.rs"]
mod table;

use std::cell::RefCell;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion};
use data::Result;
use table::Effort;

#[global_allocator]
static ALLOCATOR: meter::Counting = meter::Counting;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("a figure that does not depend on the clock misses its limit");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("the bench cannot run: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Says whether every figure that does not depend on the clock keeps its limit.
fn run() -> Result<bool> {
    let given = |flag: &str| std::env::args().any(|argument| argument == flag);
    // Beside the build, so that the files lie on a real disk and never in the repository.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(30)
        .configure_from_args();
    with_criterion(&mut criterion, &sub_dir(&dir, "criterion")?)?;
    criterion.final_summary();
    if given("--list") || given("--profile-time") {
        return Ok(true);
    }
    // As criterion does: without `--bench` it is a test.
    let effort = if given("--test") || !given("--bench") { Effort::Test } else { Effort::Measure };
    let mut figures = limits::disk(dir.path())?;
    figures.extend(limits::memory(dir.path())?);
    let rows = table::rows(&mut cases::all(&sub_dir(&dir, "table")?)?, effort)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "\nSQLite {}\n", rusqlite::version())?;
    writeln!(out, "{}", table::render(&rows))?;
    for figure in &figures {
        let met = if figure.met { "yes" } else { "NO" };
        writeln!(out, "{}: {} ({}): {met}", figure.name, figure.value, figure.limit)?;
    }
    Ok(figures.iter().all(|figure| figure.met))
}

fn sub_dir(dir: &tempfile::TempDir, name: &str) -> Result<std::path::PathBuf> {
    let path = dir.path().join(name);
    std::fs::create_dir(&path)?;
    Ok(path)
}

fn with_criterion(criterion: &mut Criterion, dir: &Path) -> Result<()> {
    for case in cases::all(dir)? {
        let mut group = criterion.benchmark_group(case.group);
        let named = format!("{}, {}", case.name, case.mode);
        let ours = ("ours", case.ours);
        for (label, side) in case.floors.into_iter().chain([ours]) {
            let side = RefCell::new(side);
            let failed = RefCell::new(None);
            group.bench_function(BenchmarkId::new(&named, label), |bencher| {
                bencher.iter_custom(|times| match (side.borrow_mut())(times) {
                    Ok(took) => took.max(Duration::from_nanos(1)),
                    Err(error) => {
                        *failed.borrow_mut() = Some(error);
                        Duration::from_secs(1)
                    }
                });
            });
            if let Some(error) = failed.into_inner() {
                return Err(error);
            }
        }
        group.finish();
    }
    Ok(())
}
