//! Expectations: what the library answers, as JSON, beside what the file expects of it.

use std::collections::BTreeSet;

use manbo::{Day, Digest, Source, StepBook};
use serde_json::{Value, json};

use super::Stop;
use super::step::{Fields, Given};

pub(crate) fn equal(what: &str, expected: &Value, got: &Value) -> Result<(), Stop> {
    if expected == got {
        return Ok(());
    }
    Err(Stop::Unmet(format!("expected {what} {expected}, got {got}")))
}

/// Compares the named fields only.
fn named(what: &str, expected: &Fields, got: &Value) -> Result<(), Stop> {
    expected.iter().try_for_each(|(field, value)| equal(&format!("{what} {field}"), value, &got[field]))
}

fn place(given: Given<Day>) -> Result<Day, Stop> {
    given.map_err(|refusal| Stop::Unmet(format!("expected a day, got {refusal}")))
}

/// A day that is not logged has `null` for every number and level.
pub(crate) fn days(book: &mut StepBook, expected: &[(Given<Day>, Fields)]) -> Result<(), Stop> {
    for (day, fields) in expected {
        let day = place(*day)?;
        let state = book.day(day)?;
        let mut got = state.map_or(json!({}), |state| json!(state));
        got["absent"] = state.is_none().into();
        got["attended"] = book.ledger()?.attended(day).into();
        named(&day.to_string(), fields, &got)?;
    }
    Ok(())
}

pub(crate) fn cells(book: &mut StepBook, expected: &[(Given<(Day, Source)>, Fields)]) -> Result<(), Stop> {
    for (cell, fields) in expected {
        let (day, source) = (*cell)?;
        let register = book.register(day, source)?;
        let got = json!({
            "epoch": register.epoch,
            "recorded": register.counts.map(|counts| counts.recorded),
            "manual": register.counts.map_or(0, |counts| counts.manual),
        });
        named(&format!("{day} {source}"), fields, &got)?;
    }
    Ok(())
}

pub(crate) fn statistics(book: &mut StepBook, as_of: Day, expected: &Fields) -> Result<(), Stop> {
    let statistics = book.statistics(as_of)?;
    let mut got = json!(statistics);
    let none = expected.iter().any(|(field, value)| field == "best_day_steps" && value.is_null());
    if none && statistics.best_day.is_none() {
        // Without a best day its steps are none, which a file may write as `null` or as 0.
        got["best_day_steps"] = Value::Null;
    }
    named(&format!("as of {as_of}:"), expected, &got)
}

pub(crate) fn reread(book: &mut StepBook, expected: &[(Day, Source)]) -> Result<(), Stop> {
    let listed = book.to_reread()?;
    let as_set = |list: &[(Day, Source)]| list.iter().copied().collect::<BTreeSet<_>>();
    if as_set(&listed) == as_set(expected) {
        return Ok(());
    }
    Err(Stop::Unmet(format!("expected to re-read {}, got {}", json!(expected), json!(listed))))
}

pub(crate) fn same(replicas: &[String], digests: &[Digest]) -> Result<(), Stop> {
    if digests.windows(2).all(|pair| pair[0] == pair[1]) {
        return Ok(());
    }
    let pairs: Vec<String> = replicas.iter().zip(digests).map(|(name, d)| format!("{name} {d}")).collect();
    Err(Stop::Unmet(format!("expected the same digest, got {}", pairs.join(", "))))
}
