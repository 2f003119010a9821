//! What goes wrong.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tintype_model::ErrorKind;
use tintype_model::resource::Resource;
use tintype_source::connector::{Connector, Released};
use tintype_source::qemu::QemuConnector;
use tintype_testkit::guest::{Guest, Options};

use super::support::{
    Taken, WITHOUT_FREEZE, bitmaps, check, context, directory, frozen, guest_writes, leftovers,
    qemu, read, resource, run, source, take,
};
use crate::conformance::cleaned;
use crate::support::{Mounted, skipped_without_root};

/// A capture that is committed, into a directory.
fn captured(resource: &Resource, mark: Option<&Value>, into: &std::path::Path) -> Taken {
    let run = run();
    let mut source = source(resource, &run.context);
    take(&mut *source, mark, into, Released::Committed).unwrap()
}

#[test]
fn a_process_killed_in_the_window_leaves_nothing_for_long() {
    let mut guest = Guest::boot(&Options::default());
    let resource = qemu(&guest);
    let (_own, into) = directory();
    let mark = captured(&resource, None, &into).mark;
    guest.shell("dd if=/dev/urandom of=/data/a bs=1M count=3 conv=fsync");
    let dead = run();
    let mut killed = source(&resource, &dead.context);
    killed.plan().unwrap();
    killed.prepare(mark.as_ref()).unwrap();
    let guarded = killed.guarded().unwrap();
    killed.freeze().unwrap();
    // As the kernel does with the sockets of a process that is killed.
    drop(killed);
    let later = run();
    QemuConnector.thaw(&guarded.what, &later.context).unwrap();
    guest_writes(&mut guest);
    QemuConnector.thaw(&guarded.what, &later.context).expect("a second time is no error");

    let none = cleaned(&QemuConnector, &[&resource], &dead.context).unwrap();
    assert_eq!(none, Vec::<String>::new(), "what lives is left alone");
    let removed = cleaned(&QemuConnector, &[&resource], &later.context).unwrap();
    assert!(removed.len() > 4, "{removed:?}");
    assert_eq!(leftovers(&mut guest), Vec::<String>::new());
    let again = cleaned(&QemuConnector, &[&resource], &later.context).unwrap();
    assert_eq!(again, Vec::<String>::new());
    let taken = captured(&resource, mark.as_ref(), &into);
    assert!(taken.changed.values().all(Option::is_some), "{:?}", taken.facts);
    check(&into);
}

#[test]
fn a_process_killed_while_it_streams_loses_no_change() {
    let mut guest = Guest::boot(&Options::default());
    let resource = qemu(&guest);
    let (_own, into) = directory();
    let mark = captured(&resource, None, &into).mark;
    let dead = run();
    let mut killed = source(&resource, &dead.context);
    frozen(&mut *killed, mark.as_ref()).unwrap();
    let view = killed.view().unwrap();
    guest.shell("dd if=/dev/urandom of=/data/a bs=1M count=3 conv=fsync");
    drop((view, killed));
    cleaned(&QemuConnector, &[&resource], &run().context).unwrap();
    assert_eq!(leftovers(&mut guest), Vec::<String>::new());
    let taken = captured(&resource, mark.as_ref(), &into);
    assert!(taken.changed.values().all(Option::is_some), "{:?}", taken.facts);
    check(&into);
}

#[test]
fn a_guest_that_a_killed_process_stopped_goes_on() {
    let mut guest = Guest::boot(&Options::default());
    let resource = qemu(&guest);
    let dead = run();
    let mut killed = source(&resource, &dead.context);
    killed.plan().unwrap();
    killed.prepare(None).unwrap();
    let guarded = killed.guarded().unwrap();
    // Where it stands between stopping the guest and starting it.
    let sign = format!("{}-stop", dead.context.label());
    let sign = json!({ "driver": "null-co", "node-name": sign, "size": 512 });
    guest.command("blockdev-add", sign);
    guest.command("stop", Value::Null);
    drop(killed);
    QemuConnector.thaw(&guarded.what, &run().context).unwrap();
    assert_eq!(guest.command("query-status", Value::Null)["running"], true);
    guest.command("stop", Value::Null);
    cleaned(&QemuConnector, &[&resource], &run().context).unwrap();
    assert_eq!(leftovers(&mut guest), Vec::<String>::new());
    guest_writes(&mut guest);
}

/// After the plan, while it is read, or after a run died: it is not ours to start.
#[test]
fn a_guest_that_its_owner_paused_stays_so() {
    let mut guest = Guest::boot(&Options { no_agent: true, ..Options::default() });
    let resource = resource("qemu", json!({ "qmp": guest.qmp }));
    let is_paused = |guest: &mut Guest| {
        assert_eq!(guest.command("query-status", Value::Null)["running"], false);
    };
    let run = run();
    let mut source = source(&resource, &run.context);
    source.plan().unwrap();
    source.prepare(None).unwrap();
    guest.command("stop", Value::Null);
    source.freeze().unwrap();
    source.thaw().unwrap();
    is_paused(&mut guest);
    drop(source.view().unwrap());
    guest.command("cont", Value::Null);
    guest.command("stop", Value::Null);
    source.release(Released::Committed).unwrap();
    drop(source);
    is_paused(&mut guest);
    let dead = super::support::run();
    let mut killed = super::support::source(&resource, &dead.context);
    frozen(&mut *killed, None).unwrap();
    let guarded = killed.guarded();
    drop(killed);
    if let Some(guarded) = guarded {
        QemuConnector.thaw(&guarded.what, &super::support::run().context).unwrap();
    }
    cleaned(&QemuConnector, &[&resource], &super::support::run().context).unwrap();
    is_paused(&mut guest);
    guest.command("cont", Value::Null);
    assert_eq!(leftovers(&mut guest), Vec::<String>::new());
}

#[test]
fn a_step_that_fails_in_the_window_leaves_nothing_frozen() {
    let mut guest = Guest::boot(&Options::default());
    let resource = qemu(&guest);
    let run = run();
    let mut source = source(&resource, &run.context);
    source.plan().unwrap();
    source.prepare(None).unwrap();
    // The second of two.
    let filter = format!("{}-c1", run.context.label());
    guest.command("blockdev-del", json!({ "node-name": filter }));
    let error = source.freeze().unwrap_err();
    assert!(error.to_string().contains("vdb"), "{error}");
    source.thaw().unwrap();
    guest_writes(&mut guest);
    source.release(Released::Failed).unwrap();
    assert_eq!(leftovers(&mut guest), Vec::<String>::new());
}

#[test]
fn a_guest_that_dies_in_the_window_fails_alone() {
    let mut guest = Guest::boot(&Options::default());
    let resource = qemu(&guest);
    let run = run();
    let mut source = source(&resource, &run.context);
    source.plan().unwrap();
    source.prepare(None).unwrap();
    source.freeze().unwrap();
    guest.kill_process();
    source.thaw().unwrap_err();
    source.view().err().expect("there is nothing to see");
    source.release(Released::Failed).unwrap();
    assert!(std::fs::read_dir(run.scratch.path()).unwrap().next().is_none());
}

/// What is in QEMU stays there: nobody may say that it is gone.
#[test]
fn a_monitor_whose_socket_vanishes_is_not_taken_for_a_machine_that_is_gone() {
    let mut guest = Guest::boot(&Options::default());
    let resource = qemu(&guest);
    let dead = run();
    let mut held = source(&resource, &dead.context);
    held.plan().unwrap();
    held.prepare(None).unwrap();
    let guarded = held.guarded().unwrap();
    held.freeze().unwrap();
    std::fs::remove_file(&guest.qmp).unwrap();
    // A connection that is there goes on; a run that is killed loses it.
    drop(held);
    let told = |result: tintype_model::Result<()>| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains("the socket is gone, but the machine runs"), "{error}");
    };
    told(QemuConnector.thaw(&guarded.what, &run().context));
    // By its agent it was thawed all the same.
    guest_writes(&mut guest);
    told(cleaned(&QemuConnector, &[&resource], &run().context).map(drop));
    let mut by_another = resource.clone();
    by_another.at.insert("qmp".into(), json!(guest.second_qmp));
    cleaned(&QemuConnector, &[&by_another], &run().context).unwrap();
    assert_eq!(leftovers(&mut guest), Vec::<String>::new());
    guest.kill_process();
    cleaned(&QemuConnector, &[&resource], &run().context).unwrap();
    QemuConnector.thaw(&guarded.what, &run().context).unwrap();
}

/// The agent still flushes when the run gives up; it answers when everybody has waited long.
#[test]
#[ignore = "waits for an agent that hangs: 20 s"]
fn a_freeze_that_ends_late_is_thawed_late() {
    let mut guest = Guest::boot(&Options { words: "nowriter hook=1".into(), ..Options::default() });
    guest.shell("echo '[ $1 = freeze ] && sleep 22' >> /etc/qemu/fsfreeze-hook");
    let resource = qemu(&guest);
    let run = run();
    let mut source = source(&resource, &run.context);
    source.plan().unwrap();
    source.prepare(None).unwrap();
    source.freeze().unwrap_err();
    source.thaw().unwrap_err();
    assert!(source.is_held(), "nobody knows yet");
    source.release(Released::Failed).unwrap();
    assert!(!source.is_held(), "the release tried again");
    guest_writes(&mut guest);
    assert_eq!(leftovers(&mut guest), Vec::<String>::new());
}

#[test]
fn two_snapshots_of_one_machine_at_once_are_refused() {
    let mut guest = Guest::boot(&Options::default());
    let first_resource = qemu(&guest);
    let mut second_resource = first_resource.clone();
    let first = run();
    let mut one = source(&first_resource, &first.context);
    one.plan().unwrap();
    one.prepare(None).unwrap();
    let mut second = run();
    let living = [&first, &second].map(|run| run.context.session.clone());
    second.context.living = Arc::new(BTreeSet::from(living));
    let mut two = source(&second_resource, &second.context);
    let error = two.plan().unwrap_err();
    assert!(error.to_string().contains("another seems to hold"), "{error}");
    two.release(Released::Failed).unwrap();
    let top = tempfile::tempdir().unwrap();
    let mut later = context(top.path());
    later.living = Arc::clone(&second.context.living);
    later.scratch = top.path().join(later.label());
    std::fs::create_dir(top.path().join("tintype-00000000deadbeef")).unwrap();
    let error = cleaned(&QemuConnector, &[&first_resource], &later).unwrap_err();
    assert!(error.is(ErrorKind::Unavailable), "what a dead one left may be there: {error}");
    // By another monitor it sees the first at work.
    second_resource.at.insert("qmp".into(), json!(guest.second_qmp));
    second_resource.at.remove("agent");
    let mut two = source(&second_resource, &second.context);
    two.plan().unwrap();
    let error = two.prepare(None).unwrap_err();
    assert!(error.is(ErrorKind::Locked), "{error}");
    two.release(Released::Failed).unwrap();
    one.freeze().unwrap();
    one.thaw().unwrap();
    drop(one.view().unwrap());
    one.release(Released::Committed).unwrap();
    assert_eq!(leftovers(&mut guest), Vec::<String>::new());
}

#[test]
fn scratch_that_is_full_fails_the_item_and_not_the_guest() {
    if skipped_without_root("scratch_that_is_full") {
        return;
    }
    let mut guest = Guest::boot(&Options::default());
    let resource = qemu(&guest);
    guest.shell("dd if=/dev/urandom of=/data/big bs=1M count=20 conv=fsync");
    let small = tempfile::tempdir().unwrap();
    let mounted = Mounted::tmpfs(small.path(), 3);
    let context = context(small.path());
    let mut source = source(&resource, &context);
    frozen(&mut *source, None).unwrap();
    let view = source.view().unwrap();
    let said = guest.shell(
        "dd if=/dev/zero of=/data/big bs=1M count=20 conv=notrunc,fsync && echo w > /data/w && echo written",
    );
    assert_eq!(said.trim(), "written");
    let (_own, into) = directory();
    let error = read(view, &into).unwrap_err();
    assert!(error.is(ErrorKind::NoSpace), "{error}");
    source.release(Released::Failed).unwrap();
    drop(source);
    assert_eq!(leftovers(&mut guest), Vec::<String>::new());
    guest_writes(&mut guest);
    drop(mounted);
}

#[test]
fn a_record_of_changes_that_cannot_be_trusted_means_a_whole_read() {
    let mut guest = Guest::boot(&Options::default());
    let resource = qemu(&guest);
    let (_own, into) = directory();
    let mut mark = captured(&resource, None, &into).mark;
    let vdb = |name: &str| json!({ "node": "disk-vdb", "name": name });
    type Spoil = fn(&mut Guest, Value);
    let bad: [(&str, Spoil); 4] = [
        ("cleared", |guest, bitmap| drop(guest.command("block-dirty-bitmap-clear", bitmap))),
        ("removed", |guest, bitmap| drop(guest.command("block-dirty-bitmap-remove", bitmap))),
        ("switched off", |guest, bitmap| drop(guest.command("block-dirty-bitmap-disable", bitmap))),
        ("another size", |guest, _| {
            let size = json!({ "node-name": "disk-vdb", "size": 1100u64 << 20 });
            guest.command("block_resize", size);
        }),
    ];
    for (what, spoil) in bad {
        guest.shell("dd if=/dev/urandom of=/data/a bs=1M count=3 conv=fsync");
        let name = mark.as_ref().unwrap()["bitmap"].as_str().unwrap().to_owned();
        spoil(&mut guest, vdb(&name));
        let taken = captured(&resource, mark.as_ref(), &into);
        assert!(taken.changed["disks/vda.img"].is_some(), "{what}: {:?}", taken.facts);
        assert!(taken.changed["disks/vdb.img"].is_none(), "{what}");
        let why = taken.facts["read_whole"][0].as_str().unwrap();
        assert!(why.contains("vdb"), "{what}: {why}");
        check(&into);
        mark = taken.mark;
        assert_eq!(leftovers(&mut guest), Vec::<String>::new());
    }
    let kept: BTreeSet<String> = bitmaps(&mut guest).into_iter().collect();
    assert_eq!(kept.len(), 1, "only what the last mark names: {kept:?}");
}

#[test]
fn a_record_that_was_switched_off_is_not_switched_on_by_a_capture_that_fails() {
    let mut guest = Guest::boot(&Options::default());
    let resource = qemu(&guest);
    let (_own, into) = directory();
    let mark = captured(&resource, None, &into).mark;
    let name = mark.as_ref().unwrap()["bitmap"].clone();
    guest.command("block-dirty-bitmap-disable", json!({ "node": "disk-vdb", "name": name }));
    guest.shell("dd if=/dev/urandom of=/data/a bs=1M count=3 conv=fsync");
    let failed = run();
    let mut source = source(&resource, &failed.context);
    frozen(&mut *source, mark.as_ref()).unwrap();
    drop(source.view().unwrap());
    source.release(Released::Failed).unwrap();
    drop(source);
    let taken = captured(&resource, mark.as_ref(), &into);
    assert!(taken.changed["disks/vda.img"].is_some(), "{:?}", taken.facts);
    assert!(taken.changed["disks/vdb.img"].is_none(), "what it missed is not known");
    check(&into);
}

#[test]
fn a_record_of_changes_outlives_a_restart_and_not_a_power_cut() {
    let guest = Guest::boot(&Options::default());
    let resource = qemu(&guest);
    let (_own, into) = directory();
    let mark = captured(&resource, None, &into).mark;
    let path = guest.directory.clone();
    let kept = guest.quit();
    let guest = Guest::boot_in(&path, &Options::default());
    let taken = captured(&resource, mark.as_ref(), &into);
    assert!(taken.changed.values().all(Option::is_some), "{:?}", taken.facts);
    check(&into);
    guest.kill();
    let mut guest = Guest::boot_in(&path, &Options::default());
    let taken = captured(&resource, taken.mark.as_ref(), &into);
    assert!(taken.changed.values().all(Option::is_none), "{:?}", taken.changed);
    check(&into);
    assert_eq!(leftovers(&mut guest), Vec::<String>::new());
    drop((guest, kept));
}

#[test]
fn an_agent_that_does_not_answer_costs_seconds_and_the_level() {
    let mut guest = Guest::boot(&Options::default());
    let resource = qemu(&guest);
    let run = run();
    let mut source = source(&resource, &run.context);
    assert_eq!(guest.shell(WITHOUT_FREEZE).trim(), "yes");
    // It opens its port only after it went into the background.
    let begun = run.context.clock.elapsed();
    loop {
        let plan = source.plan().unwrap();
        assert_eq!(plan.reaches, tintype_model::resource::Consistency::Crash);
        let why = plan.why_not_more.unwrap();
        if why.contains("guest-fsfreeze") {
            break;
        }
        assert!(run.context.clock.elapsed() < begun + Duration::from_secs(30), "{why}");
        run.context.clock.sleep(Duration::from_millis(100));
    }
    assert_eq!(guest.shell("kill -STOP $(cat /run/qemu-ga.pid) && echo yes").trim(), "yes");
    let begun = run.context.clock.elapsed();
    let plan = source.plan().unwrap();
    assert_eq!(plan.reaches, tintype_model::resource::Consistency::Crash);
    assert!(plan.why_not_more.unwrap().contains("does not answer"));
    assert!(run.context.clock.elapsed() < begun + Duration::from_secs(15));
    let (_own, into) = directory();
    take(&mut *source, None, &into, Released::Committed).unwrap();
    assert_eq!(leftovers(&mut guest), Vec::<String>::new());
}

#[test]
fn an_agent_that_hangs_after_the_freeze_is_thawed_when_it_answers_again() {
    let mut guest = Guest::boot(&Options::default());
    let resource = qemu(&guest);
    let run = run();
    let mut source = source(&resource, &run.context);
    source.plan().unwrap();
    source.prepare(None).unwrap();
    let guarded = source.guarded().unwrap();
    source.freeze().unwrap();
    let agent = "$(cat /run/qemu-ga.pid)";
    let script =
        format!("kill -STOP {agent} && echo yes; (sleep 3; kill -CONT {agent}) >/dev/null 2>&1 &");
    assert_eq!(guest.shell(&script).trim(), "yes");
    // The process is dead; what is left is the guard.
    drop(source);
    QemuConnector.thaw(&guarded.what, &run.context).unwrap();
    guest_writes(&mut guest);
}
