//! What a widget shows: a small JSON file that needs neither this library nor the database to be read.

use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::domain::day::{Day, Now};
use crate::domain::ledger::Ledger;
use crate::domain::level::Level;
use crate::error::{Error, Result};
use crate::rules::Rules;

/// The version of the snapshot's form; a reader ignores a file with another one.
pub const SNAPSHOT_VERSION: u32 = 1;

/// The numbers of a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// [`SNAPSHOT_VERSION`].
    pub version: u32,
    /// When it was taken, in Unix milliseconds.
    pub taken_ms: i64,
    /// The day it is about.
    pub day: Day,
    /// Shown steps of that day.
    pub steps: u32,
    /// The goal of a day.
    pub goal: u32,
    /// Shown steps of the week so far.
    pub week_steps: u64,
    /// The level.
    pub level: Level,
    /// Days in a row at the goal.
    pub goal_streak: u32,
    /// Days in a row on which the app was opened.
    pub attendance_streak: u32,
    /// Facts that wait to be sent.
    pub pending: usize,
}

impl Snapshot {
    /// The snapshot of a ledger as of a day.
    pub fn of(ledger: &Ledger, rules: &Rules, as_of: Day, now: Now) -> Snapshot {
        let statistics = ledger.statistics(rules.statistics(), as_of);
        Snapshot {
            version: SNAPSHOT_VERSION,
            taken_ms: now.unix_ms,
            day: as_of,
            steps: statistics.today_steps,
            goal: rules.goal(),
            week_steps: statistics.week_steps,
            level: statistics.current_level,
            goal_streak: statistics.goal_streak,
            attendance_streak: statistics.attendance_streak,
            pending: ledger.pending_count(),
        }
    }

    /// The JSON text.
    pub fn to_json(&self) -> String {
        // Plain numbers and names always have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Writes the JSON so that a reader sees the old file or the new one, never half of one, also when an
    /// app and its widget write at once.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::ReadOnly`], or [`Error::Unreachable`] when the folder cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}.new", std::process::id()));
        let written = std::fs::File::create(&name)
            .and_then(|mut file| {
                file.write_all(self.to_json().as_bytes())?;
                file.sync_all()
            })
            .and_then(|()| std::fs::rename(&name, path));
        if written.is_err() {
            // Half a file of our own making.
            let _ = std::fs::remove_file(&name);
        }
        written.map_err(|error| Error::of_io(&error))
    }
}
