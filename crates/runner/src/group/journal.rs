//! What a restore has done so far, on disk before and after each step: an interrupted one goes on
//! where it stopped, or goes back. All unfinished ones of a host lie in one directory: each is held
//! by one session at most, and what one of them changes no other may touch.

use std::fs::{DirBuilder, File};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tintype_model::item::HookRun;
use tintype_model::plan::Stage;
use tintype_model::resource::Phase;
use tintype_model::{Error, Result};
use tintype_source::connector::{Context, KEPT};

use super::restore::{GroupPlan, LeftRestore};

/// A longer journal is not one of ours.
const JOURNAL_BYTES: u64 = 256 << 20;

/// Last part of the names of records, and how many are kept.
const RECORD: &str = "done";
const MOST_RECORDS: usize = 100;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Journal {
    pub format: u32,
    pub plan: GroupPlan,
    /// The snapshot that holds what is replaced.
    pub undo_point: Option<String>,
    /// Who carries it out; a dead one was interrupted.
    pub session: String,
    /// Hooks that have ended: none is run twice, and one that did not end is not forgotten.
    #[serde(default)]
    pub hooks: Vec<HookDone>,
    /// It is being taken back: what was begun may be undone halfway, and must not be gone on with.
    #[serde(default)]
    pub is_going_back: bool,
    /// Steps that were begun, in the order in which they were: item, number of the step, and
    /// `None` while it is not done.
    pub begun: Vec<(usize, usize, Option<Done>)>,
    /// What was written to what had been restored, and stays though it was taken back: resource and
    /// place.
    #[serde(default)]
    pub kept_back: Vec<(String, String)>,
    #[serde(skip)]
    file: PathBuf,
}

/// What a step gave. With a name, because it may be null, which alone reads as if it were not done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Done {
    pub gave: Value,
}

/// A hook of a restore.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct HookDone {
    /// Number of the item, and of the hook among those of its application and its own.
    pub item: usize,
    pub hook: usize,
    pub run: HookRun,
}

impl Journal {
    pub(super) const FORMAT: u32 = 1;

    fn new(file: PathBuf, plan: GroupPlan, session: String) -> Self {
        Self {
            format: Self::FORMAT,
            plan,
            undo_point: None,
            session,
            hooks: Vec::new(),
            is_going_back: false,
            begun: Vec::new(),
            kept_back: Vec::new(),
            file,
        }
    }

    /// The journal of a plan, held by this session: a new one, or that of the same plan, which was
    /// interrupted.
    pub(super) fn begin(file: &Path, plan: GroupPlan, context: &Context) -> Result<Self> {
        let _alone = alone(file)?;
        for other in others(file)? {
            if let Some(name) = plan.touches(&other.plan) {
                return Err(Error::locked(format!(
                    "{name}: {} changes it, too: {}",
                    other.of_what(),
                    other.what_helps(context)
                )));
            }
        }
        let journal = match Self::read(file)? {
            None => Self::new(file.to_owned(), plan, context.session.clone()),
            Some(found) if found.plan == plan && !found.is_going_back => {
                return found.taken_over(context);
            }
            Some(found) => return Err(found.in_the_way(context)),
        };
        journal.write()?;
        Ok(journal)
    }

    /// The journal of an interrupted restore, held by this session.
    pub(super) fn resume(file: &Path, context: &Context) -> Result<Option<Self>> {
        let _alone = alone(file)?;
        Self::read(file)?.map(|found| found.taken_over(context)).transpose()
    }

    fn taken_over(mut self, context: &Context) -> Result<Self> {
        if self.is_running(context) {
            return Err(Error::locked(format!("{} is running at this moment", self.of_what())));
        }
        self.session.clone_from(&context.session);
        self.write()?;
        Ok(self)
    }

    fn is_running(&self, context: &Context) -> bool {
        self.session != context.session && context.living.is_alive(&self.session)
    }

    pub(super) fn shown(&self, context: &Context) -> LeftRestore {
        let items = &self.plan.items;
        LeftRestore {
            names: items.iter().map(|item| item.item.name.clone()).collect(),
            begun: self.begun.len(),
            steps: items.iter().map(|item| item.plan.steps.len()).sum(),
            is_running: self.is_running(context),
            is_going_back: self.is_going_back,
            is_beyond_return: self.is_beyond_return(),
        }
    }

    fn of_what(&self) -> String {
        let snapshot = &self.plan.snapshot;
        format!("a restore of snapshot {}", snapshot.get(..8).unwrap_or(snapshot))
    }

    /// Why another restore, or this one forward, cannot begin.
    pub(super) fn in_the_way(&self, context: &Context) -> Error {
        Error::locked(format!("{} is not done: {}", self.of_what(), self.what_helps(context)))
    }

    fn what_helps(&self, context: &Context) -> String {
        if self.is_running(context) {
            return "it is running at this moment; wait for it".into();
        }
        let (snapshot, file) = (&self.plan.snapshot, self.file.display());
        let back = format!("`tintype repo restore {snapshot} --resources --undo`");
        if self.is_going_back {
            return format!("it was not taken back whole; {back} ends that ({file})");
        }
        if self.is_beyond_return() {
            return format!("it was not cleaned up; run it again, of snapshot {snapshot} ({file})");
        }
        format!(
            "it was interrupted; run it again, of snapshot {snapshot}, to go on, or {back} takes it \
             back ({file})"
        )
    }

    /// What the last restore that ended left of a journal.
    pub(super) fn record(file: &Path) -> Result<Option<Self>> {
        Self::read(&file.with_extension(RECORD))
    }

    pub(super) fn read(file: &Path) -> Result<Option<Self>> {
        let found = match std::fs::metadata(file) {
            Ok(found) => found,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(error, file.display())),
        };
        if found.len() > JOURNAL_BYTES {
            return Err(Error::invalid(format!("{} is no journal", file.display())));
        }
        let bytes = std::fs::read(file).map_err(|error| Error::io(error, file.display()))?;
        let mut journal: Self = serde_json::from_slice(&bytes).map_err(|error| {
            Error::corrupt(format!("{}: the journal of a restore: {error}", file.display()))
        })?;
        if journal.format != Self::FORMAT {
            let format = journal.format;
            return Err(Error::unsupported(format!("{}: format {format}", file.display())));
        }
        let fits = |(item, step, _): &(usize, usize, _)| {
            journal.plan.items.get(*item).is_some_and(|item| *step < item.plan.steps.len())
        };
        let is_of_an_item = |done: &HookDone| done.item < journal.plan.items.len();
        if !journal.begun.iter().all(fits) || !journal.hooks.iter().all(is_of_an_item) {
            return Err(Error::corrupt(format!("{}: names steps that are not", file.display())));
        }
        file.clone_into(&mut journal.file);
        Ok(Some(journal))
    }

    /// Written whole beside itself, then renamed; on the disk when this returns.
    pub(super) fn write(&self) -> Result<()> {
        self.write_to(&self.file)
    }

    fn write_to(&self, to: &Path) -> Result<()> {
        let failed = |error| Error::io(error, to.display());
        let dir = directory(to);
        let beside = to.with_extension("new");
        let text = serde_json::to_vec(self).map_err(|error| Error::internal(error.to_string()))?;
        let mut file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)
            .map_err(failed)?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed)?;
        std::fs::rename(&beside, to).map_err(failed)?;
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)
    }

    /// The restore is done: what was planned and done stays as a record (`….done`), of the newest
    /// [`MOST_RECORDS`]. What steps needed to know, and hooks said, is not kept: it may hold passwords.
    pub(super) fn finish(&mut self) -> Result<()> {
        let failed = |error| Error::io(error, self.file.display());
        for step in self.plan.items.iter_mut().flat_map(|item| &mut item.plan.steps) {
            *step = step.shown();
        }
        for hook in &mut self.hooks {
            hook.run.output.clear();
        }
        self.write_to(&self.file.with_extension(RECORD))?;
        self.remove()?;
        let listing = std::fs::read_dir(directory(&self.file)).map_err(failed)?;
        let records = listing.flatten().map(|entry| entry.path());
        let records = records.filter(|path| path.extension().is_some_and(|end| end == RECORD));
        let made = |path: &PathBuf| path.metadata().and_then(|found| found.modified()).ok();
        let mut records: Vec<_> = records.map(|path| (made(&path), path)).collect();
        records.sort_unstable();
        for (_, path) in records.iter().rev().skip(MOST_RECORDS) {
            // One that stays does no harm.
            let _ = std::fs::remove_file(path);
        }
        Ok(())
    }

    pub(super) fn remove(&self) -> Result<()> {
        match std::fs::remove_file(&self.file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io(error, self.file.display()))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn is_done(&self, item: usize, step: usize) -> bool {
        self.begun.iter().any(|(i, s, done)| (*i, *s) == (item, step) && done.is_some())
    }

    /// Whether hooks before the restore were run.
    pub(super) fn is_announced(&self) -> bool {
        self.hooks.iter().any(|done| done.run.phase == Phase::PreRestore)
    }

    pub(super) fn has_run(&self, item: usize, hook: usize) -> bool {
        self.hooks.iter().any(|done| (done.item, done.hook) == (item, hook))
    }

    /// All hooks that were run, before an interruption too, each with its resource.
    pub(super) fn runs(&self) -> Vec<(String, HookRun)> {
        let name = |done: &HookDone| self.plan.items[done.item].owner_of(done.hook).to_owned();
        self.hooks.iter().map(|done| (name(done), done.run.clone())).collect()
    }

    /// Whether something of what was replaced may be gone.
    pub(super) fn is_beyond_return(&self) -> bool {
        self.has_begun(Stage::Clean)
    }

    /// Whether a step of this stage, or of a later one, was begun.
    pub(super) fn has_begun(&self, stage: Stage) -> bool {
        let of = |item: usize, step: usize| self.plan.items[item].plan.steps[step].stage;
        self.begun.iter().any(|(item, step, _)| of(*item, *step) >= stage)
    }

    /// What steps say that they did not remove, because it changed after the undo point.
    pub(super) fn kept(&self) -> Vec<(String, String)> {
        let kept = self.begun.iter().filter_map(|(item, _, done)| {
            let place = done.as_ref()?.gave[KEPT].as_str()?;
            Some((self.plan.items[*item].item.name.clone(), place.to_owned()))
        });
        kept.collect()
    }
}

fn directory(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new("/"))
}

/// While it is held, nobody else begins or takes over a restore on this host. It is held for a
/// moment only.
fn alone(file: &Path) -> Result<File> {
    let dir = directory(file);
    let lock = dir.join("lock");
    let failed = |error| Error::io(error, lock.display());
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    let mut how = File::options();
    let held = how.write(true).create(true).truncate(false).mode(0o600).open(&lock);
    let held = held.map_err(failed)?;
    flock(&held, FlockOperation::LockExclusive).map_err(|errno| failed(errno.into()))?;
    Ok(held)
}

/// All unfinished restores but that of this file. One that cannot be read might be about anything.
fn others(file: &Path) -> Result<Vec<Journal>> {
    let dir = directory(file);
    let listing = std::fs::read_dir(dir).map_err(|error| Error::io(error, dir.display()))?;
    let mut others = Vec::new();
    for entry in listing {
        let path = entry.map_err(|error| Error::io(error, dir.display()))?.path();
        if path != file && path.extension().is_some_and(|extension| extension == "json") {
            others.extend(Journal::read(&path)?);
        }
    }
    Ok(others)
}
