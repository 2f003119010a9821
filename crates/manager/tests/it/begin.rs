//! From nothing to a manager, and its next start.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt};

use tintype_api::client::Client;
use tintype_api::tenant::TenantSpec;
use tintype_model::ErrorKind;

use crate::lab::Lab;

#[test]
fn it_starts_with_nothing_and_again_with_what_it_made() {
    for lab in [Lab::sqlite(), Lab::postgres()] {
        let first = lab.first_password.clone().unwrap();
        assert_eq!(first.replace('-', "").len(), 16);
        let administrator = lab.administrator();
        Lab::tenant(&administrator, "one");
        let data = lab.data().join("data");
        assert_eq!(std::fs::metadata(&data).unwrap().mode() & 0o777, 0o700);
        for secret in ["master.key", "tls/authority.key", "tls/certificate.key"] {
            let mode = std::fs::metadata(data.join(secret)).unwrap().mode();
            assert_eq!(mode & 0o077, 0, "{secret}");
        }
        let authority = lab.authority.clone();
        let lab = lab.restarted().unwrap();
        assert_eq!((lab.first_password.as_ref(), &lab.authority), (None, &authority));
        let names = |client: &Client| -> Vec<String> {
            client.list::<TenantSpec>().unwrap().into_iter().map(|tenant| tenant.name).collect()
        };
        assert_eq!(names(&lab.administrator()), ["system", "one"]);
    }
}

#[test]
fn whoever_is_not_signed_by_the_authority_is_not_spoken_to() {
    let lab = Lab::sqlite();
    let other = Lab::sqlite();
    let wrong = Client::new(&lab.url, Some(&other.authority), None).unwrap();
    assert_eq!(wrong.whoami().unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(lab.nobody().whoami().unwrap_err().kind(), ErrorKind::Denied);
}

#[test]
fn a_missing_key_or_an_open_directory_stops_it() {
    let lab = Lab::sqlite();
    let key = lab.data().join("data/master.key");
    std::fs::rename(&key, key.with_extension("away")).unwrap();
    let lab = match lab.restarted() {
        Ok(_) => panic!("it started without its key"),
        Err(error) => {
            assert!(error.message().contains("master key is missing"), "{error}");
            Lab::sqlite()
        }
    };
    let data = lab.data().join("data");
    std::fs::set_permissions(&data, <_ as PermissionsExt>::from_mode(0o755)).unwrap();
    let Err(error) = lab.restarted() else { panic!("it started where others can look") };
    assert!(error.message().contains("chmod 700"), "{error}");
}

/// `cargo xtask openapi` writes it.
#[test]
fn the_description_that_is_committed_is_the_one_that_is_served() {
    let lab = Lab::sqlite();
    let served: serde_json::Value = lab.administrator().get("/openapi.json").unwrap();
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi/v1.json");
    if std::env::var_os("TINTYPE_WRITE_OPENAPI").is_some() {
        let text = serde_json::to_string_pretty(&served).unwrap() + "\n";
        std::fs::write(&file, text).unwrap();
    }
    let committed = std::fs::read(&file).unwrap_or_default();
    let committed = serde_json::from_slice::<serde_json::Value>(&committed).unwrap_or_default();
    assert!(
        committed == served,
        "the API changed: run `cargo xtask openapi`, and look at the change"
    );
}
