//! A dump into the data directory of a server that does not run. One that reads its append-only
//! file when it starts, and then ignores a dump, gets it as the base of such a file.
//!
//! What stands there goes aside and stays there: a stopped server cannot be captured first.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tintype_model::item::Item;
use tintype_model::plan::{Check, Stage, Step};
use tintype_model::resource::Resource;
use tintype_model::{Error, Result};

use super::client::Client;
use super::rdb::{Check as Sum, Checked};
use super::{At, Facts, STORED};
use crate::connector::{Context, Destination, Stored, Target, TargetPlan};
use crate::host::account::{Account, acting, give};
use crate::host::moves::{Moves, sync_directory};
use crate::host::{account, at, processes, space};

pub(super) struct RedisTarget {
    context: Context,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Action {
    Stage(Staged),
    Switch(Moves),
}

/// What is written beside.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Staged {
    name: String,
    directory: PathBuf,
    owner: Account,
    /// A file, or with `multi_part` a directory.
    to: PathBuf,
    /// Name of the append-only file, whose base it becomes in a directory of its own.
    multi_part: Option<String>,
}

impl RedisTarget {
    pub(super) fn new(context: &Context) -> Self {
        Self { context: context.clone() }
    }
}

impl Target for RedisTarget {
    fn plan(
        &mut self,
        item: &Item,
        resource: &Resource,
        destination: &Destination,
        _: &dyn Stored,
    ) -> Result<TargetPlan> {
        let facts: Facts = serde_json::from_value(item.facts.clone())
            .map_err(|error| Error::corrupt(format!("{}: facts: {error}", item.name)))?;
        let (at, rules, is_new) = match destination {
            Destination::InPlace => (at::of::<At>(resource)?, None, false),
            Destination::AsNew { name, at, rules } => {
                (at::from_map::<At>(name, at)?, Some(rules), true)
            }
        };
        let directory = match (&at.data_directory, is_new) {
            (Some(directory), _) => directory.clone(),
            (None, false) => facts.directory.clone(),
            (None, true) => {
                return Err(Error::invalid(format!(
                    "{}: say with data_directory where it shall be",
                    item.name
                )));
            }
        };
        let append_only = match rules.and_then(|rules| rules.get("append-only")).map(String::as_str)
        {
            Some("yes") => true,
            Some("no") => false,
            _ => facts.append_only,
        };
        let places = Places::choose(&facts, &directory, append_only, &self.context.label());
        let mut checks = checks(&directory);
        checks.extend(check_answer(&item.name, &at, is_new, &self.context));
        checks.push(space::check(&directory, facts.bytes));
        let exists = places.moves.aside.iter().any(|(there, _)| there.exists());
        checks.push(check_place(&directory, exists && is_new));
        let owner = rules.and_then(|rules| rules.get("owner")).map(String::as_str);
        let owner = owner_of(&directory, owner.unwrap_or("redis"));
        let (name, shown) = (item.name.clone(), directory.display().to_string());
        let written = vec![directory.clone()];
        let Places { moves, staged: to, multi_part } = places;
        let staged = Staged { name, directory, owner, to, multi_part };
        let what = if append_only { "as the base of its append-only file" } else { "as its dump" };
        let aside =
            if exists { "; what stands there stays beside it, named tintype-…-old" } else { "" };
        let step = |stage, text, action| {
            let action = serde_json::to_value(action).expect("it has texts and numbers only");
            Step { stage, text, action }
        };
        let steps = vec![
            step(
                Stage::Stage,
                format!("write {} bytes in {shown} {what}", facts.bytes),
                Action::Stage(staged),
            ),
            step(
                Stage::Switch,
                format!("give it its name{aside}; start Redis afterwards"),
                Action::Switch(moves),
            ),
        ];
        Ok(TargetPlan { checks, steps, places: written, ..TargetPlan::default() })
    }

    fn apply(&mut self, step: &Step, stored: &dyn Stored) -> Result<Value> {
        match action(step)? {
            Action::Stage(staged) => staged.write(stored)?,
            Action::Switch(moves) => {
                if !moves.is_placed() {
                    unused(&moves)?;
                }
                moves.apply()?;
            }
        }
        Ok(Value::Null)
    }

    fn undo(&mut self, step: &Step, _: &Value) -> Result<()> {
        match action(step)? {
            Action::Stage(staged) => staged.remove(),
            Action::Switch(moves) => {
                if moves.is_placed() {
                    unused(&moves)?;
                }
                moves.undo()
            }
        }
    }
}

fn action(step: &Step) -> Result<Action> {
    serde_json::from_value(step.action.clone())
        .map_err(|error| Error::invalid(format!("a step that is not of this connector: {error}")))
}

fn check_place(directory: &Path, taken: bool) -> Check {
    let shown = directory.display();
    if taken {
        Check::block("place", format!("{shown} holds data of a Redis"), "choose another directory")
    } else {
        Check::pass("place", format!("{shown} can be used"))
    }
}

/// One whose directory cannot be seen may still be there.
fn check_answer(name: &str, at: &At, is_new: bool, context: &Context) -> Option<Check> {
    let answers = !is_new && Client::connect(name, at, context).is_ok();
    let found = || format!("a server answers at {}", at.shown());
    answers.then(|| Check::block("running", found(), "stop it"))
}

fn checks(directory: &Path) -> Vec<Check> {
    let shown = directory.display();
    let parent = directory.parent().unwrap_or(Path::new("/"));
    let mut checks = Vec::new();
    if !directory.is_absolute() || !parent.is_dir() {
        checks.push(Check::block(
            "place",
            format!("{} is no directory", parent.display()),
            "make it first",
        ));
    }
    let servers = servers_in(directory);
    checks.push(if servers.is_empty() {
        Check::pass("running", format!("no server runs in {shown}"))
    } else {
        let reason = format!("{} runs in {shown}", processes::names(&servers));
        Check::block(
            "running",
            reason,
            "stop it; it would write its own data over what is restored",
        )
    });
    checks
}

/// A server works in its data directory, and writes over the dump when it is stopped.
fn servers_in(directory: &Path) -> Vec<processes::Process> {
    let real = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    let here = |process: &processes::Process| {
        process.directory().is_some_and(|there| there == real) && process.pid != std::process::id()
    };
    processes::all().into_iter().filter(here).collect()
}

/// Hours may have passed since the plan, and somebody may have started a server meanwhile.
fn unused(moves: &Moves) -> Result<()> {
    let directory = moves.place.first().and_then(|(_, place)| place.parent());
    let Some(directory) = directory else { return Ok(()) };
    let servers = servers_in(directory);
    if servers.is_empty() {
        return Ok(());
    }
    Err(Error::locked(format!(
        "{} runs in {}, and would write its own data over what is restored; stop it and run the \
         restore again",
        processes::names(&servers),
        directory.display()
    )))
}

/// As the directory is, or a user's if root has to make it.
fn owner_of(directory: &Path, user: &str) -> Account {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let there = directory.metadata().ok().map(|meta| (meta.uid(), meta.gid()));
    there.or_else(|| account::find(user))
}

struct Places {
    moves: Moves,
    staged: PathBuf,
    multi_part: Option<String>,
}

impl Places {
    /// All that a server might read goes aside; what is restored takes the place of what it reads.
    fn choose(facts: &Facts, directory: &Path, append_only: bool, label: &str) -> Self {
        let own = match (&facts.append_directory, append_only) {
            (_, false) => &facts.dump_file,
            (Some(parts), true) => parts,
            (None, true) => &facts.append_file,
        };
        let aside =
            |name: &String| (directory.join(name), directory.join(format!("{label}-old-{name}")));
        let all =
            [Some(&facts.dump_file), Some(&facts.append_file), facts.append_directory.as_ref()];
        let others = all.into_iter().flatten().filter(|name| *name != own);
        let staged = directory.join(format!("{label}-new-{own}"));
        let place = directory.join(own);
        let moves = Moves {
            replaces: place.exists(),
            aside: std::iter::once(own).chain(others).map(aside).collect(),
            place: vec![(staged.clone(), place)],
        };
        let parts = append_only && facts.append_directory.is_some();
        Self { moves, staged, multi_part: parts.then(|| facts.append_file.clone()) }
    }
}

impl Staged {
    fn write(&self, stored: &dyn Stored) -> Result<()> {
        let failed = |error| Error::io(error, self.to.display());
        self.remove()?;
        self.directory().map_err(failed)?;
        let Some(file) = &self.multi_part else {
            self.dump(&self.to, stored)?;
            return sync_directory(&self.directory);
        };
        let made = acting(self.owner, || DirBuilder::new().mode(0o755).create(&self.to));
        made.map_err(failed)?;
        let base = format!("{file}.1.base.rdb");
        self.dump(&self.to.join(&base), stored)?;
        let manifest = format!("file {base} seq 1 type b\n");
        let mut made = self.create(&self.to.join(format!("{file}.manifest"))).map_err(failed)?;
        made.write_all(manifest.as_bytes()).and_then(|()| made.sync_all()).map_err(failed)?;
        sync_directory(&self.to)
    }

    /// One that is there already stays.
    fn directory(&self) -> io::Result<()> {
        match DirBuilder::new().mode(0o750).create(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
            Ok(()) => give(&self.directory, self.owner),
        }
    }

    fn create(&self, path: &Path) -> io::Result<std::fs::File> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o640);
        acting(self.owner, || options.open(path))
    }

    fn dump(&self, path: &Path, stored: &dyn Stored) -> Result<()> {
        let failed = |error| Error::io(error, path.display());
        let mut file = self.create(path).map_err(failed)?;
        stored.read(STORED.as_bytes(), &mut |read| {
            let mut checked = Checked { read, check: Sum::new() };
            io::copy(&mut checked, &mut file).map_err(failed)?;
            checked.check.finish(&self.name)
        })?;
        file.sync_all().map_err(failed)
    }

    fn remove(&self) -> Result<()> {
        let removed = match self.to.symlink_metadata() {
            Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(&self.to),
            Ok(_) => std::fs::remove_file(&self.to),
            Err(_) => Ok(()),
        };
        removed.map_err(|error| Error::io(error, self.to.display()))
    }
}
