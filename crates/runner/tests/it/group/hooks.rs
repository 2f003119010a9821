//! Hooks: which run when, and what becomes of those that fail.

use std::collections::BTreeMap;

use tintype_engine::cancel::Cancel;
use tintype_engine::env::Env;
use tintype_model::item::{HookRun, Outcome};
use tintype_model::resource::{Hook, HookPlace, OnError, Phase, Resource};
use tintype_source::connector::Connector;

use super::played::{application, resource};
use super::{Stage, outcomes, take_of};

fn hook(phase: Phase, command: &[&str], on_error: OnError) -> Hook {
    Hook {
        phase,
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        place: HookPlace::Host,
        timeout_seconds: 1,
        on_error,
    }
}

/// One at each phase of a snapshot that notes itself in a file.
fn noted(stage: &Stage, name: &str) -> Vec<Hook> {
    let line = format!("echo {name} $TINTYPE_PHASE >> {}", stage.lab.path("noted").display());
    let phases = [Phase::PreQuiesce, Phase::PostThaw, Phase::PostRun];
    phases.map(|phase| hook(phase, &["sh", "-c", &line], OnError::Fail)).into()
}

fn with_hooks(of: Resource, hooks: Vec<Hook>) -> Resource {
    Resource { hooks, ..of }
}

fn notes(stage: &Stage) -> Vec<String> {
    let text = std::fs::read_to_string(stage.lab.path("noted")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn hooks_run_at_their_phases() {
    let stage = Stage::new();
    let words = ["sh", "-c", "echo $TINTYPE_RESOURCE $TINTYPE_PHASE"];
    let told = hook(Phase::PreQuiesce, &words, OnError::Fail);
    let late = hook(Phase::PostRun, &["sleep", "100"], OnError::Continue);
    let bad = hook(Phase::PreQuiesce, &["sh", "-c", "echo no; exit 3"], OnError::Fail);
    let gone = hook(Phase::PreQuiesce, &["/nowhere/to/be/found"], OnError::Continue);
    let good = with_hooks(resource("good", ""), vec![told, late]);
    let bad = with_hooks(resource("bad", ""), vec![bad]);
    let gone = with_hooks(resource("gone", ""), vec![gone]);
    let taken = stage.take(vec![good, bad, gone]);
    let hooks = |name: &str| taken.descriptor.item(name).unwrap().hooks.clone();
    let good = hooks("good");
    assert_eq!(good[0].output, "good pre-quiesce\n");
    assert!(good[1].failure.as_ref().unwrap().contains("within 1 s"), "{good:?}");
    let bad = hooks("bad");
    assert_eq!((bad[0].exit, &bad[0].output[..]), (Some(3), "no\n"));
    assert!(hooks("gone")[0].failure.as_ref().unwrap().contains("cannot be started"));
    let expected =
        [("bad", Outcome::Failed), ("gone", Outcome::Captured), ("good", Outcome::Captured)];
    assert_eq!(outcomes(&taken), BTreeMap::from(expected));
    assert!(!stage.taken_log().contains(&"freeze bad".to_owned()), "nothing was held up");
}

/// Those of an application enclose those of its members, and each runs once.
#[test]
fn hooks_of_an_application_run_once_around_those_of_its_members() {
    let stage = Stage::new();
    let resources = vec![
        with_hooks(resource("a", ""), noted(&stage, "a")),
        with_hooks(resource("b", ""), noted(&stage, "b")),
        with_hooks(application("app", &["a", "b"]), noted(&stage, "app")),
    ];
    let taken = stage.take(resources);
    assert!(taken.outcome.manifest.complete);
    let expected = [
        "app pre-quiesce",
        "a pre-quiesce",
        "b pre-quiesce",
        "a post-thaw",
        "b post-thaw",
        "app post-thaw",
        "a post-run",
        "b post-run",
        "app post-run",
    ];
    assert_eq!(notes(&stage), expected);
    let phases = |runs: &[HookRun]| runs.iter().map(|run| run.phase).collect::<Vec<_>>();
    let all = [Phase::PreQuiesce, Phase::PostThaw, Phase::PostRun];
    assert_eq!(phases(&taken.descriptor.applications[0].hooks), all);
    assert_eq!(phases(&taken.descriptor.item("b").unwrap().hooks), all);
}

/// What a hook stopped another one starts again, whatever happened in between.
#[test]
fn what_was_stopped_is_started_again_if_the_freeze_fails() {
    for fails in ["freeze", "thaw", "view", "stream"] {
        let stage = Stage::new();
        let bad = resource("bad", &format!("fails-{fails}"));
        let resources = vec![
            with_hooks(bad, noted(&stage, "bad")),
            with_hooks(application("app", &["bad"]), noted(&stage, "app")),
        ];
        let taken = stage.take(resources);
        assert_eq!(taken.descriptor.item("bad").unwrap().outcome, Outcome::Failed);
        let pairs = ["bad post-thaw", "app post-thaw", "bad post-run", "app post-run"];
        assert_eq!(notes(&stage)[2..], pairs, "{fails}");
    }
    // What failed before was not stopped, and only hears of the end.
    let stage = Stage::new();
    let bad = with_hooks(resource("bad", "fails-prepare"), noted(&stage, "bad"));
    stage.take(vec![bad]);
    assert_eq!(notes(&stage), ["bad post-run"]);
}

#[test]
fn a_failed_hook_of_an_application_fails_all_its_members() {
    let stage = Stage::new();
    let bad = hook(Phase::PreQuiesce, &["false"], OnError::Fail);
    let resources = vec![
        resource("a", ""),
        resource("b", ""),
        resource("c", ""),
        with_hooks(application("app", &["a", "b"]), vec![bad]),
    ];
    let taken = stage.take(resources);
    let (failed, captured) = (Outcome::Failed, Outcome::Captured);
    let expected = [("a", failed), ("b", failed), ("c", captured)];
    assert_eq!(outcomes(&taken), BTreeMap::from(expected));
    assert!(!stage.taken_log().iter().any(|line| line == "freeze a" || line == "freeze b"));
}

#[test]
fn a_run_that_is_cancelled_starts_again_what_it_stopped() {
    let stage = Stage::new();
    let cancel = Cancel::default();
    // Notices that it is cancelled while the hook of the second is waited for.
    let flag = stage.lab.path("stopped");
    let line = format!("touch {}; sleep 100", flag.display());
    let slow = Hook {
        timeout_seconds: 60,
        ..hook(Phase::PreQuiesce, &["sh", "-c", &line], OnError::Fail)
    };
    let resources = vec![
        with_hooks(resource("a", ""), noted(&stage, "a")),
        with_hooks(resource("b", ""), vec![slow]),
        with_hooks(application("app", &["a", "b"]), noted(&stage, "app")),
    ];
    let run = || {
        let played: [Box<dyn Connector>; 1] = [Box::new(stage.played())];
        let error = take_of(&stage, &played, resources, &[], None, &cancel);
        assert!(error.unwrap_err().is(tintype_model::ErrorKind::Canceled));
    };
    let stop = || {
        while !flag.exists() {
            std::thread::yield_now();
        }
        cancel.cancel();
    };
    Env::system().tasks.run(vec![Box::new(run), Box::new(stop)]);
    let expected = [
        "app pre-quiesce",
        "a pre-quiesce",
        "a post-thaw",
        "app post-thaw",
        "a post-run",
        "app post-run",
    ];
    assert_eq!(notes(&stage), expected);
}
