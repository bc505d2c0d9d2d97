//! Every limit of delivery, with its arithmetic. Section 6 of the contract is the source of each number.

/// Facts of a batch: a year of one source is 365; two requests bring a reinstalled phone up to date.
pub const BATCH_FACTS_MAX: usize = 400;
/// Bytes of an encoded batch: 400 facts of 150 bytes are 60,000, so that the count usually decides.
pub const BATCH_BYTES_MAX: usize = 64 * 1024;
/// The first wait after a failure.
pub const BACKOFF_BASE_MS: i64 = 1_000;
/// The longest wait after a failure: 1 s doubled 12 times is 4,096 s, so the cap is met at the 13th.
pub const BACKOFF_MAX_MS: i64 = 3_600_000;
/// The shortest `Retry-After` that is believed: less is a loop.
pub const RETRY_AFTER_MIN_MS: i64 = 1_000;
/// The longest `Retry-After` that is believed: a day later everything is tried again anyhow.
pub const RETRY_AFTER_MAX_MS: i64 = 86_400_000;
/// How long a refusal of the credentials pauses: the same day's use of the app may bring new ones.
pub const PAUSE_MAX_MS: i64 = 86_400_000;
/// Foreground and connectivity end a backoff at most this often: a flapping network is no reason to send.
pub const TRIGGER_GAP_MS: i64 = 60_000;
/// Receipts in a row that brought nothing, until delivery says that it is stalled.
pub const FRUITLESS_RECEIPTS_MAX: u8 = 3;
/// Pulls in a row that may bring nothing although the server says that there is more: one, because its answer may
/// have crossed another on the way. From the second on they are waited out, or such a server were asked for ever.
pub const FRUITLESS_PULLS_FREE: u8 = 1;
/// Lives of the server that may be met before everything is sent and fetched again: a backup restored, and at once
/// another because it was the wrong one. From the third on, which is what two servers behind one address look
/// like, they are waited out.
pub const RESTORES_FREE: u8 = 2;
/// With nothing pending, foreground and connectivity pull when the last receipt is older than this.
pub const PULL_AFTER_MS: i64 = 15 * 60_000;
/// With nothing pending, a pull is due this long after the last receipt in any case.
pub const PULL_DAILY_MS: i64 = 86_400_000;
/// How long a flusher may hold the lease: a request's time-out of 60 s, after which nobody waits for it.
pub const LEASE_MS: i64 = 60_000;
/// Bits of a ticket that chance fills. Where a backup or a rebuilt file counts its batches anew, an answer to a batch of
/// before passes for a new one's once in 65,536 times, and not each time.
pub(crate) const TICKET_CHANCE_BITS: u32 = 16;
/// How long a fact may wait before the host should ask: a ranking that lags a quarter of an hour is fair.
pub const PENDING_AGE_MS: i64 = 15 * 60_000;
/// How many facts may wait before the host should ask: six weeks of one source, as after an import.
pub const PENDING_FACTS: usize = 50;
/// How long before a week is sealed the host should ask: twelve backoffs from 1 s on, 4,095 s, fit in nearly.
pub const SEAL_LEAD_MS: i64 = 3_600_000;
