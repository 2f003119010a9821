//! A reader written from docs/format.md alone, in another language, proves the document.

use crate::sh::Sh;
use crate::stage::Outcome::{self, Done, Skipped};
use crate::{paths, python};
use anyhow::Context;

pub(super) fn test() -> anyhow::Result<Outcome> {
    let folder = paths::root().join("tests/reader");
    if !folder.join("test_reader.py").exists() {
        return Ok(Skipped("there is no tests/reader/test_reader.py".to_owned()));
    }
    let list = folder.join("requirements.txt");
    let requirements = std::fs::read_to_string(&list)
        .with_context(|| format!("cannot read {}", list.display()))?;
    let bin = python::environment("reader", &requirements)?;
    Sh::new(bin.join("python")).arg("test_reader.py").dir(&folder).run()?;
    Ok(Done)
}
