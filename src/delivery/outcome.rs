//! What became of a batch, and what follows: one table for every status and body.
//!
//! ```text
//!  status      body                                        what follows
//!  2xx 400 422 receipt for this ledger and generation      applied
//!  401 403     an error of ours                            paused
//!  410         of ours, this ledger, higher generation     erased
//!  413         any                                         halved
//!  400 422     any other: no verdicts                      halved
//!  any other, or none: a time-out, a portal's page         tried again
//! ```

use crate::domain::ingest::Receipt;

/// Whose ledger, since which erasure.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    /// The server's name for the ledger.
    pub ledger: String,
    /// The erasure counter; facts of older generations are refused everywhere.
    pub generation: u32,
}

/// What the host was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// No answer came: no network, a time-out, a connection that broke.
    Network,
    /// An answer came.
    Reply {
        /// The HTTP status.
        status: u16,
        /// The header `Retry-After` in seconds, where there is one that can be read.
        retry_after_s: Option<i64>,
        /// What the body turned out to be.
        body: Body,
    },
}

/// What a body turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A receipt.
    Receipt(Box<Answer>),
    /// An error of ours, with the ledger that it names; none where the server cannot tell whose it is.
    Refusal(Option<Identity>),
    /// Anything else: nothing, a portal's page, a receipt that was cut off.
    Foreign,
}

/// A receipt, with whose it is and what the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whose ledger.
    pub identity: Identity,
    /// The life of the server's store; another one means that a backup was restored.
    pub incarnation: String,
    /// The version of the server's rules.
    pub rules_version: u32,
    /// The revision that the client named: the receipt's facts are those that changed after it.
    pub since: u64,
    /// Up to which revision the receipt's facts are complete.
    pub complete_to: u64,
    /// Verdicts and facts.
    pub receipt: Receipt,
}

/// What follows from an outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Follows {
    Apply(Box<Answer>),
    Pause,
    Erased { generation: u32 },
    Halve,
    Retry { after_s: Option<i64> },
}

/// Classifies an outcome for a ledger; `None` before any server named one.
pub(crate) fn follows(outcome: Outcome, known: Option<&Identity>) -> Follows {
    let (status, retry_after_s, body) = match outcome {
        Outcome::Network => return Follows::Retry { after_s: None },
        Outcome::Reply { status, retry_after_s, body } => (status, retry_after_s, body),
    };
    let names_ours = |identity: &Identity| known.is_none_or(|known| known == identity);
    match (status, body) {
        (200..=299 | 400 | 422, Body::Receipt(answer)) if names_ours(&answer.identity) => {
            Follows::Apply(answer)
        }
        (401 | 403, Body::Refusal(_)) => Follows::Pause,
        (410, Body::Refusal(Some(identity))) => match known {
            Some(known) if known.ledger == identity.ledger && identity.generation > known.generation => {
                Follows::Erased { generation: identity.generation }
            }
            _ => Follows::Retry { after_s: retry_after_s },
        },
        (400 | 413 | 422, _) => Follows::Halve,
        (_, Body::Receipt(_) | Body::Refusal(_) | Body::Foreign) => Follows::Retry { after_s: retry_after_s },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(ledger: &str, generation: u32) -> Identity {
        Identity { ledger: ledger.to_owned(), generation }
    }

    fn receipt(identity: Identity) -> Body {
        let receipt = Receipt::default();
        let incarnation = "i".to_owned();
        Body::Receipt(Box::new(Answer {
            identity,
            incarnation,
            rules_version: 1,
            since: 0,
            complete_to: 0,
            receipt,
        }))
    }

    /// Every status with every kind of body: what may take a fact from the buffer, and nothing else does.
    #[test]
    fn only_a_receipt_a_park_or_an_erasure_takes_a_fact() {
        let ours = identity("l", 3);
        let bodies = [
            receipt(ours.clone()),
            receipt(identity("other", 3)),
            receipt(identity("l", 2)),
            receipt(identity("l", 4)),
            Body::Refusal(Some(ours.clone())),
            Body::Refusal(Some(identity("other", 9))),
            Body::Refusal(Some(identity("l", 2))),
            Body::Refusal(Some(identity("l", 4))),
            Body::Refusal(None),
            Body::Foreign,
        ];
        for status in 100..600 {
            for (number, body) in bodies.iter().enumerate() {
                let outcome = Outcome::Reply { status, retry_after_s: Some(7), body: body.clone() };
                let expected = match (status, number) {
                    (200..=299 | 400 | 422, 0) => "apply",
                    (401 | 403, 4..=8) => "pause",
                    (410, 7) => "erased",
                    (400 | 413 | 422, _) => "halve",
                    _ => "retry",
                };
                let got = match follows(outcome, Some(&ours)) {
                    Follows::Apply(_) => "apply",
                    Follows::Pause => "pause",
                    Follows::Erased { generation } => {
                        assert_eq!(generation, 4);
                        "erased"
                    }
                    Follows::Halve => "halve",
                    Follows::Retry { after_s } => {
                        assert_eq!(after_s, Some(7));
                        "retry"
                    }
                };
                assert_eq!(got, expected, "{status} with body {number}");
            }
        }
        assert_eq!(follows(Outcome::Network, None), Follows::Retry { after_s: None });
    }

    #[test]
    fn the_first_receipt_names_the_ledger() {
        let outcome = Outcome::Reply { status: 200, retry_after_s: None, body: receipt(identity("l", 1)) };
        assert!(matches!(follows(outcome, None), Follows::Apply(_)));
        let gone =
            Outcome::Reply { status: 410, retry_after_s: None, body: Body::Refusal(Some(identity("l", 9))) };
        assert!(matches!(follows(gone, None), Follows::Retry { .. }), "nobody knows whose it was");
    }
}
