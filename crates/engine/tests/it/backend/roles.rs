//! Credentials that a machine or a pod gets by its role. They come in by environment variables,
//! so each test runs the real work in a child of this very binary.

use std::process::Command;

use tintype_engine::backend::{BackendOptions, open_backend};
use tintype_engine::env::Env;
use tintype_testkit::metadata_service::{MetadataService, RoleKeys, WEB_IDENTITY_TOKEN};
use tintype_testkit::seaweedfs;

const URL: &str = "TINTYPE_TEST_URL";

fn role_keys() -> RoleKeys {
    let weed = seaweedfs::shared();
    RoleKeys {
        access_key: weed.access_key.to_owned(),
        secret_key: weed.secret_key.to_owned(),
        session_token: String::new(),
    }
}

/// Runs [`child`] with these variables and no other of Amazon's.
fn run_child(variables: &[(&str, &str)]) -> Result<(), String> {
    let bucket = super::s3::fresh_bucket(false);
    let url = format!("s3://{bucket}/p?endpoint={}", seaweedfs::shared().endpoint);
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "backend::roles::child", "--ignored", "--nocapture"]);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.env("HOME", home.path()).env(URL, url).envs(variables.iter().copied());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("running 1 test"), "{text}");
    if output.status.success() { Ok(()) } else { Err(text.into_owned()) }
}

#[test]
#[ignore = "run by the other tests, with their environment"]
fn child() {
    let url = std::env::var(URL).unwrap();
    let opened = open_backend(&url, &BackendOptions::default(), &Env::system()).unwrap();
    opened.backend.put("config", b"by role").unwrap();
    assert_eq!(opened.backend.get("config", 10).unwrap(), b"by role");
}

#[test]
fn environment_variables() {
    let weed = seaweedfs::shared();
    let key = ("AWS_ACCESS_KEY_ID", weed.access_key);
    run_child(&[key, ("AWS_SECRET_ACCESS_KEY", weed.secret_key)]).unwrap();
    let why = run_child(&[key, ("AWS_SECRET_ACCESS_KEY", "wrong")]).unwrap_err();
    assert!(why.contains("the secret key is wrong"), "{why}");
}

#[test]
fn shared_credentials_file() {
    let weed = seaweedfs::shared();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("credentials");
    let (id, secret) = (weed.access_key, weed.secret_key);
    let text = format!("[one]\naws_access_key_id={id}\naws_secret_access_key={secret}\n");
    std::fs::write(&path, text).unwrap();
    let path = ("AWS_SHARED_CREDENTIALS_FILE", path.to_str().unwrap());
    run_child(&[path, ("AWS_PROFILE", "one")]).unwrap();
}

#[test]
fn role_of_the_machine() {
    let service = MetadataService::start(role_keys());
    run_child(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &service.endpoint)]).unwrap();
    let asked = service.asked();
    assert!(asked.contains(&"PUT /latest/api/token".to_owned()), "{asked:?}");
}

#[test]
fn role_by_web_identity() {
    let service = MetadataService::start(role_keys());
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, WEB_IDENTITY_TOKEN).unwrap();
    run_child(&[
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::000000000000:role/tintype-test-role"),
        ("AWS_ENDPOINT_URL_STS", &service.endpoint),
    ])
    .unwrap();
    assert_eq!(service.asked(), ["POST /"]);
}

#[test]
fn no_credentials_at_all_is_said() {
    let why = run_child(&[("AWS_EC2_METADATA_DISABLED", "true")]).unwrap_err();
    assert!(why.contains("no credentials: set AWS_ACCESS_KEY_ID"), "{why}");
}
