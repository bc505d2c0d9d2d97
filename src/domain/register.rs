//! The register of a cell and its join: the one law that makes retries, duplicates, reordering and
//! late data harmless.

use super::canary;
use super::code::Refusal;
use super::steps::Counts;

/// The stored value of a (user, source, day): the larger epoch wins; at equal epochs the larger of
/// each component, with absent below every value.
///
/// ```
/// use manbo::{Counts, Register};
/// let phone = Register { epoch: 0, counts: Some(Counts::new(17_089, 0)) };
/// let corrected = Register { epoch: 2, counts: Some(Counts::new(8_003, 0)) };
/// assert_eq!(phone.join(corrected), corrected);
/// assert_eq!(corrected.join(phone), corrected);
/// assert!(Register { epoch: 1, counts: None }.is_pinned());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Register {
    /// The correction counter: even epochs are open, odd ones are pinned by a correction. Its 65,536
    /// values allow one correction a day for ninety years.
    pub epoch: u16,
    /// The steps; `None` is absent, which is not 0 steps.
    pub counts: Option<Counts>,
}

impl Register {
    /// What an unknown cell holds.
    pub const UNKNOWN: Register = Register { epoch: 0, counts: None };

    /// The least register that is not below either. Idempotent, commutative, associative.
    pub fn join(self, other: Register) -> Register {
        if canary::sings("epoch ignored by the join") {
            let counts = self.counts.max(other.counts);
            return Register { epoch: self.epoch.max(other.epoch), counts };
        }
        match self.epoch.cmp(&other.epoch) {
            std::cmp::Ordering::Less => other,
            std::cmp::Ordering::Greater => self,
            std::cmp::Ordering::Equal => {
                let counts = match (self.counts, other.counts) {
                    (Some(a), Some(b)) => Some(a.max(b)),
                    (a, b) => a.or(b),
                };
                Register { epoch: self.epoch, counts }
            }
        }
    }

    /// Whether a correction holds the value in place.
    pub const fn is_pinned(self) -> bool {
        self.epoch % 2 == 1
    }

    /// The next open epoch that overrules this one.
    ///
    /// # Errors
    /// [`Refusal::TooManyCorrections`] when no epoch is left.
    pub fn next_open(self) -> Result<u16, Refusal> {
        self.epoch.checked_add(if self.is_pinned() { 1 } else { 2 }).ok_or(Refusal::TooManyCorrections)
    }

    /// The next pinned epoch that overrules this one.
    ///
    /// # Errors
    /// [`Refusal::TooManyCorrections`] when no epoch is left.
    pub fn next_pinned(self) -> Result<u16, Refusal> {
        self.epoch.checked_add(if self.is_pinned() { 2 } else { 1 }).ok_or(Refusal::TooManyCorrections)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_step_to_their_own_kind_and_end() {
        let at = |epoch| Register { epoch, counts: None };
        assert_eq!((at(0).next_open(), at(0).next_pinned()), (Ok(2), Ok(1)));
        assert_eq!((at(1).next_open(), at(1).next_pinned()), (Ok(2), Ok(3)));
        assert_eq!((at(65_533).next_open(), at(65_533).next_pinned()), (Ok(65_534), Ok(65_535)));
        assert_eq!(at(65_534).next_open(), Err(Refusal::TooManyCorrections));
        assert_eq!(at(65_534).next_pinned(), Ok(65_535));
        assert_eq!(at(65_535).next_open(), Err(Refusal::TooManyCorrections));
        assert_eq!(at(65_535).next_pinned(), Err(Refusal::TooManyCorrections));
    }
}
