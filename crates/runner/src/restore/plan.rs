//! What a restore will do, decided before anything is touched.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tintype_engine::reader::ContentReader;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_engine::tree::cursor::Cursor;
use tintype_engine::tree::{Content, TreeEntry};
use tintype_model::entry::{Kind, Node, is_within};
use tintype_model::{Error, ErrorKind, Result};
use tintype_source::files::{Target, TargetOptions};

use super::{Action, Counts, Destination, Mapping, Overwrite, Plan, Request, Rule, root_of};

/// One line of a plan, for showing.
pub struct Step<'p> {
    pub action: Action,
    pub path: &'p [u8],
    pub entry: &'p TreeEntry,
}

/// A directory at the destination while it is compared.
struct Standing {
    /// Its path in the target, empty for the base.
    path: Vec<u8>,
    /// It does not exist yet: nothing below it does.
    is_new: bool,
    /// Something else stands there: nothing below it can be restored.
    is_refused: bool,
    /// Names there that the snapshot did not name so far; only for `delete_extra`.
    unnamed: BTreeSet<Vec<u8>>,
    /// Of its file system, if something might be deleted in it.
    device: Option<u64>,
    /// Another file system begins here.
    is_mount: bool,
    /// The snapshot holds something in it.
    is_held: bool,
}

struct Planner<'p> {
    request: &'p Request,
    /// What was captured; what only leads there was not.
    roots: Vec<Vec<u8>>,
    /// None: the base does not exist.
    target: Option<Target>,
    open: Vec<Standing>,
    actions: Vec<Action>,
    counts: Counts,
    refused: Vec<(Vec<u8>, String)>,
    extra: Vec<Vec<u8>>,
}

/// Makes the plan: reads the tree and looks at the destination, changes nothing.
pub fn plan(reader: &ContentReader<'_>, snapshot: &Snapshot, request: &Request) -> Result<Plan> {
    let root = root_of(snapshot);
    let mut cursor = Cursor::new(reader, root)?.tolerant();
    let (mapping, base) = map(snapshot, request, &mut cursor)?;
    let target = match Target::open(&base, TargetOptions::default()) {
        Ok(target) => Some(target),
        Err(error) if error.is(ErrorKind::NotFound) => None,
        Err(error) => return Err(error),
    };
    let base_is_new = target.is_none();
    let mut planner = Planner {
        request,
        roots: snapshot.manifest.root_paths(),
        target,
        open: Vec::new(),
        actions: Vec::new(),
        counts: Counts::default(),
        refused: Vec::new(),
        extra: Vec::new(),
    };
    for rule in &mapping.rules {
        planner.enter_base(rule, &base, base_is_new)?;
        cursor.for_each_within(&rule.from, &mut |entry| planner.entry(rule, &entry))?;
        planner.leave_to(None)?;
    }
    let damaged = cursor.damaged.take().unwrap_or_default();
    let damaged_pages = damaged.len() as u64;
    if damaged_pages > 0 {
        // What the snapshot does not seem to hold may stand on these pages.
        planner.extra.clear();
    }
    planner.counts.delete = planner.extra.len() as u64;
    planner.extra.sort();
    planner.extra.reverse();
    for (path, error) in damaged {
        planner.refused.push((path, format!("this part of the snapshot is damaged: {error}")));
        planner.counts.refuse += 1;
    }
    Ok(Plan {
        root,
        mapping,
        snapshot: snapshot.clone(),
        base,
        base_is_new,
        actions: planner.actions,
        counts: planner.counts,
        refused: planner.refused,
        damaged: damaged_pages,
        extra: planner.extra,
    })
}

fn map(
    snapshot: &Snapshot,
    request: &Request,
    cursor: &mut Cursor<'_, '_>,
) -> Result<(Mapping, PathBuf)> {
    let roots = if request.path.is_empty() {
        let roots = snapshot.manifest.root_paths();
        if roots.is_empty() { vec![b"files".to_vec()] } else { roots }
    } else {
        vec![request.path.clone()]
    };
    match &request.destination {
        Destination::InPlace => Ok((Mapping::in_place(&roots)?, Path::new("/").to_path_buf())),
        Destination::Directory(dir) if request.path.is_empty() => {
            Ok((Mapping::by_name(&roots)?, dir.clone()))
        }
        Destination::Directory(dir) => {
            let entry = cursor.get(&request.path)?.ok_or_else(|| {
                Error::not_found(format!(
                    "snapshot {} holds no /{}",
                    snapshot.id.short(),
                    String::from_utf8_lossy(&request.path)
                ))
            })?;
            let is_directory = entry.node.kind == Kind::Directory;
            Ok((Mapping::of_path(&request.path, is_directory), dir.clone()))
        }
    }
}

impl Planner<'_> {
    /// Begins a rule: what leads to its root counts as standing if it exists.
    fn enter_base(&mut self, rule: &Rule, base: &Path, base_is_new: bool) -> Result<()> {
        self.open.clear();
        let mut is_new = base_is_new;
        if let (Some(target), Some(end)) = (&self.target, rule.to.iter().rposition(|b| *b == b'/'))
        {
            is_new = target.stat(&rule.to[..end])?.is_none();
        }
        let wanted = rule.to.is_empty() && self.is_captured(&rule.from);
        let unnamed = if wanted { self.names(b"", is_new)? } else { BTreeSet::new() };
        self.open.push(Standing {
            path: Vec::new(),
            is_new,
            is_refused: false,
            unnamed,
            device: std::fs::metadata(base).ok().map(|metadata| metadata.dev()),
            is_mount: false,
            is_held: true,
        });
        Ok(())
    }

    /// Not of directories that only lead to what was captured: of what else they held the
    /// snapshot knows nothing.
    fn is_captured(&self, path: &[u8]) -> bool {
        self.roots.is_empty() || self.roots.iter().any(|root| is_within(path, root))
    }

    fn names(&self, path: &[u8], is_new: bool) -> Result<BTreeSet<Vec<u8>>> {
        match &self.target {
            Some(target) if self.request.delete_extra && !is_new => {
                Ok(target.list_dir(path)?.into_iter().collect())
            }
            _ => Ok(BTreeSet::new()),
        }
    }

    fn entry(&mut self, rule: &Rule, entry: &TreeEntry) -> Result<()> {
        let Some(path) = Mapping::target(rule, &entry.path) else { return Ok(()) };
        self.leave_to(Some(&path))?;
        let inside = self.open.last_mut().expect("the base stays");
        inside.unnamed.remove(tintype_model::entry::file_name(&path));
        inside.is_held = true;
        let (is_new, below_refused, outer) = (inside.is_new, inside.is_refused, inside.device);
        let action =
            if below_refused { Action::Refuse } else { self.decide(&path, entry, is_new)? };
        self.count(action, entry);
        self.actions.push(action);
        if entry.node.kind == Kind::Directory {
            let is_refused = action == Action::Refuse;
            let below_is_new = match action {
                Action::Create | Action::Replace => true,
                Action::Leave => is_new || !self.exists(&path)?,
                _ => is_new,
            };
            // Of a directory that could not be read nobody knows what it held.
            let is_known =
                action == Action::Merge && !entry.is_problem() && self.is_captured(&entry.path);
            let unnamed = if is_known { self.names(&path, below_is_new)? } else { BTreeSet::new() };
            let device = if below_is_new { None } else { self.device(&path)? };
            self.open.push(Standing {
                path,
                is_new: below_is_new,
                is_refused,
                unnamed,
                device,
                is_mount: device.is_some() && outer.is_some() && device != outer,
                is_held: false,
            });
        }
        Ok(())
    }

    fn device(&self, path: &[u8]) -> Result<Option<u64>> {
        match &self.target {
            Some(target) if self.request.delete_extra => {
                Ok(target.stat(path)?.map(|node| node.device))
            }
            _ => Ok(None),
        }
    }

    fn exists(&self, path: &[u8]) -> Result<bool> {
        self.target.as_ref().map_or(Ok(false), |target| Ok(target.stat(path)?.is_some()))
    }

    /// Closes directories that `path` is not in; what they hold beside the snapshot is extra.
    fn leave_to(&mut self, path: Option<&[u8]>) -> Result<()> {
        while let Some(open) = self.open.last() {
            let inside = path.is_some_and(|path| is_within(path, &open.path));
            if inside {
                break;
            }
            let done = self.open.pop().expect("checked");
            if done.is_mount && !done.is_held {
                // Mounted here, and left out when the snapshot was taken.
                continue;
            }
            for name in done.unnamed {
                let path = if done.path.is_empty() {
                    name
                } else {
                    [&done.path[..], b"/", &name].concat()
                };
                self.add_extra(path, done.device)?;
            }
        }
        Ok(())
    }

    /// A name that the snapshot does not hold, with all below it. What is mounted there is
    /// never touched.
    fn add_extra(&mut self, path: Vec<u8>, device: Option<u64>) -> Result<()> {
        let Some(target) = &self.target else { return Ok(()) };
        let mut waiting = vec![path];
        while let Some(path) = waiting.pop() {
            if let Some(node) = target.stat(&path)?
                && node.kind == Kind::Directory
            {
                if device.is_some_and(|device| device != node.device) {
                    self.refused.push((path, "not deleted: something is mounted there".into()));
                    self.counts.refuse += 1;
                    continue;
                }
                let names = target.list_dir(&path)?;
                waiting.extend(names.into_iter().map(|name| [&path[..], b"/", &name].concat()));
            }
            self.extra.push(path);
        }
        Ok(())
    }

    fn decide(&mut self, path: &[u8], entry: &TreeEntry, is_new: bool) -> Result<Action> {
        let is_directory = entry.node.kind == Kind::Directory;
        if !self.is_selected(entry, is_directory) {
            // Directories lead to what is selected; empty ones are not made for nothing.
            return Ok(Action::Leave);
        }
        let lost = entry.node.kind.has_content()
            && entry.node.size == 0
            && entry.content == Content::None
            && entry.is_problem();
        if lost || matches!(entry.node.kind, Kind::Socket | Kind::Unknown) {
            return Ok(Action::Skip);
        }
        let standing = match &self.target {
            Some(target) if !is_new => target.stat(path)?,
            _ => None,
        };
        let Some(standing) = standing else { return Ok(Action::Create) };
        let as_file = |kind: Kind| if kind.has_content() { Kind::File } else { kind };
        let (here, there) = (as_file(entry.node.kind), as_file(standing.kind));
        if is_directory && there == Kind::Directory {
            return Ok(Action::Merge);
        }
        if entry.node.kind == Kind::Image && there == Kind::BlockDevice {
            // Onto the device itself; nothing tells whether it holds the same.
            let always = self.request.overwrite == Overwrite::Always;
            return Ok(if always { Action::Replace } else { Action::Keep });
        }
        if is_directory || there == Kind::Directory {
            let what = if is_directory { "something that is no directory" } else { "a directory" };
            self.refused.push((path.to_vec(), format!("{what} is in the way")));
            return Ok(Action::Refuse);
        }
        if here == there && is_same(&entry.node, &standing) {
            return Ok(Action::Same);
        }
        Ok(match self.request.overwrite {
            Overwrite::Always => Action::Replace,
            Overwrite::Older if standing.mtime < entry.node.mtime => Action::Replace,
            _ => Action::Keep,
        })
    }

    fn is_selected(&self, entry: &TreeEntry, is_directory: bool) -> bool {
        let captured = entry.path.strip_prefix(b"files").unwrap_or(&entry.path);
        if self.request.exclude.matches(captured, is_directory) {
            return false;
        }
        match &self.request.include {
            None => true,
            Some(include) => include.matches(captured, is_directory),
        }
    }

    fn count(&mut self, action: Action, entry: &TreeEntry) {
        let counts = &mut self.counts;
        match action {
            Action::Create => counts.create += 1,
            Action::Replace => counts.replace += 1,
            Action::Same => counts.same += 1,
            Action::Keep => counts.keep += 1,
            Action::Merge => counts.merge += 1,
            Action::Refuse => counts.refuse += 1,
            Action::Skip => counts.skip += 1,
            Action::Leave => {}
        }
        if matches!(action, Action::Create | Action::Replace) {
            counts.bytes += entry.node.size;
        }
    }
}

/// Nothing to do: what a restore that was interrupted has done already. Symlinks are compared
/// by time as well, their length says nothing.
fn is_same(wanted: &Node, standing: &Node) -> bool {
    wanted.mtime == standing.mtime && (wanted.size == standing.size || !wanted.kind.has_content())
}

impl Plan {
    /// Goes through the plan in order, for showing it.
    pub fn for_each(
        &self,
        reader: &ContentReader<'_>,
        each: &mut dyn FnMut(Step<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut cursor = Cursor::new(reader, self.root)?.tolerant();
        let mut actions = self.actions.iter();
        for rule in &self.mapping.rules {
            cursor.for_each_within(&rule.from, &mut |entry| {
                let Some(path) = Mapping::target(rule, &entry.path) else { return Ok(()) };
                let action = *actions.next().ok_or_else(differs)?;
                each(Step { action, path: &path, entry: &entry })
            })?;
        }
        if actions.next().is_some() { Err(differs()) } else { Ok(()) }
    }
}

fn differs() -> Error {
    Error::corrupt("the snapshot does not read the same twice: pages became unreadable meanwhile")
}
