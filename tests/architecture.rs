//! The house rules that a machine can hold: who may use whom, what the core never names, how long a
//! file and a function may be, what never stays in the code.
#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that is not there")]

use std::path::{Path, PathBuf};

/// What each module of the domain may use beside `canary`, `code`, `day`, `steps` and itself.
const DOMAIN: &[(&str, &[&str])] = &[
    ("canary", &[]),
    ("code", &[]),
    ("day", &[]),
    ("steps", &[]),
    ("register", &[]),
    ("remark", &[]),
    ("counter", &[]),
    ("level", &[]),
    ("streak", &[]),
    ("fact", &["register"]),
    ("cell", &["register", "remark"]),
    ("column", &["cell"]),
    ("timeline", &["level"]),
    ("stats", &["level", "streak", "timeline"]),
    ("totals", &["timeline"]),
    (
        "ledger",
        &[
            "cell", "column", "counter", "dirty", "fact", "history", "level", "register", "remark", "streak",
            "timeline",
        ],
    ),
    ("dirty", &["column", "remark"]),
    ("history", &["column", "fact", "register"]),
    ("query", &["cell", "dirty", "fact", "ledger", "level", "register", "stats", "timeline"]),
    ("rows", &["cell", "column", "dirty", "fact", "ledger", "register", "remark", "timeline"]),
    ("digest", &["fact", "ledger"]),
    ("ingest", &["fact", "history", "ledger", "register", "timeline"]),
    ("adopt", &["cell", "column", "history", "ledger", "timeline"]),
    ("plain", &["fact", "ingest", "ledger", "register", "timeline"]),
    ("explain", &["ledger", "level", "query", "remark", "timeline"]),
];

/// What the pure core must not name.
const IMPURE: &[&str] = &[
    "rusqlite",
    "uniffi",
    "std::fs",
    "std::net",
    "std::thread",
    "std::env",
    "std::process",
    "Mutex",
    "SystemTime",
    "Instant::now",
    "Utc::now",
    "Local::now",
    "rand::",
    "println!",
];

/// What never stays in the code; spelt in halves, so that this file does not find itself.
const LEFT_OVERS: &[&str] = &[
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("dbg", "!("),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("#[ig", "nore"),
];

const LINES_A_FILE: usize = 800;
const LINES_A_FUNCTION: usize = 70;

/// Files whose text is meant for people and may leave ASCII.
const FOR_PEOPLE: &[&str] = &["examples/walk/"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of the project, with its path from the root.
fn sources() -> Vec<(String, String)> {
    fn visit(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                visit(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    visit(&root(), &mut found);
    found.sort();
    assert!(found.len() > 30, "the sources were not found");
    found
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

fn under<'s>(folder: &'s str, all: &'s [(String, String)]) -> impl Iterator<Item = &'s (String, String)> {
    all.iter().filter(move |(name, _)| name.starts_with(folder))
}

/// The code of a file without its unit tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap()
}

/// The code of a line without its comment.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap()
}

/// The lines of some files whose code holds one of these words.
fn lines_with<'s>(files: impl Iterator<Item = &'s (String, String)>, words: &[&str]) -> Vec<String> {
    files
        .filter(|(name, _)| !name.ends_with("/tests.rs"))
        .flat_map(|(name, text)| {
            without_tests(text).lines().enumerate().map(move |(i, line)| (name, i + 1, code(line)))
        })
        .filter(|(_, _, line)| words.iter().any(|word| line.contains(word)))
        .map(|(name, number, line)| format!("{name}:{number}: {}", line.trim()))
        .collect()
}

/// The modules that a file of the domain uses: `super::name` outside its tests.
fn used_modules(text: &str) -> Vec<String> {
    let mut used: Vec<String> = without_tests(text)
        .split("super::")
        .skip(1)
        .map(|rest| rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect())
        .filter(|name: &String| !name.is_empty())
        .collect();
    used.sort();
    used.dedup();
    used
}

fn wrong_uses(module: &str, text: &str) -> Vec<String> {
    let Some((_, allowed)) = DOMAIN.iter().find(|(name, _)| *name == module) else {
        return vec![format!("{module} is not in the table of this test")];
    };
    let may =
        |used: &str| ["canary", "code", "day", "steps", module].contains(&used) || allowed.contains(&used);
    used_modules(text)
        .into_iter()
        .filter(|used| !may(used))
        .map(|used| format!("{module} uses {used}"))
        .collect()
}

#[test]
fn domain_modules_use_what_they_may() {
    let all = sources();
    let mut wrong = lines_with(under("src/domain/", &all), &["crate::"]);
    for (name, text) in under("src/domain/", &all) {
        let module = name.trim_start_matches("src/domain/").trim_end_matches(".rs");
        if module != "mod" {
            wrong.extend(wrong_uses(module, text));
        }
    }
    wrong.retain(|line| !line.contains("pub(crate)"));
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(wrong_uses("register", "use super::ledger::Ledger;"), ["register uses ledger"]);
}

#[test]
fn the_core_names_nothing_impure() {
    let all = sources();
    let core = ["src/domain/", "src/delivery/", "src/wire/", "src/rules.rs"];
    let wrong: Vec<String> = core.iter().flat_map(|folder| lines_with(under(folder, &all), IMPURE)).collect();
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn only_the_store_knows_the_database() {
    let all = sources();
    let outside = under("src/", &all).filter(|(name, _)| !name.starts_with("src/store/"));
    assert_eq!(lines_with(outside, &["rusqlite"]), Vec::<String>::new());
    assert!(!lines_with(under("src/store/", &all), &["rusqlite"]).is_empty());
}

#[test]
fn the_library_reads_no_clock() {
    let clocks = ["SystemTime::now", "Instant::now", "Utc::now", "Local::now"];
    assert_eq!(lines_with(under("src/", &sources()), &clocks), Vec::<String>::new());
}

#[test]
fn library_code_does_not_panic_on_purpose() {
    let panics = [".unwrap()", ".expect(", "panic!(", "unreachable!("];
    assert_eq!(lines_with(under("src/", &sources()), &panics), Vec::<String>::new());
}

/// The functions of a formatted file that are too long: from the line of `fn` to the closing brace at
/// the same depth.
fn long_functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let is_start = |line: &str| {
        let line = line.trim_start();
        ["fn ", "pub fn ", "pub(crate) fn ", "pub(super) fn ", "const fn ", "pub const fn "]
            .iter()
            .any(|start| line.starts_with(start))
    };
    let starts = lines.iter().enumerate().filter(|(_, line)| is_start(line));
    starts
        .filter_map(|(start, line)| {
            let close = format!("{}}}", " ".repeat(line.len() - line.trim_start().len()));
            let end = lines[start..].iter().position(|l| *l == close)?;
            (end + 1 > LINES_A_FUNCTION).then_some((start + 1, end + 1))
        })
        .collect()
}

#[test]
fn files_and_functions_stay_short() {
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        let lines = text.lines().count();
        if lines > LINES_A_FILE {
            wrong.push(format!("{name} has {lines} lines"));
        }
        let long = long_functions(&text).into_iter();
        wrong.extend(long.map(|(at, lines)| format!("{name}:{at}: a function of {lines} lines")));
    }
    assert_eq!(wrong, Vec::<String>::new());
    let long = format!("fn long() {{\n{}}}\n", "    step();\n".repeat(70));
    assert_eq!(long_functions(&long), [(1, 72)]);
}

#[test]
fn nothing_is_left_over() {
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            if LEFT_OVERS.iter().any(|word| line.contains(word)) {
                wrong.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn sources_are_ascii() {
    let for_people = |name: &str| FOR_PEOPLE.iter().any(|folder| name.starts_with(folder));
    let wrong: Vec<String> = sources()
        .into_iter()
        .filter(|(name, text)| !text.is_ascii() && !for_people(name))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_readme_shows_the_two_commands_and_every_method() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    for command in ["cargo run --release --example walk", "cargo xtask test"] {
        assert!(readme.contains(command), "README.md does not show `{command}`");
    }
    let book = std::fs::read_to_string(root().join("src/stepbook.rs")).unwrap();
    let methods = book.lines().filter_map(|line| line.strip_prefix("    pub fn ")?.split(['(', '<']).next());
    let missing: Vec<&str> = methods.filter(|name| !readme.contains(&format!("`{name}`"))).collect();
    assert_eq!(missing, Vec::<&str>::new(), "methods of StepBook that README.md does not list");
}
