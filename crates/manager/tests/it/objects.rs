//! What all kinds of objects have in common.

use serde_json::{Value, json};
use tintype_api::object::{ChangedObject, NewObject, Object};
use tintype_api::page::Page;
use tintype_api::profile::ProfileSpec;
use tintype_api::resource::{ReadResource, ResourceReading, ResourceSpec};
use tintype_api::tenant::TenantSpec;
use tintype_api::token::TokenSpec;
use tintype_manager::catalog::facts;
use tintype_manager::serve;
use tintype_model::ErrorKind;
use tintype_model::identifier::Id;
use tintype_model::profile::Scope;

use crate::lab::Lab;
use crate::snapshots::volume;

fn new(name: &str) -> NewObject<TenantSpec> {
    NewObject { name: name.into(), tenant: None, spec: TenantSpec::default() }
}

#[test]
fn an_object_is_made_changed_and_deleted() {
    Lab::on_each(|lab| {
        let client = lab.administrator();
        let made = client.create(&new("acme")).unwrap();
        assert_eq!((made.version, made.name.as_str()), (1, "acme"));
        assert_eq!(client.object::<TenantSpec>(&made.id).unwrap(), made);
        let taken = client.create(&new("acme")).unwrap_err();
        assert_eq!(
            (taken.kind(), taken.message()),
            (ErrorKind::AlreadyExists, "there is a tenant `acme` already",)
        );
        let spec = TenantSpec { quota_bytes: Some(1 << 40), ..TenantSpec::default() };
        let changed = ChangedObject { name: None, spec: Some(spec.clone()) };
        let after = client.change(&made.id, Some(1), &changed).unwrap();
        assert_eq!((after.version, &after.spec), (2, &spec));
        let stale = client.change(&made.id, Some(1), &changed).unwrap_err();
        assert!(stale.message().contains("changed meanwhile"), "{stale}");
        let renamed = ChangedObject::<TenantSpec> { name: Some("acme-2".into()), spec: None };
        assert_eq!(client.change(&made.id, None, &renamed).unwrap().spec, spec);
        client.delete::<TenantSpec>(&made.id).unwrap();
        let gone = client.object::<TenantSpec>(&made.id).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn what_is_wrong_is_told_and_changes_nothing() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    for name in ["", "-a", "a b", "ä", &"x".repeat(101)] {
        assert_eq!(client.create(&new(name)).unwrap_err().kind(), ErrorKind::Invalid, "{name}");
    }
    let none = TenantSpec { runs_at_once: 0, ..TenantSpec::default() };
    let wrong = NewObject { name: "a".into(), tenant: None, spec: none };
    assert!(client.create(&wrong).unwrap_err().message().contains("runs_at_once"));
    let nowhere: Id = "0".repeat(26).parse().unwrap();
    let lost = NewObject { tenant: Some(nowhere), ..new("a") };
    assert_eq!(client.create(&lost).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(client.list::<TenantSpec>().unwrap().len(), 1);
}

#[test]
fn the_root_stays_and_what_is_not_empty_does_not_go() {
    Lab::on_each(|lab| {
        let client = lab.administrator();
        let system = client.whoami().unwrap().tenant;
        assert_eq!(client.delete::<TenantSpec>(&system).unwrap_err().kind(), ErrorKind::Invalid);
        let renamed = ChangedObject::<TenantSpec> { name: Some("root".into()), spec: None };
        assert_eq!(client.change(&system, None, &renamed).unwrap_err().kind(), ErrorKind::Invalid);
        let tenant = Lab::tenant(&client, "full");
        lab.as_role(&client, &tenant.id, tintype_model::rights::Role::Viewer, "ci");
        let full = client.delete::<TenantSpec>(&tenant.id).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::Locked);
    });
}

#[test]
fn lists_are_narrowed_by_a_part_of_the_name() {
    Lab::on_each(|lab| {
        let client = lab.administrator();
        for name in ["Shop-Web", "shop-db", "a_b", "axb", "other"] {
            Lab::tenant(&client, name);
        }
        let names = |path: &str| -> Vec<String> {
            let page: Page<Object<Value>> = client.get(path).unwrap();
            page.items.into_iter().map(|object| object.name).collect()
        };
        assert_eq!(names("/tenants?q=SHOP"), ["Shop-Web", "shop-db"]);
        assert_eq!(names("/tenants?q=_"), ["a_b"], "what stands there is meant");
        assert_eq!(names("/tenants?q=%25"), [""; 0]);
        assert_eq!(names("/tenants?q=shop&name=shop-db"), ["shop-db"]);
        assert_eq!(names("/tenants?q=").len(), 6);
        let first: Page<Object<Value>> = client.get("/tenants?q=shop&limit=1").unwrap();
        let next = format!("/tenants?q=shop&limit=1&cursor={}", first.next.unwrap());
        assert_eq!(names(&next), ["shop-db"]);
        let kinds = ["users", "tokens", "resources", "storages", "profiles", "agents"];
        for kind in kinds.into_iter().chain(["connectors", "syncs"]) {
            assert_eq!(names(&format!("/{kind}?q=nothing-of-that-name&limit=1")), [""; 0]);
        }
        // A tenant sees shared storages among its own.
        let tenant = Lab::tenant(&client, "own").id;
        let own = lab.as_role(&client, &tenant, tintype_model::rights::Role::Viewer, "v");
        let storages = |q| own.get::<Page<Object<Value>>>(&format!("/storages?q={q}")).unwrap();
        assert_eq!(storages("INTER").items.len(), 1);
        assert_eq!(storages("cloud").items.len(), 0);
        let long = format!("/tenants?q={}", "x".repeat(101));
        assert_eq!(client.get::<Value>(&long).unwrap_err().kind(), ErrorKind::Invalid);
    });
}

#[test]
fn lists_come_in_pages_that_hold_everything_once() {
    Lab::on_each(|lab| {
        let client = lab.administrator();
        for i in 0..7 {
            Lab::tenant(&client, &format!("t{i}"));
        }
        let mut names = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/tenants?limit=3{cursor}");
            let page: Page<Object<TenantSpec>> = client.get(&path).unwrap();
            assert!(page.items.len() <= 3);
            names.extend(page.items.into_iter().map(|tenant| tenant.name));
            let Some(next) = page.next else { break };
            cursor = format!("&cursor={next}");
        }
        // By when they were made, to the millisecond.
        names.sort();
        assert_eq!(names, ["system", "t0", "t1", "t2", "t3", "t4", "t5", "t6"]);
        let one: Page<Object<TenantSpec>> = client.get("/tenants?name=t4").unwrap();
        assert_eq!(one.items.len(), 1);
        let none: Page<Object<TenantSpec>> = client.get("/tenants?name=").unwrap();
        assert_eq!(none.items.len(), 0);
        for wrong in ["limit=0", "limit=1001", "cursor=x", "tenant=x", "unknown=1"] {
            let error = client.get::<Page<Object<TenantSpec>>>(&format!("/tenants?{wrong}"));
            assert_eq!(error.unwrap_err().kind(), ErrorKind::Invalid, "{wrong}");
        }
    });
}

#[test]
fn a_request_that_is_sent_again_is_done_once() {
    Lab::on_each(|lab| {
        let client = lab.administrator();
        let post = |name: &str, key: &str| {
            let body = json!({ "name": name, "spec": { "role": "viewer" } });
            let headers = [("idempotency-key", key)];
            client.exchange_with("POST", "/tokens", Some(&body), &headers).unwrap()
        };
        let first = post("ci", "one");
        assert_eq!(first.status, 201);
        let again = post("ci", "one");
        assert_eq!((again.status, &again.text), (first.status, &first.text), "with its secret");
        let made: Value = serde_json::from_str(&first.text).unwrap();
        let secret = made["secret"].as_str().unwrap();
        assert!(lab.nobody().with_bearer(secret).whoami().is_ok());
        assert_eq!(client.list::<TokenSpec>().unwrap().len(), 1);
        let other = post("other", "one");
        assert!(other.status == 422 && other.text.contains("another request"), "{}", other.text);
        assert_eq!(post("ci", "two").status, 409, "another key is another request");
        assert_eq!(post("ci", "two").status, 409);
        assert_eq!(post("late", &"k".repeat(201)).status, 422);
        // Somebody else's key is not mine.
        let token = lab.nobody().with_bearer(secret);
        let body = json!({ "name": "ci", "spec": { "role": "viewer" } });
        let theirs =
            token.exchange_with("POST", "/tokens", Some(&body), &[("idempotency-key", "one")]);
        assert_eq!(theirs.unwrap().status, 403);
    });
}

/// As an editor asks for it, with the schema that helps.
#[test]
fn a_description_is_read_and_what_is_wrong_has_its_place() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let schema: Value = client.get("/resources/schema").unwrap();
    assert!(schema["$defs"].is_object());
    let read = |text: &str| -> ResourceReading {
        let new = json!({ "text": text });
        let answer = client.exchange("POST", "/resources/read", Some(&new), None).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text);
        serde_json::from_str(&answer.text).unwrap()
    };
    let found = read("kind: volume\nname: files\nconnector: files\nat: { path: /srv }\n");
    assert_eq!(found.problems, []);
    for ReadResource { name, spec } in found.resources {
        client.create(&NewObject { name, tenant: None, spec }).unwrap();
    }
    let found = read("kind: application\nname: shop\ncomponents: [{ resource: files }]\n");
    assert_eq!((found.resources.len(), found.problems.len()), (1, 0), "of what is there already");
    let found = read("kind: volume\nname: other\nconnector: files\nat: { paht: /srv }\n");
    assert_eq!((found.problems[0].line, found.problems[0].column), (2, 7));
    assert!(found.problems[0].what.contains("knows no `paht`: did you mean `path`"), "{found:?}");
}

/// What somebody read before it wrote was not changed by another meanwhile: two administrators cannot
/// take each other's rights at the same moment.
#[test]
fn changes_go_one_after_another() {
    const EACH: i64 = 20;
    Lab::on_each(|lab| {
        let count = async || {
            let catalog = serve::as_it_stands(&lab.options()).await.unwrap();
            for _ in 0..EACH {
                let mut change = catalog.change().await.unwrap();
                let read = facts::get(change.on(), "count").await.unwrap();
                let next = read.map_or(0, |text| text.parse::<i64>().unwrap()) + 1;
                facts::set(change.on(), "count", &next.to_string()).await.unwrap();
                change.commit_untold().await.unwrap();
            }
            let read = facts::get(&mut catalog.read().await.unwrap(), "count").await.unwrap();
            read.unwrap().parse::<i64>().unwrap()
        };
        let (a, b, c, d) = lab.block_on(async { tokio::join!(count(), count(), count(), count()) });
        assert_eq!([a, b, c, d].into_iter().max(), Some(4 * EACH));
    });
}

#[test]
fn a_resource_that_a_profile_takes_is_renamed_there_and_not_deleted() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let files = volume(&client, "files", &lab.data().join("files"));
    let spec = json!({
        "scope": { "partial": { "resources": ["files"] } },
        "periods": [{ "name": "h", "frequency": { "hourly": { "minute": 5 } } }],
    });
    let spec: ProfileSpec = serde_json::from_value(spec).unwrap();
    let profile = client.create(&NewObject { name: "p".into(), tenant: None, spec }).unwrap();
    let renamed = ChangedObject::<ResourceSpec> { name: Some("data".into()), spec: None };
    client.change(&files.id, None, &renamed).unwrap();
    let after = client.object::<ProfileSpec>(&profile.id).unwrap();
    let names = Scope::Partial { resources: ["data".into()].into(), tags: [].into() };
    assert_eq!((after.spec.scope, after.version), (names, 2));
    let refused = client.delete::<ResourceSpec>(&files.id).unwrap_err();
    assert!(refused.message().contains("profile p takes data"), "{refused}");
    client.delete::<ProfileSpec>(&profile.id).unwrap();
    client.delete::<ResourceSpec>(&files.id).unwrap();
}
