//! What the system decides for its tenants, and does not let be gone round.

use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};
use tintype_api::client::Client;
use tintype_api::object::{ChangedObject, NewObject, Object};
use tintype_api::page::Page;
use tintype_api::profile::ProfileSpec;
use tintype_api::resource::ResourceSpec;
use tintype_api::restore::{NewRestore, RestoreFiles, RestorePlan};
use tintype_api::run::{Run, RunState};
use tintype_api::snapshot::{ChangedSnapshot, NewSnapshot, Snapshot};
use tintype_api::storage::{AccessKey, StorageKind, StorageSpec};
use tintype_api::sync::SyncSpec;
use tintype_api::tenant::TenantSpec;
use tintype_api::token::TokenSpec;
use tintype_api::user::{NewPassword, NewUser, UserSpec};
use tintype_model::ErrorKind;
use tintype_model::identifier::Id;
use tintype_model::plan::Verdict;
use tintype_model::rights::Role;
use tintype_testkit::seaweedfs;

use crate::lab::{Lab, PASSWORD};
use crate::snapshots::{ended, partial, succeeded, taken};

/// A tenant with a volume `files`, and where that lies.
struct Home {
    tenant: Object<TenantSpec>,
    files: Object<ResourceSpec>,
    path: PathBuf,
}

fn home(lab: &Lab, administrator: &Client) -> Home {
    let tenant = Lab::tenant(administrator, "home");
    let path = lab.data().join("files");
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("a"), "as it was").unwrap();
    let spec = json!({ "kind": "volume", "connector": "files", "at": { "path": path } });
    let spec = serde_json::from_value(spec).unwrap();
    let new = NewObject { name: "files".into(), tenant: Some(tenant.id.clone()), spec };
    let files = administrator.create(&new).unwrap();
    Home { tenant, files, path }
}

impl Home {
    fn snapshot(&self) -> NewSnapshot {
        NewSnapshot { tenant: Some(self.tenant.id.clone()), ..partial(&["files"]) }
    }

    fn may(&self, administrator: &Client, spec: TenantSpec) {
        let changed = ChangedObject { name: None, spec: Some(spec) };
        administrator.change(&self.tenant.id, None, &changed).unwrap();
    }
}

fn in_place(snapshot: &Snapshot) -> NewRestore {
    NewRestore { without_undo_point: true, ..NewRestore::all_of(&snapshot.id) }
}

fn as_files(snapshot: &Snapshot, path: &str, to: &std::path::Path) -> NewRestore {
    let to = to.display().to_string();
    let (path, paths) = (Some(path.into()), Vec::new());
    let files = RestoreFiles { path, paths, to, agent: None, overwrite: false };
    NewRestore { files: Some(files), ..NewRestore::all_of(&snapshot.id) }
}

fn applied(client: &Client, plan: &RestorePlan) -> tintype_model::Result<Run> {
    client.apply_restore(&plan.run.id, plan.confirm.as_deref())
}

#[test]
fn a_plan_is_agreed_to_by_who_may_make_it() {
    let lab = Lab::sqlite();
    let administrator = lab.administrator();
    let home = home(&lab, &administrator);
    let restorer = lab.as_role(&administrator, &home.tenant.id, Role::Restorer, "restorer");
    let system = administrator.whoami().unwrap().tenant;
    let of_system = lab.as_role(&administrator, &system, Role::Restorer, "of-system");
    let snapshot = taken(&administrator, &home.snapshot());
    let to = lab.data().join("out");
    std::fs::create_dir(&to).unwrap();
    // What goes elsewhere on a host is planned and agreed to by who runs it.
    let files = as_files(&snapshot, "", &to);
    let plan = administrator.plan_restore(&files).unwrap();
    for other in [&restorer, &of_system] {
        assert_eq!(applied(other, &plan).unwrap_err().kind(), ErrorKind::Denied);
        assert_eq!(other.plan_restore(&files).unwrap_err().kind(), ErrorKind::Denied);
    }
    let state = taken(&administrator, &crate::snapshots::full());
    let state = as_files(&state, "manager", &to);
    assert_eq!(of_system.plan_restore(&state).unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(std::fs::read_dir(&to).unwrap().count(), 0, "nothing was written");
    // What the system planned is not the tenant's to carry out; its own is.
    let plan = administrator.plan_restore(&in_place(&snapshot)).unwrap();
    let refused = applied(&restorer, &plan).unwrap_err();
    assert!(refused.message().contains("the system planned"), "{refused}");
    let plan = restorer.plan_restore(&in_place(&snapshot)).unwrap();
    assert!(!plan.is_blocked, "{plan:?}");
    std::fs::write(home.path.join("a"), "broken").unwrap();
    succeeded(&administrator, &applied(&restorer, &plan).unwrap());
    assert_eq!(std::fs::read(home.path.join("a")).unwrap(), b"as it was");
    // What it may no more between the plan and its agreement, it may no more.
    let plan = restorer.plan_restore(&in_place(&snapshot)).unwrap();
    home.may(&administrator, TenantSpec { may_restore: false, ..TenantSpec::default() });
    assert_eq!(applied(&restorer, &plan).unwrap_err().kind(), ErrorKind::Denied);
}

#[test]
fn in_place_is_where_a_resource_lies_now() {
    let lab = Lab::sqlite();
    let administrator = lab.administrator();
    let home = home(&lab, &administrator);
    let restorer = lab.as_role(&administrator, &home.tenant.id, Role::Restorer, "restorer");
    let snapshot = taken(&administrator, &home.snapshot());
    let now = lab.data().join("now");
    std::fs::rename(&home.path, &now).unwrap();
    std::fs::create_dir(&home.path).unwrap();
    std::fs::write(home.path.join("a"), "another's").unwrap();
    std::fs::write(now.join("a"), "broken").unwrap();
    let mut spec = home.files.spec.clone();
    spec.at.insert("path".into(), json!(now));
    let changed = ChangedObject { name: None, spec: Some(spec) };
    administrator.change(&home.files.id, None, &changed).unwrap();
    let outcome = |plan: &RestorePlan| {
        let [item] = &plan.items[..] else { panic!("{plan:?}") };
        let check = item.checks.iter().find(|check| check.name == "place");
        (plan.is_blocked, check.map(|check| check.outcome))
    };
    let plan = restorer.plan_restore(&in_place(&snapshot)).unwrap();
    assert_eq!(outcome(&plan), (true, Some(Verdict::Block)));
    let plan = administrator.plan_restore(&in_place(&snapshot)).unwrap();
    assert_eq!(outcome(&plan), (false, Some(Verdict::Warn)));
    succeeded(&administrator, &applied(&administrator, &plan).unwrap());
    assert_eq!(std::fs::read(now.join("a")).unwrap(), b"as it was");
    assert_eq!(std::fs::read(home.path.join("a")).unwrap(), b"another's");
    // One that is gone is put back by the system alone, where it lay.
    administrator.delete::<ResourceSpec>(&home.files.id).unwrap();
    let plan = restorer.plan_restore(&in_place(&snapshot)).unwrap();
    assert_eq!(outcome(&plan), (true, Some(Verdict::Block)));
    let plan = administrator.plan_restore(&in_place(&snapshot)).unwrap();
    assert_eq!(outcome(&plan), (false, None));
}

#[test]
fn a_private_snapshot_leaves_nothing_that_its_tenant_sees() {
    let lab = Lab::sqlite();
    let administrator = lab.administrator();
    let home = home(&lab, &administrator);
    let own = lab.as_role(&administrator, &home.tenant.id, Role::Administrator, "own");
    let new = NewSnapshot { is_private: true, name: "canary".into(), ..home.snapshot() };
    let run = administrator.snapshot(&new).unwrap();
    let taken = succeeded(&administrator, &run);
    let id = taken.result["snapshot"].as_str().unwrap().to_owned();
    let snapshot: Snapshot = administrator.get(&format!("/snapshots/{id}")).unwrap();
    assert_eq!(snapshot.tenant, home.tenant.id, "it is the tenant's nevertheless");
    let plan = administrator.plan_restore(&in_place(&snapshot)).unwrap();
    succeeded(&administrator, &applied(&administrator, &plan).unwrap());
    let body = json!({ "plain": true });
    let path = format!("/snapshots/{id}/bundles");
    let answer = administrator.exchange("POST", &path, Some(&body), None).unwrap();
    let bundle: Value = serde_json::from_str(&answer.text).unwrap();
    let bundle: Id = bundle["id"].as_str().unwrap().parse().unwrap();
    succeeded(&administrator, &administrator.run(&bundle).unwrap());
    let note = ChangedSnapshot { note: Some("canary".into()), ..ChangedSnapshot::default() };
    administrator.change_snapshot(&id, &note).unwrap();
    let file = format!("/snapshots/{id}/file?path=tenants/home/volumes/files/a");
    administrator.exchange("GET", &file, None, None).unwrap();
    let hidden = [id.clone(), run.id.to_string(), plan.run.id.to_string(), bundle.to_string()];
    let before = administrator.exchange("GET", "/audit?limit=1000", None, None).unwrap().text;
    assert!(hidden.iter().all(|id| before.contains(id)), "the system's log has all");
    administrator.delete_snapshot(&id).unwrap();
    for list in
        ["/snapshots", "/runs", "/restores", "/audit?limit=1000", "/events?follow=false&after=0-0"]
    {
        let answer = own.exchange("GET", list, None, None).unwrap();
        assert_eq!(answer.status, 200, "{list}: {}", answer.text);
        for word in hidden.iter().map(String::as_str).chain(["canary"]) {
            assert!(!answer.text.contains(word), "{list} tells of {word}: {}", answer.text);
        }
    }
    for run in &hidden[1..] {
        for path in [format!("/runs/{run}"), format!("/runs/{run}/log"), format!("/restores/{run}")]
        {
            assert_eq!(own.exchange("GET", &path, None, None).unwrap().status, 404, "{path}");
        }
    }
}

/// Each day, immutable for so long.
fn nightly(delay_days: u32) -> ProfileSpec {
    let spec = json!({
        "scope": "full",
        "periods": [{
            "name": "daily", "frequency": { "daily": { "time": "02:30" } },
            "immutable": { "unlock_delay_days": delay_days },
        }],
    });
    serde_json::from_value(spec).unwrap()
}

#[test]
fn what_a_tenant_may_not_do_its_profiles_do_not() {
    let lab = Lab::sqlite();
    let administrator = lab.administrator();
    let home = home(&lab, &administrator);
    let own = lab.as_role(&administrator, &home.tenant.id, Role::Administrator, "own");
    let named = |name: &str, spec| NewObject {
        name: name.into(),
        tenant: Some(home.tenant.id.clone()),
        spec,
    };
    let bounds = TenantSpec { lock_days_at_most: 10, ..TenantSpec::default() };
    home.may(&administrator, bounds.clone());
    let refused = own.create(&named("longer", nightly(10))).unwrap_err();
    assert!(refused.message().contains("10 days at most"), "{refused}");
    let rule = json!({ "to": "internal", "period": nightly(10).periods[0] });
    let rule: SyncSpec = serde_json::from_value(rule).unwrap();
    let rule =
        NewObject { name: "longer".into(), tenant: Some(home.tenant.id.clone()), spec: rule };
    assert_eq!(own.create(&rule).unwrap_err().kind(), ErrorKind::Denied);
    let lying = ProfileSpec { of_system: Some(true), ..nightly(9) };
    let made = own.create(&named("own", lying)).unwrap();
    assert_eq!(made.spec.of_system, Some(false));
    let theirs = administrator.create(&named("of-system", nightly(30))).unwrap();
    assert_eq!(theirs.spec.of_system, Some(true));
    // What was set counts when it is due, too.
    home.may(&administrator, TenantSpec { may_snapshot: false, ..bounds.clone() });
    let refused = own.create(&named("more", nightly(1))).unwrap_err();
    assert!(refused.message().contains("did not allow"), "{refused}");
    let lab = lab.restarted_later(30).unwrap();
    let administrator = lab.login("system", "admin", PASSWORD).unwrap();
    let run_of = |profile: &str| {
        for _ in 0..600 {
            let path = format!("/runs?tenant={}", home.tenant.id);
            let runs: Page<Run> = administrator.get(&path).unwrap();
            let found = runs.items.into_iter().find(|run| run.by == format!("profile {profile}"));
            if let Some(run) = found {
                return ended(&administrator, &run);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{profile} is not due")
    };
    let run = run_of("own");
    let cause = run.cause.unwrap_or_default();
    assert_eq!(run.state, RunState::Failed);
    assert!(cause.contains("may not take snapshots itself any more"), "{cause}");
    let id = run_of("of-system").result["snapshot"].as_str().unwrap().to_owned();
    let snapshot: Snapshot = administrator.get(&format!("/snapshots/{id}")).unwrap();
    assert_eq!(snapshot.unlock_delay_days, Some(30), "the system's is not bound by that");
}

#[test]
fn what_the_system_holds_a_tenant_does_not_release() {
    let lab = Lab::sqlite();
    let administrator = lab.administrator();
    let home = home(&lab, &administrator);
    let own = lab.as_role(&administrator, &home.tenant.id, Role::Administrator, "own");
    let id = taken(&administrator, &home.snapshot()).id;
    let hold = |reason: &str| ChangedSnapshot { hold: Some(reason.into()), ..Default::default() };
    let release =
        |reason: &str| ChangedSnapshot { release: Some(reason.into()), ..Default::default() };
    administrator.change_snapshot(&id, &hold("legal")).unwrap();
    own.change_snapshot(&id, &hold("legal")).unwrap();
    own.change_snapshot(&id, &hold("ours")).unwrap();
    own.change_snapshot(&id, &release("ours")).unwrap();
    let refused = own.change_snapshot(&id, &release("legal")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Denied);
    assert_eq!(own.delete_snapshot(&id).unwrap_err().kind(), ErrorKind::Locked);
    administrator.change_snapshot(&id, &release("legal")).unwrap();
    own.delete_snapshot(&id).unwrap();
}

#[test]
fn a_token_that_ends_leaves_nothing_that_does_not() {
    let lab = Lab::sqlite();
    let administrator = lab.administrator();
    let end = lab.state().now() + jiff::SignedDuration::from_hours(24);
    let token = |name: &str, expires| {
        let spec = TokenSpec { expires, ..TokenSpec::new(Role::Administrator, None) };
        NewObject { name: name.into(), tenant: None, spec }
    };
    let made = administrator.create_token(&token("ci", Some(end))).unwrap();
    let ci = lab.nobody().with_bearer(&made.secret);
    let second = ci.create_token(&token("second", None)).unwrap().token;
    assert_eq!(second.spec.expires, Some(end), "it ends with its maker");
    let later = Some(end + jiff::SignedDuration::from_secs(1));
    assert_eq!(ci.create_token(&token("third", later)).err().unwrap().kind(), ErrorKind::Denied);
    for one in [&made.token, &second] {
        let spec = TokenSpec { expires: later, ..one.spec.clone() };
        let changed = ChangedObject { name: None, spec: Some(spec) };
        assert_eq!(ci.change(&one.id, None, &changed).unwrap_err().kind(), ErrorKind::Denied);
    }
    let never = administrator.create_token(&token("never", None)).unwrap();
    assert_eq!(never.token.spec.expires, None, "who is logged in may");
    let own = administrator.whoami().unwrap().id;
    let new = NewPassword { old: None, new: "chosen by a token".into() };
    assert_eq!(ci.set_password(&own, &new).unwrap_err().kind(), ErrorKind::Denied);
    assert!(lab.login("system", "admin", PASSWORD).is_ok());
}

#[test]
fn a_run_is_followed_as_long_as_the_session_goes_on() {
    let lab = Lab::sqlite();
    let administrator = lab.administrator();
    let home = home(&lab, &administrator);
    let spec = UserSpec { role: Role::Viewer, is_enabled: true, must_change_password: false };
    let new =
        NewUser { name: "eve".into(), tenant: Some(home.tenant.id.clone()), spec, password: None };
    let eve = administrator.create_user(&new).unwrap();
    let password = NewPassword { old: None, new: "given by another".into() };
    administrator.set_password(&eve.id, &password).unwrap();
    let client = lab.login("home", "eve", "given by another").unwrap();
    let own = NewPassword { old: Some("given by another".into()), new: "chosen by eve".into() };
    client.set_password(&eve.id, &own).unwrap();
    let snapshot = taken(&administrator, &home.snapshot());
    // One that waits, for as long as nobody agrees.
    let plan = administrator.plan_restore(&in_place(&snapshot)).unwrap();
    let mut events = client.run_events(&plan.run.id).unwrap();
    let first = events.next().unwrap().unwrap();
    assert_eq!(first.name, "run");
    client.logout().unwrap();
    administrator.cancel_run(&plan.run.id).unwrap();
    let (told, rest) = mpsc::channel();
    std::thread::spawn(move || told.send(events.filter_map(Result::ok).count()));
    let rest = rest.recv_timeout(Duration::from_secs(30)).expect("it ends");
    assert_eq!(rest, 0, "nothing is told any more");
}

#[test]
fn the_key_of_a_tenants_storage_is_tried_out_whoever_changes_it() {
    let lab = Lab::sqlite();
    let administrator = lab.administrator();
    let home = Lab::tenant(&administrator, "home").id;
    let own = lab.as_role(&administrator, &home, Role::Administrator, "own");
    let store = seaweedfs::shared();
    let key =
        |secret: &str| Some(AccessKey { id: store.access_key.into(), secret: Some(secret.into()) });
    let spec = StorageSpec {
        kind: StorageKind::S3,
        url: format!("s3://manager/of-home?endpoint={}", store.endpoint),
        mount_point: None,
        is_default: true,
        is_shared: false,
        access_key: key(store.secret_key),
        agent_access_key: None,
        bandwidth: None,
    };
    let new = NewObject { name: "cloud".into(), tenant: Some(home), spec: spec.clone() };
    let cloud = administrator.create(&new).unwrap();
    let changed = |spec| ChangedObject { name: None, spec: Some(spec) };
    let wrong = StorageSpec { access_key: key("wrong"), ..spec.clone() };
    let refused = own.change(&cloud.id, None, &changed(wrong)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused}");
    assert!(own.check_storage(&cloud.id).unwrap().is_good, "it is as it was");
    own.change(&cloud.id, None, &changed(spec.clone())).unwrap();
    // Where it lies is the system's to say: nothing is asked there for somebody else.
    let url = spec.url.replace("of-home", "elsewhere");
    let moved = StorageSpec { url, ..spec };
    assert_eq!(own.change(&cloud.id, None, &changed(moved)).unwrap_err().kind(), ErrorKind::Denied);
}
