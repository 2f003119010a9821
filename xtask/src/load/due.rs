//! Schedules of many tenants that are due in one minute: each must have run once.

use super::served::Served;
use anyhow::Context;
use serde::Deserialize;
use serde_json::json;

/// What `tintype debug due` tells.
#[derive(Deserialize)]
pub(super) struct Found {
    pub(super) runs: u64,
    pub(super) lost: u64,
    pub(super) doubled: u64,
    pub(super) not_succeeded: u64,
    /// From the moment on at which all were due.
    pub(super) seconds: f64,
}

impl Found {
    pub(super) fn is_right(&self) -> bool {
        (self.lost, self.doubled, self.not_succeeded) == (0, 0, 0)
    }

    pub(super) fn wrong(&self) -> String {
        format!("{}, {}, {}", self.lost, self.doubled, self.not_succeeded)
    }
}

/// Tenants with something to take a snapshot of.
pub(super) fn prepare(served: &Served<'_>, tenants: usize) -> anyhow::Result<()> {
    for name in (0..tenants).map(|n| format!("t{n}")) {
        let files = served.place().join("files").join(&name);
        std::fs::create_dir_all(&files)?;
        std::fs::write(files.join("a"), format!("of {name}"))?;
        served.tintype(["tenant", "create", &name]).read()?;
        let resource = json!({
            "version": 1,
            "resources": [
                { "kind": "volume", "name": "files", "connector": "files", "at": { "path": files } }
            ],
        });
        let file = served.place().join("resource.json");
        std::fs::write(&file, resource.to_string())?;
        served.tintype(["resource", "apply", "--tenant", &name]).arg(&file).read()?;
    }
    Ok(())
}

pub(super) fn measure(served: &Served<'_>, profiles: usize) -> anyhow::Result<Found> {
    println!("   {profiles} profiles of each tenant are due in one minute");
    let due = served.asking("due").arg("--profiles").arg(profiles.to_string());
    serde_json::from_str(&due.read()?).context("what came of the schedules")
}
