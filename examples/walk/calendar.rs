//! Civil years cut in weeks: what the terminal and the picture draw.

use manbo::{Day, Level, WeekStart};

use crate::report::{DayLine, Report, mean, month_name};

/// What a day's steps mean for the level, as a shade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heat {
    /// Not part of the walk.
    Outside,
    /// Nothing is known of the day.
    NoLog,
    /// Not half of the steps that hold a level.
    FarBelow,
    /// Below the steps that hold a level.
    Lowers,
    /// Between the two thresholds.
    Keeps,
    /// At least the steps that raise a level.
    Raises,
    /// Half as much again.
    FarAbove,
}

/// A week of a calendar; a place is empty where the day belongs to another year or to no walk.
pub(crate) struct Week<'a> {
    pub(crate) first: Day,
    pub(crate) label: String,
    days: [Option<&'a DayLine>; 7],
}

pub(crate) struct Year<'a> {
    pub(crate) number: i32,
    pub(crate) first_weekday: WeekStart,
    pub(crate) weeks: Vec<Week<'a>>,
}

pub(crate) fn far_above(raise_at: u32) -> u32 {
    raise_at.saturating_add(raise_at / 2)
}

/// The most steps of a week: one scale for all years that are drawn.
pub(crate) fn most_of_a_week(years: &[Year<'_>]) -> u64 {
    years.iter().flat_map(|year| &year.weeks).map(Week::shown).max().unwrap_or(0).max(1)
}

/// The years of a walk, each with all its weeks.
pub(crate) fn years(report: &Report) -> Vec<Year<'_>> {
    let start = report.rules.week_start;
    report
        .days
        .chunk_by(|a, b| a.day.ymd().0 == b.day.ymd().0)
        .filter_map(|lines| {
            let number = lines.first()?.day.ymd().0;
            let first = Day::from_ymd(number, 1, 1).ok()?.week(start).first();
            let last = Day::from_ymd(number, 12, 31).ok()?;
            let mut weeks: Vec<Week<'_>> = std::iter::successors(Some(first), |day| Some(day.plus(7)))
                .take_while(|day| *day <= last)
                .map(|first| Week { first, label: first.week(start).iso_label(), days: [None; 7] })
                .collect();
            for line in lines {
                let index = usize::try_from(line.day.since(first)).ok()?;
                weeks[index / 7].days[index % 7] = Some(line);
            }
            Some(Year { number, first_weekday: start, weeks })
        })
        .collect()
}

/// The name of the weekday in this row of a calendar.
pub(crate) fn weekday_name(start: WeekStart, row: usize) -> &'static str {
    const NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let first = match start {
        WeekStart::Monday => 0,
        WeekStart::Sunday => 6,
        WeekStart::Saturday => 5,
    };
    NAMES[(first + row) % 7]
}

pub(crate) fn heat(line: Option<&DayLine>, report: &Report) -> Heat {
    let Some(line) = line else { return Heat::Outside };
    match line.shown {
        None => Heat::NoLog,
        Some(shown) if shown < report.rules.drop_below / 2 => Heat::FarBelow,
        Some(shown) if shown < report.rules.drop_below => Heat::Lowers,
        Some(shown) if shown < report.rules.raise_at => Heat::Keeps,
        Some(shown) if shown < far_above(report.rules.raise_at) => Heat::Raises,
        Some(_) => Heat::FarAbove,
    }
}

impl<'a> Week<'a> {
    pub(crate) fn day(&self, row: usize) -> Option<&'a DayLine> {
        self.days[row]
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = &'a DayLine> + '_ {
        self.days.iter().flatten().copied()
    }

    pub(crate) fn shown(&self) -> u64 {
        self.lines().filter_map(|line| line.shown).map(u64::from).sum()
    }

    pub(crate) fn days_at(&self, level: Level) -> usize {
        self.lines().filter(|line| line.level == Some(level)).count()
    }
}

impl<'a> Year<'a> {
    pub(crate) fn heat(&self, week: usize, row: usize, report: &Report) -> Heat {
        heat(self.weeks[week].day(row), report)
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = &'a DayLine> + '_ {
        self.weeks.iter().flat_map(Week::lines)
    }

    pub(crate) fn days_at(&self, level: Level) -> u64 {
        self.weeks.iter().map(|week| week.days_at(level) as u64).sum()
    }

    /// The mean of the logged days of each weekday.
    pub(crate) fn weekday_means(&self) -> [u64; 7] {
        std::array::from_fn(|row| {
            let shown = || self.weeks.iter().filter_map(|week| week.day(row)?.shown);
            mean(shown().map(u64::from).sum(), shown().count() as u64)
        })
    }

    /// The column in which each month begins, with its name.
    pub(crate) fn month_starts(&self) -> Vec<(usize, &'static str)> {
        let first = self.weeks.first().map(|week| week.first);
        (1..=12)
            .filter_map(|month| {
                let day = Day::from_ymd(self.number, month, 1).ok()?;
                // A month that begins within a week has its name above its first whole one.
                let column = usize::try_from((day.since(first?) + 6) / 7).ok()?;
                Some((column, month_name(month)))
            })
            .collect()
    }
}
