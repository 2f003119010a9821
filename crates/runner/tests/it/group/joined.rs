//! Parts that are joined to one snapshot.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::Ordering;

use jiff::SignedDuration;
use serde_json::{Map, json};
use tintype_engine::backend::{CrashBackend, CrashMode};
use tintype_engine::format::frame::Kind as FrameKind;
use tintype_engine::format::records::{Change, Manifest, SessionKind};
use tintype_engine::gc::GcOptions;
use tintype_engine::id::SnapshotId;
use tintype_engine::repo::open::OpenOptions;
use tintype_engine::repo::{Identity, Repository};
use tintype_engine::store::{Store, Worker};
use tintype_engine::tree::builder::TreeBuilder;
use tintype_engine::tree::{Content, Reference, Root, TreeEntry};
use tintype_engine::verify::{Depth, VerifyOptions};
use tintype_model::ErrorKind;
use tintype_model::entry::{Kind as EntryKind, Node};
use tintype_model::item::{Descriptor, Item};
use tintype_model::resource::{Consistency, Kind};
use tintype_runner::bundle::{self, ExportOptions, Format, Found, ImportOptions};
use tintype_runner::content;
use tintype_runner::restore::{self, Overwrite, Plan, Request};
use tintype_runner::snapshot::Outcome as Made;
use tintype_runner::snapshot::join::{Joining, delete_parts, join};
use tintype_runner::snapshot::part::{Part, is_part, joined_of, rests};

use super::*;
use tintype_testkit::volumes::{Mounted, run};

use crate::support::skipped_without_root;

/// One part of a run.
fn part(
    stage: &Stage,
    resources: &[Resource],
    name: &str,
    parent: Option<&Snapshot>,
) -> (Snapshot, u64) {
    let connectors: Vec<Box<dyn Connector>> = match &resources[0].connector[..] {
        "played" => vec![Box::new(stage.played())],
        _ => tintype_source::connectors(),
    };
    let mark = Part { run: "1".into(), name: name.into() };
    let labels = Labels { options: mark.options(false), ..Labels::default() };
    let (names, progress) = ([name.to_owned()], Progress::default());
    let chosen = (resources.to_vec(), &names[..]);
    let from = (labels, parent.cloned());
    let taken = take_as(stage, &connectors, chosen, from, &Cancel::default(), &progress).unwrap();
    if resources[0].connector != "played" {
        assert!(taken.outcome.manifest.complete, "{:?}", taken.descriptor.items);
    }
    (taken.outcome.snapshot(), progress.moved_bytes.load(Ordering::Relaxed))
}

fn joined_as(
    repository: &Repository,
    parts: &[Snapshot],
    missing: Vec<Item>,
) -> tintype_model::Result<Made> {
    let labels = Labels { options: json!({ "run": "1" }), ..Labels::default() };
    let cancel = Cancel::default();
    let joining = Joining { labels, missing, resources: Vec::new(), cancel: &cancel };
    let full = |manifest| Ok(Manifest { scope: "full".into(), ..manifest });
    join(repository, parts, joining, &full)
}

/// Joined, the parts deleted, and all that nobody needs freed.
fn joined(stage: &Stage, parts: &[Snapshot]) -> Snapshot {
    let repository = &stage.lab.repository;
    let all = joined_as(repository, parts, Vec::new()).unwrap().snapshot();
    assert!(delete_parts(repository, parts, &all, "test").unwrap().is_empty());
    assert!(delete_parts(repository, parts, &all, "test").unwrap().is_empty(), "again");
    collect(repository);
    let left: Vec<_> = repository.snapshots().unwrap().snapshots.iter().map(|s| s.id).collect();
    assert!(left.contains(&all.id) && !parts.iter().any(|part| left.contains(&part.id)));
    is_clean(repository);
    all
}

fn collect(repository: &Repository) {
    let options = GcOptions { keep_above_percent: 100, ..GcOptions::default() };
    (0..2).for_each(|_| drop(repository.gc(&options).unwrap()));
}

fn is_clean(repository: &Repository) {
    let (verified, cancel) = (std::collections::HashSet::new(), Cancel::default());
    let plan = repository.plan_verify(Depth::All, &verified).unwrap();
    let options = VerifyOptions::quiet(Depth::All, &verified, &cancel);
    assert_eq!(repository.verify(&plan, &options).unwrap().findings, []);
}

fn descriptor(stage: &Stage, snapshot: &Snapshot) -> Descriptor {
    group::descriptor(&stage.lab.repository, snapshot).unwrap().unwrap()
}

fn read(repository: &Repository, snapshot: &Snapshot, path: &str) -> Option<Vec<u8>> {
    let reader = repository.reader().unwrap();
    content::small(&reader, Root::of(&snapshot.manifest), path.as_bytes(), 1 << 30).unwrap()
}

/// Of two runs on two hosts, say; the definition of the application is in both.
#[test]
fn the_parts_of_an_application_are_one_snapshot() {
    let stage = Stage::new();
    let all = [resource("a", ""), resource("b", ""), application("app", &["a", "b"])];
    let parts = ["a", "b"].map(|name| part(&stage, &all, name, None).0);
    let whole = joined(&stage, &parts);
    let manifest = &whole.manifest;
    assert!(manifest.complete && manifest.scope == "full" && manifest.options["run"] == "1");
    assert_eq!(manifest.time, parts[0].manifest.time);
    assert_eq!(joined_of(manifest), parts.each_ref().map(|part| part.id));
    let roots = ["a", "b"].map(|name| format!("tenants/system/apps/app/{name}").into_bytes());
    assert_eq!(manifest.root_paths(), roots);
    let told = descriptor(&stage, &whole);
    assert_eq!(told.items.len(), 2);
    assert_eq!((told.windows.len(), told.resources.len()), (2, 3));
    assert_eq!(told.applications[0].consistency, Some(Consistency::Crash));
    assert!(told.started < descriptor_time(&whole, &stage));
    // What one run makes of both holds the same.
    let (one, _) = both_at_once(&stage, &all);
    assert_eq!(manifest.entries, one.manifest.entries);
    for (own, other) in told.items.iter().zip(descriptor(&stage, &one).items) {
        let counts = |item: &Item| (item.entries, item.bytes, item.mark.clone());
        assert_eq!(counts(own), counts(&other));
    }
    for path in ["a/disk.img", "b/c-stream", "b/b-ahead", "app.yaml"] {
        let path = format!("tenants/system/apps/app/{path}");
        let read = |snapshot| read(&stage.lab.repository, snapshot, &path);
        assert!(read(&whole).is_some_and(|bytes| read(&one) == Some(bytes)), "{path}");
    }
}

fn descriptor_time(snapshot: &Snapshot, stage: &Stage) -> jiff::Timestamp {
    let reader = stage.lab.repository.reader().unwrap();
    let root = Root::of(&snapshot.manifest);
    let mut cursor = tintype_engine::tree::cursor::Cursor::new(&reader, root).unwrap();
    let time = cursor.get(b"tintype.json").unwrap().unwrap().node.mtime;
    jiff::Timestamp::new(time.seconds, time.nanoseconds as i32).unwrap()
}

fn both_at_once(stage: &Stage, resources: &[Resource]) -> (Snapshot, u64) {
    let connectors: [Box<dyn Connector>; 1] = [Box::new(stage.played())];
    let cancel = Cancel::default();
    let taken = take_of(stage, &connectors, resources.to_vec(), &[], None, &cancel).unwrap();
    (taken.outcome.snapshot(), 0)
}

/// Marks of every item are found in the joined snapshot, round after round.
#[test]
fn parts_read_what_changed_since_the_joined_snapshot() {
    let stage = Stage::new();
    let all = [resource("a", ""), resource("b", "")];
    let mut parent: Option<Snapshot> = None;
    for round in 0..3 {
        let parts = ["a", "b"].map(|name| {
            stage.taken_log();
            let part = part(&stage, &all, name, parent.as_ref()).0;
            let log = stage.taken_log();
            let count = log.iter().filter(|line| line.starts_with("read ")).count();
            assert_eq!(count, if round == 0 { 8 } else { 2 }, "round {round}, {name}");
            assert!(log.contains(&format!("committed {name}")), "{log:?}");
            part
        });
        let whole = joined(&stage, &parts);
        assert_eq!(whole.manifest.parent, parent.map(|parent| parent.id));
        parent = Some(whole);
    }
}

#[test]
fn real_volumes_joined_come_back_and_only_changes_are_read() {
    if skipped_without_root("mounts") {
        return;
    }
    let stage = Stage::new();
    let image = stage.lab.path("image");
    fs::File::create(&image).unwrap().set_len(256 << 20).unwrap();
    run("mkfs.btrfs", &["-q".as_ref(), image.as_os_str()]);
    let _mounted = Mounted::image_at(&image, &stage.lab.source());
    let volumes = ["v1", "v2"].map(|name| volume(&stage.lab.source(), name));
    let out = |name: &str| stage.lab.path("out").join(name);
    let parts = ["v1", "v2"].map(|name| part(&stage, &volumes, name, None).0);
    let first = joined(&stage, &parts);
    for (number, name) in ["v1", "v2"].into_iter().enumerate() {
        fs::write(stage.lab.source().join(name).join("changed"), noise(50 + number as u64, 70_000))
            .unwrap();
    }
    let parts = ["v1", "v2"].map(|name| {
        let (part, read) = part(&stage, &volumes, name, Some(&first));
        assert!((70_000..90_000).contains(&read), "{name}: {read} bytes were read");
        part
    });
    let second = joined(&stage, &parts);
    let request = Request { path: b"tenants/system/volumes".to_vec(), ..stage.lab.request("out") };
    assert_eq!(stage.lab.latest().unwrap().id, second.id);
    let report = stage.lab.apply(&stage.lab.plan(&request));
    assert!(report.failed.is_empty() && report.imperfect.is_empty(), "{report:?}");
    for name in ["v1", "v2"] {
        for file in ["0", "149", "one", "two", "changed"] {
            let (live, back) = (stage.lab.source().join(name).join(file), out(name).join(file));
            assert!(fs::read(live).unwrap() == fs::read(back).unwrap(), "{name}/{file}");
        }
        let inode = |file| fs::metadata(out(name).join(file)).unwrap().ino();
        assert_eq!(inode("one"), inode("two"), "{name}");
    }
}

fn volume(below: &Path, name: &str) -> Resource {
    let top = below.join(name);
    run("btrfs", &["subvolume".as_ref(), "create".as_ref(), top.as_os_str()]);
    let seed = u64::from(name.as_bytes()[1]);
    for number in 0..150 {
        fs::write(top.join(number.to_string()), noise(seed * 1000 + number, 2000)).unwrap();
    }
    fs::write(top.join("one"), noise(seed, 5000)).unwrap();
    fs::hard_link(top.join("one"), top.join("two")).unwrap();
    fs::write(top.join("changed"), "first").unwrap();
    Resource {
        kind: Kind::Volume,
        connector: "btrfs".into(),
        at: Map::from_iter([("path".to_owned(), json!(top))]),
        ..resource(name, "")
    }
}

fn exported(stage: &Stage, snapshot: &Snapshot) -> tintype_model::Result<Vec<u8>> {
    let reader = stage.lab.repository.reader().unwrap();
    let (scratch, cancel) = (std::env::temp_dir(), Cancel::default());
    let (path, format, seal) = (&b""[..], Format::Tar, None);
    let options =
        ExportOptions { path, format, seal, workers: 2, scratch: &scratch, cancel: &cancel };
    let mut out = Vec::new();
    bundle::export(&reader, snapshot, &options, &mut out, &Progress::default()).map(|_| out)
}

/// What else the parent holds costs a part nothing.
#[test]
fn a_part_reads_its_own_pages_of_the_parent_only() {
    let stage = Stage::new();
    for number in 0..3000 {
        stage.lab.write(&format!("{}{number}", "long".repeat(50)), b"");
    }
    let volume = Resource {
        kind: Kind::Volume,
        connector: "files".into(),
        at: Map::from_iter([("path".to_owned(), json!(stage.lab.source()))]),
        ..resource("v", "")
    };
    let (large, _) = part(&stage, &[volume], "v", None);
    let (small, _) = part(&stage, &[resource("a", "")], "a", None);
    let both = joined_as(&stage.lab.repository, &[small.clone(), large], Vec::new()).unwrap();
    let reads = |parent: &Snapshot| {
        let before = stage.lab.counters.now().reads;
        part(&stage, &[resource("a", "")], "a", Some(parent));
        stage.lab.counters.now().reads - before
    };
    let (alone, of_both) = (reads(&small), reads(&both.snapshot()));
    assert!(of_both <= alone + 4, "{of_both} reads, {alone} where the parent holds no more");
}

/// Files with two names each, and the same numbers.
fn two_volumes(repository: &Repository) -> (Root, Store<'_>) {
    let store = repository.begin_writing(SessionKind::Snapshot, None).unwrap();
    let mut builder = TreeBuilder::new(&store).unwrap();
    let mut worker = Worker::new().unwrap();
    let mut push = |path: &str, kind, bytes: &[u8]| {
        let mut list = Vec::new();
        if !bytes.is_empty() {
            let id = store.put(&mut worker, FrameKind::Chunk, bytes).unwrap().id;
            list.push(Reference { length: bytes.len() as u64, id: Some(id) });
        }
        let content = match list.is_empty() {
            true => Content::None,
            false => Content::References { depth: 0, list },
        };
        let (size, mode) = (bytes.len() as u64, 0o700);
        let node = Node { size, mode, inode: 257, device: 42, links: 2, ..Node::new(kind) };
        let path = path.as_bytes().to_vec();
        builder.push(TreeEntry { path, node, content, large_xattrs: Vec::new() }).unwrap();
    };
    for above in ["tenants", "tenants/system", "tenants/system/volumes"] {
        push(above, EntryKind::Directory, b"");
    }
    for name in ["v1", "v2"] {
        let top = format!("tenants/system/volumes/{name}");
        push(&top, EntryKind::Directory, b"");
        for file in ["one", "two"] {
            push(&format!("{top}/{file}"), EntryKind::File, format!("of {name}").as_bytes());
        }
    }
    (builder.finish().unwrap(), store)
}

/// Device and inode are numbers of a host and of a moment: two volumes may have the same.
#[test]
fn equal_numbers_of_two_volumes_are_two_files() {
    let stage = Stage::new();
    let repository = &stage.lab.repository;
    let made = part(&stage, &[resource("a", "")], "a", None).0.manifest;
    let (root, store) = two_volumes(repository);
    let manifest = Manifest {
        root: root.id,
        level: root.level,
        entries: root.entries,
        bytes: root.bytes,
        roots: Vec::new(),
        options: json!({}),
        ..made
    };
    let id = store.commit(manifest).unwrap();
    let all = repository.snapshots().unwrap().snapshots;
    let snapshot = all.into_iter().find(|snapshot| snapshot.id == id).unwrap();
    let bytes = exported(&stage, &snapshot).unwrap();
    let tar = stage.lab.path("all.tar");
    fs::write(&tar, bytes).unwrap();
    for what in ["nothing stands there", "one of each stands there", "all stand there"] {
        let (path, overwrite) = (b"tenants/system/volumes".to_vec(), Overwrite::Always);
        let request = Request { path, overwrite, ..stage.lab.request("out") };
        let report = stage.lab.apply(&plan_of(&stage, &snapshot, &request));
        assert!(report.failed.is_empty(), "{what}: {report:?}");
        are_two(&stage.lab.path("out"));
        if what == "nothing stands there" {
            fs::remove_file(stage.lab.path("out/v1/two")).unwrap();
            fs::write(stage.lab.path("out/v2/one"), "by hand").unwrap();
        }
    }
    let to = stage.lab.path("tar");
    fs::create_dir(&to).unwrap();
    run("tar", &["xf".as_ref(), tar.as_os_str(), "-C".as_ref(), to.as_os_str()]);
    are_two(&to.join("tenants/system/volumes"));
    let other = Lab::new();
    let Found::Plain(found) =
        bundle::open(bundle::in_file(fs::File::open(&tar).unwrap()).unwrap()).unwrap()
    else {
        panic!("it is sealed")
    };
    let options =
        ImportOptions { workers: 2, cancel: Cancel::default(), most_bytes: None, manager: None };
    bundle::import(&other.repository, *found, &options, &Progress::default()).unwrap();
    let imported = other.latest().unwrap();
    for name in ["v1", "v2"] {
        let path = format!("tenants/system/volumes/{name}/two");
        assert_eq!(
            read(&other.repository, &imported, &path).unwrap(),
            format!("of {name}").into_bytes()
        );
    }
}

fn plan_of(stage: &Stage, snapshot: &Snapshot, request: &Request) -> Plan {
    let reader = stage.lab.repository.reader().unwrap();
    restore::plan(&reader, snapshot, request, &Cancel::default()).unwrap()
}

fn are_two(volumes: &Path) {
    for name in ["v1", "v2"] {
        for file in ["one", "two"] {
            let found = fs::read_to_string(volumes.join(name).join(file)).unwrap();
            assert_eq!(found, format!("of {name}"), "{file}");
        }
        let inode = |file| fs::metadata(volumes.join(name).join(file)).unwrap().ino();
        assert_eq!(inode("one"), inode("two"), "{name}");
    }
}

#[test]
fn what_no_part_holds_is_said() {
    let stage = Stage::new();
    let all = [resource("a", ""), resource("b", "fails-freeze"), application("app", &["a", "b"])];
    let (a, _) = part(&stage, &all, "a", None);
    let mut missing = descriptor(&stage, &a).items;
    missing[0].name = "b".into();
    missing[0].outcome = Outcome::Skipped;
    missing[0].consistency = None;
    let repository = &stage.lab.repository;
    let made = |parts: &[Snapshot], missing: &[Item]| {
        let made = joined_as(repository, parts, missing.to_vec()).unwrap().snapshot();
        (made.manifest.complete, descriptor(&stage, &made))
    };
    let (is_complete, told) = made(std::slice::from_ref(&a), &missing);
    assert!(is_complete, "skipped is no failure");
    assert_eq!((told.items.len(), told.applications[0].consistency), (2, None));
    missing[0].outcome = Outcome::Failed;
    assert!(!made(std::slice::from_ref(&a), &missing).0);
    assert!(!made(&[], &missing).0);
    // A part that is incomplete makes it so.
    let (b, _) = part(&stage, &all, "b", None);
    assert!(!made(&[a.clone(), b], &[]).0);
    let error = joined_as(repository, &[a.clone(), a], Vec::new()).unwrap_err();
    assert!(error.is(ErrorKind::Invalid), "{error}");
}

#[test]
fn parts_are_deleted_for_what_they_were_joined_into_only() {
    let stage = Stage::new();
    let all = [resource("a", ""), resource("b", "")];
    let repository = &stage.lab.repository;
    let [a, b] = ["a", "b"].map(|name| part(&stage, &all, name, None).0);
    assert!(exported(&stage, &a).unwrap_err().to_string().contains("part a of run 1"));
    let of_a = joined_as(repository, std::slice::from_ref(&a), Vec::new()).unwrap().snapshot();
    let both = [a.clone(), b.clone()];
    let error = delete_parts(repository, &both, &of_a, "test").unwrap_err();
    assert!(error.is(ErrorKind::Invalid), "{error}");
    assert_eq!(repository.snapshots().unwrap().snapshots.len(), 3);
    // What is held stays, and the others go.
    let whole = joined_as(repository, &both, Vec::new()).unwrap().snapshot();
    repository.annotate(a.id, &a.manifest, "test", Change::Hold("mine".into())).unwrap();
    let kept = delete_parts(repository, &both, &whole, "test").unwrap();
    assert_eq!(kept.iter().map(|(part, _)| part.id).collect::<Vec<_>>(), [a.id]);
    repository.annotate(whole.id, &whole.manifest, "test", Change::Deleted(String::new())).unwrap();
    let error = delete_parts(repository, &both, &whole, "test").unwrap_err();
    assert!(error.is(ErrorKind::NotFound), "{error}");
    // What was deleted meanwhile cannot be joined.
    let error = joined_as(repository, &both, Vec::new()).unwrap_err();
    assert!(error.is(ErrorKind::NotFound), "{error}");
}

#[test]
fn what_interrupted_runs_left_goes_after_a_week() {
    let stage = Stage::new();
    let all = [resource("a", ""), resource("b", "")];
    let mut listed = Vec::new();
    let days = SignedDuration::from_hours(24);
    let now = stage.lab.repository.env().clock.now();
    for (run, age) in [("old", 9), ("old", 8), ("long", 20), ("long", 6)] {
        let mut snapshot = part(&stage, &all, "a", None).0;
        snapshot.manifest.time = now - days * age;
        snapshot.manifest.options["part"]["run"] = run.into();
        listed.push(snapshot);
    }
    let mut whole = both_at_once(&stage, &all).0;
    whole.manifest.time = now - days * 30;
    listed.push(whole);
    let ids = |listed: &[Snapshot]| rests(listed, now).iter().map(|s| s.id).collect::<Vec<_>>();
    assert_eq!(ids(&listed), [listed[0].id, listed[1].id]);
    listed[0].standing.holds.insert("mine".into());
    assert_eq!(ids(&listed), [listed[1].id]);
    // One that took long began long ago.
    listed[1].manifest.stats["seconds"] = json!(3.0 * 86_400.0);
    assert_eq!(ids(&listed), Vec::<SnapshotId>::new());
}

/// A join, and the deletion of its parts, cut at every change of the store.
#[test]
fn every_cut_of_a_join_leaves_the_parts_or_the_whole() {
    let stage = Stage::new();
    let all = [resource("a", ""), resource("b", ""), application("app", &["a", "b"])];
    let parts = ["a", "b"].map(|name| part(&stage, &all, name, None).0);
    let open = |backend| {
        let env = Env::system();
        let options = OpenOptions { cache_root: None, identity: Identity::anonymous(), env };
        Repository::open(backend, &stage.lab.secret, options).unwrap()
    };
    let run = |backend: &CrashBackend| {
        let repository = open(Arc::new(backend.clone()));
        let whole = joined_as(&repository, &parts, Vec::new())?.snapshot();
        delete_parts(&repository, &parts, &whole, "test")
    };
    let whole = CrashBackend::new(stage.lab.backend.copy(), None);
    run(&whole).unwrap();
    let calls = whole.calls();
    assert!(calls >= 6, "{calls}");
    for mode in CrashMode::ALL {
        for call in 1..=calls {
            let backend = CrashBackend::new(stage.lab.backend.copy(), Some((call, mode)));
            let is_done = run(&backend).is_ok();
            assert!(!is_done || call == calls, "call {call} was not cut");
            go_on(&open(Arc::new(backend.survivors())), &parts, &format!("{mode:?} at {call}"));
        }
    }
}

/// The next process: what is there is whole, and it ends what the last began.
fn go_on(repository: &Repository, parts: &[Snapshot], cut: &str) {
    let listing = repository.snapshots().unwrap();
    assert!(listing.damaged.is_empty(), "{cut}: {:?}", listing.damaged);
    let (left, wholes): (Vec<_>, Vec<_>) =
        listing.snapshots.into_iter().partition(|snapshot| is_part(&snapshot.manifest));
    let whole = wholes.into_iter().next().unwrap_or_else(|| {
        assert_eq!(left.len(), parts.len(), "{cut}: a part is gone, and nothing holds it");
        joined_as(repository, &left, Vec::new()).unwrap().snapshot()
    });
    assert_eq!(joined_of(&whole.manifest).len(), parts.len(), "{cut}");
    delete_parts(repository, &left, &whole, "test").unwrap();
    let options =
        GcOptions { keep_above_percent: 100, fence_after: Duration::ZERO, ..GcOptions::default() };
    (0..2).for_each(|_| drop(repository.gc(&options).unwrap()));
    for name in ["a", "b"] {
        let path = format!("tenants/system/apps/app/{name}/c-stream");
        assert!(read(repository, &whole, &path) == Some(noise(3, 400_000)), "{cut}: {name}");
    }
    let snapshots = repository.snapshots().unwrap().snapshots;
    assert_eq!(snapshots.iter().map(|s| s.id).collect::<Vec<_>>(), [whole.id], "{cut}");
    is_clean(repository);
}
