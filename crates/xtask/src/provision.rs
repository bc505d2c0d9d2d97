//! Installs the tools that are lacking, where that is allowed and possible.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::tools::{Source, State, Tool, Toolbox};

/// A mirror that hiccups is back in seconds; one that is down stays down longer than anybody waits.
const ATTEMPTS: u32 = 3;

/// The wait between two attempts.
const PAUSE: Duration = Duration::from_secs(5);

/// A tool that is lacking in the end, and why.
#[derive(Debug)]
pub(crate) struct Lacking {
    tool: Tool,
    reason: String,
}

impl Lacking {
    /// The reason why a suite with these needs cannot run, if one of them is lacking.
    pub(crate) fn of(lacking: &[Self], needs: &[Tool]) -> Option<String> {
        let reasons: Vec<_> = lacking
            .iter()
            .filter(|lack| needs.contains(&lack.tool))
            .map(|lack| format!("needs {}: {}", lack.tool.name, lack.reason))
            .collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }
}

/// Makes sure of the tools: looks for each, installs what may be installed, tells what is still lacking.
pub(crate) fn provide(
    out: &mut impl Write,
    toolbox: &Toolbox,
    tools: &[Tool],
    install: bool,
) -> Result<Vec<Lacking>> {
    let mut lacking = Vec::new();
    for &tool in tools {
        if let Some(reason) = provide_one(out, toolbox, tool, install)? {
            lacking.push(Lacking { tool, reason });
        }
    }
    Ok(lacking)
}

/// Makes sure of one tool; the reason when it is still lacking.
fn provide_one(out: &mut impl Write, toolbox: &Toolbox, tool: Tool, install: bool) -> Result<Option<String>> {
    let lack = match toolbox.probe(tool) {
        State::Ready => return Ok(None),
        State::Broken(reason) => return Ok(Some(format!("it is there and does not work ({reason})"))),
        State::Lacking(reason) => reason,
    };
    if !install {
        return Ok(Some(format!("{lack}, and --no-install forbids to install it")));
    }
    let installed = match tool.source {
        Source::Apt(package) => match apt_prefix() {
            Err(reason) => return Ok(Some(format!("{lack}, and {reason}"))),
            Ok(prefix) => {
                writeln!(out, "--- {} is lacking: installing the Debian package {package}", tool.name)?;
                install_apt(out, &prefix, package)
            }
        },
        Source::Crate { version } => {
            let folder = toolbox.folder.display();
            writeln!(out, "--- {} is lacking: installing the crate at {version} into {folder}", tool.name)?;
            install_crate(out, toolbox, tool.name, version)
        }
    };
    if let Err(error) = installed {
        return Ok(Some(format!("{lack}, and installing it failed ({error:#})")));
    }
    Ok(match toolbox.probe(tool) {
        State::Ready => None,
        State::Lacking(reason) | State::Broken(reason) => Some(format!("{reason}, even after installing it")),
    })
}

/// What goes before `apt-get` so that it may install, or why it may not.
fn apt_prefix() -> Result<Vec<&'static str>, &'static str> {
    if !Path::new("/etc/debian_version").exists() {
        return Err("this is no Debian or Ubuntu to install it on");
    }
    // Neither sudo nor the environment may stop and ask: there may be nobody to answer.
    let ask_nothing = ["env", "DEBIAN_FRONTEND=noninteractive"];
    let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.trim_ascii() == b"0");
    if root {
        return Ok(ask_nothing.to_vec());
    }
    if quiet_success(Command::new("sudo").args(["-n", "true"])) {
        return Ok([&["sudo", "-n"][..], &ask_nothing].concat());
    }
    Err("installing it takes root or a sudo without password")
}

fn quiet_success(command: &mut Command) -> bool {
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}

fn install_apt(out: &mut impl Write, prefix: &[&str], package: &str) -> Result<()> {
    let mut updated = false;
    with_retries(PAUSE, |attempt| {
        // The lists are refreshed only after a failure: mostly they are good, and refreshing is the slow part.
        if attempt > 1 && !updated {
            updated = apt_get(out, prefix, &["update"]).is_ok();
        }
        apt_get(out, prefix, &["install", "--yes", "--no-install-recommends", package])
    })
}

fn apt_get(out: &mut impl Write, prefix: &[&str], args: &[&str]) -> Result<()> {
    // Another apt-get at work is waited for instead of failed on.
    let words = [prefix, &["apt-get", "-o", "DPkg::Lock::Timeout=120"], args].concat();
    let Some((program, rest)) = words.split_first() else { bail!("nothing to run") };
    execute(out, Command::new(program).args(rest))
}

fn install_crate(out: &mut impl Write, toolbox: &Toolbox, name: &str, version: &str) -> Result<()> {
    with_retries(PAUSE, |_| {
        let mut command = Command::new(toolbox.resolve("cargo"));
        // A debug build takes a third of the time of a release build, and the tool works for a second at most.
        command.args(["install", name, "--version", version, "--locked", "--debug", "--root"]);
        command.arg(&toolbox.folder).env("CARGO_PROFILE_DEV_DEBUG", "0");
        execute(out, &mut command)
    })
}

/// Runs a command in sight of the reader; a status other than success is an error.
fn execute(out: &mut impl Write, command: &mut Command) -> Result<()> {
    writeln!(out, "$ {}", crate::run::shown(command))?;
    out.flush()?;
    let status = command.stdin(Stdio::null()).status()?;
    if !status.success() {
        bail!("{status}");
    }
    Ok(())
}

/// Tries up to [`ATTEMPTS`] times; the error is the last one.
fn with_retries(pause: Duration, mut attempt: impl FnMut(u32) -> Result<()>) -> Result<()> {
    let mut number = 1;
    loop {
        match attempt(number) {
            Err(_) if number < ATTEMPTS => thread::sleep(pause),
            done => return done,
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::{PYTHON3, STRACE};

    #[test]
    fn retries_stop_at_the_first_success() -> Result<()> {
        let mut calls = Vec::new();
        with_retries(Duration::ZERO, |number| {
            calls.push(number);
            if number < 2 {
                bail!("not yet")
            }
            Ok(())
        })?;
        assert_eq!(calls, [1, 2]);
        Ok(())
    }

    #[test]
    fn retries_give_up_with_the_last_error() {
        let given_up = with_retries(Duration::ZERO, |number| bail!("attempt {number}"));
        assert_eq!(given_up.map_err(|error| error.to_string()), Err("attempt 3".to_string()));
    }

    #[test]
    fn the_reasons_are_those_of_the_tools_needed() {
        let lacking = [
            Lacking { tool: STRACE, reason: "not installed".into() },
            Lacking { tool: PYTHON3, reason: "asleep".into() },
        ];
        assert_eq!(Lacking::of(&lacking, &[]), None);
        assert_eq!(Lacking::of(&lacking, &[PYTHON3]).as_deref(), Some("needs python3: asleep"));
        let both = "needs strace: not installed; needs python3: asleep";
        assert_eq!(Lacking::of(&lacking, &[PYTHON3, STRACE]).as_deref(), Some(both));
    }
}
