//! Bundles as users meet them: what `unzip`, `age`, `tar`, Python and 7-Zip make of them, and what an
//! import says.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use tintype_testkit::debian;

use crate::support::{Lab, Ran, damage, noise};

const PASSPHRASE: &str = "open sesame, please";

/// With a snapshot of files of several kinds.
fn lab() -> Lab {
    let lab = Lab::ready();
    lab.write("source/a.txt", "small and plain\n");
    lab.write("source/deep/er/large", large());
    lab.write("source/empty", "");
    symlink("a.txt", lab.path("source/link")).unwrap();
    fs::set_permissions(lab.path("source/a.txt"), fs::Permissions::from_mode(0o750)).unwrap();
    let file = fs::File::create(lab.path("source/sparse")).unwrap();
    file.set_len(6 << 20).unwrap();
    file.write_all_at(b"in the middle", 3 << 20).unwrap();
    fs::hard_link(lab.path("source/deep/er/large"), lab.path("source/second name")).unwrap();
    lab.snapshot(&[&lab.text("source")]);
    lab
}

fn large() -> Vec<u8> {
    let mut bytes = noise(900_000, "large");
    bytes.extend(b"and what compresses well, again and again ".repeat(30_000));
    bytes
}

/// What a program prints; it must succeed.
#[track_caller]
fn run(program: &str, arguments: &[&str], at: &Path) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(at)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn sealed(lab: &Lab, args: &[&str]) -> Ran {
    let mut command = lab.command(args);
    Ran::of(&command.env("TINTYPE_BUNDLE_PASSWORD", PASSPHRASE).output().unwrap())
}

/// Whether what a program unpacked is what was captured.
#[track_caller]
fn assert_unpacked(lab: &Lab, at: &str) {
    let unpacked = lab.path(at).join(lab.tree("source").trim_start_matches('/'));
    let read = |name: &str| fs::read(unpacked.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(read("a.txt"), b"small and plain\n");
    assert!(read("deep/er/large") == large() && read("second name") == large());
    assert!(read("empty").is_empty());
    assert!(read("sparse") == lab.read("source/sparse"));
    assert_eq!(fs::read_link(unpacked.join("link")).unwrap(), Path::new("a.txt"));
    let found = fs::metadata(unpacked.join("a.txt")).unwrap();
    let captured = fs::metadata(lab.path("source/a.txt")).unwrap();
    assert_eq!((found.mode(), found.mtime()), (captured.mode(), captured.mtime()));
}

#[test]
fn a_plain_zip_opens_everywhere() {
    debian::need(&["unzip", "bsdtar"], &["unzip", "libarchive-tools"]);
    let seven = debian::program(&["/usr/bin/7zz", "/usr/bin/7z"], &["7zip"]);
    let lab = lab();
    let ran = lab.run(&["export", "latest", "out.zip", "--plain"]).expect(0);
    assert!(ran.err.contains("not encrypted"), "{}", ran.err);
    assert_eq!(fs::metadata(lab.path("out.zip")).unwrap().mode() & 0o777, 0o600);
    for name in ["unzipped", "sevened", "streamed"] {
        fs::create_dir(lab.path(name)).unwrap();
    }
    run("unzip", &["-q", "../out.zip"], &lab.path("unzipped"));
    assert_unpacked(&lab, "unzipped");
    run("unzip", &["-tq", "out.zip"], &lab.path(""));
    let seven = seven.to_str().unwrap();
    run(seven, &["x", "-bd", "-snl", "../out.zip"], &lab.path("sevened"));
    assert_unpacked(&lab, "sevened");
    let python = "import zipfile; z = zipfile.ZipFile('out.zip'); assert z.testzip() is None; \
                  assert z.namelist()[:2] == ['tintype-bundle.json', 'tintype-entries.jsonl']";
    run("python3", &["-c", python], &lab.path(""));
    // From a pipe nothing can be sought: sizes must follow what they are of.
    let stream = "cat ../out.zip | bsdtar -xf -";
    run("sh", &["-c", stream], &lab.path("streamed"));
    let streamed = lab.path("streamed").join(lab.tree("source").trim_start_matches('/'));
    assert!(fs::read(streamed.join("deep/er/large")).unwrap() == large());
}

#[test]
fn gnu_tar_reads_a_tar_with_its_holes_and_further_names() {
    let lab = lab();
    let tar = |name: &str| lab.run(&["export", "latest", name, "--plain", "--format", "tar"]);
    tar("out.tar").expect(0);
    fs::create_dir(lab.path("unpacked")).unwrap();
    let told = run("tar", &["-xpf", "../out.tar", "--xattrs"], &lab.path("unpacked"));
    assert_eq!(told, "");
    assert_unpacked(&lab, "unpacked");
    let unpacked = lab.path("unpacked").join(lab.tree("source").trim_start_matches('/'));
    let inode = |name: &str| fs::metadata(unpacked.join(name)).unwrap().ino();
    assert_eq!(inode("deep/er/large"), inode("second name"));
    assert!(fs::metadata(unpacked.join("sparse")).unwrap().blocks() * 512 < 1 << 20);
    assert!(fs::metadata(lab.path("out.tar")).unwrap().len() < 4 << 20, "holes take no room");
    // Through a pipe it is the same file.
    let output = lab.command(&["export", "latest", "-", "--plain", "--format", "tar"]).output();
    assert!(output.unwrap().stdout == lab.read("out.tar"));
}

#[test]
fn a_sealed_zip_opens_with_unzip_and_age() {
    debian::need(&["unzip", "age", "age-keygen"], &["unzip", "age"]);
    let lab = lab();
    let top = lab.path("");
    run("age-keygen", &["-o", "key.txt"], &top);
    let recipient = run("age-keygen", &["-y", "key.txt"], &top);
    lab.run(&["export", "latest", "keyed.zip", "--recipient", recipient.trim()]).expect(0);
    sealed(&lab, &["export", "latest", "locked.zip"]).expect(0);
    let listed = run("unzip", &["-Z1", "locked.zip"], &top);
    assert_eq!(listed, "README.txt\nsnapshot.zip.age\n");
    assert!(run("unzip", &["-p", "locked.zip", "README.txt"], &top).contains("age -d"));
    // `age` asks for a passphrase at a terminal alone.
    let typed = "import os, pty, sys, time\n\
        pid, fd = pty.fork()\n\
        if pid == 0: os.execvp('age', ['age', '-d', '-o', 'snapshot.zip', 'snapshot.zip.age'])\n\
        seen = b''\n\
        while b':' not in seen: seen += os.read(fd, 100)\n\
        os.write(fd, sys.argv[1].encode() + b'\\n')\n\
        try:\n\
        \x20   while os.read(fd, 100): pass\n\
        except OSError: pass\n\
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))";
    for (name, how) in [("keyed.zip", None), ("locked.zip", Some(PASSPHRASE))] {
        let at = lab.path(&format!("opened {name}"));
        fs::create_dir(&at).unwrap();
        run("unzip", &["-q", &lab.text(name)], &at);
        if let Some(passphrase) = how {
            run("python3", &["-c", typed, passphrase], &at);
        } else {
            let identity = lab.text("key.txt");
            run("age", &["-d", "-i", &identity, "-o", "snapshot.zip", "snapshot.zip.age"], &at);
        }
        run("unzip", &["-q", "snapshot.zip"], &at);
        assert_unpacked(&lab, &format!("opened {name}"));
    }
    // What `age` sealed is opened too: the same member, made by hand.
    let at = lab.path("opened keyed.zip");
    run("age", &["-r", recipient.trim(), "-o", "again.age", "snapshot.zip"], &at);
    let again = lab.text("opened keyed.zip/again.age");
    lab.run(&["import", &again, "--bundle-age-identity", &lab.text("key.txt")]).expect(0);
    assert_eq!(lab.ids().len(), 2);
}

#[test]
fn an_import_brings_all_of_it_into_another_repository() {
    let lab = lab();
    lab.run(&["note", "latest", "a note"]).expect(0);
    sealed(&lab, &["export", "latest", "out.zip"]).expect(0);
    let original = lab.ids();
    let other = lab.text("other");
    lab.run(&["init", "-r", &other, "--no-probe"]).expect(0);
    let imported = sealed(&lab, &["import", "-r", &other, "out.zip", "--json"]).expect(0);
    let summary = imported.summary();
    assert_eq!(summary["complete"], true);
    let restored = ["restore", "-r", &other, "latest", "--to", &lab.text("back"), "--verify"];
    lab.run(&restored).expect(0);
    assert!(lab.read("back/source/deep/er/large") == large());
    let shown = lab.run(&["show", "-r", &other, "latest"]).expect(0).out;
    assert!(shown.contains("a note"), "{shown}");
    lab.run(&["verify", "-r", &other, "--all", "--quiet"]).expect(0);
    // From a pipe, into the repository that it is from: nothing differs.
    let bytes = lab.read("out.zip");
    let mut command = lab.command(&["import", "-", "--scratch", &lab.text("")]);
    command.env("TINTYPE_BUNDLE_PASSWORD", PASSPHRASE);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    Ran::of(&child.wait_with_output().unwrap()).expect(0);
    let again = lab.snapshot(&[&lab.text("source")]);
    assert_eq!(again["parent"], original[0], "what was imported vouches for nothing");
    let ids = lab.ids();
    let differences = lab.run(&["diff", &ids[0], &ids[1], "--json"]).expect(0).events();
    assert!(differences.iter().all(|event| event["event"] != "difference"), "{differences:?}");
}

#[test]
fn what_is_wrong_is_told_and_nothing_is_kept() {
    let lab = lab();
    sealed(&lab, &["export", "latest", "out.zip"]).expect(0);
    lab.run(&["export", "latest", "plain.zip", "--plain"]).expect(0);
    let exists = lab.run(&["export", "latest", "plain.zip", "--plain"]).expect(5);
    assert!(exists.err.contains("--overwrite"), "{}", exists.err);
    lab.run(&["export", "latest", "plain.zip", "--plain", "--overwrite"]).expect(0);
    lab.run(&["export", "latest", "x.zip"]).expect(2);
    lab.run(&["export", "latest", "-", "--plain", "--json"]).expect(2);
    lab.run(&["export", "latest", "x.zip", "--plain", "--recipient", "age1x"]).expect(2);
    lab.run(&["export", "latest:/files/nothing", "x.zip", "--plain"]).expect(1);
    assert!(!lab.path("x.zip").exists());
    let left = fs::read_dir(lab.path("")).unwrap();
    let left: Vec<_> = left.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!left.iter().any(|name| name.ends_with(".partial")), "{left:?}");

    let mut wrong = lab.command(&["import", "out.zip"]);
    let wrong = Ran::of(&wrong.env("TINTYPE_BUNDLE_PASSWORD", "not this one").output().unwrap());
    assert!(wrong.expect(6).err.contains("of the bundle"));
    damage(&lab.path("plain.zip"));
    let damaged = lab.run(&["import", "plain.zip"]).expect(4).err;
    assert!(damaged.contains("plain.zip") && damaged.contains("member"), "{damaged}");
    damage(&lab.path("out.zip"));
    sealed(&lab, &["import", "out.zip"]).expect(4);
    lab.write("foreign.txt", "no bundle");
    let foreign = lab.run(&["import", "foreign.txt"]).expect(1).err;
    assert!(foreign.contains("repo snapshot"), "{foreign}");
    assert_eq!(lab.ids().len(), 1);
    lab.assert_whole();
}

/// No secret is an argument, and no file of a killed export looks whole.
#[test]
fn a_killed_export_leaves_no_file_of_that_name() {
    let lab = Lab::ready();
    lab.write("source/large", noise(30 << 20, "killed"));
    lab.snapshot(&[&lab.text("source")]);
    let mut command =
        lab.command(&["export", "latest", "out.zip", "--plain", "--limit-download", "2MiB/s"]);
    let mut child = command.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let is_begun = || {
        let names = fs::read_dir(lab.path("")).unwrap().flatten().map(|entry| entry.file_name());
        names.into_iter().any(|name| name.to_string_lossy().ends_with(".partial"))
    };
    while !is_begun() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!lab.path("out.zip").exists());
    lab.run(&["export", "latest", "out.zip", "--plain"]).expect(0);
    lab.run(&["import", "out.zip"]).expect(0);
}

/// Descriptor, items and places come along: a machine that never saw them restores from them.
#[test]
fn resources_are_restored_from_an_import() {
    let lab = Lab::ready();
    lab.write("files/a", "first");
    let make = "create table t(x); insert into t values (1), (2), (3)";
    rusqlite::Connection::open(lab.path("db")).unwrap().execute_batch(make).unwrap();
    let resources = serde_json::json!({ "version": 1, "resources": [
        { "kind": "volume", "name": "files", "connector": "files", "at": { "path": lab.path("files") } },
        { "kind": "database", "name": "db", "connector": "sqlite", "at": { "path": lab.path("db") } },
        { "kind": "application", "name": "shop",
          "components": [{ "resource": "db" }, { "resource": "files" }] },
    ] });
    lab.write("resources.yaml", resources.to_string());
    lab.run(&["snapshot", "--resources", &lab.text("resources.yaml")]).expect(0);
    lab.run(&["export", "latest", "out.zip", "--plain"]).expect(0);
    let other = lab.text("other");
    lab.run(&["init", "-r", &other, "--no-probe"]).expect(0);
    lab.run(&["import", "-r", &other, "out.zip"]).expect(0);
    let cat = |path: &str| lab.run(&["cat", &format!("latest:{path}")]).expect(0).out;
    let imported =
        |path: &str| lab.run(&["cat", "-r", &other, &format!("latest:{path}")]).expect(0).out;
    assert_eq!(cat("/tintype.json"), imported("/tintype.json"));
    fs::write(lab.path("files/a"), "changed").unwrap();
    fs::remove_file(lab.path("db")).unwrap();
    let restore = ["restore", "-r", &other, "latest", "--resources", "--in-place", "shop", "--yes"];
    lab.run(&restore).expect(0);
    assert_eq!(lab.read("files/a"), b"first");
    let database = rusqlite::Connection::open(lab.path("db")).unwrap();
    let rows: i64 = database.query_row("select count(*) from t", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 3);
}

/// More members than 16 bits count, and one of more bytes than 32 bits count.
#[test]
#[ignore = "70,000 files and 5 GiB of zeros through four programs: a minute"]
fn what_is_large_opens_everywhere_too() {
    debian::need(&["unzip", "bsdtar"], &["unzip", "libarchive-tools"]);
    let seven = debian::program(&["/usr/bin/7zz", "/usr/bin/7z"], &["7zip"]);
    let lab = Lab::ready();
    for number in 0..70_000 {
        lab.write(&format!("source/{}/{number}", number % 100), "");
    }
    let file = fs::File::create(lab.path("source/huge")).unwrap();
    file.set_len(5 << 30).unwrap();
    file.write_all_at(b"at the end", (5 << 30) - 10).unwrap();
    lab.write("source/z/last", "after it");
    lab.snapshot(&[&lab.text("source")]);
    let original = lab.ids();
    lab.run(&["export", "latest", "out.zip", "--plain"]).expect(0);
    assert!(fs::metadata(lab.path("out.zip")).unwrap().len() < 100 << 20);
    let top = lab.path("");
    run("unzip", &["-tqq", "out.zip"], &top);
    run(seven.to_str().unwrap(), &["t", "-bd", "out.zip"], &top);
    let python = "import zipfile; z = zipfile.ZipFile('out.zip'); \
                  print(len(z.namelist()), max(i.file_size for i in z.infolist()))";
    let told = run("python3", &["-c", python], &top);
    let (count, largest) = told.trim().split_once(' ').unwrap();
    assert!(count.parse::<u32>().unwrap() > 70_100, "{told}");
    assert_eq!(largest, (5u64 << 30).to_string());
    // A reader that does not seek, up to what comes after the large one.
    let last = format!("{}/z/last", lab.tree("source").trim_start_matches('/'));
    let stream = format!("cat out.zip | bsdtar -xOf - '{last}'");
    assert_eq!(run("sh", &["-c", &stream], &top), "after it");
    lab.run(&["export", "latest", "out.tar", "--plain", "--format", "tar"]).expect(0);
    run("tar", &["-tf", "out.tar"], &top);
    for file in ["out.zip", "out.tar"] {
        lab.run(&["import", file]).expect(0);
    }
    let newer: Vec<_> = lab.ids().into_iter().filter(|id| !original.contains(id)).collect();
    for id in &newer {
        let ran = lab.run(&["diff", &original[0], id, "--json"]).expect(0).events();
        assert!(ran.iter().all(|event| event["event"] != "difference"));
    }
    assert_eq!(newer.len(), 2);
}
