//! Times as CSV files have them, beside another library's opinion.

use chrono::{DateTime, NaiveDate, Timelike};
use manbo::Day;
use manbo_import::{Format, ImportOptions};

use crate::{judged, read, read_twice, today};

/// How much text is tried as a time of its own; longer lines only go through the reader.
const LINES_MAX: usize = 16;

pub(crate) fn run(options: &ImportOptions, bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let lines: Vec<&str> = text.split('\n').take(LINES_MAX).collect();
    let mut file = String::from("start,end,steps\n");
    for line in &lines {
        file.push_str(&row(line));
    }
    read_twice(options, "times.csv", Format::Csv, file.as_bytes());

    // The second opinion knows one form, and no zone.
    let mut plain = options.clone();
    plain.zone = None;
    for line in lines {
        if let Some(expected) = second_opinion(line) {
            let file = format!("start,end,steps\n{}", row(line));
            let found = judged(read(&plain, &[("time.csv", Format::Csv, file.as_bytes())]));
            let days = found.map(|found| {
                let readings = found.people.into_iter().flat_map(|(_, readings)| readings);
                readings.map(|reading| reading.day).collect::<Vec<_>>()
            });
            assert_eq!(days, Ok(expected.into_iter().collect()), "{line}");
        }
    }
}

/// An instant of 13 steps at this time.
fn row(time: &str) -> String {
    let quoted = time.replace('"', "\"\"");
    format!("\"{quoted}\",\"{quoted}\",13\n")
}

/// For a text built as `YYYY-MM-DDTHH:MM:SS+HH:MM`: the day it is about, if it exists and an import may
/// take it. `None` where this target has no opinion.
fn second_opinion(text: &str) -> Option<Option<Day>> {
    const FORM: &[u8] = b"dddd-dd-ddTdd:dd:dd+dd:dd";
    let built = text.len() == FORM.len()
        && text.bytes().zip(FORM).all(|(byte, form)| match form {
            b'd' => byte.is_ascii_digit(),
            b'+' => byte == b'+' || byte == b'-',
            _ => byte == *form,
        });
    if !built {
        return None;
    }
    let Ok(time) = DateTime::parse_from_rfc3339(text) else {
        return Some(None);
    };
    // A leap second is a convention of its own.
    if time.nanosecond() >= 1_000_000_000 {
        return None;
    }
    let offset = time.offset().local_minus_utc() / 60;
    let day = time.date_naive().signed_duration_since(NaiveDate::default()).num_days();
    let day = i32::try_from(day).ok().and_then(|number| Day::from_number(number).ok());
    let taken = |day: &Day| (-720..=840).contains(&offset) && day.is_storable() && *day <= today().next();
    Some(day.filter(taken))
}
