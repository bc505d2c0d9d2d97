//! The table of suites: what there is to prove about the library, and the commands that prove it.

use crate::tally::Count;
use crate::tools::{CARGO_DENY, PYTHON3, STRACE, TIME_ZONES, Tool};

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Suite {
    /// Its name on the command line and in the report.
    pub(crate) name: &'static str,
    /// What it proves, in one line.
    pub(crate) proves: &'static str,
    /// The tools it cannot do without; cargo is taken for granted.
    pub(crate) needs: &'static [Tool],
    /// Files that have to be there, where the command itself would not say clearly that one is not.
    pub(crate) files: &'static [&'static str],
    /// The steps at gate size, stopping at the first that fails.
    pub(crate) gate: &'static [Step],
    /// The steps at long size; none when the suite has no long size.
    pub(crate) long: &'static [Step],
}

impl Suite {
    /// Whether there is a long size.
    pub(crate) fn has_long(&self) -> bool {
        !self.long.is_empty()
    }
}

/// One command of a suite.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    /// The program, as the toolbox knows it.
    pub(crate) program: &'static str,
    /// Its arguments; `folder/*.ext` stands for the files it matches, sorted, at least one.
    pub(crate) args: &'static [&'static str],
    /// What is set in its environment.
    pub(crate) env: &'static [(&'static str, &'static str)],
    /// What is made of its output.
    pub(crate) output: Output,
    /// The argument before the folder of real exports, which is added where there is one.
    pub(crate) exports: Option<&'static str>,
}

/// What is made of the standard output of a step, which is shown in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// Only shown: the exit status says it all.
    Shown,
    /// Counted: a suite that ran nothing has failed.
    Counted(Count),
    /// Judged as the listing of a package.
    Listing,
}

impl Step {
    const fn with_env(self, env: &'static [(&'static str, &'static str)]) -> Self {
        Self { env, ..self }
    }

    const fn with_exports(self, flag: &'static str) -> Self {
        Self { exports: Some(flag), ..self }
    }
}

const fn run(program: &'static str, args: &'static [&'static str]) -> Step {
    Step { program, args, env: &[], output: Output::Shown, exports: None }
}

const fn cargo(args: &'static [&'static str]) -> Step {
    run("cargo", args)
}

const fn tests(args: &'static [&'static str]) -> Step {
    Step { output: Output::Counted(Count::Tests), ..cargo(args) }
}

const fn benches(args: &'static [&'static str]) -> Step {
    Step { output: Output::Counted(Count::Benches), ..cargo(args) }
}

/// What most rows leave out.
const PLAIN: Suite = Suite { name: "", proves: "", needs: &[], files: &[], gate: &[], long: &[] };

const PROPERTIES: Step = tests(&["test", "-p", "manbo", "--locked", "--release", "--test", "properties"]);
const MODEL: Step = tests(&["test", "-p", "manbo", "--locked", "--release", "--test", "model"]);
const RECOVERY: Step = tests(&["test", "-p", "manbo", "--locked", "--release", "--test", "recovery"]);
const PROCESSES: Step = tests(&["test", "-p", "manbo", "--locked", "--release", "--test", "processes"]);

const SIMULATOR_TESTS: Step = tests(&["test", "-p", "manbo-sim", "--locked", "--release"]);
const SERVER: Step = tests(&["test", "-p", "manbo", "--locked", "--release", "--test", "server"]);
const HISTORY: Step = tests(&["test", "-p", "manbo", "--locked", "--release", "--test", "history"]);
const EXPORTS: Step = tests(&["test", "-p", "manbo", "--locked", "--release", "--test", "exports"]);
const CORRUPTION: Step = tests(&["test", "-p", "manbo", "--locked", "--release", "--test", "corruption"]);

const IMPORT_PROPERTIES: Step =
    tests(&["test", "-p", "manbo-import", "--locked", "--release", "--test", "properties"]);
const CHECK_IMPORT: Step = run("python3", &["crates/import/tests/tools/check_import.py"]);

/// LLVM's instrumentation as libFuzzer needs it, with flags that a stable compiler takes.
const INSTRUMENTED: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares";

/// A minute of libFuzzer on one target, from the kept inputs on. What it finds goes below the target
/// folder: no test changes the checkout.
macro_rules! minute_of {
    ($target:literal) => {
        cargo(&[
            "run",
            "-p",
            "manbo-fuzz",
            "--locked",
            "--profile",
            "fuzz",
            "--features",
            "libfuzzer",
            // Named, or the flags would reach build scripts as well, which cannot be linked with them.
            "--target",
            "host-tuple",
            "--",
            "-max_total_time=60",
            "-timeout=10",
            "-rss_limit_mb=512",
            "-create_missing_dirs=1",
            concat!("-artifact_prefix=target/fuzzed/", $target, "-"),
            "-print_final_stats=1",
            concat!("target/fuzzed/", $target),
            concat!("crates/fuzz/corpus/", $target),
        ])
        .with_env(&[("MANBO_FUZZ", $target), ("RUSTFLAGS", INSTRUMENTED)])
    };
}

/// So many simulated worlds on one kind of store, from the first seed on, in which every fault that can meet a
/// state of the protocol does so at least so often.
macro_rules! worlds {
    ($store:literal, $schedules:literal, $least:literal) => {
        cargo(&[
            "run",
            "-p",
            "manbo-sim",
            "--locked",
            "--release",
            "--",
            "--store",
            $store,
            "--schedules",
            $schedules,
            "--first-seed",
            "1",
            "--coverage",
            "--least",
            $least,
        ])
    };
}

/// The gate walks the same cases every time, so that a red gate is the change's doing. The long size
/// leaves the seed open: it is there to find what the gate has never tried.
const SEED: (&str, &str) = ("PROPTEST_RNG_SEED", "20261121");

/// Every suite, the quick ones that explain the others' failures first.
pub(crate) static SUITES: &[Suite] = &[
    Suite {
        name: "unit",
        proves: "each module of the library keeps its own contract",
        gate: &[tests(&["test", "-p", "manbo", "--locked", "--lib"])],
        ..PLAIN
    },
    Suite {
        name: "docs",
        proves: "every example in the documentation compiles and holds",
        gate: &[tests(&["test", "-p", "manbo", "--locked", "--doc"])],
        ..PLAIN
    },
    Suite {
        name: "architecture",
        proves: "imports point inwards, files stay small and ASCII, nothing is left over",
        gate: &[tests(&["test", "-p", "manbo", "--locked", "--test", "architecture"])],
        ..PLAIN
    },
    Suite {
        name: "pure",
        proves: "the core builds and passes its tests without SQLite",
        gate: &[
            cargo(&["check", "-p", "manbo", "--locked", "--no-default-features"]),
            tests(&["test", "-p", "manbo", "--locked", "--no-default-features", "--lib"]),
        ],
        ..PLAIN
    },
    Suite {
        name: "properties",
        proves: "the laws of join, of whole ledgers and of their differences hold for generated input",
        gate: &[PROPERTIES.with_env(&[("PROPTEST_CASES", "2000"), SEED])],
        long: &[PROPERTIES.with_env(&[("PROPTEST_CASES", "100000")])],
        ..PLAIN
    },
    Suite {
        name: "model",
        proves: "the step book agrees with a naive model after any sequence of operations",
        gate: &[MODEL.with_env(&[("MANBO_MODEL_CASES", "2000"), SEED])],
        long: &[MODEL.with_env(&[("MANBO_MODEL_CASES", "20000")])],
        ..PLAIN
    },
    Suite {
        name: "vectors",
        proves: "the conformance vectors give their numbers, also with a reopen between any two steps",
        gate: &[tests(&["test", "-p", "manbo", "--locked", "--test", "vectors"])],
        ..PLAIN
    },
    Suite {
        name: "limits",
        proves: "bad input is refused and changes nothing",
        gate: &[tests(&["test", "-p", "manbo", "--locked", "--test", "limits"])],
        ..PLAIN
    },
    Suite {
        name: "store",
        proves: "foreign, newer, read-only, full and busy files get their own error",
        gate: &[tests(&["test", "-p", "manbo", "--locked", "--test", "store"])],
        ..PLAIN
    },
    Suite {
        name: "delivery",
        proves: "one batch at a time across handles, a state that survives, refusals that hold up nothing",
        gate: &[tests(&["test", "-p", "manbo", "--locked", "--test", "delivery"])],
        ..PLAIN
    },
    Suite {
        name: "people",
        proves: "facts go to whom they belong: signing in, signing out, erasing with proof",
        gate: &[tests(&["test", "-p", "manbo", "--locked", "--test", "people"])],
        ..PLAIN
    },
    Suite {
        name: "server",
        proves: "every status and body, pages, restored servers, erasures: nothing lost, nothing back",
        gate: &[SERVER],
        ..PLAIN
    },
    Suite {
        name: "history",
        proves: "a ledger as it was equals a replay, also after compaction",
        gate: &[HISTORY],
        ..PLAIN
    },
    Suite {
        name: "exports",
        proves: "export, empty store, import: equal bytes; hostile files store nothing",
        gate: &[EXPORTS.with_env(&[("MANBO_CASES", "300")])],
        long: &[EXPORTS.with_env(&[("MANBO_CASES", "10000")])],
        ..PLAIN
    },
    Suite {
        name: "corruption",
        proves: "damage anywhere costs no number that the other side knows, and tells no wrong one",
        gate: &[CORRUPTION.with_env(&[("MANBO_CASES", "300")])],
        long: &[CORRUPTION.with_env(&[("MANBO_CASES", "10000"), ("MANBO_SEED", "1000000")])],
        ..PLAIN
    },
    Suite {
        name: "sync",
        proves: "the loop that a host writes works over real HTTP, and ends in a new process",
        gate: &[cargo(&["run", "-p", "manbo", "--locked", "--release", "--example", "sync"])],
        ..PLAIN
    },
    Suite {
        name: "recovery",
        proves: "every flipped bit is noticed or harmless; a damaged file is moved aside, kept and mended",
        gate: &[RECOVERY],
        long: &[RECOVERY.with_env(&[("MANBO_ALL_BITS", "1")])],
        ..PLAIN
    },
    Suite {
        name: "privacy",
        proves: "no error, log line or report tells a person's data",
        gate: &[tests(&["test", "-p", "manbo", "--locked", "--test", "privacy"])],
        ..PLAIN
    },
    Suite {
        name: "processes",
        proves: "two processes on one file, killed at any moment, lose and double nothing",
        gate: &[PROCESSES.with_env(&[("MANBO_SECONDS", "10")])],
        long: &[PROCESSES.with_env(&[("MANBO_SECONDS", "60")])],
        ..PLAIN
    },
    Suite {
        name: "syscalls",
        proves: "a commit costs the syncs and writes that are promised, counted by the kernel",
        needs: &[PYTHON3, STRACE],
        files: &["tests/tools/syscalls.py"],
        gate: &[run("python3", &["tests/tools/syscalls.py"])],
        ..PLAIN
    },
    Suite {
        name: "walk",
        proves: "the example `walk` gives the numbers of an independent reckoning",
        needs: &[PYTHON3],
        files: &["tests/tools/check_walk.py"],
        gate: &[run("python3", &["tests/tools/check_walk.py"])],
        ..PLAIN
    },
    Suite {
        name: "conformance",
        proves: "the example runner passes every vector, in one go and with reopening",
        gate: &[
            cargo(&[
                "run",
                "-p",
                "manbo",
                "--locked",
                "--release",
                "--example",
                "conformance",
                "--",
                "tests/vectors/*.json",
            ]),
            cargo(&[
                "run",
                "-p",
                "manbo",
                "--locked",
                "--release",
                "--example",
                "conformance",
                "--",
                "--reopen",
                "tests/vectors/*.json",
            ]),
        ],
        ..PLAIN
    },
    Suite {
        name: "import",
        proves: "each reader takes what it should and refuses the rest, and days come out right",
        gate: &[tests(&["test", "-p", "manbo-import", "--locked"])],
        ..PLAIN
    },
    Suite {
        name: "importprops",
        proves: "the spread and order of records never matter, and sums survive splits and overlaps",
        gate: &[IMPORT_PROPERTIES.with_env(&[("PROPTEST_CASES", "2000"), SEED])],
        long: &[IMPORT_PROPERTIES.with_env(&[("PROPTEST_CASES", "100000")])],
        ..PLAIN
    },
    Suite {
        name: "importcheck",
        proves: "imported days equal an independent reckoning; at long size, of real exports too",
        needs: &[PYTHON3, TIME_ZONES],
        files: &["crates/import/tests/tools/check_import.py"],
        gate: &[CHECK_IMPORT],
        long: &[CHECK_IMPORT.with_exports("--data")],
    },
    Suite {
        name: "fuzz",
        proves: "every input that was kept goes well; at long size, a minute of fuzzing each reader",
        gate: &[tests(&["test", "-p", "manbo-fuzz", "--locked", "--test", "fuzz"])],
        long: &[
            minute_of!("apple"),
            minute_of!("csv"),
            minute_of!("fitbit"),
            minute_of!("law"),
            minute_of!("time"),
            minute_of!("zip"),
        ],
        ..PLAIN
    },
    Suite {
        name: "simtests",
        proves: "faults at every operation and allocation; the simulator's disk and oracle are right",
        gate: &[SIMULATOR_TESTS],
        long: &[SIMULATOR_TESTS
            .with_env(&[("MANBO_ALL_ALLOCATIONS", "1"), ("MANBO_ORACLE_SEQUENCES", "1000000")])],
        ..PLAIN
    },
    Suite {
        name: "simulation",
        proves: "worlds with every fault in every state: nothing lost, nothing twice, nothing stuck",
        gate: &[worlds!("model", "100000", "10"), worlds!("sqlite", "20000", "1")],
        long: &[worlds!("model", "1000000", "100"), worlds!("sqlite", "200000", "10")],
        ..PLAIN
    },
    Suite {
        name: "canaries",
        proves: "each fault put in on purpose is found by the simulator within 1,000 schedules",
        gate: &[cargo(&["run", "-p", "manbo-sim", "--locked", "--release", "--", "--canaries"])
            // A folder of its own, or every other suite would be built anew.
            .with_env(&[("RUSTFLAGS", "--cfg manbo_canaries"), ("CARGO_TARGET_DIR", "target/canaries")])],
        ..PLAIN
    },
    Suite {
        name: "package",
        proves: "the package holds what it must and nothing large",
        gate: &[
            cargo(&["package", "-p", "manbo", "--locked", "--allow-dirty", "--no-verify"]),
            Step {
                output: Output::Listing,
                ..cargo(&["package", "-p", "manbo", "--locked", "--allow-dirty", "--list"])
            },
        ],
        ..PLAIN
    },
    Suite {
        name: "benches",
        proves: "every bench runs; at long size, how fast",
        gate: &[benches(&["bench", "-p", "manbo", "--locked", "--bench", "ledger", "--", "--test"])],
        long: &[benches(&["bench", "-p", "manbo", "--locked", "--bench", "ledger"])],
        ..PLAIN
    },
    Suite {
        name: "importbench",
        proves: "the import keeps within its memory; at long size, how fast beside a bare parse",
        gate: &[benches(&["bench", "-p", "manbo-import", "--locked", "--bench", "readers", "--", "--test"])],
        long: &[benches(&["bench", "-p", "manbo-import", "--locked", "--bench", "readers"])],
        ..PLAIN
    },
    Suite {
        name: "xtask",
        proves: "the test command itself reads, counts and reports rightly",
        gate: &[tests(&["test", "-p", "xtask", "--locked"])],
        ..PLAIN
    },
    Suite {
        name: "licences",
        proves: "every dependency has an allowed licence and comes from the public registry",
        needs: &[CARGO_DENY],
        files: &["deny.toml"],
        // Without `--workspace` only the root package would be judged, because it is a package too.
        gate: &[run("cargo-deny", &["--workspace", "--locked", "check", "licenses", "bans", "sources"])],
        ..PLAIN
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    fn steps() -> impl Iterator<Item = (&'static Suite, &'static Step)> {
        SUITES.iter().flat_map(|suite| suite.gate.iter().chain(suite.long).map(move |step| (suite, step)))
    }

    /// Whether a slice of arguments holds two neighbours.
    fn follows(args: &[&str], flag: &str, value: &str) -> bool {
        args.windows(2).any(|pair| pair == [flag, value])
    }

    #[test]
    fn names_are_unique_and_plain() {
        let names: BTreeSet<_> = SUITES.iter().map(|suite| suite.name).collect();
        assert_eq!(names.len(), SUITES.len());
        for name in names {
            assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase()), "`{name}`");
        }
    }

    #[test]
    fn every_suite_says_what_it_proves_in_one_line() {
        for suite in SUITES {
            let text = suite.proves;
            assert!(!text.is_empty() && text.lines().count() == 1 && text.len() <= 90, "{}", suite.name);
        }
    }

    #[test]
    fn every_suite_has_a_gate_size() {
        for suite in SUITES {
            assert!(!suite.gate.is_empty(), "{}", suite.name);
        }
    }

    #[test]
    fn cargo_is_always_told_the_package_and_to_keep_the_lock_file() {
        for (suite, step) in steps().filter(|(_, step)| step.program == "cargo") {
            let own = step.args.split(|arg| *arg == "--").next().unwrap_or_default();
            assert!(own.contains(&"--locked"), "{}", suite.name);
            let package = match suite.name {
                "xtask" => "xtask",
                "fuzz" => "manbo-fuzz",
                "simtests" | "simulation" | "canaries" => "manbo-sim",
                name if name.starts_with("import") => "manbo-import",
                _ => "manbo",
            };
            assert!(follows(own, "-p", package), "{}", suite.name);
        }
    }

    #[test]
    fn every_other_program_is_among_the_needs() {
        for (suite, step) in steps().filter(|(_, step)| step.program != "cargo") {
            assert!(suite.needs.iter().any(|tool| tool.name == step.program), "{}", suite.name);
        }
    }

    #[test]
    fn whatever_runs_tests_or_benches_is_counted() {
        for (suite, step) in steps() {
            let expected = match step.args.first() {
                Some(&"test") => Some(Count::Tests),
                Some(&"bench") => Some(Count::Benches),
                _ => None,
            };
            let counted = match step.output {
                Output::Counted(count) => Some(count),
                _ => None,
            };
            assert_eq!(counted, expected, "{}", suite.name);
        }
    }

    #[test]
    fn a_test_target_has_the_name_of_its_suite() {
        for (suite, step) in steps().filter(|(_, step)| step.args.contains(&"--test")) {
            if step.args.first() == Some(&"test") {
                // The import's property tests are a target of their own crate, beside the library's.
                let target = if suite.name == "importprops" { "properties" } else { suite.name };
                assert!(follows(step.args, "--test", target), "{}", suite.name);
            }
        }
    }

    #[test]
    fn real_exports_are_for_the_long_size_only() {
        assert!(SUITES.iter().flat_map(|suite| suite.gate).all(|step| step.exports.is_none()));
        assert!(SUITES.iter().flat_map(|suite| suite.long).any(|step| step.exports.is_some()));
    }

    #[test]
    fn every_folder_of_fuzz_inputs_gets_its_minute() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
        let folders: BTreeSet<_> = fs::read_dir(corpus)
            .expect("a folder of inputs a target")
            .map(|entry| entry.expect("a folder").file_name().into_string().expect("a plain name"))
            .collect();
        let suite = SUITES.iter().find(|suite| suite.name == "fuzz").expect("fuzz");
        let targets: BTreeSet<_> = suite.long.iter().map(|step| step.env[0].1.to_string()).collect();
        assert_eq!(targets, folders);
        assert_eq!(suite.long.len(), folders.len());
    }

    #[test]
    fn generated_cases_have_a_fixed_seed_at_the_gate_and_an_open_one_beyond() {
        for name in ["properties", "model", "importprops"] {
            let suite = SUITES.iter().find(|suite| suite.name == name).expect(name);
            assert!(suite.gate.iter().all(|step| step.env.contains(&SEED)), "{name}");
            assert!(suite.long.iter().all(|step| !step.env.iter().any(|(key, _)| *key == SEED.0)), "{name}");
        }
    }
}
