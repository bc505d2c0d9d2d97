//! From the text of a file to vectors. A key that nobody knows, or a shape that is no vector, is an
//! error with its place: a misspelt expectation must not pass unnoticed.

use manbo::{Counts, Day, Deletion, Fact, GapPolicy, Level, Reading, Refusal, Register, Rules, WeekStart};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::step::{Correction, Counted, Expectation, Fields, Given, Reply, Step, Vector, Verb};
use super::value::{self, Body, HEALTH, PHONE_SENSOR};

type Parsed<T> = Result<T, String>;

/// The steps that name a day from which the default `today` comes.
const DATED: [&str; 6] = ["read", "delete", "correct", "receive", "counter", "attend"];

/// The vectors of a file.
pub(crate) fn vectors(file: &str, text: &str) -> Parsed<Vec<Vector>> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("{file}: {error}"))?;
    let list = match value {
        Value::Array(list) => list,
        one => vec![one],
    };
    let numbered = (1..).zip(&list);
    numbered.map(|(n, value)| vector(value).map_err(|e| format!("{file}: vector {n}{e}"))).collect()
}

fn vector(value: &Value) -> Parsed<Vector> {
    let body = value.as_object().ok_or(": not an object")?;
    let name = body.get("name").and_then(Value::as_str).ok_or(": no name")?;
    let at = |error: String| format!(" {name:?}{error}");
    only(body, &["name", "rules", "today", "steps"]).map_err(|e| at(format!(": {e}")))?;
    let rules =
        body.get("rules").map_or(Ok(Ok(Rules::default())), rules).map_err(|e| at(format!(": {e}")))?;
    let list = body.get("steps").and_then(Value::as_array).ok_or_else(|| at(": no steps".into()))?;
    let steps = steps(list, "").map_err(|e| at(format!(", {e}")))?;
    let today = match body.get("today") {
        Some(day) => value::day(Some(day)),
        None => Ok(default_today(list)),
    };
    Ok(Vector { name: name.to_owned(), rules, today, steps })
}

/// The greatest day that a step outside `expect_error` names; where there is none, that of any step.
fn default_today(steps: &[Value]) -> Day {
    let greatest = |refused| {
        let mut days = Vec::new();
        for step in steps {
            named_days(step, refused, &mut days);
        }
        days.into_iter().max()
    };
    greatest(false).or_else(|| greatest(true)).unwrap_or(Day::FIRST)
}

fn named_days(step: &Value, refused: bool, days: &mut Vec<Day>) {
    for verb in DATED {
        let day = match &step[verb] {
            body @ Value::Object(_) => body.get("day"),
            value => Some(value),
        };
        days.extend(value::day(day).ok());
    }
    if let Some(steps) = step["repeat"]["steps"].as_array() {
        for step in steps {
            named_days(step, refused, days);
        }
    }
    if refused && let Some(inner) = step["expect_error"].get("step") {
        named_days(inner, refused, days);
    }
}

fn rules(value: &Value) -> Parsed<Given<Rules>> {
    let body = object(value, "rules")?;
    only(body, &["start_level", "raise_at", "drop_below", "gap", "goal", "week_start"])?;
    Ok(given_rules(body))
}

fn given_rules(body: &Body) -> Given<Rules> {
    let mut rules = Rules::builder();
    if let Some(level) = word::<Level>(body, "start_level")? {
        rules = rules.start_level(level);
    }
    if let Some(gap) = word::<GapPolicy>(body, "gap")? {
        rules = rules.gap(gap);
    }
    if let Some(start) = word::<WeekStart>(body, "week_start")? {
        rules = rules.week_start(start);
    }
    for (field, set) in [
        ("raise_at", manbo::RulesBuilder::raise_at as fn(_, u32) -> _),
        ("drop_below", manbo::RulesBuilder::drop_below),
        ("goal", manbo::RulesBuilder::goal),
    ] {
        if let Some(steps) = body.get(field) {
            rules = set(rules, value::count(Some(steps), field)?);
        }
    }
    rules.build()
}

/// A word of a fixed list, as the library itself spells it.
fn word<T: DeserializeOwned>(body: &Body, field: &'static str) -> Given<Option<T>> {
    let unknown = Refusal::BadValue { field, rule: "one of the words of the format" };
    body.get(field).map(|value| T::deserialize(value).map_err(|_| unknown)).transpose()
}

/// Steps with their places; `within` is the place of the `repeat` around them, with its dot.
fn steps(list: &[Value], within: &str) -> Parsed<Vec<Step>> {
    let places = (1..).map(|n: usize| format!("{within}{n}"));
    places.zip(list).map(|(place, value)| step(value, place)).collect()
}

fn step(value: &Value, place: String) -> Parsed<Step> {
    let at = |error: String| format!("step {place}: {error}");
    let body = object(value, "a step").map_err(at)?;
    let mut verbs = body.iter().filter(|(key, _)| !["on", "today"].contains(&key.as_str()));
    let (name, said) = verbs.next().ok_or_else(|| at("no verb".into()))?;
    // Parsed before anything is said about a second verb: a misspelt key is the likelier fault.
    let verb = verb(name, said, &place)?;
    if let Some((second, _)) = verbs.next() {
        self::verb(second, &body[second], &place)?;
        return Err(at(format!("two verbs, {name:?} and {second:?}")));
    }
    let on = body.get("on").map(|on| string(on, "on")).transpose().map_err(at)?;
    let today = body.get("today").map(|today| value::day(Some(today)));
    Ok(Step { place, on, today, verb })
}

fn verb(name: &str, said: &Value, place: &str) -> Parsed<Verb> {
    let at = |error: String| format!("step {place}: {error}");
    // What holds further steps names their places itself.
    match name {
        "repeat" => return repeat(said, place),
        "expect_error" => return expect_error(said, place),
        _ => {}
    }
    if let Some(delivery) = delivery(name, said).map_err(at)? {
        return Ok(delivery);
    }
    match name.strip_prefix("expect_") {
        Some(_) => expectation(name, said).map(Verb::Expect).map_err(at),
        None => operation(name, said).map_err(at),
    }
}

fn repeat(said: &Value, place: &str) -> Parsed<Verb> {
    let at = |error: String| format!("step {place}: {error}");
    let body = keys(said, "repeat", &["times", "steps"]).map_err(at)?;
    let list = body.get("steps").and_then(Value::as_array).ok_or_else(|| at("no steps".into()))?;
    let times = value::count(body.get("times"), "times");
    Ok(Verb::Repeat { times, steps: steps(list, &format!("{place}."))? })
}

fn expect_error(said: &Value, place: &str) -> Parsed<Verb> {
    let at = |error: String| format!("step {place}: {error}");
    let body = keys(said, "expect_error", &["step", "code"]).map_err(at)?;
    let inner = body.get("step").ok_or_else(|| at("no step".into()))?;
    let step = Box::new(step(inner, place.to_owned())?);
    if matches!(step.verb, Verb::Expect(_)) {
        return Err(at("an expectation is never refused".into()));
    }
    let code = body.get("code").ok_or_else(|| at("no code".into()))?;
    let code = string(code, "code").map_err(at)?;
    Ok(Verb::Expect(Expectation::Error { step, code }))
}

fn operation(name: &str, said: &Value) -> Parsed<Verb> {
    Ok(match name {
        "read" => {
            let known = ["day", "recorded", "manual", "source", "extent", "offset_minutes"];
            Verb::Read(reading(keys(said, name, &known)?))
        }
        "delete" => Verb::Delete(deletion(keys(said, name, &["day", "source", "recorded", "manual"])?)),
        "correct" => {
            let known = ["day", "source", "recorded", "manual", "reason"];
            Verb::Correct(correction(keys(said, name, &known)?))
        }
        "unpin" => Verb::Unpin(value::cell(keys(said, name, &["day", "source"])?)),
        "receive" => {
            let known = ["day", "source", "epoch", "recorded", "manual"];
            Verb::Receive(fact(keys(said, name, &known)?))
        }
        "merge" => {
            let body = keys(said, name, &["from", "into"])?;
            let replica = |key| string(body.get(key).unwrap_or(&Value::Null), key);
            Verb::Merge { from: replica("from")?, into: replica("into")? }
        }
        "counter" => Verb::Counter(counter(keys(said, name, &["boot", "count", "day", "source"])?)),
        "attend" => Verb::Attend(value::day(Some(said))),
        "reopen" => {
            keys(said, name, &[])?;
            Verb::Reopen
        }
        _ => return Err(format!("unknown key {name:?}")),
    })
}

fn reading(body: &Body) -> Given<Reading> {
    let day = value::day(body.get("day"))?;
    let counts = Counts::new(value::count(body.get("recorded"), "recorded")?, value::manual(body)?);
    let (extent, offset) = (value::extent(body)?, value::offset(body)?);
    Ok(Reading { day, counts, extent, offset, source: value::source(body, HEALTH)? })
}

fn deletion(body: &Body) -> Given<Deletion> {
    let day = value::day(body.get("day"))?;
    let left = value::optional_counts(body)?;
    Ok(Deletion { day, left, source: value::source(body, HEALTH)? })
}

fn correction(body: &Body) -> Given<Correction> {
    let day = value::day(body.get("day"))?;
    let to = value::optional_counts(body)?;
    let reason = value::text(body, "reason", "")?;
    Ok(Correction { day, to, reason, source: value::source(body, HEALTH)? })
}

fn fact(body: &Body) -> Given<Fact> {
    let day = value::day(body.get("day"))?;
    let register =
        Register { epoch: value::epoch(body.get("epoch"))?, counts: value::optional_counts(body)? };
    Ok(Fact::Cell { day, register, source: value::source(body, HEALTH)? })
}

fn counter(body: &Body) -> Given<Counted> {
    let day = value::day(body.get("day"))?;
    let (boot, count) = (value::boot(body)?, value::count(body.get("count"), "count")?);
    Ok(Counted { day, boot, count, source: value::source(body, PHONE_SENSOR)? })
}

fn expectation(name: &str, said: &Value) -> Parsed<Expectation> {
    Ok(match name {
        "expect_days" => {
            let known = ["day", "shown", "ranked", "initial_level", "level", "attended", "absent"];
            let days = bodies(said, name, &known)?.into_iter();
            Expectation::Days(days.map(|b| (value::day(b.get("day")), fields(b, &["day"]))).collect())
        }
        "expect_cells" => {
            let known = ["day", "source", "epoch", "recorded", "manual"];
            let cells = bodies(said, name, &known)?.into_iter();
            Expectation::Cells(cells.map(|b| (value::cell(b), fields(b, &["day", "source"]))).collect())
        }
        "expect_stats" => {
            let body = keys(said, name, &STATISTICS)?;
            let as_of = body.get("as_of").map(|day| value::day(Some(day)));
            Expectation::Stats { as_of, fields: fields(body, &["as_of"]) }
        }
        "expect_changes" => Expectation::Changes(said.clone()),
        "expect_pending" => Expectation::Pending(said.clone()),
        "expect_reread" => {
            let cells = bodies(said, name, &["day", "source"])?;
            Expectation::Reread(cells.into_iter().map(value::cell).collect())
        }
        "expect_same" => {
            let replicas = said.as_array().ok_or("expect_same: not a list")?;
            Expectation::Same(replicas.iter().map(|r| string(r, name)).collect::<Parsed<_>>()?)
        }
        _ => return Err(format!("unknown key {name:?}")),
    })
}

const STATISTICS: [&str; 13] = [
    "as_of",
    "total_steps",
    "today_steps",
    "week_steps",
    "best_day",
    "best_day_steps",
    "days_logged",
    "current_level",
    "last_attended",
    "attendance_streak",
    "longest_attendance_streak",
    "goal_streak",
    "longest_goal_streak",
];

/// What the machine may answer to `next`.
const ANSWERS: [&str; 5] = ["upload", "wait", "idle", "paused", "stalled"];

/// The steps of the delivery machine.
fn delivery(name: &str, said: &Value) -> Parsed<Option<Verb>> {
    Ok(match name {
        "next" => {
            let body = keys(said, name, &["now_ms", "expect", "facts", "until_ms_min", "until_ms_max"])?;
            let expect = body.get("expect").map(|expect| string(expect, "expect")).transpose()?;
            if let Some(word) = expect.as_deref().filter(|word| !ANSWERS.contains(word)) {
                return Err(format!("expect: {word:?} is no answer of the machine"));
            }
            Some(Verb::Next { now_ms: now_ms(body)?, expect, fields: fields(body, &["now_ms", "expect"]) })
        }
        "report" => {
            let body = keys(said, name, &["now_ms", "outcome"])?;
            let outcome = reply(body.get("outcome").unwrap_or(&Value::Null))?;
            Some(Verb::Report { now_ms: now_ms(body)?, outcome })
        }
        "expect_parked" => {
            let parked = bodies(said, name, &["day", "source", "code"])?;
            let parked = parked.into_iter().map(|body| Value::Object(body.clone())).collect();
            Some(Verb::Expect(Expectation::Parked(parked)))
        }
        _ => None,
    })
}

fn now_ms(body: &Body) -> Parsed<i64> {
    body.get("now_ms").and_then(Value::as_i64).ok_or_else(|| "now_ms: not a whole number".to_owned())
}

fn reply(said: &Value) -> Parsed<Reply> {
    if let Some(word) = said.as_str() {
        return match word {
            "receipt" => Ok(Reply::Receipt),
            "receipt_lost" => Ok(Reply::ReceiptLost),
            "network" => Ok(Reply::Network),
            "receipt_without_progress" => Ok(Reply::WithoutProgress),
            _ => Err(format!("outcome: {word:?} is none of the format")),
        };
    }
    let body = keys(said, "outcome", &["status", "retry_after_s", "body", "refused"])?;
    if let Some(refused) = body.get("refused") {
        let refused = bodies(refused, "refused", &["day", "source", "code"])?.into_iter().map(|body| {
            let code = string(body.get("code").unwrap_or(&Value::Null), "code")?;
            Ok((value::cell(body), code))
        });
        return Ok(Reply::Refused(refused.collect::<Parsed<_>>()?));
    }
    let status = body.get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok());
    Ok(Reply::Status {
        status: status.ok_or("status: not a status")?,
        retry_after_s: body.get("retry_after_s").and_then(Value::as_i64),
        foreign: body.contains_key("body"),
    })
}

fn fields(body: &Body, places: &[&str]) -> Fields {
    let named = body.iter().filter(|(key, _)| !places.contains(&key.as_str()));
    named.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn bodies<'v>(value: &'v Value, what: &str, known: &[&str]) -> Parsed<Vec<&'v Body>> {
    let list = value.as_array().ok_or_else(|| format!("{what}: not a list"))?;
    list.iter().map(|value| keys(value, what, known)).collect()
}

fn keys<'v>(value: &'v Value, what: &str, known: &[&str]) -> Parsed<&'v Body> {
    let body = object(value, what)?;
    only(body, known)?;
    Ok(body)
}

fn object<'v>(value: &'v Value, what: &str) -> Parsed<&'v Body> {
    value.as_object().ok_or_else(|| format!("{what}: not an object"))
}

fn string(value: &Value, what: &str) -> Parsed<String> {
    value.as_str().map(str::to_owned).ok_or_else(|| format!("{what}: not a text"))
}

fn only(body: &Body, known: &[&str]) -> Parsed<()> {
    match body.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(format!("unknown key {key:?}")),
        None => Ok(()),
    }
}
