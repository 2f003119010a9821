//! Google Cloud Storage and Azure Blob Storage, on servers that speak them.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::SignedDuration;
use tintype_engine::ErrorKind;
use tintype_engine::backend::cloud::azure::{ACCOUNT_KEY, SAS};
use tintype_engine::backend::conformance::{Extent, assert_conforms};
use tintype_engine::backend::{
    AccessKey, BackendOptions, Opened, RetryPolicy, SharedBackend, StoreFeatures, list_all,
    open_backend,
};
use tintype_engine::env::Env;
use tintype_testkit::faulty_proxy::{Fault, FaultyProxy, Rule};
use tintype_testkit::{azurite, fake_gcs};

static NEXT: AtomicU64 = AtomicU64::new(0);

fn fresh_name() -> String {
    format!("place-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn fresh_bucket() -> String {
    let name = fresh_name();
    fake_gcs::shared().bucket(&name);
    name
}

fn fresh_container() -> String {
    let name = fresh_name();
    azurite::shared().container(&name);
    name
}

fn google_key() -> AccessKey {
    let server = fake_gcs::shared();
    AccessKey::new(server.account, server.key_file, None)
}

fn azure_key() -> AccessKey {
    AccessKey::new(ACCOUNT_KEY, azurite::shared().account_key, None)
}

fn azure_url(container: &str, endpoint: &str) -> String {
    format!("azure://{}/{container}/some/prefix?endpoint={endpoint}", azurite::shared().account)
}

fn try_open(url: &str, key: AccessKey) -> tintype_engine::Result<Opened> {
    let retry = Some(RetryPolicy { attempts: 3, ..RetryPolicy::DIRECTORY });
    let options = BackendOptions { access_key: Some(key), retry, ..BackendOptions::default() };
    open_backend(url, &options, &Env::system())
}

fn open(url: &str, key: AccessKey) -> SharedBackend {
    try_open(url, key).unwrap().backend
}

/// What it holds of others is passed over, and stays.
fn beside_others(url: &str, key: &AccessKey) {
    let above = url.replace("/some/prefix", "");
    let above = open(&above, key.clone());
    above.put("other", b"of others").unwrap();
    let below = open(url, key.clone());
    below.put("ours/x", b"x").unwrap();
    assert_eq!(list_all(&*below, "").unwrap().len(), 1);
    assert_eq!(list_all(&*above, "").unwrap().len(), 2);
    below.delete("ours/x").unwrap();
}

#[test]
fn google_cloud_storage_conforms() {
    let url =
        format!("gs://{}/some/prefix?endpoint={}", fresh_bucket(), fake_gcs::shared().endpoint);
    let backend = open(&url, google_key());
    assert!(backend.conditional());
    assert_conforms(&*backend, &Env::system(), Extent::FULL);
    let nothing = StoreFeatures {
        versioning: Some(false),
        object_lock: Some(false),
        ..StoreFeatures::default()
    };
    assert_eq!(backend.store_features().unwrap(), nothing);
    beside_others(&url, &google_key());
}

#[test]
fn google_cloud_storage_over_tls_with_an_own_authority() {
    let server = fake_gcs::shared();
    let (bucket, endpoint) = (fresh_bucket(), &server.tls_endpoint);
    let url = format!("gs://{bucket}?endpoint={endpoint}&ca={}", server.ca.display());
    let opened = try_open(&url, google_key()).unwrap();
    assert_conforms(&*opened.backend, &Env::system(), Extent::PROBE);
    assert!(opened.counters.now().up_bytes > 9 << 20);
    let error = open(&format!("gs://{bucket}?endpoint={endpoint}"), google_key());
    let error = error.stat("x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(error.message().contains("ca=/file.pem"), "{error}");
}

#[test]
fn azure_blob_storage_conforms() {
    let container = fresh_container();
    let url = azure_url(&container, &azurite::shared().endpoint);
    let backend = open(&url, azure_key());
    assert!(backend.conditional());
    assert_conforms(&*backend, &Env::system(), Extent::FULL);
    beside_others(&url, &azure_key());
    let sas = AccessKey::new(SAS, &azurite::shared().sas(&container, "rcwdl"), None);
    assert_conforms(&*open(&url, sas), &Env::system(), Extent::PROBE);
}

/// What agents get: they put, get and list.
#[test]
fn a_signature_that_cannot_delete_writes_and_reads() {
    let container = fresh_container();
    let sas = AccessKey::new(SAS, &azurite::shared().sas(&container, "rcwl"), None);
    let backend = open(&azure_url(&container, &azurite::shared().endpoint), sas);
    backend.put("a/b", b"abc").unwrap();
    assert_eq!(backend.put("a/b", b"x").unwrap_err().kind(), ErrorKind::AlreadyExists);
    let mut stream = backend.put_stream("a/c").unwrap();
    stream.write(&vec![7; 9 << 20]).unwrap();
    stream.finish().unwrap();
    assert_eq!(backend.get("a/b", 10).unwrap(), b"abc");
    assert_eq!(list_all(&*backend, "a/").unwrap().len(), 2);
    let error = backend.delete("a/b").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert_eq!(backend.stat("a/b").unwrap(), 3);
}

#[test]
fn refusals_say_why_and_show_no_secret() {
    let (google, azure) = (fake_gcs::shared(), azurite::shared());
    let container = fresh_container();
    let wrong = "aGlkZGVuaGlkZGVuaGlkZGVuaGlkZGVuaGlkZGVuaGlkZGVu";
    let sas = azure.sas(&container, "rcwdl").replace("sig=", "sig=hidden");
    let at = |container: &str| azure_url(container, &azure.endpoint);
    for (key, url, kind, part) in [
        (
            google_key(),
            format!("gs://no-such-bucket?endpoint={}", google.endpoint),
            ErrorKind::NotFound,
            "bucket no-such-bucket does not exist",
        ),
        (
            google_key(),
            "gs://b?endpoint=http://127.0.0.1:9".into(),
            ErrorKind::Unavailable,
            "refused",
        ),
        (azure_key(), at("no-such"), ErrorKind::NotFound, "container no-such of account"),
        (
            AccessKey::new(ACCOUNT_KEY, wrong, None),
            at(&container),
            ErrorKind::Denied,
            "does not accept the key",
        ),
        (AccessKey::new(SAS, &sas, None), at(&container), ErrorKind::Denied, "the key"),
        (azure_key(), azure_url("c", "http://127.0.0.1:9"), ErrorKind::Unavailable, "refused"),
    ] {
        let error = open(&url, key).put("x", b"x").unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(part), "{error}");
        for secret in ["hidden", wrong, "canary"] {
            assert!(!format!("{error:?}").contains(secret), "{error:?}");
        }
    }
    // Before anybody is asked.
    for (key, url) in [
        (AccessKey::new("", "canary", None), "gs://b".to_owned()),
        (AccessKey::new("somebody@else", google.key_file, None), "gs://b".to_owned()),
        (AccessKey::new("key", "canary", None), at(&container)),
        (AccessKey::new(ACCOUNT_KEY, "canary!", None), at(&container)),
    ] {
        let error = try_open(&url, key).err().unwrap();
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}

/// Five minutes are what a storage may be off; here both clocks are one.
#[test]
fn each_store_tells_what_time_it_is() {
    let google = format!("gs://{}?endpoint={}", fresh_bucket(), fake_gcs::shared().endpoint);
    let azure = azure_url(&fresh_container(), &azurite::shared().endpoint);
    let weed = super::s3::fresh_bucket(false);
    let weed = format!("s3://{weed}?endpoint={}", tintype_testkit::seaweedfs::shared().endpoint);
    let directory = tempfile::tempdir().unwrap();
    let directory_url = directory.path().display().to_string();
    let key = super::s3::weed_key();
    for (url, key) in
        [(google, google_key()), (azure, azure_key()), (weed, key.clone()), (directory_url, key)]
    {
        let told = open(&url, key).now().unwrap().unwrap();
        let apart = Env::system().clock.now().duration_since(told).abs();
        assert!(apart < SignedDuration::from_mins(5), "{url}: {apart:#}");
    }
    let left = std::fs::read_dir(directory.path()).unwrap();
    assert!(left.flatten().all(|entry| entry.file_name() == "tmp"));
}

/// Answers that fail or break off are asked for again; a part that is lost is sent again.
#[test]
fn a_store_that_stumbles_is_asked_again() {
    let container = fresh_container();
    let account = azurite::shared().endpoint.rsplit_once('/').unwrap();
    let proxy = FaultyProxy::start(
        account.0,
        vec![
            Rule::new("PUT", &["comp=block&"], Fault::Answer(503, "ServerBusy")),
            Rule::new("PUT", &["comp=blocklist"], Fault::LostAnswer),
            Rule::new("GET", &["comp=list"], Fault::Answer(500, "OperationTimedOut")),
            Rule::new("HEAD", &["a/c"], Fault::Answer(503, "ServerBusy")),
            Rule::new("GET", &["a/c"], Fault::HalfBody),
        ],
    );
    let url = azure_url(&container, &format!("{}/{}", proxy.endpoint, account.1));
    let backend = open(&url, azure_key());
    let mut stream = backend.put_stream("a/c").unwrap();
    stream.write(&vec![7; 17 << 20]).unwrap();
    stream.finish().unwrap();
    assert_eq!(backend.stat("a/c").unwrap(), 17 << 20);
    assert_eq!(list_all(&*backend, "").unwrap().len(), 1);
    assert!(backend.get("a/c", 17 << 20).unwrap().iter().all(|byte| *byte == 7));

    let proxy = FaultyProxy::start(
        &fake_gcs::shared().endpoint,
        vec![
            Rule::new("POST", &["ifGenerationMatch=0"], Fault::LostAnswer),
            Rule::new("PUT", &["upload_id"], Fault::Answer(503, "backendError")),
            Rule::new("GET", &["alt=media"], Fault::HalfBody),
            Rule::new("DELETE", &["a%2Fb"], Fault::Answer(429, "rateLimitExceeded")),
        ],
    );
    let backend =
        open(&format!("gs://{}?endpoint={}", fresh_bucket(), proxy.endpoint), google_key());
    backend.put("a/b", b"the same bytes are our own success").unwrap();
    let mut stream = backend.put_stream("a/c").unwrap();
    stream.write(&vec![7; 17 << 20]).unwrap();
    stream.finish().unwrap();
    assert!(backend.get("a/c", 17 << 20).unwrap().iter().all(|byte| *byte == 7));
    assert!(proxy.count("PUT", "upload_id") > 3, "a part was sent again");
    backend.delete("a/b").unwrap();
    assert_eq!(backend.stat("a/b").unwrap_err().kind(), ErrorKind::NotFound);
}
