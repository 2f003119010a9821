//! Objects of the protocol: segments, fates, annotations, gc records that name anything.

use serde_json::json;
use tintype_engine::format::frame::Kind as Frame;
use tintype_engine::format::object::ObjectType;

use super::forge::{Draft, Forge, directory, file, manifest};
use super::{assert_untouched, lab, run};
use crate::support::Lab;

fn with_file(draft: &mut Draft<'_>) -> serde_json::Value {
    let chunk = draft.frame(Frame::Chunk, b"good");
    let entries = [directory(b"files"), file(b"files/good", 0, &[(4, Some(chunk))])];
    manifest(draft.leaf(&entries))
}

/// Everything that reads the protocol's objects.
fn look(lab: &Lab) {
    run(lab, &["list"]);
    run(lab, &["restore", "latest", "--to", &lab.text("target")]);
    run(lab, &["verify", "--all"]).expect(4);
    run(lab, &["gc"]);
    run(lab, &["stats"]);
    run(lab, &["snapshot", &lab.text("outside")]);
    assert_untouched(lab);
}

#[test]
fn segments_that_lie() {
    let cases: [&dyn Fn(&mut tintype_engine::index::segment::Segment); 5] = [
        &|segment| segment.packs.iter_mut().for_each(|row| row.size_bytes = 1 << 60),
        &|segment| segment.packs.iter_mut().for_each(|row| row.size_bytes = 0),
        &|segment| segment.records.iter_mut().for_each(|r| r.offset = (1 << 36) - 16),
        &|segment| segment.records.iter_mut().for_each(|r| r.raw_bytes = 1 << 20),
        &|segment| segment.records.iter_mut().for_each(|r| r.stored_bytes = 0),
    ];
    for change in cases {
        let lab = lab();
        let forge = Forge::new(&lab);
        let mut draft = forge.begin();
        let manifest = with_file(&mut draft);
        let mut segment = draft.segment();
        change(&mut segment);
        forge.decide(&[segment.encode()], |fate| fate["manifest"] = manifest);
        look(&lab);
    }
}

#[test]
fn segments_of_2_to_the_32_records() {
    for raw in [&[0xff; 8][..], &[0xff; 4096], &[0, 0, 0, 0, 0xff, 0xff, 0x3f, 0]] {
        let lab = lab();
        let forge = Forge::new(&lab);
        let mut draft = forge.begin();
        let manifest = with_file(&mut draft);
        let segment = draft.segment().encode();
        forge.decide(&[segment, raw.to_vec()], |fate| fate["manifest"] = manifest);
        look(&lab);
    }
}

#[test]
fn fates_that_name_anything() {
    let absolute = ["/etc/passwd", "x", "", "index/", "ä".repeat(3).leak()];
    let beneath = ["index/../../outside/precious", "index/x/../../../cache/evil", "config"];
    for name in absolute.into_iter().chain(beneath) {
        let lab = lab();
        let forge = Forge::new(&lab);
        let mut draft = forge.begin();
        let manifest = with_file(&mut draft);
        let segment = draft.segment().encode();
        forge.decide(&[segment], |fate| {
            fate["manifest"] = manifest;
            fate["segments"].as_array_mut().unwrap().push(name.into());
        });
        look(&lab);
    }
}

#[test]
fn a_gc_record_deletes_only_what_gc_may() {
    let lab = lab();
    let forge = Forge::new(&lab);
    let mut draft = forge.begin();
    let manifest = with_file(&mut draft);
    draft.commit_as(&manifest);
    let precious = lab.text("outside/precious");
    let objects = json!(["../outside/precious", precious, "config", "keys", "tmp/x", ""]);
    let record = json!({
        "seq": 1, "session": forge.random_id().to_string(), "base": [], "absorbed": [],
        "delete": {"objects": objects, "retire": []}, "time": "2030-01-01T00:00:00Z",
    });
    forge.put_json(ObjectType::GcRecord, "gc/00000001", &record);
    run(&lab, &["gc"]);
    run(&lab, &["gc"]);
    assert_untouched(&lab);
    assert!(lab.path("repository/config").exists());
    run(&lab, &["list"]).expect(0);
}

#[test]
fn records_of_impossible_numbers_and_depth() {
    let nested = format!("{{\"a\":{}{}}}", "[".repeat(1 << 20), "]".repeat(1 << 20));
    let texts = ["{\"state\":\"committed\"}", "null", "\u{0}", &nested];
    for text in texts {
        let lab = lab();
        let forge = Forge::new(&lab);
        let mut draft = forge.begin();
        let manifest = with_file(&mut draft);
        let id = draft.commit_as(&manifest);
        let other = forge.random_id();
        for (object_type, name) in [
            (ObjectType::Session, format!("session/{other}")),
            (ObjectType::Fate, format!("fate/{other}")),
            (ObjectType::Annotation, format!("annotation/{id}/00000001")),
            (ObjectType::Condemned, format!("condemned/00000000/{other}")),
            (ObjectType::Retired, format!("retired/{other}")),
            (ObjectType::GcRecord, "gc/99999999".to_owned()),
        ] {
            forge.put(object_type, &name, text.as_bytes());
        }
        run(&lab, &["list"]);
        run(&lab, &["verify", "--all"]).expect(4);
        run(&lab, &["gc"]);
        run(&lab, &["restore", "latest", "--to", &lab.text("target")]);
        assert_untouched(&lab);
    }
}

/// Sparse objects cost an attacker nothing.
#[test]
fn objects_of_a_terabyte() {
    let lab = lab();
    let forge = Forge::new(&lab);
    let mut draft = forge.begin();
    let manifest = with_file(&mut draft);
    draft.commit_as(&manifest);
    let other = forge.random_id();
    for name in ["fate", "session", "retired", "annotation", "condemned", "gc", "index", "data/00"]
    {
        let name = match name {
            "annotation" => format!("annotation/{other}/00000001"),
            "condemned" => format!("condemned/00000000/{other}"),
            "gc" => "gc/00000007".to_owned(),
            "index" => format!("index/{other}-0"),
            _ => format!("{name}/{other}"),
        };
        forge.backend().put(&name, b"x").unwrap();
        let path = lab.path("repository").join(&name);
        let mut mode = std::fs::metadata(&path).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o600);
        std::fs::set_permissions(&path, mode).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(1 << 40).unwrap();
    }
    look(&lab);
    for copy in ["repository/config", "repository/config-copy"] {
        let file = std::fs::OpenOptions::new().write(true).open(lab.path(copy)).unwrap();
        file.set_len(1 << 40).unwrap();
    }
    assert_ne!(run(&lab, &["list"]).code, 0);
}
