//! Restores, as those see them who did not begin them.

use serde_json::json;
use tintype_api::client::Client;
use tintype_api::object::NewObject;
use tintype_api::resource::ResourceSpec;
use tintype_api::restore::{AsNew, NewRestore, RestorePlan};
use tintype_api::snapshot::{NewSnapshot, Snapshot};
use tintype_model::ErrorKind;
use tintype_model::identifier::Id;
use tintype_model::rights::Role;

use crate::lab::Lab;
use crate::snapshots::{partial, succeeded, taken};

/// Of a tenant with one volume.
fn snapshot_of(lab: &Lab, client: &Client, tenant: &Id, is_private: bool) -> Snapshot {
    let path = lab.data().join("files");
    if !path.exists() {
        std::fs::create_dir(&path).unwrap();
        let spec = json!({ "kind": "volume", "connector": "files", "at": { "path": path } });
        let spec: ResourceSpec = serde_json::from_value(spec).unwrap();
        let tenant = Some(tenant.clone());
        client.create(&NewObject { name: "files".into(), tenant, spec }).unwrap();
    }
    std::fs::write(path.join("a"), "as it was").unwrap();
    let tenant = Some(tenant.clone());
    taken(client, &NewSnapshot { tenant, is_private, ..partial(&["files"]) })
}

fn refused(client: &Client, plan: &RestorePlan) -> ErrorKind {
    client.restore_plan(&plan.run.id).unwrap_err().kind()
}

#[test]
fn a_plan_is_shown_to_whoever_may_make_it_until_long_after_its_end() {
    Lab::on_each_owned(|lab| {
        let client = lab.administrator();
        let [acme, other] = ["acme", "other"].map(|name| Lab::tenant(&client, name).id);
        let as_role = |tenant, role, name| lab.as_role(&client, tenant, role, name);
        let [own, colleague] =
            ["own", "colleague"].map(|name| as_role(&acme, Role::Restorer, name));
        let viewer = as_role(&acme, Role::Viewer, "viewer");
        let foreign = as_role(&other, Role::Administrator, "foreign");
        let snapshot = snapshot_of(&lab, &client, &acme, false);
        std::fs::write(lab.data().join("files/a"), "broken").unwrap();
        let plan = own.plan_restore(&NewRestore::all_of(&snapshot.id)).unwrap();
        for whoever in [&own, &colleague, &client] {
            assert_eq!(whoever.restore_plan(&plan.run.id).unwrap(), plan);
        }
        assert_eq!(refused(&viewer, &plan), ErrorKind::Denied);
        assert_eq!(refused(&foreign, &plan), ErrorKind::NotFound);
        // What the tenant may not plan, it does not see planned.
        let beside = NewRestore {
            as_new: [("files".to_owned(), AsNew { name: "files-2".into(), ..AsNew::default() })]
                .into(),
            ..NewRestore::all_of(&snapshot.id)
        };
        let beside = client.plan_restore(&beside).unwrap();
        assert_eq!(refused(&own, &beside), ErrorKind::Denied);
        let hidden = snapshot_of(&lab, &client, &acme, true);
        let hidden = client.plan_restore(&NewRestore::all_of(&hidden.id)).unwrap();
        assert_eq!(refused(&own, &hidden), ErrorKind::NotFound);
        client.restore_plan(&hidden.run.id).unwrap();
        // It is what was agreed to, and what came of it stands beside it.
        let run = own.apply_restore(&plan.run.id, plan.confirm.as_deref()).unwrap();
        let run = succeeded(&own, &run);
        let kept = RestorePlan { run, ..plan.clone() };
        assert_eq!(colleague.restore_plan(&plan.run.id).unwrap(), kept);
        client.delete_snapshot(&snapshot.id).unwrap();
        client.delete_snapshot(&hidden_snapshot(&client, &hidden)).unwrap();
        let lab = lab.restarted().unwrap();
        let later = lab.administrator();
        assert_eq!(later.restore_plan(&plan.run.id).unwrap(), kept);
        let own = lab.as_role(&later, &acme, Role::Restorer, "later");
        assert_eq!(own.restore_plan(&plan.run.id).unwrap(), kept);
        assert_eq!(refused(&own, &hidden), ErrorKind::NotFound);
    });
}

fn hidden_snapshot(client: &Client, plan: &RestorePlan) -> String {
    client.restore(&plan.run.id).unwrap().snapshot
}
