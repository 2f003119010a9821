//! What connectors need of the host itself: programs run with a bound, who has a file open, free
//! space, passwords from files, and the renames that switch what is there for what was restored.

pub(crate) mod account;
pub(crate) mod at;
mod command;
pub(crate) mod held;
pub(crate) mod moment;
pub(crate) mod moves;
mod not_put_back;
pub(crate) mod permissions;
pub(crate) mod private;
pub(crate) mod processes;
pub(crate) mod program;
pub(crate) mod replaced;
pub(crate) mod rules;
pub(crate) mod secret;
pub(crate) mod space;

pub use command::command;
pub(crate) use not_put_back::NotPutBack;
pub use processes::is_open_somewhere;
pub use space::check_all as check_room;

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;
    use std::sync::Arc;

    use tintype_model::cancel::Cancel;
    use tintype_testkit::env::{RealClock, Threads};

    use crate::connector::Context;

    pub(crate) fn context() -> Context {
        Context {
            clock: Arc::new(RealClock::start()),
            tasks: Arc::new(Threads),
            cancel: Cancel::default(),
            session: "0123456789abcdef".into(),
            living: Arc::new(BTreeSet::new()),
            scratch: PathBuf::new(),
            written_devices: Vec::new(),
            passwords: crate::connector::Passwords::default(),
            quiesce: true,
        }
    }
}
