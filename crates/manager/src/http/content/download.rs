//! Bytes as an answer: all of a file or a range of it, streamed, within little memory.
//!
//! A thread reads ahead by a few pieces and waits for whoever takes them. An answer says how long it
//! is before it begins; what cannot be read ends it with an error, never before its end.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tintype_api::problem::Code;
use tintype_model::{Error, Result};
use tintype_runner::vault::Cancel;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::range::{Wanted, wanted};
use crate::http::failure::{Failure, Outcome};
use crate::state::State;

const PIECE_BYTES: usize = 1 << 20;
/// Pieces that wait: each is about 1 MiB.
const AHEAD: usize = 2;
/// Who takes nothing for so long has gone; a download is resumed.
const PATIENCE: Duration = Duration::from_mins(1);

/// What is downloaded.
pub(crate) struct Download {
    pub(crate) size_bytes: u64,
    /// The same only for the same bytes; without quotes.
    pub(crate) identity: String,
    /// Of the file that it becomes.
    pub(crate) name: Vec<u8>,
}

/// Hands on the bytes of a range, all of them or an error.
pub(crate) type Read =
    Box<dyn FnOnce(Range<u64>, &mut dyn FnMut(&[u8]) -> Result<()>, &Cancel) -> Result<()> + Send>;

/// Of a file of this host.
pub(crate) fn of_file(file: File, name: String) -> Read {
    Box::new(move |range, each, cancel| {
        let (mut at, mut piece) = (range.start, vec![0; PIECE_BYTES]);
        while at < range.end {
            cancel.check()?;
            let length = (range.end - at).min(PIECE_BYTES as u64) as usize;
            let read = file.read_exact_at(&mut piece[..length], at);
            read.map_err(|error| Error::io(error, &name))?;
            each(&piece[..length])?;
            at += length as u64;
        }
        Ok(())
    })
}

/// The range that is wanted of it; the answer that says that there is none.
pub(crate) fn range(headers: &HeaderMap, file: &Download) -> Result<Range<u64>, Box<Response>> {
    let size = file.size_bytes;
    match wanted(headers, &tag(file), size) {
        Wanted::Whole => Ok(0..size),
        Wanted::Part(range) => Ok(range),
        Wanted::Nothing => {
            let what = format!("the file has {size} bytes, and none of those");
            let mut response = Failure::new(Code::Invalid, what).into_response();
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            let value = HeaderValue::from_str(&format!("bytes */{size}"));
            response.headers_mut().insert(header::CONTENT_RANGE, value.expect("digits"));
            Err(Box::new(response))
        }
    }
}

fn tag(file: &Download) -> String {
    format!("\"{}\"", file.identity)
}

/// Streams that range of it.
pub(crate) async fn stream(
    state: &State,
    file: Download,
    range: Range<u64>,
    read: Read,
) -> Outcome<Response> {
    let Ok(permit) = std::sync::Arc::clone(&state.reading).try_acquire_owned() else {
        let what = "too many files are read at this moment";
        return Err(Failure::new(Code::Unavailable, what).cure("try again in a moment"));
    };
    let (give, mut take) = mpsc::channel::<Result<Bytes>>(AHEAD);
    let wanted = range.clone();
    let handle = Handle::current();
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        if let Err(error) = hand_on(&handle, &give, wanted, read)
            && !give.is_closed()
        {
            tracing::warn!(%error, "a download ends before its end");
            let _ = handle.block_on(give.send(Err(error)));
        }
    });
    // What is wrong from the beginning is told as an answer.
    let first = match take.recv().await {
        Some(Err(error)) => return Err(error.into()),
        first => first,
    };
    let rest = stream::unfold((first, take), |(ready, mut take)| async move {
        let next = match ready {
            Some(ready) => Some(ready),
            None => take.recv().await,
        };
        next.map(|piece| (piece, (None, take)))
    });
    Ok(answer(&file, &range, Body::from_stream(rest)))
}

fn hand_on(
    handle: &Handle,
    give: &mpsc::Sender<Result<Bytes>>,
    range: Range<u64>,
    read: Read,
) -> Result<()> {
    let (length, mut given) = (range.end - range.start, 0);
    let gone = || Error::canceled("nobody takes the download");
    let mut each = |bytes: &[u8]| {
        given += bytes.len() as u64;
        let piece = Bytes::copy_from_slice(bytes);
        let sent = async { tokio::time::timeout(PATIENCE, give.send(Ok(piece))).await };
        handle.block_on(sent).map_err(|_| gone())?.map_err(|_| gone())
    };
    if length > 0 {
        read(range, &mut each, &Cancel::default())?;
    }
    match given == length {
        true => Ok(()),
        false => Err(Error::corrupt(format!("{given} of {length} bytes could be read"))),
    }
}

fn answer(file: &Download, range: &Range<u64>, body: Body) -> Response {
    let size = file.size_bytes;
    let is_part = *range != (0..size);
    let status = if is_part { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    let mut set = |name, text: &str| {
        headers.insert(name, HeaderValue::from_str(text).expect("visible letters"));
    };
    set(header::CONTENT_TYPE, "application/octet-stream");
    set(header::ACCEPT_RANGES, "bytes");
    set(header::ETAG, &tag(file));
    set(header::CONTENT_LENGTH, &(range.end - range.start).to_string());
    set(header::CONTENT_DISPOSITION, &disposition(&file.name));
    if is_part {
        let Range { start, end } = range;
        set(header::CONTENT_RANGE, &format!("bytes {start}-{}/{size}", end - 1));
    }
    response
}

/// For a file of that name (RFC 6266, RFC 8187).
fn disposition(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "._-+ ".contains(c) { c } else { '_' })
        .collect();
    let encoded: String = name
        .bytes()
        .map(|byte| match byte {
            b'.' | b'_' | b'-' => (byte as char).to_string(),
            byte if byte.is_ascii_alphanumeric() => (byte as char).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_their_header() {
        assert_eq!(disposition(b"a.txt"), "attachment; filename=\"a.txt\"; filename*=UTF-8''a.txt");
        let told = disposition("\"ü\r\nx: y".as_bytes());
        assert_eq!(
            told,
            "attachment; filename=\"____x_ y\"; filename*=UTF-8''%22%C3%BC%0D%0Ax%3A%20y"
        );
    }
}
