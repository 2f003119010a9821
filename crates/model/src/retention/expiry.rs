//! A snapshot's own expiry: kept until then, dropped after, whatever the counting rules say.

use jiff::Timestamp;

use super::Reason;

/// Keeps (`Ok`) or drops (`Err`); `None` is no expiry.
pub(super) fn verdict(expiry: Option<Timestamp>, now: Timestamp) -> Option<Result<Reason, Reason>> {
    let expiry = expiry?;
    Some(if expiry <= now { Err(Reason::Expired(expiry)) } else { Ok(Reason::KeepUntil(expiry)) })
}
