//! A hash over everything that a run observed, so that two runs can be compared by one number.

/// FNV-1a by words, with a final mix.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trace(u64);

impl Default for Trace {
    fn default() -> Trace {
        Trace(0xcbf2_9ce4_8422_2325)
    }
}

impl Trace {
    /// Takes in a number.
    pub(super) fn add(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29);
    }

    /// The hash.
    pub(super) fn finish(self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}
