//! Preflight checks of a restore: what must be true before anything is written.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tintype_engine::reader::ContentReader;
use tintype_model::count::counted;
use tintype_model::plan::{Check, Verdict};
use tintype_model::size;
use tintype_source::files::Owners;

use super::{Mapping, Plan, Rule};

/// Checks a plan against the host.
pub fn check(plan: &Plan, reader: &ContentReader<'_>) -> Vec<Check> {
    vec![space(plan, reader), rights(plan), owners(plan), obstacles(plan), completeness(plan)]
}

fn finding(name: &'static str, outcome: Verdict, message: impl Into<String>) -> Check {
    let (cure, unless, needs) = (None, None, Vec::new());
    Check { name: name.into(), outcome, message: message.into(), cure, unless, needs }
}

/// Where the roots are put: for each the nearest directory that exists, each once.
pub(super) fn places(mapping: &Mapping, base: &Path) -> BTreeSet<PathBuf> {
    let of = |rule: &Rule| {
        let place = base.join(OsStr::from_bytes(&rule.to));
        let existing = place.ancestors().find(|p| p.is_dir()).unwrap_or(Path::new("/"));
        existing.to_path_buf()
    };
    mapping.rules.iter().map(of).collect()
}

fn space(plan: &Plan, reader: &ContentReader<'_>) -> Check {
    let name = "space";
    let mut devices = BTreeSet::new();
    let free: Result<Vec<u64>, _> = places(&plan.mapping, &plan.base)
        .iter()
        .filter(|place| place.metadata().is_ok_and(|found| devices.insert(found.dev())))
        .map(|place| rustix::fs::statvfs(place).map(|s| s.f_bavail.saturating_mul(s.f_frsize)))
        .collect();
    match free {
        Ok(free) => {
            let free = free.into_iter().fold(0u64, u64::saturating_add);
            let mut needed = plan.counts.bytes;
            if needed > free {
                // Without holes; that reads more, so only where it matters.
                needed = plan.stored_bytes(reader).unwrap_or(needed);
            }
            let text = format!("{} to write, {} free", size::format(needed), size::format(free));
            // The target may compress, so too little is no certain failure.
            let outcome = if needed > free { Verdict::Warn } else { Verdict::Pass };
            finding(name, outcome, text)
        }
        Err(error) => finding(name, Verdict::Warn, format!("free space is not known: {error}")),
    }
}

fn rights(plan: &Plan) -> Check {
    let places = places(&plan.mapping, &plan.base);
    let mut closed: Vec<String> = Vec::new();
    for place in &places {
        if let Err(error) = writable(place) {
            closed.push(format!("{} cannot be written: {error}", place.display()));
        }
    }
    if closed.is_empty() {
        let names: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
        return finding("rights", Verdict::Pass, format!("{} can be written", names.join(", ")));
    }
    let outcome = if closed.len() == places.len() { Verdict::Block } else { Verdict::Warn };
    finding("rights", outcome, format!("{}; choose another --to", closed.join("; ")))
}

/// A directory of our own is opened for the time of the restore.
fn writable(place: &Path) -> Result<(), rustix::io::Errno> {
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    match rustix::fs::access(place, access) {
        Err(rustix::io::Errno::ACCESS)
            if place.metadata().is_ok_and(|m| m.uid() == rustix::process::geteuid().as_raw()) =>
        {
            Ok(())
        }
        other => other,
    }
}

fn owners(plan: &Plan) -> Check {
    let (outcome, message) = if matches!(plan.owners, Owners::Keep) {
        (Verdict::Pass, "as asked: all files will belong to you")
    } else if rustix::process::geteuid().is_root() {
        (Verdict::Pass, "running as root: owners are restored")
    } else {
        let message = "not running as root: only what belongs to you gets its owner back \
                       (--no-owner leaves all with you); devices cannot be made";
        (Verdict::Warn, message)
    };
    finding("owners", outcome, message)
}

fn obstacles(plan: &Plan) -> Check {
    let count = plan.counts.refuse;
    if count == 0 {
        finding("obstacles", Verdict::Pass, "nothing is in the way")
    } else {
        finding(
            "obstacles",
            Verdict::Warn,
            format!("{} will not be restored", counted(count, "entry", "entries")),
        )
    }
}

fn completeness(plan: &Plan) -> Check {
    let manifest = &plan.snapshot.manifest;
    if manifest.complete {
        finding("snapshot", Verdict::Pass, "the snapshot is complete")
    } else {
        finding(
            "snapshot",
            Verdict::Warn,
            format!(
                "the snapshot is incomplete: {} not be read",
                counted(manifest.problems, "entry could", "entries could")
            ),
        )
    }
}
