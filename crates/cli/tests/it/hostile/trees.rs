//! Trees: what a page, a list, a chunk or a manifest can lie about.

use std::io::Read as _;
use std::process::Stdio;

use serde_json::Value;
use tintype_engine::format::bytes::{put_bytes, put_varint};
use tintype_engine::format::frame::Kind as Frame;
use tintype_engine::id::ContentId;
use tintype_engine::tree::list::encode_list;
use tintype_engine::tree::{Child, Reference, inner};
use tintype_model::entry::Kind;

use super::forge::{Draft, Forge, Top, directory, entry, file, hex, manifest};
use super::{assert_untouched, bounded, lab, run};
use crate::support::{Lab, Ran};

const HUGE: u64 = 1 << 60;

/// Makes a hostile snapshot and looks at it with everything that reads. Gives what `restore`
/// and `verify` said.
fn looked_at(make: impl FnOnce(&mut Draft<'_>, &Lab) -> Value) -> (Lab, Ran, Ran) {
    let lab = lab();
    let forge = Forge::new(&lab);
    let mut draft = forge.begin();
    let manifest = make(&mut draft, &lab);
    let hostile = draft.commit_as(&manifest).to_string();
    let good = forge.begin();
    let good = good_snapshot(good);
    let target = lab.text("target");
    run(&lab, &["list"]).expect(0);
    run(&lab, &["ls", "-R", &hostile]);
    run(&lab, &["find", "nothing-of-this-name"]);
    run(&lab, &["diff", &good, &hostile]);
    run(&lab, &["stats"]);
    begin_cat(&lab, &format!("{hostile}:/files/a"));
    let restored = run(&lab, &["restore", &hostile, "--to", &target, "--verify"]);
    assert_untouched(&lab);
    let verified = run(&lab, &["verify", "--all"]);
    // Another snapshot is as good as before, beside it.
    run(&lab, &["restore", &good, "--to", &lab.text("target/good")]).expect(0);
    assert_eq!(lab.read("target/good/good"), b"good");
    run(&lab, &["gc", "--dry-run"]);
    assert_untouched(&lab);
    (lab, restored, verified)
}

/// The first megabyte: a sparse file of any length is lawful.
fn begin_cat(lab: &Lab, what: &str) {
    let mut command = bounded(lab, &["cat", what]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = Vec::new();
    child.stdout.take().unwrap().take(1 << 20).read_to_end(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    let ended = output.status.code().is_some_and(|code| (0..=6).contains(&code) || code == 141);
    assert!(ended, "{}", String::from_utf8_lossy(&output.stderr));
}

fn good_snapshot(mut draft: Draft<'_>) -> String {
    let chunk = draft.frame(Frame::Chunk, b"good");
    let entries = [directory(b"files"), file(b"files/good", 0, &[(4, Some(chunk))])];
    let top = draft.leaf(&entries);
    draft.commit(top).to_string()
}

/// As [`looked_at`], and everybody calls it damage.
#[track_caller]
fn damaged(make: impl FnOnce(&mut Draft<'_>, &Lab) -> Value) {
    let (_, restored, verified) = looked_at(make);
    restored.expect(4);
    verified.expect(4);
}

/// A tree of one page made by hand that claims one entry.
fn raw_page(draft: &mut Draft<'_>, level: u8, raw: &[u8]) -> Value {
    manifest(Top { page: draft.frame(Frame::Page, raw), level, entries: 1, bytes: 0 })
}

fn one_file(draft: &mut Draft<'_>, depth: u8, list: &[(u64, Option<ContentId>)]) -> Value {
    let top = draft.leaf(&[directory(b"files"), file(b"files/a", depth, list)]);
    manifest(top)
}

#[test]
fn a_page_that_is_a_bomb() {
    damaged(|draft, _| {
        let page = draft.bomb(Frame::Page, 4 << 20);
        manifest(Top { page, level: 0, entries: 1, bytes: 0 })
    });
}

#[test]
fn chunks_and_lists_that_are_bombs() {
    damaged(|draft, _| {
        let chunk = draft.bomb(Frame::Chunk, 4 << 20);
        one_file(draft, 0, &[(4 << 20, Some(chunk)); 64])
    });
    damaged(|draft, _| {
        let list = draft.bomb(Frame::List, 1 << 20);
        one_file(draft, 4, &[(4 << 20, Some(list)); 64])
    });
}

#[test]
fn counts_and_columns_of_2_to_the_60() {
    let number = |prefix: &[u8]| {
        let mut raw = prefix.to_vec();
        put_varint(&mut raw, HUGE);
        raw
    };
    // Entries, owners, devices, parcels, a column; children; level.
    for prefix in [&b"L\x01"[..], b"L\x01\x01", b"L\x01\x01\x00", b"L\x01\x01\x00\x00"] {
        damaged(|draft, _| raw_page(draft, 0, &number(prefix)));
    }
    damaged(|draft, _| raw_page(draft, 0, &number(b"L\x01\x01\x00\x00\x00")));
    damaged(|draft, _| raw_page(draft, 1, &number(b"N\x01\x01")));
    damaged(|draft, _| raw_page(draft, 1, &number(b"N\x01")));
    damaged(|draft, _| {
        let mut raw = b"R\x01\x00".to_vec();
        put_varint(&mut raw, HUGE);
        let list = draft.frame(Frame::List, &raw);
        one_file(draft, 1, &[(5, Some(list))])
    });
}

#[test]
fn references_of_2_to_the_60_bytes() {
    // One that a chunk of ten bytes cannot fill; three that exceed 64 bits together.
    damaged(|draft, _| {
        let chunk = draft.frame(Frame::Chunk, b"ten bytes.");
        one_file(draft, 0, &[(10, Some(chunk)), ((1 << 40) - 10, None), (HUGE, Some(chunk))])
    });
    damaged(|draft, _| {
        let chunk = draft.frame(Frame::Chunk, b"ten bytes.");
        one_file(draft, 0, &[(u64::MAX >> 1, Some(chunk)); 3])
    });
    let (_, restored, verified) =
        looked_at(|draft, _| one_file(draft, 0, &[(u64::MAX >> 1, None), (1, None)]));
    // A sparse file of 2^63 bytes is lawful; no file system can hold it.
    assert!(restored.expect(3).err.contains("target/a: a file cannot be that large"));
    verified.expect(0);
}

#[test]
fn lists_that_name_each_other_ever_more() {
    // 4096^5 chunks of 8 bytes, in five small frames.
    let (_, restored, verified) = looked_at(|draft, _| {
        let mut below = draft.frame(Frame::Chunk, b"8 bytes.");
        let mut length = 8;
        for depth in 0..4 {
            let list = vec![Reference { length, id: Some(below) }; 4096];
            below = draft.frame(Frame::List, &encode_list(depth, &list));
            length *= 4096;
        }
        one_file(draft, 4, &vec![(length, Some(below)); 4096])
    });
    assert!(restored.expect(3).err.contains("target/a: a file cannot be that large"));
    verified.expect(0);
}

#[test]
fn pages_and_lists_that_contain_themselves() {
    let own = ContentId([7; 32]);
    let child =
        |id, entries| Child { first: b"files".to_vec(), id, entries, bytes: 0, problems: 0 };
    for level in [1, 2, 8] {
        damaged(|draft, _| {
            draft.forged(Frame::Page, own, &inner::encode(level, &[child(own, 1)]));
            manifest(Top { page: own, level, entries: 1, bytes: 0 })
        });
    }
    // Ids are right, levels do not fall.
    damaged(|draft, _| {
        let leaf = draft.leaf(&[directory(b"files")]);
        let low = draft.frame(Frame::Page, &inner::encode(2, &[child(leaf.page, 1)]));
        let page = draft.frame(Frame::Page, &inner::encode(2, &[child(low, 1)]));
        manifest(Top { page, level: 2, entries: 1, bytes: 0 })
    });
    damaged(|draft, _| {
        let list = [Reference { length: 8, id: Some(own) }];
        draft.forged(Frame::List, own, &encode_list(1, &list));
        one_file(draft, 2, &[(8, Some(own))])
    });
    damaged(|draft, _| {
        let list = [Reference { length: 8, id: Some(own) }];
        let list = draft.frame(Frame::List, &encode_list(4, &list));
        one_file(draft, 2, &[(8, Some(list))])
    });
}

#[test]
fn paths_that_lead_elsewhere() {
    let bad: [&[u8]; 8] = [
        b"../evil",
        b"files/../../evil",
        b"/evil",
        b"files//evil",
        b"files/evil/",
        b"files/ev\0il",
        b"files/.",
        b"",
    ];
    for path in bad {
        damaged(|draft, _| {
            let chunk = draft.frame(Frame::Chunk, b"evil");
            let top = draft.leaf(&[file(path, 0, &[(4, Some(chunk))])]);
            manifest(top)
        });
    }
    // As the key of a page.
    damaged(|draft, _| {
        let leaf = draft.leaf(&[directory(b"files")]);
        let first = b"../evil".to_vec();
        let child = Child { first, id: leaf.page, entries: 1, bytes: 0, problems: 0 };
        raw_page(draft, 1, &inner::encode(1, &[child]))
    });
}

#[test]
fn a_symlink_is_never_followed() {
    let (_, restored, verified) = looked_at(|draft, lab| {
        let chunk = draft.frame(Frame::Chunk, b"evil");
        let link = |path: &[u8], target: String| {
            let mut link = entry(path, Kind::Symlink);
            link.node.extras_mut().target = target.into_bytes();
            link
        };
        let top = draft.leaf(&[
            directory(b"files"),
            link(b"files/a", lab.text("outside")),
            directory(b"files/a/dir"),
            file(b"files/a/evil", 0, &[(4, Some(chunk))]),
            link(b"files/a/link", "/etc".to_owned()),
            entry(b"files/a/pipe", Kind::Fifo),
            file(b"files/a/precious", 0, &[(4, Some(chunk))]),
            link(b"files/b", lab.text("outside/precious")),
            file(b"files/b/under", 0, &[(4, Some(chunk))]),
        ]);
        manifest(top)
    });
    let restored = restored.expect(3);
    assert!(restored.err.contains("target/a/evil: "), "{}", restored.err);
    verified.expect(0);
}

#[test]
fn roots_that_lead_elsewhere() {
    for root in [&b"files/.."[..], b"..", b"../../outside", b"/outside", b"", b"files/a\0b"] {
        let (lab, _, _) = looked_at(|draft, _| {
            let chunk = draft.frame(Frame::Chunk, b"evil");
            let entries = [directory(b"files"), file(b"files/evil", 0, &[(4, Some(chunk))])];
            let mut manifest = manifest(draft.leaf(&entries));
            manifest["roots"] = vec![hex(root)].into();
            manifest
        });
        run(&lab, &["restore", "latest~1", "--in-place", "--dry-run"]);
        assert_untouched(&lab);
    }
}

#[test]
fn manifests_that_lie() {
    let tree = |draft: &mut Draft<'_>| {
        let chunk = draft.frame(Frame::Chunk, b"abcd");
        let entries = [directory(b"files"), file(b"files/a", 0, &[(4, Some(chunk))])];
        manifest(draft.leaf(&entries))
    };
    for (field, value) in [
        ("level", Value::from(1)),
        ("level", 9.into()),
        ("level", 255.into()),
        ("entries", 1.into()),
        ("entries", HUGE.into()),
        ("bytes", u64::MAX.into()),
        ("problems", HUGE.into()),
        ("root", ContentId([9; 32]).to_string().into()),
    ] {
        damaged(|draft, _| {
            let mut manifest = tree(draft);
            manifest[field] = value;
            manifest
        });
    }
}

#[test]
fn text_that_steers_a_terminal() {
    let (lab, ..) = looked_at(|draft, _| {
        let top = draft.leaf(&[directory(b"files"), directory(b"files/\x1b[2J\x1b]0;x\x07")]);
        let mut manifest = manifest(top);
        for field in ["host", "user", "program", "note"] {
            manifest[field] = "\x1b[2J".into();
        }
        manifest["tags"] = vec!["\x1b[2J"].into();
        manifest["paths"] = vec!["\x1b[2J"].into();
        manifest
    });
    run(&lab, &["show", "latest~1"]).expect(0);
    run(&lab, &["prune", "--keep-last", "5", "--dry-run"]).expect(0);
    run(&lab, &["ls", "latest~1:/files"]).expect(0);
}

#[test]
fn entries_of_every_kind_with_what_does_not_belong_to_them() {
    let (lab, restored, verified) = looked_at(|draft, _| {
        let mut device = entry(b"files/char", Kind::CharDevice);
        device.node.extras_mut().device_number = Some((u32::MAX, u32::MAX));
        let mut link = entry(b"files/link-nul", Kind::Symlink);
        link.node.extras_mut().target = b"a\0b".to_vec();
        let mut long = entry(b"files/link-long", Kind::Symlink);
        long.node.extras_mut().target = vec![b'x'; 65_535];
        let mut file = entry(b"files/zfile", Kind::File);
        file.node.extras_mut().device_number = Some((1, 3));
        file.node.extras_mut().target = b"/etc/passwd".to_vec();
        file.node.mtime.seconds = i64::MAX;
        file.node.ctime.seconds = i64::MIN;
        let top = draft.leaf(&[
            directory(b"files"),
            entry(b"files/block", Kind::BlockDevice),
            device,
            entry(b"files/link-empty", Kind::Symlink),
            long,
            link,
            entry(b"files/socket", Kind::Socket),
            entry(b"files/unknown", Kind::Unknown),
            file,
        ]);
        manifest(top)
    });
    restored.expect(3);
    verified.expect(0);
    assert!(lab.path("target/zfile").exists());
    // Kinds that nobody knows, and content where there can be none.
    for kind in [12u8, 0x21, 0x42, 0x80] {
        damaged(|draft, _| {
            let raw = page_of_kind(kind);
            raw_page(draft, 0, &raw)
        });
    }
}

/// A leaf page of one entry `files` whose kind column holds `kind`.
fn page_of_kind(kind: u8) -> Vec<u8> {
    let mut raw = b"L\x01\x01\x01\x00\x00\x00\x00\x01\x00\x00".to_vec();
    let column = |raw: &mut Vec<u8>, bytes: &[u8]| put_bytes(raw, bytes);
    for bytes in [&b"\x00"[..], b"\x05", b"files", &[kind], b"\x00", b"\x00", b"\x00"] {
        column(&mut raw, bytes);
    }
    for bytes in [&[0; 4][..], b"\x00", b"\x00", b"\x00", b"\x00", b"\x01", b"\x00"] {
        column(&mut raw, bytes);
    }
    for _ in 0..4 {
        column(&mut raw, b"");
    }
    raw
}

/// Front coding stores a shared beginning once: in memory these would be four gigabytes.
#[test]
fn a_page_of_paths_that_share_a_long_beginning() {
    damaged(|draft, _| {
        let raw = page_of_long_paths(65_536);
        assert!(raw.len() < 4 << 20);
        raw_page(draft, 0, &raw)
    });
}

/// A leaf page of so many directories whose paths have 65,000 bytes in common.
fn page_of_long_paths(count: usize) -> Vec<u8> {
    let mut prefix = [&[b'd'; 249][..], b"/"].concat().repeat(260);
    prefix[..6].copy_from_slice(b"files/");
    let (mut shared, mut lengths) = (vec![0], Vec::new());
    put_varint(&mut lengths, prefix.len() as u64 + 5);
    lengths.extend(std::iter::repeat_n(5, count - 1));
    (1..count).for_each(|_| put_varint(&mut shared, prefix.len() as u64));
    let mut rest = prefix;
    (0..count).for_each(|number| rest.extend_from_slice(format!("{number:05x}").as_bytes()));
    let mut raw = b"L\x01".to_vec();
    put_varint(&mut raw, count as u64);
    raw.extend_from_slice(b"\x01\x00\x00\x00\x00\x01\x00\x00");
    // Kind, mode, owner, times, inode, device, links, size; no slots, references or extras.
    let columns = [(1, 1), (0, 1), (0, 1), (0, 1), (0, 4), (0, 1), (0, 1), (0, 1), (0, 1)];
    [shared, lengths, rest].iter().for_each(|column| put_bytes(&mut raw, column));
    for (value, width) in columns.into_iter().chain([(1, 1), (0, 1)]) {
        put_bytes(&mut raw, &vec![value; width * count]);
    }
    (0..4).for_each(|_| put_bytes(&mut raw, b""));
    raw
}
