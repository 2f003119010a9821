//! Trying a hook out, outside of any run.

use serde::{Deserialize, Serialize};
use tintype_engine::cancel::Cancel;
use tintype_model::Result;
use tintype_model::item::HookRun;
use tintype_model::resource::{Hook, HookPlace, Resource};

use super::Host;
use crate::group::restore::in_guest;
use crate::group::{Run, hooks};

/// What a hook did, and how long it took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HookTrial {
    pub run: HookRun,
    pub seconds: f64,
}

impl Host {
    /// Runs a hook of a resource as a run would: on this host, or in the guest of a machine on it.
    pub(super) fn try_hook(
        &self,
        hook: &Hook,
        resource: &Resource,
        cancel: &Cancel,
    ) -> Result<HookTrial> {
        let begun = self.env.clock.elapsed();
        let run = match hook.place {
            HookPlace::Host => hooks::run(hook, &resource.name, hooks::of(&self.env), cancel),
            HookPlace::Guest => {
                let run = Run::begin(&self.env, cancel, &self.group_options(&[]))?;
                in_guest(&tintype_source::connectors(), hook, resource, run.context())
                    .unwrap_or_else(|error| hooks::failed(hook, &error))
            }
        };
        let seconds = self.env.clock.elapsed().saturating_sub(begun).as_secs_f64();
        Ok(HookTrial { run, seconds })
    }
}
