use std::fmt::Write as _;

use crate::error::{ImportError, Result};
use crate::input::{Format, Importer, newlines};
use crate::options::ImportOptions;
use crate::record::Reason;
use crate::report::Import;

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE HealthData [\n\
    <!-- HealthKit Export Version: 14 -->\n<!ELEMENT HealthData (ExportDate,Me,(Record|Workout)*)>\n\
    <!ATTLIST HealthData\n  locale CDATA #REQUIRED\n>\n]>\n<HealthData locale=\"en_GB\">\n\
    \x20<ExportDate value=\"2026-11-21 08:30:00 +0100\"/>\n";
const TAIL: &str = "</HealthData>\n";

fn options() -> ImportOptions {
    ImportOptions::new("2026-11-21".parse().unwrap())
}

fn read_with(options: ImportOptions, text: &str) -> Result<Import> {
    let mut importer = Importer::new(options);
    importer.add_reader("export.xml", Format::AppleHealth, text.as_bytes())?;
    importer.finish()
}

fn import(records: &str) -> Import {
    read_with(options(), &format!("{HEAD}{records}{TAIL}")).unwrap()
}

#[track_caller]
fn error(text: &str) -> ImportError {
    read_with(options(), text).unwrap_err()
}

/// `day source recorded+manual` of every reading.
fn readings(import: &Import) -> Vec<String> {
    let all = import.people.iter().flat_map(|person| &person.readings);
    all.map(|r| format!("{} {} {}+{}", r.day, r.source, r.counts.recorded, r.counts.manual)).collect()
}

/// A step record of ten minutes on 20 November without its end.
fn steps(source: &str, hour: u8, value: &str) -> String {
    format!(
        " <Record type=\"HKQuantityTypeIdentifierStepCount\" sourceName=\"{source}\" sourceVersion=\"10.1\" \
         device=\"&lt;&lt;HKDevice: 0x1&gt;, name:iPhone&gt;\" unit=\"count\" \
         creationDate=\"2026-11-20 {hour:02}:12:00 +0100\" startDate=\"2026-11-20 {hour:02}:00:00 +0100\" \
         endDate=\"2026-11-20 {hour:02}:10:00 +0100\" value=\"{value}\""
    )
}

#[test]
fn takes_steps_and_counts_the_rest() {
    let heart = " <Record type=\"HKQuantityTypeIdentifierHeartRate\" sourceName=\"Watch\" unit=\"count/min\" \
                 startDate=\"2026-11-20 08:00:00 +0100\" endDate=\"2026-11-20 08:00:00 +0100\" value=\"61\">\n  \
                 <HeartRateVariabilityMetadataList><InstantaneousBeatsPerMinute bpm=\"61\"/>\
                 </HeartRateVariabilityMetadataList>\n </Record>\n";
    let swapped = " <Record value='7.0' endDate='2026-11-20 12:10:00 +0100' unit = 'count' \
                   startDate='2026-11-20 12:00:00 +0100' sourceName='A &amp; B' \
                   type='HKQuantityTypeIdentifierStepCount'/>\n";
    let text = format!(
        "{}/>\n{heart}{swapped}{}/>\n",
        steps("Ana\u{2019}s Apple\u{a0}Watch", 8, "120"),
        steps("Ana\u{2019}s Apple\u{a0}Watch", 9, "30")
    );
    let import = import(&text);
    assert_eq!(readings(&import), ["2026-11-20 a-b 7+0", "2026-11-20 ana-s-apple-watch 150+0"]);
    assert_eq!((import.report.rows, import.report.other, import.report.rejects.total), (3, 1, 0));
    assert_eq!((import.report.arrivals.known, import.report.arrivals.delay_minutes_max), (2, 2));
    assert_eq!(import.report.people[0].sources[0].names, ["A & B"]);
}

#[test]
fn typed_in_records_are_manual() {
    let entry = |key: &str, value: &str| format!("<MetadataEntry key=\"{key}\" value=\"{value}\"");
    let typed = entry("HKWasUserEntered", "1");
    let mut text = String::new();
    // Both spellings of an empty element, the answer no, another key, and the key where it is not the record's.
    for (hour, inside) in [
        (8, format!("{typed}/>")),
        (9, format!("\n  {}/>\n  {typed}></MetadataEntry>\n ", entry("HKTimeZone", "Europe/Berlin"))),
        (10, format!("{}/>", entry("HKWasUserEntered", "0"))),
        (11, format!("{}/>", entry("HKTimeZone", "1"))),
        (12, format!("<Other>{typed}/></Other>")),
    ] {
        writeln!(text, "{}>{inside}</Record>", steps("Health", hour, "1000")).unwrap();
    }
    writeln!(text, " <Workout>{typed}/></Workout>\n{}/>", steps("Health", 13, "1")).unwrap();
    let import = import(&text);
    assert_eq!(readings(&import), ["2026-11-20 health 3001+2000"]);
}

#[test]
fn copies_within_correlations_do_not_count() {
    let text = format!(
        " <Correlation type=\"X\">\n {}/>\n {}><MetadataEntry key=\"a\" value=\"1\"/></Record>\n </Correlation>\n{}/>\n",
        steps("Phone", 8, "500"),
        steps("Phone", 9, "600"),
        steps("Phone", 10, "7")
    );
    let import = import(&text);
    assert_eq!(readings(&import), ["2026-11-20 phone 7+0"]);
    assert_eq!(import.report.rows, 1);
}

#[test]
fn bad_records_are_listed_with_their_lines_and_the_rest_is_taken() {
    // The head has 10 lines, so the first record begins on line 11.
    let good = steps("Phone", 8, "100");
    let bad = [
        (good.replace("100\"", "1.5\""), Reason::BadCount),
        (good.replace("100\"", "-1\""), Reason::BadCount),
        (good.replace("unit=\"count\"", "unit=\"km\""), Reason::BadCount),
        (good.replace("startDate=\"2026-11-20", "startDate=\"2026-11-31"), Reason::BadTime),
        (good.replace("endDate=\"2026-11-20 08", "endDate=\"2026-11-20 07"), Reason::EndBeforeStart),
        (
            good.replace("endDate=\"2026-11-20 08:10:00 +0100", "endDate=\"2026-11-20 08:10:00"),
            Reason::MixedOffsets,
        ),
        (good.replace("startDate=", "begin="), Reason::MissingField),
        (good.replace("value=\"100\"", ""), Reason::MissingField),
        (good.replace("sourceName=\"Phone\"", "sourceName=Phone"), Reason::BadShape),
    ];
    let mut text = String::new();
    for (record, _) in &bad {
        // Each bad record is two lines, and an open one must not become the next one's.
        writeln!(text, "{record}\n><MetadataEntry key=\"k\" value=\"v\"/></Record>").unwrap();
    }
    writeln!(text, "{good}/>").unwrap();
    let import = import(&text);
    assert_eq!(readings(&import), ["2026-11-20 phone 100+0"]);
    let listed: Vec<(u64, Reason)> =
        import.report.rejects.listed.iter().map(|r| (r.line, r.reason)).collect();
    let expected: Vec<(u64, Reason)> =
        bad.iter().zip((11..).step_by(2)).map(|((_, reason), line)| (line, *reason)).collect();
    assert_eq!(listed, expected);
    assert!(import.report.rejects.listed.iter().all(|rejected| rejected.file == "export.xml"));
}

#[test]
fn the_broken_document_type_of_version_12_is_read() {
    // As iOS 16 wrote it: an attribute list without its end, a `<` without its partner.
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE HealthData [\n<!-- HealthKit Export Version: 12 -->\n\
         <!ATTLIST VisionPrescription\n  type CDATA #REQUIRED\n  <!ATTLIST RightEye\n  sphere CDATA #IMPLIED\n>\n\
         <\n<!ELEMENT LeftEye EMPTY>\n<!-- the walker's -->\n]>\n<HealthData>\n{}/>\n{TAIL}",
        steps("Phone", 8, "9")
    );
    assert_eq!(readings(&read_with(options(), &text).unwrap()), ["2026-11-20 phone 9+0"]);
}

#[test]
fn the_zone_decides_the_day_and_the_notes_say_so() {
    // 23:30 as printed in the winter's offset was half past midnight of the summer's day.
    let text = format!(
        "{HEAD} <Record type=\"HKQuantityTypeIdentifierStepCount\" sourceName=\"Phone\" unit=\"count\" \
         startDate=\"2026-07-01 23:30:00 +0100\" endDate=\"2026-07-01 23:31:00 +0100\" value=\"42\"/>{TAIL}"
    );
    let printed = read_with(options(), &text).unwrap();
    assert_eq!(readings(&printed), ["2026-07-01 phone 42+0"]);
    assert!(printed.report.files[0].notes[0].contains("without a zone, days are cut at that offset"));
    let mut options = options();
    options.zone = Some("Europe/Berlin".parse().unwrap());
    let zoned = read_with(options, &text).unwrap();
    assert_eq!(readings(&zoned), ["2026-07-02 phone 42+0"]);
    assert!(zoned.report.files[0].notes[0].contains("in the zone Europe/Berlin"));
}

#[test]
fn every_cut_is_noticed() {
    let text = format!(
        "{HEAD}{}/>\n{}>\n<MetadataEntry key=\"k\" value=\"v\"/></Record>\n{TAIL}",
        steps("A", 8, "1"),
        steps("B", 9, "2")
    );
    for cut in 0..text.len() {
        let result = read_with(options(), &text[..cut]);
        match result {
            Ok(_) => assert_eq!(cut, text.len() - 1, "only the last line feed may be missing"),
            Err(ImportError::Truncated { file, line, .. }) => {
                assert_eq!(file, "export.xml");
                assert!(line <= 1 + newlines(&text.as_bytes()[..cut]));
            }
            Err(ImportError::Unknown { .. }) => {
                assert!(cut < "<?xml version=\"1.0\" encoding=\"UTF-8\"?>".len(), "{cut}");
            }
            Err(other) => panic!("{cut}: {other}"),
        }
    }
}

#[test]
fn what_is_not_well_formed_has_its_line() {
    #[track_caller]
    fn check(body: &str, expected: &str) {
        assert_eq!(
            error(&format!("<HealthData>\n\n{body}")).to_string(),
            format!("export.xml, line {expected}")
        );
    }
    check("<Record></Me></HealthData>", "3: start and end tags or references do not fit together");
    check("<Me/>\n</HealthData><HealthData/>", "4: this stands outside the document's element");
    check("</HealthData>\nand more", "3: this stands outside the document's element");
    check("<! nothing></HealthData>", "3: this is no comment and no declaration");
    let entity = "an entity that XML does not define; a file's own entities are not expanded";
    check("\n<Me>&mine;</Me></HealthData>", &format!("4: {entity}"));
    check(&format!("{}/></HealthData>", steps("&mine;", 8, "1")), &format!("3: {entity}"));
    assert!(matches!(error("<HealthData>\n\u{fffd}&#65;&amp;<Me>"), ImportError::Truncated { line: 2, .. }));
}

#[test]
fn another_document_is_unknown() {
    for text in ["", "day,steps\n", "<ClinicalDocument/>", "<?xml version=\"1.0\"?>\n<gpx>", "not even <"] {
        assert!(matches!(error(text), ImportError::Unknown { .. }), "{text}");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_named() {
    let mut importer = Importer::new(options());
    let result = importer.add_reader(
        "export.xml",
        Format::AppleHealth,
        &b"<HealthData>\n<Me name=\"\xe9\"/></HealthData>"[..],
    );
    assert_eq!(result.unwrap_err().to_string(), "export.xml, line 2: this is not UTF-8");
}
