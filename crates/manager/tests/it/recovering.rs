//! A manager is recovered onto another one, over itself, and without what was left out on purpose.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tintype_api::agent::AgentSpec;
use tintype_api::client::Client;
use tintype_api::connector::ConnectorSpec;
use tintype_api::object::{NewObject, Object};
use tintype_api::profile::ProfileSpec;
use tintype_api::restore::NewRestore;
use tintype_api::run::RunState;
use tintype_api::snapshot::{Excluded, NewSnapshot, SnapshotScope};
use tintype_api::token::TokenSpec;
use tintype_manager::catalog::objects;
use tintype_manager::catalog::rows::Table;
use tintype_manager::lost::copy;
use tintype_manager::lost::recover::{self, Onto, Step, Wanted};
use tintype_manager::lost::settle::Certificate;
use tintype_model::profile::Scope;
use tintype_model::rights::Role;
use tintype_model::{Error, ErrorKind};

use crate::lab::{Lab, PASSWORD};
use crate::lost::{elsewhere, listed, recover, vault_and_words, wanted};
use crate::snapshots::{ended, full, partial, taken, volume};

pub(crate) fn of_manager(exclude: &[Excluded]) -> NewSnapshot {
    let exclude = exclude.iter().copied().collect();
    NewSnapshot { scope: SnapshotScope::Manager, exclude, ..full() }
}

fn names(client: &Client, path: &str) -> Vec<String> {
    let named = |one: &Value| one["name"].as_str().unwrap().to_owned();
    listed(client, path).iter().map(named).collect()
}

#[test]
fn another_manager_is_replaced_by_force_and_comes_back() {
    let mut first = Lab::sqlite();
    let client = first.administrator();
    elsewhere(&first, &client);
    Lab::tenant(&client, "acme");
    taken(&client, &of_manager(&[]));
    let (place, words) = vault_and_words(&mut first);
    Lab::on_each_owned(|mut lab| {
        // A manager that has begun and holds nothing is clean.
        lab.administrator();
        lab.stop();
        let plan = lab.block_on(recover::plan(wanted(&place, &words, Onto::Clean), &lab.options()));
        let plan = plan.unwrap().plan();
        assert_eq!((plan.confirm, plan.scope), (None, SnapshotScope::Manager));
        let mut lab = lab.restarted().unwrap();
        let client = lab.administrator();
        Lab::tenant(&client, "other");
        volume(&client, "theirs", &lab.data().join("theirs"));
        lab.stop();
        let clean =
            lab.block_on(recover::plan(wanted(&place, &words, Onto::Clean), &lab.options()));
        let Err(refused) = clean else { panic!("it is not clean") };
        assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
        assert!(refused.message().contains("tenant: other, system"), "{refused}");
        let by_force = wanted(&place, &words, Onto::Any);
        let plan = lab.block_on(recover::plan(by_force.clone(), &lab.options())).unwrap().plan();
        assert_eq!(plan.replaces.objects["resource"], ["theirs"]);
        assert!(plan.steps.contains(&"replace resource: theirs".to_owned()), "{plan:?}");
        assert_eq!(plan.confirm.as_deref(), Some(&plan.snapshot[..8]));
        let recovered = recover(&lab, by_force, &lab.options()).unwrap();
        assert!(recovered.undo.unwrap().contains("tintype manager undo "));
        let mut lab = lab.restarted().unwrap();
        let client = lab.login("system", "admin", PASSWORD).unwrap();
        assert_eq!(names(&client, "/tenants"), ["system", "acme"]);
        assert!(names(&client, "/resources").is_empty());
        lab.stop();
        let kept = copy::list(&lab.options().data).unwrap();
        lab.block_on(copy::bring_back(&lab.options(), &kept[0].name)).unwrap();
        let lab = lab.restarted().unwrap();
        let client = lab.login("system", "admin", PASSWORD).unwrap();
        assert_eq!(names(&client, "/tenants"), ["system", "other"]);
        assert_eq!(names(&client, "/resources"), ["theirs"]);
        assert!(client.check_audit().unwrap().is_whole);
    });
}

/// Without a plan, and why there is none.
fn whole_restores(lab: &Lab, client: &Client, full: &str, line: &str) {
    let whole = client.whole_restore(full).unwrap();
    assert_eq!(whole.command.as_deref(), Some(line));
    assert_eq!(whole.command_elsewhere.as_deref(), line.strip_suffix(" --in-place"));
    assert!(whole.afterwards[0].contains("log in again"), "{whole:?}");
    let partial = taken(client, &partial(&["files"]));
    let none = client.whole_restore(&partial.id).unwrap();
    assert!(none.command.is_none() && none.why_not.unwrap().contains("chosen resources only"));
    let system = client.whoami().unwrap().tenant;
    let viewer = lab.as_role(client, &system, Role::Viewer, "viewer");
    let none = viewer.whole_restore(full).unwrap();
    assert!(none.command.is_none() && none.why_not.unwrap().contains("administrators"));
}

/// Whatever step fails: what was there is there, or comes back with the command that is told.
#[test]
fn a_failed_recovery_in_place_leaves_what_was_there() {
    let mut lab = Lab::sqlite();
    let client = lab.administrator();
    elsewhere(&lab, &client);
    let files = lab.data().join("files");
    volume(&client, "files", &files);
    std::fs::write(files.join("a"), "as it was").unwrap();
    let held = taken(&client, &full());
    Lab::tenant(&client, "later");
    std::fs::write(files.join("a"), "broken").unwrap();
    // The line for whoever wants the manager back, too.
    let plan = client.plan_restore(&NewRestore::all_of(&held.id)).unwrap();
    let vault = lab.data().join("vault");
    let line =
        format!("tintype recover --from '{}' --snapshot {} --in-place", vault.display(), held.id);
    assert_eq!(plan.manager_command.as_ref(), Some(&line));
    whole_restores(&lab, &client, &held.id, &line);
    let (place, _) = vault_and_words(&mut lab);
    // The manager that is here knows the key: no words.
    let wanted =
        Wanted { words: None, snapshot: Some(held.id), ..wanted(&place, "", Onto::Running) };
    for failing in [Step::Stop, Step::UndoPoint, Step::Switch, Step::List] {
        let options = lab.options();
        let failed = lab.block_on(async {
            let planned = recover::plan(wanted.clone(), &options).await.unwrap();
            assert!(planned.plan().confirm.is_some());
            let mut fail = |step| match step == failing {
                true => Err(Error::unavailable("injected")),
                false => Ok(()),
            };
            planned.apply(&options, &mut fail).await.unwrap_err()
        });
        assert!(failed.message().contains("injected"), "{failed}");
        if failing == Step::List {
            let kept = copy::list(&options.data).unwrap().pop().unwrap();
            assert!(failed.message().contains(&kept.command(&options.data)), "{failed}");
            lab.block_on(copy::bring_back(&options, &kept.name)).unwrap();
        }
        lab = lab.restarted().unwrap();
        let client = lab.login("system", "admin", PASSWORD).unwrap();
        assert_eq!(names(&client, "/tenants"), ["system", "later"], "{failing:?}");
        assert!(taken(&client, &partial(&["files"])).is_complete, "it leads as before");
        lab.stop();
    }
    let recovered = recover(&lab, wanted, &lab.options()).unwrap();
    let lab = lab.restarted().unwrap();
    let client = lab.login("system", "admin", PASSWORD).unwrap();
    assert_eq!(names(&client, "/tenants"), ["system"]);
    // Its applications follow by themselves.
    let run = client.run(&recovered.run.unwrap()).unwrap();
    assert_eq!(ended(&client, &run).state, RunState::Succeeded);
    assert_eq!(std::fs::read_to_string(files.join("a")).unwrap(), "as it was");
}

/// The lines of the state that a snapshot holds, of one table.
fn rows(state: &str, table: &str) -> usize {
    let lines = state.lines().skip(1).map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["table"] == table).count()
}

#[test]
fn what_is_left_out_is_not_in_the_snapshot_and_is_asked_for_again() {
    let mut lab = Lab::sqlite();
    let client = lab.administrator();
    elsewhere(&lab, &client);
    let acme = Lab::tenant(&client, "acme");
    lab.as_role(&client, &acme.id, Role::Viewer, "ci");
    let files = lab.data().join("files");
    volume(&client, "files", &files);
    taken(&client, &partial(&["files"]));
    let wrong = NewSnapshot { exclude: [Excluded::Logs].into(), ..partial(&["files"]) };
    assert_eq!(client.snapshot(&wrong).unwrap_err().kind(), ErrorKind::Invalid);
    let path = "/file?path=manager/state.jsonl";
    let state_of = |new: &NewSnapshot| {
        let snapshot = taken(&client, new);
        let mut incoming =
            client.download(&format!("/snapshots/{}{path}", snapshot.id), 0, None).unwrap();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut incoming.body, &mut text).unwrap();
        (snapshot, text)
    };
    let (_, all) = state_of(&of_manager(&[]));
    for table in ["password", "bearer", "audit", "run", "run_log"] {
        assert!(rows(&all, table) > 0, "{table}");
    }
    let everything = [Excluded::Credentials, Excluded::Events, Excluded::Logs];
    let (snapshot, bare) = state_of(&of_manager(&everything));
    assert_eq!(snapshot.excluded, BTreeSet::from(everything), "it says so");
    for table in ["password", "bearer", "audit", "audit_head", "run", "run_log"] {
        assert_eq!(rows(&bare, table), 0, "{table}");
    }
    let secrets = bare.lines().filter(|line| line.contains(r#""table":"secret""#));
    assert!(secrets.clone().count() > 0);
    for line in secrets {
        assert!(line.contains(r#""owner_kind":"repository""#), "{line}");
    }
    let (place, words) = vault_and_words(&mut lab);
    std::fs::remove_dir_all(lab.data().join("data")).unwrap();
    let recovered = recover(&lab, wanted(&place, &words, Onto::Clean), &lab.options()).unwrap();
    let again = recovered.again.join("\n");
    assert!(again.contains("passwords") && again.contains("tokens"), "{again}");
    let (name, password) = recovered.one_time_password.unwrap();
    let lab = lab.restarted().unwrap();
    assert!(lab.login("system", "admin", PASSWORD).is_err());
    let client = lab.login("system", &name, &password).unwrap();
    assert!(client.whoami().unwrap().must_change_password);
}

#[test]
fn tokens_and_certificate_are_kept_or_not_as_the_plan_says() {
    let mut lab = Lab::sqlite();
    let client = lab.administrator();
    elsewhere(&lab, &client);
    let new =
        NewObject { name: "ci".into(), tenant: None, spec: TokenSpec::new(Role::Viewer, None) };
    let token = client.create_token(&new).unwrap().secret;
    taken(&client, &of_manager(&[]));
    let (place, words) = vault_and_words(&mut lab);
    let tls = lab.data().join("data/tls");
    let read = |name: &str| std::fs::read(tls.join(name)).unwrap();
    let before = [read("authority.pem"), read("certificate.pem")];
    let cases = [
        (Certificate::Keep, false, [true, true]),
        (Certificate::Renew, false, [true, false]),
        (Certificate::New, true, [false, false]),
    ];
    for (certificate, revoke_tokens, same) in cases {
        lab.stop();
        std::fs::remove_dir_all(lab.data().join("data")).unwrap();
        let mut wanted = wanted(&place, &words, Onto::Clean);
        wanted.choices.certificate = certificate;
        wanted.choices.revoke_tokens = revoke_tokens;
        let plan = lab.block_on(recover::plan(wanted.clone(), &lab.options())).unwrap().plan();
        let says = |text: &str| plan.steps.iter().any(|step| step.contains(text));
        assert!(says("everybody logs in again") && says("check every storage"), "{plan:?}");
        assert!(says("check every connector, and that every agent comes back"), "{plan:?}");
        assert_eq!(says("revoke all tokens"), revoke_tokens);
        assert_eq!(says("keep the certificate"), certificate == Certificate::Keep);
        recover(&lab, wanted, &lab.options()).unwrap();
        lab = lab.restarted().unwrap();
        let now = [read("authority.pem"), read("certificate.pem")];
        let is_same = [now[0] == before[0], now[1] == before[1]];
        assert_eq!(is_same, same, "{certificate:?}");
        // What trusts the authority of now is answered.
        let client = lab.nobody().with_bearer(token.clone());
        assert_eq!(client.whoami().is_ok(), !revoke_tokens);
        assert!(lab.login("system", "admin", PASSWORD).is_ok());
    }
}

#[test]
fn a_profile_takes_the_manager_alone_without_what_it_leaves_out() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let spec = json!({
        "scope": "manager", "exclude": ["logs"],
        "periods": [{ "name": "h", "frequency": { "hourly": { "minute": 5 } } }],
    });
    let spec: ProfileSpec = serde_json::from_value(spec).unwrap();
    let new = |tenant, spec: &ProfileSpec| {
        client.create(&NewObject { name: "state".into(), tenant, spec: spec.clone() })
    };
    let acme = Lab::tenant(&client, "acme");
    assert_eq!(new(Some(acme.id), &spec).unwrap_err().kind(), ErrorKind::Invalid);
    let partial = Scope::Partial { resources: [].into(), tags: ["x".into()].into() };
    let partial = ProfileSpec { scope: partial, ..spec.clone() };
    assert_eq!(new(None, &partial).unwrap_err().kind(), ErrorKind::Invalid);
    new(None, &spec).unwrap();
    let lab = lab.restarted_later(2).unwrap();
    let client = lab.login("system", "admin", PASSWORD).unwrap();
    for _ in 0..600 {
        if let Some(snapshot) = listed(&client, "/snapshots").pop() {
            assert_eq!(snapshot["scope"], "manager");
            assert_eq!(snapshot["excluded"], json!(["logs"]));
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("nothing was taken");
}

/// Sessions are of the manager that was.
#[test]
fn the_state_holds_no_session_and_what_is_sealed_stays_so() {
    let mut lab = Lab::sqlite();
    let client = lab.administrator();
    elsewhere(&lab, &client);
    let held = taken(&client, &of_manager(&[]));
    assert_eq!(held.scope, SnapshotScope::Manager);
    assert!(held.expiry.is_some() && held.is_complete, "kept and expired as any other");
    let items = client.snapshot_items(&held.id).unwrap();
    assert_eq!(items.len(), 1, "{items:?}");
    let plan = client.plan_restore(&NewRestore::all_of(&held.id)).unwrap();
    assert!(plan.is_blocked && plan.manager_command.is_some(), "{plan:?}");
    let acme = Lab::tenant(&client, "acme");
    let theirs = lab.as_role(&client, &acme.id, Role::Administrator, "theirs");
    assert_eq!(theirs.snapshot(&of_manager(&[])).unwrap_err().kind(), ErrorKind::Denied);
    let operator = lab.as_role(&client, &lab_system(&client), Role::Operator, "operator");
    assert_eq!(operator.snapshot(&of_manager(&[])).unwrap_err().kind(), ErrorKind::Denied);
    let (place, words) = vault_and_words(&mut lab);
    let mut elsewhere = lab.options();
    elsewhere.data = lab.data().join("second");
    recover(&lab, wanted(&place, &words, Onto::Clean), &elsewhere).unwrap();
    let (state, _) = lab.block_on(tintype_manager::serve::open(&elsewhere)).unwrap();
    lab.block_on(async {
        let mut on = state.catalog.read().await.unwrap();
        let bearers = Table::of(&mut on, "bearer").await.unwrap().unwrap();
        let mut owners = Vec::new();
        let mut take = |row: serde_json::Map<String, Value>| {
            owners.push(row["owner_kind"].clone());
            Ok(())
        };
        bearers.each(&mut on, &mut take).await.unwrap();
        assert!(!owners.contains(&json!("user")), "{owners:?}");
    });
}

fn lab_system(client: &Client) -> tintype_model::identifier::Id {
    client.whoami().unwrap().tenant
}

/// Waits for the check that a recovery queues; agents have no time to come back.
fn checked(mut lab: Lab, wanted: Wanted) -> (Lab, tintype_api::run::Run) {
    lab.stop();
    let recovered = recover(&lab, wanted, &lab.options()).unwrap();
    let (state, _) = lab.block_on(tintype_manager::serve::open(&lab.options())).unwrap();
    lab.block_on(async {
        let mut change = state.catalog.change().await.unwrap();
        let query =
            "UPDATE run SET spec = '{\"agents_seconds\":0}' WHERE kind = 'check-connectors'";
        let done = sqlx::query(query).execute(change.on()).await.unwrap();
        assert_eq!(done.rows_affected(), 1);
        change.commit_own_books().await.unwrap();
        state.catalog.close().await;
    });
    let lab = lab.restarted().unwrap();
    let client = lab.login("system", "admin", PASSWORD).unwrap();
    let id = recovered.checks.last().unwrap();
    let run = ended(&client, &client.run(id).unwrap());
    (lab, run)
}

#[test]
fn connectors_and_agents_are_checked_again_and_what_is_away_is_listed_with_what_to_do() {
    let mut lab = Lab::sqlite();
    let client = lab.administrator();
    elsewhere(&lab, &client);
    let mut server = tintype_testkit::redis::Redis::start(&["--save", "", "--requirepass", "x"]);
    let spec = json!({ "connector": "redis", "at": { "socket": server.socket }, "password": "x" });
    let spec = serde_json::from_value::<ConnectorSpec>(spec).unwrap();
    client.create(&NewObject { name: "orders".into(), tenant: None, spec }).unwrap();
    let (state, now) = (lab.stopped_state(), jiff::Timestamp::UNIX_EPOCH);
    let agent = Object {
        id: state.new_id(),
        tenant: state.system.clone(),
        name: "web1".to_owned(),
        version: 1,
        created: now,
        changed: now,
        spec: AgentSpec { is_enabled: true, host: "web1.example".to_owned() },
    };
    lab.block_on(async {
        let mut change = state.catalog.change().await.unwrap();
        objects::insert(change.on(), &agent).await.unwrap();
        change.commit_own_books().await.unwrap();
        state.catalog.close().await;
    });
    let mut lab = lab.restarted().unwrap();
    let client = lab.login("system", "admin", PASSWORD).unwrap();
    taken(&client, &of_manager(&[]));
    let (place, words) = vault_and_words(&mut lab);
    let (lab, run) = checked(lab, wanted(&place, &words, Onto::Any));
    assert_eq!(run.state, RunState::Incomplete, "{run:?}");
    assert_eq!((&run.result["agents"], &run.result["connectors"]), (&json!(1), &json!(1)));
    let failed: Vec<&str> =
        run.result["failed"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    let address = lab.url.strip_prefix("https://").unwrap();
    let back = format!("`tintype agent --manager {address}`");
    assert!(
        failed.len() == 1 && failed[0].starts_with("agent web1 was not heard of"),
        "{failed:?}"
    );
    assert!(failed[0].contains("web1.example") && failed[0].contains(&back), "{failed:?}");
    server.stop();
    let (lab, run) = checked(lab, wanted(&place, &words, Onto::Any));
    let client = lab.login("system", "admin", PASSWORD).unwrap();
    let log = client.run_log(&run.id, 0).unwrap();
    let away = log.iter().find(|line| line.text.starts_with("connector orders: ")).unwrap();
    assert!(away.text.contains("`tintype connector check orders`"), "{away:?}");
    assert_eq!(run.result["failed"].as_array().unwrap().len(), 2, "{run:?}");
}

/// As many as stay, and one more is taken of what it replaces.
#[test]
fn the_oldest_copy_of_the_catalog_comes_back_too() {
    let mut lab = Lab::sqlite();
    let client = lab.administrator();
    lab.stop();
    let options = lab.options();
    lab.block_on(async {
        let catalog = tintype_manager::serve::as_it_stands(&options).await.unwrap();
        for second in 0..5 {
            let at = jiff::Timestamp::from_second(second).unwrap();
            copy::take(&catalog, &options.data, copy::Why::Recover, at).await.unwrap();
        }
        catalog.close().await;
    });
    drop(client);
    let mut lab = lab.restarted().unwrap();
    Lab::tenant(&lab.administrator(), "later");
    lab.stop();
    let kept = copy::list(&options.data).unwrap();
    assert_eq!(kept.len(), 5);
    let back = lab.block_on(copy::bring_back(&lab.options(), &kept[0].name)).unwrap();
    let undo = back.undo.unwrap().name;
    let lab = lab.restarted().unwrap();
    let client = lab.login("system", "admin", PASSWORD).unwrap();
    assert_eq!(names(&client, "/tenants"), ["system"]);
    let kept = copy::list(&options.data).unwrap();
    assert_eq!((kept.len(), &kept.last().unwrap().name), (5, &undo));
}
