//! What changed, told to whoever may know of it.

use std::sync::mpsc;
use std::time::Duration;

use serde_json::json;
use tintype_api::change::{Change, Changed, ChangedKind, ChangesQuery};
use tintype_api::client::Client;
use tintype_api::events::Events;
use tintype_api::object::{ChangedObject, NewObject};
use tintype_api::tenant::TenantSpec;
use tintype_model::rights::Role;

use crate::lab::{Lab, PASSWORD};
use crate::snapshots::{partial, taken, volume};

fn behind(after: &str) -> ChangesQuery {
    let after = Some(after.to_owned()).filter(|after| !after.is_empty());
    ChangesQuery { tenant: None, after, follow: Some(false) }
}

/// What came since, and from where to go on.
fn since(client: &Client, after: &str) -> (Vec<(String, Option<Changed>)>, String) {
    let mut events = client.changes(&behind(after)).unwrap();
    let told = events
        .by_ref()
        .map(|event| event.unwrap())
        .map(|event| (event.name, serde_json::from_str(&event.data).ok()))
        .collect();
    (told, events.last_id.unwrap())
}

fn words(told: &[(String, Option<Changed>)]) -> Vec<(ChangedKind, Change)> {
    told.iter().flat_map(|(_, changed)| changed).map(|one| (one.kind, one.change)).collect()
}

#[test]
fn what_is_committed_is_told_once_and_in_order() {
    Lab::on_each(|lab| {
        let client = lab.administrator();
        let (_, begin) = since(&client, "");
        let files = volume(&client, "files", &lab.data().join("files"));
        client.delete::<tintype_api::resource::ResourceSpec>(&files.id).unwrap();
        let (told, middle) = since(&client, &begin);
        let want =
            [(ChangedKind::Resource, Change::Created), (ChangedKind::Resource, Change::Deleted)];
        assert_eq!(words(&told), want);
        assert!(told.iter().flat_map(|(_, of)| of).all(|of| of.id == files.id.as_str()));
        assert_eq!(since(&client, &middle).0, [], "it is told once");
        volume(&client, "again", &lab.data().join("again"));
        let snapshot = taken(&client, &partial(&["again"]));
        let (told, _) = since(&client, &middle);
        let about = |kind: ChangedKind| -> Vec<Change> {
            words(&told)
                .into_iter()
                .filter(|(of, _)| *of == kind)
                .map(|(_, change)| change)
                .collect()
        };
        assert_eq!(about(ChangedKind::Snapshot), [Change::Created], "{told:?}");
        let runs = about(ChangedKind::Run);
        assert_eq!(runs[0], Change::Created, "{told:?}");
        assert!(runs[1..].iter().all(|change| *change == Change::Changed), "{told:?}");
        assert!(runs.len() >= 3, "it began and ended: {told:?}");
        assert!(told.iter().flat_map(|(_, of)| of).any(|of| of.id == snapshot.id));
    });
}

#[test]
fn nobody_is_told_of_what_is_not_his() {
    Lab::on_each(|lab| {
        let client = lab.administrator();
        let home = Lab::tenant(&client, "home").id;
        let (own, other) = (
            lab.as_role(&client, &home, Role::Administrator, "own"),
            lab.as_role(&client, &home, Role::Viewer, "viewer"),
        );
        let (_, begin) = since(&own, "");
        let foreign = Lab::tenant(&client, "foreign");
        lab.as_role(&client, &foreign.id, Role::Viewer, "theirs");
        lab.as_role(&client, &home, Role::Viewer, "ours");
        let changed = ChangedObject { name: None, spec: Some(TenantSpec::default()) };
        client.change(&home, None, &changed).unwrap();
        let (told, _) = since(&own, &begin);
        let tokens = (ChangedKind::Token, Change::Created);
        let changed = (ChangedKind::Tenant, Change::Changed);
        assert_eq!(words(&told), [tokens, changed]);
        let (told, _) = since(&other, &begin);
        assert_eq!(words(&told), [changed], "a viewer sees no tokens");
        let everything = words(&since(&client, &begin).0);
        assert_eq!(everything.len(), 4, "{everything:?}");
        let query = ChangesQuery { tenant: Some(foreign.id.to_string()), ..behind(&begin) };
        assert_eq!(client.changes(&query).unwrap().count(), 2, "of one tenant");
        assert!(own.changes(&query).is_err(), "it is not there for them");
    });
}

#[test]
fn whoever_was_away_too_long_is_told_to_look_at_everything() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let (_, begin) = since(&client, "");
    let (epoch, number) = begin.split_once('-').unwrap();
    let later = format!("{epoch}-{}", number.parse::<i64>().unwrap() + 1000);
    for unknown in ["0123456789ab-1", &later, "nonsense", &format!("{epoch}--5")] {
        let (told, now) = since(&client, unknown);
        assert_eq!(told.len(), 1, "{unknown}");
        assert_eq!((&told[0].0[..], &now), ("reset", &begin), "{unknown}: and goes on from there");
    }
    // What an earlier process numbered may have been another catalog's.
    let lab = lab.restarted().unwrap();
    assert_eq!(since(&lab.administrator(), &begin).0[0].0, "reset");
}

/// Reads in a thread of its own, as a browser does.
fn followed(client: &Client) -> (mpsc::Receiver<String>, std::thread::JoinHandle<()>) {
    let (told, heard) = mpsc::channel();
    let events: Events = client.changes(&ChangesQuery::default()).unwrap();
    let reading = std::thread::spawn(move || {
        for event in events.map_while(Result::ok) {
            if told.send(event.data).is_err() {
                return;
            }
        }
    });
    (heard, reading)
}

#[test]
fn a_stream_tells_what_happens_and_ends_with_its_session() {
    Lab::on_each_owned(|mut lab| {
        let client = lab.administrator();
        let (ending, ended) = followed(&client);
        let session = lab.login("system", "admin", PASSWORD).unwrap();
        let (heard, reading) = followed(&session);
        let patience = Duration::from_secs(30);
        let spec = json!({ "kind": "volume", "connector": "files", "at": { "path": "/srv" } });
        let make = |name: &str| {
            let spec = serde_json::from_value(spec.clone()).unwrap();
            let new: NewObject<tintype_api::resource::ResourceSpec> =
                NewObject { name: name.into(), tenant: None, spec };
            client.create(&new).unwrap().id
        };
        let id = make("first");
        let told = heard.recv_timeout(patience).unwrap();
        assert!(told.contains(id.as_str()), "{told}");
        assert!(ending.recv_timeout(patience).unwrap().contains(id.as_str()));
        session.logout().unwrap();
        make("second");
        reading.join().unwrap();
        assert_eq!(heard.try_iter().count(), 0, "nothing after the session");
        // And with the manager, which waits for nobody who listens.
        lab.stop();
        ended.join().unwrap();
    });
}
