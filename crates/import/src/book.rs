//! From readings to a ledger: in one transaction, or as a rehearsal that writes nothing.

use std::collections::BTreeMap;

use manbo::{Change, Code, Day, Ledger, Now, Operation, Reading, Refusal, Register, Source, StepBook};
use serde::Serialize;

use crate::error::Result;
use crate::report::Person;

/// What recording a person's readings did, or would do.
///
/// Every reading is in exactly one of `cells_new`, `cells_changed`, `unchanged`, `kept` and `refused`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// Readings that were offered.
    pub readings: u64,
    /// Cells that had no value before.
    pub cells_new: u64,
    /// Cells that had another value before; the lowered ones are among them.
    pub cells_changed: u64,
    /// Cells that held this very value.
    pub unchanged: u64,
    /// Cells that held another value and kept it: they knew more, or a correction pins them.
    pub kept: u64,
    /// Cells whose value went down: a full reading of a closed day corrected it.
    pub lowered: Vec<Lowered>,
    /// Readings that the ledger refused.
    pub refused: Vec<Refused>,
    /// Days that show or rank other steps than before, or are logged since.
    pub days_changed: u64,
    /// Other days whose levels moved because of them.
    pub later_days_changed: u64,
}

/// A cell whose value went down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Lowered {
    /// The day.
    pub day: Day,
    /// The source.
    pub source: Source,
}

/// A reading that the ledger refused; the others were recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Refused {
    /// The day.
    pub day: Day,
    /// The source.
    pub source: Source,
    /// Why.
    pub code: Code,
}

/// Records a person's readings in one transaction. Doing it again changes nothing.
///
/// # Errors
/// [`ImportError::Ledger`](crate::ImportError::Ledger) for an error of the storage; then none is recorded.
pub fn record(book: &mut StepBook, person: &Person, now: Now) -> Result<Outcome> {
    let before = registers(book.ledger()?, &person.readings);
    let recorded = book.record_all(&person.readings, now)?;
    let refused: BTreeMap<usize, Refusal> =
        recorded.refused.iter().map(|refused| (refused.index, refused.refusal)).collect();
    let mut outcome = Outcome::of(&person.readings, &before, book.ledger()?, &refused);
    outcome.count_days(recorded.changes);
    Ok(outcome)
}

/// Tells what [`record`] would do, on a copy of the ledger in memory.
///
/// # Errors
/// [`ImportError::Ledger`](crate::ImportError::Ledger) when the ledger cannot be read.
pub fn preview(book: &mut StepBook, person: &Person, now: Now) -> Result<Outcome> {
    let mut ledger = book.ledger()?.clone();
    let before = registers(&ledger, &person.readings);
    let mut refused = BTreeMap::new();
    let mut days: BTreeMap<Day, Change> = BTreeMap::new();
    for (index, reading) in person.readings.iter().enumerate() {
        match ledger.apply(Operation::Read(reading), now) {
            Ok(applied) => {
                for change in applied.changes {
                    days.entry(change.day).or_insert(change).after = change.after;
                }
            }
            Err(refusal) => {
                refused.insert(index, refusal);
            }
        }
    }
    let mut outcome = Outcome::of(&person.readings, &before, &ledger, &refused);
    // A level that one reading moves and the next one moves back is no change of the whole.
    outcome.count_days(days.into_values().filter(|change| change.before != change.after));
    Ok(outcome)
}

fn registers(ledger: &Ledger, readings: &[Reading]) -> Vec<Register> {
    readings.iter().map(|reading| ledger.register(reading.day, &reading.source)).collect()
}

impl Outcome {
    fn of(
        readings: &[Reading],
        before: &[Register],
        after: &Ledger,
        refused: &BTreeMap<usize, Refusal>,
    ) -> Outcome {
        let mut outcome = Outcome { readings: readings.len() as u64, ..Outcome::default() };
        for (index, (reading, before)) in readings.iter().zip(before).enumerate() {
            match refused.get(&index) {
                Some(refusal) => outcome.refused.push(Refused {
                    day: reading.day,
                    source: reading.source,
                    code: refusal.code(),
                }),
                None => outcome.count_cell(reading, *before, after.register(reading.day, &reading.source)),
            }
        }
        outcome
    }

    fn count_cell(&mut self, reading: &Reading, before: Register, after: Register) {
        match (before.counts, after.counts) {
            (known, now) if known == now && now == Some(reading.counts) => self.unchanged += 1,
            (known, now) if known == now => self.kept += 1,
            (None, _) => self.cells_new += 1,
            (Some(known), now) => {
                self.cells_changed += 1;
                if now.is_none_or(|now| now.recorded < known.recorded || now.manual < known.manual) {
                    self.lowered.push(Lowered { day: reading.day, source: reading.source });
                }
            }
        }
    }

    fn count_days(&mut self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            let steps = |state: Option<manbo::DayState>| state.map(|state| (state.shown, state.ranked));
            if steps(change.before) == steps(change.after) {
                self.later_days_changed += 1;
            } else {
                self.days_changed += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use manbo::{Correction, Counts, Options, SOURCES_MAX};
    use proptest::prelude::*;

    use super::*;

    fn day(number: i32) -> Day {
        "2026-03-01".parse::<Day>().unwrap().plus(number)
    }

    fn source(name: &str) -> Source {
        Source::new(name).unwrap()
    }

    fn now() -> Now {
        Now::on(day(30))
    }

    fn person(readings: Vec<Reading>) -> Person {
        Person { name: None, readings }
    }

    fn full(number: i32, steps: u32) -> Reading {
        Reading::new(day(number), source("watch"), steps).full()
    }

    fn open(folder: &tempfile::TempDir) -> StepBook {
        StepBook::open(folder.path().join("steps.db"), &Options::new()).unwrap()
    }

    /// Records, after asking what recording will do: the two must agree, and the asking must write nothing.
    #[track_caller]
    fn rehearsed(book: &mut StepBook, readings: Vec<Reading>) -> Outcome {
        let person = person(readings);
        let digest = book.digest().unwrap();
        let told = preview(book, &person, now()).unwrap();
        assert_eq!(book.digest().unwrap(), digest);
        let done = record(book, &person, now()).unwrap();
        assert_eq!(told, done);
        done
    }

    #[test]
    fn the_second_time_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = open(&folder);
        let readings = vec![full(0, 8_000), full(1, 12_000), full(2, 0)];
        let first = rehearsed(&mut book, readings.clone());
        assert_eq!((first.readings, first.cells_new, first.days_changed), (3, 3, 3));
        let again = rehearsed(&mut book, readings);
        assert_eq!(again, Outcome { readings: 3, unchanged: 3, ..Outcome::default() });
    }

    #[test]
    fn a_full_reading_lowers_and_a_partial_one_is_kept_out() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = open(&folder);
        rehearsed(&mut book, vec![full(0, 9_000), full(1, 9_000), full(2, 9_000)]);
        let partial = Reading::new(day(1), source("watch"), 4_000);
        let outcome = rehearsed(&mut book, vec![full(0, 4_000), partial, full(2, 11_000)]);
        assert_eq!(outcome.lowered, [Lowered { day: day(0), source: source("watch") }]);
        assert_eq!((outcome.cells_changed, outcome.kept, outcome.days_changed), (2, 1, 2));
        // The level of the day between moves with the first day, its steps do not.
        assert_eq!(outcome.later_days_changed, 1);
    }

    #[test]
    fn a_pinned_day_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = open(&folder);
        rehearsed(&mut book, vec![full(0, 9_000)]);
        let to = Some(Counts::new(5_000, 0));
        let correction = Correction { day: day(0), source: source("watch"), to, reason: "ticket 1" };
        book.correct(&correction, now()).unwrap();
        assert_eq!(rehearsed(&mut book, vec![full(0, 9_000)]).kept, 1);
    }

    #[test]
    fn what_the_ledger_refuses_is_named_and_does_not_hold_up_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = open(&folder);
        let mut readings: Vec<Reading> = (0..SOURCES_MAX)
            .map(|n| Reading::new(day(0), source(&format!("source-{n}")), 100).full())
            .collect();
        readings.push(full(0, 100));
        readings.push(Reading::new(day(32), source("source-1"), 100));
        let outcome = rehearsed(&mut book, readings);
        assert_eq!(outcome.cells_new, SOURCES_MAX as u64);
        let refused = |day, name, code| Refused { day, source: source(name), code };
        assert_eq!(
            outcome.refused,
            [
                refused(day(0), "watch", Code::TooManySources),
                refused(day(32), "source-1", Code::DayOutOfRange)
            ]
        );
    }

    fn any_reading() -> impl Strategy<Value = Reading> {
        (0..12_i32, 0..2_usize, 0..20_000_u32, 0..3_000_u32, any::<bool>()).prop_map(
            |(number, name, steps, manual, is_full)| {
                let name = ["phone", "watch"][name];
                let reading = Reading::new(day(number), source(name), steps).with_manual(manual);
                if is_full { reading.full() } else { reading }
            },
        )
    }

    /// One reading a (day, source), as an import gives.
    fn any_import() -> impl Strategy<Value = Vec<Reading>> {
        proptest::collection::vec(any_reading(), 0..20).prop_map(|readings| {
            let cells: BTreeMap<_, _> = readings.into_iter().map(|r| ((r.day, r.source), r)).collect();
            cells.into_values().collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

        #[test]
        fn the_rehearsal_tells_the_truth(first in any_import(), second in any_import()) {
            let folder = tempfile::tempdir().unwrap();
        let mut book = open(&folder);
            for readings in [first, second] {
                let outcome = rehearsed(&mut book, readings.clone());
                let placed = outcome.cells_new + outcome.cells_changed + outcome.unchanged + outcome.kept;
                prop_assert_eq!(placed + outcome.refused.len() as u64, outcome.readings);
                let again = rehearsed(&mut book, readings);
                prop_assert_eq!((again.cells_new, again.cells_changed, again.days_changed), (0, 0, 0));
            }
        }
    }
}
