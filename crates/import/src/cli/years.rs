//! The years of a walk in one line each, so that gaps and habits are seen at a glance.

use std::collections::BTreeMap;

use manbo::{Day, Reading};

use super::text::{Paint, count};

/// Years drawn: more do not fit on a screen beside the rest of the report.
const YEARS_DRAWN: usize = 10;
/// A year has 366 days at most: 53 weeks counted from the first of January.
const WEEKS: usize = 53;
const EIGHTHS: [char; 8] =
    ['\u{2581}', '\u{2582}', '\u{2583}', '\u{2584}', '\u{2585}', '\u{2586}', '\u{2587}', '\u{2588}'];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[derive(Debug, Clone, Copy, Default)]
struct Week {
    days: u64,
    steps: u64,
}

impl Week {
    fn mean(self) -> u64 {
        self.steps / self.days.max(1)
    }
}

/// The lines for one person's readings: the names of the months, then a bar a week of each year.
pub(crate) fn lines(readings: &[Reading], paint: Paint) -> Vec<String> {
    let mut shown: BTreeMap<Day, u64> = BTreeMap::new();
    for reading in readings {
        let most = shown.entry(reading.day).or_default();
        *most = reading.counts.sum().max(*most);
    }
    let (Some((first, _)), Some((last, _))) = (shown.first_key_value(), shown.last_key_value()) else {
        return Vec::new();
    };
    let mut years: BTreeMap<i32, [Week; WEEKS]> = BTreeMap::new();
    for (day, steps) in &shown {
        let year = years.entry(day.ymd().0).or_insert([Week::default(); WEEKS]);
        let week = &mut year[week_of(*day)];
        week.days += 1;
        week.steps += steps;
    }
    let skipped = years.len().saturating_sub(YEARS_DRAWN);
    let drawn: Vec<(i32, [Week; WEEKS])> = years.into_iter().skip(skipped).collect();
    let most = drawn.iter().flat_map(|(_, weeks)| weeks).map(|week| week.mean()).max().unwrap_or(0);
    let mut lines = vec![format!("      {}", paint.dim(&months()))];
    for (year, weeks) in drawn {
        let place = |week: usize| {
            let within = |day: &Day| (day.ymd().0, week_of(*day));
            (within(first)..=within(last)).contains(&(year, week))
        };
        let bars: String = (0..WEEKS).map(|week| bar(weeks[week], most, place(week))).collect();
        let days = weeks.iter().map(|week| week.days).sum();
        lines.push(format!("{year:04}  {}  {}", paint.steps(&bars), paint.dim(&count(days, "day"))));
    }
    lines
}

fn week_of(day: Day) -> usize {
    let since = Day::from_ymd(day.ymd().0, 1, 1).map_or(0, |first| day.since(first));
    usize::try_from(since / 7).unwrap_or(0).min(WEEKS - 1)
}

/// A bar for the mean of a week's days; a dot where the walk has no day in it.
fn bar(week: Week, most: u64, within: bool) -> char {
    match (week.days, within) {
        (0, true) => '\u{b7}',
        (0, false) => ' ',
        _ => {
            let eighths = (week.mean() * 8).div_ceil(most.max(1)).clamp(1, 8);
            EIGHTHS[usize::try_from(eighths - 1).unwrap_or(0)]
        }
    }
}

/// The names of the months above the weeks in which they begin.
fn months() -> String {
    let mut line = vec![' '; WEEKS];
    for (month, name) in (1..).zip(MONTHS) {
        // The months of any year begin within a day of one another.
        let column = Day::from_ymd(2001, month, 1).map_or(0, week_of);
        for (place, letter) in line[column..].iter_mut().zip(name.chars()) {
            *place = letter;
        }
    }
    line.into_iter().collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use manbo::Source;

    use super::*;

    fn readings(days: &[(&str, u32)]) -> Vec<Reading> {
        let source = Source::new("watch").unwrap();
        days.iter().map(|(day, steps)| Reading::new(day.parse().unwrap(), source, *steps)).collect()
    }

    fn drawn(days: &[(&str, u32)]) -> Vec<String> {
        lines(&readings(days), Paint { colour: false })
    }

    #[test]
    fn weeks_without_a_day_are_dots_within_the_walk_only() {
        let lines =
            drawn(&[("2023-12-31", 4_000), ("2024-01-01", 8_000), ("2024-01-15", 0), ("2024-01-16", 2_000)]);
        assert_eq!(lines.len(), 3);
        let bars = |line: &str| line.chars().skip(6).take(WEEKS).collect::<String>();
        assert_eq!(bars(&lines[1]).trim_start(), "\u{2584}");
        assert_eq!(bars(&lines[2]).trim_end(), "\u{2588}\u{b7}\u{2581}");
        assert!(lines[1].ends_with("  1 day") && lines[2].ends_with("  3 days"));
    }

    #[test]
    fn the_last_years_are_drawn_and_nothing_of_nothing() {
        let days: Vec<String> = (2001..2021).map(|year| format!("{year}-12-31")).collect();
        let days: Vec<(&str, u32)> = days.iter().map(|day| (day.as_str(), 5)).collect();
        let lines = drawn(&days);
        assert_eq!(lines.len(), YEARS_DRAWN + 1);
        assert!(lines[1].starts_with("2011") && lines[10].starts_with("2020"));
        assert_eq!(drawn(&[]), Vec::<String>::new());
    }

    #[test]
    fn months_stand_above_their_weeks() {
        let line = months();
        assert!(line.starts_with("Jan Feb Mar") && line.ends_with("Dec"));
        assert!(line.len() <= WEEKS);
    }
}
