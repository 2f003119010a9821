//! A stream as a multipart upload.
//!
//! ```text
//! buffering --8 MiB--> uploading --finish--> completed
//!     |                    |
//!   finish               drop
//!     v                    v
//!  one put              aborted
//! ```
//! A stream that stays below one part is a single put. Parts go up in parallel, as many as the
//! backend allows for all its streams together, so memory is bounded by that and by one part
//! per open stream. A part that fails is sent again; the name is used only once, so nothing
//! needs a condition.

use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use tintype_model::{Error, Result};
use tokio::task::JoinSet;

use super::Shared;
use super::error::Failure;
use crate::backend::PutStream;

const PART_BYTES: usize = 8 << 20;
/// The protocol's.
const MOST_PARTS: i32 = 10_000;

pub(super) struct Upload {
    shared: Arc<Shared>,
    name: String,
    buffer: Vec<u8>,
    size_bytes: u64,
    /// Set while parts may be in the store that are not an object yet.
    id: Option<String>,
    begun_parts: i32,
    under_way: JoinSet<Result<CompletedPart>>,
    done: Vec<CompletedPart>,
}

impl Upload {
    pub(super) fn new(shared: Arc<Shared>, name: &str) -> Self {
        Self {
            shared,
            name: name.to_owned(),
            buffer: Vec::new(),
            size_bytes: 0,
            id: None,
            begun_parts: 0,
            under_way: JoinSet::new(),
            done: Vec::new(),
        }
    }

    fn begin(&mut self) -> Result<String> {
        if let Some(id) = &self.id {
            return Ok(id.clone());
        }
        let shared = &self.shared;
        let what = format!("begin of upload {}", self.name);
        let id = shared.retries.run(|_| {
            let request = shared
                .client
                .create_multipart_upload()
                .bucket(shared.bucket())
                .key(shared.key(&self.name));
            match shared.call(&what, request.send()) {
                Ok(answer) => Ok(answer.upload_id().map(str::to_owned)),
                Err(failure) if failure.is_unreadable() => self.find_id(&what),
                Err(failure) => Err(failure.into_error()),
            }
        })?;
        let id = id.ok_or_else(|| Error::unsupported(format!("{what}: the store gives no id")))?;
        self.id = Some(id.clone());
        Ok(id)
    }

    /// `rclone serve s3` names the answer's root wrongly, which the SDK refuses; but the name is
    /// used only once, so that the only upload under it is ours.
    fn find_id(&self, what: &str) -> Result<Option<String>> {
        let shared = &self.shared;
        let key = shared.key(&self.name);
        let request = shared.client.list_multipart_uploads().bucket(shared.bucket()).prefix(&key);
        let answer = shared.call(what, request.send()).map_err(Failure::into_error)?;
        let ours = answer.uploads().iter().find(|upload| upload.key() == Some(&key));
        Ok(ours.and_then(|upload| upload.upload_id().map(str::to_owned)))
    }

    fn send_part(&mut self) -> Result<()> {
        let id = self.begin()?;
        if self.begun_parts == MOST_PARTS {
            let most = MOST_PARTS as usize * PART_BYTES;
            return Err(Error::unsupported(format!("{} is larger than {most} bytes", self.name)));
        }
        self.begun_parts += 1;
        let part = Part {
            shared: self.shared.clone(),
            name: self.name.clone(),
            id,
            number: self.begun_parts,
            data: std::mem::take(&mut self.buffer).into(),
        };
        let slots = self.shared.part_slots.clone();
        let slot = self.shared.runtime().block_on(slots.acquire_owned());
        let slot = slot.map_err(|_| Error::internal("the slots of parts are gone"))?;
        let work = async move {
            let _slot = slot;
            part.send().await
        };
        self.under_way.spawn_on(work, self.shared.runtime().handle());
        while let Some(ended) = self.under_way.try_join_next() {
            self.done.push(joined(ended)?);
        }
        Ok(())
    }

    fn complete(&mut self, id: &str) -> Result<()> {
        while let Some(ended) = self.shared.runtime().block_on(self.under_way.join_next()) {
            self.done.push(joined(ended)?);
        }
        self.done.sort_by_key(CompletedPart::part_number);
        let parts = std::mem::take(&mut self.done);
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let shared = &self.shared;
        let what = format!("end of upload {}", self.name);
        shared.retries.run(|attempt| {
            let request = shared
                .client
                .complete_multipart_upload()
                .bucket(shared.bucket())
                .key(shared.key(&self.name))
                .upload_id(id)
                .multipart_upload(parts.clone());
            match shared.call(&what, request.send()) {
                Ok(_) => Ok(()),
                // An earlier try may have done it.
                Err(failure) if attempt > 1 && failure.is_no_such_upload() => {
                    match shared.size(&self.name) {
                        Ok(size_bytes) if size_bytes == self.size_bytes => Ok(()),
                        _ => Err(failure.into_error()),
                    }
                }
                Err(failure) => Err(failure.into_error()),
            }
        })
    }
}

impl PutStream for Upload {
    fn write(&mut self, mut data: &[u8]) -> Result<()> {
        self.size_bytes += data.len() as u64;
        while !data.is_empty() {
            let room = PART_BYTES - self.buffer.len();
            let (now, later) = data.split_at(room.min(data.len()));
            self.buffer.extend_from_slice(now);
            data = later;
            // A full part waits for one more byte, so that the last part is never empty.
            if self.buffer.len() == PART_BYTES && !data.is_empty() {
                self.send_part()?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        if self.id.is_none() {
            let data = Bytes::from(std::mem::take(&mut self.buffer));
            let put = |_| self.shared.put_once(&self.name, data.clone(), false);
            return self.shared.retries.run(|n| put(n).map_err(Failure::into_error));
        }
        self.send_part()?;
        let id = self.begin()?;
        self.complete(&id)?;
        self.id = None;
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        self.under_way.abort_all();
        let shared = &self.shared;
        let request = shared
            .client
            .abort_multipart_upload()
            .bucket(shared.bucket())
            .key(shared.key(&self.name))
            .upload_id(id);
        if let Err(failure) = shared.call("removal of an unfinished upload", request.send()) {
            tracing::debug!(error = %failure.into_error(), "left for a later sweep");
        }
    }
}

fn joined(ended: Result<Result<CompletedPart>, tokio::task::JoinError>) -> Result<CompletedPart> {
    ended.map_err(|error| Error::internal("the upload of a part died").with_source(error))?
}

struct Part {
    shared: Arc<Shared>,
    name: String,
    id: String,
    number: i32,
    data: Bytes,
}

impl Part {
    async fn send(&self) -> Result<CompletedPart> {
        let mut attempt = 1;
        loop {
            let failure = match self.send_once().await {
                Ok(part) => {
                    self.shared.retries.succeeded();
                    return Ok(part);
                }
                Err(failure) => failure,
            };
            let swept = failure.is_no_such_upload();
            if swept || !failure.is_retryable() {
                return Err(failure.into_error());
            }
            let Some(wait) = self.shared.retries.wait_after(attempt) else {
                return Err(failure.into_error().context(format_args!("after {attempt} tries")));
            };
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    async fn send_once(&self) -> Result<CompletedPart, Failure> {
        let shared = &self.shared;
        let length = self.data.len() as u64;
        let request = shared
            .client
            .upload_part()
            .bucket(shared.bucket())
            .key(shared.key(&self.name))
            .upload_id(&self.id)
            .part_number(self.number)
            .content_length(length as i64)
            .body(ByteStream::from(self.data.clone()))
            .customize();
        let request = if shared.unsigned { request.disable_payload_signing() } else { request };
        let what = format!("part {} of {}", self.number, self.name);
        let answer = shared.within(length, &what, request.send()).await?;
        Ok(CompletedPart::builder()
            .part_number(self.number)
            .set_e_tag(answer.e_tag().map(str::to_owned))
            .set_checksum_crc32(answer.checksum_crc32().map(str::to_owned))
            .build())
    }
}
