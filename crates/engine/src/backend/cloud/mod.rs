//! Google Cloud Storage and Azure Blob Storage: what both have in common. A driver sends requests;
//! this makes a [`Backend`] of it.
//!
//! As for S3 the drivers are asynchronous and the trait is not: a backend has a small tokio runtime
//! of its own, and each call waits for its answer on the caller's thread. Libraries retry nothing:
//! [`super::RetryBackend`] does that, and the same [`Retries`] serve inside for pages of a listing
//! and parts of an upload.

mod answer;
pub mod azure;
pub mod google;
mod http;
mod upload;

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _};
use jiff::Timestamp;
use tintype_model::{Error, ErrorKind, Result};
use tokio::runtime::Runtime;

use self::answer::{Failure, Why};
use super::clock::Dates;
use super::name::{check_name, check_prefix};
use super::{Backend, Listed, PutStream, Retries, StoreFeatures, check_limit, too_short};

/// So slow may an upload or a download be before it counts as stuck.
const SLOWEST_BYTES_PER_SECOND: u64 = 32 << 10;
/// Of a request that moves no bytes; others get more by their size.
const DEADLINE: Duration = Duration::from_mins(1);

type Answered<T> = std::result::Result<T, Failure>;

/// The requests of one kind of store. Keys are whole: the prefix is in them.
trait Driver: Send + Sync + 'static {
    /// What the parts of an upload have in common.
    type Session: Send + Sync + 'static;

    fn describe(&self) -> String;
    /// The key of a name.
    fn prefix(&self) -> &str;

    fn put(
        &self,
        key: &str,
        data: Bytes,
        if_absent: bool,
    ) -> impl Future<Output = Answered<()>> + Send;
    fn get(
        &self,
        key: &str,
        range: Option<Range<u64>>,
    ) -> impl Future<Output = Answered<Download>> + Send;
    fn size(&self, key: &str) -> impl Future<Output = Answered<u64>> + Send;
    fn page(
        &self,
        prefix: &str,
        token: Option<&str>,
    ) -> impl Future<Output = Answered<Page>> + Send;
    fn delete(&self, key: &str) -> impl Future<Output = Answered<()>> + Send;

    fn begin(&self, key: &str) -> impl Future<Output = Answered<Self::Session>> + Send;
    /// Sends one; what it gives is handed to `finish` in the order of parts.
    fn part(
        &self,
        key: &str,
        session: &Self::Session,
        part: Part,
    ) -> impl Future<Output = Answered<String>> + Send;
    fn finish(
        &self,
        key: &str,
        session: &Self::Session,
        parts: Vec<String>,
    ) -> impl Future<Output = Answered<()>> + Send;
    /// Nothing is left of it afterwards, as far as the store can be told so.
    fn abandon(
        &self,
        key: &str,
        session: &Self::Session,
    ) -> impl Future<Output = Answered<()>> + Send;

    fn features(&self) -> impl Future<Output = Answered<StoreFeatures>> + Send;
}

#[derive(Clone)]
struct Part {
    offset: u64,
    data: Bytes,
    /// Of the last: the size of the object.
    total_bytes: Option<u64>,
}

struct Download {
    /// As announced.
    length: Option<u64>,
    bytes: BoxStream<'static, Answered<Bytes>>,
}

struct Page {
    listed: Vec<(String, u64)>,
    next: Option<String>,
}

struct CloudBackend<D> {
    shared: Arc<Shared<D>>,
}

struct Shared<D> {
    driver: D,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    retries: Retries,
    dates: Dates,
}

fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("tintype-cloud")
        .enable_all()
        .build()
        .map_err(|error| Error::io(error, "cannot start the client of the store"))
}

impl<D: Driver> CloudBackend<D> {
    fn new(driver: D, runtime: Runtime, dates: Dates, retries: Retries) -> Self {
        let runtime = Some(runtime);
        Self { shared: Arc::new(Shared { driver, runtime, retries, dates }) }
    }
}

impl<D> Drop for Shared<D> {
    fn drop(&mut self) {
        // Dropping a runtime waits, which panics inside another one.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Waits for an answer, at most for the deadline of so many bytes.
async fn within<T>(
    bytes: u64,
    what: &str,
    request: impl Future<Output = Answered<T>>,
) -> Answered<T> {
    let deadline = DEADLINE + Duration::from_secs(bytes / SLOWEST_BYTES_PER_SECOND);
    match tokio::time::timeout(deadline, request).await {
        Ok(answered) => answered.map_err(|failure| failure.context(what)),
        Err(_) => Err(Failure::timeout(what, deadline)),
    }
}

impl<D: Driver> Shared<D> {
    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("only drop takes it")
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.driver.prefix())
    }

    fn call<T>(
        &self,
        bytes: u64,
        what: &str,
        request: impl Future<Output = Answered<T>>,
    ) -> Answered<T> {
        self.runtime().block_on(within(bytes, what, request))
    }

    fn put(&self, name: &str, data: Bytes, if_absent: bool) -> Answered<()> {
        let (key, length) = (self.key(name), data.len() as u64);
        self.call(length, &format!("put of {name}"), self.driver.put(&key, data, if_absent))
    }

    fn size(&self, name: &str) -> Result<u64> {
        let key = self.key(name);
        let size = self.driver.size(&key);
        self.call(0, &format!("stat of {name}"), size).map_err(|failure| failure.of_object(name))
    }

    /// Gives the bytes of the range (all if `None`) to `each`, after `begin` saw how many the store
    /// announces. `most_bytes` sets the deadline.
    fn download(
        &self,
        name: &str,
        range: Option<Range<u64>>,
        most_bytes: u64,
        begin: impl FnOnce(Option<u64>) -> Result<()>,
        mut each: impl FnMut(&[u8]) -> Result<()>,
    ) -> Answered<()> {
        let (key, what) = (self.key(name), format!("read of {name}"));
        let work = async {
            let mut answer = self.driver.get(&key, range).await?;
            begin(answer.length)?;
            let mut received = 0;
            while let Some(piece) = answer.bytes.next().await {
                let piece = piece?;
                received += piece.len() as u64;
                each(&piece)?;
            }
            match answer.length {
                Some(length) if received != length => Err(Failure::from(Error::unavailable(
                    format!("got {received} of {length} bytes"),
                ))),
                _ => Ok(()),
            }
        };
        self.call(most_bytes, &what, work)
    }
}

fn taken(name: &str) -> Error {
    Error::already_exists(format!("object {name} exists already"))
}

impl<D: Driver> Backend for CloudBackend<D> {
    fn describe(&self) -> String {
        self.shared.driver.describe()
    }

    fn put(&self, name: &str, data: &[u8]) -> Result<()> {
        check_name(name)?;
        match self.shared.put(name, Bytes::copy_from_slice(data), true) {
            Ok(()) => Ok(()),
            Err(failure) if failure.is(Why::Taken) => Err(taken(name)),
            // Several put at once and the store wants us to try again, or who may only create is
            // refused to overwrite: look what is there.
            Err(failure) if failure.is(Why::Conflict) || failure.is_denied() => {
                match self.shared.size(name) {
                    Ok(_) => Err(taken(name)),
                    Err(_) => Err(failure.into_error()),
                }
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
        let short = || match self.shared.size(name) {
            Ok(size_bytes) => too_short(name, size_bytes, offset, length),
            Err(error) => error,
        };
        if out.is_empty() {
            let size_bytes = self.shared.size(name)?;
            return if offset <= size_bytes { Ok(()) } else { Err(short()) };
        }
        let range = offset..offset.saturating_add(length as u64);
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
            Err(failure) if failure.is(Why::OutOfRange) || failure.is_corrupt() => Err(short()),
            Err(failure) => Err(failure.of_object(name)),
        }
    }

    fn stat(&self, name: &str) -> Result<u64> {
        check_name(name)?;
        self.shared.size(name)
    }

    /// Page by page; each is repeated by itself, so that no object is given out twice.
    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        check_prefix(prefix)?;
        let shared = &*self.shared;
        let (what, key) = (format!("list of {prefix:?}"), shared.key(prefix));
        let mut token: Option<String> = None;
        loop {
            let ask = |_| {
                let page = shared.driver.page(&key, token.as_deref());
                shared.call(0, &what, page).map_err(Failure::into_error)
            };
            let page = match &token {
                // Whoever asked repeats it as a whole.
                None => ask(1)?,
                Some(_) => shared.retries.run(ask)?,
            };
            for (key, size_bytes) in page.listed {
                // What is no name of ours is passed over.
                if let Some(name) = key.strip_prefix(shared.driver.prefix())
                    && check_name(name).is_ok()
                {
                    each(Listed { name: name.to_owned(), size_bytes })?;
                }
            }
            match page.next.filter(|next| !next.is_empty()) {
                None => return Ok(()),
                Some(next) if token.as_ref() == Some(&next) => {
                    let what = "the store gives the same page of a listing again and again";
                    return Err(Error::unsupported(what));
                }
                next => token = next,
            }
        }
    }

    fn delete(&self, name: &str) -> Result<()> {
        check_name(name)?;
        let key = self.shared.key(name);
        let delete = self.shared.driver.delete(&key);
        match self.shared.call(0, &format!("delete of {name}"), delete) {
            Err(failure) if failure.is(Why::NoObject) => Ok(()),
            other => other.map_err(Failure::into_error),
        }
    }

    fn conditional(&self) -> bool {
        true
    }

    fn store_features(&self) -> Result<StoreFeatures> {
        let features = self.shared.driver.features();
        match self.shared.call(0, "question for what the store can do", features) {
            Ok(features) => Ok(features),
            Err(failure) => match failure.into_error() {
                error if error.is(ErrorKind::Unavailable) => Err(error),
                // Whoever may write need not be allowed to ask.
                _ => Ok(StoreFeatures::default()),
            },
        }
    }

    fn now(&self) -> Result<Option<Timestamp>> {
        self.shared.dates.forget();
        // Whether there is such a thing does not matter, only that the store answers.
        match self.shared.size(&format!("{}clock", super::SCRATCH)) {
            Err(error) if error.is(ErrorKind::Unavailable) => Err(error),
            _ => Ok(self.shared.dates.last()),
        }
    }
}
