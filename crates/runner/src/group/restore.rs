//! Restoring resources: plan and check everything, stage beside, take an undo point of what will be
//! replaced, then stop, switch, start, look and clean, step by step through a journal.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tintype_engine::cancel::Cancel;
use tintype_engine::reader::ContentReader;
use tintype_engine::repo::Repository;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_model::item::{Descriptor, HookRun, Item, Outcome};
use tintype_model::plan::{Check, Stage, Verdict};
use tintype_model::resource::{
    Hook, HookPlace, Kind, OnError, Phase, Resource, Resources, Version,
};
use tintype_model::{Error, Result};
pub use tintype_source::connector::Destination;
use tintype_source::connector::{Connector, Context, KEPT, Target, TargetPlan, described};
use tintype_source::host::check_room;

use super::journal::{Done, HookDone, Journal};
use super::read_descriptor;
use super::stored::StoredItem;
use super::{hooks, member};
use crate::progress::Progress;

/// So many snapshots are asked for the version of an application.
const LOOKED_AT: usize = 20;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    /// Names of resources; applications stand for their components. Empty: all.
    pub names: Vec<String>,
    /// Where those go that are not named in `as_new`.
    pub in_place: bool,
    /// By name of the resource.
    pub destinations: BTreeMap<String, Destination>,
    /// `at` of those that lie elsewhere now than when they were captured: where in place is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub now_at: BTreeMap<String, Map<String, Value>>,
}

/// Everything that will be done, decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupPlan {
    pub snapshot: String,
    pub wanted: Wanted,
    /// In the order in which they are restored and started.
    pub items: Vec<ItemPlan>,
    /// What cannot be restored: it was not captured.
    pub missing: Vec<(String, String)>,
    pub applications: Vec<VersionChange>,
}

/// An application of which something is restored in place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionChange {
    pub name: String,
    /// What it says now, not known before `command` was run; where a description says it, what the
    /// newest snapshot has of it.
    pub from: Option<String>,
    /// Asked for that, once somebody agreed: it comes out of the snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// As it was captured.
    pub to: Option<String>,
}

/// A command out of the snapshot that a restore will run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedCommand {
    /// The resource, or the application.
    pub of: String,
    /// The phase of a hook, `version`, or `start` of what is restored.
    pub when: String,
    pub place: HookPlace,
    pub command: Vec<String>,
}

impl PlannedCommand {
    fn version(of: &str, command: &[String]) -> Self {
        let (of, when) = (of.to_owned(), "version".to_owned());
        Self { of, when, place: HookPlace::Host, command: command.to_vec() }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemPlan {
    pub item: Item,
    pub resource: Resource,
    pub destination: Destination,
    pub plan: TargetPlan,
    /// Hooks of its application, with the first of its components.
    pub of_application: Vec<Hook>,
    /// Name of the application whose hooks these are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
}

impl ItemPlan {
    /// Whose a hook is, by its number among those of the application and its own.
    pub(super) fn owner_of(&self, hook: usize) -> &str {
        let application = self.application.as_deref().filter(|_| hook < self.of_application.len());
        application.unwrap_or(&self.resource.name)
    }

    /// What is there now, at its best: it may be off or broken, and a machine that is replaced has
    /// nothing running that a hook could run in.
    fn before(&self) -> Resource {
        let mut resource = self.resource.clone();
        resource.at.extend(self.plan.undo_at.clone());
        resource.consistency = None;
        resource.hooks.retain(|hook| hook.place == HookPlace::Host);
        resource
    }

    /// A hook of a restore that runs in a guest: before it in the machine that was captured, after
    /// it in the one that was restored.
    fn in_guest(&self, hook: &Hook, restore: &Restore<'_>) -> Result<HookRun> {
        let mut resource = self.resource.clone();
        if let Destination::AsNew { name, at, .. } = &self.destination
            && hook.phase == Phase::PostRestore
        {
            resource.name.clone_from(name);
            resource.at.clone_from(at);
        }
        in_guest(restore.connectors, hook, &resource, restore.context)
    }
}

/// Runs a hook in the guest of a machine that nothing else is done with.
pub(crate) fn in_guest(
    connectors: &[Box<dyn Connector>],
    hook: &Hook,
    machine: &Resource,
    context: &Context,
) -> Result<HookRun> {
    let connector = described::named(connectors, &machine.connector)?;
    connector.source(machine, context)?.run_in_guest(hook)
}

impl GroupPlan {
    pub fn is_blocked(&self) -> bool {
        self.checks().any(|(_, check)| check.outcome == Verdict::Block)
    }

    pub fn checks(&self) -> impl Iterator<Item = (&ItemPlan, &Check)> {
        self.items.iter().flat_map(|item| item.plan.checks.iter().map(move |check| (item, check)))
    }

    /// The resources of which something is replaced, as an undo point captures them.
    pub fn replaced(&self) -> Vec<Resource> {
        let replaced = self.items.iter().filter(|item| item.plan.replaces);
        replaced.map(ItemPlan::before).collect()
    }

    /// What runs on this host, or in its guests, because the snapshot says so. `captures`: an undo
    /// point is taken, with the hooks and versions of a snapshot.
    pub fn commands(&self, captures: bool) -> Vec<PlannedCommand> {
        let is_captured = |item: &ItemPlan| captures && item.plan.replaces;
        let is_any_captured = self.items.iter().any(is_captured);
        let mut found = Vec::new();
        for item in &self.items {
            let name = &item.item.name;
            let own = item.resource.hooks.iter().map(|hook| (hook, is_captured(item)));
            let of_application = item.of_application.iter().map(|hook| (hook, is_any_captured));
            for (at, (hook, is_captured)) in of_application.chain(own).enumerate() {
                let is_of_restore = matches!(hook.phase, Phase::PreRestore | Phase::PostRestore);
                if is_of_restore || (is_captured && hook.place == HookPlace::Host) {
                    let command = hook.command.clone();
                    found.push(PlannedCommand {
                        of: item.owner_of(at).to_owned(),
                        when: hook.phase.to_string(),
                        place: hook.place,
                        command,
                    });
                }
            }
            found.extend(item.plan.commands.iter().map(|command| PlannedCommand {
                of: name.clone(),
                when: "start".to_owned(),
                place: HookPlace::Host,
                command: command.clone(),
            }));
            let version = item.resource.version.as_ref().and_then(Version::command);
            found.extend(
                version.filter(|_| is_captured(item)).map(|c| PlannedCommand::version(name, c)),
            );
        }
        let versions = self.applications.iter().filter_map(|change| {
            Some(PlannedCommand::version(&change.name, change.command.as_deref()?))
        });
        found.extend(versions);
        found
    }

    /// A resource whose place the other plan changes, too, by whatever way it is named there.
    pub(super) fn touches(&self, other: &Self) -> Option<&str> {
        let meet = |a: &PathBuf, b: &PathBuf| a == b || is_part(a, b) || is_part(b, a);
        let is_one = |a: &ItemPlan, b: &ItemPlan| {
            (a.item.connector == b.item.connector && a.target() == b.target())
                || a.plan.places.iter().any(|a| b.plan.places.iter().any(|b| meet(a, b)))
        };
        let found = self.items.iter().find(|own| other.items.iter().any(|b| is_one(own, b)));
        found.map(|item| &item.item.name[..])
    }
}

impl ItemPlan {
    /// Where it is restored to.
    fn target(&self) -> &Map<String, Value> {
        match &self.destination {
            Destination::AsNew { at, .. } => at,
            Destination::InPlace => &self.resource.at,
        }
    }
}

/// What stays the same for all of a restore.
pub struct Restore<'r> {
    pub repository: &'r Repository,
    pub connectors: &'r [Box<dyn Connector>],
    pub snapshot: &'r Snapshot,
    pub context: &'r Context,
    pub cancel: &'r Cancel,
    pub progress: &'r Progress,
    pub workers: usize,
    /// The journal of this restore.
    pub journal: PathBuf,
}

/// Takes a snapshot of what is there of these resources, and gives its name.
pub type UndoPoint<'u> = dyn Fn(&[Resource]) -> Result<String> + Sync + 'u;

/// How a restore ended.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Restored {
    pub hooks: Vec<(String, HookRun)>,
    /// Where something stays that changed after the undo point: resource and place.
    pub kept: Vec<(String, String)>,
    /// What had gone on before and was not done again.
    pub resumed_steps: usize,
}

/// Why it did not, and what became of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Broken {
    pub error: Error,
    /// What was there before is back as it was.
    pub is_undone: bool,
    /// Steps that could not be taken back.
    pub left: Vec<String>,
    pub undo_point: Option<Box<str>>,
    /// Everything is restored; what only helped, or was replaced, is not all removed.
    pub is_restored: bool,
    /// Hooks were run before it; those after it were not.
    pub is_announced: bool,
    /// See [`Undone::kept`].
    #[serde(default)]
    pub kept: Vec<(String, String)>,
}

/// What became of a restore that was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undone {
    /// Steps that could not be taken back.
    pub left: Vec<String>,
    /// Where something stays of what had been restored, because it was written to before it was
    /// taken back: resource and place.
    #[serde(default)]
    pub kept: Vec<(String, String)>,
    /// See [`Broken::is_announced`].
    pub is_announced: bool,
}

/// A restore that was interrupted on this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftRestore {
    /// What it restores.
    pub names: Vec<String>,
    /// Steps that were begun, of how many.
    pub begun: usize,
    pub steps: usize,
    /// Somebody works on it at this moment.
    pub is_running: bool,
    /// It was being taken back, and only goes further back.
    pub is_going_back: bool,
    /// All is restored: it only goes on.
    pub is_beyond_return: bool,
}

impl Restore<'_> {
    /// Looks and decides; changes nothing.
    pub fn plan(&self, descriptor: &Descriptor, wanted: &Wanted) -> Result<GroupPlan> {
        let resources = Resources::new(descriptor.resources.clone());
        let mut selected = member::select(&resources, &wanted.names)?;
        selected.sort_by_key(|resource| order_of(&resources, resource));
        let reader = self.repository.reader()?;
        let (mut items, mut missing) = (Vec::new(), Vec::new());
        for resource in selected {
            self.cancel.check()?;
            let name = &resource.name;
            let item = match descriptor.item(name) {
                Some(item) if item.outcome == Outcome::Captured => item,
                Some(item) => {
                    missing.push((name.clone(), item.reason.clone().unwrap_or_default()));
                    continue;
                }
                None => {
                    missing.push((name.clone(), "the snapshot does not hold it".into()));
                    continue;
                }
            };
            let destination = match wanted.destinations.get(name) {
                Some(destination) => destination.clone(),
                None if wanted.in_place => Destination::InPlace,
                None => {
                    return Err(Error::invalid(format!("{name}: where to? it has no destination")));
                }
            };
            let mut resource = resource.clone();
            if let Some(at) =
                wanted.now_at.get(name).filter(|_| destination == Destination::InPlace)
            {
                resource.at.clone_from(at);
            }
            let connector = described::named(self.connectors, &item.connector)?;
            let stored = self.stored(&reader, item);
            let mut plan = connector
                .target(self.context)
                .and_then(|mut target| target.plan(item, &resource, &destination, &stored))
                .map_err(|error| error.context(name))?;
            plan.checks.extend(self.repository_within(&plan));
            items.push(ItemPlan {
                item: item.clone(),
                resource,
                destination,
                plan,
                of_application: Vec::new(),
                application: None,
            });
        }
        settle(&mut items);
        within(&mut items);
        room(&mut items);
        let mut seen = Vec::new();
        for item in &mut items {
            let owner = resources.owner_of(&item.resource.name);
            if let Some(owner) = owner.filter(|owner| !seen.contains(&&owner.name)) {
                seen.push(&owner.name);
                item.of_application.clone_from(&owner.hooks);
                item.application = Some(owner.name.clone());
            }
        }
        let snapshot = self.snapshot.id.to_string();
        let mut applications = versions(&resources, descriptor, &items);
        self.last_versions(&reader, &mut applications)?;
        Ok(GroupPlan { snapshot, wanted: wanted.clone(), items, missing, applications })
    }

    /// What the newest snapshot has of versions for which there is no command.
    fn last_versions(
        &self,
        reader: &ContentReader<'_>,
        changes: &mut [VersionChange],
    ) -> Result<()> {
        let is_unknown = |change: &&mut VersionChange| change.command.is_none();
        let mut unknown: Vec<_> = changes.iter_mut().filter(is_unknown).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let host = &self.snapshot.manifest.host;
        let known = self.repository.snapshots()?.snapshots.into_iter().rev();
        let newer = known.filter(|known| known.manifest.host == *host);
        for snapshot in newer.take(LOOKED_AT) {
            // A damaged one tells nothing of it.
            let Ok(Some(descriptor)) = read_descriptor(reader, &snapshot) else { continue };
            let version = |name: &str| {
                descriptor.applications.iter().find(|a| a.name == name)?.version.clone()
            };
            unknown.iter_mut().for_each(|change| change.from = version(&change.name));
            unknown.retain(|change| change.from.is_none());
            if unknown.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// What replaces the repository, or its cache, takes away what it restores from: a snapshot never
    /// holds them.
    fn repository_within(&self, plan: &TargetPlan) -> Option<Check> {
        let repository = PathBuf::from(self.repository.backend().describe());
        let own = [Some(repository), self.repository.cache_dir().map(Path::to_path_buf)];
        let own: Vec<_> = own.into_iter().flatten().filter_map(|o| o.canonicalize().ok()).collect();
        let (inside, place) = plan.places.iter().find_map(|place| {
            let place = place.canonicalize().ok()?;
            Some((own.iter().find(|own| own.starts_with(&place))?, place))
        })?;
        Some(Check::block(
            "repository",
            format!("{} lies in {}, which would be replaced", inside.display(), place.display()),
            "it belongs to the repository of this snapshot and is in no snapshot: move it elsewhere, \
             or restore as new, or files with --to",
        ))
    }

    /// Asks the applications of a plan that somebody agreed to for their versions.
    pub fn with_versions(&self, mut plan: GroupPlan) -> GroupPlan {
        for change in &mut plan.applications {
            if let Some(command) = &change.command {
                let env = self.repository.env();
                change.from = hooks::said_version(command, &change.name, env, self.cancel);
            }
        }
        plan
    }

    fn stored<'s>(&'s self, reader: &'s ContentReader<'s>, item: &'s Item) -> StoredItem<'s, 's> {
        StoredItem {
            reader,
            snapshot: self.snapshot,
            place: &item.place,
            workers: self.workers,
            cancel: self.cancel,
            progress: self.progress,
        }
    }

    /// The plan of a restore that was interrupted, if it was the same. One that was being taken back
    /// can only go further back.
    pub fn interrupted(&self, wanted: &Wanted) -> Result<Option<GroupPlan>> {
        let Some(journal) = Journal::read(&self.journal)? else { return Ok(None) };
        if journal.is_going_back {
            return Err(journal.in_the_way(self.context));
        }
        let snapshot = self.snapshot.id.to_string();
        let is_same = journal.plan.wanted == *wanted && journal.plan.snapshot == snapshot;
        Ok(is_same.then_some(journal.plan))
    }

    /// Carries a plan out. `undo_point` takes a snapshot of the given resources and gives its name;
    /// it is called unless nothing is replaced or one was taken before an interruption. A step that
    /// fails takes all back; a cancelled restore stays as it is, and goes on when it is run again.
    pub fn apply(
        &self,
        plan: GroupPlan,
        undo_point: Option<&UndoPoint<'_>>,
    ) -> Result<Restored, Broken> {
        let journal = Journal::begin(&self.journal, plan, self.context);
        let mut journal = journal.map_err(|error| self.not_begun(error))?;
        let mut restored = Restored { resumed_steps: journal.begun.len(), ..Restored::default() };
        let targets = self.targets(&journal.plan);
        let mut targets = targets.map_err(|error| self.not_begun(error))?;
        let result = self.forward(&mut journal, &mut targets, undo_point, &mut restored);
        let Err(error) = result else {
            return match journal.finish() {
                Ok(()) => Ok(restored),
                Err(error) => {
                    let (is_undone, is_restored) = (false, true);
                    Err(Broken { is_undone, is_restored, ..Broken::before(error) })
                }
            };
        };
        let undo_point = journal.undo_point.clone().map(String::into_boxed_str);
        let is_announced = journal.is_announced();
        let (mut is_undone, mut left) = (false, Vec::new());
        let is_restored = journal.is_beyond_return();
        if !self.cancel.is_canceled() && !is_restored {
            left = Self::back(&mut journal, &mut targets);
            is_undone = left.is_empty();
        }
        let kept = std::mem::take(&mut journal.kept_back);
        Err(Broken { error, is_undone, left, undo_point, is_restored, is_announced, kept })
    }

    /// This time. What an interrupted one had changed before is as that left it.
    fn not_begun(&self, error: Error) -> Broken {
        let is_untouched = match Journal::read(&self.journal) {
            Ok(journal) => journal.is_none_or(|journal| journal.begun.is_empty()),
            Err(_) => false,
        };
        Broken { is_undone: is_untouched, ..Broken::before(error) }
    }

    /// An interrupted restore of the snapshot, if there is one.
    pub fn left(&self) -> Result<Option<LeftRestore>> {
        Ok(Journal::read(&self.journal)?.map(|journal| journal.shown(self.context)))
    }

    /// Takes an interrupted restore back.
    pub fn undo(&self) -> Result<Undone> {
        let Some(mut journal) = Journal::resume(&self.journal, self.context)? else {
            return Err(self.nothing_to_undo());
        };
        if journal.is_beyond_return() {
            return Err(Error::unsupported(
                "everything is restored, and some of what was replaced is removed already: run the \
                 restore again to finish it; after that its undo point brings back what was there",
            ));
        }
        let mut targets = self.targets(&journal.plan)?;
        let is_announced = journal.is_announced();
        let left = Self::back(&mut journal, &mut targets);
        Ok(Undone { left, is_announced, kept: journal.kept_back })
    }

    /// Why there is nothing to take back, and what brings back what was there.
    fn nothing_to_undo(&self) -> Error {
        let id = self.snapshot.id.short();
        let Ok(Some(record)) = Journal::record(&self.journal) else {
            return Error::not_found(format!(
                "no restore of snapshot {id} was interrupted here: there is nothing to take back"
            ));
        };
        let names: Vec<_> = record.plan.items.iter().map(|item| &item.item.name[..]).collect();
        let names = names.join(" ");
        let cure = match &record.undo_point {
            Some(point) => {
                let point = point.get(..8).unwrap_or(point);
                format!(
                    "what was there before is in its undo point: `tintype repo restore {point} \
                     --resources --in-place {names}`"
                )
            }
            None => "it had no undo point".to_owned(),
        };
        Error::not_found(format!(
            "the restore of {names} of snapshot {id} has ended, and is not taken back; {cure}"
        ))
    }

    fn targets(&self, plan: &GroupPlan) -> Result<Vec<Box<dyn Target>>> {
        let target = |item: &ItemPlan| {
            described::named(self.connectors, &item.item.connector)?.target(self.context)
        };
        plan.items.iter().map(target).collect()
    }

    fn forward(
        &self,
        journal: &mut Journal,
        targets: &mut [Box<dyn Target>],
        undo_point: Option<&UndoPoint<'_>>,
        restored: &mut Restored,
    ) -> Result<()> {
        let reader = self.repository.reader()?;
        self.stage(journal, targets, &reader, Stage::Stage)?;
        self.hooks(journal, Phase::PreRestore)?;
        // After all that is slow, so that as little as possible is written between it and the switch.
        let replaced = journal.plan.replaced();
        if let Some(undo_point) = undo_point
            && journal.undo_point.is_none()
            && !journal.has_begun(Stage::Stop)
            && !replaced.is_empty()
        {
            self.stage(journal, targets, &reader, Stage::Watch)?;
            journal.undo_point = Some(undo_point(&replaced)?);
            journal.write()?;
        }
        for stage in [Stage::Stop, Stage::Switch, Stage::Start, Stage::Health] {
            self.stage(journal, targets, &reader, stage)?;
        }
        self.hooks(journal, Phase::PostRestore)?;
        restored.hooks = journal.runs();
        // From here on nothing is taken back: what was replaced goes.
        self.stage(journal, targets, &reader, Stage::Clean)?;
        restored.kept = journal.kept();
        Ok(())
    }

    fn stage(
        &self,
        journal: &mut Journal,
        targets: &mut [Box<dyn Target>],
        reader: &ContentReader<'_>,
        stage: Stage,
    ) -> Result<()> {
        // What depends on others is stopped before them.
        let mut numbers: Vec<_> = (0..journal.plan.items.len()).collect();
        if stage == Stage::Stop {
            numbers.reverse();
        }
        for number in numbers {
            for at in 0..journal.plan.items[number].plan.steps.len() {
                let step = journal.plan.items[number].plan.steps[at].clone();
                if step.stage != stage || journal.is_done(number, at) {
                    continue;
                }
                self.cancel.check()?;
                journal.begun.retain(|(item, step, _)| (*item, *step) != (number, at));
                journal.begun.push((number, at, None));
                journal.write()?;
                let item = journal.plan.items[number].item.clone();
                let done = targets[number]
                    .apply(&step, &self.stored(reader, &item))
                    .map_err(|error| error.context(format!("{}: {}", item.name, step.text)))?;
                if let Some(last) = journal.begun.last_mut() {
                    last.2 = Some(Done { gave: done });
                }
                journal.write()?;
            }
        }
        Ok(())
    }

    /// Takes back all that was begun, the last first; gives what could not be. That stays in the
    /// journal, with what the same item did before it and may need for it, until it is tried again.
    fn back(journal: &mut Journal, targets: &mut [Box<dyn Target>]) -> Vec<String> {
        let mut left = Vec::new();
        journal.is_going_back = true;
        left.extend(journal.write().err().map(|error| error.to_string()));
        let mut stuck = BTreeSet::new();
        for number in (0..journal.begun.len()).rev() {
            let (item, at, done) = journal.begun[number].clone();
            if stuck.contains(&item) {
                continue;
            }
            let planned = &journal.plan.items[item];
            let step = &planned.plan.steps[at];
            let gave = done.map_or(Value::Null, |done| done.gave);
            match targets[item].undo(step, &gave) {
                Ok(gives) => {
                    let kept = gives[KEPT].as_str().map(str::to_owned);
                    journal.kept_back.extend(kept.map(|place| (planned.item.name.clone(), place)));
                }
                Err(error) => {
                    left.push(format!("{}: {}: {error}", planned.item.name, step.text));
                    stuck.insert(item);
                    continue;
                }
            }
            journal.begun.remove(number);
            left.extend(journal.write().err().map(|error| error.to_string()));
        }
        if journal.begun.is_empty() {
            left.extend(journal.remove().err().map(|error| error.to_string()));
        }
        left
    }

    /// Each that did not end before an interruption. One that was stopped in its middle runs again.
    fn hooks(&self, journal: &mut Journal, phase: Phase) -> Result<()> {
        for number in 0..journal.plan.items.len() {
            let item = journal.plan.items[number].clone();
            let hooks = item.of_application.iter().chain(&item.resource.hooks).enumerate();
            for (at, hook) in hooks.filter(|(_, hook)| hook.phase == phase) {
                if journal.has_run(number, at) {
                    continue;
                }
                let name = item.owner_of(at);
                let run = match hook.place {
                    HookPlace::Host => {
                        hooks::run(hook, name, hooks::of(self.repository.env()), self.cancel)
                    }
                    HookPlace::Guest => item
                        .in_guest(hook, self)
                        .unwrap_or_else(|error| hooks::failed(hook, &error)),
                };
                let failure = run.failure.clone();
                if failure.is_some() {
                    self.cancel.check()?;
                }
                journal.hooks.push(HookDone { item: number, hook: at, run });
                journal.write()?;
                if let (Some(failure), OnError::Fail) = (failure, hook.on_error) {
                    let command = &hook.command[0];
                    return Err(Error::unavailable(format!(
                        "{name}: hook {command} of {phase}: {failure}"
                    )));
                }
            }
        }
        Ok(())
    }
}

impl Broken {
    /// Nothing was changed yet.
    fn before(error: Error) -> Self {
        let (left, kept, undo_point) = (Vec::new(), Vec::new(), None);
        let (is_undone, is_restored, is_announced) = (true, false, false);
        Self { error, is_undone, left, undo_point, is_restored, is_announced, kept }
    }
}

/// What a part of the restore brings need not be there yet, and comes first.
fn settle(items: &mut [ItemPlan]) {
    let brought: BTreeSet<_> = items.iter().flat_map(|item| item.plan.brings.clone()).collect();
    for check in items.iter_mut().flat_map(|item| &mut item.plan.checks) {
        if let Some(what) = check.unless.as_ref().filter(|what| brought.contains(*what)) {
            *check = Check::pass(&check.name, format!("{what} is restored before it"));
        }
    }
    items.sort_by_key(|item| item.plan.brings.is_empty());
}

/// What lies in a volume that is replaced at the same time would be written into what goes away.
fn within(items: &mut [ItemPlan]) {
    let replaced = |item: &ItemPlan| item.item.kind == Kind::Volume && item.plan.replaces;
    let volumes: Vec<(String, PathBuf)> = items
        .iter()
        .filter(|item| replaced(item))
        .flat_map(|item| {
            item.plan.places.iter().map(|place| (item.item.name.clone(), place.clone()))
        })
        .collect();
    for item in items {
        let inside = item.plan.places.iter().find_map(|place| {
            let volume = volumes
                .iter()
                .find(|(name, volume)| *name != item.item.name && is_part(place, volume));
            volume.map(|(name, _)| (place.display().to_string(), name))
        });
        if let Some((place, volume)) = inside {
            item.plan.checks.push(Check::block(
                "within",
                format!("{place} lies in the volume {volume}, which is replaced at the same time"),
                format!("restore {volume} alone first, and then this"),
            ));
        }
    }
}

/// What each part needs alone may not be there for all of them.
fn room(items: &mut [ItemPlan]) {
    let checks = || items.iter().flat_map(|item| &item.plan.checks);
    let needs: Vec<_> = checks().flat_map(|check| check.needs.clone()).collect();
    let of_all = check_room(&needs);
    let worst = checks().filter(|check| !check.needs.is_empty()).map(|check| check.outcome).max();
    if items.len() > 1
        && worst.is_some_and(|worst| of_all.outcome > worst)
        && let Some(first) = items.first_mut()
    {
        let message = format!("all that is restored together: {}", of_all.message);
        first.plan.checks.push(Check { message, ..of_all });
    }
}

/// Below it, and in the same file system: what is mounted in a volume is not part of it.
fn is_part(place: &Path, volume: &Path) -> bool {
    let device = |path: &Path| path.metadata().ok().map(|found| found.dev());
    let there = place.ancestors().skip(1).find_map(device);
    place.starts_with(volume) && there == device(volume)
}

/// Without running anything: a description out of a snapshot is not yet trusted.
fn versions(
    resources: &Resources,
    descriptor: &Descriptor,
    items: &[ItemPlan],
) -> Vec<VersionChange> {
    let in_place = |name: &str| {
        items.iter().any(|i| i.item.name == name && i.destination == Destination::InPlace)
    };
    let changes = descriptor.applications.iter().filter_map(|captured| {
        let now = resources.resources.iter().find(|r| r.name == captured.name)?;
        now.components.iter().any(|c| in_place(&c.resource)).then(|| VersionChange {
            name: captured.name.clone(),
            from: None,
            command: now.version.as_ref().and_then(Version::command).map(<[_]>::to_vec),
            to: captured.version.clone(),
        })
    });
    changes.collect()
}

/// Components in the order that their application gives; others come first.
fn order_of(resources: &Resources, resource: &Resource) -> (String, u32, usize) {
    let Some(owner) = resources.owner_of(&resource.name) else {
        return (String::new(), 0, 0);
    };
    let at = owner.components.iter().position(|c| c.resource == resource.name).unwrap_or(0);
    (owner.name.clone(), owner.components[at].order.unwrap_or(at as u32 + 1), at)
}
