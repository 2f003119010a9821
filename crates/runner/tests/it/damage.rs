//! Damage in the repository: what it touches is named, everything else is restored.

use std::fs;

use tintype_engine::backend::list_all;

use crate::support::{Lab, noise};

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
