//! Every input that was kept still goes well: the fuzz targets over their corpora, without libFuzzer.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first thing that is not there")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use manbo_fuzz::Target;

/// What one input may take here, in a debug build on a busy machine; libFuzzer allows 10 s.
const SLOW: Duration = Duration::from_secs(10);
/// The corpora are part of every checkout: small inputs find as much as large ones, and 250 files of
/// 300 kB are read in a moment.
const FILES_MAX: usize = 250;
const BYTES_MAX: usize = 300_000;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The inputs of a target with their names, sorted.
fn inputs(target: Target) -> Vec<(String, Vec<u8>)> {
    let mut inputs: Vec<_> = fs::read_dir(corpus().join(target.name()))
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
        })
        .collect();
    inputs.sort();
    inputs
}

fn replay(target: Target) {
    let inputs = inputs(target);
    assert!(!inputs.is_empty(), "no input of {} was kept", target.name());
    for (name, bytes) in inputs {
        let start = Instant::now();
        let run = catch_unwind(AssertUnwindSafe(|| target.run(&bytes)));
        assert!(run.is_ok(), "corpus/{}/{name} failed; what was said is above", target.name());
        let took = start.elapsed();
        assert!(took < SLOW, "corpus/{}/{name} took {took:?}", target.name());
    }
}

#[test]
fn apple() {
    replay(Target::Apple);
}

#[test]
fn csv() {
    replay(Target::Csv);
}

#[test]
fn fitbit() {
    replay(Target::Fitbit);
}

#[test]
fn law() {
    replay(Target::Law);
}

#[test]
fn time() {
    replay(Target::Time);
}

#[test]
fn zip() {
    replay(Target::Zip);
}

#[test]
fn no_bytes_at_all_go_well() {
    for target in Target::ALL {
        target.run(b"");
        target.run(b"@");
    }
}

#[test]
fn every_folder_of_inputs_belongs_to_a_target_and_they_stay_small() {
    let (mut files, mut bytes) = (0, 0);
    for folder in fs::read_dir(corpus()).unwrap() {
        let name = folder.unwrap().file_name().into_string().unwrap();
        let target = Target::named(&name).unwrap_or_else(|| panic!("corpus/{name} belongs to no target"));
        for (_, input) in inputs(target) {
            files += 1;
            bytes += input.len();
        }
    }
    assert!(files <= FILES_MAX && bytes <= BYTES_MAX, "{files} files of {bytes} bytes");
}
