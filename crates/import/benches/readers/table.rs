//! Rounds in which every side reads the same file once, and the rates that come of them.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::Result;
use crate::generate::Made;

/// One way to read a file: gives the number of records that it saw.
pub(crate) struct Side {
    pub(crate) name: &'static str,
    pub(crate) read: Box<dyn Fn() -> Result<u32>>,
    /// How many it must see.
    pub(crate) records: u32,
}

/// What the last side of a group, the import, is to reach.
pub(crate) enum Goal {
    RecordsASecond(f64),
    MegabytesASecond(f64),
}

/// Sides that read the same file.
pub(crate) struct Group<'m> {
    pub(crate) made: &'m Made,
    pub(crate) goal: Goal,
    pub(crate) sides: Vec<Side>,
}

impl Group<'_> {
    /// Runs the rounds and prints a line a side; without measuring, that each side ran.
    pub(crate) fn measure(&self, out: &mut impl Write, rounds: usize, measured: bool) -> Result<()> {
        let mut times = vec![Vec::with_capacity(rounds); self.sides.len()];
        for round in 0..rounds {
            // The order turns with the round, so that no side always follows the same one.
            for turn in 0..self.sides.len() {
                let number = (round + turn) % self.sides.len();
                times[number].push(timed(&self.sides[number])?);
            }
        }
        for (side, times) in self.sides.iter().zip(&times) {
            if !measured {
                writeln!(out, "Testing {}\nSuccess", side.name)?;
                continue;
            }
            let Spread { least, median, most } = spread(times.iter().map(Duration::as_secs_f64));
            writeln!(out, "{:<24} time:   [{least:.3} s {median:.3} s {most:.3} s]", side.name)?;
            self.say_rates(out, times)?;
        }
        if measured { self.say_ratios(out, &times) } else { Ok(()) }
    }

    /// Every rate is about the step records and bytes of the file, so that the sides can be compared.
    fn say_rates(&self, out: &mut impl Write, times: &[Duration]) -> Result<()> {
        let records = spread(times.iter().map(|time| f64::from(self.made.records) / time.as_secs_f64()));
        let bytes = spread(times.iter().map(|time| self.made.megabytes() / time.as_secs_f64()));
        writeln!(
            out,
            "{:24} {:.0} step records/s ({:.0} to {:.0}), {:.1} MB/s ({:.1} to {:.1})",
            "", records.median, records.least, records.most, bytes.median, bytes.least, bytes.most
        )?;
        Ok(())
    }

    fn say_ratios(&self, out: &mut impl Write, times: &[Vec<Duration>]) -> Result<()> {
        let Some((import, bare)) = times.split_last() else { return Ok(()) };
        for (side, times) in self.sides.iter().zip(bare) {
            let ratios = spread(import.iter().zip(times).map(|(a, b)| a.as_secs_f64() / b.as_secs_f64()));
            writeln!(
                out,
                "{:24} {:.2} x the time of {} ({:.2} to {:.2})",
                "", ratios.median, side.name, ratios.least, ratios.most
            )?;
        }
        let median = spread(import.iter().map(Duration::as_secs_f64)).median;
        let (reached, wanted, unit) = match self.goal {
            Goal::RecordsASecond(wanted) => (f64::from(self.made.records) / median, wanted, "records/s"),
            Goal::MegabytesASecond(wanted) => (self.made.megabytes() / median, wanted, "MB/s"),
        };
        let met = if reached >= wanted { "met" } else { "NOT met" };
        writeln!(out, "{:24} goal >= {wanted:.0} {unit}: {met}\n", "")?;
        Ok(())
    }
}

fn timed(side: &Side) -> Result<Duration> {
    let start = Instant::now();
    let seen = (side.read)()?;
    let took = start.elapsed();
    if seen != side.records {
        return Err(format!("{} saw {seen} records of {}", side.name, side.records).into());
    }
    Ok(took)
}

struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

fn spread(values: impl Iterator<Item = f64>) -> Spread {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    Spread { least: at(0), median: at(values.len() / 2), most: at(values.len().saturating_sub(1)) }
}
