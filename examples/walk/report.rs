//! The figures as data: what the report, the picture and the JSON have in common.

use std::collections::BTreeMap;

use manbo::{Day, DayState, GapPolicy, Level, Rules, Snapshot, Statistics, StepBook, WeekStart};
use manbo_import::{FileReport, SourceReport, Union};
use serde::Serialize;

use crate::imported::BadRow;
use crate::journey::{Copies, Fed, LateChange, Traffic};

/// Where the readings came from.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    Simulated {
        seed: u64,
        days: u32,
    },
    Imported {
        file: String,
        rows: u64,
        days: u64,
        blank_rows: u64,
        bad_rows: u64,
        bad_rows_listed: Vec<BadRow>,
        splits: u64,
        union: Union,
        days_by: String,
        sources: Vec<SourceReport>,
        files: Vec<FileReport>,
    },
}

#[derive(Debug, Serialize)]
pub(crate) struct RulesView {
    pub(crate) start_level: Level,
    pub(crate) raise_at: u32,
    pub(crate) drop_below: u32,
    pub(crate) gap: GapPolicy,
    pub(crate) goal: u32,
    pub(crate) week_start: WeekStart,
}

/// A civil day; one without a log has neither steps nor levels.
#[derive(Debug, Serialize)]
pub(crate) struct DayLine {
    pub(crate) day: Day,
    pub(crate) shown: Option<u32>,
    pub(crate) ranked: Option<u32>,
    pub(crate) initial_level: Option<Level>,
    pub(crate) level: Option<Level>,
    pub(crate) attended: bool,
    pub(crate) readings: Vec<Fed>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct WeekLine {
    pub(crate) first: Day,
    pub(crate) label: String,
    pub(crate) shown: u64,
    pub(crate) ranked: u64,
    pub(crate) days_logged: u32,
}

/// Days in a row, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Span {
    pub(crate) first: Day,
    pub(crate) last: Day,
    pub(crate) days: i32,
}

#[derive(Debug, Serialize)]
pub(crate) struct Explained {
    pub(crate) day: Day,
    pub(crate) text: String,
}

/// Everything that is shown.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) format: u32,
    pub(crate) origin: Origin,
    pub(crate) rules: RulesView,
    pub(crate) statistics: Statistics,
    pub(crate) best_week: Option<WeekLine>,
    pub(crate) goal_streaks: Vec<Span>,
    pub(crate) longest_attendance: Option<Span>,
    pub(crate) days_at_level: BTreeMap<Level, usize>,
    pub(crate) level_changes: usize,
    pub(crate) late_changes: Vec<LateChange>,
    pub(crate) explained: Option<Explained>,
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) traffic: Traffic,
    pub(crate) copies: Copies,
    pub(crate) weeks: Vec<WeekLine>,
    pub(crate) days: Vec<DayLine>,
}

/// What the journey hands over beside the ledger.
pub(crate) struct Told {
    pub(crate) origin: Origin,
    pub(crate) fed: BTreeMap<Day, Vec<Fed>>,
    pub(crate) late_changes: Vec<LateChange>,
    pub(crate) story: Option<Day>,
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) traffic: Traffic,
    pub(crate) copies: Copies,
}

/// Asks the ledger for every figure as of a day.
///
/// # Errors
/// Those of the storage.
pub(crate) fn report(book: &mut StepBook, as_of: Day, told: Told) -> manbo::Result<Report> {
    let rules = *book.rules();
    let statistics = book.statistics(as_of)?;
    let days = day_lines(book, as_of, told.fed)?;
    let weeks = week_lines(&days, rules.week_start());
    let explained_day = told.story.or(statistics.best_day);
    let explained = match explained_day {
        Some(day) => Some(Explained { day, text: book.explain(day)?.to_string() }),
        None => None,
    };
    let mut days_at_level: BTreeMap<Level, usize> = Level::ALL.map(|level| (level, 0)).into();
    let levels: Vec<Level> = days.iter().filter_map(|line| line.level).collect();
    for level in &levels {
        *days_at_level.entry(*level).or_default() += 1;
    }
    let at_goal = |line: &DayLine| line.shown.is_some_and(|shown| shown >= rules.goal());
    Ok(Report {
        format: 1,
        origin: told.origin,
        rules: rules_view(&rules),
        statistics,
        best_week: first_largest(&weeks),
        goal_streaks: spans(&days, at_goal),
        longest_attendance: longest(&spans(&days, |line| line.attended)),
        days_at_level,
        level_changes: levels.windows(2).filter(|pair| pair[0] != pair[1]).count(),
        late_changes: told.late_changes,
        explained,
        snapshot: told.snapshot,
        traffic: told.traffic,
        copies: told.copies,
        weeks,
        days,
    })
}

fn rules_view(rules: &Rules) -> RulesView {
    let levels = rules.levels();
    RulesView {
        start_level: levels.start(),
        raise_at: levels.raise_at(),
        drop_below: levels.drop_below(),
        gap: levels.gap(),
        goal: rules.goal(),
        week_start: rules.week_start(),
    }
}

fn day_lines(
    book: &mut StepBook,
    as_of: Day,
    mut fed: BTreeMap<Day, Vec<Fed>>,
) -> manbo::Result<Vec<DayLine>> {
    let ledger = book.ledger()?;
    let first = ledger.timeline().first_logged().or(fed.keys().next().copied());
    let first = first.unwrap_or(as_of).min(fed.keys().next().copied().unwrap_or(as_of));
    let all = std::iter::successors(Some(first), |day| Some(day.next())).take_while(|day| *day <= as_of);
    let line = |day: Day| {
        let state: Option<DayState> = ledger.day(day);
        DayLine {
            day,
            shown: state.map(|s| s.shown),
            ranked: state.map(|s| s.ranked),
            initial_level: state.map(|s| s.initial_level),
            level: state.map(|s| s.level),
            attended: ledger.attended(day),
            readings: fed.remove(&day).unwrap_or_default(),
        }
    };
    Ok(all.map(line).collect())
}

fn week_lines(days: &[DayLine], start: WeekStart) -> Vec<WeekLine> {
    days.chunk_by(|a, b| a.day.week(start) == b.day.week(start))
        .filter_map(|days| {
            let week = days.first()?.day.week(start);
            Some(WeekLine {
                first: week.first(),
                label: week.iso_label(),
                shown: days.iter().filter_map(|line| line.shown).map(u64::from).sum(),
                ranked: days.iter().filter_map(|line| line.ranked).map(u64::from).sum(),
                days_logged: days.iter().map(|line| u32::from(line.shown.is_some())).sum(),
            })
        })
        .collect()
}

/// The week with the most steps, the earliest on a tie, as for days.
fn first_largest(weeks: &[WeekLine]) -> Option<WeekLine> {
    weeks.iter().rev().max_by_key(|week| week.shown).filter(|week| week.days_logged > 0).cloned()
}

fn spans(days: &[DayLine], belongs: impl Fn(&DayLine) -> bool) -> Vec<Span> {
    days.chunk_by(|a, b| belongs(a) == belongs(b))
        .filter(|run| run.first().is_some_and(&belongs))
        .filter_map(|run| {
            let (first, last) = (run.first()?.day, run.last()?.day);
            Some(Span { first, last, days: last.since(first) + 1 })
        })
        .collect()
}

/// The longest run, the earliest on a tie.
pub(crate) fn longest(spans: &[Span]) -> Option<Span> {
    spans.iter().rev().max_by_key(|span| span.days).copied()
}

/// The mean of a day, rounded half up.
pub(crate) fn mean(steps: u64, days: u64) -> u64 {
    (steps + days / 2) / days.max(1)
}

/// A month or a year of the walk.
pub(crate) struct Period {
    pub(crate) label: String,
    pub(crate) shown: u64,
    pub(crate) days_logged: u64,
    pub(crate) days_at_goal: usize,
}

impl Period {
    pub(crate) fn mean(&self) -> u64 {
        mean(self.shown, self.days_logged)
    }
}

impl Report {
    pub(crate) fn years(&self) -> std::ops::RangeInclusive<i32> {
        let year = |line: Option<&DayLine>| line.map_or(0, |line| line.day.ymd().0);
        year(self.days.first())..=year(self.days.last())
    }

    /// Months of a walk within one year, years of a longer one.
    pub(crate) fn periods(&self) -> Vec<Period> {
        let by_year = self.years().count() > 1;
        let key = |line: &DayLine| {
            let (year, month, _) = line.day.ymd();
            if by_year { (year, 0) } else { (year, month) }
        };
        self.days
            .chunk_by(|a, b| key(a) == key(b))
            .filter_map(|days| {
                let (year, month) = key(days.first()?);
                let shown = || days.iter().filter_map(|line| line.shown);
                Some(Period {
                    label: if by_year { year.to_string() } else { month_name(month).to_owned() },
                    shown: shown().map(u64::from).sum(),
                    days_logged: shown().count() as u64,
                    days_at_goal: shown().filter(|steps| *steps >= self.rules.goal).count(),
                })
            })
            .collect()
    }
}

pub(crate) fn month_name(month: u32) -> &'static str {
    const NAMES: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    NAMES[(month as usize).clamp(1, 12) - 1]
}
