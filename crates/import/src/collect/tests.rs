//! The collector on records given one by one.

use manbo::{Day, Extent, Source};

use super::*;
use crate::report::Suspicion;

fn options() -> ImportOptions {
    ImportOptions::new("2026-11-21".parse().unwrap())
}

fn wall(text: &str) -> Stamp {
    let date = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S").unwrap();
    Stamp { wall_ms: date.and_utc().timestamp_millis(), offset: None }
}

fn printed(text: &str) -> Stamp {
    let date = chrono::DateTime::parse_from_rfc3339(text).unwrap();
    let minutes = i16::try_from(date.offset().local_minus_utc() / 60).unwrap();
    Stamp { wall_ms: date.naive_local().and_utc().timestamp_millis(), offset: Some(minutes) }
}

fn between(from: Stamp, until: Stamp, steps: u32) -> Record<'static> {
    Record::measured("", When::Between(from, until), steps)
}

fn stated(day: &str, steps: u32) -> Record<'static> {
    Record::measured("", When::Day(day.parse::<Day>().unwrap().number()), steps)
}

fn import(options: ImportOptions, records: &[Record<'_>]) -> Import {
    let mut collector = Collector::new(options);
    collector.begin_file("test", "test");
    for (line, record) in (1..).zip(records) {
        collector.take(line, record).unwrap();
    }
    collector.finish().unwrap()
}

fn days(import: &Import) -> Vec<(String, u32, Extent)> {
    let readings = import.people.first().map(|person| person.readings.as_slice()).unwrap_or_default();
    readings.iter().map(|r| (r.day.to_string(), r.counts.recorded, r.extent)).collect()
}

#[track_caller]
fn check(records: &[Record<'_>], expected: &[(&str, u32)]) -> Import {
    let result = import(options(), records);
    let got: Vec<(String, u32)> = days(&result).into_iter().map(|(day, steps, _)| (day, steps)).collect();
    let expected: Vec<(String, u32)> =
        expected.iter().map(|(day, steps)| ((*day).to_owned(), *steps)).collect();
    assert_eq!(got, expected);
    let mut turned = records.to_vec();
    turned.reverse();
    assert_eq!(days(&import(options(), &turned)), days(&result), "the order of records is free");
    result
}

#[test]
fn a_record_over_midnight_is_split_with_its_sum() {
    let record = between(wall("2022-10-01T23:58:00"), wall("2022-10-02T00:03:00"), 13);
    let result = check(&[record], &[("2022-10-01", 5), ("2022-10-02", 8)]);
    assert_eq!(result.report.splits, 1);
    let touching = between(wall("2022-10-01T23:58:00"), wall("2022-10-02T00:00:00"), 13);
    assert_eq!(check(&[touching], &[("2022-10-01", 13)]).report.splits, 0);
    let long = between(wall("2022-10-01T12:00:00"), wall("2022-10-04T12:00:00"), 7);
    let result =
        check(&[long], &[("2022-10-01", 1), ("2022-10-02", 3), ("2022-10-03", 2), ("2022-10-04", 1)]);
    assert_eq!(result.report.people[0].suspicious[0].why, Suspicion::LongRecord);
}

#[test]
fn a_piece_without_a_step_says_nothing_of_its_day_but_a_zero_does() {
    let record = between(wall("2022-10-01T23:00:00"), wall("2022-10-02T00:00:01"), 10);
    check(&[record], &[("2022-10-01", 10)]);
    let zero = between(wall("2022-10-01T23:00:00"), wall("2022-10-02T01:00:00"), 0);
    check(&[zero], &[("2022-10-01", 0), ("2022-10-02", 0)]);
    check(&[zero, record], &[("2022-10-01", 10), ("2022-10-02", 0)]);
}

#[test]
fn the_zone_decides_over_the_printed_offset() {
    let record = between(printed("2016-02-25T00:30:00-04:00"), printed("2016-02-25T00:40:00-04:00"), 9);
    let result = check(&[record], &[("2016-02-25", 9)]);
    assert!(result.report.days_by.contains("-04:00"));
    assert_eq!(result.people[0].readings[0].offset.map(manbo::UtcOffset::minutes), Some(-240));
    let zone = ImportOptions { zone: Some(chrono_tz::America::New_York), ..options() };
    let result = import(zone, &[record]);
    assert_eq!(days(&result)[0].0, "2016-02-24");
    assert_eq!(result.people[0].readings[0].offset.map(manbo::UtcOffset::minutes), Some(-300));
}

#[test]
fn a_night_of_25_hours_counts_both_second_hours() {
    let first = between(printed("2016-11-06T01:10:00-04:00"), printed("2016-11-06T01:20:00-04:00"), 30);
    let second = between(printed("2016-11-06T01:10:00-05:00"), printed("2016-11-06T01:20:00-05:00"), 40);
    let result = check(&[first, second], &[("2016-11-06", 70)]);
    assert_eq!(result.people[0].readings[0].offset, None, "two offsets bounded the day");
}

#[test]
fn records_and_stated_totals_count_once() {
    let hour = between(wall("2022-10-01T10:00:00"), wall("2022-10-01T11:00:00"), 900);
    let minute = between(wall("2022-10-01T10:00:00"), wall("2022-10-01T10:01:00"), 90);
    let result = check(&[hour, minute, minute], &[("2022-10-01", 900)]);
    let union = result.report.union;
    assert_eq!((union.duplicates, union.overlaps, union.steps_spared), (1, 2, 180));
    check(&[hour, minute, stated("2022-10-01", 1_000)], &[("2022-10-01", 1_000)]);
    check(&[hour, stated("2022-10-01", 800), stated("2022-10-01", 700)], &[("2022-10-01", 900)]);
}

#[test]
fn edges_are_partial_and_the_rest_is_full() {
    let hours = ["2022-10-01T10:00:00", "2022-10-02T10:00:00", "2022-10-03T10:00:00"];
    let records: Vec<Record<'_>> = hours.iter().map(|at| between(wall(at), wall(at), 5)).collect();
    let extents = |result: &Import| days(result).into_iter().map(|(_, _, extent)| extent).collect::<Vec<_>>();
    let (full, partial) = (Extent::Full, Extent::Partial);
    assert_eq!(extents(&import(options(), &records)), [partial, full, partial]);
    let totals = [stated("2022-10-01", 5), stated("2022-10-02", 5), stated("2022-10-03", 5)];
    assert_eq!(extents(&import(options(), &totals)), [full, full, partial]);
    let mut collector = Collector::new(options());
    collector.begin_file("test", "test");
    collector.exported(printed("2022-10-09T10:00:00+09:00"));
    for record in &totals {
        collector.take(1, record).unwrap();
    }
    assert_eq!(extents(&collector.finish().unwrap()), [full, full, full]);
    let join_only = ImportOptions { join_only: true, ..options() };
    assert_eq!(extents(&import(join_only, &totals)), [partial, partial, partial]);
}

#[test]
fn reports_follow_one_another_by_their_own_time() {
    let at = |number, steps| Record {
        report: ReportKey { made: None, number: Some(number) },
        ..stated("2022-10-01", steps)
    };
    let last =
        |number| Record { report: ReportKey { made: None, number: Some(number) }, ..stated("2022-10-05", 1) };
    let lowered = [at(1, 10_903), last(1), at(2, 8_214), last(2)];
    let result = check(&lowered, &[("2022-10-01", 8_214), ("2022-10-05", 1)]);
    assert_eq!((result.report.rereports.days, result.report.rereports.lowered), (2, 1));
    // As the last day of its report it may be cut: nothing goes down.
    let result = check(&[at(1, 10_903), last(1), at(2, 8_214)], &[("2022-10-01", 10_903), ("2022-10-05", 1)]);
    assert_eq!((result.report.rereports.kept, result.report.rereports.lowered), (1, 0));
    assert_eq!(days(&result)[0].2, Extent::Full, "the first report had the whole day");
}

#[test]
fn people_sources_and_typed_steps_stay_apart() {
    let walk = |person, source, how, steps| Record { person, source, how, ..stated("2022-10-01", steps) };
    let records = [
        walk("b", "Apple\u{a0}Watch", How::Measured, 100),
        walk("a", "iPhone", How::Measured, 50),
        walk("b", "iPhone", How::Measured, 70),
        walk("b", "iPhone", How::Typed, 40),
    ];
    let result = import(options(), &records);
    let names: Vec<_> = result.people.iter().map(|person| person.name.as_deref()).collect();
    assert_eq!(names, [Some("a"), Some("b")]);
    let b: Vec<_> = result.people[1]
        .readings
        .iter()
        .map(|r| (r.source.to_string(), r.counts.recorded, r.counts.manual))
        .collect();
    assert_eq!(b, [("apple-watch".to_owned(), 100, 0), ("iphone".to_owned(), 70, 40)]);
    assert_eq!(result.report.people[1].steps, 110, "the most that one source says, never the sum");
    assert_eq!(result.report.people[1].sources[0].names, ["Apple\u{a0}Watch"]);
    let only_a = ImportOptions { user: Some("a".to_owned()), ..options() };
    let result = import(only_a, &records);
    assert_eq!((result.people.len(), result.report.other), (1, 3));
    let mut mapped = options();
    mapped.sources.insert("iPhone".to_owned(), Source::new("apple-health").unwrap());
    assert_eq!(import(mapped, &records).people[0].readings[0].source.as_str(), "apple-health");
}

#[test]
fn what_breaks_a_limit_is_listed_and_the_rest_is_taken() {
    let records = [
        between(wall("2022-10-01T10:00:00"), wall("2022-10-01T09:00:00"), 5),
        between(printed("2022-10-01T10:00:00+00:00"), wall("2022-10-01T11:00:00"), 5),
        between(wall("2022-10-01T10:00:00"), wall("2022-11-02T10:00:00"), 5),
        stated("1999-12-31", 5),
        stated("2026-11-23", 5),
        stated("2022-10-02", 300_001),
        stated("1999-12-31", 300_001),
        stated("2026-11-22", 8),
        Record { person: &"x".repeat(129), ..stated("2022-10-01", 5) },
    ];
    let result = check(&records, &[("2026-11-22", 8)]);
    let reasons: Vec<Reason> = result.report.rejects.listed.iter().map(|rejected| rejected.reason).collect();
    let expected = [
        Reason::EndBeforeStart,
        Reason::MixedOffsets,
        Reason::TooLong,
        Reason::DayOutOfRange,
        Reason::DayOutOfRange,
        Reason::ImplausibleSteps,
        Reason::DayOutOfRange,
        Reason::BadShape,
    ];
    assert_eq!(reasons, expected);
    assert_eq!((result.report.rows, result.report.rejects.listed[2].line), (9, 3));
}

#[test]
fn a_day_over_the_limit_is_refused_as_a_whole() {
    let hours: Vec<Record<'_>> = (10..14)
        .map(|hour| wall(&format!("2022-10-01T{hour}:00:00")))
        .map(|at| between(at, Stamp { wall_ms: at.wall_ms + 3_600_000, offset: None }, 80_000))
        .collect();
    let result = check(&hours, &[]);
    assert_eq!(result.report.rejects.listed[0].reason, Reason::ImplausibleSteps);
}

#[test]
fn a_month_in_one_record_may_hold_a_month_of_steps() {
    let month = between(wall("2022-10-01T00:00:00"), wall("2022-10-31T00:00:00"), 390_000);
    let result = import(options(), &[month]);
    assert_eq!((result.people[0].readings.len(), result.people[0].readings[7].counts.recorded), (30, 13_000));
    let night = between(wall("2022-10-01T23:00:00"), wall("2022-10-02T01:00:00"), 600_001);
    assert_eq!(import(options(), &[night]).report.rejects.listed[0].reason, Reason::ImplausibleSteps);
}

#[test]
fn too_many_sources_say_what_helps() {
    let names: Vec<String> = (0..17).map(|n| format!("device {n}")).collect();
    let mut collector = Collector::new(options());
    collector.begin_file("test", "test");
    for name in &names {
        collector.take(1, &Record { source: name, ..stated("2022-10-01", 5) }).unwrap();
    }
    let error = collector.finish().unwrap_err();
    assert!(error.to_string().contains("--map"), "{error}");
}

#[test]
fn late_data_is_told() {
    let at = printed("2022-10-01T10:00:00+00:00");
    let arrived =
        |hours: i64| Record { arrived_ms: Some(at.line_ms() + hours * 3_600_000 + 1), ..between(at, at, 5) };
    let at_once = Record { arrived_ms: Some(at.line_ms()), ..between(at, at, 5) };
    assert_eq!(import(options(), &[at_once]).report.arrivals.early, 0);
    let result = import(options(), &[arrived(1), arrived(30), arrived(-2)]);
    let arrivals = result.report.arrivals;
    assert_eq!((arrivals.known, arrivals.late, arrivals.early), (3, 1, 1));
    assert_eq!(arrivals.delay_minutes_max, 30 * 60);
}

#[test]
fn what_has_no_date_joins_dated_reports() {
    let dated =
        |day, steps| Record { report: ReportKey { made: None, number: Some(1) }, ..stated(day, steps) };
    let more = [
        stated("2022-10-01", 9_000),
        stated("2022-10-05", 1),
        dated("2022-10-01", 8_000),
        dated("2022-10-05", 1),
    ];
    check(&more, &[("2022-10-01", 9_000), ("2022-10-05", 1)]);
    let less = [
        stated("2022-10-01", 7_000),
        stated("2022-10-05", 1),
        dated("2022-10-01", 8_000),
        dated("2022-10-05", 1),
    ];
    check(&less, &[("2022-10-01", 8_000), ("2022-10-05", 1)]);
}

#[test]
fn another_source_or_file_makes_no_day_whole() {
    let old = Record { source: "old", ..stated("2022-10-02", 3_000) };
    let new = Record { source: "new", ..stated("2022-10-09", 1) };
    let extents = |import: &Import| days(import).into_iter().map(|(_, _, extent)| extent).collect::<Vec<_>>();
    assert_eq!(extents(&import(options(), &[old, new])), [Extent::Partial, Extent::Partial]);
    let mut collector = Collector::new(options());
    collector.begin_file("export.xml", "test");
    collector.exported(printed("2022-10-20T10:00:00+09:00"));
    collector.take(1, &new).unwrap();
    collector.begin_file("old.csv", "test");
    collector.take(1, &old).unwrap();
    assert_eq!(extents(&collector.finish().unwrap()), [Extent::Partial, Extent::Full]);
}

#[test]
fn a_day_that_may_lack_a_row_lowers_nothing() {
    let hours = ["2022-10-01T10:00:00", "2022-10-02T10:00:00", "2022-10-03T10:00:00"];
    let mut collector = Collector::new(options());
    collector.begin_file("test", "test");
    for at in hours {
        collector.take(1, &between(wall(at), wall(at), 5)).unwrap();
    }
    collector.take(1, &Record { source: "totals", ..stated("2022-10-02", 9) }).unwrap();
    collector.take(1, &Record { source: "totals", ..stated("2022-10-05", 9) }).unwrap();
    collector.reject(9, Reason::BadCount);
    let import = collector.finish().unwrap();
    let full: Vec<_> = days(&import).into_iter().filter(|(_, _, extent)| *extent == Extent::Full).collect();
    assert_eq!(full, [("2022-10-02".to_owned(), 9, Extent::Full)], "a stated total needs no other row");
    assert!(import.report.joins_only);
}

#[test]
fn files_that_name_nobody_are_the_one_who_is_asked_for() {
    let ana = ImportOptions { user: Some("ana".to_owned()), ..options() };
    let named = Record { person: "ana", ..stated("2022-10-01", 2_000) };
    let result = import(ana.clone(), &[stated("2022-10-01", 3_000), named]);
    assert_eq!((result.people.len(), result.people[0].name.as_deref()), (1, Some("ana")));
    assert_eq!(days(&result), [("2022-10-01".to_owned(), 3_000, Extent::Partial)]);
    let mut collector = Collector::new(ana);
    collector.begin_file("test", "test");
    collector.take(1, &Record { person: "bob", ..stated("2022-10-01", 5) }).unwrap();
    assert!(collector.finish().unwrap_err().to_string().contains("--user"));
}

#[test]
fn a_source_is_mapped_also_where_its_name_has_odd_blanks() {
    let mut mapped = options();
    mapped.sources.insert("Apple Watch".to_owned(), Source::new("watch").unwrap());
    mapped.sources.insert("Apple Wotch".to_owned(), Source::new("watch").unwrap());
    let record = Record { source: "Apple\u{a0}Watch", ..stated("2022-10-01", 5) };
    let result = import(mapped, &[record]);
    assert_eq!(result.people[0].readings[0].source.as_str(), "watch");
    assert!(result.report.files[0].notes[0].starts_with("--map names 1 "));
}
