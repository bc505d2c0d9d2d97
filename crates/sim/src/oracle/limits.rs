//! The limits of the contract, each with the section that it comes from.

use super::fact::DayNumber;
use super::replica::Refused;

/// 2000-01-01, the first day (section 2): 30 years of 365 days and 7 leap days after 1970-01-01.
pub const FIRST_DAY: DayNumber = 30 * 365 + 7;

/// 2199-12-31, the last day (section 2): 200 years of 365 days after 2000-01-01, with the 50 leap days of
/// 2000 to 2196 less the one that 2100 does not have; the last day itself is one less.
pub const LAST_DAY: DayNumber = FIRST_DAY + 200 * 365 + 49 - 1;

/// Steps of a reading, and of each component of a register (section 8). 200 a minute for 24 h is 288,000.
pub const STEPS: u32 = 300_000;

/// Shown steps of a day (section 3).
pub const SHOWN: u32 = 300_000;

/// Ranked steps of a day (section 3).
pub const RANKED: u32 = 100_000;

/// Sources of one user (section 2).
pub const SOURCES: usize = 16;

/// The least and the greatest UTC offset, in minutes (section 8).
pub const OFFSETS: (i16, i16) = (-720, 840);

/// How far a client's epoch may be above the server's (section 3).
pub const EPOCH_LEAD: u32 = 4_096;

/// The last open epoch: epochs fill a `u16` (section 8), and even ones are open (section 2).
pub const LAST_OPEN_EPOCH: u16 = u16::MAX - 1;

/// The range of section 2.
///
/// # Errors
/// `day_out_of_range`.
pub fn check_range(day: DayNumber) -> Result<(), Refused> {
    if (FIRST_DAY..=LAST_DAY).contains(&day) { Ok(()) } else { Err(Refused::DayOutOfRange) }
}

/// The range of section 2, and not later than tomorrow (section 8).
///
/// # Errors
/// `day_out_of_range`.
pub fn check_day(day: DayNumber, today: DayNumber) -> Result<(), Refused> {
    check_range(day)?;
    if day <= today + 1 { Ok(()) } else { Err(Refused::DayOutOfRange) }
}

/// Each component of a register (section 8).
///
/// # Errors
/// `implausible_steps`.
pub fn check_counts(counts: Option<(u32, u32)>) -> Result<(), Refused> {
    match counts {
        Some((recorded, manual)) if recorded > STEPS || manual > STEPS => Err(Refused::ImplausibleSteps),
        _ => Ok(()),
    }
}
