//! The tools beyond cargo that suites need, and whether they work here.

use std::env;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a suite needs and a machine may lack: a program, mostly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tool {
    /// Its name.
    pub(crate) name: &'static str,
    /// The program that shows, in a moment, that it works: itself, or for data one that uses it.
    program: &'static str,
    /// The arguments for that.
    probe: &'static [&'static str],
    /// Where it comes from.
    pub(crate) source: Source,
}

/// Where a lacking tool is installed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// A package of Debian and Ubuntu. Its version is the distribution's: the archive drops an old one as
    /// soon as it is superseded, so one pinned here would stop installing by itself.
    Apt(&'static str),
    /// A crate, at exactly this version.
    Crate {
        /// The version, as the tool itself prints it.
        version: &'static str,
    },
}

/// Runs the scripts under `tests/tools`.
pub(crate) const PYTHON3: Tool =
    Tool { name: "python3", program: "python3", probe: &["--version"], source: Source::Apt("python3") };

/// The zones that those scripts reckon with; a small container has none.
pub(crate) const TIME_ZONES: Tool = Tool {
    name: "tzdata",
    program: "python3",
    probe: &["-c", "import zoneinfo; zoneinfo.ZoneInfo('Europe/Berlin')"],
    source: Source::Apt("tzdata"),
};

/// Counts system calls. The probe traces something: a container may have the program and forbid its use.
pub(crate) const STRACE: Tool = Tool {
    name: "strace",
    program: "strace",
    probe: &["-qq", "-o", "/dev/null", "true"],
    source: Source::Apt("strace"),
};

/// Judges licences and sources of dependencies.
pub(crate) const CARGO_DENY: Tool = Tool {
    name: "cargo-deny",
    program: "cargo-deny",
    probe: &["--version"],
    source: Source::Crate { version: "0.20.2" },
};

/// What a look at a tool found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It is there and works.
    Ready,
    /// It is not there, or not in the version wanted: installing helps.
    Lacking(String),
    /// It is there and does not work: installing changes nothing.
    Broken(String),
}

/// Finds programs for the suites.
#[derive(Debug)]
pub(crate) struct Toolbox {
    /// Where tools from crates are installed: inside the target folder, so that nothing outside the
    /// checkout changes and nobody's own copy is replaced.
    pub(crate) folder: PathBuf,
}

impl Toolbox {
    /// The toolbox of the workspace at `root`.
    pub(crate) fn new(root: &Path) -> Self {
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
        Self { folder: root.join(target).join("tools") }
    }

    /// What to start for `name`: the cargo that runs this program, a tool of the toolbox, or one on the PATH.
    pub(crate) fn resolve(&self, name: &str) -> PathBuf {
        if name == "cargo" {
            return env::var_os("CARGO").map_or_else(|| name.into(), PathBuf::from);
        }
        let own = self.folder.join("bin").join(format!("{name}{}", env::consts::EXE_SUFFIX));
        if own.is_file() { own } else { name.into() }
    }

    /// Looks whether a tool is there and works.
    pub(crate) fn probe(&self, tool: Tool) -> State {
        let output =
            match Command::new(self.resolve(tool.program)).args(tool.probe).stdin(Stdio::null()).output() {
                Ok(output) => output,
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return State::Lacking("not installed".into());
                }
                Err(error) => return State::Broken(error.to_string()),
            };
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let first = said.lines().map(str::trim).find(|line| !line.is_empty());
            let reason = first.map_or_else(|| output.status.to_string(), str::to_string);
            // A program that does not work stays so; data that its user does not find can be installed.
            return if tool.program == tool.name { State::Broken(reason) } else { State::Lacking(reason) };
        }
        let said = String::from_utf8_lossy(&output.stdout);
        match tool.source {
            Source::Crate { version } if !said.split_whitespace().any(|word| word == version) => {
                State::Lacking(format!("found `{}`, wanted {version}", said.trim()))
            }
            _ => State::Ready,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toolbox() -> Toolbox {
        Toolbox { folder: PathBuf::from("nowhere") }
    }

    fn program(name: &'static str, probe: &'static [&'static str], source: Source) -> Tool {
        Tool { name, program: name, probe, source }
    }

    #[test]
    fn a_program_that_is_nowhere_is_lacking() {
        let tool = program("no-such-program-here", &[], Source::Apt("none"));
        assert_eq!(toolbox().probe(tool), State::Lacking("not installed".into()));
    }

    #[test]
    fn another_version_is_lacking_and_says_which_was_found() {
        let wanted = |version| program("cargo", &["--version"], Source::Crate { version });
        let State::Lacking(reason) = toolbox().probe(wanted("0.0.0")) else {
            unreachable!("no cargo ever had that version")
        };
        assert!(reason.starts_with("found `cargo ") && reason.ends_with("wanted 0.0.0"), "{reason}");
        assert_eq!(toolbox().probe(wanted("cargo")), State::Ready);
    }

    #[test]
    fn a_program_that_fails_its_probe_is_broken() {
        let tool = program("cargo", &["--no-such-flag"], Source::Apt("none"));
        assert!(matches!(toolbox().probe(tool), State::Broken(_)));
    }

    #[test]
    fn data_that_its_user_does_not_find_is_lacking() {
        let data = Tool { name: "data", ..program("cargo", &["--no-such-flag"], Source::Apt("none")) };
        assert!(matches!(toolbox().probe(data), State::Lacking(_)));
    }
}
