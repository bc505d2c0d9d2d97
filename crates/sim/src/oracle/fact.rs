//! Days, sources, registers and facts as plain numbers, and the join of section 3.

/// Days since 1970-01-01.
pub type DayNumber = i32;

/// An index into a list of source names that the user of the oracle keeps.
pub type SourceNumber = u8;

/// A register.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Default)]
pub struct Value {
    /// The correction counter: even is open, odd is pinned.
    pub epoch: u16,
    /// Recorded and manual steps; `None` is absent, which is not 0 steps.
    pub counts: Option<(u32, u32)>,
}

impl Value {
    /// What an unknown cell holds.
    pub const UNKNOWN: Value = Value { epoch: 0, counts: None };

    /// The register with the larger epoch; at equal epochs the larger of each component, with absent below
    /// every value.
    pub fn join(self, other: Value) -> Value {
        if self.epoch > other.epoch {
            return self;
        }
        if other.epoch > self.epoch {
            return other;
        }
        let counts = match (self.counts, other.counts) {
            (None, None) => None,
            (Some(counts), None) | (None, Some(counts)) => Some(counts),
            (Some((recorded, manual)), Some((other_recorded, other_manual))) => {
                Some((recorded.max(other_recorded), manual.max(other_manual)))
            }
        };
        Value { epoch: self.epoch, counts }
    }

    /// Whether a correction holds it in place.
    pub fn is_pinned(self) -> bool {
        self.epoch % 2 == 1
    }

    /// Whether the other one already says all that this one says.
    pub fn at_most(self, other: Value) -> bool {
        self.join(other) == other
    }
}

/// One fact of a user.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Item {
    /// A cell and its register.
    Cell {
        /// The day.
        day: DayNumber,
        /// The source.
        source: SourceNumber,
        /// The register.
        value: Value,
    },
    /// The person opened the app on this day.
    Attended(DayNumber),
}

impl Item {
    /// The day it is about.
    pub fn day(self) -> DayNumber {
        match self {
            Item::Cell { day, .. } | Item::Attended(day) => day,
        }
    }

    /// The cell it is about, or (without a source) the attendance day.
    pub fn key(self) -> (DayNumber, Option<SourceNumber>) {
        match self {
            Item::Cell { day, source, .. } => (day, Some(source)),
            Item::Attended(day) => (day, None),
        }
    }
}
