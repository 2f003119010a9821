//! Writes `openapi/v1.json`: what a manager of this code serves as its description.

use crate::sh::Sh;

pub(crate) fn run() -> anyhow::Result<()> {
    let tests = ["test", "--quiet", "--workspace", "--all-features", "--test", "it", "--"];
    let one = "begin::the_description_that_is_committed_is_the_one_that_is_served";
    Sh::cargo()?.args(tests).arg(one).env("TINTYPE_WRITE_OPENAPI", "1").run()
}
