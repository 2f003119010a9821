//! Amazon S3 and what speaks its language.
//!
//! The client is asynchronous, the trait is not: a backend has a small tokio runtime of its own
//! (two threads that only move bytes; they and the SDK's signing read the real clock, the only
//! exceptions to [`Env`]), and each call waits for its answer on the caller's thread. The SDK's
//! own retries are off: [`super::RetryBackend`] does that, and the same [`Retries`] serve
//! inside for pages of a listing and parts of an upload.
//!
//! Uploads carry a CRC-32 that the store checks. What is read is checked by the engine.

mod client;
mod credentials;
mod dates;
mod error;
mod list;
mod upload;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, ObjectLockEnabled};
use bytes::Bytes;
use tintype_model::{Error, ErrorKind, Result};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

pub use self::credentials::AccessKey;
use self::error::{Failure, classify, transfer};
use super::clock::Dates;
use super::name::{check_name, check_prefix};
use super::url::S3Location;
use super::{
    Backend, Listed, PutStream, Retries, SCRATCH, StoreFeatures, Timestamp, check_limit, too_short,
};
use crate::env::Env;

#[derive(Clone, Debug)]
pub struct S3Config {
    pub location: S3Location,
    /// `None`: environment, shared files, web identity or the machine's role, in this order.
    pub access_key: Option<AccessKey>,
    /// Of a request that moves no bytes; others get more by their size.
    pub deadline: Duration,
    /// Parts of streams that are under way at once, all streams together; each takes 8 MiB.
    pub parallel_parts: usize,
}

impl S3Config {
    pub fn new(location: S3Location) -> Self {
        let deadline = Duration::from_mins(1);
        Self { location, access_key: None, deadline, parallel_parts: 4 }
    }
}

#[derive(Clone)]
pub struct S3Backend {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    dates: Dates,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    config: S3Config,
    /// Over TLS the body needs no signature; it has a checksum.
    unsigned: bool,
    conditional: AtomicBool,
    retries: Retries,
    part_slots: Arc<Semaphore>,
    env: Env,
}

/// So slow may an upload or a download be before it counts as stuck.
const SLOWEST_BYTES_PER_SECOND: u64 = 32 << 10;

impl S3Backend {
    /// Reads configuration and credentials' sources; sends nothing to the store yet.
    pub fn open(config: S3Config, retries: Retries, env: &Env) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("tintype-s3")
            .enable_all()
            .build()
            .map_err(|error| Error::io(error, "cannot start the S3 client"))?;
        let dates = Dates::default();
        let client = runtime.block_on(client::build(&config, dates.clone()))?;
        let endpoint = config.location.endpoint.as_deref();
        let shared = Shared {
            client,
            dates,
            unsigned: endpoint.is_none_or(|url| url.starts_with("https://")),
            runtime: Some(runtime),
            conditional: AtomicBool::new(true),
            retries,
            part_slots: Arc::new(Semaphore::new(config.parallel_parts.max(1))),
            config,
            env: env.clone(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Dropping a runtime waits, which panics inside another one.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("only drop takes it")
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.config.location.prefix)
    }

    fn bucket(&self) -> &str {
        &self.config.location.bucket
    }

    fn deadline(&self, bytes: u64) -> Duration {
        self.config.deadline + Duration::from_secs(bytes / SLOWEST_BYTES_PER_SECOND)
    }

    /// Waits for an answer, at most for the deadline.
    async fn within<T, E>(
        &self,
        bytes: u64,
        what: &str,
        request: impl Future<Output = Result<T, SdkError<E>>>,
    ) -> Result<T, Failure>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let deadline = self.deadline(bytes);
        match tokio::time::timeout(deadline, request).await {
            Ok(result) => result.map_err(|error| classify(error, what, self.bucket())),
            Err(_) => Err(Failure::timeout(what, deadline)),
        }
    }

    fn call<T, E>(
        &self,
        what: &str,
        request: impl Future<Output = Result<T, SdkError<E>>>,
    ) -> Result<T, Failure>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.runtime().block_on(self.within(0, what, request))
    }

    fn put_once(&self, name: &str, data: Bytes, if_absent: bool) -> Result<(), Failure> {
        let length = data.len() as u64;
        let request = self
            .client
            .put_object()
            .bucket(self.bucket())
            .key(self.key(name))
            .content_length(length as i64)
            .set_if_none_match(if_absent.then(|| "*".to_owned()))
            .body(ByteStream::from(data))
            .customize();
        let request = if self.unsigned { request.disable_payload_signing() } else { request };
        let what = format!("put of {name}");
        self.runtime().block_on(self.within(length, &what, request.send())).map(drop)
    }

    /// For a store that does not know the condition: right as long as nobody else writes.
    fn put_after_look(&self, name: &str, data: Bytes) -> Result<()> {
        match self.size(name) {
            Ok(_) => Err(taken(name)),
            Err(error) if error.is(ErrorKind::NotFound) => {
                self.put_once(name, data, false).map_err(Failure::into_error)
            }
            Err(error) => Err(error),
        }
    }

    fn size(&self, name: &str) -> Result<u64> {
        let request = self.client.head_object().bucket(self.bucket()).key(self.key(name));
        let what = format!("stat of {name}");
        let head = self.call(&what, request.send()).map_err(|f| f.of_object(name))?;
        length_of(head.content_length(), name)
    }

    /// Gives the bytes of the range `(offset, length)` (all if `None`) to `each`, after `begin`
    /// saw how many the store announces. `most_bytes` sets the deadline.
    fn download(
        &self,
        name: &str,
        range: Option<(u64, u64)>,
        most_bytes: u64,
        begin: impl FnOnce(Option<u64>) -> Result<()>,
        mut each: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<(), Failure> {
        let what = format!("read of {name}");
        let deadline = self.deadline(most_bytes);
        let header = range.map(|(offset, length)| {
            format!("bytes={offset}-{}", offset.saturating_add(length - 1))
        });
        let request = self
            .client
            .get_object()
            .bucket(self.bucket())
            .key(self.key(name))
            .set_range(header)
            .send();
        let work = async {
            let mut answer = self.within(0, &what, request).await?;
            let whole = answer.content_range().is_none();
            let length = answer.content_length().and_then(|n| u64::try_from(n).ok());
            if range.is_some_and(|(offset, asked)| whole && (offset, Some(asked)) != (0, length)) {
                return Err(Failure::from(Error::unsupported(format!(
                    "{what}: the store does not give ranges of objects"
                ))));
            }
            begin(length)?;
            let mut received = 0;
            while let Some(piece) =
                answer.body.try_next().await.map_err(|error| transfer(error, &what))?
            {
                received += piece.len() as u64;
                each(&piece)?;
            }
            match length {
                Some(length) if received != length => Err(Failure::from(Error::unavailable(
                    format!("{what}: got {received} of {length} bytes"),
                ))),
                _ => Ok(()),
            }
        };
        let waited = self.runtime().block_on(async { tokio::time::timeout(deadline, work).await });
        waited.unwrap_or_else(|_| Err(Failure::timeout(&what, deadline)))
    }
}

fn taken(name: &str) -> Error {
    Error::already_exists(format!("object {name} exists already"))
}

fn length_of(length: Option<i64>, name: &str) -> Result<u64> {
    length
        .and_then(|length| u64::try_from(length).ok())
        .ok_or_else(|| Error::unsupported(format!("the store does not tell the size of {name}")))
}

impl Backend for S3Backend {
    fn describe(&self) -> String {
        let location = &self.shared.config.location;
        let place = format!("s3://{}/{}", location.bucket, location.prefix);
        match &location.endpoint {
            Some(endpoint) => format!("{} at {endpoint}", place.trim_end_matches('/')),
            None => place.trim_end_matches('/').to_owned(),
        }
    }

    fn put(&self, name: &str, data: &[u8]) -> Result<()> {
        check_name(name)?;
        let shared = &self.shared;
        let data = Bytes::copy_from_slice(data);
        if !shared.conditional.load(Ordering::Relaxed) {
            return shared.put_after_look(name, data);
        }
        match shared.put_once(name, data.clone(), true) {
            Ok(()) => Ok(()),
            Err(failure) if failure.is_precondition() => Err(taken(name)),
            // Several put at once and the store wants us to try again: look who won.
            Err(failure) if failure.is_conflict() => match shared.size(name) {
                Ok(_) => Err(taken(name)),
                Err(_) => Err(failure.into_error()),
            },
            Err(failure) if failure.is_unknown_header() => {
                shared.put_after_look(name, data)?;
                tracing::warn!("{} does not know If-None-Match", self.describe());
                shared.conditional.store(false, Ordering::Relaxed);
                Ok(())
            }
            Err(failure) => Err(failure.into_error()),
        }
    }

    fn put_stream(&self, name: &str) -> Result<Box<dyn PutStream>> {
        check_name(name)?;
        Ok(Box::new(upload::Upload::new(self.shared.clone(), name)))
    }

    fn get(&self, name: &str, limit_bytes: u64) -> Result<Vec<u8>> {
        check_name(name)?;
        let mut data = Vec::new();
        let begin = |length: Option<u64>| check_limit(name, length.unwrap_or(0), limit_bytes);
        let result = self.shared.download(name, None, limit_bytes, begin, |piece| {
            data.extend_from_slice(piece);
            check_limit(name, data.len() as u64, limit_bytes)
        });
        result.map_err(|failure| failure.of_object(name))?;
        Ok(data)
    }

    fn read_into(&self, name: &str, offset: u64, out: &mut [u8]) -> Result<()> {
        check_name(name)?;
        let length = out.len();
        let short = || -> Error {
            match self.shared.size(name) {
                Ok(size_bytes) => too_short(name, size_bytes, offset, length),
                Err(error) => error,
            }
        };
        if out.is_empty() {
            let size_bytes = self.shared.size(name)?;
            return if offset <= size_bytes { Ok(()) } else { Err(short()) };
        }
        let range = (offset, length as u64);
        let mut filled = 0;
        let begin = |told: Option<u64>| match told {
            Some(told) if told < length as u64 => Err(Error::corrupt("too short")),
            _ => Ok(()),
        };
        let result = self.shared.download(name, Some(range), length as u64, begin, |piece| {
            let end = filled + piece.len();
            let place = out.get_mut(filled..end).ok_or_else(|| {
                Error::unsupported(format!("the store gives more of {name} than asked for"))
            })?;
            place.copy_from_slice(piece);
            filled = end;
            Ok(())
        });
        match result {
            Ok(()) if filled == length => Ok(()),
            Ok(()) => Err(short()),
            Err(failure) if failure.is_out_of_range() => Err(short()),
            Err(failure) => Err(failure.of_object(name)),
        }
    }

    fn stat(&self, name: &str) -> Result<u64> {
        check_name(name)?;
        self.shared.size(name)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        check_prefix(prefix)?;
        list::list(&self.shared, prefix, each)
    }

    fn delete(&self, name: &str) -> Result<()> {
        check_name(name)?;
        let shared = &self.shared;
        let request = shared.client.delete_object().bucket(shared.bucket()).key(shared.key(name));
        let result = shared.call(&format!("delete of {name}"), request.send());
        match result.map_err(|failure| failure.of_object(name)) {
            Err(error) if error.is(ErrorKind::NotFound) && !error.message().contains("bucket") => {
                Ok(())
            }
            other => other.map(drop),
        }
    }

    fn conditional(&self) -> bool {
        self.shared.conditional.load(Ordering::Relaxed)
    }

    fn store_features(&self) -> Result<StoreFeatures> {
        let shared = &self.shared;
        let request = shared.client.get_bucket_versioning().bucket(shared.bucket());
        let versioning = shared.call("question for versioning", request.send());
        let request = shared.client.get_object_lock_configuration().bucket(shared.bucket());
        let lock = shared.call("question for object lock", request.send());
        let lock = lock.map(|answer| {
            let lock = answer.object_lock_configuration();
            lock.and_then(|l| l.object_lock_enabled()) == Some(&ObjectLockEnabled::Enabled)
        });
        Ok(StoreFeatures {
            versioning: told(
                versioning.map(|v| v.status() == Some(&BucketVersioningStatus::Enabled)),
            )?,
            object_lock: told(lock)?,
            free_bytes: None,
            total_bytes: None,
        })
    }

    fn now(&self) -> Result<Option<Timestamp>> {
        self.shared.dates.forget();
        // Whether there is such a thing does not matter, only that the store answers.
        match self.shared.size(&format!("{SCRATCH}clock")) {
            Err(error) if error.is(ErrorKind::Unavailable) => Err(error),
            _ => Ok(self.shared.dates.last()),
        }
    }

    fn sweep(&self) -> Result<u64> {
        list::abort_stale_uploads(&self.shared)
    }
}

/// A store that does not know the question, or does not answer us, tells nothing.
fn told(answer: Result<bool, Failure>) -> Result<Option<bool>> {
    match answer {
        Ok(yes) => Ok(Some(yes)),
        Err(failure) if failure.is_not_configured() => Ok(Some(false)),
        Err(failure) => match failure.into_error() {
            error if error.is(ErrorKind::Unavailable) => Err(error),
            _ => Ok(None),
        },
    }
}
