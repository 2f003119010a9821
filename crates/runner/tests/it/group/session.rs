//! What runs of one host know of each other.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tintype_engine::cancel::Cancel;
use tintype_model::ErrorKind;
use tintype_runner::group::Run;

use super::Stage;

#[test]
fn living_runs_are_known_and_what_dead_ones_left_goes() {
    let stage = Stage::new();
    let begin = || Run::begin(stage.lab.repository.env(), &Cancel::default(), &stage.options());
    let (first, second) = (begin().unwrap(), begin().unwrap());
    let label = first.context().label();
    assert!(!second.context().is_dead(&label), "it is at work");
    let dead = stage.lab.path("scratch/tintype-00000000deadbeef");
    fs::create_dir(&dead).unwrap();
    // The lock of one that was killed is free.
    fs::write(stage.lab.path("run/00000000deadbeef"), "").unwrap();
    let cleaned = second.clean(&[], &[]).unwrap();
    assert_eq!(cleaned.len(), 1, "{cleaned:?}");
    assert!(cleaned[0].contains("00000000deadbeef") && !dead.exists());
    assert!(first.context().scratch.exists(), "that of the living stays");
    drop(first);
    assert!(second.context().is_dead(&label));
    assert!(!second.context().is_dead("tintype-photos"), "no name of ours");
}

/// Scratch is one directory for all users, and what lives is known to each user alone.
#[test]
fn scratch_of_another_user_stays() {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "another owner needs root");
        return;
    }
    let stage = Stage::new();
    let run = Run::begin(stage.lab.repository.env(), &Cancel::default(), &stage.options()).unwrap();
    let [of_another, ours] = ["00000000deadbeef", "00000000beefdead"].map(|session| {
        let dir = stage.lab.path(&format!("scratch/tintype-{session}"));
        fs::create_dir(&dir).unwrap();
        dir
    });
    std::os::unix::fs::chown(&of_another, Some(65534), Some(65534)).unwrap();
    let cleaned = run.clean(&[], &[]).unwrap();
    assert_eq!(cleaned.len(), 1, "{cleaned:?}");
    assert!(of_another.exists() && !ours.exists());
}

#[test]
fn a_directory_that_others_may_write_to_is_not_believed() {
    let stage = Stage::new();
    let run = stage.lab.path("run");
    fs::create_dir(&run).unwrap();
    fs::set_permissions(&run, fs::Permissions::from_mode(0o777)).unwrap();
    let begun = Run::begin(stage.lab.repository.env(), &Cancel::default(), &stage.options());
    let error = begun.err().unwrap();
    assert!(error.is(ErrorKind::Denied) && error.to_string().contains("0700"), "{error}");
}
