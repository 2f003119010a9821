//! Snapshots that stay locked until somebody asks for the end of that.
//!
//! Locks can be extended and never shortened. So an immutable snapshot carries a short lock that is
//! extended with each deletion of what is over, and whoever asks to unlock it ends that
//! (`model::profile::Immutable`). What is immutable, and that somebody asked, stands in tags: it is not
//! lost with the catalog, and does not go with the profile that asked for it.

use std::sync::Arc;

use jiff::Timestamp;
use tintype_model::Result;
use tintype_model::profile::Immutable;
use tintype_runner::vault::{self, Change, Standing, Vault};

use super::captured::stand;
use crate::catalog::snapshots::{self, Known};
use crate::state::State;
use crate::vaults::blocking;

/// Before the days from the request to the end of the lock.
pub(crate) const IMMUTABLE: &str = "immutable:";
/// Somebody asked.
pub(crate) const UNLOCKING: &str = "unlocking";

pub(crate) fn delay_days(standing: &Standing) -> Option<u32> {
    standing.tags.iter().find_map(|tag| tag.strip_prefix(IMMUTABLE)?.parse().ok())
}

/// What makes a snapshot immutable from now on.
pub(crate) fn first(locked_until: Option<Timestamp>, delay_days: Option<u32>) -> Vec<Change> {
    let mark = |days| Change::Tag { add: vec![format!("{IMMUTABLE}{days}")], remove: Vec::new() };
    locked_until.map(Change::Lock).into_iter().chain(delay_days.map(mark)).collect()
}

/// Asks for the end of its lock, or takes that back.
pub(crate) fn request(unlock: bool) -> Change {
    let mark = vec![UNLOCKING.to_owned()];
    match unlock {
        true => Change::Tag { add: mark, remove: Vec::new() },
        false => Change::Tag { add: Vec::new(), remove: mark },
    }
}

/// The lock that it is time to extend to.
fn renewal(standing: &Standing, now: Timestamp) -> Option<Timestamp> {
    let unlock_delay_days = delay_days(standing)?;
    if standing.tags.contains(UNLOCKING) {
        return None;
    }
    Immutable { unlock_delay_days }.renewal(standing.expiry, standing.locked_until, now)
}

/// Extends the locks of a repository's snapshots, and notes them in the catalog and in `known`.
pub(super) async fn renew(state: &State, vault: &Arc<Vault>, known: &mut [Known]) -> Result<usize> {
    if known.iter().all(|one| one.snapshot.unlock_delay_days.is_none()) {
        return Ok(0);
    }
    let (worker, now) = (Arc::clone(vault), state.now());
    let renewed: Vec<vault::Snapshot> = blocking(move || {
        let mut renewed = Vec::new();
        for mut found in worker.snapshots()?.snapshots {
            if let Some(until) = renewal(&found.standing, now) {
                found.standing = worker.change(&found, "manager", Change::Lock(until))?;
                renewed.push(found);
            }
        }
        Ok(renewed)
    })
    .await?;
    let mut change = state.catalog.change().await?;
    for found in &renewed {
        let id = found.id.to_string();
        let Some(one) = known.iter_mut().find(|one| one.snapshot.id == id) else { continue };
        stand(&mut one.snapshot, &found.standing);
        snapshots::put(change.on(), &one.repository, &one.snapshot, None).await?;
    }
    change.commit_own_books().await?;
    Ok(renewed.len())
}
