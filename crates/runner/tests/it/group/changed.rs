//! Volumes that say themselves what changed: only that is looked at, and nothing is missed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};
use tintype_model::resource::{Consistency, Kind, Resource};
use tintype_model::{Error, Result};
use tintype_source::connector::{
    CapturePlan, Changed, Connector, Content, Context, Discovered, Part, Released, Source, Target,
    View,
};
use tintype_source::files::Excludes;

use super::{Stage, take};
use crate::support::noise;

/// A directory of this host, with the names that the test found to have changed.
struct Listed(Arc<Mutex<Option<Vec<Vec<u8>>>>>);

struct ListedSource {
    root: PathBuf,
    changed: Option<Vec<Vec<u8>>>,
}

impl Connector for Listed {
    fn name(&self) -> &'static str {
        "listed"
    }

    fn schema(&self) -> Value {
        json!({})
    }

    fn discover(&self, _: &Context) -> Result<Vec<Discovered>> {
        Ok(Vec::new())
    }

    fn check(&self, _: &Resource) -> Result<()> {
        Ok(())
    }

    fn source(&self, resource: &Resource, _: &Context) -> Result<Box<dyn Source>> {
        let root = resource.at["path"].as_str().unwrap().into();
        Ok(Box::new(ListedSource { root, changed: self.0.lock().unwrap().take() }))
    }

    fn target(&self, _: &Context) -> Result<Box<dyn Target>> {
        Err(Error::unsupported("restored as files"))
    }
}

impl Source for ListedSource {
    fn plan(&mut self) -> Result<CapturePlan> {
        let (reaches, why_not_more, freezes) = (Consistency::Filesystem, None, None);
        Ok(CapturePlan { reaches, why_not_more, freezes })
    }

    fn prepare(&mut self, mark: Option<&Value>) -> Result<()> {
        self.changed.take_if(|_| mark.is_none());
        Ok(())
    }

    fn freeze(&mut self) -> Result<()> {
        Ok(())
    }

    fn thaw(&mut self) -> Result<()> {
        Ok(())
    }

    fn view(&mut self) -> Result<View> {
        let content = Content::Files {
            root: self.root.clone(),
            excludes: Arc::new(Excludes::default()),
            one_file_system: true,
            never_enter: Vec::new(),
            grafts: Vec::new(),
            changed: self.changed.take().map_or(Changed::Unknown, Changed::Only),
        };
        Ok(View {
            parts: vec![Part { at: Vec::new(), content }],
            consistency: Consistency::Filesystem,
            why_not_more: None,
            mark: Some(json!(1)),
            facts: Value::Null,
            version: None,
        })
    }

    fn release(&mut self, _: Released) -> Result<()> {
        Ok(())
    }
}

/// What tells one state of an entry from another.
type Seen = BTreeMap<Vec<u8>, (u64, i64, i64, u32)>;

fn seen(root: &Path) -> Seen {
    let mut found = Seen::new();
    let mut waiting = vec![root.to_path_buf()];
    while let Some(path) = waiting.pop() {
        let stat = path.symlink_metadata().unwrap();
        let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
        found.insert(name, (stat.ino(), stat.ctime(), stat.ctime_nsec(), stat.mode()));
        if stat.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found
}

/// Names that differ. Of what lies in a new directory only every second is told: it is known.
fn differing(before: &Seen, after: &Seen) -> Vec<Vec<u8>> {
    let names: BTreeSet<&Vec<u8>> = before.keys().chain(after.keys()).collect();
    let differs = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    let is_new = |name: &[u8]| {
        let inode = |seen: &Seen| seen.get(name).map(|found| found.0);
        inode(before) != inode(after)
            && after.get(name).is_some_and(|found| found.3 & 0o170_000 == 0o040_000)
    };
    let mut told = Vec::new();
    for (number, name) in differs.enumerate() {
        let slashes = name.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let in_new = slashes.map(|(at, _)| &name[..at]).any(is_new);
        if !in_new || number % 2 == 0 {
            told.push(name.clone());
        }
    }
    told
}

/// A small random life of a directory.
struct Life {
    root: PathBuf,
    state: u64,
}

impl Life {
    fn below(&mut self, most: u64) -> u64 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.state >> 33) % most
    }

    fn any(&mut self, directories: bool) -> PathBuf {
        let all = seen(&self.root);
        let is_right = |mode: u32| (mode & 0o170_000 == 0o040_000) == directories;
        let fitting: Vec<_> = all.iter().filter(|(_, found)| is_right(found.3)).collect();
        if fitting.is_empty() {
            return self.root.join("none");
        }
        let at = self.below(fitting.len() as u64) as usize;
        self.root.join(std::ffi::OsStr::from_bytes(fitting[at].0))
    }

    fn step(&mut self, number: u64) {
        let (directory, file, other) = (self.any(true), self.any(false), self.any(true));
        let name = format!("n{}", self.below(12));
        // What cannot be done is not done.
        match self.below(9) {
            0 | 1 => drop(fs::write(directory.join(name), noise(number, 100 + number as usize))),
            2 => drop(fs::create_dir_all(directory.join(name).join("deep/er"))),
            3 => drop(fs::remove_file(file)),
            4 if directory != self.root => drop(fs::remove_dir_all(directory)),
            5 => drop(fs::rename(file, directory.join(name))),
            6 => drop(fs::rename(directory, other.join(name))),
            7 => drop(fs::hard_link(file, directory.join(name))),
            _ => {
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700 + number as u32 % 8);
                drop(fs::set_permissions(other, mode));
            }
        }
    }
}

#[test]
fn what_a_volume_does_not_name_is_taken_from_the_parent() {
    for seed in 0..12 {
        let stage = Stage::new();
        let changed = Arc::new(Mutex::new(None));
        let root = stage.lab.source();
        let mut life = Life { root: root.clone(), state: seed };
        (0..60).for_each(|number| life.step(number));
        let resource = Resource {
            kind: Kind::Volume,
            connector: "listed".into(),
            at: Map::from_iter([("path".to_owned(), json!(root))]),
            ..super::played::resource("v", "")
        };
        let connectors = || -> Vec<Box<dyn Connector>> { vec![Box::new(Listed(changed.clone()))] };
        take(&stage, &connectors(), vec![resource.clone()]);
        for round in 0..6u64 {
            let before = seen(&root);
            (0..=round * 3).for_each(|number| life.step(1000 * (round + 1) + number));
            *changed.lock().unwrap() = Some(differing(&before, &seen(&root)));
            let taken = take(&stage, &connectors(), vec![resource.clone()]);
            assert!(taken.outcome.manifest.complete);
            let out = format!("out-{seed}-{round}");
            let mut request = stage.lab.request(&out);
            request.path = b"tenants/system/volumes/v".to_vec();
            let report = stage.lab.apply(&stage.lab.plan(&request));
            assert!(report.failed.is_empty(), "{:?}", report.failed);
            stage.lab.assert_equal(&out);
        }
    }
}

#[test]
fn what_is_not_named_is_not_looked_at() {
    let stage = Stage::new();
    let changed = Arc::new(Mutex::new(None));
    ["a", "b"].iter().for_each(|name| stage.lab.write(name, b"first"));
    let at = Map::from_iter([("path".to_owned(), json!(stage.lab.source()))]);
    let connector = "listed".into();
    let resource =
        Resource { kind: Kind::Volume, connector, at, ..super::played::resource("v", "") };
    let connectors: Vec<Box<dyn Connector>> = vec![Box::new(Listed(changed.clone()))];
    take(&stage, &connectors, vec![resource.clone()]);
    ["a", "b"].iter().for_each(|name| stage.lab.write(name, b"second"));
    *changed.lock().unwrap() = Some(vec![b"a".to_vec()]);
    take(&stage, &connectors, vec![resource]);
    let read = |name| stage.read(&format!("tenants/system/volumes/v/{name}")).unwrap();
    assert_eq!((&read("a")[..], &read("b")[..]), (&b"second"[..], &b"first"[..]));
}

/// What it was elsewhere in the tree is not taken over here.
#[test]
fn a_volume_that_became_part_of_an_application_is_read_whole() {
    let stage = Stage::new();
    let changed = Arc::new(Mutex::new(None));
    ["a", "b"].iter().for_each(|name| stage.lab.write(name, b"content"));
    let at = Map::from_iter([("path".to_owned(), json!(stage.lab.source()))]);
    let connector = "listed".into();
    let resource =
        Resource { kind: Kind::Volume, connector, at, ..super::played::resource("v", "") };
    let connectors: Vec<Box<dyn Connector>> = vec![Box::new(Listed(changed.clone()))];
    take(&stage, &connectors, vec![resource.clone()]);
    *changed.lock().unwrap() = Some(vec![b"a".to_vec()]);
    take(&stage, &connectors, vec![resource, super::played::application("app", &["v"])]);
    assert_eq!(stage.read("tenants/system/apps/app/v/b").unwrap(), b"content");
}

/// Only names are known to be unchanged by the parent: a page that cannot be read is no word on
/// them. If not even what the parent says of its resources can be read, all is looked at.
#[test]
fn nothing_is_taken_over_from_a_damaged_parent() {
    let mut refused = 0;
    for part in 0..8 {
        let stage = Stage::new();
        let changed = Arc::new(Mutex::new(None));
        for number in 0..3000 {
            stage.lab.write(&format!("a file with a rather long name {number}"), b"x");
        }
        let resource = Resource {
            kind: Kind::Volume,
            connector: "listed".into(),
            at: Map::from_iter([("path".to_owned(), json!(stage.lab.source()))]),
            ..super::played::resource("v", "")
        };
        let connectors = || -> Vec<Box<dyn Connector>> { vec![Box::new(Listed(changed.clone()))] };
        take(&stage, &connectors(), vec![resource.clone()]);
        let name = "a file with a rather long name 1";
        *changed.lock().unwrap() = Some(vec![name.into()]);
        damage(&stage, part);
        match super::try_take(&stage, &connectors(), vec![resource]) {
            Ok(taken) => {
                assert!(taken.outcome.manifest.complete, "{part}");
                let read = |name: &str| stage.read(&format!("tenants/system/volumes/v/{name}"));
                assert_eq!(read("a file with a rather long name 2999").unwrap(), b"x", "{part}");
            }
            Err(error) => {
                refused += 1;
                assert!(error.is(tintype_model::ErrorKind::Corrupt), "{error}");
                assert!(error.to_string().contains("--read-all"), "{error}");
            }
        }
    }
    assert!(refused > 0, "one of them was a page of the tree that is relied on");
}

/// One byte in the given eighth of all that is known of trees.
fn damage(stage: &Stage, part: usize) {
    for listed in tintype_engine::backend::list_all(&stage.lab.backend, "meta/").unwrap() {
        let backend = &stage.lab.backend;
        let got = tintype_engine::backend::Backend::get(backend, &listed.name, u64::MAX);
        let mut bytes = got.unwrap();
        let at = (bytes.len() * (2 * part + 1)) / 16;
        bytes[at] ^= 1;
        backend.overwrite(&listed.name, bytes);
    }
}
