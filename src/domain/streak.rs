//! Runs of civil days. Adjacency is by the calendar, never by position in a list.

use super::day::Day;

/// A set of days kept as maximal runs of consecutive days, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Runs {
    // (first, last) of each run, both inclusive; runs neither touch nor overlap.
    runs: Vec<(Day, Day)>,
}

/// What a streak statistic needs of a set of days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Streaks {
    /// The run that ends at the as-of day, or the day before if the as-of day is not in the set yet.
    pub current: u32,
    /// The longest run up to the as-of day.
    pub longest: u32,
    /// The last day of the set up to the as-of day.
    pub last: Option<Day>,
}

fn length((first, last): (Day, Day)) -> u32 {
    u32::try_from(last.since(first) + 1).unwrap_or(0)
}

impl Runs {
    /// Adds a day; a known one changes nothing.
    pub fn insert(&mut self, day: Day) {
        let at = self.runs.partition_point(|(first, _)| *first <= day);
        let joins_before = at > 0 && self.runs[at - 1].1 >= day.previous();
        let joins_after = at < self.runs.len() && self.runs[at].0 == day.next();
        match (joins_before, joins_after) {
            (true, true) => {
                self.runs[at - 1].1 = self.runs[at].1;
                self.runs.remove(at);
            }
            (true, false) => self.runs[at - 1].1 = self.runs[at - 1].1.max(day),
            (false, true) => self.runs[at].0 = day,
            (false, false) => self.runs.insert(at, (day, day)),
        }
    }

    /// The streaks as of a day; later days are left out.
    pub fn streaks(&self, as_of: Day) -> Streaks {
        let up_to = self.runs.partition_point(|(first, _)| *first <= as_of);
        let seen = &self.runs[..up_to];
        let clipped = |run: &(Day, Day)| (run.0, run.1.min(as_of));
        let last_run = seen.last().map(clipped);
        Streaks {
            current: last_run.filter(|run| run.1 >= as_of.previous()).map_or(0, length),
            longest: seen.iter().map(|run| length(clipped(run))).max().unwrap_or(0),
            last: last_run.map(|run| run.1),
        }
    }
}

impl FromIterator<Day> for Runs {
    fn from_iter<I: IntoIterator<Item = Day>>(days: I) -> Runs {
        let mut runs = Runs::default();
        days.into_iter().for_each(|day| runs.insert(day));
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_merge_and_streaks_end_at_or_before_as_of() {
        let day = |n: i32| Day::FIRST.plus(n);
        let mut runs: Runs = [0, 1, 4, 6, 5, 2, 6].map(day).into_iter().collect();
        assert_eq!(runs.runs, vec![(day(0), day(2)), (day(4), day(6))]);
        let check = |runs: &Runs, n, current, longest, last: Option<i32>| {
            assert_eq!(runs.streaks(day(n)), Streaks { current, longest, last: last.map(day) }, "{n}");
        };
        check(&runs, -1, 0, 0, None);
        check(&runs, 1, 2, 2, Some(1));
        check(&runs, 3, 3, 3, Some(2));
        check(&runs, 5, 2, 3, Some(5));
        check(&runs, 7, 3, 3, Some(6));
        check(&runs, 8, 0, 3, Some(6));
        runs.insert(day(3));
        check(&runs, 6, 7, 7, Some(6));
    }
}
