//! A delay that is different for each period and moment and the same whenever it is asked for, so
//! that many periods of one minute do not all begin in it.

use jiff::{SignedDuration, Timestamp};

/// Below `most_minutes`, in whole seconds.
pub(super) fn of(
    profile: &str,
    period: &str,
    moment: Timestamp,
    most_minutes: u32,
) -> SignedDuration {
    if most_minutes == 0 {
        return SignedDuration::ZERO;
    }
    let moment = moment.as_second().to_le_bytes();
    // Names cannot hold the byte that separates them.
    let parts = [profile.as_bytes(), &[0], period.as_bytes(), &[0], &moment];
    // FNV-1a, and the finish of SplitMix64, since its high bits are poor for short texts.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in parts.into_iter().flatten() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^= hash >> 31;
    SignedDuration::from_secs((hash % (u64::from(most_minutes) * 60)) as i64)
}
