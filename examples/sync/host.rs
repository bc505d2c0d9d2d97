//! What an app writes: the loop, one request, and what came back. `ureq` stands for any HTTP client.

use std::time::{Duration, SystemTime};

use manbo::delivery::{Moment, Next, Notice, Outcome, Ticket, Trigger};
use manbo::{Now, StepBook, UtcOffset, wire};
use serde::{Deserialize, Serialize};

use crate::{Result, say};

/// Rounds of the loop: a server that is down must not keep a background task alive.
const ROUNDS_MAX: usize = 30;
/// The longest wait that the loop sits out; beyond it an app sets an alarm to `delivery_due` and comes back.
const PATIENCE_MS: i64 = 5_000;
/// Bytes of an answer that are read: ten years of five sources are 18,250 facts of 150 bytes, a sixth of this.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// As long as the batch's lease: after it nobody waits for an answer.
const TIME_OUT: Duration = Duration::from_secs(60);

/// What came back, in a form that can be kept for another process.
#[derive(Serialize, Deserialize)]
pub(crate) struct Answer {
    /// `None`: no answer came.
    pub(crate) status: Option<u16>,
    retry_after: Option<String>,
    body: Vec<u8>,
}

/// A host asks its clock and its zone; the seed is any number that differs from device to device.
pub(crate) fn moment() -> Result<Moment> {
    let elapsed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let now = Now::at(i64::try_from(elapsed.as_millis())?, UtcOffset::UTC);
    Ok(Moment { now, seed: elapsed.subsec_nanos().into() })
}

/// Sends until nothing is left to do now. `sign_in` gives a new token where the server refuses the old one.
pub(crate) fn sync(
    book: &mut StepBook,
    url: &str,
    token: &mut String,
    sign_in: fn() -> String,
) -> Result<()> {
    let mut signed_in = false;
    for _ in 0..ROUNDS_MAX {
        match book.next_delivery(moment()?)? {
            Next::Idle => return Ok(()),
            Next::Upload(batch) => {
                let answer = post(url, token, &wire::upload(&batch));
                say(&format!("  facts sent: {}, {}", batch.facts.len(), answer.name()));
                apply(book, Some(batch.ticket), &answer)?;
            }
            Next::Wait { until_ms } => {
                let wait_ms = until_ms - moment()?.now.unix_ms;
                if wait_ms > PATIENCE_MS {
                    return Ok(());
                }
                std::thread::sleep(Duration::from_millis(wait_ms.max(0).unsigned_abs()));
            }
            Next::Paused { .. } if signed_in => return Ok(()),
            Next::Paused { .. } => {
                signed_in = true;
                *token = sign_in();
                book.trigger_delivery(Trigger::Credentials, moment()?.now)?;
            }
            Next::Stalled => {
                say("  the server answers and nothing moves: a case for support");
                return Ok(());
            }
        }
    }
    Ok(())
}

/// One request. No redirect is followed: the token and the steps go to this server or nowhere.
pub(crate) fn post(url: &str, token: &str, body: &str) -> Answer {
    let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0);
    // The server is on this machine: no proxy of the environment is asked for it.
    let agent = config.proxy(None).timeout_global(Some(TIME_OUT)).build().new_agent();
    let no_answer = Answer { status: None, retry_after: None, body: Vec::new() };
    let bearer = format!("Bearer {token}");
    let Ok(mut reply) = agent.post(url).header("authorization", bearer).send(body) else {
        return no_answer;
    };
    let retry_after = reply.headers().get("retry-after").and_then(|value| value.to_str().ok());
    let (status, retry_after) = (Some(reply.status().as_u16()), retry_after.map(str::to_owned));
    match reply.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec() {
        Ok(body) => Answer { status, retry_after, body },
        Err(_) => no_answer,
    }
}

/// Tells the book what came back, and the person what they have to hear before it is done.
pub(crate) fn apply(book: &mut StepBook, of: Option<Ticket>, answer: &Answer) -> Result<()> {
    let at = moment()?;
    let outcome = answer.status.map_or(Outcome::Network, |status| {
        wire::read_reply(status, answer.retry_after.as_deref(), &answer.body, at.now.unix_ms)
    });
    for notice in book.report_delivery(of, &outcome, at)?.notices {
        say(&format!("  to tell the person: {notice:?}"));
        if let Notice::Erased { .. } = notice {
            book.follow_erasure()?;
        }
    }
    Ok(())
}

impl Answer {
    fn name(&self) -> String {
        self.status.map_or("no answer".to_owned(), |status| format!("answered {status}"))
    }
}
