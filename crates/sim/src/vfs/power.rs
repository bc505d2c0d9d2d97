//! What a power loss leaves of the changes that no flush followed.

use super::node::{Edit, Unsynced, overwrite};

/// The unit in which a medium keeps or loses a write.
const SECTOR_LEN: usize = 512;

/// How the image of one power loss treats changes. Independent fates alone would hardly ever show the plain
/// images, which are the likeliest ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// The medium had it all.
    Everything,
    /// The medium had nothing.
    Nothing,
    /// The medium had the first changes of each file.
    Prefix,
    /// Each change has its own fate.
    Mixed,
}

/// What becomes of one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    Dropped,
    /// Some of its sectors are kept.
    Torn,
    /// Some of its sectors are kept, some are garbage.
    Garbage,
}

/// The image that one power loss leaves; the same seed leaves the same.
#[derive(Debug)]
pub(super) struct Image {
    rng: fastrand::Rng,
    style: Style,
    /// Where flushes only order: earlier epochs are kept, later ones are not.
    cut: u64,
}

impl Image {
    /// `epochs` is the number of ordering flushes so far.
    pub(super) fn new(seed: u64, epochs: u64) -> Image {
        let mut rng = fastrand::Rng::with_seed(seed);
        let style = match rng.u8(0..8) {
            0 => Style::Everything,
            1 => Style::Nothing,
            2 | 3 => Style::Prefix,
            _ => Style::Mixed,
        };
        let cut = rng.u64(0..=epochs);
        Image { rng, style, cut }
    }

    /// How many of the changes of the directory the medium has; they are a journal and keep their order.
    pub(super) fn entries(&mut self, waiting: usize) -> usize {
        match self.style {
            Style::Everything => waiting,
            Style::Nothing => 0,
            Style::Prefix | Style::Mixed => self.rng.usize(0..=waiting),
        }
    }

    /// Puts on the medium what it has of the changes.
    pub(super) fn apply(&mut self, changes: &[Unsynced], durable: &mut Vec<u8>) {
        let end = self.rng.usize(0..=changes.len());
        for (index, change) in changes.iter().enumerate() {
            let fate = match change.epoch {
                Some(epoch) if epoch < self.cut => Fate::Kept,
                Some(epoch) if epoch > self.cut => Fate::Dropped,
                Some(_) | None => self.fate(index, end),
            };
            match &change.edit {
                Edit::Write { at, bytes } => self.write(fate, durable, *at, bytes),
                Edit::Truncate(len) if fate != Fate::Dropped => durable.resize(*len, 0),
                Edit::Truncate(_) => {}
            }
        }
    }

    fn fate(&mut self, index: usize, end: usize) -> Fate {
        match self.style {
            Style::Everything => Fate::Kept,
            Style::Nothing => Fate::Dropped,
            Style::Prefix if index < end => Fate::Kept,
            Style::Prefix if index > end => Fate::Dropped,
            Style::Prefix => Fate::Torn,
            Style::Mixed => match self.rng.u8(0..4) {
                0 => Fate::Kept,
                1 => Fate::Dropped,
                2 => Fate::Torn,
                _ => Fate::Garbage,
            },
        }
    }

    fn write(&mut self, fate: Fate, durable: &mut Vec<u8>, at: usize, bytes: &[u8]) {
        match fate {
            Fate::Kept => return overwrite(durable, at, bytes),
            Fate::Dropped => return,
            Fate::Torn | Fate::Garbage => {}
        }
        let mut rest = bytes;
        let mut at = at;
        while !rest.is_empty() {
            // What lies in the same sector but was not written stays: SQLite is told that it does.
            let len = (SECTOR_LEN - at % SECTOR_LEN).min(rest.len());
            let (sector, later) = rest.split_at(len);
            match self.rng.u8(0..3) {
                0 => {}
                1 if fate == Fate::Garbage => {
                    let garbage: Vec<u8> = sector.iter().map(|_| self.rng.u8(..)).collect();
                    overwrite(durable, at, &garbage);
                }
                _ => overwrite(durable, at, sector),
            }
            (rest, at) = (later, at + len);
        }
    }
}
