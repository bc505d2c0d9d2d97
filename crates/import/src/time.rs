//! Moments and counts as exports write them: fast, without allocation, ASCII digits only.

use chrono::NaiveDate;

use crate::options::DateOrder;
use crate::record::Stamp;

/// The milliseconds of one minute.
pub(crate) const MINUTE_MS: i64 = 60_000;
/// The milliseconds of one hour.
pub(crate) const HOUR_MS: i64 = 60 * MINUTE_MS;
/// The milliseconds of one civil day on the wall.
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

/// Days from 0001-01-01, which is day 1 of chrono, to 1970-01-01.
const EPOCH_FROM_CE: i32 = 719_163;
/// The offsets that exist, in minutes: UTC-12 to UTC+14.
const OFFSETS: std::ops::RangeInclusive<i64> = -720..=840;
/// Years of two digits are of this century: there were no step exports before it.
const CENTURY: i32 = 2000;
/// A leap second is read as the last millisecond before it ends, so that it stays in its minute.
const LEAP_SECOND_MS: i64 = 59_999;

/// The finest part of a moment that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// A date alone.
    Day,
    /// A date and an hour.
    Hour,
    /// Down to the minute.
    Minute,
    /// Down to the second or finer.
    Second,
}

/// A moment and how finely it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// The moment; a date alone is its midnight.
    pub(crate) stamp: Stamp,
    /// The finest part that was written.
    pub(crate) unit: Unit,
}

/// Reads a moment: ISO 8601 as `2016-02-24T23:32:24.000-04:00` or with blanks as
/// `2016-02-24 23:32:24 -0400`, cut off after any part; with an order also `4/12/2016 1:00:00 PM` and
/// `12.04.16 13:00`. `None` where it is no such form, or a date, time or offset that does not exist.
pub(crate) fn parse(text: &[u8], order: Option<DateOrder>) -> Option<Moment> {
    let mut cursor = Cursor { rest: text.trim_ascii() };
    let (days, hour_digits) = match cursor.iso_date() {
        Some(days) => (days, 2),
        None => (cursor.ordered_date(order?)?, 1),
    };
    let midnight_ms = i64::from(days) * DAY_MS;
    if cursor.rest.is_empty() {
        return Some(Moment { stamp: Stamp { wall_ms: midnight_ms, offset: None }, unit: Unit::Day });
    }
    let tee = cursor.one(b'T').is_some();
    let blank = !tee && cursor.blanks();
    // A date may have an offset too; then there is no hour between them.
    if !tee && let Some(offset) = cursor.offset_to_end() {
        return Some(Moment { stamp: Stamp { wall_ms: midnight_ms, offset: Some(offset) }, unit: Unit::Day });
    }
    if !tee && !blank {
        return None;
    }
    let (hour, tail_ms, unit) = cursor.clock(hour_digits)?;
    let hour = if hour_digits == 1 { cursor.half_of_day(hour)? } else { hour };
    let time_ms = time_ms(hour, tail_ms)?;
    let offset = cursor.offset_or_end()?;
    Some(Moment { stamp: Stamp { wall_ms: midnight_ms + time_ms, offset }, unit })
}

/// Reads a time of day such as `00:15:00.000+05:30`: milliseconds since midnight, and minutes east of UTC
/// where they are written.
pub(crate) fn time_of_day(text: &[u8]) -> Option<(i64, Option<i16>)> {
    let mut cursor = Cursor { rest: text.trim_ascii() };
    let (hour, tail_ms, unit) = cursor.clock(2)?;
    if unit == Unit::Hour {
        return None;
    }
    Some((time_ms(hour, tail_ms)?, cursor.offset_or_end()?))
}

/// Reads a count: digits, `8833.0` with a fraction of one or two zeros, or `8,833` with separators where thousands
/// have them. No sign, no exponent. `None` where it is not such a number or does not fit.
pub(crate) fn count(text: &[u8]) -> Option<u32> {
    let text = text.trim_ascii();
    let point = text.iter().position(|&b| b == b'.').unwrap_or(text.len());
    let (whole, fraction) = text.split_at(point);
    // Three zeros would be a German's thousands: `8.000` is no eight.
    let zeros = matches!(fraction, b"" | b".0" | b".00");
    if whole.is_empty() || !zeros {
        return None;
    }
    let separated = whole.contains(&b',');
    if separated && whole.len() % 4 == 0 {
        return None;
    }
    let mut value: u32 = 0;
    for (at, &byte) in whole.iter().enumerate() {
        if separated && (whole.len() - at) % 4 == 0 {
            if byte != b',' {
                return None;
            }
            continue;
        }
        value = value.checked_mul(10)?.checked_add(u32::from(digit(byte)?))?;
    }
    Some(value)
}

/// Reads digits alone, as ids of reports and clocks since boot are written.
pub(crate) fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |value, &byte| value.checked_mul(10)?.checked_add(u64::from(digit(byte)?)))
}

/// Days since 1970-01-01, if the date exists.
fn days(year: i32, month: u32, day: u32) -> Option<i32> {
    use chrono::Datelike;
    Some(NaiveDate::from_ymd_opt(year, month, day)?.num_days_from_ce() - EPOCH_FROM_CE)
}

fn time_ms(hour: i64, tail_ms: i64) -> Option<i64> {
    (hour < 24).then_some(hour * HOUR_MS + tail_ms)
}

fn digit(byte: u8) -> Option<u8> {
    byte.is_ascii_digit().then(|| byte - b'0')
}

fn two_digits(text: &[u8]) -> Option<u8> {
    match text {
        [tens, ones] => Some(digit(*tens)? * 10 + digit(*ones)?),
        _ => None,
    }
}

/// What is left of a text. Every step takes what it reads from the front.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl Cursor<'_> {
    /// `YYYY-MM-DD`; nothing is taken where it is another form or no date.
    fn iso_date(&mut self) -> Option<i32> {
        let (date, rest) = self.rest.split_at_checked(10)?;
        if date[4] != b'-' || date[7] != b'-' {
            return None;
        }
        let year = i32::from(two_digits(&date[..2])?) * 100 + i32::from(two_digits(&date[2..4])?);
        let found = days(year, two_digits(&date[5..7])?.into(), two_digits(&date[8..])?.into())?;
        self.rest = rest;
        Some(found)
    }

    /// Three numbers with the same separator twice, in the given order.
    fn ordered_date(&mut self, order: DateOrder) -> Option<i32> {
        let (first, first_digits) = self.number()?;
        let separator = *self.rest.first().filter(|b| matches!(b, b'/' | b'.' | b'-'))?;
        self.one(separator)?;
        let (second, second_digits) = self.number()?;
        self.one(separator)?;
        let (third, third_digits) = self.number()?;
        let ((year, year_digits), (month, month_digits), (day, day_digits)) = match order {
            DateOrder::Mdy => ((third, third_digits), (first, first_digits), (second, second_digits)),
            DateOrder::Dmy => ((third, third_digits), (second, second_digits), (first, first_digits)),
            DateOrder::Ymd => ((first, first_digits), (second, second_digits), (third, third_digits)),
        };
        let year = i32::from(year) + if year_digits == 2 { CENTURY } else { 0 };
        let well_formed = matches!(year_digits, 2 | 4) && month_digits <= 2 && day_digits <= 2;
        if well_formed { days(year, month.into(), day.into()) } else { None }
    }

    /// One to four digits and how many they are.
    fn number(&mut self) -> Option<(u16, usize)> {
        let length = self.rest.iter().take(4).take_while(|b| b.is_ascii_digit()).count();
        let (number, rest) = self.rest.split_at(length);
        let value = number.iter().try_fold(0_u16, |value, &b| Some(value * 10 + u16::from(digit(b)?)))?;
        self.rest = rest;
        (length > 0).then_some((value, length))
    }

    fn one(&mut self, byte: u8) -> Option<()> {
        self.rest = self.rest.strip_prefix(&[byte])?;
        Some(())
    }

    /// One or two blanks; whether there was one.
    fn blanks(&mut self) -> bool {
        let found = self.one(b' ').is_some();
        let _second = self.one(b' ');
        found
    }

    fn pair(&mut self) -> Option<i64> {
        let (pair, rest) = self.rest.split_at_checked(2)?;
        let value = two_digits(pair)?;
        self.rest = rest;
        Some(value.into())
    }

    /// Hour, the milliseconds after it, and the finest part; the hour has at least so many digits.
    fn clock(&mut self, hour_digits: usize) -> Option<(i64, i64, Unit)> {
        let hour = match self.pair() {
            Some(hour) => hour,
            None if hour_digits == 1 => {
                let (hour, _) = self.number()?;
                hour.into()
            }
            None => return None,
        };
        if self.one(b':').is_none() {
            return Some((hour, 0, Unit::Hour));
        }
        let minute = self.pair().filter(|&minute| minute < 60)?;
        if self.one(b':').is_none() {
            return Some((hour, minute * MINUTE_MS, Unit::Minute));
        }
        let second = self.pair().filter(|&second| second <= 60)?;
        let fraction_ms = self.fraction_ms()?;
        let second_ms = if second == 60 { LEAP_SECOND_MS } else { second * 1000 + fraction_ms };
        Some((hour, minute * MINUTE_MS + second_ms, Unit::Second))
    }

    /// A fraction of a second, cut to milliseconds; 0 where there is none.
    fn fraction_ms(&mut self) -> Option<i64> {
        if self.one(b'.').is_none() && self.one(b',').is_none() {
            return Some(0);
        }
        let length = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let (fraction, rest) = self.rest.split_at(length);
        self.rest = rest;
        let ms =
            fraction.iter().take(3).zip([100, 10, 1]).map(|(&b, weight)| i64::from(b - b'0') * weight).sum();
        (length > 0).then_some(ms)
    }

    /// The hour of 24 where `AM` or `PM` follows one of 12; the hour itself where nothing does.
    fn half_of_day(&mut self, hour: i64) -> Option<i64> {
        let (blanks, mark) = match self.rest {
            [b' ', first, second, ..] => (1, [*first, *second]),
            [first, second, ..] => (0, [*first, *second]),
            _ => return Some(hour),
        };
        let half = match &mark.map(|b| b.to_ascii_uppercase()) {
            b"AM" => 0,
            b"PM" => 12,
            _ => return Some(hour),
        };
        self.rest = &self.rest[blanks + 2..];
        (1..=12).contains(&hour).then_some(hour % 12 + half)
    }

    /// An offset, after a blank or not, or nothing: but then the text ends here.
    fn offset_or_end(&mut self) -> Option<Option<i16>> {
        if self.rest.is_empty() {
            return Some(None);
        }
        let _blank = self.one(b' ');
        self.offset_to_end().map(Some)
    }

    /// `Z`, `+hh:mm`, `+hhmm` or `+hh` at the end of the text, in minutes.
    fn offset_to_end(&mut self) -> Option<i16> {
        let (sign, digits) = match self.rest {
            b"Z" => return Some(0),
            [b'+', digits @ ..] => (1, digits),
            [b'-', digits @ ..] => (-1, digits),
            _ => return None,
        };
        let (hours, minutes) = match digits.len() {
            2 => (digits, &b"00"[..]),
            4 => digits.split_at(2),
            5 if digits[2] == b':' => (&digits[..2], &digits[3..]),
            _ => return None,
        };
        let minutes = two_digits(minutes).filter(|&minutes| minutes < 60)?;
        let offset = sign * (i64::from(two_digits(hours)?) * 60 + i64::from(minutes));
        if OFFSETS.contains(&offset) { i16::try_from(offset).ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[track_caller]
    fn read(text: &str, order: Option<DateOrder>) -> (i64, Option<i16>, Unit) {
        let moment = parse(text.as_bytes(), order).unwrap_or_else(|| panic!("`{text}` is a moment"));
        (moment.stamp.wall_ms, moment.stamp.offset, moment.unit)
    }

    /// Milliseconds of a civil moment, by chrono's own reader.
    fn wall(text: &str) -> i64 {
        chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f")
            .unwrap()
            .and_utc()
            .timestamp_millis()
    }

    #[test]
    fn every_iso_form_is_read_as_finely_as_it_is_written() {
        let midnight = wall("2016-02-24T00:00:00");
        for (text, expected) in [
            ("2016-02-24", (midnight, None, Unit::Day)),
            (" 2016-02-24\t", (midnight, None, Unit::Day)),
            ("2016-02-24+02:00", (midnight, Some(120), Unit::Day)),
            ("2016-02-24 -0400", (midnight, Some(-240), Unit::Day)),
            ("2016-02-24Z", (midnight, Some(0), Unit::Day)),
            ("2016-02-24T23", (midnight + 23 * HOUR, None, Unit::Hour)),
            ("2016-02-24 23", (midnight + 23 * HOUR, None, Unit::Hour)),
            ("2016-02-24T23Z", (midnight + 23 * HOUR, Some(0), Unit::Hour)),
            ("2016-02-24T23:32", (wall("2016-02-24T23:32:00"), None, Unit::Minute)),
            ("2016-02-24T23:32+05:45", (wall("2016-02-24T23:32:00"), Some(345), Unit::Minute)),
            ("2016-02-24T23:32:24", (wall("2016-02-24T23:32:24"), None, Unit::Second)),
            ("2016-02-24  23:32:24", (wall("2016-02-24T23:32:24"), None, Unit::Second)),
            ("2016-02-24 23:32:24 -0400", (wall("2016-02-24T23:32:24"), Some(-240), Unit::Second)),
            ("2016-02-24T23:32:24-04", (wall("2016-02-24T23:32:24"), Some(-240), Unit::Second)),
            ("2016-02-24T23:32:24.5Z", (wall("2016-02-24T23:32:24.5"), Some(0), Unit::Second)),
            ("2016-02-24 23:32:24,123", (wall("2016-02-24T23:32:24.123"), None, Unit::Second)),
            ("2016-02-24T23:32:24.123987Z", (wall("2016-02-24T23:32:24.123"), Some(0), Unit::Second)),
            ("2016-02-24T23:32:60.5", (wall("2016-02-24T23:32:59.999"), None, Unit::Second)),
            ("0001-01-01", (-719_162 * 24 * HOUR, None, Unit::Day)),
            ("2016-02-24T12:00-12:00", (midnight + 12 * HOUR, Some(-720), Unit::Minute)),
            ("2016-02-24T12:00+14:00", (midnight + 12 * HOUR, Some(840), Unit::Minute)),
        ] {
            assert_eq!(read(text, None), expected, "{text}");
            assert_eq!(read(text, Some(DateOrder::Dmy)), expected, "an order changes no ISO form: {text}");
        }
    }

    #[test]
    fn ordered_forms_need_their_order() {
        use DateOrder::{Dmy, Mdy, Ymd};
        for (text, order, expected, unit) in [
            ("4/12/2016", Mdy, "2016-04-12T00:00:00", Unit::Day),
            ("4/12/2016", Dmy, "2016-12-04T00:00:00", Unit::Day),
            ("12.04.16", Dmy, "2016-04-12T00:00:00", Unit::Day),
            ("02-01-2019", Dmy, "2019-01-02T00:00:00", Unit::Day),
            ("2016/4/12", Ymd, "2016-04-12T00:00:00", Unit::Day),
            ("16/04/12", Ymd, "2016-04-12T00:00:00", Unit::Day),
            ("4/12/2016 1:00:00 PM", Mdy, "2016-04-12T13:00:00", Unit::Second),
            ("4/12/2016 12:00:00 AM", Mdy, "2016-04-12T00:00:00", Unit::Second),
            ("4/12/2016 12:05 pm", Mdy, "2016-04-12T12:05:00", Unit::Minute),
            ("4/12/2016 1PM", Mdy, "2016-04-12T13:00:00", Unit::Hour),
            ("12.04.2016 13:00", Dmy, "2016-04-12T13:00:00", Unit::Minute),
            ("04/12/16 07:05:00", Mdy, "2016-04-12T07:05:00", Unit::Second),
        ] {
            assert_eq!(read(text, Some(order)), (wall(expected), None, unit), "{text}");
            assert_eq!(parse(text.as_bytes(), None), None, "{text} without an order");
        }
        assert_eq!(read("4/12/2016 1:00 PM +0200", Some(Mdy)).1, Some(120));
        for bad in [
            "13/12/2016",
            "4/12",
            "4/12/2016/1",
            "4.12/2016",
            "4/12/201",
            "4/12/20161",
            "004/12/2016",
            "4/12/2016 0:30 AM",
            "4/12/2016 13:00 PM",
            "4/12/2016 24:00",
            "4/12/2016 1:00 XM",
            "/12/2016",
            "2/30/2016",
            "4/12/2016 PM",
            "4/12/2016T",
            "4/12/2016 1:5",
        ] {
            assert_eq!(parse(bad.as_bytes(), Some(Mdy)), None, "{bad}");
        }
    }

    #[test]
    fn what_does_not_exist_is_no_moment() {
        for bad in [
            "",
            " ",
            "2016",
            "2016-02-30",
            "2015-02-29",
            "2016-13-01",
            "2016-00-10",
            "2016-2-24",
            "20160224",
            "2016-02-24T",
            "2016-02-24 ",
            "2016-02-24T24:00",
            "2016-02-24T23:60",
            "2016-02-24T23:32:61",
            "2016-02-24T23:32:24.",
            "2016-02-24T23:3",
            "2016-02-24T2",
            "2016-02-24T23:32:24x",
            "2016-02-24T23:32:24+15:00",
            "2016-02-24T23:32:24-12:01",
            "2016-02-24T23:32:24+1:00",
            "2016-02-24T23:32:24+01:60",
            "2016-02-24T23:32:24  Z",
            "2016-02-24   23:32",
            "2016-02-24T Z",
            "2016-02-24TZ",
            "2016-02-24x",
            "+016-02-24",
            "\u{662}016-02-24",
            "2016-02-24T23:32:24+\u{662}0",
            "2016-02-24 1:00:00 PM",
            "1456356744000",
        ] {
            let trimmed_is_day = bad == "2016-02-24 ";
            assert_eq!(parse(bad.as_bytes(), None).is_some(), trimmed_is_day, "{bad}");
        }
    }

    #[test]
    fn times_of_day_have_no_date() {
        assert_eq!(time_of_day(b"00:15:00.000+05:30"), Some((15 * 60_000, Some(330))));
        assert_eq!(time_of_day(b"23:45"), Some((23 * HOUR + 45 * 60_000, None)));
        assert_eq!(time_of_day(b" 08:00:01.250Z "), Some((8 * HOUR + 1250, Some(0))));
        for bad in ["", "8:00", "24:00", "23", "12:60", "08:00 PM", "08:00+15:00", "2016-02-24T08:00"] {
            assert_eq!(time_of_day(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn counts_are_whole_numbers_in_three_spellings() {
        for (text, expected) in [
            ("0", 0),
            ("8833", 8833),
            (" 8833\t", 8833),
            ("007", 7),
            ("8833.0", 8833),
            ("8833.00", 8833),
            ("1,234", 1234),
            ("12,345,678", 12_345_678),
            ("1,234.0", 1234),
            ("4294967295", u32::MAX),
        ] {
            assert_eq!(count(text.as_bytes()), Some(expected), "{text}");
        }
        for bad in [
            "",
            " ",
            "-1",
            "+1",
            "1e3",
            "8833.5",
            "8833.",
            ".0",
            "4294967296",
            "1,23",
            "1234,567",
            ",123",
            "1,234,",
            "1,,234",
            "12 345",
            "0x10",
            "\u{662}",
            "1.234,0",
            "NaN",
            "99999999999999999999",
        ] {
            assert_eq!(count(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(digits(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!((digits(b"18446744073709551616"), digits(b""), digits(b"1 ")), (None, None, None));
    }
}
