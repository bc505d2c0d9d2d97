//! Chips that count since boot, as on Android: from (boot, count) to steps of a day.

use std::collections::BTreeMap;

use super::steps::{STEPS_MAX, Source};

/// Where a counter stood. Of this device only, never sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baseline {
    /// The boot it belongs to.
    pub boot: String,
    /// The count since that boot.
    pub count: u32,
}

/// Where the counters of a device stood, by source.
pub(crate) type Stood = BTreeMap<Source, Baseline>;

/// What a counter reading is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credit {
    /// The first reading ever: a baseline, no steps.
    First,
    /// So many steps since the last reading (0 when it stood still).
    Steps(u32),
    /// A count below the last one of the same boot: ignored, the baseline stays.
    Backwards,
    /// More steps than a day can have: no steps, but the baseline moves.
    Implausible,
}

impl Credit {
    /// What a reading adds to a baseline. A new boot counts from 0.
    ///
    /// ```
    /// use manbo::{Baseline, Credit};
    /// let stood = Baseline { boot: "7".into(), count: 41_200 };
    /// assert_eq!(Credit::of(Some(&stood), "7", 41_300), Credit::Steps(100));
    /// assert_eq!(Credit::of(Some(&stood), "8", 35), Credit::Steps(35));
    /// ```
    pub fn of(baseline: Option<&Baseline>, boot: &str, count: u32) -> Credit {
        let since = match baseline {
            None => return Credit::First,
            Some(b) if b.boot == boot => match count.checked_sub(b.count) {
                Some(steps) => steps,
                None => return Credit::Backwards,
            },
            Some(_) => count,
        };
        if since > STEPS_MAX { Credit::Implausible } else { Credit::Steps(since) }
    }

    /// Whether the baseline moves to the reading.
    pub const fn moves_baseline(self) -> bool {
        !matches!(self, Credit::Backwards)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_credits_what_it_grew() {
        let at = |boot: &str, count| Baseline { boot: boot.into(), count };
        let check = |baseline: Option<&Baseline>, boot, count, credit| {
            assert_eq!(Credit::of(baseline, boot, count), credit);
        };
        check(None, "1", 41_200, Credit::First);
        check(Some(&at("1", 41_200)), "2", 35, Credit::Steps(35));
        check(Some(&at("2", 35)), "2", 90, Credit::Steps(55));
        check(Some(&at("2", 90)), "2", 90, Credit::Steps(0));
        check(Some(&at("2", 90)), "2", 60, Credit::Backwards);
        check(Some(&at("2", 0)), "2", 300_000, Credit::Steps(300_000));
        check(Some(&at("2", 0)), "2", 300_001, Credit::Implausible);
        check(Some(&at("2", 90)), "3", u32::MAX, Credit::Implausible);
    }
}
