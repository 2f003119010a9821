//! From a URL to a backend with everything around it:
//!
//! ```text
//! retry → limit → single writer (if asked for) → bounded → count → driver
//! ```
//! Counting is innermost, so that it sees every request that leaves; a call that waits for a
//! retry or for its share of bandwidth holds no slot.

use std::num::NonZeroU64;
use std::sync::Arc;

use tintype_model::Result;

use super::cloud::{azure, google};
use super::s3::{AccessKey, S3Backend, S3Config};
use super::url::Location;
use super::{
    BoundedBackend, Counters, CountingBackend, Limit, LimitedBackend, LocalBackend, Retries,
    RetryBackend, RetryPolicy, SharedBackend, SingleWriterBackend,
};
use crate::env::Env;

#[derive(Clone, Debug)]
pub struct BackendOptions {
    pub limit_upload_bytes_per_second: Option<NonZeroU64>,
    pub limit_download_bytes_per_second: Option<NonZeroU64>,
    /// What holds by the time of the week, for all backends that share it.
    pub limit: Option<Arc<Limit>>,
    /// Requests at once.
    pub concurrency: usize,
    /// `None`: what suits the kind of store.
    pub retry: Option<RetryPolicy>,
    /// The store cannot be trusted to refuse a taken name.
    pub single_writer: bool,
    /// Make the directory if it does not exist; a bucket is never made.
    pub create: bool,
    /// `None`: from the environment; see [`super::s3`], [`super::cloud::google`] and
    /// [`super::cloud::azure`].
    pub access_key: Option<AccessKey>,
}

impl Default for BackendOptions {
    fn default() -> Self {
        Self {
            limit_upload_bytes_per_second: None,
            limit_download_bytes_per_second: None,
            limit: None,
            concurrency: 32,
            retry: None,
            single_writer: false,
            create: false,
            access_key: None,
        }
    }
}

pub struct Opened {
    pub backend: SharedBackend,
    pub counters: Arc<Counters>,
}

pub fn open_backend(url: &str, options: &BackendOptions, env: &Env) -> Result<Opened> {
    let location = Location::parse(url)?;
    let policy = options.retry.unwrap_or(match location {
        Location::Directory(_) => RetryPolicy::DIRECTORY,
        Location::S3(_) | Location::Google(_) | Location::Azure(_) => RetryPolicy::NETWORK,
    });
    let retries = Retries::new(policy, env);
    let driver: SharedBackend = match location {
        Location::Directory(path) if options.create => Arc::new(LocalBackend::create(&path)?),
        Location::Directory(path) => Arc::new(LocalBackend::open(&path)?),
        Location::S3(location) => {
            let mut config = S3Config::new(location);
            config.access_key.clone_from(&options.access_key);
            Arc::new(S3Backend::open(config, retries.clone(), env)?)
        }
        Location::Google(location) => {
            let key = options.access_key.as_ref();
            Arc::new(google::open(location, key, retries.clone(), env)?)
        }
        Location::Azure(location) => {
            let key = options.access_key.as_ref();
            Arc::new(azure::open(location, key, retries.clone())?)
        }
    };
    let counters = Arc::new(Counters::default());
    let backend = around(driver, counters.clone(), retries, options, env);
    Ok(Opened { backend, counters })
}

/// Stacks the decorators around a driver.
fn around(
    driver: SharedBackend,
    counters: Arc<Counters>,
    retries: Retries,
    options: &BackendOptions,
    env: &Env,
) -> SharedBackend {
    let mut backend: SharedBackend = Arc::new(CountingBackend::new(driver, counters));
    backend = Arc::new(BoundedBackend::new(backend, options.concurrency));
    if options.single_writer {
        backend = Arc::new(SingleWriterBackend::new(backend));
    }
    let (up, down) =
        (options.limit_upload_bytes_per_second, options.limit_download_bytes_per_second);
    if up.is_some() || down.is_some() {
        backend = Arc::new(LimitedBackend::new(backend, up, down, env));
    }
    if let Some(limit) = &options.limit {
        backend = Arc::new(LimitedBackend::sharing(backend, limit.clone(), env));
    }
    Arc::new(RetryBackend::new(backend, retries))
}
