//! What an overview shows: how each resource stands, and what was taken day by day.

use serde_json::json;
use tintype_api::client::Client;
use tintype_api::object::NewObject;
use tintype_api::page::Page;
use tintype_api::profile::ProfileSpec;
use tintype_api::restore::NewRestore;
use tintype_api::snapshot::Snapshot;
use tintype_api::status::{DaysQuery, Health, StandingsQuery, Status};
use tintype_model::item::Outcome;
use tintype_model::rights::Role;

use crate::lab::Lab;
use crate::snapshots::{ended, partial, succeeded, taken, volume};

fn asked(query: StandingsQuery) -> impl Fn(&Client) -> Vec<(String, Health)> {
    move |client| {
        let page = client.standings(&query).unwrap();
        assert_eq!(page.next, None);
        page.items.into_iter().map(|one| (one.name, one.health)).collect()
    }
}

/// Half a day from now, every day: not while a test runs.
fn nightly(client: &Client, resources: &[&str]) {
    let hour = (jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).hour() + 12) % 24;
    let spec = json!({
        "enabled": true, "scope": { "partial": { "resources": resources } },
        "periods": [{ "name": "nightly", "frequency": { "daily": { "time": format!("{hour:02}:30") } },
            "time_zone": "UTC", "missed": "skip" }],
    });
    let spec: ProfileSpec = serde_json::from_value(spec).unwrap();
    client.create(&NewObject { name: "nightly".into(), tenant: None, spec }).unwrap();
}

#[test]
fn each_resource_stands_as_its_last_snapshots_say() {
    Lab::on_each(|lab| {
        let client = lab.administrator();
        for name in ["good", "gone", "alone", "new"] {
            volume(&client, name, &lab.data().join(name));
            std::fs::write(lab.data().join(name).join("a"), name).unwrap();
        }
        nightly(&client, &["good", "gone", "new"]);
        let first = taken(&client, &partial(&["good", "gone", "alone"]));
        std::fs::remove_dir_all(lab.data().join("gone")).unwrap();
        let run = client.snapshot(&partial(&["good", "gone"])).unwrap();
        let second = ended(&client, &run).result["snapshot"].as_str().unwrap().to_owned();
        let all = asked(StandingsQuery::default())(&client);
        let of = |name: &str| all.iter().find(|(known, _)| known == name).unwrap().1;
        assert_eq!(
            [of("new"), of("gone"), of("alone"), of("good")],
            [Health::Never, Health::Failed, Health::Attention, Health::Good]
        );
        assert!(all.is_sorted_by_key(|(_, health)| *health), "the worst first: {all:?}");
        let counts = client.get::<Status>("/status").unwrap().counts;
        let counted = [counts.never, counts.failed, counts.attention, counts.unprotected];
        assert_eq!((counted, counts.good), ([1, 1, 1, 0], 1));
        let query = StandingsQuery { q: Some("GO".into()), ..StandingsQuery::default() };
        let found = client.standings(&query).unwrap().items;
        let [gone, good] = &found[..] else { panic!("{found:?}") };
        assert_eq!(gone.last_good_snapshot.as_ref(), Some(&first.id));
        assert_eq!(good.last_good_snapshot.as_ref(), Some(&second));
        let outcomes: Vec<Outcome> = gone.last.iter().map(|past| past.outcome).collect();
        assert_eq!(outcomes, [Outcome::Failed, Outcome::Captured], "the newest first");
        assert!(gone.last[0].reason.is_some());
        assert_eq!(good.next.as_ref().unwrap().profile_name, "nightly");
        assert!(good.consistency.is_some());
        let health = Some(Health::Attention);
        let query = StandingsQuery { health, ..StandingsQuery::default() };
        assert_eq!(asked(query)(&client), [("alone".to_owned(), Health::Attention)]);
        let query = StandingsQuery { protected: Some(false), ..StandingsQuery::default() };
        assert_eq!(asked(query)(&client), []);
        in_pages(&client);
        days(&client);
        undo_points_do_not_count(&client, &first.id);
    });
}

/// What a restore replaced is newer, and no state that somebody wants back.
fn undo_points_do_not_count(client: &Client, first: &str) {
    let of = |name: &str| {
        let query = StandingsQuery { q: Some(name.into()), ..StandingsQuery::default() };
        client.standings(&query).unwrap().items.remove(0)
    };
    let before = of("good");
    let resources = vec!["good".to_owned(), "alone".to_owned()];
    let new = NewRestore { resources, ..NewRestore::all_of(first) };
    let plan = client.plan_restore(&new).unwrap();
    let run = client.apply_restore(&plan.run.id, plan.confirm.as_deref()).unwrap();
    let run = succeeded(client, &run);
    assert!(run.result["undo_point"].is_string(), "{run:?}");
    assert_eq!(of("good"), before);
    let held: Page<Snapshot> = client.get(&format!("/snapshots?resource={}", before.id)).unwrap();
    assert_eq!(held.items.len(), 3, "it is listed nevertheless");
}

fn in_pages(client: &Client) {
    let whole: Vec<String> = client
        .standings(&StandingsQuery::default())
        .unwrap()
        .items
        .into_iter()
        .map(|o| o.name)
        .collect();
    let mut query = StandingsQuery { limit: Some(1), ..StandingsQuery::default() };
    let mut names = Vec::new();
    loop {
        let page = client.standings(&query).unwrap();
        names.extend(page.items.into_iter().map(|one| one.name));
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(names, whole);
}

fn days(client: &Client) {
    let zone = Some("Europe/Berlin".to_owned());
    let query = DaysQuery { zone, days: Some(3), ..DaysQuery::default() };
    let days = client.days(&query).unwrap().days;
    assert_eq!(days.len(), 3);
    // Midnight may have passed meanwhile.
    let complete: u64 = days.iter().map(|day| day.complete).sum();
    let incomplete: u64 = days.iter().map(|day| day.incomplete).sum();
    assert_eq!((complete, incomplete), (1, 1));
    assert!(days.iter().map(|day| day.stored_bytes).sum::<u64>() > 0);
    assert_eq!((days[0].complete, days[0].failed.len()), (0, 0));
    let query = DaysQuery { zone: Some("Nowhere".into()), ..DaysQuery::default() };
    assert!(client.days(&query).unwrap_err().to_string().contains("Nowhere"));
}

#[test]
fn what_is_late_is_said_without_anything_that_happened() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    volume(&client, "files", &lab.data().join("files"));
    nightly(&client, &["files"]);
    taken(&client, &partial(&["files"]));
    let of = asked(StandingsQuery::default());
    assert_eq!(of(&client), [("files".to_owned(), Health::Good)]);
    // What was missed is skipped: nothing is taken, and nothing is written.
    lab.shift(72);
    assert_eq!(of(&lab.administrator()), [("files".to_owned(), Health::Attention)]);
}

#[test]
fn a_tenant_sees_how_its_own_stand() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let (home, foreign) = (Lab::tenant(&client, "home").id, Lab::tenant(&client, "foreign").id);
    for (tenant, name) in [(&home, "ours"), (&foreign, "theirs")] {
        let spec = json!({ "kind": "volume", "connector": "files", "at": { "path": "/srv" } });
        let spec: tintype_api::resource::ResourceSpec = serde_json::from_value(spec).unwrap();
        let tenant = Some(tenant.clone());
        client.create(&NewObject { name: name.into(), tenant, spec }).unwrap();
    }
    let own = lab.as_role(&client, &home, Role::Viewer, "own");
    let query = StandingsQuery { tenant: Some(foreign.to_string()), ..StandingsQuery::default() };
    for query in [StandingsQuery::default(), query.clone()] {
        assert_eq!(asked(query)(&own), [("ours".to_owned(), Health::Never)]);
    }
    assert_eq!(asked(query)(&client), [("theirs".to_owned(), Health::Never)]);
    assert_eq!(own.get::<Status>("/status").unwrap().counts.never, 1);
}
