//! What every request and run of one manager shares.

use std::sync::Arc;

use jiff::Timestamp;
use tintype_model::env::{Clock, Random};
use tintype_model::identifier::Id;
use tokio::sync::Semaphore;

use crate::auth::limiter::Limiter;
use crate::catalog::Catalog;

/// Hashes of passwords that are computed at once: each takes 19 MiB.
const PASSWORDS_AT_ONCE: usize = 2;

pub struct Shared {
    pub catalog: Catalog,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    /// Of the tenant that is the root.
    pub system: Id,
    pub limiter: Limiter,
    pub passwords: Semaphore,
}

pub type State = Arc<Shared>;

impl Shared {
    pub fn new(
        catalog: Catalog,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        system: Id,
    ) -> State {
        let passwords = Semaphore::new(PASSWORDS_AT_ONCE);
        Arc::new(Self { catalog, clock, random, system, limiter: Limiter::default(), passwords })
    }

    /// To the millisecond, as the catalog keeps times.
    pub fn now(&self) -> Timestamp {
        let now = self.clock.now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    pub fn new_id(&self) -> Id {
        Id::new(self.now(), &*self.random)
    }
}
