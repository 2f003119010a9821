//! What snapshots hold, through the API: trees, files, versions, differences.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::collection::vec;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tintype_api::audit::AuditEntry;
use tintype_api::client::Client;
use tintype_api::content::{
    AcrossQuery, Change, DiffQuery, EntryKind, EntryQuery, SearchQuery, Shown, VersionsQuery,
};
use tintype_api::page::Page;
use tintype_api::snapshot::Snapshot;
use tintype_model::ErrorKind;
use tintype_model::rights::Role;

use crate::lab::Lab;
use crate::snapshots::{full, partial, taken, volume};

const PLACE: &str = "tenants/system/volumes/files";

/// A volume `files` that lies there.
fn files(lab: &Lab, client: &Client) -> PathBuf {
    let path = lab.data().join("files");
    volume(client, "files", &path);
    path
}

fn at(path: &str) -> EntryQuery {
    EntryQuery { path: Some(format!("{PLACE}{path}")), ..EntryQuery::default() }
}

/// All of a file.
fn read(
    client: &Client,
    snapshot: &Snapshot,
    query: &EntryQuery,
) -> tintype_model::Result<Vec<u8>> {
    let mut incoming = client.file(&snapshot.id, query, 0, None)?;
    let mut bytes = Vec::new();
    let read = incoming.body.read_to_end(&mut bytes);
    read.map_err(|error| tintype_model::Error::unavailable(error.to_string()))?;
    assert_eq!(bytes.len() as u64, incoming.size_bytes);
    Ok(bytes)
}

#[test]
fn a_tree_is_browsed_and_searched() {
    Lab::on_each(|lab| {
        let client = lab.administrator();
        let files = files(lab, &client);
        std::fs::create_dir_all(files.join("etc/deep/er")).unwrap();
        for name in ["etc/a.conf", "etc/b.conf", "etc/deep/c.conf", "etc.txt", "etc/deep/er/x"] {
            std::fs::write(files.join(name), name).unwrap();
        }
        symlink("a.conf", files.join("etc/link")).unwrap();
        std::fs::write(files.join(OsStr::from_bytes(b"etc/\xff")), "odd").unwrap();
        let snapshot = taken(&client, &partial(&["files"]));
        let root = client.tree(&snapshot.id, &EntryQuery::default()).unwrap();
        let names: Vec<&str> = root.items.iter().map(|entry| &entry.path[..]).collect();
        assert_eq!(names, ["tenants", "tintype.json"]);
        // A page at a time, as all at once.
        let all = client.tree(&snapshot.id, &at("/etc/")).unwrap();
        assert_eq!(all.itself.unwrap().kind, EntryKind::Directory);
        let mut pages = Vec::new();
        let mut query = EntryQuery { limit: Some(2), ..at("/etc") };
        loop {
            let page = client.tree(&snapshot.id, &query).unwrap();
            assert!(page.items.len() <= 2);
            pages.extend(page.items);
            query.cursor = page.next;
            if query.cursor.is_none() {
                break;
            }
        }
        assert_eq!(pages, all.items);
        let kinds: Vec<EntryKind> = pages.iter().map(|entry| entry.kind).collect();
        let (file, directory) = (EntryKind::File, EntryKind::Directory);
        assert_eq!(kinds, [file, file, directory, EntryKind::Symlink, file]);
        assert_eq!(pages[3].target.as_deref(), Some("a.conf"));
        assert_eq!(pages[4].path, format!("{PLACE}/etc/\u{fffd}"));
        let path_hex = pages[4].path_hex.clone();
        assert!(path_hex.as_ref().unwrap().ends_with("2fff"), "{path_hex:?}");
        let odd = EntryQuery { path_hex, ..EntryQuery::default() };
        assert_eq!(read(&client, &snapshot, &odd).unwrap(), b"odd");
        let single = client.tree(&snapshot.id, &at("/etc/a.conf")).unwrap();
        assert_eq!((single.itself.unwrap().size, single.items.len()), (10, 0));
        let missing = client.tree(&snapshot.id, &at("/nothing")).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        assert!(missing.message().contains("/nothing"), "{missing}");
        for bad in ["/../x", "//x"] {
            let refused = client.tree(&snapshot.id, &at(bad)).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Invalid, "{bad}");
        }
        let find = |pattern: &str, limit| {
            let (pattern, limit) = (Some(pattern.to_owned()), Some(limit));
            let query = SearchQuery { pattern, limit, ..SearchQuery::default() };
            client.search(&snapshot.id, &query).unwrap()
        };
        let found = find("*.conf", 10);
        assert_eq!((found.items.len(), found.has_more), (3, false));
        assert!(found.items[2].path.ends_with("etc/deep/c.conf"));
        let found = find("*.conf", 2);
        assert_eq!((found.items.len(), found.has_more), (2, true));
        let directories = SearchQuery {
            path: Some(format!("{PLACE}/etc")),
            kind: Some(EntryKind::Directory),
            ..SearchQuery::default()
        };
        assert_eq!(client.search(&snapshot.id, &directories).unwrap().items.len(), 3);
    });
}

/// Two pieces of data in much nothing.
fn sparse(path: &Path) -> Vec<u8> {
    let file = File::create(path).unwrap();
    file.set_len(3 << 20).unwrap();
    let bytes: Vec<u8> =
        (0..700_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    file.write_all_at(&bytes, 100_000).unwrap();
    file.write_all_at(&bytes[..1000], (3 << 20) - 1500).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn any_ranges_of_a_file_are_exactly_its_bytes() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let files = files(&lab, &client);
    let bytes = sparse(&files.join("sparse"));
    std::fs::write(files.join("small"), "abc").unwrap();
    std::fs::write(files.join("empty"), "").unwrap();
    let snapshot = taken(&client, &partial(&["files"]));
    assert!(read(&client, &snapshot, &at("/sparse")).unwrap() == bytes);
    assert_eq!(read(&client, &snapshot, &at("/small")).unwrap(), b"abc");
    assert_eq!(read(&client, &snapshot, &at("/empty")).unwrap(), b"");
    let path = format!("/snapshots/{}/file?path={PLACE}/sparse", snapshot.id);
    let size = bytes.len() as u64;
    let ranges = vec((0..size, 1u64..1_500_000), 1..4);
    let mut runner =
        TestRunner::new(Config { cases: Config::default().cases / 4, ..Config::default() });
    let tried = runner.run(&ranges, |ranges| {
        for (from, length) in ranges {
            let to = (from + length).min(size);
            let got = client.bytes(&path, from..from + length);
            let got = got.map_err(|error| TestCaseError::fail(error.to_string()))?;
            if got[..] != bytes[from as usize..to as usize] {
                return Err(TestCaseError::fail(format!("{from}..{to} are other bytes")));
            }
        }
        Ok(())
    });
    tried.unwrap();
    let behind = client.bytes(&path, size..size + 1).unwrap_err();
    assert!(behind.message().contains("none of those"), "{behind}");
    // Going on is for the same bytes only.
    let tag = client.file(&snapshot.id, &at("/sparse"), 0, None).unwrap().tag;
    let goes_on = client.file(&snapshot.id, &at("/sparse"), 1000, Some(&tag)).unwrap();
    assert_eq!((goes_on.from, goes_on.size_bytes), (1000, size));
    let begins = client.file(&snapshot.id, &at("/sparse"), 1000, Some("another")).unwrap();
    assert_eq!((begins.from, begins.size_bytes), (0, size));
    let again = client.file(&snapshot.id, &at("/small"), 0, None).unwrap().tag;
    assert_ne!(tag, again);
    let audit: Page<AuditEntry> = client.audit(1000).unwrap();
    let told = audit.items.iter().find(|entry| entry.action == "file.download").unwrap();
    assert_eq!(told.detail["path"], format!("/{PLACE}/small"));
    assert_eq!(told.object, format!("snapshot {}", snapshot.id));
}

#[test]
fn a_damaged_file_ends_with_an_error_and_is_never_short() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let files = files(&lab, &client);
    let bytes: Vec<u8> = (0..12_000_000u32)
        .scan(1u64, |state, _| {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            Some((*state >> 56) as u8)
        })
        .collect();
    std::fs::write(files.join("large"), &bytes).unwrap();
    let snapshot = taken(&client, &partial(&["files"]));
    assert!(read(&client, &snapshot, &at("/large")).unwrap() == bytes);
    let packs = packs(&lab.data().join("data/repositories"));
    for pack in &packs {
        let file = File::options().read(true).write(true).open(pack).unwrap();
        let place = file.metadata().unwrap().len() / 10 * 7;
        let mut byte = [0];
        file.read_exact_at(&mut byte, place).unwrap();
        file.write_all_at(&[byte[0] ^ 1], place).unwrap();
    }
    let mut whole = 0;
    for from in [0, 11_000_000] {
        match client.file(&snapshot.id, &at("/large"), from, Some("")) {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}"),
            Ok(mut incoming) => {
                let mut got = Vec::new();
                whole += usize::from(incoming.body.read_to_end(&mut got).is_ok());
                assert!(bytes.starts_with(&got), "what comes is right");
            }
        }
    }
    assert_eq!(whole, 0);
}

/// Files of more than a megabyte.
fn packs(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let (path, what) = (entry.path(), entry.metadata().unwrap());
        if what.is_dir() {
            found.extend(packs(&path));
        } else if what.len() > 1 << 20 {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_file_is_shown_as_what_it_is() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let files = files(&lab, &client);
    let png = [b"\x89PNG\r\n\x1a\n".as_slice(), &[0; 100]].concat();
    let long = "grün\n".repeat(20_000);
    let all: [(&str, &[u8]); 6] = [
        ("note.txt", b"hello"),
        ("long.log", long.as_bytes()),
        ("table.csv", b"a;b\n1;2\n"),
        ("picture.txt", &png),
        ("script.svg", b"<svg onload='alert(1)'/>"),
        ("program", b"\x7fELF\0\0"),
    ];
    for (name, bytes) in all {
        std::fs::write(files.join(name), bytes).unwrap();
    }
    symlink("note.txt", files.join("link")).unwrap();
    let snapshot = taken(&client, &partial(&["files"]));
    let shown = |name: &str| client.preview(&snapshot.id, &at(name)).map(|preview| preview.shown);
    let text = |charset: &str, text: &str, is_cut| Shown::Text {
        charset: charset.to_owned(),
        text: text.to_owned(),
        is_cut,
    };
    assert_eq!(shown("/note.txt").unwrap(), text("utf-8", "hello", false));
    let Shown::Text { text: cut, is_cut: true, .. } = shown("/long.log").unwrap() else {
        panic!("a text that is cut")
    };
    assert!(long.starts_with(&cut) && cut.len() > 65_000);
    let Shown::Table { rows, .. } = shown("/table.csv").unwrap() else { panic!("a table") };
    assert_eq!(rows, [["a", "b"], ["1", "2"]]);
    let Shown::Picture { media_type, .. } = shown("/picture.txt").unwrap() else {
        panic!("a picture")
    };
    assert_eq!(media_type, "image/png");
    let is_text = matches!(shown("/script.svg").unwrap(), Shown::Text { .. });
    assert!(is_text, "what can run is never a picture");
    assert_eq!(shown("/program").unwrap(), Shown::Binary);
    let refused = shown("/link").unwrap_err();
    assert!(refused.message().contains("is a symlink to note.txt"), "{refused}");
    assert!(shown("").unwrap_err().message().contains("is a directory"));
}

#[test]
fn versions_and_differences_are_told_without_reading() {
    Lab::on_each(|lab| {
        let client = lab.administrator();
        let files = files(lab, &client);
        std::fs::write(files.join("a"), "one").unwrap();
        let first = taken(&client, &partial(&["files"]));
        std::fs::write(files.join("b"), "new").unwrap();
        let second = taken(&client, &partial(&["files"]));
        std::fs::write(files.join("a"), "three").unwrap();
        std::fs::remove_file(files.join("b")).unwrap();
        let third = taken(&client, &partial(&["files"]));
        let path = Some(format!("{PLACE}/a"));
        let query = VersionsQuery { path, ..VersionsQuery::default() };
        let versions = client.versions(&query).unwrap();
        let told: Vec<_> =
            versions.items.iter().map(|v| (&v.snapshot, v.entry.size, v.change)).collect();
        let expected = [
            (&third.id, 5, Some(Change::Content)),
            (&second.id, 3, None),
            (&first.id, 3, Some(Change::Added)),
        ];
        assert_eq!(told, expected);
        let newest = client.versions(&VersionsQuery { limit: Some(1), ..query }).unwrap();
        assert_eq!((newest.items.len(), newest.has_more), (1, true));
        let diff = |limit, cursor, summary| {
            let (from, to) = (first.id.clone(), third.id.clone());
            let query = DiffQuery { from, to, limit, cursor, summary, ..DiffQuery::default() };
            client.diff(&query).unwrap()
        };
        let all = diff(None, None, false);
        let of = |name: &str| {
            let path = format!("{PLACE}{name}");
            all.items.iter().find(|difference| difference.path == path).map(|d| d.change)
        };
        assert_eq!((of("/a"), of("")), (Some(Change::Content), Some(Change::Metadata)));
        let counts = all.counts.unwrap();
        assert_eq!(diff(None, None, true).counts.unwrap(), counts);
        assert!(counts.content >= 1 && counts.removed == 0, "{counts:?}");
        let mut pages = Vec::new();
        let mut cursor = None;
        loop {
            let page = diff(Some(1), cursor, false);
            pages.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(pages, all.items);
        let narrow = DiffQuery {
            from: second.id.clone(),
            to: third.id.clone(),
            path: Some(format!("{PLACE}/b")),
            ..DiffQuery::default()
        };
        let narrow = client.diff(&narrow).unwrap();
        assert_eq!((narrow.items.len(), narrow.items[0].change), (1, Change::Removed));
    });
}

#[test]
fn snapshots_of_different_repositories_are_not_compared() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let files = files(&lab, &client);
    std::fs::write(files.join("a"), "one").unwrap();
    let own = taken(&client, &partial(&["files"]));
    let tenant = Lab::tenant(&client, "acme").id;
    let theirs = lab.as_role(&client, &tenant, Role::Administrator, "theirs");
    let spec = serde_json::json!({
        "kind": "volume", "connector": "files", "at": { "path": files },
    });
    let spec = serde_json::from_value(spec).unwrap();
    let new = tintype_api::object::NewObject { name: "f".into(), tenant: Some(tenant), spec };
    client.create::<tintype_api::resource::ResourceSpec>(&new).unwrap();
    let their = taken(&theirs, &partial(&["f"]));
    let query = DiffQuery { from: own.id, to: their.id.clone(), ..DiffQuery::default() };
    let refused = client.diff(&query).unwrap_err();
    assert!(refused.message().contains("different repositories"), "{refused}");
    assert_eq!(theirs.diff(&query).unwrap_err().kind(), ErrorKind::NotFound);
    let path = Some("tenants/acme/volumes/f/a".to_owned());
    let mine = VersionsQuery { path, ..VersionsQuery::default() };
    assert_eq!(theirs.versions(&mine).unwrap().items[0].snapshot, their.id);
    assert!(client.versions(&mine).unwrap().items.is_empty(), "of one's own tenant unless told");
}

#[test]
fn files_are_for_those_who_restore_and_the_managers_for_the_system() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let files = files(&lab, &client);
    std::fs::write(files.join("a"), "one").unwrap();
    let snapshot = taken(&client, &full());
    let system = client.whoami().unwrap().tenant;
    for (role, may) in [(Role::Viewer, false), (Role::Operator, false), (Role::Restorer, true)] {
        let who = lab.as_role(&client, &system, role, &format!("as-{role}"));
        assert!(!who.tree(&snapshot.id, &at("")).unwrap().items.is_empty(), "names are seen");
        assert_eq!(read(&who, &snapshot, &at("/a")).is_ok(), may, "{role}");
        assert_eq!(who.preview(&snapshot.id, &at("/a")).is_ok(), may, "{role}");
        let state = EntryQuery { path: Some("manager/catalog".into()), ..EntryQuery::default() };
        let refused = read(&who, &snapshot, &state).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Denied, "{role}: {refused}");
    }
    let listing = client
        .tree(&snapshot.id, &EntryQuery { path: Some("manager".into()), ..EntryQuery::default() });
    let file = listing.unwrap().items.into_iter().find(|entry| entry.kind == EntryKind::File);
    let path = Some(file.unwrap().path);
    read(&client, &snapshot, &EntryQuery { path, ..EntryQuery::default() }).unwrap();
    let private = tintype_api::snapshot::NewSnapshot { is_private: true, ..partial(&["files"]) };
    let private = taken(&client, &private);
    let tenant = Lab::tenant(&client, "acme").id;
    let theirs = lab.as_role(&client, &tenant, Role::Administrator, "theirs");
    let absent = theirs.tree(&private.id, &at("")).unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::NotFound);
}

#[test]
fn files_on_disks_are_found_and_read() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let files = files(&lab, &client);
    let (content, image) = (lab.data().join("guest"), files.join("disk.img"));
    std::fs::create_dir_all(content.join("etc")).unwrap();
    let bytes: Vec<u8> = (0..300_000u32).map(|n| (n % 251) as u8).collect();
    std::fs::write(content.join("etc/data"), &bytes).unwrap();
    std::fs::write(content.join("etc/fstab"), "/dev/vda1 /").unwrap();
    File::create(&image).unwrap().set_len(16 << 20).unwrap();
    tintype_testkit::debian::need(&["mke2fs"], &["e2fsprogs"]);
    let made = Command::new("/usr/sbin/mke2fs")
        .args(["-q", "-t", "ext4", "-d"])
        .args([&content, &image])
        .status();
    assert!(made.unwrap().success());
    let snapshot = taken(&client, &partial(&["files"]));
    let disk = Some(format!("{PLACE}/disk.img"));
    let on = |path: &str| EntryQuery {
        path: Some(path.to_owned()),
        disk: disk.clone(),
        ..EntryQuery::default()
    };
    let partitions = client.partitions(&snapshot.id, &on("")).unwrap();
    let [only] = &partitions[..] else { panic!("{partitions:?}") };
    assert_eq!((only.number, only.kind.as_deref(), only.can_be_read), (0, Some("ext4"), true));
    let root = client.tree(&snapshot.id, &on("/")).unwrap();
    assert!(root.items.iter().any(|entry| entry.path == "etc"), "{root:?}");
    let page = EntryQuery { limit: Some(1), ..on("/etc") };
    let first = client.tree(&snapshot.id, &page).unwrap();
    let next = client.tree(&snapshot.id, &EntryQuery { cursor: first.next, ..page }).unwrap();
    assert_eq!((&first.items[0].path[..], &next.items[0].path[..]), ("etc/data", "etc/fstab"));
    assert_eq!((first.items[0].size, next.next), (300_000, None));
    assert!(read(&client, &snapshot, &on("/etc/data")).unwrap() == bytes);
    let path = format!("/snapshots/{}/file?path=etc/data&disk={PLACE}/disk.img", snapshot.id);
    for range in [0..1, 4095..4097, 299_999..300_000, 100_000..250_000] {
        let got = client.bytes(&path, range.clone()).unwrap();
        assert!(got == bytes[range.start as usize..range.end as usize], "{range:?}");
    }
    let shown = client.preview(&snapshot.id, &on("etc/fstab")).unwrap().shown;
    assert!(matches!(shown, Shown::Text { text, .. } if text == "/dev/vda1 /"));
    let missing = client.tree(&snapshot.id, &EntryQuery { partition: Some(7), ..on("") });
    assert!(missing.unwrap_err().message().contains("no partition 7"));
}

#[test]
fn names_are_looked_for_in_all_snapshots() {
    Lab::on_each(|lab| {
        let client = lab.administrator();
        let files = files(lab, &client);
        std::fs::write(files.join("stays.conf"), "1").unwrap();
        std::fs::write(files.join("goes.conf"), "1").unwrap();
        let older = taken(&client, &partial(&["files"]));
        std::fs::remove_file(files.join("goes.conf")).unwrap();
        let newer = taken(&client, &partial(&["files"]));
        let pattern = Some("*.conf".to_owned());
        let query = AcrossQuery { pattern, ..AcrossQuery::default() };
        let all = client.search_all(&query).unwrap();
        let found: Vec<(&str, &str)> = all
            .items
            .iter()
            .map(|one| (&one.snapshot[..], one.entry.path.rsplit('/').next().unwrap()))
            .collect();
        let want = [(&newer.id[..], "stays.conf"), (&older.id[..], "goes.conf")];
        assert_eq!(found, want, "each once, where it is newest");
        assert_eq!((all.looked_into, all.until, all.next), (2, Some(older.time), None));
        // Enough was found: the older one is looked into with the next answer.
        let query = AcrossQuery { limit: Some(1), ..query };
        let first = client.search_all(&query).unwrap();
        assert_eq!((first.items.len(), first.looked_into), (1, 1));
        let query = AcrossQuery { cursor: first.next, ..query };
        let second = client.search_all(&query).unwrap();
        assert_eq!((&second.items[0].snapshot, second.next), (&older.id, None));
        assert_eq!(
            second.has_more,
            std::slice::from_ref(&older.id),
            "of two that it holds one is told"
        );
        let nothing = AcrossQuery::default();
        assert_eq!(client.search_all(&nothing).unwrap_err().kind(), ErrorKind::Invalid);
    });
}
