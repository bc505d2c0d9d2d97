//! What a person's days look like: gaps, zeros, and days that look wrong.

use std::collections::BTreeMap;

use manbo::{Day, Reading, Source};

use super::summary::Cells;
use crate::report::{Gap, PersonReport, SourceReport, Suspicion, Suspicious};

/// Gaps and suspicious days that are listed one by one.
const LISTED_MAX: usize = 100;
/// A day right after days without steps is suspicious from this many times the usual day: after one day
/// away two usual days would be 2, and a lively day alone reaches that too.
const LUMP_TIMES: u32 = 3;
/// From how many days with steps on there is a usual day.
const USUAL_DAYS_MIN: usize = 7;

pub(super) fn report(
    name: Option<String>,
    shown: &BTreeMap<Day, u64>,
    sources: Vec<SourceReport>,
    cells: &Cells,
) -> PersonReport {
    let first = shown.first_key_value().map(|(day, _)| *day);
    let last = shown.last_key_value().map(|(day, _)| *day);
    let mut gaps = gaps(shown);
    let missing = gaps.iter().map(|gap| gap.days).sum();
    // Stable: gaps of one length stay in the order of the calendar.
    gaps.sort_by_key(|gap| std::cmp::Reverse(gap.days));
    gaps.truncate(LISTED_MAX);
    let mut suspicious = suspicious(cells);
    let suspicious_days = suspicious.len() as u64;
    suspicious.truncate(LISTED_MAX);
    PersonReport {
        name,
        days: shown.len() as u64,
        steps: shown.values().sum(),
        zero_days: shown.values().filter(|steps| **steps == 0).count() as u64,
        first,
        last,
        missing,
        gaps,
        suspicious,
        suspicious_days,
        sources,
    }
}

fn gaps(shown: &BTreeMap<Day, u64>) -> Vec<Gap> {
    shown
        .keys()
        .zip(shown.keys().skip(1))
        .filter(|(day, next)| next.since(**day) > 1)
        .map(|(day, next)| Gap {
            first: day.next(),
            last: next.previous(),
            days: u64::from(next.since(*day).unsigned_abs()) - 1,
        })
        .collect()
}

/// Days that seem to hold several days' steps, by day and source.
fn suspicious(cells: &Cells) -> Vec<Suspicious> {
    let mut by_source: BTreeMap<Source, Vec<&Reading>> = BTreeMap::new();
    for reading in &cells.readings {
        by_source.entry(reading.source).or_default().push(reading);
    }
    let mut found: Vec<Suspicious> = cells
        .long
        .iter()
        .map(|(day, source)| Suspicious { day: *day, source: *source, why: Suspicion::LongRecord })
        .collect();
    for (source, readings) in by_source {
        let lumps = lumps(&readings).into_iter().filter(|(day, _)| !cells.long.contains(&(*day, source)));
        found.extend(lumps.map(|(day, days_without)| Suspicious {
            day,
            source,
            why: Suspicion::SeveralDays { days_without },
        }));
    }
    found.sort_by_key(|suspicious| (suspicious.day, suspicious.source));
    found
}

/// Days right after days without steps that are several times the usual day.
fn lumps(readings: &[&Reading]) -> Vec<(Day, u32)> {
    let mut walked: Vec<(Day, u32)> = readings
        .iter()
        .map(|reading| (reading.day, reading.counts.recorded))
        .filter(|(_, steps)| *steps > 0)
        .collect();
    if walked.len() < USUAL_DAYS_MIN {
        return Vec::new();
    }
    let mut steps: Vec<u32> = walked.iter().map(|(_, steps)| *steps).collect();
    let middle = steps.len() / 2;
    let usual = *steps.select_nth_unstable(middle).1;
    walked.sort_unstable();
    walked
        .windows(2)
        .filter(|pair| pair[1].0.since(pair[0].0) > 1 && pair[1].1 / LUMP_TIMES >= usual.max(1))
        .map(|pair| (pair[1].0, pair[1].0.since(pair[0].0).unsigned_abs() - 1))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(n: i32) -> Day {
        Day::from_number(18_000 + n).unwrap()
    }

    fn cells(days: &[(i32, u32)]) -> Cells {
        let source = Source::new("watch").unwrap();
        let readings = days.iter().map(|(n, steps)| Reading::new(day(*n), source, *steps)).collect();
        Cells { readings, long: std::collections::BTreeSet::new() }
    }

    #[test]
    fn a_lump_after_days_away_is_suspicious_and_a_lively_day_is_not() {
        let mut days: Vec<(i32, u32)> = (0..20).map(|n| (n, 6_000)).collect();
        days[10].1 = 30_000;
        assert!(suspicious(&cells(&days)).is_empty(), "the day before has steps");
        days[9].1 = 0;
        let found = suspicious(&cells(&days));
        assert_eq!((found.len(), found[0].day), (1, day(10)));
        assert_eq!(found[0].why, Suspicion::SeveralDays { days_without: 1 });
        days.remove(9);
        days.remove(8);
        assert_eq!(suspicious(&cells(&days))[0].why, Suspicion::SeveralDays { days_without: 2 });
        assert!(suspicious(&cells(&days[..5])).is_empty());
    }

    #[test]
    fn gaps_are_what_is_missing_between() {
        let shown = [(0, 5), (1, 0), (4, 7), (6, 1)].into_iter().map(|(n, steps)| (day(n), steps)).collect();
        let report = report(None, &shown, Vec::new(), &Cells::default());
        assert_eq!((report.days, report.steps, report.zero_days, report.missing), (4, 13, 1, 3));
        assert_eq!(report.gaps[0], Gap { first: day(2), last: day(3), days: 2 });
        assert_eq!(report.gaps[1].days, 1);
    }
}
