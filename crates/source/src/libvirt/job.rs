//! The backup job of a machine, told by the names of its scratch files, which bear a session's.

use std::time::Duration;

use tintype_model::{ErrorKind, Result};

use super::virsh::Virsh;
use super::xml::{children, of_child, parse};

const ENDS: Duration = Duration::from_secs(20);

/// Ends a backup job; that of another is left alone. Whether there was one to end.
pub(crate) fn end_job(virsh: &Virsh, domain: &str, ours: impl Fn(&str) -> bool) -> Result<bool> {
    let patience = virsh.patience(ENDS);
    let mut was_there = false;
    while let Some(names) = scratch_of_job(virsh, domain)? {
        if !names.iter().any(|name| ours(name)) {
            break;
        }
        was_there = true;
        // It may end by itself meanwhile.
        let _ = virsh.call(&["domjobabort", domain]);
        patience.pause().map_err(|error| error.context("the backup job does not end"))?;
    }
    Ok(was_there)
}

/// Lets a guest run on that a job of ours stopped for want of space.
pub(crate) fn let_go_on(virsh: &Virsh, domain: &str) -> Result<()> {
    let state = virsh.call(&["domstate", domain, "--reason"]).unwrap_or_default();
    if state.trim() == "paused (I/O error)" {
        virsh.call(&["resume", domain])?;
    }
    Ok(())
}

/// Names of the scratch files of the backup job that is at work.
fn scratch_of_job(virsh: &Virsh, domain: &str) -> Result<Option<Vec<String>>> {
    let job = match virsh.call(&["backup-dumpxml", domain]) {
        // No job, no machine, no libvirt.
        Err(error) if matches!(error.kind(), ErrorKind::Invalid | ErrorKind::NotFound) => {
            return Ok(None);
        }
        job => parse(&job?)?,
    };
    let disks = children(&job, "disks").flat_map(|disks| children(disks, "disk"));
    let files = disks.filter_map(|disk| of_child(disk, "scratch", "file"));
    Ok(Some(files.map(|file| file.rsplit('/').next().unwrap_or_default().to_owned()).collect()))
}
