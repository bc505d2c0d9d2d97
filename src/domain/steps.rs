//! What a source says: sources, counts, readings, deletions, corrections, and their limits.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::code::Refusal;
use super::day::{Day, UtcOffset};

/// The most steps of a day: 200 a minute for 24 hours is 288,000, rounded up. Limits recorded + manual
/// of a reading, each component of a register, and the shown steps of a day.
pub const STEPS_MAX: u32 = 300_000;
/// The most steps of a day that count for rankings: 24 hours of race walking; more is a shaken phone.
pub const RANKED_MAX: u32 = 100_000;
/// Sources a user may have: five wearables, two stores and a chip on two phones is 9; rounded up to
/// what a table on a screen can show.
pub const SOURCES_MAX: usize = 16;
/// The longest source name in bytes.
pub const SOURCE_LEN_MAX: usize = 32;
/// The longest reason of a correction in bytes: a sentence and a ticket number.
pub const REASON_LEN_MAX: usize = 200;
/// The longest boot id of a counter in bytes: a UUID is 36.
pub const BOOT_LEN_MAX: usize = 64;

/// The name of a logical store of steps: 1 to 32 characters of `a-z0-9-`.
///
/// ```
/// use manbo::Source;
/// assert_eq!(Source::new("apple-health")?.as_str(), "apple-health");
/// assert!(Source::new("Apple Health").is_err());
/// # Ok::<(), manbo::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    // Padded with zeros, so that comparing the arrays compares the names.
    name: [u8; SOURCE_LEN_MAX],
    len: u8,
}

impl Source {
    /// A source with this name.
    ///
    /// # Errors
    /// [`Refusal::BadSource`] for anything but 1 to 32 characters of `a-z0-9-`.
    pub fn new(name: &str) -> Result<Source, Refusal> {
        let bytes = name.as_bytes();
        let fits = (1..=SOURCE_LEN_MAX).contains(&bytes.len())
            && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-');
        let Some(len) = u8::try_from(bytes.len()).ok().filter(|_| fits) else {
            return Err(Refusal::BadSource);
        };
        let mut padded = [0; SOURCE_LEN_MAX];
        padded[..bytes.len()].copy_from_slice(bytes);
        Ok(Source { name: padded, len })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        // ASCII by construction.
        std::str::from_utf8(&self.name[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl std::str::FromStr for Source {
    type Err = Refusal;

    fn from_str(name: &str) -> Result<Source, Refusal> {
        Source::new(name)
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Source, D::Error> {
        Source::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Steps of a day from one source: measured and typed in, kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Measured steps.
    pub recorded: u32,
    /// Typed-in steps.
    pub manual: u32,
}

impl Counts {
    /// Measured and typed-in steps.
    pub const fn new(recorded: u32, manual: u32) -> Counts {
        Counts { recorded, manual }
    }

    /// Both together.
    pub const fn sum(self) -> u64 {
        self.recorded as u64 + self.manual as u64
    }

    /// The larger of each component.
    pub fn max(self, other: Counts) -> Counts {
        Counts { recorded: self.recorded.max(other.recorded), manual: self.manual.max(other.manual) }
    }

    /// Refuses what a register cannot hold: a component above [`STEPS_MAX`].
    ///
    /// # Errors
    /// [`Refusal::ImplausibleSteps`].
    pub fn check_register(self) -> Result<(), Refusal> {
        if self.recorded > STEPS_MAX || self.manual > STEPS_MAX {
            Err(Refusal::ImplausibleSteps)
        } else {
            Ok(())
        }
    }

    /// Refuses what a reading cannot say: a sum above [`STEPS_MAX`].
    ///
    /// # Errors
    /// [`Refusal::ImplausibleSteps`].
    pub fn check_reading(self) -> Result<(), Refusal> {
        if self.sum() > u64::from(STEPS_MAX) { Err(Refusal::ImplausibleSteps) } else { Ok(()) }
    }
}

/// How much of its day a reading covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// So far.
    #[default]
    Partial,
    /// A complete read of the day.
    Full,
}

/// What a source says, here and now, about a day.
///
/// "No data" (permission refused, phone locked, query failed) is not a reading; there is no way to say it here.
///
/// ```
/// use manbo::{Reading, Source};
/// let reading = Reading::new("2022-10-04".parse()?, Source::new("apple-health")?, 8_500).with_manual(200).full();
/// assert_eq!(reading.counts.sum(), 8_700);
/// # Ok::<(), manbo::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The civil day, fixed when the steps were captured.
    pub day: Day,
    /// Who says so.
    pub source: Source,
    /// What it says.
    pub counts: Counts,
    /// Of how much of the day.
    pub extent: Extent,
    /// The offset from UTC that bounded the day, if known.
    pub offset: Option<UtcOffset>,
}

impl Reading {
    /// A partial reading of measured steps.
    pub const fn new(day: Day, source: Source, recorded: u32) -> Reading {
        Reading { day, source, counts: Counts::new(recorded, 0), extent: Extent::Partial, offset: None }
    }

    /// The same with typed-in steps.
    pub const fn with_manual(mut self, manual: u32) -> Reading {
        self.counts.manual = manual;
        self
    }

    /// The same as a complete read of the day.
    pub const fn full(mut self) -> Reading {
        self.extent = Extent::Full;
        self
    }

    /// The same with the offset that bounded the day.
    pub const fn with_offset(mut self, offset: UtcOffset) -> Reading {
        self.offset = Some(offset);
        self
    }
}

/// The platform reported that something of a day was deleted, and what is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deletion {
    /// The day.
    pub day: Day,
    /// The source.
    pub source: Source,
    /// What is left; `None` when nothing is.
    pub left: Option<Counts>,
}

/// A privileged correction: support or moderation sets a value and pins it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Correction<'a> {
    /// The day.
    pub day: Day,
    /// The source.
    pub source: Source,
    /// The value; `None` makes the cell absent.
    pub to: Option<Counts>,
    /// Why, in at most 200 bytes: it is shown by `explain`.
    pub reason: &'a str,
}

/// What a chip that counts since boot says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CounterReading<'a> {
    /// The day to which new steps belong.
    pub day: Day,
    /// The chip's own source.
    pub source: Source,
    /// What tells one boot from the next: Android's boot count, or any text of at most 64 bytes.
    pub boot: &'a str,
    /// Steps since that boot.
    pub count: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_names_keep_to_their_alphabet() {
        for bad in ["", "Garmin", "a b", "a_b", "caf\u{e9}", "\u{0}", &"a".repeat(33), "a\n"] {
            assert_eq!(Source::new(bad), Err(Refusal::BadSource), "{bad:?}");
        }
        let longest = "z".repeat(32);
        assert_eq!(Source::new(&longest).unwrap().as_str(), longest);
        assert!(Source::new("a").unwrap() < Source::new("aa").unwrap());
        assert!(Source::new("a-").unwrap() < Source::new("a0").unwrap());
    }

    #[test]
    fn limits_are_inclusive() {
        assert!(Counts::new(STEPS_MAX, 0).check_reading().is_ok());
        assert!(Counts::new(STEPS_MAX, 1).check_reading().is_err());
        assert!(Counts::new(u32::MAX, u32::MAX).check_reading().is_err());
        assert!(Counts::new(STEPS_MAX, STEPS_MAX).check_register().is_ok());
        assert!(Counts::new(0, STEPS_MAX + 1).check_register().is_err());
    }
}
