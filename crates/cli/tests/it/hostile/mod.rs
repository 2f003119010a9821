//! Hostile repositories: whoever holds the key wrote them. Every command that reads one ends
//! with a clear error, within its memory, and writes nothing outside its target.

mod forge;
mod protocol;
mod trees;

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::support::{Lab, Ran};

/// What a process may map for itself. `prlimit --data` makes more a failed allocation, and so
/// an abort.
const MEMORY_BYTES: u64 = 512 << 20;

/// With the recovery key: a passphrase takes 0.2 s of argon2 each time.
const SHEET: &str = "sheet";

/// `tintype repo …` within the bound.
fn bounded(lab: &Lab, args: &[&str]) -> Command {
    let mut command = Command::new("prlimit");
    command.arg(format!("--data={MEMORY_BYTES}")).arg("--");
    command.arg(env!("CARGO_BIN_EXE_tintype")).arg("repo").args(args);
    command.arg("--recovery-key-file").arg(lab.path(SHEET));
    lab.prepare(&mut command);
    command.env_remove("TINTYPE_PASSWORD");
    command
}

/// Runs it to its end. It ends by an exit code of its own, not by a panic or an
/// abort, and a failure says why.
#[track_caller]
fn run(lab: &Lab, args: &[&str]) -> Ran {
    let output = bounded(lab, args).output();
    let ran = Ran::of(&output.expect("prlimit (package util-linux) can be run"));
    assert!((0..=6).contains(&ran.code), "{args:?}: {}\n{}\n{}", ran.code, ran.out, ran.err);
    assert!(!ran.err.contains("panicked"), "{args:?}: {}", ran.err);
    assert!(ran.code == 0 || ran.out.len() + ran.err.len() > 20, "{args:?} fails without a word");
    assert!(!ran.out.contains('\x1b') && !ran.err.contains('\x1b'), "{args:?}: {}", ran.out);
    ran
}

/// A lab with a repository, and a directory `outside` that nothing may change.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.run(&["init", "--no-probe", "--recovery-key-out", &lab.text(SHEET)]).expect(0);
    lab.write("outside/precious", "untouched");
    let mode = std::fs::Permissions::from_mode(0o750);
    std::fs::set_permissions(lab.path("outside"), mode).unwrap();
    lab
}

/// What the lab holds beside repository, cache, home and the target.
#[track_caller]
fn assert_untouched(lab: &Lab) {
    let names = |below: &str| -> Vec<String> {
        let entries = std::fs::read_dir(lab.path(below)).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let ours = ["cache", "home", "outside", "repository", SHEET, "source", "target"];
    let strange: Vec<_> = names("").into_iter().filter(|n| !ours.contains(&&n[..])).collect();
    assert!(strange.is_empty(), "{strange:?}");
    assert!(names("source").is_empty());
    assert!(names("cache").iter().all(|name| name.len() == 32), "{:?}", names("cache"));
    assert_eq!(names("outside"), ["precious"]);
    assert_eq!(lab.read("outside/precious"), b"untouched");
    let mode = std::fs::metadata(lab.path("outside")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o750);
}
