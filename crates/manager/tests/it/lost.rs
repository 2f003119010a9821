//! A manager that is lost comes back out of its storage; a catalog that is lost out of its
//! repositories.

use serde_json::{Value, json};
use tintype_api::client::Client;
use tintype_api::object::{NewObject, Object};
use tintype_api::page::Page;
use tintype_api::run::RunState;
use tintype_api::snapshot::Snapshot;
use tintype_api::storage::{StorageKind, StorageSpec};
use tintype_manager::lost::recover::{self, Onto, Recovered, Wanted};
use tintype_manager::lost::{alive, look, rebuild, settle, sheet};
use tintype_manager::serve::Options;
use tintype_model::ErrorKind;
use tintype_runner::vault::{Env, Place, Vault};

use crate::lab::{Lab, PASSWORD};
use crate::snapshots::{ended, full, partial, taken, volume};
use crate::syncs::{later, more, over};

/// Elsewhere than the data directory, and the default.
pub(crate) fn elsewhere(lab: &Lab, client: &Client) -> Object<StorageSpec> {
    let spec = StorageSpec {
        kind: StorageKind::Directory,
        url: lab.data().join("vault").display().to_string(),
        mount_point: None,
        is_default: true,
        is_shared: true,
        access_key: None,
        agent_access_key: None,
        bandwidth: None,
    };
    client.create(&NewObject { name: "vault".into(), tenant: None, spec }).unwrap()
}

pub(crate) fn wanted(place: &Place, words: &str, onto: Onto) -> Wanted {
    let choices = settle::Choices::default();
    let words = Some(words.to_owned());
    Wanted {
        place: place.clone(),
        installation: None,
        words,
        snapshot: None,
        onto,
        take_over: None,
        choices,
    }
}

/// Plans it and does it.
pub(crate) fn recover(
    lab: &Lab,
    wanted: Wanted,
    options: &Options,
) -> tintype_model::Result<Recovered> {
    lab.block_on(async {
        let planned = recover::plan(wanted, options).await?;
        planned.apply(options, &mut |_| Ok(())).await
    })
}

/// Ends the manager, and gives the storage `vault` with its words.
pub(crate) fn vault_and_words(lab: &mut Lab) -> (Place, String) {
    let state = lab.stopped_state();
    let words = words(&lab.block_on(sheet::sheet(&state, "00")).unwrap().text(), "vault");
    lab.block_on(state.catalog.close());
    (Place::parse(&lab.data().join("vault").display().to_string(), None).unwrap(), words)
}

/// The twelve words of that storage.
fn words(sheet: &str, storage: &str) -> String {
    let from = sheet.split(&format!("Storage {storage}")).nth(1).unwrap();
    let line = from.lines().find_map(|line| line.trim().strip_prefix("words: ")).unwrap();
    line.to_owned()
}

pub(crate) fn listed(client: &Client, path: &str) -> Vec<Value> {
    let page: Page<Value> = client.get(path).unwrap();
    assert!(page.next.is_none());
    page.items
}

const LISTS: [&str; 7] =
    ["/tenants", "/users", "/storages", "/resources", "/profiles", "/syncs", "/snapshots"];

#[test]
fn a_lost_manager_comes_back_from_the_store_and_twelve_words() {
    let mut lab = Lab::sqlite();
    let client = lab.administrator();
    elsewhere(&lab, &client);
    let acme = Lab::tenant(&client, "acme");
    let files = lab.data().join("files");
    volume(&client, "files", &files);
    std::fs::write(files.join("a"), "before the fire").unwrap();
    let spec = json!({ "kind": "volume", "connector": "files", "at": { "path": files } });
    let of_acme = NewObject {
        name: "theirs".into(),
        tenant: Some(acme.id.clone()),
        spec: serde_json::from_value(spec).unwrap(),
    };
    client.create::<tintype_api::resource::ResourceSpec>(&of_acme).unwrap();
    let part = taken(&client, &partial(&["files"]));
    let snapshot = taken(&client, &full());
    // What happens afterwards is not in it.
    let before: Vec<_> = LISTS.map(|path| listed(&client, path)).into();
    assert_eq!(before.last().unwrap().len(), 3, "a partial one, a full one, and the part of acme");
    let (place, words) = vault_and_words(&mut lab);
    let found = look::installations(&place, &Env::system()).unwrap();
    assert_eq!((found.len(), found[0].repositories), (1, 2));
    assert!(found[0].written.is_some_and(|written| written >= snapshot.time), "{found:?}");
    assert_eq!(found[0].storages, ["internal", "vault"]);
    let wanted = |words: &str| wanted(&place, words, Onto::Clean);
    // Not over one that has worked.
    let refused = recover(&lab, wanted(&words), &lab.options()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadyExists, "{refused}");
    std::fs::remove_dir_all(lab.data().join("data")).unwrap();
    let wrong = "abandon ".repeat(11) + "about";
    let refused = recover(&lab, wanted(&wrong), &lab.options()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::WrongKey, "{refused}");
    std::fs::remove_dir_all(lab.data().join("data")).unwrap();
    // A partial one does not hold the manager.
    let of_part = Wanted { snapshot: Some(part.id), ..wanted(&words) };
    let refused = recover(&lab, of_part, &lab.options()).unwrap_err();
    assert!(refused.message().contains("no full snapshot"), "{refused}");
    std::fs::remove_dir_all(lab.data().join("data")).unwrap();
    let recovered = recover(&lab, wanted(&words), &lab.options()).unwrap();
    assert_eq!((recovered.snapshot, recovered.tenants), (snapshot.id.clone(), 2));
    assert!(recovered.rebuilt.unreadable.is_empty(), "{:?}", recovered.rebuilt);
    let lab = lab.restarted().unwrap();
    let client = lab.login("system", "admin", PASSWORD).unwrap();
    for (path, before) in LISTS.iter().zip(before) {
        assert_eq!(listed(&client, path), before, "{path}");
    }
    assert!(client.check_audit().unwrap().is_whole);
    // It goes on: the next snapshot goes into the same repository, and knows what was there.
    let next: Snapshot = taken(&client, &full());
    assert!(next.is_complete && next.stored_bytes < 1 << 20, "{next:?}");
}

/// Two managers of one installation would delete from each other.
#[test]
fn a_manager_that_was_replaced_writes_no_more() {
    let mut lab = Lab::sqlite();
    let client = lab.administrator();
    elsewhere(&lab, &client);
    let files = lab.data().join("files");
    volume(&client, "files", &files);
    let held = taken(&client, &full());
    let (place, words) = vault_and_words(&mut lab);
    let mut elsewhere = lab.options();
    elsewhere.data = lab.data().join("second");
    recover(&lab, wanted(&place, &words, Onto::Clean), &elsewhere).unwrap();
    // The old one is started again all the same.
    let old = lab.restarted().unwrap();
    let client = old.login("system", "admin", PASSWORD).unwrap();
    let run = client.snapshot(&partial(&["files"])).unwrap();
    let ended = ended(&client, &run);
    assert_eq!(ended.state, RunState::Failed);
    assert!(ended.cause.as_deref().unwrap_or_default().contains("was replaced"), "{ended:?}");
    assert_eq!(listed(&client, "/snapshots").len(), 1, "it can be read");
    let refused = client.delete_snapshot(&held.id).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Locked, "{refused}");
    // Care that is due by itself touches nothing either.
    let kinds = ["check-storage", "prune", "gc", "verify"];
    let before = kinds.map(|kind| over(&client, kind).len());
    let old = later(old, 30);
    let client = old.login("system", "admin", PASSWORD).unwrap();
    for (kind, before) in kinds.into_iter().zip(before) {
        let all = more(&client, kind, before);
        for run in &all[..all.len() - before] {
            let cause = run.cause.as_deref().unwrap_or_default();
            assert!(cause.contains("was replaced"), "{kind}: {cause}");
        }
    }
}

/// The old one lives, and two new ones are made of it at the same moment: one leads, whoever asks.
#[test]
fn of_managers_that_race_one_leads() {
    let old = Lab::sqlite();
    let client = old.administrator();
    elsewhere(&old, &client);
    let files = old.data().join("files");
    volume(&client, "files", &files);
    taken(&client, &full());
    let vault = Place::parse(&old.data().join("vault").display().to_string(), None).unwrap();
    // As another process would: beside the manager that runs.
    let (state, _) = old.block_on(tintype_manager::serve::open(&old.options())).unwrap();
    let words = words(&old.block_on(sheet::sheet(&state, "00")).unwrap().text(), "vault");
    let made = |name: &'static str| {
        let mut options = old.options();
        options.data = old.data().join(name);
        let take_over = Some(state.installation.clone());
        let wanted = Wanted { take_over, ..wanted(&vault, &words, Onto::Clean) };
        async move {
            let planned = recover::plan(wanted, &options).await.unwrap();
            let handed = planned.plan().steps.iter().any(|step| step.starts_with("hand over"));
            assert!(handed, "it is a step of the plan");
            planned.apply(&options, &mut |_| Ok(())).await.unwrap();
            options
        }
    };
    let (second, third) = old.block_on(async { tokio::join!(made("second"), made("third")) });
    // All three live, and all three are asked to write at once.
    let new = [second, third].map(|options| old.beside(options));
    let mut clients = vec![client];
    clients.extend(new.iter().map(|new| new.login("system", "admin", PASSWORD).unwrap()));
    let runs: Vec<_> =
        clients.iter().map(|client| client.snapshot(&partial(&["files"])).unwrap()).collect();
    let ends: Vec<_> =
        clients.iter().zip(&runs).map(|(client, run)| ended(client, run).state).collect();
    let lead = ends.iter().filter(|state| **state == RunState::Succeeded).count();
    assert_eq!((lead, ends[0]), (1, RunState::Failed), "{ends:?}");
    for (client, end) in clients.iter().zip(&ends) {
        assert!(!listed(client, "/snapshots").is_empty(), "it can be read");
        let status: Value = client.get("/status").unwrap();
        let warned = status["warnings"].to_string().contains("another manager leads");
        assert_eq!(warned, *end == RunState::Failed, "{status}");
    }
}

/// A drill on another machine must not end the manager that works.
#[test]
fn a_manager_that_lives_is_not_taken_over_unasked() {
    let mut lab = Lab::sqlite();
    let client = lab.administrator();
    let vault = elsewhere(&lab, &client);
    taken(&client, &crate::recovering::of_manager(&[]));
    let place = Place::parse(&vault.spec.url, None).unwrap();
    let state = lab.state();
    lab.block_on(alive::say(&state)).unwrap();
    let words = words(&lab.block_on(sheet::sheet(&state, "00")).unwrap().text(), "vault");
    let installation = state.installation.clone();
    drop(state);
    let mut options = lab.options();
    options.data = lab.data().join("drill");
    let wanted = wanted(&place, &words, Onto::Clean);
    let refused = recover(&lab, wanted.clone(), &options).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Locked);
    for said in [&lab.url["https://".len()..], "leads it since", installation.as_str()] {
        assert!(refused.message().contains(said), "{said}: {refused}");
    }
    taken(&client, &crate::recovering::of_manager(&[]));
    let other = Wanted { take_over: Some(vault.id.clone()), ..wanted.clone() };
    assert!(recover(&lab, other, &options).is_err(), "it is the installation that is named");
    // What ends says so.
    lab.stop();
    let plan = lab.block_on(recover::plan(wanted.clone(), &options)).unwrap().plan();
    assert_eq!(plan.living, None);
    let lab = lab.restarted().unwrap();
    lab.block_on(alive::say(&lab.state())).unwrap();
    recover(&lab, Wanted { take_over: Some(installation), ..wanted }, &options).unwrap();
    let client = lab.login("system", "admin", PASSWORD).unwrap();
    let run = client.snapshot(&crate::recovering::of_manager(&[])).unwrap();
    assert_eq!(ended(&client, &run).state, RunState::Failed, "it was meant");
}

#[test]
fn a_repository_of_ones_own_is_no_storage_to_recover_from_and_it_is_said_why() {
    let lab = Lab::sqlite();
    let place = Place::parse(&lab.data().join("alone").display().to_string(), None).unwrap();
    let host = lab.state().host.clone();
    let words = Vault::create(&place, None, &host).unwrap().words;
    let mut options = lab.options();
    options.data = lab.data().join("second");
    let refused = recover(&lab, wanted(&place, &words, Onto::Clean), &options).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(refused.message().contains("tintype repo -r"), "{refused}");
}

/// A run that writes asks again while it goes on.
#[test]
fn a_run_ends_when_another_manager_takes_over_meanwhile() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let vault = elsewhere(&lab, &client);
    taken(&client, &crate::recovering::of_manager(&[]));
    let (path, begun) = (lab.data().join("files"), lab.data().join("begun"));
    std::fs::create_dir(&path).unwrap();
    let waits = format!("touch {}; sleep 600", begun.display());
    let spec = json!({
        "kind": "volume", "connector": "files", "at": { "path": path },
        "hooks": [{ "phase": "pre-quiesce", "command": ["sh", "-c", waits], "timeout_seconds": 600 }],
    });
    let spec: tintype_api::resource::ResourceSpec = serde_json::from_value(spec).unwrap();
    client.create(&NewObject { name: "files".into(), tenant: None, spec }).unwrap();
    let run = client.snapshot(&partial(&["files"])).unwrap();
    for _ in 0..3000 {
        match begun.exists() {
            true => break,
            false => std::thread::sleep(std::time::Duration::from_millis(20)),
        }
    }
    let state = lab.state();
    let words = words(&lab.block_on(sheet::sheet(&state, "00")).unwrap().text(), "vault");
    let mut options = lab.options();
    options.data = lab.data().join("second");
    let place = Place::parse(&vault.spec.url, None).unwrap();
    let take_over = Some(state.installation.clone());
    drop(state);
    let wanted = Wanted { take_over, ..wanted(&place, &words, Onto::Clean) };
    recover(&lab, wanted, &options).unwrap();
    assert_eq!(client.run(&run.id).unwrap().state, RunState::Running, "it does not know yet");
    // So much later by the clock that it asks.
    lab.shift(1);
    let client = lab.login("system", "admin", PASSWORD).unwrap();
    let ended = ended(&client, &run);
    assert_eq!(ended.state, RunState::Failed);
    assert!(ended.cause.as_deref().unwrap_or_default().contains("was replaced"), "{ended:?}");
}

#[test]
fn the_list_is_made_anew_from_the_repositories() {
    Lab::on_each_owned(|mut lab| {
        let client = lab.administrator();
        let files = lab.data().join("files");
        volume(&client, "files", &files);
        let first = taken(&client, &partial(&["files"]));
        let hold = tintype_api::snapshot::ChangedSnapshot {
            hold: Some("legal".into()),
            keep: Some("2y".into()),
            ..Default::default()
        };
        client.change_snapshot(&first.id, &hold).unwrap();
        std::fs::remove_dir(&files).unwrap();
        let failed = client.snapshot(&full()).unwrap();
        crate::snapshots::ended(&client, &failed);
        let all = |client: &Client| {
            let snapshots = listed(client, "/snapshots");
            let items = snapshots
                .iter()
                .map(|snapshot| client.snapshot_items(snapshot["id"].as_str().unwrap()).unwrap());
            let items: Vec<_> = items.collect();
            (snapshots, items)
        };
        let before = all(&client);
        let state = lab.stopped_state();
        lab.block_on(async {
            let mut change = state.catalog.change().await.unwrap();
            for table in ["item", "snapshot"] {
                let query = sqlx::AssertSqlSafe(format!("DELETE FROM {table}"));
                sqlx::query(query).execute(change.on()).await.unwrap();
            }
            change.commit_own_books().await.unwrap();
            let rebuilt = rebuild::rebuild(&state).await.unwrap();
            assert_eq!((rebuilt.repositories, rebuilt.snapshots), (1, 2));
            state.catalog.close().await;
        });
        let lab = lab.restarted().unwrap();
        let client = lab.login("system", "admin", PASSWORD).unwrap();
        assert_eq!(all(&client), before);
    });
}
