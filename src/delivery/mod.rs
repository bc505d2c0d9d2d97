//! Write-behind delivery, pure: the core says what to send and when, the host sends it and tells what
//! happened. Nothing here does network I/O, reads a clock or draws a random number.
//!
//! The buffer is not a log but the set of pending facts, and the value is its own fence: a receipt clears a
//! fact only if its register is still exactly what was accepted. So a batch may be built anew at any time,
//! and an answer may come to a process that knows nothing of the request.
//!
//! ```text
//!                 +--------- receipt: clears, parks, brings facts --------------+
//!                 v                                                             |
//!   next -> Upload(batch) ---- the host sends ---- report(outcome) -+-- 401, 403 with our body -> Paused
//!     |                                                             +-- 410 with our body       -> erased
//!     +-> Wait | Idle | Paused | Stalled                            +-- 413, or 400, 422        -> halved
//!                                                                   +-- anything else           -> backoff
//! ```
//!
//! A receipt that brings nothing is followed by the next question at once, as the contract says, but not for ever:
//! with something pending there is `Stalled`, and for a server that never gives what it announces, or that has
//! another life each time, there is the backoff.

mod backoff;
mod brake;
mod hold;
mod machine;
mod outcome;
mod policy;
#[cfg(test)]
mod tests;

pub use machine::{Batch, Delivery, Due, DueReason, Health, Moment, Next, Notice, Reported, Ticket, Trigger};
pub use outcome::{Answer, Body, Identity, Outcome};
pub use policy::{
    BACKOFF_BASE_MS, BACKOFF_MAX_MS, BATCH_BYTES_MAX, BATCH_FACTS_MAX, FRUITLESS_PULLS_FREE,
    FRUITLESS_RECEIPTS_MAX, LEASE_MS, PAUSE_MAX_MS, PENDING_AGE_MS, PENDING_FACTS, PULL_AFTER_MS,
    PULL_DAILY_MS, RESTORES_FREE, RETRY_AFTER_MAX_MS, RETRY_AFTER_MIN_MS, SEAL_LEAD_MS, TRIGGER_GAP_MS,
};
