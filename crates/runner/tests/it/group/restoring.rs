//! Restores of resources: every step failing or being interrupted once.

use std::collections::BTreeMap;

use tintype_engine::cancel::Cancel;
use tintype_engine::env::Env;
use tintype_model::plan::Verdict;
use tintype_model::resource::{Hook, HookPlace, OnError, Phase, Resource, Version};
use tintype_model::{Error, ErrorKind};
use tintype_runner::group::restore::{Broken, GroupPlan, Restore, Restored, Wanted};
use tintype_runner::group::{self, Run};
use tintype_runner::progress::Progress;
use tintype_source::connector::Connector;

use super::Stage;
use super::played::{Canceled, World, application, resource};

const STEPS: usize = 14;

fn stage() -> Stage {
    let stage = Stage::new();
    let resources = vec![resource("a", ""), resource("b", ""), application("app", &["b", "a"])];
    assert!(stage.take(resources).outcome.manifest.complete);
    stage.taken_log();
    *stage.world.lock().unwrap() = before();
    stage
}

fn before() -> World {
    let live = ["a", "b"].map(|name| (name.to_owned(), ("old", true)));
    World { live: BTreeMap::from(live), ..World::default() }
}

fn after() -> World {
    let live = ["a", "b"].map(|name| (name.to_owned(), ("new", true)));
    World { live: BTreeMap::from(live), ..World::default() }
}

/// Without what only steers it.
fn world(stage: &Stage) -> World {
    let World { live, aside, staged, .. } = stage.world.lock().unwrap().clone();
    World { live, aside, staged, ..World::default() }
}

fn wanted() -> Wanted {
    Wanted {
        names: vec!["app".into()],
        in_place: true,
        destinations: BTreeMap::new(),
        now_at: BTreeMap::new(),
    }
}

/// Plans, or takes the plan of an interrupted one, and applies.
fn restore(stage: &Stage, cancel: &Cancel) -> Result<Restored, Broken> {
    with_restore(stage, cancel, |restore, plan| {
        let undo_point = |replaced: &[Resource]| {
            let names: Vec<&str> = replaced.iter().map(|resource| &resource.name[..]).collect();
            assert_eq!(names, ["b", "a"]);
            stage.log.lock().unwrap().push("undo point".into());
            Ok("undo-point".into())
        };
        restore.apply(plan, Some(&undo_point))
    })
}

fn with_restore<T>(
    stage: &Stage,
    cancel: &Cancel,
    act: impl FnOnce(&Restore<'_>, GroupPlan) -> T,
) -> T {
    begun(stage, cancel, |restore| {
        let descriptor = group::descriptor(restore.repository, restore.snapshot).unwrap().unwrap();
        let plan = match restore.interrupted(&wanted()).unwrap() {
            Some(plan) => plan,
            None => restore.plan(&descriptor, &wanted()).unwrap(),
        };
        assert!(!plan.is_blocked());
        act(restore, plan)
    })
}

#[test]
fn what_a_target_runs_out_of_the_snapshot_is_told() {
    let stage = stage();
    with_restore(&stage, &Cancel::default(), |_, plan| {
        let commands = plan.commands(false);
        let told: Vec<_> = commands.iter().map(|c| (&c.when[..], c.command.join(" "))).collect();
        assert_eq!(told, [("start", "play b".to_owned()), ("start", "play a".to_owned())]);
    });
}

fn begun<T>(stage: &Stage, cancel: &Cancel, act: impl FnOnce(&Restore<'_>) -> T) -> T {
    let repository = &stage.lab.repository;
    let run = Run::begin(repository.env(), cancel, &stage.options()).unwrap();
    let connectors: Vec<Box<dyn Connector>> = vec![Box::new(stage.played())];
    let snapshot = stage.lab.latest().unwrap();
    let restore = Restore {
        repository,
        connectors: &connectors,
        snapshot: &snapshot,
        context: run.context(),
        cancel,
        progress: &Progress::default(),
        workers: 2,
        journal: stage.lab.path("journal/restore.json"),
    };
    act(&restore)
}

#[test]
fn a_restore_goes_stage_by_stage_in_the_order_of_the_application() {
    let stage = stage();
    restore(&stage, &Cancel::default()).unwrap();
    assert_eq!(world(&stage), after());
    let expected = [
        "Stage b",
        "Stage a",
        "Watch b",
        "Watch a",
        "undo point",
        "Stop a",
        "Stop b",
        "Switch b",
        "Switch a",
        "Start b",
        "Start a",
        "Health b",
        "Health a",
        "Clean b",
        "Clean a",
    ];
    assert_eq!(stage.taken_log(), expected);
    assert!(!stage.lab.path("journal/restore.json").exists());
    let record = std::fs::read(stage.lab.path("journal/restore.done")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    assert_eq!(record["plan"]["items"][0]["item"]["name"], "b", "what was planned and done stays");
    assert_eq!(record["begun"].as_array().unwrap().len(), STEPS);
}

#[test]
fn whichever_step_fails_what_was_there_runs_again() {
    // From the first clean step on there is no way back, and what is restored runs.
    for step in 1..=STEPS - 2 {
        let stage = stage();
        stage.world.lock().unwrap().fails_at = Some(step);
        let broken = restore(&stage, &Cancel::default()).unwrap_err();
        assert!(broken.error.to_string().contains("it broke"), "{}", broken.error);
        assert!(broken.is_undone && broken.left.is_empty(), "step {step}: {broken:?}");
        let is_taken = step > 4;
        assert_eq!(broken.undo_point.is_some(), is_taken, "after all that is slow");
        assert_eq!(world(&stage), before(), "step {step}");
        // Nothing stands in the way of the next.
        stage.world.lock().unwrap().fails_at = None;
        restore(&stage, &Cancel::default()).unwrap();
        assert_eq!(world(&stage), after(), "step {step}");
    }
}

#[test]
fn cleaning_that_fails_leaves_what_was_restored() {
    let stage = stage();
    stage.world.lock().unwrap().fails_at = Some(STEPS);
    let broken = restore(&stage, &Cancel::default()).unwrap_err();
    assert!(!broken.is_undone && broken.is_restored);
    assert_eq!(world(&stage).live, after().live);
    assert_eq!(broken.undo_point.as_deref(), Some("undo-point"));
    stage.world.lock().unwrap().fails_at = None;
    restore(&stage, &Cancel::default()).unwrap();
    assert_eq!(world(&stage), after());
}

#[test]
fn a_cancelled_restore_goes_on_or_back() {
    for step in 1..=STEPS {
        for goes_back in [false, true] {
            let stage = stage();
            let cancel = Cancel::default();
            let at = Some((step, Canceled(cancel.clone())));
            stage.world.lock().unwrap().cancel_at = at;
            let broken = restore(&stage, &cancel).unwrap_err();
            assert!(broken.error.is(ErrorKind::Canceled) && !broken.is_undone, "{broken:?}");
            if !goes_back {
                let restored = restore(&stage, &Cancel::default()).unwrap();
                assert_eq!(restored.resumed_steps, step, "the one in the middle too");
                let steps = stage.taken_log().into_iter().filter(|step| step != "undo point");
                assert_eq!(steps.count(), STEPS + 1, "it alone is done again");
                assert_eq!(world(&stage), after(), "step {step}");
                continue;
            }
            let left = with_restore(&stage, &Cancel::default(), |restore, _| restore.undo());
            if step <= STEPS - 2 {
                assert!(left.unwrap().left.is_empty());
                assert_eq!(world(&stage), before(), "step {step}");
            } else {
                // What was replaced is gone already: it is not taken back half.
                assert_eq!(world(&stage).live, after().live, "step {step}");
            }
        }
    }
}

/// What could not be taken back can be, once its cause is gone; until then nothing goes forward, and
/// nothing that it may need is removed.
#[test]
fn what_could_not_be_taken_back_is_tried_again() {
    let stage = stage();
    {
        let mut world = stage.world.lock().unwrap();
        (world.fails_at, world.stuck) = (Some(STEPS - 4), Some("b"));
    }
    let broken = restore(&stage, &Cancel::default()).unwrap_err();
    assert!(!broken.is_undone && !broken.is_restored, "{broken:?}");
    assert_eq!(broken.left.len(), 1, "{broken:?}");
    assert!(broken.left[0].contains("b: Switch: it is busy"), "{broken:?}");
    let held = world(&stage);
    assert_eq!((held.live["a"], held.live["b"].0), (("old", true), "new"), "all else is back");
    assert!(held.staged.contains_key("b") && held.aside.contains_key("b"));
    let undo = || {
        begun(&stage, &Cancel::default(), |restore| {
            let error = restore.interrupted(&wanted()).unwrap_err();
            assert!(error.is(ErrorKind::Locked) && error.to_string().contains("--undo"), "{error}");
            restore.undo().unwrap().left
        })
    };
    assert_eq!(undo().len(), 1, "still busy");
    stage.world.lock().unwrap().stuck = None;
    assert_eq!(undo(), Vec::<String>::new());
    assert_eq!(world(&stage), before());
    stage.world.lock().unwrap().fails_at = None;
    restore(&stage, &Cancel::default()).unwrap();
    assert_eq!(world(&stage), after());
}

#[test]
fn what_was_written_to_what_was_restored_is_told_when_it_is_taken_back() {
    let expected = [("a", "beside a"), ("b", "beside b")].map(|(a, b)| (a.into(), b.into()));
    let stage = stage();
    {
        let mut world = stage.world.lock().unwrap();
        (world.fails_at, world.is_written) = (Some(STEPS - 2), true);
    }
    let broken = restore(&stage, &Cancel::default()).unwrap_err();
    assert!(broken.is_undone, "{broken:?}");
    assert_eq!(broken.kept, expected);
    // And by somebody who comes later; one that is stuck says it the next time.
    let cancel = Cancel::default();
    {
        let mut world = stage.world.lock().unwrap();
        let at = world.steps + STEPS - 2;
        (world.fails_at, world.cancel_at) = (None, Some((at, Canceled(cancel.clone()))));
    }
    let broken = restore(&stage, &cancel).unwrap_err();
    assert!(broken.error.is(ErrorKind::Canceled) && broken.kept.is_empty(), "{broken:?}");
    let undo = || begun(&stage, &Cancel::default(), |restore| restore.undo().unwrap());
    stage.world.lock().unwrap().stuck = Some("b");
    let undone = undo();
    assert_eq!((undone.left.len(), &undone.kept[..]), (1, &expected[..1]));
    stage.world.lock().unwrap().stuck = None;
    assert_eq!(undo().kept, expected);
}

/// As at a snapshot: a script that serves both finds what it is for by its name.
#[test]
fn a_hook_of_an_application_is_told_the_application() {
    let stage = Stage::new();
    let noted = stage.lab.path("noted");
    let line = format!("echo $TINTYPE_RESOURCE $TINTYPE_PHASE >> {}", noted.display());
    let hook = |phase| Hook {
        phase,
        command: ["sh", "-c", &line].map(str::to_owned).into(),
        place: HookPlace::Host,
        timeout_seconds: 60,
        on_error: OnError::Fail,
    };
    let hooks = vec![hook(Phase::PreQuiesce), hook(Phase::PreRestore)];
    let of_application = Resource { hooks: hooks.clone(), ..application("app", &["b", "a"]) };
    let of_component = Resource { hooks, ..resource("b", "") };
    assert!(
        stage.take(vec![resource("a", ""), of_component, of_application]).outcome.manifest.complete
    );
    *stage.world.lock().unwrap() = before();
    with_restore(&stage, &Cancel::default(), |restore, plan| {
        let commands = plan.commands(false);
        let of: Vec<&str> =
            commands.iter().filter(|c| c.when == "pre-restore").map(|c| &c.of[..]).collect();
        assert_eq!(of, ["app", "b"]);
        let restored = restore.apply(plan, None).unwrap();
        let of: Vec<&str> = restored.hooks.iter().map(|(of, _)| &of[..]).collect();
        assert_eq!(of, ["app", "b"]);
    });
    let said = std::fs::read_to_string(noted).unwrap();
    let expected = ["app pre-quiesce", "b pre-quiesce", "app pre-restore", "b pre-restore"];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn what_has_ended_is_not_taken_back_and_what_helps_is_said() {
    let stage = stage();
    let undo = || begun(&stage, &Cancel::default(), |restore| restore.undo().unwrap_err());
    let error = undo();
    assert!(error.is(ErrorKind::NotFound), "{error}");
    assert!(error.message().contains("was interrupted here: there is nothing"), "{error}");
    restore(&stage, &Cancel::default()).unwrap();
    let error = undo();
    assert!(error.is(ErrorKind::NotFound), "{error}");
    for part in ["the restore of b a of snapshot", "has ended", "`tintype repo restore undo-poi"] {
        assert!(error.message().contains(part), "{error}");
    }
    assert_eq!(world(&stage), after());
}

/// Those that ended do not run again, and those that did not are not forgotten.
#[test]
fn hooks_of_an_interrupted_restore_run_once() {
    let stage = Stage::new();
    let noted = stage.lab.path("noted");
    let hook = |phase, line: &str| Hook {
        phase,
        command: ["sh", "-c", &format!("{line} >> {}", noted.display())].map(str::to_owned).into(),
        place: HookPlace::Host,
        timeout_seconds: 60,
        on_error: OnError::Fail,
    };
    let (flag, go) = (stage.lab.path("flag"), stage.lab.path("go"));
    let slow = format!(
        "echo begun >> {}; test -e {} || {{ touch {}; sleep 100; }}; echo a",
        noted.display(),
        go.display(),
        flag.display()
    );
    let with = |of: Resource, hooks: Vec<Hook>| Resource { hooks, ..of };
    let resources = vec![
        with(resource("a", ""), vec![hook(Phase::PostRestore, &slow)]),
        with(
            resource("b", ""),
            vec![hook(Phase::PreRestore, "echo before"), hook(Phase::PostRestore, "echo b")],
        ),
        application("app", &["b", "a"]),
    ];
    assert!(stage.take(resources).outcome.manifest.complete);
    *stage.world.lock().unwrap() = before();
    let cancel = Cancel::default();
    let interrupted = || {
        let broken = restore(&stage, &cancel).unwrap_err();
        assert!(broken.error.is(ErrorKind::Canceled) && broken.is_announced, "{broken:?}");
    };
    let stop = || {
        while !flag.exists() {
            std::thread::yield_now();
        }
        cancel.cancel();
    };
    Env::system().tasks.run(vec![Box::new(interrupted), Box::new(stop)]);
    let lines = || std::fs::read_to_string(&noted).unwrap();
    assert_eq!(lines(), "before\nb\nbegun\n");
    std::fs::write(&go, "").unwrap();
    let restored = restore(&stage, &Cancel::default()).unwrap();
    assert_eq!(lines(), "before\nb\nbegun\nbegun\na\n", "it was stopped in its middle");
    let of: Vec<&str> = restored.hooks.iter().map(|(of, _)| &of[..]).collect();
    assert_eq!(of, ["b", "b", "a"], "all are told");
    assert_eq!(world(&stage), after());
}

/// Of two at once one does it; of what it changes no other restore may change anything.
#[test]
fn two_restores_of_one_thing_exclude_each_other() {
    let stage = stage();
    with_restore(&stage, &Cancel::default(), |first, plan| {
        let other = |journal: &str| {
            with_restore(&stage, &Cancel::default(), |second, plan| {
                let second = Restore { journal: stage.lab.path(journal), ..copy_of(second) };
                second
                    .apply(plan, Some(&|_: &[Resource]| Err(Error::internal("never"))))
                    .unwrap_err()
            })
        };
        let undo_point = |_: &[Resource]| {
            for journal in ["journal/restore.json", "journal/other.json"] {
                let Broken { error, is_undone, .. } = other(journal);
                assert_eq!(is_undone, journal == "journal/other.json", "the first has begun");
                assert!(error.is(ErrorKind::Locked), "{journal}: {error}");
                assert!(error.to_string().contains("running at this moment"), "{error}");
            }
            let undone = with_restore(&stage, &Cancel::default(), |second, _| second.undo());
            assert!(undone.unwrap_err().is(ErrorKind::Locked));
            Ok("undo-point".into())
        };
        first.apply(plan, Some(&undo_point)).unwrap();
    });
    assert_eq!(world(&stage), after());
}

#[test]
fn what_an_interrupted_restore_changed_no_other_touches() {
    let stage = stage();
    let cancel = Cancel::default();
    stage.world.lock().unwrap().cancel_at = Some((3, Canceled(cancel.clone())));
    restore(&stage, &cancel).unwrap_err();
    stage.world.lock().unwrap().cancel_at = None;
    let beside = |names: &[&str]| {
        with_restore(&stage, &Cancel::default(), |restore, mut plan| {
            plan.items.retain(|item| names.contains(&&item.item.name[..]));
            for item in &mut plan.items {
                item.resource.at.insert("path".into(), "/another".into());
            }
            let journal = stage.lab.path("journal/other.json");
            let other = Restore { journal, ..copy_of(restore) };
            other.apply(plan, Some(&|_: &[Resource]| Ok("undo-point".into())))
        })
    };
    // Somewhere else it may go on.
    beside(&["a"]).unwrap();
    let same = with_restore(&stage, &Cancel::default(), |restore, plan| {
        let other = Restore { journal: stage.lab.path("journal/other.json"), ..copy_of(restore) };
        other.apply(plan, Some(&|_: &[Resource]| Err(Error::internal("never")))).unwrap_err().error
    });
    assert!(same.is(ErrorKind::Locked) && same.to_string().contains("interrupted"), "{same}");
}

/// However it is named: a volume by its path, a database in it by its file.
#[test]
fn what_lies_in_what_an_unfinished_restore_changes_waits_too() {
    let stage = stage();
    let volume = stage.lab.path("volume");
    std::fs::create_dir(&volume).unwrap();
    let planned = |names: &'static [&'static str], place: std::path::PathBuf| {
        move |mut plan: GroupPlan| {
            plan.items.retain(|item| names.contains(&&item.item.name[..]));
            for item in &mut plan.items {
                item.resource.at.insert("path".into(), place.to_string_lossy().into());
                item.plan.places = vec![place.clone()];
            }
            plan
        }
    };
    let cancel = Cancel::default();
    stage.world.lock().unwrap().cancel_at = Some((1, Canceled(cancel.clone())));
    with_restore(&stage, &cancel, |restore, plan| {
        restore.apply(planned(&["b"], volume.clone())(plan), None).unwrap_err();
    });
    stage.world.lock().unwrap().cancel_at = None;
    let beside = |place: std::path::PathBuf| {
        begun(&stage, &Cancel::default(), |restore| {
            let snapshot = restore.snapshot;
            let descriptor = group::descriptor(restore.repository, snapshot).unwrap().unwrap();
            let plan = planned(&["a"], place)(restore.plan(&descriptor, &wanted()).unwrap());
            let journal = stage.lab.path("journal/other.json");
            Restore { journal, ..copy_of(restore) }.apply(plan, None).map_err(|broken| broken.error)
        })
    };
    let refused = beside(volume.join("shop.db")).unwrap_err();
    assert!(refused.is(ErrorKind::Locked) && refused.to_string().contains("interrupted"));
    let above = beside(stage.lab.path("")).unwrap_err();
    assert!(above.is(ErrorKind::Locked), "{above}");
    beside(stage.lab.path("volumes")).unwrap();
}

fn copy_of<'r>(of: &Restore<'r>) -> Restore<'r> {
    let Restore { repository, connectors, snapshot, context, cancel, progress, workers, .. } = *of;
    let journal = of.journal.clone();
    Restore { repository, connectors, snapshot, context, cancel, progress, workers, journal }
}

#[test]
fn another_restore_waits_until_the_interrupted_one_is_done() {
    let stage = stage();
    let cancel = Cancel::default();
    stage.world.lock().unwrap().cancel_at = Some((3, Canceled(cancel.clone())));
    restore(&stage, &cancel).unwrap_err();
    let other = with_restore(&stage, &Cancel::default(), |restore, mut plan| {
        plan.wanted.in_place = false;
        restore.apply(plan, Some(&|_: &[Resource]| Err(Error::internal("never"))))
    });
    let broken = other.unwrap_err();
    assert!(broken.error.to_string().contains("--undo"), "{}", broken.error);
}

/// A text stands in the description, so that the newest snapshot knows what is there.
#[test]
fn a_plan_tells_from_which_version_to_which() {
    let stage = Stage::new();
    let taken = |version: &str| {
        let mut app = application("app", &["a"]);
        app.version = Some(Version::Text(version.into()));
        stage.take(vec![resource("a", ""), app]);
        stage.lab.latest().unwrap()
    };
    let [old, _] = ["1.0", "2.0"].map(taken);
    let repository = &stage.lab.repository;
    let cancel = Cancel::default();
    let plan = begun(&stage, &cancel, |restore| {
        let restore = Restore { snapshot: &old, ..copy_of(restore) };
        let descriptor = group::descriptor(repository, &old).unwrap().unwrap();
        restore.plan(&descriptor, &wanted()).unwrap()
    });
    let change = &plan.applications[0];
    let found = (change.from.as_deref(), change.to.as_deref());
    assert_eq!(found, (Some("2.0"), Some("1.0")));
}

/// Each alone would fit.
#[test]
fn what_is_restored_together_must_fit_together() {
    let stage = Stage::new();
    let found = rustix::fs::statvfs(stage.lab.path("").as_path()).unwrap();
    let free = found.f_bavail * found.f_frsize;
    let blocked = |bytes: u64| {
        let needs = format!("needs {bytes} {}", stage.lab.path("").display());
        let both = ["a", "b"].map(|name| resource(name, &needs));
        stage.take(vec![both[0].clone(), both[1].clone(), application("app", &["a", "b"])]);
        let cancel = Cancel::default();
        begun(&stage, &cancel, |restore| {
            let descriptor =
                group::descriptor(restore.repository, restore.snapshot).unwrap().unwrap();
            let plan = restore.plan(&descriptor, &wanted()).unwrap();
            let block = plan.checks().find(|(_, check)| check.outcome == Verdict::Block);
            block.map(|(_, check)| check.message.clone())
        })
    };
    assert_eq!(blocked(1), None);
    let message = blocked(free / 10 * 6).unwrap();
    assert!(message.starts_with("all that is restored together"), "{message}");
}

#[test]
fn what_was_not_captured_is_missing_and_not_restored() {
    let stage = Stage::new();
    let resources =
        vec![resource("a", "fails-stream"), resource("b", ""), application("app", &["a", "b"])];
    stage.take(resources);
    *stage.world.lock().unwrap() = before();
    with_restore(&stage, &Cancel::default(), |_, plan| {
        assert_eq!(plan.items.len(), 1);
        assert_eq!(plan.missing[0].0, "a");
        assert!(plan.missing[0].1.contains("cut"), "{:?}", plan.missing);
    });
}
