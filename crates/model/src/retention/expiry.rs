//! A snapshot's own expiry: kept until then, dropped after, whatever the counting rules say.

use jiff::Timestamp;

use super::{Reason, Snapshot};

/// Keeps (`Ok`) or drops (`Err`); `None` leaves it to the rules.
pub(super) fn verdict(snapshot: &Snapshot, now: Timestamp) -> Option<Result<Reason, Reason>> {
    let expiry = snapshot.expiry?;
    Some(if snapshot.is_expired(now) {
        Err(Reason::Expired(expiry))
    } else {
        Ok(Reason::KeepUntil(expiry))
    })
}
