//! The audit log.

use serde_json::json;
use tintype_api::page::Page;
use tintype_model::rights::Role;

use crate::lab::{Lab, PASSWORD};

#[test]
fn every_change_is_in_the_log_and_no_secret() {
    Lab::on_each(|lab| {
        let client = lab.administrator();
        let tenant = Lab::tenant(&client, "acme");
        let token = lab.as_role(&client, &tenant.id, Role::Auditor, "auditor");
        let _ = lab.login("system", "admin", "a wrong password");
        let entries = client.audit(100).unwrap().items;
        let told: Vec<(&str, &str, &str)> = entries
            .iter()
            .rev()
            .map(|entry| (&*entry.action, &*entry.object, &*entry.outcome))
            .collect();
        assert_eq!(told[0], ("installation.begin", "tenant system", "done"));
        for expected in [
            ("user.password", "user admin", "done"),
            ("tenant.create", "tenant acme", "done"),
            ("token.create", "token auditor", "done"),
            ("login", "user system/admin", "refused"),
        ] {
            assert!(told.contains(&expected), "{expected:?} is not in {told:?}");
        }
        let text = json!(entries).to_string();
        let first = lab.first_password.clone().unwrap();
        for secret in [PASSWORD, "a wrong password", &first, "tintype_", "session_"] {
            assert!(!text.contains(secret), "{secret}");
        }
        // A tenant's auditor sees what concerns the tenant.
        let own = token.audit(100).unwrap().items;
        assert!(!own.is_empty() && own.iter().all(|entry| entry.tenant == tenant.id));
        assert!(token.check_audit().is_err());
    });
}

#[test]
fn a_log_that_was_tampered_with_is_found_out() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    for i in 0..5 {
        Lab::tenant(&client, &format!("t{i}"));
    }
    let check = client.check_audit().unwrap();
    assert!(check.is_whole && check.entries > 5, "{check:?}");
    let file = lab.data().join("data/catalog.sqlite");
    let database = rusqlite::Connection::open(file).unwrap();
    let tamperings = [
        ("UPDATE audit SET actor = 'user system/eve' WHERE n = 4", Some(4)),
        ("UPDATE audit SET n = 100 WHERE n = 4", Some(4)),
        ("DELETE FROM audit WHERE n = 3", Some(3)),
        ("DELETE FROM audit WHERE n = (SELECT MAX(n) FROM audit)", None),
    ];
    for (statement, broken_at) in tamperings {
        database.execute_batch("CREATE TABLE kept AS SELECT * FROM audit").unwrap();
        database.execute_batch(statement).unwrap();
        let found = client.check_audit().unwrap();
        assert!(!found.is_whole, "{statement}");
        assert!(broken_at.is_none() || found.broken_at == broken_at, "{statement}: {found:?}");
        let back = "DELETE FROM audit; INSERT INTO audit SELECT * FROM kept; DROP TABLE kept";
        database.execute_batch(back).unwrap();
        assert!(client.check_audit().unwrap().is_whole);
    }
    let page: Page<tintype_api::audit::AuditEntry> = client.get("/audit?limit=2").unwrap();
    assert_eq!(page.items.len(), 2);
}
