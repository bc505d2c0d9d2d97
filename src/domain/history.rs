//! What became of a ledger's facts, transaction by transaction: for support, and to see a ledger as it was.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::column::SourceId;
use super::day::Day;
use super::fact::Fact;
use super::register::Register;

/// The longest origin in bytes: the reason of a correction with its word before it.
pub const ORIGIN_LEN_MAX: usize = 256;

/// What changed a fact.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A local reading.
    #[default]
    Reading,
    /// A deletion that the platform reported.
    Deletion,
    /// A correction, with its reason.
    Correction(String),
    /// The end of a correction.
    Unpin,
    /// A counter since boot.
    Counter,
    /// The person opened the app.
    Opened,
    /// A fact that the server sent.
    Server,
    /// Another ledger on this device: a peer, or what was recorded before anyone signed in.
    Peer,
    /// On a server: a device's batch, with the name that the server has for the device.
    Device(String),
}

impl Origin {
    const PLAIN: [(&'static str, Origin); 7] = [
        ("reading", Origin::Reading),
        ("deletion", Origin::Deletion),
        ("unpin", Origin::Unpin),
        ("counter", Origin::Counter),
        ("opened", Origin::Opened),
        ("server", Origin::Server),
        ("peer", Origin::Peer),
    ];

    /// The origin as one text, as it is stored; long ones are cut at [`ORIGIN_LEN_MAX`].
    #[cfg_attr(not(feature = "sqlite"), allow(dead_code, reason = "only a store writes it"))]
    pub(crate) fn to_text(&self) -> Cow<'static, str> {
        let with = |word: &str, detail: &str| {
            let mut text = format!("{word}: {detail}");
            let mut end = text.len().min(ORIGIN_LEN_MAX);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
            Cow::Owned(text)
        };
        match self {
            Origin::Correction(reason) => with("correction", reason),
            Origin::Device(name) => with("device", name),
            plain => {
                let known = Origin::PLAIN.iter().find(|(_, origin)| origin == plain);
                Cow::Borrowed(known.map_or("reading", |(text, _)| text))
            }
        }
    }

    /// The origin of a stored text.
    #[cfg_attr(not(feature = "sqlite"), allow(dead_code, reason = "only a store reads it"))]
    pub(crate) fn of_text(text: &str) -> Option<Origin> {
        match text.split_once(": ") {
            Some(("correction", reason)) => Some(Origin::Correction(reason.to_owned())),
            Some(("device", name)) => Some(Origin::Device(name.to_owned())),
            _ => Origin::PLAIN.iter().find(|(known, _)| *known == text).map(|(_, origin)| origin.clone()),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

/// One change of one fact. Kept events never change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryEvent {
    /// The transaction, counted from 1; on a server, the revision.
    pub transaction: u64,
    /// When, in Unix milliseconds. Never earlier than the event before it, whatever the clock said.
    pub at_ms: i64,
    /// What changed it.
    pub origin: Origin,
    /// What it was; `None` where nothing was known.
    pub before: Option<Fact>,
    /// What it became.
    pub after: Fact,
}

/// What a cell or an attended day was before the transaction that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Was {
    pub(crate) day: Day,
    /// `None`: attendance, which can only have been absent.
    pub(crate) source: Option<SourceId>,
    pub(crate) register: Register,
    pub(crate) origin: Origin,
    pub(crate) at_ms: i64,
}

/// The changes of the transaction that is under way, where somebody asked for them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Notes {
    /// Whether changes are noted at all.
    pub(crate) kept: bool,
    pub(crate) was: Vec<Was>,
    /// What is changing the ledger just now, and when.
    pub(crate) origin: Origin,
    pub(crate) at_ms: i64,
}

impl Notes {
    /// Notes what something was, the first time that it changes.
    pub(super) fn note(&mut self, day: Day, source: Option<SourceId>, register: Register) {
        if self.kept {
            let origin = self.origin.clone();
            self.was.push(Was { day, source, register, origin, at_ms: self.at_ms });
        }
    }

    /// The first note of each fact, in the order of the facts: with several changes in one transaction, what
    /// it was before all of them. The last one's origin and time stand for the transaction.
    #[cfg_attr(not(feature = "sqlite"), allow(dead_code, reason = "only a store takes them"))]
    pub(crate) fn take(&mut self) -> Vec<Was> {
        let mut was = std::mem::take(&mut self.was);
        was.sort_by_key(|was| (was.day, was.source));
        was.dedup_by(|later, first| {
            let same = (later.day, later.source) == (first.day, first.source);
            if same {
                first.origin = later.origin.clone();
                first.at_ms = later.at_ms;
            }
            same
        });
        was
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_survives_its_text_and_a_long_one_is_cut() {
        let detailed = [Origin::Correction("shaken: by hand".to_owned()), Origin::Device(String::new())];
        for origin in Origin::PLAIN.into_iter().map(|(_, origin)| origin).chain(detailed) {
            assert_eq!(Origin::of_text(&origin.to_text()), Some(origin));
        }
        assert_eq!(Origin::of_text("weather"), None);
        let long = Origin::Correction("\u{b9cc}".repeat(200)).to_text();
        assert!(long.len() <= ORIGIN_LEN_MAX && long.len() > ORIGIN_LEN_MAX - 4);
    }

    #[test]
    fn a_transaction_tells_what_was_before_all_of_it() {
        let day = Day::from_ymd(2022, 10, 4).unwrap();
        let at = |epoch| Register { epoch, counts: None };
        let mut notes = Notes { kept: true, ..Notes::default() };
        notes.note(day, Some(SourceId(1)), at(0));
        notes.note(day, None, at(0));
        notes.origin = Origin::Unpin;
        notes.note(day, Some(SourceId(1)), at(1));
        let was = notes.take();
        assert_eq!(was.len(), 2);
        assert_eq!(
            (was[1].source, was[1].register, &was[1].origin),
            (Some(SourceId(1)), at(0), &Origin::Unpin)
        );
        notes.kept = false;
        notes.note(day, None, at(0));
        assert!(notes.take().is_empty());
    }
}
