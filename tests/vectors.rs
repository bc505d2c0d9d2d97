//! The conformance vectors of `tests/vectors`, run by the code of the example `conformance`, and what
//! that runner itself must notice.
#![cfg(feature = "sqlite")]
// A test fails by panicking, in its helpers too.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use runner::{FAILED, Outcome, PASSED, UNREADABLE, Vector};

#[path = "../examples/conformance/runner.rs"]
mod runner;

/// Every vector waits for its disk most of the time, so that more of them than there are cores overlap.
const AT_ONCE: usize = 8;

fn files() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    files
}

fn all_vectors() -> Vec<Vector> {
    let mut all = Vec::new();
    for file in files() {
        let text = std::fs::read_to_string(&file).unwrap();
        let vectors = runner::vectors(&file.display().to_string(), &text).unwrap_or_else(|e| panic!("{e}"));
        assert!(!vectors.is_empty(), "{} has no vector", file.display());
        all.extend(vectors);
    }
    assert!(!all.is_empty(), "no vectors");
    all
}

fn check_all(reopen: bool) {
    let vectors = all_vectors();
    let next = AtomicUsize::new(0);
    let bad = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(vector) = vectors.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match runner::run(vector, reopen).unwrap() {
                        Outcome::Passed => {}
                        Outcome::Failed(why) | Outcome::File(why) => {
                            bad.lock().unwrap().push(format!("  {}: {why}", vector.name));
                        }
                    }
                }
            });
        }
    });
    let bad = bad.into_inner().unwrap();
    assert!(bad.is_empty(), "{} of {} vectors failed:\n{}", bad.len(), vectors.len(), bad.join("\n"));
}

#[test]
fn every_vector_passes() {
    check_all(false);
}

#[test]
fn every_vector_passes_with_a_reopen_between_any_two_steps() {
    check_all(true);
}

#[test]
fn the_vectors_of_the_contract_are_all_there_and_names_are_unique() {
    let mut names: Vec<String> = all_vectors().into_iter().map(|vector| vector.name).collect();
    for id in (1..=20).chain([22, 26, 29, 34, 35]) {
        let id = format!("V{id:02} ");
        assert!(names.iter().any(|name| name.starts_with(&id)), "no vector {id}");
    }
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all, "two vectors of one name");
}

fn vector(rest: &str) -> Vector {
    let text = format!(r#"{{"name": "it", {rest}}}"#);
    runner::vectors("it.json", &text).unwrap_or_else(|e| panic!("{e}")).remove(0)
}

#[track_caller]
fn outcome(steps: &str) -> Outcome {
    let vector = vector(&format!(r#""steps": [{steps}]"#));
    let plain = runner::run(&vector, false).unwrap();
    assert_eq!(runner::run(&vector, true).unwrap(), plain, "a reopen made a difference");
    plain
}

#[track_caller]
fn fails(steps: &str, why: &str) {
    match outcome(steps) {
        Outcome::Failed(got) => assert!(got.starts_with(why), "expected {why:?}, got {got:?}"),
        other => panic!("expected a failure, got {other:?}"),
    }
}

#[track_caller]
fn passes(steps: &str) {
    assert_eq!(outcome(steps), Outcome::Passed);
}

const READ: &str = r#"{"read": {"day": "2022-10-04", "recorded": 8500}}"#;

#[test]
fn a_wrong_expectation_fails_at_its_step() {
    let after_read = |expectation: &str, why: &str| fails(&format!("{READ}, {expectation}"), why);
    after_read(
        r#"{"expect_days": [{"day": "2022-10-04", "shown": 8501}]}"#,
        "step 2: expected 2022-10-04 shown 8501, got 8500",
    );
    after_read(
        r#"{"expect_days": [{"day": "2022-10-04", "shown": 8500, "level": "healthy"}]}"#,
        r#"step 2: expected 2022-10-04 level "healthy", got "overweight""#,
    );
    after_read(
        r#"{"expect_days": [{"day": "2022-10-04", "absent": true}]}"#,
        "step 2: expected 2022-10-04 absent true, got false",
    );
    after_read(
        r#"{"expect_days": [{"day": "2022-10-03", "shown": 0}]}"#,
        "step 2: expected 2022-10-03 shown 0, got null",
    );
    after_read(
        r#"{"expect_days": [{"day": "2022-10-04", "attended": true}]}"#,
        "step 2: expected 2022-10-04 attended true, got false",
    );
    after_read(r#"{"expect_days": [{"day": "2022-10-32"}]}"#, "step 2: expected a day");
    after_read(
        r#"{"expect_cells": [{"day": "2022-10-04", "epoch": 2}]}"#,
        "step 2: expected 2022-10-04 health epoch 2, got 0",
    );
    after_read(
        r#"{"expect_cells": [{"day": "2022-10-04", "source": "garmin", "recorded": 0}]}"#,
        "step 2: expected 2022-10-04 garmin recorded 0, got null",
    );
    after_read(
        r#"{"expect_stats": {"as_of": "2022-10-04", "best_day": null}}"#,
        r#"step 2: expected as of 2022-10-04: best_day null, got "2022-10-04""#,
    );
    after_read(
        r#"{"expect_stats": {"as_of": "2022-10-04", "best_day_steps": null}}"#,
        "step 2: expected as of 2022-10-04: best_day_steps null, got 8500",
    );
    after_read(r#"{"expect_changes": 0}"#, "step 2: expected changes 0, got 1");
    after_read(r#"{"expect_pending": 0}"#, "step 2: expected pending 0, got 1");
    after_read(
        r#"{"expect_reread": [{"day": "2022-10-04"}]}"#,
        r#"step 2: expected to re-read [["2022-10-04","health"]], got []"#,
    );
    after_read(r#"{"expect_same": ["a", "b"]}"#, "step 2: expected the same digest, got a ");
}

#[test]
fn a_refused_step_fails_its_vector_and_a_step_that_is_not_refused_its_expect_error() {
    let high = r#"{"read": {"day": "2022-10-04", "recorded": 300001}}"#;
    fails(high, "step 1: expected success, got implausible_steps: ");
    let expect = |step: &str, code| format!(r#"{{"expect_error": {{"step": {step}, "code": "{code}"}}}}"#);
    passes(&expect(high, "implausible_steps"));
    fails(&expect(high, "bad_value"), "step 1: expected bad_value, got implausible_steps: ");
    fails(&expect(READ, "bad_value"), "step 1: expected bad_value, got success");
    let half = format!(r#"{{"repeat": {{"times": 1, "steps": [{READ}, {high}]}}}}"#);
    fails(
        &expect(&half, "implausible_steps"),
        "step 1: expected implausible_steps and nothing changed, got another digest",
    );
    fails(
        &format!(r#"{READ}, {{"repeat": {{"times": 2, "steps": [{READ}, {{"expect_pending": 3}}]}}}}"#),
        "step 2.2: expected pending 3, got 1",
    );
}

#[test]
fn values_that_do_not_fit_are_steps_refused_with_bad_value() {
    for bad in [r#""8500""#, "1.5", "-1", "4294967296", "null", "true", "{}"] {
        for step in [
            format!(r#"{{"read": {{"day": "2022-10-04", "recorded": {bad}}}}}"#),
            format!(r#"{{"repeat": {{"times": {bad}, "steps": []}}}}"#),
            format!(r#"{{"counter": {{"boot": "b", "count": {bad}, "day": "2022-10-04"}}}}"#),
            format!(r#"{{"receive": {{"day": "2022-10-04", "epoch": {bad}, "recorded": 1}}}}"#),
            format!(r#"{{"receive": {{"day": "2022-10-04", "epoch": 0, "recorded": 1, "manual": {bad}}}}}"#),
        ] {
            fails(&step, "step 1: expected success, got bad_value: ");
        }
    }
    let refused = |step: &str| fails(step, "step 1: expected success, got bad_value: ");
    refused(r#"{"read": {"day": "2026-02-30", "recorded": 1}}"#);
    refused(r#"{"read": {"recorded": 1}}"#);
    refused(r#"{"read": {"day": "2022-10-04"}}"#);
    refused(r#"{"read": {"day": "2022-10-04", "recorded": 1, "source": 5}}"#);
    refused(r#"{"read": {"day": "2022-10-04", "recorded": 1, "extent": "whole"}}"#);
    refused(r#"{"read": {"day": "2022-10-04", "recorded": 1, "offset_minutes": 900}}"#);
    refused(r#"{"read": {"day": "2022-10-04", "recorded": 1}, "today": "today"}"#);
    refused(r#"{"receive": {"day": "2022-10-04", "epoch": 65536, "recorded": 1}}"#);
    refused(r#"{"counter": {"boot": 1.5, "count": 1, "day": "2022-10-04"}}"#);
    refused(r#"{"attend": 20221004}"#);
}

#[test]
fn rules_and_a_today_that_are_refused_fail_their_vector() {
    let check = |rest: &str, why: &str| match runner::run(&vector(rest), false).unwrap() {
        Outcome::Failed(got) => assert!(got.starts_with(why), "expected {why:?}, got {got:?}"),
        other => panic!("expected a failure of {rest}, got {other:?}"),
    };
    let rules = |rules: &str, code: &str| {
        check(
            &format!(r#""rules": {{{rules}}}, "steps": []"#),
            &format!("rules: expected a valid value, got {code}: "),
        );
    };
    rules(r#""goal": 0"#, "bad_rules");
    rules(r#""drop_below": 0"#, "bad_rules");
    rules(r#""raise_at": 5999"#, "bad_rules");
    rules(r#""drop_below": 10001"#, "bad_rules");
    rules(r#""raise_at": -1"#, "bad_value");
    rules(r#""start_level": "fit""#, "bad_value");
    rules(r#""gap": null"#, "bad_value");
    rules(r#""week_start": "friday""#, "bad_value");
    check(r#""today": "2022-13-01", "steps": []"#, "today: expected a valid value, got bad_value: ");
}

#[test]
fn a_file_error_names_its_place() {
    let check = |text: &str, error: &str| match runner::vectors("f.json", text) {
        Err(got) => assert!(got.starts_with(error), "expected {error:?}, got {got:?}"),
        Ok(_) => panic!("{text} was read"),
    };
    let step = |step: &str, error: &str| {
        let text =
            format!(r#"[{{"name": "one", "steps": []}}, {{"name": "two", "steps": [{READ}, {step}]}}]"#);
        check(&text, &format!(r#"f.json: vector 2 "two", step 2{error}"#));
    };
    check(r#"[{"name": "n", "steps": [], "foo": 1}]"#, r#"f.json: vector 1 "n": unknown key "foo""#);
    check(r#"{"name": "n", "rules": {"foo": 1}, "steps": []}"#, r#"f.json: vector 1 "n": unknown key "foo""#);
    check(r#"{"steps": []}"#, "f.json: vector 1: no name");
    check(r#"{"name": "n"}"#, r#"f.json: vector 1 "n": no steps"#);
    check("[1]", "f.json: vector 1: not an object");
    check("{", "f.json: ");
    let unknown = r#": unknown key "foo""#;
    step(r#"{"foo": {}}"#, unknown);
    step(r#"{"expect_foo": {}}"#, r#": unknown key "expect_foo""#);
    step(r#"{"attend": "2022-10-04", "foo": 1}"#, unknown);
    step(r#"{"foo": 1, "attend": "2022-10-04"}"#, unknown);
    for verb in ["read", "delete", "correct", "unpin", "receive", "merge", "counter", "repeat", "reopen"] {
        step(&format!(r#"{{"{verb}": {{"foo": 1}}}}"#), unknown);
    }
    for verb in ["expect_days", "expect_cells", "expect_reread", "expect_parked"] {
        step(&format!(r#"{{"{verb}": [{{"foo": 1}}]}}"#), unknown);
    }
    for verb in ["expect_stats", "expect_error", "next", "report"] {
        step(&format!(r#"{{"{verb}": {{"foo": 1}}}}"#), unknown);
    }
    step(r#"{"report": {"outcome": {"refused": [{"foo": 1}]}}}"#, unknown);
    step(r#"{"repeat": {"times": 1, "steps": [{"attend": 1}, {"foo": 1}]}}"#, r#".2: unknown key "foo""#);
    step(r#"{"expect_error": {"step": {"read": {"foo": 1}}, "code": "bad_value"}}"#, unknown);
    step(r#"{"expect_error": {"step": {"expect_pending": 1}, "code": "bad_value"}}"#, ": an expectation");
    step(r#"{"read": {}, "attend": "2022-10-04"}"#, ": two verbs");
    step("{}", ": no verb");
    step("7", ": a step: not an object");
    step(r#"{"attend": "2022-10-04", "on": 1}"#, ": on: not a text");
    step(r#"{"merge": {"from": "b"}}"#, ": into: not a text");
    step(r#"{"expect_days": {}}"#, ": expect_days: not a list");
}

#[test]
fn the_default_today_is_the_greatest_day_outside_expect_error() {
    let refused = |day: &str| {
        format!(
            r#"{{"expect_error": {{"step": {{"read": {{"day": "{day}", "recorded": 1}}}}, "code": "day_out_of_range"}}}}"#
        )
    };
    passes(&format!("{READ}, {}", refused("2022-10-06")));
    fails(&format!("{READ}, {}", refused("2022-10-05")), "step 2: expected day_out_of_range, got success");
    for step in [
        r#"{"read": {"day": "2022-10-04", "recorded": 1}, "on": "b"}"#,
        r#"{"delete": {"day": "2022-10-04"}}"#,
        r#"{"correct": {"day": "2022-10-04", "recorded": 1}}"#,
        r#"{"receive": {"day": "2022-10-04", "epoch": 0, "recorded": 1}}"#,
        r#"{"counter": {"boot": 1, "count": 1, "day": "2022-10-04"}}"#,
        r#"{"attend": "2022-10-04"}"#,
        r#"{"repeat": {"times": 1, "steps": [{"repeat": {"times": 1, "steps": [{"attend": "2022-10-04"}]}}]}}"#,
        r#"{"repeat": {"times": 0, "steps": [{"attend": "2022-10-04"}]}}"#,
    ] {
        fails(&format!("{step}, {}", refused("2022-10-05")), "step 2: ");
        passes(&format!("{step}, {}", refused("2022-10-06")));
    }
    let own = r#"{"read": {"day": "2022-10-03", "recorded": 9}, "today": "2022-10-01"}"#;
    fails(&format!("{READ}, {own}"), "step 2: expected success, got day_out_of_range: ");
    let inherited = r#"{"repeat": {"times": 1, "steps": [{"attend": "2022-10-03"}]}, "today": "2022-10-01"}"#;
    fails(&format!("{READ}, {inherited}"), "step 2.1: expected success, got day_out_of_range: ");
}

#[test]
fn changes_are_those_of_the_last_step_that_is_not_an_expectation() {
    let changes = |n: usize| format!(r#"{{"expect_changes": {n}}}"#);
    let high = r#"{"read": {"day": "2022-10-04", "recorded": 300001}}"#;
    let refused = format!(r#"{{"expect_error": {{"step": {high}, "code": "implausible_steps"}}}}"#);
    passes(&changes(0));
    passes(&format!(r#"{READ}, {{"expect_pending": 1}}, {refused}, {}, {}"#, changes(1), changes(1)));
    passes(&format!(r#"{READ}, {{"reopen": {{}}}}, {}"#, changes(1)));
    passes(&format!(r#"{READ}, {{"attend": "2022-10-04"}}, {}"#, changes(0)));
    let inner = format!("{READ}, {}, {READ}, {}", changes(1), changes(0));
    passes(&format!(r#"{{"repeat": {{"times": 1, "steps": [{inner}]}}}}, {}"#, changes(1)));
    passes(&format!(r#"{{"repeat": {{"times": 0, "steps": [{READ}]}}}}, {}"#, changes(0)));
}

#[test]
fn every_part_of_a_fact_is_in_the_digest() {
    let fact = r#"{"receive": {"day": "2022-10-04", "source": "s", "epoch": 2, "recorded": 5, "manual": 6}}"#;
    let same = |other: &str| {
        format!(r#"{fact}, {}, "on": "b"}}, {{"expect_same": ["a", "b"]}}"#, &other[..other.len() - 1])
    };
    passes(&same(fact));
    for (part, other) in [
        ("2022-10-04", "2022-10-05"),
        (r#""s""#, r#""t""#),
        (": 2", ": 4"),
        (": 5", ": 50"),
        (": 6", ": 60"),
        (": 5", ": null"),
    ] {
        fails(&same(&fact.replace(part, other)), "step 3: expected the same digest, got a ");
    }
    let attended =
        r#"{"attend": "2022-10-04"}, {"attend": "2022-10-03", "on": "b"}, {"expect_same": ["a", "b"]}"#;
    fails(attended, "step 3: expected the same digest, got a ");
}

fn run(files: &[PathBuf]) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let status = runner::run_files(files, false, &mut out, &mut err).unwrap();
    (status, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

fn listing(texts: &[&str]) -> (u8, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> = (0..texts.len()).map(|n| dir.path().join(format!("{n}.json"))).collect();
    for (file, text) in files.iter().zip(texts) {
        std::fs::write(file, text).unwrap();
    }
    run(&files)
}

#[test]
fn the_listing_has_a_line_a_vector_and_the_count_last() {
    let good = format!(r#"{{"name": "good", "steps": [{READ}, {{"expect_pending": 1}}]}}"#);
    let bad = format!(r#"{{"name": "bad", "steps": [{READ}, {{"expect_pending": 2}}]}}"#);
    let no_flight = format!(
        r#"{{"name": "no flight", "steps": [{READ}, {{"report": {{"now_ms": 1, "outcome": "receipt"}}}}]}}"#
    );
    let listed = |status, lines: &str| (status, lines.to_owned(), String::new());
    assert_eq!(listing(&[&good]), listed(PASSED, "ok good\n1 passed, 0 failed\n"));
    assert_eq!(
        listing(&[&format!("[{good}, {bad}]")]),
        listed(FAILED, "ok good\nFAILED bad: step 2: expected pending 2, got 1\n1 passed, 1 failed\n")
    );
    assert_eq!(
        listing(&[&good, &no_flight]),
        listed(
            UNREADABLE,
            "ok good\nFAILED no flight: no vector: step 2: report with nothing in flight\n1 passed, 1 failed\n"
        )
    );
}

#[test]
fn nothing_is_run_beside_a_file_that_cannot_be_read() {
    let good = format!(r#"{{"name": "good", "steps": [{READ}]}}"#);
    let (status, lines, error) = listing(&[&good, r#"{"name": "n", "steps": [{"reed": 1}]}"#]);
    assert_eq!((status, lines.as_str()), (UNREADABLE, ""));
    assert!(error.ends_with("1.json: vector 1 \"n\", step 1: unknown key \"reed\"\n"), "{error}");
    let (status, _, error) = run(&["no/such/file.json".into()]);
    assert_eq!(status, UNREADABLE);
    assert!(error.starts_with("no/such/file.json: "), "{error}");
    assert_eq!(run(&[]), (UNREADABLE, String::new(), format!("{}\n", runner::USAGE)));
    assert_eq!([PASSED, FAILED, UNREADABLE], [0, 1, 2], "exit statuses that scripts rely on");
}
