//! A stream in parts.
//!
//! ```text
//! buffering --8 MiB--> uploading --finish--> an object
//!     |                    |
//!   finish               drop
//!     v                    v
//!  one put             abandoned
//! ```
//! A stream that stays below one part is a single put. One part goes up while the next is filled, so
//! a stream takes two of them in memory. A part that fails is sent again; the name is used only once,
//! so nothing needs a condition.

use std::sync::Arc;

use bytes::Bytes;
use tintype_model::{Error, ErrorKind, Result};
use tokio::task::JoinHandle;

use super::answer::Failure;
use super::{Driver, Part, Shared, within};
use crate::backend::PutStream;

/// A multiple of 256 KiB, as Google asks for.
const PART_BYTES: usize = 8 << 20;
/// Azure's.
const MOST_PARTS: usize = 50_000;

pub(super) struct Upload<D: Driver> {
    shared: Arc<Shared<D>>,
    name: String,
    buffer: Vec<u8>,
    sent_bytes: u64,
    /// Set while parts may be in the store that are not an object yet.
    session: Option<Arc<D::Session>>,
    under_way: Option<JoinHandle<Result<String>>>,
    done: Vec<String>,
}

impl<D: Driver> Upload<D> {
    pub(super) fn new(shared: Arc<Shared<D>>, name: &str) -> Self {
        Self {
            shared,
            name: name.to_owned(),
            buffer: Vec::new(),
            sent_bytes: 0,
            session: None,
            under_way: None,
            done: Vec::new(),
        }
    }

    fn begin(&mut self) -> Result<Arc<D::Session>> {
        if let Some(session) = &self.session {
            return Ok(session.clone());
        }
        let (shared, what) = (&*self.shared, format!("begin of upload {}", self.name));
        let key = shared.key(&self.name);
        let session = shared.retries.run(|_| {
            shared.call(0, &what, shared.driver.begin(&key)).map_err(Failure::into_error)
        })?;
        let session = Arc::new(session);
        self.session = Some(session.clone());
        Ok(session)
    }

    fn wait_for_part(&mut self) -> Result<()> {
        let Some(part) = self.under_way.take() else { return Ok(()) };
        let ended = self.shared.runtime().block_on(part);
        let sent = ended
            .map_err(|error| Error::internal("the upload of a part died").with_source(error))?;
        self.done.push(sent?);
        Ok(())
    }

    fn send_part(&mut self, is_last: bool) -> Result<()> {
        let session = self.begin()?;
        self.wait_for_part()?;
        if self.done.len() == MOST_PARTS {
            let most = MOST_PARTS * PART_BYTES;
            return Err(Error::unsupported(format!("{} is larger than {most} bytes", self.name)));
        }
        let data = Bytes::from(std::mem::take(&mut self.buffer));
        let offset = self.sent_bytes;
        self.sent_bytes += data.len() as u64;
        let total_bytes = is_last.then_some(self.sent_bytes);
        let part = Part { offset, data, total_bytes };
        let (shared, name) = (self.shared.clone(), self.name.clone());
        let sending = async move { send(&shared, &name, &session, part).await };
        self.under_way = Some(self.shared.runtime().spawn(sending));
        Ok(())
    }
}

async fn send<D: Driver>(
    shared: &Shared<D>,
    name: &str,
    session: &D::Session,
    part: Part,
) -> Result<String> {
    let what = format!("part at {} of {name}", part.offset);
    let (key, length) = (shared.key(name), part.data.len() as u64);
    let mut attempt = 1;
    loop {
        let sending = shared.driver.part(&key, session, part.clone());
        let failure = match within(length, &what, sending).await {
            Ok(sent) => {
                shared.retries.succeeded();
                return Ok(sent);
            }
            Err(failure) if !failure.is_retryable() => return Err(failure.into_error()),
            Err(failure) => failure,
        };
        let Some(wait) = shared.retries.wait_after(attempt) else {
            return Err(failure.into_error().context(format_args!("after {attempt} tries")));
        };
        tokio::time::sleep(wait).await;
        attempt += 1;
    }
}

impl<D: Driver> PutStream for Upload<D> {
    fn write(&mut self, mut data: &[u8]) -> Result<()> {
        while !data.is_empty() {
            let room = PART_BYTES - self.buffer.len();
            let (now, later) = data.split_at(room.min(data.len()));
            self.buffer.extend_from_slice(now);
            data = later;
            // A full part waits for one more byte, so that the last part is never empty.
            if self.buffer.len() == PART_BYTES && !data.is_empty() {
                self.send_part(false)?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        if self.session.is_none() {
            let data = Bytes::from(std::mem::take(&mut self.buffer));
            let put = || self.shared.put(&self.name, data.clone(), false);
            return self.shared.retries.run(|_| put().map_err(Failure::into_error));
        }
        let session = self.begin()?;
        self.send_part(true)?;
        self.wait_for_part()?;
        let (shared, what) = (&*self.shared, format!("end of upload {}", self.name));
        let key = shared.key(&self.name);
        shared.retries.run(|attempt| {
            let finish = shared.driver.finish(&key, &session, self.done.clone());
            match shared.call(0, &what, finish) {
                // An earlier try may have done it.
                Err(failure) if attempt > 1 && !failure.is_retryable() => {
                    match shared.size(&self.name) {
                        Ok(size_bytes) if size_bytes == self.sent_bytes => Ok(()),
                        Err(again) if again.is(ErrorKind::Unavailable) => Err(again),
                        _ => Err(failure.into_error()),
                    }
                }
                other => other.map_err(Failure::into_error),
            }
        })?;
        self.session = None;
        Ok(())
    }
}

impl<D: Driver> Drop for Upload<D> {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        if let Some(part) = self.under_way.take() {
            part.abort();
        }
        let shared = &*self.shared;
        let key = shared.key(&self.name);
        let abandon = shared.driver.abandon(&key, &session);
        if let Err(failure) = shared.call(0, "removal of an unfinished upload", abandon) {
            tracing::debug!(error = %failure.into_error(), "left to the store, which removes it");
        }
    }
}
