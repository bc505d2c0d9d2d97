//! Very many readings at once.

use std::collections::BTreeMap;

use manbo::{Day, Durability, Now, Operation, Options, Reading, Rules, Source, StepBook};

use crate::common::empty;

const TODAY: &str = "2022-10-04";

/// A fixed stream that visits ten years and three sources in no order, most cells many times.
fn readings(count: u64) -> Vec<Reading> {
    let today: Day = TODAY.parse().unwrap();
    let names = ["apple-health", "garmin", "phone-sensor-1"].map(|name| Source::new(name).unwrap());
    let mut state: u64 = 7;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let draw = state >> 33;
            let day = today.plus(-i32::try_from(draw % 3_650).unwrap());
            let source = names[usize::try_from(draw / 3_650 % 3).unwrap()];
            Reading::new(day, source, u32::try_from(draw / 10_950 % 20_000).unwrap())
        })
        .collect()
}

fn most_a_day(readings: &[Reading]) -> BTreeMap<Day, u32> {
    let mut most = BTreeMap::new();
    for reading in readings {
        let known: &mut u32 = most.entry(reading.day).or_default();
        *known = (*known).max(reading.counts.recorded);
    }
    most
}

#[test]
fn a_million_readings_in_memory() {
    let readings = readings(1_000_000);
    let rules = Rules::default();
    let mut ledger = empty(&rules);
    let now = Now::on(TODAY.parse().unwrap());
    for reading in &readings {
        let _ = ledger.apply(Operation::Read(reading), now).unwrap();
    }
    let most = most_a_day(&readings);
    let shown: BTreeMap<Day, u32> =
        ledger.days(Day::FIRST..Day::LAST).map(|(day, state)| (day, state.shown)).collect();
    assert_eq!(shown, most);
    assert_eq!(ledger.pending_count(), ledger.cells().len());
}

#[test]
fn a_hundred_thousand_readings_in_one_transaction() {
    let readings = readings(100_000);
    let now = Now::on(TODAY.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("steps.db");
    let options = Options::new().durability(Durability::Normal);
    let mut book = StepBook::open(&path, &options).unwrap();
    let recorded = book.record_all(&readings, now).unwrap();
    let most = most_a_day(&readings);
    assert_eq!(recorded.refused, vec![]);
    assert_eq!(recorded.changes.len(), most.len());
    let digest = book.digest().unwrap();
    drop(book);
    let mut book = StepBook::open(&path, &options).unwrap();
    assert_eq!(book.digest().unwrap(), digest);
    let total: u64 = most.values().map(|steps| u64::from(*steps)).sum();
    assert_eq!(book.statistics(now.today).unwrap().total_steps, total);
}
