//! Captures that go well.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tintype_model::ErrorKind;
use tintype_model::resource::{Consistency, Hook, HookPlace, OnError, Phase};
use tintype_source::connector::{Connector, Context, Released};
use tintype_source::qemu::QemuConnector;
use tintype_testkit::guest::{Guest, Options};

use super::support::{
    bitmaps, check, directory, frozen, guest_writes, in_image, leftovers, qemu, read, resource,
    run, source, take,
};

#[test]
fn a_second_capture_reads_what_changed_and_both_are_whole() {
    let mut guest = Guest::boot(&Options::default());
    let resource = qemu(&guest);
    let (_own, into) = directory();
    let mut mark: Option<Value> = None;
    let mut last = 0;
    let work = [
        "true",
        "sleep 1",
        "dd if=/dev/urandom of=/data/rnd bs=4k count=10 conv=fsync",
        "dd if=/dev/urandom of=/data/big bs=1M count=20 conv=fsync",
    ];
    for (round, script) in work.into_iter().enumerate() {
        guest.shell(script);
        let before = guest.sequence();
        let run = run();
        let mut source = source(&resource, &run.context);
        let taken = take(&mut *source, mark.as_ref(), &into, Released::Committed).unwrap();
        drop(source);
        assert_eq!(taken.consistency, Consistency::Filesystem, "{:?}", taken.why_not_more);
        let count = check(&into);
        assert!(count >= before && count >= last, "round {round}: {count} after {before}");
        last = count;
        for (disk, bytes) in &taken.changed {
            assert_eq!(bytes.is_some(), round > 0, "round {round}: {disk}: {:?}", taken.facts);
            let most = if round == 3 { 30 << 20 } else { 8 << 20 };
            assert!(bytes.is_none_or(|bytes| bytes < most), "round {round}: {disk} {bytes:?}");
        }
        println!("round {round}: window {} changed {:?}", taken.facts["window"], taken.changed);
        mark = taken.mark;
        assert_eq!(leftovers(&mut guest), Vec::<String>::new());
        assert!(std::fs::read_dir(run.scratch.path()).unwrap().next().is_none());
        guest_writes(&mut guest);
    }
}

/// Into two repositories, say, which know nothing of each other.
#[test]
fn two_series_of_snapshots_leave_each_other_alone() {
    let mut guest = Guest::boot(&Options::default());
    let resource = qemu(&guest);
    let own = [directory(), directory()];
    let mut marks: [Option<Value>; 2] = [None, None];
    for round in 0..3 {
        for ((_, into), mark) in own.iter().zip(&mut marks) {
            guest.shell("dd if=/dev/urandom of=/data/rnd bs=4k count=10 conv=fsync");
            let run = run();
            let mut source = source(&resource, &run.context);
            let taken = take(&mut *source, mark.as_ref(), into, Released::Committed).unwrap();
            for (disk, bytes) in &taken.changed {
                assert_eq!(bytes.is_some(), round > 0, "round {round}: {disk}: {:?}", taken.facts);
            }
            *mark = taken.mark;
            check(into);
        }
    }
    let kept: BTreeSet<String> = bitmaps(&mut guest).into_iter().collect();
    assert_eq!(kept.len(), 2, "one of each: {kept:?}");
}

#[test]
fn what_the_guest_overwrites_while_it_is_read_is_as_it_was() {
    let mut guest = Guest::boot(&Options::default());
    let resource = qemu(&guest);
    guest.shell("dd if=/dev/urandom of=/data/big bs=1M count=20 conv=fsync");
    let run = run();
    let mut source = source(&resource, &run.context);
    frozen(&mut *source, None).unwrap();
    let view = source.view().unwrap();
    guest.shell(
        "dd if=/dev/zero of=/data/big bs=1M count=20 conv=notrunc,fsync; rm -r /data/dir; sync",
    );
    let (_own, into) = directory();
    let taken = read(view, &into).unwrap();
    source.release(Released::Committed).unwrap();
    check(&into);
    let numbers = in_image(&into.join("disks/vdb.img"), "/dir/sub/numbers.txt");
    assert_eq!(numbers.lines().count(), 20_000);
    let definition: Value = serde_json::from_slice(&taken.objects["definition.json"]).unwrap();
    assert!(definition["command"][0].as_str().unwrap().ends_with("qemu-system-x86_64"));
    assert!(!definition.to_string().contains(&run.context.label()), "{definition}");
    assert_eq!(leftovers(&mut guest), Vec::<String>::new());
}

#[test]
fn without_an_agent_it_is_a_moment_of_all_disks_and_says_so() {
    let options = Options { no_agent: true, ..Options::default() };
    let mut guest = Guest::boot(&options);
    let resource = resource("qemu", json!({ "qmp": guest.qmp }));
    let run = run();
    let mut source = source(&resource, &run.context);
    let (_own, into) = directory();
    let taken = take(&mut *source, None, &into, Released::Committed).unwrap();
    assert_eq!(taken.consistency, Consistency::Crash);
    assert!(taken.why_not_more.unwrap().contains("guest agent"));
    println!("window without an agent: {}", taken.facts["window"]);
    assert_eq!(leftovers(&mut guest), Vec::<String>::new());
    guest_writes(&mut guest);
}

#[test]
fn a_capture_that_fails_loses_no_change() {
    let mut guest = Guest::boot(&Options::default());
    let resource = qemu(&guest);
    let (_own, into) = directory();
    let first = run();
    let mut taken_first = source(&resource, &first.context);
    let mark = take(&mut *taken_first, None, &into, Released::Committed).unwrap().mark;
    drop(taken_first);
    guest.shell("dd if=/dev/urandom of=/data/a bs=1M count=3 conv=fsync");
    let (_elsewhere, other) = directory();
    let second = run();
    let mut failed = source(&resource, &second.context);
    std::fs::create_dir(other.join("disks")).unwrap();
    frozen(&mut *failed, mark.as_ref()).unwrap();
    drop(failed.view().unwrap());
    guest.shell("dd if=/dev/urandom of=/data/b bs=1M count=3 conv=fsync");
    failed.release(Released::Failed).unwrap();
    drop(failed);
    assert_eq!(leftovers(&mut guest), Vec::<String>::new());
    guest.shell("dd if=/dev/urandom of=/data/c bs=1M count=3 conv=fsync");
    let third = run();
    let mut source = source(&resource, &third.context);
    let taken = take(&mut *source, mark.as_ref(), &into, Released::Committed).unwrap();
    assert!(taken.changed.values().all(Option::is_some), "{:?}", taken.facts);
    check(&into);
}

#[test]
fn discovery_finds_it_and_a_hook_runs_in_it() {
    let arguments = ["-name".to_owned(), "discovered".to_owned()].to_vec();
    let guest = Guest::boot(&Options { arguments, ..Options::default() });
    let run = run();
    let found = QemuConnector.discover(&run.context).unwrap();
    let found = found.iter().find(|found| found.resource.at["qmp"] == json!(guest.qmp)).unwrap();
    assert_eq!(found.resource.name, "discovered");
    assert_eq!(found.reaches, Consistency::Filesystem);
    assert_eq!(found.resource.at["disks"]["vdb"]["format"], "qcow2");
    // Without quiesce nothing in it is held still, and that is said.
    let quiet = Context { quiesce: false, ..run.context.clone() };
    let (_own, into) = directory();
    let mut held = source(&found.resource, &quiet);
    let taken = take(&mut *held, None, &into, Released::Failed).unwrap();
    drop(held);
    assert_eq!(taken.consistency, Consistency::Crash);
    assert!(taken.why_not_more.unwrap().contains("hold nothing still"));
    assert_eq!(taken.facts["window"]["agent_freeze"], 0.0, "{}", taken.facts);
    let mut source = source(&found.resource, &run.context);
    source.plan().unwrap();
    let mut hook = Hook {
        phase: Phase::PreQuiesce,
        command: ["/bin/sh", "-c", "echo here; exit 3"].map(str::to_owned).into(),
        place: HookPlace::Guest,
        timeout_seconds: 20,
        on_error: OnError::Fail,
    };
    let ran = source.run_in_guest(&hook).unwrap();
    assert_eq!((ran.exit, &ran.output[..]), (Some(3), "here\n"));
    assert_eq!(ran.failure.as_deref(), Some("exit code 3"));
    hook.command = ["/bin/sleep", "100"].map(str::to_owned).into();
    hook.timeout_seconds = 1;
    let ran = source.run_in_guest(&hook).unwrap();
    assert!(ran.failure.unwrap().contains("goes on in the guest"));
    // What ends something runs also when the run is cancelled.
    run.context.cancel.cancel();
    hook.command = ["/bin/sh", "-c", "sleep 1; echo again"].map(str::to_owned).into();
    hook.timeout_seconds = 20;
    let ran = source.run_in_guest(&hook);
    assert!(ran.is_ok_and(|ran| ran.failure.is_some()));
    hook.phase = Phase::PostThaw;
    assert_eq!(source.run_in_guest(&hook).unwrap().output, "again\n");
}

#[test]
fn a_machine_that_is_off_is_read_as_files() {
    let guest = Guest::boot(&Options::default());
    let found = QemuConnector.discover(&run().context).unwrap();
    let mut resource = found
        .into_iter()
        .find(|found| found.resource.at["qmp"] == json!(guest.qmp))
        .unwrap()
        .resource;
    resource.excludes = vec!["vda".into()];
    let kept = guest.quit();
    let run = run();
    let mut source = source(&resource, &run.context);
    let (_own, into) = directory();
    let taken = take(&mut *source, None, &into, Released::Committed).unwrap();
    assert_eq!(taken.changed.keys().collect::<Vec<_>>(), ["disks/vdb.img"]);
    assert_eq!(taken.consistency, Consistency::Crash);
    let numbers = in_image(&into.join("disks/vdb.img"), "/dir/sub/numbers.txt");
    assert_eq!(numbers.lines().count(), 20_000);
    drop(kept);
}

#[test]
fn firmware_variables_are_captured_and_a_disk_with_a_thread_of_its_own_is_refused() {
    let (_own, place) = directory();
    let (variables, disk) = (place.join("variables"), place.join("third.raw"));
    let content: Vec<u8> = (0..256u32 << 10).map(|number| (number % 251) as u8).collect();
    std::fs::write(&variables, &content).unwrap();
    std::fs::File::create(&disk).unwrap().set_len(16 << 20).unwrap();
    let firmware = "/usr/share/seabios/bios-256k.bin";
    let arguments = [
        "-drive".to_owned(),
        format!("if=pflash,unit=0,format=raw,readonly=on,file={firmware}"),
        "-drive".to_owned(),
        format!("if=pflash,unit=1,format=raw,file={}", variables.display()),
        "-object".to_owned(),
        "iothread,id=thread".to_owned(),
        "-blockdev".to_owned(),
        format!("driver=file,node-name=disk-vdc,filename={}", disk.display()),
        "-device".to_owned(),
        "virtio-blk-pci,drive=disk-vdc,id=vdc,iothread=thread".to_owned(),
    ];
    let mut guest = Guest::boot(&Options { arguments: arguments.into(), ..Options::default() });
    let mut resource = qemu(&guest);
    let run = run();
    let mut refused = source(&resource, &run.context);
    let error = refused.plan().unwrap_err();
    assert!(error.is(ErrorKind::Unsupported) && error.to_string().contains("vdc"), "{error}");
    drop(refused);
    resource.excludes = vec!["vdc".to_owned()];
    let mut source = source(&resource, &run.context);
    let (_own, into) = directory();
    let taken = take(&mut *source, None, &into, Released::Committed).unwrap();
    assert!(taken.objects["nvram"] == content);
    // The firmware's own nodes have names that QEMU made.
    let left = leftovers(&mut guest);
    assert!(left.iter().all(|name| name.starts_with("#block")), "{left:?}");
    guest_writes(&mut guest);
}
