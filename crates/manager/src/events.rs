//! What changed, for those who wait for it: one task reads it for all of them.

use std::sync::Arc;
use std::time::Duration;

use tintype_model::env::Random;
use tintype_runner::vault::encode_hex;
use tokio::sync::{broadcast, watch};

use crate::catalog::events::Batch;
use crate::state::State;

/// Another manager at the same catalog tells nothing but by it.
const LOOK: Duration = Duration::from_secs(1);
/// Read at once.
pub(crate) const MOST: i64 = 500;
/// Whoever is further behind reads the catalog himself.
const KEPT: usize = 64;
/// Streams that are open at once.
const STREAMS: usize = 1024;

pub struct Hub {
    batches: broadcast::Sender<Arc<Batch>>,
    ending: watch::Sender<bool>,
    pub(crate) slots: Arc<tokio::sync::Semaphore>,
    /// Of this process. What is behind it may have been replaced by another catalog.
    pub(crate) epoch: String,
}

impl Hub {
    pub fn new(random: &dyn Random) -> Self {
        let mut bytes = [0; 6];
        random.fill(&mut bytes);
        Self {
            batches: broadcast::channel(KEPT).0,
            ending: watch::channel(false).0,
            slots: Arc::new(tokio::sync::Semaphore::new(STREAMS)),
            epoch: encode_hex(&bytes),
        }
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<Arc<Batch>> {
        self.batches.subscribe()
    }

    /// For [`ended`].
    pub(crate) fn ending(&self) -> watch::Receiver<bool> {
        self.ending.subscribe()
    }

    /// Nobody waits any more.
    pub fn close(&self) {
        self.ending.send_replace(true);
    }
}

/// When the manager ends, or has.
pub(crate) async fn ended(ending: &mut watch::Receiver<bool>) {
    let _ = ending.wait_for(|is_ending| *is_ending).await;
}

/// Looks for what is new until the manager ends.
pub async fn run(state: State, mut end: watch::Receiver<bool>) {
    let mut last = None;
    loop {
        // What cannot be read now is read the next time.
        match tell(&state, last).await {
            Ok(now) => last = Some(now),
            Err(error) => tracing::debug!(%error, "what changed cannot be read now"),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = end.changed() => return,
        }
    }
}

/// Gives up to where it told.
async fn tell(state: &State, last: Option<i64>) -> tintype_model::Result<i64> {
    let hub = &state.events;
    let (Some(mut last), true) = (last, hub.batches.receiver_count() > 0) else {
        return state.catalog.last_event().await;
    };
    loop {
        let batch = state.catalog.events_after(last, MOST).await?;
        if batch.upto == last && batch.events.is_some() {
            return Ok(last);
        }
        last = batch.upto;
        // Those who listened may have gone meanwhile.
        let _ = hub.batches.send(Arc::new(batch));
    }
}
