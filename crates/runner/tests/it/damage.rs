//! Damage in the repository: what it touches is named, everything else is restored.

use std::fs;

use tintype_engine::backend::list_all;
use tintype_engine::cancel::Cancel;
use tintype_model::ErrorKind;
use tintype_runner::restore::{Overwrite, Request};
use tintype_testkit::volumes::Mounted;

use crate::support::{Lab, noise, skipped_without_root};

fn data_packs(lab: &Lab) -> Vec<String> {
    list_all(&lab.backend, "data/").unwrap().into_iter().map(|l| l.name).collect()
}

fn whole(lab: &Lab, name: &str) -> Vec<u8> {
    use tintype_engine::backend::Backend as _;
    lab.backend.get(name, u64::MAX).unwrap()
}

#[test]
fn a_flipped_bit_costs_one_file_of_many() {
    let lab = Lab::new();
    for number in 0..20 {
        lab.write(&format!("f{number:02}"), &noise(number, 300_000));
    }
    lab.take();
    let pack = data_packs(&lab).remove(0);
    let mut bytes = whole(&lab, &pack);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    lab.backend.overwrite(&pack, bytes);
    let report = lab.restore("out");
    assert_eq!(report.failed.len(), 1, "{:?}", report.failed);
    let lost = String::from_utf8(report.failed[0].0.clone()).unwrap();
    assert!(report.failed[0].1.contains(&pack), "{:?}", report.failed);
    assert!(!lab.path("out").join(&lost).exists(), "half a file must not look whole");
    for number in 0..20 {
        let name = format!("f{number:02}");
        if name != lost {
            let restored = fs::read(lab.path("out").join(&name)).unwrap();
            assert_eq!(restored, noise(number, 300_000), "{name}");
        }
    }
}

#[test]
fn a_missing_pack_is_named() {
    let lab = Lab::new();
    lab.write("a", &noise(1, 400_000));
    lab.write("empty", b"");
    lab.take();
    let pack = data_packs(&lab).remove(0);
    use tintype_engine::backend::Backend as _;
    lab.backend.delete(&pack).unwrap();
    let report = lab.restore("out");
    assert_eq!(report.failed.len(), 1);
    assert!(report.failed[0].1.contains(&pack), "{:?}", report.failed);
    assert!(lab.path("out").join("empty").exists());
}

#[test]
fn a_truncated_pack_keeps_what_is_before_the_cut() {
    let lab = Lab::new();
    for number in 0..8 {
        lab.write(&format!("f{number}"), &noise(number, 300_000));
    }
    lab.take();
    let pack = data_packs(&lab).remove(0);
    let bytes = whole(&lab, &pack);
    lab.backend.overwrite(&pack, bytes[..bytes.len() / 2].to_vec());
    let report = lab.restore("out");
    assert!(!report.failed.is_empty() && report.failed.len() < 8, "{:?}", report.failed);
    let restored = fs::read_dir(lab.path("out")).unwrap().count();
    assert_eq!(restored + report.failed.len(), 8);
}

/// Its other names must not become names of what stood at its first one.
#[test]
fn a_lost_file_is_not_linked_to_what_stood_there() {
    let lab = Lab::new();
    lab.write("a", &noise(1, 400_000));
    fs::hard_link(lab.source().join("a"), lab.source().join("b")).unwrap();
    lab.take();
    let pack = data_packs(&lab).remove(0);
    let mut bytes = whole(&lab, &pack);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    lab.backend.overwrite(&pack, bytes);
    fs::create_dir(lab.path("out")).unwrap();
    for name in ["out/a", "out/b"] {
        fs::write(lab.path(name), name).unwrap();
    }
    let request = Request { overwrite: Overwrite::Always, ..lab.request("out") };
    let report = lab.apply(&lab.plan(&request));
    let failed: Vec<_> = report.failed.iter().map(|(path, _)| &path[..]).collect();
    assert_eq!(failed, [b"a", b"b"]);
    let first = format!("is the same file as {}", lab.path("out/a").display());
    assert!(report.failed[1].1.contains(&first), "{:?}", report.failed);
    for name in ["out/a", "out/b"] {
        assert_eq!(fs::read(lab.path(name)).unwrap(), name.as_bytes());
    }
}

/// What cannot be written any more need not be downloaded.
#[test]
fn a_full_disk_ends_the_reading_of_a_file() {
    if skipped_without_root("a full disk") {
        return;
    }
    let lab = Lab::new();
    lab.write("big", &noise(1, 48 << 20));
    lab.take();
    fs::create_dir(lab.path("out")).unwrap();
    let at = lab.path("out");
    let mounted = Mounted::tmpfs(&at, 1);
    let before = lab.counters.now().down_bytes;
    let plan = lab.plan(&lab.request("out"));
    let ended = lab.try_apply(&plan, Cancel::default());
    let left = fs::read_dir(&at).unwrap().count();
    drop(mounted);
    assert!(ended.is_err_and(|error| error.is(ErrorKind::NoSpace)));
    assert_eq!(left, 0, "no temporary file stays");
    let read = lab.counters.now().down_bytes - before;
    assert!(read < 36 << 20, "{read} bytes were read for a disk of 1 MiB");
}
