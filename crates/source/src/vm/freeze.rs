//! A guest's file systems, held still through its agent, by whatever way to it.

use std::time::Duration;

use tintype_model::{Error, Result};

use super::socket::Waits;
use crate::connector::Context;

/// Less than a guest under load needs is not enough; more than the guard waits is of no use.
pub(crate) const THAW: Duration = Duration::from_secs(8);
pub(crate) const NO_ANSWER: &str = "the guest agent answered no more while it was frozen";

/// Refuses a guest that another holds. `by`: what thaws it.
pub(crate) fn frozen_already(by: &str) -> Error {
    Error::locked(format!(
        "the guest's file systems are frozen already, by another program or one that was killed: thaw \
         them ({by}), then try again"
    ))
}

/// Whether what was frozen still was when it was thawed: how many file systems each time.
pub(crate) fn stayed(frozen: u64, thawed: u64) -> Result<()> {
    if thawed > 0 || frozen == 0 {
        return Ok(());
    }
    Err(Error::unavailable(
        "the guest's file systems were thawed by another before their time: the view is not what it \
         should be",
    ))
}

/// Tries for as long as an agent may be busy. An attempt that fails is made again, unless it says that
/// no other can help.
pub(crate) fn until_thawed(
    context: &Context,
    mut attempt: impl FnMut() -> Result<Result<()>>,
) -> Result<()> {
    let patience = Waits::stubborn(context).within(THAW);
    loop {
        let Err(error) = attempt()? else { return Ok(()) };
        if patience.pause().is_err() {
            let what = "the guest's file systems may still be frozen; in the guest, end the freeze \
                        with `fsfreeze -u`, or restart it";
            return Err(Error::new(error.kind(), format!("{what}: {error}")));
        }
    }
}
