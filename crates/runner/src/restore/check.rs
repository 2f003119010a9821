//! Preflight checks of a restore: what must be true before anything is written.

use std::path::Path;

use serde::Serialize;

use super::Plan;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Pass,
    Warn,
    Block,
}

/// One named check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    pub name: &'static str,
    pub outcome: Outcome,
    pub message: String,
}

/// Checks a plan against the host.
pub fn check(plan: &Plan) -> Vec<Check> {
    vec![space(plan), rights(plan), owners(), obstacles(plan), completeness(plan)]
}

fn finding(name: &'static str, outcome: Outcome, message: impl Into<String>) -> Check {
    Check { name, outcome, message: message.into() }
}

/// The nearest directory above the base that exists.
fn existing(base: &Path) -> &Path {
    base.ancestors().find(|p| p.is_dir()).unwrap_or(Path::new("/"))
}

fn space(plan: &Plan) -> Check {
    let name = "space";
    let needed = plan.counts.bytes;
    match rustix::fs::statvfs(existing(&plan.base)) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let text = format!("{needed} bytes to write, {free} bytes free");
            // Sparse and compressed data may need less, so too little is no certain failure.
            let outcome = if needed > free { Outcome::Warn } else { Outcome::Pass };
            finding(name, outcome, text)
        }
        Err(error) => finding(name, Outcome::Warn, format!("free space is not known: {error}")),
    }
}

fn rights(plan: &Plan) -> Check {
    let place = existing(&plan.base);
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    match rustix::fs::access(place, access) {
        Ok(()) => finding("rights", Outcome::Pass, format!("{} can be written", place.display())),
        Err(error) => finding(
            "rights",
            Outcome::Block,
            format!("{} cannot be written: {error}; choose another --to", place.display()),
        ),
    }
}

fn owners() -> Check {
    if rustix::process::geteuid().is_root() {
        finding("owners", Outcome::Pass, "running as root: owners are restored")
    } else {
        finding(
            "owners",
            Outcome::Warn,
            "not running as root: files will belong to you, devices cannot be made",
        )
    }
}

fn obstacles(plan: &Plan) -> Check {
    let count = plan.refused.len();
    if count == 0 {
        finding("obstacles", Outcome::Pass, "nothing is in the way")
    } else {
        finding("obstacles", Outcome::Warn, format!("{count} entries will not be restored"))
    }
}

fn completeness(plan: &Plan) -> Check {
    let manifest = &plan.snapshot.manifest;
    if manifest.complete {
        finding("snapshot", Outcome::Pass, "the snapshot is complete")
    } else {
        finding(
            "snapshot",
            Outcome::Warn,
            format!("the snapshot is incomplete: {} entries could not be read", manifest.problems),
        )
    }
}
