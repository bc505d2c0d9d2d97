//! Readings of a client that knows nothing of registers: a day and its steps so far.

use super::code::{Code, Refusal};
use super::day::{Day, Now, UtcOffset};
use super::fact::Fact;
use super::ingest::IngestPolicy;
use super::ledger::Ledger;
use super::register::Register;
use super::steps::{Counts, Source};
use super::timeline::Change;

/// The source of plain readings.
pub const PLAIN_SOURCE: &str = "plain";

/// A day and its recorded steps so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlainReading {
    /// The civil day where the walker was.
    pub day: Day,
    /// Recorded steps.
    pub steps: u32,
}

/// What plain readings did on the server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct TakenPlain {
    /// One an item, in their order: `None` is accepted.
    pub verdicts: Vec<Option<Code>>,
    /// The day that counts as attended, if any does.
    pub attended: Option<Day>,
    /// Every day that differs.
    pub changes: Vec<Change>,
}

/// Takes plain readings into a server's ledger: partial readings of the source `plain`. The greatest accepted
/// day counts as attended, if it is today or yesterday somewhere on earth and `opened` says that a person was
/// there. The revision is raised once if anything changed.
///
/// # Errors
/// None that an input can cause: every item has its verdict in the result.
pub fn take_plain(
    server: &mut Ledger,
    items: &[Result<PlainReading, Code>],
    opened: bool,
    policy: IngestPolicy,
    now: Now,
) -> Result<TakenPlain, Refusal> {
    let source = Source::new(PLAIN_SOURCE)?;
    let before = server.sizes();
    let mut taken = TakenPlain::default();
    let mut greatest = None;
    for item in items {
        let verdict = match item {
            Ok(reading) => take(server, *reading, source, policy, now).err().map(Refusal::code),
            Err(code) => Some(*code),
        };
        if let (Ok(reading), None) = (item, verdict) {
            greatest = greatest.max(Some(reading.day));
        }
        taken.verdicts.push(verdict);
    }
    // The last zone in which a day begins is twelve hours behind UTC.
    let last_zone = UtcOffset::from_minutes(-720).unwrap_or(UtcOffset::UTC);
    let yesterday = Now::at(now.unix_ms, last_zone).today.previous();
    taken.attended = greatest.filter(|day| opened && *day >= yesterday);
    if let Some(day) = taken.attended {
        server.take(&Fact::Attended(day), now)?;
    }
    if server.has_touched() || server.sizes() != before {
        server.raise_revision();
    }
    taken.changes = server.settle();
    Ok(taken)
}

fn take(
    server: &mut Ledger,
    reading: PlainReading,
    source: Source,
    policy: IngestPolicy,
    now: Now,
) -> Result<(), Refusal> {
    if !reading.day.is_storable() {
        return Err(Refusal::DayOutOfRange);
    }
    if reading.day > policy.latest_day {
        return Err(Refusal::FutureDay);
    }
    let counts = Counts::new(reading.steps, 0);
    counts.check_reading()?;
    server.has_room_for(&source)?;
    let known = server.register(reading.day, &source);
    if known.is_pinned() {
        // A reading does nothing to a pinned cell.
        return Ok(());
    }
    let register = Register { epoch: known.epoch, counts: Some(counts) };
    server.take(&Fact::Cell { day: reading.day, source, register }, now)
}

#[cfg(test)]
mod tests {
    use super::super::level::{GapPolicy, Level, LevelRules};
    use super::super::steps::Correction;
    use super::*;
    use crate::{Moderation, moderate};

    fn server() -> Ledger {
        Ledger::new(LevelRules::new(Level::Overweight, 10_000, 6_000, GapPolicy::Skip).unwrap())
    }

    type Item = Result<PlainReading, Code>;

    fn item(day: &str, steps: u32) -> Item {
        day.parse().map(|day| PlainReading { day, steps }).map_err(|_| Code::BadValue)
    }

    #[test]
    fn each_item_gets_its_verdict_and_the_last_day_is_attended() {
        let now = Now::on("2022-10-04".parse().unwrap());
        let policy = IngestPolicy::at(now.unix_ms);
        let mut server = server();
        let items = [
            item("2022-10-03", 8_500),
            item("2022-10-03", 7_000),
            Err(Code::BadValue),
            item("2022-10-04", 300_001),
            item("2022-10-06", 1),
            item("1999-12-31", 1),
        ];
        let taken = take_plain(&mut server, &items, true, policy, now).unwrap();
        let codes = [Code::BadValue, Code::ImplausibleSteps, Code::FutureDay, Code::DayOutOfRange];
        let expected: Vec<Option<Code>> =
            [None, None].into_iter().chain(codes.into_iter().map(Some)).collect();
        assert_eq!(taken.verdicts, expected);
        let day = "2022-10-03".parse().unwrap();
        assert_eq!((taken.attended, taken.changes.len(), server.revision()), (Some(day), 1, 1));
        assert_eq!(server.day(day).unwrap().shown, 8_500);
        let again = take_plain(&mut server, &items, true, policy, now).unwrap();
        assert_eq!((again.changes.len(), server.revision()), (0, 1), "the same again changes nothing");
    }

    #[test]
    fn nobody_was_there_unless_the_day_is_new_and_the_app_was_opened() {
        let now = Now::on("2022-10-04".parse().unwrap());
        let policy = IngestPolicy::at(now.unix_ms);
        let attended = |day: &str, opened| {
            take_plain(&mut server(), &[item(day, 1)], opened, policy, now).unwrap().attended.is_some()
        };
        assert!(attended("2022-10-05", true), "it is the 5th at UTC+14");
        assert!(attended("2022-10-03", true));
        assert!(!attended("2022-10-02", true), "at UTC-12 the 4th has just begun");
        assert!(!attended("2022-10-04", false));
    }

    #[test]
    fn a_pinned_day_stays() {
        let now = Now::on("2022-10-04".parse().unwrap());
        let mut server = server();
        let source = Source::new(PLAIN_SOURCE).unwrap();
        let correction = Correction { day: now.today, source, to: None, reason: "shaken" };
        moderate(&mut server, Moderation::Correct(&correction), now).unwrap();
        let taken =
            take_plain(&mut server, &[item("2022-10-04", 9)], false, IngestPolicy::at(now.unix_ms), now);
        assert_eq!(taken.unwrap().verdicts, [None]);
        assert_eq!(server.day(now.today), None);
    }
}
