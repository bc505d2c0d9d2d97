//! One reader a format: each turns bytes into records, and knows nothing of days and ledgers.

pub(crate) mod apple;
pub(crate) mod csv;
pub(crate) mod fitbit;
