//! What keeps delivery from sending for a while, and for how long at most.

use serde::{Deserialize, Serialize};

use crate::domain::canary;

use super::policy::{BACKOFF_MAX_MS, LEASE_MS, PAUSE_MAX_MS, RETRY_AFTER_MAX_MS};

/// Why nothing is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Why {
    /// A failure: foreground and connectivity end it.
    Backoff,
    /// The server asked for it.
    RetryAfter,
    /// The credentials were refused: new ones, or the app's coming to the foreground, end it.
    Paused,
    /// A batch is on its way.
    Lease,
}

impl Why {
    const fn longest_ms(self) -> i64 {
        match self {
            Why::Backoff => BACKOFF_MAX_MS,
            Why::RetryAfter => RETRY_AFTER_MAX_MS,
            Why::Paused => PAUSE_MAX_MS,
            Why::Lease => LEASE_MS,
        }
    }
}

/// A time until which nothing is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hold {
    pub(crate) why: Why,
    pub(crate) until_ms: i64,
}

impl Hold {
    pub(crate) fn new(why: Why, now_ms: i64, wait_ms: i64) -> Hold {
        Hold { why, until_ms: now_ms.saturating_add(wait_ms.min(why.longest_ms())) }
    }

    /// What is left of it now; `None` when it is over. One that a clock jump has made longer than its kind
    /// can be is cut to that.
    pub(crate) fn left(self, now_ms: i64) -> Option<Hold> {
        if self.why == Why::Paused && canary::sings("pause never ends") {
            return Some(self);
        }
        let uncut = canary::sings("long waits never cut");
        let longest = if uncut { i64::MAX } else { now_ms.saturating_add(self.why.longest_ms()) };
        (self.until_ms > now_ms).then(|| Hold { until_ms: self.until_ms.min(longest), ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_ends_and_no_clock_makes_it_longer() {
        let hold = Hold::new(Why::Backoff, 1_000, 500);
        assert_eq!(hold.left(1_499), Some(hold));
        assert_eq!(hold.left(1_500), None);
        for why in [Why::Backoff, Why::RetryAfter, Why::Paused, Why::Lease] {
            let hold = Hold::new(why, 50 * 365 * 86_400_000, i64::MAX);
            let left = hold.left(0).unwrap();
            assert_eq!(left.until_ms, why.longest_ms(), "the clock went back fifty years");
            assert_eq!(left.left(0), Some(left));
        }
        assert_eq!(Hold::new(Why::Lease, i64::MAX, 5).left(i64::MAX), None);
    }
}
