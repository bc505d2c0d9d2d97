//! Which civil day a moment belongs to, and until when that day lasts.

use chrono::{DateTime, NaiveDate, Offset, TimeZone};
use chrono_tz::Tz;

use crate::time::{DAY_MS, MINUTE_MS};

/// A stretch of time that belongs to one civil day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    /// The day, as days since 1970-01-01.
    pub(super) day: i32,
    /// The first millisecond after it.
    pub(super) end_ms: i64,
}

/// How the moments of a record become days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// Wall time without an offset.
    Wall,
    /// Unix time with a printed offset in minutes.
    Printed(i16),
    /// Unix time, in the zone of the import.
    Zoned,
    /// A device's own time since it was started, all of it on this day.
    Uptime(i32),
}

/// Finds days; remembers the last stretch of the zone, because records come in order.
pub(super) struct Clock {
    zone: Option<Tz>,
    from_ms: i64,
    last: Stretch,
}

impl Clock {
    pub(super) fn new(zone: Option<Tz>) -> Clock {
        Clock { zone, from_ms: 0, last: Stretch { day: 0, end_ms: 0 } }
    }

    /// The line of a moment with or without a printed offset.
    pub(super) fn line(&self, offset: Option<i16>) -> Line {
        match (offset, self.zone) {
            (None, _) => Line::Wall,
            (Some(_), Some(_)) => Line::Zoned,
            (Some(minutes), None) => Line::Printed(minutes),
        }
    }

    /// The stretch that holds a moment.
    pub(super) fn stretch(&mut self, line: Line, ms: i64) -> Stretch {
        match (line, self.zone) {
            (Line::Wall, _) | (Line::Zoned, None) => fixed(0, ms),
            (Line::Printed(minutes), _) => fixed(minutes, ms),
            (Line::Uptime(day), _) => Stretch { day, end_ms: i64::MAX },
            (Line::Zoned, Some(zone)) => {
                if ms < self.from_ms || ms >= self.last.end_ms {
                    self.from_ms = ms;
                    self.last = zoned(zone, ms);
                }
                self.last
            }
        }
    }

    /// The offset in force when a day begins, in whole minutes; `None` where it has seconds.
    pub(super) fn offset_of_day(&self, day: i32) -> Option<i16> {
        let zone = self.zone?;
        let midnight = NaiveDate::from_epoch_days(day)?.and_hms_opt(0, 0, 0)?;
        let seconds = zone.from_local_datetime(&midnight).earliest()?.offset().fix().local_minus_utc();
        if seconds % 60 == 0 { i16::try_from(seconds / 60).ok() } else { None }
    }
}

fn fixed(minutes: i16, ms: i64) -> Stretch {
    let east = i64::from(minutes) * MINUTE_MS;
    let number = (ms + east).div_euclid(DAY_MS);
    // Readers only make moments of four-digit years.
    Stretch { day: i32::try_from(number).unwrap_or(i32::MAX), end_ms: (number + 1) * DAY_MS - east }
}

/// The offset of a zone at an instant, in milliseconds east of UTC.
fn east_ms(zone: Tz, unix_ms: i64) -> i64 {
    let utc = DateTime::from_timestamp_millis(unix_ms).unwrap_or_default().naive_utc();
    i64::from(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc()) * 1_000
}

/// By the definition: the local date, until the local date changes. Where the offset changes before
/// midnight, the stretch ends there, because a change may jump over midnight or back. (Two changes that
/// undo each other within a day would be missed: zones have had none since 2000.)
fn zoned(zone: Tz, ms: i64) -> Stretch {
    let east = east_ms(zone, ms);
    let number = (ms + east).div_euclid(DAY_MS);
    let midnight = (number + 1) * DAY_MS - east;
    let end_ms =
        if east_ms(zone, midnight - 1) == east { midnight } else { change_between(zone, ms, midnight, east) };
    Stretch { day: i32::try_from(number).unwrap_or(i32::MAX), end_ms }
}

/// The instant after `low`, up to `high`, at which the offset is no longer `east`, by bisection.
fn change_between(zone: Tz, mut low: i64, mut high: i64, east: i64) -> i64 {
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if east_ms(zone, middle) == east {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
    }

    fn day(text: &str) -> i32 {
        text.parse::<manbo::Day>().unwrap().number()
    }

    #[track_caller]
    fn check(zone: Tz, at: &str, expected_day: &str, expected_end: &str) {
        let stretch = Clock::new(Some(zone)).stretch(Line::Zoned, ms(at));
        assert_eq!((stretch.day, stretch.end_ms), (day(expected_day), ms(expected_end)), "{at}");
    }

    #[test]
    fn a_plain_day_ends_at_its_own_midnight() {
        check(chrono_tz::Asia::Seoul, "2022-10-02T15:30:00Z", "2022-10-03", "2022-10-03T15:00:00Z");
    }

    #[test]
    fn days_of_23_and_25_hours_keep_all_their_time() {
        let berlin = chrono_tz::Europe::Berlin;
        check(berlin, "2026-03-29T00:00:00Z", "2026-03-29", "2026-03-29T01:00:00Z");
        check(berlin, "2026-03-29T01:00:00Z", "2026-03-29", "2026-03-29T22:00:00Z");
        check(berlin, "2026-10-25T00:59:00Z", "2026-10-25", "2026-10-25T01:00:00Z");
        check(berlin, "2026-10-25T01:00:00Z", "2026-10-25", "2026-10-25T23:00:00Z");
    }

    #[test]
    fn a_day_that_begins_twice_or_without_midnight_is_the_calendars() {
        // Havana falls back from 01:00 to 00:00 of the same day.
        check(chrono_tz::America::Havana, "2022-11-06T04:30:00Z", "2022-11-06", "2022-11-06T05:00:00Z");
        check(chrono_tz::America::Havana, "2022-11-06T05:10:00Z", "2022-11-06", "2022-11-07T05:00:00Z");
        // Beirut springs from 00:00 to 01:00: the day has no midnight.
        check(chrono_tz::Asia::Beirut, "2022-03-26T21:59:00Z", "2022-03-26", "2022-03-26T22:00:00Z");
        check(chrono_tz::Asia::Beirut, "2022-03-26T22:00:00Z", "2022-03-27", "2022-03-27T21:00:00Z");
        // St John's fell back from 00:01 to 23:01 of the day before.
        let newfoundland = chrono_tz::America::St_Johns;
        check(newfoundland, "2010-11-07T02:30:30Z", "2010-11-07", "2010-11-07T02:31:00Z");
        check(newfoundland, "2010-11-07T02:31:00Z", "2010-11-06", "2010-11-07T03:30:00Z");
    }

    #[test]
    fn samoa_had_no_30_december_2011() {
        let apia = chrono_tz::Pacific::Apia;
        check(apia, "2011-12-30T09:59:59Z", "2011-12-29", "2011-12-30T10:00:00Z");
        check(apia, "2011-12-30T10:00:00Z", "2011-12-31", "2011-12-31T10:00:00Z");
    }

    #[test]
    fn the_remembered_stretch_is_not_stretched() {
        let mut clock = Clock::new(Some(chrono_tz::Asia::Seoul));
        for at in
            ["2022-10-03T14:59:59Z", "2022-10-03T15:00:00Z", "2022-10-02T14:59:59Z", "2022-10-02T15:00:00Z"]
        {
            let fresh = Clock::new(Some(chrono_tz::Asia::Seoul)).stretch(Line::Zoned, ms(at));
            assert_eq!(clock.stretch(Line::Zoned, ms(at)), fresh, "{at}");
        }
    }

    #[test]
    fn printed_offsets_and_walls_need_no_zone() {
        let mut clock = Clock::new(None);
        let stretch = clock.stretch(clock.line(Some(-240)), ms("2016-02-25T03:59:59Z"));
        assert_eq!((stretch.day, stretch.end_ms), (day("2016-02-24"), ms("2016-02-25T04:00:00Z")));
        let stretch = clock.stretch(clock.line(None), ms("2016-03-13T02:30:00Z"));
        assert_eq!((stretch.day, stretch.end_ms), (day("2016-03-13"), ms("2016-03-14T00:00:00Z")));
        assert_eq!(clock.offset_of_day(16_000), None);
        let clock = Clock::new(Some(chrono_tz::America::New_York));
        assert_eq!(clock.offset_of_day(day("2016-03-13")), Some(-300));
        assert_eq!(clock.offset_of_day(day("2016-03-14")), Some(-240));
    }
}
