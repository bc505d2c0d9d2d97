//! The canaries: faults put into the library on purpose, of which each must be found. One that lives says that
//! the simulator is blind there.

use crate::bench::Bench;
use crate::event::StoreKind;
use crate::world::Invariant;

/// Within how many schedules a canary must die.
pub const SCHEDULES_MAX: u64 = 1_000;

/// How a canary died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Death {
    /// What it broke.
    pub invariant: Invariant,
    /// On which store it was seen.
    pub store: StoreKind,
    /// At which schedule, counted from 1.
    pub at: u64,
}

/// Runs the worlds with a canary, first in memory and then on SQLite; `None` where it lives.
pub fn hunt(canary: &'static str, first_seed: u64) -> Option<Death> {
    choose(Some(canary));
    let mut bench = Bench::default();
    let death = [StoreKind::Model, StoreKind::Sqlite].into_iter().find_map(|store| {
        (1..=SCHEDULES_MAX).find_map(|at| {
            let outcome = bench.run_seed(first_seed + at - 1, store, None);
            outcome.failure.map(|failure| Death { invariant: failure.invariant, store, at })
        })
    });
    choose(None);
    death
}

/// The names of the canaries; none in a build without them.
#[cfg(manbo_canaries)]
pub fn names() -> &'static [&'static str] {
    manbo::canary::NAMES
}

/// The names of the canaries; none in a build without them.
#[cfg(not(manbo_canaries))]
pub fn names() -> &'static [&'static str] {
    &[]
}

#[cfg(manbo_canaries)]
fn choose(canary: Option<&'static str>) {
    manbo::canary::choose(canary);
}

#[cfg(not(manbo_canaries))]
fn choose(_: Option<&'static str>) {}
