//! Tables of every shape, through the collector.

use super::*;
use crate::options::ImportOptions;
use crate::record::Reason;
use crate::report::Import;

fn options() -> ImportOptions {
    ImportOptions::new("2026-11-21".parse().unwrap())
}

fn with(change: impl FnOnce(&mut CsvOptions)) -> ImportOptions {
    let mut options = options();
    change(&mut options.csv);
    options
}

fn columns(pairs: &[(&str, &str)]) -> ImportOptions {
    with(|csv| csv.columns = pairs.iter().map(|(role, title)| ((*role).into(), (*title).into())).collect())
}

fn try_import(file: &str, text: &str, options: ImportOptions) -> Result<Import> {
    let mut collector = Collector::new(options);
    collector.begin_file(file, "csv");
    read(file, text.as_bytes(), &mut collector)?;
    collector.finish()
}

/// Every reading as `person source day steps`, with `+ n` for typed-in steps; nobody is `-`.
fn readings(import: &Import) -> Vec<String> {
    let mut told = Vec::new();
    for person in &import.people {
        let name = person.name.as_deref().unwrap_or("-");
        for reading in &person.readings {
            let counts = reading.counts;
            let typed = if counts.manual > 0 { format!(" + {}", counts.manual) } else { String::new() };
            told.push(format!("{name} {} {} {}{typed}", reading.source, reading.day, counts.recorded));
        }
    }
    told
}

fn rejects(import: &Import) -> Vec<(u64, Reason)> {
    import.report.rejects.listed.iter().map(|rejected| (rejected.line, rejected.reason)).collect()
}

fn notes(import: &Import) -> String {
    import.report.files[0].notes.join(". ")
}

#[track_caller]
fn check_with(file: &str, text: &str, options: ImportOptions, expected: &[&str]) -> Import {
    let import = try_import(file, text, options).unwrap();
    assert_eq!(readings(&import), expected);
    assert_eq!(rejects(&import), []);
    import
}

#[track_caller]
fn check(text: &str, expected: &[&str]) -> Import {
    check_with("t.csv", text, options(), expected)
}

#[track_caller]
fn check_rejects(text: &str, expected: &[(u64, Reason)]) {
    assert_eq!(rejects(&try_import("t.csv", text, options()).unwrap()), expected);
}

/// The text of the error, which must be of the right kind.
#[track_caller]
fn fails(text: &str, options: ImportOptions, right: impl FnOnce(&ImportError) -> bool) -> String {
    let error = try_import("t.csv", text, options).map(|import| readings(&import)).unwrap_err();
    assert!(right(&error), "{error:?}");
    error.to_string()
}

fn is_option(error: &ImportError) -> bool {
    matches!(error, ImportError::Option(_))
}

fn is_unknown(error: &ImportError) -> bool {
    matches!(error, ImportError::Unknown { .. })
}

#[test]
fn days_are_stated_totals() {
    let import = check(
        "Date,Step count,Weight\r\n2026-01-01,8500,70\r\n2026-01-02,,70\r\n2026-01-03,0,\r\n",
        &["- import 2026-01-01 8500", "- import 2026-01-03 0"],
    );
    assert_eq!((import.report.rows, import.report.blank), (3, 1));
    assert_eq!(notes(&import), "columns: day = `Date`, steps = `Step count`; each row is a day's total");
}

#[test]
fn titles_are_compared_without_case_blanks_and_underscores() {
    for header in ["formattedDate,Total_Steps", "ACTIVITY DATE,step\u{a0}count", "\u{feff}day_time,recorded"]
    {
        check(&format!("{header}\n2026-01-01,\"8,500\"\n"), &["- import 2026-01-01 8500"]);
    }
    check("date;steps\n2026-01-01;8500.0\n", &["- import 2026-01-01 8500"]);
    let import = check("date\tsteps\n2026-01-01\t8500\n", &["- import 2026-01-01 8500"]);
    assert!(notes(&import).starts_with("fields are separated by tabs. "), "{}", notes(&import));
}

#[test]
fn people_and_sources_are_told_apart() {
    check(
        "user,device,day,steps\nann,Watch,2026-01-01,1\nann,Phone,2026-01-01,2\nbob,,2026-01-01,3\n",
        &["ann phone 2026-01-01 2", "ann watch 2026-01-01 1", "bob import 2026-01-01 3"],
    );
    // Row numbers are nobody, but for Fitabase's own titles.
    check(
        "id,date,steps\n1,2026-01-01,5\n2,2026-01-02,6\n",
        &["- import 2026-01-01 5", "- import 2026-01-02 6"],
    );
    check("Id,ActivityDate,TotalSteps\n1503,2026-01-01,5\n", &["1503 import 2026-01-01 5"]);
    let odd = |text: &[u8]| {
        let mut collector = Collector::new(options());
        collector.begin_file("t.csv", "csv");
        read("t.csv", text, &mut collector).and_then(|()| collector.finish())
    };
    let import = odd(b"user,day,steps\nb,2026-01-01,\xff\nb,\xff,1\n").unwrap();
    assert_eq!(rejects(&import), [(2, Reason::BadCount), (3, Reason::BadTime)]);
    // Two people whose names are in another encoding must not become one.
    for name in
        [&b"user,day,steps\nM\xfcller,2026-01-01,1\n"[..], b"device,day,steps\nM\xf6ller,2026-01-01,1\n"]
    {
        assert!(matches!(odd(name), Err(ImportError::Malformed { line: 2, .. })));
    }
}

#[test]
fn typed_steps_are_kept_apart() {
    let import = check(
        "day,recorded,manual\n2026-01-01,7000,5000\n2026-01-02,7000,0\n2026-01-03,,900\n\
         2026-01-04,,0\n2026-01-05,,\n2026-01-06,5\n",
        &[
            "- import 2026-01-01 7000 + 5000",
            "- import 2026-01-02 7000",
            "- import 2026-01-03 0 + 900",
            "- import 2026-01-04 0",
            "- import 2026-01-06 5",
        ],
    );
    assert_eq!(import.report.blank, 1);
    check_rejects("day,recorded,manual\n2026-01-01,7000,x\n", &[(2, Reason::BadCount)]);
}

#[test]
fn a_day_may_be_written_as_its_midnight() {
    for day in ["2026-01-02 00:00:00.000", "2026-01-02T00:00:00+05:30", "2026-01-02+05:30", "1767312000000"] {
        check(&format!("day,steps\n{day},5\n"), &["- import 2026-01-02 5"]);
    }
    for day in ["2026-01-02 00:00:01", "2026-02-30", "", "1767312000001", "176731200000"] {
        check_rejects(&format!("day,steps\n{day},5\n"), &[(2, Reason::BadTime)]);
    }
}

#[test]
fn hours_and_minutes_are_slots() {
    check("user,hour,steps\na,2026-01-01T23:30,100\n", &["a import 2026-01-01 50", "a import 2026-01-02 50"]);
    check(
        "timestamp,steps\n2026-01-01T23,100\n2026-01-02T00,5\n",
        &["- import 2026-01-01 100", "- import 2026-01-02 5"],
    );
    check("minute,steps\n2026-01-01T23:59:30,100\n", &["- import 2026-01-01 50", "- import 2026-01-02 50"]);
    // Times with seconds are moments: none of them explains another.
    let import = check(
        "start,steps\n2026-01-01T06:14:03.5,50\n2026-01-01T06:14:33,50\n2026-01-01T23:59:53,50\n2026-01-01T23:58,7\n",
        &["- import 2026-01-01 157"],
    );
    assert!(notes(&import).contains(
        "60 minutes from its time on where only the hour is written, an instant where its time has seconds"
    ));
    let quarter = with(|csv| csv.slot_minutes = Some(15));
    for title in ["start", "hour", "minute"] {
        let text = format!("{title},steps\n2026-01-01 23:50:00,15\n");
        let import =
            check_with("t.csv", &text, quarter.clone(), &["- import 2026-01-01 10", "- import 2026-01-02 5"]);
        assert!(notes(&import).contains("each row is 15 minutes from its time on"));
    }
    check_rejects("hour,steps\n2026-01-01T24,1\n2026-01-01T10,1\n", &[(2, Reason::BadTime)]);
}

#[test]
fn records_have_start_end_and_arrival() {
    let import = check(
        "start,end,created,source,steps\n\
         2026-01-01T23:58:00-04:00,2026-01-02T00:02:00-04:00,2026-01-03T10:02:00-04:00,iPhone,13\n\
         2026-01-02T10:00:00-04:00,2026-01-02T10:05:00-04:00,,iPhone,7\n\
         2026-01-02T11:00:00-04:00,2026-01-02T11:05:00-04:00,soon,iPhone,1\n\
         2026-01-02T12:00:00-04:00,2026-01-02T12:05:00-04:00,2026-01-02T12:09:00,iPhone,1\n",
        &["- iphone 2026-01-01 7", "- iphone 2026-01-02 15"],
    );
    assert_eq!(import.report.splits, 1);
    let arrivals = import.report.arrivals;
    assert_eq!((arrivals.known, arrivals.late, arrivals.delay_minutes_max), (1, 1, 34 * 60));
    let columns = "start = `start`, end = `end`, arrived = `created`, steps = `steps`";
    let expected = format!("{columns}; each row is a record from start to end");
    assert!(notes(&import).ends_with(&expected), "{}", notes(&import));
    check_rejects(
        "start,end,steps\n\
         2026-01-01T10:00,2026-01-01T09:00,1\n\
         2026-01-01T10:00Z,2026-01-01T11:00,1\n\
         2026-01-01T10:00,2026-01-01T11:60,1\n\
         2026-01-01T10:00,2026-01-01T11:00,-1\n\
         2026-01-01T10:00,2026-01-01T11:00,300001\n\
         2026-01-01T10:00,2026-01-01T11:00\n\
         2026-01-01T10:00,2026-03-01T11:00,1\n\
         1999-01-01T10:00,1999-01-01T11:00,1\n\
         2026-01-01T10:00,2026-01-01T11:00,1\n",
        &[
            (2, Reason::EndBeforeStart),
            (3, Reason::MixedOffsets),
            (4, Reason::BadTime),
            (5, Reason::BadCount),
            (6, Reason::ImplausibleSteps),
            (7, Reason::MissingField),
            (8, Reason::TooLong),
            (9, Reason::DayOutOfRange),
        ],
    );
}

#[test]
fn values_of_other_types_are_no_steps() {
    let import = check(
        "type,startDate,endDate,value\n\
         HKQuantityTypeIdentifierStepCount,2026-01-01 10:00:00 -0400,2026-01-01 10:05:00 -0400,7\n\
         HeartRate,2026-01-01 10:00:00 -0400,2026-01-01 10:05:00 -0400,70\n\
         StepCount,2026-01-01 11:00:00 -0400,2026-01-01 11:05:00 -0400,8\n",
        &["- import 2026-01-01 15"],
    );
    assert_eq!((import.report.rows, import.report.other), (2, 1));
}

fn numbered(prefix: &str, count: usize) -> String {
    (0..count).map(|n| format!(",{prefix}{n:02}")).collect()
}

#[test]
fn wide_hours_stand_beside_the_total() {
    let header = format!("day,steps{}\n", numbered("h", 24));
    let hours = |first: &str, last: &str| format!("{first}{}{last}", ",".repeat(23));
    let text = format!(
        "{header}2026-01-01,100,{}\n2026-01-02,,{}\n2026-01-03,,{}\n2026-01-04,9,{}\n2026-01-05,,{}\n",
        hours("30", "5"),
        hours("30", "5"),
        hours("0", ""),
        hours("", ""),
        hours("", ""),
    );
    let expected = [
        "- import 2026-01-01 100",
        "- import 2026-01-02 35",
        "- import 2026-01-03 0",
        "- import 2026-01-04 9",
    ];
    let import = check(&text, &expected);
    assert_eq!(import.report.blank, 1);
    assert!(notes(&import).ends_with("each row is a day with its total and a column for each hour"));
    check(&format!("day{}\n2026-01-01,{}\n", numbered("h", 24), hours("1", "2")), &["- import 2026-01-01 3"]);
    let text = format!(
        "{header}2026-01-01,x,{}\n2026-01-32,1,{}\n2026-01-01,1,2\n",
        hours("30", "y"),
        hours("", "")
    );
    let import = try_import("t.csv", &text, options()).unwrap();
    assert_eq!(readings(&import), ["- import 2026-01-01 30"]);
    let expected =
        [(2, Reason::BadCount), (2, Reason::BadCount), (3, Reason::BadTime), (4, Reason::MissingField)];
    assert_eq!(rejects(&import), expected);
}

#[test]
fn wide_minutes_keep_their_offset() {
    let mut options = options();
    options.zone = Some(chrono_tz::UTC);
    // Half past one at +02:00 is half past eleven of the day before in UTC; its last minute is not.
    let header = format!("hour{}\n", numbered("m", 60));
    let cells = format!("60{}5", ",".repeat(59));
    let text = format!("{header}2026-01-02T00+02:00,{cells}\n2026-01-02T01:30+02:00,{cells}\n");
    check_with("t.csv", &text, options, &["- import 2026-01-01 125", "- import 2026-01-02 5"]);
}

#[test]
fn wide_minutes_are_an_hour() {
    let mut cells = vec!["1"; 60];
    cells[59] = "";
    let row = cells.join(",");
    let text = format!("user,hour{}\nu,2026-01-01T23,{row}\n", numbered("m", 60));
    let import = check(&text, &["u import 2026-01-01 59"]);
    assert_eq!(import.report.rows, 59);
    let text = format!("Id,ActivityHour{}\n7,4/12/2016 11:00:00 PM,{row}\n", numbered("Steps", 60));
    let order = with(|csv| csv.dates = Some(DateOrder::Mdy));
    let import = check_with("t.csv", &text, order, &["7 import 2016-04-12 59"]);
    assert!(notes(&import).contains("month, day, year"));
    fails(&text, options(), is_option);
}

#[test]
fn reports_follow_one_another() {
    let text = "report,reported_at,day,steps,kind\n\
                1,2026-01-10T09:00:00-04:00,2026-01-01,900,new\n\
                2,2026-01-20T09:00:00-04:00,2026-01-01,800,changed\n";
    let import = check(text, &["- import 2026-01-01 800"]);
    assert_eq!((import.report.rereports.days, import.report.rereports.lowered), (1, 1));
    check_rejects(
        "report,reported_at,day,steps\n\
         x,2026-01-10T09:00Z,2026-01-01,1\n\
         1,2026-01-10T09:00,2026-01-01,1\n\
         1,soon,2026-01-01,1\n\
         1,,2026-01-01,1\n",
        &[(2, Reason::BadCount), (3, Reason::BadTime), (4, Reason::BadTime)],
    );
}

#[test]
fn counters_since_boot_are_sources() {
    let day = || with(|csv| csv.day = "2026-01-01".parse().ok());
    // Three whole days of uptime end here: time since a start has no midnight.
    let text = "boot_ns,app,reference,hardware,\n\
                259198000000000,5,10,0,\n\
                259199000000000,6,10,0,\n\
                259201000000000,8,30,0,\n";
    let expected = ["- app 2026-01-01 3", "- hardware 2026-01-01 0", "- reference 2026-01-01 20"];
    let import = check_with("t.csv", text, day(), &expected);
    assert!(notes(&import).contains("`app`, `reference`, `hardware`; each counter is a source of its own"));
    assert!(fails(text, options(), is_option).contains("--day"));

    let text = "boot_ms,app\n1000,100\n2000,90\n3000,x\n4000,\n-1,101\n500,101\n5000\n6000,105\n999999999999999,200\n";
    let import = try_import("t.csv", text, day()).unwrap();
    // The device was started again before line 7: it counts from 0.
    assert_eq!(readings(&import), ["- app 2026-01-01 105"]);
    assert_eq!(import.report.blank, 1);
    let expected = [
        (3, Reason::CounterWentDown),
        (4, Reason::BadCount),
        (6, Reason::BadTime),
        (8, Reason::MissingField),
        (10, Reason::BadTime),
    ];
    assert_eq!(rejects(&import), expected);
    check_with("t.csv", "boot_ns,app\n1,5\n", day(), &[]);
    fails("boot_ns\n1\n", day(), is_unknown);
}

#[test]
fn samsung_days_are_those_of_each_device() {
    let text = "\u{feff}com.samsung.shealth.tracker.pedometer_day_summary,6212007,5\n\
                step_count,update_time,create_time,deviceuuid,day_time\n\
                500,2026-01-01 10:00:00.000,2026-01-01 10:00:00.000,AbCd,1767225600000,\n\
                700,2026-01-01 10:00:00.000,2026-01-01 10:00:00.000,VfS0qUERdZ,1767225600000,\n\
                ,,,,1767312000000,\n";
    let expected = ["- samsung-abcd 2026-01-01 500", "- samsung-combined 2026-01-01 700"];
    let import = check(text, &expected);
    assert_eq!(import.report.blank, 1);
    assert!(notes(&import).contains("Samsung Health `pedometer_day_summary`"));

    let text = "com.samsung.shealth.step_daily_trend,6212007,5\n\
                source_type,com.samsung.shealth.step_daily_trend.count,deviceuuid,day_time\n\
                0,500,AbCd,2026-01-01 00:00:00.000\n\
                -2,700,AbCd,2026-01-01 00:00:00.000\n\
                0,3,,2026-01-01 00:00:00.000\n";
    check(
        text,
        &["- samsung 2026-01-01 3", "- samsung-abcd 2026-01-01 500", "- samsung-combined 2026-01-01 700"],
    );

    let text = "com.samsung.shealth.tracker.heart_rate,6212007,5\nday_time,count\n";
    assert!(fails(text, options(), is_unknown).contains("step_daily_trend"));
}

#[test]
fn the_days_of_google_fit_have_their_date_in_the_name() {
    let text = "Start time,End time,Move Minutes count,Step count\n\
                00:00:00.000+02:00,00:15:00.000+02:00,,10\n\
                08:00:00.000+02:00,08:15:00.000+02:00,1,142\n\
                08:15:00.000+02:00,08:30:00.000+02:00,,\n\
                23:45:00.000+02:00,00:00:00.000+02:00,1,5\n";
    let import =
        check_with("takeout.zip!Takeout/Fit/2024-10-09.csv", text, options(), &["- import 2024-10-09 157"]);
    assert_eq!((import.report.splits, import.report.blank), (0, 1));
    assert!(notes(&import).contains("the day is that of the file's name"));
    assert!(fails(text, options(), is_option).contains("--day"));
    let day = with(|csv| csv.day = "2026-01-01".parse().ok());
    check_with("t.csv", text, day, &["- import 2026-01-01 157"]);
    check_with("steps.csv", "Date,Step count\n2026-01-01,1\n", options(), &["- import 2026-01-01 1"]);
}

#[test]
fn fitbit_has_blocks_and_minutes() {
    let text = "Body\nDate,Weight\n\"2026-01-01\",\"70\"\n\nActivities\n\
                Date,Calories Burned,Steps,Distance\n\"2026-01-01\",\"2,310\",\"13,666\",\"10.4\"\n\
                \"2026-01-02\",\"1,000\",\"0\",\"0\"\n\nSleep\nStart Time,End Time\n\"2026-01-01\",\"7\",\"8\",\"9\"\n";
    check(text, &["- import 2026-01-01 13666", "- import 2026-01-02 0"]);
    fails("Body\nDate,Weight\n2026-01-01,70\n", options(), is_unknown);

    let text =
        "timestamp,steps,data source\n2026-01-01T06:15:00Z,84,Air\n2026-01-01T06:14:03.552356Z,51,Phone\n";
    check(text, &["- air 2026-01-01 84", "- phone 2026-01-01 51"]);
    let import = check("timestamp,steps\nno data\n", &[]);
    assert_eq!(import.report.blank, 1);
    assert!(notes(&check("no data", &[])).contains("no data"));
}

#[test]
fn the_caller_names_columns() {
    let options = columns(&[("day", "When It Was"), ("steps", "how many"), ("person", "who")]);
    let text = "start,end,when_it_was,how many,steps,who\n,,2026-01-01,5,9,ann\n";
    check_with("t.csv", text, options.clone(), &["ann import 2026-01-01 5"]);
    assert!(fails("day,steps\n2026-01-01,5\n", options, is_option).contains("`When It Was`"));
    let error = fails("day,steps\n2026-01-01,5\n", columns(&[("weight", "day")]), is_option);
    assert!(error.contains("`weight`") && error.contains("reported_at"), "{error}");
    let semicolons = with(|csv| csv.delimiter = Some(b';'));
    check_with("t.csv", "day;steps;a,b,c\n2026-01-01;5;\n", semicolons, &["- import 2026-01-01 5"]);
    fails("day,steps\n", with(|csv| csv.delimiter = Some(b'"')), is_option);
}

#[test]
fn what_is_no_table_of_steps_says_what_is_there() {
    let error = fails("date,weight\n2026-01-01,70\n", options(), is_unknown);
    assert!(error.contains("`date`, `weight`") && error.contains("--column"), "{error}");
    let error = fails("name,steps\nann,70\n", options(), is_unknown);
    assert!(error.contains("times"), "{error}");
    let error = fails("2026-01-01,8500\n2026-01-02,9000\n", options(), is_unknown);
    assert!(!error.contains("8500") && !error.contains("2026-01-01"), "{error}");
    fails("", options(), is_unknown);
    fails("\n\n", options(), is_unknown);
    fails("Activities\n", options(), is_unknown);
    let wide: String = (0..100).map(|n| format!("title{n},")).collect();
    let error = fails(&wide, options(), is_unknown);
    assert!(error.contains("`title29` and more") && !error.contains("title30"), "{error}");
    check("day,steps\n", &[]);
}

#[test]
fn ambiguous_dates_need_their_order_at_once() {
    for day in ["4/12/2016", "12.04.16", "02-01-2019", "2016/4/12"] {
        let error = fails(&format!("day,steps\nsoon,1\n{day},5\n"), options(), is_option);
        assert!(error.contains("--dates"), "{error}");
        check_rejects(&format!("day,steps\n2026-01-01,1\n{day},5\n"), &[(3, Reason::BadTime)]);
    }
    fails("start,end,steps\n4/12/2016 1:00 PM,4/12/2016 1:05 PM,5\n", options(), is_option);
    let dmy = with(|csv| csv.dates = Some(DateOrder::Dmy));
    let text = "start,end,steps\n04.12.2016 13:00,04.12.2016 13:05,5\n";
    check_with("t.csv", text, dmy.clone(), &["- import 2016-12-04 5"]);
    let import = try_import("t.csv", "day,steps\n04/13/2016,5\n", dmy).unwrap();
    assert_eq!(rejects(&import), [(2, Reason::BadTime)]);
}

#[test]
fn lines_and_empty_rows_are_counted_right() {
    let text = "\r\nday,note,steps\r\n\r\n2026-01-01,\"two\r\nlines\",x\r\n,,\r\n  \r\n2026-01-02,,y\r\n2026-01-03\r\n";
    let import = try_import("t.csv", text, options()).unwrap();
    assert_eq!(rejects(&import), [(4, Reason::BadCount), (8, Reason::BadCount), (9, Reason::MissingField)]);
    assert_eq!((import.report.rows, import.report.blank), (3, 0));
    let old = "\r\rday,steps\r2026-01-01,x\r\r2026-01-02,5\r2026-01-03,\"y\r\"\r";
    let import = try_import("t.csv", old, options()).unwrap();
    assert_eq!(rejects(&import), [(4, Reason::BadCount), (7, Reason::BadCount)]);
    check("day,steps\n2026-01-01,5,,,more\n", &["- import 2026-01-01 5"]);
    let open = "day,steps\n2026-01-01,5\n2026-01-02,\"5\n";
    assert!(fails(open, options(), |e| matches!(e, ImportError::Truncated { .. })).contains("line 3"));
    let long = format!("day,steps\n2026-01-01,{}\n", "5".repeat(300_000));
    assert!(fails(&long, options(), |e| matches!(e, ImportError::TooLarge { .. })).contains("line 2"));
}

#[test]
fn titles_of_garmin_and_of_other_languages_are_known() {
    let garmin = ",Actual,Goal\n11/18/2026,\"5,565\",11790\n11/19/2026,8000,11790\n";
    let dated = with(|csv| csv.dates = Some(DateOrder::Mdy));
    check_with("Steps.csv", garmin, dated, &["- import 2026-11-18 5565", "- import 2026-11-19 8000"]);
    check("Datum;Schritte\n2026-11-18;5565\n", &["- import 2026-11-18 5565"]);
    check("Fecha,Recuento de pasos\n2026-11-18,5565\n", &["- import 2026-11-18 5565"]);
    check("\u{b0a0}\u{c9dc},\u{ac78}\u{c74c} \u{c218}\n2026-11-18,5565\n", &["- import 2026-11-18 5565"]);
}
