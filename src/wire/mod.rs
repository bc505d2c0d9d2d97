//! What travels between device and server: JSON with a version, one canonical form, and a digest at its end.
//!
//! ```text
//! upload   {"manbo":1,"ledger":L,"generation":G,"since":R,"facts":[FACT,...],"digest":D}
//! receipt  {"manbo":1,"ledger":L,"generation":G,"incarnation":I,"rules":V,"since":R,"revision":R,
//!           "complete_to":R,"accepted":[FACT,...],"refused":[{"fact":FACT,"code":C},...],
//!           "flagged":[FACT,...],"facts":[FACT,...],"digest":D}
//! problem  {"manbo":1,"error":C,"ledger":L,"generation":G,"digest":D}
//! FACT     {"day":"2022-10-04","source":"watch","epoch":0,"recorded":8500,"manual":0} or {"attended":"2022-10-04"}
//! ```
//!
//! `ledger` and `generation` are `null` where they are not known; `recorded` is `null` for an absent register.
//! The digest is 128 bits of SHA-256 over everything before it: what a proxy cut off or changed is not ours. A
//! client written by hand may leave it out of an upload. Within a version members may be added, and a reader
//! passes over those that it does not know; a fact has exactly its members, because one that is half understood
//! must not be taken.
//!
//! A plain form is read, too: `[{"formattedDate":"2022-10-04","steps":8500}]` ([`read_plain`]).

mod plain;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use plain::read_plain;

use crate::delivery::{Answer, Batch, Body, Identity, Outcome};
use crate::domain::code::Code;
use crate::domain::fact::{Fact, Refused};
use crate::domain::ingest::Receipt;

/// The version of the messages that this library writes; it reads this one and every released one before.
pub const VERSION: u32 = 1;
/// Bytes of an upload that a server reads: 1,000 facts of 150 bytes, and room for a plain client's spaces.
pub const UPLOAD_BYTES_MAX: usize = 256 * 1024;
/// The hexadecimal digits of a digest.
const DIGEST_LEN: usize = 32;
/// What stands between a message and its digest.
const DIGEST_MEMBER: &str = ",\"digest\":\"";

/// Why a body is not a message of ours. It tells nothing of what the body held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// Not JSON, not this kind of message, or a member that does not fit its type.
    #[error("the body is not a message of this kind, at line {line}, column {column}")]
    Malformed {
        /// From 1; 0 where the whole is meant.
        line: usize,
        /// From 1; 0 where the whole is meant.
        column: usize,
    },
    /// The digest is missing or disagrees: something was changed or cut off on the way.
    #[error("the digest of the body disagrees: send it again")]
    Damaged,
    /// A version that came after this library.
    #[error("the body has version {found}, this library knows {VERSION}: update it")]
    Newer {
        /// The version of the body.
        found: u32,
    },
    /// More than a server reads at once.
    #[error("the body is larger than 256 KiB: send it in parts")]
    TooLarge,
}

impl WireError {
    /// The HTTP status with which a server answers. What was damaged on the way, and what a newer client wrote, is
    /// tried again as it is; only what cannot be read is taken apart.
    pub const fn status(self) -> u16 {
        match self {
            WireError::Malformed { .. } => 400,
            WireError::TooLarge => 413,
            WireError::Newer { .. } => 501,
            WireError::Damaged => 503,
        }
    }

    /// The stable code, the same in every language.
    pub const fn code(self) -> Code {
        match self {
            WireError::Malformed { .. } | WireError::Damaged | WireError::Newer { .. } => Code::BadValue,
            WireError::TooLarge => Code::BatchTooLarge,
        }
    }
}

/// Why a server refused a whole request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// No credentials, or none that hold: 401.
    Unauthorized,
    /// The credentials do not allow this: 403.
    Forbidden,
    /// The facts are of a generation that was erased: 410.
    Erased,
    /// The facts belong to another ledger: 409.
    OtherLedger,
    /// More than the server reads at once: 413.
    BatchTooLarge,
    /// The body cannot be read: 400.
    BadValue,
    /// A reason that this library does not know.
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
struct Version {
    manbo: u32,
}

#[derive(Serialize, Deserialize)]
struct UploadJson {
    manbo: u32,
    ledger: Option<String>,
    generation: Option<u32>,
    since: u64,
    facts: Vec<Fact>,
}

#[derive(Serialize, Deserialize)]
struct RefusedJson {
    fact: Fact,
    code: String,
}

#[derive(Serialize, Deserialize)]
struct ReceiptJson {
    manbo: u32,
    ledger: String,
    generation: u32,
    incarnation: String,
    rules: u32,
    since: u64,
    revision: u64,
    complete_to: u64,
    accepted: Vec<Fact>,
    refused: Vec<RefusedJson>,
    flagged: Vec<Fact>,
    facts: Vec<Fact>,
}

#[derive(Serialize, Deserialize)]
struct ProblemJson {
    manbo: u32,
    error: Problem,
    ledger: Option<String>,
    generation: Option<u32>,
}

/// A batch as it is sent: the canonical form, the same bytes for the same batch.
///
/// ```
/// use manbo::{Fact, wire};
/// use manbo::delivery::Batch;
/// let day = "2022-10-04".parse()?;
/// let batch = Batch { ticket: 1, identity: None, since: 0, facts: vec![Fact::Attended(day)] };
/// let body = wire::upload(&batch);
/// assert!(body.starts_with(r#"{"manbo":1,"ledger":null,"generation":null,"since":0,"facts":[{"attended":"2022-10-04"}],"#));
/// assert_eq!(wire::read_upload(body.as_bytes())?.facts, batch.facts);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn upload(batch: &Batch) -> String {
    let identity = batch.identity.as_ref();
    encode(&UploadJson {
        manbo: VERSION,
        ledger: identity.map(|identity| identity.ledger.clone()),
        generation: identity.map(|identity| identity.generation),
        since: batch.since,
        facts: batch.facts.clone(),
    })
}

/// Reads an upload. The limits of the facts are the ledger's to check, and their number is the store's.
///
/// # Errors
/// A [`WireError`]; a digest is checked only where there is one.
pub fn read_upload(body: &[u8]) -> Result<Batch, WireError> {
    if body.len() > UPLOAD_BYTES_MAX {
        return Err(WireError::TooLarge);
    }
    let UploadJson { ledger, generation, since, facts, .. } = decode(body, DigestIs::Optional)?;
    let identity = match (ledger, generation) {
        (Some(ledger), Some(generation)) => Some(Identity { ledger, generation }),
        (None, None) => None,
        _ => return Err(WireError::Malformed { line: 0, column: 0 }),
    };
    Ok(Batch { ticket: 0, identity, since, facts })
}

/// A receipt as it is sent.
pub fn receipt(answer: &Answer) -> String {
    let Answer { identity, incarnation, rules_version, since, complete_to, receipt } = answer;
    let refused =
        |refused: &Refused| RefusedJson { fact: refused.fact, code: refused.code.as_str().to_owned() };
    encode(&ReceiptJson {
        manbo: VERSION,
        ledger: identity.ledger.clone(),
        generation: identity.generation,
        incarnation: incarnation.clone(),
        rules: *rules_version,
        since: *since,
        revision: receipt.revision,
        complete_to: *complete_to,
        accepted: receipt.accepted.clone(),
        refused: receipt.refused.iter().map(refused).collect(),
        flagged: receipt.flagged.clone(),
        facts: receipt.facts.clone(),
    })
}

/// Reads a receipt. A code that this library does not know becomes `unexplained`.
///
/// # Errors
/// A [`WireError`].
pub fn read_receipt(body: &[u8]) -> Result<Answer, WireError> {
    let json: ReceiptJson = decode(body, DigestIs::Required)?;
    let refused = |refused: RefusedJson| Refused {
        fact: refused.fact,
        code: Code::parse(&refused.code).unwrap_or(Code::Unexplained),
    };
    Ok(Answer {
        identity: Identity { ledger: json.ledger, generation: json.generation },
        incarnation: json.incarnation,
        rules_version: json.rules,
        since: json.since,
        complete_to: json.complete_to,
        receipt: Receipt {
            accepted: json.accepted,
            refused: json.refused.into_iter().map(refused).collect(),
            flagged: json.flagged,
            revision: json.revision,
            facts: json.facts,
        },
    })
}

/// An error of ours as it is sent, for the ledger that it is about, where the server knows whose it is.
pub fn problem(problem: Problem, identity: Option<&Identity>) -> String {
    encode(&ProblemJson {
        manbo: VERSION,
        error: problem,
        ledger: identity.map(|identity| identity.ledger.clone()),
        generation: identity.map(|identity| identity.generation),
    })
}

/// Reads an error of ours.
///
/// # Errors
/// A [`WireError`].
pub fn read_problem(body: &[u8]) -> Result<(Problem, Option<Identity>), WireError> {
    let ProblemJson { error, ledger, generation, .. } = decode(body, DigestIs::Required)?;
    let identity = ledger.zip(generation).map(|(ledger, generation)| Identity { ledger, generation });
    Ok((error, identity))
}

/// Turns an HTTP answer into what the machine is told. `retry_after` is the header's text: seconds, or an HTTP
/// date, which needs `now_ms`; what cannot be read counts as not there.
///
/// ```
/// use manbo::delivery::{Body, Outcome};
/// let portal = manbo::wire::read_reply(200, None, b"<html>please sign in</html>", 0);
/// assert_eq!(portal, Outcome::Reply { status: 200, retry_after_s: None, body: Body::Foreign });
/// ```
pub fn read_reply(status: u16, retry_after: Option<&str>, body: &[u8], now_ms: i64) -> Outcome {
    let body = match read_receipt(body) {
        Ok(answer) => Body::Receipt(Box::new(answer)),
        Err(_) => match read_problem(body) {
            Ok((_, identity)) => Body::Refusal(identity),
            Err(_) => Body::Foreign,
        },
    };
    Outcome::Reply { status, retry_after_s: retry_after.and_then(|text| retry_after_s(text, now_ms)), body }
}

fn retry_after_s(text: &str, now_ms: i64) -> Option<i64> {
    let text = text.trim();
    let at = || chrono::DateTime::parse_from_rfc2822(text).ok();
    text.parse().ok().or_else(|| Some(at()?.timestamp().saturating_sub(now_ms.div_euclid(1_000))))
}

/// The digest of a message, as it stands at its end: 128 bits of SHA-256 in hexadecimal digits.
pub fn digest(message: &[u8]) -> String {
    Sha256::digest(message).iter().take(DIGEST_LEN / 2).map(|byte| format!("{byte:02x}")).collect()
}

fn encode(message: &impl Serialize) -> String {
    // No message has a part that JSON cannot write.
    let mut text = serde_json::to_string(message).unwrap_or_default();
    // The last brace: the digest is the last member.
    text.pop();
    let digest = digest(text.as_bytes());
    text + DIGEST_MEMBER + &digest + "\"}"
}

/// Whether a message has to have a digest.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DigestIs {
    Required,
    Optional,
}

fn decode<T: serde::de::DeserializeOwned>(body: &[u8], needs: DigestIs) -> Result<T, WireError> {
    let body = body.trim_ascii_end();
    let malformed =
        |error: serde_json::Error| WireError::Malformed { line: error.line(), column: error.column() };
    let Version { manbo: found } = serde_json::from_slice(body).map_err(malformed)?;
    if found > VERSION {
        return Err(WireError::Newer { found });
    }
    match split_digest(body) {
        Some((message, told)) if digest(message).as_bytes() != told => return Err(WireError::Damaged),
        None if needs == DigestIs::Required => return Err(WireError::Damaged),
        Some(_) | None => {}
    }
    serde_json::from_slice(body).map_err(malformed)
}

/// A message without its end, and its digest.
fn split_digest(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = body.strip_suffix(b"\"}")?;
    let (rest, told) = rest.split_at_checked(rest.len().checked_sub(DIGEST_LEN)?)?;
    Some((rest.strip_suffix(DIGEST_MEMBER.as_bytes())?, told))
}
