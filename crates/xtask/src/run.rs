//! Runs one suite: its steps in order, in sight of the reader, until one fails.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::package;
use crate::report::{Outcome, Row};
use crate::suites::{Output, Step, Suite};
use crate::tally::Tally;
use crate::tools::Toolbox;

/// Names the folder of real exports, which are never part of the project.
const EXPORTS_VARIABLE: &str = "MANBO_DATA";
/// Where that folder usually is, from the workspace.
const EXPORTS_USUAL: &str = "../shared/data";

/// What running a suite takes.
#[derive(Debug)]
pub(crate) struct Runner<'a> {
    /// The folder of the workspace, where every step runs.
    pub(crate) root: &'a Path,
    /// Finds the programs.
    pub(crate) toolbox: &'a Toolbox,
    /// Whether the long size is wanted.
    pub(crate) long: bool,
}

impl Runner<'_> {
    /// Runs a suite to its row in the report. An error is one of the reader's side: its end has gone.
    pub(crate) fn run(&self, out: &mut impl Write, suite: &'static Suite) -> Result<Row> {
        writeln!(out, "\n=== {}: {}", suite.name, suite.proves)?;
        out.flush()?;
        let start = Instant::now();
        let mut tally = None;
        let outcome = match self.steps(out, suite, &mut tally) {
            Ok(()) => Outcome::Passed,
            Err(error) => Outcome::Failed(format!("{error:#}")),
        };
        if let Outcome::Failed(reason) = &outcome {
            writeln!(out, "=== {} failed: {reason}", suite.name)?;
        }
        Ok(Row { suite: suite.name, outcome, tally, took: start.elapsed() })
    }

    fn steps(&self, out: &mut impl Write, suite: &Suite, tally: &mut Option<Tally>) -> Result<()> {
        if let Some(file) = suite.files.iter().find(|file| !self.root.join(file).is_file()) {
            bail!("there is no file {file}");
        }
        for step in if self.long { suite.long } else { suite.gate } {
            self.step(out, step, tally)?;
        }
        judge(*tally)
    }

    fn step(&self, out: &mut impl Write, step: &Step, tally: &mut Option<Tally>) -> Result<()> {
        let mut command = Command::new(self.toolbox.resolve(step.program));
        command.current_dir(self.root).stdin(Stdio::null()).envs(step.env.iter().copied());
        for arg in step.args {
            match arg.rsplit_once("/*") {
                Some((folder, end)) => command.args(matching(self.root, folder, end)?),
                None => command.arg(arg),
            };
        }
        if let Some(flag) = step.exports {
            match exports(self.root, env::var_os(EXPORTS_VARIABLE))? {
                Some(folder) => drop(command.arg(flag).arg(folder)),
                None => writeln!(out, "--- no real exports here: {EXPORTS_VARIABLE} names their folder")?,
            }
        }
        let line = shown(&command);
        writeln!(out, "$ {line}")?;
        out.flush()?;
        if step.output != Output::Shown {
            command.stdout(Stdio::piped());
        }
        let mut child = command.spawn().with_context(|| format!("`{}` cannot be started", step.program))?;
        let mut listing = String::new();
        let followed = follow(out, &mut child, |line| match step.output {
            Output::Shown => {}
            Output::Counted(count) => tally.get_or_insert_default().read(count, line),
            Output::Listing => listing.push_str(line),
        });
        // The child is waited for whatever happened to the output, or it would outlive this program.
        let status = child.wait()?;
        followed?;
        if !status.success() {
            bail!("`{line}` ended with {status}");
        }
        if step.output == Output::Listing {
            package::check(self.root, &listing)?;
        }
        Ok(())
    }
}

/// The folder of real exports: the one that was named, else the usual one where it is there. One that was
/// named and is not there is an error: a typing mistake must not pass for a run over real exports.
fn exports(root: &Path, named: Option<OsString>) -> Result<Option<PathBuf>> {
    let Some(named) = named else {
        let usual = root.join(EXPORTS_USUAL);
        return Ok(usual.is_dir().then_some(usual));
    };
    let folder = root.join(named);
    if !folder.is_dir() {
        bail!("{EXPORTS_VARIABLE} names no folder: {}", folder.display());
    }
    Ok(Some(folder))
}

/// A suite that counts has to have run something.
fn judge(tally: Option<Tally>) -> Result<()> {
    match tally {
        Some(tally) if tally.ran() == 0 => bail!("ran no test"),
        // The harness says so with its exit status as well; this holds for one that forgets to.
        Some(tally) if tally.failed > 0 => bail!("{} tests failed", tally.failed),
        _ => Ok(()),
    }
}

/// Passes a child's standard output on line by line and shows each line to `read`. A child whose output
/// is not a pipe writes for itself.
fn follow(out: &mut impl Write, child: &mut Child, mut read: impl FnMut(&str)) -> io::Result<()> {
    let Some(pipe) = child.stdout.take() else { return Ok(()) };
    let mut lines = BufReader::new(pipe);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        out.write_all(&line)?;
        out.flush()?;
        // A test may print any bytes; the lines that count are ASCII.
        read(&String::from_utf8_lossy(&line));
        line.clear();
    }
    Ok(())
}

/// The files of a folder whose names end so, sorted, relative to the root; none is an error, because a
/// step over no files would prove nothing.
fn matching(root: &Path, folder: &str, end: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in
        fs::read_dir(root.join(folder)).with_context(|| format!("the folder {folder} cannot be read"))?
    {
        let name = entry?.file_name();
        if name.to_string_lossy().ends_with(end) {
            files.push(Path::new(folder).join(name));
        }
    }
    if files.is_empty() {
        bail!("no file matches {folder}/*{end}");
    }
    files.sort();
    Ok(files)
}

/// A command as one would type it: what is set in its environment, the program without its folder, the
/// arguments.
pub(crate) fn shown(command: &Command) -> String {
    let mut words = Vec::new();
    for (key, value) in command.get_envs() {
        words.push(format!("{}={}", key.display(), value.unwrap_or_default().display()));
    }
    let program = Path::new(command.get_program());
    words.push(program.file_name().unwrap_or(program.as_os_str()).display().to_string());
    words.extend(command.get_args().map(OsStr::to_string_lossy).map(String::from));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suites::SUITES;
    use crate::tally::Count;

    /// A suite of one step that runs cargo itself, the one program that is surely there.
    fn suite(args: &'static [&'static str], output: Output) -> &'static Suite {
        let step = Step { program: "cargo", args, env: &[], output, exports: None };
        let gate = Box::leak(Box::new([step]));
        Box::leak(Box::new(Suite {
            name: "trial",
            proves: "nothing",
            needs: &[],
            files: &[],
            gate,
            long: &[],
        }))
    }

    fn run(suite: &'static Suite) -> Result<(Row, String)> {
        let root = env::current_dir()?;
        let toolbox = Toolbox::new(&root);
        let mut out = Vec::new();
        let row = Runner { root: &root, toolbox: &toolbox, long: false }.run(&mut out, suite)?;
        Ok((row, String::from_utf8(out)?))
    }

    #[test]
    fn a_suite_passes_with_its_steps_and_shows_them() -> Result<()> {
        let (row, said) = run(suite(&["--version"], Output::Shown))?;
        assert_eq!(row.outcome, Outcome::Passed);
        assert_eq!(said, "\n=== trial: nothing\n$ cargo --version\n");
        Ok(())
    }

    #[test]
    fn a_suite_that_counts_and_ran_nothing_has_failed() -> Result<()> {
        let (row, said) = run(suite(&["--version"], Output::Counted(Count::Tests)))?;
        assert_eq!(row.outcome, Outcome::Failed("ran no test".into()));
        assert!(said.contains("\ncargo "), "the output is passed on: {said}");
        Ok(())
    }

    #[test]
    fn a_failed_step_is_named_with_its_status() -> Result<()> {
        let (row, _) = run(suite(&["no-such-command-here"], Output::Shown))?;
        let Outcome::Failed(reason) = row.outcome else { unreachable!("cargo has no such command") };
        assert!(reason.starts_with("`cargo no-such-command-here` ended with "), "{reason}");
        Ok(())
    }

    #[test]
    fn a_lacking_file_is_a_failure_before_any_step() -> Result<()> {
        let suite = Box::leak(Box::new(Suite {
            name: "trial",
            proves: "nothing",
            needs: &[],
            files: &["no/such/file.py"],
            gate: SUITES[0].gate,
            long: &[],
        }));
        let (row, said) = run(suite)?;
        assert_eq!(row.outcome, Outcome::Failed("there is no file no/such/file.py".into()));
        assert!(!said.contains('$'), "{said}");
        Ok(())
    }

    #[test]
    fn a_failed_test_is_a_failure_whatever_the_status_was() {
        let judged = |passed, failed| judge(Some(Tally { passed, failed, ignored: 0 })).is_ok();
        assert!(judged(1, 0) && !judged(1, 1) && !judged(0, 0));
        assert!(judge(None).is_ok());
    }

    #[test]
    fn a_pattern_gives_sorted_files_and_never_none() -> Result<()> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let files = matching(root, "src", ".rs")?;
        assert!(files.is_sorted() && files.contains(&PathBuf::from("src/run.rs")));
        let none = matching(root, "src", ".json").map_err(|error| error.to_string());
        assert_eq!(none, Err("no file matches src/*.json".to_string()));
        assert!(matching(root, "no-such-folder", ".rs").is_err());
        Ok(())
    }

    #[test]
    fn real_exports_that_are_named_have_to_be_there() -> Result<()> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(exports(root, Some("src".into()))?, Some(root.join("src")));
        let none = exports(root, Some("no-such-folder".into())).map_err(|error| error.to_string());
        let folder = root.join("no-such-folder");
        assert_eq!(none, Err(format!("MANBO_DATA names no folder: {}", folder.display())));
        assert_eq!(exports(root, None)?, None, "there is none beside the crates");
        Ok(())
    }

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut command = Command::new("/opt/bin/cargo");
        command.args(["test", "-p", "manbo"]).env("CASES", "20");
        assert_eq!(shown(&command), "CASES=20 cargo test -p manbo");
    }
}
