//! Streams, images, and files that cannot be read.

use std::fs;
use std::io::{Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;

use tintype_engine::cancel::Cancel;
use tintype_model::entry::{Kind, Node, Problem, ProblemKind};
use tintype_model::{Error, ErrorKind};
use tintype_runner::restore::{Destination, Overwrite, Request};
use tintype_runner::snapshot::{Input, Labels, SnapshotOptions};
use tintype_source::files::{Excludes, Owners, WalkOptions};
use tintype_testkit::volumes::Loop;

use crate::support::{Lab, noise, skipped_without_root, tree_path};

pub(crate) fn stream_node() -> Node {
    Node { mode: 0o600, ..Node::new(Kind::Stream) }
}

fn options(lab: &Lab, root: &[u8]) -> SnapshotOptions {
    SnapshotOptions {
        labels: Labels { roots: vec![root.to_vec()], ..Labels::default() },
        parent: lab.latest(),
        workers: 2,
        most_workers: 4,
        cancel: Cancel::default(),
        read_all: false,
    }
}

fn to(lab: &Lab, path: &[u8], name: &str) -> Request {
    Request {
        path: path.to_vec(),
        also: Vec::new(),
        destination: Destination::Directory(lab.path(name)),
        include: None,
        exclude: Excludes::default(),
        overwrite: Overwrite::Never,
        delete_extra: false,
        owners: Owners::default(),
        claim: false,
        untouchable: Vec::new(),
    }
}

#[test]
fn a_stream_is_captured_and_comes_back() {
    let lab = Lab::new();
    let bytes = noise(1, 9_000_000);
    let read: Box<dyn Read + Send> = Box::new(std::io::Cursor::new(bytes.clone()));
    let path = b"files/dump.sql".to_vec();
    let input =
        Input::Stream { path: path.clone(), node: stream_node(), read, end: Box::new(|| Ok(())) };
    let taken = lab.take_as(input, &options(&lab, &path)).unwrap();
    assert_eq!(taken.outcome.manifest.bytes, 9_000_000);
    lab.apply(&lab.plan(&to(&lab, &path, "out")));
    assert_eq!(fs::read(lab.path("out/dump.sql")).unwrap(), bytes);
}

/// What a file's problem says counts, not how many bytes of it there are.
#[test]
fn what_was_read_only_in_part_is_not_written_as_if_it_were_whole() {
    for kind in [ProblemKind::Unreadable, ProblemKind::Vanished] {
        for length in [0, 700_000] {
            let lab = Lab::new();
            let mut node = stream_node();
            node.kind = Kind::File;
            let message = "input/output error".to_owned();
            node.extras_mut().problem = Some(Problem { kind, message });
            let read: Box<dyn Read + Send> = Box::new(std::io::Cursor::new(noise(1, length)));
            let path = b"files/half".to_vec();
            let end = Box::new(|| Ok(()));
            let input = Input::Stream { path: path.clone(), node, read, end };
            lab.take_as(input, &options(&lab, &path)).unwrap();
            fs::create_dir(lab.path("out")).unwrap();
            fs::write(lab.path("out/half"), b"whole").unwrap();
            let always = Request { overwrite: Overwrite::Always, ..to(&lab, &path, "out") };
            let plan = lab.plan(&always);
            assert_eq!(plan.missing.len(), 1, "{kind:?} {length}");
            lab.apply(&plan);
            assert_eq!(fs::read(lab.path("out/half")).unwrap(), b"whole", "{kind:?} {length}");
        }
    }
}

#[test]
fn a_stream_whose_command_fails_makes_no_snapshot() {
    let lab = Lab::new();
    let read: Box<dyn Read + Send> = Box::new(std::io::Cursor::new(noise(1, 500_000)));
    let end = Box::new(|| Err(Error::invalid("pg_dump exited with status 1")));
    let input = Input::Stream { path: b"files/x".to_vec(), node: stream_node(), read, end };
    let error = lab.take_as(input, &options(&lab, b"files/x")).err().unwrap();
    assert!(error.message().contains("pg_dump"), "{error}");
    assert!(lab.latest().is_none());
}

#[test]
fn an_image_keeps_its_holes_and_a_small_change_costs_little() {
    let lab = Lab::new();
    let path = lab.path("disk.img");
    let mut file = fs::File::create(&path).unwrap();
    file.set_len(40 << 20).unwrap();
    file.seek(SeekFrom::Start(5 << 20)).unwrap();
    file.write_all(&noise(2, 3_000_000)).unwrap();
    let root = tree_path(&path);
    let first = lab.take_as(Input::Images(vec![path.clone()]), &options(&lab, &root)).unwrap();
    assert_eq!(first.outcome.manifest.bytes, 40 << 20);
    file.seek(SeekFrom::Start(6 << 20)).unwrap();
    file.write_all(b"changed").unwrap();
    let second = lab.take_as(Input::Images(vec![path.clone()]), &options(&lab, &root)).unwrap();
    let new = second.outcome.manifest.stats["new_bytes"].as_u64().unwrap();
    assert_eq!(new, 1 << 20, "one chunk changed");
    let report = lab.apply(&lab.plan(&to(&lab, &root, "out")));
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    let restored = lab.path("out/disk.img");
    assert!(fs::read(&restored).unwrap() == fs::read(&path).unwrap());
    assert!(fs::metadata(&restored).unwrap().blocks() * 512 < 8 << 20, "holes stay holes");
}

#[test]
fn what_does_not_exist_is_listed_and_the_snapshot_incomplete() {
    let lab = Lab::new();
    lab.write("a", b"a");
    let roots = vec![lab.source(), lab.path("nowhere")];
    let walk = Box::new(WalkOptions::default());
    let taken = lab.take_with(Input::Files { roots, options: walk }).unwrap();
    assert!(!taken.outcome.manifest.complete);
    assert_eq!(taken.outcome.manifest.problems, 1);
}

#[test]
fn a_canceled_run_leaves_what_it_uploaded_to_the_next() {
    let lab = Lab::new();
    for number in 0..40 {
        lab.write(&format!("f{number}"), &noise(number, 400_000));
    }
    let mut options = options(&lab, &tree_path(&lab.source()));
    struct Trip(Cancel, std::io::Cursor<Vec<u8>>);
    impl Read for Trip {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let position = self.1.position();
            if position > 12_000_000 {
                self.0.cancel();
            }
            self.1.read(out)
        }
    }
    let bytes = noise(3, 30_000_000);
    options.cancel = Cancel::default();
    let read = Box::new(Trip(options.cancel.clone(), std::io::Cursor::new(bytes.clone())));
    let path = b"files/stream".to_vec();
    let input =
        Input::Stream { path: path.clone(), node: stream_node(), read, end: Box::new(|| Ok(())) };
    let error = lab.take_as(input, &options).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Canceled);
    assert!(lab.latest().is_none());
    options.cancel = Cancel::default();
    let read = Box::new(std::io::Cursor::new(bytes));
    let input = Input::Stream { path, node: stream_node(), read, end: Box::new(|| Ok(())) };
    let taken = lab.take_as(input, &options).unwrap();
    let known = taken.outcome.manifest.stats["known_bytes"].as_u64().unwrap();
    assert!(known > 6_000_000, "{known} bytes were known");
}

/// Chunks that repeat stand next to each other in what a restore reads at once.
#[test]
fn content_that_repeats_comes_back() {
    let lab = Lab::new();
    lab.write("zeros", &vec![0; 24 << 20]);
    lab.write("ones", &vec![255; 17_000_000]);
    let block = noise(5, 1 << 20);
    lab.write("blocks", &block.repeat(20));
    lab.take();
    let report = lab.restore("out");
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    lab.assert_equal("out");
}

#[test]
fn an_image_comes_back_onto_its_device_and_is_read_back() {
    if skipped_without_root("block devices") {
        return;
    }
    let lab = Lab::new();
    let file = lab.path("disk.img");
    let bytes = [noise(7, 3 << 20), vec![0; 2 << 20], noise(8, 1 << 20)].concat();
    fs::write(&file, &bytes).unwrap();
    let device = Loop::new(&file);
    let path = device.device.clone();
    let root = tree_path(&path);
    lab.take_as(Input::Images(vec![path.clone()]), &options(&lab, &root)).unwrap();
    fs::OpenOptions::new().write(true).open(&path).unwrap().write_all(&noise(9, 6 << 20)).unwrap();
    let destination = Destination::InPlace;
    let overwrite = Overwrite::Always;
    let report = lab.apply(&lab.plan(&Request { destination, overwrite, ..to(&lab, &root, "") }));
    drop(device);
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    assert_eq!(report.verified_bytes, 6 << 20);
    assert!(fs::read(&file).unwrap() == bytes);
}

/// A symlink to a device (`/dev/vg0/root`) is the device's name, not a place for a file.
#[test]
fn an_image_goes_onto_the_device_that_its_name_leads_to() {
    if skipped_without_root("block devices") {
        return;
    }
    let lab = Lab::new();
    let file = lab.path("disk.img");
    let bytes = [noise(7, 1 << 20), vec![0; 1 << 20]].concat();
    fs::write(&file, &bytes).unwrap();
    let device = Loop::new(&file);
    let link = lab.path("root");
    std::os::unix::fs::symlink(&device.device, &link).unwrap();
    let root = tree_path(&link);
    lab.take_as(Input::Images(vec![link.clone()]), &options(&lab, &root)).unwrap();
    fs::OpenOptions::new()
        .write(true)
        .open(&device.device)
        .unwrap()
        .write_all(&noise(9, 2 << 20))
        .unwrap();
    let request =
        |overwrite| Request { destination: Destination::InPlace, overwrite, ..to(&lab, &root, "") };
    let kept = lab.plan(&request(Overwrite::Never));
    let report = lab.apply(&lab.plan(&request(Overwrite::Always)));
    drop(device);
    assert_eq!((kept.counts.keep, kept.counts.replace), (1, 0));
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    assert_eq!(report.verified_bytes, 2 << 20);
    assert!(link.is_symlink());
    assert!(fs::read(&file).unwrap() == bytes);
}

/// A file in `/dev` is a file in memory.
#[test]
fn an_image_whose_device_is_missing_does_not_become_a_file_among_devices() {
    if skipped_without_root("block devices") {
        return;
    }
    let lab = Lab::new();
    let file = lab.path("disk.img");
    fs::write(&file, noise(7, 1 << 20)).unwrap();
    let device = std::path::PathBuf::from(format!("/dev/tintype-test-{}", std::process::id()));
    std::os::unix::fs::symlink(&file, &device).unwrap();
    let root = tree_path(&device);
    let taken = lab.take_as(Input::Images(vec![device.clone()]), &options(&lab, &root));
    fs::remove_file(&device).unwrap();
    taken.unwrap();
    let in_place = Request { destination: Destination::InPlace, ..to(&lab, &root, "") };
    let plan = lab.plan(&in_place);
    lab.apply(&plan);
    let was_made = fs::remove_file(&device).is_ok();
    assert!(!was_made);
    assert!(plan.refused[0].1.contains("no block device"), "{:?}", plan.refused);
}
