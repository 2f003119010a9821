//! A database is written beside its place, checked by SQLite, and switched by rename; what stood
//! there goes aside with its journals, until the restore is done. Between the plan and the switch
//! hours may pass, so the switch looks again whether anybody has it open, forward and back.

use std::fs::OpenOptions;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tintype_model::item::Item;
use tintype_model::plan::{Check, Stage, Step};
use tintype_model::resource::Resource;
use tintype_model::{Error, Result};

use super::copy::{damage, failed, open, open_unchanging, tables};
use super::file::{COMPANIONS, HEADER_BYTES, Header, beside};
use super::{At, Facts, STORED};
use crate::connector::{Context, Destination, Stored, Target, TargetPlan, action, step};
use crate::host::moves::{Moves, sync_directory};
use crate::host::replaced::{Replaced, remove_all};
use crate::host::{at, moment, permissions, processes, rules, space};

/// Up to this size every page and index is compared, above it only the pages.
const WHOLE_CHECK_BYTES: u64 = 4 << 30;

pub(super) struct SqliteTarget {
    context: Context,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Action {
    Stage {
        name: String,
        to: PathBuf,
        mode: u32,
        uid: u32,
        gid: u32,
        tables: u64,
    },
    Switch(Moves),
    Health {
        name: String,
        path: PathBuf,
    },
    Watch(Replaced),
    /// Of what was replaced, if there was something.
    Clean {
        replaced: Option<Replaced>,
        moves: Moves,
    },
}

impl SqliteTarget {
    pub(super) fn new(context: &Context) -> Self {
        Self { context: context.clone() }
    }
}

fn place(item: &Item, resource: &Resource, destination: &Destination) -> Result<PathBuf> {
    let path = match destination {
        Destination::InPlace => at::of::<At>(resource)?.path,
        Destination::AsNew { name, at, rules } => {
            rules::check(name, rules, &[])?;
            at::from_map::<At>(name, at)?.path
        }
    };
    let named = path.is_absolute() && path.file_name().is_some();
    // A link stays; what it points at is switched.
    let real = path.canonicalize().unwrap_or_else(|_| path.clone());
    named.then_some(real).ok_or_else(|| {
        Error::invalid(format!("{}: {}: not an absolute path of a file", item.name, path.display()))
    })
}

fn checks(
    path: &Path,
    facts: &Facts,
    in_place: bool,
    stored: &dyn Stored,
    context: &Context,
) -> Result<Vec<Check>> {
    let shown = path.display();
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mut checks = vec![space::check(directory, facts.bytes)];
    checks.push(permissions::check(directory, None));
    checks.extend(permissions::check_owner(path));
    if !directory.is_dir() {
        let reason = format!("{} is no directory", directory.display());
        checks.push(Check::block("place", reason, "make it first"));
    }
    let exists = path.symlink_metadata().is_ok();
    checks.push(match (exists, in_place) {
        (true, false) => Check::block(
            "place",
            format!("{shown} exists"),
            "choose another path, or restore in place",
        ),
        (true, true) => Check::pass("place", format!("{shown} will be replaced")),
        (false, _) => Check::pass("place", format!("{shown} is free")),
    });
    let open: Vec<PathBuf> = std::iter::once(path.to_owned())
        .chain(COMPANIONS.map(|suffix| beside(path, suffix)))
        .collect();
    let users = processes::with_open(open.iter().map(PathBuf::as_path), context);
    checks.push(if users.is_empty() {
        Check::pass("running", format!("no process has {shown} open"))
    } else {
        let reason = format!("{shown} is open in {}", processes::names(&users));
        Check::block("running", reason, "stop what uses it")
    });
    if exists && !rustix::process::geteuid().is_root() {
        let reason = "the processes of other users cannot be seen";
        checks.push(Check::warn("running", reason, "make sure that nothing uses it"));
    }
    let mut header = [0; HEADER_BYTES];
    stored.read(STORED.as_bytes(), &mut |read| {
        read.read_exact(&mut header).map_err(|error| Error::io(error, STORED))
    })?;
    checks.push(match Header::parse(&header) {
        Some(header) if header.is_known() => Check::pass("version", "a database of SQLite 3"),
        Some(_) => Check::block("version", "of a newer SQLite", "use a newer tintype"),
        None => Check::block("version", "not a database of SQLite 3", "choose another snapshot"),
    });
    Ok(checks)
}

impl Target for SqliteTarget {
    fn plan(
        &mut self,
        item: &Item,
        resource: &Resource,
        destination: &Destination,
        stored: &dyn Stored,
    ) -> Result<TargetPlan> {
        let facts: Facts = serde_json::from_value(item.facts.clone())
            .map_err(|error| Error::corrupt(format!("{}: facts: {error}", item.name)))?;
        let path = place(item, resource, destination)?;
        let in_place = *destination == Destination::InPlace;
        let checks = checks(&path, &facts, in_place, stored, &self.context)?;
        let there = path.symlink_metadata().ok();
        let replaces = there.is_some();
        let (mode, uid, gid) = there.map_or((facts.mode, facts.uid, facts.gid), |meta| {
            (meta.mode() & 0o7777, meta.uid(), meta.gid())
        });
        let named = |what: &str| {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            path.with_file_name(format!("{}-{what}-{file}", self.context.label()))
        };
        let (staged, old) = (named("new"), named("old"));
        let shown = path.display().to_string();
        let pairs = |from: &Path, to: &Path| {
            let all = std::iter::once("").chain(COMPANIONS);
            all.map(|suffix| (beside(from, suffix), beside(to, suffix))).collect::<Vec<_>>()
        };
        let written =
            Replaced { files: pairs(&staged, &named("undone")), moment: named("switched") };
        let moves = Moves {
            replaces,
            aside: pairs(&path, &old),
            place: pairs(&staged, &path),
            written: Some(written),
        };
        let replaced = Replaced { files: pairs(&old, &named("kept")), moment: named("moment") };
        let (name, tables, places) = (item.name.clone(), facts.tables, vec![path.clone()]);
        let stage = Action::Stage { name: name.clone(), to: staged, mode, uid, gid, tables };
        let mut steps = vec![
            step(
                Stage::Stage,
                format!("write {} bytes beside {shown} and check them", facts.bytes),
                &stage,
            ),
            step(
                Stage::Switch,
                format!("put the restored database at {shown}"),
                &Action::Switch(moves.clone()),
            ),
            step(Stage::Health, format!("open {shown}"), &Action::Health { name, path }),
        ];
        if replaces {
            steps.push(step(
                Stage::Watch,
                format!("note the moment: what {shown} gets from here on is not removed"),
                &Action::Watch(replaced.clone()),
            ));
        }
        let clean = match replaces {
            true => format!("remove what stood at {shown} before"),
            false => format!("{shown} is done"),
        };
        let replaced = Some(replaced).filter(|_| replaces);
        steps.push(step(Stage::Clean, clean, &Action::Clean { replaced, moves }));
        steps.sort_by_key(|step| step.stage);
        Ok(TargetPlan { checks, steps, replaces, places, ..TargetPlan::default() })
    }

    fn apply(&mut self, step: &Step, stored: &dyn Stored) -> Result<Value> {
        match action(step)? {
            Action::Stage { name, to, mode, uid, gid, tables } => {
                write(&to, mode, (uid, gid), stored)?;
                check(&name, &to, tables)?;
            }
            Action::Switch(moves) => {
                if !moves.is_placed() {
                    unused(&moves, &self.context)?;
                }
                moves.apply()?;
            }
            Action::Health { name, path } => {
                let connection = open(&name, &path)?;
                tables(&connection).map_err(|error| failed(&name, &path, error))?;
            }
            Action::Watch(replaced) => replaced.watch()?,
            Action::Clean { replaced, moves } => {
                moves.end()?;
                return remove_all(replaced.as_slice());
            }
        }
        Ok(Value::Null)
    }

    fn undo(&mut self, step: &Step, _: &Value) -> Result<Value> {
        match action(step)? {
            Action::Stage { to, .. } => {
                let all = std::iter::once("").chain(COMPANIONS);
                remove(&all.map(|suffix| beside(&to, suffix)).collect::<Vec<_>>())?;
            }
            Action::Switch(moves) => {
                if moves.is_placed() {
                    unused(&moves, &self.context.stubborn())?;
                }
                return moves.undo();
            }
            Action::Health { .. } => {}
            Action::Watch(replaced) => moment::forget(&replaced.moment)?,
            Action::Clean { replaced, .. } => {
                replaced.iter().try_for_each(Replaced::is_there)?;
            }
        }
        Ok(Value::Null)
    }
}

/// Whoever has a database open goes on in it, wherever it is moved.
fn unused(moves: &Moves, context: &Context) -> Result<()> {
    let places: Vec<&Path> = moves.place.iter().map(|(_, place)| &**place).collect();
    processes::unused(&places, "stop what uses it", context)
}

/// A new file, whatever stood under its name; all is done over its handle, so that nothing that is
/// put in its way meanwhile is written to.
fn write(to: &Path, mode: u32, owner: (u32, u32), stored: &dyn Stored) -> Result<()> {
    let failed = |error| Error::io(error, to.display());
    remove(&[to.to_owned()])?;
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(to).map_err(failed)?;
    stored.read(STORED.as_bytes(), &mut |read| {
        std::io::copy(read, &mut file).map(drop).map_err(failed)
    })?;
    let there = file.metadata().map_err(failed)?;
    if (there.uid(), there.gid()) != owner && rustix::process::geteuid().is_root() {
        std::os::unix::fs::fchown(&file, Some(owner.0), Some(owner.1)).map_err(failed)?;
    }
    let mode = std::fs::Permissions::from_mode(mode & 0o777);
    file.set_permissions(mode).and_then(|()| file.sync_all()).map_err(failed)
}

/// By SQLite itself, before anything is switched.
fn check(name: &str, path: &Path, expected: u64) -> Result<()> {
    let fail = |error| failed(name, path, error);
    let connection = open_unchanging(name, path)?;
    let bytes = path.metadata().map_or(0, |meta| meta.len());
    if let Some(found) = damage(&connection, bytes <= WHOLE_CHECK_BYTES).map_err(fail)? {
        return Err(Error::corrupt(format!("{name}: what was restored is damaged: {found}")));
    }
    let found = tables(&connection).map_err(fail)?;
    if found != expected {
        return Err(Error::corrupt(format!("{name}: expected {expected} tables, found {found}")));
    }
    Ok(())
}

fn remove(paths: &[PathBuf]) -> Result<()> {
    for path in paths {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io(error, path.display()));
            }
            _ => {}
        }
    }
    paths.first().and_then(|path| path.parent()).map_or(Ok(()), sync_directory)
}
