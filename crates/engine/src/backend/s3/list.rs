//! Listings, page by page; each page is repeated by itself, so that a long listing survives
//! trouble in its middle and no object is given out twice.

use std::time::Duration;

use aws_sdk_s3::primitives::DateTime;
use tintype_model::{Error, Result};

use super::Shared;
use super::error::Failure;
use crate::backend::Listed;
use crate::backend::name::check_name;

/// Unfinished uploads older than this are swept. By our clock: one that is far off cannot even
/// sign a request.
const STALE: Duration = Duration::from_hours(24);

pub(super) fn list(
    shared: &Shared,
    prefix: &str,
    each: &mut dyn FnMut(Listed) -> Result<()>,
) -> Result<()> {
    let own = &shared.config.location.prefix;
    let mut token = None;
    loop {
        let ask = |_| {
            let request = shared
                .client
                .list_objects_v2()
                .bucket(shared.bucket())
                .prefix(format!("{own}{prefix}"))
                .set_continuation_token(token.clone());
            shared.call(&format!("list of {prefix:?}"), request.send()).map_err(Failure::into_error)
        };
        let page = match &token {
            // Whoever asked repeats it as a whole.
            None => ask(1)?,
            Some(_) => shared.retries.run(ask)?,
        };
        for object in page.contents() {
            // What is no name of ours, such as the "directories" of some consoles, is passed over.
            let Some(name) = object.key().and_then(|key| key.strip_prefix(&**own)) else {
                continue;
            };
            if check_name(name).is_ok() {
                let size_bytes = object.size().and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
                each(Listed { name: name.to_owned(), size_bytes })?;
            }
        }
        let next = page.next_continuation_token().map(str::to_owned);
        if !page.is_truncated().unwrap_or(false) {
            return Ok(());
        }
        if next.is_none() || next == token {
            return Err(Error::unsupported("the store breaks off listings without a token"));
        }
        token = next;
    }
}

pub(super) fn abort_stale_uploads(shared: &Shared) -> Result<u64> {
    let oldest = shared.env.clock.now() - STALE;
    let (mut key_marker, mut id_marker) = (None, None);
    let mut aborted = 0;
    loop {
        let request = shared
            .client
            .list_multipart_uploads()
            .bucket(shared.bucket())
            .prefix(&shared.config.location.prefix)
            .set_key_marker(key_marker.clone())
            .set_upload_id_marker(id_marker.clone());
        let page = match shared.call("list of unfinished uploads", request.send()) {
            Err(failure) if failure.is_not_implemented() => return Ok(aborted),
            other => other.map_err(Failure::into_error)?,
        };
        for upload in page.uploads() {
            let began = upload.initiated().map_or(i64::MAX, DateTime::secs);
            if began >= oldest.as_second() {
                continue;
            }
            let request = shared
                .client
                .abort_multipart_upload()
                .bucket(shared.bucket())
                .set_key(upload.key().map(str::to_owned))
                .set_upload_id(upload.upload_id().map(str::to_owned));
            match shared.call("removal of an unfinished upload", request.send()) {
                Ok(_) => aborted += 1,
                Err(failure) if failure.is_no_such_upload() => {}
                Err(failure) => return Err(failure.into_error()),
            }
        }
        let next = page.next_key_marker().map(str::to_owned);
        if !page.is_truncated().unwrap_or(false) || next.is_none() {
            return Ok(aborted);
        }
        (key_marker, id_marker) = (next, page.next_upload_id_marker().map(str::to_owned));
    }
}
