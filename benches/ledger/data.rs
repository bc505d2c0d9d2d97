//! The steps of a walker, from a fixed seed, and what the library is told about them.

use manbo::{Day, Now, Reading, Source, UtcOffset};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

pub(crate) const YEAR: usize = 365;
pub(crate) const TEN_YEARS: usize = 3_650;
/// Seoul: like most zones, and unlike UTC, an offset that takes bytes in a row.
pub(crate) const OFFSET_MINUTES: i16 = 540;
/// A ledger of one source, as most are.
const SOURCE: &str = "apple-health";

/// The day on which every ledger here ends.
pub(crate) fn today() -> Result<Day> {
    Ok(Day::from_ymd(2026, 11, 20)?)
}

pub(crate) fn now() -> Result<Now> {
    Ok(Now::on(today()?))
}

/// `SplitMix64`: three lines, no dependency, the same numbers everywhere.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 31
}

/// Typical days: 2,000 to 14,000 steps, now and then a sick day or a long walk. All levels occur.
pub(crate) fn typical(days: usize) -> Vec<u32> {
    let mut state = 20_261_121;
    (0..days)
        .map(|_| {
            let draw = next(&mut state);
            let steps = match draw % 40 {
                0 => 300 + (draw >> 8) % 900,
                1 => 16_000 + (draw >> 8) % 9_000,
                _ => 2_000 + (draw >> 8) % 12_000,
            };
            u32::try_from(steps).unwrap_or(0)
        })
        .collect()
}

/// A day and its steps, oldest first, ending today.
#[derive(Clone)]
pub(crate) struct History {
    pub(crate) days: Vec<(Day, u32)>,
}

impl History {
    pub(crate) fn of(days: usize) -> Result<History> {
        History::ending(today()?, days)
    }

    pub(crate) fn ending(last: Day, days: usize) -> Result<History> {
        let first = last.plus(1 - i32::try_from(days)?);
        Ok(History { days: (0..).map(|n| first.plus(n)).zip(typical(days)).collect() })
    }

    /// Every day so many steps higher.
    pub(crate) fn grown(&self, by: u32) -> History {
        History { days: self.days.iter().map(|(day, steps)| (*day, steps + by)).collect() }
    }

    pub(crate) fn readings(&self) -> Result<Vec<Reading>> {
        self.days.iter().map(|(day, steps)| reading(*day, *steps)).collect()
    }

    /// One more step today, every time; after 100,000 of them yesterday grows, so that no count ever
    /// reaches its limit.
    pub(crate) fn one_step_more(&self, turn: u32) -> (Day, u32) {
        let back = usize::try_from(turn / 100_000).unwrap_or(0) % self.days.len();
        let (day, steps) = self.days[self.days.len() - 1 - back];
        (day, steps + 1 + turn % 100_000)
    }
}

fn source() -> Result<Source> {
    Ok(Source::new(SOURCE)?)
}

pub(crate) fn reading(day: Day, steps: u32) -> Result<Reading> {
    let offset = UtcOffset::from_minutes(OFFSET_MINUTES.into())?;
    Ok(Reading::new(day, source()?, steps).with_offset(offset))
}
