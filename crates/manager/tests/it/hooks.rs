//! Hooks, tried out through the API.

use serde_json::json;
use tintype_api::object::NewObject;
use tintype_api::profile::ProfileSpec;
use tintype_api::resource::ResourceSpec;
use tintype_api::run::RunState;
use tintype_api::snapshot::NewSnapshot;
use tintype_model::ErrorKind;
use tintype_model::rights::Role;

use crate::lab::{Lab, PASSWORD};
use crate::snapshots::{partial, taken};
use crate::syncs::{later, more};

#[test]
fn a_hook_is_tried_within_its_time() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let path = lab.data().join("files");
    std::fs::create_dir(&path).unwrap();
    let hook = |command: &[&str], seconds: u32| json!({ "phase": "pre-quiesce", "command": command, "timeout_seconds": seconds });
    let told = "echo for $TINTYPE_RESOURCE in $TINTYPE_PHASE; echo wrong >&2; exit 3";
    let spec = json!({
        "kind": "volume", "connector": "files", "at": { "path": path },
        "hooks": [
            hook(&["true"], 60),
            hook(&["sh", "-c", told], 60),
            hook(&["sleep", "600"], 1),
            hook(&["/nothing/here"], 60),
        ],
    });
    let spec: ResourceSpec = serde_json::from_value(spec).unwrap();
    let tenant = Lab::tenant(&client, "acme").id;
    let new = NewObject { name: "files".into(), tenant: Some(tenant.clone()), spec };
    let id = client.create(&new).unwrap().id;
    let fine = client.try_hook(&id, 0).unwrap();
    assert_eq!((fine.exit, fine.failure), (Some(0), None));
    let failed = client.try_hook(&id, 1).unwrap();
    assert_eq!(failed.exit, Some(3));
    assert!(failed.output.contains("for files in pre-quiesce"), "{failed:?}");
    assert!(failed.output.contains("wrong") && failed.failure.is_some());
    let hasty = client.with_patience(std::time::Duration::from_millis(200));
    let cut = hasty.try_hook(&id, 2).unwrap_err();
    assert!(cut.kind() == ErrorKind::Unavailable && cut.message().contains("timeout"), "{cut}");
    let late = client.try_hook(&id, 2).unwrap();
    assert!(late.failure.unwrap().contains("did not end within 1 s") && late.seconds < 500.0);
    let missing = client.try_hook(&id, 3).unwrap();
    assert!(missing.exit.is_none() && missing.failure.unwrap().contains("cannot be started"));
    let inside = json!({
        "kind": "vm", "connector": "libvirt", "at": { "domain": "shop" },
        "hooks": [{ "phase": "post-thaw", "command": ["true"], "where": "guest" }],
    });
    let inside: ResourceSpec = serde_json::from_value(inside).unwrap();
    let new = NewObject { name: "shop".into(), tenant: Some(tenant.clone()), spec: inside };
    // There is no such machine, and it is said as a run would.
    let inside = client.try_hook(&client.create(&new).unwrap().id, 0).unwrap();
    assert!(inside.exit.is_none() && inside.failure.is_some(), "{inside:?}");
    assert_eq!(client.try_hook(&id, 4).unwrap_err().kind(), ErrorKind::Invalid);
    let theirs = lab.as_role(&client, &tenant, Role::Administrator, "theirs");
    assert_eq!(theirs.try_hook(&id, 0).unwrap_err().kind(), ErrorKind::Denied);
    let audit = client.audit(100).unwrap().items;
    assert!(audit.iter().any(|entry| entry.action == "hook.try" && entry.tenant == tenant));
}

#[test]
fn without_quiesce_no_hook_around_the_window_is_run() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let (files, told) = (lab.data().join("files"), lab.data().join("told"));
    std::fs::create_dir(&files).unwrap();
    let hook = |phase: &str| {
        let command = format!("echo {phase} >> {}", told.display());
        json!({ "phase": phase, "command": ["sh", "-c", command] })
    };
    let spec = json!({
        "kind": "volume", "connector": "files", "at": { "path": files },
        "hooks": [hook("pre-quiesce"), hook("post-thaw")],
    });
    let spec: ResourceSpec = serde_json::from_value(spec).unwrap();
    client.create(&NewObject { name: "files".into(), tenant: None, spec }).unwrap();
    let quiet = NewSnapshot { quiesce: false, ..partial(&["files"]) };
    assert!(taken(&client, &quiet).is_complete && !told.exists());
    taken(&client, &partial(&["files"]));
    assert_eq!(std::fs::read_to_string(&told).unwrap(), "pre-quiesce\npost-thaw\n");
    std::fs::remove_file(&told).unwrap();
    let spec = json!({
        "scope": { "partial": { "resources": ["files"] } },
        "periods": [{
            "name": "daily", "frequency": { "daily": { "time": "02:30" } }, "quiesce": false,
        }],
    });
    let spec = serde_json::from_value::<ProfileSpec>(spec).unwrap();
    client.create(&NewObject { name: "quiet".into(), tenant: None, spec }).unwrap();
    let lab = later(lab, 26);
    let client = lab.login("system", "admin", PASSWORD).unwrap();
    let runs = more(&client, "snapshot", 2);
    assert!(runs.iter().all(|run| run.state == RunState::Succeeded), "{runs:?}");
    assert!(!told.exists(), "the profile said so");
}
