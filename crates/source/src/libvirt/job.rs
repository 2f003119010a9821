//! The backup job of a machine, told by the names of its scratch files, which bear a session's.

use std::time::Duration;

use tintype_model::{ErrorKind, Result};

use super::virsh::{Virsh, is_gone};
use super::xml::{children, of_child, parse};

const ENDS: Duration = Duration::from_secs(20);

/// Ends a backup job; that of another is left alone. Whether there was one to end.
pub(crate) fn end_job(virsh: &Virsh, domain: &str, ours: impl Fn(&str) -> bool) -> Result<bool> {
    let patience = virsh.patience(ENDS);
    let mut was_there = false;
    while let Some(job) = look(virsh, domain)? {
        if !job.files.iter().any(|name| ours(name)) {
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

/// A backup job that is at work.
pub(crate) struct Job {
    /// Names of its scratch files.
    pub files: Vec<String>,
}

pub(crate) fn look(virsh: &Virsh, domain: &str) -> Result<Option<Job>> {
    let job = match virsh.call(&["backup-dumpxml", domain]) {
        // No job, or no machine.
        Err(error) if error.is(ErrorKind::Invalid) || is_gone(&error) => return Ok(None),
        job => parse(&job?)?,
    };
    let disks = children(&job, "disks").flat_map(|disks| children(disks, "disk"));
    let files = disks.filter_map(|disk| of_child(disk, "scratch", "file"));
    let files = files.map(|file| file.rsplit('/').next().unwrap_or_default().to_owned());
    Ok(Some(Job { files: files.collect() }))
}
