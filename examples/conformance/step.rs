//! The steps of a vector, typed. A runner in another language needs the same few types.

use manbo::{Counts, Day, Fact, Reading, Refusal, Rules, Source};
use serde_json::Value;

/// A value as its file gives it, or why it does not fit: then the step that needs it is refused.
pub(crate) type Given<T> = Result<T, Refusal>;

/// One vector: a little story with its expectations.
#[derive(Debug, Clone)]
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) rules: Given<Rules>,
    /// The caller's today for every step that does not name its own.
    pub(crate) today: Given<Day>,
    pub(crate) steps: Vec<Step>,
}

/// One step, with what it says about itself.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// `5`, or `5.2` for the second step of the `repeat` that is step 5.
    pub(crate) place: String,
    /// The replica, if the step names one.
    pub(crate) on: Option<String>,
    /// The caller's today, if the step names one.
    pub(crate) today: Option<Given<Day>>,
    pub(crate) verb: Verb,
}

/// What a step does or expects.
#[derive(Debug, Clone)]
pub(crate) enum Verb {
    Read(Given<Reading>),
    Delete(Given<manbo::Deletion>),
    Correct(Given<Correction>),
    Unpin(Given<(Day, Source)>),
    Receive(Given<Fact>),
    Merge {
        from: String,
        into: String,
    },
    Counter(Given<Counted>),
    Attend(Given<Day>),
    Repeat {
        times: Given<u32>,
        steps: Vec<Step>,
    },
    Reopen,
    Next {
        now_ms: i64,
        /// `upload`, `wait`, `idle`, `paused` or `stalled`, where the vector says.
        expect: Option<String>,
        fields: Fields,
    },
    Report {
        now_ms: i64,
        outcome: Reply,
    },
    Expect(Expectation),
}

/// What becomes of the batch on its way.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Stored, and the receipt arrived.
    Receipt,
    /// Stored, and the receipt was lost.
    ReceiptLost,
    /// Nothing arrived anywhere.
    Network,
    /// A receipt that neither clears, nor raises, nor brings anything.
    WithoutProgress,
    /// These are refused, the others stored.
    Refused(Vec<(Given<(Day, Source)>, String)>),
    Status {
        status: u16,
        retry_after_s: Option<i64>,
        /// Whether a body is given, which is not of the server's own.
        foreign: bool,
    },
}

/// What is expected. An expectation changes nothing and reports no changes.
#[derive(Debug, Clone)]
pub(crate) enum Expectation {
    Days(Vec<(Given<Day>, Fields)>),
    Cells(Vec<(Given<(Day, Source)>, Fields)>),
    Stats {
        /// Missing: the caller's today.
        as_of: Option<Given<Day>>,
        fields: Fields,
    },
    Changes(Value),
    Pending(Value),
    Reread(Given<Vec<(Day, Source)>>),
    Same(Vec<String>),
    Parked(Vec<Value>),
    Error {
        step: Box<Step>,
        code: String,
    },
}

/// The named fields with their expected values. Kept as JSON: an expectation of the wrong type is
/// not met, and nothing more.
pub(crate) type Fields = Vec<(String, Value)>;

/// A correction that owns its reason.
#[derive(Debug, Clone)]
pub(crate) struct Correction {
    pub(crate) day: Day,
    pub(crate) source: Source,
    pub(crate) to: Option<Counts>,
    pub(crate) reason: String,
}

/// A counter reading that owns its boot id.
#[derive(Debug, Clone)]
pub(crate) struct Counted {
    pub(crate) day: Day,
    pub(crate) source: Source,
    pub(crate) boot: String,
    pub(crate) count: u32,
}
