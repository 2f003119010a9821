//! Restores a volume, whichever connector captured it: staged beside on the same file system, then
//! switched by renames ([`layout`]). Everything that was replaced is still there until the last
//! step, and each step can be undone until then. What was written after the undo point is in no
//! snapshot; then what was replaced stays beside ([`later`]).
//!
//! What a restore makes bears the name of its session and is not removed by `clean` as long as it
//! may hold what was replaced: the same restore again, or its undoing, ends it.

mod carry;
mod checks;
mod journal;
mod later;
mod layout;
mod metadata;
mod newer;
mod remove;
mod switch;

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tintype_model::cancel::Cancel;
use tintype_model::item::Item;
use tintype_model::plan::{Stage, Step};
use tintype_model::resource::Resource;
use tintype_model::{Error, Result};

use self::journal::{Journal, identity};
use self::layout::Layout;
use super::times::keeping_times;
use super::{btrfs, exports, ioctl, place};
use crate::connector::{Context, Destination, FilesDone, KEPT, Stored, Target, TargetPlan, action};

/// See the module's head.
pub(super) fn target(context: &Context) -> Box<dyn Target> {
    Box::new(Volume { context: context.clone() })
}

struct Volume {
    context: Context,
}

/// What a step does.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
enum Action {
    Stage(Layout),
    Watch(Layout),
    Switch(Layout),
    Look(Layout),
    Remove(Layout),
}

/// So many paths that could not be restored are named.
const MOST_NAMED: usize = 100;

impl Target for Volume {
    fn plan(
        &mut self,
        item: &Item,
        resource: &Resource,
        destination: &Destination,
        stored: &dyn Stored,
    ) -> Result<TargetPlan> {
        let (at, in_place) = match destination {
            Destination::InPlace => (place::At::of(&resource.name, &resource.at)?, true),
            Destination::AsNew { name, at, rules } => {
                if let Some(rule) = rules.keys().next() {
                    return Err(Error::invalid(format!(
                        "there is no rule {rule:?} for a volume: `path` in `at` says where it goes"
                    )));
                }
                (place::At::of(name, at)?, false)
            }
        };
        // Its links are followed, as when it was captured.
        let path = at.path.canonicalize().unwrap_or_else(|_| at.path.clone());
        let found = checks::look(&path, &at, &self.context);
        let layout = self.layout(item, resource, &path, in_place, &found)?;
        let mut checks = checks::checks(item, &layout, &found, in_place);
        let replaces = in_place && found.exists;
        if let Some(taken) = stored.taken().filter(|_| replaces) {
            checks.extend(newer::check(&layout, taken, stored, &self.context.cancel)?);
        }
        Ok(TargetPlan {
            checks,
            steps: steps(&layout, item, replaces)?,
            replaces,
            places: vec![path],
            ..TargetPlan::default()
        })
    }

    fn apply(&mut self, step: &Step, stored: &dyn Stored) -> Result<Value> {
        self.context.cancel.check()?;
        match action(step)? {
            Action::Stage(layout) => stage(&layout, stored),
            Action::Watch(layout) => later::mark(&layout).map(|()| Value::Null),
            Action::Switch(layout) => switch::switch(&layout).map(|()| Value::Null),
            Action::Look(layout) => {
                if switch::is_in_place(&layout)? {
                    return Ok(Value::Null);
                }
                Err(Error::unavailable(format!(
                    "{}: what was restored is not where it was put; somebody moves it",
                    layout.volume().display()
                )))
            }
            Action::Remove(layout) => finish(&layout, &self.context.cancel),
        }
    }

    fn undo(&mut self, step: &Step, _: &Value) -> Result<Value> {
        match action(step)? {
            Action::Stage(layout) => unstage(&layout)?,
            Action::Watch(layout) => later::unmark(&layout)?,
            Action::Switch(layout) => return take_back(&layout),
            Action::Look(_) => {}
            Action::Remove(layout) => {
                let is_over = match identity(&layout.container)? {
                    None => true,
                    Some(_) if identity(&layout.kept())?.is_some() => true,
                    Some(_) => Journal::read(&layout)?.is_some_and(|journal| journal.is_over),
                };
                if is_over {
                    return Err(switch::over(&layout));
                }
            }
        }
        Ok(Value::Null)
    }
}

impl Volume {
    fn layout(
        &self,
        item: &Item,
        resource: &Resource,
        path: &Path,
        in_place: bool,
        found: &checks::Look,
    ) -> Result<Layout> {
        let label = self.context.label();
        let excludes = if in_place { resource.excludes.clone() } else { Vec::new() };
        let by_children = found.exists && found.must_stay.is_some();
        let parent = path.parent().filter(|_| !by_children);
        let Some(parent) = parent else {
            return Ok(Layout {
                container: path.join(format!("{label}-restore")),
                live: path.to_owned(),
                only: None,
                subvolume: false,
                in_place,
                excludes,
            });
        };
        let name = path.file_name().map(|name| name.as_bytes().to_vec()).unwrap_or_default();
        let only = String::from_utf8(name).map_err(|_| {
            Error::unsupported(format!("{}: its name is not UTF-8", path.display()))
        })?;
        // What was captured as a subvolume becomes one again, where that is possible.
        let was_subvolume = item.facts["is_subvolume"].as_bool().unwrap_or(false);
        let subvolume =
            was_subvolume && place::open(parent).is_ok_and(|directory| btrfs::is_btrfs(&directory));
        Ok(Layout {
            container: parent.join(format!("{label}-restore-{}", item.name)),
            live: parent.to_owned(),
            only: Some(only),
            subvolume,
            in_place,
            excludes,
        })
    }
}

fn steps(layout: &Layout, item: &Item, replaces: bool) -> Result<Vec<Step>> {
    let volume = layout.volume();
    let volume = volume.display();
    let container = layout.container.display();
    let size = item.bytes;
    let switch = match (&layout.only, replaces) {
        (_, false) => format!("show it as {volume}"),
        (Some(_), true) => format!("exchange {volume} with it, by one rename"),
        (None, true) => format!("exchange what {volume} holds with it, entry by entry"),
    };
    let step = |stage, text: String, action: Action| {
        let action = serde_json::to_value(action);
        let action = action.map_err(|error| Error::unsupported(format!("{volume}: {error}")));
        action.map(|action| Step { stage, text, action })
    };
    let remove = if replaces {
        format!("remove {container}, and with it what was replaced")
    } else {
        format!("remove {container}")
    };
    let mut steps = vec![step(
        Stage::Stage,
        format!("write {} entries, {size} bytes, to {container}", item.entries),
        Action::Stage(layout.clone()),
    )?];
    if replaces {
        let text = format!("note the moment: what {volume} gets from here on is not removed");
        steps.push(step(Stage::Watch, text, Action::Watch(layout.clone()))?);
    }
    steps.extend([
        step(Stage::Switch, switch, Action::Switch(layout.clone()))?,
        step(
            Stage::Health,
            format!("look whether {volume} is what was restored"),
            Action::Look(layout.clone()),
        )?,
        step(Stage::Clean, remove, Action::Remove(layout.clone()))?,
    ]);
    Ok(steps)
}

fn stage(layout: &Layout, stored: &dyn Stored) -> Result<Value> {
    if Journal::read(layout)?.is_some() {
        // Done before, and switched since.
        return Ok(Value::Null);
    }
    let container = &layout.container;
    let restored = layout.restored();
    let live = layout.container.parent().unwrap_or(&layout.live);
    keeping_times(live, || {
        switch::make(container)?;
        switch::make(&layout.staged())
    })?;
    // What an attempt before left.
    remove_path(&restored)?;
    match &layout.only {
        Some(name) if layout.subvolume => {
            let staged = layout.staged();
            let made = place::open(&staged)
                .and_then(|staged| ioctl::create_subvolume(staged, name.as_bytes()));
            made.map_err(|errno| Error::io(errno.into(), restored.display()))?;
        }
        _ => switch::make(&restored)?,
    }
    let FilesDone { entries, bytes, failed } = stored.files(b"", &restored)?;
    let named: Vec<_> = failed
        .iter()
        .take(MOST_NAMED)
        .map(|(path, why)| json!([super::escape::escaped(path), why]))
        .collect();
    if let Some((path, why)) = failed.first().filter(|_| layout.in_place) {
        return Err(Error::unavailable(format!(
            "{} of {entries} entries cannot be restored as they were, so nothing is replaced; {}: \
             {why}; restore as new to have all others",
            failed.len(),
            super::escape::escaped(path)
        )));
    }
    switch::sync(&restored)?;
    Ok(json!({ "entries": entries, "bytes": bytes, "failed": named, "failed_count": failed.len() }))
}

/// Back to what stood there; what was restored stays beside if it was written to.
fn take_back(layout: &Layout) -> Result<Value> {
    switch::back(layout)?;
    let written = layout.written();
    let stays = identity(&written)?.is_some();
    Ok(if stays { json!({ KEPT: written.to_string_lossy() }) } else { Value::Null })
}

fn unstage(layout: &Layout) -> Result<()> {
    match Journal::read(layout)? {
        Some(journal) if journal.is_over => Err(switch::over(layout)),
        Some(_) => Err(Error::unsupported(format!(
            "{} holds what was replaced; undo the switch first",
            layout.container.display()
        ))),
        None if identity(&layout.written())?.is_some() => remove_helpers(layout),
        None => remove_container(layout),
    }
}

fn remove_helpers(layout: &Layout) -> Result<()> {
    for name in ["moment", "switched", "shown", "spare", "undone", "added", "old-top", "new-top"] {
        remove_path(&layout.container.join(name))?;
    }
    Ok(())
}

/// From here on there is no way back. What changed after the undo point stays, and its place is told.
fn finish(layout: &Layout, cancel: &Cancel) -> Result<Value> {
    let kept = layout.kept();
    if identity(&kept)?.is_none() {
        let journal = Journal::read(layout)?.filter(|journal| !journal.is_over);
        let Some(journal) = journal else {
            return remove_container(layout).map(|()| Value::Null);
        };
        if !later::any(layout, &journal, cancel)? {
            Journal { is_over: true, ..journal }.write(layout)?;
            return remove_container(layout).map(|()| Value::Null);
        }
        switch::rename_if_there(&layout.staged(), &kept)?;
    }
    remove_helpers(layout)?;
    Journal::remove(layout)?;
    switch::sync(&layout.container)?;
    Ok(json!({ KEPT: kept.to_string_lossy() }))
}

/// The journal last: as long as it is there, what is left of the rest is known.
fn remove_container(layout: &Layout) -> Result<()> {
    let container = &layout.container;
    if identity(container)?.is_none() {
        return Ok(());
    }
    for name in ["new", "spare", "undone", "added", "old-top", "new-top"] {
        remove_path(&container.join(name))?;
    }
    let parent = container.parent().unwrap_or(container);
    keeping_times(parent, || remove_path(container))
}

fn remove_path(path: &Path) -> Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let parent = match place::open(parent) {
        Ok(parent) => parent,
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(Error::io(errno.into(), parent.display())),
    };
    remove::remove(&parent, name.as_bytes())
        .map_err(|errno| Error::io(errno.into(), format_args!("remove {}", path.display())))
}

/// Ends restores of dead sessions that had begun to remove what they replaced: there is nothing to
/// go on with, nor to go back to. All others wait for somebody to decide.
pub(super) fn clean(resources: &[&Resource], context: &Context) -> Vec<String> {
    let mut said = Vec::new();
    for resource in resources {
        let Ok(at) = place::At::of(&resource.name, &resource.at) else { continue };
        let mut places: Vec<PathBuf> = vec![at.path.clone()];
        places.extend(at.path.parent().map(Path::to_owned));
        for dir in places {
            let Ok(entries) = std::fs::read_dir(&dir) else { continue };
            for entry in entries.flatten() {
                let name = entry.file_name();
                let is_dead = name
                    .to_str()
                    .is_some_and(|name| context.is_dead(name) && name.contains("-restore"));
                if is_dead && is_over(&entry.path()) && remove_path(&entry.path()).is_ok() {
                    said.push(format!("removed {}", entry.path().display()));
                }
            }
        }
    }
    said
}

fn is_over(container: &Path) -> bool {
    let layout = Layout {
        container: container.to_owned(),
        live: PathBuf::new(),
        only: None,
        subvolume: false,
        in_place: false,
        excludes: Vec::new(),
    };
    matches!(Journal::read(&layout), Ok(Some(journal)) if journal.is_over)
}

/// Shares whose clients hold a directory, something in it, or something above it.
fn shares_of(path: &Path, context: &Context) -> Vec<exports::Export> {
    let all = exports::of_this_host(context);
    let is_near =
        |export: &exports::Export| export.path.starts_with(path) || path.starts_with(&export.path);
    all.into_iter().filter(is_near).collect()
}
