//! What runs of one host know of each other.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;
use tintype_engine::cancel::Cancel;
use tintype_model::resource::Resource;
use tintype_model::{Error, ErrorKind, Result};
use tintype_runner::group::{GroupOptions, Places, Run};
use tintype_source::connector::{Connector, Context, Discovered, Source, Target};

use super::Stage;

fn begin(stage: &Stage, options: &GroupOptions) -> Run {
    Run::begin(stage.lab.repository.env(), &Cancel::default(), options).unwrap()
}

/// What a session left that the runs of `run` know, and that is no more.
fn dead_beside(run: &Run) -> String {
    format!("{}deadbeef", &run.context().session[..8])
}

#[test]
fn living_runs_are_known_and_what_dead_ones_left_goes() {
    let stage = Stage::new();
    let (first, second) = (begin(&stage, &stage.options()), begin(&stage, &stage.options()));
    let label = first.context().label();
    assert!(!second.context().is_dead(&label), "it is at work");
    let session = dead_beside(&first);
    let dead = stage.lab.path(&format!("scratch/tintype-{session}"));
    fs::create_dir(&dead).unwrap();
    // The lock of one that was killed is free.
    fs::write(stage.lab.path(&format!("run/{session}")), "").unwrap();
    let cleaned = second.clean(&[], &[]).unwrap();
    assert_eq!(cleaned.len(), 1, "{cleaned:?}");
    assert!(cleaned[0].contains(&session) && !dead.exists());
    assert!(first.context().scratch.exists(), "that of the living stays");
    drop(first);
    assert!(second.context().is_dead(&label));
    assert!(!second.context().is_dead("tintype-photos"), "no name of ours");
}

/// Containers, other users, other programs: what is alive elsewhere is not known here.
#[test]
fn runs_with_a_directory_of_their_own_are_left_alone() {
    let stage = Stage::new();
    let ours = begin(&stage, &stage.options());
    let elsewhere = GroupOptions {
        places: Places { runtime_dir: stage.lab.path("elsewhere"), ..stage.options().places },
        ..stage.options()
    };
    let theirs = begin(&stage, &elsewhere);
    let (label, scratch) = (theirs.context().label(), theirs.context().scratch.clone());
    let dead = stage.lab.path(&format!("scratch/tintype-{}", dead_beside(&theirs)));
    fs::create_dir(&dead).unwrap();
    assert!(!ours.context().is_dead(&label));
    assert_eq!(ours.clean(&[], &[]).unwrap(), Vec::<String>::new());
    assert!(dead.exists() && scratch.exists());
    // Of those who share a directory each cleans after the others, whatever they keep themselves.
    let sharing = GroupOptions {
        places: Places { state_dir: stage.lab.path("other state"), ..elsewhere.places.clone() },
        ..stage.options()
    };
    let sharing = begin(&stage, &sharing);
    assert_ne!(sharing.context().session[..8], theirs.context().session[..8]);
    assert!(!sharing.context().is_dead(&label), "it is at work");
    assert_eq!(sharing.clean(&[], &[]).unwrap().len(), 1);
    assert!(!dead.exists() && scratch.exists());
    // On demand what is at work is told by who has its lock open.
    let all = begin(&stage, &stage.options()).of_all();
    fs::create_dir(&dead).unwrap();
    assert!(!all.context().is_dead(&label), "it is at work");
    fs::remove_dir_all(stage.lab.path("elsewhere")).unwrap();
    assert!(!all.context().is_dead(&label), "its lock was removed, and it is at work");
    assert_eq!(all.clean(&[], &[]).unwrap().len(), 1);
    assert!(!dead.exists() && scratch.exists());
    drop(theirs);
    assert!(all.context().is_dead(&label));
}

/// The directory of runs is in memory: a restart of the host empties it.
#[test]
fn what_was_left_before_a_restart_goes() {
    let stage = Stage::new();
    let before = begin(&stage, &stage.options());
    let dead = stage.lab.path(&format!("scratch/tintype-{}", dead_beside(&before)));
    fs::create_dir(&dead).unwrap();
    drop(before);
    fs::remove_dir_all(stage.lab.path("run")).unwrap();
    let after = begin(&stage, &stage.options());
    assert_eq!(after.clean(&[], &[]).unwrap().len(), 1);
    assert!(!dead.exists());
    // One that was cut short is no secret, and one without a place for it has one all the same.
    fs::write(stage.lab.path("state/sessions"), "").unwrap();
    let of_new = begin(&stage, &stage.options());
    assert_ne!(of_new.context().session[..8], after.context().session[..8]);
    assert_eq!(fs::read(stage.lab.path("state/sessions")).unwrap().len(), 32);
    fs::write(stage.lab.path("file"), "").unwrap();
    let without = GroupOptions {
        places: Places { state_dir: stage.lab.path("file/state"), ..stage.options().places },
        ..stage.options()
    };
    let number = |run: &Run| run.context().session[..8].to_owned();
    assert_eq!(number(&begin(&stage, &without)), number(&begin(&stage, &without)));
}

/// Scratch is one directory for all users, and what lives is known to each user alone.
#[test]
fn scratch_of_another_user_stays() {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "another owner needs root");
        return;
    }
    let stage = Stage::new();
    let run = begin(&stage, &stage.options());
    let number = &run.context().session[..8];
    let [of_another, ours] = ["deadbeef", "beefdead"].map(|session| {
        let dir = stage.lab.path(&format!("scratch/tintype-{number}{session}"));
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

/// One whose leftovers cannot be looked for.
struct Busy;

impl Connector for Busy {
    fn name(&self) -> &'static str {
        "busy"
    }

    fn schema(&self) -> Value {
        Value::Null
    }

    fn discover(&self, _: &Context) -> Result<Vec<Discovered>> {
        Ok(Vec::new())
    }

    fn check(&self, _: &Resource) -> Result<()> {
        Ok(())
    }

    fn source(&self, _: &Resource, _: &Context) -> Result<Box<dyn Source>> {
        Err(Error::unavailable("busy"))
    }

    fn target(&self, _: &Context) -> Result<Box<dyn Target>> {
        Err(Error::unavailable("busy"))
    }

    fn clean(&self, _: &[&Resource], _: &Context, removed: &mut Vec<String>) -> Result<()> {
        removed.push("one that went".to_owned());
        Err(Error::unavailable("another program holds it"))
    }
}

#[test]
fn what_could_not_be_cleaned_keeps_its_scratch() {
    let stage = Stage::new();
    let run = begin(&stage, &stage.options());
    let dead = stage.lab.path(&format!("scratch/tintype-{}", dead_beside(&run)));
    fs::create_dir(&dead).unwrap();
    let told = run.clean(&[Box::new(Busy)], &[]).unwrap();
    assert_eq!(told, ["one that went"], "what went is told all the same");
    assert!(dead.exists(), "something may still be written there");
    assert_eq!(run.clean(&[], &[]).unwrap().len(), 1);
    assert!(!dead.exists());
}
