//! Storages: checked, chosen, kept secret.

use serde_json::{Value, json};
use tintype_api::client::Client;
use tintype_api::object::{ChangedObject, NewObject, Object};
use tintype_api::page::Page;
use tintype_api::snapshot::Snapshot;
use tintype_api::storage::{AccessKey, StorageKind, StorageSpec};
use tintype_model::ErrorKind;
use tintype_model::plan::Verdict;
use tintype_model::rights::Role;
use tintype_testkit::{azurite, fake_gcs, seaweedfs};

use crate::lab::Lab;
use crate::lost::elsewhere;
use crate::snapshots::{full, partial, taken, volume};

fn changed(spec: StorageSpec) -> ChangedObject<StorageSpec> {
    ChangedObject { name: None, spec: Some(spec) }
}

fn internal(client: &Client) -> Object<StorageSpec> {
    client.list::<StorageSpec>().unwrap().into_iter().find(|s| s.name == "internal").unwrap()
}

#[test]
fn a_store_that_speaks_s3_keeps_snapshots_and_its_secret_is_never_shown() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let store = seaweedfs::shared();
    let spec = StorageSpec {
        kind: StorageKind::S3,
        url: format!("s3://manager/deep?endpoint={}", store.endpoint),
        mount_point: None,
        is_default: true,
        is_shared: false,
        access_key: Some(AccessKey {
            id: store.access_key.into(),
            secret: Some(store.secret_key.into()),
        }),
        agent_access_key: None,
        bandwidth: None,
    };
    let wrong = AccessKey { id: "nobody".into(), secret: Some("canary-of-tests".into()) };
    let wrong = StorageSpec { access_key: Some(wrong), ..spec.clone() };
    let new = |spec| NewObject { name: "cloud".into(), tenant: None, spec };
    let refused = client.create(&new(wrong)).unwrap_err();
    assert!(!refused.to_string().contains("canary"), "{refused}");
    let without = AccessKey { id: store.access_key.into(), secret: None };
    let without = StorageSpec { access_key: Some(without), ..spec.clone() };
    assert!(client.create(&new(without)).is_err());
    let made = client.create(&new(spec)).unwrap();
    assert_eq!(made.spec.access_key.as_ref().unwrap().secret, None);
    // A change without the secret keeps it.
    let kept = client.change(&made.id, None, &changed(made.spec.clone())).unwrap();
    assert!(client.check_storage(&made.id).unwrap().is_good);
    let log: Value = client.get("/audit?limit=1000").unwrap();
    for text in [log.to_string(), json!(kept).to_string()] {
        assert!(!text.contains(store.secret_key) && !text.contains("canary"), "{text}");
    }
    volume(&client, "files", &lab.data().join("files"));
    std::fs::write(lab.data().join("files/a"), "in the cloud").unwrap();
    let snapshot = taken(&client, &full());
    assert_eq!(snapshot.storage, made.id);
    let refused = client.delete::<StorageSpec>(&made.id).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Locked, "it holds snapshots: {refused}");
}

#[test]
fn another_default_leaves_older_snapshots_where_they_are() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    volume(&client, "files", &lab.data().join("files"));
    let first = taken(&client, &partial(&["files"]));
    assert_eq!(first.storage, internal(&client).id);
    let vault = elsewhere(&lab, &client);
    assert!(!internal(&client).spec.is_default, "there is one default");
    let second = taken(&client, &partial(&["files"]));
    assert_eq!(second.storage, vault.id);
    let named = tintype_api::snapshot::NewSnapshot {
        storage: Some(internal(&client).id),
        ..partial(&["files"])
    };
    assert_eq!(taken(&client, &named).storage, first.storage);
    let older: Snapshot = client.get(&format!("/snapshots/{}", first.id)).unwrap();
    let plan = client.plan_restore(&tintype_api::restore::NewRestore::all_of(&older.id));
    assert!(!plan.unwrap().is_blocked);
}

/// An empty directory under the same name is not the storage.
#[test]
fn a_storage_whose_snapshots_are_gone_is_no_good_one() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    volume(&client, "files", &lab.data().join("files"));
    let vault = elsewhere(&lab, &client);
    taken(&client, &partial(&["files"]));
    let check = || client.check_storage(&vault.id).unwrap();
    assert!(check().is_good);
    let at = std::path::PathBuf::from(&vault.spec.url);
    let aside = at.with_extension("gone");
    std::fs::rename(&at, &aside).unwrap();
    let found = check();
    let blocked = found.checks.iter().find(|check| check.outcome == Verdict::Block).unwrap();
    assert!(blocked.name == "content" && blocked.message.contains("are gone"), "{blocked:?}");
    assert!(!at.exists(), "nothing is made in its place");
    std::fs::rename(&aside, &at).unwrap();
    assert!(check().is_good);
}

#[test]
fn without_a_storage_nothing_is_queued_and_the_cure_is_said() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let acme = Lab::tenant(&client, "acme").id;
    let own = internal(&client);
    let spec = StorageSpec { is_shared: false, ..own.spec.clone() };
    client.change(&own.id, None, &changed(spec)).unwrap();
    let at = json!({ "path": lab.data() });
    let spec = json!({ "kind": "volume", "connector": "files", "at": at });
    let new = json!({ "name": "r", "tenant": acme, "spec": spec });
    assert_eq!(client.exchange("POST", "/resources", Some(&new), None).unwrap().status, 201);
    let new = tintype_api::snapshot::NewSnapshot { tenant: Some(acme), ..partial(&["r"]) };
    let refused = client.snapshot(&new).unwrap_err();
    assert!(refused.message().contains("`tintype storage add"), "{refused}");
}

/// A tenant's own word must not become a path or a command on the manager's host.
#[test]
fn what_reaches_the_host_is_for_the_system() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let acme = Lab::tenant(&client, "acme").id;
    let path = lab.data().join("theirs");
    std::fs::create_dir(&path).unwrap();
    let spec = json!({ "kind": "volume", "connector": "files", "at": { "path": path } });
    let new = json!({ "name": "r", "tenant": acme, "spec": spec });
    let made = client.exchange("POST", "/resources", Some(&new), None).unwrap();
    let id = serde_json::from_str::<Value>(&made.text).unwrap()["id"].as_str().unwrap().to_owned();
    let theirs = lab.as_role(&client, &acme, Role::Administrator, "boss");
    let status = |method: &str, path: &str, body: Value| {
        theirs.exchange(method, path, Some(&body), None).unwrap().status.as_u16()
    };
    let new = |spec: &Value| json!({ "name": "x", "spec": spec });
    let shadow = json!({ "kind": "volume", "connector": "files", "at": { "path": "/etc" } });
    assert_eq!(status("POST", "/resources", new(&shadow)), 403);
    let mut hooked = spec.clone();
    hooked["hooks"] = json!([{ "phase": "pre-quiesce", "command": ["id"] }]);
    let mut versioned = spec.clone();
    versioned["version"] = json!({ "command": ["id"] });
    let one = format!("/resources/{id}");
    for spec in [&shadow, &hooked, &versioned] {
        assert_eq!(status("PATCH", &one, json!({ "spec": spec })), 403, "{spec}");
    }
    let mut tagged = spec.clone();
    tagged["tags"] = json!(["gold"]);
    assert_eq!(status("PATCH", &one, json!({ "spec": tagged })), 200);
    let application = json!({ "kind": "application", "components": [{ "resource": "r" }] });
    assert_eq!(status("POST", "/resources", new(&application)), 201);
    let mut commands = application.clone();
    commands["hooks"] = json!([{ "phase": "pre-restore", "command": ["id"] }]);
    let other = json!({ "name": "y", "spec": commands });
    assert_eq!(status("POST", "/resources", other), 403);
    let storage = json!({ "kind": "directory", "url": "/etc" });
    assert_eq!(status("POST", "/storages", new(&storage)), 403);
    let snapshot = tintype_api::snapshot::NewSnapshot { tenant: Some(acme), ..partial(&["r"]) };
    let snapshot = taken(&client, &snapshot).id;
    let files = json!({ "path": "/", "to": "/srv" });
    assert_eq!(status("POST", "/restores", json!({ "snapshot": snapshot, "files": files })), 403);
    let beside = json!({ "r": { "name": "r2", "at": { "path": "/srv/x" } } });
    assert_eq!(status("POST", "/restores", json!({ "snapshot": snapshot, "as_new": beside })), 403);
    assert_eq!(status("POST", "/restores", json!({ "snapshot": snapshot })), 201, "in place");
    assert_eq!(status("POST", "/snapshots", json!({ "scope": "full" })), 403);
}

#[test]
fn a_run_is_followed_to_its_end_and_from_the_middle() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    volume(&client, "files", &lab.data().join("files"));
    let run = client.snapshot(&partial(&["files"])).unwrap();
    let path = format!("/runs/{}/events", run.id);
    // The answer ends when the run does.
    let all = client.exchange("GET", &path, None, None).unwrap();
    let kind = all.headers["content-type"].to_str().unwrap();
    assert!(kind.starts_with("text/event-stream"), "{kind}");
    let last = all.text.trim_end().rsplit("\n\n").next().unwrap();
    assert!(last.contains("event: run") && last.contains("\"succeeded\""), "{}", all.text);
    assert!(all.text.contains("event: log\nid: 1") || all.text.contains("id: 1\n"), "{}", all.text);
    let lines = client.run_log(&run.id, 0).unwrap();
    assert_eq!(all.text.matches("event: log").count(), lines.len());
}

#[test]
fn a_tenant_sees_which_storages_it_may_use_and_not_where_they_are() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let acme = Lab::tenant(&client, "acme").id;
    let theirs = lab.as_role(&client, &acme, Role::Viewer, "eve");
    let seen = theirs.list::<StorageSpec>().unwrap();
    let [internal] = &seen[..] else { panic!("{seen:?}") };
    assert!(internal.spec.is_shared && internal.spec.url.is_empty());
    let place = lab.data().join("canary-place");
    let of = |is_shared| StorageSpec {
        kind: StorageKind::Directory,
        url: place.display().to_string(),
        mount_point: None,
        is_default: false,
        is_shared,
        access_key: None,
        agent_access_key: None,
        bandwidth: None,
    };
    let new = NewObject { name: "far".into(), tenant: None, spec: of(true) };
    let far = client.create(&new).unwrap();
    let names = || -> Vec<String> {
        theirs.list::<StorageSpec>().unwrap().into_iter().map(|storage| storage.name).collect()
    };
    assert_eq!(names(), ["internal", "far"]);
    let text = theirs.exchange("GET", "/storages", None, None).unwrap().text;
    assert!(!text.contains("canary"), "{text}");
    assert_eq!(theirs.object::<StorageSpec>(&far.id).unwrap_err().kind(), ErrorKind::NotFound);
    let first: Page<Object<StorageSpec>> = theirs.get("/storages?limit=1").unwrap();
    let next = first.next.unwrap();
    let second: Page<Object<StorageSpec>> =
        theirs.get(&format!("/storages?cursor={next}")).unwrap();
    assert_eq!((&second.items[0].name[..], second.next), ("far", None));
    client.change(&far.id, None, &changed(of(false))).unwrap();
    assert_eq!(names(), ["internal"]);
}

/// Snapshots go there and come back, and its key is shown nowhere.
fn keeps_snapshots(kind: StorageKind, url: String, key: AccessKey, wrong: AccessKey, why: &str) {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let spec = StorageSpec {
        kind,
        url,
        mount_point: None,
        is_default: true,
        is_shared: false,
        access_key: Some(key),
        agent_access_key: None,
        bandwidth: None,
    };
    let new = |spec| NewObject { name: "cloud".into(), tenant: None, spec };
    let refused = client.create(&new(StorageSpec { access_key: Some(wrong), ..spec.clone() }));
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains(why) && !refused.contains("canary"), "{refused}");
    let other = StorageSpec { kind: StorageKind::S3, ..spec.clone() };
    assert!(client.create(&new(other)).unwrap_err().message().contains("s3://"));
    let made = client.create(&new(spec)).unwrap();
    let files = lab.data().join("files");
    volume(&client, "files", &files);
    std::fs::write(files.join("a"), "in the cloud").unwrap();
    let snapshot = taken(&client, &full());
    assert_eq!(snapshot.storage, made.id);
    std::fs::write(files.join("a"), "lost").unwrap();
    crate::snapshots::restored(&client, &snapshot.id);
    assert_eq!(std::fs::read_to_string(files.join("a")).unwrap(), "in the cloud");
    let log: Value = client.get("/audit?limit=1000").unwrap();
    for text in [log.to_string(), json!(made).to_string()] {
        assert!(!text.contains("canary"), "{text}");
    }
}

#[test]
fn google_cloud_storage_keeps_snapshots() {
    let store = fake_gcs::shared();
    store.bucket("manager");
    let key = |id: &str| AccessKey { id: id.into(), secret: Some(store.key_file.into()) };
    keeps_snapshots(
        StorageKind::Google,
        format!("gs://manager/deep?endpoint={}", store.endpoint),
        key(store.account),
        key("somebody@else"),
        "the key file is one of",
    );
}

#[test]
fn azure_blob_storage_keeps_snapshots() {
    let store = azurite::shared();
    store.container("manager");
    let key = |secret: &str| AccessKey { id: "account-key".into(), secret: Some(secret.into()) };
    keeps_snapshots(
        StorageKind::Azure,
        format!("azure://{}/manager/deep?endpoint={}", store.account, store.endpoint),
        key(store.account_key),
        key("Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5"),
        "does not accept the key",
    );
}

#[test]
fn a_storage_whose_clock_is_off_is_refused_and_one_in_use_is_warned_of() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let vault = elsewhere(&lab, &client);
    lab.shift(2);
    let spec = StorageSpec { url: lab.data().join("x").display().to_string(), ..vault.spec };
    let new = NewObject { name: "late".into(), tenant: None, spec };
    let refused = client.create(&new).unwrap_err();
    assert!(refused.message().contains("behind this host's"), "{refused}");
    assert!(refused.message().contains("timedatectl"), "{refused}");
    let state = client.check_storage(&vault.id).unwrap();
    let clock = state.checks.iter().find(|check| check.name == "clock").unwrap();
    assert_eq!(clock.outcome, tintype_model::plan::Verdict::Warn);
    assert!(state.is_good, "what is there goes on being used");
}

#[test]
fn the_internal_storage_is_refused_for_more_than_it_has_room_for() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let files = lab.data().join("files");
    volume(&client, "files", &files);
    elsewhere(&lab, &client);
    // Nothing but a hole, which takes no room until it is filled.
    std::fs::File::create(files.join("large")).unwrap().set_len(8 << 40).unwrap();
    taken(&client, &partial(&["files"]));
    let own = internal(&client);
    let chosen = StorageSpec { is_default: true, ..own.spec.clone() };
    let refused = client.change(&own.id, None, &changed(chosen.clone())).unwrap_err();
    assert!(refused.message().contains("about 8 TiB will be needed"), "{refused}");
    assert!(!internal(&client).spec.is_default);
    std::fs::write(files.join("large"), "no more").unwrap();
    taken(&client, &partial(&["files"]));
    client.change(&own.id, None, &changed(chosen)).unwrap();
    assert!(internal(&client).spec.is_default);
}

#[test]
fn bandwidth_holds_for_all_runs_of_a_storage_from_when_it_is_set() {
    let mut lab = Lab::sqlite();
    let client = lab.administrator();
    let own = internal(&client);
    let bandwidth = |zone: &str| {
        let windows = json!([{ "from": "08:00", "to": "18:00", "rate": "20MiB" }]);
        serde_json::from_value(json!({ "time_zone": zone, "windows": windows })).unwrap()
    };
    let with = |bandwidth| changed(StorageSpec { bandwidth, ..own.spec.clone() });
    let refused = client.change(&own.id, None, &with(Some(bandwidth("Mars/Base")))).unwrap_err();
    assert!(refused.message().contains("bandwidth"), "{refused}");
    let berlin: tintype_model::bandwidth::Bandwidth = bandwidth("Europe/Berlin");
    let after = client.change(&own.id, None, &with(Some(berlin.clone()))).unwrap();
    assert_eq!(after.spec.bandwidth.as_ref(), Some(&berlin));
    let state = lab.stopped_state();
    lab.block_on(async {
        let limit = state.place(&after, None).await.unwrap().limit.unwrap();
        assert_eq!(limit.bandwidth(), Some(berlin));
        let free = Object { spec: own.spec.clone(), ..after };
        let same = state.place(&free, None).await.unwrap().limit.unwrap();
        assert!(std::sync::Arc::ptr_eq(&limit, &same) && limit.bandwidth().is_none());
        state.catalog.close().await;
    });
}

fn directory(at: &std::path::Path) -> StorageSpec {
    StorageSpec {
        kind: StorageKind::Directory,
        url: at.display().to_string(),
        mount_point: None,
        is_default: false,
        is_shared: false,
        access_key: None,
        agent_access_key: None,
        bandwidth: None,
    }
}

#[test]
fn a_storage_has_nothing_to_do_with_another_one_nor_with_what_is_captured() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let vault = elsewhere(&lab, &client);
    volume(&client, "files", &lab.data().join("files"));
    let other = lab.data().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("master.key"), "").unwrap();
    let add = |at: &str| {
        let spec = directory(&lab.data().join(at));
        client.create(&NewObject { name: "second".into(), tenant: None, spec })
    };
    for (at, why) in [
        ("vault", "storage vault lies there already"),
        ("vault/deep", "storage vault lies above it"),
        ("", "lies below it"),
        ("files/vault", "lies in volume files"),
        ("data/vault", "own data directory"),
        ("other/vault", "the data directory of a manager"),
    ] {
        let refused = add(at).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
        assert!(
            refused.message().contains(why) && refused.message().contains("choose"),
            "{refused}"
        );
    }
    for at in ["vault/deep", "files/vault", "other/vault"] {
        assert!(!lab.data().join(at).exists(), "nothing is made there");
    }
    let second = add("second").unwrap();
    let moved = StorageSpec { url: vault.spec.url, ..second.spec };
    let refused = client.change(&second.id, None, &changed(moved)).unwrap_err();
    assert!(refused.message().contains("storage vault lies there already"), "{refused}");
}

#[test]
fn no_tenant_is_cut_off_from_its_storage_unasked() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let (acme, idle) = (Lab::tenant(&client, "acme"), Lab::tenant(&client, "idle"));
    let spec = json!({ "kind": "volume", "connector": "files", "at": { "path": "/srv/acme" } });
    let spec: tintype_api::resource::ResourceSpec = serde_json::from_value(spec).unwrap();
    client
        .create(&NewObject { name: "files".into(), tenant: Some(acme.id.clone()), spec })
        .unwrap();
    let alone = StorageSpec { is_default: true, ..directory(&lab.data().join("vault")) };
    let new = |spec| NewObject { name: "vault".into(), tenant: None, spec };
    let refused = client.create(&new(alone.clone())).unwrap_err();
    assert!(refused.message().contains("snapshots of acme would have nowhere to go"), "{refused}");
    assert!(!refused.message().contains(&idle.name), "it takes none: {refused}");
    assert!(internal(&client).spec.is_default, "it stays");
    let shared = StorageSpec { is_shared: true, ..alone.clone() };
    let vault = client.create(&new(shared)).unwrap();
    assert!(!internal(&client).spec.is_default);
    assert!(client.change(&vault.id, None, &changed(alone.clone())).is_err());
    let none = StorageSpec { is_default: false, ..vault.spec.clone() };
    assert!(client.change(&vault.id, None, &changed(none)).is_err());
    // With one of its own it needs no other.
    let spec = StorageSpec { is_default: true, ..directory(&lab.data().join("acmes")) };
    let own = NewObject { name: "own".into(), tenant: Some(acme.id.clone()), spec };
    let own = client.create(&own).unwrap();
    client.change(&vault.id, None, &changed(alone)).unwrap();
    assert!(client.delete::<StorageSpec>(&own.id).is_err(), "it would have none any more");
}
