//! A dump into the data directory of a server that does not run. One that reads its append-only
//! file when it starts, and then ignores a dump, gets it as the base of such a file.
//!
//! What stands there goes aside until the restore is done. It is captured first, as the files that
//! it is; so is what is restored from such a capture.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tintype_model::entry::Kind;
use tintype_model::item::Item;
use tintype_model::plan::{Check, Stage, Step};
use tintype_model::resource::Resource;
use tintype_model::{Error, Result};

use super::client::Client;
use super::rdb::{Check as Sum, Checked};
use super::{At, Facts, Names, STORED, stopped};
use crate::connector::{Context, Destination, Stored, Target, TargetPlan, action, step};
use crate::host::account::{Account, acting, give};
use crate::host::moves::{Moves, sync_directory};
use crate::host::replaced::{Replaced, remove, remove_all};
use crate::host::{account, at, moment, permissions, processes, rules, space};

pub(super) struct RedisTarget {
    context: Context,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Action {
    Stage(Staged),
    Watch(Replaced),
    Switch(Moves),
    /// Of what was replaced, if there was something.
    Clean {
        replaced: Option<Replaced>,
        moves: Moves,
    },
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
    /// Of a stopped server: each file or directory, and where it is written.
    #[serde(default)]
    files: Vec<(String, PathBuf)>,
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
                rules::check(name, rules, &["append-only", "owner"])?;
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
        let asked = rules.map(|rules| rules::yes_or_no(&item.name, rules, "append-only"));
        let append_only = asked.transpose()?.flatten().unwrap_or(facts.names.append_only);
        let names = Names { append_only, ..facts.names.clone() };
        let places = Places::choose(&facts, &names, &directory, &self.context.label());
        let mut checks = checks(&directory);
        checks.extend(check_answer(&item.name, &at, is_new, &self.context));
        checks.push(space::check(&directory, facts.bytes));
        let exists = places.moves.aside.iter().any(|(there, _)| there.exists());
        checks.push(check_place(&directory, exists && is_new));
        let owner = rules.and_then(|rules| rules.get("owner")).map(String::as_str);
        let owner = owner_of(&directory, owner.unwrap_or("redis"));
        checks.push(permissions::check(&directory, owner));
        let (name, replaces) = (item.name.clone(), exists && !is_new);
        let undo_at = if replaces { stopped::undo_at(&names, &directory) } else { Map::new() };
        let written = vec![directory.clone()];
        let staged = Staged {
            name,
            directory,
            owner,
            to: places.staged.clone(),
            multi_part: places.multi_part.clone(),
            files: places.files.clone(),
        };
        let steps = places.steps(staged, facts.bytes, append_only, replaces);
        Ok(TargetPlan {
            checks,
            steps,
            replaces,
            undo_at,
            places: written,
            ..TargetPlan::default()
        })
    }

    fn apply(&mut self, step: &Step, stored: &dyn Stored) -> Result<Value> {
        match action(step)? {
            Action::Stage(staged) => staged.write(stored)?,
            Action::Watch(replaced) => replaced.watch()?,
            Action::Switch(moves) => {
                if !moves.is_placed() {
                    unused(&moves)?;
                }
                moves.apply()?;
            }
            Action::Clean { replaced, moves } => {
                moves.end()?;
                return remove_all(replaced.as_slice());
            }
        }
        Ok(Value::Null)
    }

    fn undo(&mut self, step: &Step, _: &Value) -> Result<Value> {
        match action(step)? {
            Action::Stage(staged) => staged.remove()?,
            Action::Watch(replaced) => moment::forget(&replaced.moment)?,
            Action::Switch(moves) => {
                if moves.is_placed() {
                    unused(&moves)?;
                }
                return moves.undo();
            }
            Action::Clean { replaced, .. } => {
                replaced.iter().try_for_each(Replaced::is_there)?;
            }
        }
        Ok(Value::Null)
    }
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
pub(super) fn servers_in(directory: &Path) -> Vec<processes::Process> {
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
    if servers.is_empty() { Ok(()) } else { Err(in_use(directory, &servers)) }
}

pub(super) fn in_use(directory: &Path, servers: &[processes::Process]) -> Error {
    Error::locked(format!(
        "{} runs in {}, and would write its own data over what is restored; stop it and run the \
         restore again",
        processes::names(servers),
        directory.display()
    ))
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
    replaced: Replaced,
    staged: PathBuf,
    multi_part: Option<String>,
    files: Vec<(String, PathBuf)>,
}

impl Places {
    /// All that a server might read goes aside; what is restored takes the place of what it reads.
    fn choose(facts: &Facts, names: &Names, directory: &Path, label: &str) -> Self {
        // What tells whether the switch is done comes first.
        let all = match &facts.stopped {
            None => names.all(names.own()),
            Some(there) => names.all(there.first().map_or(names.own(), |name| &**name)),
        };
        let named = |what: &str, name: &str| directory.join(format!("{label}-{what}-{name}"));
        let pairs = |from: &str, to: &str| -> Vec<(PathBuf, PathBuf)> {
            all.iter().map(|name| (named(from, name), named(to, name))).collect()
        };
        let there = |name: &str| directory.join(name);
        let own = all[0];
        let written = Replaced { files: pairs("new", "undone"), moment: named("switched", own) };
        let moves = Moves {
            replaces: there(own).exists(),
            aside: all.iter().map(|name| (there(name), named("old", name))).collect(),
            // What a server makes of the others goes with it when all is taken back.
            place: all.iter().map(|name| (named("new", name), there(name))).collect(),
            written: Some(written),
        };
        let replaced = Replaced { files: pairs("old", "kept"), moment: named("moment", own) };
        let stopped = facts.stopped.iter().flatten();
        let files = stopped.map(|name| (name.clone(), named("new", name))).collect();
        let parts = names.append_only && names.append_directory.is_some();
        let multi_part = parts.then(|| names.append_file.clone());
        Self { moves, replaced, staged: named("new", own), multi_part, files }
    }

    fn steps(self, staged: Staged, bytes: u64, append_only: bool, replaces: bool) -> Vec<Step> {
        let shown = staged.directory.display().to_string();
        let what = match (&staged.files[..], append_only) {
            ([_, ..], _) => "as the files that they were",
            (_, true) => "as the base of its append-only file",
            (_, false) => "as its dump",
        };
        let mut steps = vec![
            step(
                Stage::Stage,
                format!("write {bytes} bytes in {shown} {what}"),
                &Action::Stage(staged),
            ),
            step(
                Stage::Switch,
                "give it its name; start Redis afterwards",
                &Action::Switch(self.moves.clone()),
            ),
        ];
        let mut replaced = None;
        if replaces {
            let watch = Action::Watch(self.replaced.clone());
            let text = format!("note the moment: what {shown} gets from here on is not removed");
            steps.push(step(Stage::Watch, text, &watch));
            replaced = Some(self.replaced);
        }
        let text = match replaces {
            true => format!("remove what stood in {shown} before"),
            false => format!("{shown} is done"),
        };
        steps.push(step(Stage::Clean, text, &Action::Clean { replaced, moves: self.moves }));
        steps.sort_by_key(|step| step.stage);
        steps
    }
}

impl Staged {
    fn write(&self, stored: &dyn Stored) -> Result<()> {
        let failed = |error| Error::io(error, self.to.display());
        self.remove()?;
        self.directory().map_err(failed)?;
        if !self.files.is_empty() {
            return self.write_files(stored);
        }
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

    /// As they were captured of a stopped server.
    fn write_files(&self, stored: &dyn Stored) -> Result<()> {
        for (name, to) in &self.files {
            let at = stopped::at(name);
            let is_directory = stored
                .list(at.as_bytes())?
                .iter()
                .any(|entry| entry.at != at.as_bytes() || entry.node.kind == Kind::Directory);
            let failed = |error| Error::io(error, to.display());
            if is_directory {
                DirBuilder::new().mode(0o700).create(to).map_err(failed)?;
                let done = stored.files(at.as_bytes(), to)?;
                if let Some((_, why)) = done.failed.first() {
                    return Err(Error::unavailable(format!("{}: {why}", to.display())));
                }
                continue;
            }
            let mut file = self.create(to).map_err(failed)?;
            stored.read(at.as_bytes(), &mut |read| {
                io::copy(read, &mut file).map(drop).map_err(failed)
            })?;
            file.sync_all().map_err(failed)?;
        }
        sync_directory(&self.directory)
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
        self.files.iter().map(|(_, to)| to).chain([&self.to]).try_for_each(|path| remove(path))
    }
}
