//! A capture as the runner does it, and what a test looks at afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use tintype_model::Result;
use tintype_model::item::{Item, Outcome};
use tintype_model::resource::{Consistency, Kind, Resource};
use tintype_source::connector::{
    Changed, Connector, Content, Context, FilesDone, ImageSink, ReadImage, Released, Source,
    Stored, StoredEntry, View,
};
use tintype_source::qemu::QemuConnector;
use tintype_testkit::env::{RealClock, Threads};
use tintype_testkit::guest::Guest;

/// A run of its own, with scratch that goes with it.
pub(crate) struct Run {
    pub context: Context,
    pub scratch: tempfile::TempDir,
}

pub(crate) fn run() -> Run {
    let scratch = tempfile::tempdir().unwrap();
    let context = context(scratch.path());
    Run { context, scratch }
}

pub(crate) fn context(scratch: &Path) -> Context {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let session = format!("{:08x}{number:08x}", std::process::id());
    Context {
        clock: Arc::new(RealClock::start()),
        tasks: Arc::new(Threads),
        cancel: tintype_model::cancel::Cancel::default(),
        series: String::new(),
        living: Arc::new(BTreeSet::from([session.clone()])),
        session,
        scratch: scratch.to_owned(),
        written_devices: Vec::new(),
        passwords: tintype_source::connector::Passwords::default(),
        quiesce: true,
    }
}

/// Starts a guest's agent anew as some distributions configure it: it answers, and does not freeze.
pub(crate) const WITHOUT_FREEZE: &str = "old=$(cat /run/qemu-ga.pid); kill $old; \
    while kill -0 $old 2>/dev/null; do usleep 50000; done; \
    port=$(grep -l org.qemu.guest_agent.0 /sys/class/virtio-ports/*/name | head -n 1); \
    port=${port%/name}; qemu-ga -d -m virtio-serial -p /dev/${port##*/} -t /run \
    -b guest-fsfreeze-status,guest-fsfreeze-freeze >/dev/null 2>&1 && echo yes";

pub(crate) fn resource(connector: &str, at: Value) -> Resource {
    let Value::Object(at) = at else { panic!("an object") };
    Resource {
        kind: Kind::Vm,
        name: "guest".into(),
        connector: connector.into(),
        at,
        tags: Vec::new(),
        version: None,
        consistency: None,
        hooks: Vec::new(),
        excludes: Vec::new(),
        components: Vec::new(),
    }
}

pub(crate) fn qemu(guest: &Guest) -> Resource {
    resource("qemu", json!({ "qmp": guest.qmp, "agent": guest.agent }))
}

pub(crate) fn source(resource: &Resource, context: &Context) -> Box<dyn Source> {
    QemuConnector.source(resource, context).unwrap()
}

/// What one capture gave.
#[derive(Debug)]
pub(crate) struct Taken {
    pub consistency: Consistency,
    pub why_not_more: Option<String>,
    pub mark: Option<Value>,
    pub facts: Value,
    /// Bytes that changed by what the source said; none: the disk was read whole.
    pub changed: BTreeMap<String, Option<u64>>,
    pub objects: BTreeMap<String, Vec<u8>>,
}

/// Captures, with the disks in a directory: changes go into what is there. What the changes left
/// is compared with the whole.
pub(crate) fn take(
    source: &mut dyn Source,
    mark: Option<&Value>,
    into: &Path,
    released: Released,
) -> Result<Taken> {
    let taken = frozen(source, mark).and_then(|()| {
        let view = source.view()?;
        read(view, into)
    });
    let outcome = if taken.is_ok() { released } else { Released::Failed };
    source.release(outcome)?;
    taken
}

pub(crate) fn frozen(source: &mut dyn Source, mark: Option<&Value>) -> Result<()> {
    source.plan()?;
    source.prepare(mark)?;
    let frozen = source.freeze();
    let thawed = source.thaw();
    frozen.and(thawed)
}

pub(crate) fn read(view: View, into: &Path) -> Result<Taken> {
    let mut taken = Taken {
        consistency: view.consistency,
        why_not_more: view.why_not_more,
        mark: view.mark,
        facts: view.facts,
        changed: BTreeMap::new(),
        objects: BTreeMap::new(),
    };
    let sorted = view.parts.is_sorted_by(|a, b| a.at < b.at);
    assert!(sorted, "parts are in order");
    for part in view.parts {
        let at = String::from_utf8(part.at).unwrap();
        match part.content {
            Content::Object(bytes) => drop(taken.objects.insert(at, bytes)),
            Content::Image { node, image, changed } => {
                assert_eq!(node.size, image.size_bytes());
                let bytes = read_image(&*image, &changed, &into.join(&at))?;
                taken.changed.insert(at, bytes);
            }
            _ => panic!("{at}: a machine has no such part"),
        }
    }
    Ok(taken)
}

fn read_image(
    image: &dyn ReadImage,
    changed: &Changed<Vec<std::ops::Range<u64>>>,
    to: &Path,
) -> Result<Option<u64>> {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    let open = || File::options().create(true).truncate(false).read(true).write(true).open(to);
    let file = open().unwrap();
    file.set_len(image.size_bytes()).unwrap();
    let Changed::Only(ranges) = changed else {
        whole(image, |offset, bytes| file.write_all_at(bytes, offset).unwrap())?;
        return Ok(None);
    };
    let mut total = 0;
    for range in ranges {
        let mut buffer = vec![0; (range.end - range.start) as usize];
        image.read_at(range.start, &mut buffer)?;
        file.write_all_at(&buffer, range.start).unwrap();
        total += buffer.len() as u64;
    }
    whole(image, |offset, bytes| {
        let mut found = vec![0; bytes.len()];
        file.read_exact_at(&mut found, offset).unwrap();
        assert!(found == bytes, "{}: differs at {offset}", to.display());
    })?;
    Ok(Some(total))
}

/// All of an image, where what is known to be zeros is not read.
fn whole(image: &dyn ReadImage, mut each: impl FnMut(u64, &[u8])) -> Result<()> {
    let mut offset = 0;
    let mut buffer = vec![0; 1 << 20];
    while offset < image.size_bytes() {
        let length = (image.size_bytes() - offset).min(1 << 20);
        let buffer = &mut buffer[..length as usize];
        if image.is_zero(offset..offset + length)? {
            buffer.fill(0);
        } else {
            image.read_at(offset, buffer)?;
        }
        each(offset, buffer);
        offset += length;
    }
    Ok(())
}

/// The file system of an image is whole; on that of the data disk the writer's log has no hole.
/// Gives its last number.
pub(crate) fn check(directory: &Path) -> u64 {
    for image in std::fs::read_dir(directory.join("disks")).unwrap() {
        let image = image.unwrap().path();
        let output = Command::new("/sbin/e2fsck").arg("-fn").arg(&image).output().unwrap();
        assert!(output.status.success(), "{}: {output:?}", image.display());
    }
    sequence(&directory.join("disks/vdb.img"))
}

pub(crate) fn sequence(image: &Path) -> u64 {
    let log = in_image(image, "/seq.log");
    let numbers: Vec<u64> = log.split_whitespace().map(|word| word.parse().unwrap()).collect();
    let count = numbers.len() as u64;
    assert!(numbers.iter().copied().eq(1..=count), "the log has a hole");
    count
}

pub(crate) fn in_image(image: &Path, path: &str) -> String {
    let mut debugfs = Command::new("/sbin/debugfs");
    let output = debugfs.arg("-R").arg(format!("cat {path}")).arg(image).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Names of ours that QEMU holds, without marks.
pub(crate) fn leftovers(guest: &mut Guest) -> Vec<String> {
    let mut names = bitmaps(guest);
    names.retain(|name| !name.ends_with("-mark"));
    let nodes = guest.command("query-named-block-nodes", json!({ "flat": true }));
    names.extend(strings(&nodes, "node-name"));
    names.extend(strings(&guest.command("query-block-exports", Value::Null), "id"));
    names.retain(|name| name.starts_with("tintype-"));
    let devices = guest.command("query-block", Value::Null);
    let on = devices.as_array().unwrap().iter().map(|device| &device["inserted"]["node-name"]);
    names.extend(
        on.filter_map(Value::as_str).filter(|node| !node.starts_with("disk-")).map(str::to_owned),
    );
    let stopped = guest.try_command("nbd-server-stop", Value::Null);
    names.extend(stopped.get("return").map(|_| "a server of exports".to_owned()));
    let status = guest.command("query-status", Value::Null);
    names.extend((status["running"] != true).then(|| format!("{status}")));
    names
}

pub(crate) fn bitmaps(guest: &mut Guest) -> Vec<String> {
    let nodes = guest.command("query-named-block-nodes", json!({ "flat": true }));
    let nodes = nodes.as_array().unwrap().iter();
    nodes.flat_map(|node| strings(&node["dirty-bitmaps"], "name")).collect()
}

fn strings(list: &Value, field: &str) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(|entry| entry[field].as_str().map(str::to_owned)).collect()
}

/// Whether the guest can write now: what is frozen cannot.
pub(crate) fn guest_writes(guest: &mut Guest) {
    let said =
        guest.shell("timeout 20 sh -c 'echo x > /data/probe && sync -d /data/probe' && echo yes");
    assert_eq!(said.trim(), "yes", "the guest cannot write");
}

pub(crate) fn directory() -> (tempfile::TempDir, PathBuf) {
    let own = tempfile::tempdir().unwrap();
    let path = own.path().to_owned();
    (own, path)
}

/// What a capture left in a directory, as a snapshot would give it.
pub(crate) struct StoredDir(pub PathBuf);

impl StoredDir {
    fn path(&self, at: &[u8]) -> PathBuf {
        self.0.join(std::str::from_utf8(at).unwrap())
    }
}

impl Stored for StoredDir {
    fn list(&self, _at: &[u8]) -> Result<Vec<StoredEntry>> {
        Err(tintype_model::Error::unsupported("a machine's parts are known by name"))
    }

    fn object(&self, at: &[u8], _most_bytes: u64) -> Result<Vec<u8>> {
        let path = self.path(at);
        std::fs::read(&path).map_err(|error| tintype_model::Error::io(error, path.display()))
    }

    fn read(
        &self,
        at: &[u8],
        consume: &mut dyn FnMut(&mut dyn std::io::Read) -> Result<()>,
    ) -> Result<()> {
        consume(&mut File::open(self.path(at)).unwrap())
    }

    fn image(&self, at: &[u8], sink: &dyn ImageSink) -> Result<()> {
        let file = File::open(self.path(at)).unwrap();
        let size = file.metadata().unwrap().len();
        let write = |part: u64| -> Result<()> {
            let mut offset = part << 20;
            let mut buffer = vec![0; 1 << 20];
            while offset < size {
                let length = (size - offset).min(1 << 20);
                let buffer = &mut buffer[..length as usize];
                file.read_exact_at(buffer, offset).unwrap();
                if buffer.iter().all(|byte| *byte == 0) {
                    sink.zero(offset, length)?;
                } else {
                    sink.write_at(offset, buffer)?;
                }
                offset += 3 << 20;
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let threads = [0, 1, 2].map(|part| {
                scope.spawn({
                    let write = &write;
                    move || write(part)
                })
            });
            threads.into_iter().try_for_each(|thread| thread.join().unwrap())
        })
    }

    fn image_bytes(&self, at: &[u8]) -> Result<u64> {
        let bytes = std::fs::read(self.path(at)).unwrap();
        let pieces = bytes.chunks(1 << 20);
        let data = pieces.filter(|piece| piece.iter().any(|byte| *byte != 0));
        Ok(data.map(|piece| piece.len() as u64).sum())
    }

    fn files(&self, _at: &[u8], _to: &Path) -> Result<FilesDone> {
        Err(tintype_model::Error::unsupported("a machine has no files"))
    }
}

pub(crate) fn item(resource: &Resource, taken: &Taken) -> Item {
    Item {
        name: resource.name.clone(),
        kind: resource.kind,
        connector: resource.connector.clone(),
        place: String::new(),
        outcome: Outcome::Captured,
        reason: None,
        consistency: Some(taken.consistency),
        version: None,
        entries: 0,
        bytes: 0,
        problems: 0,
        frozen_seconds: None,
        mark: taken.mark.clone(),
        facts: taken.facts.clone(),
        hooks: Vec::new(),
    }
}

pub(crate) fn file_hash(path: &Path) -> String {
    let output = Command::new("md5sum").arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap().to_owned()
}
