//! Fitbit's `steps-YYYY-MM-DD.json`: a list of minutes, in UTC.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use crate::collect::Collector;
use crate::error::{ImportError, Result};
use crate::input::guard::{Guard, Mark, is_too_long};
use crate::input::newlines;
use crate::options::DateOrder;
use crate::record::{Reason, Record, Stamp, When};
use crate::time::{self, Unit};

/// The longest element: Fitbit's are 60 bytes.
const ELEMENT_BYTES_MAX: u64 = 1024 * 1024;
/// What is read at once.
const BUFFER_BYTES: usize = 64 * 1024;
/// Each element is one minute.
const SLOT_MS: i64 = time::MINUTE_MS;
/// What some editors put in front of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// The name of the records' source: the list is what Fitbit united of all its devices.
const SOURCE: &str = "fitbit";

/// Reads a file of minutes.
///
/// # Errors
/// When the file is cut off, is not JSON or not a list, or has an element that is larger than any.
pub(crate) fn read(file: &str, reader: impl Read, collector: &mut Collector) -> Result<()> {
    say_how_days_are_cut(collector);
    let (guard, mark) = Guard::new(reader, ELEMENT_BYTES_MAX);
    let line = Rc::new(Cell::new(1));
    let mut inner = BufReader::with_capacity(BUFFER_BYTES, guard);
    // What cannot be read is for the parser to meet and to name.
    if inner.fill_buf().is_ok_and(|head| head.starts_with(BYTE_ORDER_MARK)) {
        inner.consume(BYTE_ORDER_MARK.len());
    }
    let lines = Lines { inner, line: Rc::clone(&line) };
    let mut json = serde_json::Deserializer::from_reader(lines);
    let mut minutes = Minutes { collector, mark, line, stop: None };
    let read = json.deserialize_seq(&mut minutes).and_then(|()| json.end());
    let Err(error) = read else { return Ok(()) };
    Err(minutes.stop.take().unwrap_or_else(|| broken(file, minutes.line.get(), error)))
}

fn say_how_days_are_cut(collector: &mut Collector) {
    let note = match collector.options().zone {
        None => "Fitbit writes its minutes in UTC, so days are days of UTC; a zone (--zone) gives your own"
            .to_owned(),
        Some(zone) => format!("Fitbit writes its minutes in UTC; days are cut in the zone {zone}"),
    };
    collector.note(note);
}

fn broken(file: &str, line: u64, error: serde_json::Error) -> ImportError {
    let file = file.to_owned();
    match error.classify() {
        Category::Io => {
            let cause = io::Error::from(error);
            if is_too_long(&cause) {
                let limit = format!("{ELEMENT_BYTES_MAX} bytes");
                return ImportError::TooLarge { file, line, what: "a single element", limit };
            }
            ImportError::Io { file, cause }
        }
        Category::Eof => ImportError::Truncated { file, line, what: "the list is not closed" },
        Category::Syntax => {
            // The parser's words are fixed ones, up to where it adds the place.
            let text = error.to_string();
            let what = text.split(" at line ").next().unwrap_or_default();
            ImportError::Malformed { file, line, what: format!("this is not JSON: {what}") }
        }
        Category::Data => {
            let what = "this is JSON, but not Fitbit's list of minutes".to_owned();
            ImportError::Unknown { file, what }
        }
    }
}

/// Counts lines as the parser takes them, byte by byte.
struct Lines<R> {
    inner: R,
    line: Rc<Cell<u64>>,
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.inner.read(buf)?;
        self.line.set(self.line.get() + newlines(&buf[..len]));
        Ok(len)
    }
}

/// The list, handed over minute by minute.
struct Minutes<'a> {
    collector: &'a mut Collector,
    mark: Mark,
    line: Rc<Cell<u64>>,
    /// Why the collector wants no more.
    stop: Option<ImportError>,
}

impl<'de> Visitor<'de> for &mut Minutes<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of minutes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<(), A::Error> {
        while list.next_element_seed(&mut *self)?.is_some() {
            self.mark.reset();
        }
        Ok(())
    }
}

/// One element of the list.
impl<'de> DeserializeSeed<'de> for &mut Minutes<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, element: D) -> std::result::Result<(), D::Error> {
        let line = self.line.get();
        let result = match element.deserialize_any(Element)?.record() {
            Ok(Some(record)) => self.collector.take(line, &record),
            Ok(None) => {
                self.collector.blank();
                Ok(())
            }
            Err(reason) => {
                self.collector.reject(line, reason);
                Ok(())
            }
        };
        result.map_err(|error| {
            self.stop = Some(error);
            D::Error::custom("stopped")
        })
    }
}

/// What is found where a value is expected.
#[derive(Debug, Clone, Copy)]
enum Found<T> {
    Nothing,
    Null,
    Bad,
    Good(T),
}

/// An element as far as it is understood.
struct Minute {
    is_object: bool,
    at: Found<Stamp>,
    steps: Found<u32>,
}

impl Minute {
    /// Anything but an object.
    const NONE: Minute = Minute { is_object: false, at: Found::Nothing, steps: Found::Nothing };

    fn record(self) -> std::result::Result<Option<Record<'static>>, Reason> {
        if !self.is_object {
            return Err(Reason::BadShape);
        }
        let start = match self.at {
            Found::Good(start) => start,
            Found::Bad => return Err(Reason::BadTime),
            Found::Nothing | Found::Null => return Err(Reason::MissingField),
        };
        let steps = match self.steps {
            Found::Good(steps) => steps,
            Found::Null => return Ok(None),
            Found::Bad => return Err(Reason::BadCount),
            Found::Nothing => return Err(Reason::MissingField),
        };
        let end = Stamp { wall_ms: start.wall_ms + SLOT_MS, offset: start.offset };
        Ok(Some(Record::measured(SOURCE, When::Between(start, end), steps)))
    }
}

fn minute_of(text: &str) -> Option<Stamp> {
    let moment = time::parse(text.as_bytes(), Some(DateOrder::Mdy))?;
    match moment.unit {
        Unit::Day | Unit::Hour => None,
        Unit::Minute | Unit::Second => {
            Some(Stamp { offset: Some(moment.stamp.offset.unwrap_or(0)), ..moment.stamp })
        }
    }
}

fn steps_of(text: &str) -> Option<u32> {
    time::count(text.as_bytes())
}

/// Reads an element of any shape, so that a wrong one costs itself only.
struct Element;

impl<'de> Visitor<'de> for Element {
    type Value = Minute;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a minute")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> std::result::Result<Minute, A::Error> {
        let mut minute = Minute { is_object: true, at: Found::Nothing, steps: Found::Nothing };
        while let Some(key) = object.next_key_seed(Value(key_of))? {
            match key {
                Found::Good(Key::DateTime) => minute.at = object.next_value_seed(Value(minute_of))?,
                Found::Good(Key::Value) => minute.steps = object.next_value_seed(Value(steps_of))?,
                _ => {
                    object.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(minute)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> std::result::Result<Minute, A::Error> {
        IgnoredAny.visit_seq(list).map(|_| Minute::NONE)
    }

    fn visit_str<E>(self, _: &str) -> std::result::Result<Minute, E> {
        Ok(Minute::NONE)
    }

    fn visit_i64<E>(self, _: i64) -> std::result::Result<Minute, E> {
        Ok(Minute::NONE)
    }

    fn visit_u64<E>(self, _: u64) -> std::result::Result<Minute, E> {
        Ok(Minute::NONE)
    }

    fn visit_f64<E>(self, _: f64) -> std::result::Result<Minute, E> {
        Ok(Minute::NONE)
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<Minute, E> {
        Ok(Minute::NONE)
    }

    fn visit_unit<E>(self) -> std::result::Result<Minute, E> {
        Ok(Minute::NONE)
    }
}

#[derive(Debug, Clone, Copy)]
enum Key {
    DateTime,
    Value,
}

fn key_of(text: &str) -> Option<Key> {
    match text {
        "dateTime" => Some(Key::DateTime),
        "value" => Some(Key::Value),
        _ => None,
    }
}

/// Reads a key or value of any shape; strings and numbers are understood as the function says.
struct Value<T>(fn(&str) -> Option<T>);

impl<T> Value<T> {
    fn found(&self, text: &str) -> Found<T> {
        (self.0)(text).map_or(Found::Bad, Found::Good)
    }
}

impl<'de, T> DeserializeSeed<'de> for Value<T> {
    type Value = Found<T>;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> std::result::Result<Found<T>, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de, T> Visitor<'de> for Value<T> {
    type Value = Found<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a number")
    }

    fn visit_str<E>(self, text: &str) -> std::result::Result<Found<T>, E> {
        Ok(self.found(text))
    }

    fn visit_u64<E>(self, number: u64) -> std::result::Result<Found<T>, E> {
        Ok(self.found(&number.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> std::result::Result<Found<T>, E> {
        Ok(self.found(&number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> std::result::Result<Found<T>, E> {
        // `12.0` prints as `12`, and never with an exponent.
        Ok(self.found(&number.to_string()))
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<Found<T>, E> {
        Ok(Found::Bad)
    }

    fn visit_unit<E>(self) -> std::result::Result<Found<T>, E> {
        Ok(Found::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> std::result::Result<Found<T>, A::Error> {
        IgnoredAny.visit_seq(list).map(|_| Found::Bad)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> std::result::Result<Found<T>, A::Error> {
        IgnoredAny.visit_map(object).map(|_| Found::Bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{Format, Importer};
    use crate::options::ImportOptions;
    use crate::report::Import;

    fn read_with(options: ImportOptions, text: &str) -> Result<Import> {
        let mut importer = Importer::new(options);
        importer.add_reader("steps-2026-11-19.json", Format::FitbitJson, text.as_bytes())?;
        importer.finish()
    }

    fn options() -> ImportOptions {
        ImportOptions::new("2026-11-21".parse().unwrap())
    }

    fn import(text: &str) -> Import {
        read_with(options(), text).unwrap()
    }

    fn days(import: &Import) -> Vec<(String, u32)> {
        let readings = import.people.iter().flat_map(|person| &person.readings);
        readings
            .map(|reading| (format!("{} {}", reading.day, reading.source), reading.counts.recorded))
            .collect()
    }

    #[test]
    fn takes_minutes_however_they_are_spelled() {
        let import = import(
            "[{\n  \"dateTime\" : \"11/18/26 08:00:00\",\n  \"value\" : \"54\"\n},{\n  \"dateTime\" : \
             \"11/18/26 08:01:00\",\n  \"value\" : \"0\"\n}, {\"value\":12,\"dateTime\":\"11/19/26 23:59:00\"},\
             {\"value\":3.0,\"more\":[{\"value\":7}],\"dateTime\":\"11\\/19\\/26 00:00:00\"}]\n",
        );
        assert_eq!(
            days(&import),
            [("2026-11-18 fitbit".to_owned(), 54), ("2026-11-19 fitbit".to_owned(), 15)]
        );
        assert_eq!((import.report.rows, import.report.rejects.total, import.report.splits), (4, 0, 0));
        assert!(days(&self::import("[]")).is_empty());
    }

    #[test]
    fn days_are_of_utc_unless_a_zone_is_given() {
        let text = r#"[{"dateTime": "11/18/26 23:30:00", "value": "10"}]"#;
        let utc = import(text);
        assert_eq!(days(&utc), [("2026-11-18 fitbit".to_owned(), 10)]);
        assert!(utc.report.files[0].notes[0].contains("days are days of UTC"));
        let mut options = options();
        options.zone = Some("Asia/Seoul".parse().unwrap());
        let seoul = read_with(options, text).unwrap();
        assert_eq!(days(&seoul), [("2026-11-19 fitbit".to_owned(), 10)]);
        assert!(seoul.report.files[0].notes[0].contains("zone Asia/Seoul"));
    }

    #[test]
    fn bad_elements_are_listed_with_their_lines_and_the_rest_is_taken() {
        let bad = [
            ("7", Reason::BadShape),
            ("\"text\"", Reason::BadShape),
            ("true", Reason::BadShape),
            ("null", Reason::BadShape),
            ("-1.5", Reason::BadShape),
            ("[{\"dateTime\": \"11/18/26 08:00:00\", \"value\": \"1\"}]", Reason::BadShape),
            ("{}", Reason::MissingField),
            ("{\"dateTime\": \"11/18/26 08:00:00\"}", Reason::MissingField),
            ("{\"dateTime\": null, \"value\": \"1\"}", Reason::MissingField),
            ("{\"dateTime\": \"11/31/26 08:00:00\", \"value\": \"1\"}", Reason::BadTime),
            ("{\"dateTime\": \"11/18/26\", \"value\": \"1\"}", Reason::BadTime),
            ("{\"dateTime\": 1, \"value\": \"1\"}", Reason::BadTime),
            ("{\"dateTime\": {\"a\": [1]}, \"value\": \"1\"}", Reason::BadTime),
            ("{\"dateTime\": \"11/18/26 08:00:00\", \"value\": \"-1\"}", Reason::BadCount),
            ("{\"dateTime\": \"11/18/26 08:00:00\", \"value\": 1.5}", Reason::BadCount),
            ("{\"dateTime\": \"11/18/26 08:00:00\", \"value\": -4}", Reason::BadCount),
            ("{\"dateTime\": \"11/18/26 08:00:00\", \"value\": 4294967296}", Reason::BadCount),
            ("{\"dateTime\": \"11/18/26 08:00:00\", \"value\": [1]}", Reason::BadCount),
            ("{\"dateTime\": \"11/18/26 08:00:00\", \"value\": false}", Reason::BadCount),
        ];
        let mut text = "[".to_owned();
        for (element, _) in &bad {
            text.extend(["\n", element, ","]);
        }
        text += "\n{\"dateTime\": \"11/18/26 08:00:00\", \"value\": null},\n\
                 {\"dateTime\": \"11/18/26 09:00:00\", \"value\": \"5\"}\n]";
        let import = import(&text);
        assert_eq!(days(&import), [("2026-11-18 fitbit".to_owned(), 5)]);
        let listed: Vec<(u64, Reason)> =
            import.report.rejects.listed.iter().map(|r| (r.line, r.reason)).collect();
        let expected: Vec<(u64, Reason)> =
            bad.iter().zip(2..).map(|((_, reason), line)| (line, *reason)).collect();
        assert_eq!(listed, expected);
        assert_eq!(import.report.blank, 1);
    }

    #[test]
    fn every_cut_is_noticed() {
        let text = "[{\n \"dateTime\" : \"11/18/26 08:00:00\",\n \"value\" : \"54\"\n},\n{\"value\":12}]";
        for cut in 0..text.len() {
            match read_with(options(), &text[..cut]) {
                Err(ImportError::Truncated { line, .. }) => {
                    assert_eq!(line, 1 + newlines(&text.as_bytes()[..cut]), "{cut}");
                }
                other => panic!("{cut}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_is_not_json_has_its_line_and_says_nothing_of_the_file() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            assert_eq!(
                read_with(options(), text).unwrap_err().to_string(),
                format!("steps-2026-11-19.json{expected}")
            );
        }
        check("[\n{\"value\" 1}]", ", line 2: this is not JSON: expected `:`");
        check("[\n\n1 2]", ", line 3: this is not JSON: expected `,` or `]`");
        check("[1]\n[2]", ", line 2: this is not JSON: trailing characters");
        check("{\"secret\": 8500}", ": this is JSON, but not Fitbit's list of minutes");
        check("\"8500\"", ": this is JSON, but not Fitbit's list of minutes");
        check("8500", ": this is JSON, but not Fitbit's list of minutes");
    }
}
