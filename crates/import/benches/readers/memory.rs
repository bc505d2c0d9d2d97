//! The peak memory of an import, in a process that does nothing else.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::generate::Made;
use crate::{Result, import};

/// Tells this program to import one file and say what it took.
const VARIABLE: &str = "MANBO_BENCH_IMPORT";
/// The goal, 64 MiB, whatever the size of the file.
const PEAK_KIB_MAX: u32 = 64 * 1024;

/// The file that this process is only here to import.
pub(crate) fn asked_for() -> Option<PathBuf> {
    std::env::var_os(VARIABLE).map(PathBuf::from)
}

/// Imports the file, and prints the number of records and the peak in KiB.
pub(crate) fn answer(path: &Path) -> ExitCode {
    let printed = import(path)
        .and_then(|records| Ok(writeln!(std::io::stdout(), "{records} {}", peak_kib().unwrap_or_default())?));
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The high-water mark of this process, where the system tells it.
fn peak_kib() -> Option<u32> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// Measures the import of a file in a fresh process; whether it keeps the limit.
pub(crate) fn measure(out: &mut impl Write, name: &str, made: &Made, measured: bool) -> Result<bool> {
    let child = Command::new(std::env::current_exe()?).env(VARIABLE, &made.path).output()?;
    if !child.status.success() {
        return Err(String::from_utf8_lossy(&child.stderr).into_owned().into());
    }
    let said = String::from_utf8(child.stdout)?;
    let (records, kib) = said.trim().split_once(' ').ok_or("the child process said nothing")?;
    if records.parse::<u32>()? != made.records {
        return Err(format!("{name}: {records} records of {} were read", made.records).into());
    }
    let kib: u32 = kib.parse()?;
    if !measured {
        writeln!(out, "Testing memory/{name}\nSuccess")?;
    } else if kib == 0 {
        writeln!(out, "memory/{name}: this system does not tell")?;
    } else {
        let (mib, limit) = (f64::from(kib) / 1024.0, PEAK_KIB_MAX / 1024);
        let met = if kib <= PEAK_KIB_MAX { "met" } else { "NOT met" };
        let records = made.records;
        writeln!(
            out,
            "memory/{name}: {mib:.1} MiB at most for {records} records; goal <= {limit} MiB: {met}"
        )?;
    }
    Ok(kib <= PEAK_KIB_MAX)
}
