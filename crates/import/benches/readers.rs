//! The import beside a bare parse of the same file with the same library, and its peak memory.
//!
//! `cargo bench -p manbo-import --bench readers` writes about 750 MB of generated files below the target
//! folder and takes a few minutes; `-- --test` (and `cargo test --benches`) runs everything tiny. Memory
//! and what was read are judged in either, because they do not depend on the clock; rates never are.

#[path = "readers/bare.rs"]
mod bare;
#[path = "readers/generate.rs"]
mod generate;
#[path = "readers/memory.rs"]
mod memory;
#[path = "readers/table.rs"]
mod table;

use std::error::Error;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use manbo::Day;
use manbo_import::{ImportOptions, Importer};

use generate::Made;
use table::{Goal, Group, Side};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The same files in every run.
const SEED: u64 = 20_261_121;

/// How much is read.
struct Sizes {
    /// Records of the CSV file whose rate counts.
    csv_records: u32,
    /// Bytes of the XML file, about.
    xml_bytes: u64,
    /// Records of the shuffled CSV file, which has to be sorted outside of memory.
    shuffled_records: u32,
    /// How often each side reads its file.
    rounds: usize,
}

const FULL: Sizes =
    Sizes { csv_records: 1_000_000, xml_bytes: 300_000_000, shuffled_records: 5_000_000, rounds: 5 };
const TINY: Sizes = Sizes { csv_records: 1_000, xml_bytes: 300_000, shuffled_records: 5_000, rounds: 1 };

fn main() -> ExitCode {
    if let Some(path) = memory::asked_for() {
        return memory::answer(&path);
    }
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("a figure that does not depend on the clock misses its limit");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("the bench cannot run: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Says whether every figure that does not depend on the clock keeps its limit.
fn run() -> Result<bool> {
    let given = |flag: &str| std::env::args().any(|argument| argument == flag);
    // Cargo says `--bench` only when it is asked to measure.
    let measured = given("--bench") && !given("--test");
    let sizes = if measured { FULL } else { TINY };
    let mut out = io::stdout().lock();

    // Beside the build, so that the files lie on a real disk and never in the repository.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let path = |name: &str| dir.path().join(name);
    let csv = generate::csv(&path("records.csv"), sizes.csv_records, generate::Order::Kept)?;
    let shuffled = generate::csv(&path("shuffled.csv"), sizes.shuffled_records, generate::Order::Shuffled)?;
    let xml = generate::xml(&path("export.xml"), sizes.xml_bytes)?;

    for group in [csv_group(&csv), xml_group(&xml)] {
        group.measure(&mut out, sizes.rounds, measured)?;
    }
    let mut kept = true;
    for (name, made) in [("csv", &csv), ("xml", &xml), ("csv, shuffled", &shuffled)] {
        kept &= memory::measure(&mut out, name, made, measured)?;
    }
    Ok(kept)
}

fn csv_group(made: &Made) -> Group<'_> {
    let bare = made.path.clone();
    Group {
        made,
        goal: Goal::RecordsASecond(500_000.0),
        sides: vec![
            Side { name: "csv/bare parse", read: Box::new(move || bare::csv(&bare)), records: made.records },
            import_side("csv/import", made),
        ],
    }
}

fn xml_group(made: &Made) -> Group<'_> {
    let (events, attributes) = (made.path.clone(), made.path.clone());
    Group {
        made,
        goal: Goal::MegabytesASecond(100.0),
        sides: vec![
            Side {
                name: "xml/bare events",
                read: Box::new(move || bare::xml_events(&events)),
                records: made.all_records,
            },
            Side {
                name: "xml/bare attributes",
                read: Box::new(move || bare::xml_attributes(&attributes)),
                records: made.records,
            },
            import_side("xml/import", made),
        ],
    }
}

fn import_side(name: &'static str, made: &Made) -> Side {
    let path = made.path.clone();
    Side { name, read: Box::new(move || import(&path)), records: made.records }
}

/// The whole import; the number of step records that it read. One that rejects any of these files is no
/// import to measure.
fn import(path: &Path) -> Result<u32> {
    let mut importer = Importer::new(ImportOptions::new(Day::from_ymd(2026, 11, 21)?));
    importer.add_path(path)?;
    let report = importer.finish()?.report;
    if report.rejects.total > 0 {
        return Err(format!("{} records were rejected", report.rejects.total).into());
    }
    Ok(u32::try_from(report.rows)?)
}
