use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use tintype_engine::ErrorKind;
use tintype_engine::backend::conformance::{Extent, assert_conforms};
use tintype_engine::backend::s3::{AccessKey, S3Backend, S3Config};
use tintype_engine::backend::url::Location;
use tintype_engine::backend::{
    Backend, BackendOptions, Retries, RetryPolicy, StoreFeatures, list_all, open_backend,
};
use tintype_engine::env::Env;
use tintype_engine::env::testing::manual;
use tintype_testkit::{rclone, seaweedfs};

/// A bucket of its own for each test.
pub(super) fn fresh_bucket(lock: bool) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let bucket = format!("bucket-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let weed = seaweedfs::shared();
    let key = Credentials::new(weed.access_key, weed.secret_key, None, None, "test");
    let http = aws_smithy_http_client::Builder::new().build_http();
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .endpoint_url(&weed.endpoint)
        .credentials_provider(key)
        .http_client(http)
        .force_path_style(true)
        .build();
    let client = aws_sdk_s3::Client::from_conf(config);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let create = client.create_bucket().bucket(&bucket).object_lock_enabled_for_bucket(lock);
    runtime.block_on(create.send()).unwrap();
    bucket
}

pub(super) fn weed_key() -> AccessKey {
    let weed = seaweedfs::shared();
    AccessKey::new(weed.access_key, weed.secret_key, None)
}

fn rclone_key() -> AccessKey {
    let server = rclone::shared();
    AccessKey::new(server.access_key, server.secret_key, None)
}

fn open_with(url: &str, key: Option<AccessKey>, env: &Env) -> S3Backend {
    let Location::S3(location) = Location::parse(url).unwrap() else { panic!("{url} is not S3") };
    let mut config = S3Config::new(location);
    config.access_key = key;
    S3Backend::open(config, Retries::new(RetryPolicy::NETWORK, env), env).unwrap()
}

fn weed_url(bucket: &str) -> String {
    format!("s3://{bucket}/some/prefix?endpoint={}", seaweedfs::shared().endpoint)
}

#[test]
fn seaweedfs_conforms() {
    let env = Env::system();
    let url = weed_url(&fresh_bucket(false));
    let backend = open_with(&url, Some(weed_key()), &env);
    assert!(backend.conditional());
    assert_conforms(&backend, &env, Extent::FULL);
    let features = backend.store_features().unwrap();
    let nothing = StoreFeatures {
        versioning: Some(false),
        object_lock: Some(false),
        ..StoreFeatures::default()
    };
    assert_eq!(features, nothing);
}

#[test]
fn object_lock_of_a_bucket_is_seen() {
    let env = Env::system();
    let url = weed_url(&fresh_bucket(true));
    let features = open_with(&url, Some(weed_key()), &env).store_features().unwrap();
    assert_eq!((features.versioning, features.object_lock), (Some(true), Some(true)));
}

#[test]
fn rclone_conforms_with_a_single_writer() {
    let env = Env::system();
    let server = rclone::shared();
    let url = format!("s3://{}/repository?endpoint={}", server.bucket, server.endpoint);
    // It fails now and then when eight put at once, so the whole stack is what must conform.
    let options = BackendOptions {
        access_key: Some(rclone_key()),
        single_writer: true,
        ..BackendOptions::default()
    };
    let opened = open_backend(&url, &options, &env).unwrap();
    assert!(!opened.backend.conditional());
    // It answers 500 more often the more it is asked at once: the short form.
    assert_conforms(&*opened.backend, &env, Extent::PROBE);
}

#[test]
fn whole_stack_conforms_over_tls_with_an_own_authority() {
    let env = Env::system();
    let weed = seaweedfs::shared();
    let bucket = fresh_bucket(false);
    let endpoint = &weed.tls_endpoint;
    let options = BackendOptions { access_key: Some(weed_key()), ..BackendOptions::default() };
    let url = format!("s3://{bucket}?endpoint={endpoint}&ca={}", weed.ca.display());
    let opened = open_backend(&url, &options, &env).unwrap();
    assert_conforms(&*opened.backend, &env, Extent::PROBE);
    assert!(opened.counters.now().up_bytes > 9 << 20);

    let untrusted = format!("s3://{bucket}?endpoint={endpoint}");
    let error = open_with(&untrusted, Some(weed_key()), &env).stat("x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(error.message().contains("ca=/file.pem"), "{error}");
}

#[test]
fn refusals_say_why_and_show_no_secret() {
    let env = Env::system();
    let bucket = fresh_bucket(false);
    let weed = seaweedfs::shared();
    let wrong = AccessKey::new(weed.access_key, "hidden-secret", Some("hidden-token"));
    assert!(!format!("{wrong:?}").contains("hidden"));
    for (key, url, kind, part) in [
        (
            AccessKey::new(weed.access_key, "hidden-secret", None),
            weed_url(&bucket),
            ErrorKind::Denied,
            "the secret key is wrong",
        ),
        (
            AccessKey::new("NOBODY", "hidden-secret", None),
            weed_url(&bucket),
            ErrorKind::Denied,
            "does not know this access key",
        ),
        // SeaweedFS makes missing buckets.
        (
            rclone_key(),
            format!("s3://no-such-bucket?endpoint={}", rclone::shared().endpoint),
            ErrorKind::NotFound,
            "bucket no-such-bucket does not exist",
        ),
        (
            weed_key(),
            "s3://b?endpoint=http://127.0.0.1:9".to_owned(),
            ErrorKind::Unavailable,
            "refused",
        ),
    ] {
        let error = open_with(&url, Some(key), &env).put("x", b"x").unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(part), "{error}");
        assert!(!format!("{error:?}").contains("hidden"), "{error:?}");
    }
}

#[test]
fn sweep_aborts_uploads_that_nobody_ends() {
    let (env, clock) = manual(1);
    let url = weed_url(&fresh_bucket(false));
    let backend = open_with(&url, Some(weed_key()), &env);
    let mut stream = backend.put_stream("data/slow").unwrap();
    stream.write(&vec![1; 17 << 20]).unwrap();
    // The manual clock stands years ahead: the upload looks old.
    clock.advance(Duration::from_hours(48));
    assert_eq!(backend.sweep().unwrap(), 1);
    assert_eq!(backend.sweep().unwrap(), 0);
    assert!(stream.finish().is_err());
    assert_eq!(list_all(&backend, "").unwrap(), []);
}
