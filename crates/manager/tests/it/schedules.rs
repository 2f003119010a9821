//! What profiles make due, what goes when its time is over, and runs that outlive their manager.

use std::collections::BTreeSet;

use serde_json::json;
use tintype_api::object::NewObject;
use tintype_api::page::Page;
use tintype_api::profile::{NewPreview, ProfileSpec};
use tintype_api::resource::ResourceSpec;
use tintype_api::run::{Run, RunKind, RunState};
use tintype_api::snapshot::{ChangedSnapshot, NewSnapshot, Snapshot, Trigger};
use tintype_manager::catalog::objects;
use tintype_manager::catalog::runs::{self, Filter};
use tintype_manager::schedule;
use tintype_manager::state::State;
use tintype_model::ErrorKind;
use tintype_model::item::Outcome;
use tintype_model::profile::Scope;

use crate::lab::{Lab, PASSWORD};
use crate::snapshots::{ended, full, partial, succeeded, taken, volume};
use crate::syncs::{later, more, over};

fn daily(enabled: bool) -> ProfileSpec {
    let spec = json!({
        "enabled": enabled,
        "scope": { "partial": { "resources": ["files"] } },
        "periods": [{
            "name": "daily", "frequency": { "daily": { "time": "02:30" } }, "retention": "2d",
            "minimum_count": 1,
        }],
    });
    serde_json::from_value(spec).unwrap()
}

fn new(name: &str, spec: ProfileSpec) -> NewObject<ProfileSpec> {
    NewObject { name: name.into(), tenant: None, spec }
}

/// How many snapshots there are in the queue or behind it, after schedules were looked at.
fn looked_at(lab: &Lab, state: &State) -> usize {
    let all = Filter { kind: Some(RunKind::Snapshot), limit: 100, ..Filter::default() };
    lab.block_on(async {
        schedule::look(state).await.unwrap();
        let mut on = state.catalog.read().await.unwrap();
        runs::list(&mut on, &all).await.unwrap().len()
    })
}

#[test]
fn a_moment_is_taken_up_once_and_what_it_took_goes_in_time() {
    Lab::on_each_owned(|mut lab| {
        let client = lab.administrator();
        volume(&client, "files", &lab.data().join("files"));
        let profile = client.create(&new("nightly", daily(true))).unwrap();
        client.create(&new("sleeping", daily(false))).unwrap();
        let state = lab.stopped_state();
        let queued = |state: &State| looked_at(&lab, state);
        assert_eq!(queued(&state), 0, "nothing is due yet");
        lab.shift(24);
        assert_eq!((queued(&state), queued(&state)), (1, 1), "once");
        // A clock that goes back takes nothing up again, one that jumps takes up one.
        lab.shift(-3);
        assert_eq!(queued(&state), 1);
        lab.shift(24 * 10);
        assert_eq!((queued(&state), queued(&state)), (2, 2));
        lab.block_on(state.catalog.close());
        let lab = lab.restarted_later(24 - 3 + 240).unwrap();
        let client = lab.login("system", "admin", PASSWORD).unwrap();
        let page: Page<Run> = client.get("/runs?kind=snapshot").unwrap();
        assert_eq!(page.items.len(), 2);
        for run in &page.items {
            succeeded(&client, run);
        }
        let page: Page<Snapshot> = client.get("/snapshots").unwrap();
        assert_eq!(page.items.len(), 2);
        for snapshot in &page.items {
            assert_eq!(snapshot.trigger, Trigger::Schedule);
            assert_eq!(snapshot.profile.as_ref(), Some(&profile.id));
            assert!(snapshot.expiry.is_some());
        }
    });
}

#[test]
fn a_changed_retention_is_shown_on_dates_before_it_counts() {
    let mut lab = Lab::sqlite();
    let client = lab.administrator();
    volume(&client, "files", &lab.data().join("files"));
    let mut spec = daily(true);
    spec.periods[0].retention = serde_json::from_value(json!("30d")).unwrap();
    let profile = client.create(&new("nightly", spec.clone())).unwrap().id;
    let state = lab.stopped_state();
    for hours in [24, 48] {
        lab.shift(hours);
        lab.block_on(schedule::look(&state)).unwrap();
    }
    lab.block_on(state.catalog.close());
    let lab = lab.restarted_later(72).unwrap();
    let client = lab.login("system", "admin", PASSWORD).unwrap();
    let runs: Page<Run> = client.get("/runs?kind=snapshot").unwrap();
    runs.items.iter().for_each(|run| drop(succeeded(&client, run)));
    let all: Page<Snapshot> = client.get("/snapshots").unwrap();
    let [newest, oldest] = &all.items[..] else { panic!("{all:?}") };
    let mut changed = spec;
    changed.periods[0].retention = serde_json::from_value(json!("1d")).unwrap();
    let on = Some(newest.time + jiff::SignedDuration::from_hours(36));
    let asked = NewPreview { profile, spec: Some(changed), on };
    let preview = client.preview_profile(&asked).unwrap();
    let [period] = &preview.periods[..] else { panic!("{preview:?}") };
    assert_eq!((&period.name[..], period.would_go_now), ("daily", 0));
    let there: Vec<_> = period
        .snapshots
        .iter()
        .map(|one| (&one.id, one.before.is_there, one.after.is_there))
        .collect();
    // The newest is the minimum count.
    let (yes, no) = (Some(true), Some(false));
    assert_eq!(there, [(&newest.id, yes, yes), (&oldest.id, yes, no)]);
    assert!(!period.snapshots[0].after.waits_for.is_empty());
    for (one, snapshot) in period.snapshots.iter().zip([newest, oldest]) {
        assert_eq!(one.before.at, snapshot.expiry);
        assert!(one.after.at < one.before.at);
    }
    lab.shift(30);
    let client = lab.login("system", "admin", PASSWORD).unwrap();
    let now = client.preview_profile(&asked).unwrap();
    assert_eq!(now.periods[0].would_go_now, 1);
    let unchanged = NewPreview { spec: None, on: None, ..asked };
    let unchanged = client.preview_profile(&unchanged).unwrap();
    assert_eq!(unchanged.periods[0].would_go_now, 0);
    assert_eq!(unchanged.periods[0].snapshots[0].after.is_there, None);
    let page: Page<Snapshot> = client.get("/snapshots").unwrap();
    assert_eq!(page.items, all.items, "nothing was changed");
}

/// Runs that care began, by kind.
fn care(client: &tintype_api::client::Client, kind: &str) -> Vec<Run> {
    let page: Page<Run> = client.get(&format!("/runs?kind={kind}")).unwrap();
    page.items.into_iter().map(|run| ended(client, &run)).collect()
}

#[test]
fn care_goes_on_from_the_start_and_keeps_the_last_good_one() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let files = lab.data().join("files");
    volume(&client, "files", &files);
    let month = NewSnapshot { keep: None, ..partial(&["files"]) };
    let day = NewSnapshot { keep: Some("1d".into()), ..partial(&["files"]) };
    let kept = taken(&client, &month);
    let gone = taken(&client, &day);
    let held = taken(&client, &day);
    let hold =
        tintype_api::snapshot::ChangedSnapshot { hold: Some("x".into()), ..Default::default() };
    client.change_snapshot(&held.id, &hold).unwrap();
    let mut lab = lab;
    let state = lab.stopped_state();
    lab.shift(49);
    lab.block_on(async {
        schedule::look(&state).await.unwrap();
        state.catalog.close().await;
    });
    let now = lab.block_on(async { state.clock.now() });
    assert!(gone.expiry.unwrap() < now);
    let lab = lab.restarted_later(49).unwrap();
    let client = lab.login("system", "admin", PASSWORD).unwrap();
    for kind in ["prune", "gc", "verify", "check-storage"] {
        let runs = care(&client, kind);
        assert_eq!(runs.len(), 1, "{kind}");
        assert_eq!(runs[0].state, RunState::Succeeded, "{:?}", runs[0]);
    }
    let page: Page<Snapshot> = client.get("/snapshots").unwrap();
    let there: BTreeSet<_> = page.items.iter().map(|snapshot| &snapshot.id[..]).collect();
    assert_eq!(there, [&kept.id[..], &held.id[..]].into());
    assert!(page.items.iter().all(|snapshot| snapshot.verified.is_some()), "marked as verified");
}

#[test]
fn fifty_tenants_with_twenty_profiles_are_due_at_once() {
    let mut lab = Lab::sqlite();
    let client = lab.administrator();
    let tenants: Vec<_> = (0..50).map(|n| Lab::tenant(&client, &format!("t{n}")).id).collect();
    let state = lab.stopped_state();
    lab.block_on(async {
        let mut change = state.catalog.change().await.unwrap();
        let now = state.now();
        for (n, tenant) in tenants.iter().flat_map(|t| (0..20).map(move |n| (n, t))) {
            let profile = tintype_api::object::Object {
                id: state.new_id(),
                tenant: tenant.clone(),
                name: format!("p{n}"),
                version: 1,
                created: now,
                changed: now,
                spec: daily(true),
            };
            objects::insert(change.on(), &profile).await.unwrap();
        }
        change.commit_own_books().await.unwrap();
    });
    lab.shift(24);
    lab.block_on(async {
        // Two at the same time, as two managers would.
        let (one, other) = tokio::join!(schedule::look(&state), schedule::look(&state));
        one.and(other).unwrap();
        let all = Filter { kind: Some(RunKind::Snapshot), limit: 5000, ..Filter::default() };
        let mut on = state.catalog.read().await.unwrap();
        let runs = runs::list(&mut on, &all).await.unwrap();
        let of: BTreeSet<_> =
            runs.iter().map(|r| (r.run.tenant.clone(), r.spec["profile"].to_string())).collect();
        assert_eq!((runs.len(), of.len()), (1000, 1000));
        drop(on);
        state.catalog.close().await;
    });
}

#[test]
fn a_plan_that_nobody_agreed_to_ends_and_leaves_no_secret() {
    let mut lab = Lab::sqlite();
    let client = lab.administrator();
    volume(&client, "files", &lab.data().join("files"));
    let snapshot = taken(&client, &partial(&["files"]));
    let new = json!({ "snapshot": snapshot.id });
    let new = serde_json::from_value(new).unwrap();
    let plan = client.plan_restore(&new).unwrap();
    let state = lab.stopped_state();
    lab.shift(25);
    lab.block_on(async {
        schedule::look(&state).await.unwrap();
        let mut on = state.catalog.read().await.unwrap();
        let run = runs::get(&mut on, &plan.run.id).await.unwrap().run;
        assert_eq!(run.state, RunState::Canceled);
        let query = sqlx::query("SELECT owner FROM secret WHERE owner_kind = 'run'");
        assert!(query.fetch_all(&mut *on).await.unwrap().is_empty());
        drop(on);
        state.catalog.close().await;
    });
}

#[test]
fn a_run_that_was_interrupted_goes_on_and_a_canceled_one_ends() {
    let mut lab = Lab::sqlite();
    let client = lab.administrator();
    volume(&client, "files", &lab.data().join("files"));
    let run = client.snapshot(&full()).unwrap();
    // As if its manager had died with it.
    let state = lab.stopped_state();
    lab.block_on(async {
        let mut change = state.catalog.change().await.unwrap();
        let sql = "UPDATE run SET state = 'running', owner = 'dead', lease = $1 WHERE id = $2";
        let far = state.now().as_millisecond() + 3_600_000;
        let query = sqlx::query(sql).bind(far).bind(run.id.as_str());
        query.execute(change.on()).await.unwrap();
        change.commit_own_books().await.unwrap();
        state.catalog.close().await;
    });
    let lab = lab.restarted().unwrap();
    let client = lab.login("system", "admin", PASSWORD).unwrap();
    assert_eq!(succeeded(&client, &run).result["is_complete"], true);
    let refused = client.cancel_run(&run.id).unwrap_err();
    assert!(refused.message().contains("over already"), "{refused}");
}

/// So many hours after its beginning, when the profile has run so often and nothing is left to do.
fn after_runs(lab: Lab, hours: i64, runs: usize) -> (Lab, tintype_api::client::Client) {
    let lab = lab.restarted_later(hours).unwrap();
    let client = lab.login("system", "admin", PASSWORD).unwrap();
    for _ in 0..1200 {
        let all: Page<Run> = client.get("/runs").unwrap();
        let of_profile = all.items.iter().filter(|run| run.kind == RunKind::Snapshot).count();
        if of_profile == runs && all.items.iter().all(|run| run.state.is_over()) {
            return (lab, client);
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("{:?}", client.get::<Page<Run>>("/runs").unwrap());
}

#[test]
fn the_last_good_snapshot_of_a_resource_outlives_its_time() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let files = lab.data().join("files");
    volume(&client, "files", &files);
    let mut spec = daily(true);
    spec.periods[0].minimum_count = 0;
    client.create(&new("nightly", spec)).unwrap();
    let (lab, client) = after_runs(lab, 25, 1);
    let all: Page<Snapshot> = client.get("/snapshots").unwrap();
    let [good] = &all.items[..] else { panic!("{all:?}") };
    assert!(good.is_complete && good.expiry.is_some());
    // From now on it cannot be captured, and days go by.
    std::fs::remove_dir_all(&files).unwrap();
    let (lab, _) = after_runs(lab, 25 + 24, 2);
    let (_lab, client) = after_runs(lab, 25 + 24 * 9, 3);
    let prunes = care(&client, "prune");
    assert!(prunes.iter().all(|run| run.state == RunState::Succeeded), "{prunes:?}");
    let all: Page<Snapshot> = client.get("/snapshots").unwrap();
    let kept = all.items.iter().find(|snapshot| snapshot.id == good.id);
    assert!(
        kept.is_some_and(
            |kept| kept.expiry < Some(kept.time + jiff::SignedDuration::from_hours(72))
        )
    );
    assert!(all.items.iter().all(|one| one.id == good.id || !one.is_complete), "{all:?}");
}

/// A run that waits in a hook until `go` is there.
fn waiting(lab: &Lab, client: &tintype_api::client::Client) {
    let (files, at) = (lab.data().join("files"), lab.data().display().to_string());
    std::fs::create_dir(&files).unwrap();
    let script = format!("cd {at}; echo . >> began; while [ ! -e go ]; do sleep 0.05; done");
    let spec = json!({
        "kind": "volume", "connector": "files", "at": { "path": files },
        "hooks": [{ "phase": "pre-quiesce", "command": ["sh", "-c", script] }],
    });
    let spec: tintype_api::resource::ResourceSpec = serde_json::from_value(spec).unwrap();
    client.create(&NewObject { name: "files".into(), tenant: None, spec }).unwrap();
}

#[test]
fn a_clock_that_jumps_ends_nothing_begins_nothing_twice_and_holds_nothing_up() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    waiting(&lab, &client);
    let run = client.snapshot(&partial(&["files"])).unwrap();
    let began = || std::fs::read(lab.data().join("began")).map_or(0, |text| text.len() / 2);
    while began() == 0 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    // All leases are over, as far as the clock knows; the queue is looked at every second.
    lab.shift(5);
    std::thread::sleep(std::time::Duration::from_millis(2500));
    std::fs::write(lab.data().join("go"), "").unwrap();
    let ended = succeeded(&client, &run);
    assert_eq!((ended.attempts, began()), (1, 1));
    // Back by more than the age of all that is queued from now on.
    let second = client.snapshot(&partial(&["files"])).unwrap();
    lab.shift(-200);
    succeeded(&client, &second);
    let third = client.snapshot(&partial(&["files"])).unwrap();
    succeeded(&client, &third);
    let all: Page<Snapshot> = client.get("/snapshots").unwrap();
    assert_eq!((all.items.len(), began()), (3, 3));
}

/// Its manager died after the repository had it, and before the catalog had.
#[test]
fn what_was_committed_before_its_manager_died_is_found_again() {
    let mut lab = Lab::sqlite();
    let client = lab.administrator();
    volume(&client, "files", &lab.data().join("files"));
    let run = client.snapshot(&partial(&["files"])).unwrap();
    let before = succeeded(&client, &run).result["snapshot"].clone();
    let state = lab.stopped_state();
    lab.block_on(async {
        let mut change = state.catalog.change().await.unwrap();
        let statements = [
            "UPDATE run SET state = 'running', owner = 'dead', ended = NULL",
            "DELETE FROM run_step",
            "DELETE FROM item",
            "DELETE FROM snapshot",
        ];
        for sql in statements {
            sqlx::query(sql).execute(change.on()).await.unwrap();
        }
        change.commit_own_books().await.unwrap();
        state.catalog.close().await;
    });
    let lab = lab.restarted().unwrap();
    let client = lab.login("system", "admin", PASSWORD).unwrap();
    assert_eq!(succeeded(&client, &run).result["snapshot"], before);
    let all: Page<Snapshot> = client.get("/snapshots").unwrap();
    assert_eq!(all.items.len(), 1, "it was not taken twice");
}

#[test]
fn what_is_immutable_stays_locked_until_somebody_asked_and_waited() {
    Lab::on_each_owned(|lab| {
        let client = lab.administrator();
        volume(&client, "files", &lab.data().join("files"));
        let spec = json!({
            "scope": { "partial": { "resources": ["files"] } },
            "periods": [{
                "name": "weekly", "frequency": { "weekly": { "weekday": "monday", "time": "02:30" } },
                "retention": "1y", "minimum_count": 0, "immutable": { "unlock_delay_days": 3 },
            }],
        });
        let spec = serde_json::from_value::<ProfileSpec>(spec).unwrap();
        let new = NewObject { name: "ransom".into(), tenant: None, spec };
        let profile = client.create(&new).unwrap();
        let login = |lab: &Lab| lab.login("system", "admin", PASSWORD).unwrap();
        let lab = later(lab, 24 * 8);
        let client = login(&lab);
        more(&client, "snapshot", 0);
        let one = |client: &tintype_api::client::Client| {
            let page: Page<Snapshot> = client.get("/snapshots?limit=1000").unwrap();
            page.items.into_iter().next_back().unwrap()
        };
        let first = one(&client);
        assert_eq!((first.unlock_delay_days, first.is_unlocking), (Some(3), false));
        let days =
            |one: &Snapshot| one.locked_until.unwrap().duration_since(first.time).as_hours() / 24;
        assert!((3..=4).contains(&days(&first)), "{first:?}");
        assert_eq!(client.delete_snapshot(&first.id).unwrap_err().kind(), ErrorKind::Locked);
        // The profile may go: what it took stays as it is.
        client.delete::<ProfileSpec>(&profile.id).unwrap();

        let earlier = over(&client, "prune").len();
        let lab = later(lab, 24 * 10);
        let client = login(&lab);
        more(&client, "prune", earlier);
        assert!((5..=6).contains(&days(&one(&client))), "{:?}", one(&client));
        let asked = ChangedSnapshot { unlock: Some(true), ..ChangedSnapshot::default() };
        let asked = client.change_snapshot(&first.id, &asked).unwrap();
        assert!(asked.is_unlocking && asked.locked_until == one(&client).locked_until);
        assert_eq!(client.delete_snapshot(&first.id).unwrap_err().kind(), ErrorKind::Locked);
        let log: serde_json::Value = client.get("/audit?limit=1000").unwrap();
        assert!(log.to_string().contains("unlocking"), "{log}");

        let earlier = over(&client, "prune").len();
        let lab = later(lab, 24 * 15);
        let client = login(&lab);
        more(&client, "prune", earlier);
        assert_eq!(one(&client).locked_until, asked.locked_until, "extended no more");
        client.delete_snapshot(&first.id).unwrap();

        // One that is not immutable has nothing to be asked for.
        let plain = taken(&client, &partial(&["files"]));
        let asked = ChangedSnapshot { unlock: Some(true), ..ChangedSnapshot::default() };
        let refused = client.change_snapshot(&plain.id, &asked).unwrap_err();
        assert!(refused.message().contains("is not immutable"), "{refused}");
    });
}

/// It waits for a blackout, or for a manager that is away: a note that is changed meanwhile forgets
/// nothing. And what a profile names and is gone stands in what it takes.
#[test]
fn a_changed_note_forgets_no_moment_and_what_is_gone_is_named() {
    let mut lab = Lab::sqlite();
    let client = lab.administrator();
    volume(&client, "files", &lab.data().join("files"));
    let other = volume(&client, "other", &lab.data().join("other"));
    let mut spec = daily(true);
    spec.scope = Scope::Partial {
        resources: ["files".to_owned(), "other".to_owned()].into(),
        tags: BTreeSet::new(),
    };
    let profile = client.create(&new("nightly", spec)).unwrap();
    let state = lab.stopped_state();
    let queued = |state: &State| looked_at(&lab, state);
    assert_eq!(queued(&state), 0);
    lab.shift(24);
    let change = |frequency: Option<serde_json::Value>| {
        lab.block_on(async {
            let mut change = state.catalog.change().await.unwrap();
            let mut profile = objects::get::<ProfileSpec>(change.on(), &profile.id).await.unwrap();
            profile.spec.note.push('x');
            if let Some(frequency) = frequency {
                profile.spec.periods[0].frequency = serde_json::from_value(frequency).unwrap();
            }
            profile.version += 1;
            profile.changed = state.now();
            objects::update(change.on(), &profile).await.unwrap();
            objects::delete::<ResourceSpec>(change.on(), &other.id).await.unwrap();
            change.commit_own_books().await.unwrap();
        });
    };
    change(None);
    assert_eq!(queued(&state), 1);
    lab.shift(24);
    change(Some(json!({ "daily": { "time": "02:31" } })));
    assert_eq!(queued(&state), 1, "a new frequency begins anew");
    lab.block_on(state.catalog.close());
    let lab = lab.restarted_later(48).unwrap();
    let client = lab.login("system", "admin", PASSWORD).unwrap();
    let runs: Page<Run> = client.get("/runs?kind=snapshot").unwrap();
    let run = succeeded(&client, &runs.items[0]);
    let items = client.snapshot_items(run.result["snapshot"].as_str().unwrap()).unwrap();
    let told: Vec<_> = items.iter().map(|item| (&item.name[..], item.outcome)).collect();
    assert_eq!(told, [("files", Outcome::Captured), ("other", Outcome::Skipped)]);
    assert!(items[1].reason.as_ref().unwrap().contains("no resource of that name"), "{items:?}");
}
