//! Laws of the import, for generated records, through the public API.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use manbo::{Day, Now, Options, Reading, StepBook};
use manbo_import::{Format, Import, ImportOptions, Importer};
use proptest::prelude::*;

/// 2022-10-29T00:00Z: the window of the records holds the end of summer time in Berlin.
const START_MS: i64 = 1_667_001_600_000;
const MINUTE_MS: i64 = 60_000;
const ZONES: [&str; 4] = ["Europe/Berlin", "Asia/Seoul", "America/St_Johns", "Pacific/Kiritimati"];

/// A record: minutes from the start, its length in minutes, its steps, its source.
#[derive(Debug, Clone, Copy)]
struct Walk {
    at: i64,
    minutes: i64,
    steps: u32,
    source: u8,
}

fn today() -> Day {
    "2026-11-21".parse().unwrap()
}

fn walks(overlapping: bool) -> impl Strategy<Value = Vec<Walk>> {
    let one = (0_i64..4_000, 0_i64..2_000, 0_u32..3_000, 0_u8..3);
    prop::collection::vec(one, 1..25).prop_map(move |raw| {
        let mut free_from = 0;
        raw.into_iter()
            .map(|(at, minutes, steps, source)| {
                if overlapping {
                    return Walk { at, minutes, steps, source };
                }
                let walk = Walk { at: free_from + at % 300, minutes: minutes + 1, steps, source };
                free_from = walk.at + walk.minutes;
                walk
            })
            .collect()
    })
}

fn moment(minutes: i64) -> String {
    let ms = START_MS + minutes * MINUTE_MS;
    chrono::DateTime::from_timestamp_millis(ms).unwrap().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn csv(walks: &[Walk]) -> String {
    let mut text = "start,end,source,steps\n".to_owned();
    for walk in walks {
        let (start, end) = (moment(walk.at), moment(walk.at + walk.minutes));
        writeln!(text, "{start},{end},device {},{}", walk.source, walk.steps).unwrap();
    }
    text
}

fn import(zone: Option<&str>, files: &[String]) -> Import {
    let mut options = ImportOptions::new(today());
    options.zone = zone.map(|zone| zone.parse().unwrap());
    let mut importer = Importer::new(options);
    for (n, text) in files.iter().enumerate() {
        importer.add_reader(&format!("{n}.csv"), Format::Csv, text.as_bytes()).unwrap();
    }
    importer.finish().unwrap()
}

fn readings(import: &Import) -> Vec<Reading> {
    import.people.iter().flat_map(|person| person.readings.iter().copied()).collect()
}

fn sums(import: &Import) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for reading in readings(import) {
        *sums.entry(reading.source.to_string()).or_default() += u64::from(reading.counts.recorded);
    }
    sums
}

/// Spreads records over files and turns them about, as the picks say.
fn scattered(walks: &[Walk], picks: &[(u8, u16)]) -> Vec<String> {
    let mut files: Vec<Vec<(u16, Walk)>> = vec![Vec::new(); 4];
    for (n, walk) in walks.iter().enumerate() {
        let (file, place) = picks[n % picks.len()];
        files[usize::from(file % 4)].push((place.wrapping_mul(u16::try_from(n).unwrap() + 1), *walk));
    }
    for file in &mut files {
        file.sort_by_key(|(place, _)| *place);
    }
    files.iter().map(|file| csv(&file.iter().map(|(_, walk)| *walk).collect::<Vec<_>>())).collect()
}

proptest! {
    #[test]
    fn any_partition_and_order_gives_the_same_ledger(
        walks in walks(true),
        picks in prop::collection::vec((any::<u8>(), any::<u16>()), 1..25),
        zone in prop::option::of(prop::sample::select(&ZONES[..])),
    ) {
        let whole = import(zone, &[csv(&walks)]);
        let parts = import(zone, &scattered(&walks, &picks));
        prop_assert_eq!(readings(&whole), readings(&parts));
        prop_assert_eq!(whole.report.splits, parts.report.splits);
        prop_assert_eq!(whole.report.union, parts.report.union);
        // Given twice, nothing counts twice.
        let twice = import(zone, &[csv(&walks), csv(&walks)]);
        prop_assert_eq!(readings(&whole), readings(&twice));
    }

    #[test]
    fn splitting_keeps_the_sum(
        walks in walks(false),
        zone in prop::option::of(prop::sample::select(&ZONES[..])),
    ) {
        let import = import(zone, &[csv(&walks)]);
        let mut expected: BTreeMap<String, u64> = BTreeMap::new();
        for walk in &walks {
            *expected.entry(format!("device-{}", walk.source)).or_default() += u64::from(walk.steps);
        }
        prop_assert_eq!(sums(&import), expected);
        prop_assert_eq!(import.report.union.steps_spared, 0);
    }

    #[test]
    fn a_union_lies_between_the_largest_record_and_the_sum(
        walks in walks(true),
        zone in prop::option::of(prop::sample::select(&ZONES[..])),
    ) {
        let sums = sums(&import(zone, &[csv(&walks)]));
        for source in 0..3 {
            let of_source = walks.iter().filter(|walk| walk.source == source).map(|walk| u64::from(walk.steps));
            let (largest, sum) = (of_source.clone().max().unwrap_or(0), of_source.sum::<u64>());
            let got = sums.get(&format!("device-{source}")).copied().unwrap_or(0);
            prop_assert!((largest..=sum).contains(&got), "{largest} <= {got} <= {sum}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.div_ceil(20), ..ProptestConfig::default() })]

    #[test]
    fn recording_an_import_twice_changes_nothing(walks in walks(true), split in 0_usize..25) {
        let dir = tempfile::tempdir().unwrap();
        let mut book = StepBook::open(dir.path().join("steps.db"), &Options::new()).unwrap();
        let now = Now::on(today());
        // First a part of the records, then all of them: the later export knows more.
        let part = import(Some(ZONES[0]), &[csv(&walks[..split.min(walks.len())])]);
        for person in &part.people {
            let _ = manbo_import::record(&mut book, person, now).unwrap();
        }
        let all = import(Some(ZONES[0]), &[csv(&walks)]);
        let _ = manbo_import::record(&mut book, &all.people[0], now).unwrap();
        let digest = book.digest().unwrap();
        let again = manbo_import::record(&mut book, &all.people[0], now).unwrap();
        prop_assert_eq!((again.days_changed, book.digest().unwrap()), (0, digest));
    }
}
