//! The library in thirty lines: open, record, correct, ask, explain. Its output is the same in every language.

use std::io::Write;

use manbo::{Day, Now, Options, Reading, Source, StepBook};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let mut book = StepBook::open(folder.path().join("steps.db"), &Options::new())?;
    let mut out = std::io::stdout().lock();
    let (phone, watch) = (Source::new("apple-health")?, Source::new("garmin")?);
    let (monday, tuesday): (Day, Day) = ("2022-10-03".parse()?, "2022-10-04".parse()?);

    // Monday evening: the phone has counted so far, and the person has opened the app.
    book.record(&Reading::new(monday, phone, 9_200), Now::on(monday))?;
    book.attend(monday, Now::on(monday))?;

    // Tuesday: the watch brings a better Monday, and the phone a Tuesday with a walk typed in.
    let now = Now::on(tuesday);
    for change in book.record(&Reading::new(monday, watch, 10_450).full(), now)? {
        let before = change.before.map_or(0, |state| state.shown);
        let after = change.after.map_or(0, |state| state.shown);
        writeln!(out, "changed: {} from {before} to {after}", change.day)?;
    }
    book.record(&Reading::new(tuesday, phone, 4_800).with_manual(1_500), now)?;
    book.attend(tuesday, now)?;

    let statistics = book.statistics(tuesday)?;
    writeln!(out, "total: {}, this week: {}", statistics.total_steps, statistics.week_steps)?;
    writeln!(out, "best day: {} steps", statistics.best_day_steps)?;
    writeln!(out, "level: {}", statistics.current_level)?;
    writeln!(out, "opened: {} days in a row", statistics.attendance_streak)?;
    writeln!(out, "explain: {}", book.explain(monday)?)?;
    writeln!(out, "pending: {}", book.pending_count()?)?;
    Ok(())
}
