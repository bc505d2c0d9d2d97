//! From JSON values to the library's types. What does not fit is `bad_value`, never a broken file.

use manbo::{Counts, Day, Extent, Refusal, Source, UtcOffset};
use serde_json::{Map, Value};

use super::step::Given;

/// The body of a step.
pub(crate) type Body = Map<String, Value>;

const fn bad(field: &'static str, rule: &'static str) -> Refusal {
    Refusal::BadValue { field, rule }
}

pub(crate) fn day(value: Option<&Value>) -> Given<Day> {
    value.and_then(Value::as_str).unwrap_or_default().parse()
}

/// A count of 32 bits; `None` when it is `null` or missing.
pub(crate) fn optional_count(value: Option<&Value>, field: &'static str) -> Given<Option<u32>> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => count(Some(value), field).map(Some),
    }
}

pub(crate) fn count(value: Option<&Value>, field: &'static str) -> Given<u32> {
    value
        .and_then(Value::as_u64)
        .and_then(|n| u32::try_from(n).ok())
        .ok_or(bad(field, "a whole number from 0 to 4294967295"))
}

pub(crate) fn epoch(value: Option<&Value>) -> Given<u16> {
    value
        .and_then(Value::as_u64)
        .and_then(|n| u16::try_from(n).ok())
        .ok_or(bad("epoch", "a whole number from 0 to 65535"))
}

pub(crate) fn manual(body: &Body) -> Given<u32> {
    body.get("manual").map_or(Ok(0), |value| count(Some(value), "manual"))
}

/// Recorded and manual steps; `None` when recorded is `null` or missing. The manual steps of what is
/// absent are 0.
pub(crate) fn optional_counts(body: &Body) -> Given<Option<Counts>> {
    let recorded = optional_count(body.get("recorded"), "recorded")?;
    let manual = manual(body)?;
    Ok(recorded.map(|recorded| Counts::new(recorded, manual)))
}

pub(crate) fn extent(body: &Body) -> Given<Extent> {
    match body.get("extent").map(Value::as_str) {
        None | Some(Some("partial")) => Ok(Extent::Partial),
        Some(Some("full")) => Ok(Extent::Full),
        Some(_) => Err(bad("extent", "partial or full")),
    }
}

pub(crate) fn offset(body: &Body) -> Given<Option<UtcOffset>> {
    match body.get("offset_minutes") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            // What is no number at all is as far out of range as a number can be.
            let minutes = value.as_i64().and_then(|n| i32::try_from(n).ok()).unwrap_or(i32::MIN);
            UtcOffset::from_minutes(minutes).map(Some)
        }
    }
}

/// The boot id of a counter: a text, or a whole number as Android counts them.
pub(crate) fn boot(body: &Body) -> Given<String> {
    match body.get("boot") {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) if number.is_i64() || number.is_u64() => Ok(number.to_string()),
        _ => Err(bad("boot", "a text or a whole number")),
    }
}

pub(crate) fn text(body: &Body, field: &'static str, default: &str) -> Given<String> {
    match body.get(field) {
        None => Ok(default.to_owned()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(bad(field, "a text")),
    }
}

/// The source of a step that names nothing else. Checked last: `bad_value` comes before `bad_source`.
pub(crate) fn source(body: &Body, default: &str) -> Given<Source> {
    Source::new(&text(body, "source", default)?)
}

/// The place of a cell.
pub(crate) fn cell(body: &Body) -> Given<(Day, Source)> {
    Ok((day(body.get("day"))?, source(body, HEALTH)?))
}

/// The source of every step but `counter`, unless it names its own.
pub(crate) const HEALTH: &str = "health";
/// The source of `counter`, unless it names its own.
pub(crate) const PHONE_SENSOR: &str = "phone-sensor-1";
