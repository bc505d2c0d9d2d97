//! What is remembered about a cell beside its register, so that `explain` can give reasons: the last
//! remark of each kind. Bounded by cells x kinds; a reading that simply became the value needs none.

use serde::{Deserialize, Serialize};

use super::steps::{Counts, Extent};

/// Why a local reading did not become the value of its cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// A correction pins the cell.
    Pinned,
    /// The reading is only so far.
    Partial,
    /// The day is not over.
    OpenDay,
    /// The reading says 0, which a denied permission also looks like.
    Nothing,
    /// Midnight of another zone bounded the reading.
    OtherOffset,
    /// The value kept was not read on this device.
    NotReadHere,
    /// The cell has used up its open epochs.
    LastEpoch,
}

/// Why a deletion changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ignored {
    /// A correction pins the cell.
    Pinned,
    /// The value was not read on this device: the day waits to be read again.
    NotReadHere,
}

/// Something that happened to a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// A reading that did not become the value, and why.
    Reading {
        /// What it said.
        said: Counts,
        /// Of how much of the day.
        extent: Extent,
        /// Why the value stayed.
        kept: Kept,
    },
    /// A complete read of the closed day said less and replaced the value.
    Replaced {
        /// The value before.
        from: Counts,
        /// The value since.
        to: Counts,
    },
    /// The platform deleted something.
    Deleted {
        /// The value before.
        from: Option<Counts>,
        /// What was left.
        left: Option<Counts>,
    },
    /// The platform reported a deletion that changed nothing.
    DeletionIgnored {
        /// What it said was left.
        left: Option<Counts>,
        /// Why it changed nothing.
        ignored: Ignored,
    },
    /// A correction pinned the value.
    Corrected {
        /// The value before.
        from: Option<Counts>,
        /// The pinned value.
        to: Option<Counts>,
        /// The reason given.
        reason: String,
    },
    /// A correction ended.
    Unpinned,
    /// A stored row failed its checksum and was set aside; the cell began anew.
    SetAside,
}

/// The kinds of remarks: a cell keeps the last of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// [`Event::Reading`].
    Reading,
    /// [`Event::Replaced`].
    Replaced,
    /// [`Event::Deleted`].
    Deleted,
    /// [`Event::DeletionIgnored`].
    DeletionIgnored,
    /// [`Event::Corrected`].
    Corrected,
    /// [`Event::Unpinned`].
    Unpinned,
    /// [`Event::SetAside`].
    SetAside,
}

impl Event {
    /// The kind under which it is kept.
    pub const fn kind(&self) -> Kind {
        match self {
            Event::Reading { .. } => Kind::Reading,
            Event::Replaced { .. } => Kind::Replaced,
            Event::Deleted { .. } => Kind::Deleted,
            Event::DeletionIgnored { .. } => Kind::DeletionIgnored,
            Event::Corrected { .. } => Kind::Corrected,
            Event::Unpinned => Kind::Unpinned,
            Event::SetAside => Kind::SetAside,
        }
    }
}

impl Kind {
    /// Every kind, in order.
    pub const ALL: [Kind; 7] = [
        Kind::Reading,
        Kind::Replaced,
        Kind::Deleted,
        Kind::DeletionIgnored,
        Kind::Corrected,
        Kind::Unpinned,
        Kind::SetAside,
    ];

    /// The number under which the kind is stored: its place in [`Kind::ALL`].
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// An event with its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// When it was first seen, in Unix milliseconds of the caller; 0 when nobody saw it.
    pub at_ms: i64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}
