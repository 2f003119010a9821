//! A repository of its own in memory, and the release program at work on it.

use super::super::measure::{self, Cmd, Usage};
use super::super::sets::Set;
use super::super::tools::{self, Job, Place, Tool};
use super::super::{Args, memory, quiet, runner};
use crate::table::bytes;
use crate::walk::Totals;
use anyhow::{Context, bail};
use serde_json::Value;
use std::cell::Cell;
use std::path::{Path, PathBuf};

pub(super) struct Lab<'a> {
    args: &'a Args,
    scratch: &'a Path,
    /// Everything of this lab; it goes with it.
    folder: tempfile::TempDir,
    program: PathBuf,
    /// Whether the machine was quiet before each command until now.
    was_quiet: Cell<bool>,
}

/// What a snapshot of resources said, and what it took.
pub(super) struct Taken {
    pub(super) usage: Usage,
    pub(super) item: Value,
}

impl<'a> Lab<'a> {
    pub(super) fn new(args: &'a Args, scratch: &'a Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir_in(scratch)?;
        let program = Tool::Tintype.program()?;
        let lab = Self { args, scratch, folder, program, was_quiet: Cell::new(true) };
        lab.fresh_repository()?;
        Ok(lab)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Of the program that is measured, or of a peer.
    pub(super) fn job(&self, tool: Tool, source: &Path) -> anyhow::Result<Job> {
        let own = self.path(tool.name());
        let state = own.join("state");
        std::fs::create_dir_all(&state)?;
        runner::write_password(&state.join("password"))?;
        let place = Place::Folder(own.join("repository"));
        let source = source.to_owned();
        Ok(Job { set: Set::P, place, source, target: own.join("restored"), state, sequence: 0 })
    }

    /// The one before it goes.
    pub(super) fn fresh_repository(&self) -> anyhow::Result<()> {
        self.init(Tool::Tintype)
    }

    pub(super) fn init(&self, tool: Tool) -> anyhow::Result<()> {
        let own = self.path(tool.name());
        if own.exists() {
            std::fs::remove_dir_all(&own)?;
        }
        let job = self.job(tool, Path::new(""))?;
        for cmd in tool.init(&tool.program()?, &job) {
            measure::run(&cmd, self.folder.path()).context("cannot make the repository")?;
        }
        Ok(())
    }

    /// A snapshot of a directory or file.
    pub(super) fn snapshot(&self, tool: Tool, source: &Path) -> anyhow::Result<Usage> {
        let cmd = tool.snapshot(&tool.program()?, &self.job(tool, source)?);
        Ok(self.run(&cmd)?.0)
    }

    /// A snapshot of a disk image, as the engine stores these.
    pub(super) fn image(&self, image: &Path) -> anyhow::Result<Usage> {
        let job = self.job(Tool::Tintype, image)?;
        let cmd = tools::tintype(&self.program, &job, "snapshot").arg("--json");
        Ok(self.run(&cmd.arg("--block").arg(image))?.0)
    }

    /// A snapshot of one resource.
    pub(super) fn capture(&self, resource: &Value) -> anyhow::Result<Taken> {
        let cmd = self.command(resource)?;
        taken(&cmd, self.run(&cmd)?)
    }

    /// The same at once, while others are at work.
    pub(super) fn capture_now(&self, resource: &Value) -> anyhow::Result<Taken> {
        let cmd = self.command(resource)?;
        taken(&cmd, measure::run(&cmd, self.folder.path())?)
    }

    fn command(&self, resource: &Value) -> anyhow::Result<Cmd> {
        let file = self.path("resources.json");
        let description = serde_json::json!({ "version": 1, "resources": [resource] });
        std::fs::write(&file, description.to_string())?;
        let job = self.job(Tool::Tintype, Path::new(""))?;
        let cmd = tools::tintype(&self.program, &job, "snapshot").arg("--json");
        Ok(cmd.arg("--resources").arg(file))
    }

    fn run(&self, cmd: &Cmd) -> anyhow::Result<(Usage, String)> {
        self.wait()?;
        memory::touch(self.scratch, &Totals::default())?;
        measure::run(cmd, self.folder.path())
    }

    pub(super) fn wait(&self) -> anyhow::Result<()> {
        let idle = quiet::wait(self.args.quiet_limit())?;
        self.was_quiet.set(self.was_quiet.get() && quiet::is_quiet(idle));
        Ok(())
    }

    /// Whether the machine was quiet before each command since this was asked the last time.
    pub(super) fn was_quiet(&self) -> bool {
        self.was_quiet.replace(true)
    }
}

fn taken(cmd: &Cmd, (usage, printed): (Usage, String)) -> anyhow::Result<Taken> {
    let events = printed.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let item = events.into_iter().find(|event| event["event"] == "item");
    let item = item.with_context(|| format!("`{}` told of no resource", cmd.line()))?;
    if item["outcome"] != "captured" {
        bail!("`{}` captured nothing: {}", cmd.line(), item["reason"]);
    }
    Ok(Taken { usage, item })
}

impl Taken {
    /// For what stands beside a figure.
    pub(super) fn memory(&self) -> String {
        format!("peak memory {}", bytes(self.usage.peak_rss_kib * 1024))
    }
}
