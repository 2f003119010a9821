//! Snapshots and restores through the API, of real files on a real repository.

use std::path::Path;

use serde_json::json;
use tintype_api::client::Client;
use tintype_api::object::{NewObject, Object};
use tintype_api::page::Page;
use tintype_api::resource::ResourceSpec;
use tintype_api::restore::{AsNew, MOST_PATHS, NewRestore, RestoreFiles};
use tintype_api::run::{Run, RunState};
use tintype_api::snapshot::{
    ChangedSnapshot, NewSnapshot, Snapshot, SnapshotQuery, SnapshotScope, Trigger,
};
use tintype_api::status::StandingsQuery;
use tintype_api::tenant::TenantSpec;
use tintype_model::ErrorKind;
use tintype_model::item::Outcome;
use tintype_model::resource::{Consistency, Kind};
use tintype_model::rights::Role;

use crate::lab::Lab;

pub(crate) fn volume(client: &Client, name: &str, path: &Path) -> Object<ResourceSpec> {
    std::fs::create_dir_all(path).unwrap();
    let spec = json!({ "kind": "volume", "connector": "files", "at": { "path": path } });
    let spec = serde_json::from_value(spec).unwrap();
    client.create(&NewObject { name: name.into(), tenant: None, spec }).unwrap()
}

pub(crate) fn partial(names: &[&str]) -> NewSnapshot {
    NewSnapshot {
        scope: SnapshotScope::Partial,
        tenant: None,
        name: String::new(),
        note: "before the upgrade".into(),
        resources: names.iter().map(|name| (*name).to_owned()).collect(),
        tags: [].into(),
        storage: None,
        keep: None,
        is_private: false,
        read_all: false,
        quiesce: true,
        trigger: Trigger::Manual,
        exclude: [].into(),
    }
}

pub(crate) fn full() -> NewSnapshot {
    NewSnapshot { scope: SnapshotScope::Full, resources: [].into(), ..partial(&[]) }
}

/// Waits for its end.
pub(crate) fn ended(client: &Client, run: &Run) -> Run {
    for _ in 0..600 {
        let now = client.run(&run.id).unwrap();
        if now.state.is_over() {
            return now;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let log = client.run_log(&run.id, 0).unwrap();
    panic!("{} does not end: {:?} {log:#?}", run.title, client.run(&run.id).unwrap());
}

pub(crate) fn succeeded(client: &Client, run: &Run) -> Run {
    let run = ended(client, run);
    let log = client.run_log(&run.id, 0).unwrap();
    assert_eq!(run.state, RunState::Succeeded, "{run:?} {log:#?}");
    run
}

pub(crate) fn taken(client: &Client, new: &NewSnapshot) -> Snapshot {
    let run = succeeded(client, &client.snapshot(new).unwrap());
    client.get(&format!("/snapshots/{}", run.result["snapshot"].as_str().unwrap())).unwrap()
}

/// All that it holds, over what is there.
pub(crate) fn restored(client: &Client, snapshot: &str) {
    let new = NewRestore {
        snapshot: snapshot.to_owned(),
        resources: Vec::new(),
        tenants: [].into(),
        as_new: [].into(),
        files: None,
        without_undo_point: true,
    };
    let plan = client.plan_restore(&new).unwrap();
    assert!(!plan.is_blocked, "{plan:?}");
    let run = client.apply_restore(&plan.run.id, plan.confirm.as_deref()).unwrap();
    succeeded(client, &run);
}

#[test]
fn a_volume_is_captured_broken_and_restored() {
    Lab::on_each(|lab| {
        let client = lab.administrator();
        let files = lab.data().join("files");
        let resource = volume(&client, "files", &files);
        std::fs::write(files.join("a"), "as it was").unwrap();
        let snapshot = taken(&client, &partial(&["files"]));
        assert_eq!((snapshot.scope, snapshot.is_complete), (SnapshotScope::Partial, true));
        assert_eq!(snapshot.note, "before the upgrade");
        assert!(snapshot.expiry.is_some(), "kept for a month");
        let items = client.snapshot_items(&snapshot.id).unwrap();
        assert_eq!(items.len(), 1);
        assert_eq!(
            (items[0].resource.as_ref(), items[0].outcome),
            (Some(&resource.id), Outcome::Captured)
        );
        assert_eq!(items[0].place, "tenants/system/volumes/files");
        std::fs::write(files.join("a"), "broken").unwrap();
        std::fs::write(files.join("b"), "new").unwrap();
        let resources = vec!["files".into()];
        let new = NewRestore { resources, ..NewRestore::all_of(&snapshot.id) };
        let plan = client.plan_restore(&new).unwrap();
        assert_eq!(plan.confirm.as_deref(), Some("files"), "{plan:?}");
        assert_eq!(std::fs::read_to_string(files.join("a")).unwrap(), "broken");
        let refused = client.apply_restore(&plan.run.id, None).unwrap_err();
        assert!(refused.message().contains("`confirm` must be files"), "{refused}");
        let run = client.apply_restore(&plan.run.id, Some("files")).unwrap();
        let run = succeeded(&client, &run);
        assert_eq!(std::fs::read_to_string(files.join("a")).unwrap(), "as it was");
        assert!(!files.join("b").exists());
        let log = client.run_log(&run.id, 0).unwrap();
        let undo_point = run.result["undo_point"].as_str().unwrap();
        for said in [
            "volume files: 9 B restored in place",
            "1 resource restored on the manager's host in ",
            &format!("what was there before is in snapshot {undo_point} (undo point): files"),
        ] {
            assert!(log.iter().any(|line| line.text.starts_with(said)), "{said}: {log:#?}");
        }
        // What was replaced is a snapshot of its own.
        let undo_point: Snapshot = client.get(&format!("/snapshots/{undo_point}")).unwrap();
        assert_eq!(undo_point.trigger, Trigger::PreRestore);
        assert!(undo_point.expiry.is_some(), "it goes after a month");
        let held = client.snapshot_items(&undo_point.id).unwrap();
        assert_eq!(held[0].resource.as_ref(), Some(&resource.id), "what it holds is known");
        let again = client.apply_restore(&plan.run.id, Some("files")).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::Locked);
    });
}

#[test]
fn a_resource_comes_back_beside_and_a_file_into_a_directory() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let files = lab.data().join("files");
    volume(&client, "files", &files);
    std::fs::create_dir(files.join("deep")).unwrap();
    std::fs::write(files.join("deep/a"), "one").unwrap();
    let snapshot = taken(&client, &partial(&["files"]));
    let beside = lab.data().join("beside");
    let at = json!({ "path": beside }).as_object().unwrap().clone();
    let as_new = AsNew { name: "files-2".into(), at, rules: [].into() };
    let as_new = [("files".to_owned(), as_new)].into();
    let new = NewRestore { as_new, ..NewRestore::all_of(&snapshot.id) };
    let plan = client.plan_restore(&new).unwrap();
    assert_eq!(plan.confirm, None, "nothing is replaced");
    succeeded(&client, &client.apply_restore(&plan.run.id, None).unwrap());
    assert_eq!(std::fs::read_to_string(beside.join("deep/a")).unwrap(), "one");
    let into = lab.data().join("into");
    let files = RestoreFiles {
        path: Some("/tenants/system/volumes/files/deep".into()),
        paths: Vec::new(),
        to: into.display().to_string(),
        agent: None,
        overwrite: false,
    };
    let new = NewRestore { files: Some(files), as_new: [].into(), ..new };
    let plan = client.plan_restore(&new).unwrap();
    assert!(!into.exists());
    succeeded(&client, &client.apply_restore(&plan.run.id, None).unwrap());
    assert_eq!(std::fs::read_to_string(into.join("a")).unwrap(), "one");
}

#[test]
fn several_files_come_back_at_once_each_by_its_name() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let volume_path = lab.data().join("files");
    volume(&client, "files", &volume_path);
    for (path, text) in [("one/a", "1"), ("two/a", "2"), ("b", "3"), ("c", "4")] {
        let path = volume_path.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let snapshot = taken(&client, &partial(&["files"]));
    let into = lab.data().join("into");
    let of = |paths: &[&str]| {
        let at = |path: &&str| format!("/tenants/system/volumes/files/{path}");
        let files = RestoreFiles {
            path: None,
            paths: paths.iter().map(at).collect(),
            to: into.display().to_string(),
            agent: None,
            overwrite: true,
        };
        NewRestore { files: Some(files), ..NewRestore::all_of(&snapshot.id) }
    };
    let plan = client.plan_restore(&of(&["two/a", "one", "b", "one/a"])).unwrap();
    assert_eq!((plan.items.len(), &plan.confirm), (1, &None), "{plan:?}");
    succeeded(&client, &client.apply_restore(&plan.run.id, None).unwrap());
    let read = |path: &str| std::fs::read_to_string(into.join(path)).unwrap();
    assert_eq!([read("one/a"), read("a"), read("b")], ["1", "2", "3"]);
    assert!(!into.join("c").exists(), "nobody asked for it");
    std::fs::write(into.join("b"), "broken").unwrap();
    let plan = client.plan_restore(&of(&["b", "c"])).unwrap();
    assert_eq!(plan.confirm.as_deref(), Some(&snapshot.id[..8]), "{plan:?}");
    let run = client.apply_restore(&plan.run.id, plan.confirm.as_deref()).unwrap();
    succeeded(&client, &run);
    assert_eq!([read("b"), read("c")], ["3", "4"]);
    for (paths, kind) in [
        (&[][..], ErrorKind::Invalid),
        (&["b", "gone"], ErrorKind::NotFound),
        (&["b"; MOST_PATHS + 1], ErrorKind::Invalid),
    ] {
        assert_eq!(client.plan_restore(&of(paths)).unwrap_err().kind(), kind);
    }
}

#[test]
fn snapshots_are_found_by_their_words_and_say_whose_they_are() {
    Lab::on_each(|lab| {
        let client = lab.administrator();
        volume(&client, "files", &lab.data().join("files"));
        let [first, second] =
            [("before the move", "100% of \"Äpfel\""), ("", "birnen")].map(|(name, note)| {
                let (name, note) = (name.to_owned(), note.to_owned());
                taken(&client, &NewSnapshot { name, note, ..partial(&["files"]) }).id
            });
        let found = |q: &str, cursor: Option<String>| {
            let (limit, q) = (Some(1), Some(q.to_owned()));
            client.snapshots(&SnapshotQuery { limit, cursor, q, ..Default::default() }).unwrap()
        };
        for (q, id) in [
            ("BEFORE THE", Some(&first)),
            ("100% of \"ä", Some(&first)),
            ("Birnen", Some(&second)),
            (&second[..8], Some(&second)),
            (&first[1..9], None),
            ("partial", None),
        ] {
            let page = found(q, None);
            assert_eq!(page.items.first().map(|one| &one.id), id, "{q}");
            assert_eq!(page.next, None, "{q}");
        }
        let all = found("", None);
        let rest = found("", all.next.clone());
        assert_eq!([&all.items[0].id, &rest.items[0].id], [&second, &first]);
        let names = (all.items[0].tenant_name.as_deref(), all.items[0].storage_name.as_deref());
        assert_eq!(names, (Some("system"), Some("internal")));
    });
}

#[test]
fn a_failed_item_is_never_green_and_what_is_switched_off_is_named() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    volume(&client, "good", &lab.data().join("good"));
    volume(&client, "gone", &lab.data().join("gone"));
    let off = volume(&client, "off", &lab.data().join("off"));
    let spec = ResourceSpec { is_protected: false, ..off.spec };
    let changed = tintype_api::object::ChangedObject { name: None, spec: Some(spec) };
    client.change(&off.id, None, &changed).unwrap();
    std::fs::remove_dir(lab.data().join("gone")).unwrap();
    let run = ended(&client, &client.snapshot(&full()).unwrap());
    assert_eq!(run.state, RunState::Incomplete, "{run:?}");
    let id = run.result["snapshot"].as_str().unwrap();
    let snapshot: Snapshot = client.get(&format!("/snapshots/{id}")).unwrap();
    assert!(!snapshot.is_complete);
    // The manager itself is one of the two.
    assert_eq!((snapshot.captured, snapshot.failed, snapshot.skipped), (2, 1, 1));
    let items = client.snapshot_items(id).unwrap();
    let own = items.iter().find(|item| item.kind == Kind::Manager).unwrap();
    assert_eq!((own.consistency, &own.reason), (Some(Consistency::Application), &None));
    let log = client.run_log(&run.id, 0).unwrap();
    assert!(log.iter().all(|line| !line.text.contains("tintype-manager: captured:")), "{log:#?}");
    let off = items.iter().find(|item| item.name == "off").unwrap();
    assert!(off.reason.as_ref().unwrap().starts_with("not protected"), "{off:?}");
}

#[test]
fn what_is_held_or_locked_stays() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    volume(&client, "files", &lab.data().join("files"));
    let snapshot = taken(&client, &partial(&["files"]));
    let change = |changed: &ChangedSnapshot| client.change_snapshot(&snapshot.id, changed);
    let hold = ChangedSnapshot { hold: Some("legal".into()), ..ChangedSnapshot::default() };
    assert!(change(&hold).unwrap().holds.contains("legal"));
    let refused = client.delete_snapshot(&snapshot.id).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Locked, "{refused}");
    let release = ChangedSnapshot { release: Some("legal".into()), ..ChangedSnapshot::default() };
    change(&release).unwrap();
    let keep = ChangedSnapshot { keep: Some("never".into()), ..ChangedSnapshot::default() };
    assert_eq!(change(&keep).unwrap().expiry, None);
    client.delete_snapshot(&snapshot.id).unwrap();
    let page: Page<Snapshot> = client.get("/snapshots").unwrap();
    assert!(page.items.is_empty());
    let locked = taken(&client, &partial(&["files"]));
    let lock = ChangedSnapshot { lock_for: Some("1d".into()), ..ChangedSnapshot::default() };
    client.change_snapshot(&locked.id, &lock).unwrap();
    let refused = client.delete_snapshot(&locked.id).unwrap_err();
    assert!(refused.message().contains("locked until"), "{refused}");
}

/// A tenant with one volume.
fn tenant_with_files(lab: &Lab, client: &Client, name: &str) -> Object<TenantSpec> {
    let tenant = Lab::tenant(client, name);
    let path = lab.data().join(format!("{name}-files"));
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("a"), "content").unwrap();
    let spec = json!({ "kind": "volume", "connector": "files", "at": { "path": path } });
    let spec: ResourceSpec = serde_json::from_value(spec).unwrap();
    let new = NewObject { name: "files".into(), tenant: Some(tenant.id.clone()), spec };
    client.create(&new).unwrap();
    tenant
}

fn become_of(client: &Client, tenant: &Object<TenantSpec>, edit: impl Fn(&mut TenantSpec)) {
    let mut spec = tenant.spec.clone();
    edit(&mut spec);
    let changed = tintype_api::object::ChangedObject { name: None, spec: Some(spec) };
    client.change(&tenant.id, None, &changed).unwrap();
}

/// One tenant's trouble is that tenant's; the full snapshot says so.
#[test]
fn a_tenant_without_a_part_is_named_and_all_others_have_theirs() {
    Lab::on_each(|lab| {
        let client = lab.administrator();
        let [good, full_up, off] =
            ["good", "over", "off"].map(|name| tenant_with_files(lab, &client, name));
        taken(&client, &full());
        become_of(&client, &full_up, |spec| spec.quota_bytes = Some(1));
        become_of(&client, &off, |spec| spec.is_entitled = false);
        let run = ended(&client, &client.snapshot(&full()).unwrap());
        assert_eq!(run.state, RunState::Incomplete, "{run:?}");
        let id = run.result["snapshot"].as_str().unwrap();
        let snapshot: Snapshot = client.get(&format!("/snapshots/{id}")).unwrap();
        assert_eq!((snapshot.is_complete, snapshot.failed, snapshot.skipped), (false, 1, 1));
        let items = client.snapshot_items(id).unwrap();
        let item = |name: &str| items.iter().find(|item| item.name == name).unwrap();
        let reason = |name: &str| item(name).reason.clone().unwrap();
        assert_eq!((item("over").kind, item("over").outcome), (Kind::Tenant, Outcome::Failed));
        assert!(reason("over").contains("of a quota of 1 B"), "{}", reason("over"));
        assert_eq!(item("off").outcome, Outcome::Skipped);
        assert!(reason("off").starts_with("not protected"), "{}", reason("off"));
        let parts: Page<Snapshot> = client.get("/snapshots").unwrap();
        let of = |tenant: &Object<TenantSpec>| {
            parts.items.iter().filter(|part| part.tenant == tenant.id).count()
        };
        assert_eq!((of(&good), of(&full_up), of(&off)), (2, 1, 1));
        // By hand it is refused in the same words.
        let own = NewSnapshot { tenant: Some(full_up.id.clone()), ..partial(&["files"]) };
        let run = ended(&client, &client.snapshot(&own).unwrap());
        assert!(run.cause.unwrap_or_default().contains("quota"), "{:?}", run.state);
        become_of(&client, &full_up, |spec| spec.quota_bytes = None);
        taken(&client, &own);
    });
}

#[test]
fn what_is_private_is_not_there_for_the_tenant_and_locks_of_tenants_have_bounds() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let acme = tenant_with_files(&lab, &client, "acme");
    let own = lab.as_role(&client, &acme.id, Role::Administrator, "own");
    let new = NewSnapshot { tenant: Some(acme.id.clone()), ..partial(&["files"]) };
    let hidden = taken(&client, &NewSnapshot { is_private: true, ..new.clone() });
    let shown = taken(&client, &new);
    let list: Page<Snapshot> = own.get("/snapshots").unwrap();
    let ids: Vec<&str> = list.items.iter().map(|snapshot| &snapshot.id[..]).collect();
    assert_eq!(ids, [&shown.id]);
    let absent = own.get::<Snapshot>(&format!("/snapshots/{}", hidden.id)).unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::NotFound, "{absent}");
    let lock = |client: &Client, time: &str| {
        let lock = ChangedSnapshot { lock_for: Some(time.into()), ..ChangedSnapshot::default() };
        client.change_snapshot(&shown.id, &lock)
    };
    let refused = lock(&own, "99y").unwrap_err();
    assert!(refused.message().contains("366 days at most"), "{refused}");
    lock(&own, "10d").unwrap();
    lock(&client, "2y").unwrap();
}

/// What is switched off for an application is so for all that it consists of.
#[test]
fn an_application_that_is_switched_off_is_named_and_not_captured() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    volume(&client, "orders", &lab.data().join("orders"));
    volume(&client, "other", &lab.data().join("other"));
    let spec = json!({
        "kind": "application", "is_protected": false, "components": [{ "resource": "orders" }],
    });
    let spec: ResourceSpec = serde_json::from_value(spec).unwrap();
    let shop = client.create(&NewObject { name: "shop".into(), tenant: None, spec }).unwrap();
    assert!(!shop.spec.is_protected, "the API says so");
    let standing = client.standings(&StandingsQuery::default()).unwrap().items;
    let protected = standing.iter().map(|one| (&one.name[..], one.is_protected));
    assert_eq!(protected.collect::<Vec<_>>(), [("other", true), ("orders", false)]);
    let why_not = standing[1].why_not.as_deref().unwrap();
    assert!(why_not.contains("for its application"), "{why_not}");
    let run = succeeded(&client, &client.snapshot(&full()).unwrap());
    let items = client.snapshot_items(run.result["snapshot"].as_str().unwrap()).unwrap();
    let of = |name: &str| items.iter().find(|item| item.name == name).unwrap();
    assert_eq!(of("other").outcome, Outcome::Captured);
    for name in ["shop", "orders"] {
        assert_eq!(of(name).outcome, Outcome::Skipped, "{name}");
        let reason = of(name).reason.as_deref().unwrap();
        assert!(reason.starts_with("not protected: snapshots are switched off"), "{reason}");
    }
    let refused = ended(&client, &client.snapshot(&partial(&["shop"])).unwrap());
    assert_eq!(refused.state, RunState::Failed);
    assert!(refused.cause.unwrap().contains("nothing to capture"));
    let spec = ResourceSpec { is_protected: true, ..shop.spec };
    let changed = tintype_api::object::ChangedObject { name: None, spec: Some(spec) };
    client.change(&shop.id, None, &changed).unwrap();
    let snapshot = taken(&client, &partial(&["shop"]));
    assert_eq!((snapshot.captured, snapshot.skipped), (1, 0));
}
