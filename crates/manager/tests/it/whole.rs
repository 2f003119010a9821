//! A full snapshot comes back as a whole, or tenant by tenant, in one restore.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;
use tintype_api::client::Client;
use tintype_api::object::NewObject;
use tintype_api::resource::ResourceSpec;
use tintype_api::restore::{NewRestore, RestoreFiles};
use tintype_api::snapshot::Snapshot;
use tintype_model::ErrorKind;
use tintype_model::identifier::Id;
use tintype_testkit::libvirt::Libvirt;

use crate::lab::Lab;
use crate::snapshots::{full, partial, succeeded, taken, volume};

fn of_tenant(client: &Client, tenant: &Id, name: &str, path: &Path) {
    std::fs::create_dir_all(path).unwrap();
    let spec = json!({ "kind": "volume", "connector": "files", "at": { "path": path } });
    let spec: ResourceSpec = serde_json::from_value(spec).unwrap();
    client.create(&NewObject { name: name.into(), tenant: Some(tenant.clone()), spec }).unwrap();
}

#[test]
fn everything_of_a_full_snapshot_comes_back_in_one_restore() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let (own, acme, beta) = (lab.data().join("o"), lab.data().join("a"), lab.data().join("b"));
    volume(&client, "own", &own);
    // A setting of the host, too.
    std::fs::write(lab.data().join("host.conf"), "set").unwrap();
    let at = json!({ "paths": [lab.data().join("host.conf")] });
    let spec = json!({ "kind": "settings", "connector": "settings", "at": at });
    let spec: ResourceSpec = serde_json::from_value(spec).unwrap();
    client.create(&NewObject { name: "host".into(), tenant: None, spec }).unwrap();
    let tenants = ["acme", "beta"].map(|name| Lab::tenant(&client, name).id);
    of_tenant(&client, &tenants[0], "files", &acme);
    of_tenant(&client, &tenants[1], "files", &beta);
    let places = [own.join("x"), acme.join("x"), beta.join("x"), lab.data().join("host.conf")];
    let write = |text: &str| places.iter().for_each(|place| std::fs::write(place, text).unwrap());
    let read = || places.clone().map(|place| std::fs::read_to_string(place).unwrap());
    write("as it was");
    let part = taken(&client, &partial(&["own"]));
    let whole = taken(&client, &full());
    names_what_its_parts_hold(&client, &whole);
    write("broken");
    // One tenant out of it.
    let tenant = BTreeSet::from([tenants[0].clone()]);
    let new = NewRestore { tenants: tenant.clone(), ..NewRestore::all_of(&whole.id) };
    let plan = client.plan_restore(&new).unwrap();
    assert_eq!((plan.items.len(), &plan.items[0].tenant), (1, &tenants[0]));
    succeeded(&client, &client.apply_restore(&plan.run.id, Some("files")).unwrap());
    assert_eq!(read(), ["broken", "as it was", "broken", "broken"]);
    // All of it.
    write("broken again");
    let plan = client.plan_restore(&NewRestore::all_of(&whole.id)).unwrap();
    assert_eq!(plan.items.len(), 3, "{plan:?}");
    assert_eq!(plan.missing.len(), 1, "settings are looked at one by one: {plan:?}");
    assert!(plan.missing[0].reason.contains("--path /settings/host/files/"), "{plan:?}");
    assert_eq!(plan.confirm.as_deref(), Some(&whole.id[..8]));
    let run = client.apply_restore(&plan.run.id, plan.confirm.as_deref()).unwrap();
    let run = succeeded(&client, &run);
    assert_eq!(read(), ["as it was", "as it was", "as it was", "broken again"]);
    assert_eq!(run.result["undo_points"].as_array().unwrap().len(), 3, "{run:?}");
    // A setting alone.
    let conf = lab.data().join("host.conf").canonicalize().unwrap();
    let files = RestoreFiles {
        path: Some(format!("settings/host/files{}", conf.display())),
        paths: Vec::new(),
        to: conf.parent().unwrap().display().to_string(),
        agent: None,
        overwrite: true,
    };
    let new = NewRestore { files: Some(files), ..NewRestore::all_of(&whole.id) };
    let plan = client.plan_restore(&new).unwrap();
    let run = client.apply_restore(&plan.run.id, plan.confirm.as_deref()).unwrap();
    succeeded(&client, &run);
    assert_eq!(read()[3], "as it was");
    // What is partial is no whole, and what is not there is not offered.
    let refused = NewRestore { tenants: tenant, ..NewRestore::all_of(&part.id) };
    let refused = client.plan_restore(&refused).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(refused.message().contains("does not hold tenants as a whole"), "{refused}");
    let later = Lab::tenant(&client, "later").id;
    let refused = NewRestore { tenants: [later].into(), ..NewRestore::all_of(&whole.id) };
    let refused = client.plan_restore(&refused).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound, "{refused}");
}

fn names_what_its_parts_hold(client: &Client, whole: &Snapshot) {
    let held = client.snapshot_items(&whole.id).unwrap();
    let held: Vec<_> = held
        .iter()
        .map(|item| (item.tenant_name.as_deref().unwrap(), &item.name[..], item.part.as_ref()))
        .collect();
    for (of, name, part) in [
        ("system", "own", None),
        ("acme", "files", Some(&whole.parts[0])),
        ("beta", "files", Some(&whole.parts[1])),
    ] {
        assert!(held.contains(&(of, name, part)), "{held:?}");
    }
}

/// A real one: its definition comes back, and it runs.
#[test]
fn a_network_comes_back_through_the_manager() {
    let libvirt = Libvirt::start();
    let xml = "<network><name>lan</name><bridge name='tt7'/>\
        <ip address='192.168.213.1' netmask='255.255.255.0'/></network>";
    libvirt.define_xml("net-define", xml);
    libvirt.virsh(&["net-start", "lan"]);
    let before = libvirt.virsh(&["net-dumpxml", "lan", "--inactive"]);
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let at = json!({ "network": "lan", "uri": libvirt.uri });
    let spec = json!({ "kind": "network", "connector": "libvirt", "at": at });
    let spec: ResourceSpec = serde_json::from_value(spec).unwrap();
    client.create(&NewObject { name: "lan".into(), tenant: None, spec }).unwrap();
    let whole = taken(&client, &full());
    assert!(whole.is_complete, "{whole:?}");
    libvirt.virsh(&["net-destroy", "lan"]);
    libvirt.virsh(&["net-undefine", "lan"]);
    let new = NewRestore { resources: vec!["lan".into()], ..NewRestore::all_of(&whole.id) };
    let plan = client.plan_restore(&new).unwrap();
    assert!(!plan.is_blocked, "{plan:?}");
    let run = client.apply_restore(&plan.run.id, plan.confirm.as_deref()).unwrap();
    succeeded(&client, &run);
    assert_eq!(libvirt.virsh(&["net-dumpxml", "lan", "--inactive"]), before);
}
