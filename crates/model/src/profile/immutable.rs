//! Snapshots that nobody can delete, except after a wait that somebody has to ask for.
//!
//! A lock of the engine (and of stores with object lock) can be extended and never shortened. So an
//! immutable snapshot carries a lock that is never longer than the unlock delay needs, and is
//! extended each day. To unlock means to extend it no more:
//!
//! ```text
//! taken ── lock until taken + delay + 1 day ── renewed daily ── … ── asked to unlock ── lock ends
//!                                                                      │← delay … delay + 1 day →│
//! ```
//!
//! A lock never reaches past the expiry. While the manager is away nothing is renewed, so an
//! absence longer than the delay ends the lock like a request.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

const DAY: SignedDuration = SignedDuration::from_hours(24);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Immutable {
    /// Days from the request to unlock a snapshot until it can be deleted.
    #[serde(default = "Immutable::default_delay")]
    #[schemars(range(min = 1, max = 365))]
    pub unlock_delay_days: u32,
}

impl Default for Immutable {
    fn default() -> Self {
        Self { unlock_delay_days: Self::default_delay() }
    }
}

impl Immutable {
    fn default_delay() -> u32 {
        7
    }

    pub(super) fn check(self) -> Result<()> {
        if (1..=365).contains(&self.unlock_delay_days) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "immutable: an unlock_delay_days of {} is not between 1 and 365",
            self.unlock_delay_days
        )))
    }

    /// The same, where no lock may be longer than so many days: with a shorter delay, or none.
    pub fn at_most(self, days: u32) -> Option<Self> {
        let longest = days.checked_sub(1).filter(|delay| *delay > 0)?;
        Some(Self { unlock_delay_days: self.unlock_delay_days.min(longest) })
    }

    /// The lock that a snapshot of this expiry gets now, or is extended to.
    pub fn lock(self, expiry: Option<Timestamp>, now: Timestamp) -> Timestamp {
        let delay = DAY * (self.unlock_delay_days as i32 + 1);
        let until = now.checked_add(delay).unwrap_or(Timestamp::MAX);
        expiry.map_or(until, |expiry| expiry.min(until))
    }

    /// The lock to extend to now, if it is time: when less than the delay is left of it.
    pub fn renewal(
        self,
        expiry: Option<Timestamp>,
        locked_until: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let delay = DAY * self.unlock_delay_days as i32;
        let lock = self.lock(expiry, now);
        let is_short =
            locked_until.is_none_or(|until| until < lock && until.duration_since(now) < delay);
        (lock > now && is_short).then_some(lock)
    }
}
