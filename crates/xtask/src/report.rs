//! What the reader sees at the end: one row a suite, and the line that counts them.

use std::io::Write;
use std::time::Duration;

use anyhow::Result;

use crate::suites::Suite;
use crate::tally::Tally;

/// How a suite ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Every step passed.
    Passed,
    /// A step failed, and which.
    Failed(String),
    /// It could not run here, and why.
    Skipped(String),
}

/// One row of the final table.
#[derive(Debug)]
pub(crate) struct Row {
    /// The suite.
    pub(crate) suite: &'static str,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// What it ran, when it is a suite of tests.
    pub(crate) tally: Option<Tally>,
    /// How long it took, building included.
    pub(crate) took: Duration,
}

impl Row {
    /// The row of a suite that never started.
    pub(crate) fn not_run(suite: &'static str, outcome: Outcome) -> Self {
        Self { suite, outcome, tally: None, took: Duration::ZERO }
    }

    fn note(&self) -> String {
        let reason = match &self.outcome {
            Outcome::Passed => None,
            Outcome::Failed(reason) | Outcome::Skipped(reason) => Some(reason.clone()),
        };
        let ignored = self.tally.map_or(0, |tally| tally.ignored);
        let ignored = (ignored > 0).then(|| format!("{ignored} ignored"));
        reason.into_iter().chain(ignored).collect::<Vec<_>>().join("; ")
    }
}

/// Writes the table of results and, as the last line, the counts.
pub(crate) fn summary(out: &mut impl Write, rows: &[Row]) -> Result<()> {
    let mut table = vec![["suite", "result", "tests", "seconds", "note"].map(String::from)];
    table.extend(rows.iter().map(|row| {
        let result = match row.outcome {
            Outcome::Passed => "passed",
            Outcome::Failed(_) => "FAILED",
            Outcome::Skipped(_) => "skipped",
        };
        let tests = row.tally.map_or_else(|| "-".to_string(), |tally| tally.ran().to_string());
        [row.suite.into(), result.into(), tests, format!("{:.1}", row.took.as_secs_f64()), row.note()]
    }));
    writeln!(out, "\n{}\n{}", aligned(&table, &[2, 3]), counts(rows))?;
    out.flush()?;
    Ok(())
}

/// The last line: how many suites passed, failed and, if any, were skipped.
fn counts(rows: &[Row]) -> String {
    let (mut passed, mut failed, mut skipped) = (0_usize, 0_usize, 0_usize);
    for row in rows {
        match row.outcome {
            Outcome::Passed => passed += 1,
            Outcome::Failed(_) => failed += 1,
            Outcome::Skipped(_) => skipped += 1,
        }
    }
    let skipped = if skipped == 0 { String::new() } else { format!(", {skipped} skipped") };
    format!("{passed} passed, {failed} failed{skipped}")
}

/// Writes the table of suites.
pub(crate) fn list(out: &mut impl Write, suites: &[Suite]) -> Result<()> {
    let mut table = vec![["suite", "sizes", "needs", "proves"].map(String::from)];
    table.extend(suites.iter().map(|suite| {
        let sizes = if suite.has_long() { "gate, long" } else { "gate" };
        let needs: Vec<_> = suite.needs.iter().map(|tool| tool.name).collect();
        let needs = if needs.is_empty() { "-".to_string() } else { needs.join(", ") };
        [suite.name.into(), sizes.into(), needs, suite.proves.into()]
    }));
    write!(out, "{}", aligned(&table, &[]))?;
    out.flush()?;
    Ok(())
}

/// Rows of equal length as columns of equal width; the columns in `right` are numbers.
fn aligned<const N: usize>(rows: &[[String; N]], right: &[usize]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
            if right.contains(&column) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suites::SUITES;

    fn rows() -> Vec<Row> {
        let tally = Some(Tally { passed: 41, failed: 0, ignored: 2 });
        let took = Duration::from_millis(12_340);
        vec![
            Row { suite: "unit", outcome: Outcome::Passed, tally, took },
            Row::not_run("syscalls", Outcome::Skipped("needs strace".into())),
            Row { suite: "package", outcome: Outcome::Failed("no README.md".into()), tally: None, took },
        ]
    }

    fn summary_of(rows: &[Row]) -> Result<String> {
        let mut out = Vec::new();
        summary(&mut out, rows)?;
        Ok(String::from_utf8(out)?)
    }

    #[test]
    fn the_summary_is_a_table_and_a_last_line() -> Result<()> {
        let expected = "
suite     result   tests  seconds  note
unit      passed      41     12.3  2 ignored
syscalls  skipped      -      0.0  needs strace
package   FAILED       -     12.3  no README.md

1 passed, 1 failed, 1 skipped
";
        assert_eq!(summary_of(&rows())?, expected);
        Ok(())
    }

    #[test]
    fn without_a_skip_the_last_line_names_none() -> Result<()> {
        let mut rows = rows();
        rows.remove(1);
        assert!(summary_of(&rows)?.ends_with("\n1 passed, 1 failed\n"));
        Ok(())
    }

    #[test]
    fn a_failed_suite_of_tests_keeps_both_notes() {
        let mut row = rows().remove(0);
        row.outcome = Outcome::Failed("exit status: 101".into());
        assert_eq!(row.note(), "exit status: 101; 2 ignored");
    }

    #[test]
    fn the_list_has_a_row_for_every_suite() -> Result<()> {
        let mut out = Vec::new();
        list(&mut out, SUITES)?;
        let text = String::from_utf8(out)?;
        assert_eq!(text.lines().count(), SUITES.len() + 1);
        for suite in SUITES {
            let row = text.lines().find(|line| line.split_whitespace().next() == Some(suite.name));
            assert!(row.is_some_and(|row| row.ends_with(suite.proves)), "{}", suite.name);
        }
        Ok(())
    }
}
