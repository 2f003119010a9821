//! Stories of the console (`console/stories`): Debian's Chromium before the real program with real
//! snapshots.

use super::{build, folder};
use crate::leftovers::Place;
use crate::sh::Sh;
use crate::stage::Outcome::{self, Done, Skipped};
use crate::{node, paths};
use tintype_testkit::{debian, seaweedfs};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only those whose file or title has this in it
    filter: Vec<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    tell(&args.filter)
}

pub(crate) fn test() -> anyhow::Result<Outcome> {
    if !folder().join("package.json").exists() {
        return Ok(Skipped("there is no console/package.json".to_owned()));
    }
    tell(&[]).map(|()| Done)
}

fn tell(filter: &[String]) -> anyhow::Result<()> {
    build()?;
    // As the tests build it: nothing is built twice.
    let what = ["build", "--quiet", "--workspace", "--all-features", "--bin", "tintype"];
    Sh::cargo()?.args(what).run()?;
    // Of a machine that is off the disks are read through it.
    debian::need(&["qemu-nbd"], &["qemu-utils"]);
    let chromium = debian::program(&["/usr/bin/chromium"], &["chromium"]);
    let place = Place::new()?;
    node::npm()?
        .args(["exec", "--", "playwright", "test"])
        .args(filter)
        .env("TINTYPE_PROGRAM", paths::target()?.join("debug/tintype"))
        .env("TINTYPE_CHROMIUM", chromium)
        .env("TINTYPE_WEED", seaweedfs::program())
        .env("TMPDIR", place.path())
        // It would be left there.
        .env("PWTEST_CACHE_DIR", folder().join("node_modules/.stories"))
        .run()?;
    place.check()
}
