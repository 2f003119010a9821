//! Checks before a restore that machines of every kind share.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tintype_model::plan::Check;
use tintype_model::resource::{HookPlace, OnError, Phase, Resource};

/// Whether files fit; they are sparse, so that what was stored says more than how large they are.
pub(crate) fn free_space(files: &[(PathBuf, u64)], stored_bytes: u64) -> Check {
    let mut needed: BTreeMap<&Path, u64> = BTreeMap::new();
    for (file, bytes) in files {
        *needed.entry(file.parent().unwrap_or(Path::new("/"))).or_default() += bytes;
    }
    for (directory, bytes) in needed {
        // One that is made by the restore is where its parent is.
        let mut existing = directory;
        while let (false, Some(parent)) = (existing.exists(), existing.parent()) {
            existing = parent;
        }
        let Ok(space) = rustix::fs::statvfs(existing) else { continue };
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        if free < bytes {
            let reason = format!(
                "{} has {} MiB free; the disks have {} MiB, {} MiB were stored",
                directory.display(),
                free >> 20,
                bytes >> 20,
                stored_bytes >> 20
            );
            return Check::warn("free-space", reason, "make room, or restore to another place");
        }
    }
    Check::pass("free-space", "there is room for the disks as large as they can get")
}

/// Why a machine runs no hook: one that is replaced, and one that is new.
pub(crate) const OFF: &str = "the machine is off while it is replaced";
pub(crate) const NOT_STARTED: &str = "no rule `start` asks for the new machine to run";

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
