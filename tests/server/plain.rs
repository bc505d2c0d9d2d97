//! The plain form: clients that know nothing of registers.

use manbo::{Code, Counts, Day, Error, Fact, IngestPolicy, Register, TakenPlain, wire};

use super::world::{NOON_MS, Phone, Service, ago, at, day, source};

/// Takes a body as a service does, an hour or more from noon.
fn post(service: &mut Service, body: &str, opened: bool, now_ms: i64) -> TakenPlain {
    let items = wire::read_plain(body.as_bytes()).unwrap();
    service.store.ingest_plain("ana", &items, opened, IngestPolicy::at(now_ms), at(now_ms)).unwrap()
}

fn item(on: &str, steps: &str) -> String {
    format!(r#"{{"formattedDate":"{on}","steps":{steps}}}"#)
}

fn plain(on: &str, recorded: u32) -> Fact {
    let register = Register { epoch: 0, counts: Some(Counts::new(recorded, 0)) };
    Fact::Cell { day: day(on), source: source("plain"), register }
}

/// V21: every item stands for itself.
#[test]
fn bad_items_get_their_verdicts_and_the_good_one_is_taken() {
    let mut service = Service::new();
    let items = [
        item("2022-09-20", "-1"),
        item("2022-09-21", "4294967296"),
        item("2026-02-30", "1"),
        item("10/01", "1"),
        item("2022-09-22", "6000"),
        item("2022-09-23", "300001"),
        item("2022-09-24", "8500.5"),
        item("2022-09-25", "\"8500\""),
        item("2022-09-26", "null"),
        item("2022-10-06", "1"),
        item("1999-12-31", "1"),
        "null".to_owned(),
        "{}".to_owned(),
    ];
    let taken = post(&mut service, &format!("[{}]", items.join(", ")), true, NOON_MS);
    let bad = Some(Code::BadValue);
    let expected = [
        bad,
        bad,
        bad,
        bad,
        None,
        Some(Code::ImplausibleSteps),
        bad,
        bad,
        bad,
        Some(Code::FutureDay),
        Some(Code::DayOutOfRange),
        bad,
        bad,
    ];
    assert_eq!(taken.verdicts, expected);
    assert_eq!((service.facts("ana"), taken.attended), (vec![plain("2022-09-22", 6_000)], None));
}

#[test]
fn what_is_no_array_is_refused_as_a_whole() {
    for body in ["", "{}", "null", "[", "[{}", "\"x\"", "[1] [2]"] {
        assert!(
            matches!(wire::read_plain(body.as_bytes()), Err(wire::WireError::Malformed { .. })),
            "{body}"
        );
    }
    let long = vec![b' '; wire::UPLOAD_BYTES_MAX + 1];
    assert_eq!(wire::read_plain(&long), Err(wire::WireError::TooLarge));
    let mut service = Service::new();
    let items = vec![Err(Code::BadValue); manbo::BATCH_ITEMS_MAX + 1];
    let policy = IngestPolicy::at(NOON_MS);
    let refused = service.store.ingest_plain("ana", &items, true, policy, at(NOON_MS)).unwrap_err();
    assert!(matches!(refused, Error::Refused(_)));
    assert_eq!((refused.code(), service.facts("ana")), (Code::BatchTooLarge, Vec::new()));
    assert_eq!(post(&mut service, "[]", true, NOON_MS).verdicts, []);
}

/// V20: as if sorted, and the larger of two.
#[test]
fn the_order_of_the_items_and_repetition_change_nothing() {
    let mut service = Service::new();
    let reversed = [item("2022-09-23", "9000"), item("2022-09-22", "5000"), item("2022-09-22", "7000")];
    let body = format!("[{}]", reversed.join(","));
    let first = post(&mut service, &body, true, NOON_MS);
    assert_eq!(first.changes.len(), 2);
    assert_eq!(service.facts("ana"), [plain("2022-09-22", 7_000), plain("2022-09-23", 9_000)]);
    let again = post(&mut service, &body, true, NOON_MS);
    assert_eq!((again.changes.len(), service.store.read("ana").unwrap().revision()), (0, 1));
    // A partial reading never lowers a day.
    let _ = post(&mut service, &format!("[{}]", item("2022-09-22", "10")), true, NOON_MS);
    assert_eq!(service.store.read("ana").unwrap().day(day("2022-09-22")).unwrap().shown, 7_000);
}

fn attended(items: &[(&str, &str)], opened: bool, now_ms: i64) -> Option<Day> {
    let mut service = Service::new();
    let items: Vec<String> = items.iter().map(|(on, steps)| item(on, steps)).collect();
    let taken = post(&mut service, &format!("[{}]", items.join(",")), opened, now_ms);
    let facts = service.facts("ana");
    let kept: Vec<Day> =
        facts.iter().filter_map(|f| matches!(f, Fact::Attended(_)).then_some(f.day())).collect();
    assert_eq!(kept, taken.attended.into_iter().collect::<Vec<_>>());
    taken.attended
}

#[test]
fn the_greatest_day_is_attended_where_it_is_today_or_yesterday_somewhere() {
    const HOUR_MS: i64 = 3_600_000;
    // At noon UTC it is the 5th from UTC+12 on, and at UTC-12 the 4th begins.
    for (on, expected) in
        [("2022-10-05", true), ("2022-10-04", true), ("2022-10-03", true), ("2022-10-02", false)]
    {
        assert_eq!(attended(&[(on, "1")], true, NOON_MS), expected.then(|| day(on)), "{on}");
    }
    // An instant earlier it is still the 3rd at UTC-12, whose yesterday is the 2nd.
    assert_eq!(attended(&[("2022-10-02", "1")], true, NOON_MS - 1), Some(day("2022-10-02")));
    // Before 10:00 UTC the 5th has begun nowhere.
    assert_eq!(attended(&[("2022-10-05", "1")], true, NOON_MS - 2 * HOUR_MS - 1), None);
    assert_eq!(attended(&[("2022-10-05", "1")], true, NOON_MS - 2 * HOUR_MS), Some(day("2022-10-05")));
    // Only the greatest, in any order; 0 steps are a day, too.
    let days = [("2022-10-04", "0"), ("2022-10-03", "9000"), ("2022-09-01", "1")];
    assert_eq!(attended(&days, true, NOON_MS), Some(day("2022-10-04")));
    // A background job says so.
    assert_eq!(attended(&days, false, NOON_MS), None);
    assert_eq!(attended(&[], true, NOON_MS), None);
    // What was refused was not there.
    assert_eq!(attended(&[("2022-10-04", "-1")], true, NOON_MS), None);
}

#[test]
fn plain_days_reach_the_other_devices_and_stay_apart_from_theirs() {
    let mut service = Service::new();
    let mut phone = Phone::of("ana");
    phone.walk(ago(0), 5_000);
    phone.sync(&mut service);
    let _ = post(&mut service, &format!("[{}]", item("2022-10-04", "8500")), true, NOON_MS);
    phone.pull(&mut service);
    assert_eq!((phone.digest(), phone.pending()), (service.digest("ana"), 0));
    let shown = phone.book.day(ago(0)).unwrap().unwrap();
    assert_eq!((shown.shown, shown.ranked), (8_500, 8_500), "the maximum, never the sum");
    assert!(phone.book.ledger().unwrap().attended(ago(0)));
}
