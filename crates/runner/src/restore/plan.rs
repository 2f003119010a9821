//! What a restore will do, decided before anything is touched.

mod compare;
mod extra;
mod image;
mod left_out;
mod script;
mod untouched;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tintype_engine::cancel::Cancel;
use tintype_engine::id::ContentId;
use tintype_engine::reader::{ContentReader, ReadBuffer};
use tintype_engine::repo::snapshots::Snapshot;
use tintype_engine::tree::cursor::Cursor;
use tintype_engine::tree::pieces::References;
use tintype_engine::tree::{Content, Root, TreeEntry};
use tintype_model::entry::{Kind, Node, Problem, ProblemKind, file_name, is_within};
use tintype_model::{Error, ErrorKind, Result};
use tintype_source::files::{Owners, Target, TargetOptions};

use self::compare::FirstName;
use self::extra::{Extra, Found};
use self::left_out::LeftOut;
use self::script::Script;
pub use self::untouched::Untouched;
use self::untouched::reason;
use super::apply::parent_of;
use super::claim::Claim;
use super::reread::Check;
use super::{Action, Counts, Destination, Mapping, Overwrite, Plan, Request, Rule, check};
use crate::snapshot::names::Inodes;

/// One line of a plan, for showing.
pub struct Step<'p> {
    pub action: Action,
    /// Why nothing is done, where somebody would wonder.
    pub why: Option<&'static str>,
    pub path: &'p [u8],
    pub entry: &'p TreeEntry,
}

/// A directory at the destination while it is compared.
#[derive(Default)]
struct Standing {
    /// Its path in the target, empty for the base.
    path: Vec<u8>,
    /// In the tree.
    from: Vec<u8>,
    /// It does not exist yet: nothing below it does.
    is_new: bool,
    /// Something else stands there: nothing below it can be restored.
    is_refused: bool,
    /// Names there that the snapshot did not name so far; only for `delete_extra`.
    unnamed: BTreeSet<Vec<u8>>,
    /// Device and inode of what stands there under another spelling than the snapshot's.
    respelled: HashSet<(u64, u64)>,
    /// Of its file system, if something might be deleted in it.
    device: Option<u64>,
    /// Something is mounted here.
    is_mount: bool,
    /// How many entries the snapshot holds in it.
    held: u64,
    /// Of its file system when it was captured.
    captured_device: Option<u64>,
    /// Something is mounted here, or above, where nothing was when it was captured.
    is_covered: bool,
    /// Another file system began here when it was captured, and was not entered.
    is_foreign: bool,
    /// The snapshot holds a marker file in it.
    is_marked: bool,
}

impl Standing {
    /// Whether the options of the snapshot left out what it held.
    fn is_left_out(&self) -> bool {
        (self.is_foreign && self.held == 0) || (self.is_marked && self.held == 1)
    }
}

struct Planner<'p> {
    request: &'p Request,
    cancel: &'p Cancel,
    /// What was captured; what only leads there was not.
    roots: Vec<Vec<u8>>,
    base: PathBuf,
    /// None: the base does not exist.
    target: Option<Target>,
    /// Device and inode of the directories in which nothing may be touched.
    untouchable: Vec<(u64, u64)>,
    check: Check<'p, 'p>,
    buffer: ReadBuffer,
    open: Vec<Standing>,
    actions: Vec<Action>,
    /// Of the mapping: where the planner is.
    rule: usize,
    pages: Vec<(usize, ContentId, u32)>,
    counts: Counts,
    selected: u64,
    /// What was selected and the snapshot does not hold, or not whole.
    lost: u64,
    refused: Vec<(Vec<u8>, String)>,
    missing: Vec<(Vec<u8>, String)>,
    untouched: Vec<Untouched>,
    leftovers: BTreeSet<Vec<u8>>,
    ways: Vec<(Vec<u8>, Option<Node>)>,
    unknown: Vec<Vec<u8>>,
    devices: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Something may be deleted.
    deletes: bool,
    left_out: LeftOut,
    extra: Extra,
    /// A directory of the repository that the planner is in, until it is told.
    ours: Option<Vec<u8>>,
    /// By device and inode as captured.
    first_names: Inodes<FirstName>,
}

/// Makes the plan: reads the tree and looks at the destination, changes nothing. Under
/// [`Overwrite::Always`] files of the same size and time are read too.
pub fn plan(
    reader: &ContentReader<'_>,
    snapshot: &Snapshot,
    request: &Request,
    cancel: &Cancel,
) -> Result<Plan> {
    let root = Root::of(&snapshot.manifest);
    let mut cursor = Cursor::new(reader, root)?.tolerant();
    let (mapping, base) = map(snapshot, request, &mut cursor)?;
    let claim = request.claim.then(|| claim(request, &mapping, &base)).transpose()?;
    let target = match Target::open(&base, TargetOptions::default()) {
        Ok(target) => Some(target),
        Err(error) if error.is(ErrorKind::NotFound) => None,
        Err(error) => return Err(error),
    };
    let base_is_new = target.is_none();
    let left_out = LeftOut::of(&snapshot.manifest.options);
    let mut planner = Planner {
        request,
        cancel,
        roots: snapshot.manifest.root_paths(),
        base: base.clone(),
        target,
        untouchable: request.untouchable.iter().filter_map(|dir| file_of(dir)).collect(),
        check: Check::new(reader),
        buffer: ReadBuffer::new()?,
        open: Vec::new(),
        actions: Vec::new(),
        rule: 0,
        pages: Vec::new(),
        counts: Counts::default(),
        selected: 0,
        lost: 0,
        refused: Vec::new(),
        missing: Vec::new(),
        untouched: Vec::new(),
        leftovers: BTreeSet::new(),
        ways: Vec::new(),
        unknown: Vec::new(),
        devices: BTreeMap::new(),
        deletes: request.delete_extra && left_out.is_ok(),
        left_out: LeftOut::default(),
        extra: Extra::default(),
        ours: None,
        first_names: Inodes::new(),
    };
    match left_out {
        Ok(left_out) => planner.left_out = left_out,
        Err(why) if request.delete_extra => {
            planner.extra.spare(Vec::new(), format!("nothing is deleted: {why}"));
        }
        Err(_) => {}
    }
    for (number, rule) in mapping.rules.iter().enumerate() {
        planner.rule = number;
        let (selected, ways) = (planner.selected, planner.ways.len());
        planner.enter_base(rule, base_is_new, &mut cursor)?;
        script::walk(&mut cursor, &rule.from, &mut |page, entry| {
            planner.entry(rule, page, &entry)
        })?;
        planner.leave_to(None)?;
        if planner.selected == selected {
            // Nothing goes that way.
            planner.ways.truncate(ways);
        }
    }
    let damaged = cursor.damaged.take().unwrap_or_default();
    let bare = Plan::empty(root, mapping, snapshot, base, base_is_new);
    Ok(Plan { _claim: claim, ..planner.into_plan(damaged, bare) })
}

/// The target, or in place the directories that are restored. What is still to be made is claimed
/// when it is.
fn claim(request: &Request, mapping: &Mapping, base: &Path) -> Result<Claim> {
    match request.destination {
        Destination::InPlace => Claim::take(check::places(mapping, base)),
        Destination::Directory(_) => Claim::take([base.to_path_buf()]),
    }
}

fn file_of(dir: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(dir).ok().map(|metadata| (metadata.dev(), metadata.ino()))
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
        [&request.path].into_iter().chain(&request.also).cloned().collect()
    };
    match &request.destination {
        Destination::InPlace => Ok((Mapping::in_place(&roots)?, Path::new("/").to_path_buf())),
        Destination::Directory(dir) if request.path.is_empty() => {
            let mut links = Vec::new();
            for root in &roots {
                let found = cursor.get(root)?;
                if found.is_some_and(|entry| entry.node.kind == Kind::Symlink) {
                    links.push(root.clone());
                }
            }
            Ok((Mapping::by_name(&roots, &links), dir.clone()))
        }
        Destination::Directory(dir) if request.also.is_empty() => {
            let is_directory = kind_of(snapshot, &request.path, cursor)? == Kind::Directory;
            Ok((Mapping::of_path(&request.path, is_directory), dir.clone()))
        }
        Destination::Directory(dir) => {
            let mut links = Vec::new();
            for root in &roots {
                if kind_of(snapshot, root, cursor)? == Kind::Symlink {
                    links.push(root.clone());
                }
            }
            Ok((Mapping::by_name(&roots, &links), dir.clone()))
        }
    }
}

/// Of what is asked for, which must be there.
fn kind_of(snapshot: &Snapshot, path: &[u8], cursor: &mut Cursor<'_, '_>) -> Result<Kind> {
    let entry = cursor.get(path)?;
    // If the page of its own entry is damaged, what lies below may still be whole.
    let is_unread = cursor.damaged.as_ref().is_some_and(|damaged| !damaged.is_empty());
    match entry {
        Some(entry) => Ok(entry.node.kind),
        None if is_unread => Ok(Kind::Directory),
        None => Err(Error::not_found(format!(
            "snapshot {} holds no /{}",
            snapshot.id.short(),
            String::from_utf8_lossy(path)
        ))),
    }
}

impl Planner<'_> {
    fn into_plan(mut self, damaged: Vec<(Vec<u8>, Error)>, bare: Plan) -> Plan {
        let mut named = HashSet::new();
        // A page may be met several times.
        for (path, error) in damaged.into_iter().filter(|(path, _)| named.insert(path.clone())) {
            self.refused.push((path, format!("this part of the snapshot is damaged: {error}")));
            self.counts.refuse += 1;
        }
        let pages = named.len() as u64;
        let found = self.extra.into_found();
        // What the snapshot does not seem to hold may stand on a page that cannot be read.
        let found = if pages > 0 { found.without_paths() } else { found };
        let Found { paths: extra, spared, undeleted } =
            found.if_all_comes(self.counts.refuse, self.lost);
        self.counts.delete = extra.len() as u64;
        self.counts.leftovers = self.leftovers.len() as u64;
        Plan {
            actions: self.actions,
            pages: self.pages,
            counts: self.counts,
            overwrite: self.request.overwrite,
            refused: self.refused,
            missing: self.missing,
            untouched: self.untouched,
            leftovers: self.leftovers.into_iter().collect(),
            spared,
            undeleted,
            ways: self.ways,
            unknown: self.unknown,
            devices: self.devices,
            selected: self.selected,
            owners: self.request.owners.clone(),
            damaged: pages,
            extra,
            ..bare
        }
    }

    /// Begins a rule: what leads to its root counts as standing if it exists.
    fn enter_base(
        &mut self,
        rule: &Rule,
        base_is_new: bool,
        cursor: &mut Cursor<'_, '_>,
    ) -> Result<()> {
        self.open.clear();
        let device = std::fs::metadata(&self.base).ok().map(|metadata| metadata.dev());
        let mut base = Standing { is_new: base_is_new, device, ..Standing::default() };
        if self.is_compared(rule) {
            let from = &rule.from[..rule.from.len() - rule.to.len() - 1];
            base.captured_device = cursor.get(from)?.map(|entry| entry.node.device);
        }
        for (at, _) in rule.to.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            match self.look(&rule.to[..at], base_is_new) {
                Ok(Some(standing)) if self.is_untouchable(&standing) => {
                    base.is_refused = true;
                    self.refused.push((rule.to.clone(), OURS.into()));
                    break;
                }
                Ok(Some(standing)) => self.pass(rule, at, &standing, &mut base, cursor)?,
                Ok(None) => {
                    base.is_new = true;
                    let from = &rule.from[..rule.from.len() - rule.to.len() + at];
                    let node = cursor.get(from)?.map(|entry| entry.node);
                    self.ways.push((rule.to[..at].to_vec(), node));
                }
                Err(error) => {
                    base.is_refused = true;
                    self.refused.push((rule.to.clone(), advice(&error)));
                    break;
                }
            }
        }
        base.from.clone_from(&rule.from);
        if !base.is_new && !base.is_refused {
            self.find_leftovers(parent_of(&rule.to).unwrap_or_default());
        }
        // Only of a directory that was captured, and whose own entry says that it was read.
        if self.deletes && !base.is_new && rule.to.is_empty() && self.is_captured(&rule.from) {
            let entry = cursor.get(&rule.from)?;
            base.captured_device = entry.as_ref().map(|entry| entry.node.device);
            if let Some(entry) = entry {
                base.unnamed = self.names(b"", entry.node.problem());
            }
        }
        self.open.push(base);
        Ok(())
    }

    /// Whether it tells something that what leads to a root is another file system than it was:
    /// where it was captured.
    fn is_compared(&self, rule: &Rule) -> bool {
        let is_in_place = matches!(self.request.destination, Destination::InPlace);
        self.deletes && is_in_place && !rule.to.is_empty()
    }

    /// Goes through a directory that leads to a root: what was mounted there since the snapshot
    /// was taken covers the root.
    fn pass(
        &self,
        rule: &Rule,
        at: usize,
        standing: &Node,
        base: &mut Standing,
        cursor: &mut Cursor<'_, '_>,
    ) -> Result<()> {
        if !self.is_compared(rule) {
            return Ok(());
        }
        let from = &rule.from[..rule.from.len() - rule.to.len() + at];
        let captured = cursor.get(from)?.map(|entry| entry.node.device);
        let was_mount = captured.is_none() || captured != base.captured_device;
        base.is_covered |=
            !was_mount && self.is_mount(&rule.to[..at], standing.device, base.device);
        (base.device, base.captured_device) = (Some(standing.device), captured);
        Ok(())
    }

    /// Whether something is mounted at a directory; `outer` is the device of the one above.
    fn is_mount(&self, path: &[u8], device: u64, outer: Option<u64>) -> bool {
        Some(device) != outer
            || self.target.as_ref().is_some_and(|target| target.is_mount(path).unwrap_or(true))
    }

    /// What killed restores left in a directory that something is restored into.
    fn find_leftovers(&mut self, path: &[u8]) {
        let Some(target) = &self.target else { return };
        let found = target.leftovers(path);
        self.leftovers.extend(found.into_iter().map(|name| join(path, &name)));
    }

    /// Not of directories that only lead to what was captured: of what else they held the
    /// snapshot knows nothing.
    fn is_captured(&self, path: &[u8]) -> bool {
        self.roots.is_empty() || self.roots.iter().any(|root| is_within(path, root))
    }

    /// The repository that is read, or its cache.
    fn is_untouchable(&self, standing: &Node) -> bool {
        standing.kind == Kind::Directory
            && self.untouchable.contains(&(standing.device, standing.inode))
    }

    fn look(&self, path: &[u8], is_new: bool) -> Result<Option<Node>> {
        match &self.target {
            Some(target) if !is_new => target.stat(path),
            _ => Ok(None),
        }
    }

    fn entry(&mut self, rule: &Rule, page: ContentId, entry: &TreeEntry) -> Result<()> {
        self.cancel.check()?;
        let Some(path) = Mapping::target(rule, &entry.path) else { return Ok(()) };
        self.leave_to(Some(&path))?;
        self.pass_unknown(rule, &path);
        let name = file_name(&path);
        let inside = self.open.last_mut().expect("the base stays");
        let is_listed = inside.unnamed.remove(name);
        inside.held += 1;
        inside.is_marked |= self.left_out.excludes.is_marker(name);
        let (is_new, below_refused) = (inside.is_new, inside.is_refused);
        if !is_listed {
            self.note_spelling(&path);
        }
        let is_directory = entry.node.kind == Kind::Directory;
        let action = if !is_selected(self.request, &entry.path, is_directory) {
            // Directories lead to what is selected; empty ones are not made for nothing.
            Action::Leave
        } else if below_refused {
            self.tell_ours(&path);
            Action::Refuse
        } else {
            self.decide(&path, entry, is_new)
        };
        self.count(action, &path, entry);
        self.actions.push(action);
        match self.pages.last_mut() {
            Some((rule, last, count)) if (*rule, *last) == (self.rule, page) => *count += 1,
            _ => self.pages.push((self.rule, page, 1)),
        }
        if is_directory {
            self.enter(path, entry, action);
        }
        Ok(())
    }

    /// Enters the directory that `path` lies in, if its own entry cannot be read.
    fn pass_unknown(&mut self, rule: &Rule, path: &[u8]) {
        let Some(parent) = parent_of(path) else { return };
        let above = self.open.last().expect("the base stays");
        // What leads to the root is no part of it.
        if parent.len() <= above.path.len() || parent.len() < rule.to.len() {
            return;
        }
        let mut unknown = Standing {
            path: parent.to_vec(),
            is_new: above.is_new,
            is_refused: above.is_refused,
            ..Standing::default()
        };
        let known = above.path.len();
        let slashes = parent.iter().enumerate().skip(known + 1).filter(|(_, byte)| **byte == b'/');
        for at in slashes.map(|(at, _)| at).chain([parent.len()]) {
            match self.look(&parent[..at], unknown.is_new) {
                Ok(Some(standing)) if self.is_untouchable(&standing) => {
                    unknown.is_refused = true;
                    self.refused.push((parent[..at].to_vec(), OURS.into()));
                }
                Ok(None) => unknown.is_new = true,
                // If it is no directory, all that lies below is refused, and told.
                Ok(Some(_)) | Err(_) => {}
            }
        }
        if unknown.is_new && !unknown.is_refused {
            self.unknown.push(unknown.path.clone());
        }
        self.open.push(unknown);
    }

    /// Of all that is refused because it lies in the repository the first is told.
    fn tell_ours(&mut self, path: &[u8]) {
        if let Some(ours) = self.ours.take_if(|ours| is_within(path, ours)) {
            self.refused.push((ours, OURS.into()));
        }
    }

    fn enter(&mut self, path: Vec<u8>, entry: &TreeEntry, action: Action) {
        let above = self.open.last().expect("the base stays");
        let (is_new, below_refused, outer) = (above.is_new, above.is_refused, above.device);
        let is_other = above.captured_device.is_some_and(|device| device != entry.node.device);
        let was_mount = above.captured_device != Some(entry.node.device);
        let above_covered = above.is_covered;
        let standing = self.look(&path, is_new).ok().flatten();
        let is_ours =
            !below_refused && standing.as_ref().is_some_and(|node| self.is_untouchable(node));
        if is_ours {
            self.ours = Some(path.clone());
        }
        let below_is_new = match action {
            Action::Create | Action::Replace => true,
            Action::Leave => standing.is_none() && !below_refused,
            _ => is_new,
        };
        if action == Action::Merge {
            self.find_leftovers(&path);
        }
        let is_root = self.roots.contains(&entry.path);
        let is_captured = action == Action::Merge && self.is_captured(&entry.path);
        let unnamed =
            if is_captured { self.names(&path, entry.node.problem()) } else { BTreeSet::new() };
        let device = standing.filter(|_| self.deletes).map(|node| node.device);
        let is_mount = device.is_some_and(|device| self.is_mount(&path, device, outer));
        self.open.push(Standing {
            path,
            from: entry.path.clone(),
            is_new: below_is_new,
            is_refused: is_ours
                || action == Action::Refuse
                || (action == Action::Leave && below_refused),
            unnamed,
            device,
            is_mount,
            captured_device: Some(entry.node.device),
            is_covered: above_covered || (is_mount && !was_mount),
            is_foreign: is_other && self.left_out.one_file_system && !is_root,
            ..Standing::default()
        });
    }

    /// Closes directories that `path` is not in; what they hold beside the snapshot is extra.
    fn leave_to(&mut self, path: Option<&[u8]>) -> Result<()> {
        while let Some(open) = self.open.last() {
            let inside = path.is_some_and(|path| is_within(path, &open.path));
            if inside {
                break;
            }
            let done = self.open.pop().expect("checked");
            self.add_extra(done)?;
        }
        Ok(())
    }

    fn refuse(&mut self, path: &[u8], why: String) -> Action {
        self.refused.push((path.to_vec(), why));
        Action::Refuse
    }

    fn decide(&mut self, path: &[u8], entry: &TreeEntry, is_new: bool) -> Action {
        let node = &entry.node;
        let is_directory = node.kind == Kind::Directory;
        if node.is_lost() || node.kind == Kind::Unknown {
            return Action::Skip;
        }
        if node.kind == Kind::Socket {
            let is_there = |node: Node| node.kind == Kind::Socket;
            let listens = self.look(path, is_new).is_ok_and(|found| found.is_some_and(is_there));
            return if listens { Action::Same } else { Action::Skip };
        }
        if node.kind == Kind::Stream && matches!(self.request.destination, Destination::InPlace) {
            let why = "a stream was captured nowhere: restore it with --to, or use `cat`";
            return self.refuse(path, why.into());
        }
        let standing = match self.look(path, is_new) {
            Ok(standing) => standing,
            Err(error) => return self.refuse(path, advice(&error)),
        };
        if node.kind == Kind::Image
            && let Some(action) = self.image(path, standing.as_ref())
        {
            return action;
        }
        let Some(standing) = standing else {
            self.note_first_name(entry, true, (0, 0));
            return Action::Create;
        };
        let as_file = |kind: Kind| if kind.has_content() { Kind::File } else { kind };
        let (here, there) = (as_file(node.kind), as_file(standing.kind));
        if is_directory && there == Kind::Directory {
            if self.is_untouchable(&standing) {
                // Snapshots leave out what it holds. If this one does not, that is refused.
                self.extra.tell(path.to_vec(), OURS_STAYS.into());
                return Action::Same;
            }
            return Action::Merge;
        }
        if is_directory || there == Kind::Directory {
            let what = if is_directory { "something that is no directory" } else { "a directory" };
            return self.refuse(path, format!("{what} is in the way; {MOVE_IT}"));
        }
        match self.compare(path, entry, &standing, here == there) {
            Ok(action) => {
                if !matches!(action, Action::Keep) {
                    let is_written = action == Action::Replace;
                    self.note_first_name(entry, is_written, (standing.device, standing.inode));
                }
                action
            }
            Err(error) => self.refuse(path, advice(&error)),
        }
    }

    fn count(&mut self, action: Action, path: &[u8], entry: &TreeEntry) {
        if action != Action::Leave {
            self.selected += 1;
            let problem = entry.node.problem();
            let is_unread =
                |p: &Problem| matches!(p.kind, ProblemKind::Unreadable | ProblemKind::Vanished);
            let is_unknown = entry.node.kind == Kind::Unknown;
            self.lost += u64::from(is_unknown || problem.is_some_and(is_unread));
            let told = problem.filter(|p| entry.node.is_lost() || p.kind.makes_incomplete());
            self.missing.extend(told.map(|p| (path.to_vec(), p.message.clone())));
        }
        if let Some(why) = reason(action, &entry.node)
            && self.untouched.len() < untouched::NAMED
        {
            self.untouched.push(Untouched { path: path.to_vec(), action, why });
        }
        let counts = &mut self.counts;
        match action {
            Action::Create => counts.create += 1,
            Action::Replace => counts.replace += 1,
            Action::Same => counts.same += 1,
            Action::Metadata => counts.metadata += 1,
            Action::Keep => counts.keep += 1,
            Action::KeepMetadata => counts.keep_metadata += 1,
            Action::Merge => counts.merge += 1,
            Action::Refuse => counts.refuse += 1,
            Action::Skip => {
                counts.skip += 1;
                counts.sockets += u64::from(entry.node.kind == Kind::Socket);
            }
            Action::Leave => {}
        }
        if matches!(action, Action::Create | Action::Replace) {
            counts.bytes += entry.node.size;
        }
    }
}

const OURS: &str = "it belongs to the repository that is read, where nothing is touched; restore it \
                    elsewhere with --to";
const OURS_STAYS: &str = "stays as it is: it belongs to the repository that is read";
const MOVE_IT: &str = "move it away and run it again, or restore elsewhere with --to";

/// What is wrong at a path, and what helps.
fn advice(error: &Error) -> String {
    match error.kind() {
        ErrorKind::AlreadyExists => format!("{error}; {MOVE_IT}"),
        ErrorKind::Denied => {
            format!("{error}; run as somebody who may go there, or restore elsewhere with --to")
        }
        _ => error.to_string(),
    }
}

fn join(above: &[u8], name: &[u8]) -> Vec<u8> {
    if above.is_empty() { name.to_vec() } else { [above, b"/", name].concat() }
}

/// Where a tree path was on its host.
fn captured(path: &[u8]) -> &[u8] {
    path.strip_prefix(b"files").unwrap_or(path)
}

fn is_selected(request: &Request, path: &[u8], is_directory: bool) -> bool {
    let path = captured(path);
    if request.exclude.matches(path, is_directory) {
        return false;
    }
    request.include.as_ref().is_none_or(|include| include.matches(path, is_directory))
}

impl Plan {
    fn empty(
        root: Root,
        mapping: Mapping,
        snapshot: &Snapshot,
        base: PathBuf,
        base_is_new: bool,
    ) -> Self {
        Self {
            root,
            mapping,
            snapshot: snapshot.clone(),
            base,
            base_is_new,
            _claim: None,
            actions: Vec::new(),
            pages: Vec::new(),
            counts: Counts::default(),
            overwrite: Overwrite::default(),
            refused: Vec::new(),
            missing: Vec::new(),
            untouched: Vec::new(),
            leftovers: Vec::new(),
            spared: Vec::new(),
            undeleted: 0,
            ways: Vec::new(),
            unknown: Vec::new(),
            devices: BTreeMap::new(),
            selected: 0,
            owners: Owners::default(),
            damaged: 0,
            extra: Vec::new(),
        }
    }

    /// Roots that do not get their own name, because another one has it: tree and target path.
    pub fn renamed(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let rules = self.mapping.rules.iter().map(|rule| (&rule.from[..], &rule.to[..]));
        rules.filter(|(from, to)| !to.is_empty() && !from.ends_with(to))
    }

    /// Where an entry's content goes: to its path in the target, or onto a device.
    pub(crate) fn place<'p>(&'p self, path: &'p [u8]) -> &'p [u8] {
        self.devices.get(path).map_or(path, Vec::as_slice)
    }

    /// Content bytes to write, without holes: reads the lists of large files, as far as that is
    /// soon done.
    pub(super) fn stored_bytes(&self, reader: &ContentReader<'_>) -> Result<u64> {
        const MOST_REFERENCES: u32 = 1 << 20;
        let mut left = MOST_REFERENCES;
        let mut buffer = ReadBuffer::new()?;
        let mut bytes = 0u64;
        self.for_each(reader, &mut |step| {
            let size = step.entry.node.size;
            let length = match &step.entry.content {
                _ if !matches!(step.action, Action::Create | Action::Replace) => 0,
                Content::References { depth, list } => {
                    let mut all = References::new(reader, &mut buffer, *depth, list.clone());
                    let stored = all.try_fold(0u64, |sum, reference| {
                        let reference = reference.ok()?;
                        left = left.checked_sub(1)?;
                        Some(sum.saturating_add(reference.id.map_or(0, |_| reference.length)))
                    });
                    // What cannot be read is told when it is restored.
                    stored.unwrap_or(size)
                }
                _ => size,
            };
            bytes = bytes.saturating_add(length);
            Ok(())
        })?;
        Ok(bytes)
    }

    /// Goes through the plan in order, for showing it.
    pub fn for_each(
        &self,
        reader: &ContentReader<'_>,
        each: &mut dyn FnMut(Step<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut cursor = Cursor::new(reader, self.root)?.tolerant();
        let mut script = Script::new(self);
        for (number, rule) in self.mapping.rules.iter().enumerate() {
            script::walk(&mut cursor, &rule.from, &mut |page, entry| {
                let Some(path) = Mapping::target(rule, &entry.path) else { return Ok(()) };
                let action = script.next(number, page)?;
                let why = reason(action, &entry.node);
                each(Step { action, why, path: &path, entry: &entry })
            })?;
        }
        script.end()
    }
}
