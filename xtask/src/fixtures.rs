//! Makes the committed fixtures anew. A fixture of a released format version never changes: it
//! shows that what was written once stays readable.

use crate::paths;
use crate::sh::Sh;

pub(crate) fn run() -> anyhow::Result<()> {
    let folder = paths::root().join("tests/fixtures/repo-v1");
    let arguments = ["run", "--quiet", "-p", "tintype-runner", "--example", "fixture", "--"];
    Sh::new("cargo").args(arguments).arg(folder).run()?;
    // Of managers: those that are there stay, one is made for each catalog version that has none.
    let test = ["test", "--quiet", "--workspace", "--all-features", "--test", "it", "--"];
    let made = ["fixtures::one_is_made_for_each_version", "--exact", "--ignored"];
    Sh::new("cargo").args(test).args(made).env("TINTYPE_WRITE_FIXTURES", "1").run()
}
