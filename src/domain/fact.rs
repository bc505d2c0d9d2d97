//! The facts of a ledger, as they travel: registers and attended days.

use serde::{Deserialize, Serialize};

use super::code::{Code, Refusal};
use super::day::Day;
use super::register::Register;
use super::steps::{Counts, Source};

/// A fact that was refused, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The fact, exactly as it came.
    pub fact: Fact,
    /// The code.
    pub code: Code,
}

/// One fact of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fact {
    /// A cell's register.
    Cell {
        /// The day.
        day: Day,
        /// The source.
        source: Source,
        /// The register.
        register: Register,
    },
    /// The person opened the app on this day.
    Attended(Day),
}

impl Fact {
    /// The day it is about.
    pub const fn day(&self) -> Day {
        match self {
            Fact::Cell { day, .. } | Fact::Attended(day) => *day,
        }
    }

    /// Refuses what no ledger can hold: a day out of range, a component above the limit.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        if !self.day().is_storable() {
            return Err(Refusal::DayOutOfRange);
        }
        match self {
            Fact::Cell { register, .. } => register.counts.map_or(Ok(()), Counts::check_register),
            Fact::Attended(_) => Ok(()),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CellJson {
    day: Day,
    source: Source,
    epoch: u16,
    recorded: Option<u32>,
    manual: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AttendedJson {
    attended: Day,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum FactJson {
    Attended(AttendedJson),
    Cell(CellJson),
}

impl<'de> Deserialize<'de> for Fact {
    /// Reads what [`Fact`] writes. The limits of section 8 are the ledger's to check.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Fact, D::Error> {
        Ok(match FactJson::deserialize(deserializer)? {
            FactJson::Attended(AttendedJson { attended }) => Fact::Attended(attended),
            FactJson::Cell(CellJson { day, source, epoch, recorded, manual }) => {
                let counts = recorded.map(|recorded| Counts::new(recorded, manual));
                Fact::Cell { day, source, register: Register { epoch, counts } }
            }
        })
    }
}

impl Serialize for Fact {
    /// `{"day", "source", "epoch", "recorded", "manual"}` with `"recorded": null` for absent, or
    /// `{"attended": day}`.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Fact::Cell { day, source, register } => CellJson {
                day: *day,
                source: *source,
                epoch: register.epoch,
                recorded: register.counts.map(|c| c.recorded),
                manual: register.counts.map_or(0, |c| c.manual),
            }
            .serialize(serializer),
            Fact::Attended(day) => serializer.collect_map([("attended", day)]),
        }
    }
}
