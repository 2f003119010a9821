//! Storages that do not answer for longer than one request is repeated: runs wait for them, and go on
//! where they were.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tintype_api::client::Client;
use tintype_api::object::{NewObject, Object};
use tintype_api::page::Page;
use tintype_api::resource::ResourceSpec;
use tintype_api::restore::NewRestore;
use tintype_api::run::{Run, RunState};
use tintype_api::snapshot::{NewSnapshot, Snapshot};
use tintype_api::storage::{AccessKey, StorageKind, StorageSpec};
use tintype_api::sync::SyncSpec;
use tintype_manager::serve::Options;
use tintype_model::patience::Patience;
use tintype_testkit::faulty_proxy::{Fault, FaultyProxy, Rule};
use tintype_testkit::seaweedfs;

use crate::lab::Lab;
use crate::snapshots::{full, partial, succeeded, taken, volume};

const METHODS: [&str; 5] = ["GET", "HEAD", "PUT", "POST", "DELETE"];

/// Whatever is asked.
pub(crate) fn gone() -> Vec<Rule> {
    METHODS.map(|method| Rule::new(method, &[], Fault::Outage).times(usize::MAX)).to_vec()
}

/// A store that speaks S3, behind a proxy that takes it away.
pub(crate) fn behind(proxy: &FaultyProxy, bucket: &str) -> StorageSpec {
    let store = seaweedfs::shared();
    StorageSpec {
        kind: StorageKind::S3,
        url: format!("s3://{bucket}/deep?endpoint={}", proxy.endpoint),
        mount_point: None,
        is_default: false,
        is_shared: false,
        access_key: Some(AccessKey {
            id: store.access_key.into(),
            secret: Some(store.secret_key.into()),
        }),
        agent_access_key: None,
        bandwidth: None,
    }
}

pub(crate) fn storage(
    client: &Client,
    name: &str,
    proxy: &FaultyProxy,
    bucket: &str,
) -> Object<StorageSpec> {
    let spec = behind(proxy, bucket);
    client.create(&NewObject { name: name.into(), tenant: None, spec }).unwrap()
}

pub(crate) fn proxy() -> FaultyProxy {
    FaultyProxy::start(&seaweedfs::shared().endpoint, Vec::new())
}

fn until(client: &Client, run: &Run, what: impl Fn(&Run) -> bool) -> Run {
    for _ in 0..2400 {
        let now = client.run(&run.id).unwrap();
        if what(&now) {
            return now;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{:#?} {:#?}", client.run(&run.id).unwrap(), client.run_log(&run.id, 0).unwrap());
}

/// It is queued again, and says for which storage.
pub(crate) fn waits(client: &Client, run: &Run, storage: &str) -> Run {
    let told = format!("storage {storage} does not answer since ");
    until(client, run, |now| now.state == RunState::Queued && now.progress.doing.contains(&told))
}

fn snapshots_in(client: &Client, storage: &Object<StorageSpec>) -> Vec<Snapshot> {
    let all = client.get::<Page<Snapshot>>("/snapshots?limit=1000").unwrap().items;
    all.into_iter().filter(|snapshot| snapshot.storage == storage.id).collect()
}

/// A volume whose capture says that it began, and waits until it may go on.
fn slow(client: &Client, dir: &Path) -> (PathBuf, PathBuf) {
    let (path, began, go) = (dir.join("slow"), dir.join("began"), dir.join("go"));
    std::fs::create_dir(&path).unwrap();
    let script = format!(
        "echo . >> {}; while [ ! -e {} ]; do sleep 0.05; done",
        began.display(),
        go.display()
    );
    let spec = json!({
        "kind": "volume", "connector": "files", "at": { "path": path },
        "hooks": [{ "phase": "pre-quiesce", "command": ["sh", "-c", script] }],
    });
    let spec = serde_json::from_value::<ResourceSpec>(spec).unwrap();
    client.create(&NewObject { name: "slow".into(), tenant: None, spec }).unwrap();
    (began, go)
}

#[test]
fn a_run_waits_for_its_storage_others_go_on_and_it_can_be_stopped() {
    let proxy = proxy();
    let lab = Lab::sqlite().hasty();
    let client = lab.administrator();
    let second = storage(&client, "second", &proxy, "away");
    let files = lab.data().join("files");
    volume(&client, "files", &files);
    let (began, go) = slow(&client, lab.data());
    std::fs::write(&go, "").unwrap();
    let there = |names: &[&str]| {
        let storage = Some(second.id.clone());
        NewSnapshot { storage, ..partial(names) }
    };
    taken(&client, &there(&["files"]));
    taken(&client, &there(&["slow"]));

    // In the middle of a capture.
    std::fs::remove_file(&go).unwrap();
    std::fs::write(lab.data().join("slow/file"), "new").unwrap();
    let cut = client.snapshot(&there(&["slow"])).unwrap();
    until(&client, &cut, |_| std::fs::read(&began).unwrap().len() == 4);
    proxy.set(gone());
    std::fs::write(&go, "").unwrap();
    waits(&client, &cut, "second");
    // Before one begins.
    let late = client.snapshot(&there(&["files"])).unwrap();
    waits(&client, &late, "second");
    let unwanted = client.snapshot(&there(&["files"])).unwrap();
    waits(&client, &unwanted, "second");
    assert_eq!(client.cancel_run(&unwanted.id).unwrap().state, RunState::Canceled);
    taken(&client, &partial(&["files"]));

    proxy.set(Vec::new());
    for run in [&cut, &late] {
        let run = until(&client, run, |now| now.state.is_over());
        assert_eq!(run.state, RunState::Succeeded, "{run:?}");
        assert_eq!(run.attempts, 1, "that it waited is no death: {run:?}");
    }
    assert_eq!(client.run(&unwanted.id).unwrap().state, RunState::Canceled);
    let log = client.run_log(&cut.id, 0).unwrap();
    let said = |text: &str| log.iter().filter(|line| line.text.contains(text)).count();
    let (away, again) = (said("does not answer since"), said("storage second answers again"));
    assert!(away == 1 && again <= 1, "{log:#?}");
    assert_eq!(snapshots_in(&client, &second).len(), 4, "nothing is lost or doubled");
}

fn impatient(lab: &Lab, most: Duration) -> Lab {
    let data = lab.data().join("impatient");
    let options = Options { data, patience: Patience { most }, ..lab.options() };
    lab.beside(options).hasty()
}

#[test]
fn a_storage_that_stays_away_ends_a_run_and_a_full_snapshot_holds_the_rest() {
    let (proxy, lab) = (proxy(), Lab::sqlite());
    let lab = impatient(&lab, Duration::from_secs(1));
    let client = lab.administrator();
    volume(&client, "files", &lab.data().join("files"));
    let tenant = Lab::tenant(&client, "acme").id;
    let spec = StorageSpec { is_default: true, ..behind(&proxy, "away-for-good") };
    let theirs = NewObject { name: "theirs".into(), tenant: Some(tenant.clone()), spec };
    client.create(&theirs).unwrap();
    let path = lab.data().join("of acme");
    std::fs::create_dir(&path).unwrap();
    let spec = json!({ "kind": "volume", "connector": "files", "at": { "path": path } });
    let spec = serde_json::from_value::<ResourceSpec>(spec).unwrap();
    client.create(&NewObject { name: "site".into(), tenant: Some(tenant.clone()), spec }).unwrap();
    let over = |new: &NewSnapshot| {
        let run = client.snapshot(new).unwrap();
        until(&client, &run, |now| now.state.is_over())
    };
    assert_eq!(over(&full()).state, RunState::Succeeded);

    proxy.set(gone());
    let failed = over(&NewSnapshot { tenant: Some(tenant), ..partial(&["site"]) });
    assert_eq!(failed.state, RunState::Failed, "{failed:?}");
    let cause = failed.cause.unwrap();
    assert!(cause.contains("long enough") && cause.contains("storage theirs"), "{cause}");
    // The system's own is there; that of a tenant is waited for and then left out.
    let run = over(&full());
    assert_eq!(run.state, RunState::Incomplete, "{run:?}");
    let log = client.run_log(&run.id, 0).unwrap();
    let said = |text: &str| log.iter().any(|line| line.text.contains(text));
    assert!(said("storage theirs does not answer since"), "{log:#?}");
    assert!(said("tenant acme: failed: storage theirs"), "{log:#?}");
}

#[test]
fn a_restore_whose_storage_goes_away_is_undone_and_begun_again() {
    let (proxy, lab) = (proxy(), Lab::postgres().hasty());
    let client = lab.administrator();
    let second = storage(&client, "second", &proxy, "away-restore");
    let files = lab.data().join("files");
    volume(&client, "files", &files);
    for n in 0..3 {
        std::fs::write(files.join(format!("{n}")), "as it was".repeat(100_000)).unwrap();
    }
    let new = NewSnapshot { storage: Some(second.id), ..partial(&["files"]) };
    let snapshot = taken(&client, &new);
    std::fs::write(files.join("0"), "later").unwrap();
    let new = NewRestore { without_undo_point: true, ..NewRestore::all_of(&snapshot.id) };
    let plan = client.plan_restore(&new).unwrap();
    // From the first byte of content on.
    proxy.set(vec![Rule::new("GET", &["/data/"], Fault::Outage)]);
    let run = client.apply_restore(&plan.run.id, plan.confirm.as_deref()).unwrap();
    waits(&client, &run, "second");
    assert_eq!(std::fs::read_to_string(files.join("0")).unwrap(), "later");
    proxy.set(Vec::new());
    succeeded(&client, &run);
    assert_eq!(std::fs::read_to_string(files.join("0")).unwrap(), "as it was".repeat(100_000));
}

#[test]
fn a_copy_that_is_cut_goes_on_and_is_never_shown_half() {
    let (proxy, lab) = (proxy(), Lab::sqlite().hasty());
    let client = lab.administrator();
    let second = storage(&client, "second", &proxy, "away-sync");
    let files = lab.data().join("files");
    volume(&client, "files", &files);
    let mut noise = vec![0; 3 << 20];
    for n in 0..3 {
        blake3::Hasher::new().update(&[n]).finalize_xof().fill(&mut noise);
        std::fs::write(files.join(format!("{n}")), &noise).unwrap();
        taken(&client, &partial(&["files"]));
    }
    let spec = json!({
        "from": "internal", "to": "second",
        "period": {
            "name": "daily", "frequency": { "daily": { "time": "02:30" } },
            "retention": "1y", "minimum_count": 0,
        },
    });
    let spec: SyncSpec = serde_json::from_value(spec).unwrap();
    let rule = client.create(&NewObject { name: "twice".into(), tenant: None, spec }).unwrap();
    // After the first snapshot's content, in the middle of another's.
    proxy.set(vec![Rule::new("PUT", &["/data/"], Fault::Outage).from(2)]);
    let run = client.run_sync(&rule.id).unwrap();
    waits(&client, &run, "second");
    assert!(snapshots_in(&client, &second).is_empty(), "nothing is shown before it is whole");
    proxy.set(Vec::new());
    let run = succeeded(&client, &run);
    let [copied, there] = ["copied", "there"].map(|name| run.result[name].as_u64().unwrap());
    assert_eq!(copied + there, 3, "{run:?}");
    let copies = snapshots_in(&client, &second);
    assert_eq!(copies.len(), 3);
    assert!(copies.iter().all(|copy| copy.is_complete && copy.copy_of.is_some()), "{copies:?}");
    // The first was whole before: neither it nor what was sent of the second is sent again.
    let stored = run.result["stored_bytes"].as_u64().unwrap();
    assert!(there >= 1 && (1..7 << 20).contains(&stored), "{run:?}");
}
