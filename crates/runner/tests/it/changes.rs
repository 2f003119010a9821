//! Snapshots after changes: what is read again, and that nothing is missed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use proptest::prelude::*;

use tintype_engine::backend::list_all;
use tintype_engine::cancel::Cancel;
use tintype_engine::format::records::{self, Manifest};
use tintype_engine::gc::GcOptions;
use tintype_engine::tree::cursor::Cursor;
use tintype_engine::tree::{Root, TreeEntry};
use tintype_runner::snapshot::{Input, Labels, SnapshotOptions};
use tintype_source::files::WalkOptions;
use tintype_testkit::volumes::{Mounted, run};

use crate::support::{Lab, Taken, noise, skipped_without_root, tree_path};

#[test]
fn what_did_not_change_is_not_read_again() {
    let lab = Lab::new();
    for number in 0..3000 {
        lab.write(
            &format!("d{}/f{number}", number % 7),
            &noise(number, 50 + number as usize % 500),
        );
    }
    lab.write("large", &noise(1, 3_000_000));
    Lab::settle();
    let first = lab.take();
    let second = lab.take();
    assert!(first.read_bytes > 3_000_000);
    assert_eq!(second.read_bytes, 0);
    let known = |taken: &Taken| entries(&lab, &taken.outcome.manifest);
    assert!(known(&second) == known(&first));
    lab.write("d3/f3", b"changed");
    lab.write("d3/new", b"new");
    fs::remove_file(lab.source().join("d4/f4")).unwrap();
    let third = lab.take();
    assert_eq!(third.read_bytes, 10);
    lab.restore("out");
    lab.assert_equal("out");
}

#[test]
fn what_is_left_of_old_parcels_is_gathered() {
    let lab = Lab::new();
    let name = |number: u64| format!("d{}/f{number}", number / 300);
    let write_all = |seed: u64, step: u64| {
        for number in (0..12_000).filter(|number| step == 1 || number % step != 0) {
            lab.write(&name(number), &noise(seed + number, 4_000));
        }
    };
    write_all(0, 1);
    Lab::settle();
    let first = lab.take().outcome;
    write_all(1_000_000, 10);
    Lab::settle();
    let second = lab.take().outcome;
    let live_percent = |manifest: &Manifest| {
        let stat = |name: &str| manifest.stats[name].as_u64().unwrap();
        stat("parcel_live_bytes") * 100 / stat("parcel_bytes")
    };
    assert!((40..70).contains(&live_percent(&second.manifest)), "one file of ten is old");
    // Nothing changed, so only what is gathered is read.
    let third = lab.take();
    assert_eq!(third.read_bytes, 1_200 * 4_000);
    assert!(live_percent(&third.outcome.manifest) > 95);
    let fourth = lab.take();
    assert_eq!(fourth.read_bytes, 0);
    lab.restore("out");
    lab.assert_equal("out");

    for (id, manifest) in [(first.id, first.manifest), (second.id, second.manifest)] {
        let gone = records::Change::Deleted("test".into());
        lab.repository.annotate(id, &manifest, "test", gone).unwrap();
    }
    lab.repository.gc(&GcOptions::default()).unwrap();
    let stored: u64 =
        list_all(&lab.backend, "data/").unwrap().iter().map(|listed| listed.size_bytes).sum();
    assert!(stored < 56_000_000, "{stored} bytes for 48 MB of files");
    lab.restore("again");
    lab.assert_equal("again");
}

/// What a disk gives back otherwise than it was written, without a trace in size and times, is not
/// what anybody wrote: what was stored before is kept.
#[test]
fn what_rotted_on_the_source_is_not_gathered() {
    if skipped_without_root("mounts") {
        return;
    }
    let lab = Lab::new();
    let image = lab.path("image");
    fs::File::create(&image).unwrap().set_len(160 << 20).unwrap();
    run("mkfs.ext4", &["-q".as_ref(), "-b".as_ref(), "4096".as_ref(), image.as_os_str()]);
    let mounted = Mounted::image_at(&image, &lab.source());
    let content = |seed: u64, number: u64| noise(seed + number, 4_000);
    let name = |number: u64| format!("d{}/f{number}", number / 300);
    for number in 0..12_000 {
        lab.write(&name(number), &content(0, number));
    }
    Lab::settle();
    lab.take();
    for number in (0..12_000).filter(|number| number % 10 != 0) {
        lab.write(&name(number), &content(1_000_000, number));
    }
    Lab::settle();
    lab.take();
    drop(mounted);
    let rotten = content(0, 300);
    let mut bytes = fs::read(&image).unwrap();
    let at = bytes.chunks(4096).position(|block| block.starts_with(&rotten)).unwrap() * 4096;
    bytes[at + 7] ^= 1;
    fs::write(&image, bytes).unwrap();
    let mounted = Mounted::image_at(&image, &lab.source());
    let read = fs::read(lab.source().join(name(300))).unwrap();
    assert!(read != rotten && read.len() == rotten.len());
    let gathered = lab.take();
    drop(mounted);
    // One was read and not stored; nothing looked changed.
    assert_eq!(gathered.read_bytes, 1_199 * 4_000);
    assert_eq!(gathered.outcome.manifest.problems, 0);
    lab.restore("out");
    assert!(fs::read(lab.path("out").join(name(300))).unwrap() == rotten);
    assert!(fs::read(lab.path("out").join(name(310))).unwrap() == content(0, 310));
}

#[test]
fn any_number_of_workers_makes_the_same_tree() {
    let lab = Lab::new();
    lab.write("large", &noise(9, 90 << 20));
    lab.write("small", b"small");
    let by = |workers: usize| {
        let options = SnapshotOptions {
            labels: Labels { roots: vec![tree_path(&lab.source())], ..Labels::default() },
            parent: None,
            workers,
            most_workers: workers,
            cancel: Cancel::default(),
            read_all: true,
        };
        let walk = Box::new(WalkOptions::default());
        let input = Input::Files { roots: vec![lab.source()], options: walk };
        let manifest = lab.take_as(input, &options).unwrap().outcome.manifest;
        (entries(&lab, &manifest), manifest.stats["new_bytes"].as_u64())
    };
    let alone = by(1);
    for workers in [2, 5] {
        let together = by(workers);
        assert!(together.0.len() == 3 && together.0 == alone.0, "the same entries");
        assert_eq!(together.1, Some(0), "the same chunks");
    }
    lab.restore("out");
    lab.assert_equal("out");
}

/// Of the source; what leads there changes whenever another test makes a directory.
fn entries(lab: &Lab, manifest: &Manifest) -> Vec<TreeEntry> {
    let reader = lab.repository.reader().unwrap();
    let root = Root::of(manifest);
    let mut entries = Vec::new();
    let mut cursor = Cursor::new(&reader, root).unwrap();
    let source = tree_path(&lab.source());
    cursor
        .for_each_within(&source, &mut |entry| {
            entries.push(entry);
            Ok(())
        })
        .unwrap();
    entries
}

#[test]
fn metadata_alone_is_seen() {
    let lab = Lab::new();
    lab.write("a", b"a");
    lab.write("b/c", b"c");
    Lab::settle();
    lab.take();
    fs::set_permissions(lab.source().join("a"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(lab.source().join("b"), lab.source().join("z")).unwrap();
    lab.take();
    lab.restore("out");
    lab.assert_equal("out");
}

/// Something that happens to a tree between snapshots.
#[derive(Clone, Debug)]
enum Change {
    Write(u8, usize),
    Remove(u8),
    Rename(u8, u8),
    Directory(u8),
    Link(u8, u8),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let one = prop_oneof![
        4 => (any::<u8>(), 0usize..400_000).prop_map(|(n, l)| Change::Write(n, l)),
        2 => any::<u8>().prop_map(Change::Remove),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Change::Rename(a, b)),
        1 => any::<u8>().prop_map(Change::Directory),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Change::Link(a, b)),
    ];
    proptest::collection::vec(one, 1..40)
}

fn name(number: u8) -> String {
    format!("d{}/e{}/f{}", number % 3, number % 5, number % 40)
}

/// Some changes do not fit what is there: then nothing happens.
fn happen(lab: &Lab, change: &Change) {
    let path = |number: u8| lab.source().join(name(number));
    match change {
        Change::Write(number, length) => {
            if !path(*number).is_dir() {
                let _ = fs::remove_file(path(*number));
                lab.write(&name(*number), &noise(u64::from(*number) + *length as u64, *length));
            }
        }
        Change::Remove(number) => drop(fs::remove_file(path(*number))),
        Change::Rename(from, to) => drop(fs::rename(path(*from), path(*to))),
        Change::Directory(number) => drop(fs::create_dir_all(path(*number))),
        Change::Link(from, to) => drop(fs::hard_link(path(*from), path(*to))),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever happens between two snapshots, the second one restores what is there.
    #[test]
    fn the_second_snapshot_is_what_is_there(before in changes(), after in changes()) {
        let lab = Lab::new();
        before.iter().for_each(|change| happen(&lab, change));
        lab.take();
        after.iter().for_each(|change| happen(&lab, change));
        lab.take();
        let report = lab.restore("out");
        prop_assert!(report.failed.is_empty(), "{:?}", report.failed);
        lab.assert_equal("out");
    }
}
