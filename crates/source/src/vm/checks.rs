//! Checks before a restore that machines of every kind share.

use std::collections::BTreeSet;

use tintype_model::plan::Check;
use tintype_model::resource::{HookPlace, OnError, Phase, Resource};

/// Why a machine runs no hook: one that is replaced, and one that is new.
pub(crate) const OFF: &str = "the machine is off while it is replaced";
pub(crate) const NOT_STARTED: &str = "no rule `start` asks for the new machine to run";

pub(crate) const NO_AGENT: &str = "no guest agent is named (`agent` in `at`)";

pub(crate) fn has_guest_hooks(resource: &Resource, phase: Phase) -> bool {
    resource.hooks.iter().any(|hook| hook.place == HookPlace::Guest && hook.phase == phase)
}

/// Whether there are hooks of a phase that no guest can run: told before anything is done.
pub(crate) fn guest_hooks(resource: &Resource, phase: Phase, why: &str) -> Option<Check> {
    let hooks = resource.hooks.iter();
    let hooks = hooks.filter(|hook| hook.place == HookPlace::Guest && hook.phase == phase);
    let hook = hooks.min_by_key(|hook| hook.on_error == OnError::Continue)?;
    let program = hook.command.first().map_or("", String::as_str);
    let reason = format!("hook {program} of {phase} cannot run in the guest: {why}");
    Some(match hook.on_error {
        OnError::Fail => {
            let cure = "it must not fail (`on_error`): restore as new with the rule `start`, or \
                        the disks as files (--to)";
            Check::block("guest-hook", reason, cure)
        }
        OnError::Continue => {
            Check::warn("guest-hook", reason, "run it yourself when the machine runs")
        }
    })
}

/// Whether what writes disks of these formats is there.
pub(crate) fn tools(formats: &BTreeSet<String>) -> Check {
    let needed = formats.iter().find(|format| *format != "raw");
    let places = std::env::var_os("PATH").unwrap_or_default();
    let is_there =
        |program: &&str| std::env::split_paths(&places).any(|at| at.join(program).exists());
    match (needed, ["qemu-img", "qemu-nbd"].iter().find(|program| !is_there(program))) {
        (Some(format), Some(missing)) => {
            let reason = format!("{missing} is missing, which writes disks of format {format}");
            Check::block("tools", reason, "install the package qemu-utils (qemu-img)")
        }
        _ => Check::pass("tools", "what writes the disks is there"),
    }
}
