//! Sync rules: second copies, and what comes back from them.

use serde_json::json;
use tintype_api::client::Client;
use tintype_api::object::{NewObject, Object};
use tintype_api::page::Page;
use tintype_api::run::{Run, RunState};
use tintype_api::snapshot::{ChangedSnapshot, Snapshot, Trigger};
use tintype_api::storage::{AccessKey, StorageKind, StorageSpec};
use tintype_api::sync::SyncSpec;
use tintype_api::tenant::TenantSpec;
use tintype_manager::lost::rebuild;
use tintype_model::ErrorKind;
use tintype_model::rights::Role;
use tintype_testkit::seaweedfs;

use crate::lab::{Lab, PASSWORD};
use crate::lost::elsewhere;
use crate::snapshots::{ended, full, partial, restored, succeeded, taken, volume};

fn listed(client: &Client) -> Vec<Snapshot> {
    let page: Page<Snapshot> = client.get("/snapshots?limit=1000").unwrap();
    page.items
}

fn rule(retention: &str) -> SyncSpec {
    let spec = json!({
        "from": "internal", "to": "second",
        "period": {
            "name": "daily", "frequency": { "daily": { "time": "02:30" } },
            "retention": retention, "minimum_count": 0,
        },
    });
    serde_json::from_value(spec).unwrap()
}

fn made(client: &Client, spec: SyncSpec) -> Object<SyncSpec> {
    client.create(&NewObject { name: "twice".into(), tenant: None, spec }).unwrap()
}

fn synced(client: &Client, rule: &Object<SyncSpec>) -> Run {
    succeeded(client, &client.run_sync(&rule.id).unwrap())
}

/// A store that speaks S3.
fn second(client: &Client, bucket: &str) -> Object<StorageSpec> {
    let store = seaweedfs::shared();
    let spec = StorageSpec {
        kind: StorageKind::S3,
        url: format!("s3://{bucket}/deep?endpoint={}", store.endpoint),
        mount_point: None,
        is_default: false,
        is_shared: false,
        access_key: Some(AccessKey {
            id: store.access_key.into(),
            secret: Some(store.secret_key.into()),
        }),
        agent_access_key: None,
        bandwidth: None,
    };
    client.create(&NewObject { name: "second".into(), tenant: None, spec }).unwrap()
}

#[test]
fn a_second_copy_comes_back_whole_and_by_the_file_when_the_first_storage_is_gone() {
    let mut bucket = 0;
    for lab in [Lab::sqlite(), Lab::postgres()] {
        bucket += 1;
        let client = lab.administrator();
        let files = lab.data().join("files");
        volume(&client, "files", &files);
        std::fs::write(files.join("a"), "as it was").unwrap();
        let first = taken(&client, &partial(&["files"]));
        let storage = second(&client, &format!("sync-{bucket}"));
        let rule = made(&client, rule("1y"));
        let run = synced(&client, &rule);
        assert_eq!((&run.result["copied"], &run.result["there"]), (&json!(1), &json!(0)));
        let copy = listed(&client).into_iter().find(|one| one.storage == storage.id).unwrap();
        assert_eq!(copy.copy_of.as_ref(), Some(&first.id));
        assert_eq!((copy.trigger, copy.sync.as_ref()), (Trigger::Sync, Some(&rule.id)));
        let days = copy.expiry.unwrap().duration_since(first.time).as_hours() / 24;
        assert!((365..=366).contains(&days), "{days} days and not the month of the first");
        // Only what is missing.
        std::fs::write(files.join("b"), "new").unwrap();
        taken(&client, &full());
        let run = synced(&client, &rule);
        assert_eq!((&run.result["copied"], &run.result["there"]), (&json!(1), &json!(1)));

        // What is deleted in the first stays in the second.
        client.delete_snapshot(&first.id).unwrap();
        synced(&client, &rule);
        assert!(listed(&client).iter().any(|one| one.id == copy.id));
        std::fs::remove_dir_all(lab.data().join("data/repositories")).unwrap();
        std::fs::write(files.join("a"), "broken").unwrap();
        restored(&client, &copy.id);
        assert_eq!(std::fs::read_to_string(files.join("a")).unwrap(), "as it was");
        assert!(!files.join("b").exists());
        let path = format!("/snapshots/{}/file?path=tenants/system/volumes/files/a", copy.id);
        let file = client.exchange("GET", &path, None, None).unwrap();
        assert_eq!((file.status.as_u16(), &file.text[..]), (200, "as it was"));
        // The first is gone: said, and nothing of the second is lost.
        let failed = ended(&client, &client.run_sync(&rule.id).unwrap());
        assert_eq!(failed.state, RunState::Failed);
        assert!(failed.cause.unwrap().contains("storage internal"));
    }
}

#[test]
fn copies_go_when_the_rule_says_so_and_are_listed_again_from_the_repositories() {
    Lab::on_each_owned(|mut lab| {
        let client = lab.administrator();
        let storage = elsewhere(&lab, &client);
        let spec = StorageSpec { is_default: false, ..storage.spec.clone() };
        let changed =
            tintype_api::object::ChangedObject { name: Some("second".into()), spec: Some(spec) };
        client.change(&storage.id, None, &changed).unwrap();
        let files = lab.data().join("files");
        volume(&client, "files", &files);
        let internal = client_storage(&client, "internal");
        let new = || tintype_api::snapshot::NewSnapshot {
            storage: Some(internal.id.clone()),
            ..partial(&["files"])
        };
        let first = taken(&client, &new());
        let hold = ChangedSnapshot { hold: Some("legal".into()), ..ChangedSnapshot::default() };
        client.change_snapshot(&first.id, &hold).unwrap();
        let older = taken(&client, &new());
        let rule = made(&client, rule("1d"));
        synced(&client, &rule);
        let before = listed(&client);
        assert_eq!(before.len(), 4);

        let state = lab.stopped_state();
        lab.block_on(async {
            let mut change = state.catalog.change().await.unwrap();
            for table in ["item", "snapshot"] {
                let query = sqlx::AssertSqlSafe(format!("DELETE FROM {table}"));
                sqlx::query(query).execute(change.on()).await.unwrap();
            }
            change.commit_own_books().await.unwrap();
            rebuild::rebuild(&state).await.unwrap();
            state.catalog.close().await;
        });
        let lab = lab.restarted().unwrap();
        let client = lab.login("system", "admin", PASSWORD).unwrap();
        assert_eq!(listed(&client), before);

        // The hold was carried over, the newest of a resource stays, what is older is gone there and
        // not here, and is not copied again.
        let lab = later(lab, 20);
        let client = lab.login("system", "admin", PASSWORD).unwrap();
        let newest = taken(&client, &new());
        synced(&client, &rule);
        let earlier = over(&client, "prune").len();
        let lab = later(lab, 48);
        let client = lab.login("system", "admin", PASSWORD).unwrap();
        more(&client, "prune", earlier);
        let all = listed(&client).into_iter().filter(|one| one.storage == storage.id);
        let copies: Vec<Option<String>> = all.map(|one| one.copy_of).collect();
        assert_eq!(copies, [Some(newest.id), Some(first.id)]);
        let run = synced(&client, &rule);
        assert_eq!(run.result["copied"], json!(0));
        assert!(listed(&client).iter().any(|one| one.id == older.id));
    });
}

/// The same, at a moment so much later than the real one; what is due then is begun.
pub(crate) fn later(mut lab: Lab, hours: i64) -> Lab {
    let state = lab.stopped_state();
    lab.block_on(state.catalog.close());
    lab.restarted_later(hours).unwrap()
}

/// Waits for all runs of a kind.
pub(crate) fn over(client: &Client, kind: &str) -> Vec<Run> {
    let page: Page<Run> = client.get(&format!("/runs?kind={kind}")).unwrap();
    page.items.into_iter().map(|run| ended(client, &run)).collect()
}

/// Waits until there are more than were known.
pub(crate) fn more(client: &Client, kind: &str, known: usize) -> Vec<Run> {
    for _ in 0..600 {
        let runs = over(client, kind);
        if runs.len() > known {
            return runs;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("no {kind} is due");
}

#[test]
fn copies_count_in_the_quota_of_their_tenant() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    elsewhere(&lab, &client);
    let files = lab.data().join("files");
    volume(&client, "files", &files);
    let internal = client_storage(&client, "internal");
    let new = || tintype_api::snapshot::NewSnapshot {
        storage: Some(internal.id.clone()),
        ..partial(&["files"])
    };
    let mut noise = vec![0; 2 << 20];
    blake3::Hasher::new().update(b"quota").finalize_xof().fill(&mut noise);
    std::fs::write(files.join("a"), &noise).unwrap();
    taken(&client, &new());
    let rule = made(&client, SyncSpec { to: "vault".into(), ..rule("1y") });
    let quota = |bytes: Option<u64>| {
        let system = client.whoami().unwrap().tenant;
        let tenant = client.object::<TenantSpec>(&system).unwrap();
        let spec = TenantSpec { quota_bytes: bytes, ..tenant.spec };
        let changed = tintype_api::object::ChangedObject { name: None, spec: Some(spec) };
        client.change(&system, None, &changed).unwrap();
    };
    // More than the first takes, and less than both.
    quota(Some(3 << 20));
    synced(&client, &rule);
    let refused = ended(&client, &client.snapshot(&new()).unwrap());
    assert!(refused.cause.unwrap().contains("of a quota of"), "the copy counts");
    // What is there is no reason to fail; what is new is not copied.
    synced(&client, &rule);
    quota(None);
    let second = taken(&client, &new());
    quota(Some(3 << 20));
    let failed = ended(&client, &client.run_sync(&rule.id).unwrap());
    assert_ne!(failed.state, RunState::Succeeded, "{failed:?}");
    assert!(failed.cause.unwrap().contains("of a quota of"));
    quota(None);
    synced(&client, &rule);
    let copies = listed(&client).into_iter().filter_map(|one| one.copy_of);
    assert!(copies.collect::<Vec<_>>().contains(&second.id));
}

fn client_storage(client: &Client, name: &str) -> Object<StorageSpec> {
    client.list::<StorageSpec>().unwrap().into_iter().find(|one| one.name == name).unwrap()
}

#[test]
fn a_rule_copies_by_itself_and_one_that_makes_no_sense_is_refused() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let refused = |spec: SyncSpec| {
        let new = NewObject { name: "x".into(), tenant: None, spec };
        client.create(&new).unwrap_err()
    };
    let unknown = refused(rule("1y"));
    assert_eq!(unknown.kind(), ErrorKind::Invalid);
    assert!(unknown.message().contains("there is no storage second"), "{unknown}");
    let same = SyncSpec { to: "internal".into(), ..rule("1y") };
    assert!(refused(same).message().contains("the same storage"));
    let mut quiet = rule("1y");
    (quiet.to, quiet.from, quiet.period.quiesce) = ("internal".into(), None, false);
    assert!(refused(quiet).message().contains("quiesce"));

    let storage = elsewhere(&lab, &client);
    let files = lab.data().join("files");
    volume(&client, "files", &files);
    taken(&client, &partial(&["files"]));
    // Everything goes to the vault by now; back, hourly.
    let mut back = SyncSpec { from: Some("vault".into()), to: "internal".into(), ..rule("1y") };
    back.period.frequency = serde_json::from_value(json!({ "hourly": { "minute": 0 } })).unwrap();
    made(&client, back);
    let lab = later(lab, 2);
    let client = lab.login("system", "admin", PASSWORD).unwrap();
    assert!(more(&client, "sync", 0).iter().all(|run| run.state == RunState::Succeeded));
    let copy = listed(&client).into_iter().find(|one| one.copy_of.is_some()).unwrap();
    assert_ne!(copy.storage, storage.id);
}

/// What a tenant's own users set is done for it when it is due, as long as the system allows it.
#[test]
fn a_rule_of_a_tenant_copies_what_is_its_own_when_it_is_due() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let storage = elsewhere(&lab, &client);
    let acme = Lab::tenant(&client, "acme");
    let path = lab.data().join("theirs");
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("a"), "theirs").unwrap();
    let spec = json!({ "kind": "volume", "connector": "files", "at": { "path": path } });
    let spec: tintype_api::resource::ResourceSpec = serde_json::from_value(spec).unwrap();
    let new = NewObject { name: "theirs".into(), tenant: Some(acme.id.clone()), spec };
    client.create(&new).unwrap();
    volume(&client, "ours", &lab.data().join("ours"));
    let own = lab.as_role(&client, &acme.id, Role::Administrator, "own");
    let first = taken(&own, &partial(&["theirs"]));
    assert_eq!(first.storage, storage.id);
    let ours = taken(&client, &partial(&["ours"]));
    let mut back = SyncSpec { from: Some("vault".into()), to: "internal".into(), ..rule("1y") };
    back.period.frequency = serde_json::from_value(json!({ "hourly": { "minute": 0 } })).unwrap();
    own.create(&NewObject { name: "twice".into(), tenant: None, spec: back }).unwrap();
    let lab = later(lab, 2);
    let client = lab.login("system", "admin", PASSWORD).unwrap();
    let runs = more(&client, "sync", 0);
    assert!(runs.iter().all(|run| run.tenant == acme.id && run.state == RunState::Succeeded));
    let copied = |of: &Snapshot| {
        let mut all = listed(&client).into_iter();
        all.find(|one| one.copy_of.as_ref() == Some(&of.id))
    };
    assert!(
        copied(&first).is_some_and(|copy| copy.tenant == acme.id && copy.storage != storage.id)
    );
    assert_eq!(copied(&ours), None, "it is another tenant's");
    let spec = TenantSpec { may_snapshot: false, ..acme.spec };
    let changed = tintype_api::object::ChangedObject { name: None, spec: Some(spec) };
    client.change(&acme.id, None, &changed).unwrap();
    let lab = later(lab, 4);
    let client = lab.login("system", "admin", PASSWORD).unwrap();
    let last = more(&client, "sync", runs.len()).swap_remove(0);
    assert_eq!((&last.tenant, last.state), (&acme.id, RunState::Failed), "{last:?}");
}
