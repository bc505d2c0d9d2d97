//! The command line, and what it says to the library.

use std::path::PathBuf;

use chrono_tz::Tz;
use clap::{Args, Parser, Subcommand};
use manbo::{Day, SOURCE_LEN_MAX, Source, USER_LEN_MAX};
use manbo_import::{CsvOptions, DateOrder, ImportOptions, SOURCE_DEFAULT};

/// The minutes of a day: a slot ends within its day.
const SLOT_MINUTES_MAX: i64 = 1_440;

const COLUMN_HELP: &str = "CSV: the title of the column for a role (person, source, report, reported_at, day, \
     hour, minute, start, end, arrived, steps, manual, boot); may be repeated";

/// Reads real step exports into a step ledger, and writes ledgers as files.
#[derive(Debug, Parser)]
#[command(name = "manbo-import", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Read exports of Apple Health, Fitbit, Google and Samsung, and CSV; plain, gzip, zip or folders
    ///
    /// All files together are one import: steps that two of them tell are counted once. Without --db nothing
    /// is recorded: the report is all there is.
    Import(Box<ImportArgs>),
    /// Write a ledger to standard output
    Export(ExportArgs),
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own on the command line")]
pub(crate) struct ImportArgs {
    /// Files or folders
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Record in this ledger, which is created where there is none
    #[arg(long, value_name = "FILE")]
    pub(crate) db: Option<PathBuf>,
    /// Take this person only, of files with several; record files that name nobody under this user
    #[arg(long, value_name = "NAME", value_parser = user)]
    pub(crate) user: Option<String>,
    /// The IANA zone in which moments become days, such as Europe/Berlin [default: the printed offsets]
    #[arg(long, value_parser = zone)]
    pub(crate) zone: Option<Tz>,
    /// The walker's present day [default: the clock's, in --zone or else in UTC]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub(crate) today: Option<Day>,
    /// The source of steps whose file names none
    #[arg(long, value_name = "NAME", default_value = SOURCE_DEFAULT, value_parser = source)]
    pub(crate) source: Source,
    /// Keep the device or app NAME as this source; may be repeated
    #[arg(long = "map", value_name = "NAME=SOURCE", value_parser = mapping)]
    pub(crate) maps: Vec<(String, Source)>,
    #[arg(long = "column", value_name = "ROLE=TITLE", value_parser = column, help = COLUMN_HELP)]
    pub(crate) columns: Vec<(String, String)>,
    /// CSV: what separates fields: `,` or `;` or `tab`
    #[arg(long, value_name = "C", value_parser = delimiter)]
    pub(crate) delimiter: Option<u8>,
    /// CSV: the order in dates such as 04/05/2016: mdy, dmy or ymd
    #[arg(long, value_name = "ORDER", value_parser = date_order)]
    pub(crate) dates: Option<DateOrder>,
    /// CSV: how many minutes a row without an end lasts
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(1..=SLOT_MINUTES_MAX))]
    pub(crate) slot: Option<u32>,
    /// CSV: the day of rows whose times have no date
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub(crate) day: Option<Day>,
    /// Lower nothing: for an export that is older than what the ledger knows
    #[arg(long)]
    pub(crate) join_only: bool,
    /// Tell what a run would do, and record nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print one JSON object for programs instead of the report
    #[arg(long)]
    pub(crate) json: bool,
    /// Print every day, too
    #[arg(long)]
    pub(crate) days: bool,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("form").required(true))]
pub(crate) struct ExportArgs {
    /// The ledger
    #[arg(long, value_name = "FILE")]
    pub(crate) db: PathBuf,
    /// Whose, where the ledger holds several people
    #[arg(long, value_name = "NAME", value_parser = user)]
    pub(crate) user: Option<String>,
    /// CSV, one cell a row: day, source, recorded, manual, epoch
    #[arg(long, group = "form")]
    pub(crate) csv: bool,
    /// Canonical JSON, one fact a line
    #[arg(long, group = "form")]
    pub(crate) jsonl: bool,
}

impl ImportArgs {
    /// The library's options on a day.
    pub(crate) fn options(&self, today: Day) -> ImportOptions {
        let mut options = ImportOptions::new(today);
        options.zone = self.zone;
        options.source = self.source;
        options.sources = self.maps.iter().cloned().collect();
        options.user.clone_from(&self.user);
        options.join_only = self.join_only;
        options.csv = CsvOptions {
            columns: self.columns.iter().cloned().collect(),
            delimiter: self.delimiter,
            dates: self.dates,
            slot_minutes: self.slot,
            day: self.day,
        };
        options
    }
}

fn day(text: &str) -> Result<Day, String> {
    let day: Day = text.parse().map_err(|_| "a date that exists, as YYYY-MM-DD".to_owned())?;
    if day.is_storable() { Ok(day) } else { Err(format!("a day from {} to {}", Day::FIRST, Day::LAST)) }
}

fn zone(text: &str) -> Result<Tz, String> {
    text.parse().map_err(|_| "an IANA zone, such as Europe/Berlin or America/New_York".to_owned())
}

fn user(text: &str) -> Result<String, String> {
    match text.len() {
        0 => Err("a name is not empty".to_owned()),
        1..=USER_LEN_MAX => Ok(text.to_owned()),
        _ => Err(format!("a name has at most {USER_LEN_MAX} bytes")),
    }
}

fn source(text: &str) -> Result<Source, String> {
    Source::new(text).map_err(|_| format!("a source is 1 to {SOURCE_LEN_MAX} characters of a-z, 0-9 and '-'"))
}

fn mapping(text: &str) -> Result<(String, Source), String> {
    // A name may hold the sign, a source may not.
    let (name, to) = text.rsplit_once('=').ok_or("as in 'My Watch=watch'")?;
    Ok((name.to_owned(), source(to)?))
}

fn column(text: &str) -> Result<(String, String), String> {
    let (role, title) = text.split_once('=').ok_or("as in 'steps=Number of steps'")?;
    if role.is_empty() || title.is_empty() {
        return Err("neither the role nor the title is empty".to_owned());
    }
    Ok((role.to_owned(), title.to_owned()))
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text {
        "," => Ok(b','),
        ";" => Ok(b';'),
        "tab" | "\t" | "\\t" => Ok(b'\t'),
        _ => Err("one of , and ; and tab".to_owned()),
    }
}

fn date_order(text: &str) -> Result<DateOrder, String> {
    match text {
        "mdy" => Ok(DateOrder::Mdy),
        "dmy" => Ok(DateOrder::Dmy),
        "ymd" => Ok(DateOrder::Ymd),
        _ => Err("one of mdy, dmy and ymd".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn import(line: &[&str]) -> Result<ImportArgs, clap::Error> {
        let line = ["manbo-import", "import"].iter().chain(line);
        match Cli::try_parse_from(line)?.command {
            Command::Import(args) => Ok(*args),
            Command::Export(_) => unreachable!("`import` was asked for"),
        }
    }

    #[test]
    fn the_description_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_reach_the_library() {
        let args = import(&[
            "a.csv",
            "b.zip",
            "--zone",
            "Asia/Seoul",
            "--map",
            "a=b=watch",
            "--map",
            "Phone=phone",
            "--column",
            "steps=n=1",
            "--delimiter",
            "tab",
            "--dates",
            "dmy",
            "--slot",
            "15",
            "--day",
            "2026-03-01",
            "--join-only",
            "--user",
            "ana",
            "--source",
            "fit",
        ])
        .unwrap();
        let options = args.options("2026-11-21".parse().unwrap());
        assert_eq!((args.files.len(), options.today.to_string().as_str()), (2, "2026-11-21"));
        assert_eq!(options.zone, Some(chrono_tz::Asia::Seoul));
        assert_eq!(options.sources["a=b"].as_str(), "watch");
        assert_eq!(options.sources["Phone"].as_str(), "phone");
        assert_eq!(options.csv.columns["steps"], "n=1");
        assert_eq!((options.csv.delimiter, options.csv.dates), (Some(b'\t'), Some(DateOrder::Dmy)));
        assert_eq!((options.csv.slot_minutes, options.csv.day.map(Day::ymd)), (Some(15), Some((2026, 3, 1))));
        assert_eq!((options.join_only, options.user.as_deref()), (true, Some("ana")));
        assert_eq!(options.source.as_str(), "fit");
    }

    #[test]
    fn wrong_values_are_told() {
        let long = "x".repeat(USER_LEN_MAX + 1);
        for wrong in [
            vec![],
            vec!["a", "--zone", "Berlin"],
            vec!["a", "--today", "2026-02-30"],
            vec!["a", "--today", "1999-12-31"],
            vec!["a", "--source", "No Such"],
            vec!["a", "--map", "Watch"],
            vec!["a", "--map", "Watch=My Watch"],
            vec!["a", "--column", "=n"],
            vec!["a", "--column", "steps="],
            vec!["a", "--column", "steps"],
            vec!["a", "--delimiter", "|"],
            vec!["a", "--dates", "ydm"],
            vec!["a", "--slot", "0"],
            vec!["a", "--slot", "1441"],
            vec!["a", "--user", ""],
            vec!["a", "--user", &long],
            vec!["a", "--what"],
        ] {
            let error = import(&wrong).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{wrong:?}");
        }
    }

    #[test]
    fn an_export_has_one_form() {
        let export = |line: &[&str]| {
            Cli::try_parse_from(["manbo-import", "export", "--db", "x"].iter().chain(line)).is_ok()
        };
        assert!(export(&["--csv"]) && export(&["--jsonl", "--user", "ana"]));
        assert!(!export(&[]) && !export(&["--csv", "--jsonl"]));
    }
}
