//! PostgreSQL over the network, encrypted.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};
use tintype_model::resource::Consistency;
use tintype_model::{ErrorKind, Result};
use tintype_source::connector::CapturePlan;
use tintype_testkit::postgres::Postgres;

use super::world::{World, database};

#[test]
fn a_connection_is_encrypted_as_its_description_says() {
    let (server, authority) = Postgres::start_encrypted();
    server.sql("CREATE ROLE saver LOGIN SUPERUSER PASSWORD 'x'; CREATE TABLE t AS SELECT 1 AS n");
    let other = server.authority("other");
    let world = World::new();
    let password = world.context.scratch.parent().unwrap().join("password");
    std::fs::write(&password, "x\n").unwrap();
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
    let at = |port: u16, host: &str, mode: &str, file: Option<&Path>| {
        let mut at = json!({
            "host": host, "port": port, "user": "saver", "password_file": password,
            "sslmode": mode,
        });
        if let Some(file) = file {
            at["sslrootcert"] = json!(file);
        }
        at
    };
    let plan =
        |at: Value| -> Result<CapturePlan> { world.source(&database("postgres", at)).plan() };
    let near = |mode: &str, file: Option<&Path>| plan(at(server.port, "127.0.0.1", mode, file));
    near("prefer", None).unwrap();
    near("require", None).unwrap();
    for mode in ["require", "verify-ca", "verify-full"] {
        near(mode, Some(&authority)).unwrap();
        let error = near(mode, Some(&other)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
        assert!(error.message().contains("its certificate does not fit"), "{error}");
    }
    // The certificate of the server itself.
    near("verify-full", Some(&authority.with_file_name("server.pem"))).unwrap();
    // It is made out to 127.0.0.1.
    plan(at(server.port, "localhost", "verify-ca", Some(&authority))).unwrap();
    let error = plan(at(server.port, "localhost", "verify-full", Some(&authority))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    // It insists, and the description forbids.
    let error = near("disable", None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(error.message().contains("give sslmode"), "{error}");
    for (mode, file) in [("verify-full", None), ("prefer", Some(&authority))] {
        let error = near(mode, file.map(|file| &**file)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.message().contains("sslrootcert"), "{error}");
    }
    // And one that cannot, of which it is demanded.
    let plain = Postgres::start();
    let error = plan(at(plain.port, "127.0.0.1", "require", None)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(error.message().contains("does not encrypt"), "{error}");
    let error = plan(at(plain.port, "127.0.0.1", "prefer", None)).unwrap_err();
    assert!(error.message().contains("authentication"), "it was asked in the clear: {error}");

    for mode in ["physical", "logical"] {
        let mut at = at(server.port, "127.0.0.1", "verify-full", Some(&authority));
        at["mode"] = json!(mode);
        let world = World::new();
        let mut seen = String::new();
        let look = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                    WHERE application_name LIKE 'tintype%'";
        let item = world.capture(&database("postgres", at), || seen = server.sql(look), || ());
        assert_eq!(item.unwrap().consistency, Some(Consistency::Application));
        assert_eq!(seen, "t");
    }
}
