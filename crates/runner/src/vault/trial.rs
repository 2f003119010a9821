//! Trying a hook out, outside of any run.

use std::time::Duration;

use tintype_engine::cancel::Cancel;
use tintype_model::item::HookRun;
use tintype_model::resource::{Hook, HookPlace};
use tintype_model::{Error, Result};

use super::Host;
use crate::group::hooks;

impl Host {
    /// Runs a hook of a resource on this host as a run would, and says how long it took.
    pub fn try_hook(
        &self,
        hook: &Hook,
        resource: &str,
        cancel: &Cancel,
    ) -> Result<(HookRun, Duration)> {
        if hook.place != HookPlace::Host {
            return Err(Error::unsupported(
                "a hook inside of a machine is tried with a snapshot of that machine",
            ));
        }
        let begun = self.env.clock.elapsed();
        let run = hooks::run(hook, resource, &self.env, cancel);
        Ok((run, self.env.clock.elapsed().saturating_sub(begun)))
    }
}
