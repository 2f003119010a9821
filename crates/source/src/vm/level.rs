//! Which consistency a machine can reach, and why not more, in the same words whoever runs it.

use tintype_model::resource::Consistency;
use tintype_model::{ErrorKind, Result};

/// With what would help to reach more.
pub(crate) type Level = (Consistency, Option<String>);

/// Why a guest that could be held still was not.
pub(crate) const NOT_QUIESCED: &str = "the snapshot was to hold nothing still (without quiesce)";
pub(crate) const PAUSED: &str = "the machine is paused, so its agent cannot answer";
pub(crate) const NOTHING_TO_FREEZE: &str =
    "the guest agent found no file system that it can freeze";
/// What a plan says that a capture holds up.
pub(crate) const FREEZES: &str = "freezes the file systems of the guest";

/// Of a guest whose file systems the agent froze.
pub(crate) fn frozen(applications_take_part: bool) -> Level {
    if applications_take_part {
        return (Consistency::Application, None);
    }
    let why = "the guest's file systems are frozen, its applications are not asked: give the guest \
               agent a freeze hook for them, and set `application_hooks` in `at`";
    (Consistency::Filesystem, Some(why.to_owned()))
}

/// What an agent says of freezing before it is asked to: one that cannot, or must not by its
/// settings, is as good as none.
pub(crate) fn freezes(said: Result<()>) -> Result<Result<(), String>> {
    match said {
        Err(error) if error.is(ErrorKind::Canceled) || error.is(ErrorKind::Locked) => Err(error),
        Err(error) => Ok(Err(format!(
            "the guest agent cannot freeze file systems (are `guest-fsfreeze-…` blocked in its \
             settings, or not known to its system?): {error}"
        ))),
        Ok(()) => Ok(Ok(())),
    }
}

/// As after a power failure.
pub(crate) fn crash(why: impl Into<String>) -> Level {
    (Consistency::Crash, Some(why.into()))
}

#[cfg(test)]
mod tests {
    use tintype_model::Error;

    use super::*;

    #[test]
    fn an_agent_that_cannot_freeze_is_as_good_as_none() {
        assert_eq!(freezes(Ok(())).unwrap(), Ok(()));
        for error in [Error::unsupported("disabled"), Error::invalid("not now")] {
            let why = freezes(Err(error)).unwrap().unwrap_err();
            assert!(why.contains("guest-fsfreeze"), "{why}");
        }
        for error in [Error::locked("frozen"), Error::canceled("stopped")] {
            assert!(freezes(Err(error)).is_err());
        }
    }
}
