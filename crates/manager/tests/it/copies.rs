//! Full snapshots of several tenants, and copies of them in another storage.

use std::path::PathBuf;

use serde_json::json;
use tintype_api::client::Client;
use tintype_api::object::NewObject;
use tintype_api::page::Page;
use tintype_api::resource::ResourceSpec;
use tintype_api::restore::{NewRestore, Standing};
use tintype_api::run::RunState;
use tintype_api::snapshot::{ChangedSnapshot, Snapshot, SnapshotScope};
use tintype_api::storage::StorageSpec;
use tintype_api::sync::SyncSpec;
use tintype_api::tenant::TenantSpec;
use tintype_manager::catalog::{repositories, runs, snapshots};
use tintype_manager::lost::rebuild;
use tintype_manager::lost::recover::Onto;
use tintype_manager::state::State;
use tintype_model::ErrorKind;
use tintype_model::identifier::Id;

use crate::lab::{Lab, PASSWORD};
use crate::lost::{elsewhere, recover, vault_and_words, wanted};
use crate::snapshots::{ended, full, succeeded, taken};

fn listed(client: &Client) -> Vec<Snapshot> {
    client.get::<Page<Snapshot>>("/snapshots?limit=1000").unwrap().items
}

fn named(client: &Client, id: &str) -> Option<Snapshot> {
    listed(client).into_iter().find(|one| one.id == id)
}

fn copy_of(client: &Client, id: &str) -> Option<Snapshot> {
    listed(client).into_iter().find(|one| one.copy_of.as_deref() == Some(id))
}

/// One volume each of the system and of two tenants.
fn populated(lab: &Lab, client: &Client) -> (Vec<Id>, [PathBuf; 3]) {
    let mut tenants = vec![client.whoami().unwrap().tenant];
    tenants.extend(["acme", "beta"].map(|name| Lab::tenant(client, name).id));
    let places = ["own", "acme", "beta"].map(|name| lab.data().join(name));
    for (tenant, place) in tenants.iter().zip(&places) {
        std::fs::create_dir_all(place).unwrap();
        let spec = json!({ "kind": "volume", "connector": "files", "at": { "path": place } });
        let spec: ResourceSpec = serde_json::from_value(spec).unwrap();
        let name = place.file_name().unwrap().to_str().unwrap().to_owned();
        client.create(&NewObject { name, tenant: Some(tenant.clone()), spec }).unwrap();
    }
    (tenants, places)
}

fn write(places: &[PathBuf], text: &str) {
    places.iter().for_each(|place| std::fs::write(place.join("x"), text).unwrap());
}

fn read(places: &[PathBuf]) -> Vec<String> {
    let read = |place: &PathBuf| std::fs::read_to_string(place.join("x")).unwrap();
    places.iter().map(read).collect()
}

fn parts(client: &Client, full: &Snapshot) -> Vec<Snapshot> {
    assert_eq!(full.parts.len(), 2, "{full:?}");
    full.parts.iter().filter_map(|id| named(client, id)).collect()
}

/// What lies in the storage `vault` is recovered onto an empty machine.
fn lost(mut lab: Lab) -> Lab {
    let (place, words) = vault_and_words(&mut lab);
    std::fs::remove_dir_all(lab.data().join("data")).unwrap();
    let recovered = recover(&lab, wanted(&place, &words, Onto::Clean), &lab.options()).unwrap();
    let said = recovered.default.unwrap();
    assert!(said.contains("storage recovered is the default from now on, in place of internal"));
    let unreadable = recovered.rebuilt.unreadable;
    assert!(unreadable.iter().all(|one| !one.contains("vault")), "{unreadable:?}");
    lab.restarted().unwrap()
}

#[test]
fn a_full_snapshot_and_its_copy_stand_apart_and_either_brings_everything_back() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let (_, places) = populated(&lab, &client);
    write(&places, "as it was");
    // The state in it knows nothing of the storage that it is copied to.
    let first = taken(&client, &full());
    let storage = elsewhere(&lab, &client);
    let spec = json!({
        "from": "internal", "to": "vault",
        "period": {
            "name": "daily", "frequency": { "daily": { "time": "02:30" } }, "retention": "1y",
        },
    });
    let spec: SyncSpec = serde_json::from_value(spec).unwrap();
    let rule = client.create(&NewObject { name: "twice".into(), tenant: None, spec }).unwrap();
    let synced = || succeeded(&client, &client.run_sync(&rule.id).unwrap()).result;
    assert_eq!(synced()["copied"], json!(3), "with the parts of its tenants");
    let copy = copy_of(&client, &first.id).unwrap();
    assert_eq!((copy.scope, &copy.storage), (SnapshotScope::Full, &storage.id));
    let copied = |id: &String| copy_of(&client, id).unwrap();
    let copies: Vec<Snapshot> = first.parts.iter().map(copied).collect();
    assert_eq!(copies.len(), 2);

    // What is said of the copy is not said of the first, nor of its parts.
    let before: Vec<Snapshot> = parts(&client, &first);
    let shorter = ChangedSnapshot { keep: Some("1d".into()), ..ChangedSnapshot::default() };
    let shortened = client.change_snapshot(&copy.id, &shorter).unwrap();
    assert!(shortened.expiry < copy.expiry);
    for part in &copies {
        assert_eq!(named(&client, &part.id).unwrap().expiry, shortened.expiry);
    }
    assert_eq!(parts(&client, &first), before);
    assert_eq!(named(&client, &first.id).as_ref(), Some(&first));
    let refused = client.delete_snapshot(&copies[0].id).unwrap_err();
    assert!(refused.message().contains("belongs to a full snapshot"), "{refused}");
    client.delete_snapshot(&copy.id).unwrap();
    assert_eq!(listed(&client).len(), 3, "the first and its parts");
    assert_eq!(parts(&client, &first), before);
    assert_eq!(synced()["copied"], json!(3), "it is made again");
    client.delete_snapshot(&first.id).unwrap();
    let all = listed(&client);
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(|one| one.copy_of.is_some()), "{all:?}");

    // The storage of the first is gone, with the manager.
    let copy = copy_of(&client, &first.id).unwrap();
    let lab = lost(lab);
    let client = lab.login("system", "admin", PASSWORD).unwrap();
    assert_eq!(listed(&client).len(), 3);
    write(&places, "broken");
    let plan = client.plan_restore(&NewRestore::all_of(&copy.id)).unwrap();
    assert_eq!((plan.items.len(), plan.missing.len()), (3, 0), "{plan:?}");
    let run = client.apply_restore(&plan.run.id, plan.confirm.as_deref()).unwrap();
    succeeded(&client, &run);
    assert_eq!(read(&places), ["as it was"; 3]);
    // The one that is there is the default, and what is due goes there.
    let default = client.list::<StorageSpec>().unwrap();
    let default: Vec<_> = default.into_iter().filter(|one| one.spec.is_default).collect();
    assert_eq!((default.len(), &default[0].name[..]), (1, "recovered"), "{default:?}");
    let next = taken(&client, &full());
    assert_eq!((&next.storage, next.parts.len()), (&default[0].id, 2));
}

fn delete(lab: &Lab, state: &State, query: &str) {
    lab.block_on(async {
        let mut change = state.catalog.change().await.unwrap();
        let done = sqlx::query(sqlx::AssertSqlSafe(query.to_owned())).execute(change.on()).await;
        assert!(done.unwrap().rows_affected() > 0, "{query}");
        change.commit_own_books().await.unwrap();
    });
}

#[test]
fn a_part_that_is_gone_is_named_and_stops_nothing_else() {
    let mut lab = Lab::sqlite();
    let client = lab.administrator();
    let (tenants, places) = populated(&lab, &client);
    write(&places, "as it was");
    let whole = taken(&client, &full());
    let state = lab.stopped_state();
    let query = format!("DELETE FROM snapshot WHERE tenant = '{}'", tenants[2]);
    delete(&lab, &state, &query);
    lab.block_on(state.catalog.close());
    let lab = lab.restarted().unwrap();
    let client = lab.login("system", "admin", PASSWORD).unwrap();
    write(&places, "broken");
    let plan = client.plan_restore(&NewRestore::all_of(&whole.id)).unwrap();
    assert_eq!((plan.items.len(), plan.missing.len()), (2, 1), "{plan:?}");
    assert_eq!(plan.missing[0].name, "tenant beta");
    let run = client.apply_restore(&plan.run.id, plan.confirm.as_deref()).unwrap();
    let run = ended(&client, &run);
    assert_eq!((run.state, &run.result["missing"]), (RunState::Incomplete, &json!(1)));
    assert_eq!(read(&places), ["as it was", "as it was", "broken"]);
    let alone =
        NewRestore { tenants: [tenants[2].clone()].into(), ..NewRestore::all_of(&whole.id) };
    let refused = client.plan_restore(&alone).unwrap_err();
    assert!(refused.message().contains("is not there any more"), "{refused}");
}

/// It was interrupted: one run goes on with it, and holds all tenants meanwhile.
#[test]
fn of_several_who_go_on_with_a_restore_one_does() {
    Lab::on_each_owned(|mut lab| {
        let client = lab.administrator();
        let (tenants, places) = populated(&lab, &client);
        write(&places, "as it was");
        let whole = taken(&client, &full());
        let plan = client.plan_restore(&NewRestore::all_of(&whole.id)).unwrap();
        let run = client.apply_restore(&plan.run.id, plan.confirm.as_deref()).unwrap();
        let id = succeeded(&client, &run).id;
        let state = lab.stopped_state();
        delete(&lab, &state, &format!("UPDATE run SET state = 'failed' WHERE id = '{id}'"));
        lab.block_on(state.catalog.close());
        let lab = lab.restarted().unwrap();
        let client = lab.login("system", "admin", PASSWORD).unwrap();
        assert_eq!(client.restore(&id).unwrap().standing, Standing::Interrupted);
        let asked = std::thread::scope(|scope| {
            let ask = || client.resume_restore(&id);
            let asked: Vec<_> = (0..6).map(|_| scope.spawn(ask)).collect();
            asked.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
        });
        let mut went_on: Vec<_> = asked.into_iter().filter_map(Result::ok).collect();
        assert_eq!(went_on.len(), 1, "{went_on:?}");
        let follower = succeeded(&client, &went_on.remove(0));
        let mut lab = lab;
        let state = lab.stopped_state();
        let stored = lab.block_on(async {
            let mut on = state.catalog.read().await.unwrap();
            runs::get(&mut on, &follower.id).await.unwrap()
        });
        let held: Vec<Id> = serde_json::from_value(stored.spec["tenants"].clone()).unwrap();
        assert!(tenants.iter().all(|tenant| held.contains(tenant)), "{:?}", stored.spec);
        lab.block_on(state.catalog.close());
    });
}

#[test]
fn repositories_and_tenants_that_are_younger_than_the_state_are_found_again() {
    let mut lab = Lab::sqlite();
    let client = lab.administrator();
    let (tenants, places) = populated(&lab, &client);
    write(&places, "as it was");
    taken(&client, &full());
    let before = listed(&client);
    let state = lab.stopped_state();
    let of = "SELECT id FROM repository WHERE tenant <>";
    let system = &tenants[0];
    for query in [
        "DELETE FROM item".to_owned(),
        "DELETE FROM snapshot".to_owned(),
        format!("DELETE FROM secret WHERE owner IN ({of} '{system}')"),
        format!("DELETE FROM repository WHERE tenant <> '{system}'"),
        format!("DELETE FROM object WHERE tenant = '{}'", tenants[2]),
    ] {
        delete(&lab, &state, &query);
    }
    lab.block_on(async {
        let rebuilt = rebuild::rebuild(&state).await.unwrap();
        assert_eq!((rebuilt.repositories, rebuilt.snapshots), (3, 3), "{rebuilt:?}");
        assert!(rebuilt.unreadable.is_empty(), "{rebuilt:?}");
        let mut on = state.catalog.read().await.unwrap();
        let all = repositories::list(&mut on, None).await.unwrap();
        drop(on);
        let again = rebuild::rebuild(&state).await.unwrap();
        assert_eq!((again.repositories, all.len()), (3, 3), "once");
        state.catalog.close().await;
    });
    let lab = lab.restarted().unwrap();
    let client = lab.login("system", "admin", PASSWORD).unwrap();
    assert_eq!(listed(&client), before);
    assert_eq!(client.object::<TenantSpec>(&tenants[2]).unwrap().name, "beta");
    let tenant = [tenants[2].clone()].into();
    let full = before.iter().find(|one| one.scope == SnapshotScope::Full).unwrap();
    let new = NewRestore { tenants: tenant, ..NewRestore::all_of(&full.id) };
    write(&places, "broken");
    let plan = client.plan_restore(&new).unwrap();
    succeeded(&client, &client.apply_restore(&plan.run.id, plan.confirm.as_deref()).unwrap());
    assert_eq!(read(&places), ["broken", "broken", "as it was"]);
}

#[test]
fn a_tenant_stays_as_long_as_it_has_snapshots() {
    let mut lab = Lab::sqlite();
    let client = lab.administrator();
    let (tenants, places) = populated(&lab, &client);
    write(&places, "x");
    let whole = taken(&client, &full());
    let resources: Page<tintype_api::object::Object<ResourceSpec>> =
        client.get(&format!("/resources?tenant={}", tenants[1])).unwrap();
    client.delete::<ResourceSpec>(&resources.items[0].id).unwrap();
    let refused = client.delete::<TenantSpec>(&tenants[1]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Locked);
    assert!(refused.message().contains("has 1 snapshots still"), "{refused}");
    client.delete_snapshot(&whole.id).unwrap();
    client.delete::<TenantSpec>(&tenants[1]).unwrap();
    let state = lab.stopped_state();
    lab.block_on(async {
        let mut on = state.catalog.read().await.unwrap();
        let all = repositories::list(&mut on, None).await.unwrap();
        assert!(all.iter().all(|one| one.tenant != tenants[1]), "no care is taken of it");
        let filter = snapshots::Filter { limit: 10, ..snapshots::Filter::default() };
        assert!(snapshots::list(&mut on, &filter).await.unwrap().is_empty());
        drop(on);
        // And it does not come back by itself.
        rebuild::rebuild(&state).await.unwrap();
        assert!(state.tenant(&tenants[1]).await.is_err());
        state.catalog.close().await;
    });
}
