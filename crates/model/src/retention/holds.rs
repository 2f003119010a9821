//! Locks and holds: they win over every rule and over expiry.

use jiff::Timestamp;

use super::Reason;

pub(super) fn reasons(
    locked_until: Option<Timestamp>,
    held: &[String],
    now: Timestamp,
) -> Vec<Reason> {
    let lock = locked_until.filter(|until| *until > now).map(Reason::Locked);
    lock.into_iter().chain(held.iter().cloned().map(Reason::Held)).collect()
}
