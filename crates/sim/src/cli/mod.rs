//! What the program does and says.

mod args;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

pub(crate) use args::{Args, Command, HELP};
use manbo_sim::bench::{Bench, Plan, Tally, run_plan};
use manbo_sim::canaries;
use manbo_sim::event::Schedule;
use manbo_sim::generate;
use manbo_sim::world::{Extras, Failure, Invariant};

/// Failures that are shrunk and told before a run is given up.
const FAILURES_TOLD: usize = 3;
/// Schedules between two lines of a soak: about a quarter of a minute on SQLite, less in memory.
const SCHEDULES_A_LINE: u64 = 4_000;
type Said = std::io::Result<ExitCode>;

/// Does what is asked.
pub(crate) fn run(args: &Args) -> Said {
    match &args.command {
        Command::Help => {
            std::io::stdout().write_all(HELP.as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Run => run_many(args, false),
        Command::Coverage => run_many(args, true),
        Command::Seed(seed) => tell(&generate::schedule(*seed, args.store)),
        Command::Replay(file) => tell(&read(file)?),
        Command::Soak => soak(args),
        Command::Canaries => hunt(args),
    }
}

/// Reads a stored schedule.
fn read(file: &Path) -> std::io::Result<Schedule> {
    let text = std::fs::read_to_string(file)?;
    serde_json::from_str(&text).map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
}

fn plan(args: &Args) -> Plan {
    Plan {
        store: args.store,
        first_seed: args.first_seed,
        schedules: Some(args.schedules),
        time: args.time,
        threads: args.threads,
        failures: FAILURES_TOLD,
    }
}

fn run_many(args: &Args, table: bool) -> Said {
    let begun = Instant::now();
    let tally = run_plan(plan(args));
    let sees = !table || tell_table(&tally, args.least)?;
    tell_failures(args, &tally)?;
    let closed = close(&tally, begun)?;
    Ok(if sees { closed } else { ExitCode::FAILURE })
}

/// Shows the table; gives whether every cell that can occur was met, and no other.
fn tell_table(tally: &Tally, least: u64) -> std::io::Result<bool> {
    let mut out = std::io::stdout().lock();
    write!(out, "{}", tally.coverage)?;
    let blind = tally.coverage.blind(least);
    let lies = tally.coverage.met_although_impossible();
    for (cells, what) in
        [(&blind, format!("met less than {least} times")), (&lies, "met after all".to_owned())]
    {
        writeln!(out, "{} cells {what}", cells.len())?;
        cells.iter().try_for_each(|(row, column)| writeln!(out, "  {row} x {column}"))?;
    }
    Ok(blind.is_empty() && lies.is_empty())
}

/// Runs part after part until the time is over, or somebody ends it, or enough failed.
fn soak(args: &Args) -> Said {
    let begun = Instant::now();
    let mut tally = Tally::default();
    loop {
        let left = args.time.map(|time| time.saturating_sub(begun.elapsed()));
        if left == Some(Duration::ZERO) || tally.failures.len() >= FAILURES_TOLD {
            break;
        }
        let first_seed = args.first_seed + tally.schedules;
        let schedules = Some(SCHEDULES_A_LINE);
        let part = run_plan(Plan { first_seed, schedules, time: left, ..plan(args) });
        // At once: whoever ends a soak would lose the seed.
        tell_failures(args, &part)?;
        tally.merge(part);
        writeln!(std::io::stdout(), "{:>6} s: {tally}", begun.elapsed().as_secs())?;
    }
    close(&tally, begun)
}

/// The line of figures.
fn close(tally: &Tally, begun: Instant) -> Said {
    let elapsed = begun.elapsed();
    let a_second = u128::from(tally.schedules) * 1_000 / elapsed.as_millis().max(1);
    writeln!(std::io::stdout(), "{tally}; {:.1} s, {a_second} schedules/s", elapsed.as_secs_f64())?;
    Ok(if tally.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Shrinks each failure, tells its story and stores it.
fn tell_failures(args: &Args, tally: &Tally) -> std::io::Result<()> {
    let mut bench = Bench::default();
    for (seed, failure) in tally.failures.iter().take(FAILURES_TOLD) {
        let schedule = generate::schedule(*seed, args.store);
        let small = if failure.invariant == Invariant::I14 {
            schedule
        } else {
            bench.shrink(&schedule, failure.invariant)
        };
        let file = store(args, *seed, failure, &small)?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "seed {seed}: {:?} does not hold: {}", failure.invariant, failure.story)?;
        write_story(&mut out, &mut bench, &small)?;
        writeln!(out, "replay: cargo run --release -p manbo-sim -- --replay {}\n", file.display())?;
    }
    Ok(())
}

fn store(args: &Args, seed: u64, failure: &Failure, schedule: &Schedule) -> std::io::Result<PathBuf> {
    std::fs::create_dir_all(&args.out)?;
    let file = args.out.join(format!("{:?}-{seed}.json", failure.invariant));
    std::fs::write(&file, serde_json::to_string(schedule)?)?;
    Ok(file)
}

fn write_story(
    out: &mut impl std::io::Write,
    bench: &mut Bench,
    schedule: &Schedule,
) -> std::io::Result<Option<Failure>> {
    let mut story = Vec::new();
    let outcome = bench.run_with(schedule, Extras { coverage: None, story: Some(&mut story) });
    writeln!(out, "{:?}", schedule.config)?;
    for line in story {
        writeln!(out, "{line}")?;
    }
    Ok(outcome.failure)
}

/// Runs one schedule and tells it.
fn tell(schedule: &Schedule) -> Said {
    let begun = Instant::now();
    let mut bench = Bench::default();
    let failure = write_story(&mut std::io::stdout().lock(), &mut bench, schedule)?;
    let mut tally = Tally::default();
    tally.add(0, bench.run(schedule));
    let closed = close(&tally, begun)?;
    Ok(if failure.is_some() { ExitCode::FAILURE } else { closed })
}

/// Lets every canary be found.
fn hunt(args: &Args) -> Said {
    let mut out = std::io::stdout();
    if canaries::names().is_empty() {
        writeln!(out, "this build has no canaries: build it with RUSTFLAGS=\"--cfg manbo_canaries\"")?;
        return Ok(ExitCode::from(2));
    }
    let mut alive = 0;
    for name in canaries::names() {
        if let Some(death) = canaries::hunt(name, args.first_seed) {
            writeln!(out, "{name} | {:?} | {:?} {}", death.invariant, death.store, death.at)?;
        } else {
            alive += 1;
            writeln!(out, "{name} | lives")?;
        }
    }
    writeln!(out, "{} canaries, {alive} alive", canaries::names().len())?;
    Ok(if alive == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
