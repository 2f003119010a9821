//! Locks and holds: they win over every rule and over expiry.

use jiff::Timestamp;

use super::{Reason, Snapshot};

pub(super) fn reasons(snapshot: &Snapshot, now: Timestamp) -> Vec<Reason> {
    let lock = snapshot.locked_until.filter(|until| *until > now).map(Reason::Locked);
    lock.into_iter().chain(snapshot.held.iter().cloned().map(Reason::Held)).collect()
}
