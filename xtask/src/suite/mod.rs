//! The test suite as stages, cheapest first. What each stage is for: docs/testing.md.

mod checks;
mod reader;

use crate::sh::Sh;
use crate::stage::{self, Stage};
use crate::{console, paths};
use anyhow::{Context, bail};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only these stages, for instance `fmt,clippy`
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Name the stages and run none
    #[arg(long)]
    list: bool,
}

#[derive(clap::Args)]
pub(crate) struct CiArgs {}

const STAGES: [Stage; 10] = [
    Stage { name: "fmt", title: "formatting", run: checks::fmt },
    Stage { name: "tidy", title: "house rules", run: checks::tidy },
    Stage { name: "clippy", title: "lints, warnings denied", run: checks::clippy },
    Stage {
        name: "deny",
        title: "licences, duplicates, sources of dependencies",
        run: checks::deny,
    },
    Stage { name: "console", title: "the console: types, lints, tests, size", run: console::test },
    Stage { name: "test", title: "unit, property and integration tests", run: checks::test },
    Stage { name: "stories", title: "the console in a browser", run: console::stories::test },
    Stage { name: "doctest", title: "examples in the documentation", run: checks::doctest },
    Stage { name: "doc", title: "documentation builds, warnings denied", run: checks::doc },
    Stage { name: "reader", title: "the independent reader of the format", run: reader::test },
];

pub(crate) fn test(args: &Args) -> anyhow::Result<()> {
    if args.list {
        for stage in &STAGES {
            println!("{:<10} {}", stage.name, stage.title);
        }
        return Ok(());
    }
    if let Some(unknown) = args.only.iter().find(|name| STAGES.iter().all(|s| s.name != **name)) {
        bail!("there is no stage `{unknown}`; `./x test --list` names them");
    }
    let wanted = |stage: &&Stage| args.only.is_empty() || args.only.iter().any(|n| n == stage.name);
    stage::run(&STAGES.iter().filter(wanted).collect::<Vec<_>>())
}

/// Clones the committed state and runs there what continuous integration runs.
pub(crate) fn ci(_: &CiArgs) -> anyhow::Result<()> {
    let dirty = Sh::new("git").args(["status", "--porcelain"]).read()?;
    if !dirty.is_empty() {
        println!("note: uncommitted changes are not part of this run:\n{dirty}");
    }
    let folder = tempfile::Builder::new().prefix("tintype-ci-").tempdir()?;
    let clone = folder.path().join("clone");
    Sh::new("git").args(["clone", "--quiet"]).arg(paths::root()).arg(&clone).run()?;
    Sh::new(clone.join(".ci/run"))
        .dir(&clone)
        .env("CI", "true")
        .run()
        .context("the suite fails in a clean clone")
}
