//! A ledger file as JSON lines: `cargo run --example dump -- FILE [USER]`.
//!
//! For each user a line with the user's name and statistics, then a line for each cell and each attended
//! day. Without a name: everyone in the file.

use std::collections::HashSet;
use std::error::Error;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use manbo::{CellView, Day, Fact, Ledger, Options, Rules, Statistics, Store};
use serde::Serialize;

const USAGE: &str = "Usage: cargo run --example dump -- FILE [USER]";

#[derive(Serialize)]
struct UserLine<'a> {
    user: &'a str,
    revision: u64,
    pending: usize,
    digest: String,
    statistics: Option<Statistics>,
}

#[derive(Serialize)]
struct CellLine<'a> {
    user: &'a str,
    #[serde(flatten)]
    cell: CellView,
}

#[derive(Serialize)]
struct AttendedLine<'a> {
    user: &'a str,
    attended: Day,
    pending: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let (file, user) = match arguments.as_slice() {
        [file] if file != "--help" => (Path::new(file), None),
        [file, user] => (Path::new(file), Some(user.to_string_lossy().into_owned())),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match dump(file, user) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(error.as_ref()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dump: {}: {error}", file.display());
            ExitCode::FAILURE
        }
    }
}

/// A reader that has seen enough (`dump | head`) is no failure.
fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    let kind = |error: &serde_json::Error| error.io_error_kind();
    let io = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    io.or_else(|| error.downcast_ref().and_then(kind)) == Some(ErrorKind::BrokenPipe)
}

fn dump(file: &Path, user: Option<String>) -> Result<(), Box<dyn Error>> {
    // Opening creates what is not there, which a dump must not.
    // It would also make a ledger of an empty file.
    let found = file.metadata()?;
    if !found.is_file() || found.len() == 0 {
        return Err("not a ledger file".into());
    }
    let mut store = Store::open(file, &Options::new())?;
    let known = store.users()?;
    let users = match user {
        Some(name) if known.contains(&name) => vec![name],
        Some(_) => return Err("no such user".into()),
        None => known,
    };
    let mut out = BufWriter::new(std::io::stdout().lock());
    for user in &users {
        write_ledger(&mut out, user, &store.read(user)?)?;
    }
    out.flush()?;
    for aside in &store.report().set_aside {
        eprintln!("dump: a damaged row of {} was set aside", aside.table);
    }
    for recovered in &store.report().recovered {
        eprintln!("dump: the file was damaged; it was moved to {}", recovered.moved_to.display());
    }
    Ok(())
}

fn write_ledger(out: &mut impl Write, user: &str, ledger: &Ledger) -> Result<(), Box<dyn Error>> {
    let last = ledger.timeline().last_logged();
    let line = UserLine {
        user,
        revision: ledger.revision(),
        pending: ledger.pending_count(),
        digest: ledger.digest().to_string(),
        statistics: last.map(|day| ledger.statistics(Rules::default().statistics(), day)),
    };
    write_line(out, &line)?;
    for cell in ledger.cells() {
        write_line(out, &CellLine { user, cell })?;
    }
    let pending: HashSet<Fact> = ledger.pending().into_iter().collect();
    for fact in ledger.facts() {
        if let Fact::Attended(attended) = fact {
            write_line(out, &AttendedLine { user, attended, pending: pending.contains(&fact) })?;
        }
    }
    Ok(())
}

fn write_line(out: &mut impl Write, line: &impl Serialize) -> Result<(), Box<dyn Error>> {
    serde_json::to_writer(&mut *out, line)?;
    Ok(writeln!(out)?)
}
