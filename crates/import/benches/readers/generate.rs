//! Files as people have them, made from a fixed seed: no data of anybody is part of the project.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use chrono::DateTime;

use crate::{Result, SEED};

/// A file that was made.
pub(crate) struct Made {
    pub(crate) path: PathBuf,
    /// Its records of steps.
    pub(crate) records: u32,
    /// Its records of any kind.
    pub(crate) all_records: u32,
    bytes: u64,
}

impl Made {
    /// Its size in millions of bytes.
    pub(crate) fn megabytes(&self) -> f64 {
        // To the kilobyte, which a float holds exactly.
        f64::from(u32::try_from(self.bytes / 1_000).unwrap_or(u32::MAX)) / 1_000.0
    }
}

/// The order of records in a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// By time, the sources taking turns.
    Kept,
    /// Any.
    Shuffled,
}

/// Numbers that look random: `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 to one less than `end`.
    fn below(&mut self, end: u32) -> u32 {
        // The high half times `end`, shifted back, is below `end`: it fits.
        u32::try_from(((self.next() >> 32) * u64::from(end)) >> 32).unwrap_or(0)
    }
}

/// Who counts; four sources make 5,000,000 records of eight minutes fit into 19 years.
const SOURCES: [&str; 4] = ["iPhone", "Ana's Watch", "Old Phone", "Ring"];
/// The same as Apple writes them: typographic apostrophes, no-break spaces; and their models.
const DEVICES: [(&str, &str); 4] = [
    ("Ana\u{2019}s iPhone", "iPhone14,5"),
    ("Ana\u{2019}s Apple\u{a0}Watch", "Watch6,1"),
    ("Ana\u{2019}s old iPhone", "iPhone8,1"),
    ("Ring", "R3"),
];
/// 2006-01-01T00:00:00 of the walker's wall.
const BEGINNING: i64 = 1_136_073_600;
/// A record begins within every such span.
const SPAN_SECONDS: u32 = 480;

/// An interval of steps.
struct Walk {
    /// The place of its source among the four.
    place: usize,
    start: i64,
    end: i64,
    created: i64,
    steps: u32,
}

impl Walk {
    /// The walk of this number: always the same one, so that records can be written in any order.
    fn numbered(number: u32) -> Walk {
        let mut random = Random(SEED ^ (u64::from(number) << 20));
        let place = usize::try_from(number % 4).unwrap_or(0);
        let start = BEGINNING + i64::from(number / 4 * SPAN_SECONDS + random.below(60));
        let seconds = 60 + random.below(SPAN_SECONDS - 120);
        let end = start + i64::from(seconds);
        let created = end + i64::from(1 + random.below(600));
        Walk { place, start, end, created, steps: 1 + random.below(seconds * 2) }
    }
}

/// A time of the wall in a form of `chrono`.
fn wall(seconds: i64, form: &str) -> String {
    DateTime::from_timestamp(seconds, 0).unwrap_or_default().format(form).to_string()
}

/// Interval records as a CSV file.
pub(crate) fn csv(path: &Path, records: u32, order: Order) -> Result<Made> {
    const FORM: &str = "%Y-%m-%dT%H:%M:%S-04:00";
    let mut numbers: Vec<u32> = (0..records).collect();
    if order == Order::Shuffled {
        let mut random = Random(SEED);
        for last in (1..records).rev() {
            numbers.swap(usize::try_from(last)?, usize::try_from(random.below(last + 1))?);
        }
    }
    let mut out = BufWriter::new(File::create(path)?);
    writeln!(out, "start,end,created,source,steps")?;
    for number in numbers {
        let walk = Walk::numbered(number);
        let [start, end, created] = [walk.start, walk.end, walk.created].map(|time| wall(time, FORM));
        writeln!(out, "{start},{end},{created},{},{}", SOURCES[walk.place], walk.steps)?;
    }
    made(out, path, records, records)
}

const XML_HEAD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE HealthData [
<!ELEMENT HealthData (ExportDate,Me,(Record|Correlation|Workout|ActivitySummary)*)>
<!ATTLIST HealthData
  locale CDATA #REQUIRED
>
<!ELEMENT Record ((MetadataEntry|HeartRateVariabilityMetadataList)*)>
<!ATTLIST Record
  type          CDATA #REQUIRED
  value         CDATA #IMPLIED
>
]>
<HealthData locale="en_US">
 <ExportDate value="2026-11-20 18:02:11 -0400"/>
 <Me HKCharacteristicTypeIdentifierDateOfBirth="" HKCharacteristicTypeIdentifierBiologicalSex="HKBiologicalSexNotSet"/>
"#;
const XML_TAIL: &str = "</HealthData>\n";

/// What fills a third of the file each; Apple writes all records of one type together.
#[derive(Clone, Copy)]
enum Kind {
    HeartRate,
    Steps,
    Energy,
}

/// Apple Health's `export.xml` of about this size, a third of it steps.
pub(crate) fn xml(path: &Path, bytes: u64) -> Result<Made> {
    let mut out = BufWriter::new(File::create(path)?);
    out.write_all(XML_HEAD.as_bytes())?;
    let (mut records, mut all_records) = (0, 0);
    for kind in [Kind::HeartRate, Kind::Steps, Kind::Energy] {
        let (mut written, mut number) = (0, 0);
        while written < bytes / 3 {
            let record = xml_record(kind, number);
            out.write_all(record.as_bytes())?;
            written += u64::try_from(record.len())?;
            number += 1;
        }
        all_records += number;
        if matches!(kind, Kind::Steps) {
            records = number;
        }
    }
    out.write_all(XML_TAIL.as_bytes())?;
    made(out, path, records, all_records)
}

fn xml_record(kind: Kind, number: u32) -> String {
    const FORM: &str = "%Y-%m-%d %H:%M:%S -0400";
    let walk = Walk::numbered(number);
    let [start, end, created] = [walk.start, walk.end, walk.created].map(|time| wall(time, FORM));
    let (source, model) = DEVICES[walk.place];
    let device = format!(
        "&lt;&lt;HKDevice: 0x28{number:07x}&gt;, name:{model}, manufacturer:Apple Inc., model:{model}, \
         hardware:{model}, software:17.4.1&gt;"
    );
    let (kind, unit, value, rest) = match kind {
        Kind::Steps => ("StepCount", "count", walk.steps.to_string(), "/>\n"),
        Kind::Energy => ("ActiveEnergyBurned", "kcal", format!("0.{:03}", walk.steps), "/>\n"),
        Kind::HeartRate => (
            "HeartRate",
            "count/min",
            (60 + walk.steps % 90).to_string(),
            ">\n  <MetadataEntry key=\"HKMetadataKeyHeartRateMotionContext\" value=\"0\"/>\n </Record>\n",
        ),
    };
    format!(
        " <Record type=\"HKQuantityTypeIdentifier{kind}\" sourceName=\"{source}\" sourceVersion=\"17.4.1\" \
         device=\"{device}\" unit=\"{unit}\" creationDate=\"{created}\" startDate=\"{start}\" \
         endDate=\"{end}\" value=\"{value}\"{rest}"
    )
}

fn made(out: BufWriter<File>, path: &Path, records: u32, all_records: u32) -> Result<Made> {
    let file = out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    Ok(Made { path: path.to_owned(), records, all_records, bytes: file.metadata()?.len() })
}
