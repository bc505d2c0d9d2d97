//! What must hold, written from the contract; it shares no code with the library.
//!
//! Plain numbers and ordered maps, slow and clear: every derived number is worked out anew from the facts
//! whenever it is asked for. The limits stand here a second time on purpose, so that a wrong one in the
//! library cannot hide behind itself.

pub mod derived;
pub mod fact;
pub mod history;
pub mod limits;
pub mod replica;
pub mod server;
#[cfg(test)]
mod vectors;

pub use derived::{DayNumbers, Numbers, Rules, days, numbers};
pub use fact::{DayNumber, Item, SourceNumber, Value};
pub use history::{History, Transaction};
pub use replica::{Mark, Refused, Replica, Reread};
pub use server::{Moderation, ServerReplica, Verdicts};
