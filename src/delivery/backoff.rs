//! How long to wait after a failure: doubling, with jitter, so that a million phones do not come back at
//! once when a server does.

use super::policy::{BACKOFF_BASE_MS, BACKOFF_MAX_MS, RETRY_AFTER_MAX_MS, RETRY_AFTER_MIN_MS};

/// The longest wait after so many failures in a row, at least one.
pub(crate) fn ceiling_ms(failures: u32) -> i64 {
    let doublings = failures.saturating_sub(1).min(BACKOFF_MAX_MS.ilog2());
    (BACKOFF_BASE_MS << doublings).min(BACKOFF_MAX_MS)
}

/// A wait after so many failures in a row: uniform between half the ceiling and the ceiling.
pub(crate) fn wait_ms(failures: u32, seed: u64) -> i64 {
    let ceiling = ceiling_ms(failures);
    let half = ceiling / 2;
    let width = (ceiling - half).unsigned_abs() + 1;
    // The high half of a 128-bit product is uniform in 0..width, to one part in 2^64.
    let offset = (u128::from(mixed(seed)) * u128::from(width)) >> 64;
    half + i64::try_from(offset).unwrap_or(0)
}

/// What a server asked for, held within what is believed.
pub(crate) fn retry_after_ms(seconds: i64) -> i64 {
    seconds.saturating_mul(1_000).clamp(RETRY_AFTER_MIN_MS, RETRY_AFTER_MAX_MS)
}

/// Spreads a seed over all bits (the finaliser of splitmix64), since hosts hand in small numbers.
pub(super) fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_one_second_to_an_hour() {
        let ceilings: Vec<i64> = [0, 1, 2, 3, 12, 13, 14, u32::MAX].into_iter().map(ceiling_ms).collect();
        assert_eq!(ceilings, [1_000, 1_000, 2_000, 4_000, 2_048_000, 3_600_000, 3_600_000, 3_600_000]);
    }

    #[test]
    fn a_wait_is_spread_over_the_upper_half() {
        for failures in [1, 5, 40] {
            let ceiling = ceiling_ms(failures);
            let waits: Vec<i64> = (0..1_000).map(|seed| wait_ms(failures, seed)).collect();
            assert!(waits.iter().all(|wait| (ceiling / 2..=ceiling).contains(wait)));
            let low = waits.iter().filter(|wait| **wait < ceiling * 3 / 4).count();
            assert!((400..600).contains(&low), "{low} of 1,000 below the middle");
        }
        assert!((500..=1_000).contains(&wait_ms(1, u64::MAX)));
    }

    #[test]
    fn what_a_server_asks_is_believed_within_limits() {
        let asked: Vec<i64> =
            [-1, 0, 1, 5, 86_400, 86_401, i64::MAX, i64::MIN].into_iter().map(retry_after_ms).collect();
        assert_eq!(asked, [1_000, 1_000, 1_000, 5_000, 86_400_000, 86_400_000, 86_400_000, 1_000]);
    }
}
