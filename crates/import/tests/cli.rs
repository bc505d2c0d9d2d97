//! The built program on small files: what it prints, what it records, and how it ends.
#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that is not there")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// All tests run on this day, so that none depends on the clock.
const TODAY: &str = "2026-11-21";

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_manbo-import"));
        command.args(words).current_dir(self.folder.path()).env_remove("NO_COLOR");
        command
    }

    /// Runs the program; it must end with this status.
    #[track_caller]
    fn run(&self, words: &[&str], status: i32) -> Told {
        let Output { status: ended, stdout, stderr } = self.command(words).output().unwrap();
        let told = Told { out: String::from_utf8(stdout).unwrap(), err: String::from_utf8(stderr).unwrap() };
        assert_eq!(ended.code(), Some(status), "{words:?}: {}", told.err);
        told
    }

    #[track_caller]
    fn import(&self, words: &[&str]) -> Told {
        self.run(&[&["import", "--today", TODAY], words].concat(), 0)
    }

    #[track_caller]
    fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.import(&[words, &["--json"]].concat()).out).unwrap()
    }

    #[track_caller]
    fn csv(&self, db: &str) -> String {
        self.run(&["export", "--db", db, "--csv"], 0).out
    }
}

struct Told {
    out: String,
    err: String,
}

impl Told {
    #[track_caller]
    fn says(&self, words: &str) -> &Told {
        let text = format!("{}{}", self.out, self.err);
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(words), "{words:?} is not in: {text}");
        self
    }
}

/// Three weeks of one person: a gap of two days, a blank day, a day of 0 steps, two bad rows.
fn usual() -> String {
    let days = (1..=21).filter(|day| ![8, 9].contains(day)).map(|day| {
        let steps = if day == 5 { 0 } else { 8_000 + day * 10 };
        let manual = if day == 3 { 500 } else { 0 };
        format!("2026-10-{day:02},{steps},{manual}")
    });
    let mut lines = vec!["day,steps,manual".to_owned()];
    lines.extend(days);
    lines.extend(["2026-10-22,,", "2026-02-30,100,", "2026-10-23,a lot,"].map(str::to_owned));
    lines.join("\n") + "\n"
}

#[test]
fn a_usual_import_is_recorded_and_reported() {
    let place = Place::new();
    place.write("days.csv", &usual());
    let told = place.import(&["days.csv", "--db", "steps.db"]);
    told.says("19 days on foot, 2026-10-01 to 2026-10-21")
        .says("146,590 steps")
        .says("days as the files write them; today is 2026-11-21 by --today")
        .says("missing 2 longest gaps: 2026-10-08 to 2026-10-09 (2)")
        .says("of 0 steps 1")
        .says("without a count 1")
        .says("Left out: 2 rows")
        .says("days.csv:22")
        .says("days.csv:23")
        .says("new 19")
        .says("Recorded.");
    assert!(told.err.is_empty(), "{}", told.err);
    assert!(!told.out.contains('\x1b'), "no colour into a pipe");
    let widest = told.out.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(widest <= 100, "{widest} columns");
    assert!(told.out.lines().count() <= 40, "{}", told.out);
    assert!(place.csv("steps.db").contains("\n2026-10-03,import,8030,500,0\n"));
}

#[test]
fn the_second_run_changes_nothing() {
    let place = Place::new();
    place.write("days.csv", &usual());
    place.import(&["days.csv", "--db", "steps.db"]);
    let before = place.csv("steps.db");
    place.import(&["days.csv", "--db", "steps.db"]).says("known already 19").says("Nothing changed.");
    assert_eq!(place.csv("steps.db"), before);
}

#[test]
fn a_dry_run_tells_what_a_run_does_and_records_nothing() {
    let place = Place::new();
    place.write("days.csv", &usual());
    let outcome =
        |words: &[&str]| place.json(&[&["days.csv", "--db", "steps.db"], words].concat())["outcome"].clone();
    let told = outcome(&["--dry-run"]);
    assert!(!place.path("steps.db").exists());
    assert_eq!(outcome(&[]), told);
    assert_eq!(told[0]["cells_new"], 19);
    // Later the same days say less: the corrections are told, and not made.
    place.write("days.csv", &usual().replace(",80", ",70"));
    let before = place.csv("steps.db");
    let told = outcome(&["--dry-run"]);
    assert_eq!(place.csv("steps.db"), before);
    assert_eq!(told[0]["lowered"].as_array().unwrap().len(), 6);
    place
        .import(&["days.csv", "--db", "steps.db", "--dry-run"])
        .says("lowered 6")
        .says("Nothing was recorded: this is what a run without --dry-run would do.");
    assert_eq!(outcome(&[]), told);
    assert_ne!(place.csv("steps.db"), before);
}

#[test]
fn join_only_lowers_nothing() {
    let place = Place::new();
    place.write("days.csv", &usual());
    place.import(&["days.csv", "--db", "steps.db"]);
    let before = place.csv("steps.db");
    place.write("days.csv", &usual().replace(",80", ",70"));
    place.import(&["days.csv", "--db", "steps.db", "--join-only"]).says("kept 6").says("Nothing changed.");
    assert_eq!(place.csv("steps.db"), before);
}

#[test]
fn without_a_ledger_nothing_is_recorded() {
    let place = Place::new();
    place.write("days.csv", &usual());
    place.import(&["days.csv"]).says("Nothing was recorded: --db names no ledger.");
    let json = place.json(&["days.csv"]);
    assert!(json["outcome"].is_null() && json.get("days").is_none());
    assert_eq!(std::fs::read_dir(place.folder.path()).unwrap().count(), 1);
}

#[test]
fn json_is_one_object_with_every_day_on_demand() {
    let place = Place::new();
    place.write("days.csv", &usual());
    let json = place.json(&["days.csv", "--db", "steps.db", "--days", "--source", "my-watch"]);
    assert_eq!(json["today"], TODAY);
    assert_eq!(json["report"]["people"][0]["missing"], 2);
    assert_eq!(json["report"]["rejects"]["by_reason"]["bad_time"], 1);
    assert_eq!((&json["outcome"][0]["user"], &json["outcome"][0]["readings"]), (&Value::Null, &19.into()));
    let days = json["days"].as_array().unwrap();
    assert_eq!(days.len(), 19);
    let expected = serde_json::json!({
        "user": null, "day": "2026-10-03", "source": "my-watch", "recorded": 8030, "manual": 500,
        "extent": "full", "offset_minutes": null,
    });
    assert_eq!(days[2], expected);
    place.import(&["days.csv", "--days"]).says("2026-10-03 import 8,030 500 full");
}

#[test]
fn an_export_comes_back_as_it_was() {
    let place = Place::new();
    place.write(
        "days.csv",
        "day,source,steps,manual\n2026-10-01,phone,8000,200\n2026-10-01,-1-2,9000,\n2026-10-02,phone,0,\n",
    );
    place.import(&["days.csv", "--db", "one.db"]);
    let csv = place.csv("one.db");
    assert!(csv.contains("\n2026-10-01,'-1-2,9000,0,0\n"), "{csv}");
    place.write("back.csv", &csv);
    place.import(&["back.csv", "--db", "two.db"]);
    assert_eq!(place.csv("two.db"), csv);
    let lines = |db: &str| place.run(&["export", "--db", db, "--jsonl"], 0).out;
    assert_eq!(lines("one.db"), lines("two.db"));
    assert!(
        lines("one.db")
            .starts_with("{\"day\":\"2026-10-01\",\"source\":\"-1-2\",\"epoch\":0,\"recorded\":9000,")
    );
}

#[test]
fn people_have_ledgers_of_their_own() {
    let place = Place::new();
    place
        .write("study.csv", "person,day,steps\nana,2026-10-01,100\nben,2026-10-01,200\nben,2026-10-02,300\n");
    let json = place.json(&["study.csv", "--db", "steps.db"]);
    let users: Vec<&Value> =
        json["outcome"].as_array().unwrap().iter().map(|outcome| &outcome["user"]).collect();
    assert_eq!(users, ["ana", "ben"]);
    place.import(&["study.csv"]).says("3 days of 2 people on foot").says("ben 2 500");
    let told = place.run(&["export", "--db", "steps.db", "--csv"], 1);
    told.says("the ledger holds 2 people: name one with --user");
    assert!(told.out.is_empty());
    let ben = place.run(&["export", "--db", "steps.db", "--csv", "--user", "ben"], 0).out;
    assert_eq!(
        ben,
        "day,source,recorded,manual,epoch\n2026-10-01,import,200,0,0\n2026-10-02,import,300,0,0\n"
    );
    let told = place.run(&["export", "--db", "steps.db", "--csv", "--user", "cleo"], 1);
    assert!(!told.says("no user of that name").err.contains("cleo"));
    let json = place.json(&["study.csv", "--user", "ana", "--db", "ana.db"]);
    assert_eq!(json["report"]["people"].as_array().unwrap().len(), 1);
    assert_eq!(place.csv("ana.db"), "day,source,recorded,manual,epoch\n2026-10-01,import,100,0,0\n");
    // A file that names nobody goes to the user who is named.
    place.write("days.csv", "day,steps\n2026-10-01,700\n");
    assert_eq!(place.json(&["days.csv", "--user", "cleo", "--db", "steps.db"])["outcome"][0]["user"], "cleo");
}

#[test]
fn files_together_are_one_import() {
    let place = Place::new();
    place.write("a.csv", "day,source,steps\n2026-10-01,phone,100\n2026-10-02,phone,100\n");
    place.write("b.csv", "day,source,steps\n2026-10-02,phone,100\n2026-10-03,My Watch,100\n");
    let json = place.json(&["b.csv", "a.csv", "--map", "My Watch=phone", "--db", "steps.db"]);
    assert_eq!(json["report"]["files"].as_array().unwrap().len(), 2);
    assert_eq!(json["report"]["people"][0]["steps"], 300);
    assert_eq!(json["outcome"][0]["cells_new"], 3);
}

#[test]
fn wrong_options_are_told_with_the_usage() {
    let place = Place::new();
    place.write("days.csv", &usual());
    let long = "x".repeat(129);
    for wrong in [
        &["import"] as &[&str],
        &["import", "days.csv", "--zone", "Berlin"],
        &["import", "days.csv", "--today", "2026-02-30"],
        &["import", "days.csv", "--user", &long],
        &["import", "days.csv", "--delimiter", "|"],
        &["import", "days.csv", "--what"],
        &["export", "--db", "steps.db"],
        &["export", "--db", "steps.db", "--csv", "--jsonl"],
        &["what"],
        &[],
    ] {
        let told = place.run(wrong, 2);
        assert!(
            told.out.is_empty() && told.err.contains("Usage:") | told.err.contains("--help"),
            "{}",
            told.err
        );
    }
    place.run(&["--help"], 0).says("import").says("export");
    place.run(&["import", "--help"], 0).says("--zone");
}

#[test]
fn a_bad_file_is_told_and_leaves_the_ledger_alone() {
    let place = Place::new();
    place.write("good.csv", &usual());
    place.write("foreign.csv", "name,age\nx,1\n");
    place.write("empty.csv", "");
    for bad in ["foreign.csv", "empty.csv", "missing.csv"] {
        let told = place.run(&["import", "good.csv", bad, "--db", "steps.db"], 1);
        told.says(bad);
        assert!(told.out.is_empty() && !place.path("steps.db").exists(), "{bad}");
    }
    place.run(&["import", "good.csv", "--column", "steps=No such title"], 1).says("No such title");
    place.run(&["export", "--db", "none.db", "--csv"], 1).says("there is no such ledger");
    assert!(!place.path("none.db").exists());
    place.write("foreign.db", "this is another program's file, and long enough to look at");
    let told = place.run(&["import", "good.csv", "--db", "foreign.db"], 1);
    told.says("not a manbo ledger").says("nothing was recorded");
    assert!(std::fs::read_to_string(place.path("foreign.db")).unwrap().starts_with("this is another"));
}

#[test]
fn a_file_cannot_command_the_terminal() {
    let place = Place::new();
    // A control sequence of one character, and a turn of the reading direction.
    place.write("days.csv", "day,source,steps\n2026-10-01,\u{9b}2JWatch\u{202e},100\n");
    let told = place.import(&["days.csv"]);
    assert!(!told.out.contains(['\u{9b}', '\u{202e}']));
    told.says("in the files: \u{fffd}2JWatch\u{fffd}");
}

#[test]
fn the_day_is_the_clocks_when_nobody_says_otherwise() {
    let place = Place::new();
    place.write("days.csv", &usual());
    place.run(&["import", "days.csv"], 0).says("by the clock in UTC");
    place.run(&["import", "days.csv", "--zone", "Asia/Seoul"], 0).says("by the clock in Asia/Seoul");
}

/// Ends the program's output after its first bytes.
#[cfg(unix)]
#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let place = Place::new();
    // More than a pipe holds, so that the program must notice.
    let rows: String = (0..4_000).map(|n| format!("{},s{},1\n", day_number(n / 8), n % 8)).collect();
    place.write("days.csv", &format!("day,source,steps\n{rows}"));
    place.import(&["days.csv", "--db", "steps.db"]);
    for words in [
        &["export", "--db", "steps.db", "--csv"] as &[&str],
        &["export", "--db", "steps.db", "--jsonl"],
        &["import", "days.csv", "--json", "--days"],
        &["import", "days.csv", "--days"],
    ] {
        let mut child = place.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        assert_eq!((ended.status.code(), ended.stderr), (Some(0), Vec::new()), "{words:?}");
    }
}

#[cfg(unix)]
fn day_number(n: i32) -> String {
    manbo::Day::FIRST.plus(n).to_string()
}

#[test]
fn a_folder_is_read_for_what_is_known_in_it() {
    let place = Place::new();
    let days = "Takeout/Fit/Daily activity metrics";
    std::fs::create_dir_all(place.path(days)).unwrap();
    place.write(
        &format!("{days}/Daily activity metrics.csv"),
        "Date,Distance (m),Step count\n2026-10-01,70,100\n",
    );
    place.write("Takeout/archive_browser.html", "<html></html>");
    let json = place.json(&["Takeout"]);
    assert_eq!(json["report"]["people"][0]["steps"], 100);
    let file = json["report"]["files"][0]["file"].as_str().unwrap();
    assert!(Path::new(file).ends_with("Daily activity metrics.csv"), "{file}");
    std::fs::create_dir(place.path("nothing")).unwrap();
    place.run(&["import", "nothing"], 1).says("nothing");
}

#[test]
fn an_option_that_is_given_twice_for_one_thing_is_refused() {
    let place = Place::new();
    place.write("days.csv", "day,a,b\n2026-10-01,1,2\n");
    let words = ["import", "days.csv", "--column", "steps=a", "--column", "steps=b"];
    let told = place.run(&words, 1);
    assert!(told.err.contains("--column is given twice for `steps`"), "{}", told.err);
}
