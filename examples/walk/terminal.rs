//! The report for a person at a terminal: at most 100 columns, good with colour and without.

use std::io::{Result, Write};

use manbo::{DayState, Level};

use crate::calendar::{self, Heat, Year};
use crate::journey::LateChange;
use crate::report::{Origin, Period, Report, Span, longest, mean};
use crate::words::{grouped, wrapped};

const COLUMNS: usize = 100;
/// Years drawn: more do not fit a screen.
const YEARS_DRAWN: usize = 3;
/// The widest left label is a level's name.
const LABEL: usize = 13;
const BAR_MAX: u64 = 12;
const WEEK_BAR_ROWS: u64 = 3;
const LATE_LISTED: usize = 6;
const BAD_LISTED: usize = 20;

struct Paint {
    colour: bool,
}

impl Paint {
    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour && !text.trim().is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    /// Dense glyphs carry the meaning; colours of middle brightness stand out on light and dark alike.
    fn heat(&self, heat: Heat) -> String {
        match heat {
            Heat::Outside => " ".to_owned(),
            Heat::NoLog => self.dim("\u{b7}"),
            Heat::FarBelow => self.paint("38;5;172", "\u{2591}"),
            Heat::Lowers => self.paint("38;5;179", "\u{2592}"),
            Heat::Keeps => self.paint("38;5;73", "\u{2593}"),
            // Without colour the goal is all that a full block tells.
            Heat::Raises => self.paint("38;5;36", "\u{2588}"),
            Heat::FarAbove => self.paint("38;5;41", "\u{2588}"),
        }
    }

    fn level(&self, level: Level, text: &str) -> String {
        let code = match level {
            Level::VeryObese => "38;5;167",
            Level::Obese => "38;5;172",
            Level::Overweight => "38;5;179",
            Level::Healthy => "38;5;73",
            Level::VeryHealthy => "38;5;35",
        };
        self.paint(code, text)
    }
}

/// Writes the whole report.
pub(crate) fn write(out: &mut impl Write, report: &Report, colour: bool) -> Result<()> {
    let paint = Paint { colour };
    headline(out, report, &paint)?;
    figures(out, report, &paint)?;
    let years = calendar::years(report);
    let drawn = &years[years.len().saturating_sub(YEARS_DRAWN)..];
    let most_a_week = calendar::most_of_a_week(drawn);
    for year in drawn {
        draw_year(out, report, year, most_a_week, &paint)?;
    }
    legend(out, report, &paint)?;
    periods(out, report, &paint)?;
    late(out, report, &paint)?;
    explained(out, report, &paint)?;
    bad_rows(out, report, &paint)?;
    copies(out, report, &paint)
}

fn section(out: &mut impl Write, title: &str, paint: &Paint) -> Result<()> {
    writeln!(out, "\n{}", paint.bold(title))
}

fn headline(out: &mut impl Write, report: &Report, paint: &Paint) -> Result<()> {
    let (first, last) = (report.days.first(), report.statistics.as_of);
    let first = first.map_or(last, |line| line.day);
    match &report.origin {
        Origin::Simulated { seed, days } => {
            writeln!(out, "{}", paint.bold(&format!("{} on foot, {first} to {last}", count(*days, "day"))))?;
            let line =
                format!("A simulated walker (seed {seed}), recorded on a phone, synced to a second device.");
            writeln!(out, "{}", paint.dim(&line))
        }
        Origin::Imported { file, days, .. } => {
            let days = count(*days, "day");
            writeln!(out, "{}", paint.bold(&format!("{days} on foot, {first} to {last}")))?;
            let line = format!("{file}: {}", found(&report.origin));
            wrapped(&line, COLUMNS).iter().try_for_each(|line| writeln!(out, "{}", paint.dim(line)))
        }
    }
}

/// What the import found, in a sentence or two; what there is none of is not told.
fn found(origin: &Origin) -> String {
    let Origin::Imported { rows, blank_rows, bad_rows, splits, union, days_by, sources, .. } = origin else {
        return String::new();
    };
    let figures = [
        (*blank_rows, "without a count"),
        (*splits, "split at midnight"),
        (union.duplicates, "repeated"),
        (union.overlaps, "overlapping"),
        (*bad_rows, "bad"),
    ];
    let mut text = count(*rows, "row");
    for (number, what) in figures.into_iter().filter(|(number, _)| *number > 0) {
        text = format!("{text}, {} {what}", grouped(number));
    }
    let names: Vec<&str> = sources.iter().map(|source| source.source.as_str()).collect();
    format!("{text}; {days_by}. Recorded as {}.", names.join(", "))
}

fn dates(span: Option<Span>) -> String {
    span.map_or(String::new(), |span| format!("; longest {} to {}", span.first, span.last))
}

fn count(number: impl Into<u64>, thing: &str) -> String {
    let number = number.into();
    format!("{} {thing}{}", grouped(number), if number == 1 { "" } else { "s" })
}

fn figures(out: &mut impl Write, report: &Report, paint: &Paint) -> Result<()> {
    let s = &report.statistics;
    let mean = mean(s.total_steps, u64::from(s.days_logged));
    let mut rows = vec![
        (
            "total",
            grouped(s.total_steps),
            format!("{}, {} a day", count(s.days_logged, "day"), grouped(mean)),
        ),
        ("best day", grouped(s.best_day_steps), s.best_day.map_or(String::new(), |day| day.to_string())),
    ];
    if let Some(week) = &report.best_week {
        rows.push(("best week", grouped(week.shown), format!("{}, from {}", week.label, week.first)));
    }
    rows.push(("this week", grouped(s.week_steps), format!("{} today", grouped(s.today_steps))));
    let goal = format!("now {}{}", s.goal_streak, dates(longest(&report.goal_streaks)));
    rows.push(("goal streak", count(s.longest_goal_streak, "day"), goal));
    if s.last_attended.is_some() {
        let seen = format!("now {}{}", s.attendance_streak, dates(report.longest_attendance));
        rows.push(("app streak", count(s.longest_attendance_streak, "day"), seen));
    }
    let ranked: u64 = report.days.iter().filter_map(|line| line.ranked).map(u64::from).sum();
    let typed = format!("measured; no ranking counts the other {}", grouped(s.total_steps - ranked));
    if ranked < s.total_steps {
        rows.insert(1, ("ranked", grouped(ranked), typed));
    }
    let level = format!("{} through the walk", count(report.level_changes as u64, "change"));
    rows.push(("level", s.current_level.to_string(), level));
    writeln!(out)?;
    for (name, value, note) in rows {
        let value = paint.bold(&format!("{value:>12}"));
        writeln!(out, "  {name:<LABEL$}{value}   {}", paint.dim(&note))?;
    }
    Ok(())
}

fn draw_year(
    out: &mut impl Write,
    report: &Report,
    year: &Year<'_>,
    most_a_week: u64,
    paint: &Paint,
) -> Result<()> {
    let width = year.weeks.len();
    let mut months = vec![' '; width];
    for (column, name) in year.month_starts() {
        for (at, letter) in name.chars().enumerate().filter(|(at, _)| column + at < width) {
            months[column + at] = letter;
        }
    }
    let months: String = months.into_iter().collect();
    let title = paint.bold(&format!("{:<LABEL$}", year.number));
    writeln!(out, "\n  {title}{months}  {}", paint.dim("mean steps"))?;
    let means = year.weekday_means();
    let most = means.iter().copied().max().unwrap_or(0);
    for (row, mean) in means.into_iter().enumerate() {
        let cells: String = (0..width).map(|week| paint.heat(year.heat(week, row, report))).collect();
        let name = calendar::weekday_name(year.first_weekday, row);
        let bar = paint.paint("38;5;73", &format!("{:<14}", bar(mean, most)));
        writeln!(out, "  {name:<LABEL$}{cells}  {bar}{}", paint.dim(&format!("{:>7}", grouped(mean))))?;
    }
    let hint = "the denser, the more days of a week at that level";
    writeln!(out, "\n  {:<LABEL$}{}", "", paint.dim(hint))?;
    level_rows(out, year, paint)?;
    writeln!(out)?;
    week_rows(out, year, most_a_week, paint)
}

/// For each level the weeks in which the walker had it: the denser, the more days of the week.
fn level_rows(out: &mut impl Write, year: &Year<'_>, paint: &Paint) -> Result<()> {
    let totals: Vec<u64> = Level::ALL.iter().map(|level| year.days_at(*level)).collect();
    let most = totals.iter().copied().max().unwrap_or(0);
    for (level, total) in Level::ALL.into_iter().zip(totals).rev() {
        let glyph = |days: usize| match days {
            0 => " ",
            1..=2 => "\u{2591}",
            3..=4 => "\u{2592}",
            5..=6 => "\u{2593}",
            _ => "\u{2588}",
        };
        let cells: String = year.weeks.iter().map(|week| glyph(week.days_at(level))).collect();
        let name = format!("{level:<LABEL$}");
        let bar = paint.level(level, &format!("{:<13}", bar(total, most)));
        let days = paint.dim(&format!("{:>7}", count(total, "day")));
        writeln!(out, "  {name}{}  {bar}{days}", paint.level(level, &cells))?;
    }
    Ok(())
}

fn week_rows(out: &mut impl Write, year: &Year<'_>, scale: u64, paint: &Paint) -> Result<()> {
    const EIGHTHS: [&str; 9] =
        [" ", "\u{2581}", "\u{2582}", "\u{2583}", "\u{2584}", "\u{2585}", "\u{2586}", "\u{2587}", "\u{2588}"];
    let most = year.weeks.iter().map(calendar::Week::shown).max().unwrap_or(0);
    let best = year.weeks.iter().find(|week| week.shown() == most && most > 0);
    let notes = [
        best.map_or(String::new(), |week| format!("best {}", week.label)),
        format!("{} steps", grouped(most)),
        String::new(),
    ];
    for (row, note) in notes.iter().enumerate() {
        let floor = (WEEK_BAR_ROWS - 1 - row as u64) * 8;
        let cell = |week: &calendar::Week<'_>| {
            let height = (week.shown() * WEEK_BAR_ROWS * 8).div_ceil(scale);
            EIGHTHS[usize::try_from(height.saturating_sub(floor).min(8)).unwrap_or(8)]
        };
        let cells: String = year.weeks.iter().map(cell).collect();
        let label = if row == 2 { "steps a week" } else { "" };
        writeln!(out, "  {label:<LABEL$}{}  {}", paint.paint("38;5;73", &cells), paint.dim(note))?;
    }
    Ok(())
}

fn bar(value: u64, most: u64) -> String {
    let length = (value * BAR_MAX).div_ceil(most.max(1));
    "\u{25ac}".repeat(usize::try_from(length).unwrap_or(0))
}

fn legend(out: &mut impl Write, report: &Report, paint: &Paint) -> Result<()> {
    let (drop, raise) = (report.rules.drop_below, report.rules.raise_at);
    let entries = [
        (Heat::NoLog, "no log".to_owned()),
        (Heat::FarBelow, format!("below {}", grouped(drop / 2))),
        (Heat::Lowers, format!("below {}", grouped(drop))),
        (Heat::Keeps, format!("to {}", grouped(raise - 1))),
        (Heat::Raises, format!("from {}", grouped(raise))),
        (Heat::FarAbove, format!("from {}", grouped(calendar::far_above(raise)))),
    ];
    let told = if paint.colour { &entries[..] } else { &entries[..entries.len() - 1] };
    let line: Vec<String> =
        told.iter().map(|(heat, text)| format!("{} {}", paint.heat(*heat), paint.dim(text))).collect();
    writeln!(out, "\n  {:<LABEL$}{}", "", line.join("   "))
}

fn periods(out: &mut impl Write, report: &Report, paint: &Paint) -> Result<()> {
    let periods = report.periods();
    let most = periods.iter().map(Period::mean).max().unwrap_or(0);
    let by_year = report.years().count() > 1;
    section(out, if by_year { "Year by year" } else { "Month by month" }, paint)?;
    writeln!(out, "{}", paint.dim("            steps   logged   at goal     a day"))?;
    for period in &periods {
        let mean = period.mean();
        let length = usize::try_from((mean * 40).div_ceil(most.max(1))).unwrap_or(0);
        writeln!(
            out,
            "  {:<5}{:>10}{:>9}{:>10}{:>10}  {}",
            period.label,
            grouped(period.shown),
            grouped(period.days_logged),
            grouped(period.days_at_goal as u64),
            grouped(mean),
            paint.paint("38;5;73", &"\u{25ac}".repeat(length))
        )?;
    }
    Ok(())
}

fn late(out: &mut impl Write, report: &Report, paint: &Paint) -> Result<()> {
    let all = &report.late_changes;
    if all.is_empty() {
        return Ok(());
    }
    let cascades = all.iter().filter(|change| change.later_days > 0).count();
    let found = count(all.len() as u64, "day");
    section(
        out,
        &format!("Late data changed {found}; {cascades} of them moved the levels of later days"),
        paint,
    )?;
    let mut order: Vec<&LateChange> = all.iter().collect();
    // Stable: equal ones stay in the order in which they came.
    order.sort_by_key(|change| std::cmp::Reverse((change.deletion, change.later_days)));
    let mut listed: Vec<&LateChange> = order.into_iter().take(LATE_LISTED).collect();
    listed.sort_by_key(|change| change.day);
    let titles =
        "day         source        what                steps              level                  later days";
    writeln!(out, "  {}", paint.dim(titles))?;
    for change in listed {
        writeln!(out, "  {}", late_line(change))?;
    }
    if all.len() > LATE_LISTED {
        writeln!(out, "  {}", paint.dim(&format!("and {} more", grouped((all.len() - LATE_LISTED) as u64))))?;
    }
    Ok(())
}

fn late_line(change: &LateChange) -> String {
    let after = count(change.on.since(change.day).unsigned_abs(), "day");
    let what = if change.deletion { format!("deleted {after} on") } else { format!("read {after} on") };
    let steps = |state: Option<DayState>| state.map_or("no log".to_owned(), |s| grouped(s.shown));
    let steps = format!("{} \u{2192} {}", steps(change.before), steps(change.after));
    let level = |state: Option<DayState>| state.map(|s| s.level);
    let levels = match (level(change.before), level(change.after)) {
        (Some(before), Some(after)) if before != after => format!("{before} \u{2192} {after}"),
        (_, Some(level)) | (Some(level), None) => level.to_string(),
        (None, None) => String::new(),
    };
    let later = grouped(change.later_days as u64);
    format!("{}  {:<14}{what:<20}{steps:<19}{levels:<26}{later:>5}", change.day, change.source.as_str())
}

fn explained(out: &mut impl Write, report: &Report, paint: &Paint) -> Result<()> {
    let Some(explained) = &report.explained else { return Ok(()) };
    section(out, &format!("Why {} is what it is", explained.day), paint)?;
    for line in wrapped(&explained.text, COLUMNS - 4) {
        writeln!(out, "  {line}")?;
    }
    Ok(())
}

fn bad_rows(out: &mut impl Write, report: &Report, paint: &Paint) -> Result<()> {
    let Origin::Imported { bad_rows: bad @ 1.., bad_rows_listed, .. } = &report.origin else { return Ok(()) };
    section(out, &format!("{} left out", count(*bad, "bad row")), paint)?;
    for row in bad_rows_listed.iter().take(BAD_LISTED) {
        writeln!(out, "  {}, line {}: {}", row.file, grouped(row.line), row.reason)?;
    }
    let listed = bad_rows_listed.len().min(BAD_LISTED) as u64;
    if *bad > listed {
        writeln!(out, "  {}", paint.dim(&format!("and {} more", grouped(bad - listed))))?;
    }
    Ok(())
}

fn copies(out: &mut impl Write, report: &Report, paint: &Paint) -> Result<()> {
    let (traffic, copies) = (&report.traffic, &report.copies);
    section(out, "Phone, server and second device", paint)?;
    let lost = match traffic.receipts_lost {
        0 => String::new(),
        lost => format!(" Receipts lost on the way back: {}; nothing counted twice.", grouped(lost as u64)),
    };
    let line = format!(
        "Batches sent: {}, with {}; {} refused.{lost}",
        grouped(traffic.batches as u64),
        count(traffic.facts_sent as u64, "fact"),
        grouped(traffic.facts_refused as u64),
    );
    for line in wrapped(&line, COLUMNS - 4) {
        writeln!(out, "  {line}")?;
    }
    let digests = [("phone", &copies.phone), ("server", &copies.server), ("second device", &copies.tablet)];
    for (name, digest) in digests {
        writeln!(out, "  {name:<LABEL$} {}", paint.dim(digest))?;
    }
    let verdict = if copies.equal { "All three hold the same facts." } else { "THE THREE DIFFER." };
    writeln!(out, "  {}", paint.bold(verdict))?;
    match &report.snapshot {
        Some(snapshot) => {
            writeln!(out, "  {}", paint.dim("What a widget shows, as of the last evening:"))?;
            writeln!(out, "  {}", snapshot_line(snapshot))
        }
        None => Ok(()),
    }
}

fn snapshot_line(snapshot: &manbo::Snapshot) -> String {
    format!(
        "{} of {} steps on {}, {} this week, {}, {} waiting to be sent",
        grouped(snapshot.steps),
        grouped(snapshot.goal),
        snapshot.day,
        grouped(snapshot.week_steps),
        snapshot.level,
        count(snapshot.pending as u64, "fact")
    )
}
