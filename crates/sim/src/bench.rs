//! Runs schedules on either store, one or many.

use std::time::{Duration, Instant};

use crate::coverage::Coverage;
use crate::doors::model::ModelDoors;
use crate::doors::sqlite::SqliteDoors;
use crate::event::{Schedule, StoreKind};
use crate::generate;
use crate::shrink::Shrinker;
use crate::world::{Column, Counters, Extras, Failure, Invariant, Outcome, run_with};

/// One seed in so many is run twice (I14).
const SEEDS_A_DOUBLE: u64 = 64;

/// Both stores, for one thread.
#[derive(Debug, Default)]
pub struct Bench {
    model: ModelDoors,
    sqlite: SqliteDoors,
}

impl Bench {
    /// Runs a schedule on the store that it names.
    pub fn run(&mut self, schedule: &Schedule) -> Outcome {
        self.run_with(schedule, Extras::default())
    }

    /// Runs a schedule, and tells more about it.
    pub fn run_with(&mut self, schedule: &Schedule, extras: Extras<'_>) -> Outcome {
        match schedule.config.store {
            StoreKind::Model => run_with(schedule, &mut self.model, extras),
            StoreKind::Sqlite => run_with(schedule, &mut self.sqlite, extras),
        }
    }

    /// Runs the schedule of a seed; some seeds twice, and then both runs must be the same.
    pub fn run_seed(&mut self, seed: u64, store: StoreKind, coverage: Option<&mut Coverage>) -> Outcome {
        let schedule = generate::schedule(seed, store);
        let mut first = self.run_with(&schedule, Extras { coverage, story: None });
        if seed.is_multiple_of(SEEDS_A_DOUBLE) && first.failure.is_none() {
            let again = self.run(&schedule);
            if again != first {
                let why = format!("the second run was {again:?}, the first {first:?}");
                let event = schedule.events.len();
                first.failure = Some(Failure { invariant: Invariant::I14, event, story: why });
            }
        }
        first
    }

    /// The smallest schedule found that breaks the same invariant.
    pub fn shrink(&mut self, schedule: &Schedule, invariant: Invariant) -> Schedule {
        match schedule.config.store {
            StoreKind::Model => Shrinker::new(&mut self.model, invariant).shrink(schedule),
            StoreKind::Sqlite => Shrinker::new(&mut self.sqlite, invariant).shrink(schedule),
        }
    }
}

/// Which schedules are run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// On which store.
    pub store: StoreKind,
    /// The first seed.
    pub first_seed: u64,
    /// How many; without end where there is none.
    pub schedules: Option<u64>,
    /// For how long at most.
    pub time: Option<Duration>,
    /// On how many threads.
    pub threads: u64,
    /// How many failures are enough.
    pub failures: usize,
}

/// What came of many runs.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Schedules that were run.
    pub schedules: u64,
    /// How often what happened in them.
    pub counters: Counters,
    /// Schedules in which steps were lost.
    pub lost: u64,
    /// In which copies differed at the end.
    pub diverged: u64,
    /// In which delivery stood still or ran wild.
    pub stuck: u64,
    /// In which a number was wrong.
    pub wrong: u64,
    /// The first failures, with their seeds.
    pub failures: Vec<(u64, Failure)>,
    /// Which fault met which state.
    pub coverage: Coverage,
}

impl Tally {
    /// Adds what came of one run.
    pub fn add(&mut self, seed: u64, outcome: Outcome) {
        self.schedules += 1;
        self.counters.add(outcome.counters);
        if let Some(failure) = outcome.failure {
            *match failure.invariant.column() {
                Column::Lost => &mut self.lost,
                Column::Diverged => &mut self.diverged,
                Column::Stuck => &mut self.stuck,
                Column::Wrong => &mut self.wrong,
            } += 1;
            self.failures.push((seed, failure));
        }
    }

    /// Adds what came of others.
    pub fn merge(&mut self, other: Tally) {
        self.schedules += other.schedules;
        self.counters.add(other.counters);
        self.lost += other.lost;
        self.diverged += other.diverged;
        self.stuck += other.stuck;
        self.wrong += other.wrong;
        self.failures.extend(other.failures);
        self.failures.sort_by_key(|(seed, _)| *seed);
        self.coverage.merge(&other.coverage);
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Tally { schedules, counters: Counters { events, crashes, .. }, .. } = self;
        let Tally { lost, diverged, stuck, wrong, .. } = self;
        write!(
            f,
            "{schedules} schedules, {events} events, {crashes} crashes: \
             {lost} lost, {diverged} diverged, {stuck} stuck, {wrong} wrong"
        )
    }
}

/// Runs a plan. The schedules do not depend on the number of threads.
pub fn run_plan(plan: Plan) -> Tally {
    let begun = Instant::now();
    let threads = plan.threads.max(1);
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads).map(|thread| scope.spawn(move || share(plan, thread, threads, begun))).collect();
        for worker in workers {
            match worker.join() {
                Ok(share) => tally.merge(share),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    tally
}

/// Every `threads`-th schedule of a plan.
fn share(plan: Plan, thread: u64, threads: u64, begun: Instant) -> Tally {
    let mut bench = Bench::default();
    let mut tally = Tally::default();
    let mut number = thread;
    while plan.schedules.is_none_or(|count| number < count)
        && plan.time.is_none_or(|time| begun.elapsed() < time)
        && tally.failures.len() < plan.failures
    {
        let seed = plan.first_seed.wrapping_add(number);
        let mut coverage = std::mem::take(&mut tally.coverage);
        let outcome = bench.run_seed(seed, plan.store, Some(&mut coverage));
        tally.coverage = coverage;
        tally.add(seed, outcome);
        number += threads;
    }
    tally
}
