//! The report of an import for a person at a terminal: at most 100 columns, good with colour and without.

use std::io::{Result, Write};
use std::path::Path;

use manbo::{Extent, Reading, Source};
use manbo_import::{
    FileReport, Gap, Import, Outcome, PersonReport, Rejected, Report, SourceReport, Suspicion,
};

use super::text::{Align, COLUMNS, Paint, Table, beginning, count, ending, plain};
use super::words::{grouped, wrapped};
use super::years;

/// Rows of each list before the rest is only counted: the report of a usual export is one screen.
const FILES_LISTED: usize = 5;
const NOTES_LISTED: usize = 6;
const PEOPLE_LISTED: usize = 10;
const GAPS_LISTED: usize = 3;
const SUSPICIOUS_LISTED: usize = 5;
const REJECTS_LISTED: usize = 10;
const REFUSED_LISTED: usize = 10;
const DAYS_LISTED_INLINE: usize = 3;
/// The widest name of a file or person in a table; a longer one is cut.
const NAME_WIDTH: usize = 56;
/// The same where much stands beside it: a table of people still fits with 100 columns.
const SHORT_NAME_WIDTH: usize = 20;
/// Where the notes of the lists of figures begin.
const LABEL: usize = 15;
const FIGURE: usize = 12;

/// What became of the readings.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fate<'a> {
    /// No ledger was named.
    OnlyRead,
    /// What recording in this ledger would do.
    Rehearsed(&'a Path),
    /// What recording in this ledger did.
    Recorded(&'a Path),
}

/// Everything that is told.
pub(crate) struct Told<'a> {
    pub(crate) import: &'a Import,
    /// The present day, and who says so.
    pub(crate) today: String,
    pub(crate) fate: Fate<'a>,
    /// What became of all people's readings together.
    pub(crate) outcome: &'a Outcome,
    /// Whether every day is told.
    pub(crate) days: bool,
    pub(crate) paint: Paint,
}

/// Writes the whole report.
pub(crate) fn write(out: &mut impl Write, told: &Told<'_>) -> Result<()> {
    let report = &told.import.report;
    headline(out, told)?;
    files(out, told)?;
    match report.people.as_slice() {
        [] => {}
        [person] => sources(out, person, told.paint)?,
        people => all_people(out, people, told.paint)?,
    }
    days(out, told)?;
    records(out, report, told.paint)?;
    rejects(out, report, told.paint)?;
    ledger(out, told)?;
    if told.days { every_day(out, told) } else { Ok(()) }
}

fn section(out: &mut impl Write, title: &str, paint: Paint) -> Result<()> {
    writeln!(out, "\n{}", paint.bold(title))
}

/// A figure with its name before and a note behind it; the note goes on below itself.
fn figure(out: &mut impl Write, name: &str, value: &str, note: &str, paint: Paint) -> Result<()> {
    let indent = 2 + LABEL + FIGURE + 3;
    let mut notes = wrapped(note, COLUMNS - indent).into_iter();
    let value = paint.bold(&format!("{value:>FIGURE$}"));
    let first = notes.next().map_or(String::new(), |note| format!("   {}", paint.dim(&note)));
    writeln!(out, "  {name:<LABEL$}{value}{first}")?;
    notes.try_for_each(|note| writeln!(out, "{:indent$}{}", "", paint.dim(&note)))
}

fn headline(out: &mut impl Write, told: &Told<'_>) -> Result<()> {
    let people = &told.import.report.people;
    let days: u64 = people.iter().map(|person| person.days).sum();
    let first = people.iter().filter_map(|person| person.first).min();
    let last = people.iter().filter_map(|person| person.last).max();
    let (Some(first), Some(last)) = (first, last) else {
        return writeln!(out, "{}", told.paint.bold("No day with steps was found"));
    };
    let who = if people.len() > 1 {
        format!("{} of {}", count(days, "day"), count(people.len() as u64, "person"))
    } else {
        count(days, "day")
    };
    writeln!(out, "{}", told.paint.bold(&format!("{who} on foot, {first} to {last}")))?;
    let steps: u64 = people.iter().map(|person| person.steps).sum();
    let line = format!("{}, {} a day", count(steps, "step"), grouped((steps + days / 2) / days.max(1)));
    writeln!(out, "{}", told.paint.dim(&line))
}

fn files(out: &mut impl Write, told: &Told<'_>) -> Result<()> {
    let (report, paint) = (&told.import.report, told.paint);
    section(out, "Read", paint)?;
    let mut table = Table::new(&[("file", Align::Left), ("format", Align::Left), ("rows", Align::Right)]);
    for file in report.files.iter().take(FILES_LISTED) {
        let name = ending(&plain(&file.file), NAME_WIDTH);
        table.row(vec![name, file.format.to_owned(), grouped(file.rows)]);
    }
    write_table(out, &table, paint)?;
    if let Some(rest @ [_, ..]) = report.files.get(FILES_LISTED..) {
        let rows = rest.iter().map(|file| file.rows).sum();
        let line = format!("and {} with {}", count(rest.len() as u64, "more file"), count(rows, "row"));
        writeln!(out, "  {}", paint.dim(&line))?;
    }
    let days_by = format!("{}; today is {}", report.days_by, told.today);
    let notes = notes(&report.files);
    let mut lines: Vec<&str> = notes.iter().map(String::as_str).take(NOTES_LISTED).collect();
    lines.push(&days_by);
    for note in lines {
        for (at, line) in wrapped(&plain(note), COLUMNS - 4).into_iter().enumerate() {
            writeln!(out, "  {} {}", if at == 0 { "-" } else { " " }, paint.dim(&line))?;
        }
    }
    if notes.len() > NOTES_LISTED {
        let more = (notes.len() - NOTES_LISTED) as u64;
        writeln!(out, "    {}", paint.dim(&format!("and {}; --json has all", count(more, "more note"))))?;
    }
    Ok(())
}

/// What was detected in the files, each sentence once.
fn notes(files: &[FileReport]) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    for note in files.iter().flat_map(|file| &file.notes) {
        if !notes.contains(note) {
            notes.push(note.clone());
        }
    }
    notes
}

fn write_table(out: &mut impl Write, table: &Table, paint: Paint) -> Result<()> {
    for (at, line) in table.lines().iter().enumerate() {
        writeln!(out, "  {}", if at == 0 { paint.dim(line) } else { line.clone() })?;
    }
    Ok(())
}

fn sources(out: &mut impl Write, person: &PersonReport, paint: Paint) -> Result<()> {
    let title = match &person.name {
        Some(name) => format!("Sources of {}", beginning(&plain(name), NAME_WIDTH)),
        None => "Sources".to_owned(),
    };
    section(out, &title, paint)?;
    let typed = person.sources.iter().any(|source| source.manual > 0);
    let mut columns = vec![("source", Align::Left), ("days", Align::Right), ("steps", Align::Right)];
    columns.extend(typed.then_some(("typed in", Align::Right)));
    columns.extend([("first", Align::Left), ("last", Align::Left)]);
    let mut table = Table::new(&columns);
    for source in &person.sources {
        let mut row = vec![source.source.to_string(), grouped(source.days), grouped(source.recorded)];
        row.extend(typed.then(|| grouped(source.manual)));
        row.extend([source.first.to_string(), source.last.to_string()]);
        table.row(row);
    }
    let lines = table.lines();
    for (line, source) in lines.iter().zip(std::iter::once(None).chain(person.sources.iter().map(Some))) {
        match source {
            None => writeln!(out, "  {}", paint.dim(line))?,
            Some(source) => {
                writeln!(out, "  {line}")?;
                names(out, source, paint)?;
            }
        }
    }
    if person.sources.len() > 1 {
        let line = "A day shows the most that any of them says, never their sum.";
        writeln!(out, "  {}", paint.dim(line))?;
    }
    Ok(())
}

/// The names of a source in the files, where they are not its own.
fn names(out: &mut impl Write, source: &SourceReport, paint: Paint) -> Result<()> {
    let others: Vec<String> = source
        .names
        .iter()
        .filter(|name| !name.eq_ignore_ascii_case(source.source.as_str()))
        .map(|name| beginning(&plain(name), NAME_WIDTH))
        .collect();
    if others.is_empty() {
        return Ok(());
    }
    let line = beginning(&format!("in the files: {}", others.join(", ")), COLUMNS - 4);
    writeln!(out, "    {}", paint.dim(&line))
}

fn all_people(out: &mut impl Write, people: &[PersonReport], paint: Paint) -> Result<()> {
    section(out, "People", paint)?;
    let mut table = Table::new(&[
        ("person", Align::Left),
        ("days", Align::Right),
        ("steps", Align::Right),
        ("missing", Align::Right),
        ("first", Align::Left),
        ("last", Align::Left),
        ("sources", Align::Left),
    ]);
    for person in people.iter().take(PEOPLE_LISTED) {
        let date = |day: Option<manbo::Day>| day.map_or(String::new(), |day| day.to_string());
        let sources: Vec<&str> = person.sources.iter().map(|source| source.source.as_str()).collect();
        table.row(vec![
            short_name(person),
            grouped(person.days),
            grouped(person.steps),
            grouped(person.missing),
            date(person.first),
            date(person.last),
            beginning(&sources.join(", "), SHORT_NAME_WIDTH),
        ]);
    }
    write_table(out, &table, paint)?;
    if let Some(rest @ [_, ..]) = people.get(PEOPLE_LISTED..) {
        let days = rest.iter().map(|person| person.days).sum();
        let line = format!("and {} more with {}", grouped(rest.len() as u64), count(days, "day"));
        writeln!(out, "  {}", paint.dim(&line))?;
    }
    Ok(())
}

fn days(out: &mut impl Write, told: &Told<'_>) -> Result<()> {
    let (people, paint) = (&told.import.report.people, told.paint);
    if people.is_empty() {
        return Ok(());
    }
    section(out, "Days", paint)?;
    if let [person] = told.import.people.as_slice() {
        for line in years::lines(&person.readings, paint) {
            writeln!(out, "  {line}")?;
        }
    }
    let missing: u64 = people.iter().map(|person| person.missing).sum();
    let note = if missing == 0 {
        "none between the first and the last".to_owned()
    } else {
        format!("longest gaps: {}", longest_gaps(people))
    };
    figure(out, "missing", &grouped(missing), &note, paint)?;
    let zero: u64 = people.iter().map(|person| person.zero_days).sum();
    if zero > 0 {
        let note = "a device that was not worn looks the same in most exports";
        figure(out, "of 0 steps", &grouped(zero), note, paint)?;
    }
    suspicious(out, people, paint)
}

fn longest_gaps(people: &[PersonReport]) -> String {
    let mut gaps: Vec<(&PersonReport, Gap)> =
        people.iter().flat_map(|person| person.gaps.iter().map(move |gap| (person, *gap))).collect();
    // Stable: gaps of one length stay in the order of people and days.
    gaps.sort_by_key(|(_, gap)| std::cmp::Reverse(gap.days));
    let told = gaps.iter().take(GAPS_LISTED).map(|(person, gap)| {
        let days = if gap.days == 1 {
            gap.first.to_string()
        } else {
            format!("{} to {} ({})", gap.first, gap.last, grouped(gap.days))
        };
        if people.len() > 1 { format!("{days} of {}", short_name(person)) } else { days }
    });
    told.collect::<Vec<_>>().join(", ")
}

fn short_name(person: &PersonReport) -> String {
    person.name.as_ref().map_or("(no name)".to_owned(), |name| beginning(&plain(name), SHORT_NAME_WIDTH))
}

fn suspicious(out: &mut impl Write, people: &[PersonReport], paint: Paint) -> Result<()> {
    let total: u64 = people.iter().map(|person| person.suspicious_days).sum();
    if total == 0 {
        return Ok(());
    }
    let note = if total == 1 { "taken as it is" } else { "taken as they are" };
    figure(out, "look wrong", &grouped(total), note, paint)?;
    let several = people.len() > 1;
    let all = people.iter().flat_map(|person| person.suspicious.iter().map(move |found| (person, found)));
    let mut listed = 0;
    for (person, found) in all.take(SUSPICIOUS_LISTED) {
        let why = match found.why {
            Suspicion::SeveralDays { days_without } => {
                format!(
                    "seems to hold the {} without steps before it, too",
                    count(days_without.into(), "day")
                )
            }
            Suspicion::LongRecord => {
                "one record covers more than a day: the days' shares are a guess".to_owned()
            }
            _ => "unusual".to_owned(),
        };
        let name = if several { format!("  {}", short_name(person)) } else { String::new() };
        writeln!(out, "    {}{name}  {}  {}", found.day, found.source, paint.warning(&why))?;
        listed += 1;
    }
    if total > listed {
        writeln!(
            out,
            "    {}",
            paint.dim(&format!("and {} more; --json lists more of them", grouped(total - listed)))
        )?;
    }
    Ok(())
}

fn records(out: &mut impl Write, report: &Report, paint: Paint) -> Result<()> {
    let (union, again, arrivals) = (&report.union, &report.rereports, &report.arrivals);
    let told_again = format!(
        "days in more than one report: {} raised, {} lowered by a full report of a closed day, {} kept higher",
        grouped(again.raised),
        grouped(again.lowered),
        grouped(again.kept)
    );
    let late = format!(
        "of {} stored more than 24 hours after they ended; the longest delay was {}",
        grouped(arrivals.known),
        delay(arrivals.delay_minutes_max)
    );
    let rows: [(&str, u64, &str); 9] = [
        ("other", report.other, "not about steps, or of other people"),
        ("without a count", report.blank, "no data, which is not 0 steps"),
        ("over midnight", report.splits, "split between the days in proportion; no step is lost"),
        ("repeated", union.duplicates, "exactly like another one of the same source"),
        ("overlapping", union.overlaps, "shared time with others of the same source"),
        ("steps spared", union.steps_spared, "were not counted a second time"),
        ("told again", again.days, &told_again),
        ("late", arrivals.late, &late),
        ("too early", arrivals.early, "stored before they ended: a clock was wrong"),
    ];
    if rows.iter().all(|(_, value, _)| *value == 0) {
        return Ok(());
    }
    section(out, &format!("{} of steps", count(report.rows, "row")), paint)?;
    rows.into_iter()
        .filter(|(_, value, _)| *value > 0)
        .try_for_each(|(name, value, note)| figure(out, name, &grouped(value), note, paint))
}

fn delay(minutes: u64) -> String {
    match minutes {
        0..=119 => count(minutes, "minute"),
        120..=2_879 => count(minutes / 60, "hour"),
        _ => count(minutes / 1_440, "day"),
    }
}

/// What rows that were left out mean for the others.
const JOINS_ONLY: &str =
    "A row that was left out may be a part of any day, so no day made of records is lowered.";

fn rejects(out: &mut impl Write, report: &Report, paint: Paint) -> Result<()> {
    let rejects = &report.rejects;
    if rejects.total == 0 {
        return Ok(());
    }
    section(out, &format!("Left out: {}", count(rejects.total, "row")), paint)?;
    let listed = &rejects.listed[..rejects.listed.len().min(REJECTS_LISTED)];
    for (reason, number) in &rejects.by_reason {
        writeln!(out, "  {}   {}", paint.warning(&format!("{:>LABEL$}", grouped(*number))), reason)?;
        let places: Vec<String> =
            listed.iter().filter(|reject| reject.reason == *reason).map(place).collect();
        let more = number.saturating_sub(places.len() as u64);
        let mut text = places.join(", ");
        if more > 0 && !places.is_empty() {
            text = format!("{text} and {} more", grouped(more));
        }
        for line in wrapped(&text, COLUMNS - LABEL - 5) {
            writeln!(out, "  {:LABEL$}   {}", "", paint.dim(&line))?;
        }
    }
    if report.joins_only {
        for line in wrapped(JOINS_ONLY, COLUMNS - 2) {
            writeln!(out, "  {}", paint.dim(&line))?;
        }
    }
    Ok(())
}

fn place(reject: &Rejected) -> String {
    if reject.line == 0 {
        return "a whole day".to_owned();
    }
    // A blank in a name would be torn from the rest at the end of a line.
    let file = ending(&plain(&reject.file).replace(' ', "\u{a0}"), NAME_WIDTH);
    format!("{file}:{}", reject.line)
}

fn ledger(out: &mut impl Write, told: &Told<'_>) -> Result<()> {
    let (outcome, paint) = (told.outcome, told.paint);
    let (file, would) = match told.fate {
        Fate::OnlyRead => {
            section(out, "Ledger", paint)?;
            return writeln!(out, "  Nothing was recorded: --db names no ledger.");
        }
        Fate::Rehearsed(file) => (file, true),
        Fate::Recorded(file) => (file, false),
    };
    section(out, &format!("Ledger {}", plain(&file.display().to_string())), paint)?;
    let days = |found: &mut dyn Iterator<Item = String>, total: usize| {
        let listed: Vec<String> = found.take(DAYS_LISTED_INLINE).collect();
        let more = if total > listed.len() {
            format!(" and {} more", grouped((total - listed.len()) as u64))
        } else {
            String::new()
        };
        format!("{}{more}", listed.join(", "))
    };
    let lowered = days(
        &mut outcome.lowered.iter().map(|cell| format!("{} {}", cell.day, cell.source)),
        outcome.lowered.len(),
    );
    let lowered = format!("corrected by a full report of a closed day: {lowered}");
    let levels = format!("and the levels of {}", count(outcome.later_days_changed, "other day"));
    let rows: [(&str, u64, &str); 7] = [
        ("new", outcome.cells_new, "days of a source that had none"),
        ("changed", outcome.cells_changed, "days of a source"),
        ("  lowered", outcome.lowered.len() as u64, &lowered),
        ("known already", outcome.unchanged, ""),
        ("kept", outcome.kept, "the ledger knew more, or a correction holds it"),
        ("refused", outcome.refused.len() as u64, ""),
        ("days changed", outcome.days_changed, if outcome.later_days_changed > 0 { &levels } else { "" }),
    ];
    rows.into_iter()
        .filter(|(_, value, _)| *value > 0)
        .try_for_each(|(name, value, note)| figure(out, name, &grouped(value), note, paint))?;
    for refused in outcome.refused.iter().take(REFUSED_LISTED) {
        writeln!(out, "    {}  {}  {}", refused.day, refused.source, paint.warning(refused.code.as_str()))?;
    }
    let verdict = match (would, outcome.cells_new + outcome.cells_changed) {
        (true, 0) => "Nothing was recorded, and nothing would change.",
        (true, _) => "Nothing was recorded: this is what a run without --dry-run would do.",
        (false, 0) => "Nothing changed.",
        (false, _) => "Recorded.",
    };
    writeln!(out, "  {}", paint.good(verdict))
}

fn every_day(out: &mut impl Write, told: &Told<'_>) -> Result<()> {
    section(out, "Every day", told.paint)?;
    let several = told.import.people.len() > 1;
    let mut columns = Vec::new();
    columns.extend(several.then_some(("person", Align::Left)));
    columns.extend([
        ("day", Align::Left),
        ("source", Align::Left),
        ("recorded", Align::Right),
        ("manual", Align::Right),
        ("extent", Align::Left),
        ("offset", Align::Right),
    ]);
    let mut table = Table::new(&columns);
    for person in &told.import.people {
        let name = || beginning(&plain(person.name.as_deref().unwrap_or_default()), SHORT_NAME_WIDTH);
        for reading in &person.readings {
            let mut row = Vec::new();
            row.extend(several.then(name));
            row.extend(day_cells(reading));
            table.row(row);
        }
    }
    write_table(out, &table, told.paint)
}

fn day_cells(reading: &Reading) -> [String; 6] {
    [
        reading.day.to_string(),
        Source::as_str(&reading.source).to_owned(),
        grouped(reading.counts.recorded),
        grouped(reading.counts.manual),
        extent(reading.extent).to_owned(),
        reading.offset.map_or(String::new(), |offset| offset.minutes().to_string()),
    ]
}

/// The word for it in reports and JSON.
pub(crate) fn extent(extent: Extent) -> &'static str {
    match extent {
        Extent::Full => "full",
        Extent::Partial => "partial",
    }
}
