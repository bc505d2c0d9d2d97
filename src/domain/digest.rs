//! The digest of a ledger's facts: equal on every copy that knows the same.

use sha2::{Digest as _, Sha256};

use super::fact::Fact;
use super::ledger::Ledger;

/// SHA-256 over the facts in canonical order. Not part of it: pending marks, offsets, read-here bits,
/// counters, and `(0, absent)`, which is not a fact.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl Ledger {
    /// The digest of the facts.
    pub fn digest(&self) -> Digest {
        let mut hash = Sha256::new_with_prefix(b"manbo ledger 1\n");
        for fact in self.facts() {
            match fact {
                Fact::Cell { day, source, register } => {
                    hash.update([b'c']);
                    hash.update(day.number().to_be_bytes());
                    // Names are at most 32 bytes and never hold a 0.
                    hash.update(source.as_str().as_bytes());
                    hash.update([0]);
                    hash.update(register.epoch.to_be_bytes());
                    match register.counts {
                        None => hash.update([0]),
                        Some(counts) => {
                            hash.update([1]);
                            hash.update(counts.recorded.to_be_bytes());
                            hash.update(counts.manual.to_be_bytes());
                        }
                    }
                }
                Fact::Attended(day) => {
                    hash.update([b'a']);
                    hash.update(day.number().to_be_bytes());
                }
            }
        }
        Digest(hash.finalize().into())
    }
}
