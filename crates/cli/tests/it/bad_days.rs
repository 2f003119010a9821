//! Bad input and bad stores: a clear error, the right code, nothing lost.

use std::path::{Path, PathBuf};
use std::process::Command;

use tintype_testkit::keeper::Keeper;

use crate::support::{Lab, Ran, is_root, noise};

#[test]
fn not_a_repository_and_not_one_of_this_version() {
    let lab = Lab::new();
    lab.run(&["list"]).expect(1);
    std::fs::create_dir(lab.path("repository")).unwrap();
    let empty = lab.run(&["list"]).expect(1);
    assert!(empty.err.contains("tintype repo init"), "{}", empty.err);
    lab.run(&["init", "--no-probe"]).expect(0);
    lab.run(&["init", "--no-probe"]).expect(5);
    let config = String::from_utf8(lab.read("repository/config")).unwrap();
    assert!(config.contains("\"version\":1"), "{config}");
    lab.write("repository/config", config.replace("\"version\":1", "\"version\":2"));
    let newer = lab.run(&["list"]).expect(1);
    assert!(newer.err.contains("version 2") && newer.err.contains("newer"), "{}", newer.err);
    let flagged = config.replace("\"read\":[]", "\"read\":[\"parity\"]");
    lab.write("repository/config", &flagged);
    lab.write("repository/config-copy", flagged);
    assert_ne!(lab.run(&["list"]).code, 0);
    lab.write("repository/config-copy", &config);
    lab.write("repository/config", &config[..40]);
    lab.run(&["list"]).expect(0);
    lab.run(&["init", "--no-probe"]).expect(5);
    lab.write("repository/config-copy", &config[..40]);
    lab.run(&["list"]).expect(4);
    lab.write("repository/config-copy", &config);
    let missing = lab.run(&["verify"]).expect(4);
    assert!(missing.out.contains("DAMAGED  config:"), "{}", missing.out);
    lab.run(&["verify", "--repair-index"]).expect(0);
    assert_eq!(lab.read("repository/config"), config.as_bytes());
    lab.run(&["list"]).expect(0);
}

#[test]
fn init_does_not_take_a_place_that_holds_something() {
    let lab = Lab::new();
    lab.write("repository/photo.jpg", "x");
    let refused = lab.run(&["init", "--no-probe"]).expect(5);
    assert!(refused.err.contains("not empty"), "{}", refused.err);
}

#[test]
fn what_cannot_be_read_is_named() {
    let lab = Lab::ready();
    lab.write("source/good", "good");
    lab.write("source/secret", "secret");
    std::fs::set_permissions(
        lab.path("source/secret"),
        std::os::unix::fs::PermissionsExt::from_mode(0o000),
    )
    .unwrap();
    let source = lab.text("source");
    let ran = as_nobody(&lab, &["snapshot", &source, "--json"]).expect(3);
    let problem = ran.events().into_iter().find(|e| e["event"] == "problem").unwrap();
    assert!(problem["path"].as_str().unwrap().ends_with("source/secret"), "{problem}");
    assert_eq!(problem["kind"], "unreadable");
    assert_eq!(ran.summary()["problems"], 1);
    let listed = lab.run(&["list"]).expect(0).out;
    assert!(listed.contains("incomplete"), "{listed}");
    lab.run(&["snapshot", &lab.text("nowhere")]).expect(1);
    assert!(
        Ran::of(&lab.command(&["snapshot", &source, &lab.text("nowhere")]).output().unwrap()).code
            == 3
    );
}

/// Runs the program as somebody without rights, also when the tests run as root.
pub(crate) fn as_nobody(lab: &Lab, args: &[&str]) -> Ran {
    if !is_root() {
        return lab.run(args);
    }
    give(lab, "65534:65534");
    let ran = in_the_hands_of_nobody(lab, args);
    give(lab, "0:0");
    ran
}

/// The same in a lab that was given to nobody already.
pub(crate) fn in_the_hands_of_nobody(lab: &Lab, args: &[&str]) -> Ran {
    if !is_root() {
        return lab.run(args);
    }
    let program = lab.path("tintype");
    std::fs::copy(env!("CARGO_BIN_EXE_tintype"), &program).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(program);
    command.arg("repo").args(args);
    lab.prepare(&mut command);
    Ran::of(&command.output().unwrap())
}

pub(crate) fn give(lab: &Lab, owner: &str) {
    if is_root() {
        let given = Command::new("chown").args(["-R", owner]).arg(lab.path("")).status();
        assert!(given.unwrap().success());
    }
}

/// Who owns a repository is not locked out of it by what root stores there.
#[test]
fn what_root_stores_belongs_to_the_owner_of_the_repository() {
    let lab = Lab::new();
    std::fs::create_dir(lab.path("repository")).unwrap();
    give(&lab, "65534:65534");
    lab.run(&["init", "--no-probe"]).expect(0);
    lab.write("source/file", "kept");
    lab.snapshot(&[&lab.text("source")]);
    lab.run(&["gc"]).expect(0);
    if is_root() {
        let mut find = Command::new("find");
        let found = find.arg(lab.path("repository")).args(["!", "-user", "65534"]).output();
        assert_eq!(String::from_utf8_lossy(&found.unwrap().stdout), "");
    }
    std::fs::remove_dir_all(lab.path("cache")).unwrap();
    in_the_hands_of_nobody(&lab, &["verify", "--all"]).expect(0);
}

/// Something mounted, gone with the value.
pub(crate) struct Mount(PathBuf, #[expect(dead_code, reason = "dropped with it")] Keeper);

fn may_mount() -> bool {
    assert!(is_root() || std::env::var_os("CI").is_none(), "mounting needs root");
    if !is_root() {
        eprintln!("not run: mounting needs root");
    }
    is_root()
}

impl Mount {
    /// A small file system in memory. `None` without root, which continuous integration has.
    pub(crate) fn new(at: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let options = format!("size={size}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at);
        if !may_mount() {
            return None;
        }
        assert!(mount.status().unwrap().success(), "tmpfs is mounted at {}", at.display());
        Some(Self::at(at))
    }

    /// A directory at a second place.
    pub(crate) fn bind(from: &Path, at: &Path) -> Option<Self> {
        if !may_mount() {
            return None;
        }
        std::fs::create_dir_all(at).unwrap();
        let bound = Command::new("mount").arg("--bind").args([from, at]).status();
        assert!(bound.unwrap().success(), "{} is bound to {}", from.display(), at.display());
        Some(Self::at(at))
    }

    /// A new file system in which upper and lower case are the same.
    pub(crate) fn folding(image: &Path, at: &Path) -> Option<Self> {
        if !may_mount() {
            return None;
        }
        std::fs::create_dir_all(at).unwrap();
        std::fs::File::create(image).unwrap().set_len(16 << 20).unwrap();
        let done = |program: &str, args: &[&str]| {
            let output = Command::new(program).args(args).output();
            let output = output.unwrap_or_else(|e| panic!("{program} must be installed: {e}"));
            assert!(output.status.success(), "{program}: {output:?}");
        };
        let (image, place) = (image.to_str().unwrap(), at.to_str().unwrap());
        done("mkntfs", &["--quick", "--force", "--quiet", image]);
        done("lowntfs-3g", &["-o", "ignore_case", image, place]);
        Some(Self::at(at))
    }

    fn at(at: &Path) -> Self {
        Self(at.to_path_buf(), Keeper::new("umount -l \"$1\"", &[at.as_os_str()]))
    }

    pub(crate) fn remount(&self, options: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{options}")]).arg(&self.0);
        assert!(mount.status().unwrap().success());
    }
}

#[test]
fn a_full_store_loses_nothing() {
    let lab = Lab::new();
    let Some(mount) = Mount::new(&lab.path("store"), "24m") else { return };
    let repository = lab.text("store/repository");
    let on = |args: &[&str]| lab.run(&[args, &["-r", &repository]].concat());
    on(&["init", "--no-probe"]).expect(0);
    lab.write("source/first", noise(4 << 20, "first"));
    on(&["snapshot", &lab.text("source")]).expect(0);
    lab.write("source/second", noise(40 << 20, "second"));
    let full = on(&["snapshot", &lab.text("source")]).expect(1);
    assert!(full.err.contains("hint: make room"), "{}", full.err);
    assert_eq!(on(&["list", "--json"]).expect(0).summary()["snapshots"], 1);
    on(&["restore", "latest", "--to", &lab.text("out")]).expect(0);
    assert!(lab.read("out/source/first") == noise(4 << 20, "first"));
    mount.remount("size=200m");
    on(&["snapshot", &lab.text("source")]).expect(0);
    on(&["verify", "--all"]).expect(0);
}

/// The way out of a full store is to delete, and that must not need room which is not there.
#[test]
fn a_full_store_can_be_freed() {
    let lab = Lab::new();
    let Some(_mount) = Mount::new(&lab.path("store"), "64m") else { return };
    let repository = lab.text("store/repository");
    let on = |args: &[&str]| lab.run(&[args, &["-r", &repository]].concat());
    on(&["init", "--no-probe"]).expect(0);
    for (name, mebibytes) in [("first", 20), ("second", 4)] {
        lab.write("source/file", noise(mebibytes << 20, name));
        on(&["snapshot", &lab.text("source")]).expect(0);
    }
    let mut filler = std::fs::File::create(lab.path("store/filler")).unwrap();
    while std::io::Write::write(&mut filler, &[1; 4096]).is_ok() {}
    on(&["snapshot", &lab.text("source")]).expect(1);
    on(&["delete", "latest~1", "--yes"]).expect(0);
    on(&["gc"]).expect(0);
    on(&["verify", "--all"]).expect(0);
    on(&["snapshot", &lab.text("source")]).expect(0);
    while std::io::Write::write(&mut filler, &[1; 4096]).is_ok() {}
    on(&["prune", "--keep-last", "1", "--gc", "--yes"]).expect(0);
    assert_eq!(on(&["list", "--json"]).expect(0).summary()["snapshots"], 1);
    on(&["verify", "--all"]).expect(0);
}

#[test]
fn a_read_only_store_can_be_restored_from() {
    let lab = Lab::new();
    let Some(mount) = Mount::new(&lab.path("store"), "64m") else { return };
    let repository = lab.text("store/repository");
    let on = |args: &[&str]| lab.run(&[args, &["-r", &repository]].concat());
    on(&["init", "--no-probe"]).expect(0);
    lab.write("source/file", noise(1 << 20, "file"));
    on(&["snapshot", &lab.text("source")]).expect(0);
    mount.remount("ro");
    let refused = on(&["snapshot", &lab.text("source")]).expect(1);
    assert!(refused.err.contains("hint: "), "{}", refused.err);
    on(&["list"]).expect(0);
    on(&["cat", &format!("latest:{}", lab.tree("source/file"))]).expect(0);
    on(&["restore", "latest", "--to", &lab.text("out"), "--verify"]).expect(0);
    on(&["verify", "--all"]).expect(0);
    on(&["diff", "latest", "latest"]).expect(0);
    assert!(lab.read("out/source/file") == noise(1 << 20, "file"));
}

#[test]
fn two_writers_and_a_gc_at_once() {
    let lab = Lab::ready();
    for round in 0..3 {
        for writer in ["one", "two"] {
            let name = format!("{writer}/file-{round}");
            lab.write(&name, noise(1 << 20, &name));
            lab.write(&format!("{writer}/common"), noise(1 << 20, &format!("common {round}")));
        }
        let [one, two] = ["one", "two"].map(|writer| lab.start(&["snapshot", &lab.text(writer)]));
        let gc = lab.start(&["gc", "--wait", "60s"]);
        for child in [one, two] {
            Ran::of(&child.wait_with_output().unwrap()).expect(0);
        }
        Ran::of(&gc.wait_with_output().unwrap()).expect(0);
        lab.run(&["prune", "--keep-last", "1"]).expect(0);
    }
    lab.run(&["gc"]).expect(0);
    lab.assert_whole();
    assert_eq!(lab.ids().len(), 2);
    for (number, writer) in ["one", "two"].iter().enumerate() {
        let out = format!("out-{number}");
        let snapshots =
            lab.run(&["list", "--json", "--path", &lab.text(writer)]).expect(0).events();
        let id = snapshots[0]["id"].as_str().unwrap();
        lab.run(&["restore", id, "--to", &lab.text(&out)]).expect(0);
        assert!(lab.read(&format!("{out}/{writer}/common")) == noise(1 << 20, "common 2"));
    }
}

#[test]
fn what_is_mounted_in_a_target_is_never_deleted() {
    let lab = Lab::ready();
    lab.write("source/file", "x");
    lab.snapshot(&[&lab.text("source")]);
    let Some(_mount) = Mount::new(&lab.path("source/extra/mounted"), "1m") else { return };
    lab.write("source/extra/mounted/precious", "untouched");
    lab.write("source/extra/plain", "x");
    let ran = lab.run(&["restore", "latest", "--in-place", "--delete-extra", "--yes"]).expect(3);
    assert!(ran.err.contains("something is mounted there"), "{}", ran.err);
    assert!(!ran.err.contains("not restored"), "{}", ran.err);
    assert_eq!(lab.read("source/extra/mounted/precious"), b"untouched");
    assert!(!lab.path("source/extra/plain").exists());
}

#[test]
fn a_repository_that_is_removed_while_it_is_written() {
    let lab = Lab::ready();
    lab.write("source/file", noise(100 << 20, "removed"));
    let child = lab.start(&["snapshot", &lab.text("source"), "--limit-upload", "16MiB/s"]);
    while !lab.path("repository/data").exists() {
        std::thread::yield_now();
    }
    std::fs::rename(lab.path("repository"), lab.path("elsewhere")).unwrap();
    // New objects may still be put where the directory is now, so perhaps more than once.
    while std::fs::remove_dir_all(lab.path("elsewhere")).is_err() {}
    let gone = Ran::of(&child.wait_with_output().unwrap()).expect(1);
    assert!(gone.err.contains("repository is gone (unmounted?)"), "{}", gone.err);
    assert!(!gone.err.contains("panicked") && !lab.path("repository").exists(), "{}", gone.err);
}
