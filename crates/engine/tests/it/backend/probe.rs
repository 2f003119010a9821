use tintype_engine::backend::probe::Answer;
use tintype_engine::backend::{BackendOptions, LocalBackend, MemoryBackend, open_backend, probe};
use tintype_engine::env::Env;
use tintype_testkit::rclone;

#[test]
fn good_stores_serve_many_writers() {
    let env = Env::system();
    let directory = tempfile::tempdir().unwrap();
    let local = LocalBackend::open(directory.path()).unwrap();
    let report = probe(&local, &env).unwrap();
    assert!(report.usable() && report.many_writers(), "{report:#?}");
    assert_eq!(report.outcome("free-space"), Answer::Yes);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    assert!(probe(&MemoryBackend::new(), &env).unwrap().many_writers());
}

#[test]
fn a_store_that_ignores_conditions_is_found_out() {
    let server = rclone::shared();
    let key = tintype_engine::backend::AccessKey::new(server.access_key, server.secret_key, None);
    let options = BackendOptions { access_key: Some(key), ..BackendOptions::default() };
    let url = format!("s3://{}/probed?endpoint={}", server.bucket, server.endpoint);
    let env = Env::system();
    let opened = open_backend(&url, &options, &env).unwrap();
    assert!(opened.backend.conditional(), "so the driver believes");
    let report = probe(&*opened.backend, &env).unwrap();
    assert_eq!(report.outcome("put-if-absent"), Answer::No);
    assert!(report.usable() && !report.many_writers(), "{report:#?}");

    let options = BackendOptions { single_writer: true, ..options };
    let opened = open_backend(&url, &options, &env).unwrap();
    let report = probe(&*opened.backend, &env).unwrap();
    assert_eq!(report.outcome("put-if-absent"), Answer::Yes);
    assert_eq!(report.outcome("put-if-absent-race"), Answer::No);
    assert!(report.usable() && !report.many_writers(), "{report:#?}");
}
