//! The stable error codes, and the refusals of the rules.

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident => $text:literal,)*) => {
        /// A stable, machine-readable error code, the same in every language.
        ///
        /// ```
        /// use manbo::Code;
        /// assert_eq!(Code::ImplausibleSteps.as_str(), "implausible_steps");
        /// assert_eq!(Code::parse("day_out_of_range"), Some(Code::DayOutOfRange));
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code, in the order of the contract.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The code as it stands in files, on the wire and in other languages.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }
        }
    };
}

codes! {
    /// A value does not fit its type: not a whole number of 32 bits, not a date that exists, not an offset.
    BadValue => "bad_value",
    /// More steps than a person can walk in a day.
    ImplausibleSteps => "implausible_steps",
    /// A day before 2000-01-01, after 2199-12-31, or later than tomorrow.
    DayOutOfRange => "day_out_of_range",
    /// A source name that is not 1-32 characters of `a-z0-9-`.
    BadSource => "bad_source",
    /// A seventeenth source for one user.
    TooManySources => "too_many_sources",
    /// Rules that contradict themselves.
    BadRules => "bad_rules",
    /// A cell has used up its 65,535 epochs.
    TooManyCorrections => "too_many_corrections",
    /// A client sent a register whose epoch only the server may give.
    EpochNotAllowed => "epoch_not_allowed",
    /// A batch above the server's limits.
    BatchTooLarge => "batch_too_large",
    /// The book was suspended or closed.
    Closed => "closed",
    /// The file cannot be reached now: a locked phone, no permission, a failing disk.
    StorageLocked => "storage_locked",
    /// The disk is full.
    StorageFull => "storage_full",
    /// Another process holds the file longer than the time-out.
    StorageBusy => "storage_busy",
    /// The file is damaged.
    StorageCorrupt => "storage_corrupt",
    /// The file or its folder is read-only.
    StorageReadOnly => "storage_read_only",
    /// The file belongs to another program.
    StorageForeign => "storage_foreign",
    /// The file was written by a newer version of this library.
    NewerSchema => "newer_schema",
    /// A fault of this library.
    Internal => "internal",
    /// Server verdict: the day has not begun anywhere on earth.
    FutureDay => "future_day",
    /// The server refused a fact and gave no reason that we understand.
    Unexplained => "unexplained",
}

impl Code {
    /// The code with this name, if there is one.
    pub fn parse(text: &str) -> Option<Code> {
        Code::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why the rules refuse an input. Names the field, the limit and the rule; never a person's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A value that does not fit its type.
    #[error("{field}: {rule}")]
    BadValue {
        /// The field that does not fit.
        field: &'static str,
        /// What would fit.
        rule: &'static str,
    },
    /// A source name outside its alphabet or length.
    #[error("source: 1 to 32 characters of a-z, 0-9 and '-'")]
    BadSource,
    /// A day outside the ledger's range, or later than tomorrow.
    #[error("day: 2000-01-01 to 2199-12-31, and not later than tomorrow")]
    DayOutOfRange,
    /// More steps than the limit of a day.
    #[error("steps: at most 300000 a day (200 a minute for 24 hours is 288000)")]
    ImplausibleSteps,
    /// The ledger has as many sources as it may.
    #[error("source: a user has at most 16 sources")]
    TooManySources,
    /// Rules that do not fit together.
    #[error("rules: {rule}")]
    BadRules {
        /// The rule that is broken.
        rule: &'static str,
    },
    /// No epoch is left in the cell.
    #[error("epoch: a cell takes at most 65535 epochs")]
    TooManyCorrections,
    /// An epoch that only the server may give.
    #[error("epoch: a client may neither pin nor run more than 4096 epochs ahead")]
    EpochNotAllowed,
    /// A day that has not begun anywhere.
    #[error("day: not later than today at UTC+14")]
    FutureDay,
    /// More than a server reads at once: send it in parts.
    #[error("batch: at most 1000 items and 256 KiB")]
    BatchTooLarge,
}

impl Refusal {
    /// The stable code.
    pub const fn code(self) -> Code {
        match self {
            Refusal::BadValue { .. } => Code::BadValue,
            Refusal::BadSource => Code::BadSource,
            Refusal::DayOutOfRange => Code::DayOutOfRange,
            Refusal::ImplausibleSteps => Code::ImplausibleSteps,
            Refusal::TooManySources => Code::TooManySources,
            Refusal::BadRules { .. } => Code::BadRules,
            Refusal::TooManyCorrections => Code::TooManyCorrections,
            Refusal::EpochNotAllowed => Code::EpochNotAllowed,
            Refusal::FutureDay => Code::FutureDay,
            Refusal::BatchTooLarge => Code::BatchTooLarge,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_named_once_and_reads_back() {
        for code in Code::ALL {
            assert_eq!(Code::parse(code.as_str()), Some(*code));
            assert_eq!(serde_json::to_string(code).unwrap(), format!("\"{code}\""));
        }
        assert_eq!(Code::parse("nonsense"), None);
    }
}
