//! Makes the committed fixtures anew. A fixture of a released format version never changes: it
//! shows that what was written once stays readable.

use crate::paths;
use crate::sh::Sh;

pub(crate) fn run() -> anyhow::Result<()> {
    let folder = paths::root().join("tests/fixtures/repo-v1");
    let arguments = ["run", "--quiet", "-p", "tintype-runner", "--example", "fixture", "--"];
    Sh::new("cargo").args(arguments).arg(folder).run()
}
