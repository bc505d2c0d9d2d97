//! Civil days and weeks. A day is what the walker's calendar said when the steps were captured: it is
//! never recomputed from an instant, and it never means 86,400 seconds.

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::code::Refusal;

/// A civil date of the Gregorian calendar, years 0000 to 9999.
///
/// A ledger stores [`Day::FIRST`] to [`Day::LAST`]; any other date is a value that exists but is out
/// of range.
///
/// ```
/// use manbo::Day;
/// let day: Day = "2022-10-04".parse()?;
/// assert_eq!(day.next().to_string(), "2022-10-05");
/// assert!("2026-02-30".parse::<Day>().is_err());
/// # Ok::<(), manbo::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i32);

const BAD_DAY: Refusal = Refusal::BadValue { field: "day", rule: "a date that exists, as YYYY-MM-DD" };
/// 0000-01-01 and 9999-12-31 as days since 1970-01-01.
const NUMBERS: std::ops::RangeInclusive<i32> = -719_528..=2_932_896;

impl Day {
    /// The first day that a ledger stores: 2000-01-01. No pedometer app is older.
    pub const FIRST: Day = Day(10_957);
    /// The last day that a ledger stores: 2199-12-31. Nobody walking today will see it, and a clock
    /// that says so is wrong.
    pub const LAST: Day = Day(84_005);

    /// The day of a year (0 to 9999), month (1 to 12) and day of the month.
    ///
    /// # Errors
    /// [`Refusal::BadValue`] when there is no such date.
    pub fn from_ymd(year: i32, month: u32, day: u32) -> Result<Day, Refusal> {
        NaiveDate::from_ymd_opt(year, month, day)
            .ok_or(BAD_DAY)
            .and_then(|date| Day::from_number(date.to_epoch_days()))
    }

    /// The day with this number: days since 1970-01-01, as stored.
    ///
    /// # Errors
    /// [`Refusal::BadValue`] outside the years 0000 to 9999.
    pub fn from_number(number: i32) -> Result<Day, Refusal> {
        if NUMBERS.contains(&number) { Ok(Day(number)) } else { Err(BAD_DAY) }
    }

    /// Days since 1970-01-01.
    pub const fn number(self) -> i32 {
        self.0
    }

    /// The following day; 9999-12-31 stays.
    pub fn next(self) -> Day {
        self.plus(1)
    }

    /// The day before; 0000-01-01 stays.
    pub fn previous(self) -> Day {
        self.plus(-1)
    }

    /// The day `days` later (earlier when negative), held within the years 0000 to 9999.
    pub fn plus(self, days: i32) -> Day {
        Day(self.0.saturating_add(days).clamp(*NUMBERS.start(), *NUMBERS.end()))
    }

    /// How many days after `other` this day is; negative when before.
    pub const fn since(self, other: Day) -> i32 {
        self.0 - other.0
    }

    /// Whether a ledger can store this day.
    pub fn is_storable(self) -> bool {
        (Day::FIRST..=Day::LAST).contains(&self)
    }

    /// The week that holds this day.
    pub fn week(self, start: WeekStart) -> Week {
        // 1970-01-01 was a Thursday: day number 0 is the fourth day of a Monday week.
        let into = (self.0 + 3 + start.days_before_monday()).rem_euclid(7);
        Week { first: self.plus(-into) }
    }

    /// Year, month (1 to 12) and day of the month.
    pub fn ymd(self) -> (i32, u32, u32) {
        let date = self.date();
        (date.year(), date.month(), date.day())
    }

    /// The day of the week, 0 for Monday to 6 for Sunday.
    pub fn weekday(self) -> u32 {
        self.date().weekday().num_days_from_monday()
    }

    fn date(self) -> NaiveDate {
        // In range by construction; the epoch itself is the harmless answer to the impossible.
        NaiveDate::from_epoch_days(self.0).unwrap_or_default()
    }
}

impl std::str::FromStr for Day {
    type Err = Refusal;

    /// Reads exactly `YYYY-MM-DD` in ASCII digits; one canonical form, nothing else.
    fn from_str(text: &str) -> Result<Day, Refusal> {
        let bytes = text.as_bytes();
        let shape = bytes.len() == 10
            && bytes
                .iter()
                .enumerate()
                .all(|(i, b)| if i == 4 || i == 7 { *b == b'-' } else { b.is_ascii_digit() });
        if !shape {
            return Err(BAD_DAY);
        }
        let number =
            |range: std::ops::Range<usize>| bytes[range].iter().fold(0, |n, b| n * 10 + u32::from(b - b'0'));
        Day::from_ymd(number(0..4).cast_signed(), number(5..7), number(8..10))
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (year, month, day) = self.ymd();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl std::fmt::Debug for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Day, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The day on which a week begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeekStart {
    /// ISO 8601, the default.
    #[default]
    Monday,
    /// As in the Americas, Korea and Japan.
    Sunday,
    /// As in much of the Arab world.
    Saturday,
}

impl WeekStart {
    const fn days_before_monday(self) -> i32 {
        match self {
            WeekStart::Monday => 0,
            WeekStart::Sunday => 1,
            WeekStart::Saturday => 2,
        }
    }
}

/// Seven civil days in a row.
///
/// ```
/// use manbo::{Day, WeekStart};
/// let new_year: Day = "2027-01-01".parse()?;
/// let week = new_year.week(WeekStart::Monday);
/// assert_eq!((week.iso_label().as_str(), week.first().to_string().as_str()), ("2026-W53", "2026-12-28"));
/// assert_eq!(new_year.week(WeekStart::Sunday).first().to_string(), "2026-12-27");
/// # Ok::<(), manbo::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Week {
    first: Day,
}

impl Week {
    /// The first day.
    pub const fn first(self) -> Day {
        self.first
    }

    /// The day after the last: a week is the half-open range `first .. end`.
    pub fn end(self) -> Day {
        self.first.plus(7)
    }

    /// Whether the week holds this day.
    pub fn contains(self, day: Day) -> bool {
        self.first <= day && day < self.end()
    }

    /// The ISO 8601 name of the week that holds this week's Thursday, as in `2026-W53`. For weeks that
    /// begin on Monday it is their own name.
    pub fn iso_label(self) -> String {
        // The Thursday decides the ISO year and number.
        let thursday = (0..7).map(|n| self.first.plus(n)).find(|d| d.weekday() == 3).unwrap_or(self.first);
        let iso = thursday.date().iso_week();
        format!("{:04}-W{:02}", iso.year(), iso.week())
    }
}

/// Minutes from UTC that bounded a day: -720 (UTC-12) to 840 (UTC+14).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct UtcOffset(i16);

impl UtcOffset {
    /// UTC itself.
    pub const UTC: UtcOffset = UtcOffset(0);

    /// The offset of so many minutes east of UTC.
    ///
    /// # Errors
    /// [`Refusal::BadValue`] outside -720 to 840.
    pub fn from_minutes(minutes: i32) -> Result<UtcOffset, Refusal> {
        match i16::try_from(minutes) {
            Ok(m) if (-720..=840).contains(&m) => Ok(UtcOffset(m)),
            _ => Err(Refusal::BadValue { field: "offset_minutes", rule: "a whole number from -720 to 840" }),
        }
    }

    /// Minutes east of UTC.
    pub const fn minutes(self) -> i16 {
        self.0
    }
}

/// The caller's present: the instant and the walker's civil day. Nothing in this crate reads a clock.
///
/// ```
/// use manbo::{Now, UtcOffset};
/// // 15:30 in London is half past midnight in Seoul: already the next day.
/// let now = Now::at(1_664_724_600_000, UtcOffset::from_minutes(540)?);
/// assert_eq!(now.today.to_string(), "2022-10-03");
/// # Ok::<(), manbo::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since 1970-01-01T00:00:00Z. Only ages and retry times come from it.
    pub unix_ms: i64,
    /// The civil day where the walker now is. Decides which days are closed.
    pub today: Day,
}

const DAY_MS: i64 = 86_400_000;

impl Now {
    /// The present at an instant, in a zone that is now this far from UTC.
    pub fn at(unix_ms: i64, offset: UtcOffset) -> Now {
        let local_ms = unix_ms.saturating_add(i64::from(offset.minutes()) * 60_000);
        let number =
            local_ms.div_euclid(DAY_MS).clamp(i64::from(*NUMBERS.start()), i64::from(*NUMBERS.end()));
        // Clamped to the calendar one line above.
        Now { unix_ms, today: Day(i32::try_from(number).unwrap_or_default()) }
    }

    /// Noon UTC of a day: for tests, imports and servers, where only the day matters.
    pub fn on(today: Day) -> Now {
        Now { unix_ms: i64::from(today.0) * DAY_MS + DAY_MS / 2, today }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_the_dates_they_say() {
        assert_eq!(
            (Day::FIRST.to_string(), Day::LAST.to_string()),
            ("2000-01-01".into(), "2199-12-31".into())
        );
        assert_eq!(Day(*NUMBERS.start()).to_string(), "0000-01-01");
        assert_eq!(Day(*NUMBERS.end()).to_string(), "9999-12-31");
        assert_eq!(Day(*NUMBERS.end()).next(), Day(*NUMBERS.end()));
    }

    #[test]
    fn only_the_canonical_form_is_a_day() {
        for bad in [
            "2026-02-30",
            "10/01",
            "2026-2-9",
            "2026-02-09 ",
            "+026-02-09",
            "20260209",
            "",
            "2026-00-10",
            "2026-13-01",
            "2025-02-29",
            "\u{662}026-02-09",
            "10000-01-01",
            "-001-01-01",
        ] {
            assert_eq!(bad.parse::<Day>(), Err(BAD_DAY), "{bad}");
        }
        assert_eq!("2024-02-29".parse::<Day>().map(Day::ymd), Ok((2024, 2, 29)));
    }

    #[test]
    fn weeks_begin_where_the_rule_says() {
        let check = |day: &str, start, first: &str| {
            let week = day.parse::<Day>().unwrap().week(start);
            assert_eq!(week.first().to_string(), first);
            assert!(week.contains(day.parse().unwrap()) && !week.contains(week.end()));
        };
        check("2027-01-01", WeekStart::Monday, "2026-12-28");
        check("2027-01-03", WeekStart::Monday, "2026-12-28");
        check("2027-01-04", WeekStart::Monday, "2027-01-04");
        check("2027-01-01", WeekStart::Sunday, "2026-12-27");
        check("2027-01-03", WeekStart::Sunday, "2027-01-03");
        check("2027-01-01", WeekStart::Saturday, "2026-12-26");
        check("2027-01-02", WeekStart::Saturday, "2027-01-02");
        check("2000-01-01", WeekStart::Monday, "1999-12-27");
    }

    #[test]
    fn offsets_are_those_that_exist() {
        assert!(UtcOffset::from_minutes(-720).is_ok() && UtcOffset::from_minutes(840).is_ok());
        assert!(UtcOffset::from_minutes(-721).is_err() && UtcOffset::from_minutes(841).is_err());
        assert!(UtcOffset::from_minutes(i32::MIN).is_err());
    }

    #[test]
    fn now_takes_the_civil_day_of_the_zone() {
        let offset = |m| UtcOffset::from_minutes(m).unwrap();
        assert_eq!(Now::at(-1, offset(0)).today.to_string(), "1969-12-31");
        assert_eq!(Now::at(0, offset(-720)).today.to_string(), "1969-12-31");
        assert_eq!(Now::at(i64::MAX, offset(840)).today.to_string(), "9999-12-31");
        assert_eq!(Now::at(i64::MIN, offset(-720)).today.to_string(), "0000-01-01");
    }
}
