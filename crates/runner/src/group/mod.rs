//! Snapshots of resources: `plan → prepare → read ahead → hooks, freeze all, thaw all, hooks →
//! stream → commit → release`.
//!
//! What belongs together is frozen in one window, guarded by a process of its own, and read
//! afterwards without hurry. A resource that fails fails alone: the snapshot holds the others, says
//! so in its descriptor (`/tintype.json`), and is incomplete.

mod emptied;
mod family;
mod guard;
pub(crate) mod hooks;
mod journal;
mod member;
pub mod parent;
mod preview;
pub mod restore;
mod sections;
mod sessions;
mod stored;
pub mod undo_point;
mod window;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tintype_engine::env::Task;
use tintype_engine::id::encode_hex;
use tintype_engine::reader::ContentReader;
use tintype_engine::repo::Repository;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_engine::tree::Root;
use tintype_model::entry::{Kind as EntryKind, Node, Time};
use tintype_model::item::{
    ApplicationItem, DESCRIPTOR_BYTES, DESCRIPTOR_PATH, Descriptor, HookRun, Item, Outcome, Window,
};
use tintype_model::resource::{APPLICATION_FILE, Consistency, Phase, Resource, Resources};
use tintype_model::{Error, ErrorKind, Result};
use tintype_source::connector::{Connector, Context, Passwords, Released, Source};

pub use guard::{GuardCommand, guard};
pub use preview::{Missing, Preview, missing_commands, preview};
pub use tintype_source::connector::described::check;

use crate::progress::Progress;
use crate::snapshot::section::Section;
use crate::snapshot::tally::Tally;
use crate::snapshot::{self, Described, Desk, Feed, Group, Input, SnapshotOptions};
use family::Family;
use guard::Guards;
use member::Member;
use sessions::{Locks, OfAll, Session};

/// Nothing is frozen for longer.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// See [`Context::series`].
const SERIES_DIGITS: usize = 16;

/// So many resources are prepared side by side: it is mostly waiting for servers.
const PREPARED_AT_ONCE: usize = 8;

/// Where runs keep what they need while they work.
#[derive(Clone)]
pub struct Places {
    /// Where living sessions are known: one directory for all runs of a host.
    pub runtime_dir: PathBuf,
    /// What tells this installation's leftovers from those of others is kept here over a restart.
    pub state_dir: PathBuf,
    /// Below it each run makes a directory of its own; needs room for what changes while it reads.
    pub scratch_dir: PathBuf,
}

/// How resources are captured.
pub struct GroupOptions {
    pub places: Places,
    /// [`DEADLINE`].
    pub deadline: Duration,
    pub guard: GuardCommand,
    /// See [`Context::written_devices`].
    pub written_devices: Vec<u64>,
    /// See [`Context::quiesce`]; without it no hook around the window is run either.
    pub quiesce: bool,
    /// Not entered by walks: the repository itself and its cache.
    pub never_enter: Vec<(u64, u64)>,
    /// Memory of each walk.
    pub ahead_bytes: usize,
    /// See [`Context::passwords`].
    pub passwords: Passwords,
    /// Applications whose hooks and version another host of this run asks.
    pub elsewhere: BTreeSet<String>,
}

impl GroupOptions {
    /// `own`: directories of this host that the run writes to.
    pub fn new(own: &[PathBuf], places: Places, guard: GuardCommand, ahead_bytes: usize) -> Self {
        let found = |path: &PathBuf| std::fs::metadata(path).ok();
        let never_enter = own.iter().filter_map(found).map(|found| (found.dev(), found.ino()));
        let written =
            own.iter().chain([&places.scratch_dir, &places.runtime_dir]).filter_map(found);
        Self {
            never_enter: never_enter.collect(),
            written_devices: written.map(|found| found.dev()).collect(),
            places,
            deadline: DEADLINE,
            guard,
            quiesce: true,
            ahead_bytes,
            passwords: Passwords::default(),
            elsewhere: BTreeSet::new(),
        }
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Taken {
    pub outcome: snapshot::Outcome,
    pub descriptor: Descriptor,
    /// What dead sessions had left and was removed, in words.
    pub cleaned: Vec<String>,
    /// What could not be removed after the run, and what may not be thawed: in words.
    pub unreleased: Vec<String>,
}

/// A run on this host: what connectors get, and what goes when it ends.
pub struct Run {
    context: Context,
    runtime_dir: PathBuf,
    /// What could not be ended still uses scratch.
    is_left: AtomicBool,
    _session: Session,
}

impl Run {
    /// Begins a session and removes what dead ones left.
    pub fn begin(
        repository_env: &tintype_engine::env::Env,
        cancel: &tintype_engine::cancel::Cancel,
        options: &GroupOptions,
    ) -> Result<Self> {
        let Places { runtime_dir, state_dir, scratch_dir } = options.places.clone();
        // Programs that are given what lies there may work elsewhere.
        let scratch_dir = std::path::absolute(&scratch_dir)
            .map_err(|error| Error::io(error, scratch_dir.display()))?;
        let session = Session::begin(&runtime_dir, &state_dir, repository_env)?;
        let scratch = scratch_dir.join(format!("tintype-{}", session.name));
        let made = std::fs::create_dir_all(&scratch_dir)
            .and_then(|()| std::fs::DirBuilder::new().mode(0o700).create(&scratch));
        made.map_err(|error| Error::io(error, scratch.display()))?;
        let context = Context {
            clock: Arc::clone(&repository_env.clock),
            tasks: Arc::clone(&repository_env.tasks),
            cancel: cancel.clone(),
            session: session.name.clone(),
            series: String::new(),
            living: Arc::new(Locks(runtime_dir.clone())),
            scratch,
            written_devices: options.written_devices.clone(),
            passwords: options.passwords.clone(),
            quiesce: options.quiesce,
        };
        let is_left = AtomicBool::new(false);
        Ok(Self { context, runtime_dir, is_left, _session: session })
    }

    pub fn context(&self) -> &Context {
        &self.context
    }

    /// From now on what is [cleaned](Self::clean) is also what other installations left on this host.
    /// Only root on the host itself, in no container, sees which of their runs are at work.
    #[must_use]
    pub fn of_all(mut self) -> Self {
        self.context.living = Arc::new(OfAll(Locks(self.runtime_dir.clone())));
        self
    }

    /// Removes what dead sessions left, in words: leftovers of connectors, then scratch directories.
    pub fn clean(
        &self,
        connectors: &[Box<dyn Connector>],
        resources: &[Resource],
    ) -> Result<Vec<String>> {
        let _alone = sessions::alone(&self.runtime_dir, &self.context);
        let (cleaned, failed) = sweep(connectors, resources, &self.context);
        for (connector, error) in failed {
            // What cannot be removed now is no reason to take no snapshot.
            tracing::warn!(connector, %error, "what an earlier run left could not be removed");
        }
        Ok(cleaned)
    }
}

/// What dead sessions left goes: leftovers of connectors, then scratch directories. Gives what went,
/// in words, and what could not.
fn sweep(
    connectors: &[Box<dyn Connector>],
    resources: &[Resource],
    context: &Context,
) -> (Vec<String>, Vec<(&'static str, Error)>) {
    let (mut cleaned, mut failed) = (Vec::new(), Vec::new());
    for connector in connectors {
        let own: Vec<_> = resources.iter().filter(|r| r.connector == connector.name()).collect();
        if let Err(error) = connector.clean(&own, context, &mut cleaned) {
            failed.push((connector.name(), error));
        }
    }
    // What could not be cleaned may still be written there, or read by whoever tries again.
    let scratch = if failed.is_empty() { context.dead_scratch() } else { Vec::new() };
    for place in scratch {
        if std::fs::remove_dir_all(&place).is_ok() {
            cleaned.push(format!("scratch directory {}", place.display()));
        }
    }
    (cleaned, failed)
}

impl Drop for Run {
    fn drop(&mut self) {
        // What is still mounted or in use below stays, and the next run removes it.
        if !self.is_left.load(Ordering::Acquire) {
            let _ = std::fs::remove_dir_all(&self.context.scratch);
        }
    }
}

/// The descriptor of a snapshot of resources; none if it is a snapshot of something else.
pub fn descriptor(repository: &Repository, snapshot: &Snapshot) -> Result<Option<Descriptor>> {
    read_descriptor(&repository.reader()?, snapshot)
}

/// The same by a reader that is there.
pub(crate) fn read_descriptor(
    reader: &ContentReader<'_>,
    snapshot: &Snapshot,
) -> Result<Option<Descriptor>> {
    let root = Root::of(&snapshot.manifest);
    let path = DESCRIPTOR_PATH.as_bytes();
    let Some(bytes) = crate::content::small(reader, root, path, DESCRIPTOR_BYTES)? else {
        return Ok(None);
    };
    let descriptor: Descriptor = serde_json::from_slice(&bytes).map_err(|error| {
        Error::corrupt(format!("snapshot {}: /{DESCRIPTOR_PATH}: {error}", snapshot.id.short()))
    })?;
    if descriptor.format != Descriptor::FORMAT {
        return Err(Error::unsupported(format!(
            "snapshot {}: /{DESCRIPTOR_PATH} has format {}; a newer version of this program reads it",
            snapshot.id.short(),
            descriptor.format
        )));
    }
    Ok(Some(descriptor))
}

/// A parent that is damaged costs time, not the snapshot: everything is read.
fn known(parent: &Snapshot, found: Result<Option<Descriptor>>) -> Result<Option<Descriptor>> {
    match found {
        Err(error) if error.is(ErrorKind::Corrupt) => {
            tracing::warn!(parent = parent.id.short(), %error, "the parent is damaged, so that \
                everything is read again");
            Ok(None)
        }
        found => found,
    }
}

/// Of a manifest's options: whether it belongs to no series, see [`borrows`].
pub const BORROWS: &str = "borrows";

/// Of a manifest's options: by the name of each resource on which host it was captured. What another
/// host has at the same path is something else, however alike it looks.
pub(crate) const ORIGINS: &str = "origins";

/// Whether a snapshot of a part, whose names were given, is compared with one that holds more: its
/// marks tell what changed, and stay what that series of snapshots goes on with. `places`: of all
/// that the run captures, in however many parts. `known`: of all resources that there are still; what
/// only the parent has of them belongs to no series any more. Empty: not known.
pub fn borrows(parent: &Snapshot, places: &[Vec<u8>], names: &[String], known: &[Vec<u8>]) -> bool {
    let hex = |places: &[Vec<u8>]| -> HashSet<String> {
        places.iter().map(|place| encode_hex(place)).collect()
    };
    let (own, known, of_tenants) = (hex(places), hex(known), encode_hex(b"tenants/"));
    let is_gone =
        |root: &String| !known.is_empty() && root.starts_with(&of_tenants) && !known.contains(root);
    let roots = &parent.manifest.roots;
    !names.is_empty() && roots.iter().any(|root| !own.contains(root) && !is_gone(root))
}

/// Where in the tree the resources lie that `names` selects.
pub fn places(resources: &Resources, names: &[String]) -> Result<Vec<Vec<u8>>> {
    let selected = member::select(resources, names)?;
    let mut places: Vec<_> =
        selected.iter().map(|resource| resources.place_of(resource).into_bytes()).collect();
    places.sort();
    Ok(places)
}

/// The resources that `names` selects, applications as their components; without names all.
pub fn selected<'r>(resources: &'r Resources, names: &[String]) -> Result<Vec<&'r Resource>> {
    member::select(resources, names)
}

/// Takes a snapshot of the resources that `names` selects; without names of all. Whether it
/// [`borrows`] its options say ([`BORROWS`]), where it is one of several parts; else it is asked here.
pub fn snapshot(
    repository: &Repository,
    connectors: &[Box<dyn Connector>],
    resources: &Resources,
    names: &[String],
    options: &SnapshotOptions,
    group: &GroupOptions,
    progress: &Progress,
) -> Result<Taken> {
    resources.check()?;
    let selected = member::select(resources, names)?;
    let parent = match &options.parent {
        Some(parent) => known(parent, descriptor(repository, parent))?,
        None => None,
    };
    let mut run = Run::begin(repository.env(), &options.cancel, group)?;
    run.context.series = repository.id().to_string().chars().take(SERIES_DIGITS).collect();
    let cleaned = run.clean(connectors, &resources.resources)?;
    let marks = parent.as_ref().filter(|_| !options.read_all);
    let members = member::members(connectors, resources, &selected, marks, run.context());
    let outlives = |resource: &&&Resource| {
        connectors.iter().any(|c| c.name() == resource.connector && c.outlives())
    };
    let outliving = selected.iter().filter(outlives).map(|resource| (*resource).clone()).collect();
    let guards = Guards::new(&group.guard, run.runtime_dir.clone(), outliving, run.context())?;
    let taking = Taking {
        guards: Mutex::new(guards),
        outliving: selected.iter().filter(outlives).map(|resource| &resource.name[..]).collect(),
        repository,
        resources,
        families: family::families(resources, &members),
        members: Mutex::new(members),
        of_applications: Mutex::default(),
        is_over: AtomicBool::new(false),
        windows: Mutex::default(),
        borrows: options.labels.options[BORROWS].as_bool().unwrap_or_else(|| {
            let parent = options.parent.as_ref();
            let known = places(resources, &[]).unwrap_or_default();
            parent.is_some_and(|parent| borrows(parent, &options.labels.roots, names, &known))
        }),
        options,
        group,
        described: Mutex::default(),
        unreleased: Mutex::default(),
    };
    let input = Input::Group(Group(Box::new(|desk| taking.feed(desk))));
    let outcome = snapshot::run(repository, input, options, progress);
    taking.after_run(&mut taking.members.lock().expect("no panic while held"));
    let unreleased = taking.release(outcome.is_ok());
    let guards = taking.guards.into_inner().expect("no panic while held");
    if unreleased.is_empty() {
        guards.released();
    } else {
        // It tries again when this session is no more.
        run.is_left.store(true, Ordering::Release);
        drop(guards);
    }
    let descriptor = taking.described.into_inner().expect("no panic while held");
    Ok(Taken {
        outcome: outcome?,
        descriptor: descriptor.ok_or_else(|| Error::internal("no descriptor was made"))?,
        cleaned,
        unreleased,
    })
}

/// What is missing is the first that one must know.
fn reason(why_not_more: Option<String>, missing: &[String]) -> Option<String> {
    const MOST: usize = 20;
    let mut parts: Vec<String> = missing.iter().take(MOST).cloned().collect();
    if missing.len() > MOST {
        parts.push(format!("and {} more are missing", missing.len() - MOST));
    }
    parts.extend(why_not_more);
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// Does the same with each member, with some side by side.
fn at_once(
    env: &tintype_engine::env::Env,
    members: &mut [Member],
    work: &(dyn Fn(usize, &mut Member) + Sync),
) {
    let waiting = Mutex::new(members.iter_mut().enumerate());
    let one = || {
        loop {
            let next = waiting.lock().expect("no panic while held").next();
            let Some((number, member)) = next else { return };
            work(number, member);
        }
    };
    env.tasks.run((0..PREPARED_AT_ONCE).map(|_| Box::new(one) as Task<'_>).collect());
}

struct Taking<'t> {
    guards: Mutex<Guards>,
    /// Names of resources of which something would outlive a run that is killed.
    outliving: HashSet<&'t str>,
    repository: &'t Repository,
    resources: &'t Resources,
    families: Vec<Family<'t>>,
    members: Mutex<Vec<Member>>,
    /// What the hooks of each application did.
    of_applications: Mutex<BTreeMap<String, Vec<HookRun>>>,
    /// The hooks that end a run were run.
    is_over: AtomicBool,
    windows: Mutex<Vec<Window>>,
    /// See [`borrows`].
    borrows: bool,
    options: &'t SnapshotOptions,
    group: &'t GroupOptions,
    described: Mutex<Option<Descriptor>>,
    /// See [`Taken::unreleased`].
    unreleased: Mutex<Vec<String>>,
}

impl Taking<'_> {
    /// Everything up to the moment when the frozen views can be read.
    fn feed(&self, desk: &dyn Desk) -> Result<Feed<'_>> {
        let mut members = self.members.lock().expect("no panic while held");
        self.prepare(&mut members);
        let mut sections = Vec::new();
        for number in 0..members.len() {
            desk.beat()?;
            sections.extend(self.ahead(number, &mut members[number], desk)?);
        }
        for family in &self.families {
            desk.beat()?;
            for number in family.groups.values().flatten() {
                members[*number].renew();
            }
            let is_quiesced = self.group.quiesce
                && self.owe(&mut members, family)
                && self.hooks(&mut members, family, Phase::PreQuiesce);
            for numbers in family.groups.values() {
                self.window(&mut members, numbers);
            }
            // Also of what failed: what was stopped must go on.
            if is_quiesced {
                self.hooks(&mut members, family, Phase::PostThaw);
                self.guards.lock().expect("no panic while held").owe_nothing();
            }
        }
        let places = members.iter().map(|m| m.item.place.clone().into_bytes()).collect();
        sections.extend(self.views(&mut members));
        // What failed before it was read to its end is worth nothing without the rest.
        sections.retain(|section| section.item.is_none_or(|number| !members[number].is_failed()));
        self.definitions(&mut sections);
        let items = desk.items();
        for (number, member) in members.iter_mut().enumerate() {
            if let Some(reason) = items.get(number) {
                member.fail(reason);
            }
        }
        drop(members);
        let describe =
            Box::new(move |tallies, failed: &snapshot::FailedItems| self.describe(tallies, failed));
        Ok(Feed { sections, places, describe })
    }

    /// What the user described, beside what was captured of it: `app.yaml` of each application.
    fn definitions(&self, sections: &mut Vec<Section>) {
        let applications = self.resources.resources.iter().filter(|r| !r.components.is_empty());
        for application in applications {
            let place = self.resources.place_of(application);
            let below = format!("{place}/").into_bytes();
            if !sections.iter().any(|section| section.path.starts_with(&below)) {
                continue;
            }
            let names: Vec<_> = application.components.iter().map(|c| &c.resource[..]).collect();
            let own = |r: &&Resource| r.name == application.name || names.contains(&&r.name[..]);
            let parts = self.resources.resources.iter().filter(own).cloned().collect();
            // Every JSON text is YAML too.
            let text = serde_json::to_vec_pretty(&Resources::new(parts)).unwrap_or_default();
            sections.push(sections::object(
                format!("{place}/{APPLICATION_FILE}").into_bytes(),
                text,
                self.now(),
            ));
        }
    }

    fn prepare(&self, members: &mut [Member]) {
        let is_outliving = |member: &Member| self.outliving.contains(&member.resource.name[..]);
        if members.iter().any(|member| is_outliving(member) && !member.is_failed())
            && let Err(error) = self.guards.lock().expect("no panic while held").start()
        {
            members.iter_mut().filter(|m| is_outliving(m)).for_each(|member| member.fail(&error));
        }
        at_once(self.repository.env(), members, &|_, member| {
            if member.is_failed() {
                return;
            }
            let mark = member.mark.take();
            let source = member.source.as_mut().expect("not failed");
            if let Err(error) = source.prepare(mark.as_ref()) {
                member.fail(error);
            }
        });
    }

    fn ahead(&self, number: usize, member: &mut Member, desk: &dyn Desk) -> Result<Vec<Section>> {
        if member.is_failed() {
            return Ok(Vec::new());
        }
        let parts = match member.source.as_mut().expect("not failed").ahead() {
            Ok(parts) => parts,
            Err(error) => {
                member.fail(error);
                return Ok(Vec::new());
            }
        };
        let mut stored = Vec::new();
        for part in parts {
            let section = sections::of_part(part, &member.item.place, number, self.walk(false));
            stored.push(desk.store_ahead(section)?);
            if let Some(reason) = desk.items().get(number) {
                member.fail(reason);
                break;
            }
        }
        Ok(stored)
    }

    fn window(&self, members: &mut [Member], numbers: &[usize]) {
        let numbers: Vec<usize> =
            numbers.iter().copied().filter(|number| !members[*number].is_failed()).collect();
        if numbers.is_empty() {
            return;
        }
        let guarded: Vec<_> = numbers
            .iter()
            .filter_map(|number| members[*number].source.as_ref()?.guarded())
            .collect();
        let deadline = self.group.deadline;
        let mut guards = self.guards.lock().expect("no panic while held");
        let is_guarded = !guarded.is_empty();
        if is_guarded && let Err(error) = guards.watch(guarded, deadline) {
            numbers.iter().for_each(|number| members[*number].fail(&error));
            return;
        }
        let mut chosen: Vec<(usize, &mut Member)> = members
            .iter_mut()
            .enumerate()
            .filter_map(|(number, member)| {
                Some((numbers.iter().position(|chosen| *chosen == number)?, member))
            })
            .collect();
        chosen.sort_by_key(|(position, _)| *position);
        let mut chosen: Vec<&mut Member> = chosen.into_iter().map(|(_, member)| member).collect();
        let sources: Vec<&mut Box<dyn Source>> =
            chosen.iter_mut().filter_map(|member| member.source.as_mut()).collect();
        let frozen = window::freeze(sources, deadline, self.repository.env());
        let guarded = match (is_guarded, frozen.held) {
            (false, _) => Ok(()),
            (true, true) => {
                guards.held();
                Ok(())
            }
            (true, false) => guards.done(&mut self.unreleased.lock().expect("no panic while held")),
        };
        let names = chosen.iter().map(|member| member.item.name.clone()).collect();
        for (member, result) in chosen.iter_mut().zip(frozen.members) {
            match (result, &guarded) {
                (Err(error), _) => member.fail(error),
                (Ok(_), Err(error)) => member.fail(error),
                (Ok(seconds), Ok(())) => member.item.frozen_seconds = Some(seconds),
            }
        }
        let window = Window { members: names, seconds: frozen.seconds };
        self.windows.lock().expect("no panic while held").push(window);
    }

    /// What was frozen, ready to be read. To make it so takes a while for some: what changed is asked
    /// for, a copy is mounted, a version is printed.
    fn views(&self, members: &mut [Member]) -> Vec<Section> {
        let made = Mutex::new(BTreeMap::new());
        at_once(
            self.repository.env(),
            members,
            &|number, member| match self.view(number, member) {
                Ok(found) => drop(made.lock().expect("no panic while held").insert(number, found)),
                Err(error) => member.fail(error),
            },
        );
        made.into_inner().expect("no panic while held").into_values().flatten().collect()
    }

    fn view(&self, number: usize, member: &mut Member) -> Result<Vec<Section>> {
        if member.is_failed() {
            return Ok(Vec::new());
        }
        let mut view = member.source.as_mut().expect("not failed").view()?;
        if let Some(wanted) = member.resource.consistency
            && view.consistency < wanted
        {
            let why = view.why_not_more.unwrap_or_default();
            return Err(Error::unsupported(format!(
                "consistency {wanted} was asked for, {} was reached: {why}",
                view.consistency
            )));
        }
        member.missing = member.source.as_ref().expect("not failed").missing();
        let item = &mut member.item;
        item.consistency = Some(view.consistency);
        if view.consistency == Consistency::None {
            // Read as it is: there was nothing to freeze.
            item.frozen_seconds = None;
        }
        item.reason = reason(view.why_not_more, &member.missing);
        item.mark = view.mark;
        item.facts = view.facts;
        item.version = self.version(&member.resource).or(view.version);
        let is_view = view.consistency > Consistency::None;
        let parts = view.parts.drain(..);
        Ok(parts
            .map(|part| sections::of_part(part, &item.place, number, self.walk(is_view)))
            .collect())
    }

    fn version(&self, resource: &Resource) -> Option<String> {
        hooks::version(resource, self.repository.env(), &self.options.cancel)
    }

    /// Those of which something was captured; the lowest level of the parts counts.
    fn applications(&self, items: &[Item]) -> Vec<ApplicationItem> {
        let all = self.resources.resources.iter().filter(|resource| {
            resource.components.iter().any(|c| items.iter().any(|item| item.name == c.resource))
        });
        let described = all.map(|application| {
            let is_own =
                |item: &&Item| application.components.iter().any(|c| c.resource == item.name);
            // None, as of what failed, is the lowest.
            let lowest = items.iter().filter(is_own).map(|item| item.consistency).min();
            ApplicationItem {
                name: application.name.clone(),
                version: match self.group.elsewhere.contains(&application.name) {
                    true => None,
                    false => self.version(application),
                },
                consistency: lowest.flatten(),
                hooks: self
                    .of_applications
                    .lock()
                    .expect("no panic while held")
                    .get(&application.name)
                    .cloned()
                    .unwrap_or_default(),
            }
        });
        described.collect()
    }

    fn walk(&self, is_view: bool) -> sections::Walking<'_> {
        sections::Walking { options: self.group, is_view, now: self.now() }
    }

    fn now(&self) -> Time {
        let now = self.repository.env().clock.now();
        Time { seconds: now.as_second(), nanoseconds: now.subsec_nanosecond().max(0) as u32 }
    }

    /// Without those that were read as they are.
    fn frozen_windows(&self, members: &[Member]) -> Vec<Window> {
        let is_frozen = |name: &String| {
            let level = members.iter().find(|m| m.item.name == *name).map(|m| m.item.consistency);
            level != Some(Some(Consistency::None))
        };
        let mut windows = self.windows.lock().expect("no panic while held").clone();
        for window in &mut windows {
            window.members.retain(is_frozen);
        }
        windows.retain(|window| !window.members.is_empty());
        windows
    }

    /// The last entry of the tree: what came of every resource.
    fn describe(
        &self,
        tallies: Vec<(Vec<u8>, Tally)>,
        failed: &snapshot::FailedItems,
    ) -> Result<Described> {
        let mut members = self.members.lock().expect("no panic while held");
        for (number, member) in members.iter_mut().enumerate() {
            if let Some(reason) = failed.get(number) {
                member.fail(reason);
            }
            let place = member.item.place.as_bytes();
            if let Some((_, tally)) = tallies.iter().find(|(path, _)| path == place) {
                let Tally { entries, bytes, problems } = *tally;
                let problems = problems + member.missing.len() as u64;
                (member.item.entries, member.item.bytes, member.item.problems) =
                    (entries, bytes, problems);
                self.doubt(member);
                if problems > 0 {
                    // The next one must look at everything again.
                    member.item.mark = None;
                }
            }
            if self.borrows {
                member.item.mark = None;
            }
        }
        self.after_run(&mut members);
        let identity = self.repository.identity();
        let now = self.now();
        let items: Vec<Item> = members.iter().map(|member| member.item.clone()).collect();
        let descriptor = Descriptor {
            format: Descriptor::FORMAT,
            program: identity.program.clone(),
            host: identity.host.clone(),
            started: self.repository.env().clock.now(),
            resources: self.resources.resources.clone(),
            applications: self.applications(&items),
            items,
            windows: self.frozen_windows(&members),
        };
        let is_whole =
            |member: &Member| member.item.outcome == Outcome::Captured && member.missing.is_empty();
        let is_complete = members.iter().all(is_whole);
        let bytes = serde_json::to_vec_pretty(&descriptor)
            .map_err(|error| Error::internal(error.to_string()))?;
        *self.described.lock().expect("no panic while held") = Some(descriptor);
        let path = DESCRIPTOR_PATH.into();
        let node = Node { mode: 0o600, mtime: now, ctime: now, ..Node::new(EntryKind::File) };
        let captured = members.iter().filter(|member| !member.is_failed()).count() as u64;
        Ok(Described { path, node, bytes, is_complete, captured })
    }

    /// Lets every source remove what it made; gives all that is not as it was.
    fn release(&self, is_committed: bool) -> Vec<String> {
        let mut members = self.members.lock().expect("no panic while held");
        let mut left = std::mem::take(&mut *self.unreleased.lock().expect("no panic while held"));
        for member in &mut *members {
            let is_whole = !member.is_failed() && member.item.problems == 0;
            let counts = is_committed && is_whole && !self.borrows;
            let released = if counts { Released::Committed } else { Released::Failed };
            let Some(source) = &mut member.source else { continue };
            if let Err(error) = source.release(released) {
                let name = &member.item.name;
                left.push(format!("{name}: not all is removed, the next run tries again: {error}"));
            }
            if source.is_held() {
                let name = &member.item.name;
                left.push(format!(
                    "{name}: may still be frozen; its guard goes on for 15 minutes to thaw it"
                ));
            }
        }
        left
    }
}
