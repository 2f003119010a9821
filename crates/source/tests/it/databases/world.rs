//! What the runner does, small: a context, a capture into a directory, a restore out of it.

use std::collections::BTreeSet;
use std::io::Read;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use tintype_model::cancel::Cancel;
use tintype_model::entry::{Kind as EntryKind, Node};
use tintype_model::item::{Item, Outcome};
use tintype_model::plan::{Check, Stage, Step, Verdict};
use tintype_model::resource::{Kind, Resource};
use tintype_model::{Error, Result};
use tintype_source::connector::{
    Connector, Content, Context, Destination, FilesDone, ImageSink, KEPT, Part, Released, Source,
    Stored, StoredEntry, Target, TargetPlan, View,
};
use tintype_testkit::env::{RealClock, Threads};

/// One session, with its scratch directory and a place for what it captures.
pub(crate) struct World {
    pub context: Context,
    pub stored: DirStored,
    _directory: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let directory = tempfile::tempdir().unwrap();
        let number = u64::from(std::process::id()) << 32 | NEXT.fetch_add(1, Ordering::Relaxed);
        let session = format!("{number:016x}");
        let scratch = directory.path().join("scratch");
        let root = directory.path().join("stored");
        std::fs::create_dir(&scratch).unwrap();
        std::fs::create_dir(&root).unwrap();
        let context = Context {
            clock: Arc::new(RealClock::start()),
            tasks: Arc::new(Threads),
            cancel: Cancel::default(),
            series: String::new(),
            living: Arc::new(BTreeSet::from([session.clone()])),
            session,
            scratch,
            written_devices: Vec::new(),
            passwords: tintype_source::connector::Passwords::default(),
            quiesce: true,
        };
        Self { context, stored: DirStored { root }, _directory: directory }
    }

    pub(crate) fn source(&self, resource: &Resource) -> Box<dyn Source> {
        connector(&resource.connector).source(resource, &self.context).unwrap()
    }

    /// The whole order of a run; `before_freeze` and `frozen` may write meanwhile.
    pub(crate) fn capture(
        &self,
        resource: &Resource,
        before_freeze: impl FnOnce(),
        after_freeze: impl FnOnce(),
    ) -> Result<Item> {
        let mut source = self.source(resource);
        let captured = self.through(&mut *source, before_freeze, after_freeze);
        let released = if captured.is_ok() { Released::Committed } else { Released::Failed };
        source.release(released)?;
        let left: Vec<_> = std::fs::read_dir(&self.context.scratch).unwrap().collect();
        assert!(left.is_empty(), "left in scratch: {left:?}");
        captured.map(|view| item(resource, view))
    }

    fn through(
        &self,
        source: &mut dyn Source,
        before_freeze: impl FnOnce(),
        after_freeze: impl FnOnce(),
    ) -> Result<View> {
        source.plan()?;
        source.prepare(None)?;
        for part in source.ahead()? {
            self.stored.keep(part)?;
        }
        before_freeze();
        let frozen = source.freeze();
        let thawed = source.thaw();
        frozen.and(thawed)?;
        after_freeze();
        let mut view = source.view()?;
        let parts = std::mem::take(&mut view.parts);
        assert!(parts.is_sorted_by_key(|part| part.at.clone()), "parts are sorted");
        for part in parts {
            self.stored.keep(part)?;
        }
        Ok(view)
    }

    pub(crate) fn plan(
        &self,
        item: &Item,
        resource: &Resource,
        destination: &Destination,
    ) -> (Box<dyn Target>, TargetPlan) {
        let mut target = connector(&resource.connector).target(&self.context).unwrap();
        let plan = target.plan(item, resource, destination, &self.stored).unwrap();
        assert!(plan.steps.is_sorted_by_key(|step| step.stage), "steps are sorted by stage");
        (target, plan)
    }

    /// Plans, asserts that nothing blocks, and does every step twice.
    pub(crate) fn restore(&self, item: &Item, resource: &Resource, destination: &Destination) {
        let (mut target, plan) = self.plan(item, resource, destination);
        assert_eq!(blocked(&plan.checks), Vec::<&Check>::new());
        for step in in_order(&plan.steps) {
            for _ in 0..2 {
                let done = target.apply(step, &self.stored);
                done.unwrap_or_else(|error| panic!("{}: {error}", step.text));
            }
        }
    }

    /// Restores, lets somebody write before it is done, and takes it back. Where that stays.
    pub(crate) fn written_and_taken_back(
        &self,
        item: &Item,
        resource: &Resource,
        destination: &Destination,
        write: impl FnOnce(),
    ) -> Option<String> {
        let (mut target, plan) = self.plan(item, resource, destination);
        assert_eq!(blocked(&plan.checks), Vec::<&Check>::new());
        let mut steps = in_order(&plan.steps);
        steps.retain(|step| step.stage != Stage::Clean);
        for step in &steps {
            target.apply(step, &self.stored).unwrap_or_else(|e| panic!("{}: {e}", step.text));
        }
        write();
        let mut stays = Vec::new();
        for step in steps.iter().rev() {
            let given = target.undo(step, &Value::Null);
            stays.extend(kept(&given.unwrap_or_else(|error| panic!("{}: {error}", step.text))));
        }
        assert!(stays.len() <= 1, "{stays:?}");
        stays.pop()
    }

    /// The resource as the undo point of a restore captures it.
    pub(crate) fn before(&self, item: &Item, resource: &Resource) -> Resource {
        let (_, plan) = self.plan(item, resource, &Destination::InPlace);
        assert!(plan.replaces);
        let mut before = resource.clone();
        before.at.extend(plan.undo_at);
        before
    }

    /// For each number of steps: does so many, the next one halfway (interrupted), and undoes all.
    pub(crate) fn undo_after_each_step(
        &self,
        item: &Item,
        resource: &Resource,
        destination: &Destination,
        mut check: impl FnMut(usize),
    ) {
        let (mut target, plan) = self.plan(item, resource, destination);
        // What cleans up ends a restore: nothing is undone after it.
        let steps: Vec<&Step> =
            in_order(&plan.steps).into_iter().filter(|step| step.stage != Stage::Clean).collect();
        for count in 0..=steps.len() {
            let mut done = Vec::new();
            for step in &steps[..count] {
                done.push(target.apply(step, &self.stored).unwrap());
            }
            if let Some(next) = steps.get(count) {
                target.undo(next, &Value::Null).unwrap();
            }
            for (step, done) in steps[..count].iter().zip(&done).rev() {
                target.undo(step, done).unwrap();
                target.undo(step, &Value::Null).unwrap();
            }
            check(count);
        }
    }
}

/// What a restore that was taken back says to stay.
pub(crate) fn kept(given: &Value) -> Option<String> {
    Some(given[KEPT].as_str()?.split(", ").next()?.to_owned())
}

pub(crate) fn in_order(steps: &[Step]) -> Vec<&Step> {
    let mut steps: Vec<&Step> = steps.iter().collect();
    steps.sort_by_key(|step| step.stage);
    steps
}

pub(crate) fn blocked(checks: &[Check]) -> Vec<&Check> {
    checks.iter().filter(|check| check.outcome == Verdict::Block).collect()
}

pub(crate) fn connector(name: &str) -> Box<dyn Connector> {
    let mut all = tintype_source::connectors().into_iter();
    all.find(|connector| connector.name() == name).expect("there is such a connector")
}

pub(crate) fn database(connector: &str, at: Value) -> Resource {
    serde_json::from_value(json!({
        "kind": Kind::Database, "name": "shop", "connector": connector, "at": at,
    }))
    .unwrap()
}

pub(crate) fn as_new(at: &Value, rules: &[(&str, &str)]) -> Destination {
    let rules = rules.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let at = at.as_object().unwrap().clone();
    Destination::AsNew { name: "copy".to_owned(), at, rules: rules.collect() }
}

fn item(resource: &Resource, view: View) -> Item {
    Item {
        name: resource.name.clone(),
        kind: resource.kind,
        connector: resource.connector.clone(),
        place: "tenants/system/databases/shop".to_owned(),
        outcome: Outcome::Captured,
        reason: view.why_not_more,
        consistency: Some(view.consistency),
        version: view.version,
        entries: 0,
        bytes: 0,
        problems: 0,
        frozen_seconds: None,
        mark: view.mark,
        facts: view.facts,
        hooks: Vec::new(),
    }
}

/// A snapshot's content as files of a directory.
pub(crate) struct DirStored {
    pub root: PathBuf,
}

impl DirStored {
    pub(crate) fn path(&self, at: &[u8]) -> PathBuf {
        self.root.join(std::str::from_utf8(at).unwrap())
    }

    fn keep(&self, part: Part) -> Result<()> {
        let path = self.path(&part.at);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert!(!path.exists(), "{}: twice", path.display());
        match part.content {
            Content::Object(bytes) => std::fs::write(path, bytes).unwrap(),
            Content::Files { root, grafts, .. } => {
                std::fs::create_dir(&path).unwrap();
                copy_tree(&root, &path);
                for (at, from) in grafts {
                    let to = path.join(std::ffi::OsStr::from_bytes(&at));
                    std::fs::remove_file(&to).unwrap();
                    std::fs::create_dir(&to).unwrap();
                    copy_tree(&from, &to);
                }
            }
            Content::Stream { mut read, end, .. } => {
                let mut file = std::fs::File::create(path).unwrap();
                let at = String::from_utf8_lossy(&part.at).into_owned();
                std::io::copy(&mut *read, &mut file).map_err(|error| Error::io(error, at))?;
                end()?;
            }
            Content::Image { .. } => panic!("no database has such a part"),
        }
        Ok(())
    }
}

impl Stored for DirStored {
    fn list(&self, at: &[u8]) -> Result<Vec<StoredEntry>> {
        let Ok(entries) = std::fs::read_dir(self.path(at)) else { return Ok(Vec::new()) };
        let mut found: Vec<StoredEntry> = entries
            .map(|entry| {
                let entry = entry.unwrap();
                let meta = entry.metadata().unwrap();
                let name = entry.file_name().into_encoded_bytes();
                let at = if at.is_empty() { name } else { [at, b"/", &name].concat() };
                let kind = if meta.is_dir() { EntryKind::Directory } else { EntryKind::Stream };
                StoredEntry { at, node: Node { size: meta.len(), ..Node::new(kind) } }
            })
            .collect();
        found.sort_by(|a, b| tintype_model::entry::path_order(&a.at, &b.at));
        Ok(found)
    }

    fn object(&self, at: &[u8], most_bytes: u64) -> Result<Vec<u8>> {
        let path = self.path(at);
        let bytes = std::fs::read(&path).map_err(|error| Error::io(error, path.display()))?;
        if bytes.len() as u64 > most_bytes {
            return Err(Error::invalid(format!("{} is too long", path.display())));
        }
        Ok(bytes)
    }

    fn read(&self, at: &[u8], consume: &mut dyn FnMut(&mut dyn Read) -> Result<()>) -> Result<()> {
        let path = self.path(at);
        let file = std::fs::File::open(&path);
        consume(&mut file.map_err(|error| Error::io(error, path.display()))?)
    }

    fn image_bytes(&self, _: &[u8]) -> Result<u64> {
        panic!("no database has images")
    }

    fn image(&self, _: &[u8], _: &dyn ImageSink) -> Result<()> {
        panic!("no database has images")
    }

    fn files(&self, at: &[u8], to: &Path) -> Result<FilesDone> {
        copy_tree(&self.path(at), to);
        Ok(FilesDone::default())
    }
}

fn copy_tree(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status();
    assert!(copied.unwrap().success(), "{}", from.display());
}
