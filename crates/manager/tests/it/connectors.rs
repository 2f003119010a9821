//! Connectors: tried out, sealed, and used by what goes through them.

use serde_json::{Value, json};
use tintype_api::client::Client;
use tintype_api::connector::ConnectorSpec;
use tintype_api::object::{ChangedObject, NewObject, Object};
use tintype_api::resource::ResourceSpec;
use tintype_api::restore::{AsNew, NewRestore};
use tintype_api::run::RunState;
use tintype_model::ErrorKind;
use tintype_model::resource::Kind;
use tintype_model::rights::Role;
use tintype_testkit::redis::Redis;

use crate::lab::Lab;
use crate::snapshots::{ended, partial, succeeded, taken};

const PASSWORD: &str = "canary-of-connectors";

fn server() -> Redis {
    Redis::start(&["--save", "", "--requirepass", PASSWORD])
}

fn new(server: &Redis, password: Option<&str>) -> NewObject<ConnectorSpec> {
    let at = json!({ "socket": server.socket });
    let spec = json!({ "connector": "redis", "at": at, "password": password });
    NewObject { name: "orders".into(), tenant: None, spec: serde_json::from_value(spec).unwrap() }
}

fn through(
    client: &Client,
    connector: &Object<ConnectorSpec>,
    at: &Value,
) -> Result<Object<ResourceSpec>, tintype_model::Error> {
    let spec = json!({
        "kind": "database", "connector": "redis", "at": at, "through": connector.id,
    });
    let spec = serde_json::from_value(spec).unwrap();
    client.create(&NewObject { name: "db".into(), tenant: None, spec })
}

#[test]
fn a_password_is_tried_out_sealed_and_used_by_captures_and_restores() {
    Lab::on_each(|lab| {
        let (client, server) = (lab.administrator(), server());
        server.ask(&["-a", PASSWORD, "SET", "a", "1"]);
        for wrong in [None, Some("another")] {
            let refused = client.create(&new(&server, wrong)).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Denied, "{refused}");
        }
        assert_eq!(client.list::<ConnectorSpec>().unwrap(), []);
        let connector = client.create(&new(&server, Some(PASSWORD))).unwrap();
        assert!(connector.spec.has_password && connector.spec.password.is_none());
        assert_eq!(client.check_connector(&connector.id).unwrap().reaches, "application");
        through(&client, &connector, &json!({})).unwrap();
        let snapshot = taken(&client, &partial(&["db"]));
        // Beside, it is started from what was captured; the place of the connector is not its.
        let mut copy = Redis::start(&["--save", ""]);
        copy.stop();
        let at = json!({ "socket": copy.socket, "data_directory": copy.data });
        let at = at.as_object().unwrap().clone();
        let as_new = AsNew { name: "copy".into(), at, rules: [].into() };
        let new_restore = NewRestore {
            snapshot: snapshot.id.clone(),
            resources: Vec::new(),
            tenants: [].into(),
            as_new: [("db".to_owned(), as_new)].into(),
            files: None,
            without_undo_point: false,
        };
        let plan = client.plan_restore(&new_restore).unwrap();
        let kept = client.restore_plan(&plan.run.id).unwrap();
        assert_eq!(kept, plan);
        assert!(!json!(kept).to_string().contains(PASSWORD), "what is sealed stays so: {kept:?}");
        succeeded(&client, &client.apply_restore(&plan.run.id, None).unwrap());
        copy.resume(&["--save", ""]);
        assert_eq!(copy.ask(&["GET", "a"]), "1");
        // What does not let it in any more is said where it matters, and by the trial.
        server.ask(&["-a", PASSWORD, "CONFIG", "SET", "requirepass", "changed"]);
        let run = ended(&client, &client.snapshot(&partial(&["db"])).unwrap());
        assert_ne!(run.state, RunState::Succeeded, "{run:?}");
        let refused = client.check_connector(&connector.id).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Denied, "{refused}");
        let mut spec = connector.spec.clone();
        spec.password = Some("changed".into());
        let changed = ChangedObject { name: None, spec: Some(spec) };
        client.change(&connector.id, Some(1), &changed).unwrap();
        taken(&client, &partial(&["db"]));
        let told = [
            client.get::<Value>("/audit?limit=1000").unwrap().to_string(),
            format!("{:?} {refused}", client.run_log(&run.id, 0).unwrap()),
            client.get::<Value>("/connectors").unwrap().to_string(),
            client.get::<Value>(&format!("/snapshots/{}/items", snapshot.id)).unwrap().to_string(),
        ];
        assert!(told[0].contains("connector.create"), "{}", told[0]);
        assert!(!told.iter().any(|text| text.contains("canary")), "{told:?}");
    });
}

#[test]
fn what_goes_through_a_connector_fits_it_and_keeps_it() {
    let lab = Lab::sqlite();
    let (client, server) = (lab.administrator(), server());
    let connector = client.create(&new(&server, Some(PASSWORD))).unwrap();
    let refused = through(&client, &connector, &json!({ "no_field": 1 })).unwrap_err();
    assert!(refused.message().contains("no_field"), "{refused}");
    let resource = through(&client, &connector, &json!({})).unwrap();
    let other = ResourceSpec { connector: "mariadb".into(), ..resource.spec.clone() };
    let changed = ChangedObject { name: None, spec: Some(other) };
    let refused = client.change(&resource.id, None, &changed).unwrap_err();
    assert!(refused.message().contains("speaks redis"), "{refused}");
    let locked = client.delete::<ConnectorSpec>(&connector.id).unwrap_err();
    assert!(locked.message().contains("resource db goes through"), "{locked}");
    // Its password does not follow it to another place.
    let mut spec = connector.spec.clone();
    spec.at.insert("socket".into(), "/tmp/elsewhere.sock".into());
    let changed = ChangedObject { name: None, spec: Some(spec) };
    let refused = client.change(&connector.id, None, &changed).unwrap_err();
    assert!(refused.message().contains("told again"), "{refused}");
    client.delete::<ResourceSpec>(&resource.id).unwrap();
    client.delete::<ConnectorSpec>(&connector.id).unwrap();
    // One's own, or one of the system.
    let acme = Lab::tenant(&client, "acme").id;
    let theirs = NewObject { tenant: Some(acme), ..new(&server, Some(PASSWORD)) };
    let theirs = client.create(&theirs).unwrap();
    let refused = through(&client, &theirs, &json!({})).unwrap_err();
    assert!(refused.message().contains("there is no connector"), "{refused}");
    let files = json!({ "connector": "files", "at": { "path": "/srv" } });
    let spec = serde_json::from_value(files).unwrap();
    let wrong = NewObject::<ConnectorSpec> { name: "files".into(), tenant: None, spec };
    let refused = client.create(&wrong).unwrap_err();
    assert!(refused.message().contains("no connector of the manager"), "{refused}");
}

#[test]
fn what_runs_on_the_managers_own_host_is_for_the_administrators_of_the_system() {
    Lab::on_each(|lab| {
        let client = lab.administrator();
        let found = client.discover_here().unwrap().found;
        let host = found.iter().find(|one| one.resource.kind == Kind::Settings).unwrap();
        assert_eq!(host.reaches, "none");
        assert!(client.list::<ResourceSpec>().unwrap().is_empty(), "nothing is stored");
        let audit = client.audit(10).unwrap();
        let told = audit.items.iter().find(|entry| entry.action == "resource.discover").unwrap();
        assert_eq!(told.object, "the manager's host");
        let system = client.whoami().unwrap().tenant;
        let acme = Lab::tenant(&client, "acme").id;
        for (tenant, role) in [(&acme, Role::Administrator), (&system, Role::Operator)] {
            let other = lab.as_role(&client, tenant, role, &format!("{role}"));
            assert_eq!(other.discover_here().unwrap_err().kind(), ErrorKind::Denied);
        }
    });
}
